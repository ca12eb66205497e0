"""Answers of a room that cannot be, by what it was asked: an interlock, and nothing in them is believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spotline
from spotline import BeamLine
from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    COMMAND,
    COMMAND_CHOPPER_OPEN,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_STOP,
    INTERLOCK,
    SliceMemory,
)
from spotline.delivery.run import deliver as deliver_quickly
from spotline.machine.true_line import true_line_of
from spotline.record.account import account_of
from spotline.record.recovered import read_state
from spotline.room import Block, Broadcast, FastLoop, Room, SpillResult
from spotline.sim.faults import Fault
from spotline.sim.room import SimulatedRoom
from tests.delivery.deliveries import PROTON, TWO_LAYERS, causes, treatment_of
from tests.delivery.overseen import latched
from tests.delivery.scripted_room import ScriptedRoom, delivered
from tests.readings import GOOD
from tests.rooms import LoopBehind

Change = Callable[[Any], Any]


class Altering:
    """All devices of a room, one of whose answers is altered at its n-th time and from then on."""

    def __init__(self, behind: Any, call: str, change: Change, n: int = 1) -> None:
        self._behind, self._call, self._change, self._n = behind, call, change, n
        self.is_off = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*args: Any) -> Any:
            self.is_off |= name == "beam_off"
            answer = getattr(self._behind, name)(*args)
            if name == self._call:
                self._n -= 1
                if self._n < 1:
                    return self._change(answer)
            return answer

        return asked


def columns(**changes: Any) -> Change:
    """Parts with other values; of a callable, what it makes of the column."""

    def change(answer: SpillResult | Block) -> SpillResult | Block:
        parts = answer.parts.copy()
        for name, value in changes.items():
            parts[name] = value(parts[name]) if callable(value) else value
        return replace(answer, parts=parts)

    return change


def times(factor: int) -> Change:
    """Counts too many, in spots and in all alike."""

    def change(result: SpillResult) -> SpillResult:
        result = columns(int1_counts=lambda n: factor * n, int2_counts=lambda n: factor * n)(result)
        return replace(
            result, int1_counts=factor * result.int1_counts, int2_counts=factor * result.int2_counts
        )

    return change


def interlock(**changes: Any) -> Change:
    def change(result: SpillResult) -> SpillResult:
        row = np.zeros(1, INTERLOCK)
        row["tick"], row["cause"], row["action"] = result.end_us, interlocks.POSITION_X, STOP
        for name, value in changes.items():
            row[name] = value
        return replace(result, interlocks=row, end_reason=END_STOP)

    return change


def commands(*named: int) -> Change:
    def change(result: SpillResult) -> SpillResult:
        rows = np.zeros(len(named), COMMAND)
        rows["tick"], rows["command"] = result.end_us, named
        return replace(result, commands=rows)

    return change


def first_at(value: int) -> Change:
    """The first entry of a column is another."""
    return lambda column: np.concatenate([[value], column[1:]])


RESULTS: dict[str, Change] = {
    "spot of before the first": columns(spot=-1),
    "spots in another order": columns(spot=lambda n: n[::-1]),
    "a spot twice": columns(spot=lambda n: np.maximum(1, n) - 1),
    "spots that were not loaded": columns(spot=lambda n: n + 1),
    "too many parts": lambda r: replace(r, parts=np.concatenate([r.parts, r.parts])),
    "no parts": lambda r: replace(r, parts=r.parts[:0]),
    "other columns": lambda r: replace(r, parts=r.parts[["spot", "complete"]]),
    "counts below 0": columns(int1_counts=lambda n: -n),
    "counts of INT2 below 0": columns(int2_counts=lambda n: -n),
    "fewer counts than before": columns(int1_counts=first_at(1)),
    "three times the counts": times(3),
    "more than counters hold": lambda r: replace(r, int1_counts=1 << 40),
    "a total below 0": lambda r: replace(r, int1_counts=-1),
    "a total less than its parts": lambda r: replace(r, int2_counts=r.int2_counts - 1),
    "a total more than its parts": lambda r: replace(r, int1_counts=r.int1_counts + 1100),
    "a spot left that is not complete": columns(complete=first_at(0)),
    "complete twice": columns(complete=2),
    "not the end": lambda r: replace(r, end_us=r.end_us + 1),
    "begun too early": lambda r: replace(r, start_us=r.start_us - 1_000_000),
    "begun after the extraction": lambda r: replace(r, start_us=r.start_us + 1),
    "a part before the spill": columns(start_tick=0),
    "time goes back": columns(start_tick=lambda n: n[::-1]),
    "no reason to end": lambda r: replace(r, end_reason=0),
    "a reason that is none": lambda r: replace(r, end_reason=9),
    "a pause without a cause": lambda r: replace(r, end_reason=END_PAUSE),
    "a cause without a stop": lambda r: replace(interlock()(r), end_reason=END_OF_EXTRACTION),
    "a cause that is none": interlock(cause=999),
    "an action that is none": interlock(action=7),
    "an interlock at no spot": interlock(spot=-1),
    "an interlock before the spill": interlock(tick=0),
    "a command that is none": commands(4),
    "a chopper that stays open": commands(COMMAND_CHOPPER_OPEN),
    "truth of others": lambda r: replace(r, truth=np.zeros((1, 3))),
}
BLOCKS: dict[str, Change] = {
    "spots of before the first": columns(spot=-1),
    "counts below 0": columns(int1_counts=-5),
    "other spots": columns(spot=3),
    "time stands still": lambda b: replace(b, n_samples=0, finished=False),
    "more samples than asked for": lambda b: replace(b, n_samples=1_000_000),
    "samples below 0": lambda b: replace(b, n_samples=-1000),
    "a spot before the first": lambda b: replace(b, spot=-1),
    "a trend below 0": lambda b: replace(b, trend=_negative(b.trend)),
}
ANNOUNCEMENTS: dict[str, Change] = {
    "in the past": lambda b: Broadcast(b.code, b.extraction_start_us - 10_000_000, b.extraction_end_us),
    "without end": lambda b: Broadcast(b.code, b.extraction_start_us, b.extraction_start_us),
    "too long": lambda b: Broadcast(b.code, b.extraction_start_us, b.extraction_end_us + 60_000_000),
    "of the day after": lambda b: Broadcast(b.code, 1 << 40, (1 << 40) + 1000),
    "not a number": lambda b: Broadcast(b.code, math.nan, b.extraction_end_us),  # type: ignore[arg-type]
}
READINGS: dict[str, Change] = {
    "of one box": lambda r: replace(r, boxes=r.boxes[:1]),
    "of no box": lambda r: replace(r, boxes=()),
    "of three boxes": lambda r: replace(r, boxes=(*r.boxes, r.boxes[0])),
    "of tomorrow": lambda r: replace(r, time_us=r.time_us + 1),
    "in words": lambda r: replace(r, boxes=(replace(r.boxes[0], pressure_Pa="high"), r.boxes[1])),
    "of elements without names": lambda r: replace(r, mounted=(3,)),
}
CASES = [
    *(("loop.result", 2, name, change) for name, change in RESULTS.items()),
    *(("loop.run", 4, name, change) for name, change in BLOCKS.items()),
    *(("accelerator.request_beam", 1, name, change) for name, change in ANNOUNCEMENTS.items()),
    *(("sensors.read", 2, name, change) for name, change in READINGS.items()),
    ("sensors.measure_background", 1, "below 0", lambda _: (-5.0, 1.0)),
    ("sensors.measure_background", 1, "of one chamber", lambda _: (1.0,)),
]


def _negative(trend: np.ndarray) -> np.ndarray:
    trend = trend.copy()
    trend["int2_counts"] = -1
    return trend


@pytest.mark.parametrize(
    ("call", "n", "change"), [(c, n, f) for c, n, _, f in CASES], ids=[c[2] for c in CASES]
)
def test_an_answer_that_cannot_be(call: str, n: int, change: Change, tmp_path: Path):
    room = Altering(ScriptedRoom(reading=GOOD), call.partition(".")[2], change, n)
    outcome = delivered(room, tmp_path, block_us=1000)
    assert outcome.interlocks_without_beam[-1]["detail"].startswith(f"{call}: ")
    assert latched(outcome) == [interlocks.ROOM_ANSWER]
    assert room.is_off
    assert not outcome.complete


@pytest.mark.parametrize("call", ["loop.result", "loop.run", "accelerator.request_beam"])
def test_no_answer_at_all(call: str, tmp_path: Path):
    room = Altering(ScriptedRoom(), call.partition(".")[2], lambda _: None)
    outcome = delivered(room, tmp_path)
    assert outcome.interlocks_without_beam[-1]["detail"].startswith(f"{call}: AttributeError")
    assert latched(outcome) == [interlocks.ROOM_FAILURE]
    assert room.is_off


def test_readings_that_are_no_number_stay_interlocks_of_their_quantity(tmp_path: Path):
    def blind(reading: Any) -> Any:
        return replace(reading, boxes=(replace(reading.boxes[0], pressure_Pa=math.nan), reading.boxes[1]))

    outcome = delivered(Altering(ScriptedRoom(), "read", blind), tmp_path)
    assert latched(outcome) == [interlocks.PRESSURE_1]


def test_an_interrupted_spot_that_lost_counts_since_the_last_block(tmp_path: Path):
    """What was told of a spot under way must not become less either."""
    room = Altering(ScriptedRoom(), "run", columns(int1_counts=0), 4)
    outcome = delivered(room, tmp_path, block_us=1000)
    assert "int1_counts of spot" in outcome.interlocks_without_beam[-1]["detail"]
    parts = read_state(tmp_path).open_spill[-1].table
    assert parts is not None
    assert parts["int1_counts"][0] > 0, "what was told before stands"


# With the whole record


def test_background_before_the_first_spot_is_forgotten(line: BeamLine, tmp_path: Path):
    """What is counted while the law waits for the extraction is nobody's; a block may end in between."""
    hum = Fault("int1", "stuck", 400.0, at_us=-3_000_000)
    record = deliver_quickly(treatment_of(TWO_LAYERS, line), tmp_path, seed=1, faults=[hum], block_us=1000)
    assert "room answer" not in [cause for cause, _ in causes(record)]


