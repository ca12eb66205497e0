"""No charge is lost in the front-end: every channel and frame against a dense calculation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from spotline.sim.chambers import channel_shares, frame_weights, pixel_readout, strip_readout
from spotline.sim.plant import FrameState, SegmentedTruth
from tests.sim.plants import frames, segmented
from tests.sim.readout import N_STRIPS, PITCH_mm, fresh_deposit

pytestmark = pytest.mark.kernel


class Frame(NamedTuple):
    """One frame of a beam that wanders, sometimes off the chamber, sometimes absent."""

    particles: int
    x_mm: float
    y_mm: float


def wandering(n: int, seed: int) -> list[Frame]:
    random = np.random.default_rng(seed)
    x_mm, y_mm = random.uniform(-130.0, 130.0, (2, n))
    particles = random.integers(0, 4000, n) * random.integers(0, 2, n)
    particles[n // 2 : n // 2 + 12] = 0
    return [Frame(int(p), float(x), float(y)) for p, x, y in zip(particles, x_mm, y_mm, strict=True)]


def check_front_end(read: object, state: FrameState, truth: SegmentedTruth, beam: list[Frame]) -> None:
    """Follow the charge of every channel through all frames and compare counts, remainders and regions."""
    remainder = state.remainder.copy()
    history: list[np.ndarray] = []
    total_counts = 0
    before = remainder.sum()
    freed = background = 0.0
    n_turns = len(remainder)
    for k, frame in enumerate(beam, start=1):
        tick = k * truth.period
        read(state, frame, tick)  # type: ignore[operator]
        history.insert(0, fresh_deposit(state))
        freed += history[0].sum()
        del history[len(truth.weights) :]
        for weight, deposit in zip(truth.weights, history, strict=False):
            remainder += weight * deposit
        turn = (tick // truth.period) % n_turns
        remainder[turn] += truth.background * n_turns
        background += truth.background * n_turns * remainder[turn].size
        counts = np.maximum(np.floor(remainder), 0.0)  # a fluctuation may take back less than one count
        remainder -= counts
        np.testing.assert_array_equal(state.counts, counts)
        np.testing.assert_allclose(state.remainder, remainder, atol=1e-9)
        total_counts += int(state.counts.sum())
        region = state.region
        outside = np.ones(counts.shape, bool)
        outside[tuple(slice(*region[k : k + 2]) for k in range(0, len(region), 2))] = False
        assert (state.counts[outside] == 0).all()
    in_flight = sum(deposit.sum() * truth.weights[age + 1 :].sum() for age, deposit in enumerate(history))
    assert total_counts + state.remainder.sum() + in_flight == pytest.approx(
        before + freed + background, abs=1e-9 * max(1.0, freed)
    )
    assert freed > 0.0
    assert total_counts > 0


@pytest.mark.parametrize(("drift_us", "background"), [(0.0, 0.0), (350.0, 0.0), (350.0, 0.004)])
def test_no_charge_is_lost_in_a_strip_chamber(drift_us: float, background: float):
    truth = segmented(
        channel_shares(2.5, PITCH_mm), frame_weights(drift_us, 50.0), background=background, spread=0.1
    )
    state = frames((N_STRIPS,), len(truth.weights), 0.25)

    def read(state: FrameState, frame: Frame, tick: int) -> None:
        strip_readout(state, truth, frame.particles, frame.x_mm, 0.9999, tick)

    check_front_end(read, state, truth, wandering(400, seed=int(drift_us)))


@pytest.mark.parametrize(("drift_us", "background"), [(0.0, 0.0), (350.0, 0.0), (350.0, 0.02)])
def test_no_charge_is_lost_in_the_pixel_chamber(drift_us: float, background: float):
    x = segmented(
        channel_shares(2.5, 6.6),
        frame_weights(drift_us, 100.0),
        period=100,
        pitch_mm=6.6,
        background=background,
        spread=0.1,
    )
    y = x._replace(shares=channel_shares(8.0, 6.6))
    state = frames((32, 32), len(x.weights), 0.25)

    def read(state: FrameState, frame: Frame, tick: int) -> None:
        pixel_readout(state, x, y, frame.particles, frame.x_mm, frame.y_mm, 0.9999, tick)

    check_front_end(read, state, x, wandering(200, seed=int(drift_us)))


def test_background_of_every_strip_is_counted_at_its_rate():
    """0.01 counts a frame in each strip, and in nothing else."""
    truth = segmented(channel_shares(2.5, PITCH_mm), np.ones(1), background=0.01)
    state = frames((N_STRIPS,), 1)
    total = np.zeros(N_STRIPS, int)
    for k in range(1, 100 * N_STRIPS + 1):
        strip_readout(state, truth, 0, 0.0, 1.0, 50 * k)
        total += state.counts
    np.testing.assert_allclose(total + state.remainder, 0.01 * 100 * N_STRIPS, atol=1e-6)
