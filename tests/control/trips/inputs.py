"""Causes in what else the fast control is told: data, events, codes, lines, and its own life."""

from __future__ import annotations

import math

from spotline.control import interlocks
from spotline.control.interlocks import PAUSE, STOP
from spotline.control.memory import (
    INPUT_CONFIRMED,
    INPUT_COUCH,
    INPUT_END,
    INPUT_GAS,
    INPUT_HANG,
    INPUT_HIGH_VOLTAGE,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_OPERATOR,
    INPUT_START,
    INPUT_SUPERVISION,
)
from tests.control.bench import SETTINGS, UNKNOWN, Bench, listed, spots
from tests.control.trips.case import Case, Tripped, of_bench, on_bench

Events = dict[int, int]


def missing(name: str, cause: int, bit: int, span: tuple[int, int], gap: int, value: float) -> Case:
    """Data that fail to arrive three times in a row; or with one in between."""

    def drive(bench: Bench, reach: bool) -> None:
        first, past = span
        arriving = range(0) if reach else range(gap, gap + (past - first) // 3)
        lost = [tick for tick in range(first, past, 25) if tick not in arriving]
        bench.inputs = lambda tick: bit if tick in lost else 0
        bench.begin().run_to(1000)

    return on_bench(name, Tripped(cause, value, value, STOP, span[1]), drive, spots([1000]))


def missing_current(name: str, plane: int) -> Case:
    def drive(bench: Bench, reach: bool) -> None:
        lost = (100, 125, 150) if reach else (100, 125, 175, 200)
        nowhere = (math.nan, 0.0) if plane == 0 else (0.0, math.nan)
        bench.read_A = lambda tick: nowhere if tick in lost else (0.0, 0.0)
        bench.begin().run_to(500)

    return on_bench(name, Tripped(interlocks.DATA_CURRENT, 75.0, 75.0, STOP, 150), drive, spots([1000]))


def event(name: str, expected: Tripped, announced: tuple[int, int], events: Events, in_time: Events) -> Case:
    """Events at some ticks; or at others, which are as far from what was announced as they may be."""

    def run(reach: bool) -> list[Tripped]:
        bench = Bench(spots([1000]), SETTINGS, 0, announced)
        bench.events = dict(events if reach else in_time)
        bench.run_to(1600)
        return of_bench(bench)

    return Case(name, run, expected)


def recovery(bench: Bench, reach: bool) -> None:
    """100 counts without a confirmation; or 99 before it and 99 after it."""
    bench.counts = listed({**dict.fromkeys(range(100, 190, 10), (11, 11)), 300: (1, 1), 340: (98, 98)})
    bench.inputs = lambda tick: INPUT_CONFIRMED if tick == 300 and not reach else 0
    bench.begin().run_to(500)


def line(name: str, cause: int, bit: int) -> Case:
    """A line of the patient interlock system in one scan period; or none."""

    def drive(bench: Bench, reach: bool) -> None:
        bench.inputs = lambda tick: bit if reach and tick == 500 else 0
        bench.begin().run_to(700)

    return on_bench(name, Tripped(cause, 1.0, 0.0, STOP, 500), drive, spots([1000]))


def watchdog(bench: Bench, reach: bool) -> None:
    """No sign of life for 200 us; or for one period less."""
    bench.inputs = lambda tick: INPUT_HANG if 500 <= tick < (700 if reach else 650) else 0
    bench.begin().run_to(900)


def synchronization(name: str, tick: int, code: int) -> Case:
    """A cycle-code with one bit wrong, broadcast with one of the events; or the right one."""

    def drive(bench: Bench, reach: bool) -> None:
        bench.begin().end_extraction_at(500)
        for t in range(0, 1000, 25):
            bench.broadcast_code = code if reach and t == tick else code ^ 1
            bench.run_to(t + 25)

    expected = Tripped(interlocks.SYNCHRONIZATION, code, code ^ 1, STOP, tick)
    return on_bench(name, expected, drive, spots([1000])._replace(cycle_code=code ^ 1))


CASES = [
    missing("integral data", interlocks.DATA_INTEGRAL, INPUT_NO_INTEGRAL, (100, 175), 150, 75.0),
    missing("strip data", interlocks.DATA_STRIP, INPUT_NO_STRIP, (100, 250), 150, 150.0),
    missing("pixel data", interlocks.DATA_PIXEL, INPUT_NO_PIXEL, (100, 400), 200, 300.0),
    missing_current("read-backs of x do not arrive", 0),
    missing_current("read-backs of y do not arrive", 1),
    event(
        "no start", Tripped(interlocks.EVENT_MISSING, 500.0, 500.0, PAUSE, 600), (100, UNKNOWN),
        {600: INPUT_START}, {575: INPUT_START},
    ),
    event(
        "no end", Tripped(interlocks.EVENT_MISSING, 500.0, 500.0, PAUSE, 1500), (25, 1000),
        {25: INPUT_START, 1500: INPUT_END}, {25: INPUT_START, 1475: INPUT_END},
    ),
    event(
        "early start", Tripped(interlocks.EVENT_UNEXPECTED, 500.0, 500.0, STOP, 500), (1000, UNKNOWN),
        {500: INPUT_START}, {525: INPUT_START},
    ),
    event(
        "early end", Tripped(interlocks.EVENT_UNEXPECTED, 500.0, 500.0, STOP, 1000), (25, 1500),
        {25: INPUT_START, 1000: INPUT_END}, {25: INPUT_START, 1025: INPUT_END},
    ),
    event(
        "second start", Tripped(interlocks.EVENT_UNEXPECTED, -50.0, 500.0, STOP, 75), (25, UNKNOWN),
        {25: INPUT_START, 75: INPUT_START}, {25: INPUT_START},
    ),
    on_bench(
        "journal is behind", Tripped(interlocks.RECOVERY, 100.0, 100.0, PAUSE, 325),
        recovery, spots([1000]), unconfirmed_counts=100,
    ),
    line("couch is not locked", interlocks.COUCH, INPUT_COUCH),
    line("a high voltage is lost", interlocks.HIGH_VOLTAGE_LINE, INPUT_HIGH_VOLTAGE),
    line("gas of a box is off", interlocks.GAS_LINE, INPUT_GAS),
    line("operator presses stop", interlocks.OPERATOR, INPUT_OPERATOR),
    line("supervision aborts", interlocks.SUPERVISION, INPUT_SUPERVISION),
    on_bench("law hangs", Tripped(interlocks.WATCHDOG, 200.0, 200.0, STOP, 675), watchdog, spots([1000])),
    synchronization("other code at the start", 25, 6 << 28),
    synchronization("other code at the end", 500, 6 << 28 | 5),
]  # fmt: skip
