"""The loop over voxels: what a layer of spots gives each of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.engine.fluence import Maps, read_between
from spotline.jit import kernel

Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]

COMPONENTS = 3
"""A core and two halos."""

AMOUNT, PLACE, SLOPE, VARIANCE = range(4)
"""Columns of a component: dose (Gy mm2 per particle), number of its map, its change with an added variance
(1/mm2), and its own variance (mm2)."""


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
    """

    x_iso_mm: Float32s
    y_iso_mm: Float32s
    depth_mm: Float32s
    height_mm: Float32s


@kernel
def accumulate(
    first: int,
    last: int,
    rays: Rays,
    tables: Floats,
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
        place = rays.depth_mm[voxel] * per_mm
        if not (place >= 0.0 and place < end):
            continue
        node = int(place)
        rest = place - node
        near = 1.0 - rest
        height = rays.height_mm[voxel]
        # Lengths across the beam are larger in the plane of the isocentre than above it.
        scale = beam[0] / (beam[0] - height) * (beam[1] / (beam[1] - height))
        change = height * (beam[2] + height * beam[3])
        x, y = rays.x_iso_mm[voxel], rays.y_iso_mm[voxel]
        total = 0.0
        for component in range(COMPONENTS):
            amount = near * tables[node, component, AMOUNT] + rest * tables[node + 1, component, AMOUNT]
            if amount <= 0.0:
                continue
            variance = near * tables[node, component, VARIANCE] + rest * tables[node + 1, component, VARIANCE]
            slope = near * tables[node, component, SLOPE] + rest * tables[node + 1, component, SLOPE]
            level = near * tables[node, component, PLACE] + rest * tables[node + 1, component, PLACE]
            level += slope * (variance * (scale - 1.0) + change * scale)
            if component == 0:
                total += amount * read_between(core, level, x, y)
            else:
                total += amount * read_between(halo, level, x, y)
        total *= scale
        dose_Gy[voxel] += total
        for k in range(quantities.shape[1]):
            quantity = near * quantities[node, k] + rest * quantities[node + 1, k]
            weighted[voxel, k] += total * quantity
