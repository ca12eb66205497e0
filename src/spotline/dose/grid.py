"""Grids of dose, CT and masks, in the coordinates of a DICOM patient.

x goes to the left of the patient, y to the back and z to the head (DICOM PS3.3, C.7.6.2.1.1), all in
millimetres, and every grid is aligned with them.  An array on a grid has shape (nz, ny, nx), in C order, so
that its first index is the slice.  All axes ascend: files that store them the other way round are turned
when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotline.arrays import Float32s, Floats
from spotline.errors import DoseError

Point = tuple[float, float, float]

DoseKind = Literal["physical", "effective"]
"""Absorbed dose, or dose weighted with the relative biological effectiveness."""

MOST_VOXELS = 2**31 - 1
"""Voxels of the largest grid; a larger one is a mistake in a unit."""

_WHOLE = 1e-6  # voxels by which a length may miss a whole number of them


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels along the axes of the patient.

    Attributes
    ----------
    origin_mm : tuple of three floats
        x, y and z of the centre of the first voxel.
    spacing_mm : tuple of three floats
        Distance of centres in x, y and z, above 0.
    shape : tuple of three ints
        Number of voxels in z, y and x: the shape of the arrays.

    Raises
    ------
    DoseError
        If a number is not finite, a spacing not above 0 or a count below 1.
    """

    origin_mm: Point
    spacing_mm: Point
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        for name in ("origin_mm", "spacing_mm"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 3 or not all(map(math.isfinite, values)):
                raise DoseError(f"grid: {name} is {values}; give three finite numbers for x, y and z")
            object.__setattr__(self, name, values)
        if min(self.spacing_mm) <= 0.0:
            raise DoseError(f"grid: spacing_mm is {self.spacing_mm}; voxels have sizes above 0")
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1 or math.prod(shape) > MOST_VOXELS:
            raise DoseError(
                f"grid: shape is {shape}; give the numbers of voxels in z, y and x, at least 1 each and "
                f"{MOST_VOXELS} in all"
            )
        object.__setattr__(self, "shape", shape)

    @classmethod
    def covering(cls, lower_mm: Sequence[float], upper_mm: Sequence[float], spacing_mm: ArrayLike) -> Grid:
        """Make the grid whose outer faces enclose a box, beginning at its lower corner.

        Parameters
        ----------
        lower_mm, upper_mm : sequence of three floats
            Corners of the box in x, y and z; a size that is no multiple of the spacing is rounded up.
        spacing_mm : float or sequence of three floats
            Size of the voxels.
        """
        lower, upper = np.asarray(lower_mm, dtype=float), np.asarray(upper_mm, dtype=float)
        spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=float), (3,))
        if not (np.all(np.isfinite([lower, upper, spacing])) and np.all(spacing > 0.0)):
            raise DoseError(f"grid: from {lower} to {upper} mm in steps of {spacing} mm; give finite numbers")
        if not np.all(upper > lower):
            raise DoseError(f"grid: a box from {lower} to {upper} mm is empty; give the lower corner first")
        counts = np.maximum(np.ceil((upper - lower) / spacing - _WHOLE), 1.0)
        x, y, z = (lower + spacing / 2.0).tolist()
        dx, dy, dz = spacing.tolist()
        nx, ny, nz = (int(n) for n in counts)
        return cls((x, y, z), (dx, dy, dz), (nz, ny, nx))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Numbers of voxels in x, y and z."""
        nz, ny, nx = self.shape
        return nx, ny, nz

    @property
    def x_mm(self) -> Floats:
        """Centres in x, shape (nx,)."""
        return self._centres_mm(0)

    @property
    def y_mm(self) -> Floats:
        """Centres in y, shape (ny,)."""
        return self._centres_mm(1)

    @property
    def z_mm(self) -> Floats:
        """Centres in z, shape (nz,)."""
        return self._centres_mm(2)

    @property
    def lower_mm(self) -> Point:
        """Lower corner of the first voxel in x, y and z."""
        return self._corner_mm(-0.5, (0, 0, 0))

    @property
    def upper_mm(self) -> Point:
        """Upper corner of the last voxel in x, y and z."""
        return self._corner_mm(-0.5, self.counts)

    @property
    def voxel_cm3(self) -> float:
        """Volume of a voxel."""
        return math.prod(self.spacing_mm) * 1e-3

    def edges_mm(self, axis: int) -> Floats:
        """Faces between the voxels along an axis (0 is x, 1 is y, 2 is z), shape (n + 1,)."""
        return self._axis_mm(axis, np.arange(self.counts[axis] + 1) - 0.5)

    def points_mm(self) -> Floats:
        """Centres of all voxels in x, y and z, shape (nz, ny, nx, 3)."""
        z, y, x = np.meshgrid(self.z_mm, self.y_mm, self.x_mm, indexing="ij")
        return np.stack([x, y, z], axis=-1)

    def contains(self, points_mm: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie within the outer faces; points of shape (..., 3) in x, y, z."""
        points = np.asarray(points_mm, dtype=float)
        inside: NDArray[np.bool_] = np.all((points >= self.lower_mm) & (points <= self.upper_mm), axis=-1)
        return inside

    def same_as(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether all voxel centres of two grids agree."""
        if self.shape != other.shape:
            return False
        first = np.subtract(self.origin_mm, other.origin_mm)
        last = first + np.subtract(self.spacing_mm, other.spacing_mm) * np.subtract(self.counts, 1)
        return bool(max(np.abs(first).max(), np.abs(last).max()) <= tolerance_mm)

    def _centres_mm(self, axis: int) -> Floats:
        return self._axis_mm(axis, np.arange(self.counts[axis]))

    def _axis_mm(self, axis: int, index: ArrayLike) -> Floats:
        return np.asarray(self.origin_mm[axis] + self.spacing_mm[axis] * np.asarray(index), dtype=float)

    def _corner_mm(self, shift: float, index: tuple[int, int, int]) -> Point:
        x, y, z = (
            o + d * (i + shift) for o, d, i in zip(self.origin_mm, self.spacing_mm, index, strict=True)
        )
        return x, y, z


@dataclass(frozen=True, slots=True, eq=False)
class DoseGrid:
    """Dose on a grid.

    Attributes
    ----------
    grid : Grid
    dose_Gy : ndarray of float32, shape (nz, ny, nx)
        Converted if it comes as another type; finite.
    kind : {"physical", "effective"}
        Absorbed dose, or dose weighted with the RBE.
    frame_of_reference_uid : str
        Coordinate system of the patient, that CT, structures and dose must share; empty if unknown.
    summation : str
        What the dose is of, in the terms of DICOM (Dose Summation Type): PLAN, FRACTION, BEAM, RECORD...
    plan_uid : str
        SOP Instance UID of the plan; empty if there is none.
    record_uids : tuple of str
        SOP Instance UIDs of the treatment records that it is reconstructed from.
    fraction_group : int
        Number of the fraction group of the plan.
    beam_number : int, optional
        Number of the field if it is the dose of one.
    comment : str

    Raises
    ------
    DoseError
        If the array does not fit the grid, or holds what is no number.
    """

    grid: Grid
    dose_Gy: Float32s
    kind: DoseKind = "physical"
    frame_of_reference_uid: str = ""
    summation: str = "PLAN"
    plan_uid: str = ""
    record_uids: tuple[str, ...] = ()
    fraction_group: int = 1
    beam_number: int | None = None
    comment: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("physical", "effective"):
            raise DoseError(f"dose: kind is {self.kind!r}; it is either physical or effective")
        object.__setattr__(self, "dose_Gy", on_grid(self.dose_Gy, self.grid, np.float32, "dose"))
        if not np.all(np.isfinite(self.dose_Gy)):
            bad = np.argwhere(~np.isfinite(self.dose_Gy))[0].tolist()
            raise DoseError(f"dose: the value of voxel {bad} (z, y, x) is not finite; compute it again")


def on_grid(array: ArrayLike, grid: Grid, dtype: Any, what: str) -> NDArray[Any]:
    """Check that an array belongs to a grid, and bring it to a type and to C order (no copy if it is).

    Raises
    ------
    DoseError
        If its shape is another.
    """
    found = np.ascontiguousarray(array, dtype=dtype)
    if found.shape != grid.shape:
        raise DoseError(f"{what}: has shape {found.shape}, but its grid {grid.shape} (z, y, x)")
    return found
