"""An extended plan gives back its instructions exactly, and remains the plan that it was."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

import spotline
from spotline.dicom import private
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.write_plan import ion_plan_bytes
from spotline.errors import OutputError, PlanError
from spotline.plan import Plan
from spotline.treatment import Options
from tests.dicom.extended import (
    CODE,
    any_visits,
    clinical,
    dataset_of,
    encoded,
    plainly,
    same_instructions,
    visits,
    with_instructions,
)
from tests.dicom.plans import with_field
from tests.dicom.validator import needs_validator, validator_says
from tests.lines.trip import write_trip_line
from tests.places import EXAMPLES

# Reads a plan without Spotline, and writes it in the other encoding.
FOREIGN = """
import sys, warnings
warnings.simplefilter("ignore")
from pydicom import dcmread
from tests.places import EXAMPLES
dataset = dcmread(sys.argv[1])
text = str(dataset)
dataset.file_meta.TransferSyntaxUID = sys.argv[3]
dataset.save_as(sys.argv[2], implicit_vr=sys.argv[3] == "1.2.840.10008.1.2")
print("Slice Energy" in text, dataset.IonBeamSequence[0].IonControlPointSequence[0].NominalBeamEnergy)
"""

CHANGED = {
    "SOPInstanceUID",
    "ApprovalStatus",
    "ReviewDate",
    "ReviewTime",
    "ReviewerName",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "ReferencedRTPlanSequence",
}


def written(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_repainting_comes_back(data: st.DataObject, good_plan: Plan, tmp_path: Path):
    extended = with_instructions(good_plan, *[data.draw(any_visits(field)) for field in good_plan.fields])
    content = encoded(extended)
    found = read_ion_plan(written(content, tmp_path / "extended.dcm"))
    assert same_instructions(found, extended)
    assert clinical(found) == clinical(
        read_ion_plan(written(ion_plan_bytes(good_plan), tmp_path / "plan.dcm"))
    )
    assert encoded(found) == content


def test_spots_are_counted_as_in_the_file(dataset: Dataset, tmp_path: Path):
    point = dataset.IonBeamSequence[0].IonControlPointSequence[4]
    point.ScanSpotMetersetWeights = [0.0, *point.ScanSpotMetersetWeights[1:]]
    step = sum(point.ScanSpotMetersetWeights)
    end = dataset.IonBeamSequence[0].IonControlPointSequence[5]
    end.CumulativeMetersetWeight = point.CumulativeMetersetWeight + step
    dataset.IonBeamSequence[0].FinalCumulativeMetersetWeight = end.CumulativeMetersetWeight
    dataset.save_as(tmp_path / "gap.dcm")
    extended = with_instructions(read_ion_plan(tmp_path / "gap.dcm"))
    content = encoded(extended)
    assert same_instructions(read_ion_plan(written(content, tmp_path / "x.dcm")), extended)
    item = (
        dataset_of(content)
        .IonBeamSequence[0]
        .private_block(private.GROUP, private.CREATOR)[private.SLICES.offset][2]
    )
    block = item.private_block(private.GROUP, private.CREATOR)
    assert np.frombuffer(block[private.VISIT_SPOT.offset].value, "<u4").tolist() == [1, 2]
    assert np.frombuffer(block[private.VISIT_POINT.offset].value, "<u4").tolist() == [4, 4]
    assert block[private.CYCLE_CODE.offset].value == CODE


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_all_else_in_the_file_is_kept(syntax: str, source: Plan, tmp_path: Path):
    dataset = dcmread(source.path)
    dataset.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "as.dcm"
    dataset.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian)
    extended = with_instructions(read_ion_plan(path))
    content = encoded(extended)
    found = dataset_of(content)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert_kept(dcmread(path), found)
    assert found.SOPInstanceUID != dataset.SOPInstanceUID
    assert found.ApprovalStatus == "UNAPPROVED"
    assert "ReviewDate" not in found
    assert "InstanceCreationDate" not in found
    (original,) = found.ReferencedRTPlanSequence
    assert (original.ReferencedSOPInstanceUID, original.RTPlanRelationship) == (
        extended.prepared_for.plan_uid,
        "PREDECESSOR",
    )
    again = read_ion_plan(written(content, tmp_path / "extended.dcm"))
    assert clinical(again) == clinical(extended)
    assert encoded(again) == content


def assert_kept(before: Dataset, after: Dataset) -> None:
    """Everything that was in a dataset is still there with the same bytes, and only our block is new."""
    old, new = leaves(before), leaves(after)
    assert {place: new.get(place) for place in old} == old
    assert all(place[-1].startswith("(300B,") for place in set(new) - set(old))


def leaves(dataset: Dataset) -> dict[tuple[str, ...], object]:
    """By the way to it the bytes of each element that may not change."""
    found: dict[tuple[str, ...], object] = {}
    for tag in sorted(dataset.keys()):
        raw, element = dataset.get_item(tag), dataset[tag]
        if element.keyword in CHANGED:
            continue
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                found |= {(str(tag), str(index), *way): value for way, value in leaves(item).items()}
        else:
            value = raw.value if isinstance(raw, RawDataElement) else element.value
            found[(str(tag),)] = value or b""
    return found


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_programs_that_do_not_know_the_block_pass_it_on(syntax: str, source: Plan, tmp_path: Path):
    extended = with_instructions(source)
    path = written(encoded(extended), tmp_path / "extended.dcm")
    passed = tmp_path / "passed.dcm"
    result = subprocess.run(
        [sys.executable, "-c", FOREIGN, path, passed, syntax], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "221.45"]
    found = read_ion_plan(passed)
    assert same_instructions(found, extended)
    assert clinical(found) == clinical(extended)


def test_arrays_in_big_endian(good_plan: Plan, tmp_path: Path):
    extended = with_instructions(good_plan)
    dataset = dataset_of(encoded(extended))
    for element in dataset.iterall():
        width = {"OL": 4, "OD": 8}.get(element.VR)
        if width:
            element.value = np.frombuffer(element.value, f"<u{width}").byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    path = tmp_path / "big.dcm"
    dcmwrite(path, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    found = read_ion_plan(path)
    assert same_instructions(found, extended)
    with pytest.raises(PlanError, match="Explicit VR Big Endian"):
        encoded(found)


def test_more_visits_than_64_kB_hold(good_plan: Plan, source: Plan, tmp_path: Path):
    dataset = dcmread(source.path)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "explicit.dcm", implicit_vr=False)
    plan = read_ion_plan(tmp_path / "explicit.dcm")
    extended = with_instructions(
        plan,
        *[
            visits(field, [[1.0] * 2100] * field.n_spots, np.arange(2100 * field.n_spots), [])
            for field in plan.fields
        ],
    )
    assert extended.fields[0].instructions[0].n_visits == 16800
    found = read_ion_plan(written(encoded(extended), tmp_path / "x.dcm"))
    assert same_instructions(found, extended)


def test_moved_to_other_energies(source: Plan, tmp_path: Path):
    first = source.fields[0]
    layers = tuple(
        dataclasses.replace(layer, energy_MeV_u=round(layer.energy_MeV_u - 0.37, 2), tune_id="large")
        for layer in first.layers
    )
    moved = dataclasses.replace(
        source, fields=(dataclasses.replace(first, layers=layers), *source.fields[1:])
    )
    content = encoded(with_instructions(moved))
    found = read_ion_plan(written(content, tmp_path / "moved.dcm"))
    assert clinical(found) == clinical(moved)
    assert encoded(found) == content
    dataset = dataset_of(content)
    assert "ReferencedDoseSequence" not in dataset
    one, other = dataset.FractionGroupSequence[0].ReferencedBeamSequence
    assert "BeamDose" not in one
    assert other.BeamDose == 2.0
    assert "ReferencedDoseReferenceSequence" not in dataset.IonBeamSequence[0].IonControlPointSequence[-1]
    assert_kept(dcmread(source.path).IonBeamSequence[1], dataset.IonBeamSequence[1])


def test_energies_that_are_inherited_do_not_spread(dataset: Dataset, tmp_path: Path):
    for point in dataset.IonBeamSequence[0].IonControlPointSequence[1:]:
        del point.NominalBeamEnergy  # all layers as the first
    dataset.save_as(tmp_path / "one.dcm")
    plan = read_ion_plan(tmp_path / "one.dcm")
    first = plan.fields[0]
    layers = (dataclasses.replace(first.layers[0], energy_MeV_u=200.0), *first.layers[1:])
    moved = dataclasses.replace(plan, fields=(dataclasses.replace(first, layers=layers), *plan.fields[1:]))
    found = read_ion_plan(written(encoded(with_instructions(moved)), tmp_path / "moved.dcm"))
    assert [layer.energy_MeV_u for layer in found.fields[0].layers] == [200.0, 221.45, 221.45]


def test_text_beyond_the_character_set(source: Plan, tmp_path: Path):
    dataset = dcmread(source.path)
    del dataset.SpecificCharacterSet
    dataset.save_as(tmp_path / "ascii.dcm")
    plan = with_instructions(read_ion_plan(tmp_path / "ascii.dcm"))
    line = dataclasses.replace(plan, prepared_for=dataclasses.replace(plan.prepared_for, beamline="线"))
    with pytest.raises(PlanError, match="SpecificCharacterSet cannot hold '线'"):
        encoded(line)
    focus = dataclasses.replace(plan.fields[0].instructions[0], focus="фокус")
    with pytest.raises(PlanError, match="SpecificCharacterSet cannot hold 'фокус'"):
        encoded(with_field(plan, instructions=(focus, *plan.fields[0].instructions[1:])))


def test_fields_without_instructions_have_no_block(source: Plan, tmp_path: Path):
    whole = read_ion_plan(written(encoded(with_instructions(source)), tmp_path / "whole.dcm"))
    part = with_instructions(whole, (), whole.fields[1].instructions)
    found = read_ion_plan(written(encoded(part), tmp_path / "part.dcm"))
    assert found.fields[0].instructions == ()
    assert same_instructions(found, part)
    kept = dataset_of(encoded(part)).IonBeamSequence[0]
    assert_kept(dcmread(source.path).IonBeamSequence[0], kept)


@pytest.mark.parametrize(
    "options", [None, Options(paintings=3, repainting="back_and_forth", order="planned")]
)
@pytest.mark.parametrize(
    ("name", "line"), [("uniform_carbon_60mm.dcm", "cnao-h"), ("three_layers_proton.dcm", "cnao-h")]
)
def test_prepare_is_idempotent(name: str, line: str, options: Options | None, tmp_path: Path):
    beamline = spotline.load_beamline(line)
    plan = spotline.read_plan(EXAMPLES / name)
    treatment = spotline.prepare(plan, beamline, options=options)
    spotline.write_extended_plan(treatment, tmp_path / "one.dcm")
    read = spotline.read_plan(tmp_path / "one.dcm")
    assert same_instructions(read, treatment.extended_plan)
    assert clinical(read) == clinical(plan)
    spotline.write_extended_plan(spotline.prepare(read, beamline), tmp_path / "two.dcm")
    assert (tmp_path / "one.dcm").read_bytes() == (tmp_path / "two.dcm").read_bytes()
    anew = spotline.prepare(read, beamline, options=options or Options())
    spotline.write_extended_plan(anew, tmp_path / "three.dcm")
    assert (tmp_path / "one.dcm").read_bytes() == (tmp_path / "three.dcm").read_bytes()

    beam = dcmread(tmp_path / "one.dcm").IonBeamSequence[0]
    block = beam.private_block(private.GROUP, private.CREATOR)
    codes = [
        item.private_block(private.GROUP, private.CREATOR)[private.CYCLE_CODE.offset].value
        for item in block[private.SLICES.offset]
    ]
    assert [int(code, 16) for code in codes] == [s.cycle_code for s in treatment.fields[0].slices]
    with pytest.raises(OutputError, match="exists already"):
        spotline.write_extended_plan(treatment, tmp_path / "one.dcm")


def test_trip98_plan(shared_plans: Path, tmp_path: Path):
    beamline = spotline.load_beamline(str(write_trip_line(tmp_path / "trip")))
    plan = spotline.read_plan(shared_plans / "trip98" / "tst003012.rst")
    with pytest.raises(PlanError, match="gantry_angle_deg"):
        spotline.write_extended_plan(spotline.prepare(plan, beamline), tmp_path / "no.dcm")
    assert not (tmp_path / "no.dcm").exists()
    plan = with_field(plan, gantry_angle_deg=0.0, patient_support_angle_deg=0.0)
    treatment = spotline.prepare(plan, beamline)
    spotline.write_extended_plan(treatment, tmp_path / "one.dcm")
    read = spotline.read_plan(tmp_path / "one.dcm")
    assert same_instructions(read, treatment.extended_plan)
    assert (read.prepared_for.plan_sha256, read.prepared_for.plan_uid) == (plan.sha256, "")
    geometry = beamline.facts.geometry
    assert list(dcmread(tmp_path / "one.dcm").IonBeamSequence[0].VirtualSourceAxisDistances) == [
        geometry.x_source_to_isocentre_mm,
        geometry.y_source_to_isocentre_mm,
    ]
    spotline.write_extended_plan(spotline.prepare(read, beamline), tmp_path / "two.dcm")
    assert (tmp_path / "one.dcm").read_bytes() == (tmp_path / "two.dcm").read_bytes()


def test_plans_of_other_planning_systems(shared_plans: Path, tmp_path: Path):
    seen = 0
    for path in sorted(shared_plans.rglob("*.dcm")):
        if path.name.startswith("CT."):
            continue
        try:
            plan = read_ion_plan(path)
        except PlanError:
            continue
        content = encoded(with_instructions(plan, *[plainly(field, 2) for field in plan.fields]))
        assert_kept(dcmread(path), dataset_of(content))
        found = read_ion_plan(written(content, tmp_path / f"{seen}.dcm"))
        assert clinical(found) == clinical(plan)
        assert encoded(found) == content
        seen += 1
    assert seen >= 5


@needs_validator
def test_independent_validator_finds_no_new_fault(source: Plan, tmp_path: Path):
    path = written(encoded(with_instructions(source)), tmp_path / "extended.dcm")
    known, lines = validator_says(source.path), validator_says(path)
    assert any("RTIonPlan" in line for line in lines)
    assert [line for line in lines if "Error" in line and line not in known] == []
