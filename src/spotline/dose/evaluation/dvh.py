"""Dose-volume histograms and dose statistics of a structure, with partial volumes.

A voxel counts with the part of it that lies in the structure, and its dose is that of its centre.  The
cumulative histogram V(D), the volume with at least the dose D, is made of straight lines between the doses
of the voxels: half of the volume of a voxel has more than its dose and half less.  All figures come from this
one curve, without bins, so a dose that rises linearly through a structure gives the exact result.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotline.arrays import Floats
from spotline.dose.grid import DoseGrid, on_grid
from spotline.errors import DoseError
from spotline.measurement import Result, finite_or_none

SMALLEST_PART = 1e-9
"""Voxels of which a structure has less are not in it."""


@dataclass(frozen=True, slots=True, eq=False)
class DVH:
    """Cumulative dose-volume histogram of a structure.

    Attributes
    ----------
    dose_Gy : ndarray, shape (n,)
        Doses of the voxels, ascending, each once.
    volume_cm3 : ndarray, shape (n,)
        Volume above each dose, with half of the voxels that have it. Any dose below the least
        one has all, and any above the largest nothing.
    total_cm3 : float
        Volume of the structure, with what lies beyond the grid.
    mean_Gy : float
        Mean dose of the voxels, each with its volume.
    """

    dose_Gy: Floats
    volume_cm3: Floats
    total_cm3: float
    mean_Gy: float

    @property
    def minimum_Gy(self) -> float:
        """Least dose of a voxel."""
        return float(self.dose_Gy[0])

    @property
    def maximum_Gy(self) -> float:
        """Largest dose of a voxel."""
        return float(self.dose_Gy[-1])

    def dose_at_percent_Gy(self, percent: float) -> float:
        """D_x%: the dose that x % of the volume has at least.

        Raises
        ------
        DoseError
            If there is no such part.
        """
        if not 0.0 <= percent <= 100.0:
            raise DoseError(f"DVH: D{percent:g}%: a volume is 0 to 100 % of the structure")
        return self._dose_at_Gy(percent / 100.0 * self.total_cm3)

    def dose_at_cm3_Gy(self, volume_cm3: float) -> float:
        """D_xcc: the dose that x cm3 have at least.

        Raises
        ------
        DoseError
            If the structure is smaller.
        """
        if not 0.0 <= volume_cm3 <= self.total_cm3:
            raise DoseError(f"DVH: D{volume_cm3:g}cc: the structure has {self.total_cm3:.4g} cm3")
        return self._dose_at_Gy(volume_cm3)

    def volume_at_cm3(self, dose_Gy: ArrayLike) -> Floats:
        """V_xGy: the volume with at least a dose."""
        asked_Gy = np.asarray(dose_Gy, dtype=float)
        between = np.interp(asked_Gy, self.dose_Gy, self.volume_cm3, right=0.0)
        return np.where(asked_Gy <= self.minimum_Gy, self.total_cm3, between)

    def volume_at_percent(self, dose_Gy: ArrayLike) -> Floats:
        """V_xGy in percent of the structure."""
        return np.asarray(100.0 * self.volume_at_cm3(dose_Gy) / self.total_cm3)

    def differential(self, edges_Gy: ArrayLike) -> Floats:
        """Return the volume in cm3 between doses; its sum is that of the structure if they enclose all.

        Parameters
        ----------
        edges_Gy : array_like, shape (n + 1,)
            Ascending.
        """
        edges = np.asarray(edges_Gy, dtype=float)
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0.0):
            raise DoseError("DVH: the edges of a differential histogram are at least two ascending doses")
        volume = self.volume_at_cm3(edges)
        if edges[-1] >= self.maximum_Gy:  # what has the largest dose is in the last bin, not above it
            volume[-1] = 0.0
        return np.asarray(volume[:-1] - volume[1:])

    def _dose_at_Gy(self, volume_cm3: float) -> float:
        return float(np.interp(volume_cm3, self.volume_cm3[::-1], self.dose_Gy[::-1]))


def dvh(dose: DoseGrid, mask: ArrayLike, name: str = "structure", *, outside_cm3: float = 0.0) -> DVH:
    """Make the cumulative dose-volume histogram of a structure.

    Parameters
    ----------
    dose : DoseGrid
    mask : array_like, shape (nz, ny, nx)
        Part of each voxel that lies in the structure, 0 to 1.
    name : str
        For messages.
    outside_cm3 : float
        Volume of the structure beyond the grid of the dose: it counts as without dose, so that an organ of
        which the grid holds a part is not taken for that part.

    Returns
    -------
    DVH

    Raises
    ------
    DoseError
        If the mask does not fit, holds other numbers, or is empty.
    """
    part = part_of_voxels(dose, mask, name)
    is_in = part > SMALLEST_PART
    values = dose.dose_Gy[is_in].astype(float)
    volume_cm3 = part[is_in] * dose.grid.voxel_cm3
    if outside_cm3 > 0.0:
        values, volume_cm3 = np.append(values, 0.0), np.append(volume_cm3, outside_cm3)
    # Equal doses are one step, however many voxels have them.
    level_Gy, of_level = np.unique(values, return_inverse=True)
    step_cm3 = np.bincount(of_level, volume_cm3)
    total_cm3 = float(volume_cm3.sum())
    above_cm3 = np.maximum(0.0, total_cm3 - np.cumsum(step_cm3) + 0.5 * step_cm3)
    return DVH(level_Gy, above_cm3, total_cm3, float(np.average(values, weights=volume_cm3)))


def part_of_voxels(dose: DoseGrid, mask: ArrayLike, name: str) -> NDArray[np.float64]:
    """Check a mask and return it.

    Raises
    ------
    DoseError
        As `dvh`.
    """
    part: NDArray[np.float64] = on_grid(mask, dose.grid, np.float64, f"mask of {name}")
    if not np.all((part >= 0.0) & (part <= 1.0 + 1e-6)):
        raise DoseError(f"mask of {name}: a voxel lies in it with a part of 0 to 1; found other numbers")
    if not np.any(part > SMALLEST_PART):
        raise DoseError(f"mask of {name} is empty: the structure lies outside of the dose grid")
    return part


@dataclass(frozen=True, slots=True)
class DoseStatistics:
    """What is usually said about the dose in a structure.

    Attributes
    ----------
    volume_cm3 : float
        With what lies beyond the dose grid.
    mean_Gy, minimum_Gy, maximum_Gy : float
        Of voxels.
    D2_Gy, D5_Gy, D50_Gy, D95_Gy, D98_Gy : float
        Least dose of the hottest 2 % of the volume, and so on.
    homogeneity_D5_D95_percent : float
        (D5 - D95) / prescription, or over the mean dose where there is none.
    homogeneity_icru83 : float
        (D2 - D98) / D50 (ICRU Report 83, equation 3.6).
    prescription_Gy : float, optional
        What the structure was to get.
    V95_percent, V107_percent : float, optional
        Part of the volume with 95 % and 107 % of the prescription.
    conformity_rtog : float, optional
        Volume of the isodose over that of the structure (Shaw et al., Int. J. Radiat. Oncol.
        Biol. Phys. 27 (1993) 1231).
    conformity_paddick : float, optional
        (structure within the isodose)^2 / (structure x isodose volume) (Paddick, J. Neurosurg. 93 Suppl. 3
        (2000) 219).
    """

    volume_cm3: float
    mean_Gy: float
    minimum_Gy: float
    maximum_Gy: float
    D2_Gy: float
    D5_Gy: float
    D50_Gy: float
    D95_Gy: float
    D98_Gy: float
    homogeneity_D5_D95_percent: float
    homogeneity_icru83: float
    prescription_Gy: float | None = None
    V95_percent: float | None = None
    V107_percent: float | None = None
    conformity_rtog: float | None = None
    conformity_paddick: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Return all figures, as for JSON; what cannot be had is None."""
        return {name: finite_or_none(value) for name, value in asdict(self).items()}

    def results(self, name: str = "") -> tuple[Result, ...]:
        """Return all figures but the prescription as results; `name`, of the structure, begins their names.

        Coverage and conformity are among them only if there is a prescription.
        """
        what = f"{name}: " if name else ""
        return tuple(
            Result(name=what + stem.replace("_", " "), value=finite_or_none(value), unit=unit)
            for field, value in asdict(self).items()
            if field != "prescription_Gy" and (value is not None or field not in OPTIONAL)
            for stem, unit in [_without_unit(field)]
        )


