"""Read a DICOM RT Ion Plan.

A plan is refused, with one line that says where and why, rather than read with a guess.  Standard
validators look at attributes one by one; the rules that tie them together are checked here and in
`spotline.dicom.ion_plan_layers`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import Dataset, config
from pydicom.uid import (
    UID,
    RTIonBeamsTreatmentRecordStorage,
    RTIonPlanStorage,
    RTPlanStorage,
)

from spotline.dicom.attributes import (
    code,
    integer,
    items,
    missing,
    number,
    numbers,
    one_line,
    read_dataset,
    required_integer,
    required_items,
    required_number,
    text,
)
from spotline.dicom.continuation import read_continues, read_start_meterset
from spotline.dicom.instructions import Preparation, check_beams, read_instructions, read_preparation
from spotline.dicom.ion_plan_devices import read_passive_elements
from spotline.dicom.ion_plan_geometry import plan_notes, read_geometry
from spotline.dicom.ion_plan_layers import read_layers
from spotline.dicom.tolerant import repair
from spotline.errors import PlanError
from spotline.physics.ions import IONS, PROTON, Ion, ion_from_numbers
from spotline.plan.model import Field, Plan

FORMAT = "DICOM RT Ion Plan"

MOST_BEAM_NUMBER = (1 << 31) - 1
_UNITS = ("NP", "MU")
_DELIVERED = ("TREATMENT", "CONTINUATION")
_IDENTITY = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "RTPlanName",
    "RTPlanDate",
    "RTPlanTime",
    "RTPlanGeometry",
    "PlanIntent",
    "ApprovalStatus",
)


@dataclass(frozen=True, slots=True)
class _FractionGroup:
    """The fraction group: which beams it has, and the meterset of each if it is stated."""

    number: int
    fractions_planned: int
    meterset_by_beam: dict[int, float | None]


def read_ion_plan(path: str | Path, *, tolerant: bool = False) -> Plan:
    """Read a DICOM RT Ion Plan and check it.

    The meterset of a spot is its weight times Beam Meterset over Final Cumulative Meterset Weight.
    Beams of type SETUP carry no dose and are left out.  Spots of weight zero are left out of their layer;
    `Layer.spot_index` keeps the count of the file.  Layers are numbered from 0, as in the messages.  An
    empty NumberOfFractionsPlanned counts as one fraction.  The instructions of an extended plan
    (`spotline.dicom.extended_plan`) are read with it.

    Parameters
    ----------
    path : str or Path
        DICOM file.
    tolerant : bool
        Repair what breaks the standard and leaves no doubt (`spotline.dicom.tolerant`); `Plan.repairs` says
        what it was.

    Returns
    -------
    Plan
        Fields, layers and spots in the order of the file.

    Raises
    ------
    PlanError
        If the file is no RT Ion Plan, is damaged, contradicts itself, asks for a kind of delivery that is
        no scanning of spots, or was altered after it was prepared.
    """
    path = Path(path)
    if tolerant:
        return _repaired(path)
    try:
        return plan_of(*read_dataset(path), path)
    except PlanError as error:
        if not _can_be_repaired(path):
            raise
        raise PlanError(f"{error}; or have it repaired on reading: --tolerant (tolerant=True)") from None


def _repaired(path: Path) -> Plan:
    dataset, sha256 = read_dataset(path)
    repairs = repair(dataset, str(path))
    return replace(plan_of(dataset, sha256, path), repairs=repairs)


def _can_be_repaired(path: Path) -> bool:
    try:
        return bool(_repaired(path).repairs)
    except PlanError:
        return False


def plan_of(dataset: Dataset, sha256: str, path: Path) -> Plan:
    """Make a plan of a dataset; `sha256` and `path` are those of its file.  See `read_ion_plan`."""
    where = str(path)
    _check_kind(dataset, where)
    group = _read_fraction_group(dataset, where)
    beams = _read_treatment_beams(dataset, group, where)
    preparation = read_preparation(dataset, where)
    setups = items(dataset, "PatientSetupSequence", where)
    fields = tuple(_read_field(beam, group, setups, preparation, label) for label, beam in beams)
    check_beams(preparation, [field.number for field in fields], where)
    return Plan(
        label=text(dataset, "RTPlanLabel", where),
        fields=fields,
        path=path,
        sha256=sha256,
        format=FORMAT,
        fractions_planned=group.fractions_planned,
        fraction_group=group.number,
        identity=_read_identity(dataset, fields, where),
        prepared_for=preparation.made_for if preparation else None,
        continues=read_continues(dataset, where),
        notes=plan_notes(dataset, where),
    )


def _check_kind(dataset: Dataset, where: str) -> None:
    kind = UID(text(dataset, "SOPClassUID", where), validation_mode=config.IGNORE)
    if kind == RTIonBeamsTreatmentRecordStorage:
        raise PlanError(
            f"{where}: is an RT Ion Beams Treatment Record, which says what was delivered, not a plan; "
            "give the RT Ion Plan that it belongs to"
        )
    if kind == RTPlanStorage:
        raise PlanError(f"{where}: is an RT Plan for photons or electrons; give an RT Ion Plan")
    if kind != RTIonPlanStorage:
        raise PlanError(
            f"{where}: SOPClassUID is {one_line(kind.name)}, not RT Ion Plan Storage; give an RT Ion Plan"
        )
    modality = code(dataset, "Modality", where)
    if modality != "RTPLAN":
        raise PlanError(f"{where}: Modality is {modality}, not RTPLAN; give an RT Ion Plan")


def _read_identity(dataset: Dataset, fields: tuple[Field, ...], where: str) -> dict[str, str]:
    identity = {keyword: text(dataset, keyword, where) for keyword in _IDENTITY}
    if not identity["SOPInstanceUID"]:
        raise missing("SOPInstanceUID", where, "so no record could refer to the plan")
    positions = {field.patient_position for field in fields}
    if len(positions) == 1:
        identity["PatientPosition"] = positions.pop()
    return {keyword: found for keyword, found in identity.items() if found}


def _read_fraction_group(dataset: Dataset, where: str) -> _FractionGroup:
    groups = required_items(dataset, "FractionGroupSequence", where)
    if len(groups) > 1:
        raise PlanError(
            f"{where}: FractionGroupSequence has {len(groups)} items; Spotline reads plans with one fraction "
            "group, export each as a plan of its own"
        )
    group = groups[0]
    number_ = required_integer(group, "FractionGroupNumber", where)
    place = f"{where}: fraction group {number_}"
    fractions = integer(group, "NumberOfFractionsPlanned", place)
    if fractions is not None and fractions < 1:
        raise PlanError(f"{place}: NumberOfFractionsPlanned is {fractions}; it must be 1 or more, correct it")
    references = required_items(group, "ReferencedBeamSequence", place)
    expected = required_integer(group, "NumberOfBeams", place)
    if expected != len(references):
        raise PlanError(
            f"{place}: NumberOfBeams is {expected} but ReferencedBeamSequence has {len(references)} items; "
            "export the plan again"
        )
    metersets: dict[int, float | None] = {}
    for reference in references:
        beam = required_integer(reference, "ReferencedBeamNumber", place)
        if beam in metersets:
            raise PlanError(f"{place}: ReferencedBeamNumber {beam} is listed twice; export the plan again")
        metersets[beam] = number(reference, "BeamMeterset", f"{place}, beam {beam}")
    return _FractionGroup(number_, fractions or 1, metersets)


def _read_treatment_beams(dataset: Dataset, group: _FractionGroup, where: str) -> list[tuple[str, Dataset]]:
    """Find the beams with dose, each with the beginning of its messages."""
    numbered: dict[int, Dataset] = {}
    for index, beam in enumerate(required_items(dataset, "IonBeamSequence", where)):
        number_ = required_integer(beam, "BeamNumber", f"{where}: IonBeamSequence item {index}")
        if not 0 <= number_ <= MOST_BEAM_NUMBER:
            raise PlanError(
                f"{where}: IonBeamSequence item {index}: BeamNumber is {number_}; it must be a whole number "
                f"from 0 to {MOST_BEAM_NUMBER}, export the plan again"
            )
        if number_ in numbered:
            raise PlanError(
                f"{where}: BeamNumber {number_} is used twice in IonBeamSequence; export the plan again"
            )
        numbered[number_] = beam
    for number_ in group.meterset_by_beam:
        if number_ not in numbered:
            raise PlanError(
                f"{where}: fraction group {group.number} refers to beam {number_} (ReferencedBeamNumber), "
                "which is not in IonBeamSequence; export the plan again"
            )
    beams = []
    for number_, beam in numbered.items():
        label = f"{where}: field {number_} ({one_line(text(beam, 'BeamName', where))})"
        if _is_delivered(beam, label):
            beams.append((label, beam))
    if not beams:
        raise PlanError(
            f"{where}: has no treatment beam: TreatmentDeliveryType is SETUP for all of them; "
            "export the plan with its treatment beams"
        )
    return beams


def _is_delivered(beam: Dataset, where: str) -> bool:
    delivery_type = code(beam, "TreatmentDeliveryType", where)
    if delivery_type == "SETUP":
        return False
    if delivery_type not in _DELIVERED:
        raise PlanError(
            f"{where}: TreatmentDeliveryType is {delivery_type}, which Spotline does not deliver (it knows "
            f"{', '.join(_DELIVERED)} and leaves SETUP out); remove the beam from the plan"
        )
    return True


def _read_field(
    beam: Dataset,
    group: _FractionGroup,
    setups: list[Dataset],
    preparation: Preparation | None,
    where: str,
) -> Field:
    scan_mode = _read_scan_mode(beam, where)
    ion = _read_ion(beam, where)
    unit = code(beam, "PrimaryDosimeterUnit", where)
    if unit not in _UNITS:
        raise PlanError(f"{where}: PrimaryDosimeterUnit is {unit}; export the plan in particles (NP) or MU")
    layers = read_layers(beam, _read_meterset_per_weight(beam, group, where), where)
    points = required_items(beam, "IonControlPointSequence", where)
    geometry = read_geometry(beam, setups, points, where)
    first = points[0]
    start = f"{where}, control point 0"
    number_ = required_integer(beam, "BeamNumber", where)
    return Field(
        number=number_,
        name=text(beam, "BeamName", where),
        ion=ion,
        unit=unit,
        layers=layers,
        passive=read_passive_elements(beam, first, where),
        gantry_angle_deg=required_number(first, "GantryAngle", start),
        patient_support_angle_deg=number(first, "PatientSupportAngle", start),
        isocentre_mm=_read_isocentre_mm(first, start),
        snout_position_mm=number(first, "SnoutPosition", start),
        machine=text(beam, "TreatmentMachineName", where),
        delivery_type=code(beam, "TreatmentDeliveryType", where),
        instructions=read_instructions(beam, number_, layers, preparation, where),
        start_meterset=read_start_meterset(beam, where),
        patient_position=geometry.patient_position,
        setup_number=geometry.setup_number,
        source_axis_distances_mm=geometry.source_axis_distances_mm,
        as_planned={**geometry.as_planned, "ScanMode": scan_mode},
        notes=geometry.notes,
    )


def _read_scan_mode(beam: Dataset, where: str) -> str:
    """MODULATED, or MODULATED_SPEC of spots: both deliver a weight at each of the positions."""
    mode = code(beam, "ScanMode", where)
    if mode not in ("MODULATED", "MODULATED_SPEC"):
        raise PlanError(
            f"{where}: ScanMode is {mode}; Spotline delivers MODULATED and MODULATED_SPEC (scanned spots) "
            "only, make a plan for pencil beam scanning"
        )
    # With LEAPING or LINEAR a weight belongs to the way to the spot (PS3.3 C.8.8.25.8).
    motion = one_line(text(beam, "ModulatedScanModeType", where)).upper()
    if motion not in ("", "STATIONARY"):
        raise PlanError(
            f"{where}: ModulatedScanModeType is {motion}, but the weights must belong to spots (STATIONARY); "
            "make a plan of spots"
        )
    if mode == "MODULATED_SPEC" and not motion:
        raise missing("ModulatedScanModeType", where, "so ScanMode MODULATED_SPEC does not say how to scan")
    return mode


def _read_ion(beam: Dataset, where: str) -> Ion:
    radiation = code(beam, "RadiationType", where)
    if radiation not in ("PROTON", "ION"):
        raise PlanError(
            f"{where}: RadiationType is {radiation}; Spotline delivers PROTON and ION, give such a plan"
        )
    numbers_ = {}
    for keyword in ("RadiationAtomicNumber", "RadiationMassNumber"):
        found = integer(beam, keyword, where)
        if found is None and radiation == "ION":
            raise missing(keyword, where, "so RadiationType ION does not say which ion")
        numbers_[keyword] = found if found is not None else 1
    charge_number, mass_number = numbers_.values()
    ion = ion_from_numbers(charge_number, mass_number)
    if ion is None:
        known = ", ".join(known.symbol for known in IONS.values())
        raise PlanError(
            f"{where}: RadiationAtomicNumber {charge_number} and RadiationMassNumber {mass_number} are no "
            f"ion that Spotline knows ({known}); correct them in the plan"
        )
    if radiation == "PROTON" and ion != PROTON:
        raise PlanError(
            f"{where}: RadiationType is PROTON but RadiationMassNumber is {mass_number}; correct one of them"
        )
    charge_state = integer(beam, "RadiationChargeState", where)
    if charge_state not in (None, ion.charge_number):
        raise PlanError(
            f"{where}: RadiationChargeState is {charge_state} but {ion.symbol} is delivered fully stripped "
            f"({ion.charge_number}); correct it in the plan"
        )
    return ion


def _read_meterset(beam: Dataset, group: _FractionGroup, where: str) -> float:
    number_ = required_integer(beam, "BeamNumber", where)
    if number_ not in group.meterset_by_beam:
        raise PlanError(
            f"{where}: is not in fraction group {group.number}: no ReferencedBeamNumber is {number_}; "
            "export the plan again"
        )
    meterset = group.meterset_by_beam[number_]
    if meterset is None:
        raise missing("BeamMeterset", where, f"in fraction group {group.number}")
    if meterset <= 0.0:
        raise PlanError(f"{where}: BeamMeterset is {meterset:g}; it must be greater than zero, correct it")
    return meterset


def _read_meterset_per_weight(beam: Dataset, group: _FractionGroup, where: str) -> float:
    meterset = _read_meterset(beam, group, where)
    final = required_number(beam, "FinalCumulativeMetersetWeight", where)
    ratio = meterset / final if final > 0.0 else 0.0
    if not 0.0 < ratio < math.inf:
        raise PlanError(
            f"{where}: FinalCumulativeMetersetWeight is {final:g} for a BeamMeterset of {meterset:g}; it "
            "must be greater than zero and of a reasonable size, export the plan again"
        )
    return ratio


def _read_isocentre_mm(first: Dataset, where: str) -> tuple[float, float, float] | None:
    found = numbers(first, "IsocenterPosition", where)
    if found is None:
        return None
    if len(found) != 3:
        raise PlanError(
            f"{where}: IsocenterPosition has {len(found)} values instead of three; export the plan again"
        )
    x_mm, y_mm, z_mm = (float(coordinate) for coordinate in found)
    return x_mm, y_mm, z_mm
