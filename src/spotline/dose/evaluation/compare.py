"""Two dose distributions held against each other: differences, profiles and gamma.

The evaluated dose is interpolated (trilinearly) at the centres of the reference voxels.  What is said is
about the common points: reference voxels with enough dose whose centre lies between those of the evaluated
grid.  Differences are evaluated minus reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spotline.arrays import Float32s, Floats
from spotline.dose.evaluation.gamma import (
    GammaResult,
    LEAST_COMPARED_percent,
    check_comparable,
    gamma_index,
    is_inside,
    normalisation_of,
)
from spotline.dose.grid import DoseGrid, Point
from spotline.dose.sampling import resample, sample_points
from spotline.errors import DoseError
from spotline.measurement import Limits, Result, finite_or_none

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
OTHER_MAXIMUM = 0.1
"""Largest doses that differ by more than this part are told before anything else: more often than not the two
are of other fractions, fields or units, and no gamma says that."""
AXES = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class Criterion:
    """Criteria of a gamma index: the dose in percent, the distance, and of what the percent are."""

    dose_percent: float
    distance_mm: float
    local: bool = False


USUAL = (
    Criterion(3.0, 3.0),
    Criterion(3.0, 2.0),
    Criterion(2.0, 2.0),
    Criterion(1.0, 1.0),
    Criterion(3.0, 2.0, local=True),
)
"""What most often is asked for; 3 %/2 mm is that of AAPM TG-218 (Miften et al., Med. Phys. 45 (2018) e53)."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Both doses along a line.

    Attributes
    ----------
    axis : {"x", "y", "z"}
    through_mm : tuple of three floats
    place_mm : ndarray, shape (n,)
        Centres of the reference voxels along the axis.
    reference_Gy, evaluated_Gy : ndarray, shape (n,)
        Not a number outside of a grid.
    """

    axis: str
    through_mm: Point
    place_mm: Floats
    reference_Gy: Floats
    evaluated_Gy: Floats

    def as_dict(self) -> dict[str, Any]:
        """Return all, as for JSON."""
        return {
            "axis": self.axis,
            "through_mm": list(self.through_mm),
            "place_mm": self.place_mm.tolist(),
            "reference_Gy": _numbers(self.reference_Gy),
            "evaluated_Gy": _numbers(self.evaluated_Gy),
        }


OTHER_FRAME = "names another frame of reference; coordinates are taken to mean the same in both"
"""What a reader has to know of such a dose."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What two doses have in common, and what not.

    Attributes
    ----------
    evaluated_Gy, difference_Gy : ndarray of float32, shape (nz, ny, nx)
        Evaluated dose and difference on the reference grid; not a number outside of the evaluated grid.
    normalisation_Gy : float
        100 % for cut-off, percentages and global gamma.
    lower_cutoff_percent : float
    points : int
        Common points above the cut-off, which the figures are of.
    mean_Gy, rms_Gy, lowest_Gy, highest_Gy : float
        Of the difference.
    largest_at_mm : tuple of three floats
        Centre of the reference voxel with the largest difference, whatever its sign.
    maxima_Gy : tuple of two floats
        Largest dose of the reference and of the evaluated dose, each anywhere on its own grid.
    percentiles_Gy : dict of int to float
        Of the difference.
    gammas : tuple of GammaResult
    """

    evaluated_Gy: Float32s
    difference_Gy: Float32s
    normalisation_Gy: float
    lower_cutoff_percent: float
    points: int
    mean_Gy: float
    rms_Gy: float
    lowest_Gy: float
    highest_Gy: float
    largest_at_mm: Point
    maxima_Gy: tuple[float, float]
    percentiles_Gy: dict[int, float]
    gammas: tuple[GammaResult, ...]

    @property
    def largest_Gy(self) -> float:
        """Largest difference, whatever its sign."""
        return max(abs(self.lowest_Gy), abs(self.highest_Gy))

    @property
    def maxima_ratio(self) -> float:
        """Largest evaluated dose over the largest of the reference; infinite where that is 0."""
        reference_Gy, evaluated_Gy = self.maxima_Gy
        return evaluated_Gy / reference_Gy if reference_Gy > 0.0 else math.inf

    @property
    def other_maximum(self) -> str:
        """What to say first if the largest doses differ by more than `OTHER_MAXIMUM`; else empty."""
        if abs(self.maxima_ratio - 1.0) <= OTHER_MAXIMUM:
            return ""
        reference_Gy, evaluated_Gy = self.maxima_Gy
        return (
            f"the largest doses are not alike: {evaluated_Gy:.4g} Gy against {reference_Gy:.4g} Gy of the "
            f"reference (times {self.maxima_ratio:.3g}); check that both are of as many fractions, of the "
            "same fields and of the same kind"
        )

    @property
    def of_what(self) -> str:
        """Which points the figures of the difference are of, in words."""
        return (
            f"of the {self.points} points compared, with at least {self.lower_cutoff_percent:g} % of "
            f"{self.normalisation_Gy:.4g} Gy"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all but the maps, as for JSON."""
        to_percent = 100.0 / self.normalisation_Gy
        return {
            "normalisation_Gy": self.normalisation_Gy,
            "lower_cutoff_percent": self.lower_cutoff_percent,
            "points": self.points,
            "maxima_Gy": list(self.maxima_Gy),
            "maxima_ratio": finite_or_none(self.maxima_ratio),
            "difference": {
                "mean_Gy": self.mean_Gy,
                "rms_Gy": self.rms_Gy,
                "lowest_Gy": self.lowest_Gy,
                "highest_Gy": self.highest_Gy,
                "largest_Gy": self.largest_Gy,
                "largest_at_mm": list(self.largest_at_mm),
                "mean_percent": self.mean_Gy * to_percent,
                "rms_percent": self.rms_Gy * to_percent,
                "largest_percent": self.largest_Gy * to_percent,
                "percentiles_Gy": {str(p): value for p, value in self.percentiles_Gy.items()},
            },
            "gamma": [gamma.as_dict() for gamma in self.gammas],
        }

    def results(
        self, name: str = "", *, compared_percent: float = LEAST_COMPARED_percent
    ) -> tuple[Result, ...]:
        """Return the largest dose, differences in Gy and in percent of the normalisation, and all gammas.

        The largest evaluated dose comes first, against that of the reference, to within `OTHER_MAXIMUM`.

        Parameters
        ----------
        name : str
            Begins the names, if there is more than one comparison.
        compared_percent : float
            As in `GammaResult.results`.
        """
        what = f"{name}, difference" if name else "difference"
        in_Gy = {
            "mean": self.mean_Gy,
            "rms": self.rms_Gy,
            "lowest": self.lowest_Gy,
            "highest": self.highest_Gy,
            **{f"percentile {percent}": value for percent, value in self.percentiles_Gy.items()},
        }
        to_percent = 100.0 / self.normalisation_Gy
        in_percent = {"mean": self.mean_Gy, "rms": self.rms_Gy, "largest": self.largest_Gy}
        reference_Gy, evaluated_Gy = self.maxima_Gy
        return (
            Result(
                name=f"{name}, largest dose" if name else "largest dose",
                value=evaluated_Gy,
                unit="Gy",
                reference=reference_Gy,
                tolerance=Limits.within(percent=100.0 * OTHER_MAXIMUM),
            ),
            *(Result(name=f"{what}: {of}", value=value, unit="Gy") for of, value in in_Gy.items()),
            *(
                Result(name=f"{what}: {of}, relative", value=value * to_percent, unit="percent")
                for of, value in in_percent.items()
            ),
            *(
                result
                for gamma in self.gammas
                for result in gamma.results(name, compared_percent=compared_percent)
            ),
        )


