"""The verb ``gamma``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from spotline.faces.cli.common import STATUS_DIFFERENT, STATUS_DONE, Switch

if TYPE_CHECKING:
    from spotline.dose.evaluation.compare import Comparison
    from spotline.dose.evaluation.gamma import Required
    from spotline.dose.grid import DoseGrid


def gamma(
    reference: Path,
    evaluated: Path,
    *,
    dose_percent: float = 3.0,
    distance_mm: float = 2.0,
    local: Switch = False,
    cutoff_percent: float = 10.0,
    maximum_gamma: float = 2.0,
    normalisation_Gy: Annotated[float | None, Parameter(name="--normalisation-Gy")] = None,
    pass_percent: float = 95.0,
    compared_percent: float = 95.0,
    json: Switch = False,
    html: Path | None = None,
) -> int:
    """Compare two doses by their gamma index, and say how far they are apart.

    Every voxel of the reference with enough dose is held against the evaluated dose, which is interpolated.

    Exit status: 0 enough points are compared and pass, 1 too few, 2 bad input.

    Parameters
    ----------
    reference
        DICOM RT Dose whose voxels are judged.
    evaluated
        DICOM RT Dose that is searched; its grid may be another.
    dose_percent
        Accepted difference of dose in percent.
    distance_mm
        Accepted distance.
    local
        Take the percent of the reference dose of each voxel, not of the largest.
    cutoff_percent
        Leave out voxels with less dose, in percent of the largest reference dose.
    maximum_gamma
        Do not search beyond this value.
    normalisation_Gy
        What 100 % are, instead of the largest reference dose.
    pass_percent
        Points that have to pass, in percent of those compared.
    compared_percent
        Points that have to be compared, in percent of those of the reference with enough dose: others lie
        outside the evaluated grid, and nothing is known of them.
    json
        Print all figures as JSON.
    html
        Write a page with slices, gamma map and profiles to this new file too.
    """
    from spotline.dicom.dose import read_dose
    from spotline.dose.evaluation.compare import Criterion, compare_doses
    from spotline.dose.evaluation.gamma import Required
    from spotline.errors import OptionError

    for option, percent in (("pass", pass_percent), ("compared", compared_percent)):
        if not 0.0 <= percent <= 100.0:
            raise OptionError(f"--{option}-percent: {percent:g} is no part of the points; give 0 to 100")
    if html is not None:
        from spotline.faces.report.page import check_new

        check_new(html)
    first, second = read_dose(reference), read_dose(evaluated)
    found = compare_doses(
        first,
        second,
        criteria=[Criterion(dose_percent, distance_mm, local)],
        lower_cutoff_percent=cutoff_percent,
        maximum_gamma=maximum_gamma,
        normalisation_Gy=normalisation_Gy,
    )
    warnings = _warnings(first, second, found)
    required = Required(pass_percent, compared_percent)
    passed = required.by(found.gammas[0])
    if html is not None:
        from spotline.faces.report.dose_page import write_comparison_page

        names = (reference.name, evaluated.name)
        write_comparison_page(first, second, found, html, names=names, required=required, warnings=warnings)
    if json:
        _print_json(found, (reference, evaluated), required, warnings)
    else:
        _print_words(found, required, warnings)
    return STATUS_DONE if passed else STATUS_DIFFERENT


def _warnings(reference: DoseGrid, evaluated: DoseGrid, found: Comparison) -> list[str]:
    """What does not speak against the comparison, but has to be known."""
    warnings = [found.other_maximum] if found.other_maximum else []
    frames = {reference.frame_of_reference_uid, evaluated.frame_of_reference_uid} - {""}
    if len(frames) == 2:
        warnings.append(
            "the files name different frames of reference; coordinates are taken to mean the same in both"
        )
    if found.gammas[0].outside:
        warnings.append(
            f"{found.gammas[0].outside} reference points above the cut-off lie outside the evaluated grid "
            "and are not compared"
        )
    return warnings


def _print_json(found: Comparison, files: tuple[Path, Path], required: Required, warnings: list[str]) -> None:
    import json

    written = {
        "reference": files[0].name,
        "evaluated": files[1].name,
        "required_percent": required.pass_percent,
        "required_compared_percent": required.compared_percent,
        "passed": required.by(found.gammas[0]),
        "warnings": warnings,
        **found.as_dict(),
    }
    print(json.dumps(written, indent=2))


def _print_words(found: Comparison, required: Required, warnings: list[str]) -> None:
    gamma = found.gammas[0]
    # What makes all that follows meaningless comes before it.
    if found.other_maximum:
        print(f"note: {found.other_maximum}")
        warnings = warnings[1:]
    print(f"{'passed' if required.by(gamma) else 'FAILED'}: {required.in_words(gamma)}")
    print(
        f"  gamma: mean {gamma.mean:.3f}, largest {gamma.largest:.2f}"
        + (" (not searched beyond)" if gamma.largest >= gamma.maximum_gamma else "")
    )
    print(
        f"  100 % is {found.normalisation_Gy:.4g} Gy; below the cut-off of {gamma.lower_cutoff_percent:g} %: "
        f"{gamma.below_cutoff} points"
    )
    print(
        f"  difference: mean {found.mean_Gy:+.4g} Gy, rms {found.rms_Gy:.4g} Gy, "
        f"from {found.lowest_Gy:+.4g} to {found.highest_Gy:+.4g} Gy ({found.of_what}); largest at "
        f"x, y, z = {', '.join(f'{mm:g}' for mm in found.largest_at_mm)} mm"
    )
    for warning in warnings:
        print(f"  note: {warning}")
