"""The loop over voxels: what a layer of spots gives each of them."""

from __future__ import annotations

from typing import NamedTuple

from spotline.arrays import Float32s, Floats
from spotline.dose.engine.fluence import Maps, read_between
from spotline.dose.engine.sub_rays import CORNERS, PER_mm, SubRays
from spotline.jit import kernel

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
    sub: SubRays,
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
        first_component, side, spread, radius = 0, 0.0, 0.0, 0.0
        if row >= 0:
            # What was scattered in the patient comes from seven rays, each with its own depth.
            radius = sub.radius_mm[min(int(depth_mm), len(sub.radius_mm) - 1)]
            variance = near * tables[node, 0, VARIANCE] + rest * tables[node + 1, 0, VARIANCE]
            spread = min(max(variance - tables[0, 0, VARIANCE], 0.0), 0.5 * radius * radius)
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
            left = max(
                near * tables[node, 0, VARIANCE] + rest * tables[node + 1, 0, VARIANCE] - spread, before
            )
            level = tables[0, 0, PLACE] + tables[0, 0, SLOPE] * (left * scale - before + change * scale)
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