def compare_doses(
    reference: DoseGrid,
    evaluated: DoseGrid,
    *,
    criteria: Sequence[Criterion] = USUAL,
    lower_cutoff_percent: float = 10.0,
    maximum_gamma: float = 2.0,
    normalisation_Gy: float | None = None,
    threads: int | None = None,
) -> Comparison:
    """Compare two dose distributions.

    Parameters
    ----------
    reference, evaluated : DoseGrid
    criteria : sequence of Criterion
        Of the gamma indices; may be empty.
    lower_cutoff_percent : float
        Reference voxels with less dose, in percent of the normalisation, are left out.
    maximum_gamma : float
        As in `gamma_index`.
    normalisation_Gy : float, optional
        By default the largest reference dose.
    threads : int, optional
        By default as many as there are processors.

    Returns
    -------
    Comparison

    Raises
    ------
    DoseError
        If the grids have nothing in common, the kinds of dose differ, or a criterion cannot be.
    """
    check_comparable(reference, evaluated)
    normalisation_Gy = normalisation_of(reference, normalisation_Gy, "comparison")
    evaluated_Gy = resample(
        evaluated.dose_Gy, evaluated.grid, reference.grid, outside=math.nan, what="evaluated dose"
    )
    # As for gamma, nothing is said beyond the outermost centres.
    evaluated_Gy[~is_inside(reference.grid, evaluated.grid)] = math.nan
    difference_Gy = evaluated_Gy - reference.dose_Gy
    is_common = reference.dose_Gy >= lower_cutoff_percent / 100.0 * normalisation_Gy
    is_common &= np.isfinite(difference_Gy)
    values = difference_Gy[is_common].astype(float)
    if not len(values):
        raise DoseError(
            "comparison: no reference voxel above the cut-off lies within the evaluated grid; check that "
            "both are of one patient and frame of reference, or lower the cut-off"
        )
    largest = int(np.argmax(np.abs(np.where(is_common, difference_Gy, 0.0))))
    k, j, i = (int(index) for index in np.unravel_index(largest, difference_Gy.shape))
    grid = reference.grid
    return Comparison(
        evaluated_Gy=evaluated_Gy,
        difference_Gy=difference_Gy,
        normalisation_Gy=normalisation_Gy,
        lower_cutoff_percent=float(lower_cutoff_percent),
        points=len(values),
        mean_Gy=float(values.mean()),
        rms_Gy=float(np.sqrt(np.mean(values**2))),
        lowest_Gy=float(values.min()),
        highest_Gy=float(values.max()),
        largest_at_mm=(float(grid.x_mm[i]), float(grid.y_mm[j]), float(grid.z_mm[k])),
        maxima_Gy=(float(reference.dose_Gy.max()), float(evaluated.dose_Gy.max())),
        percentiles_Gy=dict(zip(PERCENTILES, np.percentile(values, PERCENTILES).tolist(), strict=True)),
        gammas=tuple(
            gamma_index(
                reference,
                evaluated,
                dose_percent=criterion.dose_percent,
                distance_mm=criterion.distance_mm,
                local=criterion.local,
                lower_cutoff_percent=lower_cutoff_percent,
                maximum_gamma=maximum_gamma,
                normalisation_Gy=normalisation_Gy,
                threads=threads,
            )
            for criterion in criteria
        ),
    )


