"""The page of `spotline dose`: doses over the image, comparisons, and dose-volume histograms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spotline.arrays import Float32s
from spotline.dose.evaluation.compare import hottest_mm
from spotline.dose.evaluation.dvh import dvh
from spotline.faces.report.dose_page import (
    comparison_pictures,
    differences_in_words,
    gamma_table,
    grid_in_words,
)
from spotline.faces.report.page import render, write_page
from spotline.faces.report.tables import Table
from spotline.machine.library.letd import letd_in_words

if TYPE_CHECKING:
    from spotline.dose.engine.beams import What
    from spotline.dose.evaluation.findings import Evaluation
    from spotline.faces.report.dose_folder import Provenance
    from spotline.faces.report.pictures import Picture

TEMPLATE = "dose.html.j2"


def write_evaluation_page(evaluation: Evaluation, provenance: Provenance, path: Path) -> None:
    """Write the page to a new file; it needs nothing else."""
    done, line = evaluation.reconstruction, evaluation.beamline
    first = next(iter(done.doses.values())).physical
    html = render(
        TEMPLATE,
        title=provenance.title,
        warnings=evaluation.notes,
        facts=[
            ("beam line", f"{line.name} {line.facts.version}"),
            ("fractions", str(done.fractions)),
            ("dose grid", grid_in_words(first)),
            ("RBE", evaluation.rbe or "none; physical dose"),
            ("dose is", "dose to water, from pencil beams of a library"),
            *((what, f"{dose.particles:.6g} particles") for what, dose in done.doses.items()),
        ],
        doses=_dose_table(evaluation),
        structures=_structure_table(evaluation),
        coverage=_coverage_table(evaluation),
        figures=[*_over_image(evaluation), *_volumes(evaluation)],
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
            for number, one in enumerate(evaluation.comparisons)
        ],
        inputs=Table(
            ("input", "name", "SHA-256"),
            (0, 1, 2),
            [(one["role"], one["name"], one["sha256"][:16]) for one in provenance.inputs],
        ),
    )
    write_page(html, path)


def _dose_table(evaluation: Evaluation) -> Table:
    rows: list[tuple[str, ...]] = []
    for what, dose in evaluation.reconstruction.doses.items():
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


def _structure_table(evaluation: Evaluation) -> Table:
    names = ("volume_cm3", "mean_Gy", "minimum_Gy", "maximum_Gy", "D98_Gy", "D95_Gy", "D50_Gy", "D2_Gy")
    rows = []
    for structure, by_dose in evaluation.statistics.items():
        for dose, said in by_dose.items():
            letd = evaluation.letd_keV_um[structure].get(dose)
            figures = [f"{getattr(said, name):.4g}" for name in names]
            rows.append((structure, dose, *figures, "-" if letd is None else f"{letd:.3g}"))
    heads = [name.replace("_cm3", " (cm³)").replace("_Gy", " (Gy)") for name in names]
    heads.append("mean LETd (keV/µm)")
    return Table(("structure", "dose", *heads), (0, 1), rows)


def _coverage_table(evaluation: Evaluation) -> Table:
    """What is said of structures that have a prescription."""
    names = (
        "prescription_Gy",
        "V95_percent",
        "V107_percent",
        "homogeneity_D5_D95_percent",
        "homogeneity_icru83",
        "conformity_rtog",
        "conformity_paddick",
    )
    rows = [
        (structure, dose, *(f"{getattr(said, name):.4g}" for name in names))
        for structure, by_dose in evaluation.statistics.items()
        for dose, said in by_dose.items()
        if said.prescription_Gy is not None
    ]
    heads = (
        "prescription (Gy)",
        "V95 (%)",
        "V107 (%)",
        "(D5 - D95) / prescription (%)",
        "homogeneity, ICRU 83",
        "conformity, RTOG",
        "conformity, Paddick",
    )
    return Table(("structure", "dose", *heads), (0, 1), rows)


def _over_image(evaluation: Evaluation) -> list[Picture]:
    from markupsafe import Markup

    from spotline.faces.report import dose_figures as draw
    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.svg import to_svg

    doses = evaluation.reconstruction.doses
    first = next(iter(doses.values())).physical
    if not draw.planes_to_show(first.grid) or first.dose_Gy.max() <= 0.0:
        return []
    through_mm = hottest_mm(first)
    place = "x, y, z = " + ", ".join(f"{mm:g}" for mm in through_mm) + " mm"
    where = f"over {evaluation.patient.image_kind}, in planes through {place}; below 2 % nothing is drawn."
    shown: list[tuple[str, str, str, dict[What, Float32s]]] = [
        ("Dose", "Physical dose", "dose (Gy)", {what: dose.physical.dose_Gy for what, dose in doses.items()})
    ]
    effective = {what: dose.effective.dose_Gy for what, dose in doses.items() if dose.effective is not None}
    if effective:
        shown.append(
            ("RBE-weighted dose", f"RBE-weighted dose ({evaluation.rbe})", "dose (Gy, RBE)", effective)
        )
    letd = {what: dose.letd_keV_um for what, dose in doses.items()}
    particles = letd_in_words(evaluation.reconstruction.letd_of)
    shown.append(
        (
            "LETd",
            f"Dose-averaged LET of {particles} (where there is a thousandth of the largest dose)",
            "LETd (keV/µm)",
            letd,
        )
    )
    pictures = []
    for number, (title, caption, label, values) in enumerate(shown):
        highest = max(float(array.max()) for array in values.values())
        maps = [draw.dose_map(what, array, highest, label) for what, array in values.items()]
        svg = to_svg(
            draw.figure_planes(first.grid, maps, through_mm, under=evaluation.patient.image), f"over{number}-"
        )
        pictures.append(
            Picture(title, f"{caption} {where}", f"{title.lower()} up to {highest:.4g}", Markup(svg))
        )
    return pictures


def _volumes(evaluation: Evaluation) -> list[Picture]:
    from markupsafe import Markup

    from spotline.faces.report import dose_figures as draw
    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.svg import to_svg

    if not evaluation.structures:
        return []
    doses = {what: dose.effective or dose.physical for what, dose in evaluation.reconstruction.doses.items()}
    highest_Gy = max(float(dose.dose_Gy.max()) for dose in doses.values())
    at_Gy = np.linspace(0.0, 1.05 * highest_Gy if highest_Gy > 0.0 else 1.0, 200)
    curves: dict[str, dict[str, Any]] = {
        mask.name: {
            what: dvh(dose, mask.share, mask.name, outside_cm3=mask.outside_cm3).volume_at_percent(at_Gy)
            for what, dose in doses.items()
        }
        for mask in evaluation.structures
    }
    svg = to_svg(draw.figure_volumes(at_Gy, curves), "dvh")
    caption = "Volume that has at least a dose: planned as a line, measured dashed, true dotted."
    return [Picture("Dose-volume histogram", caption, f"{len(curves)} structures", Markup(svg))]
