"""What ends a spill: pauses, after which a field goes on, and stops, after which it does not by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spotline.control import interlocks
from spotline.control.interlocks import PAUSE, STOP
from spotline.delivery.field import FRUITLESS_PAUSES
from spotline.delivery.progress import Command, Order, Progress
from spotline.record.spill_file import read_spill, spill_path
from tests.delivery.overseen import (
    SAID,
    SECOND_us,
    at,
    both,
    changed,
    delivered_counts,
    events,
    in_spill,
    latched,
    prescribed_counts,
    state,
)
from tests.delivery.scripted_room import CYCLE_us, ScriptedRoom, delivered


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
    assert outcome.register.latched[0].time_us == 2 * CYCLE_us + 2000
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
        return Order(Command.RESUME, *SAID) if len(waited) == 7 else None

    outcome = delivered(room, tmp_path, orders=both(in_spill(1, 3, Command.PAUSE), resume), block_us=1000)
    assert outcome.complete
    assert waited == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], "the slow control goes on once a second"
    starts_us = [start_us for start_us, _ in room.spills]
    assert starts_us == [CYCLE_us, 10 * SECOND_us, 12 * SECOND_us], "the next cycle after the pause"
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
    orders = both(in_spill(1, 3, Command.PAUSE), at(("paused", Order(command, *SAID))))
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
        def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None):
            return replace(super().request_beam(code, after_us), code=code ^ 1)

    outcome = delivered(WrongCode(), tmp_path)
    assert (latched(outcome), outcome.spills) == ([interlocks.SYNCHRONIZATION], 0)
    assert events(outcome)[-1] == "interlock or operator stops"
