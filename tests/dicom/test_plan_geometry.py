"""Every attribute of the geometry of a plan is set: it is used, refused or told; the record repeats it."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from spotline.dicom.ion_plan import plan_of
from spotline.dicom.plan_geometry import ROWS, STATIC_NUMBERS, GeometryRow, rows_of
from spotline.dicom.treatment_record import treatment_record_bytes
from spotline.dicom.write_plan import ion_plan_bytes
from spotline.errors import PlanError
from spotline.plan import Plan
from tests.dicom.delivered import field_record
from tests.dicom.items import beam, point

SOMETHING: dict[str, object] = {
    "IsocenterPosition": ["4", "5", "6"],
    "SurfaceEntryPoint": ["4", "5", "6"],
    "ExternalContourEntryPoint": [4.0, 5.0, 6.0],
    "VirtualSourceAxisDistances": [2000.0, 2560.0],
    "PatientPosition": "FFDL",
    "PatientSupportType": "CHAIR",
    "BeamType": "DYNAMIC",
    "RTPlanGeometry": "PATIENT",
    "FixationEye": "L",
    "SetupTechnique": "FIXED_SSD",
}
"""What a row is set to, where its Value Representation does not tell."""
BY_VR: dict[str, object] = {"UI": "1.2.3.77", "CS": "CW", "LO": "word", "SH": "word", "ST": "words"}


def setup(dataset: Dataset) -> Dataset:
    return dataset.PatientSetupSequence[0]


PLACES = {
    "plan": lambda dataset: dataset,
    "patient setup": setup,
    "beam": lambda dataset: beam(dataset, 1),
    "control point": lambda dataset: point(dataset, 0),
}


def something(row: GeometryRow) -> object:
    """A value that is none of the defaults; a fresh one of a sequence."""
    if row.vr == "SQ":
        return [Dataset()]
    if row.is_number:
        return SOMETHING.get(row.keyword, 7)
    return SOMETHING.get(row.keyword) or BY_VR[row.vr]


def with_row(dataset: Dataset, row: GeometryRow, value: object) -> None:
    setattr(PLACES[row.place](dataset), row.keyword, value)


def read(dataset: Dataset) -> Plan:
    return plan_of(dataset, "f00d", Path("plan.dcm"))


def shown(plan: Plan) -> str:
    """All that a plan holds, as text that is the same for the same plan."""
    with np.printoptions(threshold=100_000):
        return repr(dataclasses.asdict(plan))


@pytest.fixture
def bare(dataset: Dataset) -> Dataset:
    """The plan without devices, whose settings would refer to what a row replaces."""
    first = beam(dataset, 1)
    for row in rows_of("beam"):
        if row.vr == "SQ":
            first.pop(row.keyword, None)
    for row in rows_of("control point"):
        if row.vr == "SQ":
            point(dataset, 0).pop(row.keyword, None)
    for element in list(first):
        if element.keyword.startswith("NumberOf") and element.keyword != "NumberOfControlPoints":
            del first[element.tag]
    return dataset


def test_each_attribute_stands_in_one_row():
    keys = [(row.place, row.keyword) for row in ROWS]
    assert len(set(keys)) == len(keys)


CONTRADICTS = {
    "PatientSetupNumber": "ReferencedPatientSetupNumber is 1, which is not in",
    "ReferencedPatientSetupNumber": "ReferencedPatientSetupNumber is 7, which is not in",
    **{row.keyword: row.keyword for row in ROWS if row.keyword.endswith("SettingsSequence")},
    "IonWedgePositionSequence": "IonWedgePositionSequence",
    "RangeShifterSequence": "RangeShifterNumber is missing",
    "RangeModulatorSequence": "RangeModulatorNumber is missing",
    "LateralSpreadingDeviceSequence": "LateralSpreadingDeviceNumber is missing",
    "IonBlockSequence": "BlockNumber is missing",
    "IonRangeCompensatorSequence": "CompensatorNumber is missing",
    "IonWedgeSequence": "WedgeNumber is missing",
    "ReferencedBolusSequence": "ReferencedROINumber is missing",
}
"""What is used and, set to something, contradicts what else the plan says."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.place}-{row.keyword}")
def test_nothing_of_the_geometry_is_passed_over(row: GeometryRow, bare: Dataset):
    before = read(dcmread(BytesIO(encoded(bare))))
    with_row(bare, row, something(row))
    if row.handling == "refused" or row.keyword in CONTRADICTS:
        with pytest.raises(PlanError, match=CONTRADICTS.get(row.keyword, f"{row.keyword} is .*, but ")):
            read(bare)
        return
    found = read(bare)
    told = " ".join((*found.remarks, *found.fields[0].notes))
    if row.handling == "noted":
        assert row.keyword in told
        assert row.meaning in told
    else:
        assert row.keyword not in told
        assert shown(found) != shown(before)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.handling == "refused"], ids=lambda row: row.keyword
)
def test_what_is_refused_is_refused_at_any_control_point_and_not_for_its_default(
    row: GeometryRow, bare: Dataset
):
    if row.default is not None:
        with_row(bare, row, row.default)
        read(bare)
        with_row(bare, row, None if row.is_number else "")
        read(bare)
    if row.place == "control point":
        setattr(point(bare, 3), row.keyword, something(row))
        with pytest.raises(PlanError, match=f"control point 3: {row.keyword} is "):
            read(bare)


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.handling == "noted" and row.default is not None],
    ids=lambda r: r.keyword,
)
def test_a_default_is_not_worth_a_note(row: GeometryRow, bare: Dataset):
    with_row(bare, row, row.default)
    assert read(bare).fields[0].notes == ()


