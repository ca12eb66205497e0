"""The page of `spotline dose`: doses over the image, comparisons, and dose-volume histograms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spotline.dose.compare import hottest_mm
from spotline.dose.dvh import dvh
from spotline.report.dose_page import (
    comparison_pictures,
    differences_in_words,
    gamma_table,
    grid_in_words,
)
from spotline.report.page import render, write_page
from spotline.report.tables import Table

if TYPE_CHECKING:
    from spotline.report.dose_case import Case, Findings
    from spotline.report.pictures import Picture

TEMPLATE = "dose.html.j2"


def write_case_page(case: Case, findings: Findings, path: Path) -> None:
    """Write the page to a new file; it needs nothing else."""
    done = case.reconstruction
    first = next(iter(done.doses.values())).physical
    html = render(
        TEMPLATE,
        title=case.title,
        warnings=case.notes,
        facts=[
            ("beam line", f"{case.beamline.name} {case.beamline.facts.version}"),
            ("fractions", str(done.fractions)),
            ("dose grid", grid_in_words(first)),
            ("RBE", case.rbe or "none; physical dose"),
            ("dose is", "dose to water, from pencil beams of a library"),
            *((what, f"{dose.particles:.6g} particles") for what, dose in done.doses.items()),
        ],
        doses=_dose_table(case),
        structures=_structure_table(findings),
        figures=[*_over_image(case), *_volumes(case)],
        comparisons=[
            {
                "title": f"{one.names[1]} against {one.names[0]}",
                "gammas": gamma_table(one.comparison),
                "differences": differences_in_words(one.comparison),
                "figures": comparison_pictures(
                    one.reference,
                    one.evaluated,
                    one.comparison,
                    hottest_mm(one.reference),
                    f"c{number}-",
                ),
            }
            for number, one in enumerate(findings.compared)
        ],
        inputs=Table(
            ("input", "name", "SHA-256"),
            (0, 1, 2),
            [(one["role"], one["name"], one["sha256"][:16]) for one in case.inputs],
        ),
    )
    write_page(html, path)


def _dose_table(case: Case) -> Table:
    rows: list[tuple[str, ...]] = []
    for what, dose in case.reconstruction.doses.items():
        effective = "-" if dose.effective is None else f"{float(dose.effective.dose_Gy.max()):.4g}"
        rows.append(
            (
                what,
                f"{dose.particles:.6g}",
                f"{float(dose.physical.dose_Gy.max()):.4g}",
                effective,
                f"{float(dose.letd_keV_um.max()):.3g}",
            )
        )
    heads = ("dose", "particles", "maximum (Gy)", "maximum (Gy, RBE)", "largest LETd (keV/µm)")
    return Table(heads, (0,), rows)


def _structure_table(findings: Findings) -> Table:
    names = ("volume_cm3", "mean_Gy", "minimum_Gy", "maximum_Gy", "D98_Gy", "D95_Gy", "D50_Gy", "D2_Gy")
    rows = [
        (structure, dose, *(f"{getattr(said, name):.4g}" for name in names))
        for structure, by_dose in findings.statistics.items()
        for dose, said in by_dose.items()
    ]
    heads = [name.replace("_cm3", " (cm³)").replace("_Gy", " (Gy)") for name in names]
    return Table(("structure", "dose", *heads), (0, 1), rows)


def _over_image(case: Case) -> list[Picture]:
    from markupsafe import Markup

    from spotline.report import dose_figures as draw
    from spotline.report.pictures import Picture
    from spotline.report.svg import to_svg

    doses = {what: dose.physical for what, dose in case.reconstruction.doses.items()}
    first = next(iter(doses.values()))
    grid = first.grid
    highest_Gy = max(float(dose.dose_Gy.max()) for dose in doses.values())
    if not draw.planes_to_show(grid) or highest_Gy <= 0.0:
        return []
    through_mm = hottest_mm(first)
    maps = [draw.dose_map(what, dose.dose_Gy, highest_Gy) for what, dose in doses.items()]
    svg = to_svg(draw.figure_planes(grid, maps, through_mm, under=case.image), "over")
    place = "x, y, z = " + ", ".join(f"{mm:g}" for mm in through_mm) + " mm"
    caption = f"Physical dose over {case.image_kind}, in planes through {place}; below 2 % nothing is drawn."
    return [Picture("Dose", caption, f"doses up to {highest_Gy:.4g} Gy", Markup(svg))]


def _volumes(case: Case) -> list[Picture]:
    from markupsafe import Markup

    from spotline.report import dose_figures as draw
    from spotline.report.pictures import Picture
    from spotline.report.svg import to_svg

    if not case.structures:
        return []
    doses = {what: dose.effective or dose.physical for what, dose in case.reconstruction.doses.items()}
    highest_Gy = max(float(dose.dose_Gy.max()) for dose in doses.values())
    at_Gy = np.linspace(0.0, 1.05 * highest_Gy if highest_Gy > 0.0 else 1.0, 200)
    curves: dict[str, dict[str, Any]] = {
        mask.name: {
            what: dvh(dose, mask.share, mask.name).volume_at_percent(at_Gy) for what, dose in doses.items()
        }
        for mask in case.structures
    }
    svg = to_svg(draw.figure_volumes(at_Gy, curves), "dvh")
    caption = "Volume that has at least a dose: planned as a line, measured dashed, true dotted."
    return [Picture("Dose-volume histogram", caption, f"{len(curves)} structures", Markup(svg))]
