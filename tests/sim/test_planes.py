"""Strip chambers that the law does not use read out as those that it does."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.control.planes import new_planes
from spotline.sim.chambers import channel_shares, frame_weights, strip_readout
from spotline.sim.planes import PlaneReadout, PlaneTruth, new_frames, read_planes, stacked_shares
from spotline.sim.plant import FrameState, SegmentedTruth
from tests.control.bench import SETTINGS, Bench, spots

pytestmark = pytest.mark.kernel

CHANNELS = (128, 40)
BOXES = (1, 2)
EFFICIENCIES = (0.9, 0.5)


def segment(pitch_mm: float, box: int, key: int, per_iso: float) -> SegmentedTruth:
    return SegmentedTruth(
        period=50,
        pitch_mm=pitch_mm,
        sigma_mm=4.0,
        per_iso=per_iso,
        offset_mm=0.0,
        counts_per_particle=0.01,
        spread=0.3,
        background=1e-4,
        box=box,
        weights=frame_weights(290.0, 50.0),
        shares=channel_shares(4.0, pitch_mm),
        key=key,
    )


PLANES = (segment(1.65, 1, 11, 0.9), segment(3.0, 2, 22, 0.8))


def frame_state(remainder: np.ndarray) -> FrameState:
    n_frames = len(PLANES[0].weights)
    return FrameState(
        deposits=np.zeros((n_frames, len(remainder))),
        regions=np.zeros((n_frames, 2), np.int64),
        slot=np.zeros(1, np.int64),
        remainder=remainder,
        counts=np.zeros(len(remainder), np.int32),
        region=np.zeros(2, np.int64),
    )


def test_each_plane_reads_what_a_strip_chamber_of_the_law_would():
    """The oracle: the read-out of the strips, plane by plane; the first measures x, the second y."""
    remainder = np.random.default_rng(3).random((2, 128))
    alone = [frame_state(remainder[k, :n].copy()) for k, n in enumerate(CHANNELS)]
    truth = PlaneTruth.of(PLANES)
    frames = new_frames(truth, remainder.copy())
    registers = new_planes(
        monitor=np.array([5, 6]),
        across_y=np.array([0, 1]),
        channels=np.array(CHANNELS),
        pitch_mm=np.array([plane.pitch_mm for plane in PLANES]),
        reach=np.array([8, 5]),
        prescribed_mm=np.zeros((2, 1)),
    )
    planes = PlaneReadout(registers, truth, frames)
    bench = Bench(spots([1_000_000])).deliver()
    total = [0, 0]
    for number in range(1, 40):
        tick = 1000 + 50 * number
        bench.s.tick = tick
        particles, x_mm, y_mm = (0 if number % 7 == 0 else 2000 + number), 3.0 + 0.1 * number, -20.0
        read_planes(planes, bench.law, SETTINGS, particles, x_mm, y_mm, *EFFICIENCIES, True)
        for k, (plane, frame, at_mm) in enumerate(zip(PLANES, alone, (x_mm, y_mm), strict=True)):
            efficiency = EFFICIENCIES[plane.box - 1]
            wide = plane._replace(shares=truth.shares[k])  # as wide as the widest of all
            strip_readout(frame, wide, particles, at_mm * plane.per_iso, efficiency, tick)
            np.testing.assert_array_equal(frames.counts[k, : CHANNELS[k]], frame.counts)
            total[k] += int(frame.counts.sum())
    assert min(total) > 100
    sums = registers.counts + registers.settled
    assert sums.sum(axis=1).tolist() == total


def test_shares_of_planes_have_their_middles_in_the_middle():
    narrow, wide = np.ones((2, 4, 3)), np.ones((2, 4, 7))
    stacked = stacked_shares([narrow, wide])
    assert stacked.shape == (2, 2, 4, 7)
    np.testing.assert_array_equal(stacked[0, 0, 0], [0, 0, 1, 1, 1, 0, 0])
    assert stacked_shares([]).shape == (0, 2, 1, 1)
