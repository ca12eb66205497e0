"""Beam behind a broken chopper, after the fast control is done with a spill."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from spotline.control.interlocks import BEAM_WHEN_OFF, WATCHDOG
from spotline.control.memory import DONE, END_SLICE_COMPLETE, END_STOP, LawSettings, SliceMemory
from spotline.machine import BeamLine, load_beamline
from spotline.machine.true_line import true_line_of
from spotline.random import hash64, normal
from spotline.room import SpillResult
from spotline.sim import fast_loop
from spotline.sim.faults import Fault, SimulatedCrash
from spotline.sim.room import SimulatedRoom
from tests.sim.small import control_of, run_spill, small_field

pytestmark = pytest.mark.kernel

LEAK = 0.003
END_us = 6_000_000
"""Of the first extraction of the line."""


@pytest.fixture(scope="module")
def line() -> BeamLine:
    return load_beamline("cnao-h")


@pytest.fixture(scope="module")
def boards(line: BeamLine) -> tuple[LawSettings, SliceMemory]:
    return control_of(line, small_field(line, 2e6))


def room_with(line: BeamLine, *faults: Fault, **more: Any) -> SimulatedRoom:
    return SimulatedRoom(true_line_of(line), 1, seed=3, faults=faults, **more)


def drawn(key: int, tick: int) -> float:
    return float(normal(np.uint64(hash64(np.uint64(key), tick)), 0))


class AtTheEnd:
    """Looks at the plant when the fast control is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tick = 0
        run_block = fast_loop.run_block

        def watched(law: Any, settings: Any, memory: Any, plant: Any, truths: Any, *others: Any) -> int:
            samples, *_ = others
            was_done = law.scalars[0].phase == DONE
            ran = run_block(law, settings, memory, plant, truths, *others)
            if law.scalars[0].phase == DONE and not was_done:
                self.tick = int(law.scalars[0].tick)
                self.booked = float(samples.truth[:, 0].sum())
                self.noise = float(plant.beam[0].spill_noise)
                self.ring = float(plant.beam[0].ring_particles)
                self.ripple = plant.ripple.copy()
                self.spill = truths.spill
            return int(ran)

        monkeypatch.setattr(fast_loop, "run_block", watched)

    def ions_to_come(self, leak: float) -> float:
        """Sum of what the plant extracts from then on and the chopper lets through, written down again."""
        spill, total, noise, ring = self.spill, 0.0, self.noise, self.ring
        lines = self.ripple[0] + 1j * self.ripple[1]
        turn = spill.ripple_turn[0] + 1j * spill.ripple_turn[1]
        for step, tick in enumerate(range(self.tick, spill.end, spill.period), 1):
            noise = noise * spill.noise_decay + spill.noise_kick * drawn(spill.key, tick)
            modulation = max(0.0, 1.0 + noise + float((lines * turn**step).real.sum()))
            since, left = tick - spill.start, spill.end - tick
            rate = spill.particles_per_us * min(1.0, since / spill.rise_us, left / spill.fall_us) * modulation
            if ring <= 0.0:
                break
            ring -= rate * spill.period
            total += leak * rate * spill.period
        return total


def test_a_leak_is_followed_to_the_end_of_the_extraction(
    line: BeamLine, boards: tuple[LawSettings, SliceMemory], monkeypatch: pytest.MonkeyPatch
):
    plant = AtTheEnd(monkeypatch)
    room = room_with(line, Fault("chopper", "leak", LEAK, at_us=-1000))
    blocks, result = run_spill(room, *boards)
    with np.errstate(over="ignore"):
        expected = plant.ions_to_come(LEAK)
    assert 5e4 < expected < 3e5
    assert result.truth is not None
    found = float(result.truth[:, 0].sum()) - plant.booked
    assert found == pytest.approx(expected, abs=5.0 * math.sqrt(expected))
    # The clock has moved on with it, and all is in the record that can be.
    assert result.end_us == END_us + 2000
    assert sum(block.n_samples for block in blocks) == result.end_us - result.start_us
    assert sum(len(block.trend) for block in blocks) == (result.end_us - result.start_us) // 1000
    assert END_us - 25_000 < result.last_ion_us <= END_us
    assert room.history[0].truth[:, 0].sum() == result.truth[:, 0].sum()
    # Fewer counts than the safety interlock system has to let pass.
    assert (result.end_reason, len(result.interlocks)) == (END_SLICE_COMPLETE, 0)


