"""Strip chambers that the law does not use, in the simulated room: any number, in arrays of one row each.

They are read out like the strips of the law.  A line without them never comes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Frame, Integers
from spotline.control.memory import LawSettings, LawState
from spotline.control.planes import Planes, is_of_next_spot, plane_frame
from spotline.jit import kernel
from spotline.sim.chambers import strip_readout
from spotline.sim.plant import FrameState, SegmentedTruth


class PlaneTruth(NamedTuple):
    """`SegmentedTruth` of k planes; what is the same of all is a number."""

    period: int
    pitch_mm: Floats  # (k,), as all that follow
    sigma_mm: Floats
    per_iso: Floats
    counts_per_particle: Floats
    spread: float
    background: float
    box: Integers
    weights: Floats  # (n_frames,)
    shares: Floats  # (k, 2, n_offsets, 2 m + 1): empty channels beside those of a narrow beam
    key: NDArray[np.int64]

    @staticmethod
    def of(planes: Sequence[SegmentedTruth]) -> PlaneTruth:
        """Put planes into arrays."""

        def column(name: str) -> Floats:
            return np.array([getattr(plane, name) for plane in planes], dtype=np.float64)

        first = planes[0] if planes else None
        return PlaneTruth(
            period=first.period if first else 1,
            pitch_mm=column("pitch_mm"),
            sigma_mm=column("sigma_mm"),
            per_iso=column("per_iso"),
            counts_per_particle=column("counts_per_particle"),
            spread=first.spread if first else 0.0,
            background=first.background if first else 0.0,
            box=np.array([plane.box for plane in planes], np.int64),
            weights=first.weights if first else np.ones(1),
            shares=stacked_shares([plane.shares for plane in planes]),
            key=np.array([plane.key for plane in planes], dtype=np.int64),
        )


def stacked_shares(shares: Sequence[Floats]) -> Floats:
    """Shares of several planes in one array, each with its middle in the middle."""
    if not shares:
        return np.zeros((0, 2, 1, 1))
    width = max(one.shape[2] for one in shares)
    stacked = np.zeros((len(shares), *shares[0].shape[:2], width))
    for row, one in zip(stacked, shares, strict=True):
        beside = (width - one.shape[2]) // 2
        row[:, :, beside : beside + one.shape[2]] = one
    return stacked


class PlaneFrames(NamedTuple):
    """`FrameState` of k planes of n channels at most."""

    deposits: Floats  # (k, n_frames, n)
    regions: Integers  # (k, n_frames, 2)
    slot: Integers  # (k, 1)
    remainder: Floats  # (k, n)
    counts: Frame  # (k, n)
    region: Integers  # (k, 2)


class PlaneReadout(NamedTuple):
    """Everything that the loop needs of the planes."""

    registers: Planes
    truth: PlaneTruth
    frames: PlaneFrames


def new_frames(truth: PlaneTruth, remainder: Floats) -> PlaneFrames:
    """Make the state at the start of a spill, with what is left of charge, shape (k, n)."""
    k, n_frames = len(remainder), len(truth.weights)
    return PlaneFrames(
        deposits=np.zeros((k, n_frames, remainder.shape[1])),
        regions=np.zeros((k, n_frames, 2), np.int64),
        slot=np.zeros((k, 1), np.int64),
        remainder=remainder,
        counts=np.zeros(remainder.shape, np.int32),
        region=np.zeros((k, 2), np.int64),
    )


@kernel
def read_planes(
    planes: PlaneReadout,
    law: LawState,
    settings: LawSettings,
    particles: int,
    x_mm: float,
    y_mm: float,
    efficiency1: float,
    efficiency2: float,
    is_read: bool,
) -> None:
    """Read out one frame of every plane and add it to its registers, if it arrives there.

    Parameters
    ----------
    planes, law, settings
        The planes, and registers and settings of the law.
    particles : int
        Ions of the frame.
    x_mm, y_mm : float
        Their mean position at the isocentre.
    efficiency1, efficiency2 : float
        Collection efficiencies of both boxes.
    is_read : bool
        Whether the frame arrives.
    """
    registers, truth, frames = planes.registers, planes.truth, planes.frames
    tick = law.scalars[0].tick
    is_added = is_read and not is_of_next_spot(registers, law, settings)
    for k in range(len(registers.channels)):
        n = registers.channels[k]
        frame = FrameState(
            frames.deposits[k, :, :n],
            frames.regions[k],
            frames.slot[k],
            frames.remainder[k, :n],
            frames.counts[k, :n],
            frames.region[k],
        )
        plane = SegmentedTruth(
            truth.period,
            truth.pitch_mm[k],
            truth.sigma_mm[k],
            truth.per_iso[k],
            0.0,
            truth.counts_per_particle[k],
            truth.spread,
            truth.background,
            truth.box[k],
            truth.weights,
            truth.shares[k],
            truth.key[k],
        )
        at_mm = (y_mm if registers.across_y[k] == 1 else x_mm) * plane.per_iso
        efficiency = efficiency1 if truth.box[k] == 1 else efficiency2
        strip_readout(frame, plane, particles, at_mm, efficiency, tick)
        if is_added:
            plane_frame(registers, law, settings, k, frame.counts, frame.region)
