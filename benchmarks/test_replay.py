"""The control law alone, over recorded samples."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import BEAMS, Beam, Loaded, loaded
from spotline.control.memory import LawState, new_state
from spotline.control.replay import Recording, Scratch, replay_spill
from spotline.room import Broadcast
from spotline.sim.room import PRE_ROLL_US

ROUNDS = 7
RECORDED_US = 500_000


def record(spill: Loaded) -> tuple[Recording, Scratch, Broadcast]:
    """Half a second of a spill; what a replay needs, and what was announced."""
    room, broadcast = spill.room(raw=True)
    raw = room.run(RECORDED_US).raw
    assert raw is not None
    n_strips, n_pixels = raw.strips.shape[2], raw.pixels.shape[1]
    recording = Recording(
        integrals=raw.integrals,
        strips=raw.strips,
        pixels=raw.pixels,
        read_A=np.ascontiguousarray(raw.currents_A[:, :2]),
        inputs=raw.inputs,
        broadcast_code=broadcast.code,
        aborts=raw.aborts.view(np.recarray),
    )
    scratch = Scratch(
        strip_x=np.zeros(n_strips, np.int32),
        strip_y=np.zeros(n_strips, np.int32),
        pixels=np.zeros((n_pixels, n_pixels), np.int32),
        strip_region=np.array([0, n_strips]),
        pixel_region=np.array([0, n_pixels, 0, n_pixels]),
        set_A=np.full((len(raw.inputs), 2), np.nan),
    )
    return recording, scratch, broadcast


@pytest.mark.parametrize("beam", BEAMS[:4:2], ids=lambda beam: beam.name)
def test_replay(benchmark: BenchmarkFixture, beam: Beam) -> None:
    spill = loaded(beam)
    recording, scratch, broadcast = record(spill)
    announced = broadcast.extraction_start_us, broadcast.extraction_end_us
    n_strips = len(scratch.strip_x)

    def new_law() -> LawState:
        return new_state(spill.memory, spill.settings, n_strips, announced[0] - PRE_ROLL_US, announced)

    def fresh() -> tuple[tuple[object, ...], dict[str, object]]:
        return (new_law(), spill.settings, spill.memory, recording, scratch), {}

    replay_spill(new_law(), spill.settings, spill.memory, recording, scratch)  # compiles
    benchmark.extra_info.update(kind="replay", name=beam.name, ticks=RECORDED_US)
    periods = benchmark.pedantic(replay_spill, setup=fresh, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    assert periods * spill.settings.scan_period == RECORDED_US
