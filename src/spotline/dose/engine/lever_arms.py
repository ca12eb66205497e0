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
from spotline.dose.engine.lever_rays import SMALLEST, fill_levers, fill_voxel_levers, room_for_ray
from spotline.dose.engine.voxel_loop import QUARTERS
from spotline.dose.grid import Grid
from spotline.dose.sampling import GridNumbers, grid_numbers
from spotline.dose.water_path import beam_numbers, corners_mm, even_steps, share
from spotline.machine.library import Entry
from spotline.physics.materials import WATER
from spotline.physics.scattering import range_table, scattering_power_rad2_cm2_per_g

FINEST_mm = 2.0
"""Rays and points on them are not closer than that: a width changes over longer distances."""
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
            rsp, numbers, beam, u, v, float(depth[0]), step_mm, begin, end, room_for_ray(len(depth)), fan
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
