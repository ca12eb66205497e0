"""The delivery path: in which order the spots of a layer are scanned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotline.beamline.moves import Moves, move_times_us
from spotline.preparation.treatment import Floats, Integers


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
    time_us = float(move_times_us(x_iso_mm, y_iso_mm, moves).sum()) + n_jumps * jumps.cost_us
    return PathLength(time_us, float(distance_mm.sum()), n_jumps)


def shortest_path(x_iso_mm: Floats, y_iso_mm: Floats, moves: Moves, jumps: Jumps) -> Integers:
    """Find the order in which spots are scanned fastest.  (STUB)"""
    return np.arange(len(x_iso_mm))