def profiles(reference: DoseGrid, evaluated: DoseGrid, through_mm: Point) -> tuple[Profile, Profile, Profile]:
    """Take both doses along x, y and z through a point.

    Parameters
    ----------
    reference, evaluated : DoseGrid
    through_mm : tuple of three floats
        x, y and z, within the reference grid.

    Returns
    -------
    tuple of Profile
        Along x, along y and along z.

    Raises
    ------
    DoseError
        If the point lies outside of the reference grid.
    """
    grid = reference.grid
    if not bool(grid.contains(through_mm)):
        raise DoseError(
            f"profiles: {tuple(through_mm)} mm lies outside of the reference grid, from {grid.lower_mm} to "
            f"{grid.upper_mm} mm"
        )

    def along(axis: int) -> Profile:
        place_mm = (grid.x_mm, grid.y_mm, grid.z_mm)[axis]
        points_mm = np.tile(np.asarray(through_mm, dtype=float), (len(place_mm), 1))
        points_mm[:, axis] = place_mm
        return Profile(
            AXES[axis],
            (float(through_mm[0]), float(through_mm[1]), float(through_mm[2])),
            place_mm,
            sample_points(reference.dose_Gy, grid, points_mm),
            sample_points(evaluated.dose_Gy, evaluated.grid, points_mm),
        )

    return along(0), along(1), along(2)


def hottest_mm(dose: DoseGrid) -> Point:
    """Find the middle of what has at least 95 % of the largest dose: a place to look at first."""
    high = np.argwhere(dose.dose_Gy >= 0.95 * dose.dose_Gy.max())
    k, j, i = high[np.abs(high - high.mean(axis=0)).sum(axis=1).argmin()]
    return float(dose.grid.x_mm[i]), float(dose.grid.y_mm[j]), float(dose.grid.z_mm[k])


def _numbers(values: Floats) -> list[float | None]:
    """JSON has no word for what is not a number."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
