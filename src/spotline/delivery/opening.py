"""Begin a delivery: the room that it is done in, and everything that it takes to go on with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from spotline.delivery.session import DeliveryOptions, versions
from spotline.errors import OptionError, OutputError, PlanError, SpotlineError
from spotline.files import write_json
from spotline.hdf5 import keys_of
from spotline.inside import name_of_copy
from spotline.machine import BeamLine
from spotline.machine.load import SHIPPED
from spotline.machine.model import PassiveElements, Slab
from spotline.machine.true_line import true_line_of
from spotline.plan import Plan
from spotline.record import delivery_file
from spotline.record.assembly import FieldContent
from spotline.record.course import Place, Wanted
from spotline.record.course_folder import original_of
from spotline.record.headers import DeliveryFile, PlannedField
from spotline.room import Room
from spotline.sim.disk import FaultyDisk
from spotline.sim.faults import Fault, write_faults
from spotline.sim.room import SimulatedRoom
from spotline.storage import Disk
from spotline.treatment.headers import DeliveryHeader, LineGeometry, MountedElement
from spotline.treatment.monitors import isocentre_per_chamber, recorded_monitors
from spotline.treatment.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import write_treatment_file

FAULTS = "faults.toml"


def simulated_rooms(
    beamline: BeamLine,
    seed: int,
    raw: bool,
    faults: tuple[Fault, ...] = (),
    disk: FaultyDisk | None = None,
) -> Callable[[FieldTreatment, int], Room]:
    """Return what makes the room of a field of which so many spills are delivered, unless there is another.

    It alone in deliveries knows what is true of the line, and hands it to nobody but the room.

    Raises
    ------
    BeamLineError
        If the line has no ``simulation`` table.
    """
    line = true_line_of(beamline)

    def room_of(field: FieldTreatment, spills_before: int) -> Room:
        return SimulatedRoom(
            line,
            field.field.number,
            seed,
            field.passive_elements,
            raw=raw,
            faults=faults,
            spills_before=spills_before,
            disk=disk,
        )

    return room_of


@dataclass(frozen=True, slots=True)
class Begun:
    """What a delivery is begun with, besides the treatment.

    Attributes
    ----------
    seed : int
        Of the simulated room.
    raw : bool
        Whether to keep every frame of every chamber.
    started : datetime
        When the treatment began.
    faults : tuple of Fault
        What fails.
    fraction : int
        That is delivered, if no course knows it.
    operator : str
        Who delivers, if that is known.
    plan_content : bytes or None
        As `plan_content` has read it, for the copy in the record.
    """

    seed: int
    raw: bool
    started: datetime
    faults: tuple[Fault, ...] = ()
    fraction: int = 1
    operator: str = ""
    plan_content: bytes | None = None


def take_place(treatment: Treatment, folder: Path, options: DeliveryOptions) -> Place | None:
    """Have the course note that a treatment is about to be delivered; None if there is no course.

    Raises
    ------
    CourseError
        If it is not what is due.
    OptionError
        If it is a part of a plan, or its plan was not read from a file; or something is to be given again,
        but there is no course.
    """
    course = options.course
    if course is None:
        if options.again.strip():
            raise OptionError("again: belongs to a course; a delivery of its own may be repeated without")
        return None
    plan, line = treatment.plan, treatment.beamline
    if len(treatment.fields) < len(plan.fields):
        raise OptionError(f"{plan.path}: a course is given whole plans: leave --field away")
    original_sha256, original_uid = original_of(plan)
    if not original_sha256:
        raise OptionError(f"{plan.path}: was not read from a file, so no course can know it; write it first")
    return course.begin(
        Wanted(
            plan_sha256=plan.sha256,
            original_sha256=original_sha256,
            original_uid=original_uid,
            continuation=0 if plan.continues is None else plan.continues.number,
            record=folder,
            beamline=line.name,
            beamline_sha256=line.sha256,
            operator=options.operator,
            fraction=options.fraction,
            again=options.again,
        )
    )


def begin(
    treatment: Treatment, folder: Path, begun: Begun, disk: Disk, place: Place | None = None
) -> tuple[DeliveryFile, list[FieldContent]]:
    """Write everything that it takes to deliver the treatment into a folder that was claimed for the record.

    Returns
    -------
    DeliveryFile
        Content of ``delivery.json``, which comes last.
    list of FieldContent
        What is in the files of each field.

    Raises
    ------
    OutputError
        If the folder cannot be written; nothing was delivered then.
    """
    try:
        if begun.faults:
            write_faults(folder / FAULTS, begun.faults)
        kept = _keep_what_it_takes(treatment, folder, begun, disk, place)
    except (OSError, OutputError) as error:
        if isinstance(error, OSError):
            reason = " ".join((error.strerror or str(error)).split())
            error = OutputError(
                f"{error.filename or folder}: cannot be written ({reason}); make room or choose another "
                "folder; nothing was delivered"
            )
        if place is not None:
            with suppress(SpotlineError):  # then it stands there as begun, and somebody has to look
                place.nothing(str(error))
        raise error
    return kept


def _keep_what_it_takes(
    treatment: Treatment, folder: Path, begun: Begun, disk: Disk, place: Place | None
) -> tuple[DeliveryFile, list[FieldContent]]:
    plan, line = treatment.plan, treatment.beamline
    fields, contents = [], []
    for field in treatment.fields:
        name = f"field-{field.field.number:02d}"
        disk.make_folder(folder / name)
        header = field_header(treatment, field, begun.seed)
        sha256 = write_treatment_file(folder / name, header, field.slices, disk)
        contents.append(FieldContent.before(folder / name, header, field.slices, sha256))
        fields.append(
            PlannedField(
                number=field.field.number,
                folder=name,
                spots_planned=field.n_spots,
                particles_planned=field.particles,
            )
        )
    delivery = DeliveryFile(
        format=delivery_file.FORMAT,
        plan=_keep_plan(plan, begun.plan_content, folder, disk),
        plan_name=plan.path.name,
        plan_label=plan.label,
        plan_sha256=plan.sha256,
        beamline=line.name,
        beamline_version=line.facts.version,
        beamline_path=None if line.path.is_relative_to(SHIPPED) else str(line.path.resolve()),
        beamline_sha256=line.sha256,
        seed=begun.seed,
        raw=begun.raw,
        started=begun.started.isoformat(timespec="microseconds"),
        versions=versions(),
        fields=tuple(fields),
        fraction=begun.fraction if place is None else place.fraction,
        operator=begun.operator,
        course=None if place is None else place.reference,
    )
    write_json(folder / delivery_file.NAME, keys_of(delivery), disk)
    return delivery, contents


def plan_content(plan: Plan) -> bytes | None:
    """Read the file of a plan, of which a record keeps a copy; None if the plan has no file, or none here.

    Raises
    ------
    PlanError
        If the file is not what it was when the plan was read: nobody could tell from the record what was
        delivered, or go on with it.
    """
    if not plan.sha256:
        return None
    try:
        content = plan.path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != plan.sha256:
        raise PlanError(
            f"{plan.path}: was changed after the plan was read; read and prepare it again; "
            "nothing was delivered"
        )
    return content


def _keep_plan(plan: Plan, content: bytes | None, folder: Path, disk: Disk) -> str | None:
    """Copy the file of the plan; return the name of the copy, or None if there was no such file any more."""
    if content is None:
        return None
    disk.make_folder(folder / delivery_file.PLANS)
    name = name_of_copy(plan.path.name, "plan")
    disk.publish(content, folder / delivery_file.PLANS / name)
    return name


def _mounted(names: tuple[str, ...], known: PassiveElements) -> tuple[MountedElement, ...]:
    """What the line knows of the elements that are mounted."""
    kinds = {"range_shifter": known.range_shifters, "range_modulator": known.range_modulators}
    return tuple(
        _mounted_element(name, kind, water_mm[name], known.made_of.get(name))
        for name in names
        for kind, water_mm in kinds.items()
        if name in water_mm
    )


def _mounted_element(name: str, kind: str, water_mm: float, made_of: Slab | None) -> MountedElement:
    material, thickness_mm = (
        ("water", water_mm) if made_of is None else (made_of.material, made_of.thickness_mm)
    )
    return MountedElement(
        name=name, kind=kind, material=material, thickness_mm=thickness_mm, water_equivalent_mm=water_mm
    )


def field_header(treatment: Treatment, field: FieldTreatment, seed: int) -> DeliveryHeader:
    """Facts of a field that its files carry."""
    beamline, geometry, plan = treatment.beamline, treatment.beamline.facts.geometry, treatment.plan
    planned, ion = field.field, field.field.ion
    x_source, y_source = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
    return DeliveryHeader(
        number=planned.number,
        name=planned.name,
        ion=ion.name,
        charge_number=ion.charge_number,
        mass_number=ion.mass_number,
        beamline=beamline.name,
        beamline_version=beamline.facts.version,
        beamline_sha256=beamline.sha256,
        plan_label=plan.label,
        plan_sha256=plan.sha256,
        continues=plan.continues,
        line_geometry=LineGeometry(
            gantry_angles_deg=geometry.gantry_angles_deg,
            source_to_isocentre_mm=(x_source, y_source),
        ),
        seed=seed,
        versions=versions(),
        focus=tuple(s.focus for s in field.slices),
        passive_elements=field.passive_elements,
        mounted_elements=_mounted(field.passive_elements, beamline.facts.passive_elements),
        gantry_angle_deg=planned.gantry_angle_deg,
        patient_support_angle_deg=planned.patient_support_angle_deg,
        isocentre_mm=planned.isocentre_mm,
        patient_position=planned.patient_position,
        unit=planned.unit,
        spots_planned=field.n_spots,
        particles_planned=field.particles,
        particles_per_s_full=field.beam.full_intensity_per_s,
        meterset_per_particle=tuple(
            _meterset_per_particle(field, beamline, s.energy_MeV_u) for s in field.slices
        ),
        particles_per_count=tuple(float(np.mean(s.particles_per_count1)) for s in field.slices),
        warnings=field.warnings,
        iso_per_chamber=isocentre_per_chamber(beamline.facts),
        monitors=recorded_monitors(beamline.facts),
    )


def _meterset_per_particle(field: FieldTreatment, beamline: BeamLine, energy_MeV_u: float) -> float:
    if field.field.unit == "NP":
        return 1.0
    return 1.0 / float(beamline.particles_per_MU(field.beam.name, energy_MeV_u))  # type: ignore[arg-type]
