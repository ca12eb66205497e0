"""Beam-off commanded early, by what is expected to come while the chopper closes."""

from __future__ import annotations

import pytest

from spotline.control.integral import expected_late_counts, is_beam_off_next
from spotline.control.interlocks import INT_DIFFERENCE
from spotline.control.memory import (
    COLLECTING,
    DELIVERING,
    END_OF_EXTRACTION,
    END_SLICE_COMPLETE,
    FINISHING,
    MOVING,
    NEVER,
)
from tests.control.bench import SETTINGS, Bench, every, listed, spots

pytestmark = pytest.mark.kernel

EARLY = SETTINGS._replace(anticipate=1)
"""Charge of 200 ticks is in flight at a command: with a count every 10 ticks that is 20 counts."""


def steady(counts: list[int], beam_off: tuple[int, ...] = ()) -> Bench:
    bench = Bench(spots(counts, beam_off=beam_off), EARLY)
    bench.counts = every(10, since=25)
    return bench.begin()


def test_expected_counts_are_those_of_the_window_scaled_to_the_time_in_flight():
    bench = steady([500]).run_to(400)
    assert bench.s.window1 == 10  # 100 ticks
    assert expected_late_counts(bench.law, EARLY) == 20.0


def test_without_anticipation_there_is_no_early_target():
    bench = Bench(spots([500]))
    bench.counts = every(10, since=25)
    bench.begin().run_to(400)
    assert bench.s.chopper_target1 == NEVER


def test_last_spot_is_cut_off_early_and_finished_by_the_clock():
    bench = steady([100])
    # The 80th count comes at 25 + 79 * 10; the charge in flight is 20 counts more.
    in_flight = every(10, since=25)
    bench.counts = lambda tick: in_flight(tick) if tick < 1016 else (0, 0)
    bench.run_to(1450)
    assert bench.commands == [("open", 25, 0), ("close", 815, 0)]
    assert bench.s.int1 == 100
    assert bench.s.phase == FINISHING, "enough counts do not end it before the time"
    bench.run_to(1475)  # the first period that ends more than LATE_TICKS after the command
    assert bench.commands[-1] == ("complete", 1475, 0)
    assert bench.s.phase == COLLECTING
    assert bench.s.end_reason == END_SLICE_COMPLETE
    bench.finish()
    assert (bench.law.parts[0].complete, bench.law.parts[0].int1_counts) == (1, 100)


def test_spot_before_a_jump_is_cut_off_early_and_the_magnets_move_at_once_afterwards():
    bench = steady([100, 100], beam_off=(1,))
    bench.read_A = lambda tick: (0.0, 0.0) if tick < 1525 else (9.0, 0.0)
    bench.memory.x_current_A[1] = 9.0
    bench.run_to(1450)
    assert (bench.s.phase, bench.s.spot, bench.set_A) == (FINISHING, 0, (0.0, 0.0))
    bench.run_to(1475)
    assert (bench.s.phase, bench.s.spot) == (MOVING, 1)
    bench.run_to(1500)
    assert bench.set_A == (9.0, 0.0), "the beam has been off for long: no second wait"
    bench.run_to(1550)
    assert bench.s.phase == DELIVERING
    assert bench.commands[1:] == [("close", 815, 0), ("complete", 1475, 0), ("open", 1525, 1)]


def test_a_spot_that_gets_less_than_expected_is_complete_all_the_same():
    """The intensity fell after the command: nothing is made good by switching the beam on again."""
    bench = steady([100])
    bench.counts = lambda tick: every(10, since=25)(tick) if tick < 816 else (0, 0)
    bench.finish()
    assert (bench.law.parts[0].complete, bench.law.parts[0].int1_counts) == (1, 80)


def test_spot_on_a_short_way_is_not_cut_off():
    bench = steady([100, 100])
    bench.run_to(600)
    assert bench.s.chopper_target1 == NEVER
    bench.run_to(1050)
    assert bench.commands == [("open", 25, 0), ("complete", 1015, 0)]
    assert bench.s.chopper_open == 1


@pytest.mark.parametrize(("counts", "beam_off", "spot", "wanted"), [
    ([5, 5], (), 0, False),
    ([5, 5], (1,), 0, True),
    ([5, 5], (), 1, True),
])  # fmt: skip
def test_beam_goes_off_before_a_jump_and_after_the_last_spot(
    counts: list[int], beam_off: tuple[int, ...], spot: int, wanted: bool
):
    bench = Bench(spots(counts, beam_off=beam_off))
    bench.s.spot = spot
    assert is_beam_off_next(bench.law, bench.memory) == wanted


def test_target_reached_before_the_early_one_is_known_still_ends_the_spot():
    """The early target is set once a scan period; a burst may pass the prescription within one."""
    bench = Bench(spots([10, 10], beam_off=(1,)), EARLY)
    bench.counts = listed({60: (10, 10)})
    bench.begin().run_to(100)
    assert bench.commands == [("open", 25, 0), ("complete", 60, 0), ("close", 60, 1)]


def test_end_of_extraction_while_finishing_leaves_a_spot_that_lacks_counts_open():
    bench = steady([100])
    bench.run_to(825)
    assert bench.s.phase == FINISHING
    bench.counts = listed({900: (1, 1)})
    bench.end_extraction_at(850)
    bench.finish()
    assert bench.s.end_reason == END_OF_EXTRACTION
    assert (bench.law.parts[0].complete, bench.law.parts[0].int1_counts) == (0, 81)


def test_interlocks_watch_on_while_finishing():
    bench = steady([100])
    bench.run_to(825)
    bench.counts = listed({900: (100, 0)})
    bench.finish()
    assert bench.law.interlocks[0].cause == INT_DIFFERENCE
