"""Phantoms: boxes and slabs in air or water, as a stopping power on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.dose.calibration import HIGHEST_RSP, StoppingPower
from spotline.dose.grid import Grid, Point, on_grid
from spotline.errors import DoseError
from spotline.physics.ions import PROTON
from spotline.physics.materials import WATER, Material
from spotline.physics.stopping import mass_stopping_power_MeV_cm2_per_g

REFERENCE_MeV = 148.80
"""Protons whose stopping powers stand for those of all: CNAO calibrates its CT with them."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box along the axes of the patient.

    Attributes
    ----------
    lower_mm, upper_mm : tuple of three floats
        Corners in x, y and z.
    rsp : float
        Stopping power relative to water.
    """

    lower_mm: Point
    upper_mm: Point
    rsp: float = 1.0


def relative_stopping_power(material: Material) -> float:
    """Stopping power of a material relative to water, for protons of 148.80 MeV.

    Between 100 and 230 MeV, and for the other ions at the same velocities, it changes by less than 1 %.
    """
    stopping, water = (
        one.density_g_cm3 * float(mass_stopping_power_MeV_cm2_per_g(PROTON, REFERENCE_MeV, one))
        for one in (material, WATER)
    )
    return stopping / water


def water_phantom(
    size_mm: ArrayLike, spacing_mm: ArrayLike = 2.0, *, surface_mm: ArrayLike = (0.0, 0.0, 0.0)
) -> StoppingPower:
    """Make a box of water that a vertical beam (gantry 0, patient HFS) enters through its front.

    Parameters
    ----------
    size_mm : float or array_like of three floats
        Size in x, y (depth) and z.
    spacing_mm : float or array_like of three floats
        Size of the voxels.
    surface_mm : array_like of three floats
        Centre of the entrance face: depth is y minus its y.
    """
    size = np.broadcast_to(np.asarray(size_mm, dtype=float), (3,))
    surface = np.asarray(surface_mm, dtype=float)
    lower = surface - np.array([0.5, 0.0, 0.5]) * size
    grid = Grid.covering(lower.tolist(), (lower + size).tolist(), spacing_mm)
    return phantom(grid)


def slab_phantom(
    layers: Sequence[tuple[float, float]],
    across_mm: float,
    spacing_mm: ArrayLike = 2.0,
    *,
    surface_mm: ArrayLike = (0.0, 0.0, 0.0),
) -> StoppingPower:
    """Make slabs one behind the other, as `water_phantom` makes a box.

    Parameters
    ----------
    layers : sequence of (float, float)
        Stopping power relative to water and thickness in mm, in the order of the beam.
    across_mm : float
        Size in x and z.
    spacing_mm : float or array_like of three floats
    surface_mm : array_like of three floats

    Raises
    ------
    DoseError
        If there is no slab, or one has no thickness.
    """
    if not layers or min(thickness for _, thickness in layers) <= 0.0:
        raise DoseError("phantom: a slab has no thickness; give the stopping power and thickness of each")
    depth_mm = sum(thickness for _, thickness in layers)
    box = water_phantom((across_mm, depth_mm, across_mm), spacing_mm, surface_mm=surface_mm)
    edges = box.grid.edges_mm(1)
    profile = np.zeros(len(edges) - 1)
    y = float(edges[0])
    for rsp, thickness in layers:
        # Voxels that a boundary cuts have the mean of both sides, so that the depth of what follows is exact.
        # What rounding up to whole voxels adds behind the last slab has no stopping power.
        profile += rsp * _shared(edges, y, y + thickness)
        y += thickness
    return StoppingPower(box.grid, np.broadcast_to(profile[:, None], box.grid.shape))


def phantom(grid: Grid, boxes: Sequence[Box] = (), *, background: float = 1.0) -> StoppingPower:
    """Make a phantom of boxes, each on top of those before it.

    A voxel that is partly within a box is mixed by the shared volume, with what was in it before.

    Parameters
    ----------
    grid : Grid
    boxes : sequence of Box
    background : float
        Stopping power relative to water of the rest.

    Raises
    ------
    DoseError
        If a box is empty or outside the grid, or a stopping power cannot be.
    """
    rsp = np.full(grid.shape, background)
    for box in boxes:
        if not 0.0 <= box.rsp <= HIGHEST_RSP:
            raise DoseError(
                f"phantom: a stopping power of {box.rsp:g} relative to water; give one between 0 "
                f"and {HIGHEST_RSP:g}"
            )
        if not np.all(np.less(box.lower_mm, box.upper_mm)):
            raise DoseError(
                f"phantom: a box from {box.lower_mm} to {box.upper_mm} mm is empty; sort its corners"
            )
        x, y, z = (_shared(grid.edges_mm(axis), box.lower_mm[axis], box.upper_mm[axis]) for axis in range(3))
        share = z[:, None, None] * y[:, None] * x
        if not share.any():
            raise DoseError(
                f"phantom: a box from {box.lower_mm} to {box.upper_mm} mm is outside the grid, which is from "
                f"{grid.lower_mm} to {grid.upper_mm} mm; move one of them"
            )
        rsp += share * (box.rsp - rsp)
    return StoppingPower(grid, on_grid(rsp, grid, np.float32, "phantom"))


def _shared(edges_mm: Floats, lower_mm: float, upper_mm: float) -> Floats:
    """Share of each voxel of an axis that lies between two coordinates."""
    shared = np.minimum(edges_mm[1:], upper_mm) - np.maximum(edges_mm[:-1], lower_mm)
    share: Floats = np.clip(shared, 0.0, None) / np.diff(edges_mm)
    return share


def entrance_mm(
    phantom: StoppingPower, start_mm: ArrayLike, direction: ArrayLike, threshold: float = 0.1
) -> Point:
    """Find where a ray enters a phantom or patient: the first point of a stopping power above a threshold.

    Parameters
    ----------
    phantom : StoppingPower
    start_mm, direction : array_like, shape (3,)
        A point outside, and where the ray goes.
    threshold : float
        Stopping power relative to water above which there is more than air and cloth.

    Returns
    -------
    tuple of three floats
        x, y and z, to a hundredth of the smallest voxel size.

    Raises
    ------
    DoseError
        If the ray meets nothing.
    """
    grid = phantom.grid
    start, along = np.asarray(start_mm, dtype=float), np.asarray(direction, dtype=float)
    along = along / np.linalg.norm(along)
    reach_mm = float(np.linalg.norm(np.subtract(grid.upper_mm, grid.lower_mm))) + float(
        np.linalg.norm(start - 0.5 * np.add(grid.upper_mm, grid.lower_mm))
    )
    step_mm = min(grid.spacing_mm) / 100.0
    distances = np.arange(0.0, reach_mm, step_mm)
    points = start + distances[:, None] * along
    index = np.floor((points - grid.lower_mm) / grid.spacing_mm).astype(int)
    inside = np.all((index >= 0) & (index < grid.counts), axis=1)
    values = np.zeros(len(points))
    x, y, z = index[inside].T
    values[inside] = phantom.rsp[z, y, x]
    found = np.flatnonzero(values > threshold)
    if not found.size:
        raise DoseError(
            f"phantom: the ray from {start.tolist()} mm along {along.tolist()} meets nothing of a stopping "
            f"power above {threshold:g}; check isocentre and angles"
        )
    x_mm, y_mm, z_mm = points[found[0]].tolist()
    return x_mm, y_mm, z_mm
