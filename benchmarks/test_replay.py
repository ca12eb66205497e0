"""The control law alone, over recorded samples."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import BEAMS, Beam, Loaded, loaded
from spotline.control.memory import LawState, new_state
from spotline.control.replay import Recording, Scratch, new_scratch, replay_spill
from spotline.room import Broadcast
from spotline.sim.fast_loop import PRE_ROLL_us

ROUNDS = 7
RECORDED_us = 500_000


def record(spill: Loaded) -> tuple[Recording, Scratch, Broadcast]:
    """Half a second of a spill; what a replay needs, and what was announced."""
    room, broadcast = spill.room(raw=True)
    raw = room.loop.run(RECORDED_us).raw
    assert raw is not None
    recording = Recording(
        integrals=raw.integrals,
        strips=raw.strips,
        pixels=raw.pixels,
        read_A=np.ascontiguousarray(raw.currents_A[:, :2]),
        inputs=raw.inputs,
        broadcast_code=broadcast.code,
        aborts=raw.aborts.view(np.recarray),
    )
    return recording, new_scratch(recording), broadcast


@pytest.mark.parametrize("beam", BEAMS[:4:2], ids=lambda beam: beam.name)
def test_replay(benchmark: BenchmarkFixture, beam: Beam) -> None:
    spill = loaded(beam)
    recording, scratch, broadcast = record(spill)
    announced = broadcast.extraction_start_us, broadcast.extraction_end_us
    n_strips = len(scratch.strip_x)

    def new_law() -> LawState:
        return new_state(spill.memory, spill.settings, n_strips, announced[0] - PRE_ROLL_us, announced)

    def fresh() -> tuple[tuple[object, ...], dict[str, object]]:
        return (new_law(), spill.settings, spill.memory, recording, scratch), {}

    replay_spill(new_law(), spill.settings, spill.memory, recording, scratch)  # compiles
    benchmark.extra_info.update(kind="replay", name=beam.name, ticks=RECORDED_us)
    periods = benchmark.pedantic(replay_spill, setup=fresh, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    assert periods * spill.settings.scan_period == RECORDED_us
