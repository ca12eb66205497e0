"""Causes that need the charge of the ring."""

from __future__ import annotations

from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.control.memory import INPUT_RING_CHARGED, INPUT_RING_SPENT, RingSettings
from tests.control.bench import LATE_TICKS, Bench, every, spots
from tests.control.trips.case import Case, Tripped, on_bench

READ = RingSettings(
    counts_per_pulse=8.0, ratio=0.25, short_counts=16.0, silence_ticks=5000, floor_counts=4.0, fall_ticks=500
)
"""A pulse for eight counts, of which six must come; the floor is four counts in 5 ms."""
WATCHED = 25 + LATE_TICKS
"""On the bench the beam is wanted from 25 on."""
PULSES = 200


def pulses(tick: int) -> int:
    """The ring is charged, and gives a pulse every 200 us."""
    return INPUT_RING_CHARGED | (INPUT_RING_SPENT if tick % PULSES == 0 else 0)


def short(bench: Bench, reach: bool) -> None:
    """Two counts short of six with every pulse, sixteen with the eighth; or with seven, and then enough."""
    few, many = every(50), every(25)
    bench.inputs = pulses
    last = 800 + 8 * PULSES
    bench.counts = lambda tick: few(tick) if reach or tick < last - PULSES else many(tick)
    bench.begin().run_to(6000 if not reach else last + PULSES)


def unseen(bench: Bench, reach: bool) -> None:
    """No count in 5 ms; or a few more than the floor."""
    bench.inputs = lambda tick: INPUT_RING_CHARGED
    bench.counts = every(900) if not reach else lambda tick: (0, 0)
    bench.begin().run_to(WATCHED + 5500)


def floor(bench: Bench, reach: bool) -> None:
    """Four counts in 5 ms; or five."""
    bench.inputs = lambda tick: INPUT_RING_CHARGED
    ticks = [1000, 2000, 3000, 4000] + ([] if reach else [5000])
    bench.counts = lambda tick: (1, 1) if tick in ticks else (0, 0)
    bench.begin().run_to(WATCHED + 5100)


CASES: list[Case] = [
    on_bench("less is counted than left the ring", Tripped(interlocks.RING_CHARGE, 16.0, 16.0, STOP,
             800 + 8 * PULSES + 25), short, spots([10_000]), ring=READ),
    on_bench("nothing is counted with a charged ring", Tripped(interlocks.BEAM_UNSEEN, 5000.0, 5000.0, STOP,
             WATCHED + 5000), unseen, spots([10_000]), ring=READ),
    on_bench("next to nothing is counted with a charged ring", Tripped(interlocks.INTENSITY_FLOOR, 4.0, 4.0,
             STOP, WATCHED + 5000), floor, spots([10_000]), ring=READ),
]  # fmt: skip
