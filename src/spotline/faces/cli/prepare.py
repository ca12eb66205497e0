"""The verb ``prepare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spotline.faces.cli.bars import preparation_bar
from spotline.faces.cli.common import (
    STATUS_DONE,
    Switch,
    Tolerant,
    WholeNumber,
    tell_removed,
)

if TYPE_CHECKING:
    from spotline.planning.prepared.headers import PreparationFile


def prepare(
    plan: Path,
    *,
    beamline: str,
    out: Path,
    field: WholeNumber | None = None,
    order: Literal["shortest", "planned"] | None = None,
    intensity: float | None = None,
    paintings: WholeNumber | None = None,
    repainting: Literal["layered", "volumetric", "back-and-forth"] | None = None,
    largest_visit: float | None = None,
    beam_off_jump: float | None = None,
    beam_off_share: float | None = None,
    retarget: Switch = False,
    tolerant: Tolerant = False,
    quiet: Switch = False,
) -> int:
    """Prepare a treatment: complete the plan and write what synchrotron and delivery start from.

    Writes the extended plan (plan.dcm), and for each field the treatment file, the slice files and the
    list of cycle-codes; preparation.json says what was decided.  `spotline deliver` takes the folder.

    Exit status: 0 prepared, 2 bad input (nothing written).

    Parameters
    ----------
    plan
        DICOM RT Ion Plan, or TRiP98 raster-scan file (.rst).
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
    out
        Folder for the preparation; must not exist yet, or be empty.
    field
        Beam number of the only field to prepare.
    order
        Scan the spots of a layer on the shortest path (as a rule), or in the order of the plan.
    intensity
        Intensity of all slices in percent (100, 50, 20 or 10); by default the highest for each slice at
        which its smallest spot can be controlled.
    paintings
        How often each layer is painted at most; by default as the plan says.
    repainting
        Paint each layer as often as asked before the next (layered, as a rule), or all layers once and
        then all again (volumetric), every second time in reverse (back-and-forth).
    largest_visit
        Iso-layered repainting: let a visit deliver at most so many particles, instead of equal shares.
    beam_off_jump
        Switch the beam off between spots further apart than this, in mm.
    beam_off_share
        Switch it off too where more than this part of a spot would be delivered on the way to it.
    retarget
        Move layers whose energies the beam line does not have to its nearest ones, and report it.
    quiet
        Say nothing but errors.
    """
    import spotline
    from spotline.planning.prepared.write import write_folder
    from spotline.treatment.retarget import retarget as retarget_plan

    tell_removed(out)
    line = spotline.load_beamline(beamline)
    read = spotline.read_plan(plan, tolerant=tolerant)
    retargeted = retarget_plan(read, line, field=field) if retarget else None
    asked = {
        "order": order,
        "intensity": None if intensity is None else intensity / 100.0,
        "paintings": paintings,
        "repainting": None if repainting is None else repainting.replace("-", "_"),
        "largest_visit_particles": largest_visit,
        "beam_off_jump_mm": beam_off_jump,
        "beam_off_transit_share": beam_off_share,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    options = spotline.Options(**given) if given or not read.prepared_for else None
    prepared = retargeted.plan if retargeted else read
    with preparation_bar(quiet) as progress:
        treatment = spotline.prepare(prepared, line, field=field, options=options, progress=progress)
    summary = write_folder(treatment, out, options, retargeted)
    if not quiet:
        if retargeted is not None:
            print(retargeted.in_words())
        for warning in summary.warnings:
            print(f"spotline: {warning}", file=sys.stderr)
        print(_in_words(summary, out))
    return STATUS_DONE


def _in_words(summary: PreparationFile, out: Path) -> str:
    """The summary in a few lines."""
    lines = []
    for field in summary.fields:
        new_us = sum(slice_.path.time_us for slice_ in field.slices)
        old_us = sum(slice_.planned_path.time_us for slice_ in field.slices)
        levels = sorted({slice_.intensity_level for slice_ in field.slices}, reverse=True)
        lines += [
            (
                f"field {field.number} ({field.name}): {field.spots} spots in {len(field.slices)} slices, "
                f"{field.visits} visits"
            ),
            f"  path: {new_us * 1e-6:.3f} s of magnet moves ({old_us * 1e-6:.3f} s in the order of the plan)",
            f"  {field.beam_off_jumps} beam-off jumps",
            (
                f"  intensity {', '.join(f'{level:.0%}' for level in levels)}; "
                f"{field.predicted_spills:.1f} spills"
            ),
            (
                f"  predicted: {field.predicted_beam_on_s:.1f} s beam on, "
                f"{field.predicted_treatment_s:.0f} s treatment"
            ),
        ]
    return "\n".join([*lines, f"prepared in {out}"])
