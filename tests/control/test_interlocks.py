"""Every cause that stops the beam: what trips it, what just does not, and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spotline.beamline import load_beamline
from spotline.control import interlocks
from spotline.control.integral import trip
from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP
from spotline.control.interlocks import SLOW as SLOW_SOURCE
from spotline.control.memory import (
    COLLECTING,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    INPUT_CONFIRMED,
    INPUT_COUCH,
    INPUT_END,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_OPERATOR,
    INPUT_START,
    INPUT_SUPERVISION,
    INTERLOCK_ROWS,
    WAITING,
    LawSettings,
    SliceMemory,
)
from tests.control.bench import LATE_TICKS, SETTINGS, UNKNOWN, Bench, listed, spots
from tests.control.fake_room import FakeRoom, field_delivered

Counts = dict[int, tuple[int, int]]
Events = dict[int, int]

SLOW = load_beamline("cnao-h").facts.slow_interlocks


class Tripped(NamedTuple):
    """What is recorded of an interlock; `tick` only by the fast control."""

    cause: int
    value: float
    limit: float
    action: int
    tick: int | None = None


class Case(NamedTuple):
    """A cause driven to its limit, and as close to it as one can get without tripping it."""

    name: str
    drive: Callable[[bool], list[Tripped]]
    expected: Tripped


# The fast control on the bench


def of_bench(bench: Bench) -> list[Tripped]:
    return [
        Tripped(cause, value, limit, action, tick) for cause, tick, value, limit, action in bench.interlocks
    ]


def integrals(
    name: str,
    expected: Tripped,
    fault: dict[int, tuple[int, int]],
    no_fault: dict[int, tuple[int, int]],
    settings: LawSettings = SETTINGS,
) -> Case:
    """A case of counts of the integral chambers, by tick."""

    def drive(reach: bool) -> list[Tripped]:
        bench = Bench(spots([10_000]), settings)
        bench.counts = listed(fault if reach else no_fault)
        bench.begin().run_to(1500)
        return of_bench(bench)

    return Case(name, drive, expected)


def intensity(name: str, per_bin: tuple[int, int], particles_per_s: float) -> Case:
    """300 counts in four scan periods are too many, in either chamber."""

    def drive(reach: bool) -> list[Tripped]:
        # Ten scan periods of 74 or 75 counts in this chamber, and all that is missing in one of them.
        def counts(tick: int) -> tuple[int, int]:
            if tick % 25 or not 100 <= tick < 350:
                return 0, 0
            more = 4 if reach and tick == 250 else 3 if tick == 250 else 0
            return tuple(n + more if n == 74 else n for n in per_bin)  # type: ignore[return-value]

        tolerant = SETTINGS.integral._replace(difference=1e9, ratio=1e9)
        bench = Bench(spots([10_000]), SETTINGS._replace(integral=tolerant))
        bench.counts = counts
        bench.begin().run_to(600)
        return of_bench(bench)

    expected = Tripped(interlocks.INTENSITY, 300 * particles_per_s, 300 * particles_per_s, STOP, 275)
    return Case(name, drive, expected)


Drive = Callable[[Bench, bool], None]


def on_bench(name: str, expected: Tripped, drive: Drive, memory: SliceMemory, **settings: Any) -> Case:
    """A case that a function drives on a bench with some settings."""

    def run(reach: bool) -> list[Tripped]:
        bench = Bench(memory, SETTINGS._replace(**settings))
        drive(bench, reach)
        return of_bench(bench)

    return Case(name, run, expected)


def counting(fault: Counts, no_fault: Counts, until: int = 1500) -> Drive:
    """Counts of the integral chambers, by tick."""

    def drive(bench: Bench, reach: bool) -> None:
        bench.counts = listed(fault if reach else no_fault)
        bench.begin().run_to(until)

    return drive


def current(name: str, cause: int, plane: int, limit_A: float, *, short: bool = False) -> Case:
    """A read-back that is off by its limit for 300 us; or by less, or not for so long."""

    def drive(bench: Bench, reach: bool) -> None:
        off_A = limit_A if reach or short else math.nextafter(limit_A, 0.0)
        # The last good read-back is that of tick 1975.
        end = 2250 if short and not reach else 10_000

        def read_A(tick: int) -> tuple[float, float]:
            deviation_A = off_A if 2000 <= tick <= end else 0.0
            return (deviation_A, 0.0) if plane == 0 else (0.0, deviation_A)

        bench.read_A = read_A
        bench.begin().run_to(3000)

    return on_bench(
        name, Tripped(cause, limit_A, limit_A, STOP, 2275), drive, spots([9]), deviation_ticks=300
    )


def slow_magnet(bench: Bench, reach: bool) -> None:
    """A move of 31.25 A, which takes 992 us with the last 0.25 A for free, from tick 1100 on."""
    bench.counts = listed({1100: (5, 5)})
    bench.read_A = lambda tick: (31.25 if not reach and tick >= 2375 else 0.0, 0.0)
    bench.begin().run_to(3000)


def strip_against_pixel(name: str, cause: int, plane: str, pixel: tuple[int, int], value: float) -> Case:
    """The strips find the beam in the middle, the pixels 4.5 mm at the isocentre off it; or less."""

    def drive(bench: Bench, reach: bool) -> None:
        frame = {63: 32, 64: 32}
        nearer = {63: 31, 64: 33} if value > 0 else {63: 33, 64: 31}
        setattr(bench, f"strip_{plane}", lambda tick: (frame if reach else nearer) if tick == 200 else {})
        bench.pixels = lambda tick: {pixel: 64} if tick == 300 else {}
        bench.begin().run_to(400)

    memory = spots([1000], strip=64, row=64, pixel=pixel[1], pixel_row=pixel[0])
    expected = Tripped(cause, value, 4.5, STOP, 300)
    return on_bench(name, expected, drive, memory, strip_pixel_limit_mm=4.5, position_limit_mm=1e9)


def charge(name: str, cause: int, counts: int, within: int) -> Case:
    """A segmented chamber with a quarter less, or more, than the 100 counts of INT1; or all but."""

    def drive(bench: Bench, reach: bool) -> None:
        bench.counts = listed(dict.fromkeys(range(100, 200, 10), (10, 10)))
        collected = counts if reach else within
        x, y, pixel = (collected if cause == c else 100 for c in CHARGES)
        bench.strip_x = lambda tick: {64: x} if tick == 200 else {}
        bench.strip_y = lambda tick: {60: y} if tick == 200 else {}
        bench.pixels = lambda tick: {(15, 16): pixel} if tick == 200 else {}
        bench.begin().run_to(250)

    memory = spots([1000])
    return on_bench(name, Tripped(cause, 0.25, 0.25, STOP, 200), drive, memory, charge_counts=100)


CHARGES = (interlocks.STRIP_CHARGE_X, interlocks.STRIP_CHARGE_Y, interlocks.PIXEL_CHARGE)


def unsettled(bench: Bench, reach: bool) -> None:
    """Three spots in a row that end on the way to them; or the third when the magnets have arrived."""
    bench.counts = listed(dict.fromkeys((30, 40, 50, 60) if reach else (30, 40, 50, 80, 90, 95), (5, 5)))
    bench.read_A = lambda tick: (0.0, 0.0) if tick <= 25 else bench.set_A if tick == 75 else (15.0, 0.0)
    bench.begin().run_to(200)


def beam_when_off(bench: Bench, reach: bool) -> None:
    """The spot ends at 30, so the chopper has had its time at 700."""
    bench.counts = listed({30: (5, 5), 400: (9, 9), 690: (4, 4), 695: (0, int(reach))})
    bench.begin().run_to(1000)


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


def strips(name: str, cause: int, plane: str, places: tuple[int, int], value: float) -> Case:
    """All 64 counts of a frame one strip (2 mm, 2.5 mm at the isocentre) off; or 63 of them."""
    beam, off = places

    def drive(reach: bool) -> list[Tripped]:
        bench = Bench(spots([1000], strip=64, row=60))
        frames = {200: {off: 64} if reach else {off: 63, beam: 1}}
        setattr(bench, f"strip_{plane}", lambda tick: frames.get(tick, {}))
        bench.begin().run_to(300)
        return of_bench(bench)

    return Case(name, drive, Tripped(cause, value, 2.5, PAUSE, 200))


def pixels(name: str, cause: int, off: tuple[int, int], value: float) -> Case:
    """Half of the counts one pixel (8 mm) off is 4 mm, 4.5 mm at the isocentre; or one count less."""

    def drive(reach: bool) -> list[Tripped]:
        bench = Bench(spots([1000], pixel=16, pixel_row=15))
        counts = {off: 32, (15, 16): 32} if reach else {off: 31, (15, 16): 33}
        bench.pixels = lambda tick: counts if tick == 200 else {}
        bench.begin().run_to(300)
        return of_bench(bench)

    return Case(name, drive, Tripped(cause, value, 4.5, PAUSE, 200))


def synchronization(name: str, tick: int, code: int) -> Case:
    """A cycle-code with one bit wrong, broadcast with one of the events; or the right one."""

    def drive(reach: bool) -> list[Tripped]:
        bench = Bench(spots([1000])._replace(cycle_code=code ^ 1))
        bench.begin().end_extraction_at(500)
        for t in range(0, 1000, 25):
            bench.broadcast_code = code if reach and t == tick else code ^ 1
            bench.run_to(t + 25)
        return of_bench(bench)

    return Case(name, drive, Tripped(interlocks.SYNCHRONIZATION, code, code ^ 1, STOP, tick))


# What is checked before a treatment


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


def dead_integrals(bench: Bench, reach: bool) -> None:
    """100 counts of the strips and none of the integral chambers; or 99."""
    bench.strip_x = lambda tick: {64: 100 if reach else 99} if tick == 200 else {}
    bench.begin().run_to(250)


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
        SETTINGS._replace(integral=SETTINGS.integral._replace(difference=1e9)),
    ),
    integrals(
        "INT1 is dead", Tripped(interlocks.INT_RATIO, math.inf, 0.25, STOP, 300),
        {100: (0, 99), 300: (0, 1)},
        {100: (0, 99)},
        SETTINGS._replace(integral=SETTINGS.integral._replace(difference=1e9)),
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
    current("read-back of x", interlocks.CURRENT_X, 0, 1.0),
    current("read-back of x for a time", interlocks.CURRENT_X, 0, 1.0, short=True),
    current("read-back of y", interlocks.CURRENT_Y, 1, 0.5),
    current("read-back of y for a time", interlocks.CURRENT_Y, 1, 0.5, short=True),
    on_bench(
        "magnet does not move", Tripped(interlocks.CURRENT_X, -31.25, 1.0, STOP, 2375),
        slow_magnet, spots([5, 100], x_A=[0.0, 31.25]), deviation_ticks=300,
    ),
    strip_against_pixel("pixels right of strips", interlocks.STRIP_PIXEL_X, "x", (15, 16), 4.5),
    strip_against_pixel("pixels left of strips", interlocks.STRIP_PIXEL_X, "x", (15, 15), -4.5),
    strip_against_pixel("pixels above strips", interlocks.STRIP_PIXEL_Y, "y", (16, 16), 4.5),
    strip_against_pixel("pixels below strips", interlocks.STRIP_PIXEL_Y, "y", (15, 16), -4.5),
    charge("StripX collects too little", interlocks.STRIP_CHARGE_X, 75, 76),
    charge("StripX collects too much", interlocks.STRIP_CHARGE_X, 125, 124),
    charge("StripY collects too little", interlocks.STRIP_CHARGE_Y, 75, 76),
    charge("StripY collects too much", interlocks.STRIP_CHARGE_Y, 125, 124),
    charge("PIX collects too little", interlocks.PIXEL_CHARGE, 75, 76),
    charge("PIX collects too much", interlocks.PIXEL_CHARGE, 125, 124),
    on_bench(
        "both integral chambers are dead", Tripped(interlocks.STRIP_CHARGE_X, math.inf, 0.25, STOP, 200),
        dead_integrals, spots([1000]), charge_counts=100,
    ),
    on_bench(
        "unsettled spots", Tripped(interlocks.UNSETTLED, 3.0, 3.0, PAUSE, 60),
        unsettled, spots([5] * 9, x_A=[0.0, *[30.0] * 8]), unsettled_spots=3,
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
    line("operator presses stop", interlocks.OPERATOR, INPUT_OPERATOR),
    line("supervision aborts", interlocks.SUPERVISION, INPUT_SUPERVISION),
    on_bench("law hangs", Tripped(interlocks.WATCHDOG, 200.0, 200.0, STOP, 675), watchdog, spots([1000])),
    strips("right", interlocks.POSITION_X, "x", (64, 65), 2.5),
    strips("left", interlocks.POSITION_X, "x", (64, 63), -2.5),
    strips("up", interlocks.POSITION_Y, "y", (60, 61), 2.5),
    strips("down", interlocks.POSITION_Y, "y", (60, 59), -2.5),
    pixels("pixel right", interlocks.PIXEL_POSITION_X, (15, 17), 4.5),
    pixels("pixel left", interlocks.PIXEL_POSITION_X, (15, 15), -4.5),
    pixels("pixel up", interlocks.PIXEL_POSITION_Y, (16, 16), 4.5),
    pixels("pixel down", interlocks.PIXEL_POSITION_Y, (14, 16), -4.5),
    synchronization("other code at the start", 25, 6 << 28),
    synchronization("other code at the end", 500, 6 << 28 | 5),
    background("background of INT1", 0),
    background("background of INT2", 1),
]  # fmt: skip

FAST = {
    code
    for code, cause in CAUSES.items()
    if cause.source != SLOW_SOURCE and code not in (interlocks.BACKGROUND, interlocks.RECORD)
}
KERNEL_CASES = [
    pytest.param(case, id=case.name, marks=pytest.mark.kernel if case.expected.cause in FAST else ())
    for case in CASES
]


@pytest.mark.parametrize("case", KERNEL_CASES)
def test_a_quantity_at_its_limit_is_an_interlock(case: Case):
    (tripped,) = case.drive(True)
    assert tripped == case.expected
    assert tripped.action == CAUSES[tripped.cause].action


@pytest.mark.parametrize("case", KERNEL_CASES)
def test_a_quantity_just_within_its_limit_is_none(case: Case):
    assert case.drive(False) == []


_BORDERS = "tests/control/test_slow.py::test_a_quantity_on_the_border_of_its_interval_is_an_interlock"
ELSEWHERE = {
    interlocks.TEMPERATURE_1: _BORDERS,
    interlocks.TEMPERATURE_2: _BORDERS,
    interlocks.PRESSURE_1: _BORDERS,
    interlocks.PRESSURE_2: _BORDERS,
    interlocks.HIGH_VOLTAGE_1: _BORDERS,
    interlocks.HIGH_VOLTAGE_2: _BORDERS,
    interlocks.PASSIVE_ELEMENTS: (
        "tests/control/test_slow.py::test_wrong_elements_are_those_missing_and_those_too_many"
    ),
    interlocks.GAS_DENSITY: (
        "tests/control/test_slow.py::test_density_of_either_box_that_changed_by_the_limit_is_an_interlock"
    ),
    interlocks.SLOW_SILENCE: (
        "tests/control/test_slow.py::test_silence_trips_when_the_last_reading_is_as_old_as_the_limit"
    ),
    interlocks.RECORD: "tests/delivery/test_output.py::test_disk_fills_between_spills",
}
"""Causes that no case above can drive, and the test that drives each to its limit and just not."""


def test_every_cause_has_its_cases():
    assert {case.expected.cause for case in CASES} | set(ELSEWHERE) == set(CAUSES)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_the_test_of_a_cause_that_is_tested_elsewhere_exists(place: str):
    file, _, test = place.partition("::")
    assert f"def {test}(" in (Path(__file__).resolve().parents[2] / file).read_text(encoding="utf-8")


def test_the_table_is_sound():
    assert all(code == cause.code for code, cause in CAUSES.items())
    assert len({cause.name for cause in CAUSES.values()}) == len(CAUSES)
    codes = {
        value
        for name, value in vars(interlocks).items()
        if name.isupper() and isinstance(value, int) and name not in ("PAUSE", "STOP", "INHIBIT")
    }
    assert codes == set(CAUSES), "every code has its row"
    assert len(CAUSES) <= INTERLOCK_ROWS, "a spill has room for each cause once"


def test_limits_are_keys_of_the_beam_line_file():
    facts = load_beamline("cnao-h").facts
    for cause in CAUSES.values():
        table, _, key = cause.limit.partition(".")
        if table == "ions":
            assert all(hasattr(ion, key) for ion in facts.ions)
        elif cause.limit:
            assert hasattr(getattr(facts, table), key)


# What an interlock does to the spill


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
