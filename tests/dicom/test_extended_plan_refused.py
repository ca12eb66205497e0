"""An extended plan that could not be read back, or is not of its file any more, is not written."""

from __future__ import annotations

import dataclasses

import pytest

from spotline.errors import PlanError
from spotline.plan import Plan
from tests.dicom.extended import encoded, with_instructions
from tests.dicom.plans import with_field, with_layer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: with_layer(p, meterset=p.fields[0].layers[0].meterset * 2),
            "meterset of field 1, layer 0",
        ),
        (lambda p: with_layer(p, paintings=7), "paintings of field 1, layer 0"),
        (lambda p: with_layer(p, tune_id="a tune of a long name"), "ScanSpotTuneID"),
        (lambda p: with_field(p, layers=p.fields[0].layers[:2]), "number of layers of field 1"),
        (lambda p: with_field(p, gantry_angle_deg=0.0), "gantry_angle_deg of field 1"),
        (lambda p: dataclasses.replace(p, fields=p.fields[:1]), "its fields"),
        (lambda p: dataclasses.replace(p, label="OTHER"), "label"),
    ],
)
def test_other_differences_from_the_file_are_refused(change, message: str, source: Plan):
    with pytest.raises(PlanError, match=message):
        encoded(with_instructions(change(source)))


def test_file_that_changed_since(source: Plan):
    extended = with_instructions(source)
    source.path.write_bytes(source.path.read_bytes() + b"\0")
    with pytest.raises(PlanError, match="has changed since the plan was read"):
        encoded(extended)
    source.path.unlink()
    with pytest.raises(PlanError, match="cannot be read"):
        encoded(extended)


def test_what_would_not_come_back_is_not_written(good_plan: Plan):
    plan = with_instructions(good_plan)
    spaces = dataclasses.replace(plan.prepared_for, plan_sha256="c4  ")
    with pytest.raises(PlanError, match=r"would not be read back: .* Instructions SHA-256 differs"):
        encoded(dataclasses.replace(plan, prepared_for=spaces))
    half = plan.fields[0].instructions[:-1]
    with pytest.raises(
        PlanError, match=r"field 1 \(AP\): the visits of layer 2, spot 0 add up to 0, but the spot"
    ):
        encoded(with_field(plan, instructions=half))


@pytest.mark.parametrize("made_for", [True, False])
def test_plan_without_instructions(made_for: bool, good_plan: Plan):
    plan = with_instructions(good_plan, (), ()) if made_for else good_plan
    with pytest.raises(PlanError, match="has no instructions"):
        encoded(plan)


def test_missing_angle(good_plan: Plan):
    plan = with_instructions(with_field(good_plan, gantry_angle_deg=None))
    with pytest.raises(PlanError, match="gantry_angle_deg"):
        encoded(plan)
