"""How long the scanning magnets take from spot to spot."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats
from spotline.jit import kernel


class AxisMoves(NamedTuple):
    """One scanning magnet with its supply, at one energy of one ion."""

    A_per_mm: float  # current per displacement at the isocentre
    slew_A_per_us: float
    settling_us: float  # time constant of the approach to the set-point
    settled_A: float  # so close to the set-point the move is over


class Moves(NamedTuple):
    """Both axes; they move at the same time."""

    x: AxisMoves
    y: AxisMoves


@kernel
def transit_time_us(distance_mm: float, axis: AxisMoves) -> float:
    """Time until the current is as good as at a new set-point.

    The supply slews at its largest rate until the remaining step is so small that an exponential
    approach with its time constant is slower, ``slew * settling``; then follows the exponential.
    """
    remaining_A = abs(distance_mm) * axis.A_per_mm
    linear_A = axis.slew_A_per_us * axis.settling_us
    slewed_A = max(remaining_A - max(linear_A, axis.settled_A), 0.0)
    remaining_A -= slewed_A
    slewing_us = slewed_A / axis.slew_A_per_us
    if remaining_A <= axis.settled_A:
        return slewing_us
    return slewing_us + axis.settling_us * math.log(remaining_A / axis.settled_A)


@kernel
def fill_move_times(dx_mm: Floats, dy_mm: Floats, moves: Moves, times_us: Floats) -> None:
    """Write the time of each move, that of its slower axis, into `times_us`; all of shape (n,)."""
    for i in range(len(times_us)):
        times_us[i] = max(transit_time_us(dx_mm[i], moves.x), transit_time_us(dy_mm[i], moves.y))


def move_times_us(x_iso_mm: Floats, y_iso_mm: Floats, moves: Moves) -> Floats:
    """Time of the move to each spot from the one before; 0 for the first.

    Parameters
    ----------
    x_iso_mm, y_iso_mm : ndarray of shape (n,)
        Positions at the isocentre, in delivery order.
    moves : Moves
        The magnets.

    Returns
    -------
    ndarray of shape (n,)
    """
    times_us = np.zeros(len(x_iso_mm))
    fill_move_times(np.diff(x_iso_mm), np.diff(y_iso_mm), moves, times_us[1:])
    return times_us
