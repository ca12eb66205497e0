"""Open a preparation and check it, before anything is delivered from it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from spotline.errors import PlanError, RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written
from spotline.machine import BeamLine
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
    path = folder / SUMMARY
    name = _read_summary(path).get("beamline")
    if not isinstance(name, str):
        raise RecordError(f"{path}: names no beam line; prepare the treatment again")
    return name


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
    summary = _read_summary(folder / SUMMARY)
    _check_summary(summary, folder, beamline)
    _check_files(summary, folder)
    with as_written(folder / SUMMARY):
        numbers = [int(said["number"]) for said in summary["fields"]]
    if field is not None:
        if field not in numbers:
            known = ", ".join(map(str, numbers))
            raise PlanError(f"{folder}: no field with beam number {field} was prepared, but {known}")
        numbers = [field]
    treatment = treatment_of(folder / PLAN, beamline, numbers)
    for prepared_field in treatment.fields:
        _check_field(folder / folder_of(prepared_field), treatment, prepared_field)
    return treatment


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecordError(f"{path}: no such file; give a folder that `spotline prepare` wrote")
    return read_json(path)


def _check_summary(summary: dict[str, Any], folder: Path, beamline: BeamLine) -> None:
    path = folder / SUMMARY
    if summary.get("format") != FORMAT or summary.get("version") != VERSION:
        raise RecordError(
            f"{path}: is {summary.get('format')!r} version {summary.get('version')!r}, not {FORMAT!r} "
            f"version {VERSION}; prepare the treatment again"
        )
    if summary.get("beamline_sha256") != beamline.sha256:
        raise RecordError(
            f"{path}: was prepared for {summary.get('beamline')} version {summary.get('beamline_version')} "
            f"(SHA-256 {str(summary.get('beamline_sha256'))[:12]}), not for this {beamline.name} version "
            f"{beamline.facts.version} ({beamline.sha256[:12]}); prepare the treatment again"
        )


def _check_files(summary: dict[str, Any], folder: Path) -> None:
    with as_written(folder / SUMMARY):
        files = dict(summary["files"])
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
