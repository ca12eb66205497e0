"""Charge in the front-end of the chambers, channel by channel."""

from __future__ import annotations

import numpy as np

from spotline.sim.chambers import strip_readout
from spotline.sim.plant import FrameState, SegmentedTruth
from tests.sim.plants import frames

PITCH_mm = 1.65
N_STRIPS = 128


def fresh_deposit(state: FrameState) -> np.ndarray:
    """Charge that the last frame has set free, zero where the beam did not reach."""
    slot = state.slot[0]
    deposit, region = state.deposits[slot], state.regions[slot]
    inside = np.zeros(deposit.shape, bool)
    inside[tuple(slice(*region[k : k + 2]) for k in range(0, len(region), 2))] = True
    return np.where(inside, deposit, 0.0)


def freed(particles: int, position_mm: float, truth: SegmentedTruth, n: int) -> np.ndarray:
    """Charge that each of `n` frames sets free, in the strips."""
    state = frames((N_STRIPS,), len(truth.weights))
    found = np.zeros((n, N_STRIPS))
    for k in range(n):
        strip_readout(state, truth, particles, position_mm, 1.0, truth.period * (k + 1))
        found[k] = fresh_deposit(state)
    return found