def test_a_rounded_default_is_the_default(bare: Dataset):
    point(bare, 0).TableTopPitchAngle = 5e-4
    read(bare)


RECORDED = [row for row in ROWS if row.recorded and row.handling == "used"]


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: row.keyword)
def test_the_record_and_a_plan_that_is_written_again_repeat_it(row: GeometryRow, bare: Dataset):
    with_row(bare, row, something(row))
    if row.keyword == "PatientSetupNumber":
        beam(bare, 1).ReferencedPatientSetupNumber = beam(bare, 2).ReferencedPatientSetupNumber = 7
    plan = read(bare)
    value = PLACES[row.place](bare)[row.keyword].value

    record = dcmread(BytesIO(treatment_record_bytes(field_record(plan), plan)))
    session = record.TreatmentSessionIonBeamSequence[0]
    places = {"beam": session, "control point": session.IonControlPointDeliverySequence[0]}
    place = setup(record) if row.place == "patient setup" else places[row.place]
    if row.keyword not in ("GantryAngle", "PatientSupportAngle"):  # as the line that delivered knows them
        assert place[row.keyword].value == value

    if row.keyword != "PatientSetupNumber":  # numbered anew
        again = dcmread(BytesIO(ion_plan_bytes(plan)))
        assert PLACES[row.place](again)[row.keyword].value == value


def test_numbers_that_may_not_change_are_those_that_matter():
    assert {"GantryAngle", "IsocenterPosition", "TableTopRollAngle", "SnoutPosition"} <= set(STATIC_NUMBERS)
    assert "SurfaceEntryPoint" not in STATIC_NUMBERS


# How the patient lies, by beam.


def two_setups(dataset: Dataset) -> Dataset:
    other = Dataset()
    other.PatientSetupNumber, other.PatientPosition = 2, "FFS"
    dataset.PatientSetupSequence.append(other)
    beam(dataset, 2).ReferencedPatientSetupNumber = 2
    return dataset


def test_each_beam_has_the_position_of_its_setup(dataset: Dataset):
    plan = read(two_setups(dataset))
    assert [(field.patient_position, field.setup_number) for field in plan.fields] == [("HFP", 1), ("FFS", 2)]
    assert "PatientPosition" not in plan.identity
    again = read(dcmread(BytesIO(ion_plan_bytes(plan))))
    assert [field.patient_position for field in again.fields] == ["HFP", "FFS"]


def test_a_setup_that_no_beam_refers_to_says_nothing(dataset: Dataset):
    two_setups(dataset)
    beam(dataset, 2).ReferencedPatientSetupNumber = 1
    assert read(dataset).identity["PatientPosition"] == "HFP"


def test_without_a_reference_all_setups_must_agree(dataset: Dataset):
    two_setups(dataset)
    del beam(dataset, 1).ReferencedPatientSetupNumber
    with pytest.raises(PlanError, match=r"ReferencedPatientSetupNumber is missing.*\(FFS, HFP\)"):
        read(dataset)
    dataset.PatientSetupSequence[1].PatientPosition = "HFP"
    assert read(dataset).fields[0].patient_position == "HFP"


def test_a_setup_number_used_twice_is_refused(dataset: Dataset):
    two_setups(dataset)
    dataset.PatientSetupSequence[1].PatientSetupNumber = 1
    with pytest.raises(PlanError, match="ReferencedPatientSetupNumber is 1, which is twice in"):
        read(dataset)


def test_a_plan_without_setups_tells_that_it_refers_to_one(dataset: Dataset):
    del dataset.PatientSetupSequence
    field = read(dataset).fields[0]
    assert field.patient_position == ""
    assert field.notes == ("the plan refers to patient setup 1, which it does not have",)


def test_two_sources_or_none(dataset: Dataset):
    beam(dataset, 1).VirtualSourceAxisDistances = [2000.0]
    with pytest.raises(PlanError, match="VirtualSourceAxisDistances has 1 values instead of two"):
        read(dataset)
    del beam(dataset, 1).VirtualSourceAxisDistances
    assert read(dataset).fields[0].source_axis_distances_mm is None


# Kinds of scanning.


def test_spots_of_a_specified_scan_are_delivered_and_recorded_as_such(dataset: Dataset):
    beam(dataset, 1).ScanMode, beam(dataset, 1).ModulatedScanModeType = "MODULATED_SPEC", "STATIONARY"
    plan = read(dataset)
    record = dcmread(BytesIO(treatment_record_bytes(field_record(plan), plan)))
    session = record.TreatmentSessionIonBeamSequence[0]
    assert (session.ScanMode, session.ModulatedScanModeType) == ("MODULATED_SPEC", "STATIONARY")


@pytest.mark.parametrize(
    ("motion", "said"),
    [("LEAPING", "ModulatedScanModeType is LEAPING"), ("", "ModulatedScanModeType is missing")],
)
def test_a_specified_scan_of_anything_else_is_refused(dataset: Dataset, motion: str, said: str):
    beam(dataset, 1).ScanMode, beam(dataset, 1).ModulatedScanModeType = "MODULATED_SPEC", motion
    with pytest.raises(PlanError, match=said):
        read(dataset)


def encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
