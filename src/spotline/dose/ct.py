"""A CT image as the computation of dose needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotline.arrays import Float32s
from spotline.dose.grid import Grid, on_grid

AIR_HU = -1000.0


@dataclass(frozen=True, slots=True, eq=False)
class CtImage:
    """Hounsfield units on a grid.

    Attributes
    ----------
    grid : Grid
    hu : ndarray of float32, shape (nz, ny, nx)
    frame_of_reference_uid : str
    patient_position : str
        HFS, FFP and so on; empty if unknown.
    series_uid : str
    description : str
        Series Description.
    notes : tuple of str
        What was noticed when it was read, such as files that are no slices.
    """

    grid: Grid
    hu: Float32s
    frame_of_reference_uid: str = ""
    patient_position: str = ""
    series_uid: str = ""
    description: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "hu", on_grid(self.hu, self.grid, np.float32, "CT"))
