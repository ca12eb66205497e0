"""What an interlock does to the spill, and what is recorded of it."""

from __future__ import annotations

import pytest

from spotline.control import interlocks
from spotline.control.integral import trip
from spotline.control.interlocks import PAUSE, STOP
from spotline.control.memory import (
    COLLECTING,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    INTERLOCK_ROWS,
    WAITING,
)
from tests.control.bench import LATE_TICKS, SETTINGS, Bench, listed, spots
from tests.control.fake_room import FakeRoom, field_delivered


@pytest.mark.kernel
@pytest.mark.parametrize(("action", "reason"), [(PAUSE, END_PAUSE), (STOP, END_STOP)])
def test_an_interlock_closes_the_chopper_and_ends_the_spill(action: int, reason: int):
    bench = Bench(spots([100, 100]))
    bench.counts = lambda tick: (1, 1) if 30 <= tick < 440 and tick % 10 == 0 else (0, 0)
    bench.deliver().run_to(200)
    trip(bench.law, interlocks.TEMPERATURE_1, action, 99.0, 26.0)
    assert bench.s.phase == COLLECTING
    assert bench.commands[-1] == ("close", 200, 0)
    bench.finish()
    assert bench.s.end_reason == reason
    assert bench.s.tick == 200 + LATE_TICKS
    assert bench.interlocks == [(interlocks.TEMPERATURE_1, 200, 99.0, 26.0, action)]
    part = bench.law.parts[0]
    assert (part.complete, part.int1_counts) == (0, 41), "counts that still come are its own"


@pytest.mark.kernel
def test_the_spot_under_way_is_recorded():
    bench = Bench(spots([5, 5, 5]))
    bench.counts = listed({30: (5, 5), 40: (5, 5), 60: (1, 1)})
    bench.begin().run_to(100)
    trip(bench.law, interlocks.PRESSURE_1, STOP, 1.0, 2.0)
    assert bench.law.interlocks[0].spot == 2


@pytest.mark.kernel
def test_a_cause_is_recorded_once_a_spill():
    bench = Bench(spots([10_000]))
    bench.counts = lambda tick: (3, 0) if 100 <= tick < 190 else (0, 0)
    bench.begin().run_to(500)
    causes = [cause for cause, *_ in bench.interlocks]
    assert causes == [interlocks.INT_RATIO, interlocks.INT_DIFFERENCE] or causes == [
        interlocks.INT_DIFFERENCE,
        interlocks.INT_RATIO,
    ]
    assert [value for _, _, value, _, _ in bench.interlocks] == [102.0, 1.0], "the value of the first sample"


@pytest.mark.kernel
def test_first_interlock_ends_the_spill_and_later_ones_are_recorded():
    bench = Bench(spots([1000]))
    bench.strip_x = lambda tick: {66: 64} if tick == 200 else {}
    bench.strip_y = lambda tick: {63: 64} if tick == 200 else {}
    bench.begin().finish()
    assert bench.interlocks == [
        (interlocks.POSITION_X, 200, 5.0, 2.5, PAUSE),
        (interlocks.POSITION_Y, 200, 7.5, 2.5, PAUSE),
    ]
    assert [word for word, _, _ in bench.commands] == ["open", "close"]
    assert bench.s.tick == 200 + LATE_TICKS


@pytest.mark.kernel
@pytest.mark.parametrize("stop_first", [False, True])
def test_a_stop_outranks_a_pause(stop_first: bool):
    bench = Bench(spots([1000]))
    bench.deliver()
    both = [(interlocks.POSITION_X, PAUSE), (interlocks.HIGH_VOLTAGE_1, STOP)]
    for cause, action in both[::-1] if stop_first else both:
        trip(bench.law, cause, action, 1.0, 1.0)
    bench.finish()
    assert bench.s.end_reason == END_STOP
    assert len(bench.interlocks) == 2


@pytest.mark.kernel
@pytest.mark.parametrize(("action", "reason"), [(PAUSE, END_OF_EXTRACTION), (STOP, END_STOP)])
def test_only_a_stop_changes_why_a_spill_has_ended(action: int, reason: int):
    bench = Bench(spots([1000]))
    bench.begin().end_extraction_at(100)
    bench.run_to(200)
    trip(bench.law, interlocks.PRESSURE_1, action, 1.0, 1.0)
    bench.finish()
    assert bench.s.end_reason == reason
    assert bench.s.tick == 100 + LATE_TICKS, "the collection is not prolonged"


