"""The comparison of two doses as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spotline.dose.evaluation.compare import Comparison, hottest_mm, profiles
from spotline.dose.evaluation.gamma import GammaResult, Required
from spotline.dose.grid import DoseGrid, Point
from spotline.faces.report.page import render, write_page
from spotline.faces.report.tables import Pairs, Table

if TYPE_CHECKING:
    from spotline.faces.report.pictures import Picture

TEMPLATE = "gamma.html.j2"
HEADS = (
    "criterion",
    "passed (%)",
    "mean",
    "largest",
    "compared (%)",
    "compared",
    "outside",
    "below the cut-off",
)


def write_comparison_page(
    reference: DoseGrid,
    evaluated: DoseGrid,
    comparison: Comparison,
    path: Path,
    *,
    names: tuple[str, str],
    required: Required,
    warnings: Sequence[str] = (),
) -> None:
    """Write the comparison of two doses as an HTML page, with slices, gamma map and profiles.

    Parameters
    ----------
    reference, evaluated : DoseGrid
    comparison : Comparison
        Of the two, with at least one gamma; the first one decides and is drawn.
    path : Path
        New file; its folder must exist.
    names : tuple of str
        What the two doses are called.
    required : Required
        Points that have to be compared and to pass.
    warnings : sequence of str
        What the reader should know beforehand.

    Raises
    ------
    spotline.errors.OutputError
        If the file exists already or cannot be written.
    """
    gamma = comparison.gammas[0]
    through_mm = hottest_mm(reference)
    html = render(
        TEMPLATE,
        title=f"{names[1]} against {names[0]}",
        status=(
            required.in_words(gamma),
            "good" if required.by(gamma) else "bad",
        ),
        warnings=warnings,
        facts=[
            ("reference", f"{names[0]}, {grid_in_words(reference)}"),
            ("evaluated", f"{names[1]}, {grid_in_words(evaluated)}"),
            ("kind of dose", reference.kind),
            ("100 %", f"{comparison.normalisation_Gy:.4g} Gy"),
            ("cut-off", f"{comparison.lower_cutoff_percent:g} %"),
            ("points compared", f"{comparison.points}"),
        ],
        gammas=gamma_table(comparison),
        differences=differences_in_words(comparison),
        figures=comparison_pictures(reference, evaluated, comparison, through_mm),
    )
    write_page(html, path)


def gamma_table(comparison: Comparison) -> Table:
    """All gammas of a comparison, one a row."""
    return Table(HEADS, (0,), [_row(result) for result in comparison.gammas])


def differences_in_words(comparison: Comparison) -> Pairs:
    """Differences of two doses, in Gy and percent of the normalisation."""
    place = ", ".join(f"{mm:g}" for mm in comparison.largest_at_mm)
    return [
        ("of what", comparison.of_what),
        ("largest at", f"x, y, z = {place} mm"),
        *_values_in_words(comparison),
    ]


def _values_in_words(comparison: Comparison) -> Pairs:
    return [
        (name, f"{value:+.4g} Gy ({100.0 * value / comparison.normalisation_Gy:+.2f} %)")
        for name, value in (
            ("mean", comparison.mean_Gy),
            ("root mean square", comparison.rms_Gy),
            ("lowest", comparison.lowest_Gy),
            ("highest", comparison.highest_Gy),
            *((f"{p} % have less than", value) for p, value in comparison.percentiles_Gy.items()),
        )
    ]


def _row(gamma: GammaResult) -> tuple[str, ...]:
    counts = (gamma.compared, gamma.outside, gamma.below_cutoff)
    return (
        gamma.name,
        f"{100.0 * gamma.pass_rate:.2f}",
        f"{gamma.mean:.3f}",
        f"{gamma.largest:.2f}",
        f"{100.0 * gamma.compared_share:.2f}",
        *map(str, counts),
    )


def grid_in_words(dose: DoseGrid) -> str:
    """Size of a grid."""
    counts = " x ".join(map(str, dose.grid.counts))
    spacing = " x ".join(f"{mm:g}" for mm in dose.grid.spacing_mm)
    return f"{counts} voxels of {spacing} mm"


def comparison_pictures(
    reference: DoseGrid, evaluated: DoseGrid, comparison: Comparison, through_mm: Point, prefix: str = ""
) -> list[Picture]:
    """Draw planes and profiles through a point; `prefix` keeps the pictures of one page apart."""
    from markupsafe import Markup

    from spotline.faces.report import dose_figures as draw
    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.svg import to_svg

    gamma = comparison.gammas[0]
    place = "x, y, z = " + ", ".join(f"{mm:g}" for mm in through_mm) + " mm"
    pictures = []
    if draw.planes_to_show(reference.grid):
        percent = 100.0 * comparison.difference_Gy / comparison.normalisation_Gy
        highest_Gy = float(max(reference.dose_Gy.max(), np.nanmax(comparison.evaluated_Gy)))
        maps = [
            draw.dose_map("reference", reference.dose_Gy, highest_Gy),
            draw.dose_map("evaluated", comparison.evaluated_Gy, highest_Gy),
            draw.difference_map(percent, max(gamma.dose_percent, float(np.nanquantile(abs(percent), 0.99)))),
            draw.gamma_map(f"gamma {gamma.name}", gamma.gamma),
        ]
        caption = (
            f"Planes through {place}, in the middle of what has 95 % of the largest dose. Difference in "
            "percent of the normalisation; gamma up to 1 is blue, above it red, and empty where nothing was "
            "compared."
        )
        alt = f"{100.0 * gamma.pass_rate:.2f} % of {gamma.compared} points pass {gamma.name}"
        svg = Markup(to_svg(draw.figure_planes(reference.grid, maps, through_mm), f"{prefix}planes"))
        pictures.append(Picture("Planes", caption, alt, svg))
    lines = profiles(reference, evaluated, through_mm)
    caption = f"Lines through {place}; below, evaluated minus reference."
    svg = Markup(to_svg(draw.figure_profiles(lines), f"{prefix}profiles"))
    pictures.append(Picture("Profiles", caption, "both doses along x, y and z", svg))
    return pictures
