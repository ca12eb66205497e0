"""Deliver a treatment: fields one after the other, and everything that is written of them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spotline.beamline import BeamLine
from spotline.control.memory import TREND_TICKS
from spotline.delivery.field import BLOCK_US, FieldDelivery
from spotline.delivery.outcome import Outcome
from spotline.delivery.progress import Orders, Progress, Report
from spotline.delivery.status import StatusFile
from spotline.errors import OutputError
from spotline.preparation.treatment import FieldTreatment, Treatment
from spotline.record.log import write_json, write_log
from spotline.record.model import Record
from spotline.record.read import FIELD_HEADER, SUMMARY, open_field, open_record
from spotline.record.statistics import field_statistics, total_statistics
from spotline.room import Room
from spotline.sim.room import SimulatedRoom

MakeRoom = Callable[[FieldTreatment], Room]


def deliver(
    treatment: Treatment,
    out: str | Path,
    *,
    seed: int = 0,
    raw: bool = False,
    started: datetime | None = None,
    make_room: MakeRoom | None = None,
    progress: Report | None = None,
    orders: Orders | None = None,
    block_us: int = BLOCK_US,
) -> Record:
    """Deliver a treatment, field by field, and write its record.

    While it goes on, its status is published in ``status.json`` (`spotline.delivery.status`).

    Parameters
    ----------
    treatment : Treatment
        From `spotline.prepare`.
    out : str or Path
        Folder to write to; it must not exist yet, or be empty.
    seed : int
        Seed of the simulated room: the same treatment and seed leave the same spill files, to the byte.
    raw : bool
        Whether to keep every frame of every chamber.
    started : datetime, optional
        When the treatment began, for the DICOM record; by default now.  It changes nothing else.
    make_room : callable, optional
        Given a field, makes the room to deliver it in; by default a simulated one.
    progress : callable, optional
        Told how far the delivery is, about ten times per second of beam.
    orders : callable, optional
        Asked for orders of operator and supervision, as `spotline.delivery.progress.Orders` says; by default
        nobody has any.
    block_us : int
        Samples per call of the fast loop, a multiple of 1000.  It changes no result.

    Returns
    -------
    Record
        The delivery as `spotline.open_record` reads it.

    Raises
    ------
    OutputError
        If `out` is not free or cannot be written.
    OptionError
        If an order cannot be carried out in the state of the treatment.
    ValueError
        If `seed` is negative, or `block_us` no multiple of 1000.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must not be negative")
    if block_us < TREND_TICKS or block_us % TREND_TICKS:
        raise ValueError(f"block_us is {block_us}; it must be a multiple of {TREND_TICKS}")
    folder = Path(out)
    wall = time.perf_counter()
    began = started if started is not None else datetime.now().astimezone()
    _claim(folder)
    status = StatusFile(folder)
    try:
        fields: list[dict[str, Any]] = []
        for number, field in enumerate(treatment.fields, start=1):
            room = make_room(field) if make_room else _simulated_room(treatment.beamline, field, seed, raw)
            header = _header(treatment, field, seed)
            sub = folder / f"field-{field.field.number:02d}"
            sub.mkdir()
            delivery = FieldDelivery(
                field,
                treatment.beamline,
                room,
                sub,
                header,
                progress or _ignore,
                (number, len(treatment.fields)),
                block_us,
                publish=status.write,
                orders=orders,
            )
            outcome = delivery.run()
            before_s = sum(done["treatment_s"] for done in fields)  # fields follow without a pause
            fields.append(_finish(sub, outcome, began + timedelta(seconds=before_s), treatment))
            delivery.record_written()
            if fields[-1]["status"] != "complete":
                break  # the next field waits until somebody has looked at the interlock
        summary = _summary(treatment, fields, seed, time.perf_counter() - wall, raw)
        write_json(folder / SUMMARY, summary)
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise OutputError(
            f"{error.filename or folder}: cannot be written ({reason}); make room or choose another folder; "
            f"what was delivered is in the spill files of {folder}"
        ) from error
    record = open_record(folder)
    _write_report(record)
    return record