def room_with(line: BeamLine, wrap: Callable[[Any], Any]) -> Callable[[Any], Room]:
    """A simulated room with another loop."""

    def make(field: Any) -> Room:
        room = SimulatedRoom(true_line_of(line), field.field.number, 1)
        return Room(room.accelerator, wrap(room.loop), room.sensors)

    return make


def test_what_is_not_believed_is_assumed(line: BeamLine, tmp_path: Path):
    """Three parts of the second spill are of spot -1, of which NumPy would make the last one."""
    treatment = treatment_of(PROTON, line)

    def twisted(answer: SpillResult) -> SpillResult:
        parts = answer.parts.copy()
        parts["spot"][5:8] = -1
        return replace(answer, parts=parts)

    record = spotline.deliver(
        treatment,
        tmp_path,
        seed=1,
        make_room=room_with(line, lambda loop: Altering(loop, "result", twisted, 4)),
    )
    assert (record.summary["status"], causes(record)[-1]) == ("interlock", ("room answer", "stop"))
    assert "parts of other spots" in record.summary["interlocks"][-1]["detail"]
    (field,) = record.fields
    assert field.spills["spill"].tolist() == [1, 2]
    assert (field.spots["particles"] >= 0).all()
    assumed = record.summary["assumed"]
    state = read_state(field.path)
    assert assumed["int1_counts"] > 0
    assert assumed["int1_counts"] <= state.open_spill[0].values["unconfirmed"]
    # Everything that was confirmed, and what is assumed, is taken off what is left.
    from spotline.record.read import read_content, read_spills

    content = read_content(field.path)
    spills = read_spills(content)
    account = account_of(content.slices, spills)
    given = [d + a for d, a in zip(account.delivered1, account.assumed1, strict=True)]
    assert sum(int(g.sum()) for g in given) == sum(int(s.parts["int1_counts"].sum()) for s in spills) + int(
        assumed["int1_counts"]
    )
    again = spotline.resume(tmp_path, operator="a", reason="loop restarted")
    assert again.summary["status"] == "complete"
    over = again.fields[0].spots["particles"] / again.fields[0].spots["particles_planned"]
    assert over.max() < 1.2, "no spot was given again"


