"""A field that takes more spills, or more beam, than was predicted for what it delivers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline import BeamLine
from spotline.control import interlocks
from spotline.control.memory import COMMAND, COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN, END_PAUSE
from spotline.delivery.command import Command, Order
from spotline.delivery.expenditure import Expenditure
from spotline.delivery.progress import Progress
from spotline.machine.true_line import true_line_of
from spotline.room import Room, SpillResult
from spotline.sim.faults import Fault
from spotline.sim.room import SimulatedRoom
from tests.delivery import scripted_room
from tests.delivery.deliveries import CARBON, PROTON, TWO_LAYERS, causes, treatment_of
from tests.delivery.overseen import events, latched
from tests.delivery.scripted_room import LINE, ScriptedRoom, delivered, field_of
from tests.lines.facts import with_facts

SLOWLY = field_of((12,))
"""Twelve spots, of which a spill of a millisecond gives one."""


@pytest.fixture
def excesses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What there was too much after every spill."""
    found: list[float] = []
    take = Expenditure.take

    def noted(self: Expenditure, *of: object) -> None:
        take(self, *of)  # type: ignore[arg-type]
        found.append(self.excess)

    monkeypatch.setattr(Expenditure, "take", noted)
    return found


def slow_delivery(limit: float, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: object):
    line = with_facts(LINE, {"fast_interlocks.excess_spills": limit})
    monkeypatch.setattr(scripted_room, "LINE", line)
    return delivered(ScriptedRoom(spill_ms=1), folder, treatment=SLOWLY, **options)


def test_spills_at_their_limit_and_just_below(
    excesses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert slow_delivery(math.inf, tmp_path / "all", monkeypatch).complete
    after_three = excesses[2]
    assert 0.0 < after_three < excesses[3]
    at = slow_delivery(after_three, tmp_path / "at", monkeypatch)
    assert (latched(at), at.spills, at.complete) == ([interlocks.SPILLS], 3, False)
    (row,) = at.interlocks_without_beam
    assert (row["value"], row["limit"]) == (after_three, after_three)
    assert events(at)[-1] == "interlock or operator stops"
    below = slow_delivery(math.nextafter(after_three, math.inf), tmp_path / "below", monkeypatch)
    assert below.spills == 4


def test_a_reset_counts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three spills and a reset, four times: the operator has looked at it."""
    resets = 0

    def orders(progress: Progress) -> Order | None:
        nonlocal resets
        if progress.state != "interrupted" or resets > 10:
            return None
        resets += 1
        return Order(Command.RESET, "operator", "the ring is weak today")

    outcome = slow_delivery(2.0, tmp_path, monkeypatch, orders=orders)
    assert outcome.complete
    assert (resets, outcome.spills) == (len(outcome.interlocks_without_beam), 12)
    assert 2 <= resets <= 4


def spill(counts: int, end_reason: int, beam_on_us: int) -> SpillResult:
    commands = np.zeros(2, COMMAND)
    commands["tick"], commands["command"] = (0, beam_on_us), (COMMAND_CHOPPER_OPEN, COMMAND_CHOPPER_CLOSE)
    parts = np.zeros(1, [("int1_counts", "i8")])
    parts["int1_counts"] = counts
    return SpillResult(parts, commands, np.zeros(0), end_reason, 0, beam_on_us, counts, counts, None)


def test_time_with_beam_counts_too():
    """A spill that completes its slice is none too many, however long it takes: its beam is."""
    expenditure, (slice_,) = Expenditure(SLOWLY, LINE), SLOWLY.slices
    whole = int(slice_.int1_counts.sum())
    longest_us = round(LINE.facts.accelerator.longest_s * 1e6)
    for _ in range(1000):
        expenditure.take(slice_, spill(whole, 1, 1000))
    assert expenditure.excess == 0.0
    expenditure.take(slice_, spill(whole // 2, 1, longest_us))
    assert 0.9 < expenditure.excess < 1.0
    expenditure.take(slice_, spill(whole, 1, 1000))
    assert 0.5 < expenditure.excess < 1.0, "it is paid back by spills that give much, but is no credit"


def test_spills_that_were_ended_are_left_out():
    expenditure, (slice_,) = Expenditure(SLOWLY, LINE), SLOWLY.slices
    for _ in range(10):
        expenditure.take(slice_, spill(0, END_PAUSE, 1_000_000))
    assert expenditure.excess == 0.0


# In the simulated room


def contaminated(line: BeamLine, per_s: float, rooms: list[SimulatedRoom], at_us: int = 300_000):
    fault = Fault("gas", "contaminated", per_s, at_us=at_us)

    def make(field: object) -> Room:
        rooms.append(SimulatedRoom(true_line_of(line), 1, 1, faults=(fault,)))
        return rooms[-1]

    return make


@pytest.mark.parametrize(
    ("per_s", "at_us", "spills"), [(0.05, -4_000_000, 5), (0.1, 300_000, 4), (0.2, 300_000, 3)]
)
def test_gain_of_all_chambers_falls_where_no_ring_is_read(
    per_s: float, at_us: int, spills: int, line: BeamLine, tmp_path: Path
):
    """About half or more of the spills that the field would take until it is complete are never asked for."""
    dry = with_facts(line, {"accelerator.ring_pulse_share": 0.0})
    rooms: list[SimulatedRoom] = []
    record = spotline.deliver(
        treatment_of(TWO_LAYERS, dry), tmp_path, seed=1, make_room=contaminated(dry, per_s, rooms, at_us)
    )
    assert causes(record) == [("too many spills", "stop")]
    assert (record.summary["status"], record.summary["spills"]) == ("interlock", spills)
    assert len(rooms[0].history) == spills


def test_where_it_is_read_the_ring_finds_it_first(line: BeamLine, tmp_path: Path):
    record = spotline.deliver(
        treatment_of(TWO_LAYERS, line), tmp_path, seed=1, make_room=contaminated(line, 0.1, [])
    )
    assert causes(record)[0] == ("ring charge", "stop")


@pytest.mark.parametrize("plan", [CARBON, PROTON, TWO_LAYERS])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_near_the_limit_without_a_fault(
    plan: Path, seed: int, line: BeamLine, excesses: list[float], tmp_path: Path
):
    record = spotline.deliver(treatment_of(plan, line), tmp_path, seed=seed, documents=False)
    assert record.summary["status"] == "complete"
    assert max(excesses) < 0.1 * line.facts.fast_interlocks.excess_spills