def _claim(folder: Path) -> None:
    """Make the output folder, or find it empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder}: is not empty; choose another folder for the record")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error


def _simulated_room(beamline: BeamLine, field: FieldTreatment, seed: int, raw: bool) -> Room:
    return SimulatedRoom(beamline, field.field.number, seed, field.passive_elements, raw=raw)


def _ignore(progress: Progress) -> None:
    """Report to nobody."""


def _header(treatment: Treatment, field: FieldTreatment, seed: int) -> dict[str, Any]:
    """Facts of a field that its files carry."""
    beamline, geometry, plan = treatment.beamline, treatment.beamline.facts.geometry, treatment.plan
    planned, ion = field.field, field.field.ion

    def scale(source_mm: float, chamber_mm: float) -> float:
        return source_mm / (source_mm - chamber_mm)

    x_source, y_source = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
    return {
        "number": planned.number,
        "name": planned.name,
        "ion": ion.name,
        "charge_number": ion.charge_number,
        "mass_number": ion.mass_number,
        "beamline": beamline.name,
        "beamline_version": beamline.facts.version,
        "beamline_sha256": beamline.sha256,
        "plan_label": plan.label,
        "plan_sha256": plan.sha256,
        "seed": seed,
        "versions": versions(),
        "focus": [s.focus for s in field.slices],
        "passive_elements": list(field.passive_elements),
        "gantry_angle_deg": planned.gantry_angle_deg,
        "patient_support_angle_deg": planned.patient_support_angle_deg,
        "unit": planned.unit,
        "spots_planned": field.n_spots,
        "particles_planned": field.particles,
        "particles_per_s_full": field.beam.full_intensity_per_s,
        "meterset_per_particle": [
            _meterset_per_particle(field, beamline, s.energy_MeV_u) for s in field.slices
        ],
        "particles_per_count": [float(np.mean(s.particles_per_count1)) for s in field.slices],
        "warnings": list(field.warnings),
        "iso_per_chamber": {
            "strip_x": scale(x_source, geometry.strip_x_to_isocentre_mm),
            "strip_y": scale(y_source, geometry.strip_y_to_isocentre_mm),
            "pixel_x": scale(x_source, geometry.pixel_to_isocentre_mm),
            "pixel_y": scale(y_source, geometry.pixel_to_isocentre_mm),
        },
    }


def _meterset_per_particle(field: FieldTreatment, beamline: BeamLine, energy_MeV_u: float) -> float:
    if field.field.unit == "NP":
        return 1.0
    return 1.0 / float(beamline.particles_per_MU(field.beam.name, energy_MeV_u))  # type: ignore[arg-type]


def _finish(folder: Path, outcome: Outcome, began: datetime, treatment: Treatment) -> dict[str, Any]:
    """Write what belongs to a whole field: header, log and DICOM record; return its part of the summary."""
    header = {"started": began.isoformat(timespec="microseconds"), **outcome.header()}
    write_json(folder / FIELD_HEADER, header)
    record = open_field(folder)
    write_log(record, folder)
    _write_dicom(record, treatment, folder)
    statistics = field_statistics(record)
    return {
        "folder": folder.name,
        "field": record.number,
        "name": record.name,
        "status": header["status"],
        **statistics,
        "loop_wall_s": outcome.loop_wall_s,
        "realtime_factor": _ratio(statistics["beam_on_s"], outcome.loop_wall_s),
        "warnings": record.header["warnings"],
    }


def _summary(
    treatment: Treatment, fields: list[dict[str, Any]], seed: int, wall_s: float, raw: bool
) -> dict[str, Any]:
    """Content of ``summary.json``."""
    totals = total_statistics(fields)
    # Fields that were never begun still count as planned.
    totals["spots_planned"] = sum(f.n_spots for f in treatment.fields)
    totals["particles_planned"] = sum(f.particles for f in treatment.fields)
    loop_wall_s = sum(field["loop_wall_s"] for field in fields)
    whole = len(fields) == len(treatment.fields) and all(f["status"] == "complete" for f in fields)
    return {
        "status": "complete" if whole else "interlock",
        **totals,
        "wall_s": wall_s,
        "loop_wall_s": loop_wall_s,
        "realtime_factor": _ratio(totals["beam_on_s"], loop_wall_s),
        "seed": seed,
        "raw": raw,
        "plan": str(treatment.plan.path.name),
        "plan_label": treatment.plan.label,
        "plan_sha256": treatment.plan.sha256,
        "beamline": treatment.beamline.name,
        "beamline_version": treatment.beamline.facts.version,
        "beamline_sha256": treatment.beamline.sha256,
        "versions": versions(),
        "fields": fields,
    }


def _ratio(beam_on_s: float, wall_s: float) -> float | None:
    return beam_on_s / wall_s if wall_s > 0.0 else None


def versions() -> dict[str, str]:
    """Versions of what took part in a delivery."""
    packages = ("spotline", "numpy", "numba", "h5py", "pydicom")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _write_dicom(record: Any, treatment: Treatment, folder: Path) -> None:
    from spotline.dicom.treatment_record import write_treatment_record

    write_treatment_record(record, treatment.plan, folder / "record.dcm")


def _write_report(record: Record) -> None:
    from spotline.report import write_report

    write_report(record, record.path / "report.html")
