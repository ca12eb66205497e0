"""Each rule of a treatment record is broken once, and the message has to say where and what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spotline.dicom.treatment_record import read_treatment_record, treatment_record_bytes
from spotline.errors import RecordError
from spotline.plan import Plan
from tests.dicom.delivered import STOP, TRIP, field_record

Break = Callable[[Dataset], object]

SPOTS = [(0, 2), (0, 1), (0, 3), (0, 0), (1, 0), (2, 0)]


@pytest.fixture(scope="session")
def record_bytes(good_plan: Plan) -> bytes:
    """An interrupted field: reordered spots, a partial layer, an interlock, an unmeasured position."""
    record = field_record(good_plan, spots=SPOTS, interlocks=[TRIP, STOP], unmeasured=[(0, 3)])
    return treatment_record_bytes(record, good_plan)


@pytest.fixture
def record(record_bytes: bytes) -> Dataset:
    """Its dataset, to be broken."""
    return dcmread(BytesIO(record_bytes))


def itself(dataset: Dataset) -> Dataset:
    return dataset


def beam(dataset: Dataset) -> Dataset:
    return dataset.TreatmentSessionIonBeamSequence[0]


def cp(index: int) -> Callable[[Dataset], Dataset]:
    return lambda dataset: beam(dataset).IonControlPointDeliverySequence[index]


def interlock(dataset: Dataset) -> Dataset:
    return beam(dataset).InterlockSequence[0]


def put(find: Callable[[Dataset], Dataset], **values: object) -> Break:
    def breaks(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(find(dataset), keyword, value)

    return breaks


def remove(find: Callable[[Dataset], Dataset], keyword: str) -> Break:
    return lambda dataset: delattr(find(dataset), keyword)


def raw(find: Callable[[Dataset], Dataset], keyword: str, text: str) -> Break:
    """Write a text where DICOM wants something else, past the checks of pydicom."""

    def breaks(dataset: Dataset) -> None:
        tag = tag_for_keyword(keyword)
        assert tag is not None
        find(dataset)[tag] = DataElement(tag, "LO", text)

    return breaks


def private(value: list[int]) -> Break:
    def breaks(dataset: Dataset) -> None:
        cp(0)(dataset).private_block(0x3009, "SPOTLINE")[0x01].value = np.array(value, "<u4").tobytes()

    return breaks


def save(dataset: Dataset, folder: Path) -> Path:
    path = folder / "record.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


FIELD = "field 1 (AP)"
POINT_0 = f"{FIELD}, control point 0"
POINT_2 = f"{FIELD}, control point 2"

RULES: dict[str, tuple[Break, Iterable[str]]] = {
    # what the file is
    "plan": (
        put(itself, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.8"),
        ["RT Ion Plan Storage, not RT Ion Beams"],
    ),
    "no SOP class": (remove(itself, "SOPClassUID"), ["SOPClassUID is missing"]),
    "no beams": (
        remove(itself, "TreatmentSessionIonBeamSequence"),
        ["TreatmentSessionIonBeamSequence is missing"],
    ),
    "only setup": (put(beam, TreatmentDeliveryType="SETUP"), ["has no treatment beam"]),
    "unit": (put(itself, PrimaryDosimeterUnit="MINUTE"), ["PrimaryDosimeterUnit is MINUTE"]),
    # the beam
    "no number": (remove(beam, "ReferencedBeamNumber"), ["item 0", "ReferencedBeamNumber is missing"]),
    "no scan mode": (remove(beam, "ScanMode"), [FIELD, "ScanMode is missing"]),
    "scattered": (put(beam, ScanMode="NONE"), [FIELD, "ScanMode is NONE"]),
    "moving": (put(beam, ModulatedScanModeType="LINEAR"), [FIELD, "ModulatedScanModeType is LINEAR"]),
    "no points": (
        remove(beam, "IonControlPointDeliverySequence"),
        [FIELD, "IonControlPointDeliverySequence is missing"],
    ),
    "number of points": (
        put(beam, NumberOfControlPoints=7),
        [FIELD, "NumberOfControlPoints is 7", "has 6 items"],
    ),
    "delivered meterset of the beam": (
        put(beam, DeliveredPrimaryMeterset="300000"),
        [FIELD, "DeliveredPrimaryMeterset is 300000 but ScanSpotMetersetsDelivered add up to 3061"],
    ),
    # the control points
    "no index": (remove(cp(1), "ReferencedControlPointIndex"), ["control point item 1", "is missing"]),
    "index twice": (
        put(cp(1), ReferencedControlPointIndex=0),
        ["control point item 1", "ReferencedControlPointIndex is 0 after 0"],
    ),
    "no delivered meterset": (remove(cp(2), "DeliveredMeterset"), [POINT_2, "DeliveredMeterset is missing"]),
    "falling delivered meterset": (
        put(cp(2), DeliveredMeterset="206000"),
        [POINT_2, "DeliveredMeterset is 206000 but 206101.5977 before", "may only grow"],
    ),
    "falling specified meterset": (
        put(cp(2), SpecifiedMeterset="205000"),
        [POINT_2, "SpecifiedMeterset is 205000 but 206000 before"],
    ),
    "sum of the spots": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, 52000.0, 53000.0, 50050.0]),
        [POINT_0, "ScanSpotMetersetsDelivered add up to 207050 but DeliveredMeterset grows by 206101.5977"],
    ),
    "spots at the end of a layer": (
        put(cp(1), ScanSpotMetersetsDelivered=[1.0, 0.0, 0.0, 0.0]),
        [f"{FIELD}, control point 1", "add up to 1 but DeliveredMeterset grows by 0"],
    ),
    "no number of spots": (
        remove(cp(0), "NumberOfScanSpotPositions"),
        [POINT_0, "NumberOfScanSpotPositions is missing"],
    ),
    "negative number of spots": (
        put(cp(0), NumberOfScanSpotPositions=-1),
        [POINT_0, "is -1, less than zero"],
    ),
    "number of metersets": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, 51000.0, 53000.0]),
        [POINT_0, "ScanSpotMetersetsDelivered has 3 values but NumberOfScanSpotPositions 4 needs 4"],
    ),
    "no metersets": (
        remove(cp(0), "ScanSpotMetersetsDelivered"),
        [POINT_0, "ScanSpotMetersetsDelivered is missing"],
    ),
    "negative meterset": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, -51000.0, 53000.0, 0.0]),
        [POINT_0, "ScanSpotMetersetsDelivered is -51000 at spot 1"],
    ),
    "meterset that is no number": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, float("nan"), 53000.0, 0.0]),
        [POINT_0, "ScanSpotMetersetsDelivered has the value nan at index 1"],
    ),
    "number of positions": (
        put(cp(0), ScanSpotPositionMap=[1.0] * 7),
        [POINT_0, "ScanSpotPositionMap has 7 values but NumberOfScanSpotPositions 4 needs 8"],
    ),
    "number of time offsets": (
        put(cp(0), ScanSpotTimeOffset=[0.0, 1.0]),
        [POINT_0, "ScanSpotTimeOffset has 2 values"],
    ),
    "number of sizes": (
        put(cp(0), ScanSpotSizesDelivered=[6.0] * 4),
        [POINT_0, "ScanSpotSizesDelivered has 4 values", "needs 8"],
    ),
    "spot size": (
        put(cp(0), ScanningSpotSize=6.0),
        [POINT_0, "ScanningSpotSize has 1 values instead of two"],
    ),
    "number of indices": (
        put(cp(0), ScanSpotPrescribedIndices=[1, 2]),
        [POINT_0, "ScanSpotPrescribedIndices has 2 values"],
    ),
    "no indices": (
        remove(cp(0), "ScanSpotPrescribedIndices"),
        [POINT_0, "ScanSpotPrescribedIndices is missing or empty, but ScanSpotReordered is YES"],
    ),
    "negative index": (
        put(cp(0), ScanSpotPrescribedIndices=[3, -2, 4, 1]),
        [POINT_0, "ScanSpotPrescribedIndices is -2 at spot 1"],
    ),
    "reordered": (put(cp(0), ScanSpotReordered="MAYBE"), [POINT_0, "ScanSpotReordered is MAYBE"]),
    "time": (
        raw(cp(0), "TreatmentControlPointTime", "25:00"),
        [POINT_0, "TreatmentControlPointTime is 20270305"],
    ),
    "hour": (
        raw(cp(0), "TreatmentControlPointTime", "250000"),
        [POINT_0, "TreatmentControlPointTime is 20270305250000, which is no date and time"],
    ),
    "energy": (raw(cp(2), "NominalBeamEnergy", "high"), [POINT_2, "NominalBeamEnergy cannot be decoded"]),
    "unmeasured spot 0": (private([0]), [POINT_0, "the list of unmeasured positions", "is damaged"]),
    "unmeasured spot 5": (private([5]), [POINT_0, "the list of unmeasured positions"]),
    # interlocks
    "time of an interlock": (
        raw(interlock, "InterlockDateTime", "noon"),
        [FIELD, "InterlockSequence item 0", "InterlockDateTime is noon"],
    ),
    "code of an interlock": (
        lambda ds: setattr(
            interlock(ds).InterlockCodeSequence[0].EquivalentCodeSequence[0], "CodeValue", "x"
        ),
        [FIELD, "InterlockSequence item 0", "CodeValue cannot be decoded"],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, record: Dataset, tmp_path: Path):
    breaks, expected = RULES[rule]
    breaks(record)
    path = save(record, tmp_path)
    with pytest.raises(RecordError) as error:
        read_treatment_record(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for text in expected:
        assert text in message
    what, _, advice = message.rpartition("; ")
    assert what
    assert "record" in advice or "give" in advice
    assert "plan" not in advice


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
    assert field.meterset == pytest.approx(float(beam(record).DeliveredPrimaryMeterset))
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
    del record.PrimaryDosimeterUnit, record.Modality, beam(record).TreatmentTerminationStatus
    del beam(record).DeliveredPrimaryMeterset, beam(record).InterlockSequence
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
    points = beam(dataset).IonControlPointDeliverySequence
    end = float(points[4].SpecifiedMeterset) + 40000.0
    for point in points:
        point.DeliveredMeterset = str(min(float(point.SpecifiedMeterset), end))
    for index, step in ((0, 206000.0), (2, 50000.0), (4, 40000.0)):
        n_spots = int(points[index].NumberOfScanSpotPositions)
        points[index].ScanSpotMetersetsDelivered = [step * factor / n_spots] * n_spots
    beam(dataset).DeliveredPrimaryMeterset = str(end)


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


fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(data=st.data())
def test_truncated_files_are_refused(data: st.DataObject, record_bytes: bytes, tmp_path: Path):
    end_of_beams = record_bytes.index(
        b"\x08\x30\x50\x02"
    )  # without what follows the record would be complete
    path = tmp_path / "cut.dcm"
    path.write_bytes(record_bytes[: data.draw(st.integers(0, end_of_beams - 1))])
    with pytest.raises(RecordError) as error:
        read_treatment_record(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@fuzz
@given(data=st.data())
def test_altered_bytes_never_crash(data: st.DataObject, record_bytes: bytes, tmp_path: Path):
    content = bytearray(record_bytes)
    places = st.lists(
        st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=5
    )
    for position, byte in data.draw(places):
        content[position] = byte
    path = tmp_path / "altered.dcm"
    path.write_bytes(bytes(content))
    try:
        record = read_treatment_record(path)
    except RecordError as error:
        message = str(error)
    else:
        message = f"{path}: "
        for field in record.fields:
            for point in field.control_points:
                assert len(point.x_iso_mm) == len(point.y_iso_mm) == len(point.measured) == point.n_spots
                assert (point.meterset >= 0.0).all()
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
