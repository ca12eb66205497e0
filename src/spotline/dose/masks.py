"""Structures as masks: which share of every voxel lies inside.

Contours are taken as slabs: each reaches half-way to the planes above and below, and the outermost half a
slice further.  Where planes are missing, the structure is in pieces.  Within a plane the even-odd rule makes
holes and islands; see `spotline.dose.planes`, also for what is drawn twice or overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spotline.arrays import Float32s
from spotline.dose.grid import Grid
from spotline.dose.planes import Slab, Slabs, slabs_of
from spotline.dose.rasterise import fill_rows
from spotline.dose.structures import Structure
from spotline.errors import DoseError

LINES = 16
"""Lines per row of pixels."""

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
        What is left outside the grid, what was made of contours that are there twice or overlap, and
        whether the volume is not what areas times spacing make.
    is_beyond : bool
        Whether contours reach beyond the grid.
    """

    name: str
    grid: Grid
    share: Float32s
    contour_cm3: float
    notes: tuple[str, ...] = ()
    is_beyond: bool = True

    @property
    def volume_cm3(self) -> float:
        """Volume of the mask."""
        return float(self.share.sum(dtype=np.float64)) * self.grid.voxel_cm3

    @property
    def outside_cm3(self) -> float:
        """Volume of the contours beyond the grid; 0 if it is no more than rasterising is off."""
        missing_cm3 = self.contour_cm3 - self.volume_cm3
        return missing_cm3 if self.is_beyond and missing_cm3 > VOLUME_TOLERANCE * self.contour_cm3 else 0.0

    @property
    def outside_note(self) -> str:
        """What `notes` say of the part beyond the grid; empty if there is none."""
        if not self.outside_cm3:
            return ""
        return (
            f"{100.0 * self.outside_cm3 / self.contour_cm3:.1f} % of structure {self.name} "
            f"({self.contour_cm3:.1f} cm3) is outside the grid"
        )


def mask_of(structure: Structure, grid: Grid) -> Mask:
    """Rasterise a structure.

    Parameters
    ----------
    structure : Structure
    grid : Grid

    Returns
    -------
    Mask
        With its notes.

    Raises
    ------
    DoseError
        If no part of it is within the grid, or it encloses no volume.
    """
    drawn = slabs_of(structure.contours, grid.spacing_mm[2])
    slabs = drawn.slabs
    share = np.zeros(grid.shape, dtype=np.float32)
    faces = grid.edges_mm(2)
    for slab in slabs:
        shared = np.minimum(faces[1:], slab.upper_mm) - np.maximum(faces[:-1], slab.lower_mm)
        planes = np.flatnonzero(shared > 0.0)
        if not planes.size:
            continue
        first, area = plane_share(slab, grid)
        for plane in planes.tolist():
            weight = np.float32(shared[plane] / grid.spacing_mm[2])
            share[plane, first : first + len(area)] += weight * area
    np.clip(share, 0.0, 1.0, out=share)  # sums of shares may exceed 1 by their rounding
    areas_mm2 = [slab.area_mm2() for slab in slabs]
    heights_mm = [slab.upper_mm - slab.lower_mm for slab in slabs]
    volume_cm3 = sum(h * area for h, area in zip(heights_mm, areas_mm2, strict=True)) * 1e-3
    mask = Mask(structure.name, grid, share, volume_cm3, is_beyond=_is_beyond(drawn, grid))
    if not share.any():
        if not volume_cm3 > 0.0:
            raise DoseError(f"structure {structure.name}: its contours enclose no volume; draw it again")
        raise DoseError(_outside(structure, grid, drawn))
    return replace(mask, notes=_notes(mask, drawn, sum(areas_mm2)))


def plane_share(slab: Slab, grid: Grid) -> tuple[int, Float32s]:
    """Share of each pixel that the contours of one plane enclose.

    Returns
    -------
    first : int
        Index of the first row that the contours may touch.
    share : ndarray of float32, shape (rows, nx)
    """
    nx, ny, _ = grid.counts
    corners = np.concatenate([contour.xy_mm for contour in slab.contours])
    dx, dy, _ = grid.spacing_mm
    rows = (corners[:, 1] - grid.lower_mm[1]) / dy
    first = min(max(int(np.floor(rows.min())), 0), ny)
    count = max(min(int(np.floor(rows.max())) + 1, ny) - first, 0)
    area = np.zeros((count, nx))
    found = slab.crossings(grid.lower_mm[1] + first * dy, dy / LINES, count * LINES)
    fill_rows(found.x_mm, found.starts[:-1], found.starts[1:], grid.lower_mm[0], dx, LINES, area)
    return first, area.astype(np.float32)


def _notes(mask: Mask, drawn: Slabs, areas_mm2: float) -> tuple[str, ...]:
    """What is special about a mask and its contours, whose areas have that sum."""
    notes = list(drawn.notes(mask.name))
    if mask.outside_note:
        notes.append(mask.outside_note)
    # The part of it that is beyond the grid is no disagreement.
    found_cm3 = mask.contour_cm3 if mask.is_beyond else mask.volume_cm3
    simple_cm3 = areas_mm2 * drawn.spacing_mm * 1e-3
    if abs(found_cm3 - simple_cm3) > VOLUME_TOLERANCE * max(found_cm3, simple_cm3):
        notes.append(
            f"structure {mask.name}: its volume is {found_cm3:.4g} cm3, but the areas of its contours times "
            f"their spacing, {drawn.spacing_mm:g} mm, make {simple_cm3:.4g} cm3; planes that are unevenly "
            "spaced, contours that cross themselves or a structure of few voxels do that"
        )
    return tuple(notes)


def _is_beyond(drawn: Slabs, grid: Grid) -> bool:
    lower, upper = drawn.box_mm()
    return bool(np.any(np.less(lower, grid.lower_mm)) or np.any(np.greater(upper, grid.upper_mm)))


def _outside(structure: Structure, grid: Grid, drawn: Slabs) -> str:
    lower, upper = drawn.box_mm()
    spans = [
        f"{name} {a:g} to {b:g} (grid {c:g} to {d:g})"
        for name, a, b, c, d in zip("xyz", lower, upper, grid.lower_mm, grid.upper_mm, strict=True)
    ]
    return (
        f"structure {structure.name}: no part of it is within the grid: {', '.join(spans)} mm; check that "
        "both are of one patient and one frame of reference, or give a larger grid"
    )
