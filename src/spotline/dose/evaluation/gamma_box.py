"""The least gamma in a box of one cell of the evaluated grid, compiled.

Within a cell the difference tau is trilinear; `spotline.dose.evaluation.gamma_search` says what is sought.

* In a box (a part of the cell), tau is a linear function within +-eps.  For the linear function the minimum
  over the box is found exactly, because its gradient fixes all but one number; with max(0, |tau| - eps) in
  place of |tau| this is a lower bound, and the true value at that place an upper one.
* Where the sum of squares is convex all over the box, Newton's steps with the linear function of the present
  place lead on, and the tangent is a lower bound that is as good as the place.
* A box whose lower bound is not below the best value by more than `TOLERANCE` is done; others are halved.
  With each halving eps becomes four times smaller.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats
from spotline.jit import kernel

TOLERANCE = 1e-4
"""What a gamma may be too large by."""

NEWTON_STEPS = 8
LEAST_CONVEX = 0.02
"""Below it, halving a box does more than steps in it."""


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
def search_box(cell: Cell, box: Floats, best: float) -> tuple[float, int, float]:
    """Look for a better value in a part of a cell.

    Parameters
    ----------
    cell : Cell
    box : ndarray, shape (6,)
        Lower and upper ends, from the reference point, in units of the accepted distance: z, y, x.
    best : float
        Gamma squared, the best value so far.

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
    middle, sz, sy, sx = difference(cell, oz, oy, ox)
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
    tau, gz, gy, gx = difference(cell, qz, qy, qx)
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
            tau, gz, gy, gx = difference(cell, qz, qy, qx)
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
def difference(cell: Cell, z: float, y: float, x: float) -> tuple[float, float, float, float]:
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
