"""Open a preparation and check it, before anything is delivered from it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from msgspec import UNSET

from spotline.errors import PlanError, RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written, typed
from spotline.inside import check_links, inside
from spotline.machine import BeamLine
from spotline.planning.prepared.headers import PreparationFile
from spotline.planning.prepared.layout import PLAN, SUMMARY, folder_of, header_of, sha256_of, treatment_of
from spotline.planning.prepared.summary import FORMAT, VERSION
from spotline.treatment.headers import PreparationHeader
from spotline.treatment.treatment import FieldTreatment, Slice, Treatment
from spotline.treatment.treatment_file import NAME, read_treatment_file


def prepared_for(folder: Path) -> str:
    """Name of the beam line that a treatment was prepared for.

    Raises
    ------
    RecordError
        If the folder holds no preparation.
    """
    return read_preparation(folder).beamline


def open_preparation(folder: str | Path, beamline: BeamLine, *, field: int | None = None) -> Treatment:
    """Read a treatment that was prepared earlier.

    The treatment is made again from the extended plan, and must be that of the treatment files to the
    last bit: two ways, one result.

    Parameters
    ----------
    folder : str or Path
        Written by `write_preparation`.
    beamline : BeamLine
        The line that the treatment was prepared for.
    field : int, optional
        Beam number of the only field to open.

    Returns
    -------
    Treatment

    Raises
    ------
    PlanError
        If no field of that number was prepared.
    RecordError
        If a file is missing, truncated or altered, if plan and treatment files disagree, or if the
        treatment was prepared for another beam line, or another version of it.
    """
    folder = Path(folder)
    summary = read_preparation(folder)
    _check_line(summary, folder, beamline)
    _check_files(summary, folder)
    numbers = [said.number for said in summary.fields]
    if field is not None:
        if field not in numbers:
            known = ", ".join(map(str, numbers))
            raise PlanError(f"{folder}: no field with beam number {field} was prepared, but {known}")
        numbers = [field]
    treatment = treatment_of(folder / PLAN, beamline, numbers)
    for prepared_field in treatment.fields:
        _check_field(folder / folder_of(prepared_field), treatment, prepared_field)
    return replace(treatment, fields=tuple(_with_warnings(one, summary) for one in treatment.fields))


def _with_warnings(prepared: FieldTreatment, summary: PreparationFile) -> FieldTreatment:
    """A field with what was told when it was prepared; repairs of the plan are in no other file."""
    beginning = f"field {prepared.field.number}: "
    told = [one.removeprefix(beginning) for one in summary.warnings if one.startswith(beginning)]
    return replace(prepared, warnings=tuple(dict.fromkeys([*told, *prepared.warnings])))


def read_preparation(folder: Path) -> PreparationFile:
    """Read ``preparation.json``.

    Raises
    ------
    RecordError
        If it is missing or broken, or of another version.
    """
    path = folder / SUMMARY
    if not path.is_file():
        raise RecordError(f"{path}: no such file; give a folder that `spotline prepare` wrote")
    keys = read_json(path)
    if keys.get("format") != FORMAT or keys.get("version") != VERSION:
        raise RecordError(
            f"{path}: is {keys.get('format')!r} version {keys.get('version')!r}, not {FORMAT!r} "
            f"version {VERSION}; prepare the treatment again"
        )
    with as_written(path):
        summary = typed(PreparationFile, keys)
        names = () if summary.files is UNSET else summary.files
        for name in names:
            inside(name, "file", depth=3)
    check_links(folder, (SUMMARY, *names))
    return summary


def _check_line(summary: PreparationFile, folder: Path, beamline: BeamLine) -> None:
    if summary.beamline_sha256 != beamline.sha256:
        raise RecordError(
            f"{folder / SUMMARY}: was prepared for {summary.beamline} version {summary.beamline_version} "
            f"(SHA-256 {summary.beamline_sha256[:12]}), not for this {beamline.name} version "
            f"{beamline.facts.version} ({beamline.sha256[:12]}); prepare the treatment again"
        )


def _check_files(summary: PreparationFile, folder: Path) -> None:
    files = summary.files
    if files is UNSET:
        raise RecordError(f"{folder / SUMMARY}: truncated or altered (no 'files'); restore it from a copy")
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise RecordError(f"{path}: no such file; prepare the treatment again")
        if sha256_of(path) != expected:
            raise RecordError(f"{path}: was altered after the preparation; prepare the treatment again")


def _check_field(folder: Path, treatment: Treatment, field: FieldTreatment) -> None:
    written = read_treatment_file(folder, PreparationHeader)
    same = written.header == header_of(treatment, field) and len(written.slices) == len(field.slices)
    if not same or not all(map(_same_slice, written.slices, field.slices)):
        raise RecordError(
            f"{folder / NAME}: is not the treatment that {PLAN} beside it makes; prepare the treatment again"
        )


def _same_slice(one: Slice, other: Slice) -> bool:
    return all(
        np.array_equal(getattr(one, attribute.name), getattr(other, attribute.name))
        for attribute in fields(Slice)
    )
