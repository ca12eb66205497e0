"""Read a DICOM RT Ion Beams Treatment Record.

A record is read as it is: what is missing but not needed becomes a warning, what contradicts itself is
refused with one line that says where.  Standard validators look at attributes one by one; the rules that
tie the delivered spots together are checked here and in `spotline.dicom.treatment_record_points`.
"""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset, config
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTIonBeamsTreatmentRecordStorage,
)

from spotline.dicom.assumed import read_assumed
from spotline.dicom.attributes import (
    code,
    integer,
    items,
    number,
    numbers,
    one_line,
    read_dataset,
    required_integer,
    required_items,
    text,
)
from spotline.dicom.ion_plan_layers import SUM_TOLERANCE
from spotline.dicom.recorded import RecordedField, RecordedInterlock, TreatmentRecord
from spotline.dicom.treatment_record_interlocks import CODING_SCHEME
from spotline.dicom.treatment_record_layers import INDEX_BASE
from spotline.dicom.treatment_record_points import (
    ADVICE,
    AS_SPECIFIED_TOLERANCE,
    parse_time,
    read_control_points,
)
from spotline.errors import PlanError, RecordError

_POINTS = "IonControlPointDeliverySequence"
_UNITS = ("NP", "MU")


def read_treatment_record(path: str | Path) -> TreatmentRecord:
    """Read a DICOM RT Ion Beams Treatment Record and check it.

    Beams of type SETUP carry no dose and are left out.  Prescribed indices count from 1, unless a 0 is
    among them: then they count from 0 in the whole file, and a warning says so.  Some programs write
    Explicit VR under a header that announces Implicit VR, or the reverse; such a file is read as it is
    encoded, with a warning.

    Parameters
    ----------
    path : str or Path
        DICOM file.

    Returns
    -------
    TreatmentRecord

    Raises
    ------
    RecordError
        If the file is no such record, is damaged, or contradicts itself.
    """
    path = Path(path)
    try:
        return _read(path)
    except PlanError as error:
        # The look-ups of `spotline.dicom.attributes` are made for plans; their advice follows the last
        # semicolon.
        what, _, _ = str(error).rpartition("; ")
        raise RecordError(f"{what}; give an intact treatment record, or {ADVICE}") from None


def _read(path: Path) -> TreatmentRecord:
    where = str(path)
    dataset, sha256 = read_dataset(path)
    warnings = _encoding_warnings(dataset)
    _check_kind(dataset, where, warnings)
    beams = _treatment_beams(dataset, where)
    index_base = _index_base(beams, warnings)
    offset = text(dataset, "TimezoneOffsetFromUTC", where)
    return TreatmentRecord(
        path=path,
        sha256=sha256,
        plan_uid=_plan_uid(dataset, where),
        machine=_machine(dataset, where),
        unit=_unit(dataset, where, warnings),
        index_base=index_base,
        fields=tuple(_read_field(beam, index_base, offset, label, warnings) for label, beam in beams),
        warnings=tuple(warnings),
    )


def _encoding_warnings(dataset: Dataset) -> list[str]:
    """Say so if the file is not encoded as its header announces; pydicom reads it either way."""
    announced = str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", ""))
    elements: list[object] = [dataset.get_item(tag) for tag in sorted(dataset.keys())]
    implicit = {raw.is_implicit_VR for raw in elements if isinstance(raw, RawDataElement)}
    if announced == ImplicitVRLittleEndian and implicit == {False}:
        return ["the header announces Implicit VR but the file is encoded in Explicit VR"]
    if announced == ExplicitVRLittleEndian and implicit == {True}:
        return ["the header announces Explicit VR but the file is encoded in Implicit VR"]
    return []


def _check_kind(dataset: Dataset, where: str, warnings: list[str]) -> None:
    kind = UID(text(dataset, "SOPClassUID", where), validation_mode=config.IGNORE)
    if kind != RTIonBeamsTreatmentRecordStorage:
        raise RecordError(
            f"{where}: SOPClassUID is {one_line(kind.name)}, not RT Ion Beams Treatment Record Storage; "
            "give such a record"
        )
    modality = one_line(text(dataset, "Modality", where))
    if modality != "RTRECORD":
        warnings.append(f"Modality is {modality or 'missing'}, not RTRECORD")


def _treatment_beams(dataset: Dataset, where: str) -> list[tuple[str, Dataset]]:
    """Find the beams with dose, each with the beginning of its messages."""
    beams = []
    for position, beam in enumerate(required_items(dataset, "TreatmentSessionIonBeamSequence", where)):
        place = f"{where}: TreatmentSessionIonBeamSequence item {position}"
        number_ = required_integer(beam, "ReferencedBeamNumber", place)
        label = f"{where}: field {number_} ({one_line(text(beam, 'BeamName', place))})"
        if text(beam, "TreatmentDeliveryType", label).upper() != "SETUP":
            beams.append((label, beam))
    if not beams:
        raise RecordError(
            f"{where}: has no treatment beam: TreatmentDeliveryType is SETUP for all of them; "
            "give the record of a treatment"
        )
    return beams


def _index_base(beams: list[tuple[str, Dataset]], warnings: list[str]) -> int:
    """Find out what the prescribed indices count from: only a 0 among them tells."""
    for label, beam in beams:
        for point in items(beam, _POINTS, label):
            indices = numbers(point, "ScanSpotPrescribedIndices", f"{label}, {_POINTS}")
            if indices is not None and (indices == 0.0).any():
                warnings.append(
                    "ScanSpotPrescribedIndices count from 0; the standard lets them start at one "
                    "(DICOM PS3.3, Table C.8.8.26-1)"
                )
                return 0
    return INDEX_BASE


