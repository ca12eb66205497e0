"""The patient and the safety interlock system: what they do without the fast control."""

from __future__ import annotations

import pytest

from spotline.control import interlocks
from spotline.control.memory import (
    DONE,
    END_SLICE_COMPLETE,
    END_STOP,
    INPUT_COUCH,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_OPERATOR,
    INPUT_SLOW,
    INPUT_START,
    INPUT_SUPERVISION,
    LEAK_TICKS,
    LINE_COUCH,
    LINE_FAST,
    LINE_OPERATOR,
    LINE_SUPERVISION,
    OVERTIME_TICKS,
)
from spotline.control.safety import is_beam_wanted
from tests.control.bench import LATE_TICKS, SETTINGS, Bench, listed, spots

pytestmark = pytest.mark.kernel

WATCHFUL = SETTINGS._replace(off_counts=5)


def causes(bench: Bench) -> list[int]:
    return [cause for cause, *_ in bench.interlocks]


def test_a_line_takes_the_permit_away_for_the_rest_of_the_spill():
    bench = Bench(spots([1000]))
    bench.inputs = lambda tick: INPUT_COUCH if tick == 500 else 0
    bench.begin().run_to(500)
    assert is_beam_wanted(bench.law)
    bench.period()
    assert (bench.safety.permit, bench.safety.first_line, bench.safety.first_tick) == (0, LINE_COUCH, 500)
    bench.run_to(800)
    assert not is_beam_wanted(bench.law)
    assert bench.safety.permit == 0


def test_the_first_lines_are_kept_and_all_are_latched_and_recorded():
    bench = Bench(spots([1000]))
    lines = {500: INPUT_OPERATOR | INPUT_SUPERVISION, 525: INPUT_COUCH}
    bench.inputs = lambda tick: lines.get(tick, 0)
    bench.begin().run_to(600)
    assert bench.safety.first_line == LINE_OPERATOR | LINE_SUPERVISION
    assert bench.safety.latched == LINE_OPERATOR | LINE_SUPERVISION | LINE_COUCH | LINE_FAST
    assert bench.interlocks == [
        (interlocks.OPERATOR, 500, 1.0, 0.0, interlocks.STOP),
        (interlocks.SUPERVISION, 500, 1.0, 0.0, interlocks.STOP),
        (interlocks.COUCH, 525, 1.0, 0.0, interlocks.STOP),
    ]


def test_the_line_of_the_slow_control_stops_without_a_row_of_its_own():
    bench = Bench(spots([1000]))
    bench.inputs = lambda tick: INPUT_SLOW if tick == 500 else 0
    bench.begin().finish()
    assert (bench.interlocks, bench.s.end_reason) == ([], END_STOP)
    assert bench.commands[-1] == ("close", 500, 0)


def test_a_line_is_recorded_and_the_spill_closed_although_the_fast_control_hangs():
    """It counts nothing itself meanwhile; what came is booked when the spill is closed."""
    bench = Bench(spots([1000]))
    bench.counts = listed({450: (7, 7), 510: (2, 3), 620: (1, 0)})
    bench.inputs = lambda tick: (INPUT_HANG if tick >= 500 else 0) | (INPUT_OPERATOR if tick == 550 else 0)
    bench.begin().finish()
    assert causes(bench) == [interlocks.OPERATOR, interlocks.WATCHDOG]
    assert bench.law.interlocks[0].tick == 550
    assert bench.s.tick == 550 + LATE_TICKS
    part = bench.law.parts[0]
    assert (part.int1_counts, part.int2_counts, part.complete) == (10, 10, 0)
    assert (bench.s.total1, bench.s.total2) == (10, 10)


def test_counts_that_were_not_read_out_can_complete_the_spot():
    bench = Bench(spots([10, 10]))
    bench.counts = listed({60: (4, 4), 110: (7, 7)})
    bench.inputs = lambda tick: INPUT_NO_INTEGRAL if 100 <= tick < 150 else 0
    bench.begin().run_to(150)
    assert (bench.s.spot, bench.s.int1) == (0, 4)
    bench.period()
    assert (bench.s.spot, bench.s.int1) == (1, 0)
    assert bench.law.parts[0].int1_counts == 11
    assert bench.interlocks == []


def test_background_that_was_not_read_out_before_the_extraction_is_nobodys():
    bench = Bench(spots([10]), announced=(75, 10_000))
    bench.counts = listed({60: (4, 4)})
    bench.events = {75: INPUT_START}
    bench.inputs = lambda tick: INPUT_NO_INTEGRAL if tick == 50 else 0
    bench.run_to(200)
    assert (bench.s.int1, bench.s.total1) == (0, 4)


@pytest.mark.parametrize("hangs", [False, True])
def test_beam_that_stays_after_the_chopper_ends_the_extraction(hangs: bool):
    """The second path does not need the fast control."""
    bench = Bench(spots([5]), WATCHFUL)
    bench.counts = lambda tick: (1, 1) if 30 <= tick < 3000 and tick % 20 == 10 else (0, 0)
    bench.inputs = lambda tick: INPUT_HANG if hangs and tick >= 300 else 0
    bench.begin().run_to(2000)
    assert interlocks.BEAM_WHEN_OFF in causes(bench)
    assert bench.safety.end_extraction == 1
    # The chopper had its time after the spot was complete at 110; five counts take 100 us.
    assert 110 + LATE_TICKS < bench.safety.end_extraction_tick <= 110 + LATE_TICKS + 150
    assert bench.s.phase != DONE, "the spill stays open for beam that goes on"
    bench.finish()
    assert 3000 + SETTINGS.collection_ticks <= bench.s.tick <= 3025 + SETTINGS.collection_ticks
    assert bench.law.parts[0].int1_counts == bench.s.total1 == 149, "all of it is booked"


