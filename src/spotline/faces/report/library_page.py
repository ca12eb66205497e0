"""A beam library, or one energy of it, as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spotline.faces.report.page import check_new, render, write_page
from spotline.faces.report.tables import Pairs, Table
from spotline.faces.report.words import NOTHING, moment, number, plain, power, short_hash
from spotline.machine.beams import spread_in_words
from spotline.machine.library.letd import IN_WORDS
from spotline.machine.library.overview import EnergyView, LibraryView, depth_figures

if TYPE_CHECKING:
    from spotline.faces.report.pictures import Picture

TEMPLATE = "library.html.j2"


def write_library_page(view: LibraryView, path: Path) -> None:
    """Write a page with pictures and tables: one energy in full if the view has one, else all.

    Parameters
    ----------
    view : LibraryView
        What `spotline.machine.library.overview.library_overview` found.
    path : Path
        New file; its folder must exist.

    Raises
    ------
    spotline.errors.OutputError
        If the file exists already or cannot be written.
    """
    check_new(path)
    one = view.energies[0] if len(view.energies) == 1 else None
    title = f"{view.library.ion.name} on {view.beamline.name}"
    if one is not None:
        title += f", {one.energy_MeV_u:g} MeV/u"
    html = render(
        TEMPLATE,
        title=title,
        facts=_facts(view) + ([] if one is None else _energy_facts(one)),
        shown=_pictures_of_all(view) if one is None else _pictures_of_one(one),
        tables=[("All energies", _energies(view))] if one is None else [("Along the depth", _depths(one))],
    )
    write_page(html, path)


def _facts(view: LibraryView) -> Pairs:
    made = view.library.facts
    return [
        ("In the beam", ", ".join(("nozzle", *view.mounted))),
        ("Water-equivalent thickness", f"{number(view.thickness.mean_mm)} mm"),
        ("Primaries per energy", NOTHING if made.primaries is None else power(made.primaries)),
        ("Momentum spread", spread_in_words(view.beamline, view.library)),
        ("Mean excitation energy of water", _eV(made.mean_excitation_eV)),
        ("Made", moment(made.made)),
        ("Command", plain(made.command)),
        ("SHA-256 of the physics", short_hash(made.physics_sha256)),
    ]


def _eV(energy_eV: float | None) -> str:
    return NOTHING if energy_eV is None else f"{energy_eV:g} eV"


def _energy_facts(one: EnergyView) -> Pairs:
    ranges = one.ranges
    return [
        ("Nominal depth", f"{number(one.nominal_mm)} mm"),
        ("Peak", f"{number(ranges.peak_mm)} mm"),
        ("Peak to entrance", number(ranges.peak_MeV_cm2_g / ranges.entrance_MeV_cm2_g)),
        ("R90, R80", f"{number(ranges.R90_mm)}, {number(ranges.R80_mm)} mm"),
        ("R50, R10", f"{number(ranges.R50_mm)}, {number(ranges.R10_mm)} mm"),
        ("Width at 50 and 80 %", f"{number(ranges.FWHM_mm)}, {number(ranges.W80_mm)} mm"),
        ("Fall from 80 to 20 %", f"{number(ranges.distal_80_20_mm)} mm"),
    ]


def _pictures_of_one(one: EnergyView) -> list[Picture]:
    from spotline.faces.report import library_figures as figures

    ranges = one.ranges
    return [
        _picture(
            "dose",
            figures.figure_depth_dose(one),
            "Depth dose",
            f"Per primary; LETd is of {IN_WORDS[one.entry.letd_group]}. Right: around the peak; lines mark "
            "R90, R80, R50 and R10.",
            f"peak at {ranges.peak_mm:.2f} mm, {ranges.FWHM_mm:.2f} mm wide",
        ),
        _picture(
            "lateral",
            figures.figure_lateral(one),
            "Lateral shape",
            "Core and two halos in water of a beam that enters as a point: scattering and reactions alone.",
            "widths and shares of core and halo over the depth",
        ),
        _picture(
            "fluence",
            figures.figure_fluence(one),
            "Particles",
            "Left: by charge, primaries without those that have reacted. Right: spectra before the peak.",
            "fluence per primary by charge over the depth",
        ),
    ]


def _pictures_of_all(view: LibraryView) -> list[Picture]:
    from spotline.faces.report import library_figures as figures

    title, caption = "Energies", "Left: some of the curves. Right: width of the peak of all."
    alt = f"{len(view.energies)} energies"
    return [_picture("all", figures.figure_all(view), title, caption, alt)]


def _picture(name: str, figure: Any, title: str, caption: str, alt: str) -> Picture:
    from markupsafe import Markup

    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.svg import to_svg

    return Picture(title, caption, alt, Markup(to_svg(figure, name)))


def _energies(view: LibraryView) -> Table:
    heads = (
        "MeV/u",
        "nominal depth (mm)",
        "peak (mm)",
        "R80 (mm)",
        "FWHM (mm)",
        "80 to 20 % (mm)",
        "peak to entrance",
    )
    rows: list[tuple[str, ...]] = [
        (
            number(one.energy_MeV_u),
            number(one.nominal_mm),
            number(one.ranges.peak_mm),
            number(one.ranges.R80_mm),
            number(one.ranges.FWHM_mm),
            number(one.ranges.distal_80_20_mm),
            number(one.ranges.peak_MeV_cm2_g / one.ranges.entrance_MeV_cm2_g),
        )
        for one in view.energies
    ]
    return Table(heads, (), rows)


def _depths(one: EnergyView) -> Table:
    heads = (
        "depth (mm)",
        "dose (MeV cm²/g)",
        "LETd (keV/µm)",
        "core (mm)",
        "halo (%)",
        "halo (mm)",
        "wide halo (%)",
        "wide halo (mm)",
    )
    rows: list[tuple[str, ...]] = [
        (
            number(row.depth_mm),
            power(row.dose_MeV_cm2_g),
            number(row.letd_keV_um),
            number(row.core_mm, 3),
            number(100.0 * row.halo_share),
            number(row.halo_mm),
            number(100.0 * row.wide_halo_share),
            number(row.wide_halo_mm),
        )
        for row in depth_figures(one)
    ]
    return Table(heads, (), rows)
