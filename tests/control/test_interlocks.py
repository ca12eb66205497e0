"""Every cause that stops the beam: what trips it, what just does not, and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest

from spotline.beamline import load_beamline
from spotline.control import interlocks
from spotline.control.integral import trip
from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP
from spotline.control.memory import (
    COLLECTING,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    INTERLOCK_ROWS,
    WAITING,
    LawSettings,
)
from tests.control.bench import LATE_TICKS, SETTINGS, Bench, every, listed, spots
from tests.control.fake_room import FakeRoom, field_delivery

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
    """300 counts in four scan periods are allowed, in either chamber."""

    def drive(reach: bool) -> list[Tripped]:
        # Ten scan periods of 75 counts in this chamber, and one count more in one of them.
        def counts(tick: int) -> tuple[int, int]:
            if tick % 25 or not 100 <= tick < 350:
                return 0, 0
            more = 1 if reach and tick == 250 else 0
            return tuple(n + more if n == 75 else n for n in per_bin)  # type: ignore[return-value]

        tolerant = SETTINGS.integral._replace(difference=1e9, ratio=1e9)
        bench = Bench(spots([10_000]), SETTINGS._replace(integral=tolerant))
        bench.counts = counts
        bench.begin().run_to(600)
        return of_bench(bench)

    expected = Tripped(interlocks.INTENSITY, 301 * particles_per_s, 300 * particles_per_s, STOP, 275)
    return Case(name, drive, expected)


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
    with field_delivery(room) as delivery:
        outcome = delivery.run()
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
        SETTINGS._replace(integral=SETTINGS.integral._replace(difference=1e9)),
    ),
    integrals(
        "INT1 is dead", Tripped(interlocks.INT_RATIO, math.inf, 0.25, STOP, 300),
        {100: (0, 99), 300: (0, 1)},
        {100: (0, 99)},
        SETTINGS._replace(integral=SETTINGS.integral._replace(difference=1e9)),
    ),
    intensity("intensity of INT1", (75, 10), 5e6),
    intensity("intensity of INT2", (10, 75), 8e6),
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

FAST = {code for code, cause in CAUSES.items() if code < interlocks.TEMPERATURE_1}
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


def test_every_cause_has_its_cases():
    assert {case.expected.cause for case in CASES} == set(CAUSES)
    assert len({case.name for case in CASES}) == len(CASES)


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
    bench.counts = every(10, since=30)
    bench.deliver().run_to(200)
    trip(bench.law, interlocks.TEMPERATURE_1, action, 99.0, 26.0)
    assert bench.s.phase == COLLECTING
    assert bench.commands[-1] == ("close", 200, 0)
    bench.finish()
    assert bench.s.end_reason == reason
    assert bench.s.tick == 200 + LATE_TICKS
    assert bench.interlocks == [(interlocks.TEMPERATURE_1, 200, 99.0, 26.0, action)]
    part = bench.law.parts[0]
    assert (part.complete, part.int1_counts) == (0, 82), "counts that still come are its own"


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
    bench.counts = lambda tick: (3, 0) if 100 <= tick < 200 else (0, 0)
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
    with field_delivery(room) as delivery:
        outcome = delivery.run()
    (row,) = outcome.interlocks_without_beam
    assert row["cause"] == interlocks.SYNCHRONIZATION
    assert int(row["value"]) == int(row["limit"]) ^ 1
    assert room.bench is None
    assert (outcome.complete, outcome.spills) == (False, 0)
