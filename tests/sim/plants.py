"""Plants made up for tests: small, and each figure chosen by the test."""

from __future__ import annotations

from typing import Any

import numpy as np

from spotline.sim.plant import (
    BEAM,
    AxisTruth,
    BeamTruth,
    ChopperTruth,
    FrameState,
    SegmentedTruth,
    SpillTruth,
)

Table = Any


def new_beam(**values: float) -> Table:
    """The beam, as a record array of one row."""
    beam = np.zeros(1, BEAM).view(np.recarray)
    for name, value in values.items():
        beam[name] = value
    return beam


def spill_truth(**changes: Any) -> SpillTruth:
    """A spill of one second with 60 ions per microsecond and no modulation at all."""
    truth = SpillTruth(
        start=1_000_000,
        end=2_000_000,
        period=25,
        particles_per_us=60.0,
        rise_us=50_000.0,
        fall_us=20_000.0,
        noise_decay=0.0,
        noise_kick=0.0,
        ripple_turn=np.zeros((2, 0)),
        stop_ticks=500,
        start_event=1_000_000,
        end_event=2_000_000,
        repeat_ticks=0,
        stray_per_us=0.0,
        ring_pulse=0.0,
        key=12345,
    )
    return truth._replace(**changes)


CHOPPER = ChopperTruth(
    off_delay=50, off_step=1.0 / 200, on_delay=30, on_step=1.0 / 100, closes=1, opens=1, leak=0.0
)

AXIS = AxisTruth(
    slew_A_per_us=0.023,
    settling_us=20.0,
    mm_per_A=0.7,
    offset_mm=0.0,
    drift_mm_per_us=0.0,
    follows=1.0,
    read_gain=1.0,
    read_offset_A=0.0,
    read_noise_A=0.0,
)


def beam_truth(**changes: Any) -> BeamTruth:
    """Magnets of cnao-h, a beam without jitter, offset and drift, and read-backs without noise."""
    truth = BeamTruth(
        start=0,
        period=25,
        x=AXIS,
        y=AXIS,
        jitter_decay=0.0,
        jitter_kick_mm=0.0,
        jitter_key=1,
        readback_key=2,
    )
    return truth._replace(**changes)


def segmented(shares: np.ndarray, weights: np.ndarray, **changes: Any) -> SegmentedTruth:
    """A segmented anode whose ions all make the same charge, without background."""
    truth = SegmentedTruth(
        period=50,
        pitch_mm=1.65,
        sigma_mm=1.65,
        per_iso=1.0,
        offset_mm=0.0,
        counts_per_particle=0.01,
        spread=0.0,
        background=0.0,
        box=1,
        weights=np.asarray(weights, float),
        shares=shares,
        key=777,
    )
    return truth._replace(**changes)


def frames(shape: tuple[int, ...], n_weights: int, remainder: float = 0.0) -> FrameState:
    """The front-end of a segmented anode, each channel with the same charge left over."""
    return FrameState(
        deposits=np.zeros((n_weights, *shape)),
        regions=np.zeros((n_weights, 2 * len(shape)), np.int64),
        slot=np.zeros(1, np.int64),
        remainder=np.full(shape, remainder),
        counts=np.zeros(shape, np.int32),
        region=np.zeros(2 * len(shape), np.int64),
    )
