"""Slow control: every quantity of both boxes at its limit and just within, silence, the clock of readings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES, SLOW
from spotline.control.slow import Expected, Grant, SlowControl, SlowReading, SlowTrip, check_reading
from spotline.machine import load_beamline
from tests.lines.facts import with_facts
from tests.readings import GOOD, good_but

LINE = load_beamline("cnao-h")
SECOND_us = 1_000_000


NOTHING = Expected(())


def check(expected: Expected = NOTHING, **changes: object) -> list[SlowTrip]:
    return list(check_reading(good_but(**changes), LINE.slow_limits, expected))  # type: ignore[arg-type]


class Border(NamedTuple):
    """A border of an interval: the quantity, the border, and where inside lies."""

    cause: int
    quantity: str
    border: float
    inward: float


def borders() -> Iterator[Border]:
    intervals = (
        ((interlocks.TEMPERATURE_1, interlocks.TEMPERATURE_2), "temperature{}_C", (16.0, 26.0)),
        ((interlocks.PRESSURE_1, interlocks.PRESSURE_2), "pressure{}_Pa", (9e4, 11e4)),
        ((interlocks.HIGH_VOLTAGE_1, interlocks.HIGH_VOLTAGE_2), "high_voltage{}_V", (395.0, 405.0)),
    )
    for causes, quantity, (low, high) in intervals:
        for box, cause in enumerate(causes, start=1):
            yield Border(cause, quantity.format(box), low, high)
            yield Border(cause, quantity.format(box), high, low)


BORDERS = list(borders())


@pytest.mark.parametrize("border", BORDERS, ids=lambda b: f"{b.quantity}={b.border:g}")
def test_a_quantity_on_the_border_of_its_interval_is_an_interlock(border: Border):
    for value in (border.border, 2 * border.border - border.inward):
        assert check(**{border.quantity: value}) == [SlowTrip(border.cause, value, border.border)]


@pytest.mark.parametrize("border", BORDERS, ids=lambda b: f"{b.quantity}={b.border:g}")
def test_a_quantity_just_within_its_interval_is_none(border: Border):
    assert check(**{border.quantity: math.nextafter(border.border, border.inward)}) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("border", BORDERS[::2], ids=lambda b: b.quantity)
def test_a_reading_that_is_no_number_is_an_interlock(border: Border, value: float):
    (tripped,) = check(**{border.quantity: value})
    assert tripped.cause == border.cause


@pytest.mark.parametrize(
    ("expected", "mounted", "wrong"),
    [
        ((), ("A",), 1),
        (("A",), (), 1),
        (("A",), ("B",), 2),
        (("A", "B"), ("B", "C"), 2),
        (("A", "B"), ("A",), 1),
    ],
)
def test_wrong_elements_are_those_missing_and_those_too_many(
    expected: tuple[str, ...], mounted: tuple[str, ...], wrong: int
):
    assert check(Expected(expected), mounted=mounted) == [SlowTrip(interlocks.PASSIVE_ELEMENTS, wrong, 0.0)]


def test_right_elements_in_another_order_are_right():
    assert check(Expected(("A", "B")), mounted=("B", "A")) == []


# Gas density


def converted_at(box1: float, box2: float) -> Expected:
    """Counts were made with gas of this density, relative to the reference."""
    return Expected((), (box1, box2))


@pytest.mark.parametrize("box", [1, 2])
@pytest.mark.parametrize("change", [0.01, -0.01])
def test_density_of_either_box_that_changed_by_the_limit_is_an_interlock(box: int, change: float):
    line = with_facts(LINE, {"slow_interlocks.gas_density_change": 0.0078125})
    # Exact in binary: pressures 1/128 off the reference.
    off = math.copysign(0.0078125, change)
    reading = good_but(**{f"pressure{box}_Pa": 101325.0 * (1.0 + off)})
    (tripped,) = check_reading(reading, line.slow_limits, converted_at(1.0, 1.0))
    assert tripped == SlowTrip(interlocks.GAS_DENSITY, off, 0.0078125)
    nearer = good_but(**{f"pressure{box}_Pa": 101325.0 * (1.0 + 0.9999 * off)})
    assert list(check_reading(nearer, line.slow_limits, converted_at(1.0, 1.0))) == []


def test_density_counts_from_the_conversion_and_each_box_from_its_own():
    (tripped,) = check(converted_at(1.0, 1.02))
    assert tripped.cause == interlocks.GAS_DENSITY
    assert tripped.value == pytest.approx(1 / 1.02 - 1)
    assert check(converted_at(1.0, 1.009)) == []
    assert check(Expected(())) == [], "nothing has been converted yet"


def test_warmer_gas_is_thinner_and_the_worse_box_is_told():
    (tripped,) = check(converted_at(1.0, 1.0), temperature1_C=23.5, temperature2_C=25.0)
    assert tripped.value == pytest.approx(293.15 / 298.15 - 1)
    # A density that cannot be told is the worst of all.
    causes = {
        t.cause: t.value for t in check(converted_at(1.0, 1.0), pressure1_Pa=math.nan, pressure2_Pa=1e5)
    }
    assert math.isnan(causes[interlocks.GAS_DENSITY])


def test_flux_correction_is_the_inverse_of_the_density():
    first, second = good_but(temperature2_C=25.0, pressure2_Pa=99_000.0).flux_corrections(LINE.slow_limits)
    assert first == 1.0
    assert second == pytest.approx(298.15 / 293.15 * 101_325 / 99_000)
    for nonsense in ({"temperature1_C": -273.15}, {"pressure1_Pa": 0.0}, {"pressure1_Pa": math.nan}):
        first, _ = good_but(**nonsense).flux_corrections(LINE.slow_limits)
        assert math.isnan(first)


# The clock of readings


def looks(
    control: SlowControl, until_us: int, reading: SlowReading | None = GOOD
) -> list[tuple[int, bool, Grant]]:
    """Look until a time: when, whether a reading was due, and the grant."""
    seen = []
    while control.next_us <= until_us:
        now_us, is_due = control.next_us, control.is_due
        came = replace(reading, time_us=now_us) if is_due and reading is not None else None
        seen.append((now_us, is_due, control.take(came)))
    return seen


def slow_control(silence_s: float = 3.0, period_s: float = 1.0) -> SlowControl:
    changes = {"slow_interlocks.silence_s": silence_s, "slow_interlocks.period_s": period_s}
    return SlowControl(with_facts(LINE, changes).slow_limits, Expected(()))


def test_readings_are_due_every_second():
    seen = looks(slow_control(), 5 * SECOND_us)
    assert [now_us for now_us, _, _ in seen] == [k * SECOND_us for k in range(6)]
    assert all(is_due and grant.is_granted for _, is_due, grant in seen)


def test_silence_trips_when_the_last_reading_is_as_old_as_the_limit():
    control = slow_control()
    looks(control, 2 * SECOND_us)
    *still, (now_us, _, grant) = looks(control, 5 * SECOND_us, None)
    assert [g.trips for _, _, g in still] == [(), ()], "two readings may be lost"
    assert now_us == 5 * SECOND_us
    assert grant.trips == (SlowTrip(interlocks.SLOW_SILENCE, 3.0, 3.0),)
    assert not grant.is_granted


def test_silence_trips_in_its_own_millisecond_and_not_with_the_next_reading():
    control = slow_control(silence_s=2.5)
    looks(control, 0)
    seen = looks(control, 4 * SECOND_us, None)
    assert [(now_us, is_due) for now_us, is_due, _ in seen] == [
        (SECOND_us, True),
        (2 * SECOND_us, True),
        (2_500_000, False),
        (3 * SECOND_us, True),
        (4 * SECOND_us, True),
    ]
    tripped = [[(t.cause, t.value) for t in grant.trips] for *_, grant in seen]
    assert tripped == [[], [], *([(interlocks.SLOW_SILENCE, value)] for value in (2.5, 3.0, 4.0))]


def test_a_reading_just_in_time_ends_the_silence():
    control = slow_control(silence_s=3.001)
    looks(control, 0)
    looks(control, 2 * SECOND_us, None)
    (seen,) = looks(control, 3 * SECOND_us)
    assert seen[2].is_granted
    assert all(grant.is_granted for *_, grant in looks(control, 5 * SECOND_us, None)[:2])


def test_no_reading_at_all_is_no_grant():
    control = slow_control()
    seen = looks(control, 3 * SECOND_us, None)
    assert [grant.is_granted for *_, grant in seen] == [False] * 4
    assert [len(grant.trips) for *_, grant in seen] == [0, 0, 0, 1]


def test_a_board_that_repeats_its_last_reading_is_silent():
    control = slow_control()
    grants = []
    for _ in range(4):
        grants.append(control.take(GOOD))  # read at 0, whenever one asks
    assert [grant.is_granted for grant in grants] == [True, True, True, False]
    assert grants[-1].trips[0].cause == interlocks.SLOW_SILENCE


def test_a_reading_from_the_future_does_not_postpone_the_silence():
    control = slow_control()
    control.take(good_but(time_us=100 * SECOND_us))
    assert not looks(control, 3 * SECOND_us, None)[-1][2].is_granted


def test_what_was_out_of_tolerance_stays_so_until_a_reading_says_otherwise():
    control = slow_control()
    cold = SlowTrip(interlocks.TEMPERATURE_2, 10.0, 16.0)
    assert control.take(good_but(temperature2_C=10.0)).trips == (cold,)
    assert control.take(None).trips == (cold,)
    assert control.take(good_but(time_us=2 * SECOND_us)).is_granted


def test_every_row_of_the_slow_control_has_its_cases():
    here = {border.cause for border in BORDERS}
    here |= {interlocks.PASSIVE_ELEMENTS, interlocks.GAS_DENSITY, interlocks.SLOW_SILENCE}
    assert here == {code for code, cause in CAUSES.items() if cause.source == SLOW}
