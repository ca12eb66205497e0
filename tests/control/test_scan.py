"""The Scan FPGA: set-points, read-backs, and when the magnets count as settled."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.control import interlocks
from spotline.control.scan import to_step
from tests.control.bench import SETTINGS, Bench, listed, spots

pytestmark = pytest.mark.kernel

CURRENTS = st.floats(-200.0, 200.0, allow_nan=False)


@given(CURRENTS, st.sampled_from([0.055, 0.25, 1.0 / 3.0]))
def test_set_point_is_the_nearest_multiple_of_the_step(current_A: float, step_A: float):
    rounded = to_step(current_A, step_A)
    steps = round(rounded / step_A)
    assert rounded == steps * step_A
    error = abs(Fraction(rounded) - Fraction(current_A))
    assert error <= Fraction(step_A) / 2 * (1 + Fraction(1, 10**9))


@pytest.mark.parametrize("step_A", [0.0, -1.0])
def test_without_a_step_the_set_point_is_continuous(step_A: float):
    assert to_step(1.2345678, step_A) == 1.2345678


def test_halves_are_rounded_up_on_both_sides_of_zero():
    assert [to_step(x, 0.5) for x in (-0.75, -0.25, 0.25, 0.75)] == [-0.5, 0.0, 0.5, 1.0]


def test_both_supplies_get_multiples_of_their_own_step_with_the_correction_added():
    settings = SETTINGS._replace(x=SETTINGS.x._replace(step_A=0.5), y=SETTINGS.y._replace(step_A=0.25))
    bench = Bench(spots([5], x_A=[10.1]), settings)
    bench.memory.y_current_A[0] = -3.3
    bench.period()
    assert bench.set_A == (10.0, -3.25)
    bench.law.axes[0].correction_A = 0.2
    bench.law.axes[1].correction_A = -0.15
    bench.period()
    assert bench.set_A == (10.5, -3.5)


def test_first_set_point_is_there_before_the_first_period():
    bench = Bench(spots([5, 5], x_A=[7.0, 9.0]))
    assert bench.set_A == (7.0, 0.0)


def test_trigger_sets_the_currents_of_the_next_spot_in_the_next_period():
    bench = Bench(spots([5, 5], x_A=[7.0, 9.0]))
    bench.counts = listed({60: (5, 5)})
    bench.begin().run_to(75)
    assert (bench.s.spot, bench.set_A) == (1, (7.0, 0.0))
    bench.run_to(100)
    assert bench.set_A == (9.0, 0.0)


@pytest.mark.parametrize(
    ("read_A", "settled"),
    [
        ((10.0, 0.0), True),
        ((math.nextafter(10.25, 0.0), 0.0), True),
        ((10.25, 0.0), False),
        ((9.75, 0.0), False),
        ((10.0, 0.25), False),
        ((10.0, math.nextafter(-0.25, 0.0)), True),
    ],
)
def test_settled_when_both_read_backs_are_closer_than_the_limit(read_A: tuple[float, float], settled: bool):
    bench = Bench(spots([5], x_A=[10.0]))
    bench.read_A = lambda tick: read_A
    bench.period()
    assert bench.s.settled_tick == (0 if settled else -1)


@pytest.mark.parametrize(("read_A", "settled"), [(-5.0, True), (5.0, False), (-5.25, False), (-4.75, False)])
def test_the_vertical_read_back_is_held_against_its_own_set_point(read_A: float, settled: bool):
    memory = spots([5])
    memory.y_current_A[0] = -5.0
    bench = Bench(memory)
    bench.read_A = lambda tick: (0.0, read_A)
    bench.period()
    assert bench.s.settled_tick == (0 if settled else -1)


def test_settled_tick_is_the_first_one_and_later_noise_does_not_change_it():
    bench = Bench(spots([5], x_A=[10.0]))
    bench.read_A = lambda tick: (10.0 if tick in (50, 100) else 11.0, 0.0)
    bench.run_to(200)
    assert bench.s.settled_tick == 50
    assert bench.law.axes[0].read_A == 11.0


def test_currents_of_a_part_are_those_read_back_last():
    bench = Bench(spots([5, 5], x_A=[10.0, 12.0]))
    bench.read_A = lambda tick: (10.0 + tick / 1024, -0.125)
    bench.counts = listed({60: (5, 5)})
    bench.begin().run_to(100)
    assert bench.law.parts[0].x_current_A == 10.0 + 50 / 1024
    assert bench.law.parts[0].y_current_A == -0.125
    assert bench.law.parts[0].settled_tick == 0


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_no_time_runs_against_the_magnets_while_read_backs_are_missing(missing: int):
    """Each that is missing gives as much more time, and no more."""
    bench = Bench(spots([5], x_A=[10.0]), SETTINGS._replace(first_move_ticks=0, deviation_ticks=200))
    lost = range(1000, 1000 + missing * 25, 25)
    bench.read_A = lambda tick: (math.nan if tick in lost else 10.0 if tick < 900 else 12.0, 0.0)
    bench.run_to(2000)
    # The read-back was right for the last time at 875.
    assert [(cause, tick) for cause, tick, *_ in bench.interlocks] == [
        (interlocks.CURRENT_X, 875 + 200 + missing * 25)
    ]


@pytest.mark.parametrize("late_ticks", [0, 400])
def test_a_move_has_its_time_from_when_the_beam_is_off(late_ticks: int):
    """40 A take 1280 us, after 250 us in which the magnets hold; a magnet that is later is found."""
    memory = spots([5, 5], beam_off=(1,), x_A=[0.0, 40.0])
    bench = Bench(memory, SETTINGS._replace(first_move_ticks=0, deviation_ticks=225))
    bench.counts = listed({80: (5, 5)})
    ramp = [0.0]

    def read(tick: int) -> tuple[float, float]:
        way_A = bench.set_A[0] - ramp[0]
        if tick >= 350 + late_ticks:
            ramp[0] += math.copysign(min(abs(way_A), 25 * SETTINGS.x.slew_A_per_us), way_A)
        return ramp[0], 0.0

    bench.read_A = read
    bench.begin().run_to(3000)
    assert [cause for cause, *_ in bench.interlocks] == ([interlocks.CURRENT_X] if late_ticks else [])
