"""The delivery path: in which order the spots of a layer are scanned."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from spotline.arrays import Floats, Integers
from spotline.moves import Moves, move_times_us, transit_time_us
from spotline.treatment import tour as kernels

NEIGHBOURS = 8
"""Around each spot, that it may be joined to."""
KICKS, KICKS_PER_SPOT, KICKS_PER_SPOT_AGAIN = 100, 2.0, 0.5
"""Effort of the first search and of each one after it: counts, not times, so that the same spots always
lead to the same path."""
SEED = 1

GENTLENESS = (0.02, 0.1, 0.2, 0.5, 2.0)
"""Price of a mm of way, in parts of the time that the slower magnet takes to slew by it.

The first is what breaks ties: of the moves that take the slower axis equally long, one with less of the
other axis.  The others are tried when the fastest path is a longer way than the given one.
"""
GRID_mm = 1e-3
"""Spots closer together are at one place, and rows in one line."""
STRETCH_STEPS = 64
"""Parts of one in which the neighbourhood of a spot knows how much slower one magnet is than the other."""
ROUNDING = 1e-9
"""Two figures that differ by a smaller part are equal: their last digits are another processor's choice."""


class Jumps(NamedTuple):
    """When the beam is switched off between two spots because of their distance, and what that costs."""

    threshold_mm: float
    cost_us: float  # beyond the move itself


class PathLength(NamedTuple):
    """What a path costs."""

    time_us: float  # all moves, the beam-off jumps included
    travel_mm: float
    jumps: int


def measure_path(x_iso_mm: Floats, y_iso_mm: Floats, moves: Moves, jumps: Jumps) -> PathLength:
    """Measure the path through positions in delivery order, both of shape (n,)."""
    distance_mm = np.hypot(np.diff(x_iso_mm), np.diff(y_iso_mm))
    n_jumps = int((distance_mm > jumps.threshold_mm).sum())
    # Exact sums, so that two paths of the same moves are equally long.
    time_us = math.fsum(move_times_us(x_iso_mm, y_iso_mm, moves)) + n_jumps * jumps.cost_us
    return PathLength(time_us, math.fsum(distance_mm), n_jumps)


def shortest_path(
    x_iso_mm: Floats, y_iso_mm: Floats, moves: Moves, jumps: Jumps, *, effort: float = 1.0
) -> Integers:
    """Find the order in which spots are scanned fastest.

    The path may begin and end anywhere.  It is not proven to be the best, but it is never worse than the
    given one: neither its time, nor its travel, nor its number of beam-off jumps is larger.

    Parameters
    ----------
    x_iso_mm, y_iso_mm : ndarray of shape (n,)
        Positions at the isocentre, in the given order.
    moves : Moves
        The magnets.
    jumps : Jumps
        Beam-off jumps.
    effort : float
        How long to search, relative to what is usual; the result depends on nothing else.

    Returns
    -------
    ndarray of int of shape (n,)
        Indices of the spots in the order found; 0, 1, 2, ... if it is not better than the given one.
    """
    given = np.arange(len(x_iso_mm))
    if len(given) < 3:
        return given
    # Spots at one place are visited together, in the given order.
    cells = np.rint(np.column_stack([x_iso_mm, y_iso_mm]) / GRID_mm)
    _, first, place_of = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    x_mm, y_mm = x_iso_mm[first], y_iso_mm[first]
    old = measure_path(x_iso_mm, y_iso_mm, moves, jumps)
    for places in _good_orders(x_mm, y_mm, np.argsort(first), moves, jumps, effort):
        rank = np.empty(len(places), np.int64)
        rank[places] = np.arange(len(places))
        order = np.argsort(rank[place_of.ravel()], kind="stable")
        if order[0] > order[-1]:  # begin at the end that comes first in the plan
            order = np.argsort(-rank[place_of.ravel()], kind="stable")
        new = measure_path(x_iso_mm[order], y_iso_mm[order], moves, jumps)
        if _is_better(new, old):
            return order
        if not _is_shorter(new.time_us, old.time_us):
            break  # more regard to the way makes it no faster
    return given


def _is_shorter(new: float, old: float) -> bool:
    return new < old * (1.0 - ROUNDING)


def _is_better(new: PathLength, old: PathLength) -> bool:
    """Whether a path is shorter in time or travel, and longer in nothing."""
    shorter = _is_shorter(new.time_us, old.time_us) or _is_shorter(new.travel_mm, old.travel_mm)
    return shorter and not any(map(exceeds, new, old))


def exceeds(new: float, old: float) -> bool:
    """Whether a length or a time is larger than another, beyond rounding."""
    return new > old * (1.0 + ROUNDING)


def _good_orders(
    x_mm: Floats, y_mm: Floats, given: Integers, moves: Moves, jumps: Jumps, effort: float
) -> Iterator[Integers]:
    """Search, each time with more regard to the way; positions of shape (n,), all different."""
    n = len(x_mm)
    if n < 3:
        yield given
        return
    starts, per_spot = [given, *_serpentines(x_mm, y_mm)], KICKS_PER_SPOT
    for gentleness in GENTLENESS:
        spots = make_spots(x_mm, y_mm, moves, jumps, gentleness)
        found = search_path(spots, starts, round((KICKS + per_spot * n) * effort))
        yield found
        starts, per_spot = [given, found], KICKS_PER_SPOT_AGAIN