def record_uid(path: str | Path) -> str:
    """Read the SOP Instance UID of a treatment record, for what refers to it; empty if it has none."""
    dataset, _ = read_dataset(Path(path))
    return text(dataset, "SOPInstanceUID", str(path))


def _plan_uid(dataset: Dataset, where: str) -> str:
    references = items(dataset, "ReferencedRTPlanSequence", where)
    return text(references[0], "ReferencedSOPInstanceUID", where) if references else ""


def _machine(dataset: Dataset, where: str) -> str:
    machines = items(dataset, "TreatmentMachineSequence", where)
    return text(machines[0], "TreatmentMachineName", where) if machines else ""


def _unit(dataset: Dataset, where: str, warnings: list[str]) -> str:
    unit = one_line(text(dataset, "PrimaryDosimeterUnit", where)).upper()
    if not unit:
        warnings.append("PrimaryDosimeterUnit is missing, so the unit of the metersets is not known")
    elif unit not in _UNITS:
        raise RecordError(f"{where}: PrimaryDosimeterUnit is {unit}, neither NP nor MU; {ADVICE}")
    return unit


def _read_field(
    beam: Dataset, index_base: int, offset: str, where: str, warnings: list[str]
) -> RecordedField:
    _check_scan_mode(beam, where)
    points = required_items(beam, _POINTS, where)
    expected = required_integer(beam, "NumberOfControlPoints", where)
    if expected != len(points):
        raise RecordError(
            f"{where}: NumberOfControlPoints is {expected} but {_POINTS} has {len(points)} items; the file "
            f"is incomplete, {ADVICE}"
        )
    termination = one_line(text(beam, "TreatmentTerminationStatus", where)).upper()
    if not termination:
        warnings.append(f"{where}: TreatmentTerminationStatus is missing")
    field = RecordedField(
        number=required_integer(beam, "ReferencedBeamNumber", where),
        name=text(beam, "BeamName", where),
        delivery_type=text(beam, "TreatmentDeliveryType", where).upper(),
        termination=termination,
        fraction=integer(beam, "CurrentFractionNumber", where),
        specified_meterset=number(beam, "SpecifiedPrimaryMeterset", where),
        control_points=read_control_points(points, index_base, offset, where, warnings),
        interlocks=_read_interlocks(beam, offset, where),
        continuation_start=number(beam, "ContinuationStartMeterset", where),
        continuation_end=number(beam, "ContinuationEndMeterset", where),
        assumed=read_assumed(beam, where),
    )
    _check_total(beam, field, where)
    return field


def _check_scan_mode(beam: Dataset, where: str) -> None:
    mode = code(beam, "ScanMode", where)
    if mode not in ("MODULATED", "MODULATED_SPEC"):
        raise RecordError(f"{where}: ScanMode is {mode}, so it has no spots; give a record of scanned spots")
    # With LEAPING or LINEAR a meterset belongs to the way to the spot (PS3.3 C.8.8.25.8).
    motion = one_line(text(beam, "ModulatedScanModeType", where)).upper()
    if motion not in ("", "STATIONARY"):
        raise RecordError(
            f"{where}: ModulatedScanModeType is {motion}, but the metersets must belong to spots "
            "(STATIONARY); give a record of spots"
        )


def _check_total(beam: Dataset, field: RecordedField, where: str) -> None:
    delivered = number(beam, "DeliveredPrimaryMeterset", where)
    if delivered is None:
        return
    total, points = field.meterset, field.control_points
    grown = points[-1].delivered_meterset - points[0].delivered_meterset
    if abs(delivered - total) <= SUM_TOLERANCE * max(delivered, total):
        return
    # A record that repeats the plan has been warned about already.
    if abs(delivered - grown) > SUM_TOLERANCE * max(delivered, grown) or (
        abs(delivered - total) > AS_SPECIFIED_TOLERANCE * max(delivered, total)
    ):
        raise RecordError(
            f"{where}: DeliveredPrimaryMeterset is {delivered:.10g} but ScanSpotMetersetsDelivered add up to "
            f"{total:.10g} in all control points; {ADVICE}"
        )


def _read_interlocks(beam: Dataset, offset: str, where: str) -> tuple[RecordedInterlock, ...]:
    return tuple(
        _read_interlock(item, offset, f"{where}, InterlockSequence item {position}")
        for position, item in enumerate(items(beam, "InterlockSequence", where))
    )


def _read_interlock(item: Dataset, offset: str, where: str) -> RecordedInterlock:
    codes = items(item, "InterlockCodeSequence", where)
    resolutions = items(item, "InterlockResolutionCodeSequence", where)
    return RecordedInterlock(
        cause=_cause(codes, where),
        meaning=text(codes[0], "CodeMeaning", where) if codes else "",
        description=text(item, "InterlockDescription", where),
        time=parse_time(text(item, "InterlockDateTime", where), offset, "InterlockDateTime", where),
        resolution=text(resolutions[0], "CodeMeaning", where) if resolutions else "",
    )


def _cause(codes: list[Dataset], where: str) -> int | None:
    """Code of the interlock table, which is the code itself or given as equivalent to one of DICOM."""
    equivalent = [item for code_ in codes for item in items(code_, "EquivalentCodeSequence", where)]
    for item in (*codes, *equivalent):
        if text(item, "CodingSchemeDesignator", where) == CODING_SCHEME:
            return integer(item, "CodeValue", where)
    return None