def _four_times(memory: SliceMemory) -> None:
    memory.int1_counts[7] *= 4
    memory.int2_counts[7] *= 4


def _shuffled(memory: SliceMemory) -> None:
    for counts in (memory.int1_counts, memory.int2_counts):
        counts[:] = np.random.default_rng(1).permutation(counts)


def _turned_around(memory: SliceMemory) -> None:
    for name in ("y_strip_mm", "y_pixel_mm", "y_current_A"):
        getattr(memory, name)[:] = getattr(memory, name)[::-1].copy()


class Flipping(LoopBehind):
    """A loop whose boards change after they were acknowledged."""

    def __init__(self, behind: FastLoop, change: Callable[[SliceMemory], None]) -> None:
        super().__init__(behind)
        self._change = change

    def load(self, settings: Any, memory: SliceMemory, broadcast: Broadcast) -> str:
        held = super().load(settings, memory, broadcast)
        self._change(memory)
        return held


@pytest.mark.parametrize("change", [_four_times, _shuffled, _turned_around])
def test_boards_that_change_after_they_were_acknowledged(
    change: Callable[[SliceMemory], None], line: BeamLine, tmp_path: Path
):
    make_room = room_with(line, lambda loop: Flipping(loop, change))
    record = spotline.deliver(treatment_of(TWO_LAYERS, line), tmp_path, seed=1, make_room=make_room)
    assert (record.summary["status"], causes(record)[-1]) == ("interlock", ("memory boards", "stop"))
    (field,) = record.fields
    assert "held something else when it was over" in field.details[-1]
    assert field.spills["spill"].tolist() == [1]
    assert record.summary["assumed"]["int1_counts"] == 0, "what was counted was counted"


def test_a_room_has_boards_of_its_own(line: BeamLine, tmp_path: Path):
    """Where they cannot be read, counts are held against what was loaded, not against what became of it."""

    def make(loop: FastLoop) -> Altering:
        return Altering(Flipping(loop, _four_times), "result", lambda r: replace(r, boards_sha256=None))

    record = spotline.deliver(
        treatment_of(TWO_LAYERS, line), tmp_path, seed=1, make_room=room_with(line, make)
    )
    assert (record.summary["status"], causes(record)) == ("interlock", [("room answer", "stop")])
    assert "counts too many in a spot that was left" in record.summary["interlocks"][0]["detail"]


def test_a_room_that_cannot_read_its_boards(line: BeamLine, tmp_path: Path):
    def unread(result: SpillResult) -> SpillResult:
        assert result.boards_sha256
        return replace(result, boards_sha256=None)

    record = spotline.deliver(
        treatment_of(TWO_LAYERS, line),
        tmp_path,
        make_room=room_with(line, lambda r: Altering(r, "result", unread)),
    )
    assert (record.summary["status"], causes(record)) == ("complete", [])
