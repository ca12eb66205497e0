"""Deliver a treatment: fields one after the other, and everything that is written of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from spotline.control.memory import TREND_TICKS
from spotline.delivery.field import BLOCK_US
from spotline.delivery.progress import Orders, Report
from spotline.delivery.session import Session, versions
from spotline.errors import OutputError
from spotline.files import claim_folder, write_json
from spotline.machine import BeamLine
from spotline.machine.load import SHIPPED
from spotline.record import delivery_file
from spotline.record.model import Record
from spotline.room import Room
from spotline.sim.disk import FaultyDisk
from spotline.sim.faults import Fault, write_faults
from spotline.sim.faults.striking import checked
from spotline.sim.room import SimulatedRoom
from spotline.storage import Disk, only_one
from spotline.treatment.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import write_treatment_file

MakeRoom = Callable[[FieldTreatment], Room]

FAULTS = "faults.toml"


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
    faults: Iterable[Fault] = (),
    documents: bool = True,
    disk: Disk | None = None,
    after_spill: Callable[[Path], object] | None = None,
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
        Told how far the delivery is, about fifty times per second of beam.
    orders : callable, optional
        Asked for orders of operator and supervision, as `spotline.delivery.progress.Orders` says; by default
        nobody has any.
    block_us : int
        Samples per call of the fast loop at most, a multiple of 1000.  It changes no result.
    faults : iterable of Fault
        What fails in the simulated room, the same in every field; they are kept in ``faults.toml``.
    documents : bool
        Whether to write the DICOM treatment record and the status too.
    disk : Disk, optional
        Where to write; by default the disk that there is.  With faults it must be one that can have them, a
        `spotline.sim.disk.FaultyDisk`.
    after_spill : callable, optional
        Given the folder of the record after every spill, when the file of that spill is in it and the beam is
        off: `spotline.Reconstructor.follow` adds its dose.  What it raises ends the delivery.

    Returns
    -------
    Record
        The delivery as `spotline.open_record` reads it.  If the disk fails during the delivery, that is an
        interlock in it.

    Raises
    ------
    OutputError
        If `out` is not free or cannot be written; nothing was delivered then, or everything.
    OptionError
        If an order cannot be carried out in the state of the treatment.
    FaultError
        If a fault is none that the beam line can have.
    ValueError
        If `seed` is negative, `block_us` no multiple of 1000, or there are faults for a room of
        your own or for a disk that cannot have any.
    SimulatedCrash
        If a fault ends the process; `spotline.resume` goes on from there.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must not be negative")
    if block_us < TREND_TICKS or block_us % TREND_TICKS:
        raise ValueError(f"block_us is {block_us}; it must be a multiple of {TREND_TICKS}")
    faults = tuple(checked(faults, treatment.beamline))
    if faults and make_room is not None:
        raise ValueError("faults are those of the simulated room; leave make_room or the faults away")
    if faults and disk is None:
        disk = FaultyDisk()
    faulty = disk if isinstance(disk, FaultyDisk) else None
    if faults and faulty is None:
        raise ValueError("faults are those of a simulated disk too; give a FaultyDisk, or leave disk away")
    folder, disk = Path(out), disk or Disk()
    wall = time.perf_counter()
    began = started if started is not None else datetime.now().astimezone()
    claim_folder(folder, "the record")
    try:
        delivery = _keep_what_it_takes(treatment, folder, seed, raw, began, disk)
        if faults:
            write_faults(folder / FAULTS, faults)
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise OutputError(
            f"{error.filename or folder}: cannot be written ({reason}); make room or choose another folder; "
            "nothing was delivered"
        ) from error

    def room_of(field: FieldTreatment, spills_before: int) -> Room:
        if make_room is not None:
            return make_room(field)
        return simulated_room(treatment.beamline, field, seed, raw, spills_before, faults, faulty)

    session = Session(
        folder,
        treatment,
        delivery,
        disk,
        room_of,
        progress,
        orders,
        block_us,
        documents,
        operator=None,
        after_spill=after_spill,
    )
    with only_one(folder / delivery_file.NAME):
        return session.run(wall)


def simulated_room(
    beamline: BeamLine,
    field: FieldTreatment,
    seed: int,
    raw: bool,
    spills_before: int,
    faults: tuple[Fault, ...] = (),
    disk: FaultyDisk | None = None,
) -> Room:
    """Make the room that a field is delivered in unless there is another."""
    return SimulatedRoom(
        beamline,
        field.field.number,
        seed,
        field.passive_elements,
        raw=raw,
        faults=faults,
        spills_before=spills_before,
        disk=disk,
    )


def _keep_what_it_takes(
    treatment: Treatment, folder: Path, seed: int, raw: bool, began: datetime, disk: Disk
) -> dict[str, Any]:
    """Write everything that it takes to deliver the treatment; ``delivery.json`` comes last."""
    plan, line = treatment.plan, treatment.beamline
    fields = []
    for field in treatment.fields:
        name = f"field-{field.field.number:02d}"
        disk.make_folder(folder / name)
        write_treatment_file(folder / name, _header(treatment, field, seed), field.slices, disk)
        fields.append(
            {
                "number": field.field.number,
                "folder": name,
                "spots_planned": field.n_spots,
                "particles_planned": field.particles,
            }
        )
    delivery = {
        "format": delivery_file.FORMAT,
        "plan": _keep_plan(treatment, folder, disk),
        "plan_name": plan.path.name,
        "plan_label": plan.label,
        "plan_sha256": plan.sha256,
        "beamline": line.name,
        "beamline_version": line.facts.version,
        "beamline_path": None if line.path.is_relative_to(SHIPPED) else str(line.path.resolve()),
        "beamline_sha256": line.sha256,
        "seed": seed,
        "raw": raw,
        "started": began.isoformat(timespec="microseconds"),
        "versions": versions(),
        "fields": fields,
    }
    write_json(folder / delivery_file.NAME, delivery, disk)
    return delivery


def _keep_plan(treatment: Treatment, folder: Path, disk: Disk) -> str | None:
    """Copy the file of the plan; return the name of the copy, or None if there is no such file any more."""
    plan = treatment.plan
    try:
        content = plan.path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != plan.sha256:
        return None
    disk.make_folder(folder / delivery_file.PLANS)
    disk.publish(content, folder / delivery_file.PLANS / plan.path.name)
    return plan.path.name


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
        "continues": None if plan.continues is None else asdict(plan.continues),
        "line_geometry": {
            "gantry_angles_deg": list(geometry.gantry_angles_deg),
            "source_to_isocentre_mm": [
                geometry.x_source_to_isocentre_mm,
                geometry.y_source_to_isocentre_mm,
            ],
        },
        "seed": seed,
        "versions": versions(),
        "focus": [s.focus for s in field.slices],
        "passive_elements": list(field.passive_elements),
        "gantry_angle_deg": planned.gantry_angle_deg,
        "patient_support_angle_deg": planned.patient_support_angle_deg,
        "isocentre_mm": None if planned.isocentre_mm is None else list(planned.isocentre_mm),
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
