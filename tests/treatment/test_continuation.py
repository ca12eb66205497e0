"""The rest of a field: rounded spot by spot, never refused for being little, and not slowly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spotline import Options, PlanError, load_beamline, prepare
from spotline.plan import Layer
from spotline.treatment.counts import convert_counts
from spotline.treatment.demands import obstacles
from tests.treatment.plans import field, layer, plan_of

LINE = load_beamline("cnao-h")
UNIFORM = replace(LINE, int1_gain_map=None, int2_gain_map=None)
PER_COUNT = 549.43
"""Particles per count at 221.45 MeV/u."""


def rest(*layers: Layer):
    return field(*layers, delivery_type="CONTINUATION", start_meterset=1e6)


def test_each_spot_is_rounded_for_itself():
    """A thousand spots of 90.4 counts are 90 each; as a field of their own they share the rest."""
    spots = layer(np.zeros(1000), 0.0, 90.4 * PER_COUNT)
    (slice_,) = prepare(plan_of(rest(spots)), UNIFORM).fields[0].slices
    assert set(slice_.int1_counts.tolist()) == {90}
    assert set(slice_.int2_counts.tolist()) == {91}, "with the margin"
    (slice_,) = prepare(plan_of(field(spots)), UNIFORM).fields[0].slices
    assert slice_.int1_counts.sum() == 90_400


def test_order_and_gas_do_not_move_counts_between_spots():
    counts = np.array([1.0, 7.0, 200.0, 3.0, 1.0, 1800.0])
    spots = layer(np.arange(6) * 4.0, 0.0, counts * PER_COUNT)
    treated = prepare(plan_of(rest(spots)), UNIFORM, options=Options(order="planned")).fields[0]
    assert treated.slices[0].int1_counts.tolist() == counts.tolist()
    thinner = convert_counts(treated, (0.97, 0.97), UNIFORM).slices[0]
    assert thinner.int1_counts.tolist() == [1, 7, 194, 3, 1, 1746]


def test_less_than_the_line_would_plan_is_not_refused():
    """One count of carbon, where a plan must have 5000 particles and 5 counts for a spot."""
    little = layer([0.0, 4.0], 0.0, [PER_COUNT, 5e4])
    assert list(obstacles(rest(little), LINE)) == []
    assert len(list(obstacles(field(little), LINE))) == 2
    with pytest.raises(PlanError, match="cannot be delivered"):
        prepare(plan_of(field(little)), LINE)
    (slice_,) = prepare(plan_of(rest(little)), UNIFORM).fields[0].slices
    assert sorted(slice_.int1_counts.tolist()) == [1, 91]


def test_other_reasons_still_hold():
    far = layer([0.0, 150.0], 0.0, [PER_COUNT, 5e4])
    (reason,) = obstacles(rest(far), LINE)
    assert "ScanSpotPositionMap outside" in reason


def test_a_remainder_does_not_slow_down_its_slice():
    """Level of the whole spots, not of the single count; the lowest where there is nothing else."""
    x_mm = np.arange(30) * 4.0 - 60.0
    whole = layer(x_mm, 0.0, 3e5)
    weights = np.full(30, 3e5)
    weights[7] = PER_COUNT
    level = prepare(plan_of(field(whole)), LINE).fields[0].slices[0].intensity_level
    assert level == 1.0
    stopped = prepare(plan_of(rest(layer(x_mm, 0.0, weights))), LINE).fields[0].slices[0]
    assert stopped.intensity_level == level
    weights[8] = 5.1e3  # enough for a spot of its own: it is delivered as carefully as one
    careful = prepare(plan_of(rest(layer(x_mm, 0.0, weights))), LINE).fields[0].slices[0]
    assert careful.intensity_level == 0.2
    only = prepare(plan_of(rest(layer(x_mm, 0.0, 2 * PER_COUNT))), LINE).fields[0].slices[0]
    assert only.intensity_level == min(LINE.facts.accelerator.intensity_levels)


def test_too_little_to_be_repainted():
    """A spot of few counts is visited once, however often its layer is painted."""
    spots = layer([0.0, 4.0], 0.0, [3 * PER_COUNT, 3e5], paintings=3)
    (slice_,) = prepare(plan_of(rest(spots)), UNIFORM, options=Options(order="planned")).fields[0].slices
    assert np.bincount(slice_.planned_spot).tolist() == [1, 3]
    assert slice_.int1_counts[slice_.planned_spot == 0].tolist() == [3]
    assert slice_.int1_counts[slice_.planned_spot == 1].sum() == round(3e5 / PER_COUNT)
