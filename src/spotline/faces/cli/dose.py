"""The verb ``dose``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from spotline.faces.cli.bars import dose_bar
from spotline.faces.cli.common import (
    STATUS_DIFFERENT,
    STATUS_DONE,
    Count,
    Switch,
    Tolerant,
    WholeNumber,
    WithPage,
    Words,
    tell_removed,
)
from spotline.faces.cli.course import opened

if TYPE_CHECKING:
    from spotline.dose.evaluation.findings import Compared, Evaluation


def dose(
    *source: Path,
    out: Path,
    beamline: str | None = None,
    ct: Path | None = None,
    ct_series: str = "",
    water: float | None = None,
    structures: Path | None = None,
    grid: float = 2.0,
    box: Words = (),
    rbe: str | None = None,
    alpha_beta: Annotated[float | None, Parameter(name="--alpha-beta-Gy")] = None,
    compare: Path | None = None,
    field: WholeNumber | None = None,
    per_field: Switch = False,
    widths: Literal["measured", "planned"] = "measured",
    letd: Switch = False,
    library: Path | None = None,
    plan: Path | None = None,
    calibration: Path | None = None,
    prescription: Words = (),
    override: Words = (),
    fractions: Count = 1,
    course: Path | None = None,
    compared_percent: float = 95.0,
    report: WithPage = True,
    tolerant: Tolerant = False,
    quiet: Switch = False,
) -> int:
    """Compute the dose of a plan, or of what was delivered: planned, measured and, if simulated, true.

    Writes an RT Dose for each, dose.json (gamma, differences, statistics of structures) and report.html.

    Exit status: 0 computed; 1 computed, but fewer points of a dose to compare with could be compared than
    --compared-percent asks for; 2 bad input (nothing written).

    Parameters
    ----------
    source
        Folder of a record (several are fractions, or a delivery and its continuation); or a plan (DICOM RT
        Ion Plan, TRiP98 .rst), or a folder that `spotline prepare` wrote.
    out
        Folder to write to; must not exist yet, or be empty.
    beamline
        Name or path of the beam line; records and preparations know the name of their own.
    ct
        Folder of a CT series: the patient.
    ct_series
        SeriesInstanceUID of the series to take, if the folder has several.
    water
        Instead of a CT: a box of water whose surface lies so many mm before the isocentre.
    structures
        DICOM RT Structure Set, for statistics and for overrides.
    grid
        Size of the voxels of the dose in mm.
    box
        Where dose is wanted: "image" for all of the CT, the name of a structure, or six numbers in mm, the
        lowest and highest x, y and z; by default wherever the beams leave dose.
    rbe
        Model of the RBE by name or file (constant, wedenberg, mcnamara, carabe, mkm, mkm-low-let, TOML,
        .rbe), for RBE-weighted dose beside the physical one.
    alpha_beta
        Of the tissue for photons in Gy, for the models that need it.
    compare
        DICOM RT Dose to compare with.
    field
        Beam number of the only field to take.
    per_field
        Write the dose of each field too.
    widths
        Width of the spots of what was measured: as the strips found it, or as the plan has it.
    letd
        Write maps of the dose-averaged LET too (MetaImage, .mha): of protons that of hydrogen nuclei, of ions
        that of all charged particles.
    library
        Folder with the beam libraries; by default those of the line.
    plan
        Plan of the records, for isocentres and references that they do not hold.
    calibration
        TOML or CSV file of the curve from HU to stopping power; by default a nominal one of no real scanner.
    prescription
        Dose in Gy that a structure is to get of all that is computed, as in PTV=2, for coverage, homogeneity
        and conformity; with --rbe it is RBE-weighted dose.  Several may follow.
    override
        Stopping power relative to water of a structure, as in couch=0.5; several may follow.
    fractions
        So many fractions were given like this; a record itself is added once only.
    course
        Instead of sources: folder of a course (spotline course), for all that was given of it.
    compared_percent
        Points that have to be compared, in percent of those with enough dose of what --compare names: others
        lie outside the grid that is computed, and nothing is said of them.
    report
        Write report.html, whose pictures take a part of the time.
    quiet
        Say nothing but errors.
    """
    from spotline.dose.evaluation.evaluate import evaluate
    from spotline.dose.evaluation.gamma import Required
    from spotline.errors import OptionError
    from spotline.faces.cli.dose_inputs import DoseRequest, read_inputs
    from spotline.faces.report.dose_folder import check_free, write_dose_folder

    check_free(out)
    tell_removed(out)
    if course is not None:
        if source:
            raise OptionError("give either records or --course, not both")
        source = tuple(opened(course).records())
    request = DoseRequest(
        sources=source,
        beamline=beamline,
        ct=ct,
        ct_series=ct_series,
        water_mm=water,
        structures=structures,
        grid_mm=grid,
        box=box,
        rbe=rbe,
        alpha_beta_Gy=alpha_beta,
        compare=compare,
        field=field,
        per_field=per_field,
        widths=widths,
        fractions=fractions,
        library=library,
        plan=plan,
        calibration=calibration,
        overrides=override,
        prescriptions=prescription,
        compared_percent=compared_percent,
        quiet=quiet,
        tolerant=tolerant,
    )
    given = read_inputs(request)
    with dose_bar(quiet) as progress:
        evaluation = evaluate(
            given.source,
            given.patient,
            plan=given.plan,
            structures=given.structures,
            prescribed_Gy=given.prescribed_Gy,
            compare=given.compare,
            options=given.options,
            progress=progress,
        )
    write_dose_folder(evaluation, given.provenance, out, with_letd=letd, with_page=report)
    if not quiet:
        print(_in_words(evaluation, out))
    required = Required(compared_percent=compared_percent)
    is_compared = all(required.is_compared(one.comparison.gammas[0]) for one in evaluation.comparisons)
    return STATUS_DONE if is_compared else STATUS_DIFFERENT


def _in_words(evaluation: Evaluation, out: Path) -> str:
    from spotline.faces.report.dose_folder import PAGE

    # What makes all figures meaningless comes before them.
    lines = [f"note: {note}" for note in evaluation.first_notes]
    for what, found in evaluation.reconstruction.doses.items():
        physical, effective = float(found.physical.dose_Gy.max()), ""
        if found.effective is not None:
            effective = f", {float(found.effective.dose_Gy.max()):.4g} Gy (RBE)"
        lines.append(f"{what}: {found.particles:.6g} particles, up to {physical:.4g} Gy{effective}")
    lines += [f"  {_rate(one)}" for one in evaluation.comparisons]
    lines += [f"  note: {note}" for note in evaluation.notes if note not in evaluation.first_notes]
    page = out / PAGE
    return "\n".join([*lines, f"  report: {page}"] if page.exists() else lines)


def _rate(compared: Compared) -> str:
    """The first gamma of a comparison, and the difference."""
    gamma, found = compared.comparison.gammas[0], compared.comparison
    reference, evaluated = compared.names
    return (
        f"{evaluated} against {reference}: {100.0 * gamma.pass_rate:.2f} % pass {gamma.name}, "
        f"{100.0 * gamma.compared_share:.2f} % compared; difference "
        f"{100.0 * found.mean_Gy / found.normalisation_Gy:+.2f} % in the mean {found.of_what}, "
        f"{100.0 * found.largest_Gy / found.normalisation_Gy:.2f} % at most, at x, y, z = "
        f"{', '.join(f'{mm:g}' for mm in found.largest_at_mm)} mm"
    )
