"""The loops over rays and voxels of `spotline.dose.engine.lever_arms`, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats
from spotline.dose.engine.voxel_loop import QUARTERS
from spotline.dose.raytrace import BeamNumbers, at_isocentre, direction, fill_path
from spotline.dose.sampling import GridNumbers, sample
from spotline.jit import kernel

LEAST_mm = 10.0
"""Water before a point; with less there is no scattering worth a change, and quarters end within one step."""
SMALLEST = 2e-4
"""Changes of a quarter below this are none: a thousandth of what a whole path of water has, 1/3."""


class Scratch(NamedTuple):
    """Room for one ray: its path and moments by point, sums at the ends of quarters, points behind these."""

    path: Float32s
    moments: Floats
    sums: Floats
    behind: NDArray[np.int64]


def room_for_ray(n: int) -> Scratch:
    """Room for a ray of `n` points."""
    return Scratch(
        np.empty(n, np.float32), np.empty((n, 2)), np.empty((QUARTERS + 1, 3)), np.empty(QUARTERS, np.int64)
    )


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
