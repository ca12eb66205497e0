"""Write a delivered field as a DICOM RT Ion Beams Treatment Record.

The same record and plan always make the same bytes: no clock is read, and the unique identifiers come
from a hash of the content.  What each attribute holds is listed in
``docs/reference/treatment-record.md``.

Decisions where the standard leaves room or contradicts itself:

* Scan Spot Prescribed Indices count from 1, see `spotline.dicom.treatment_record_layers.INDEX_BASE`.
  They are indices in the file of the plan, where spots of weight zero count.
* Spots that were left out count as reordering, as visits of a repainted spot do: Scan Spot Reordered is
  YES unless all spots of a layer were delivered once and in the order of the plan.
* A spot whose position was never measured gets the planned position.  A private element of the control
  point lists these spots, and the Beam Description says how many there are.
* Delivered Meterset is what was measured, so that its steps are the sums of the delivered spots
  (Table C.8.8.26-1), even though section C.8.8.21.2.2 would put the specified value at control points
  that were completed.
"""

from __future__ import annotations

import json
import math
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.uid import RTIonBeamsTreatmentRecordStorage, RTIonPlanStorage

from spotline.control import interlocks
from spotline.dicom.assumed import AssumedSpots, assumed_spots, describe_assumed, put_assumed
from spotline.dicom.continuation import put_continuation_metersets
from spotline.dicom.encoding import (
    LONG_STRING,
    content_digest,
    decimal,
    file_bytes,
    new_dataset,
    set_ion,
    uid,
    write_new_file,
)
from spotline.dicom.ion_plan import FORMAT
from spotline.dicom.ion_plan_devices import DEVICES, Device
from spotline.dicom.persons import operators
from spotline.dicom.plan_geometry import Place, rows_of
from spotline.dicom.recorded import RecordedControlPoint, RecordedField, RecordedInterlock, TreatmentRecord
from spotline.dicom.treatment_record_interlocks import describe_interlock, ending_interlock, interlock_items
from spotline.dicom.treatment_record_layers import (
    DeliveredLayer,
    control_points,
    cumulative_meterset,
    delivered_layers,
    first_control_points,
    short,
    specified_meterset,
)
from spotline.dicom.treatment_record_reader import read_treatment_record
from spotline.errors import PlanError, RecordError
from spotline.plan.model import Field, PassiveElement, Plan
from spotline.record.model import FieldRecord

__all__ = [
    "RecordedControlPoint",
    "RecordedField",
    "RecordedInterlock",
    "TreatmentRecord",
    "read_treatment_record",
    "treatment_record_bytes",
    "write_treatment_record",
]

_IDENTITY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_HEADER = (
    "beamline",
    "gantry_angle_deg",
    "meterset_per_particle",
    "passive_elements",
    "patient_support_angle_deg",
    "plan_sha256",
    "seed",
    "started",
    "status",
)
_RECORDED = {
    "range_shifter": "RecordedRangeShifterSequence",
    "lateral_spreading_device": "RecordedLateralSpreadingDeviceSequence",
    "range_modulator": "RecordedRangeModulatorSequence",
}


def write_treatment_record(record: FieldRecord, plan: Plan, path: Path) -> None:
    """Write a delivered field as a DICOM RT Ion Beams Treatment Record.

    Parameters
    ----------
    record : FieldRecord
        What was delivered.
    plan : Plan
        The plan it was prepared from.
    path : Path
        New file; its folder must exist.

    Raises
    ------
    RecordError
        If the record is not one of this plan, or lacks what DICOM requires.
    OutputError
        If the file exists already or cannot be written.
    """
    write_new_file(Path(path), treatment_record_bytes(record, plan))


def treatment_record_bytes(record: FieldRecord, plan: Plan) -> bytes:
    """Encode a delivered field as a DICOM file; see `write_treatment_record`."""
    where = f"{record.path}: field {record.number} ({record.name})"
    field = _planned_field(record, plan, where)
    started = _started(record, where)
    layers = delivered_layers(record, field, where)
    indices = first_control_points(field, plan.format == FORMAT)
    dataset = _dataset(record, plan, started)
    dataset.PrimaryDosimeterUnit = field.unit
    setup = _patient_setup(field)
    if setup:
        dataset.PatientSetupSequence = setup
    dataset.TreatmentSessionIonBeamSequence = [_session_beam(record, field, layers, indices, started)]
    _identify(dataset, record, plan)
    return file_bytes(dataset)


