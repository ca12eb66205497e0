"""Passive devices of an ion beam: what the plan wants in the beam besides the nozzle."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from spotline.dicom.attributes import integer, items, number, numbers, required_integer, text
from spotline.errors import PlanError
from spotline.plan.model import PassiveElement


@dataclass(frozen=True, slots=True)
class Device:
    """Where DICOM keeps one kind of device.

    All attributes but `kind` (as in `PassiveElement`) are DICOM keywords, empty if there is no such
    attribute.  `distance` is an attribute of the settings if there are any, of the device otherwise.
    """

    kind: str
    sequence: str
    number: str
    id: str
    type: str = ""
    count: str = ""
    distance: str = ""
    settings: str = ""
    reference: str = ""
    position: str = ""
    wet: str = ""


DEVICES = (
    Device(
        kind="range_shifter",
        sequence="RangeShifterSequence",
        number="RangeShifterNumber",
        id="RangeShifterID",
        type="RangeShifterType",
        count="NumberOfRangeShifters",
        distance="IsocenterToRangeShifterDistance",
        settings="RangeShifterSettingsSequence",
        reference="ReferencedRangeShifterNumber",
        position="RangeShifterSetting",
        wet="RangeShifterWaterEquivalentThickness",
    ),
    Device(
        kind="range_modulator",
        sequence="RangeModulatorSequence",
        number="RangeModulatorNumber",
        id="RangeModulatorID",
        type="RangeModulatorType",
        count="NumberOfRangeModulators",
        distance="IsocenterToRangeModulatorDistance",
        settings="RangeModulatorSettingsSequence",
        reference="ReferencedRangeModulatorNumber",
    ),
    Device(
        kind="lateral_spreading_device",
        sequence="LateralSpreadingDeviceSequence",
        number="LateralSpreadingDeviceNumber",
        id="LateralSpreadingDeviceID",
        type="LateralSpreadingDeviceType",
        count="NumberOfLateralSpreadingDevices",
        distance="IsocenterToLateralSpreadingDeviceDistance",
        settings="LateralSpreadingDeviceSettingsSequence",
        reference="ReferencedLateralSpreadingDeviceNumber",
        position="LateralSpreadingDeviceSetting",
        wet="LateralSpreadingDeviceWaterEquivalentThickness",
    ),
    Device(
        kind="block",
        sequence="IonBlockSequence",
        number="BlockNumber",
        id="BlockName",
        type="BlockType",
        count="NumberOfBlocks",
        distance="IsocenterToBlockTrayDistance",
    ),
    Device(
        kind="compensator",
        sequence="IonRangeCompensatorSequence",
        number="CompensatorNumber",
        id="CompensatorID",
        type="CompensatorType",
        count="NumberOfCompensators",
        distance="IsocenterToCompensatorTrayDistance",
    ),
    Device(
        kind="wedge",
        sequence="IonWedgeSequence",
        number="WedgeNumber",
        id="WedgeID",
        type="WedgeType",
        count="NumberOfWedges",
        distance="IsocenterToWedgeTrayDistance",
        settings="IonWedgePositionSequence",
        reference="ReferencedWedgeNumber",
        position="WedgePosition",
    ),
    Device(
        kind="bolus",
        sequence="ReferencedBolusSequence",
        number="ReferencedROINumber",
        id="BolusID",
        count="NumberOfBoli",
    ),
    Device(
        kind="beam_limiting_device",
        sequence="IonBeamLimitingDeviceSequence",
        number="",
        id="RTBeamLimitingDeviceType",
        type="RTBeamLimitingDeviceType",
        distance="IsocenterToBeamLimitingDeviceDistance",
    ),
)

"""All kinds of devices that a beam can have."""

SETTINGS_SEQUENCES = tuple(device.settings for device in DEVICES if device.settings)
"""Sequences of the control points that say where the devices are."""


def read_passive_elements(beam: Dataset, first: Dataset, where: str) -> tuple[PassiveElement, ...]:
    """Find the devices that shall be in the beam.

    Scanning magnets (lateral spreading devices of type MAGNET) belong to the machine and are left out,
    as are devices that the plan has OUT of the beam.

    Parameters
    ----------
    beam : Dataset
        Item of the Ion Beam Sequence.
    first : Dataset
        Its control point 0, which holds the settings of the devices.
    where : str
        Beginning of the messages: file and field.

    Returns
    -------
    tuple of PassiveElement
        In the order of DICOM: along the kinds of `PassiveElement`, then as listed in the file.

    Raises
    ------
    PlanError
        If the number of devices contradicts the list, or settings and devices do not belong together.
    """
    return tuple(element for device in DEVICES for element in _elements(device, beam, first, where))


def _elements(device: Device, beam: Dataset, first: Dataset, where: str) -> list[PassiveElement]:
    listed = items(beam, device.sequence, where)
    if device.count:
        expected = integer(beam, device.count, where)
        if expected is not None and expected != len(listed):
            raise PlanError(
                f"{where}: {device.count} is {expected} but {device.sequence} has {len(listed)} items; "
                "export the plan again"
            )
    numbered = [
        required_integer(item, device.number, f"{where}, {device.sequence} item {index}")
        for index, item in enumerate(listed)
        if device.number
    ]
    for number_ in numbered:
        if numbered.count(number_) > 1:
            raise PlanError(
                f"{where}: {device.number} {number_} is used twice in {device.sequence}; "
                "export the plan again"
            )
    settings = _settings_by_number(device, first, numbered, where)
    found = []
    for index, item in enumerate(listed):
        setting = settings.get(numbered[index]) if numbered else None
        element = _element(device, item, setting, f"{where}, {device.sequence} item {index}")
        if element is not None:
            found.append(element)
    return found


def _settings_by_number(
    device: Device, first: Dataset, numbered: list[int], where: str
) -> dict[int, Dataset]:
    if not device.settings:
        return {}
    place = f"{where}, control point 0"
    settings: dict[int, Dataset] = {}
    for item in items(first, device.settings, place):
        reference = required_integer(item, device.reference, f"{place}, {device.settings}")
        if reference not in numbered:
            raise PlanError(
                f"{place}: {device.settings} refers to {device.reference} {reference}, which is not in "
                f"{device.sequence}; export the plan again"
            )
        if reference in settings:
            raise PlanError(
                f"{place}: {device.settings} sets {device.reference} {reference} twice; export the plan again"
            )
        settings[reference] = item
    return settings


def _element(device: Device, item: Dataset, setting: Dataset | None, where: str) -> PassiveElement | None:
    type_ = text(item, device.type, where).upper() if device.type else ""
    if device.kind == "lateral_spreading_device" and type_ == "MAGNET":
        return None
    if setting is not None and device.position and text(setting, device.position, where).upper() == "OUT":
        return None
    source = item if setting is None else setting
    wet_mm = number(source, device.wet, where) if device.wet else None
    if wet_mm is not None and wet_mm < 0.0:
        raise PlanError(f"{where}: {device.wet} is {wet_mm:g} mm, less than zero; correct it in the plan")
    return PassiveElement(
        kind=device.kind,
        id=text(item, device.id, where),
        type=type_,
        wet_mm=wet_mm,
        isocentre_distance_mm=_distance_mm(device, item, setting, where),
        number=integer(item, device.number, where) if device.number else None,
    )


def _distance_mm(device: Device, item: Dataset, setting: Dataset | None, where: str) -> float | None:
    if not device.distance:
        return None
    for source in (setting, item):
        found = None if source is None else numbers(source, device.distance, where)
        if found is not None:
            return float(found[0])
    return None
