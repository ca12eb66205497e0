"""The Int FPGA: when a spot ends, to which spot a count belongs, and how a spill ends."""

from __future__ import annotations

import pytest

from spotline.control.memory import (
    COLLECTING,
    DELIVERING,
    DONE,
    END_NONE,
    END_OF_EXTRACTION,
    END_SLICE_COMPLETE,
    LEAVING,
    MOVING,
    WAITING,
)
from tests.control.bench import LATE_TICKS, SETTINGS, UNKNOWN, Bench, every, listed, nothing, spots

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("sample", "counts"),
    [((1, 0), (10, 9)), ((0, 1), (9, 10)), ((1, 1), (10, 10)), ((3, 2), (12, 11))],
    ids=["INT1", "INT2", "both", "several counts at once"],
)
def test_spot_ends_with_the_sample_that_reaches_the_counts_of_either_chamber(
    sample: tuple[int, int], counts: tuple[int, int]
):
    bench = Bench(spots([10, 10], margin2=0))
    bench.counts = listed({30: (9, 9), 83: sample})
    bench.begin().run_to(150)
    first = bench.law.parts[0]
    assert bench.commands == [("open", 25, 0), ("complete", 83, 0)]
    assert (first.complete, first.end_tick, first.int1_counts, first.int2_counts) == (1, 83, *counts)
    assert (bench.s.spot, bench.s.row, bench.s.int1, bench.s.int2) == (1, 1, 0, 0)


def test_one_count_below_both_targets_the_spot_goes_on():
    bench = Bench(spots([10, 10], margin2=1))
    bench.counts = listed({30: (9, 10)})
    bench.begin().run_to(2000)
    assert bench.commands == [("open", 25, 0)]
    assert bench.s.phase == DELIVERING
    assert bench.law.parts[0].complete == 0


def test_counts_after_the_trigger_belong_to_the_arriving_spot():
    bench = Bench(spots([10, 8], x_A=[0.0, 20.0]))
    bench.read_A = lambda tick: (0.0, 0.0)  # the magnets do not even move
    bench.counts = listed({40: (10, 10), 41: (3, 2), 60: (4, 5)})
    bench.begin().run_to(100)
    assert bench.law.parts[0].int1_counts == 10
    assert (bench.s.spot, bench.s.int1, bench.s.int2) == (1, 7, 7)
    assert bench.law.parts[1].start_tick == 40
    assert bench.law.parts[1].from_trigger == 1
    assert bench.law.parts[0].from_trigger == 0
    # No beam-off on a short way, and the magnets go on without waiting for their read-back.
    assert bench.s.chopper_open == 1
    assert bench.set_A == (20.0, 0.0)


def test_last_spot_of_a_slice_takes_the_beam_away_at_once_and_keeps_what_still_comes():
    bench = Bench(spots([5, 5]))
    bench.counts = listed({30: (5, 5), 77: (5, 5), 78: (1, 2), 500: (2, 1), 727: (1, 1)})
    bench.begin().run_to(100)
    assert bench.commands[-2:] == [("complete", 77, 1), ("close", 77, 1)]
    assert bench.s.phase == COLLECTING
    assert bench.s.end_reason == END_SLICE_COMPLETE
    bench.finish()
    # The last count came in the scan period that ends at 750, and then none for the time of collection.
    end = 750 + SETTINGS.collection_ticks
    assert bench.s.tick == end
    last = bench.law.parts[1]
    assert (last.complete, last.int1_counts, last.int2_counts) == (1, 5 + 4, 5 + 4)
    assert (last.start_tick, last.end_tick) == (30, end)
    assert bench.commands[-1] == ("close", 77, 1)
    assert bench.s.row == 1


def test_counts_are_collected_as_long_as_beam_and_charge_need_to_die_away():
    bench = Bench(spots([5]), SETTINGS._replace(beam_off_ticks=100, collection_ticks=125))
    bench.counts = listed({25: (5, 5)})
    bench.begin().run_to(225)
    assert bench.s.phase == COLLECTING
    bench.run_to(250)
    assert bench.s.phase == DONE


def test_end_of_extraction_leaves_the_spot_open_with_what_it_got():
    bench = Bench(spots([10, 10, 10]))
    bench.counts = listed({30: (10, 10), 60: (4, 3), 200: (1, 2)})
    bench.end_extraction_at(100)
    bench.begin().finish()
    assert bench.s.end_reason == END_OF_EXTRACTION
    assert bench.commands == [("open", 25, 0), ("complete", 30, 0), ("close", 100, 1)]
    assert bench.s.tick == 100 + LATE_TICKS
    assert bench.law.parts["complete"].tolist() == [1, 0, 0]
    assert bench.law.parts["int1_counts"].tolist() == [10, 5, 0]
    assert bench.law.parts["int2_counts"].tolist() == [10, 5, 0]
    assert bench.law.parts[1].spot == 1
    assert bench.s.row == 1, "a spot that was never begun has no row"


