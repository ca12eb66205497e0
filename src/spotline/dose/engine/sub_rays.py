"""Sub-spots: the rays beside that of a voxel, from which scattering brings particles to it.

What is scattered by v (a variance) in the patient reaches a voxel from rays around its own, which may be of
other depth.  Their Gaussian is sampled in seven rays: the voxel's own and six on a hexagon.  With a radius
of 2 standard deviations, half of the particles on the own ray and a twelfth on each other, all moments to
fifth order are right (formula E2-r2 5-1 of Stroud, Approximate Calculation of Multiple Integrals, 1971); with
less scattering on the same hexagon the variance is.  Only voxels whose six rays differ in depth are kept.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats, Integers
from spotline.dose.sampling import GridNumbers, sample
from spotline.jit import kernel

CORNERS = 6
RADIUS_SIGMAS = 2.0
"""Of the hexagon, in standard deviations of what a beam that ends at the depth has been scattered."""
ROUGH_mm = 0.25
"""Rays that differ by less in depth are taken as one; a fan of rays in water stays below."""
PER_mm = 100.0
"""Depths are kept in hundredths of a mm."""
DEEPEST_mm = 655.0
"""More does not go into 16 bits, and is beyond all beams."""

_COS = np.array([math.cos(math.pi * k / 3.0) for k in range(CORNERS)])
_SIN = np.array([math.sin(math.pi * k / 3.0) for k in range(CORNERS)])


class SubRays(NamedTuple):
    """Rays beside those of voxels.

    Attributes
    ----------
    row : ndarray of int32, shape (n,) or (0,)
        Row of each voxel below, -1 where there is nothing but its own depth around it.  Empty: nowhere is.
    depth : ndarray of uint16, shape (m, 6)
        Depths of the rays through the corners, in hundredths of a mm.
    radius_mm : ndarray, shape (r,)
        Radius of the hexagon at depths of 0, 1, 2 ... mm; from the last on it stays.
    along_x, along_y : ndarray, shape (6,)
        Corners of a hexagon of radius 1, in the frame of the beam.
    """

    row: NDArray[np.int32]
    depth: NDArray[np.uint16]
    radius_mm: Floats
    along_x: Floats
    along_y: Floats


def no_sub_rays() -> SubRays:
    """Where every voxel has its own ray only."""
    rows, depths = np.zeros(0, dtype=np.int32), np.zeros((0, CORNERS), dtype=np.uint16)
    return SubRays(rows, depths, np.ones(1), _COS, _SIN)


@kernel
def fill_corners(
    depth_mm: Float32s,
    grid: GridNumbers,
    across: Floats,
    voxels: Integers,
    radius_mm: Floats,
    along_x: Floats,
    along_y: Floats,
    out: NDArray[np.uint16],
    rough: NDArray[np.bool_],
) -> None:
    """Depths at the corners around voxels, and where they differ from that of the voxel.

    Beyond the grid the voxel's own depth holds.
    """
    for n in range(len(voxels)):
        c, rest = divmod(voxels[n], grid.nx * grid.ny)
        b, a = divmod(rest, grid.nx)
        own = depth_mm[c, b, a]
        radius = radius_mm[min(int(own), len(radius_mm) - 1)]
        x_mm, y_mm, z_mm = grid.x_mm + a * grid.dx_mm, grid.y_mm + b * grid.dy_mm, grid.z_mm + c * grid.dz_mm
        for k in range(CORNERS):
            u, v = radius * along_x[k], radius * along_y[k]
            found = sample(
                depth_mm,
                grid,
                x_mm + u * across[0, 0] + v * across[1, 0],
                y_mm + u * across[0, 1] + v * across[1, 1],
                z_mm + u * across[0, 2] + v * across[1, 2],
                own,
            )
            if abs(found - own) > ROUGH_mm:
                rough[n] = True
            out[n, k] = int(PER_mm * min(found, DEEPEST_mm) + 0.5)
