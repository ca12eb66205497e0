"""The Timing FPGA: what is granted, and what is asked for after a spill."""

from __future__ import annotations

from itertools import product

import pytest

from spotline.control.memory import (
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    INPUT_END,
    INPUT_NO_INTEGRAL,
    INPUT_START,
)
from spotline.control.timing import (
    REQUEST_NEXT_CYCLE,
    REQUEST_NOTHING,
    REQUEST_REPEAT_CYCLE,
    acknowledge,
    request_after,
    timing_event,
)
from tests.control.bench import CODE, Bench, listed, spots


@pytest.mark.parametrize("bit", range(34))
def test_a_cycle_code_with_a_single_wrong_bit_is_not_granted(bit: int):
    assert acknowledge(CODE, CODE)
    assert not acknowledge(CODE, CODE ^ 1 << bit)


def test_what_is_asked_for_after_a_spill():
    """The whole table: reason, whether it was the last slice, whether the slice is complete."""
    reasons = (END_SLICE_COMPLETE, END_OF_EXTRACTION, END_PAUSE, END_STOP)
    for reason, is_last, is_complete in product(reasons, (False, True), (False, True)):
        if reason == END_STOP:
            expected = REQUEST_NOTHING
        elif not is_complete:
            expected = REQUEST_REPEAT_CYCLE
        elif is_last:
            expected = REQUEST_NOTHING
        else:
            expected = REQUEST_NEXT_CYCLE
        assert request_after(reason, is_last, is_complete) == expected
    # A pause may come with the very last count of a slice.
    assert request_after(END_PAUSE, False, True) == REQUEST_NEXT_CYCLE


@pytest.mark.kernel
@pytest.mark.parametrize("event", [INPUT_START, INPUT_END])
def test_an_event_with_another_cycle_code_does_nothing_but_trip(event: int):
    bench = Bench(spots([5]))
    bench.run_to(100)
    timing_event(bench.law, bench.settings, bench.memory, event, CODE + 1)
    assert bench.s.chopper_open == 0
    assert [cause for cause, *_ in bench.interlocks] == [8]
    assert bench.law.interlocks[0].value == CODE + 1
    assert bench.law.interlocks[0].limit == CODE


@pytest.mark.kernel
def test_counts_that_were_not_read_out_before_the_extraction_are_background():
    """They are in the totals of both chambers, and in no spot."""
    bench = Bench(spots([1000]))
    bench.inputs = lambda tick: INPUT_NO_INTEGRAL if tick == 75 else 0
    bench.counts = listed({80: (3, 5)})
    bench.run_to(100)
    assert (bench.safety.missed1, bench.safety.missed2) == (3, 5)
    bench.s.start_due = 100
    bench.events[100] = INPUT_START
    bench.period()
    assert (bench.s.start_seen, bench.s.total1, bench.s.total2) == (1, 3, 5)
    assert (bench.s.int1, bench.s.int2) == (0, 0)
    assert (bench.safety.missed1, bench.safety.missed2) == (0, 0)


@pytest.mark.kernel
def test_unknown_events_are_ignored():
    bench = Bench(spots([5]))
    bench.run_to(100)
    before = bench.law.scalars.copy()
    timing_event(bench.law, bench.settings, bench.memory, 77, CODE)
    assert bench.law.scalars == before


@pytest.mark.kernel
def test_an_end_of_extraction_without_a_start_ends_the_spill():
    bench = Bench(spots([5]))
    bench.end_extraction_at(100)
    bench.finish()
    assert bench.s.end_reason == END_OF_EXTRACTION
    assert bench.commands == []
