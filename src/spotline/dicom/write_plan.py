"""Write a plan as a DICOM RT Ion Plan.

The same plan always makes the same bytes: no clock is read, and the unique identifiers come from a hash
of the content.  The encoding is that of `spotline.dicom.encoding`.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import RTIonPlanStorage

from spotline.dicom.continuation import put_continuation_metersets, put_continues
from spotline.dicom.encoding import (
    LONG_STRING,
    SHORT_STRING,
    content_digest,
    decimal,
    file_bytes,
    new_dataset,
    set_ion,
    uid,
    write_new_file,
)
from spotline.dicom.ion_plan_devices import DEVICES, Device
from spotline.dicom.ion_plan_layers import NO_TUNE
from spotline.dicom.plan_geometry import Place, rows_of
from spotline.errors import PlanError
from spotline.plan.model import Field, Layer, PassiveElement, Plan

SOURCE_AXIS_DISTANCES_mm = (6200.0, 5500.0)
"""Default of the distances from the scanning magnets to the isocentre: the horizontal lines of CNAO."""

# Kinds of devices that need no shape, and the type of those that have none in the plan.
_DEVICE_TYPES = {
    "range_shifter": "BINARY",
    "range_modulator": "FIXED",
    "lateral_spreading_device": "SCATTERER",
    "bolus": "",
}


def write_ion_plan(
    plan: Plan,
    path: str | Path,
    *,
    creation: datetime | None = None,
    source_axis_distances_mm: tuple[float, float] = SOURCE_AXIS_DISTANCES_mm,
) -> None:
    """Write a plan as a DICOM RT Ion Plan, two control points a layer.

    Spots and weights are stored as 32-bit floats, as DICOM demands.  Spots of weight zero that were left
    out on reading are not written, so the spots count from 0 again.  SOPInstanceUID and SeriesInstanceUID
    are always new, made from the content; study, frame of reference and patient are those of
    `plan.identity`.  What a plan was read with of the geometry is written again (`Field.as_planned`).  What
    DICOM requires and the plan does not say: PatientPosition is HFS, nothing is turned, PlanIntent is
    RESEARCH, and dates are empty.  What is written is a new plan that nobody has approved, so ApprovalStatus
    is UNAPPROVED.

    Parameters
    ----------
    plan : Plan
        Plan to write.
    path : str or Path
        New file; its folder must exist.
    creation : datetime, optional
        Date and time of the plan; left empty if not given.
    source_axis_distances_mm : tuple of two floats
        Virtual Source-Axis Distances in X and Y, which DICOM requires, of fields that do not say theirs.

    Raises
    ------
    PlanError
        If the plan lacks what DICOM requires (angles), has a device that cannot be written without its
        shape (blocks, compensators, wedges), or a name that is too long.
    OutputError
        If the file exists already or cannot be written.
    """
    content = ion_plan_bytes(plan, creation=creation, source_axis_distances_mm=source_axis_distances_mm)
    write_new_file(Path(path), content)


def ion_plan_bytes(
    plan: Plan,
    *,
    creation: datetime | None = None,
    source_axis_distances_mm: tuple[float, float] = SOURCE_AXIS_DISTANCES_mm,
) -> bytes:
    """Encode a plan as a DICOM file; see `write_ion_plan`."""
    dataset = _dataset(plan, creation, source_axis_distances_mm)
    _identify(dataset, plan)
    return file_bytes(dataset)


def _identify(dataset: Dataset, plan: Plan) -> None:
    """Give the dataset its unique identifiers, once all else is in it."""
    digest = content_digest(dataset)
    dataset.SOPInstanceUID = uid("instance", digest)
    dataset.SeriesInstanceUID = uid("series", digest)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        _set_identity(dataset, keyword, plan, uid(keyword, digest))


def _dataset(plan: Plan, creation: datetime | None, source_axis_distances_mm: tuple[float, float]) -> Dataset:
    dataset = new_dataset(RTIonPlanStorage, "RTPLAN")
    dataset.PositionReferenceIndicator = ""
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ReferringPhysicianName",
        "RTPlanDate",
        "RTPlanTime",
    ):
        _set_identity(dataset, keyword, plan, "")
    if plan.identity.get("RTPlanName"):
        _set_identity(dataset, "RTPlanName", plan, "")
    _set_identity(dataset, "PlanIntent", plan, "RESEARCH")
    if creation is not None:
        dataset.InstanceCreationDate = dataset.RTPlanDate = creation.strftime("%Y%m%d")
        dataset.InstanceCreationTime = dataset.RTPlanTime = creation.strftime("%H%M%S")
    dataset.RTPlanLabel = short_string(plan.label, "RTPlanLabel", str(plan.path))
    dataset.RTPlanGeometry = "TREATMENT_DEVICE"  # a plan object refers to no structure set
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.FractionGroupSequence = [_fraction_group(plan)]
    positions = _positions(plan)
    dataset.PatientSetupSequence = [
        _patient_setup(plan, number, position) for position, number in positions.items()
    ]
    dataset.IonBeamSequence = [
        _beam(
            field,
            f"{plan.path}: field {field.number} ({field.name})",
            field.source_axis_distances_mm or source_axis_distances_mm,
            positions[field.patient_position or plan.identity.get("PatientPosition", "")],
        )
        for field in plan.fields
    ]
    if plan.continues is not None:
        put_continues(dataset, plan.continues)
    return dataset


def _set_identity(dataset: Dataset, keyword: str, plan: Plan, default: str) -> None:
    _set_text(dataset, keyword, plan.identity.get(keyword) or default, plan)


def _set_text(dataset: Dataset, keyword: str, text: str, plan: Plan) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom warns of what is not valid, and would write it
            setattr(dataset, keyword, text)
    except (ValueError, UserWarning) as error:
        raise PlanError(
            f"{plan.path}: {keyword} {text!r} in the identity of the plan is not valid in DICOM "
            f"({' '.join(str(error).split())}); correct or remove it"
        ) from None


def _fraction_group(plan: Plan) -> Dataset:
    group = Dataset()
    group.FractionGroupNumber = plan.fraction_group
    group.NumberOfFractionsPlanned = plan.fractions_planned
    group.NumberOfBeams = len(plan.fields)
    group.NumberOfBrachyApplicationSetups = 0
    group.ReferencedBeamSequence = []
    for field in plan.fields:
        reference = Dataset()
        reference.BeamMeterset = decimal(_weights(field)[1][-1])
        reference.ReferencedBeamNumber = field.number
        group.ReferencedBeamSequence.append(reference)
    return group


def _positions(plan: Plan) -> dict[str, int]:
    """Positions of the patient, each with the number of its setup."""
    common = plan.identity.get("PatientPosition", "")
    found = dict.fromkeys(field.patient_position or common for field in plan.fields)
    return {position: number for number, position in enumerate(found or {common: None}, start=1)}


def _patient_setup(plan: Plan, number: int, position: str) -> Dataset:
    setup = Dataset()
    setup.PatientSetupNumber = number
    _set_text(setup, "PatientPosition", position or "HFS", plan)
    return setup


def _beam(
    field: Field, where: str, source_axis_distances_mm: tuple[float, float], setup_number: int
) -> Dataset:
    if not field.layers:
        raise PlanError(f"{where}: has no layers; a beam needs at least one")
    beam = Dataset()
    beam.BeamNumber = field.number
    beam.BeamName = _fitting(field.name, LONG_STRING, "BeamName", where)
    beam.BeamType = "STATIC"
    beam.TreatmentMachineName = short_string(field.machine, "TreatmentMachineName", where)
    beam.PrimaryDosimeterUnit = field.unit
    beam.TreatmentDeliveryType = field.delivery_type
    if field.start_meterset is not None:
        put_continuation_metersets(beam, field.start_meterset, field.start_meterset + field.meterset)
    set_ion(beam, field.ion)
    beam.ScanMode = "MODULATED"
    beam.VirtualSourceAxisDistances = list(source_axis_distances_mm)
    beam.PatientSupportType = "TABLE"
    beam.ReferencedPatientSetupNumber = setup_number
    _repeat(beam, "beam", field, where)
    beam.NumberOfWedges = 0
    beam.NumberOfCompensators = 0
    beam.NumberOfBlocks = 0
    weights, cumulative = _weights(field)
    sized = any(layer.fwhm_x_mm is not None and layer.fwhm_y_mm is not None for layer in field.layers)
    beam.FinalCumulativeMetersetWeight = decimal(cumulative[-1])
    beam.NumberOfControlPoints = 2 * len(field.layers)
    beam.IonControlPointSequence = [
        _control_point(layer, point_weights, point_cumulative, sized, f"{where}, layer {layer.index}")
        for layer, layer_weights, start, end in zip(
            field.layers, weights, cumulative[:-1], cumulative[1:], strict=True
        )
        for point_weights, point_cumulative in ((layer_weights, start), ([0.0] * layer.n_spots, end))
    ]
    for index, point in enumerate(beam.IonControlPointSequence):
        point.ControlPointIndex = index
    first = beam.IonControlPointSequence[0]
    _set_geometry(first, field, where)
    _set_devices(beam, first, field, where)
    return beam


def _weights(field: Field) -> tuple[list[list[float]], list[float]]:
    """Weights as 32-bit floats, and the cumulative weight before each layer and after the last.

    The cumulative weight is the sum of what is stored, so that both agree to the last digit.
    """
    weights = [layer.meterset.astype(np.float32).astype(np.float64) for layer in field.layers]
    cumulative = np.concatenate([[0.0], np.cumsum([layer.sum() for layer in weights])])
    return [layer.tolist() for layer in weights], cumulative.tolist()


def _control_point(layer: Layer, weights: list[float], cumulative: float, sized: bool, where: str) -> Dataset:
    point = Dataset()
    point.CumulativeMetersetWeight = decimal(cumulative)
    point.NominalBeamEnergy = decimal(layer.energy_MeV_u)
    point.ScanSpotTuneID = short_string(layer.tune_id, "ScanSpotTuneID", where) or NO_TUNE
    point.NumberOfScanSpotPositions = layer.n_spots
    point.ScanSpotPositionMap = np.column_stack([layer.x_iso_mm, layer.y_iso_mm]).ravel().tolist()
    point.ScanSpotMetersetWeights = weights
    point.NumberOfPaintings = layer.paintings
    if sized:
        # A size that is left out would be that of the layer before; zero says that it is not known.
        point.ScanningSpotSize = [layer.fwhm_x_mm or 0.0, layer.fwhm_y_mm or 0.0]
    return point


def _set_geometry(first: Dataset, field: Field, where: str) -> None:
    for name, angle_deg in (
        ("gantry_angle_deg", field.gantry_angle_deg),
        ("patient_support_angle_deg", field.patient_support_angle_deg),
    ):
        if angle_deg is None:
            raise PlanError(f"{where}: has no {name}, which DICOM requires; set it in the field")
    first.GantryRotationDirection = "NONE"
    first.GantryPitchAngle = 0.0
    first.GantryPitchRotationDirection = "NONE"
    first.BeamLimitingDeviceAngle = "0"
    first.BeamLimitingDeviceRotationDirection = "NONE"
    first.PatientSupportRotationDirection = "NONE"
    first.TableTopVerticalPosition = None
    first.TableTopLongitudinalPosition = None
    first.TableTopLateralPosition = None
    first.TableTopPitchAngle = 0.0
    first.TableTopPitchRotationDirection = "NONE"
    first.TableTopRollAngle = 0.0
    first.TableTopRollRotationDirection = "NONE"
    _repeat(first, "control point", field, where)
    first.GantryAngle = decimal(field.gantry_angle_deg or 0.0)
    first.PatientSupportAngle = decimal(field.patient_support_angle_deg or 0.0)
    first.IsocenterPosition = (
        None if field.isocentre_mm is None else [decimal(coordinate) for coordinate in field.isocentre_mm]
    )
    first.SnoutPosition = field.snout_position_mm


def _repeat(dataset: Dataset, place: Place, field: Field, where: str) -> None:
    """Repeat what the plan was read with."""
    for row in rows_of(place):
        stated = field.as_planned.get(row.keyword) if row.recorded else None
        if isinstance(stated, str):
            limit = SHORT_STRING if row.vr in ("CS", "SH") else LONG_STRING
            setattr(dataset, row.keyword, _fitting(stated, limit, row.keyword, where))
        elif stated is not None:
            setattr(dataset, row.keyword, decimal(stated) if row.vr == "DS" else stated)


def _set_devices(beam: Dataset, first: Dataset, field: Field, where: str) -> None:
    for device in DEVICES:
        elements = [element for element in field.passive if element.kind == device.kind]
        if device.count:
            setattr(beam, device.count, len(elements))
        if not elements:
            continue
        if device.kind not in _DEVICE_TYPES:
            raise PlanError(
                f"{where}: the {device.kind} {elements[0].id!r} cannot be written to DICOM, because a plan "
                "in Spotline does not hold its shape; leave it out"
            )
        numbered = list(enumerate(elements, start=1))
        setattr(beam, device.sequence, [_device_item(device, *entry, where) for entry in numbered])
        if device.settings:
            setattr(first, device.settings, [_setting_item(device, *entry) for entry in numbered])


def _device_item(device: Device, number: int, element: PassiveElement, where: str) -> Dataset:
    item = Dataset()
    setattr(item, device.number, number)
    setattr(item, device.id, short_string(element.id, device.id, where))
    if device.type:
        setattr(item, device.type, element.type or _DEVICE_TYPES[device.kind])
    return item


def _setting_item(device: Device, number: int, element: PassiveElement) -> Dataset:
    item = Dataset()
    setattr(item, device.reference, number)
    if device.position:
        setattr(item, device.position, "IN")
    if device.distance and element.isocentre_distance_mm is not None:
        setattr(item, device.distance, element.isocentre_distance_mm)
    if device.wet and element.wet_mm is not None:
        setattr(item, device.wet, element.wet_mm)
    return item


def short_string(text: str, keyword: str, where: str) -> str:
    """Return a text that fits into a value of VR SH, and refuse any other."""
    return _fitting(text, SHORT_STRING, keyword, where)


def _fitting(text: str, length: int, keyword: str, where: str) -> str:
    if len(text) > length or "\\" in text:
        raise PlanError(
            f"{where}: {keyword} {text!r} must have at most {length} characters and no backslash; shorten it"
        )
    return text
