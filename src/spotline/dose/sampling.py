"""Values between the centres of voxels, and from one grid to another."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotline.arrays import Float32s, Floats
from spotline.dose.grid import Grid, on_grid
from spotline.errors import DoseError
from spotline.jit import kernel


class GridNumbers(NamedTuple):
    """A grid as kernels see it: centre of the first voxel, spacing and number of voxels of each axis."""

    x_mm: float
    y_mm: float
    z_mm: float
    dx_mm: float
    dy_mm: float
    dz_mm: float
    nx: int
    ny: int
    nz: int


def grid_numbers(grid: Grid) -> GridNumbers:
    """Take a grid apart for kernels."""
    return GridNumbers(*grid.origin_mm, *grid.spacing_mm, *grid.counts)


@kernel
def sample(
    values: Float32s, grid: GridNumbers, x_mm: float, y_mm: float, z_mm: float, outside: float
) -> float:
    """Interpolate trilinearly at a point.

    Between the centre of an outermost voxel and its outer face its value holds.

    Parameters
    ----------
    values : ndarray of float32, shape (nz, ny, nx)
    grid : GridNumbers
    x_mm, y_mm, z_mm : float
    outside : float
        Value beyond the outer faces.
    """
    u = (x_mm - grid.x_mm) / grid.dx_mm
    v = (y_mm - grid.y_mm) / grid.dy_mm
    w = (z_mm - grid.z_mm) / grid.dz_mm
    # The other way round, a point that is no number would count as inside.
    if not (
        u >= -0.5
        and u <= grid.nx - 0.5
        and v >= -0.5
        and v <= grid.ny - 0.5
        and w >= -0.5
        and w <= grid.nz - 0.5
    ):
        return outside
    u = min(max(u, 0.0), grid.nx - 1.0)
    v = min(max(v, 0.0), grid.ny - 1.0)
    w = min(max(w, 0.0), grid.nz - 1.0)
    i, j, k = int(u), int(v), int(w)
    i1, j1, k1 = min(i + 1, grid.nx - 1), min(j + 1, grid.ny - 1), min(k + 1, grid.nz - 1)
    u -= i
    v -= j
    w -= k
    near = (1.0 - v) * ((1.0 - u) * values[k, j, i] + u * values[k, j, i1]) + v * (
        (1.0 - u) * values[k, j1, i] + u * values[k, j1, i1]
    )
    far = (1.0 - v) * ((1.0 - u) * values[k1, j, i] + u * values[k1, j, i1]) + v * (
        (1.0 - u) * values[k1, j1, i] + u * values[k1, j1, i1]
    )
    return (1.0 - w) * near + w * far


@kernel
def fill_samples(values: Float32s, grid: GridNumbers, points_mm: Floats, outside: float, out: Floats) -> None:
    """Interpolate at points of shape (n, 3), x y z, into `out` of shape (n,)."""
    for p in range(len(out)):
        out[p] = sample(values, grid, points_mm[p, 0], points_mm[p, 1], points_mm[p, 2], outside)


def sample_points(values: ArrayLike, grid: Grid, points_mm: ArrayLike, outside: float = math.nan) -> Floats:
    """Interpolate trilinearly at points.

    Parameters
    ----------
    values : array_like, shape (nz, ny, nx)
    grid : Grid
    points_mm : array_like, shape (..., 3)
        x, y and z.
    outside : float
        Value beyond the outer faces of the grid.

    Returns
    -------
    ndarray, shape (...)
    """
    array = on_grid(values, grid, np.float32, "samples")
    points = np.ascontiguousarray(points_mm, dtype=float)
    out = np.empty(points.shape[:-1])
    fill_samples(array, grid_numbers(grid), points.reshape(-1, 3), outside, out.reshape(-1))
    return out


def resample(values: ArrayLike, grid: Grid, target: Grid, *, outside: float, what: str = "dose") -> Float32s:
    """Interpolate trilinearly at the centres of another grid.

    Right for what varies smoothly, such as dose.  For going to larger voxels see `average`.

    Parameters
    ----------
    values : array_like, shape (nz, ny, nx)
    grid, target : Grid
    outside : float
        Value where the target reaches beyond the outer faces of the grid.
    what : str
        Name in messages.

    Returns
    -------
    ndarray of float32, shape of the target

    Raises
    ------
    DoseError
        If the grids do not overlap.
    """
    array = on_grid(values, grid, np.float32, what)
    _check_overlap(grid, target, what)
    inside = []
    for axis in (2, 1, 0):  # in the order of the array; trilinear interpolation is one axis after the other
        index, fraction, within = _between(grid, target, axis)
        dimension = 2 - axis
        following = np.minimum(index + 1, array.shape[dimension] - 1)
        shape = [1, 1, 1]
        shape[dimension] = -1
        weight = fraction.astype(np.float32).reshape(shape)
        array = (
            np.take(array, index, dimension) * (1 - weight) + np.take(array, following, dimension) * weight
        )
        inside.append(within)
    if not all(within.all() for within in inside):
        array[~(inside[0][:, None, None] & inside[1][None, :, None] & inside[2])] = outside
    return np.ascontiguousarray(array, dtype=np.float32)


def average(values: ArrayLike, grid: Grid, target: Grid, *, outside: float, what: str = "image") -> Float32s:
    """Average over the voxels of another grid: every value counts by the volume that the voxels share.

    Keeps integrals, so it is right for stopping powers on the way to larger voxels.  Where the target reaches
    beyond the grid, `outside` fills the rest of the voxel.  Arguments and errors are those of `resample`.
    """
    array: NDArray[Any] = on_grid(values, grid, np.float32, what)
    _check_overlap(grid, target, what)
    for axis in (0, 1, 2):
        lower, upper = grid.edges_mm(axis), target.edges_mm(axis)
        shared = np.minimum(upper[1:, None], lower[None, 1:]) - np.maximum(upper[:-1, None], lower[None, :-1])
        weights = np.maximum(shared, 0.0) / target.spacing_mm[axis]
        rest = 1.0 - weights.sum(axis=1)
        dimension = 2 - axis
        moved = np.moveaxis(array, dimension, -1) @ weights.T.astype(np.float32)
        array = np.moveaxis(moved + (outside * rest).astype(np.float32), -1, dimension)
    return np.ascontiguousarray(array, dtype=np.float32)


def overlap(grid: Grid, other: Grid) -> bool:
    """Whether two grids share a volume."""
    return bool(np.all(np.maximum(grid.lower_mm, other.lower_mm) < np.minimum(grid.upper_mm, other.upper_mm)))


def _check_overlap(grid: Grid, target: Grid, what: str) -> None:
    if not overlap(grid, target):
        raise DoseError(
            f"{what}: its grid (from {_words(grid.lower_mm)} to {_words(grid.upper_mm)} mm) does not overlap "
            f"the other one (from {_words(target.lower_mm)} to {_words(target.upper_mm)} mm); check that "
            "both are of one patient and one frame of reference"
        )


def _words(point: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in point) + ")"


def _between(grid: Grid, target: Grid, axis: int) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
    """Voxel below each centre of the target, how far it is to the next, and whether it is inside."""
    n = grid.counts[axis]
    centres = target.origin_mm[axis] + target.spacing_mm[axis] * np.arange(target.counts[axis])
    place = (centres - grid.origin_mm[axis]) / grid.spacing_mm[axis]
    within = (place >= -0.5) & (place <= n - 0.5)
    place = np.clip(place, 0.0, n - 1.0)
    index = place.astype(np.intp)
    return index, place - index, within
