"""Water-equivalent path lengths along rays through voxels.

The path through a voxel is its stopping power relative to water times the length within it, exactly: Siddon,
Med. Phys. 12 (1985) 252, in the incremental form of Amanatides and Woo, Eurographics 87 (1987) 3.  What is
outside the grid has no stopping power.  `spotline.dose.water_path` is the way in.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spotline.arrays import Float32s, Floats
from spotline.dose.sampling import GridNumbers, sample
from spotline.jit import kernel

FAR = 1e30

# A component of a direction below this is none: the ray leaves its plane by 1e-6 mm within a kilometre.
PARALLEL = 1e-12


NO_MOMENTS = np.zeros((0, 2))
"""For `fill_path`: only the path is wanted.  A kernel makes no arrays, and is handed it."""


class BeamNumbers(NamedTuple):
    """A beam as kernels see it.

    Attributes
    ----------
    isocentre_mm : ndarray, shape (3,)
    matrix : ndarray, shape (3, 3)
        Rotation from the patient to the beam.
    x_per_mm, y_per_mm : float
        Inverse distances of the sources.
    """

    isocentre_mm: Floats
    matrix: Floats
    x_per_mm: float
    y_per_mm: float


@kernel
def enters(first: float, size: float, count: int, start: float, along: float) -> float:
    """Parameter at which a ray enters the faces of one axis: -inf, `FAR` if it never does."""
    lower = first - 0.5 * size
    upper = lower + count * size
    if along > PARALLEL:
        return (lower - start) / along
    if along < -PARALLEL:
        return (upper - start) / along
    return -FAR if lower <= start and start < upper else FAR


@kernel
def leaves(first: float, size: float, count: int, start: float, along: float) -> float:
    """Parameter at which a ray leaves the faces of one axis."""
    lower = first - 0.5 * size
    if along > PARALLEL:
        return (lower + count * size - start) / along
    if along < -PARALLEL:
        return (lower - start) / along
    return FAR


@kernel
def next_face(first: float, size: float, index: int, start: float, along: float) -> float:
    """Parameter at which a ray crosses the face ahead of a voxel of one axis."""
    if along > PARALLEL:
        return (first + (index + 0.5) * size - start) / along
    if along < -PARALLEL:
        return (first + (index - 0.5) * size - start) / along
    return FAR


@kernel
def voxel_at(first: float, size: float, count: int, position: float) -> int:
    """Index of the voxel of one axis at a position, the outermost if rounding puts it outside."""
    return min(max(math.floor((position - first) / size + 0.5), 0), count - 1)


@kernel
def fill_path(
    rsp: Float32s,
    grid: GridNumbers,
    x_mm: float,
    y_mm: float,
    z_mm: float,
    along_x: float,
    along_y: float,
    along_z: float,
    first: float,
    step: float,
    out: Float32s,
    moments: Floats,
) -> None:
    """Water-equivalent path along a ray, from infinity to points at even distances.

    Parameters
    ----------
    rsp : ndarray of float32, shape (nz, ny, nx)
        Stopping power relative to water.
    grid : GridNumbers
    x_mm, y_mm, z_mm : float
        A point of the ray.
    along_x, along_y, along_z : float
        Its direction, of length 1.
    first, step : float
        Distances from the point, in the sense of the direction: of the first point, and between points.
    out : ndarray, shape (n,)
        Paths in mm.
    moments : ndarray, shape (n, 2) or (0, 2)
        Where that path lies along the ray: integrals of the distance from the point and of its square over
        the path, in mm2 and mm3.  Empty: nobody wants to know.
    """
    n, n_moments = len(out), len(moments)
    one, two = 0.0, 0.0
    begin = max(
        enters(grid.x_mm, grid.dx_mm, grid.nx, x_mm, along_x),
        enters(grid.y_mm, grid.dy_mm, grid.ny, y_mm, along_y),
        enters(grid.z_mm, grid.dz_mm, grid.nz, z_mm, along_z),
    )
    end = min(
        leaves(grid.x_mm, grid.dx_mm, grid.nx, x_mm, along_x),
        leaves(grid.y_mm, grid.dy_mm, grid.ny, y_mm, along_y),
        leaves(grid.z_mm, grid.dz_mm, grid.nz, z_mm, along_z),
    )
    done = 0
    path = 0.0
    if begin < end:
        i = voxel_at(grid.x_mm, grid.dx_mm, grid.nx, x_mm + begin * along_x)
        j = voxel_at(grid.y_mm, grid.dy_mm, grid.ny, y_mm + begin * along_y)
        k = voxel_at(grid.z_mm, grid.dz_mm, grid.nz, z_mm + begin * along_z)
        to_x = next_face(grid.x_mm, grid.dx_mm, i, x_mm, along_x)
        to_y = next_face(grid.y_mm, grid.dy_mm, j, y_mm, along_y)
        to_z = next_face(grid.z_mm, grid.dz_mm, k, z_mm, along_z)
        at = begin
        while done < n and first + done * step <= at:
            out[done] = 0.0
            if n_moments > 0:
                moments[done, 0] = moments[done, 1] = 0.0
            done += 1
        while done < n and i >= 0 and j >= 0 and k >= 0 and i < grid.nx and j < grid.ny and k < grid.nz:
            power = float(rsp[k, j, i])
            if to_x <= to_y and to_x <= to_z:
                ahead = to_x
                i += 1 if along_x > 0.0 else -1
                to_x = next_face(grid.x_mm, grid.dx_mm, i, x_mm, along_x)
            elif to_y <= to_z:
                ahead = to_y
                j += 1 if along_y > 0.0 else -1
                to_y = next_face(grid.y_mm, grid.dy_mm, j, y_mm, along_y)
            else:
                ahead = to_z
                k += 1 if along_z > 0.0 else -1
                to_z = next_face(grid.z_mm, grid.dz_mm, k, z_mm, along_z)
            ahead = min(max(ahead, at), end)
            while done < n and first + done * step <= ahead:
                here = first + done * step
                out[done] = path + (here - at) * power
                if n_moments > 0:
                    moments[done, 0] = one + 0.5 * power * (here * here - at * at)
                    moments[done, 1] = two + power * (here * here * here - at * at * at) / 3.0
                done += 1
            path += (ahead - at) * power
            if n_moments > 0:
                one += 0.5 * power * (ahead * ahead - at * at)
                two += power * (ahead * ahead * ahead - at * at * at) / 3.0
            at = ahead
    while done < n:
        out[done] = path
        if n_moments > 0:
            moments[done, 0] = one
            moments[done, 1] = two
        done += 1


@kernel
def at_isocentre(beam: BeamNumbers, px: float, py: float, pz: float) -> tuple[float, float, float]:
    """Height above the isocentre plane, and x and y there of the ray through a point.

    The point is relative to the isocentre, along the axes of the patient.
    """
    m = beam.matrix
    height = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz
    u = (m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz) / (1.0 - height * beam.x_per_mm)
    v = (m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz) / (1.0 - height * beam.y_per_mm)
    return height, u, v


@kernel
def direction(beam: BeamNumbers, u: float, v: float) -> tuple[float, float, float, float]:
    """Direction of a ray, of length 1 along the axes of the patient, and its length per fall of 1.

    `u` and `v` are x and y of the ray at the isocentre.
    """
    m = beam.matrix
    # The ray through both sources falls by 1 where it moves by these in x and y.
    u *= beam.x_per_mm
    v *= beam.y_per_mm
    length = math.sqrt(1.0 + u * u + v * v)
    norm = 1.0 / length
    return (
        (u * m[0, 0] + v * m[1, 0] - m[2, 0]) * norm,
        (u * m[0, 1] + v * m[1, 1] - m[2, 1]) * norm,
        (u * m[0, 2] + v * m[1, 2] - m[2, 2]) * norm,
        length,
    )


@kernel
def fill_voxel_paths(
    rsp: Float32s,
    grid: GridNumbers,
    beam: BeamNumbers,
    target: GridNumbers,
    begin: int,
    end: int,
    out: Float32s,
    moments: Floats,
) -> None:
    """Water-equivalent path to the centres of the planes from `begin` to before `end` of the target.

    Parameters
    ----------
    rsp, grid
        See `fill_path`.
    beam : BeamNumbers
    target : GridNumbers
    begin, end : int
    out : ndarray of float32, shape of the target
    moments : ndarray
        `NO_MOMENTS`.
    """
    for c in range(begin, end):
        z_mm = target.z_mm + c * target.dz_mm
        for b in range(target.ny):
            y_mm = target.y_mm + b * target.dy_mm
            for a in range(target.nx):
                x_mm = target.x_mm + a * target.dx_mm
                px = x_mm - beam.isocentre_mm[0]
                py = y_mm - beam.isocentre_mm[1]
                pz = z_mm - beam.isocentre_mm[2]
                _, u, v = at_isocentre(beam, px, py, pz)
                along_x, along_y, along_z, _ = direction(beam, u, v)
                at_voxel = out[c, b, a : a + 1]
                fill_path(rsp, grid, x_mm, y_mm, z_mm, along_x, along_y, along_z, 0.0, 1.0, at_voxel, moments)


@kernel
def fill_fan(
    rsp: Float32s,
    grid: GridNumbers,
    beam: BeamNumbers,
    u_mm: Floats,
    v_mm: Floats,
    first_mm: float,
    step_mm: float,
    begin: int,
    end: int,
    out: Float32s,
    moments: Floats,
) -> None:
    """Water-equivalent path along the rays of a fan, for the rows from `begin` to before `end`.

    Parameters
    ----------
    rsp, grid, beam
        See `fill_voxel_paths`.
    u_mm, v_mm : ndarray, shapes (nu,) and (nv,)
        x and y of the rays at the isocentre.
    first_mm, step_mm : float
        Depths below the isocentre plane, along the axis of the beam.
    begin, end : int
    out : ndarray of float32, shape (nv, nu, n)
    moments : ndarray
        `NO_MOMENTS`.
    """
    m = beam.matrix
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
                out[b, a],
                moments,
            )


@kernel
def fill_from_fan(
    fan: Float32s,
    fan_grid: GridNumbers,
    beam: BeamNumbers,
    target: GridNumbers,
    begin: int,
    end: int,
    out: Float32s,
) -> None:
    """Interpolate the paths of a fan at the centres of the planes from `begin` to before `end` of the target.

    Parameters
    ----------
    fan : ndarray of float32, shape (nv, nu, n)
        Paths, see `fill_fan`.
    fan_grid : GridNumbers
        Depth below the isocentre plane as x, x at the isocentre as y and y at the isocentre as z.
    beam, target, begin, end, out
        See `fill_voxel_paths`.
    """
    for c in range(begin, end):
        pz = target.z_mm + c * target.dz_mm - beam.isocentre_mm[2]
        for b in range(target.ny):
            py = target.y_mm + b * target.dy_mm - beam.isocentre_mm[1]
            for a in range(target.nx):
                px = target.x_mm + a * target.dx_mm - beam.isocentre_mm[0]
                height, u, v = at_isocentre(beam, px, py, pz)
                out[c, b, a] = sample(fan, fan_grid, -height, u, v, 0.0)
