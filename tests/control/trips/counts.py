"""Causes in the counts of the integral chambers."""

from __future__ import annotations

import math
from typing import Any

from spotline.control import interlocks
from spotline.control.interlocks import INHIBIT, PAUSE, STOP
from tests.control.bench import SETTINGS, Bench, listed, spots
from tests.control.fake_room import FakeRoom, field_delivered
from tests.control.trips.case import Case, Drive, Tripped, on_bench

Counts = dict[int, tuple[int, int]]


def counting(fault: Counts, no_fault: Counts) -> Drive:
    """Counts of the integral chambers, by tick."""

    def drive(bench: Bench, reach: bool) -> None:
        bench.counts = listed(fault if reach else no_fault)
        bench.begin().run_to(1500)

    return drive


def integrals(name: str, expected: Tripped, fault: Counts, no_fault: Counts, **settings: Any) -> Case:
    """A case of counts during a spot that is not complete yet."""
    return on_bench(name, expected, counting(fault, no_fault), spots([10_000]), **settings)


def intensity(name: str, per_bin: tuple[int, int], particles_per_s: float) -> Case:
    """300 counts in four scan periods are too many, in either chamber."""

    def drive(bench: Bench, reach: bool) -> None:
        # Ten scan periods of 74 or 75 counts in this chamber, and all that is missing in one of them.
        def counts(tick: int) -> tuple[int, int]:
            if tick % 25 or not 100 <= tick < 350:
                return 0, 0
            more = 4 if reach and tick == 250 else 3 if tick == 250 else 0
            return tuple(n + more if n == 74 else n for n in per_bin)  # type: ignore[return-value]

        bench.counts = counts
        bench.begin().run_to(600)

    expected = Tripped(interlocks.INTENSITY, 300 * particles_per_s, 300 * particles_per_s, STOP, 275)
    tolerant = SETTINGS.integral._replace(difference=1e9, ratio=1e9)
    return on_bench(name, expected, drive, spots([10_000]), integral=tolerant)


def beam_when_off(bench: Bench, reach: bool) -> None:
    """The spot ends at 30, so the chopper has had its time at 700."""
    bench.counts = listed({30: (5, 5), 400: (9, 9), 690: (4, 4), 695: (0, int(reach))})
    bench.begin().run_to(1000)


def background(name: str, which: int) -> Case:
    def drive(reach: bool) -> list[Tripped]:
        measured = [0.0, 0.0]
        measured[which] = 10.0 if reach else math.nextafter(10.0, 0.0)
        return before_treatment(FakeRoom(background=(measured[0], measured[1])))

    return Case(name, drive, Tripped(interlocks.BACKGROUND, 10.0, 10.0, INHIBIT))


def before_treatment(room: FakeRoom) -> list[Tripped]:
    """Begin a treatment in a room; with an interlock not a single spill may be asked for."""
    outcome = field_delivered(room)
    assert outcome.complete == (not outcome.interlocks_without_beam)
    assert room.spills == (1 if outcome.complete else 0)
    return [
        Tripped(row["cause"], row["value"], row["limit"], row["action"])
        for row in outcome.interlocks_without_beam
    ]


CASES = [
    integrals(
        "INT1 has 100 counts more", Tripped(interlocks.INT_DIFFERENCE, 100.0, 100.0, STOP, 800),
        {**dict.fromkeys(range(100, 500, 2), (2, 2)), 500: (99, 0), 800: (1, 0)},
        {**dict.fromkeys(range(100, 500, 2), (2, 2)), 500: (99, 0), 800: (1, 1)},
    ),
    integrals(
        "INT2 has 100 counts more", Tripped(interlocks.INT_DIFFERENCE, 100.0, 100.0, STOP, 800),
        {**dict.fromkeys(range(100, 600, 2), (2, 2)), 700: (0, 99), 800: (0, 1)},
        {**dict.fromkeys(range(100, 600, 2), (2, 2)), 700: (0, 99)},
    ),
    integrals(
        "INT2 lacks a quarter", Tripped(interlocks.INT_RATIO, 0.25, 0.25, STOP, 300),
        {100: (99, 75), 300: (1, 0)},
        {100: (99, 76), 300: (1, 0)},
    ),
    integrals(
        "INT2 has a quarter more", Tripped(interlocks.INT_RATIO, 0.25, 0.25, STOP, 300),
        {100: (80, 99), 300: (0, 1)},
        {100: (80, 99), 300: (1, 1)},
    ),
    integrals(
        "ratio of too few counts", Tripped(interlocks.INT_RATIO, 1.0, 0.25, STOP, 300),
        {100: (99, 0), 300: (1, 0)},
        {100: (99, 0)},
        integral=SETTINGS.integral._replace(difference=1e9),
    ),
    integrals(
        "INT1 is dead", Tripped(interlocks.INT_RATIO, math.inf, 0.25, STOP, 300),
        {100: (0, 99), 300: (0, 1)},
        {100: (0, 99)},
        integral=SETTINGS.integral._replace(difference=1e9),
    ),
    intensity("intensity of INT1", (74, 10), 5e6),
    intensity("intensity of INT2", (10, 74), 8e6),
    on_bench(
        "INT2 lacks a quarter in weak spots", Tripped(interlocks.INT_RATE, 0.25, 0.25, STOP, 350),
        counting(
            dict.fromkeys(range(100, 350, 25), (20, 15)),
            {tick: (20, 15 + (tick == 100)) for tick in range(100, 350, 25)},
        ),
        spots([20] * 20), rate_counts=200,
    ),
    on_bench(
        "INT1 is dead in weak spots", Tripped(interlocks.INT_RATE, math.inf, 0.25, STOP, 350),
        counting(
            dict.fromkeys(range(100, 350, 25), (0, 20)),
            {tick: (0, 20 - (tick == 325)) for tick in range(100, 350, 25)},
        ),
        spots([20] * 20, margin2=0), rate_counts=200,
    ),
    on_bench(
        "INT1 of a spot", Tripped(interlocks.SPOT_DOSE, 20.0, 20.0, STOP, 100),
        counting({30: (10, 10), 100: (20, 20)}, {30: (10, 10), 100: (19, 19)}), spots([10]), excess1=20,
    ),
    on_bench(
        "INT2 of a spot", Tripped(interlocks.SPOT_DOSE, 20.0, 20.0, STOP, 100),
        counting({30: (10, 10), 100: (9, 31)}, {30: (10, 10), 100: (9, 30)}), spots([10, 10]), excess2=20,
    ),
    on_bench(
        "INT2 of a field", Tripped(interlocks.FIELD_DOSE, 20.0, 20.0, STOP, 100),
        counting(
            {30: (10, 17), 60: (10, 17), 90: (10, 16)},
            {30: (10, 17), 60: (10, 17), 90: (10, 15)},
        ),
        spots([10] * 3, margin2=0), excess2=20,
    ),
    on_bench(
        "no counts", Tripped(interlocks.NO_COUNTS, 1000.0, 1000.0, PAUSE, 1100),
        counting({}, {1090: (0, 1)}), spots([10]), no_counts_ticks=1000,
    ),
    on_bench(
        "beam when off", Tripped(interlocks.BEAM_WHEN_OFF, 5.0, 5.0, STOP, 700),
        beam_when_off, spots([5]), off_counts=5,
    ),
    background("background of INT1", 0),
    background("background of INT2", 1),
]  # fmt: skip
