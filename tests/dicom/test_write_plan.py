"""What is written is read again, and is the same on every day."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.write_plan import ion_plan_bytes, write_ion_plan
from spotline.errors import OutputError, PlanError
from spotline.physics.ions import IONS
from spotline.plan import Field, Layer, PassiveElement, Plan
from tests.dicom.plans import with_field
from tests.dicom.validator import errors_in_plan, needs_validator


def assert_same(found: Plan, expected: Plan) -> None:
    """Compare all that DICOM can hold, spots as 32-bit floats."""
    assert found.label == expected.label
    assert (found.fractions_planned, found.fraction_group) == (
        expected.fractions_planned,
        expected.fraction_group,
    )
    for keyword, text in expected.identity.items():
        assert found.identity[keyword] == text
    for a, b in zip(found.fields, expected.fields, strict=True):
        assert dataclasses.replace(a, layers=(), passive=()) == dataclasses.replace(
            b, layers=(), passive=()
        ) or (same_facts(a, b))
        for one, other in zip(a.passive, b.passive, strict=True):
            assert (one.kind, one.id, one.type) == (other.kind, other.id, other.type)
            assert as_float32(one.wet_mm) == as_float32(other.wet_mm)
            assert as_float32(one.isocentre_distance_mm) == as_float32(other.isocentre_distance_mm)
        for layer, planned in zip(a.layers, b.layers, strict=True):
            assert_same_layer(layer, planned)


def as_float32(value: float | None) -> float | None:
    return None if value is None else float(np.float32(value))


# What DICOM requires is there when it is read back, whether the plan stated it or not.
SAID_BY_THE_FILE = ("patient_position", "setup_number", "source_axis_distances_mm", "as_planned", "notes")


def same_facts(a: Field, b: Field) -> bool:
    left_out = ("layers", "passive", *SAID_BY_THE_FILE)
    names = [f.name for f in dataclasses.fields(Field) if f.name not in left_out]
    return all(getattr(a, name) == getattr(b, name) for name in names)


def assert_same_layer(layer: Layer, planned: Layer) -> None:
    names = ("index", "energy_MeV_u", "tune_id", "paintings", "control_point")
    assert [getattr(layer, name) for name in names] == [getattr(planned, name) for name in names]
    np.testing.assert_array_equal(layer.x_iso_mm, planned.x_iso_mm.astype(np.float32))
    np.testing.assert_array_equal(layer.y_iso_mm, planned.y_iso_mm.astype(np.float32))
    np.testing.assert_allclose(layer.meterset, planned.meterset, rtol=2e-7)
    for name in ("fwhm_x_mm", "fwhm_y_mm"):
        assert as_float32(getattr(layer, name)) == as_float32(getattr(planned, name))


def test_round_trip(good_plan: Plan, tmp_path: Path):
    path = tmp_path / "plan.dcm"
    write_ion_plan(good_plan, path)
    assert_same(read_ion_plan(path), good_plan)


coordinate = st.floats(-200.0, 200.0, width=32)


@st.composite
def layers(draw: st.DrawFn, index: int) -> Layer:
    n_spots = draw(st.integers(1, 8))
    sized = draw(st.booleans())
    return Layer(
        index=index,
        energy_MeV_u=draw(st.floats(1.0, 500.0)),
        x_iso_mm=draw(hnp.arrays(np.float64, n_spots, elements=coordinate)),
        y_iso_mm=draw(hnp.arrays(np.float64, n_spots, elements=coordinate)),
        meterset=draw(hnp.arrays(np.float64, n_spots, elements=st.floats(1e-3, 1e9))),
        fwhm_x_mm=draw(st.floats(0.5, 50.0)) if sized else None,
        fwhm_y_mm=draw(st.floats(0.5, 50.0)) if sized else None,
        tune_id=draw(st.sampled_from(["", "small", "F 1"])),
        paintings=draw(st.integers(1, 20)),
        control_point=2 * index,
    )


@st.composite
def fields(draw: st.DrawFn, number: int) -> Field:
    return Field(
        number=number,
        name=draw(st.sampled_from(["AP", "Feld für Öl", "left^1"])),
        ion=draw(st.sampled_from(list(IONS.values()))),
        unit=draw(st.sampled_from(["NP", "MU"])),
        layers=tuple(draw(layers(index)) for index in range(draw(st.integers(1, 4)))),
        gantry_angle_deg=draw(st.sampled_from([0.0, 90.0, 123.4])),
        patient_support_angle_deg=draw(st.sampled_from([0.0, 355.5])),
        isocentre_mm=draw(st.none() | st.just((1.25, -2.5, 1e-3))),
        snout_position_mm=draw(st.none() | st.just(420.5)),
        machine="cnao-h",
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trip_of_any_plan(data: st.DataObject, good_plan: Plan, tmp_path: Path):
    numbers = data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True))
    drawn = tuple(data.draw(fields(number)) for number in numbers)
    plan = dataclasses.replace(good_plan, fields=drawn)
    path = tmp_path / "plan.dcm"
    path.write_bytes(ion_plan_bytes(plan))
    found = read_ion_plan(path)
    for a, b in zip(found.fields, plan.fields, strict=True):
        energies = [layer.energy_MeV_u for layer in a.layers]
        np.testing.assert_allclose(energies, [layer.energy_MeV_u for layer in b.layers], rtol=1e-13)
        rounded = [
            dataclasses.replace(layer, energy_MeV_u=energy)
            for layer, energy in zip(b.layers, energies, strict=True)
        ]
        for layer, planned in zip(a.layers, rounded, strict=True):
            assert_same_layer(layer, planned)
        assert same_facts(a, b)


def test_same_plan_makes_the_same_bytes(good_plan: Plan, good_bytes: bytes):
    assert ion_plan_bytes(good_plan) == good_bytes


def test_another_plan_has_other_identifiers(good_plan: Plan, good_bytes: bytes):
    first = dcmread(BytesIO(good_bytes))
    second = dcmread(BytesIO(ion_plan_bytes(dataclasses.replace(good_plan, label="OTHER"))))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.StudyInstanceUID == second.StudyInstanceUID == "1.2.3.4"
    assert first.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def test_creation_time(good_plan: Plan, dataset):
    created = datetime(2027, 3, 4, 5, 6, 7, tzinfo=UTC)
    written = dcmread(BytesIO(ion_plan_bytes(good_plan, creation=created)))
    assert (written.RTPlanDate, written.RTPlanTime) == ("20270304", "050607")
    assert written.InstanceCreationDate == "20270304"
    assert dataset.RTPlanDate == ""
    assert "InstanceCreationDate" not in dataset


def test_decimal_strings_fit_and_cumulative_weights_close(good_plan: Plan):
    layer = dataclasses.replace(good_plan.fields[0].layers[0], meterset=np.array([1 / 3, 2e9 / 3, 1e-3, 7.0]))
    written = dcmread(BytesIO(ion_plan_bytes(with_field(good_plan, layers=(layer,)))))
    beam = written.IonBeamSequence[0]
    meterset = written.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset
    assert str(beam.FinalCumulativeMetersetWeight) == str(meterset)
    assert str(meterset) == str(beam.IonControlPointSequence[-1].CumulativeMetersetWeight)
    assert len(str(meterset)) <= 16


def test_large_layer(good_plan: Plan, tmp_path: Path):
    n_spots = 20000
    large = Layer(0, 200.0, np.arange(n_spots) % 100.0, np.zeros(n_spots), np.full(n_spots, 1e4))
    path = tmp_path / "large.dcm"
    write_ion_plan(with_field(good_plan, layers=(large,)), path)
    assert read_ion_plan(path).fields[0].meterset == pytest.approx(2e8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gantry_angle_deg": None}, "gantry_angle_deg"),
        ({"patient_support_angle_deg": None}, "patient_support_angle_deg"),
        ({"layers": ()}, "has no layers"),
        ({"machine": "a machine with a long name"}, "TreatmentMachineName"),
        ({"name": "x" * 65}, "BeamName"),
        ({"name": "a\\b"}, "BeamName"),
        ({"passive": (PassiveElement("block", "apt"),)}, "the block 'apt' cannot be written"),
        ({"passive": (PassiveElement("range_shifter", "x" * 17),)}, "RangeShifterID"),
    ],
)
def test_what_dicom_cannot_hold(changes: dict[str, object], message: str, good_plan: Plan):
    with pytest.raises(PlanError, match=rf"field 1 .*{message}"):
        ion_plan_bytes(with_field(good_plan, **changes))


def test_invalid_identity(good_plan: Plan):
    identity = {"PatientBirthDate": "long ago"}
    with pytest.raises(PlanError, match="PatientBirthDate 'long ago'"):
        ion_plan_bytes(dataclasses.replace(good_plan, identity=identity))


def test_places_that_cannot_be_written(good_plan: Plan, tmp_path: Path):
    path = tmp_path / "plan.dcm"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write_ion_plan(good_plan, path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(OutputError, match="cannot be written"):
        write_ion_plan(good_plan, tmp_path / "no" / "folder" / "plan.dcm")


def test_full_disk_leaves_nothing(good_plan: Plan, tmp_path: Path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_ion_plan(good_plan, tmp_path / "plan.dcm")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@needs_validator
def test_independent_validator_finds_no_fault(good_plan: Plan, tmp_path: Path):
    path = tmp_path / "plan.dcm"
    write_ion_plan(good_plan, path)
    assert errors_in_plan(path) == []
