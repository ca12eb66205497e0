"""The gamma index: how far two dose distributions are apart, in dose and distance at once.

Gamma of a reference point is the least, over all points of the evaluated distribution, of
``sqrt((difference of dose / accepted difference)^2 + (distance / accepted distance)^2)``: Low et al., Med.
Phys. 25 (1998) 656, equations 4 to 7.  Here the evaluated dose is trilinear between its points, and the least
value is exact to `TOLERANCE` (see `spotline.dose.evaluation.gamma_search`).
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotline.dose.evaluation.gamma_box import TOLERANCE
from spotline.dose.evaluation.gamma_search import STACK_BOXES, Criteria, Evaluated, search_points
from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError
from spotline.measurement import Limits, Result, finite_or_none

__all__ = ["TOLERANCE", "GammaResult", "LEAST_COMPARED_percent", "Required", "gamma_index", "is_inside"]

CHUNKS_PER_THREAD = 32
"""Threads take the reference in pieces, so that none waits long for another."""
POSITION_TOLERANCE = 1e-6
"""A point so many voxels outside of a grid is on its edge."""
LEAST_COMPARED_percent = 95.0
"""A pass rate of fewer of the points with enough dose says nothing of the rest, so it passes no test."""


@dataclass(frozen=True, slots=True, eq=False)
class GammaResult:
    """Gamma of the points of a reference distribution, and what was asked for.

    Attributes
    ----------
    gamma : ndarray of float32, shape (nz, ny, nx)
        On the reference grid; not a number where nothing was compared.
    dose_percent, distance_mm : float
        Criteria.
    local : bool
        Whether `dose_percent` is of the dose of each point, not of the normalisation.
    normalisation_Gy : float
        100 % for the cut-off, and for the global criterion.
    lower_cutoff_percent : float
    maximum_gamma : float
        Larger values are given as this one.
    compared, below_cutoff, outside : int
        Points that were compared, that have too little dose, and that have enough but lie outside the
        evaluated grid.
    passed : int
        Compared points with gamma up to 1 (and the `TOLERANCE` of the search).
    mean, largest : float
        Of the compared points; not a number if there are none.
    """

    gamma: NDArray[np.float32]
    dose_percent: float
    distance_mm: float
    local: bool
    normalisation_Gy: float
    lower_cutoff_percent: float
    maximum_gamma: float
    compared: int
    below_cutoff: int
    outside: int
    passed: int
    mean: float
    largest: float

    @property
    def pass_rate(self) -> float:
        """Part of the compared points that passed, 0 to 1."""
        return self.passed / self.compared

    @property
    def compared_share(self) -> float:
        """Part of the reference points with enough dose that were compared, 0 to 1."""
        return self.compared / (self.compared + self.outside)

    @property
    def name(self) -> str:
        """The criteria as they are usually written."""
        return f"{self.dose_percent:g} %/{self.distance_mm:g} mm {'local' if self.local else 'global'}"

    def as_dict(self) -> dict[str, float | int | bool]:
        """Return all but the map, as for JSON."""
        return {
            "dose_percent": self.dose_percent,
            "distance_mm": self.distance_mm,
            "local": self.local,
            "normalisation_Gy": self.normalisation_Gy,
            "lower_cutoff_percent": self.lower_cutoff_percent,
            "maximum_gamma": self.maximum_gamma,
            "pass_percent": 100.0 * self.pass_rate,
            "mean_gamma": self.mean,
            "largest_gamma": self.largest,
            "compared_percent": 100.0 * self.compared_share,
            "compared": self.compared,
            "passed": self.passed,
            "below_cutoff": self.below_cutoff,
            "outside": self.outside,
        }

    def results(
        self, name: str = "", *, compared_percent: float = LEAST_COMPARED_percent
    ) -> tuple[Result, ...]:
        """Return the share compared, pass rate, mean and largest value as results.

        Parameters
        ----------
        name : str
            Begins their names.
        compared_percent : float
            Least share of the points that has to be compared: the tolerance of that result, without which
            the others say nothing of the whole.
        """
        what = f"{name}, gamma {self.name}" if name else f"gamma {self.name}"
        return (
            Result(
                name=f"{what}: compared",
                value=100.0 * self.compared_share,
                unit="percent",
                tolerance=Limits(low=compared_percent),
            ),
            Result(name=f"{what}: pass rate", value=100.0 * self.pass_rate, unit="percent"),
            Result(name=f"{what}: mean", value=finite_or_none(self.mean)),
            Result(name=f"{what}: largest", value=finite_or_none(self.largest)),
        )


@dataclass(frozen=True, slots=True)
class Required:
    """What a gamma index has to reach.

    Attributes
    ----------
    pass_percent : float
        Least part of the compared points with gamma up to 1.
    compared_percent : float
        Least part of the reference points above the cut-off that were compared.
    """

    pass_percent: float = 95.0
    compared_percent: float = LEAST_COMPARED_percent

    def is_compared(self, found: GammaResult) -> bool:
        """Tell whether enough points were compared for the pass rate to mean anything."""
        return 100.0 * found.compared_share >= self.compared_percent

    def by(self, found: GammaResult) -> bool:
        """Tell whether enough points were compared, and enough of those pass."""
        return self.is_compared(found) and 100.0 * found.pass_rate >= self.pass_percent

    def in_words(self, found: GammaResult) -> str:
        """Say what was found, and what is asked for."""
        above = found.compared + found.outside
        said = (
            f"{100.0 * found.pass_rate:.2f} % of {found.compared} points pass {found.name} (at least "
            f"{self.pass_percent:g} % asked for)"
        )
        if not found.outside:
            return said
        return (
            f"{said}; {100.0 * found.compared_share:.2f} % of {above} points are compared (at least "
            f"{self.compared_percent:g} % asked for)"
        )


def gamma_index(
    reference: DoseGrid,
    evaluated: DoseGrid,
    *,
    dose_percent: float,
    distance_mm: float,
    local: bool = False,
    lower_cutoff_percent: float = 10.0,
    maximum_gamma: float = 2.0,
    normalisation_Gy: float | None = None,
    threads: int | None = None,
) -> GammaResult:
    """Compare two dose distributions by their gamma index.

    Grids of one voxel along an axis make it two- or one-dimensional; both must lie in one plane then.

    Parameters
    ----------
    reference : DoseGrid
        Every point of it with enough dose, and within the evaluated grid, gets a gamma.
    evaluated : DoseGrid
        Is interpolated and searched.
    dose_percent, distance_mm : float
        Criteria.
    local : bool
        Take `dose_percent` of the reference dose of each point instead of the normalisation.
    lower_cutoff_percent : float
        Reference points with less dose, in percent of the normalisation, are left out.
    maximum_gamma : float
        Values are not searched for beyond it.
    normalisation_Gy : float, optional
        By default the largest reference dose.
    threads : int, optional
        By default as many as there are processors. The result does not depend on it.

    Returns
    -------
    GammaResult

    Raises
    ------
    DoseError
        If a criterion cannot be, the two doses are of different kind, or there is no point to compare.
    """
    for name, value in (
        ("dose_percent", dose_percent),
        ("distance_mm", distance_mm),
        ("maximum_gamma", maximum_gamma),
    ):
        if not (np.isfinite(value) and value > 0.0):
            raise DoseError(f"gamma: {name} is {value:g}; it must be a number above 0")
    if maximum_gamma < 1.0:
        raise DoseError(f"gamma: maximum_gamma is {maximum_gamma:g}; below 1 nothing could fail")
    if not 0.0 <= lower_cutoff_percent < np.inf:
        raise DoseError(f"gamma: lower_cutoff_percent is {lower_cutoff_percent:g}; it must be 0 or more")
    if local and lower_cutoff_percent == 0.0:
        raise DoseError(
            "gamma: a local criterion without cut-off divides by doses of 0; give a lower_cutoff_percent > 0"
        )
    check_comparable(reference, evaluated)
    normalisation_Gy = normalisation_of(reference, normalisation_Gy, "gamma")

    is_high = reference.dose_Gy >= lower_cutoff_percent / 100.0 * normalisation_Gy
    is_compared = is_high & is_inside(reference.grid, evaluated.grid)
    compared, high = int(is_compared.sum()), int(is_high.sum())
    if not high:
        raise DoseError(
            "gamma: no point to compare: no reference dose reaches the cut-off, "
            f"{lower_cutoff_percent:g} % of {normalisation_Gy:g} Gy; lower it"
        )
    if not compared:
        raise DoseError(
            f"gamma: no point to compare: all {high} reference points above the cut-off lie outside the "
            "evaluated grid; check that both are of one patient and frame of reference"
        )
    criteria = Criteria(
        fraction=dose_percent / 100.0,
        normalisation_Gy=0.0 if local else normalisation_Gy,
        distance_mm=float(distance_mm),
        maximum=float(maximum_gamma),
    )
    gamma = _search(reference, evaluated, is_compared, criteria, threads or os.cpu_count() or 1)
    values = gamma[is_compared]
    return GammaResult(
        gamma=gamma,
        dose_percent=float(dose_percent),
        distance_mm=float(distance_mm),
        local=local,
        normalisation_Gy=normalisation_Gy,
        lower_cutoff_percent=float(lower_cutoff_percent),
        maximum_gamma=float(maximum_gamma),
        compared=compared,
        below_cutoff=int(is_high.size) - high,
        outside=high - compared,
        passed=int((values <= 1.0 + TOLERANCE).sum()),
        mean=float(values.mean(dtype=float)),
        largest=float(values.max()),
    )


def check_comparable(reference: DoseGrid, evaluated: DoseGrid) -> None:
    """Refuse two distributions that cannot be held against each other.

    Raises
    ------
    DoseError
        If one is physical and the other weighted by effect.
    """
    if reference.kind != evaluated.kind:
        raise DoseError(
            f"the reference is {reference.kind} dose, the other {evaluated.kind}; compare like with like"
        )


def normalisation_of(reference: DoseGrid, given_Gy: float | None, what: str) -> float:
    """Return the dose that percentages are of: the one that was given, or the largest of the reference.

    Parameters
    ----------
    reference : DoseGrid
    given_Gy : float or None
    what : str
        Begins the message.

    Raises
    ------
    DoseError
        If it is no dose above 0.
    """
    dose_Gy = float(reference.dose_Gy.max()) if given_Gy is None else given_Gy
    if not (math.isfinite(dose_Gy) and dose_Gy > 0.0):
        raise DoseError(
            f"{what}: the normalisation is {dose_Gy:g} Gy; the reference needs dose, or give another"
        )
    return dose_Gy


def is_inside(reference: Grid, evaluated: Grid) -> NDArray[np.bool_]:
    """Tell which voxels of one grid have their centre between those of another.

    Returns
    -------
    ndarray of bool, shape (nz, ny, nx)
        Of the reference; it cannot be written to.
    """
    inside = []
    for axis in (2, 1, 0):
        own_mm = (reference.x_mm, reference.y_mm, reference.z_mm)[axis]
        other_mm = (evaluated.x_mm, evaluated.y_mm, evaluated.z_mm)[axis]
        slack_mm = POSITION_TOLERANCE * evaluated.spacing_mm[axis]
        inside.append((own_mm >= other_mm[0] - slack_mm) & (own_mm <= other_mm[-1] + slack_mm))
    z, y, x = inside
    return np.asarray(z[:, None, None] & y[:, None] & x)


def _search(
    reference: DoseGrid,
    evaluated: DoseGrid,
    is_compared: NDArray[np.bool_],
    criteria: Criteria,
    threads: int,
) -> NDArray[np.float32]:
    """Return the map of gamma, from all threads."""
    searched = Evaluated(
        np.ascontiguousarray(evaluated.dose_Gy, dtype=np.float32),
        np.array(evaluated.grid.origin_mm[::-1], dtype=float),
        np.array(evaluated.grid.spacing_mm[::-1], dtype=float),
    )
    dose_Gy = np.ascontiguousarray(reference.dose_Gy, dtype=np.float32).ravel()
    wanted = np.ascontiguousarray(is_compared).ravel()
    grid = reference.grid
    axes_mm = (grid.z_mm, grid.y_mm, grid.x_mm)
    gamma = np.full(dose_Gy.size, np.nan, dtype=np.float32)
    # Threads get rows with equally many points, not voxels: most of these have no dose.
    nx = reference.grid.shape[2]
    points = np.cumsum(wanted.reshape(-1, nx).sum(axis=1))
    parts = min(threads * CHUNKS_PER_THREAD, len(points))
    bounds = nx * np.searchsorted(points, np.linspace(0, points[-1], parts + 1))
    bounds[-1] = dose_Gy.size

    def run(part: int) -> None:
        search_points(
            int(bounds[part]),
            int(bounds[part + 1]),
            wanted,
            dose_Gy,
            *axes_mm,
            searched,
            criteria,
            np.empty((STACK_BOXES, 6)),
            gamma,
        )

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(run, range(parts)):
            pass
    return gamma.reshape(reference.dose_Gy.shape)
