"""The search for the gamma index, compiled: the exact minimum over the interpolated dose.

Between its points the evaluated dose is trilinear.  In units of the criteria, let tau(s) be the difference
of the evaluated dose, at the place s away from the reference point, from the reference dose.  Then gamma
squared is the minimum of tau(s)^2 + |s|^2.  It is found by branch and bound:

* Cells are visited in shells around the reference point, out to the distance that alone makes the best value
  found so far; a cell is passed over if that distance, or the least difference at its corners, says so.
* In a box (the part of a cell within that distance), tau is a linear function within +-eps.  For the linear
  function the minimum over a box is found exactly, because its gradient fixes all but one number; with
  max(0, |tau| - eps) in place of |tau| this is a lower bound, and the true value at that place an upper one.
* Where the sum of squares is convex all over the box, Newton's steps with the linear function of the present
  place lead on, and the tangent is a lower bound that is as good as the place.
* A box whose lower bound is not below the best value by more than `TOLERANCE` is done; others are halved.
  With each halving eps becomes four times smaller.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.jit import kernel

TOLERANCE = 1e-4
"""What a gamma may be too large by."""

STACK_BOXES = 128
"""Boxes that wait in a cell: each halving leaves one, and 3 x 40 end below the rounding of numbers."""

NEWTON_STEPS = 8
LEAST_CONVEX = 0.02
"""Below it, halving a box does more than steps in it."""

Doses = NDArray[np.float32]
Stack = NDArray[np.float64]


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


class Cell(NamedTuple):
    """The difference tau in a cell: a polynomial of the way from its first corner.

    Attributes
    ----------
    z0, y0, x0 : float
        First corner, from the reference point, in units of the accepted distance.
    t, tz, ty, tx, tzy, tzx, tyx, tzyx : float
        Coefficients of 1, z, y, x, zy, zx, yx, zyx.
    """

    z0: float
    y0: float
    x0: float
    t: float
    tz: float
    ty: float
    tx: float
    tzy: float
    tzx: float
    tyx: float
    tzyx: float


@kernel
def _least_squared(point: Point, dose_Gy: Doses, maximum: float, stack: Stack) -> float:
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
def _search_cell(kz: int, ky: int, kx: int, point: Point, dose_Gy: Doses, best: float, stack: Stack) -> float:
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
        tau, _, _, _ = _difference(cell, 0.0, 0.0, 0.0)
        best = min(best, tau * tau)
    stack[0, 0], stack[0, 1], stack[0, 2] = z0, y0, x0
    stack[0, 3], stack[0, 4], stack[0, 5] = z1, y1, x1
    waiting = 1
    while waiting > 0:
        waiting -= 1
        best, cut_axis, cut = _search_box(cell, stack[waiting], best)
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


@kernel
def _search_box(cell: Cell, box: Stack, best: float) -> tuple[float, int, float]:
    """Look for a better value in a part of a cell.

    Returns
    -------
    best : float
        Gamma squared.
    axis : int
        Where to halve the box, if there may be still better ones; else -1.
    cut : float
        The place on that axis.
    """
    root = math.sqrt(best)
    enough = max(0.0, root - TOLERANCE)
    enough *= enough
    # Nothing further away than the best value can be better.
    lz, ly, lx = max(box[0], -root), max(box[1], -root), max(box[2], -root)
    uz, uy, ux = min(box[3], root), min(box[4], root), min(box[5], root)
    qz, qy, qx = min(max(0.0, lz), uz), min(max(0.0, ly), uy), min(max(0.0, lx), ux)
    if lz > uz or ly > uy or lx > ux or qz * qz + qy * qy + qx * qx >= enough:
        return best, -1, 0.0

    # Linear about the middle of the box.
    ez, ey, ex = 0.5 * (uz - lz), 0.5 * (uy - ly), 0.5 * (ux - lx)
    oz, oy, ox = lz + ez, ly + ey, lx + ex
    middle, sz, sy, sx = _difference(cell, oz, oy, ox)
    azy = abs(cell.tzy + cell.tzyx * (ox - cell.x0))
    azx = abs(cell.tzx + cell.tzyx * (oy - cell.y0))
    ayx = abs(cell.tyx + cell.tzyx * (oz - cell.z0))
    azyx = abs(cell.tzyx)
    eps = azy * ez * ey + azx * ez * ex + ayx * ey * ex + azyx * ez * ey * ex
    nearest = middle + sz * (qz - oz) + sy * (qy - oy) + sx * (qx - ox)
    rate, qz, qy, qx = _least_of_linear(nearest, eps, sz, sy, sx, lz, ly, lx, uz, uy, ux)
    bound = rate * rate + qz * qz + qy * qy + qx * qx
    if bound >= enough:
        return best, -1, 0.0
    tau, gz, gy, gx = _difference(cell, qz, qy, qx)
    value = tau * tau + qz * qz + qy * qy + qx * qx
    best = min(best, value)

    # Half the second derivative is 1 + gradient gradient' + tau A: is it positive all over the box?
    largest = abs(middle) + abs(sz) * ez + abs(sy) * ey + abs(sx) * ex + eps
    norm = max(
        azy + azx + azyx * (ex + ey),
        azy + ayx + azyx * (ex + ez),
        azx + ayx + azyx * (ey + ez),
    )
    convex = 1.0 - largest * norm
    if convex > LEAST_CONVEX:
        for _ in range(NEWTON_STEPS):
            enough = max(0.0, math.sqrt(best) - TOLERANCE)
            enough *= enough
            bound = value + 2.0 * (
                _descent(qz + tau * gz, convex, lz - qz, uz - qz)
                + _descent(qy + tau * gy, convex, ly - qy, uy - qy)
                + _descent(qx + tau * gx, convex, lx - qx, ux - qx)
            )
            if bound >= enough:
                return best, -1, 0.0
            nz, ny, nx = min(max(0.0, lz), uz), min(max(0.0, ly), uy), min(max(0.0, lx), ux)
            nearest = tau + gz * (nz - qz) + gy * (ny - qy) + gx * (nx - qx)
            _, qz, qy, qx = _least_of_linear(nearest, 0.0, gz, gy, gx, lz, ly, lx, uz, uy, ux)
            tau, gz, gy, gx = _difference(cell, qz, qy, qx)
            before, value = value, tau * tau + qz * qz + qy * qy + qx * qx
            best = min(best, value)
            if value >= before:
                break
    else:
        enough = max(0.0, math.sqrt(best) - TOLERANCE)
        if bound >= enough * enough:
            return best, -1, 0.0

    # Halve along the axis with most of the curvature.
    of_z, of_y, of_x = ez * (azy * ey + azx * ex), ey * (azy * ez + ayx * ex), ex * (azx * ez + ayx * ey)
    if of_z >= of_y and of_z >= of_x:
        return best, 0, oz
    if of_y >= of_x:
        return best, 1, oy
    return best, 2, ox


@kernel
def _difference(cell: Cell, z: float, y: float, x: float) -> tuple[float, float, float, float]:
    """Return tau at a place in a cell, and its gradient."""
    z, y, x = z - cell.z0, y - cell.y0, x - cell.x0
    by_z = cell.tz + cell.tzy * y + (cell.tzx + cell.tzyx * y) * x
    by_y = cell.ty + cell.tyx * x
    by_x = cell.tx + cell.tyx * y
    return (
        cell.t + by_z * z + cell.ty * y + by_x * x,
        by_z,
        by_y + (cell.tzy + cell.tzyx * x) * z,
        by_x + (cell.tzx + cell.tzyx * y) * z,
    )


@kernel
def _descent(slope: float, convex: float, low: float, high: float) -> float:
    """Return the least of ``slope * e + convex / 2 * e^2`` for e from low to high."""
    e = min(max(-slope / convex, low), high)
    return e * (slope + 0.5 * convex * e)


@kernel
def _least_of_linear(
    tau: float,
    eps: float,
    sz: float,
    sy: float,
    sx: float,
    lz: float,
    ly: float,
    lx: float,
    uz: float,
    uy: float,
    ux: float,
) -> tuple[float, float, float, float]:
    """Find where ``max(0, |tau(s)| - eps)^2 + |s|^2`` is least in a box, for a linear tau.

    At the place ``s = clamp(-rate * gradient)`` with ``rate = +-max(0, |tau(s)| - eps)``, which leaves one
    unknown.  Each coordinate moves while the rate is between two numbers; from one to the next all is linear.

    Parameters
    ----------
    tau : float
        At the place of the box that is nearest to s = 0.
    eps : float
    sz, sy, sx : float
        Gradient.
    lz, ly, lx, uz, uy, ux : float
        Box.

    Returns
    -------
    rate, z, y, x : float
    """
    if tau < 0.0:
        tau, sz, sy, sx = -tau, -sz, -sy, -sx
    excess = tau - eps
    rate = 0.0
    if excess > 0.0:
        fz, tz = _moving(sz, lz, uz)
        fy, ty = _moving(sy, ly, uy)
        fx, tx = _moving(sx, lx, ux)
        for _ in range(7):
            slope = 1.0
            until = np.inf
            if rate < fz:
                until = fz
            elif rate < tz:
                slope += sz * sz
                until = tz
            if rate < fy:
                until = min(until, fy)
            elif rate < ty:
                slope += sy * sy
                until = min(until, ty)
            if rate < fx:
                until = min(until, fx)
            elif rate < tx:
                slope += sx * sx
                until = min(until, tx)
            # `excess` is |tau| - eps - rate at this rate.
            if excess <= slope * (until - rate):
                rate += excess / slope
                break
            excess -= slope * (until - rate)
            rate = until
    return (
        rate,
        min(max(-rate * sz, lz), uz),
        min(max(-rate * sy, ly), uy),
        min(max(-rate * sx, lx), ux),
    )


@kernel
def _moving(slope: float, low: float, high: float) -> tuple[float, float]:
    """Between which rates clamp(-rate * slope, low, high) changes, for rates from 0 on."""
    if slope == 0.0:
        return np.inf, np.inf
    begin, end = -low / slope, -high / slope
    if slope > 0.0:
        begin, end = end, begin
    if end <= 0.0:
        return np.inf, np.inf
    return max(0.0, begin), end