def _planned_field(record: FieldRecord, plan: Plan, where: str) -> Field:
    for key in _HEADER:
        if key not in record.header:
            raise RecordError(f"{where}: the header has no {key}; restore the record from a copy")
    if record.facts.plan_sha256 != plan.sha256:
        raise RecordError(
            f"{where}: was not made from {plan.path} (its hash differs); give the plan delivered"
        )
    try:
        return plan.field_by_number(record.number)
    except PlanError as error:
        raise RecordError(f"{where}: was not made from this plan: {error}") from None


def _started(record: FieldRecord, where: str) -> datetime:
    text = record.outcome.started
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RecordError(
            f"{where}: the header has started = {text!r}, which is no date and time (ISO 8601); correct it"
        ) from None


def _dataset(record: FieldRecord, plan: Plan, started: datetime) -> Dataset:
    """Everything that does not depend on the spots."""
    date, time = started.strftime("%Y%m%d"), started.strftime("%H%M%S.%f")
    dataset = new_dataset(RTIonBeamsTreatmentRecordStorage, "RTRECORD")
    dataset.SoftwareVersions = _software_versions(record)
    dataset.OperatorsName = operators(record.outcome)
    dataset.InstanceCreationDate = dataset.TreatmentDate = date
    dataset.InstanceCreationTime = dataset.TreatmentTime = time
    if started.utcoffset() is not None:
        dataset.TimezoneOffsetFromUTC = started.strftime("%z")[:5]
    for keyword in _IDENTITY:
        _copy_identity(dataset, keyword, plan, "")
    own_study = "StudyInstanceUID" not in plan.identity
    _copy_identity(dataset, "StudyDate", plan, date if own_study else "")
    _copy_identity(dataset, "StudyTime", plan, time if own_study else "")
    dataset.InstanceNumber = record.number
    dataset.ReferencedRTPlanSequence = _plan_reference(plan)
    dataset.TreatmentMachineSequence = [_machine(record)]
    dataset.ReferencedFractionGroupNumber = plan.fraction_group
    dataset.NumberOfFractionsPlanned = plan.fractions_planned
    return dataset


def _copy_identity(dataset: Dataset, keyword: str, plan: Plan, default: str) -> None:
    _set_as_it_is(dataset, keyword, plan.identity.get(keyword) or default)


