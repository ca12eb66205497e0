"""Find the rays beside those of voxels (`spotline.dose.engine.sub_rays`) on all cores."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats, Integers
from spotline.dose.beam_frame import BeamFrame
from spotline.dose.engine.sub_rays import CORNERS, RADIUS_SIGMAS, SubRays, fill_corners, no_sub_rays
from spotline.dose.grid import Grid
from spotline.dose.sampling import grid_numbers
from spotline.machine.library import BeamLibrary


def sub_rays(
    depth_mm: Float32s,
    grid: Grid,
    frame: BeamFrame,
    voxels: Integers,
    library: BeamLibrary,
    threads: int | None = None,
) -> SubRays:
    """Find the rays beside those of voxels.

    Parameters
    ----------
    depth_mm : ndarray of float32, shape of the grid
        Water-equivalent depth of all voxels.
    grid : Grid
    frame : BeamFrame
    voxels : ndarray of int, shape (n,)
        Places in the flattened grid.
    library : BeamLibrary
        Says how far beams are scattered.
    threads : int, optional
        By default as many as there are processors.  The result does not depend on it.
    """
    count = threads or os.cpu_count() or 1
    own = no_sub_rays()
    radius_mm = hexagon_mm(library)
    across = np.array(frame.axes[:2], dtype=float)
    numbers = grid_numbers(grid)
    bounds = np.linspace(0, len(voxels), 4 * count + 1).astype(int)

    def work(part: int) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
        some = voxels[bounds[part] : bounds[part + 1]]
        depths = np.empty((len(some), CORNERS), dtype=np.uint16)
        rough = np.zeros(len(some), dtype=np.bool_)
        fill_corners(depth_mm, numbers, across, some, radius_mm, own.along_x, own.along_y, depths, rough)
        return rough, depths[rough]

    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(work, range(4 * count)))
    is_rough = np.concatenate([rough for rough, _ in parts])
    if not is_rough.any():
        return own
    row = np.where(is_rough, np.cumsum(is_rough) - 1, -1).astype(np.int32)
    depth = np.concatenate([depths for _, depths in parts])
    return own._replace(row=row, depth=depth, radius_mm=radius_mm)


def hexagon_mm(library: BeamLibrary) -> Floats:
    """Radius of the hexagon at depths of 0, 1, 2 ... mm."""
    ranges = library.arrays.range_mm
    sigmas = [
        library.entry(energy).lateral(range_mm).core_mm[0]
        for energy, range_mm in zip(library.energy_MeV_u, ranges, strict=True)
    ]
    depth = np.arange(math.ceil(ranges[-1]) + 1, dtype=float)
    sigma: Floats = np.interp(depth, np.append(0.0, ranges), np.append(0.0, sigmas))
    return RADIUS_SIGMAS * sigma
