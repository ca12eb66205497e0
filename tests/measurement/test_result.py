"""Results: verdicts at and beyond limits, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.errors import MeasurementError
from spotline.measurement import Limits, Result, Verdict, finite_or_none
from spotline.units import is_unit

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


def verdict(value: float | None, **fields: object) -> Verdict:
    return Result(name="figure", value=value, **fields).verdict


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100.0, "pass"),
        (102.0, "pass"),
        (98.0, "pass"),
        (102.001, "tolerance exceeded"),
        (97.999, "tolerance exceeded"),
        (103.0, "tolerance exceeded"),
        (103.001, "action exceeded"),
        (96.0, "action exceeded"),
        (None, "not judged"),
    ],
)
def test_two_levels(value: float | None, expected: str):
    tolerance, action = Limits.within(2.0), Limits.within(3.0)
    assert verdict(value, reference=100.0, tolerance=tolerance, action=action) == expected


def test_percent_is_of_the_reference_whatever_its_sign():
    for reference in (50.0, -50.0):
        assert verdict(reference + 1.0, reference=reference, tolerance=Limits.within(percent=2.0)) == "pass"
        assert (
            verdict(reference - 1.01, reference=reference, tolerance=Limits.within(percent=2.0))
            == "tolerance exceeded"
        )


@pytest.mark.parametrize(("reference", "limit"), [(10.0, 1.0), (50.0, 1.0), (200.0, 4.0)])
def test_whichever_is_greater(reference: float, limit: float):
    tolerance = Limits.within(1.0, percent=2.0)
    assert verdict(reference + limit, reference=reference, tolerance=tolerance) == "pass"
    assert verdict(reference + limit + 0.01, reference=reference, tolerance=tolerance) == "tolerance exceeded"


def test_one_sided_limits_leave_the_other_side_open():
    assert verdict(1e9, tolerance=Limits(low=0.95)) == "pass"
    assert verdict(0.9499, tolerance=Limits(low=0.95)) == "tolerance exceeded"
    assert verdict(-1e9, tolerance=Limits(high=5.0)) == "pass"
    assert verdict(99.0, reference=100.0, tolerance=Limits(low_percent=-2.0)) == "pass"
    assert verdict(97.0, reference=100.0, tolerance=Limits(low_percent=-2.0)) == "tolerance exceeded"
    assert verdict(150.0, reference=100.0, tolerance=Limits(low_percent=-2.0)) == "pass"


def test_action_level_alone_knows_no_tolerance():
    assert verdict(2.0, action=Limits(high=2.0)) == "pass"
    assert verdict(2.1, action=Limits(high=2.0)) == "action exceeded"


def test_equal_limits():
    same = Limits.within(2.0)
    assert verdict(2.5, reference=0.0, tolerance=same, action=same) == "action exceeded"
    assert verdict(0.0, tolerance=Limits(low=0.0, high=0.0)) == "pass"
    assert verdict(1.0, tolerance=Limits(low=0.0, high=0.0)) == "tolerance exceeded"


def test_what_differs_from_a_limit_by_rounding_is_on_it():
    assert 1.03 - 1.0 > 0.03
    assert verdict(1.03, reference=1.0, tolerance=Limits.within(0.03)) == "pass"
    assert verdict(1.03 + 1e-8, reference=1.0, tolerance=Limits.within(0.03)) == "tolerance exceeded"


def test_percent_of_a_zero_reference_is_not_judged():
    assert verdict(0.0, reference=0.0, tolerance=Limits.within(percent=2.0)) == "not judged"
    assert verdict(0.4, reference=0.0, tolerance=Limits.within(0.5, percent=2.0)) == "pass"
    assert verdict(0.6, reference=0.0, tolerance=Limits.within(0.5, percent=2.0)) == "tolerance exceeded"
    # One side has only percents.
    assert verdict(0.0, reference=0.0, tolerance=Limits(low=-1.0, high_percent=2.0)) == "not judged"


def test_without_limits_nothing_is_judged():
    assert verdict(5.0, reference=4.0) == "not judged"


def test_no_number_is_no_value():
    assert [finite_or_none(value) for value in (math.nan, math.inf, None, 2)] == [None, None, None, 2.0]


@given(value=NUMBERS, reference=NUMBERS, low=NUMBERS, width=st.floats(0.0, 1e6), more=st.floats(0.0, 1e6))
def test_a_wider_action_level_never_judges_worse(
    value: float, reference: float, low: float, width: float, more: float
):
    """Action exceeded implies that the tolerance alone is exceeded; and the order of the verdicts holds."""
    tolerance, action = Limits(low=low, high=low + width), Limits(low=low - more, high=low + width + more)
    alone = verdict(value, reference=reference, tolerance=tolerance)
    both = verdict(value, reference=reference, tolerance=tolerance, action=action)
    assert (alone == "pass") == (both == "pass")
    assert both in {"pass", "tolerance exceeded", "action exceeded"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": math.nan}, "value is nan"),
        ({"value": math.inf}, "value is inf"),
        ({"value": 1.0, "reference": math.nan}, "reference is nan"),
        ({"value": 1.0, "uncertainty": -0.1}, "0 or more"),
        ({"value": 1.0, "uncertainty": math.inf}, "must be finite"),
        ({"value": 1.0, "unit": "furlong"}, "unit 'furlong' is unknown"),
        ({"value": 1.0, "name": " end"}, "without blanks"),
        ({"value": 1.0, "name": "two\nlines"}, "one line"),
        ({"value": 1.0, "tolerance": Limits.within(percent=2.0)}, "need a reference"),
        (
            {"value": 1.0, "tolerance": Limits.within(2.0), "action": Limits.within(1.0)},
            "lies within the tolerance",
        ),
        (
            {"value": 1.0, "tolerance": Limits(high=2.0), "action": Limits(low=0.0, high=3.0)},
            "lies within the tolerance",
        ),
    ],
)
def test_results_that_cannot_be(fields: dict[str, object], message: str):
    with pytest.raises(MeasurementError, match=message):
        Result(**{"name": "figure"} | fields)


def test_limits_that_cannot_be():
    with pytest.raises(MeasurementError, match="none is given"):
        Limits()
    with pytest.raises(MeasurementError, match="above the upper one"):
        Limits(low=1.0, high=0.0)
    with pytest.raises(MeasurementError, match="above the upper one"):
        Limits(low_percent=1.0, high_percent=0.0)
    with pytest.raises(MeasurementError, match="high is inf"):
        Limits(high=math.inf)


@pytest.mark.parametrize("unit", ["", "mm", "MeV_u", "m_per_s", "counts_per_Gy", "per_Gy", "keV_per_um"])
def test_units(unit: str):
    assert is_unit(unit)


@pytest.mark.parametrize("unit", ["parsec", "_mm", "mm_", "mm_per_", "x_mm", "mm per s", "%", "mm_per_per_s"])
def test_texts_that_are_no_units(unit: str):
    assert not is_unit(unit)