def test_charge_that_comes_after_the_end_of_extraction_may_still_complete_a_spot():
    bench = Bench(spots([10, 10]))
    bench.counts = listed({30: (9, 9), 110: (1, 0), 111: (1, 1)})
    bench.end_extraction_at(100)
    bench.begin().finish()
    assert bench.law.parts[0].complete == 1
    assert bench.law.parts[0].int1_counts == 11, "no spot takes over after the end"
    assert bench.s.row == 0
    assert bench.s.end_reason == END_OF_EXTRACTION


def test_end_of_extraction_during_collection_changes_nothing():
    bench = Bench(spots([5]))
    bench.counts = listed({30: (5, 5)})
    bench.end_extraction_at(100)
    bench.begin().finish()
    assert bench.s.end_reason == END_SLICE_COMPLETE
    assert bench.s.tick == 700  # counted from 30


def test_start_of_extraction_opens_the_chopper_at_once_if_the_magnets_are_there():
    bench = Bench(spots([5]))
    assert bench.s.phase == WAITING
    bench.begin()
    assert bench.s.settled_tick == 0
    bench.period()
    assert bench.commands == [("open", 25, 0)]
    assert bench.s.phase == DELIVERING


def test_start_of_extraction_waits_for_the_magnets():
    bench = Bench(spots([5], x_A=[30.0]), announced=(100, UNKNOWN))
    bench.read_A = lambda tick: (30.0 if tick >= 200 else 29.75, 0.0)  # 0.25 A off is not settled
    bench.events[100] = 1
    bench.run_to(200)
    assert bench.s.phase == MOVING
    assert bench.commands == []
    bench.run_to(225)
    assert bench.s.phase == DELIVERING
    assert bench.commands == [("open", 200, 0)]
    assert bench.law.parts[0].start_tick == 100


def test_counts_before_the_extraction_are_nobodys():
    bench = Bench(spots([5, 5]))
    bench.counts = listed({3: (7, 7), 24: (7, 7), 30: (4, 4)})
    bench.begin().run_to(100)
    assert (bench.s.spot, bench.s.int1, bench.s.int2) == (0, 4, 4)
    assert bench.s.total1 == 18, "but the total of the spill has them"
    bench.counts = listed({110: (1, 1), 111: (5, 5)})
    bench.finish()
    assert bench.law.parts["int1_counts"].tolist() == [5, 5]


def test_a_second_start_of_extraction_is_ignored():
    bench = Bench(spots([5]))
    bench.counts = listed({30: (3, 3), 90: (2, 2)})
    bench.events[75] = 1
    bench.begin().finish()
    assert bench.law.parts[0].int1_counts == 5
    assert bench.law.parts[0].start_tick == 25


# Jumps with the beam off


def jump(**changes: int) -> Bench:
    """Two spots with a jump between; the magnets lag by two scan periods."""
    bench = Bench(spots([5, 5, 5], beam_off=(1,), x_A=[0.0, 40.0, 40.0]), SETTINGS._replace(**changes))
    delayed = [(0.0, 0.0)] * 2

    def read(tick: int) -> tuple[float, float]:
        delayed.append(bench.set_A)
        return delayed.pop(0)

    bench.read_A = read
    return bench


def test_jump_closes_holds_moves_and_opens_when_both_read_backs_are_there():
    bench = jump()
    bench.counts = listed({80: (5, 5)})
    bench.begin().run_to(325)
    assert bench.commands[1:] == [("complete", 80, 0), ("close", 80, 1)]
    assert bench.s.phase == LEAVING
    assert bench.set_A == (0.0, 0.0), "the magnets hold until the beam is off"
    bench.run_to(350)  # the period at 325 is 245 ticks after the trigger: one too early
    assert bench.s.phase == LEAVING
    bench.run_to(375)
    assert bench.s.phase == MOVING
    assert bench.set_A == (40.0, 0.0)
    assert bench.commands[-1][0] == "close"
    bench.run_to(600)
    assert bench.commands[-1] == ("open", 425, 1)
    assert bench.s.phase == DELIVERING
    assert bench.s.settled_tick == 425


@pytest.mark.parametrize("plane", [0, 1])
def test_chopper_stays_closed_while_either_magnet_is_under_way(plane: int):
    bench = Bench(spots([5, 5], beam_off=(1,)))
    bench.counts = listed({80: (5, 5)})
    off = [(0.3, 0.0), (0.0, -0.3)][plane]
    bench.begin().run_to(100)
    bench.read_A = lambda tick: off
    bench.run_to(2000)
    assert bench.s.phase == MOVING
    assert bench.s.chopper_open == 0
    bench.read_A = lambda tick: (0.0, 0.0)
    bench.run_to(2025)
    assert bench.commands[-1] == ("open", 2000, 1)


