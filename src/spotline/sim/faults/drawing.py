"""Draw faults at random, for campaigns."""

from __future__ import annotations

import math

import numpy as np

from spotline.sim.faults.catalogue import KINDS, LOG, FaultKind
from spotline.sim.faults.model import Fault

DURING_us = (0, 1_500_000)
"""Most faults are drawn from the time of a spill, the others from the whole cycle."""
SHARE_DURING = 0.75
SHARE_FOR_GOOD = 0.5


def draw(kind_name: str, generator: np.random.Generator, n_spills: int) -> Fault:
    """Draw a fault of a kind: its value, when it begins and how long it lasts.

    Parameters
    ----------
    kind_name : str
        One of `KINDS`.
    generator : numpy.random.Generator
        Five numbers are taken from it, whatever the kind.
    n_spills : int
        It begins at one of so many spills.
    """
    kind = KINDS[kind_name]
    which, when, how_long, how_bad, sign = generator.random(5)
    low, high = kind.at_us
    if when < SHARE_DURING and low < DURING_us[0] < high:
        when /= SHARE_DURING
        low, high = max(low, DURING_us[0]), min(high, DURING_us[1])
    elif low < DURING_us[0] < high:
        when = (when - SHARE_DURING) / (1.0 - SHARE_DURING)
    return Fault(
        device=kind.device,
        mode=kind.mode,
        value=_value(kind, how_bad, sign),
        spill=1 + int(which * n_spills),
        at_us=round(low + when * (high - low)),
        duration_us=_duration_us(kind, how_long),
    )


def _value(kind: FaultKind, how_bad: float, sign: float) -> float | None:
    if kind.draws is None:
        return None
    low, high = kind.draws
    if kind.scale == LOG:
        value = math.exp(math.log(low) + how_bad * (math.log(high) - math.log(low)))
    else:
        value = low + how_bad * (high - low)
    if kind.is_whole:
        value = float(round(value))
    return -value if kind.either_sign and sign < 0.5 else value


def _duration_us(kind: FaultKind, how_long: float) -> int | None:
    if kind.lasts_us is None:
        return None
    if kind.may_stay:
        if how_long < SHARE_FOR_GOOD:
            return None
        how_long = (how_long - SHARE_FOR_GOOD) / (1.0 - SHARE_FOR_GOOD)
    low, high = kind.lasts_us
    return round(math.exp(math.log(low) + how_long * (math.log(high) - math.log(low))))
