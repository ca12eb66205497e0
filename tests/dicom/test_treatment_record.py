"""A record holds what was delivered, where DICOM wants it, and is the same on every day."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, Dataset
from pydicom.uid import ImplicitVRLittleEndian, RTIonPlanStorage

from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.treatment_record import (
    read_treatment_record,
    treatment_record_bytes,
    write_treatment_record,
)
from spotline.plan import Field, PassiveElement, Plan
from tests.dicom.delivered import PARTICLES_PER_MU, REORDERED, TRIP, field_record
from tests.dicom.plans import layer
from tests.dicom.written import points_of, session_beam, values, written


def test_what_the_record_belongs_to(plan: Plan):
    dataset = written(field_record(plan), plan)
    assert dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.481.9"
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
    assert dataset.Modality == "RTRECORD"
    assert (dataset.PatientName, dataset.PatientID) == ("Doe^Jane", "P  01")
    assert (dataset.PatientBirthDate, dataset.PatientSex) == ("19700203", "F")
    assert (dataset.StudyInstanceUID, dataset.StudyID) == ("1.2.3.4", "S1")
    assert (dataset.StudyDate, dataset.StudyTime) == ("20270101", "121314")
    (reference,) = dataset.ReferencedRTPlanSequence
    assert reference.ReferencedSOPClassUID == RTIonPlanStorage
    assert reference.ReferencedSOPInstanceUID == "1.2.3.9"
    assert dataset.ReferencedFractionGroupNumber == 3
    assert dataset.NumberOfFractionsPlanned == 12
    assert dataset.InstanceNumber == 1
    assert (dataset.TreatmentDate, dataset.TreatmentTime) == ("20270304", "235959.500000")
    assert (dataset.InstanceCreationDate, dataset.InstanceCreationTime) == ("20270304", "235959.500000")
    assert dataset.TimezoneOffsetFromUTC == "+0100"
    assert list(dataset.SoftwareVersions) == ["numpy 2.3.4", "spotline 0.1.0"]
    (machine,) = dataset.TreatmentMachineSequence
    assert machine.TreatmentMachineName == "cnao-h"
    # The IOD has no frame of reference, so none is written.
    assert "FrameOfReferenceUID" not in dataset


def test_beam(plan: Plan):
    record = field_record(plan)
    dataset = written(record, plan)
    beam = session_beam(dataset)
    assert dataset.PrimaryDosimeterUnit == "NP"
    assert (beam.ReferencedBeamNumber, beam.BeamName, beam.BeamType) == (1, "AP", "STATIC")
    assert beam.RadiationType == "ION"
    assert (beam.RadiationMassNumber, beam.RadiationAtomicNumber, beam.RadiationChargeState) == (12, 6, 6)
    assert (beam.ScanMode, beam.ModulatedScanModeType) == ("MODULATED", "STATIONARY")
    assert (beam.CurrentFractionNumber, beam.TreatmentDeliveryType) == (1, "TREATMENT")
    assert (beam.TreatmentTerminationStatus, beam.TreatmentVerificationStatus) == ("NORMAL", "NOT_VERIFIED")
    assert "InterlockSequence" not in beam
    assert "BeamDescription" not in beam
    assert beam.SpecifiedPrimaryMeterset == plan.fields[0].meterset
    assert beam.DeliveredPrimaryMeterset == pytest.approx(record.spots["particles"].sum(), rel=1e-7)
    assert beam.DeliveredSecondaryMeterset == pytest.approx(record.spots["particles_int2"].sum())
    assert (beam.PatientSupportType, beam.NumberOfControlPoints) == ("TABLE", 6)
    for keyword in ("NumberOfWedges", "NumberOfCompensators", "NumberOfBoli", "NumberOfBlocks"):
        assert beam[keyword].value == 0


def test_geometry_is_at_the_first_control_point(plan: Plan):
    first, *others = points_of(written(field_record(plan), plan))
    assert (first.GantryAngle, first.PatientSupportAngle) == (90.0, 15.0)
    assert (first.GantryRotationDirection, first.PatientSupportRotationDirection) == ("NONE", "NONE")
    assert (first.BeamLimitingDeviceAngle, first.GantryPitchAngle) == (0.0, 0.0)
    assert first.SnoutPosition == 420.0
    assert first["TableTopVerticalPosition"].value is None
    assert not any("GantryAngle" in point or "SnoutPosition" in point for point in others)


def test_start_without_zone(plan: Plan):
    dataset = written(field_record(plan, started="2027-03-04T05:06:07"), plan)
    assert "TimezoneOffsetFromUTC" not in dataset
    assert points_of(dataset)[0].TreatmentControlPointTime == "050608.000000"


def test_monitor_units_and_protons(plan: Plan):
    record = field_record(plan, 2)
    dataset = written(record, plan)
    beam = session_beam(dataset)
    assert dataset.PrimaryDosimeterUnit == "MU"
    assert (beam.RadiationType, beam.TreatmentDeliveryType) == ("PROTON", "CONTINUATION")
    assert "RadiationMassNumber" not in beam
    assert record.spots["particles"].min() > PARTICLES_PER_MU
    np.testing.assert_allclose(
        values(points_of(dataset)[0], "ScanSpotMetersetsDelivered"),
        record.spots["particles"][::-1] / PARTICLES_PER_MU,
        rtol=1e-7,
    )


def test_devices_that_were_mounted(plan: Plan):
    field = dataclasses.replace(
        plan.fields[0],
        passive=(
            PassiveElement("range_shifter", "RS1", number=5),
            PassiveElement("range_shifter", "RS2", number=0),
            PassiveElement("range_modulator", "RIFI"),
            PassiveElement("bolus", "B1"),
        ),
    )
    changed = dataclasses.replace(plan, fields=(field,))
    record = field_record(changed, passive_elements=["RS2", "RIFI", "B1", "OTHER"])
    dataset = written(record, changed)
    beam, first = session_beam(dataset), points_of(dataset)[0]
    assert (beam.NumberOfRangeShifters, beam.NumberOfRangeModulators) == (1, 1)
    assert beam.NumberOfLateralSpreadingDevices == 0
    (shifter,) = beam.RecordedRangeShifterSequence
    assert (shifter.RangeShifterID, shifter.ReferencedRangeShifterNumber) == ("RS2", 0)
    (setting,) = first.RangeShifterSettingsSequence
    assert (setting.ReferencedRangeShifterNumber, setting.RangeShifterSetting) == (0, "IN")
    (modulator,) = beam.RecordedRangeModulatorSequence
    assert (modulator.ReferencedRangeModulatorNumber, modulator.RangeModulatorType) == (1, "FIXED")
    assert first.RangeModulatorSettingsSequence[0].ReferencedRangeModulatorNumber == 1
    assert [
        (item.GeneralAccessoryID, item.GeneralAccessoryDescription) for item in beam.GeneralAccessorySequence
    ] == [
        ("B1", "bolus of the plan"),
        ("OTHER", "not in the plan, but mounted"),
    ]


def test_numbers_of_devices_come_from_the_plan(dataset: Dataset, tmp_path: Path):
    beam = dataset.IonBeamSequence[0]
    beam.RangeShifterSequence[0].RangeShifterNumber = 4
    setting = beam.IonControlPointSequence[0].RangeShifterSettingsSequence[0]
    setting.ReferencedRangeShifterNumber = 4
    dataset.save_as(tmp_path / "plan.dcm", enforce_file_format=True)
    plan = read_ion_plan(tmp_path / "plan.dcm")
    assert plan.fields[0].passive[0].number == 4
    record = session_beam(written(field_record(plan), plan))
    assert record.RecordedRangeShifterSequence[0].ReferencedRangeShifterNumber == 4


def test_plan_that_says_little(plan: Plan):
    field = dataclasses.replace(
        plan.fields[0],
        name="",
        gantry_angle_deg=None,
        patient_support_angle_deg=None,
        snout_position_mm=None,
        layers=(layer(0, 200.0, 2), dataclasses.replace(layer(1, 190.0, 2), control_point=1)),
    )
    bare = dataclasses.replace(plan, fields=(field,), identity={}, format="TRiP98 raster scan file")
    dataset = written(field_record(bare, focus=["", ""]), bare)
    assert (dataset.PatientName, dataset.PatientID, dataset.StudyID) == ("", "", "")
    assert dataset.StudyInstanceUID.startswith("2.25.")
    assert (dataset.StudyDate, dataset.StudyTime) == ("20270304", "235959.500000")
    assert len(dataset.ReferencedRTPlanSequence) == 0
    assert session_beam(dataset).BeamName == "1"
    points = points_of(dataset)
    assert (points[0].GantryAngle, points[0].PatientSupportAngle) == (0.0, 0.0)
    assert points[0].ScanSpotTuneID == "NONE"
    assert [point.ReferencedControlPointIndex for point in points] == [0, 1, 2, 3]


def test_identity_that_is_not_valid(plan: Plan):
    identity = {"PatientID": "x" * 70, "StudyInstanceUID": "1.02.3", "PatientSex": "N/A", "StudyDate": "1"}
    changed = dataclasses.replace(plan, identity=identity)
    dataset = written(field_record(changed), changed)
    # What refers to the patient and the study stays, or nobody would find them.
    with pytest.warns(UserWarning, match="maximum length|Invalid value"):
        assert (dataset.PatientID, dataset.StudyInstanceUID) == ("x" * 70, "1.02.3")
    assert (dataset.PatientSex, dataset.StudyDate) == ("", "")


def test_names_that_are_too_long_are_cut(plan: Plan):
    dataset = written(field_record(plan, beamline="a line with a long\\name", focus=["x" * 20] * 9), plan)
    assert dataset.TreatmentMachineSequence[0].TreatmentMachineName == "a line with a lo"
    assert points_of(dataset)[0].ScanSpotTuneID == "x" * 16


def test_same_delivery_makes_the_same_bytes(plan: Plan):
    record = field_record(plan, spots=REORDERED, interlocks=[TRIP], unmeasured=[(0, 1)])
    assert treatment_record_bytes(record, plan) == treatment_record_bytes(record, plan)


def test_identifiers(plan: Plan):
    first, other_field = written(field_record(plan, 1), plan), written(field_record(plan, 2), plan)
    other_seed = written(field_record(plan, seed=8), plan)
    assert len({d.SOPInstanceUID for d in (first, other_field, other_seed)}) == 3
    assert first.SeriesInstanceUID == other_field.SeriesInstanceUID != other_seed.SeriesInstanceUID


def test_decimal_strings_fit(plan: Plan):
    field = dataclasses.replace(
        plan.fields[0],
        layers=tuple(
            dataclasses.replace(
                layer, energy_MeV_u=layer.energy_MeV_u + 1 / 3, meterset=layer.meterset * 1e5 / 3
            )
            for layer in plan.fields[0].layers
        ),
        gantry_angle_deg=100 / 3,
    )
    changed = dataclasses.replace(plan, fields=(field,))
    lengths: list[int] = []

    def measure(_: Dataset, element: DataElement) -> None:
        if element.VR == "DS" and element.value is not None:
            lengths.append(len(str(element.value)))

    written(field_record(changed), changed).walk(measure)
    assert max(lengths) == 16


@pytest.mark.parametrize(
    "name",
    [
        "topas_demo_plan.dcm",
        "dcpt/eclipse_sobp_plan.dcm",
        "trip98/tst003001.rst",
    ],
)
def test_real_plans_delivered_as_planned(name: str, shared_plans: Path, tmp_path: Path):
    from spotline.planning.read import read_plan

    plan = read_plan(shared_plans / name)
    for planned in plan.fields:
        path = tmp_path / f"{planned.number}.dcm"
        write_treatment_record(field_record(plan, planned.number, error=0.0), plan, path)
        record = read_treatment_record(path)
        (field,) = record.fields
        assert record.plan_uid == plan.identity.get("SOPInstanceUID", "")
        assert field.n_delivered == planned.n_spots
        assert field.meterset == pytest.approx(planned.meterset, rel=1e-6)
        assert_points_of_plan(field.control_points, planned)


def assert_points_of_plan(points: tuple[object, ...], planned: Field) -> None:
    for point, layer_ in zip(points[0::2], planned.layers, strict=True):
        np.testing.assert_allclose(point.meterset, layer_.meterset, rtol=1e-6)  # type: ignore[attr-defined]
        np.testing.assert_allclose(point.x_iso_mm, layer_.x_iso_mm + 0.25, atol=1e-4)  # type: ignore[attr-defined]
