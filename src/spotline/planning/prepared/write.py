"""Write a preparation: a folder that is there as a whole or not at all."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from spotline.dicom.extended_plan import write_extended_plan
from spotline.errors import OutputError
from spotline.files import write_json
from spotline.hdf5 import keys_of
from spotline.machine import BeamLine
from spotline.plan import Field
from spotline.planning.prepared.headers import PreparationFile, PreparedField
from spotline.planning.prepared.layout import (
    CYCLES,
    PLAN,
    SLICES,
    SUMMARY,
    folder_of,
    header_of,
    sha256_of,
    treatment_of,
)
from spotline.planning.prepared.summary import summarize
from spotline.storage import publish
from spotline.treatment.cycle_code import in_words
from spotline.treatment.options import Options
from spotline.treatment.retarget import Retargeted
from spotline.treatment.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import slice_path, write_slice_file, write_treatment_file
from spotline.whole_folder import whole_folder


def write_preparation(
    treatment: Treatment,
    out: str | Path,
    *,
    options: Options | None = None,
    retargeted: Retargeted | None = None,
) -> dict[str, Any]:
    """Write everything that the delivery of a treatment starts from.

    The folder gets the extended plan, a summary and, for each field, the treatment file, the slice
    files and the list of cycle-codes.  It appears when all of it is written.

    Parameters
    ----------
    treatment : Treatment
        From `spotline.prepare`.
    out : str or Path
        Folder to write to; it must not exist yet, or be empty.
    options, retargeted : optional
        For the summary, see `spotline.planning.prepared.summary.summarize`.

    Returns
    -------
    dict
        Content of ``preparation.json``.

    Raises
    ------
    OutputError
        If `out` is not free or cannot be written.
    PlanError
        If the plan cannot be written as DICOM.
    """
    return keys_of(write_folder(treatment, Path(out), options, retargeted))


def write_folder(
    treatment: Treatment, out: Path, options: Options | None, retargeted: Retargeted | None
) -> PreparationFile:
    """Do what `write_preparation` does, and return what was decided."""
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(f"{out}: exists and is not an empty folder; choose another for the preparation")
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be made ({error.strerror or error}); choose another folder"
        ) from error
    try:
        with whole_folder(out) as part:
            return _fill(part, treatment, options, retargeted)
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror or error}); make room or choose another folder; "
            "nothing was left there"
        ) from error


def _fill(
    folder: Path, treatment: Treatment, options: Options | None, retargeted: Retargeted | None
) -> PreparationFile:
    write_extended_plan(_with_angles(treatment), folder / PLAN)
    summary = summarize(treatment, options, retargeted)
    # DICOM stores positions and sizes as 32-bit floats: the files hold what the stored plan makes.
    numbers = [field.field.number for field in treatment.fields]
    stored = treatment_of(folder / PLAN, treatment.beamline, numbers)
    for field, said in zip(stored.fields, summary.fields, strict=True):
        sub = folder / folder_of(field)
        (sub / SLICES).mkdir(parents=True)
        header = header_of(stored, field)
        write_treatment_file(sub, header, field.slices)
        for slice_ in field.slices:
            write_slice_file(slice_path(sub / SLICES, slice_.index), header, slice_)
        cycles = _cycle_codes(field, said, treatment.beamline)
        publish(cycles.encode(), sub / CYCLES)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    summary = msgspec.structs.replace(summary, files=hashes)
    write_json(folder / SUMMARY, keys_of(summary))
    return summary


def _with_angles(treatment: Treatment) -> Treatment:
    """Fill in what TRiP98 does not say and DICOM requires, if the beam line leaves no choice."""
    angles = treatment.beamline.facts.geometry.gantry_angles_deg
    if len(angles) != 1:
        return treatment

    def filled(field: Field) -> Field:
        gantry, support = field.gantry_angle_deg, field.patient_support_angle_deg
        return replace(
            field,
            gantry_angle_deg=angles[0] if gantry is None else gantry,
            patient_support_angle_deg=0.0 if support is None else support,
        )

    plan = replace(treatment.plan, fields=tuple(map(filled, treatment.plan.fields)))
    return replace(treatment, plan=plan)


def _cycle_codes(field: FieldTreatment, said: PreparedField, line: BeamLine) -> str:
    """The list for the accelerator: one row per expected spill; Repeat_cycle asks for more if needed."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("spill", "slice", "cycle_code", "in_words"))
    spill = 0
    for slice_, predicted in zip(field.slices, said.slices, strict=True):
        for _ in range(max(1, math.ceil(predicted.predicted_spills - 0.5))):
            spill += 1
            code = slice_.cycle_code
            table.writerow((spill, slice_.index, f"{code:010x}", in_words(code, line)))
    return stream.getvalue()