def test_a_spill_without_a_fault_ends_when_the_fast_control_is_done(
    line: BeamLine, boards: tuple[LawSettings, SliceMemory], monkeypatch: pytest.MonkeyPatch
):
    plant = AtTheEnd(monkeypatch)
    _, result = run_spill(room_with(line), *boards)
    assert result.end_us == plant.tick < END_us - 1_000_000


def outcome(result: SpillResult) -> list[Any]:
    return [getattr(result, name) for name in ("end_reason", "end_us", "last_ion_us", "int1_counts")] + [
        getattr(result, name).tobytes() for name in ("parts", "commands", "interlocks", "truth")
    ]


def test_beam_when_off_is_found_and_stops_at_any_block_size(
    line: BeamLine, boards: tuple[LawSettings, SliceMemory]
):
    outcomes = []
    for block_us in (1000, 7000, 100_000):
        room = room_with(line, Fault("chopper", "leak", 0.015, at_us=-1000))
        _, result = run_spill(room, *boards, block_us)
        outcomes.append(outcome(result))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert result.interlocks["cause"].tolist() == [BEAM_WHEN_OFF]
    assert result.end_reason == END_STOP
    assert (result.parts["complete"] == 1).all()
    # The accelerator had its time to end the extraction.
    stop_us = line.facts.accelerator.extraction_stop_us
    assert result.interlocks["tick"][0] < result.last_ion_us <= result.interlocks["tick"][0] + stop_us + 25


def test_a_leak_that_begins_after_the_spill_is_followed_too(
    line: BeamLine, boards: tuple[LawSettings, SliceMemory], monkeypatch: pytest.MonkeyPatch
):
    plant = AtTheEnd(monkeypatch)
    late = Fault("chopper", "leak", LEAK, at_us=1_000_000, duration_us=100_000)
    _, result = run_spill(room_with(line, late), *boards)
    assert plant.tick < 4_500_000 + 1_000_000 - 100_000
    assert result.truth is not None
    found = float(result.truth[:, 0].sum()) - plant.booked
    assert found == pytest.approx(60.0 * LEAK * 100_000, rel=0.1)
    assert 5_590_000 < result.last_ion_us <= 5_600_000


def test_beam_without_an_extraction_is_followed_to_the_next_spill(
    line: BeamLine, boards: tuple[LawSettings, SliceMemory]
):
    faults = Fault("chopper", "leak", LEAK, at_us=-1000), Fault("beam", "stray", 0.1, at_us=1_500_000)
    _, result = run_spill(room_with(line, *faults), *boards)
    assert result.end_us == 9_000_000 - fast_loop.PRE_ROLL_us
    assert result.last_ion_us > result.end_us - 10_000


def test_a_fast_control_that_is_killed_leaves_its_beam_to_the_interlock_systems(
    line: BeamLine, boards: tuple[LawSettings, SliceMemory]
):
    kill, leak = Fault("process", "kill", at_us=50_000), Fault("chopper", "leak", LEAK, at_us=-1000)
    ions = []
    for faults in ((kill,), (kill, leak)):
        room = room_with(line, *faults)
        with pytest.raises(SimulatedCrash):
            run_spill(room, *boards)
        assert room.loop.interlocks["cause"].tolist() == [WATCHDOG]
        ions.append(float(room.history[0].truth[:, 0].sum()))
    # All of the rest of the extraction leaks, not one scan period of each millisecond.
    assert ions[1] - ions[0] == pytest.approx(60.0 * LEAK * 1.44e6, rel=0.1)
