"""Layers to find a path through, and what a path may cost there."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spotline.moves import AxisMoves, Moves
from spotline.treatment.path import Jumps

MOVES = Moves(AxisMoves(1.09, 0.023, 20.0, 0.2), AxisMoves(1.3, 0.023, 20.0, 0.2))
"""The slower axis is y."""
EQUAL = Moves(MOVES.x, MOVES.x)
JUMPS = Jumps(threshold_mm=20.0, cost_us=400.0)

Positions = tuple[np.ndarray, np.ndarray]


def positions(largest: int) -> st.SearchStrategy[np.ndarray]:
    """Up to so many positions, shape (2, n): of a coarse grid, with ties and coincidences, or anywhere."""
    grid = st.integers(-6, 6).map(lambda step: 4.0 * step)
    anywhere = st.floats(-100.0, 100.0)
    return st.integers(0, largest).flatmap(
        lambda n: st.sampled_from([grid, anywhere]).flatmap(
            lambda elements: hnp.arrays(np.float64, (2, n), elements=elements)
        )
    )


def some_positions(n: int, seed: int) -> Positions:
    """Different positions: for even seeds anywhere, for odd ones on a grid."""
    generator = np.random.Generator(np.random.PCG64(seed))
    if seed % 2 == 0:
        x_mm, y_mm = generator.uniform(-30.0, 30.0, (2, n))
        return x_mm, y_mm
    x, y = np.divmod(generator.permutation(144)[:n], 12)
    return 5.0 * x, 5.0 * y


def grid(columns: int, rows: int, spacing_mm: float) -> Positions:
    """A rectangle, scanned there and back along x."""
    x_mm, y_mm = np.meshgrid(np.arange(columns) * spacing_mm, np.arange(rows) * spacing_mm)
    x_mm[1::2] = x_mm[1::2, ::-1]
    return x_mm.ravel(), y_mm.ravel()


def shuffled(positions_mm: Positions, seed: int = 0) -> Positions:
    """The same in another order."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(positions_mm[0]))
    return positions_mm[0][order], positions_mm[1][order]


def all_orders(n: int) -> np.ndarray:
    """Every order of so many spots, each in one direction only."""
    orders = np.array(list(itertools.permutations(range(n))))
    return orders[orders[:, 0] < orders[:, -1]]
