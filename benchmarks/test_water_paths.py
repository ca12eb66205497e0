"""Water-equivalent paths to all voxels of a cube: cost per voxel, which stays the same only between rays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spotline.arrays import Float32s
from spotline.dose.beam_frame import VirtualSources, beam_frame
from spotline.dose.grid import Grid
from spotline.dose.water_path import smooth_voxel_paths_mm, voxel_paths_mm

SOURCES = VirtualSources(6200.0, 5500.0)


@pytest.mark.parametrize("side", [50, 100, 150])
@pytest.mark.parametrize("gantry_deg", [0.0, 37.0])
@pytest.mark.parametrize("trace", [voxel_paths_mm, smooth_voxel_paths_mm], ids=["exact", "smooth"])
def test_water_paths(
    benchmark: BenchmarkFixture, side: int, gantry_deg: float, trace: Callable[..., Float32s]
) -> None:
    """Voxels of 2 mm with stopping powers at random."""
    grid = Grid((1.0 - side,) * 3, (2.0,) * 3, (side,) * 3)
    rsp = np.random.Generator(np.random.PCG64(1)).random(grid.shape, dtype=np.float32)
    frame = beam_frame(gantry_deg)
    trace(rsp, grid, frame, SOURCES)  # compiles
    paths = benchmark.pedantic(  # type: ignore[no-untyped-call]
        trace, args=(rsp, grid, frame, SOURCES), rounds=3
    )
    assert paths.shape == grid.shape
    benchmark.extra_info.update(kind="water paths", voxels=side**3)
