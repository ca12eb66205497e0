"""Grants, interlocks, pauses, aborts and resets of a whole field, in a room without physics."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, SLOW, STOP
from spotline.control.register import InterlockRegister
from spotline.control.slow import SlowReading
from spotline.delivery.field import FRUITLESS_PAUSES, Earlier
from spotline.delivery.progress import Command, Order, Orders, Progress
from spotline.errors import OptionError
from spotline.preparation.counts import convert_counts
from spotline.record.log import write_json
from spotline.record.read import FIELD_HEADER, open_field
from spotline.record.recovered import field_header, read_state
from spotline.record.spill_file import read_spill, spill_path
from spotline.record.treatment_file import read_treatment_file
from tests.delivery.noted import Noted, noted
from tests.delivery.scripted_room import (
    CYCLE_US,
    GOOD,
    LINE,
    TREATMENT,
    ScriptedRoom,
    delivered,
    delivery_of,
)

SECOND_us = 1_000_000
RESET = Order(Command.RESET, "M. Curie", "repaired")


def events(outcome: Noted) -> list[str]:
    return [row["event"] for row in outcome.events]


def state(outcome: Noted) -> str:
    return outcome.events[-1]["state"]


def latched(outcome: Noted) -> list[int]:
    return [row.cause for row in outcome.register.latched]


def at(*orders: tuple[str, Order], once: bool = True) -> Orders:
    """Give each order the first time that the treatment is in a state, in this order."""
    waiting = list(orders)

    def give(progress: Progress) -> Order | None:
        if waiting and progress.state == waiting[0][0]:
            return waiting.pop(0)[1] if once else waiting[0][1]
        return None

    return give


def in_spill(spill: int, spots: int, command: Command) -> Callable[[Progress], Order | None]:
    """Give an order when so many spots of the field are complete in a spill."""

    def give(progress: Progress) -> Order | None:
        is_there = (progress.spill, progress.spots) == (spill, spots)
        return Order(command) if is_there and progress.state == "beam delivery" else None

    return give


def both(*orders: Orders) -> Orders:
    return lambda progress: next((o for give in orders if (o := give(progress)) is not None), None)


def changed(when_us: Callable[[int], bool], **changes: object) -> Callable[[int], SlowReading]:
    """A good reading, and at some times another."""
    return lambda time_us: replace(GOOD, **changes) if when_us(time_us) else GOOD  # type: ignore[arg-type]


def delivered_counts(folder: Path, spills: int) -> np.ndarray:
    """INT1 counts of every spot of both slices, over all spills."""
    total = np.zeros((2, 5), np.int64)
    for number in range(1, spills + 1):
        spill = read_spill(spill_path(folder, number))
        np.add.at(total[spill.header["slice"]], spill.spots[spill.parts["spot"]], spill.parts["int1_counts"])
    return total


def prescribed_counts(folder: Path) -> np.ndarray:
    return np.array([slice_.int1_counts for slice_ in read_treatment_file(folder).slices])


# How it goes when nothing happens


def test_a_field_walks_through_the_table(tmp_path: Path):
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path)
    assert outcome.complete
    assert [(row["event"], row["state"]) for row in outcome.events] == [
        ("treatment received", "treatment loaded"),
        ("slow control grants", "treatment loaded"),
        ("all checks passed", "ready"),
        ("supervision acknowledges", "beam delivery"),
        ("spill over, spots left", "beam delivery"),
        ("last spot of the last slice delivered", "post treatment"),
    ]
    assert [row["time_us"] for row in outcome.events[-2:]] == [CYCLE_US + 5000, 2 * CYCLE_US + 5000]
    assert room.is_off
    assert (outcome.interlocks_without_beam, latched(outcome)) == ([], [])


def test_the_record_ends_it(tmp_path: Path):
    delivery_of(ScriptedRoom(), tmp_path).run()
    last = read_state(tmp_path).events[-1]
    assert (last["event"], last["state"]) == ("record written", "off treatment")
    (tmp_path / "b").mkdir()
    delivery_of(ScriptedRoom(background=(11.0, 0.0)), tmp_path / "b").run()
    last = read_state(tmp_path / "b").events[-1]
    assert (last["event"], last["state"]) == ("record written", "interrupted"), "the rest waits"


def test_counts_are_made_with_the_gas_of_either_box(tmp_path: Path):
    reading = replace(GOOD, temperature1_C=22.0, pressure1_Pa=100_500.0, temperature2_C=18.0)
    outcome = delivered(ScriptedRoom(reading), tmp_path)
    assert outcome.complete
    stored = read_treatment_file(tmp_path)
    first, second = 293.15 / 295.15 * 100_500 / 101_325, 293.15 / 291.15
    assert stored.header["gas_factors"] == pytest.approx([first, second])
    for gas, kept in ((first, "1"), (second, "2")):
        reference = TREATMENT.slices[0]
        expected = getattr(reference, f"particles_per_count{kept}") / gas
        np.testing.assert_allclose(getattr(stored.slices[0], f"particles_per_count{kept}"), expected)


# Slow control


TRIPS: dict[int, dict[str, object]] = {
    interlocks.TEMPERATURE_1: {"temperature1_C": 26.0},
    interlocks.TEMPERATURE_2: {"temperature2_C": 16.0},
    interlocks.PRESSURE_1: {"pressure1_Pa": 9e4},
    interlocks.PRESSURE_2: {"pressure2_Pa": 11e4},
    interlocks.HIGH_VOLTAGE_1: {"high_voltage1_V": 395.0},
    interlocks.HIGH_VOLTAGE_2: {"high_voltage2_V": 405.0},
    interlocks.PASSIVE_ELEMENTS: {"mounted": ("RIFI1",)},
    interlocks.GAS_DENSITY: {"pressure2_Pa": 101325.0 * 1.0101},
}
JUST_NOT: dict[int, dict[str, object]] = {
    interlocks.TEMPERATURE_1: {"temperature1_C": math.nextafter(26.0, 0.0)},
    interlocks.TEMPERATURE_2: {"temperature2_C": math.nextafter(16.0, 99.0)},
    interlocks.PRESSURE_1: {"pressure1_Pa": math.nextafter(9e4, 1e9)},
    interlocks.PRESSURE_2: {"pressure2_Pa": math.nextafter(11e4, 0.0)},
    interlocks.HIGH_VOLTAGE_1: {"high_voltage1_V": math.nextafter(395.0, 400.0)},
    interlocks.HIGH_VOLTAGE_2: {"high_voltage2_V": math.nextafter(405.0, 400.0)},
    interlocks.PASSIVE_ELEMENTS: {"mounted": ()},
    interlocks.GAS_DENSITY: {"pressure2_Pa": 101325.0 * 1.0099},
}


def test_every_slow_row_is_driven_through_a_field():
    rows = {code for code, cause in CAUSES.items() if cause.source == SLOW}
    assert set(TRIPS) == set(JUST_NOT) == rows - {interlocks.SLOW_SILENCE}


@pytest.mark.parametrize("cause", [cause for cause in TRIPS if cause != interlocks.GAS_DENSITY])
def test_no_treatment_begins_with_a_slow_quantity_at_its_limit(tmp_path: Path, cause: int):
    room = ScriptedRoom(replace(GOOD, **TRIPS[cause]))  # type: ignore[arg-type]
    outcome = delivered(room, tmp_path)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["time_us"], row["spill"], row["action"]) == (cause, 0, 0, STOP)
    assert latched(outcome) == [cause]
    assert events(outcome) == ["treatment received", "a check failed"]
    assert (state(outcome), room.spills, outcome.complete) == ("interrupted", [], False)
    assert read_treatment_file(tmp_path).header["gas_factors"] == [1.0, 1.0]
    (tmp_path / "b").mkdir()
    within = ScriptedRoom(replace(GOOD, **JUST_NOT[cause]))  # type: ignore[arg-type]
    assert delivered(within, tmp_path / "b").complete


@pytest.mark.parametrize("cause", TRIPS)
@pytest.mark.parametrize("when_us", [SECOND_us, CYCLE_US])
def test_a_slow_quantity_that_reaches_its_limit_stops_before_or_within_a_spill(
    tmp_path: Path, cause: int, when_us: int
):
    room = ScriptedRoom(changed(lambda now_us: now_us == when_us, **TRIPS[cause]))
    outcome = delivered(room, tmp_path)
    assert latched(outcome)[0] == cause
    assert (outcome.complete, state(outcome)) == (False, "interrupted")
    assert events(outcome)[-1] == "slow control withdraws its grant"
    if when_us < CYCLE_US:
        assert cause in [row["cause"] for row in outcome.interlocks_without_beam]
        assert (room.spots_of, outcome.spills) == ([], 0)
    else:
        assert outcome.interlocks_without_beam == []
        spill = read_spill(spill_path(tmp_path, 1))
        assert cause in spill.interlocks["cause"]
        assert spill.header["end_reason"] == 4
        assert len(room.spots_of) == 1
    # The register has it from the reading, with the time of the reading.
    assert {row.time_us for row in outcome.register.latched} == {when_us}


@pytest.mark.parametrize("cause", [c for c in TRIPS if c != interlocks.PASSIVE_ELEMENTS])
def test_a_slow_quantity_just_within_its_limit_stops_nothing(tmp_path: Path, cause: int):
    # The density must not change by more than a percent either, so it is converted like this.
    others = {} if cause == interlocks.GAS_DENSITY else JUST_NOT[cause]
    changes = JUST_NOT[cause]
    room = ScriptedRoom(lambda now_us: replace(GOOD, **(changes if now_us else others)))  # type: ignore[arg-type]
    outcome = delivered(room, tmp_path)
    assert (outcome.complete, latched(outcome)) == (True, [])


@pytest.mark.parametrize(("last_us", "complete"), [(0, False), (SECOND_us, False), (2 * SECOND_us, True)])
def test_how_long_silence_may_last(tmp_path: Path, last_us: int, complete: bool):
    """Spills begin at 2 s and 4 s and the second is over at 4.005 s; the silence may last 3 s."""
    outcome = delivered(ScriptedRoom(lambda now_us: GOOD if now_us <= last_us else None), tmp_path)
    assert outcome.complete == complete
    assert latched(outcome) == ([] if complete else [interlocks.SLOW_SILENCE])
    if not complete:
        assert outcome.register.latched[0].time_us == last_us + 3 * SECOND_us


def test_a_treatment_waits_for_its_first_reading(tmp_path: Path):
    room = ScriptedRoom(lambda now_us: replace(GOOD, pressure1_Pa=1e5) if now_us >= 2 * SECOND_us else None)
    outcome = delivered(room, tmp_path)
    assert outcome.complete
    assert room.read_at[:3] == [0, SECOND_us, 2 * SECOND_us]
    assert read_treatment_file(tmp_path).header["gas_factors"][0] == pytest.approx(1e5 / 101325)
    assert room.spills[0][0] >= 2 * SECOND_us


def test_a_treatment_without_any_reading_does_not_begin(tmp_path: Path):
    room = ScriptedRoom(None)
    outcome = delivered(room, tmp_path)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["time_us"], row["value"]) == (interlocks.SLOW_SILENCE, 3 * SECOND_us, 3.0)
    assert (room.spills, state(outcome)) == ([], "interrupted")


def test_a_reading_that_is_no_number_goes_through_the_files(tmp_path: Path):
    room = ScriptedRoom(replace(GOOD, temperature2_C=math.nan))
    outcome = delivered(room, tmp_path)
    write_json(
        tmp_path / FIELD_HEADER,
        {"started": "2026-01-01T00:00:00+00:00", **field_header(read_state(tmp_path))},
    )
    record = open_field(tmp_path)
    (reading,) = record.slow_control
    assert math.isnan(reading["temperature2_C"])
    assert math.isnan(reading["flux_correction2"])
    assert reading["flux_correction1"] == 1.0
    (row,) = record.interlocks
    assert row["cause"] == interlocks.TEMPERATURE_2
    assert math.isnan(row["value"])
    kept = json.loads((tmp_path / FIELD_HEADER).read_text())
    assert kept["register"]["latched"][0]["value"] is None
    assert InterlockRegister.from_json(json.dumps(kept["register"])) == outcome.register
    assert kept["events"][-2] == {"time_us": 0, "event": "a check failed", "state": "interrupted"}


# Before the beam


@pytest.mark.parametrize("background", [(10.0, 0.0), (0.0, 10.0)])
def test_background_inhibits_the_treatment(tmp_path: Path, background: tuple[float, float]):
    room = ScriptedRoom(background=background)
    outcome = delivered(room, tmp_path)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["value"], row["action"]) == (interlocks.BACKGROUND, 10.0, INHIBIT)
    assert (latched(outcome), room.spills, state(outcome)) == ([interlocks.BACKGROUND], [], "interrupted")


def test_background_just_within_its_limit_inhibits_nothing(tmp_path: Path):
    within = math.nextafter(10.0, 0.0)
    assert delivered(ScriptedRoom(background=(within, within)), tmp_path).complete


def test_no_treatment_begins_with_something_latched(tmp_path: Path):
    register = InterlockRegister()
    register.latch(interlocks.COUCH, 1.0, 0.0, 0, 0)
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path, earlier=Earlier(None, 0, 0, register))
    assert (room.spills, state(outcome), latched(outcome)) == ([], "interrupted", [interlocks.COUCH])


def test_the_supervision_aborts_just_before_the_beam(tmp_path: Path):
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path, orders=at(("ready", Order(Command.ABORT))))
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["spill"], row["action"]) == (interlocks.SUPERVISION, 0, STOP)
    assert events(outcome)[-2:] == ["all checks passed", "supervision aborts"]
    assert (room.spills, state(outcome)) == ([], "interrupted")


# During the beam


@pytest.mark.parametrize(
    ("command", "cause", "event"),
    [
        (Command.ABORT, interlocks.SUPERVISION, "supervision aborts"),
        (Command.STOP, interlocks.OPERATOR, "interlock or operator stops"),
    ],
)
def test_an_abort_or_stop_during_a_spill(tmp_path: Path, command: Command, cause: int, event: str):
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path, orders=in_spill(2, 7, command), block_us=1000)
    assert (outcome.complete, state(outcome), events(outcome)[-1]) == (False, "interrupted", event)
    assert latched(outcome) == [cause]
    assert outcome.register.latched[0].time_us == 2 * CYCLE_US + 2000
    spill = read_spill(spill_path(tmp_path, 2))
    assert [(int(r["cause"]), int(r["action"])) for r in spill.interlocks] == [(cause, STOP)]
    assert int(spill.parts["complete"].sum()) == 2
    assert outcome.spills == len(room.spots_of) == 2


def test_a_pause_ends_the_spill_and_the_treatment_goes_on_with_the_next(tmp_path: Path):
    room = ScriptedRoom()
    waited: list[float] = []

    def resume(progress: Progress) -> Order | None:
        if progress.state != "paused":
            return None
        assert not progress.is_beam_permitted
        waited.append(progress.treatment_s)
        return Order(Command.RESUME) if len(waited) == 7 else None

    outcome = delivered(room, tmp_path, orders=both(in_spill(1, 3, Command.PAUSE), resume), block_us=1000)
    assert outcome.complete
    assert waited == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], "the slow control goes on once a second"
    starts_us = [start_us for start_us, _ in room.spills]
    assert starts_us == [CYCLE_US, 10 * SECOND_us, 12 * SECOND_us], "the next cycle after the pause"
    assert room.spots_of == [5, 2, 5], "nothing twice"
    assert room.spills[0][1] == room.spills[1][1], "the cycle is repeated"
    assert events(outcome)[4:6] == ["pause", "resume"]
    assert latched(outcome) == []
    first = read_spill(spill_path(tmp_path, 1))
    assert [(int(r["cause"]), int(r["action"])) for r in first.interlocks] == [(interlocks.OPERATOR, PAUSE)]
    assert (delivered_counts(tmp_path, 3) == prescribed_counts(tmp_path)).all()


@pytest.mark.parametrize("command", [Command.STOP, Command.ABORT])
def test_a_pause_can_end_the_treatment(tmp_path: Path, command: Command):
    room = ScriptedRoom()
    orders = both(in_spill(1, 3, Command.PAUSE), at(("paused", Order(command))))
    outcome = delivered(room, tmp_path, orders=orders, block_us=1000)
    (row,) = outcome.interlocks_without_beam
    assert row["cause"] == (interlocks.OPERATOR if command is Command.STOP else interlocks.SUPERVISION)
    assert (row["time_us"], row["action"]) == (3 * SECOND_us, STOP)
    assert (len(room.spots_of), state(outcome)) == (1, "interrupted")


def test_the_slow_control_watches_over_a_pause(tmp_path: Path):
    room = ScriptedRoom(changed(lambda now_us: now_us == 6 * SECOND_us, high_voltage2_V=0.0))
    outcome = delivered(room, tmp_path, orders=in_spill(1, 3, Command.PAUSE), block_us=1000)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["time_us"]) == (interlocks.HIGH_VOLTAGE_2, 6 * SECOND_us)
    assert (state(outcome), len(room.spots_of)) == ("interrupted", 1)


def test_an_interlock_that_pauses_goes_on_by_itself(tmp_path: Path):
    room = ScriptedRoom(trips={1: (2, interlocks.POSITION_X, PAUSE)})
    outcome = delivered(room, tmp_path)
    assert outcome.complete
    assert room.spots_of == [5, 3, 5]
    assert events(outcome)[4:6] == ["pause", "resume"]
    assert latched(outcome) == []


def test_a_pause_that_persists_ends_the_treatment_and_is_latched(tmp_path: Path):
    trips = dict.fromkeys((1, 2, 3), (0, interlocks.POSITION_Y, PAUSE))
    room = ScriptedRoom(trips=trips)
    outcome = delivered(room, tmp_path)
    assert len(room.spots_of) == FRUITLESS_PAUSES
    assert (latched(outcome), state(outcome)) == ([interlocks.POSITION_Y], "interrupted")
    assert events(outcome)[4:] == ["pause", "resume"] * 2 + ["interlock or operator stops"]


def test_spills_without_beam_end_the_treatment(tmp_path: Path):
    room = ScriptedRoom(no_beam=(1, 2, 3))
    outcome = delivered(room, tmp_path)
    assert (len(room.spots_of), state(outcome)) == (FRUITLESS_PAUSES, "interrupted")


def test_a_wrong_cycle_code_stops_the_treatment(tmp_path: Path):
    class WrongCode(ScriptedRoom):
        def request_cycle(self, code: int, after_us: int = 0):
            return replace(super().request_cycle(code, after_us), code=code ^ 1)

    outcome = delivered(WrongCode(), tmp_path)
    assert (latched(outcome), outcome.spills) == ([interlocks.SYNCHRONIZATION], 0)
    assert events(outcome)[-1] == "interlock or operator stops"


# After a stop


def test_an_operator_resets_and_the_treatment_goes_on_with_what_is_left(tmp_path: Path):
    room = ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)})
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert outcome.complete
    assert room.spots_of == [5, 2, 5]
    assert (delivered_counts(tmp_path, 3) == prescribed_counts(tmp_path)).all()
    assert events(outcome)[4:8] == [
        "interlock or operator stops",
        "operator resets",
        "all checks passed",
        "supervision acknowledges",
    ]
    (reset,) = outcome.register.resets
    assert (reset.identity, reset.reason) == ("M. Curie", "repaired")
    assert [row.cause for row in reset.released] == [interlocks.INT_RATIO]
    assert outcome.register.is_clear


def test_after_a_reset_the_checks_are_made_again_but_counts_stay(tmp_path: Path):
    """Gas that has changed by half a percent meanwhile changes no prescription."""
    room = ScriptedRoom(
        changed(lambda now_us: now_us > CYCLE_US, pressure1_Pa=101325.0 * 1.005),
        trips={1: (3, interlocks.INT_RATIO, STOP)},
    )
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert outcome.complete
    assert read_treatment_file(tmp_path).header["gas_factors"] == [1.0, 1.0]
    expected = convert_counts(TREATMENT, (1.0, 1.0), LINE)
    assert (prescribed_counts(tmp_path) == [s.int1_counts for s in expected.slices]).all()


def test_a_reset_is_refused_while_the_condition_persists(tmp_path: Path):
    room = ScriptedRoom(changed(lambda now_us: now_us >= CYCLE_US, temperature1_C=30.0))
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert (state(outcome), outcome.register.resets) == ("interrupted", ())
    assert interlocks.TEMPERATURE_1 in latched(outcome)
    assert len(room.spots_of) == 1


def test_a_reset_after_failed_checks_converts_with_the_gas_that_is_good(tmp_path: Path):
    room = ScriptedRoom(lambda now_us: replace(GOOD, pressure1_Pa=1e5 if now_us else 8e4))
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert outcome.complete
    assert read_treatment_file(tmp_path).header["gas_factors"] == pytest.approx([1e5 / 101325, 1.0])


def test_background_that_stays_inhibits_again(tmp_path: Path):
    room = ScriptedRoom(background=(11.0, 0.0))
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert (state(outcome), latched(outcome)) == ("interrupted", [interlocks.BACKGROUND])
    assert len(outcome.register.resets) == 1
    assert len(outcome.interlocks_without_beam) == 2


def test_an_operator_gives_the_rest_up(tmp_path: Path):
    room = ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)})
    outcome = delivered(room, tmp_path, orders=at(("interrupted", Order(Command.CLOSE))))
    assert (outcome.complete, state(outcome)) == (False, "post treatment")
    assert latched(outcome) == [interlocks.INT_RATIO], "closing resets nothing"


# Orders that cannot be


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("ready", Command.PAUSE),
        ("ready", Command.CLOSE),
        ("beam delivery", Command.RESUME),
        ("beam delivery", Command.CLOSE),
        ("paused", Command.CLOSE),
        ("interrupted", Command.RESUME),
        ("interrupted", Command.ABORT),
    ],
)
def test_an_order_at_the_wrong_time_is_refused_in_words(tmp_path: Path, where: str, command: Command):
    order = at((where, Order(command)))
    if where == "paused":
        order = both(in_spill(1, 0, Command.PAUSE), order)
    room = ScriptedRoom(background=(11.0, 0.0) if where == "interrupted" else (0.0, 0.0))
    with pytest.raises(OptionError, match=f"order .*cannot be carried out during '{where}'"):
        delivered(room, tmp_path, orders=order)


@pytest.mark.parametrize(("identity", "reason"), [("", "repaired"), ("M. Curie", " ")])
def test_an_order_to_reset_names_who_and_why(identity: str, reason: str):
    with pytest.raises(OptionError, match="identity and the reason"):
        Order(Command.RESET, identity, reason)


COMMANDS = {
    "ready": [None, None, Command.RESUME, Command.STOP, Command.ABORT],
    "beam delivery": [None] * 12 + [Command.PAUSE, Command.STOP, Command.ABORT],
    "paused": [None, Command.PAUSE, Command.RESUME, Command.RESUME, Command.STOP, Command.ABORT],
    "interrupted": [None, Command.RESET, Command.RESET, Command.RESET, Command.CLOSE],
}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_ordered_nothing_is_delivered_twice_or_lost(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("orders")
    generator = data.draw(st.randoms(use_true_random=False))
    resets = 0

    class Watched(ScriptedRoom):
        def request_cycle(self, code: int, after_us: int = 0):
            assert delivery._oversight.is_beam_permitted, "a spill is asked for with every grant only"
            return super().request_cycle(code, after_us)

    def orders(progress: Progress) -> Order | None:
        nonlocal resets
        command = generator.choice(COMMANDS[progress.state])
        if command is Command.RESET:
            resets += 1
            return RESET if resets < 20 else None
        return Order(command) if command is not None else None

    room = Watched()
    delivery = delivery_of(room, folder, orders=orders, block_us=1000)
    outcome = noted(delivery, folder)
    counts, prescribed = delivered_counts(folder, outcome.spills), prescribed_counts(folder)
    assert (counts <= prescribed).all()
    assert outcome.complete == bool((counts == prescribed).all())
    assert outcome.complete or state(outcome) in ("interrupted", "post treatment")
    assert outcome.register.is_clear == (outcome.complete or not latched(outcome))