def make_spots(
    x_mm: Floats, y_mm: Floats, moves: Moves, jumps: Jumps, gentleness: float = GENTLENESS[0]
) -> kernels.Spots:
    """Say for the compiled search what is to be visited; positions of shape (n,), n >= 2, all different."""
    n = len(x_mm)
    k = min(NEIGHBOURS, n - 1)
    x_us_per_mm = moves.x.A_per_mm / moves.x.slew_A_per_us
    y_us_per_mm = moves.y.A_per_mm / moves.y.slew_A_per_us
    near = _neighbours(x_mm, y_mm, x_us_per_mm / y_us_per_mm, k)
    gentle_us_per_mm = gentleness * max(x_us_per_mm, y_us_per_mm)
    width_mm, height_mm = float(np.ptp(x_mm)), float(np.ptp(y_mm))
    longest_us = transit_time_us(width_mm, moves.x) + transit_time_us(height_mm, moves.y) + jumps.cost_us
    spots = kernels.Spots(
        x_mm=x_mm,
        y_mm=y_mm,
        near=near,
        near_us=np.zeros((n, k)),
        moves=moves,
        threshold_mm=float(jumps.threshold_mm),
        jump_us=float(jumps.cost_us),
        gentle_us_per_mm=gentle_us_per_mm,
        gap_us=longest_us + gentle_us_per_mm * math.hypot(width_mm, height_mm),
    )
    kernels.sort_neighbours(spots)
    return spots


def _neighbours(x_mm: Floats, y_mm: Floats, stretch: float, k: int) -> Integers:
    """The `k` other positions nearest to each, in order; x counts `stretch` times as much as y.

    On a grid many are equally near, and which of them are taken decides on the path.  So that it is not
    rounding that does, distances are those of whole numbers, and equal ones follow the order of the spots.
    """
    columns = np.rint(x_mm / GRID_mm) * round(stretch * STRETCH_STEPS)
    rows = np.rint(y_mm / GRID_mm) * STRETCH_STEPS
    places = np.column_stack([columns, rows])
    n = len(places)
    # So many more that those equally near as the last one are among them.
    _, near = cKDTree(places).query(places, k=min(2 * k + 1, n))
    squares = ((places[near] - places[:, None, :]) ** 2).sum(axis=2)
    squares[near == np.arange(n)[:, None]] = -1.0  # the spot itself comes first
    near = np.take_along_axis(near, np.lexsort((near, squares)), axis=1)
    return np.ascontiguousarray(near[:, 1 : k + 1], dtype=np.int64)


def search_path(spots: kernels.Spots, starts: list[Integers], kicks: int, seed: int = SEED) -> Integers:
    """Improve each start as far as single moves do, then search on from the best; the order found.

    `kicks` is how often to kick, `seed` a number from 1 to 2^31 - 2.
    """
    tours = []
    for start in starts:
        tour = new_tour(start, seed)
        kernels.descend(tour, spots, sys.maxsize)
        tours.append(tour)
    costs_us = [kernels.path_us(spots, _order(tour)) for tour in tours]
    # The first of those that are equally good.
    best = next(t for t, cost in zip(tours, costs_us, strict=True) if not _is_shorter(min(costs_us), cost))
    kernels.search(best, spots, kicks)
    return _order(best)


def new_tour(order: Integers, seed: int) -> kernels.Tour:
    """Close an order to a tour, of which every node is to be looked at."""
    n = len(order)
    node = np.append(order, n).astype(np.int64)
    place = np.empty(n + 1, np.int64)
    place[node] = np.arange(n + 1)
    register = np.zeros(kernels.N_REGISTERS, np.int64)
    register[kernels.WAITING] = n + 1
    register[kernels.RANDOM] = seed
    return kernels.Tour(
        node=node,
        place=place,
        queue=node.copy(),
        queued=np.ones(n + 1, np.bool_),
        turns=np.zeros((kernels.MOST_TURNS, 2), np.int64),
        register=register,
    )


def _order(tour: kernels.Tour) -> Integers:
    """Cut a tour open at its gap."""
    n = len(tour.node) - 1
    gap = int(tour.place[n])
    return np.concatenate([tour.node[gap + 1 :], tour.node[:gap]])


def _serpentines(x_mm: Floats, y_mm: Floats) -> Iterator[Integers]:
    """Orders to start from: there and back along the rows of a grid, and along bands, each both ways."""
    width_mm, height_mm = np.ptp(x_mm), np.ptp(y_mm)
    # Such bands make a short path through evenly scattered points (Few, Mathematika 2 (1955) 141).
    band_mm = max(math.sqrt(3.0 * width_mm * height_mm / len(x_mm)), GRID_mm)
    for along_mm, across_mm in ((x_mm, y_mm), (y_mm, x_mm)):
        for step_mm in (GRID_mm, band_mm):
            yield serpentine(along_mm, across_mm, step_mm)


def serpentine(along_mm: Floats, across_mm: Floats, step_mm: float) -> Integers:
    """Scan there and back in rows; what lies in one step across is one row."""
    steps = np.rint((across_mm - across_mm.min()) / step_mm)
    row = np.unique(steps, return_inverse=True)[1]
    return np.lexsort((np.where(row % 2 == 0, along_mm, -along_mm), row))
