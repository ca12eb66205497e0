"""Water-equivalent paths to points, voxels and along fans of rays, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Float32s, Floats
from spotline.dose.beam_frame import BeamFrame, VirtualSources, at_isocentre_mm
from spotline.dose.grid import Grid, on_grid
from spotline.dose.raytrace import (
    NO_MOMENTS,
    BeamNumbers,
    fill_fan,
    fill_from_fan,
    fill_path,
    fill_voxel_paths,
)
from spotline.dose.sampling import GridNumbers, grid_numbers
from spotline.errors import DoseError

SHORTEST_mm = 1e-9
"""A shorter line has no direction."""


def beam_numbers(frame: BeamFrame, sources: VirtualSources) -> BeamNumbers:
    """Take a beam apart for kernels."""
    return BeamNumbers(np.array(frame.isocentre_mm), frame.matrix, 1.0 / sources.x_mm, 1.0 / sources.y_mm)


def water_equivalent_path_mm(rsp: ArrayLike, grid: Grid, start_mm: ArrayLike, end_mm: ArrayLike) -> float:
    """Water-equivalent length of a straight line between two points.

    Parameters
    ----------
    rsp : array_like, shape (nz, ny, nx)
        Stopping power relative to water.
    grid : Grid
    start_mm, end_mm : array_like, shape (3,)
        x, y and z in patient coordinates.
    """
    array = on_grid(rsp, grid, np.float32, "stopping power")
    start, end = np.asarray(start_mm, dtype=float), np.asarray(end_mm, dtype=float)
    length = float(np.linalg.norm(end - start))
    if length < SHORTEST_mm:
        return 0.0
    out = np.empty(2, dtype=np.float32)
    x, y, z = start.tolist()
    along_x, along_y, along_z = ((end - start) / length).tolist()
    numbers = grid_numbers(grid)
    fill_path(array, numbers, x, y, z, along_x, along_y, along_z, 0.0, length, out, NO_MOMENTS)
    return float(out[1]) - float(out[0])


def voxel_paths_mm(
    rsp: ArrayLike,
    grid: Grid,
    frame: BeamFrame,
    sources: VirtualSources,
    target: Grid | None = None,
    *,
    threads: int | None = None,
) -> Float32s:
    """Water-equivalent path from the sources to every voxel centre.

    Exact, with a ray of its own per voxel: the cost grows with voxels times their depth.  Where that is too
    long, `smooth_voxel_paths_mm` has a cost that grows with voxels alone.

    Parameters
    ----------
    rsp : array_like, shape (nz, ny, nx)
        Stopping power relative to water.
    grid : Grid
        Its grid.
    frame : BeamFrame
    sources : VirtualSources
    target : Grid, optional
        Where to evaluate; by default the grid of `rsp`.
    threads : int, optional
        By default as many as there are processors; the result is the same for any number.

    Returns
    -------
    ndarray of float32, shape of the target

    Raises
    ------
    DoseError
        If `rsp` is not of its grid, or the target reaches up to a source.
    """
    array = on_grid(rsp, grid, np.float32, "stopping power")
    place = target or grid
    _check_below(float(frame.to_beam_mm(corners_mm(place))[:, 2].max()), sources)
    out = np.empty(place.shape, dtype=np.float32)
    beam, numbers, where = beam_numbers(frame, sources), grid_numbers(grid), grid_numbers(place)
    share(
        lambda begin, end: fill_voxel_paths(array, numbers, beam, where, begin, end, out, NO_MOMENTS),
        place.shape[0],
        threads,
    )
    return out


def fan_paths_mm(
    rsp: ArrayLike,
    grid: Grid,
    frame: BeamFrame,
    sources: VirtualSources,
    x_iso_mm: ArrayLike,
    y_iso_mm: ArrayLike,
    depth_mm: ArrayLike,
    *,
    threads: int | None = None,
) -> Float32s:
    """Water-equivalent path along the rays of a fan: the patient as the beam sees it.

    Parameters
    ----------
    rsp : array_like, shape (nz, ny, nx)
        Stopping power relative to water.
    grid : Grid
        Its grid.
    frame : BeamFrame
    sources : VirtualSources
    x_iso_mm, y_iso_mm : array_like, shapes (nu,) and (nv,)
        Where the rays cross the isocentre plane.
    depth_mm : array_like, shape (n,)
        Depths below the isocentre plane along the axis of the beam (negative upstream), evenly spaced.
    threads : int, optional
        By default as many as there are processors.

    Returns
    -------
    ndarray of float32, shape (nv, nu, n)

    Raises
    ------
    DoseError
        If depths are not evenly spaced and ascending, or reach up to a source.
    """
    array = on_grid(rsp, grid, np.float32, "stopping power")
    u, v, depth = (np.ascontiguousarray(values, dtype=float) for values in (x_iso_mm, y_iso_mm, depth_mm))
    step_mm = float(depth[-1] - depth[0]) / (len(depth) - 1) if len(depth) > 1 else 1.0
    if not (step_mm > 0.0 and np.allclose(np.diff(depth), step_mm, rtol=0.0, atol=1e-6)):
        raise DoseError("rays: the depths are not evenly spaced; give ascending ones with one step")
    _check_below(-float(depth[0]), sources)
    out = np.empty((len(v), len(u), len(depth)), dtype=np.float32)
    beam, numbers = beam_numbers(frame, sources), grid_numbers(grid)
    share(
        lambda begin, end: fill_fan(
            array, numbers, beam, u, v, float(depth[0]), step_mm, begin, end, out, NO_MOMENTS
        ),
        len(v),
        threads,
    )
    return out


def smooth_voxel_paths_mm(
    rsp: ArrayLike,
    grid: Grid,
    frame: BeamFrame,
    sources: VirtualSources,
    target: Grid | None = None,
    *,
    threads: int | None = None,
) -> Float32s:
    """Water-equivalent path from the sources to every voxel centre, interpolated between the rays of a fan.

    The rays are as far apart at the isocentre as the smallest voxels of the target, and so are the points
    along them.  Exact where paths vary linearly; across an edge along the beam, paths go over within one such
    step.
    Arguments and errors are those of `voxel_paths_mm`.
    """
    place = target or grid
    corners = frame.to_beam_mm(corners_mm(place))
    _check_below(float(corners[:, 2].max()), sources)
    step_mm = min(place.spacing_mm)
    x_iso, y_iso = at_isocentre_mm(corners, sources)
    depth, u, v = (even_steps(axis, step_mm) for axis in (-corners[:, 2], x_iso, y_iso))
    fan = fan_paths_mm(rsp, grid, frame, sources, u, v, depth, threads=threads)
    fan_grid = GridNumbers(depth[0], u[0], v[0], step_mm, step_mm, step_mm, len(depth), len(u), len(v))
    out = np.empty(place.shape, dtype=np.float32)
    beam, where = beam_numbers(frame, sources), grid_numbers(place)
    share(
        lambda begin, end: fill_from_fan(fan, fan_grid, beam, where, begin, end, out),
        place.shape[0],
        threads,
    )
    return out


def corners_mm(grid: Grid) -> Floats:
    """Corners of a grid, shape (8, 3)."""
    spans = zip(grid.lower_mm, grid.upper_mm, strict=True)
    return np.array(np.meshgrid(*spans)).reshape(3, -1).T


def even_steps(values: Floats, step_mm: float) -> Floats:
    """Even steps that enclose all values."""
    count = int(np.ceil((values.max() - values.min()) / step_mm - 1e-6)) + 1
    return np.asarray(values.min() + step_mm * np.arange(count), dtype=float)


def _check_below(height_mm: float, sources: VirtualSources) -> None:
    if height_mm >= min(sources):
        raise DoseError(
            f"rays: a point lies {height_mm:g} mm above the isocentre and a source {min(sources):g} mm; "
            "check the isocentre and the distances of the sources"
        )


def share(work: Callable[[int, int], None], count: int, threads: int | None) -> None:
    """Do work on ranges of planes side by side; small ranges, as some planes take longer than others."""
    workers = max(1, min(threads or os.cpu_count() or 1, count))
    bounds = np.linspace(0, count, min(count, 8 * workers) + 1).astype(int).tolist()
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, a, b) for a, b in pairwise(bounds)]:
            done.result()
