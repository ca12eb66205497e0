"""Structures as masks: which share of every voxel lies inside.

Contours are taken as slabs: each reaches half-way to the planes above and below, and the outermost half a
slice further.  Where planes are missing, the structure is in pieces.  Within a plane the even-odd rule makes
holes and islands; see `spotline.dose.rasterise`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotline.arrays import Float32s, Floats
from spotline.dose.grid import Grid
from spotline.dose.rasterise import count_crossings, fill_crossings, fill_rows
from spotline.dose.structures import Contour, Structure
from spotline.errors import DoseError

LINES = 16
"""Lines per row of pixels."""

SAME_PLANE_mm = 0.01
GAP = 1.5
"""Planes further apart than so many usual distances belong to different pieces."""
VOLUME_TOLERANCE = 0.01
"""Relative difference between the volumes of mask and contours that is worth a note."""


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A structure on a grid.

    Attributes
    ----------
    name : str
    grid : Grid
    share : ndarray of float32, shape (nz, ny, nx)
        Share of each voxel inside, 0 to 1.
    contour_cm3 : float
        Volume of the contours themselves.
    notes : tuple of str
        What is left outside the grid.
    """

    name: str
    grid: Grid
    share: Float32s
    contour_cm3: float
    notes: tuple[str, ...] = ()

    @property
    def volume_cm3(self) -> float:
        """Volume of the mask."""
        return float(self.share.sum(dtype=np.float64)) * self.grid.voxel_cm3

    @property
    def outside_cm3(self) -> float:
        """Volume of the contours beyond the grid; 0 if it is no more than rasterising is off."""
        missing_cm3 = self.contour_cm3 - self.volume_cm3
        return missing_cm3 if missing_cm3 > VOLUME_TOLERANCE * self.contour_cm3 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Slab:
    lower_mm: float
    upper_mm: float
    contours: tuple[Contour, ...]


def mask_of(structure: Structure, grid: Grid) -> Mask:
    """Rasterise a structure.

    Parameters
    ----------
    structure : Structure
    grid : Grid

    Returns
    -------
    Mask
        With a note if more than 1 % of the structure is outside the grid.

    Raises
    ------
    DoseError
        If no part of it is within the grid, or it encloses no volume.
    """
    slabs = _slabs(structure.contours, grid.spacing_mm[2])
    share = np.zeros(grid.shape, dtype=np.float32)
    faces = grid.edges_mm(2)
    for slab in slabs:
        shared = np.minimum(faces[1:], slab.upper_mm) - np.maximum(faces[:-1], slab.lower_mm)
        planes = np.flatnonzero(shared > 0.0)
        if not planes.size:
            continue
        first, area = plane_share(slab.contours, grid)
        for plane in planes.tolist():
            weight = np.float32(shared[plane] / grid.spacing_mm[2])
            share[plane, first : first + len(area)] += weight * area
    np.clip(share, 0.0, 1.0, out=share)  # sums of shares may exceed 1 by their rounding
    volume_cm3 = sum((slab.upper_mm - slab.lower_mm) * area_mm2(slab.contours) for slab in slabs) * 1e-3
    mask = Mask(structure.name, grid, share, volume_cm3)
    if not share.any():
        if not volume_cm3 > 0.0:
            raise DoseError(f"structure {structure.name}: its contours enclose no volume; draw it again")
        raise DoseError(_outside(structure, grid, slabs))
    if not mask.outside_cm3:
        return mask
    missing = mask.outside_cm3 / volume_cm3
    note = f"{100.0 * missing:.1f} % of structure {structure.name} ({volume_cm3:.1f} cm3) is outside the grid"
    return Mask(structure.name, grid, share, volume_cm3, (note,))


def plane_share(contours: tuple[Contour, ...], grid: Grid) -> tuple[int, Float32s]:
    """Share of each pixel that the contours of one plane enclose.

    Returns
    -------
    first : int
        Index of the first row that the contours may touch.
    share : ndarray of float32, shape (rows, nx)
    """
    nx, ny, _ = grid.counts
    corners = np.concatenate([contour.xy_mm for contour in contours])
    starts = np.cumsum([0] + [len(contour.xy_mm) for contour in contours], dtype=np.int64)
    dx, dy, _ = grid.spacing_mm
    rows = (corners[:, 1] - grid.lower_mm[1]) / dy
    first = min(max(int(np.floor(rows.min())), 0), ny)
    count = max(min(int(np.floor(rows.max())) + 1, ny) - first, 0)
    area = np.zeros((count, nx))
    origin, step = grid.lower_mm[1] + first * dy, dy / LINES
    counts = np.zeros(count * LINES, dtype=np.int64)
    count_crossings(corners, starts, origin, step, counts)
    begins = np.cumsum(counts) - counts
    ends = begins.copy()
    x_mm = np.empty(int(counts.sum()))
    fill_crossings(corners, starts, origin, step, begins, ends, x_mm)
    fill_rows(x_mm, begins, ends, grid.lower_mm[0], dx, LINES, area)
    return first, area.astype(np.float32)


def area_mm2(contours: tuple[Contour, ...]) -> float:
    """Area that the contours of one plane enclose by the even-odd rule, if none crosses another or itself."""
    total = 0.0
    for index, contour in enumerate(contours):
        x, y = contour.xy_mm.T
        area = 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
        around = sum(
            _encloses(other.xy_mm, contour.xy_mm[0]) for i, other in enumerate(contours) if i != index
        )
        total += area if around % 2 == 0 else -area
    return total


def _encloses(polygon: Floats, point: Floats) -> bool:
    x, y = polygon.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    crosses = (y <= point[1]) != (next_y <= point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (point[1] - y) / (next_y - y) * (next_x - x)
    return bool(np.count_nonzero(crosses & (at > point[0])) % 2)


def _slabs(contours: tuple[Contour, ...], single_mm: float) -> list[_Slab]:
    """Group contours by plane, and give each plane its extent; `single_mm` is that of a plane alone."""
    ordered = sorted(contours, key=lambda contour: contour.z_mm)
    planes: list[list[Contour]] = []
    for contour in ordered:
        if planes and contour.z_mm - planes[-1][0].z_mm <= SAME_PLANE_mm:
            planes[-1].append(contour)
        else:
            planes.append([contour])
    z = np.array([plane[0].z_mm for plane in planes])
    distances = np.diff(z)
    usual = float(np.median(distances)) if distances.size else single_mm
    joined = distances <= GAP * usual
    half_way = 0.5 * (z[1:] + z[:-1])
    lower = np.concatenate([[z[0] - 0.5 * usual], np.where(joined, half_way, z[1:] - 0.5 * usual)])
    upper = np.concatenate([np.where(joined, half_way, z[:-1] + 0.5 * usual), [z[-1] + 0.5 * usual]])
    return [
        _Slab(float(low), float(high), tuple(plane))
        for low, high, plane in zip(lower, upper, planes, strict=True)
    ]


def _outside(structure: Structure, grid: Grid, slabs: list[_Slab]) -> str:
    corners = np.concatenate([contour.xy_mm for contour in structure.contours])
    lower = (*corners.min(axis=0), slabs[0].lower_mm)
    upper = (*corners.max(axis=0), slabs[-1].upper_mm)
    spans = [
        f"{name} {a:g} to {b:g} (grid {c:g} to {d:g})"
        for name, a, b, c, d in zip("xyz", lower, upper, grid.lower_mm, grid.upper_mm, strict=True)
    ]
    return (
        f"structure {structure.name}: no part of it is within the grid: {', '.join(spans)} mm; check that "
        "both are of one patient and one frame of reference, or give a larger grid"
    )
