"""The search of the delivery path, per layer."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spotline.machine import load_beamline
from spotline.treatment.instructing import jumps_of
from spotline.treatment.options import Options
from spotline.treatment.path import measure_path, shortest_path
from verification.path_bound import edge_times_us
from verification.paths import orders_of

ROUNDS = 7


@pytest.mark.parametrize(("spots", "side"), [(100, 20), (500, 45), (2000, 90), (5000, 140)])
def test_path(benchmark: BenchmarkFixture, spots: int, side: int) -> None:
    """A quarter of the points of a grid, at random: harder than a full grid."""
    line = load_beamline("cnao-h")
    moves, jumps = line.moves("carbon", 221.45), jumps_of(line, Options())
    chosen = np.random.Generator(np.random.PCG64(1)).choice(side**2, spots, replace=False)
    y_mm, x_mm = (2.0 * steps for steps in np.divmod(np.sort(chosen), side))
    shortest_path(x_mm, y_mm, moves, jumps)  # compiles
    order = benchmark.pedantic(  # type: ignore[no-untyped-call]
        shortest_path, args=(x_mm, y_mm, moves, jumps), rounds=ROUNDS
    )
    assert np.array_equal(np.sort(order), np.arange(spots))
    orders = orders_of((x_mm, y_mm), edge_times_us(x_mm, y_mm, moves, jumps), moves, jumps)
    times_ms = {
        name: 1e-3 * measure_path(x_mm[order], y_mm[order], moves, jumps).time_us
        for name, order in orders.items()
    }
    benchmark.extra_info.update(kind="path", spots=spots, times_ms=times_ms)
