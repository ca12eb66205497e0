"""A record holds what was delivered, where DICOM wants it, and is the same on every day."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian, RTIonPlanStorage

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.treatment_record import (
    read_treatment_record,
    treatment_record_bytes,
    write_treatment_record,
)
from spotline.errors import OutputError, RecordError
from spotline.plan import Field, PassiveElement, Plan
from spotline.record.model import FieldRecord
from tests.dicom.conftest import layer
from tests.dicom.delivered import PARTICLES_PER_MU, SPOT_US, STOP, TRIP, field_record

REORDERED = [(0, 2), (0, 1), (0, 3), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]
TWO_MORE = [[(1, 0)], [(2, 0), (2, 1), (2, 2)]]  # slices of the other layers
INTERRUPTED = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0)]


@pytest.fixture(scope="session")
def plan(good_plan: Plan) -> Plan:
    identity = good_plan.identity | {
        "SOPInstanceUID": "1.2.3.9",
        "StudyID": "S1",
        "StudyDate": "20270101",
        "StudyTime": "121314",
        "PatientBirthDate": "19700203",
        "PatientSex": "F",
    }
    return dataclasses.replace(good_plan, identity=identity, sha256="f00d")


def written(record: FieldRecord, plan: Plan) -> Dataset:
    return dcmread(BytesIO(treatment_record_bytes(record, plan)))


def session_beam(dataset: Dataset) -> Dataset:
    (beam,) = dataset.TreatmentSessionIonBeamSequence
    return beam


def points_of(dataset: Dataset) -> list[Dataset]:
    return list(session_beam(dataset).IonControlPointDeliverySequence)


def values(point: Dataset, keyword: str) -> list[float]:
    return [float(found) for found in np.atleast_1d(point[keyword].value)]


def with_layers(plan: Plan, *layers: object) -> Plan:
    field = dataclasses.replace(plan.fields[0], layers=tuple(layers))  # type: ignore[arg-type]
    return dataclasses.replace(plan, fields=(field, *plan.fields[1:]))


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


def test_control_points_follow_the_layers(plan: Plan):
    record = field_record(plan)
    points = points_of(written(record, plan))
    assert [point.ReferencedControlPointIndex for point in points] == [0, 1, 2, 3, 4, 5]
    assert [point.NominalBeamEnergy for point in points] == [221.45, 221.45, 219.0, 219.0, 216.5, 216.5]
    assert [point.NumberOfScanSpotPositions for point in points] == [4, 4, 1, 1, 3, 3]
    assert [point.NumberOfPaintings for point in points] == [1] * 6  # although the plan wants 2 once
    assert [values(point, "ScanningSpotSize") for point in points[::2]] == [
        [6.0, 6.5],
        [7.0, 7.5],
        [8.0, 8.5],
    ]
    assert {point.ScanSpotTuneID for point in points} == {"small"}
    assert [point.SpecifiedMeterset for point in points] == [0, 206000, 206000, 256000, 256000, 409000]
    for planned, first, second in zip(plan.fields[0].layers, points[0::2], points[1::2], strict=True):
        x_mm, y_mm = planned.x_iso_mm + 0.25, planned.y_iso_mm - 0.125
        assert values(first, "ScanSpotPositionMap") == np.column_stack([x_mm, y_mm]).ravel().tolist()
        assert first.ScanSpotPositionMap == second.ScanSpotPositionMap
        rows = record.spots[record.spots["planned_layer"] == planned.index][::-1]
        np.testing.assert_allclose(
            values(first, "ScanSpotMetersetsDelivered"), rows["particles"].astype(np.float32), rtol=0
        )
        assert not any(values(second, "ScanSpotMetersetsDelivered"))
        step = second.DeliveredMeterset - first.DeliveredMeterset
        assert float(step) == pytest.approx(sum(values(first, "ScanSpotMetersetsDelivered")), rel=1e-12)
        assert values(first, "ScanSpotTimeOffset") == [SPOT_US * i for i in range(planned.n_spots)]
        assert "ScanSpotTimeOffset" not in second
        for point in (first, second):
            assert point.ScanSpotReordered == "NO"
            assert "ScanSpotPrescribedIndices" not in point
            assert "ScanSpotSizesDelivered" not in point  # sizes are not measured


def test_times_of_control_points_count_from_the_start(plan: Plan):
    points = points_of(written(field_record(plan), plan))
    # Started half a second before midnight; the first spot came after a second.
    assert [(p.TreatmentControlPointDate, p.TreatmentControlPointTime) for p in points[:3]] == [
        ("20270305", "000000.500000"),
        ("20270305", "000000.502799"),
        ("20270305", "000002.502800"),
    ]


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


def test_reordered_spots(plan: Plan):
    points = points_of(written(field_record(plan, spots=REORDERED), plan))
    for point in points[:2]:
        assert point.ScanSpotReordered == "YES"
        assert list(point.ScanSpotPrescribedIndices) == [3, 2, 4, 1]  # from 1: PS3.3, Table C.8.8.26-1
    assert values(points[0], "ScanSpotPositionMap")[0::2] == [1.25, -0.75, 3.25, -2.75]
    assert [point.ScanSpotReordered for point in points[2:]] == ["NO"] * 4


def test_missing_spots_count_as_reordered(plan: Plan):
    spots = [(0, 0), (0, 2), *REORDERED[4:]]
    point = points_of(written(field_record(plan, spots=spots), plan))[0]
    assert (point.NumberOfScanSpotPositions, point.ScanSpotReordered) == (2, "YES")
    assert list(point.ScanSpotPrescribedIndices) == [1, 3]


def test_repainted_spots_are_listed_visit_by_visit(plan: Plan, tmp_path: Path):
    """Each painting is recorded, which is reordering even in the order of the plan (C.8.8.26.2.6)."""
    painting = [(0, spot) for spot in range(4)]
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, visits=[painting * 3, *TWO_MORE], error=0.0), plan, path)
    points = points_of(dcmread(path))
    assert [point.NumberOfPaintings for point in points[::2]] == [3, 1, 1]
    assert [point.NumberOfScanSpotPositions for point in points[::2]] == [12, 1, 3]
    assert [point.ScanSpotReordered for point in points[::2]] == ["YES", "NO", "NO"]
    assert list(points[0].ScanSpotPrescribedIndices) == [1, 2, 3, 4] * 3
    thirds = (plan.fields[0].layers[0].meterset / 3).astype(np.float32)
    assert values(points[0], "ScanSpotMetersetsDelivered") == thirds.tolist() * 3
    assert points[1].DeliveredMeterset == pytest.approx(points[1].SpecifiedMeterset, rel=1e-7)
    (field,) = read_treatment_record(path).fields
    assert field.control_points[0].prescribed_index is not None
    assert field.control_points[0].prescribed_index.tolist() == [0, 1, 2, 3] * 3


def test_volumetric_repainting_stays_with_the_layers(plan: Plan, tmp_path: Path):
    """Slices of several energies come between two paintings of a layer; a weak spot is visited once."""
    visits = [
        *([(0, 1), (0, 0), (0, 3), (0, 2)], [(1, 0)], [(2, 2), (2, 0)]),
        *([(0, 0), (0, 3), (0, 2)], [(1, 0)], [(2, 1), (2, 0), (2, 2)]),
    ]
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, visits=visits, unmeasured=[(0, 3)]), plan, path)
    (field,) = read_treatment_record(path).fields
    listed = [point.prescribed_index for point in field.control_points[::2]]
    assert [index.tolist() for index in listed if index is not None] == [
        [1, 0, 3, 2, 0, 3, 2],
        [0, 0],
        [2, 0, 1, 0, 2],
    ]
    assert [point.NumberOfPaintings for point in points_of(dcmread(path))[::2]] == [2, 2, 2]
    assert field.control_points[0].measured.tolist() == [True, True, False, True, True, False, True]
    for point, planned in zip(field.control_points[::2], plan.fields[0].layers, strict=True):
        assert point.meterset.sum() == pytest.approx(planned.meterset.sum(), rel=1e-3)
        assert point.prescribed_index is not None
        np.testing.assert_array_equal(point.x_iso_mm[point.measured] - 0.25,
                                      planned.x_iso_mm[point.prescribed_index][point.measured])  # fmt: skip
    # Slices are two seconds apart; each spot begins when the one before has ended.
    assert field.control_points[0].time_offset_us is not None
    assert field.control_points[0].time_offset_us.tolist() == [
        *(0, SPOT_US, 2 * SPOT_US, 3 * SPOT_US),
        *(6_000_000 + position * SPOT_US for position in (7, 8, 9)),
    ]
    points = points_of(dcmread(path))
    assert [values(point, "ScanningSpotSize") for point in points[::2]] == [
        [6.0, 6.5], [7.0, 7.5], [8.0, 8.5]
    ]  # fmt: skip


def test_interrupted_repainting(plan: Plan):
    """What was not delivered is not listed: only the indices tell which visits there were."""
    painting = [[(0, spot) for spot in range(4)], *TWO_MORE]
    record = field_record(plan, visits=painting * 2, n_delivered=10, interlocks=[STOP])
    points = points_of(written(record, plan))
    assert [point.NumberOfScanSpotPositions for point in points[::2]] == [6, 1, 3]
    assert list(points[0].ScanSpotPrescribedIndices) == [1, 2, 3, 4, 1, 2]
    assert [point.ScanSpotReordered for point in points[::2]] == ["YES", "NO", "NO"]
    assert [point.NumberOfPaintings for point in points[::2]] == [2, 2, 2]
    beam = session_beam(written(record, plan))
    assert 0.5 < beam.DeliveredPrimaryMeterset / beam.SpecifiedPrimaryMeterset < 0.7


def test_layer_that_is_not_in_the_treatment(plan: Plan):
    """A treatment need not have every layer of the plan; nothing of it was to be delivered."""
    record = field_record(plan, visits=[[(0, 0), (0, 1), (0, 2), (0, 3)]])
    points = points_of(written(record, plan))
    assert [values(point, "ScanSpotMetersetsDelivered") for point in points[2::2]] == [[0.0], [0.0] * 3]
    assert values(points[2], "ScanningSpotSize") == pytest.approx([6.1, 6.6])  # of the plan
    assert "ScanningSpotSize" not in points[4]


def test_indices_are_those_of_the_file(plan: Plan):
    # The file of the plan has spots of weight zero, which the layer leaves out.
    gaps = dataclasses.replace(plan.fields[0].layers[0], spot_index=np.array([1, 2, 5, 9]))
    changed = with_layers(plan, gaps)
    point = points_of(written(field_record(changed), changed))[0]
    assert point.ScanSpotReordered == "YES"
    assert list(point.ScanSpotPrescribedIndices) == [2, 3, 6, 10]
    nothing = points_of(written(field_record(changed, spots=[]), changed))[0]
    assert list(nothing.ScanSpotPrescribedIndices) == [2, 3, 6, 10]


def test_interrupted_field(plan: Plan):
    after = (*TRIP[:1], STOP[1] + 1, *TRIP[2:])  # does not end what is stopped already
    record = field_record(plan, spots=INTERRUPTED, interlocks=[STOP, after])
    dataset = written(record, plan)
    beam, points = session_beam(dataset), points_of(dataset)
    assert beam.TreatmentTerminationStatus == "MACHINE"
    assert beam.TreatmentTerminationDescription.startswith("gas temperature BOX1: value 41.5 C, limit 40 C;")
    assert (
        points[4].NumberOfScanSpotPositions,
        list(np.atleast_1d(points[4].ScanSpotPrescribedIndices)),
    ) == (1, [1])
    delivered = float(beam.DeliveredPrimaryMeterset)
    assert delivered == float(points[-1].DeliveredMeterset) < beam.SpecifiedPrimaryMeterset
    assert points[-1].SpecifiedMeterset == beam.SpecifiedPrimaryMeterset


def test_layers_that_were_never_reached(plan: Plan):
    points = points_of(written(field_record(plan, spots=REORDERED[:4], interlocks=[STOP]), plan))
    end = points[1]
    for point in points[2:]:
        assert point.DeliveredMeterset == end.DeliveredMeterset
        assert (point.TreatmentControlPointDate, point.TreatmentControlPointTime) == (
            end.TreatmentControlPointDate,
            end.TreatmentControlPointTime,
        )
        assert not any(values(point, "ScanSpotMetersetsDelivered"))
        assert "ScanSpotTimeOffset" not in point
    x_mm = plan.fields[0].layers[2].x_iso_mm
    assert values(points[4], "ScanSpotPositionMap")[0::2] == x_mm.tolist()


def test_nothing_was_delivered(plan: Plan, tmp_path: Path):
    record = field_record(plan, spots=[], interlocks=[STOP])
    write_treatment_record(record, plan, tmp_path / "record.dcm")
    (field,) = read_treatment_record(tmp_path / "record.dcm").fields
    assert (field.n_delivered, field.meterset, field.termination) == (0, 0.0, "MACHINE")
    assert [point.n_spots for point in field.control_points] == [4, 4, 1, 1, 3, 3]


def test_unmeasured_positions(plan: Plan, tmp_path: Path):
    record = field_record(plan, unmeasured=[(0, 3), (2, 0), (2, 2)])
    path = tmp_path / "record.dcm"
    write_treatment_record(record, plan, path)
    dataset = dcmread(path)
    assert session_beam(dataset).BeamDescription.startswith("The positions of 3 of 8 delivered spots")
    first = points_of(dataset)[0]
    planned = plan.fields[0].layers[0]
    # Only x was not measured.
    assert values(first, "ScanSpotPositionMap")[6:] == [planned.x_iso_mm[3], planned.y_iso_mm[3] - 0.125]
    points = read_treatment_record(path).fields[0].control_points
    assert [point.measured.tolist() for point in points[0::2]] == [
        [True, True, True, False],
        [True],
        [False, True, False],
    ]


def test_interlocks(plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, interlocks=[STOP, TRIP], status="complete"), plan, path)
    first, second = session_beam(dcmread(path)).InterlockSequence
    assert first.InterlockDateTime == "20270305000002.641592"
    assert first.InterlockDescription == (
        "position x: value 2.625 mm, limit 2 mm; spill 2, slice 0, spot 1; pause of the spill"
    )
    assert first.InterlockOriginDescription == "fast control"
    (code,) = first.InterlockCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("130825", "DCM")
    (own,) = code.EquivalentCodeSequence
    assert (own.CodeValue, own.CodingSchemeDesignator, own.CodeMeaning) == ("4", "99SPOTLINE", "position x")
    assert first.InterlockResolutionCodeSequence[0].CodeMeaning == "Interlock Resolved"
    assert len(first.InterlockResolutionUserSequence) == 0
    (code,) = second.InterlockCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("20", "99SPOTLINE")
    assert second.InterlockResolutionCodeSequence[0].CodeMeaning == "Treatment Terminated"
    # A pause, or a warning before the beam, does not end a field that was completed.
    (field,) = read_treatment_record(path).fields
    assert field.termination == "NORMAL"
    assert [interlock.cause for interlock in field.interlocks] == [4, 20]
    assert field.interlocks[0].time is not None
    assert field.interlocks[0].time.isoformat() == "2027-03-05T00:00:02.641592+01:00"
    assert field.interlocks[0].resolution == "Interlock Resolved"


def test_last_pause_of_an_interrupted_field_ended_it(plan: Plan):
    record = field_record(plan, spots=INTERRUPTED, interlocks=[TRIP, TRIP])
    resolutions = [
        item.InterlockResolutionCodeSequence[0].CodeMeaning
        for item in session_beam(written(record, plan)).InterlockSequence
    ]
    assert resolutions == ["Interlock Resolved", "Treatment Terminated"]


def test_what_an_operator_has_reset_is_resolved(plan: Plan):
    """The first stop was reset; the operator then stopped the treatment."""
    operator = (interlocks.OPERATOR, STOP[1] + 1_000_000, *STOP[2:])
    register = {"latched": [], "resets": [{"time_us": STOP[1]}]}
    record = field_record(plan, spots=INTERRUPTED, interlocks=[TRIP, STOP, operator], register=register)
    beam = session_beam(written(record, plan))
    resolutions = [item.InterlockResolutionCodeSequence[0].CodeMeaning for item in beam.InterlockSequence]
    assert resolutions == ["Interlock Resolved", "Interlock Resolved", "Treatment Terminated"]
    assert beam.TreatmentTerminationStatus == "OPERATOR"
    assert beam.TreatmentTerminationDescription.startswith("operator: ")
    whole = field_record(plan, interlocks=[STOP], status="complete", register=register)
    (item,) = session_beam(written(whole, plan)).InterlockSequence
    assert item.InterlockResolutionCodeSequence[0].CodeMeaning == "Interlock Resolved"


@pytest.mark.parametrize("cause", [*CAUSES, 99])
def test_every_cause_is_read_back(cause: int, plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, interlocks=[(cause, *TRIP[1:])]), plan, path)
    (interlock,) = read_treatment_record(path).fields[0].interlocks
    assert interlock.cause == cause
    name = CAUSES[cause].name if cause in CAUSES else "unknown cause 99"
    assert interlock.description.startswith(f"{name}: value")


def test_slices_of_several_layers(plan: Plan):
    same = dataclasses.replace(plan.fields[0].layers[1], energy_MeV_u=221.45)
    changed = with_layers(plan, plan.fields[0].layers[0], same, plan.fields[0].layers[2])
    # The spots of the first two layers are mixed within their slice.
    spots = [(0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (2, 0)]
    record = field_record(changed, spots=spots, slices=[[0, 1], [2]])
    points = points_of(written(record, changed))
    assert [point.NumberOfScanSpotPositions for point in points] == [4, 4, 1, 1, 1, 1]
    assert [values(point, "ScanningSpotSize")[0] for point in points] == [6.0, 6.0, 6.0, 6.0, 7.0, 7.0]
    assert values(points[0], "ScanSpotTimeOffset") == [0.0, 2 * SPOT_US, 3 * SPOT_US, 4 * SPOT_US]
    assert points[0].ScanSpotReordered == "NO"
    assert points[2].TreatmentControlPointTime == "000000.500700"


def test_plan_with_one_control_point_per_layer(plan: Plan, tmp_path: Path):
    chain = [dataclasses.replace(layer, control_point=layer.index) for layer in plan.fields[0].layers]
    changed = with_layers(plan, *chain)
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(changed), changed, path)
    (field,) = read_treatment_record(path).fields
    assert [point.index for point in field.control_points] == [0, 1, 2, 3]
    assert [point.n_delivered for point in field.control_points] == [4, 1, 3, 0]


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


def test_large_layer(plan: Plan, tmp_path: Path):
    n_spots = 9000
    changed = with_layers(plan, layer(0, 200.0, n_spots))
    spots = [(0, spot) for spot in reversed(range(n_spots))]
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(changed, spots=spots), changed, path)
    (field,) = read_treatment_record(path).fields
    point = field.control_points[0]
    assert point.n_delivered == n_spots
    assert point.prescribed_index is not None
    assert point.prescribed_index.tolist() == list(reversed(range(n_spots)))


def spoiled(table: str = "spots", **changes: object) -> Callable[[FieldRecord], FieldRecord]:
    def spoil(record: FieldRecord) -> FieldRecord:
        spots = getattr(record, table).copy()
        for column, value in changes.items():
            spots[column][2] = value
        return dataclasses.replace(record, **{table: spots})

    return spoil


def headed(**changes: object) -> Callable[[FieldRecord], FieldRecord]:
    return lambda record: dataclasses.replace(record, header=record.header | changes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (headed(plan_sha256="beef"), r"was not made from small\.dcm"),
        (headed(started="tomorrow"), "started = 'tomorrow', which is no date"),
        (headed(meterset_per_particle=[1.0]), "meterset_per_particle has 1 values for 3 slices"),
        (
            lambda r: dataclasses.replace(r, header={k: v for k, v in r.header.items() if k != "seed"}),
            "no seed",
        ),
        (lambda r: dataclasses.replace(r, number=7), "no field has beam number 7"),
        (lambda r: dataclasses.replace(r, slices=r.slices[:0]), "meterset_per_particle has 3 values for 0"),
        (spoiled(planned_layer=3), r"slice 2: spot 0 \(layer 3, spot 0, .* is not in the plan"),
        (spoiled(planned_spot=-1), "is not in the plan"),
        (spoiled(planned_spot=3), "is not in the plan"),
        (spoiled(particles=np.nan), r"nan particles\) has a number of particles that cannot be"),
        (spoiled(particles=-1.0), "that cannot be"),
        (spoiled(slice=3), "has a slice that cannot be"),
        (spoiled("visits", slice=-1), "has a slice that cannot be"),
        (spoiled("visits", planned_spot=4), "is not in the plan"),
    ],
)
def test_records_that_contradict_themselves(
    spoil: Callable[[FieldRecord], FieldRecord], message: str, plan: Plan
):
    with pytest.raises(RecordError, match=rf"^delivery\W+field-01: field \d \(AP\).*{message}"):
        treatment_record_bytes(spoil(field_record(plan)), plan)


def test_record_of_another_plan(plan: Plan):
    record = field_record(plan)
    smaller = with_layers(plan, *plan.fields[0].layers[:2])
    with pytest.raises(RecordError, match=r"spot .* is not in the plan; give the plan that was delivered"):
        treatment_record_bytes(record, smaller)
    with pytest.raises(RecordError, match=r"slice 2: spot 0 \(layer 2, spot 0\) is not in the plan"):
        treatment_record_bytes(dataclasses.replace(record, spots=record.spots[:0]), smaller)


def test_places_that_cannot_be_written(plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write_treatment_record(field_record(plan), plan, path)
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "name",
    [
        "topas_demo_plan.dcm",
        "dcpt/eclipse_sobp_plan.dcm",
        "trip98/tst003001.rst",
    ],
)
def test_real_plans_delivered_as_planned(name: str, shared_plans: Path, tmp_path: Path):
    from spotline.plan.read import read_plan

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


# What the validator says although nothing is wrong.
FALSE_ALARMS = (
    # It does not know the enumerated values of this attribute.
    "Error - Unrecognized enumerated value <NOT_VERIFIED>",
    # The release of Debian 12 does not know the interlocks and the text of the termination yet.
    "Warning - Attribute is not present in standard DICOM IOD - (0x300a,0x07",
    "Warning - Attribute is not present in standard DICOM IOD - (0x0008,0x01",  # codes of the interlocks
    "Warning - Dicom dataset contains attributes not present in standard DICOM IOD",
)


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (package dicom3tools) is not installed"
)
@pytest.mark.parametrize(
    ("number", "spots", "more"),
    [
        (1, None, {}),
        (1, REORDERED, {"interlocks": [TRIP], "unmeasured": [(0, 3)]}),
        (1, INTERRUPTED, {"interlocks": [TRIP, STOP], "passive_elements": ["RS30", "RIFI1", "OTHER"]}),
        (1, [], {"interlocks": [STOP]}),
        (1, None, {"visits": [[(0, 0), (0, 1), (0, 2), (0, 3)], *TWO_MORE] * 3}),
        (2, None, {}),
    ],
)
def test_independent_validator_finds_no_fault(
    number: int, spots: list[tuple[int, int]] | None, more: dict[str, object], plan: Plan, tmp_path: Path
):
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, number, spots, **more), plan, path)  # type: ignore[arg-type]
    result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    output = (result.stdout + result.stderr).splitlines()
    assert "RTIonBeamsTreatmentRecord" in output
    messages = [line for line in output if line != "RTIonBeamsTreatmentRecord"]
    assert [line for line in messages if not line.startswith(FALSE_ALARMS)] == []
    if "interlocks" not in more:
        assert [message.startswith(FALSE_ALARMS[0]) for message in messages] == [True]