def _set_as_it_is(dataset: Dataset, keyword: str, text: str) -> None:
    """Repeat what the plan says, even if it is too long, but drop what is no date or code at all."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")  # pydicom warns of what is not valid
        setattr(dataset, keyword, text)
    if found and dictionary_VR(keyword) in ("DA", "TM", "CS"):
        setattr(dataset, keyword, "")


def _software_versions(record: FieldRecord) -> list[str]:
    versions = record.facts.versions
    return [f"{name} {version}"[:LONG_STRING] for name, version in sorted(versions.items())] or ["unknown"]


def _plan_reference(plan: Plan) -> list[Dataset]:
    if plan.format != FORMAT or "SOPInstanceUID" not in plan.identity:
        return []
    reference = Dataset()
    reference.ReferencedSOPClassUID = RTIonPlanStorage
    _set_as_it_is(reference, "ReferencedSOPInstanceUID", plan.identity["SOPInstanceUID"])
    return [reference]


def _machine(record: FieldRecord) -> Dataset:
    machine = Dataset()
    machine.TreatmentMachineName = short(record.facts.beamline)
    machine.Manufacturer = ""
    machine.InstitutionName = ""
    machine.ManufacturerModelName = ""
    machine.DeviceSerialNumber = ""
    return machine


def _identify(dataset: Dataset, record: FieldRecord, plan: Plan) -> None:
    """Give the dataset its unique identifiers, once all else is in it.

    The records of the fields of one delivery make a series; records of a plan that has no study make a
    study.
    """
    header = json.dumps(record.header, sort_keys=True, default=str)
    dataset.SOPInstanceUID = uid("record", content_digest(dataset), header)
    facts = record.facts
    delivery = [str(told) for told in (record.outcome.started, facts.seed, facts.beamline)]
    dataset.SeriesInstanceUID = uid("record series", plan.sha256, *delivery)
    _copy_identity(dataset, "StudyInstanceUID", plan, uid("record study", plan.sha256))


def _session_beam(
    record: FieldRecord,
    field: Field,
    layers: tuple[DeliveredLayer, ...],
    indices: list[int],
    started: datetime,
) -> Dataset:
    beam = Dataset()
    beam.ReferencedBeamNumber = field.number
    beam.BeamName = field.name.replace("\\", "/")[:LONG_STRING] or f"{field.number}"
    beam.BeamType = "STATIC"
    set_ion(beam, field.ion)
    beam.ScanMode = "MODULATED"
    beam.ModulatedScanModeType = "STATIONARY"
    beam.CurrentFractionNumber = record.outcome.fraction
    beam.TreatmentDeliveryType = field.delivery_type
    if field.start_meterset is not None:
        end = field.start_meterset + cumulative_meterset(layers)[-1]
        put_continuation_metersets(beam, field.start_meterset, end)
    beam.TreatmentVerificationStatus = "NOT_VERIFIED"
    beam.PatientSupportType = "TABLE"
    _repeat(beam, "beam", field, ("ScanMode",))
    _set_metersets(beam, record, layers)
    assumed = assumed_spots(record, field)
    _set_termination(beam, record, started)
    _set_description(beam, layers)
    if len(assumed.meterset):
        _set_assumed(beam, assumed, field)
    points = control_points(layers, indices, started)
    beam.NumberOfControlPoints = len(points)
    beam.IonControlPointDeliverySequence = points
    _set_geometry(points[0], record, field)
    _set_devices(beam, points[0], record, field)
    return beam


def _set_metersets(beam: Dataset, record: FieldRecord, layers: tuple[DeliveredLayer, ...]) -> None:
    beam.SpecifiedPrimaryMeterset = decimal(specified_meterset(layers)[-1])
    beam.DeliveredPrimaryMeterset = decimal(cumulative_meterset(layers)[-1])
    per_particle = np.asarray(record.facts.meterset_per_particle, np.float64)
    second = float((record.spots["particles_int2"] * per_particle[record.spots["slice"]]).sum())
    if math.isfinite(second):
        beam.DeliveredSecondaryMeterset = decimal(second)


def _set_termination(beam: Dataset, record: FieldRecord, started: datetime) -> None:
    complete = record.outcome.status == "complete"
    beam.TreatmentTerminationStatus = "NORMAL" if complete else "MACHINE"
    order = record.interlocks["time_us"].argsort(kind="stable")
    rows, details = record.interlocks[order], [record.details[index] for index in order]
    if len(rows):
        resets = record.outcome.register.resets
        reset_us = max((reset.time_us for reset in resets), default=-1)
        beam.InterlockSequence = interlock_items(rows, started, complete, resets, details)
        if not complete:
            last = ending_interlock(rows, reset_us)
            ending = rows[last]
            beam.TreatmentTerminationDescription = describe_interlock(ending, details[last])
            if ending["cause"] == interlocks.OPERATOR:
                beam.TreatmentTerminationStatus = "OPERATOR"


def _set_assumed(beam: Dataset, assumed: AssumedSpots, field: Field) -> None:
    """Say that not all that was delivered is known; else it looks as if spots lacked something."""
    said = describe_assumed(assumed, field.unit)
    if beam.TreatmentTerminationStatus == "NORMAL":
        beam.TreatmentTerminationStatus = "UNKNOWN"
        beam.TreatmentTerminationDescription = said
    beam.BeamDescription = " ".join([*([beam.BeamDescription] if "BeamDescription" in beam else []), said])
    put_assumed(beam, assumed)


def _set_description(beam: Dataset, layers: tuple[DeliveredLayer, ...]) -> None:
    unmeasured = sum(int(layer.unmeasured.sum()) for layer in layers)
    if unmeasured:
        delivered = sum(layer.n_spots for layer in layers if layer.time_offset_us is not None)
        beam.BeamDescription = (
            f"The positions of {unmeasured} of {delivered} delivered spots were not measured: "
            "the planned positions are given."
        )


def _set_geometry(first: Dataset, record: FieldRecord, field: Field) -> None:
    """Set what does not change during a field; an angle that neither plan nor line knows is 0."""
    facts = record.facts
    _set_level(first)
    first.SnoutPosition = field.snout_position_mm
    _repeat(first, "control point", field)
    for keyword, angle_deg in (
        ("GantryAngle", facts.gantry_angle_deg),
        ("PatientSupportAngle", facts.patient_support_angle_deg),
    ):
        setattr(first, keyword, decimal(0.0 if angle_deg is None else angle_deg))


def _set_level(first: Dataset) -> None:
    """Set what the standard demands and a plan need not have: nothing is turned or moves."""
    first.BeamLimitingDeviceAngle = "0"
    first.GantryPitchAngle = 0.0
    first.TableTopPitchAngle = 0.0
    first.TableTopRollAngle = 0.0
    for keyword in (
        "GantryRotationDirection",
        "GantryPitchRotationDirection",
        "BeamLimitingDeviceRotationDirection",
        "PatientSupportRotationDirection",
        "TableTopPitchRotationDirection",
        "TableTopRollRotationDirection",
    ):
        setattr(first, keyword, "NONE")
    first.TableTopVerticalPosition = None
    first.TableTopLongitudinalPosition = None
    first.TableTopLateralPosition = None
    first.SnoutPosition = None


def _repeat(dataset: Dataset, place: Place, field: Field, also: tuple[str, ...] = ()) -> None:
    """Repeat what the plan states."""
    for keyword in (*(row.keyword for row in rows_of(place) if row.recorded), *also):
        stated = field.as_planned.get(keyword)
        if isinstance(stated, str):
            _set_as_it_is(dataset, keyword, stated)
        elif stated is not None:
            setattr(dataset, keyword, decimal(stated) if dictionary_VR(keyword) == "DS" else stated)


def _patient_setup(field: Field) -> list[Dataset]:
    """How the patient lies, if the plan says so."""
    if not field.patient_position:
        return []
    setup = Dataset()
    setup.PatientSetupNumber = 1 if field.setup_number is None else field.setup_number
    _set_as_it_is(setup, "PatientPosition", field.patient_position)
    return [setup]


def _set_devices(beam: Dataset, first: Dataset, record: FieldRecord, field: Field) -> None:
    """Set the passive elements that were mounted, with the numbers that the plan gives them.

    What a record has no sequence for, or the plan does not have, becomes a general accessory.
    """
    beam.NumberOfWedges = 0
    beam.NumberOfCompensators = 0
    beam.NumberOfBoli = 0
    beam.NumberOfBlocks = 0
    strangers = list(record.facts.passive_elements)
    for device in DEVICES:
        if device.kind not in _RECORDED:
            continue
        mounted = []
        for position, element in enumerate(_of_kind(field, device), start=1):
            if element.id in strangers:
                strangers.remove(element.id)
                mounted.append((position if element.number is None else element.number, element))
        setattr(beam, device.count, len(mounted))
        if mounted:
            setattr(beam, _RECORDED[device.kind], [_device_item(device, *entry) for entry in mounted])
            setattr(first, device.settings, [_setting_item(device, number) for number, _ in mounted])
    if strangers:
        kinds = {element.id: element.kind for element in field.passive}
        beam.GeneralAccessorySequence = [
            _accessory(position, name, kinds.get(name)) for position, name in enumerate(strangers, start=1)
        ]


def _of_kind(field: Field, device: Device) -> list[PassiveElement]:
    return [element for element in field.passive if element.kind == device.kind]


def _device_item(device: Device, number: int, element: PassiveElement) -> Dataset:
    item = Dataset()
    setattr(item, device.reference, number)
    setattr(item, device.id, short(element.id))
    if device.kind == "range_modulator":
        item.RangeModulatorType = element.type or "FIXED"
    return item


def _setting_item(device: Device, number: int) -> Dataset:
    item = Dataset()
    setattr(item, device.reference, number)
    if device.position:
        setattr(item, device.position, "IN")
    return item


def _accessory(number: int, name: str, kind: str | None) -> Dataset:
    item = Dataset()
    item.GeneralAccessoryNumber = number
    item.GeneralAccessoryID = short(name)
    item.GeneralAccessoryDescription = f"{kind} of the plan" if kind else "not in the plan, but mounted"
    return item
