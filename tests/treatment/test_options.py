"""Choices that cannot be had are refused, all at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from spotline import load_beamline, prepare
from spotline.errors import OptionError
from spotline.treatment.options import Options, check_options
from tests.treatment.plans import field, plan_of

LINE = load_beamline("cnao-h")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order": "shortes"}, "order is 'shortes', which is not known: did you mean 'shortest'?"),
        ({"order": 3}, "order is 3, which is not known: known are planned, shortest"),
        ({"repainting": "random"}, "repainting is 'random', which is not known: known are"),
        ({"intensity": 0.3}, "intensity is 0.3, which cnao-h does not have: choose one of 1, 0.5, 0.2, 0.1"),
        ({"intensity": 20}, "intensity is 20, which cnao-h does not have"),
        ({"intensity": math.nan}, "intensity is nan, which cnao-h does not have"),
        ({"intensity": True}, "intensity is True, which cnao-h does not have"),
        ({"paintings": 0}, "paintings is 0: choose a whole number from 1 to 100"),
        ({"paintings": 101}, "paintings is 101: choose a whole number from 1 to 100"),
        ({"paintings": 2.0}, "paintings is 2.0: choose a whole number"),
        ({"paintings": True}, "paintings is True: choose a whole number"),
        ({"largest_visit_particles": 0.0}, "largest_visit_particles is 0.0: choose a number above 0"),
        ({"largest_visit_particles": math.inf}, "largest_visit_particles is inf: choose a number above 0"),
        ({"beam_off_jump_mm": -1.0}, "beam_off_jump_mm is -1.0: choose a number above 0"),
        ({"beam_off_jump_mm": "20"}, "beam_off_jump_mm is '20': choose a number above 0"),
        ({"beam_off_transit_share": math.nan}, "beam_off_transit_share is nan: choose a number above 0"),
        (
            {"paintings": 2, "largest_visit_particles": 1e5},
            "paintings and largest_visit_particles exclude each other: choose the first for equal shares",
        ),
    ],
    ids=str,
)
def test_refused(wrong: dict[str, Any], message: str):
    with pytest.raises(OptionError) as caught:
        prepare(plan_of(field()), LINE, options=Options(**wrong))
    assert str(caught.value).startswith(message)
    assert "; " not in str(caught.value)


def test_all_faults_at_once():
    with pytest.raises(OptionError) as caught:
        check_options(Options(intensity=0.3, paintings=0, beam_off_jump_mm=0.0), LINE)
    assert [part.split()[0] for part in str(caught.value).split("; ")] == [
        "intensity",
        "paintings",
        "beam_off_jump_mm",
    ]


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"order": "planned", "repainting": "back_and_forth", "paintings": 100},
        {"intensity": 0.1, "largest_visit_particles": 10_000},
        {"intensity": 1, "beam_off_jump_mm": 1e-3, "beam_off_transit_share": 5.0},
        {"intensity": np.float64(0.5), "paintings": np.int64(3), "beam_off_jump_mm": np.float32(5.0)},
    ],
    ids=str,
)
def test_taken(right: dict[str, Any]):
    check_options(Options(**right), LINE)
    assert prepare(plan_of(field()), LINE, options=Options(**right)).fields


def test_options_are_checked_before_the_plan():
    """Whoever asks wrongly learns it at once, not after the plan was mended."""
    with pytest.raises(OptionError):
        prepare(plan_of(field(gantry_angle_deg=0.0)), LINE, options=Options(paintings=0))
