"""The fast loop alone: plant and control law, per sample of 1 microsecond with beam."""

from __future__ import annotations

import functools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import BEAMS, Beam, Loaded, TIMED_us, loaded
from spotline.sim.fast_loop import SimulatedLoop

ROUNDS = 15


@functools.cache
def _loaded(beam: Beam) -> Loaded:
    return loaded(beam)


@pytest.mark.parametrize("raw", [False, True], ids=["", "raw"])
@pytest.mark.parametrize("beam", BEAMS, ids=lambda beam: beam.name)
def test_loop(benchmark: BenchmarkFixture, beam: Beam, raw: bool) -> None:
    _loaded(beam).room_with_beam(raw=False)  # compiles

    def fresh() -> tuple[tuple[SimulatedLoop, int], dict[str, object]]:
        return (_loaded(beam).room_with_beam(raw=raw).loop, TIMED_us), {}

    benchmark.extra_info.update(kind="loop", name=beam.name, raw=raw, ticks=TIMED_us)
    block = benchmark.pedantic(SimulatedLoop.run, setup=fresh, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    assert block.n_samples == TIMED_us
