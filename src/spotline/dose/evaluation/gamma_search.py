"""The search for the gamma index, compiled: the exact minimum over the interpolated dose.

Between its points the evaluated dose is trilinear.  In units of the criteria, let tau(s) be the difference
of the evaluated dose, at the place s away from the reference point, from the reference dose.  Then gamma
squared is the minimum of tau(s)^2 + |s|^2.  It is found by branch and bound:

* Cells are visited in shells around the reference point, out to the distance that alone makes the best value
  found so far; a cell is passed over if that distance, or the least difference at its corners, says so.
* A cell is searched as a box, the part of it within that distance, which is halved until nothing better can
  be in any of its parts: `spotline.dose.evaluation.gamma_box` says whether it can.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats
from spotline.dose.evaluation.gamma_box import TOLERANCE, Cell, difference, search_box
from spotline.jit import kernel

STACK_BOXES = 128
"""Boxes that wait in a cell: each halving leaves one, and 3 x 40 end below the rounding of numbers."""


class Evaluated(NamedTuple):
    """The distribution that is searched.

    Attributes
    ----------
    dose_Gy : ndarray of float32, shape (nz, ny, nx)
    origin_mm, spacing_mm : ndarray, shape (3,)
        In the order z, y, x.
    """

    dose_Gy: NDArray[np.float32]
    origin_mm: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]


class Criteria(NamedTuple):
    """What is asked for.

    Attributes
    ----------
    fraction : float
        Accepted difference of dose, as a fraction.
    normalisation_Gy : float
        Dose that the fraction is taken of; 0 for that of each point (local).
    distance_mm : float
    maximum : float
        Larger values are not told apart.
    """

    fraction: float
    normalisation_Gy: float
    distance_mm: float
    maximum: float


@kernel
def search_points(
    first: int,
    last: int,
    is_compared: NDArray[np.bool_],
    dose_Gy: NDArray[np.float32],
    z_mm: NDArray[np.float64],
    y_mm: NDArray[np.float64],
    x_mm: NDArray[np.float64],
    evaluated: Evaluated,
    criteria: Criteria,
    stack: NDArray[np.float64],
    gamma: NDArray[np.float32],
) -> None:
    """Write gamma of some reference points, all of them within the evaluated grid.

    Parameters
    ----------
    first, last : int
        Range of points, in the flat arrays.
    is_compared : ndarray of bool, shape (nz * ny * nx,)
        Which of them; others are left alone.
    dose_Gy : ndarray, shape (nz * ny * nx,)
        Reference dose.
    z_mm, y_mm, x_mm : ndarray, shapes (nz,), (ny,), (nx,)
        Places of the reference.
    evaluated : Evaluated
    criteria : Criteria
    stack : ndarray, shape (STACK_BOXES, 6)
        Memory for boxes that wait: lower and upper ends.
    gamma : ndarray, shape (nz * ny * nx,)
        Result.
    """
    ny, nx = len(y_mm), len(x_mm)
    shape, origin_mm, spacing_mm = evaluated.dose_Gy.shape, evaluated.origin_mm, evaluated.spacing_mm
    for voxel in range(first, last):
        if not is_compared[voxel]:
            continue
        here_Gy = float(dose_Gy[voxel])
        reference_Gy = criteria.normalisation_Gy if criteria.normalisation_Gy > 0.0 else here_Gy
        point = Point(
            min(max(0.0, (z_mm[voxel // (ny * nx)] - origin_mm[0]) / spacing_mm[0]), shape[0] - 1.0),
            min(max(0.0, (y_mm[(voxel // nx) % ny] - origin_mm[1]) / spacing_mm[1]), shape[1] - 1.0),
            min(max(0.0, (x_mm[voxel % nx] - origin_mm[2]) / spacing_mm[2]), shape[2] - 1.0),
            spacing_mm[0] / criteria.distance_mm,
            spacing_mm[1] / criteria.distance_mm,
            spacing_mm[2] / criteria.distance_mm,
            here_Gy,
            1.0 / (criteria.fraction * reference_Gy),
        )
        gamma[voxel] = math.sqrt(_least_squared(point, evaluated.dose_Gy, criteria.maximum, stack))


class Point(NamedTuple):
    """A reference point, in terms of the evaluated grid.

    Attributes
    ----------
    z, y, x : float
        Place in voxels.
    hz, hy, hx : float
        Size of a voxel in units of the accepted distance.
    dose_Gy, per_Gy : float
        Its dose, and 1 over the accepted difference.
    """

    z: float
    y: float
    x: float
    hz: float
    hy: float
    hx: float
    dose_Gy: float
    per_Gy: float


@kernel
def _least_squared(point: Point, dose_Gy: Float32s, maximum: float, stack: Floats) -> float:
    """Return gamma squared of one point, at most that of the maximum."""
    nz, ny, nx = dose_Gy.shape
    # First and last cell; of a single plane the only cell has no extent.
    ez, ey, ex = max(0, nz - 2), max(0, ny - 2), max(0, nx - 2)
    cz, cy, cx = min(int(point.z), ez), min(int(point.y), ey), min(int(point.x), ex)
    best, root = maximum * maximum, maximum
    shell = 0
    while True:
        z_first = max(0, cz - shell, math.floor(point.z - root / point.hz))
        z_last = min(ez, cz + shell, math.floor(point.z + root / point.hz))
        y_first = max(0, cy - shell, math.floor(point.y - root / point.hy))
        y_last = min(ey, cy + shell, math.floor(point.y + root / point.hy))
        for kz in range(z_first, z_last + 1):
            for ky in range(y_first, y_last + 1):
                # Of rows that cross the shell only the ends are in it.
                is_crossing = abs(kz - cz) < shell and abs(ky - cy) < shell
                for kx in range(cx - shell, cx + shell + 1, 2 * shell if is_crossing else 1):
                    if 0 <= kx <= ex:
                        best = _search_cell(kz, ky, kx, point, dose_Gy, best, stack)
        root = math.sqrt(best)
        shell += 1
        # The nearest that a cell of the next shell can be, of the cells that there are.
        nearest = min(
            _nearest(point.z, cz, ez, shell, point.hz),
            _nearest(point.y, cy, ey, shell, point.hy),
            _nearest(point.x, cx, ex, shell, point.hx),
        )
        if nearest >= root - TOLERANCE:
            return best


@kernel
def _nearest(place: float, cell: int, last: int, shell: int, size: float) -> float:
    """Return how near along one axis a cell of a shell can be; infinite if there is none on either side."""
    nearest = np.inf
    if cell - shell >= 0:
        nearest = (place - cell + (shell - 1)) * size
    if cell + shell <= last:
        nearest = min(nearest, (cell + shell - place) * size)
    return nearest


@kernel
def _search_cell(
    kz: int, ky: int, kx: int, point: Point, dose_Gy: Float32s, best: float, stack: Floats
) -> float:
    """Return gamma squared, or the best value so far if it is no larger in this cell."""
    nz, ny, nx = dose_Gy.shape
    mz, my, mx = min(kz + 1, nz - 1), min(ky + 1, ny - 1), min(kx + 1, nx - 1)
    z0, z1 = (kz - point.z) * point.hz, (mz - point.z) * point.hz
    y0, y1 = (ky - point.y) * point.hy, (my - point.y) * point.hy
    x0, x1 = (kx - point.x) * point.hx, (mx - point.x) * point.hx
    away_z, away_y, away_x = max(0.0, z0, -z1), max(0.0, y0, -y1), max(0.0, x0, -x1)
    away = away_z * away_z + away_y * away_y + away_x * away_x
    if away >= best:
        return best
    t000 = (float(dose_Gy[kz, ky, kx]) - point.dose_Gy) * point.per_Gy
    t001 = (float(dose_Gy[kz, ky, mx]) - point.dose_Gy) * point.per_Gy
    t010 = (float(dose_Gy[kz, my, kx]) - point.dose_Gy) * point.per_Gy
    t011 = (float(dose_Gy[kz, my, mx]) - point.dose_Gy) * point.per_Gy
    t100 = (float(dose_Gy[mz, ky, kx]) - point.dose_Gy) * point.per_Gy
    t101 = (float(dose_Gy[mz, ky, mx]) - point.dose_Gy) * point.per_Gy
    t110 = (float(dose_Gy[mz, my, kx]) - point.dose_Gy) * point.per_Gy
    t111 = (float(dose_Gy[mz, my, mx]) - point.dose_Gy) * point.per_Gy
    low = min(min(min(t000, t001), min(t010, t011)), min(min(t100, t101), min(t110, t111)))
    high = max(max(max(t000, t001), max(t010, t011)), max(max(t100, t101), max(t110, t111)))
    off = max(0.0, low, -high)
    if away + off * off >= best:
        return best
    wz = 1.0 / point.hz if mz > kz else 0.0
    wy = 1.0 / point.hy if my > ky else 0.0
    wx = 1.0 / point.hx if mx > kx else 0.0
    cell = Cell(
        z0,
        y0,
        x0,
        t000,
        (t100 - t000) * wz,
        (t010 - t000) * wy,
        (t001 - t000) * wx,
        (t110 - t100 - t010 + t000) * wz * wy,
        (t101 - t100 - t001 + t000) * wz * wx,
        (t011 - t010 - t001 + t000) * wy * wx,
        (t111 - t110 - t101 - t011 + t100 + t010 + t001 - t000) * wz * wy * wx,
    )
    if away == 0.0:
        tau, _, _, _ = difference(cell, 0.0, 0.0, 0.0)
        best = min(best, tau * tau)
    stack[0, 0], stack[0, 1], stack[0, 2] = z0, y0, x0
    stack[0, 3], stack[0, 4], stack[0, 5] = z1, y1, x1
    waiting = 1
    while waiting > 0:
        waiting -= 1
        best, cut_axis, cut = search_box(cell, stack[waiting], best)
        if cut_axis >= 0 and waiting + 2 <= STACK_BOXES:
            for side in range(6):
                stack[waiting + 1, side] = stack[waiting, side]
            # The half that is nearer to the point comes first.
            if cut < 0.0:
                stack[waiting + 1, cut_axis], stack[waiting, cut_axis + 3] = cut, cut
            else:
                stack[waiting + 1, cut_axis + 3], stack[waiting, cut_axis] = cut, cut
            waiting += 2
    return best
