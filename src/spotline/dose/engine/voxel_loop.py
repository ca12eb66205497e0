"""The loop over voxels: what a layer of spots gives each of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats
from spotline.dose.engine.fluence import LOG_RATIO, Maps, read_between
from spotline.dose.engine.sub_rays import CORNERS, PER_mm, SubRays
from spotline.jit import kernel

COMPONENTS = 3
"""A core and two halos."""
QUARTERS = 4
"""Parts of the path to a voxel, of which is known where they lie (`spotline.dose.engine.lever_arms`)."""

AMOUNT, PLACE, SLOPE, VARIANCE = range(4)
"""Columns of a component: dose (Gy mm2 per particle), number of its map, its change with an added variance
(1/mm2), and its own variance (mm2)."""


NARROWEST = -0.99
"""Change of what was scattered, at most."""


class Rays(NamedTuple):
    """Voxels as the beam sees them; arrays have shape (n,).

    Attributes
    ----------
    x_iso_mm, y_iso_mm : ndarray of float32
        Where the ray of the voxel crosses the plane of the isocentre.
    depth_mm : ndarray of float32
        Water-equivalent depth; below 0 for voxels that are not to have dose.
    height_mm : ndarray of float32
        Height above the plane of the isocentre, towards the source.
    lever_row : ndarray of int32, shape (n,) or (0,)
        Row of each voxel below, -1 where scattering has the lever arms that it has in water.  Empty:
        everywhere.
    lever : ndarray of float32, shape (m, `QUARTERS`)
        What is different in a quarter of the path.
    lever_ends : ndarray, shape (2, `QUARTERS`)
        The least and the largest of these.
    """

    x_iso_mm: Float32s
    y_iso_mm: Float32s
    depth_mm: Float32s
    height_mm: Float32s
    lever_row: NDArray[np.int32] = np.zeros(0, np.int32)
    lever: Float32s = np.zeros((0, QUARTERS), np.float32)
    lever_ends: Floats = np.zeros((2, QUARTERS))


@kernel
def log_1_plus(x: float) -> float:
    """Logarithm of 1 + x, near 0 by the first fraction of Pade, within 3e-4: a thousandth of a width."""
    if abs(x) < 0.25:
        return x * (6.0 + x) / (6.0 + 4.0 * x)
    return math.log1p(x)


@kernel
def accumulate(
    first: int,
    last: int,
    rays: Rays,
    sub: SubRays,
    tables: Floats,
    weights: Floats,
    quantities: Floats,
    per_mm: float,
    beam: Floats,
    core: Maps,
    halo: Maps,
    dose_Gy: Floats,
    weighted: Floats,
) -> None:
    """Add the dose of a layer to voxels `first` to `last - 1`; arguments as in `add_layer`."""
    end = len(tables) - 1
    for voxel in range(first, last):
        depth_mm = rays.depth_mm[voxel]
        row = sub.row[voxel] if len(sub.row) > 0 else -1
        place = depth_mm * per_mm
        if not (place >= 0.0 and (place < end or row >= 0)):
            continue
        node = min(int(place), end - 1)
        rest = min(place - node, 1.0)
        near = 1.0 - rest
        height = rays.height_mm[voxel]
        # Lengths across the beam are larger in the plane of the isocentre than above it.
        scale_x, scale_y = beam[0] / (beam[0] - height), beam[1] / (beam[1] - height)
        scale = scale_x * scale_y
        change = height * (beam[2] + height * beam[3])
        x, y = rays.x_iso_mm[voxel], rays.y_iso_mm[voxel]
        # What was scattered has gone further, or less far, than in water.
        stretch = 0.0
        lever_row = rays.lever_row[voxel] if len(rays.lever_row) > 0 else -1
        if lever_row >= 0:
            for q in range(QUARTERS):
                weight = near * weights[node, q] + rest * weights[node + 1, q]
                stretch += weight * rays.lever[lever_row, q]
            stretch = max(stretch, NARROWEST)
        first_component, side, spread, radius, scattered = 0, 0.0, 0.0, 0.0, 0.0
        if row >= 0:
            # What was scattered in the patient comes from seven rays, each with its own depth.
            radius = sub.radius_mm[min(int(depth_mm), len(sub.radius_mm) - 1)]
            variance = near * tables[node, 0, VARIANCE] + rest * tables[node + 1, 0, VARIANCE]
            scattered = (variance - tables[0, 0, VARIANCE]) * (1.0 + stretch)
            spread = min(max(scattered, 0.0), 0.5 * radius * radius)
            if spread > 0.0:
                first_component, side = 1, spread / (3.0 * radius * radius)
        total = 0.0
        if place < end:
            for component in range(first_component, COMPONENTS):
                amount = near * tables[node, component, AMOUNT] + rest * tables[node + 1, component, AMOUNT]
                if amount <= 0.0:
                    continue
                variance = (
                    near * tables[node, component, VARIANCE] + rest * tables[node + 1, component, VARIANCE]
                )
                slope = near * tables[node, component, SLOPE] + rest * tables[node + 1, component, SLOPE]
                level = near * tables[node, component, PLACE] + rest * tables[node + 1, component, PLACE]
                level += slope * (variance * (scale - 1.0) + change * scale)
                if component == 0:
                    if stretch != 0.0:
                        more = stretch * (variance - tables[0, 0, VARIANCE]) * scale
                        level += log_1_plus(more * slope * LOG_RATIO) / LOG_RATIO
                    total += amount * read_between(core, level, x, y)
                else:
                    total += amount * read_between(halo, level, x, y)
            total *= scale
            dose_Gy[voxel] += total
            for k in range(quantities.shape[1]):
                quantity = near * quantities[node, k] + rest * quantities[node + 1, k]
                weighted[voxel, k] += total * quantity
        if first_component == 1:
            before = tables[0, 0, VARIANCE]
            # Of the variance at the voxel, what the rays beside it do not make up for.
            left = max(before + scattered - spread, before)
            level = tables[0, 0, PLACE]
            if stretch == 0.0:
                level += tables[0, 0, SLOPE] * (left * scale - before + change * scale)
            else:
                more = tables[0, 0, SLOPE] * LOG_RATIO * (left * scale - before + change * scale)
                level += log_1_plus(more) / LOG_RATIO
            for k in range(-1, CORNERS):
                share, at_x, at_y = 1.0 - CORNERS * side, x, y
                if k >= 0:
                    share = side
                    at_x += scale_x * radius * sub.along_x[k]
                    at_y += scale_y * radius * sub.along_y[k]
                    place = sub.depth[row, k] / PER_mm * per_mm
                if not place < end:
                    continue
                node = int(place)
                rest = place - node
                near = 1.0 - rest
                amount = near * tables[node, 0, AMOUNT] + rest * tables[node + 1, 0, AMOUNT]
                if amount <= 0.0:
                    continue
                part = scale * share * amount * read_between(core, level, at_x, at_y)
                dose_Gy[voxel] += part
                for q in range(quantities.shape[1]):
                    quantity = near * quantities[node, q] + rest * quantities[node + 1, q]
                    weighted[voxel, q] += part * quantity