def test_beam_that_comes_after_the_end_of_a_spill_stops_the_treatment():
    """The fast control is done; the safety interlock system is awake, and what it finds is latched."""
    bench = Bench(spots([5]), WATCHFUL)
    bench.counts = lambda tick: (1, 1) if tick % 20 == 10 and (tick < 130 or tick > 3000) else (0, 0)
    bench.begin().finish()
    assert (bench.interlocks, bench.s.end_reason) == ([], END_SLICE_COMPLETE)
    booked = bench.law.parts.tobytes(), int(bench.s.total1)
    bench.rest_to(3200)
    # The fifth count comes at 3090, in the scan period that ends at 3100.
    assert bench.interlocks == [(interlocks.BEAM_WHEN_OFF, 3100, 5.0, 5.0, interlocks.STOP)]
    assert (bench.safety.end_extraction, bench.safety.end_extraction_tick) == (1, 3100)
    assert (bench.s.end_reason, bench.s.phase, bench.safety.permit) == (END_STOP, DONE, 0)
    assert (bench.law.parts.tobytes(), bench.s.total1) == booked, "it is booked to no spot"


def test_a_fast_control_that_is_done_is_alive_unless_it_hangs():
    for hangs in (False, True):
        bench = Bench(spots([5]), WATCHFUL)
        bench.counts = lambda tick: (1, 1) if tick % 20 == 10 and tick < 130 else (0, 0)
        bench.inputs = lambda tick, hangs=hangs: INPUT_HANG if hangs and tick >= 3000 else 0
        bench.begin().finish().rest_to(6000)
        assert causes(bench) == ([interlocks.WATCHDOG] if hangs else [])


def test_background_is_no_beam_however_long_it_lasts():
    """One count in each leak time passes for ever; and a little more does not."""
    for ticks, passes in ((LEAK_TICKS + 25, True), (LEAK_TICKS // 2, False)):
        bench = Bench(spots([5]), WATCHFUL)
        bench.counts = lambda tick, ticks=ticks: (1, 1) if tick % ticks == 700 else (0, 0)
        bench.run_to(40 * LEAK_TICKS)
        assert (causes(bench) == []) == passes


def test_counts_while_the_chopper_closes_are_not_held_against_it():
    bench = Bench(spots([5]), WATCHFUL)
    bench.counts = lambda tick: (1, 1) if 30 <= tick < 675 and tick % 5 == 0 else (0, 0)
    bench.begin().finish()
    assert bench.interlocks == []
    assert bench.safety.end_extraction == 0


def test_no_extraction_begins_without_a_permit():
    bench = Bench(spots([5]), announced=(700, 10_000))
    bench.events = {700: INPUT_START}
    bench.inputs = lambda tick: INPUT_COUCH if tick == 100 else 0
    bench.run_to(800)
    assert (bench.safety.end_extraction, bench.safety.end_extraction_tick) == (1, 700)
    assert bench.commands == []


def test_a_channel_that_counts_for_ever_does_not_keep_the_spill_open():
    bench = Bench(spots([5]))
    bench.counts = lambda tick: (0, 1) if tick % 50 == 0 else (0, 0)
    bench.begin().end_extraction_at(1000)
    bench.finish()
    assert bench.s.tick == 1000 + OVERTIME_TICKS
    assert bench.law.parts[0].int2_counts == bench.s.total2 - 1, "the count before the extraction is nobody's"


@pytest.mark.kernel
def test_a_spot_that_has_all_it_lacked_gets_no_more_even_if_no_beam_was_let_through():
    """Counts with the chopper closed are noise or stray ions; on the safe side they are ions."""
    bench = Bench(spots([20, 20]))
    bench.counts = lambda tick: (1, 0) if 120 <= tick < 150 else (0, 0)
    bench.inputs = lambda tick: INPUT_COUCH if tick == 100 else 0
    bench.finish()
    part = bench.law.parts[0]
    assert (part.int1_counts, part.int2_counts, part.complete) == (30, 0, 1)


@pytest.mark.parametrize("per_sample", [(1, 0), (0, 1), (1, 1)])
def test_a_leak_of_more_than_500_counts_per_second_does_not_pass(per_sample: tuple[int, int]):
    """667 a second in either chamber: the discriminator forgets 500, so that five are over after 30 ms."""
    bench = Bench(spots([1000]), WATCHFUL)
    bench.counts = lambda tick: per_sample if tick >= 700 and tick % 1500 == 0 else (0, 0)
    bench.run_to(60_000)
    assert causes(bench) == [interlocks.BEAM_WHEN_OFF]
    assert bench.safety.end_extraction == 1


def test_a_single_count_that_was_not_read_out_completes_its_spot_with_the_next_sample():
    """Also when nothing else comes: it may be the last one that the spot lacked."""
    bench = Bench(spots([5, 5]))
    bench.counts = listed({60: (4, 4), 110: (1, 0)})
    bench.inputs = lambda tick: INPUT_NO_INTEGRAL if tick == 100 else 0
    bench.begin().run_to(125)
    assert (bench.s.spot, bench.s.int1) == (0, 4)
    bench.period()
    assert (bench.s.spot, bench.law.parts[0].int1_counts) == (1, 5)
