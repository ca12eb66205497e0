"""What the particles cross: a rectangular grid of voxels, each of one material and density.

Slabs are a grid with a single voxel across.  x and y are lateral, z is the direction of the beam; lengths
are in millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.errors import PhysicsError
from spotline.physics.materials import WATER, Material

WIDE_mm = 1e6
"""Half width of a slab."""


class GeometryArrays(NamedTuple):
    """A geometry as kernels see it.

    Attributes
    ----------
    x_mm, y_mm, z_mm : ndarray, shapes (nx + 1,), (ny + 1,), (nz + 1,)
        Boundaries, ascending.
    material : ndarray of int, shape (nx, ny, nz)
        Index of the material; of no meaning where the density is 0.
    density_g_cm3 : ndarray, shape (nx, ny, nz)
        0 is vacuum.
    """

    x_mm: Floats
    y_mm: Floats
    z_mm: Floats
    material: Integers
    density_g_cm3: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Materials, and where they are.

    Attributes
    ----------
    materials : tuple of Material
    arrays : GeometryArrays
    """

    materials: tuple[Material, ...]
    arrays: GeometryArrays


def voxels(
    x_mm: Floats,
    y_mm: Floats,
    z_mm: Floats,
    density_g_cm3: Floats,
    material: Integers | None = None,
    materials: Sequence[Material] = (WATER,),
) -> Geometry:
    """Make a geometry of voxels.

    Parameters
    ----------
    x_mm, y_mm, z_mm : ndarray, shapes (nx + 1,), (ny + 1,), (nz + 1,)
        Boundaries, ascending.
    density_g_cm3 : ndarray, shape (nx, ny, nz)
        Density; with water as the only material, the stopping power relative to water.
    material : ndarray of int, shape (nx, ny, nz), optional
        Index into `materials`; by default 0 everywhere.
    materials : sequence of Material

    Raises
    ------
    PhysicsError
        If shapes, boundaries, densities or indices cannot be.
    """
    edges = [np.ascontiguousarray(edge, dtype=float) for edge in (x_mm, y_mm, z_mm)]
    for name, edge in zip("xyz", edges, strict=True):
        if edge.ndim != 1 or len(edge) < 2 or not np.all(np.diff(edge) > 0.0):
            raise PhysicsError(f"geometry: the boundaries in {name} do not ascend; give at least two, sorted")
    shape = tuple(len(edge) - 1 for edge in edges)
    density = np.ascontiguousarray(density_g_cm3, dtype=float)
    number = np.zeros(shape, dtype=np.int64) if material is None else np.ascontiguousarray(material, np.int64)
    if density.shape != shape or number.shape != shape:
        raise PhysicsError(
            f"geometry: boundaries make {shape} voxels, but densities are {density.shape} and materials "
            f"{number.shape}; give one of each per voxel"
        )
    if not np.all(np.isfinite(density) & (density >= 0.0)):
        raise PhysicsError("geometry: a density is negative or not a number; 0 g/cm3 is vacuum")
    if not materials or number.min() < 0 or number.max() >= len(materials):
        raise PhysicsError(f"geometry: a voxel has none of the {len(materials)} materials; count them from 0")
    return Geometry(tuple(materials), GeometryArrays(edges[0], edges[1], edges[2], number, density))


def slabs(layers: Sequence[tuple[Material, float]], start_mm: float = 0.0) -> Geometry:
    """Make a geometry of wide slabs, one behind the other.

    Parameters
    ----------
    layers : sequence of (Material, float)
        Material and thickness in mm, in the order of the beam.
    start_mm : float
        z of the first surface.
    """
    materials = list(dict.fromkeys(material for material, _ in layers))
    across = np.array([-WIDE_mm, WIDE_mm])
    z_mm = start_mm + np.concatenate([[0.0], np.cumsum([thickness for _, thickness in layers])])
    density = np.array([material.density_g_cm3 for material, _ in layers])
    number = np.array([materials.index(material) for material, _ in layers], dtype=np.int64)
    return voxels(
        across, across, z_mm, density[None, None, :], number[None, None, :], materials=tuple(materials)
    )


def water(depth_mm: float, start_mm: float = 0.0) -> Geometry:
    """Make a wide slab of water."""
    return slabs([(WATER, depth_mm)], start_mm)