def dose_statistics(
    dose: DoseGrid,
    mask: ArrayLike,
    *,
    prescription_Gy: float | None = None,
    isodose_percent: float = 95.0,
    name: str = "structure",
    outside_cm3: float = 0.0,
) -> DoseStatistics:
    """Compute the dose statistics of a structure.

    Parameters
    ----------
    dose : DoseGrid
    mask : array_like, shape (nz, ny, nx)
        Part of each voxel that lies in the structure, 0 to 1.
    prescription_Gy : float, optional
        What the structure was to get; without, nothing is said about coverage and conformity.
    isodose_percent : float
        Isodose for the conformity, in percent of the prescription; whole voxels count.
    name : str
        For messages.
    outside_cm3 : float
        As of `dvh`.

    Returns
    -------
    DoseStatistics

    Raises
    ------
    DoseError
        As `dvh`, or if the prescription is not above 0.
    """
    if prescription_Gy is not None and not (math.isfinite(prescription_Gy) and prescription_Gy > 0.0):
        raise DoseError(
            f"dose statistics of {name}: the prescription is {prescription_Gy:g} Gy; give one > 0"
        )
    curve = dvh(dose, mask, name, outside_cm3=outside_cm3)
    at_Gy = {percent: curve.dose_at_percent_Gy(percent) for percent in (2, 5, 50, 95, 98)}
    norm_Gy = curve.mean_Gy if prescription_Gy is None else prescription_Gy
    with np.errstate(invalid="ignore", divide="ignore"):
        homogeneity_percent = float(100.0 * np.divide(at_Gy[5] - at_Gy[95], norm_Gy))
        homogeneity_icru83 = float(np.divide(at_Gy[2] - at_Gy[98], at_Gy[50]))
    coverage: dict[str, float] = {}
    if prescription_Gy is not None:
        isodose_Gy = isodose_percent / 100.0 * prescription_Gy
        voxels = dose.dose_Gy >= isodose_Gy
        isodose_cm3 = int(voxels.sum()) * dose.grid.voxel_cm3
        common_cm3 = float(part_of_voxels(dose, mask, name)[voxels].sum()) * dose.grid.voxel_cm3
        coverage = {
            "prescription_Gy": prescription_Gy,
            "V95_percent": float(curve.volume_at_percent(0.95 * prescription_Gy)),
            "V107_percent": float(curve.volume_at_percent(1.07 * prescription_Gy)),
            "conformity_rtog": isodose_cm3 / curve.total_cm3,
            "conformity_paddick": common_cm3**2 / (curve.total_cm3 * isodose_cm3) if isodose_cm3 else 0.0,
        }
    return DoseStatistics(
        volume_cm3=curve.total_cm3,
        mean_Gy=curve.mean_Gy,
        minimum_Gy=curve.minimum_Gy,
        maximum_Gy=curve.maximum_Gy,
        D2_Gy=at_Gy[2],
        D5_Gy=at_Gy[5],
        D50_Gy=at_Gy[50],
        D95_Gy=at_Gy[95],
        D98_Gy=at_Gy[98],
        homogeneity_D5_D95_percent=homogeneity_percent,
        homogeneity_icru83=homogeneity_icru83,
        **coverage,
    )


OPTIONAL = ("V95_percent", "V107_percent", "conformity_rtog", "conformity_paddick")
"""Statistics that need a prescription."""


def _without_unit(field: str) -> tuple[str, str]:
    """Name of a statistic, and the unit that it ends in."""
    stem, _, unit = field.rpartition("_")
    return (stem, unit) if unit in {"Gy", "cm3", "percent"} else (field, "")
