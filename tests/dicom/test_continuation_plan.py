"""A continuation plan as DICOM: what it says, that it comes back, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spotline import (
    Options,
    Plan,
    PlanError,
    Record,
    continuation_plan,
    merge_records,
    prepare,
)
from spotline.dicom import continuation
from spotline.dicom.extended_plan import write_extended_plan
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.private import GROUP
from spotline.dicom.treatment_record import read_treatment_record, treatment_record_bytes
from spotline.dicom.write_plan import write_ion_plan
from spotline.plan import Continues
from spotline.planning.continuation import continuation_bytes
from tests.dicom.broken import read_or_refused
from tests.dicom.validator import needs_validator, validator_says
from tests.record.continued import LINE, MU_LINE, everything, prescribed, record_of, treatment_of
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of

fuzz = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(record: Record, path: Path, plan: Plan) -> Plan:
    """The continuation plan of a record that has no journal, as it is read from its file."""
    path.write_bytes(continuation_bytes(record, path, plan))
    return read_ion_plan(path)


def stopped(folder: Path, weights: list[float] | None = None, **facts: object) -> tuple[Plan, Path]:
    """A plan that was read from a file and stopped in its second spot, and the folder of its record."""
    first = layer([0.0, 8.0, 16.0], 0.0, [1e5, 1.2e5, 9e4], paintings=1, tune_id="small")
    second = layer(0.0, [0.0, 8.0], 7e4, index=1, energy_MeV_u=CARBON_MeV_u[1], tune_id="small")
    made = plan_of(field(first, second, snout_position_mm=420.0, **facts))
    write_ion_plan(dataclasses.replace(made, path=folder / "plan.dcm"), folder / "plan.dcm")
    return read_ion_plan(folder / "plan.dcm"), folder / "record"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Plan, Path]:
    """The plan that was delivered in part, and the file of its continuation plan."""
    plan, folder = stopped(tmp_path)
    treatment = treatment_of(plan)
    first, second, *_ = prescribed(treatment)[0]
    visits = [[(first, True), (second // 3, False), (0, False), (0, False), (0, False)]]
    path = tmp_path / "continuation.dcm"
    written(record_of(treatment, visits, folder), path, plan)
    return plan, path


def test_what_it_says(made: tuple[Plan, Path]):
    plan, path = made
    dataset = dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert (dataset.RTPlanLabel, dataset.ApprovalStatus) == ("SMALL C1", "UNAPPROVED")
    assert dataset.PatientID == "NOBODY"
    assert dataset.StudyInstanceUID == plan.identity["StudyInstanceUID"]
    assert dataset.FrameOfReferenceUID == plan.identity["FrameOfReferenceUID"]
    assert dataset.SOPInstanceUID != plan.identity["SOPInstanceUID"]
    (reference,) = dataset.ReferencedRTPlanSequence
    assert reference.ReferencedSOPInstanceUID == plan.identity["SOPInstanceUID"]
    assert reference.RTPlanRelationship == "PREDECESSOR"
    (group,) = dataset.FractionGroupSequence
    assert (group.NumberOfFractionsPlanned, group.NumberOfBeams) == (1, 1)
    (beam,) = dataset.IonBeamSequence
    assert beam.TreatmentDeliveryType == "CONTINUATION"
    points = beam.IonControlPointSequence
    assert [point.NumberOfScanSpotPositions for point in points] == [2, 2, 2, 2]
    assert points[0].ScanSpotPositionMap == [8.0, 0.0, 16.0, 0.0]
    assert [float(p.CumulativeMetersetWeight) for p in points] == pytest.approx(
        [0.0, 1.7e5, 1.7e5, 3.1e5], rel=5e-3
    )
    total = float(group.ReferencedBeamSequence[0].BeamMeterset)
    assert total == float(beam.FinalCumulativeMetersetWeight) == float(points[-1].CumulativeMetersetWeight)
    assert beam.ContinuationStartMeterset + total == pytest.approx(beam.ContinuationEndMeterset)
    assert beam.ContinuationEndMeterset == pytest.approx(plan.fields[0].meterset)
    found = read_ion_plan(path)
    assert found.continues == Continues(plan.identity["SOPInstanceUID"], plan.sha256, 1)
    assert found.fields[0].start_meterset == beam.ContinuationStartMeterset
    assert [layer.energy_MeV_u for layer in found.fields[0].layers] == list(CARBON_MeV_u[:2])
    assert found.fields[0].snout_position_mm == 420.0


def test_same_bytes_again(tmp_path: Path):
    plan, folder = stopped(tmp_path)
    treatment = treatment_of(plan)
    record = record_of(treatment, [[(10, False)] + [(0, False)] * 4], folder)
    for name in ("one.dcm", "two.dcm"):
        written(record, tmp_path / name, plan)
    assert (tmp_path / "one.dcm").read_bytes() == (tmp_path / "two.dcm").read_bytes()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("known", [True, False])
def test_comes_back_from_either_encoding(syntax: str, known: bool, made: tuple[Plan, Path], tmp_path: Path):
    """Also through a program that does not know the private tags and keeps them as UN."""
    _, path = made
    before = read_ion_plan(path)
    dataset = dcmread(path)
    if not known:
        for tag in [tag for tag in dataset.keys() if tag.group == GROUP]:  # noqa: SIM118
            element = dataset.get_item(tag)
            if tag.element != 0x10:
                dataset[tag] = element._replace(VR="UN")
    dataset.file_meta.TransferSyntaxUID = syntax
    other = tmp_path / "other.dcm"
    dataset.save_as(other, implicit_vr=syntax == ImplicitVRLittleEndian)
    found = read_ion_plan(other)
    assert found.continues == before.continues
    for one, two in zip(found.fields, before.fields, strict=True):
        assert (one.delivery_type, one.start_meterset) == (two.delivery_type, two.start_meterset)
        for a, b in zip(one.layers, two.layers, strict=True):
            assert np.array_equal(a.meterset, b.meterset)
            assert np.array_equal(a.x_iso_mm, b.x_iso_mm)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4_000_000), min_size=1, max_size=30), st.floats(0.93, 1.05))
def test_counts_survive_32_bit_weights(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], gas: float
):
    """From one count to four million, spot by spot."""
    folder = tmp_path_factory.mktemp("counts")
    n = len(counts)
    plan = plan_of(
        field(layer(np.linspace(-90.0, 90.0, n + 1), 5.0, [*(700.0 * (c + 20) for c in counts), 1e5]))
    )
    treatment = treatment_of(plan, Options(order="planned", intensity=1.0), (gas, gas))
    asked = np.array(prescribed(treatment)[0])
    assert (asked[:-1] > counts).all()
    visits = [[*((int(p - c), False) for p, c in zip(asked, counts, strict=False)), (int(asked[-1]), True)]]
    path = folder / "continuation.dcm"
    rest = written(record_of(treatment, visits, folder / "record"), path, plan)
    again = treatment_of(rest, Options(order="planned", intensity=1.0), (gas, gas))
    assert prescribed(again)[0] == counts


def test_monitor_units(tmp_path: Path):
    """Counts of a field in MU are exact too."""
    plan = plan_of(field(layer([0.0, 8.0, 16.0], 0.0, [0.4, 0.5, 0.7]), unit="MU"))
    treatment = treatment_of(plan, line=MU_LINE)
    first, second, third = prescribed(treatment)[0]
    visits = [[(first - 1, False), (second - 7, False), (0, False)]]
    record = record_of(treatment, visits, tmp_path / "record")
    rest = written(record, tmp_path / "c.dcm", plan)
    assert rest.fields[0].unit == "MU"
    again = treatment_of(rest, line=MU_LINE)
    assert prescribed(again)[0] == [1, 7, third]
    later = record_of(again, everything(again), tmp_path / "later")
    assert merge_records([record, later]).fields[0].is_complete


def test_continuation_of_a_plan_that_is_no_dicom_file(tmp_path: Path):
    plan = dataclasses.replace(plan_of(field(layer([0.0, 8.0], 0.0))), format="TRiP98 raster scan file")
    bare = dataclasses.replace(plan.fields[0], gantry_angle_deg=None, patient_support_angle_deg=None)
    plan = dataclasses.replace(plan, fields=(bare,))
    record = record_of(treatment_of(plan), [[(10, False), (0, False)]], tmp_path / "record")
    rest = written(record, tmp_path / "c.dcm", plan)
    assert rest.continues == Continues("", plan.sha256, 1)
    assert "ReferencedRTPlanSequence" not in dcmread(tmp_path / "c.dcm")
    assert (rest.fields[0].gantry_angle_deg, rest.fields[0].patient_support_angle_deg) == (90.0, 0.0)


def test_extended_plan_of_a_continuation(made: tuple[Plan, Path], tmp_path: Path):
    """The preparation of a continuation plan still says what it goes on with."""
    plan, path = made
    rest = read_ion_plan(path)
    write_extended_plan(prepare(rest, LINE), tmp_path / "extended.dcm")
    extended = read_ion_plan(tmp_path / "extended.dcm")
    assert extended.continues == rest.continues
    assert extended.fields[0].start_meterset == rest.fields[0].start_meterset
    assert extended.fields[0].delivery_type == "CONTINUATION"
    references = dcmread(tmp_path / "extended.dcm").ReferencedRTPlanSequence
    assert [r.ReferencedSOPInstanceUID for r in references] == [
        plan.identity["SOPInstanceUID"],
        rest.identity["SOPInstanceUID"],
    ]
    assert prescribed(treatment_of(extended, Options())) == prescribed(treatment_of(rest, Options()))


def test_extended_plan_that_was_not_written(tmp_path: Path):
    """A continuation plan made in Python is prepared and written without a file in between."""
    plan, folder = stopped(tmp_path)
    record = record_of(treatment_of(plan), [[(10, False)] + [(0, False)] * 4], folder)
    rest = continuation_plan(record, plan)
    write_extended_plan(prepare(rest, LINE), tmp_path / "extended.dcm")
    assert read_ion_plan(tmp_path / "extended.dcm").continues == rest.continues


def test_treatment_record(made: tuple[Plan, Path], tmp_path: Path):
    """CONTINUATION, and from where to where in the field of the first plan."""
    plan, path = made
    rest = read_ion_plan(path)
    treatment = treatment_of(rest)
    whole = everything(treatment)[0]
    record = record_of(treatment, [[whole[0], (5, False), (0, False), (0, False)]], tmp_path / "r")
    (delivered,) = record.fields
    header = {**delivered.header, "status": "interlock", "started": "2027-03-04T12:00:00"}
    content = treatment_record_bytes(dataclasses.replace(delivered, header=header), rest)
    (tmp_path / "record.dcm").write_bytes(content)
    (beam,) = dcmread(tmp_path / "record.dcm").TreatmentSessionIonBeamSequence
    assert beam.TreatmentDeliveryType == "CONTINUATION"
    assert beam.ContinuationStartMeterset == rest.fields[0].start_meterset
    end = beam.ContinuationStartMeterset + float(beam.DeliveredPrimaryMeterset)
    assert beam.ContinuationEndMeterset == pytest.approx(end)
    assert float(beam.SpecifiedPrimaryMeterset) == pytest.approx(rest.fields[0].meterset)
    (found,) = read_treatment_record(tmp_path / "record.dcm").fields
    assert (found.delivery_type, found.continuation_start) == ("CONTINUATION", beam.ContinuationStartMeterset)
    assert found.continuation_end == beam.ContinuationEndMeterset
    (other,) = record_of(treatment_of(plan), everything(treatment_of(plan)), tmp_path / "o").fields
    header = {**other.header, "status": "complete", "started": "2027-03-04T12:00:00"}
    (tmp_path / "plain.dcm").write_bytes(
        treatment_record_bytes(dataclasses.replace(other, header=header), plan)
    )
    (found,) = read_treatment_record(tmp_path / "plain.dcm").fields
    assert (found.continuation_start, found.continuation_end) == (None, None)


# What is refused


def broken(dataset: Dataset, tmp_path: Path) -> str:
    path = tmp_path / "broken.dcm"
    dataset.save_as(path)
    with pytest.raises(PlanError) as error:
        read_ion_plan(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def block_of(dataset: Dataset):
    return dataset.private_block(GROUP, continuation.CREATOR)


def test_number_that_is_none(made: tuple[Plan, Path], tmp_path: Path):
    for value in (0, [1, 2], None):
        dataset = dcmread(made[1])
        block = block_of(dataset)
        del block[continuation.NUMBER.offset]
        if value is not None:
            block.add_new(continuation.NUMBER.offset, "UL", value)
        assert "Continuation Number in the private block" in broken(dataset, tmp_path)


def test_several_plans(made: tuple[Plan, Path], tmp_path: Path):
    dataset = dcmread(made[1])
    block = block_of(dataset)
    del block[continuation.PLAN_UID.offset]
    block.add_new(continuation.PLAN_UID.offset, "UI", ["1.2", "3.4"])
    assert "has several values for one" in broken(dataset, tmp_path)


def test_block_of_a_later_version(made: tuple[Plan, Path], tmp_path: Path):
    dataset = dcmread(made[1])
    dataset[GROUP, 0x10].value = f"{continuation.NAME} 2"
    assert "'SPOTLINE CONTINUATION 2', but this Spotline reads one" in broken(dataset, tmp_path)


def test_negative_start(made: tuple[Plan, Path], tmp_path: Path):
    dataset = dcmread(made[1])
    dataset.IonBeamSequence[0].ContinuationStartMeterset = -1.0
    assert "ContinuationStartMeterset is -1" in broken(dataset, tmp_path)


@fuzz
@given(data=st.data())
def test_altered_bytes_of_the_block(data: st.DataObject, made: tuple[Plan, Path], tmp_path: Path):
    content = bytearray(made[1].read_bytes())
    start = content.index(continuation.CREATOR.encode()) - 8
    for _ in range(data.draw(st.integers(1, 4))):
        content[start + data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    path = tmp_path / "altered.dcm"
    path.write_bytes(bytes(content))
    plan = read_or_refused(read_ion_plan, path, PlanError)
    found = plan.continues if plan else None
    assert found is None or (found.number >= 1 and isinstance(found.plan_sha256, str))


@needs_validator
def test_independent_validator_finds_what_it_finds_in_any_plan(made: tuple[Plan, Path], tmp_path: Path):
    """And the two attributes that make it a standard extension."""
    _, path = made
    more = set(validator_says(path)) - set(validator_says(tmp_path / "plan.dcm"))
    assert len(more) == 3
    for said in ("(0x0074,0x0120)", "(0x0074,0x0121)", "this is a Standard Extended SOP Class"):
        (message,) = (line for line in more if said in line)
        assert message.startswith("Warning")
