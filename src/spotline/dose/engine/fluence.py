"""Spots of a layer as maps of fluence, one for each of some widths.

Scattering in the patient widens all spots of a layer alike, by a width that depends on the depth.  Instead of
a Gaussian per spot and voxel, all spots are drawn once for each of some widths, and a voxel looks up the two
that enclose its own.  The maps lie in the plane of the isocentre, along the rays of the scanned beam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spotline.arrays import Float32s, Floats, Integers
from spotline.errors import DoseError
from spotline.jit import kernel

LOG_RATIO = 2.0 * math.log(1.07)
"""Logarithm of the ratio of the variances of two maps that follow each other."""
STEPS_PER_SIGMA = 4.0
REACH_SIGMAS = 5.0
"""A spot is drawn so far; 4e-6 of it lies beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Spots of one energy, as a beam without the patient would have them in the plane of the isocentre.

    Attributes
    ----------
    x_mm, y_mm : ndarray, shape (n,)
        Centres.
    particles : ndarray, shape (n,)
    sigma_x_mm, sigma_y_mm : ndarray, shape (n,)
        Standard deviations.
    """

    x_mm: Floats
    y_mm: Floats
    particles: Floats
    sigma_x_mm: Floats
    sigma_y_mm: Floats


class Maps(NamedTuple):
    """Fluence at some widths.

    Attributes
    ----------
    values : ndarray of float32, shape (total,)
        Particles per mm2, map after map, each row by row (y).
    first : ndarray of int, shape (n,)
        Where each map begins.
    columns, rows : ndarray of int, shape (n,)
        Points of each map in x and y.
    x_mm, y_mm, per_mm : ndarray, shape (n,)
        First point, and points per mm.
    """

    values: Float32s
    first: Integers
    columns: Integers
    rows: Integers
    x_mm: Floats
    y_mm: Floats
    per_mm: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Widths:
    """Which widths are drawn: the variance that is added to that of each spot grows by the same factor.

    Attributes
    ----------
    base_mm2 : float
        Mean variance of the spots themselves.
    lowest_mm2 : float
        Total variance (of the spots and what is added) of the first map.
    number : int
        Of maps.
    """

    base_mm2: float
    lowest_mm2: float
    number: int

    def place(self, added_mm2: Floats) -> Floats:
        """Number of the map with an added variance, with a fraction; within the maps there are."""
        total = np.maximum(self.base_mm2 + added_mm2, self.lowest_mm2)
        place: Floats = np.log(total / self.lowest_mm2) / LOG_RATIO
        return np.minimum(place, self.number - 1.0)

    @property
    def added_mm2(self) -> Floats:
        """Variance that each map adds; shape (number,)."""
        added: Floats = self.lowest_mm2 * np.exp(LOG_RATIO * np.arange(self.number)) - self.base_mm2
        return added


def widths_for(spots: Spots, least_added_mm2: float, most_added_mm2: float) -> Widths:
    """Choose the maps for spots to which variances between two bounds are added.

    Raises
    ------
    DoseError
        If the spots have no width.
    """
    x2, y2 = spots.sigma_x_mm**2, spots.sigma_y_mm**2
    smallest = min(x2.min(), y2.min()) + least_added_mm2
    if not smallest > 0.0:
        raise DoseError(
            f"spots: the smallest standard deviation, less what is taken off, is {smallest:g} mm2; spot "
            "sizes must be above 0"
        )
    base = 0.5 * float(np.mean(x2 + y2))
    lowest = base + least_added_mm2
    number = 2 + math.ceil(math.log((base + most_added_mm2) / lowest) / LOG_RATIO)
    return Widths(base, lowest, number)


def empty_maps(spots: Spots, widths: Widths) -> Maps:
    """Lay out the maps that hold all spots, without the spots."""
    smallest = np.minimum(spots.sigma_x_mm, spots.sigma_y_mm).min() ** 2
    sharpest = np.sqrt(np.maximum(smallest + widths.added_mm2, 0.25 * smallest))
    widest = np.sqrt(np.maximum(spots.sigma_x_mm, spots.sigma_y_mm).max() ** 2 + widths.added_mm2)
    step_mm = sharpest / STEPS_PER_SIGMA
    reach_mm = REACH_SIGMAS * widest + step_mm
    low_x, low_y = spots.x_mm.min() - reach_mm, spots.y_mm.min() - reach_mm
    columns = np.ceil((spots.x_mm.max() + reach_mm - low_x) / step_mm).astype(np.int64) + 1
    rows = np.ceil((spots.y_mm.max() + reach_mm - low_y) / step_mm).astype(np.int64) + 1
    ends = np.cumsum(columns * rows)
    first = np.concatenate([[0], ends[:-1]])
    values = np.zeros(int(ends[-1]), dtype=np.float32)
    return Maps(values, first, columns, rows, low_x, low_y, 1.0 / step_mm)


@kernel
def gaussian_steps(scale: float, start: float) -> tuple[float, float, float]:
    """Begin ``exp(-scale u^2)`` at ``u = start, start + 1, ...`` without an exponential for each.

    Returns the first value, the factor to the second, and the factor from one factor to the next.
    """
    first = math.exp(-scale * start * start)
    return first, math.exp(-scale * (2.0 * start + 1.0)), math.exp(-2.0 * scale)


@kernel
def draw_spots(
    maps: Maps,
    level: int,
    added_mm2: float,
    x_mm: Floats,
    y_mm: Floats,
    particles: Floats,
    sigma_x_mm: Floats,
    sigma_y_mm: Floats,
    row: Floats,
) -> None:
    """Draw all spots on one map; `row` is room for a row of it.

    Reading a map between its points by straight lines widens it by a sixth of the square of their distance,
    which is taken off before.
    """
    values, first, columns = maps.values, maps.first[level], maps.columns[level]
    per_mm = maps.per_mm[level]
    blur = 1.0 / (6.0 * per_mm * per_mm)
    for spot in range(len(x_mm)):
        vx = sigma_x_mm[spot] * sigma_x_mm[spot] + added_mm2 - blur
        vy = sigma_y_mm[spot] * sigma_y_mm[spot] + added_mm2 - blur
        sx, sy = vx**0.5, vy**0.5
        at_x, at_y = (x_mm[spot] - maps.x_mm[level]) * per_mm, (y_mm[spot] - maps.y_mm[level]) * per_mm
        reach_x, reach_y = REACH_SIGMAS * sx * per_mm, REACH_SIGMAS * sy * per_mm
        low, high = max(0, int(at_x - reach_x) + 1), min(columns, int(at_x + reach_x) + 1)
        bottom, top = max(0, int(at_y - reach_y) + 1), min(maps.rows[level], int(at_y + reach_y) + 1)
        scale_x, scale_y = 0.5 / (vx * per_mm * per_mm), 0.5 / (vy * per_mm * per_mm)
        number = high - low
        value, factor, change = gaussian_steps(scale_x, low - at_x)
        for i in range(number):
            row[i] = value
            value *= factor
            factor *= change
        value, factor, change = gaussian_steps(scale_y, bottom - at_y)
        height = particles[spot] / (2.0 * math.pi * sx * sy)
        for j in range(bottom, top):
            weight = height * value
            value *= factor
            factor *= change
            # A slice, counted from 0, is what the compiler makes vector instructions of.
            start = first + j * columns + low
            line = values[start : start + number]
            for i in range(number):
                line[i] += weight * row[i]


@kernel
def read_map(maps: Maps, level: int, x_mm: float, y_mm: float) -> float:
    """Fluence of one map at a point, straight between four; 0 outside."""
    at_x = (x_mm - maps.x_mm[level]) * maps.per_mm[level]
    at_y = (y_mm - maps.y_mm[level]) * maps.per_mm[level]
    columns = maps.columns[level]
    if not (at_x >= 0.0 and at_y >= 0.0 and at_x < columns - 1 and at_y < maps.rows[level] - 1):
        return 0.0
    i, j = int(at_x), int(at_y)
    right, up = at_x - i, at_y - j
    start = maps.first[level] + j * columns + i
    values = maps.values
    lower = (1.0 - right) * values[start] + right * values[start + 1]
    upper = (1.0 - right) * values[start + columns] + right * values[start + columns + 1]
    return (1.0 - up) * lower + up * upper


@kernel
def read_between(maps: Maps, place: float, x_mm: float, y_mm: float) -> float:
    """Fluence between two maps.

    The share of the upper one is chosen so that the middle of a spot, which goes with the inverse of its
    variance, is exact to second order in the distance of the maps.
    """
    last = len(maps.first) - 1
    place = min(max(place, 0.0), float(last))
    level = min(int(place), last - 1)
    rest = place - level
    upper = rest + 0.5 * LOG_RATIO * rest * (1.0 - rest)
    return (1.0 - upper) * read_map(maps, level, x_mm, y_mm) + upper * read_map(maps, level + 1, x_mm, y_mm)
