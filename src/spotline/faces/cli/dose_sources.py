"""The source of a dose: records, a plan or a preparation, read and checked against each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import spotline
from spotline.dicom.treatment_record_reader import record_uid
from spotline.dose.engine.sources import Source
from spotline.dose.grid import Point
from spotline.errors import DoseError, OptionError
from spotline.faces.cli.treatment import treatment_to_deliver
from spotline.machine import BeamLine
from spotline.plan import Plan
from spotline.planning.prepared.layout import SUMMARY as PREPARATION
from spotline.record import Record
from spotline.record.delivery_file import NAME as DELIVERY
from spotline.record.delivery_file import PLANS, read_delivery
from spotline.treatment import Treatment

DICOM_RECORD = "record.dcm"


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of the verb, as it documents them."""

    sources: tuple[Path, ...]
    beamline: str | None
    ct: Path | None
    water_mm: float | None
    structures: Path | None
    grid_mm: float
    rbe: str | None
    alpha_beta_Gy: float | None
    compare: Path | None
    field: int | None
    per_field: bool
    library: Path | None
    plan: Path | None
    calibration: Path | None
    overrides: tuple[str, ...]
    prescriptions: tuple[str, ...]
    letd: bool
    quiet: bool


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The source, and what is known of its plan."""

    source: Source
    title: str
    line: BeamLine
    plan: Plan | None
    isocentres_mm: dict[int, Point]
    record_uids: tuple[str, ...]
    inputs: tuple[dict[str, str], ...]


def read_source(asked: Asked) -> Read:
    """Read the records, or the plan or preparation.

    Raises
    ------
    SpotlineError
        If something cannot be read, or sources do not go together.
    """
    are_records = [_is_record(path) for path in asked.sources]
    if all(are_records):
        return _read_records(asked)
    if len(asked.sources) > 1:
        raise OptionError(
            "several sources are added only if all are folders of records; give one plan, or records"
        )
    (path,) = asked.sources
    treatment = treatment_to_deliver(path, asked.beamline, asked.field, asked.quiet)
    plan = treatment.plan
    named = plan.path if path.is_dir() else path
    inputs = ({"role": "plan", "name": named.name, "sha256": plan.sha256},)
    return Read(treatment, plan.label or path.name, treatment.beamline, plan, {}, (), inputs)


def _is_record(path: Path) -> bool:
    return path.is_dir() and not (path / PREPARATION).exists()


def _read_records(asked: Asked) -> Read:
    records = [spotline.open_record(path) for path in asked.sources]
    line = spotline.load_beamline(asked.beamline or _line_of(records[0]))
    kept = [_plan_of(record) for record in records]
    _check_one_patient(records, kept)
    plan = kept[0]
    if asked.plan is not None:
        plan = spotline.read_plan(asked.plan)
        _check_plan(plan, records, kept)
    uids, inputs = [], []
    for record in records:
        inputs.append({"role": "record", "name": record.path.name, "sha256": _hash_of_record(record)})
        for field in record.fields:
            path = field.path / DICOM_RECORD
            if path.exists():
                uids.append(record_uid(path))
    if asked.plan is not None:
        assert plan is not None
        inputs.append({"role": "plan", "name": asked.plan.name, "sha256": plan.sha256})
    places = {} if plan is None else {f.number: f.isocentre_mm for f in plan.fields if f.isocentre_mm}
    known = {
        field.number
        for record in records
        for field in record.fields
        if field.header.get("isocentre_mm") is not None and asked.plan is None
    }
    return Read(
        records,
        ", ".join(record.path.name for record in records),
        line,
        plan,
        {number: at for number, at in places.items() if number not in known},
        tuple(uids) if len(uids) == sum(len(record.fields) for record in records) else (),
        tuple(inputs),
    )


def _line_of(record: Record) -> str:
    if (record.path / DELIVERY).exists():
        delivery = read_delivery(record.path)
        return str(delivery["beamline_path"] or delivery["beamline"])
    if not record.fields:
        raise DoseError(f"{record.path}: no field was delivered, so there is no dose")
    return str(record.fields[0].header["beamline"])


def _plan_of(record: Record) -> Plan | None:
    """The copy of the plan that a delivery keeps, if there is one."""
    if not (record.path / DELIVERY).exists():
        return None
    name = read_delivery(record.path)["plan"]
    path = record.path / PLANS / str(name)
    return spotline.read_plan(path) if name is not None and path.exists() else None


def _check_one_patient(records: list[Record], plans: list[Plan | None]) -> None:
    """Doses of several patients are not to be added."""
    found = {
        plan.identity["PatientID"]: record.path
        for record, plan in zip(records, plans, strict=True)
        if plan is not None and plan.identity.get("PatientID")
    }
    if len(found) > 1:
        (first, path), (second, other) = list(found.items())[:2]
        raise DoseError(
            f"{other}: is a record of patient {second}, and {path} of patient {first}; give records of one "
            "patient"
        )


def _check_plan(plan: Plan, records: list[Record], kept: list[Plan | None]) -> None:
    """Check that a plan given by hand is that of the records: of its bytes, or of its SOP Instance UID."""
    headers = [field.header for record in records for field in record.fields]
    hashes = {header.get("plan_sha256") for header in headers}
    hashes |= {header["continues"]["plan_sha256"] for header in headers if header.get("continues")}
    uids = {one.identity.get("SOPInstanceUID") for one in kept if one is not None}
    for one in kept:
        if one is not None and one.prepared_for is not None:
            hashes.add(one.prepared_for.plan_sha256)
            uids.add(one.prepared_for.plan_uid)
    if plan.sha256 in hashes or plan.identity.get("SOPInstanceUID") in uids - {None, ""}:
        return
    labels = ", ".join(sorted({str(header.get("plan_label")) for header in headers}))
    raise DoseError(
        f"{plan.path}: is not the plan that {records[0].path} was delivered from ({labels}); give that one"
    )


def with_isocentres(read: Read, asked: Asked, notes: list[str]) -> Read:
    """Water can lie around any point: where no isocentre is known, the origin is one."""
    if asked.water_mm is None:
        return read
    found: dict[int, Point | None]
    if isinstance(read.source, Treatment):
        found = {one.field.number: one.field.isocentre_mm for one in read.source.fields}
    else:
        records = [read.source] if isinstance(read.source, Record) else read.source
        found = {f.number: f.header.get("isocentre_mm") for record in records for f in record.fields}
    lost = [number for number, at in found.items() if at is None and number not in read.isocentres_mm]
    if lost:
        notes.append(
            f"field {', '.join(map(str, lost))}: no isocentre is known; it is taken as (0, 0, 0) in the water"
        )
    return replace(read, isocentres_mm={**read.isocentres_mm, **dict.fromkeys(lost, (0.0, 0.0, 0.0))})


def _hash_of_record(record: Record) -> str:
    """Hash of the treatment files and the spill files."""
    digest = hashlib.sha256()
    for field in record.fields:
        for file in [*sorted(field.path.glob("*.h5")), *sorted(field.path.glob("spills/*.h5"))]:
            digest.update(f"{field.path.name}/{file.name}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
