"""What no delivery path can be shorter than.

Held and Karp, Oper. Res. 18 (1970) 1138 and Math. Program. 1 (1971) 6: a closed tour is a spanning tree of
all nodes but one, with two edges to that one more (a 1-tree), in which each node has two edges.  The
cheapest 1-tree is therefore no dearer than the cheapest tour.  Prices on the nodes change the cost of all
tours by the same and that of 1-trees by their edges; those that make the cheapest 1-tree dearest are
approached by subgradients.  A path with free ends is a tour with one more node that costs nothing to reach,
and that is the node apart.
"""

from __future__ import annotations

import numpy as np

from spotline.arrays import Floats
from spotline.moves import AxisMoves, Moves
from spotline.treatment.path import Jumps

ITERATIONS = 200
PATIENCE = 12
"""Iterations without a dearer tree after which steps are halved."""


def edge_times_us(x_mm: Floats, y_mm: Floats, moves: Moves, jumps: Jumps) -> Floats:
    """Time from every spot to every other, of shape (n, n); jumps included, written down independently."""

    def axis_us(distance_mm: Floats, axis: AxisMoves) -> Floats:
        step_A = np.maximum(distance_mm * axis.A_per_mm, axis.settled_A)
        knee_A = max(axis.slew_A_per_us * axis.settling_us, axis.settled_A)
        slewing_us = np.maximum(step_A - knee_A, 0.0) / axis.slew_A_per_us
        return np.asarray(slewing_us + axis.settling_us * np.log(np.minimum(step_A, knee_A) / axis.settled_A))

    n = len(x_mm)
    times_us = np.empty((n, n))
    for i in range(n):
        dx_mm, dy_mm = np.abs(x_mm - x_mm[i]), np.abs(y_mm - y_mm[i])
        times_us[i] = np.maximum(axis_us(dx_mm, moves.x), axis_us(dy_mm, moves.y))
        times_us[i] += jumps.cost_us * (np.hypot(dx_mm, dy_mm) > jumps.threshold_mm)
    return times_us


def least_time_us(times_us: Floats, known_us: float, iterations: int = ITERATIONS) -> float:
    """Find a time that no path through all spots goes below.

    Parameters
    ----------
    times_us : ndarray of shape (n, n)
        Of all edges.
    known_us : float
        Time of some path; it decides on the steps only.
    iterations : int
        How many trees to make at most.
    """
    n = len(times_us)
    price_us = np.zeros(n)
    best_us, best_price_us = 0.0, price_us
    relaxation, idle = 2.0, 0
    for _ in range(iterations):
        tree_us, degree = _tree(times_us, price_us)
        # The two cheapest edges to the node apart, which cost the price of a spot only.
        ends = np.argsort(price_us, kind="stable")[:2]
        degree[ends] += 1
        bound_us = tree_us + price_us[ends].sum() - 2.0 * price_us.sum()
        surplus = degree - 2
        if bound_us > best_us + 1e-9 * known_us:
            best_us, best_price_us, idle = bound_us, price_us, 0
        else:
            idle += 1
        if not surplus.any() or best_us >= known_us * (1.0 - 1e-6):
            break
        if idle >= PATIENCE:
            relaxation, idle, price_us = relaxation / 2.0, 0, best_price_us
            if relaxation < 1e-3:
                break
            continue
        # Polyak's step; where nothing is known to be left the step is small, not none.
        step_us = relaxation * max(known_us - bound_us, 1e-3 * known_us) / float((surplus**2).sum())
        price_us = price_us + step_us * surplus
    return float(best_us)


def _tree(times_us: Floats, price_us: Floats) -> tuple[float, np.ndarray]:
    """Cost and degrees of the cheapest spanning tree (Prim)."""
    n = len(times_us)
    nearest_us = times_us[0] + price_us + price_us[0]
    parent = np.zeros(n, np.int64)
    degree = np.zeros(n, np.int64)
    nearest_us[0] = np.inf
    left = np.ones(n, np.bool_)
    left[0] = False
    total_us = 0.0
    for _ in range(n - 1):
        j = int(nearest_us.argmin())
        total_us += float(nearest_us[j])
        degree[j] += 1
        degree[parent[j]] += 1
        left[j] = False
        nearest_us[j] = np.inf
        from_j_us = times_us[j] + (price_us + price_us[j])
        nearer = left & (from_j_us < nearest_us)
        nearest_us[nearer] = from_j_us[nearer]
        parent[nearer] = j
    return total_us, degree