@pytest.mark.kernel
def test_a_pause_after_the_last_spot_leaves_the_slice_complete():
    bench = Bench(spots([5]))
    bench.counts = listed({30: (5, 5)})
    bench.begin().run_to(100)
    trip(bench.law, interlocks.POSITION_X, PAUSE, 1.0, 1.0)
    bench.finish()
    assert bench.s.end_reason == END_SLICE_COMPLETE
    assert bench.law.parts[0].complete == 1


@pytest.mark.kernel
def test_more_interlocks_than_there_are_rows_do_no_harm():
    bench = Bench(spots([1000]))
    bench.deliver()
    for cause in range(100, 100 + 2 * INTERLOCK_ROWS):
        trip(bench.law, cause, PAUSE, float(cause), 0.0)
    assert [cause for cause, *_ in bench.interlocks] == list(range(100, 100 + INTERLOCK_ROWS))
    trip(bench.law, 999, STOP, 0.0, 0.0)
    assert bench.s.end_reason == END_STOP, "one that finds no row stops the beam all the same"


@pytest.mark.kernel
def test_the_back_up_chamber_is_compared_on_the_scale_of_the_first():
    """Two counts of INT2 for one of INT1 are as they should be here, and one for one is not."""
    memory = spots([10_000], margin2=20_000)
    memory.int1_per_int2[0] = 0.5
    right, wrong = Bench(memory), Bench(memory)
    right.counts = lambda tick: (1, 2) if tick % 4 == 0 else (0, 0)
    wrong.counts = lambda tick: (1, 1) if tick % 4 == 0 else (0, 0)
    right.begin().run_to(2000)
    wrong.begin().run_to(500)
    assert right.interlocks == []
    # The hundredth count; the first one comes at 28.
    assert wrong.interlocks == [(interlocks.INT_RATIO, 28 + 99 * 4, 0.5, 0.25, STOP)]


@pytest.mark.kernel
def test_differences_do_not_add_up_from_spot_to_spot():
    bench = Bench(spots([300] * 4, margin2=1000))
    bench.counts = lambda tick: (0, 0) if bench.s.end_reason else (1, 1) if tick % 5 else (1, 0)
    bench.begin().finish()
    assert bench.s.end_reason == END_SLICE_COMPLETE
    assert bench.interlocks == []
    assert bench.law.parts["complete"].all()


@pytest.mark.kernel
def test_background_before_an_interlock_that_comes_before_the_beam_is_nobodys():
    """Neither may a spot that never saw beam be taken for complete, nor lack less than before."""
    bench = Bench(spots([2, 2]))
    bench.counts = listed({3: (2, 2), 120: (1, 1)})
    bench.run_to(100)
    assert bench.s.phase == WAITING
    trip(bench.law, interlocks.PRESSURE_1, STOP, 1.0, 1.0)
    bench.finish()
    assert bench.law.parts[0].complete == 0
    assert bench.law.parts[0].int1_counts <= 1, "counts after the interlock may be booked"
    assert bench.commands == []


@pytest.mark.kernel
def test_background_before_a_wrong_cycle_code_is_nobodys():
    bench = Bench(spots([2, 2]))
    bench.broadcast_code ^= 1
    bench.counts = listed({3: (2, 2), 120: (1, 1)})
    bench.begin().finish()
    assert bench.s.end_reason == END_STOP
    assert bench.law.parts[0].complete == 0
    assert bench.law.parts[0].int1_counts <= 1


# Broadcast during a field


def test_a_spill_is_granted_only_with_the_code_that_was_asked_for():
    room = FakeRoom(broadcast=lambda code: code ^ 1)
    outcome = field_delivered(room)
    (row,) = outcome.interlocks_without_beam
    assert row["cause"] == interlocks.SYNCHRONIZATION
    assert int(row["value"]) == int(row["limit"]) ^ 1
    assert room.bench is None
    assert (outcome.complete, outcome.spills) == (False, 0)


@pytest.mark.kernel
@pytest.mark.parametrize(("per_sample", "trips"), [((1, 2), False), ((1, 1), True), ((2, 2), True)])
def test_across_spots_too_the_back_up_chamber_is_compared_on_the_scale_of_the_first(
    per_sample: tuple[int, int], trips: bool
):
    """Two counts of INT2 for one of INT1 are right here; no spot is long enough for its own ratio."""
    memory = spots([10] * 100, margin2=30)
    memory.int1_per_int2[:] = 0.5
    bench = Bench(memory, SETTINGS._replace(rate_counts=200))
    bench.counts = lambda tick: per_sample if tick % 10 == 0 else (0, 0)
    bench.begin().run_to(5000)
    # Counts that still come differ more and more, but this is what ends the beam.
    assert [cause for cause, *_ in bench.interlocks][:1] == ([interlocks.INT_RATE] if trips else [])
