"""A treatment record is read with all that it says; what contradicts itself is refused or warned of."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spotline.dicom.treatment_record import read_treatment_record
from spotline.errors import RecordError
from spotline.plan import Plan
from tests.dicom.broken import save
from tests.dicom.written import cp, points_of, session_beam


def test_places_that_are_no_record(tmp_path: Path):
    with pytest.raises(RecordError, match="cannot be read"):
        read_treatment_record(tmp_path / "nothing.dcm")
    path = tmp_path / "text.dcm"
    path.write_text("no record")
    with pytest.raises(RecordError, match="is not a DICOM file"):
        read_treatment_record(path)


def test_what_is_read(record: Dataset, good_plan: Plan, tmp_path: Path):
    found = read_treatment_record(save(record, tmp_path))
    assert (found.machine, found.unit, found.index_base, found.warnings) == ("cnao-h", "NP", 1, ())
    assert found.plan_uid == ""
    (field,) = found.fields
    assert (field.number, field.name, field.delivery_type, field.fraction) == (1, "AP", "TREATMENT", 1)
    assert field.termination == "MACHINE"
    assert (field.n_delivered, field.specified_meterset) == (6, good_plan.fields[0].meterset)
    assert field.meterset == pytest.approx(float(session_beam(record).DeliveredPrimaryMeterset))
    first, second = field.control_points[:2]
    assert (first.index, first.energy_MeV_u, first.tune_id, first.fwhm_mm) == (0, 221.45, "small", (6.0, 6.5))
    assert (first.specified_meterset, first.delivered_meterset) == (0.0, 0.0)
    assert first.time is not None
    assert first.time.isoformat() == "2027-03-05T00:00:00.500000+01:00"
    assert first.reordered
    planned = good_plan.fields[0].layers[0]
    order = [2, 1, 3, 0]
    assert first.prescribed_index is not None
    assert first.prescribed_index.tolist() == order
    expected = planned.x_iso_mm[order] + [0.25, 0.25, 0.0, 0.25]
    np.testing.assert_array_equal(first.x_iso_mm, expected)
    np.testing.assert_array_equal(first.y_iso_mm, planned.y_iso_mm[order] - 0.125)
    assert first.measured.tolist() == [True, True, False, True]
    assert first.time_offset_us is not None
    assert first.time_offset_us.tolist() == [0.0, 700.0, 1400.0, 2100.0]
    assert (second.n_spots, second.n_delivered, second.time_offset_us) == (4, 0, None)
    assert field.control_points[2].reordered is False
    assert field.control_points[2].prescribed_index is None


def test_indices_from_zero_are_found_out(record: Dataset, tmp_path: Path):
    for index in (0, 1, 4, 5):
        point = cp(index)(record)
        point.ScanSpotPrescribedIndices = [int(i) - 1 for i in np.atleast_1d(point.ScanSpotPrescribedIndices)]
    found = read_treatment_record(save(record, tmp_path))
    assert found.index_base == 0
    assert "ScanSpotPrescribedIndices count from 0" in found.warnings[0]
    index = found.fields[0].control_points[0].prescribed_index
    assert index is not None
    assert index.tolist() == [2, 1, 3, 0]


def test_what_is_missing_but_not_needed_is_a_warning(record: Dataset, tmp_path: Path):
    del record.PrimaryDosimeterUnit, record.Modality, session_beam(record).TreatmentTerminationStatus
    del session_beam(record).DeliveredPrimaryMeterset, session_beam(record).InterlockSequence
    del cp(0)(record).TreatmentControlPointDate, cp(0)(record).SpecifiedMeterset
    del record.ReferencedRTPlanSequence, record.TreatmentMachineSequence
    found = read_treatment_record(save(record, tmp_path))
    assert [warning.split(": ")[-1] for warning in found.warnings] == [
        "Modality is missing, not RTRECORD",
        "PrimaryDosimeterUnit is missing, so the unit of the metersets is not known",
        "TreatmentTerminationStatus is missing",
    ]
    assert (found.unit, found.machine, found.fields[0].interlocks) == ("", "", ())
    assert found.fields[0].control_points[0].time is None


def as_specified(dataset: Dataset, factor: float) -> None:
    """Do as C.8.8.21.2.2 says: specified values where control points are complete, measured spots."""
    points = points_of(dataset)
    end = float(points[4].SpecifiedMeterset) + 40000.0
    for point in points:
        point.DeliveredMeterset = str(min(float(point.SpecifiedMeterset), end))
    for index, step in ((0, 206000.0), (2, 50000.0), (4, 40000.0)):
        n_spots = int(points[index].NumberOfScanSpotPositions)
        points[index].ScanSpotMetersetsDelivered = [step * factor / n_spots] * n_spots
    session_beam(dataset).DeliveredPrimaryMeterset = str(end)


def test_metersets_as_specified(record: Dataset, tmp_path: Path):
    as_specified(record, 1.01)
    found = read_treatment_record(save(record, tmp_path))
    assert len(found.warnings) == 3
    assert (
        "control point 0: ScanSpotMetersetsDelivered add up to 208060 but DeliveredMeterset"
        in found.warnings[0]
    )
    assert found.fields[0].meterset == pytest.approx(1.01 * 296000.0)
    as_specified(record, 1.1)
    with pytest.raises(RecordError, match="control point 0: ScanSpotMetersetsDelivered add up to 226600"):
        read_treatment_record(save(record, tmp_path))


@pytest.mark.parametrize("explicit", [True, False])
def test_encoded_otherwise_than_announced(explicit: bool, record: Dataset, tmp_path: Path):
    heads, bodies = {}, {}
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        record.file_meta.TransferSyntaxUID = syntax
        encoded = BytesIO()
        implicit = syntax == ImplicitVRLittleEndian
        record.save_as(encoded, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
        heads[implicit], found, body = encoded.getvalue().partition(b"\x08\x00\x05\x00")
        bodies[implicit] = found + body
    path = tmp_path / "record.dcm"
    path.write_bytes(heads[explicit] + bodies[not explicit])
    found = read_treatment_record(path)
    kinds = ("Implicit", "Explicit") if explicit else ("Explicit", "Implicit")
    assert found.warnings == (f"the header announces {kinds[0]} VR but the file is encoded in {kinds[1]} VR",)
    assert found.fields[0].n_delivered == 6
    assert found.fields[0].control_points[0].measured.tolist() == [True, True, False, True]


def test_proper_explicit_encoding(record: Dataset, tmp_path: Path):
    record.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "record.dcm"
    record.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    assert read_treatment_record(path).warnings == ()


def test_real_records(shared_plans: Path):
    paths = sorted((shared_plans / "records").glob("*.dcm"))
    records = [read_treatment_record(path) for path in paths]
    assert [(r.fields[0].n_delivered, len(r.fields[0].control_points)) for r in records] == [
        (6069, 42),
        (5775, 30),
    ]
    for record in records:
        assert record.warnings[0] == "the header announces Implicit VR but the file is encoded in Explicit VR"
        assert not any("add up" in warning for warning in record.warnings)
