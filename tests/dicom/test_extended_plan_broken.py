"""An extended plan that is not what was written is refused, and says why."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from spotline.dicom import private
from spotline.dicom.instructions import repainting
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.private import Block, PrivateTag
from spotline.errors import PlanError
from spotline.plan import Plan
from tests.dicom.broken import read_or_refused, refusal
from tests.dicom.extended import dataset_of, encoded, plainly, same_instructions, visits, with_instructions

AGAIN = "prepare the plan of the planning system again"
PLAN, BEAM, SLICE = private.LEVELS.values()
CREATOR = (private.GROUP, 0x0010)

fuzz = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def plan(good_plan: Plan) -> Plan:
    return with_instructions(good_plan, *[plainly(field, 2) for field in good_plan.fields])


@pytest.fixture(scope="module")
def content(plan: Plan) -> bytes:
    return encoded(plan)


@pytest.fixture
def extended(content: bytes) -> Dataset:
    return dataset_of(content)


def block_of(dataset: Dataset) -> Block:
    return Block(dataset, 0x10, "")


def beam(dataset: Dataset) -> Block:
    return block_of(dataset.IonBeamSequence[0])


def slice_(dataset: Dataset, index: int = 0) -> Block:
    return block_of(beam(dataset).items(private.SLICES)[index])


LEVELS = {"plan": (block_of, PLAN), "beam": (beam, BEAM), "slice": (slice_, SLICE)}


def refused(dataset: Dataset, tmp_path: Path) -> str:
    path = tmp_path / "broken.dcm"
    dataset.save_as(path)
    message = refusal(read_ion_plan, path, PlanError)
    assert message.endswith(AGAIN)
    return message


@pytest.mark.parametrize(
    ("level", "tag"), [(level, tag) for level, (_, tags) in LEVELS.items() for tag in tags], ids=str
)
def test_missing_element(level: str, tag: PrivateTag, extended: Dataset, tmp_path: Path):
    block = LEVELS[level][0](extended)
    del block.dataset[block.tag(tag)]
    assert f"{tag.name} is missing" in refused(extended, tmp_path)


def setting(tag: PrivateTag, value: object) -> Callable[[Dataset], None]:
    find = next(find for find, tags in LEVELS.values() if tag in tags)
    return lambda dataset: find(dataset).put(tag, value)


def altering(tag: PrivateTag, change: Callable[[np.ndarray], object]) -> Callable[[Dataset], None]:
    def alter(dataset: Dataset) -> None:
        block = slice_(dataset)
        values = block.array(tag, block.integer(private.N_VISITS)).copy()
        change(values)
        block.put(tag, values)

    return alter


def assigning(index: int, value: float) -> Callable[[np.ndarray], object]:
    return lambda values: values.__setitem__(index, value)


def shortening(tag: PrivateTag) -> Callable[[Dataset], None]:
    def shorten(dataset: Dataset) -> None:
        element = slice_(dataset).dataset[slice_(dataset).tag(tag)]
        element.value = element.value[:-2]

    return shorten


def without_last_slice(dataset: Dataset) -> None:
    block = beam(dataset)
    block.put(private.SLICES, block.items(private.SLICES)[:-1])


def without_block_of_slice(dataset: Dataset) -> None:
    del slice_(dataset).dataset[CREATOR]


def without_block_of_beam(dataset: Dataset) -> None:
    del beam(dataset).dataset[CREATOR]


def without_block_of_plan(dataset: Dataset) -> None:
    del dataset[CREATOR]


def without_beam(dataset: Dataset) -> None:
    dataset.IonBeamSequence[0].TreatmentDeliveryType = "SETUP"


def another_version(find: Callable[[Dataset], Block]) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(find(dataset).dataset[CREATOR], "value", "SPOTLINE 2")


def twice(dataset: Dataset) -> None:
    dataset.add_new((private.GROUP, 0x0023), "LO", private.CREATOR)


def moved_spot(dataset: Dataset) -> None:
    for point in dataset.IonBeamSequence[0].IonControlPointSequence[:2]:
        point.ScanSpotPositionMap = [99.0, *point.ScanSpotPositionMap[1:]]


def other_energy(dataset: Dataset) -> None:
    for point in dataset.IonBeamSequence[0].IonControlPointSequence[:2]:
        point.NominalBeamEnergy = "222.0"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_last_slice, "Number of Slices is 6, but Slice Sequence has 5 items"),
        (setting(private.N_SLICES, 7), "Number of Slices is 7, but Slice Sequence has 6 items"),
        (setting(private.SLICES, []), "Slice Sequence has 0 items"),
        (setting(private.SLICE_INDEX, 1), "slice 0: Slice Index is 1"),
        (setting(private.N_VISITS, 0), "slice 0: Number of Visits is 0"),
        (setting(private.N_VISITS, 5), "Visit Control Point has 16 bytes, but 5 visits need 20"),
        (setting(private.N_VISITS, [4, 4]), "Number of Visits is not one whole number"),
        (setting(private.ENERGY, -1.0), "slice 0: Slice Energy is -1"),
        (setting(private.ENERGY, float("nan")), "Slice Energy is nan"),
        (setting(private.ENERGY, float("inf")), "Slice Energy is inf"),
        (setting(private.ENERGY, [1.0, 2.0]), "Slice Energy is not one number"),
        (setting(private.INTENSITY, 1.5), "Slice Intensity Level is 1.5"),
        (setting(private.INTENSITY, 0.0), "Slice Intensity Level is 0"),
        (setting(private.N_PAINTINGS, 3), "Slice Number of Paintings is 3, but the visits have 1"),
        (setting(private.N_BEAM_OFF, 3), "Number of Beam-Off Jumps is 3, but the visits have 1"),
        (setting(private.REPAINTING, "LAYERED"), "Repainting is not what the visits amount to"),
        (setting(private.DIGEST, "00" * 32), "Instructions SHA-256 differs"),
        (setting(private.CYCLE_CODE, "0000000000"), "Instructions SHA-256 differs"),
        (setting(private.FOCUS, "large"), "Instructions SHA-256 differs"),
        (setting(private.BEAMLINE, "cnao-v"), "Instructions SHA-256 differs"),
        (setting(private.PLAN_SHA256, ""), "Instructions SHA-256 differs"),
        (altering(private.VISIT_BEAM_OFF, assigning(0, 2)), "Visit Beam-Off has values other than 0 and 1"),
        (altering(private.VISIT_BEAM_OFF, lambda v: v.sort()), "Instructions SHA-256 differs"),
        (altering(private.VISIT_POINT, assigning(1, 1)), "Visit Control Point has 1, but no layer begins"),
        (altering(private.VISIT_POINT, assigning(0, 2**32 - 1)), "Visit Control Point has 4294967295"),
        (altering(private.VISIT_SPOT, assigning(1, 4)), "Visit Spot has 4, but layer 0 has no such spot"),
        (altering(private.VISIT_SPOT, assigning(1, 0)), "the visits of layer 0, spot 0 add up to"),
        (altering(private.VISIT_METERSET, assigning(2, -1.0)), "Visit Meterset is -1 for visit 2"),
        (altering(private.VISIT_METERSET, assigning(2, np.nan)), "Visit Meterset is nan for visit 2"),
        (
            altering(private.VISIT_METERSET, lambda v: v.__imul__(1 + 1e-6)),
            "the visits of layer 0, spot 0 add up to 50000.025, but the spot has 50000",
        ),
        (altering(private.VISIT_METERSET, lambda v: v.__imul__(1 + 1e-9)), "Instructions SHA-256 differs"),
        (shortening(private.VISIT_POINT), "Visit Control Point has 14 bytes, but 4 visits need 16"),
        (shortening(private.VISIT_METERSET), "Visit Meterset has 30 bytes, but 4 visits need 32"),
        (shortening(private.VISIT_BEAM_OFF), "Visit Beam-Off has 2 bytes, but 4 visits need 4"),
        (without_block_of_slice, "slice 0: has no private block 'SPOTLINE 1'"),
        (without_block_of_beam, "block 'SPOTLINE 1' of the plan has instructions for the field, but that of"),
        (without_block_of_plan, "block 'SPOTLINE 1' of this field has instructions for the field, but that"),
        (setting(private.BEAM_NUMBERS, [1]), "field 2 (LAT): the private block 'SPOTLINE 1' of this field"),
        (setting(private.BEAM_NUMBERS, [1, 2, 3]), "Prepared Beam Numbers has 3, but there is no treatment"),
        (without_beam, "Prepared Beam Numbers has 1, but there is no treatment beam"),
        (another_version(block_of), "has the private block 'SPOTLINE 2', but this Spotline reads"),
        (another_version(beam), "field 1 (AP): has the private block 'SPOTLINE 2'"),
        (another_version(slice_), "field 1 (AP), slice 0: has the private block 'SPOTLINE 2'"),
        (twice, "has the private block 'SPOTLINE 1' twice"),
        (moved_spot, "Instructions SHA-256 differs: the plan was altered after it was prepared"),
        (other_energy, "Instructions SHA-256 differs: the plan was altered after it was prepared"),
    ],
)
def test_inconsistent_block(
    damage: Callable[[Dataset], None], message: str, extended: Dataset, tmp_path: Path
):
    damage(extended)
    assert message in refused(extended, tmp_path)


def test_wrong_vr(extended: Dataset, tmp_path: Path):
    block = slice_(extended)
    block.dataset[block.tag(private.FOCUS)].VR = "LT"
    extended.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    path = tmp_path / "explicit.dcm"
    extended.save_as(path, implicit_vr=False)
    with pytest.raises(PlanError, match="Slice Focus is of VR LT instead of UT"):
        read_ion_plan(path)


def test_block_of_an_earlier_preparation_is_replaced_whatever_its_version(content: bytes, plan: Plan):
    dataset = dataset_of(content)
    dataset[CREATOR].value = "SPOTLINE 7"
    private.remove_blocks(dataset, "")
    assert not [tag for tag in dataset.keys() if tag.group == private.GROUP]  # noqa: SIM118
    plain = with_instructions(plan, *[plainly(field) for field in plan.fields])
    found = dataset_of(encoded(plain)).IonBeamSequence[0]
    assert next(tag.element for tag in found.keys() if tag.group == private.GROUP) == 0x0010  # noqa: SIM118


@pytest.mark.parametrize(
    ("paintings", "cuts", "backwards", "kind"),
    [
        (1, [4, 5], False, "NONE"),
        (1, [], False, "NONE"),
        (2, [8, 10], False, "LAYERED"),
        (2, [], False, "LAYERED"),
        (2, None, False, "VOLUMETRIC"),
        (3, None, False, "VOLUMETRIC"),
        (2, None, True, "BACK_AND_FORTH"),
    ],
)
def test_kinds_of_repainting(
    paintings: int, cuts: list[int] | None, backwards: bool, kind: str, good_plan: Plan
):
    field = good_plan.fields[0]
    if cuts is None:
        instructions = plainly(field, paintings)
        if backwards:
            instructions = (*instructions[:3], *reversed(instructions[3:]))
    else:
        shares = [[1.0] * paintings] * field.n_spots
        instructions = visits(field, shares, np.arange(field.n_spots * paintings), cuts)
    assert repainting(instructions) == kind


def places(content: bytes) -> st.SearchStrategy[int]:
    """Anywhere in the file, and more often in the private blocks and their beginnings."""
    anywhere = st.integers(0, len(content) - 1)
    starts = [match.start() for match in re.finditer(rb"\x0b\x30..", content, flags=re.DOTALL)]
    near = st.builds(
        lambda start, more: min(start + more, len(content) - 1), st.sampled_from(starts), st.integers(0, 24)
    )
    return st.one_of(anywhere, near)


@fuzz
@given(data=st.data())
def test_altered_bytes_are_refused_or_change_no_instruction(
    data: st.DataObject, content: bytes, plan: Plan, tmp_path: Path
):
    altered = bytearray(content)
    for place in data.draw(st.lists(places(content), min_size=1, max_size=3)):
        altered[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "altered.dcm"
    path.write_bytes(bytes(altered))
    found = read_or_refused(read_ion_plan, path, PlanError)
    assert found is None or same_instructions(found, plan)


@fuzz
@given(data=st.data())
def test_truncated_files_are_refused(data: st.DataObject, content: bytes, tmp_path: Path):
    rest = content.rindex(b"\x0c\x30\x02\x00")  # references and approval: complete without them
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[: data.draw(st.integers(0, rest - 1))])
    refusal(read_ion_plan, path, PlanError)


def test_instructions_are_of_no_use_without_what_they_were_made_for(plan: Plan):
    with pytest.raises(PlanError, match="has no instructions"):
        encoded(dataclasses.replace(plan, prepared_for=None))
