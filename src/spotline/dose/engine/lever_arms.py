"""Lever arms of scattering: where along a ray the matter lies that a beam has crossed.

What is scattered at a place goes on for the true length that is left, not for the water-equivalent one.
In one plane the variance of positions at a point is (Eyges, Phys. Rev. 74 (1948) 1534) ::

    v = int T(w) (z0 - z(w))^2 dw

with the scattering power T of water after a water-equivalent path w, and the distance z0 - z(w) along the
ray.  In water z is w, and v is what a beam library has.  Elsewhere it is ``v = v_water (1 + sum_q c_q g_q)``
over the quarters q of the path: g_q is what the ray changes in ``int (z0 - z)^2 dw`` over a quarter, in
units of the cube of the path, and knows nothing of the beam; c_q is the mean scattering power there in units
of v_water, and knows nothing of the ray.  Within a quarter the scattering power is taken as its mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats
from spotline.dose.beam_frame import BeamFrame, VirtualSources, at_isocentre_mm
from spotline.dose.engine.voxel_loop import QUARTERS
from spotline.dose.grid import Grid
from spotline.dose.raytrace import BeamNumbers, at_isocentre, direction, fill_path
from spotline.dose.sampling import GridNumbers, grid_numbers, sample
from spotline.dose.water_path import beam_numbers, corners_mm, even_steps, share
from spotline.jit import kernel
from spotline.machine.library import Entry
from spotline.physics.materials import WATER
from spotline.physics.scattering import range_table, scattering_power_rad2_cm2_per_g

FINEST_mm = 2.0
"""Rays and points on them are not closer than that: a width changes over longer distances."""
LEAST_mm = 10.0
"""Water before a point; with less there is no scattering worth a change, and quarters end within one step."""
SMALLEST = 2e-4
"""Changes of a quarter below this are none: a thousandth of what a whole path of water has, 1/3."""
POINTS = 6
"""In a quarter, at which the scattering power is averaged."""
STEP_mm = 1.0
"""Of depths at which that is done."""
STOPPED = 1e-3
"""Of the range, which is left at the end: a stopped ion has no scattering power."""


class Levers(NamedTuple):
    """What rays to voxels change: the last three attributes of `spotline.dose.engine.voxel_loop.Rays`."""

    row: NDArray[np.int32]
    lever: Float32s
    ends: Floats


class Scratch(NamedTuple):
    """Room for one ray: its path and moments by point, sums at the ends of quarters, points behind these."""

    path: Float32s
    moments: Floats
    sums: Floats
    behind: NDArray[np.int64]


def _scratch(n: int) -> Scratch:
    return Scratch(
        np.empty(n, np.float32), np.empty((n, 2)), np.empty((QUARTERS + 1, 3)), np.empty(QUARTERS, np.int64)
    )


def lever_arms(
    rsp: Float32s,
    grid: Grid,
    frame: BeamFrame,
    sources: VirtualSources,
    target: Grid,
    voxels: NDArray[np.int64],
    threads: int | None = None,
) -> Levers:
    """Find what rays to voxels change in the lever arms of scattering.

    Parameters
    ----------
    rsp : ndarray of float32, shape (nz, ny, nx)
        Stopping power relative to water.
    grid : Grid
        Its grid.
    frame : BeamFrame
    sources : VirtualSources
    target : Grid
        Of the dose.
    voxels : ndarray of int, shape (n,)
        Places in the flattened target.
    threads : int, optional
        By default as many as there are processors.  The result does not depend on it.
    """
    nowhere = Levers(np.zeros(0, np.int32), np.zeros((0, QUARTERS), np.float32), np.zeros((2, QUARTERS)))
    if rsp.min() == 1.0 == rsp.max():
        return nowhere
    step_mm = max(FINEST_mm, min(target.spacing_mm))
    corners = frame.to_beam_mm(corners_mm(target))
    depth, u, v = (even_steps(axis, step_mm) for axis in (-corners[:, 2], *at_isocentre_mm(corners, sources)))
    beam = beam_numbers(frame, sources)
    fan = np.empty((QUARTERS, len(v), len(u), len(depth)), np.float32)
    numbers, where = grid_numbers(grid), grid_numbers(target)
    share(
        lambda begin, end: fill_levers(
            rsp, numbers, beam, u, v, float(depth[0]), step_mm, begin, end, _scratch(len(depth)), fan
        ),
        len(v),
        threads,
    )
    if not fan.any():
        return nowhere
    fan_grid = GridNumbers(depth[0], u[0], v[0], step_mm, step_mm, step_mm, len(depth), len(u), len(v))
    levers = np.empty((len(voxels), QUARTERS), np.float32)
    share(
        lambda begin, end: fill_voxel_levers(fan, fan_grid, beam, where, voxels, begin, end, levers),
        len(voxels),
        threads,
    )
    changed = (np.abs(levers) > SMALLEST).any(axis=1)
    if not changed.any():
        return nowhere
    row = np.where(changed, np.cumsum(changed) - 1, -1).astype(np.int32)
    levers = levers[changed]
    return Levers(row, levers, np.array([levers.min(axis=0), levers.max(axis=0)], dtype=float))


def lever_weights(entry: Entry, depth_mm: Floats) -> Floats:
    """Say how much the change of a quarter counts: the c of the module, shape (n, `QUARTERS`).

    Parameters
    ----------
    entry : Entry
        Of the energy; its ion and what is left of its range in front of the patient are used.
    depth_mm : ndarray, shape (n,)
        Water-equivalent depths, ascending from 0.
    """
    table = range_table(entry.ion, WATER)
    range_mm = entry.range_mm
    depths = np.arange(STEP_mm, depth_mm[-1] + STEP_mm, STEP_mm)
    within = (np.arange(POINTS) + 0.5) / (POINTS * QUARTERS) + np.arange(QUARTERS)[:, None] / QUARTERS
    left_mm = np.maximum(range_mm - depths[:, None, None] * within, STOPPED * range_mm)
    power = scattering_power_rad2_cm2_per_g(
        entry.ion, table.energy_MeV_u(left_mm), WATER, table.energy_MeV_u(range_mm)
    )
    of_quarter = np.mean(power, axis=2)
    in_water = np.sum(of_quarter * levers_in_water(), axis=1)
    found = of_quarter / in_water[:, None]
    return np.column_stack([np.interp(depth_mm, depths, found[:, q]) for q in range(QUARTERS)])


def levers_in_water() -> Floats:
    """``int (w0 - w)^2 dw`` over the quarters of a path w0 in water, in units of its cube."""
    ends = 1.0 - np.arange(QUARTERS + 1) / QUARTERS
    found: Floats = (ends[:-1] ** 3 - ends[1:] ** 3) / 3.0
    return found


@kernel
def fill_levers(
    rsp: Float32s,
    grid: GridNumbers,
    beam: BeamNumbers,
    u_mm: Floats,
    v_mm: Floats,
    first_mm: float,
    step_mm: float,
    begin: int,
    end: int,
    scratch: Scratch,
    out: Float32s,
) -> None:
    """Changes of the lever arms along the rays of a fan, for the rows from `begin` to before `end`.

    Parameters
    ----------
    rsp, grid, beam, u_mm, v_mm, first_mm, step_mm, begin, end
        As in `spotline.dose.raytrace.fill_fan`.
    scratch : Scratch
    out : ndarray of float32, shape (`QUARTERS`, nv, nu, n)
    """
    m = beam.matrix
    n = out.shape[3]
    path, moments, sums, behind = scratch.path, scratch.moments, scratch.sums, scratch.behind
    for b in range(begin, end):
        for a in range(len(u_mm)):
            along_x, along_y, along_z, length = direction(beam, u_mm[a], v_mm[b])
            fill_path(
                rsp,
                grid,
                beam.isocentre_mm[0] + u_mm[a] * m[0, 0] + v_mm[b] * m[1, 0],
                beam.isocentre_mm[1] + u_mm[a] * m[0, 1] + v_mm[b] * m[1, 1],
                beam.isocentre_mm[2] + u_mm[a] * m[0, 2] + v_mm[b] * m[1, 2],
                along_x,
                along_y,
                along_z,
                first_mm * length,
                step_mm * length,
                path,
                moments,
            )
            behind[:] = 0
            for k in range(n):
                whole = float(path[k])
                if whole < LEAST_mm:
                    for q in range(QUARTERS):
                        out[q, b, a, k] = 0.0
                    continue
                here = (first_mm + k * step_mm) * length
                for q in range(QUARTERS):
                    # Where the quarter begins: between two points as if the matter there were even.
                    wanted = whole * q / QUARTERS
                    while behind[q] < k and path[behind[q]] <= wanted:
                        behind[q] += 1
                    at = behind[q]
                    if at == 0 or path[at] <= path[at - 1]:
                        sums[q, 0], sums[q, 1], sums[q, 2] = path[at], moments[at, 0], moments[at, 1]
                        continue
                    more = wanted - path[at - 1]
                    lower = (first_mm + (at - 1) * step_mm) * length
                    upper = lower + step_mm * length * more / (path[at] - path[at - 1])
                    sums[q, 0] = wanted
                    sums[q, 1] = moments[at - 1, 0] + 0.5 * more * (lower + upper)
                    squares = lower * lower + lower * upper + upper * upper
                    sums[q, 2] = moments[at - 1, 1] + more * squares / 3.0
                sums[0, 0] = sums[0, 1] = sums[0, 2] = 0.0
                sums[QUARTERS, 0], sums[QUARTERS, 1], sums[QUARTERS, 2] = (
                    path[k],
                    moments[k, 0],
                    moments[k, 1],
                )
                for q in range(QUARTERS):
                    lever = (
                        here * here * (sums[q + 1, 0] - sums[q, 0])
                        - 2.0 * here * (sums[q + 1, 1] - sums[q, 1])
                        + sums[q + 1, 2]
                        - sums[q, 2]
                    )
                    near, far = 1.0 - (q + 1) / QUARTERS, 1.0 - q / QUARTERS
                    change = lever / (whole * whole * whole) - (far * far * far - near * near * near) / 3.0
                    out[q, b, a, k] = change if abs(change) > SMALLEST else 0.0


@kernel
def fill_voxel_levers(
    fan: Float32s,
    fan_grid: GridNumbers,
    beam: BeamNumbers,
    target: GridNumbers,
    voxels: NDArray[np.int64],
    begin: int,
    end: int,
    out: Float32s,
) -> None:
    """Interpolate what `fill_levers` found at voxels from `begin` to before `end`; shape (n, `QUARTERS`)."""
    for n in range(begin, end):
        c, rest = divmod(voxels[n], target.nx * target.ny)
        b, a = divmod(rest, target.nx)
        height, u, v = at_isocentre(
            beam,
            target.x_mm + a * target.dx_mm - beam.isocentre_mm[0],
            target.y_mm + b * target.dy_mm - beam.isocentre_mm[1],
            target.z_mm + c * target.dz_mm - beam.isocentre_mm[2],
        )
        for q in range(QUARTERS):
            out[n, q] = sample(fan[q], fan_grid, -height, u, v, 0.0)