def test_charge_in_flight_counts_for_the_spot_after_the_jump():
    bench = jump()
    bench.counts = listed({80: (5, 5), 100: (2, 2), 400: (1, 1)})
    bench.begin().run_to(600)
    assert (bench.s.spot, bench.s.int1) == (1, 3)


@pytest.mark.parametrize(("tick", "phase"), [(100, LEAVING), (400, MOVING)])
def test_a_tiny_spot_is_completed_by_charge_in_flight(tick: int, phase: int):
    """The magnets are then sent on to the spot after it, and the beam stays off until they are there."""
    bench = jump()
    bench.counts = listed({80: (5, 5), tick: (5, 5)})
    bench.begin().run_to(tick)
    assert bench.s.phase == phase
    bench.run_to(tick + 25)
    assert bench.commands[-1] == ("complete", tick, 1)
    assert bench.s.chopper_open == 0
    assert bench.s.spot == 2
    bench.run_to(1000)
    assert bench.commands[-1][0] == "open"
    assert bench.commands[-1][2] == 2
    assert bench.law.parts[1].settled_tick == -1
    bench.counts = listed({1010: (5, 5)})
    bench.finish()
    assert bench.law.parts["complete"].tolist() == [1, 1, 1]


def test_two_jumps_in_a_row_hold_the_magnets_again():
    bench = Bench(spots([5, 2, 5], beam_off=(1, 2), x_A=[0.0, 40.0, 80.0]))
    bench.counts = listed({80: (5, 5), 270: (2, 2)})
    bench.begin().run_to(500)
    assert bench.s.phase == LEAVING
    assert bench.set_A == (0.0, 0.0), "nothing moves before the beam of the last trigger is surely off"
    bench.run_to(600)
    assert bench.commands[-1] == ("open", 550, 2)
    assert [what for what, _, _ in bench.commands].count("close") == 1


def test_a_last_spot_completed_in_flight_ends_the_spill():
    bench = Bench(spots([5, 2], beam_off=(1,)))
    bench.counts = listed({80: (5, 5), 200: (2, 2)})
    bench.begin().finish()
    assert bench.s.end_reason == END_SLICE_COMPLETE
    assert [c[0] for c in bench.commands] == ["open", "complete", "close", "complete"]
    assert bench.law.parts["complete"].tolist() == [1, 1]


def test_the_log_of_commands_has_room_for_a_jump_before_every_spot():
    n = 12
    bench = Bench(spots([2] * n, beam_off=tuple(range(1, n))))
    bench.counts = lambda tick: (1, 1) if bench.s.chopper_open else (0, 0)
    bench.begin().finish()
    assert bench.law.parts["complete"].all()
    words = [word for word, _, _ in bench.commands]
    assert words == ["open", "complete", "close"] * n
    assert len(bench.law.commands) >= 3 * n
    spot_of = [spot for word, _, spot in bench.commands if word == "open"]
    assert spot_of == list(range(n))


def test_a_zero_step_is_settled_in_the_next_scan_period():
    """Repainting: the next spot may lie where the beam already is."""
    bench = Bench(spots([5, 5]))
    bench.counts = listed({80: (5, 5)})
    bench.begin().run_to(125)
    assert bench.s.settled_tick == 100


def test_nothing_comes_of_a_spill_without_events():
    bench = Bench(spots([5]))
    bench.counts = every(1)
    bench.run_to(5000)
    assert bench.s.phase == WAITING
    assert bench.s.end_reason == END_NONE
    assert bench.commands == []


def test_an_empty_spill_ends_with_the_extraction():
    bench = Bench(spots([5, 5]))
    bench.counts = nothing
    bench.end_extraction_at(2000)
    bench.begin().finish()
    assert bench.s.end_reason == END_OF_EXTRACTION
    assert bench.law.parts["complete"].sum() == 0
    assert bench.commands == [("open", 25, 0), ("close", 2000, 0)]


def test_clock_of_the_field_may_start_anywhere():
    late = 3_600_000_000
    one, other = (
        Bench(spots([7, 9, 4], beam_off=(2,))),
        Bench(spots([7, 9, 4], beam_off=(2,)), start_tick=late),
    )
    one.counts, other.counts = every(9, until=400), every(9, since=late, until=late + 400)
    one.begin().finish()
    other.begin().finish()
    assert other.commands == [(word, tick + late, spot) for word, tick, spot in one.commands]
    assert other.law.parts["int1_counts"].tolist() == one.law.parts["int1_counts"].tolist()
