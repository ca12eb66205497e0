"""What the ionization chambers are made of: gain maps, drift of the ions, shares of the channels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import norm

from spotline.random import NORMAL
from spotline.sim.chambers import (
    channel_range,
    channel_shares,
    frame_weights,
    free_charge,
    map_gain,
    next_ion_current,
    offset_of,
    take_counts,
)
from spotline.sim.plant import ChamberMap

pytestmark = pytest.mark.kernel


# Gain maps


@given(st.floats(-130.0, 130.0), st.floats(-130.0, 130.0), st.integers(2, 9))
def test_gain_is_bilinear_and_constant_beyond_the_edge(x_mm: float, y_mm: float, n: int):
    gain = np.random.default_rng(n).normal(1.0, 0.01, (n, n))
    grid = np.linspace(-100.0, 100.0, n)
    table = RegularGridInterpolator((grid, grid), gain)
    expected = table((np.clip(y_mm, -100.0, 100.0), np.clip(x_mm, -100.0, 100.0)))
    assert map_gain(ChamberMap(-100.0, grid[1] - grid[0], gain), x_mm, y_mm) == pytest.approx(float(expected))


def test_rows_of_a_gain_map_lie_along_y():
    gain = np.ones((3, 3))
    gain[2, 0] = 2.0
    chamber = ChamberMap(-10.0, 10.0, gain)
    assert map_gain(chamber, -10.0, 10.0) == 2.0
    assert map_gain(chamber, 10.0, -10.0) == 1.0


# Drift of the ions


def drift(arrivals: np.ndarray, duration: int) -> np.ndarray:
    """Current of the drifting ions in each tick, in units of 1 / duration^2, with the kernel."""
    current, drifting = 0, 0
    found = np.zeros(len(arrivals), object)
    for t, arrived in enumerate(arrivals.tolist()):
        oldest = int(arrivals[t - duration]) if t >= duration else 0
        current = int(next_ion_current(current, duration, arrived, drifting, oldest))
        drifting += arrived - oldest
        found[t] = current
    return found


@pytest.mark.parametrize("duration", [1, 2, 7, 350])
def test_ion_current_is_the_convolution_with_a_falling_ramp(duration: int):
    arrivals = np.random.default_rng(duration).poisson(2.0, 4 * duration + 50)
    arrivals[duration:] *= np.random.default_rng(1).integers(0, 2, len(arrivals) - duration)
    ramp = 2 * duration - 2 * np.arange(duration) - 1
    np.testing.assert_array_equal(drift(arrivals, duration), np.convolve(arrivals, ramp)[: len(arrivals)])


@pytest.mark.parametrize("duration", [1, 5, 350])
def test_each_ion_gives_all_of_its_charge_within_the_drift_time(duration: int):
    arrivals = np.zeros(3 * duration, int)
    arrivals[0] = 17
    current = drift(arrivals, duration)
    assert current.sum() == 17 * duration**2
    assert (current[duration:] == 0).all()
    assert (np.diff(current[:duration]) <= 0).all()


def test_whole_numbers_do_not_drift_away():
    """A day of beam is 1e11 ticks; in whole numbers the current still comes down to exactly zero."""
    random = np.random.default_rng(3)
    arrivals = np.concatenate([random.integers(0, 10_000, 3000), np.zeros(400, int)])
    current = drift(arrivals, 350)
    assert (current >= 0).all()
    assert (current[-50:] == 0).all()


# What each frame collects


def weights_by_hand(drift_us: float, period_us: float, steps_per_us: int) -> np.ndarray:
    """Free charge evenly over a frame in small steps, and sort what it induces into frames."""
    n_frames = math.ceil(drift_us / period_us) + 1
    weights = np.zeros(n_frames)
    n = round(period_us * steps_per_us)
    for start in range(n):
        weights[0] += 0.5 / n
        k = np.arange(round(drift_us * steps_per_us))
        duration = len(k)
        charge = 0.5 * (2 * duration - 2 * k - 1) / duration**2 / n
        frame = (start + k) // n
        weights += np.bincount(frame, charge, n_frames)[:n_frames]
    return weights


@pytest.mark.parametrize(
    ("drift_us", "period_us"), [(350.0, 50.0), (350.0, 100.0), (350.0, 25.0), (30.0, 50.0)]
)
def test_frame_weights_are_those_of_small_steps(drift_us: float, period_us: float):
    weights = frame_weights(drift_us, period_us)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    by_hand = weights_by_hand(drift_us, period_us, 4)
    assert by_hand.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(weights, by_hand[: len(weights)], atol=2e-3)
    assert by_hand[len(weights) :].sum() == pytest.approx(0.0, abs=1e-12)
    assert (weights >= 0.0).all()


def test_without_drift_everything_is_collected_at_once():
    assert frame_weights(0.0, 50.0).tolist() == [1.0]


# Shares of the channels


@pytest.mark.parametrize("sigma_mm", [0.3, 1.7, 2.5, 9.4])
@pytest.mark.parametrize("pitch_mm", [1.65, 6.6])
def test_shares_of_the_channels(sigma_mm: float, pitch_mm: float):
    table = channel_shares(sigma_mm, pitch_mm)
    shares, roots = table
    assert shares.shape[1] % 2 == 1
    half = shares.shape[1] // 2
    assert half * pitch_mm >= min(3.5 * sigma_mm, pitch_mm)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(roots, np.sqrt(shares))
    np.testing.assert_allclose(shares, shares[::-1, ::-1], atol=1e-12)
    channel = np.arange(-half, half + 1)
    offset = (np.arange(len(shares)) + 0.5) / len(shares) - 0.5
    for row in (0, 20, 64, 127):
        edges_mm = (np.append(channel, half + 1) - 0.5 - offset[row]) * pitch_mm
        expected = np.diff(norm.cdf(edges_mm, scale=sigma_mm))
        np.testing.assert_allclose(shares[row], expected, atol=1e-3)
    if sigma_mm > 0.7 * pitch_mm:
        # The centre of gravity is the offset of the beam, but for the tails that are cut.
        np.testing.assert_allclose(shares @ channel, offset, atol=3e-3)
        spread = shares @ channel**2 - (shares @ channel) ** 2
        np.testing.assert_allclose(spread, (sigma_mm / pitch_mm) ** 2 + 1 / 12, rtol=0.03)


@given(st.floats(-300.0, 300.0), st.integers(1, 256))
def test_offset_of_a_position(position: float, n_offsets: int):
    nearest, row = offset_of(position, n_offsets)
    assert abs(position - nearest) <= 0.5 * (1 + 1e-9)
    assert 0 <= row < n_offsets
    assert nearest + (row + 0.5) / n_offsets - 0.5 == pytest.approx(position, abs=0.5 / n_offsets + 1e-9)


@given(st.integers(-400, 400), st.integers(1, 20), st.integers(1, 128))
def test_channels_that_the_beam_reaches(nearest: int, half: int, n_channels: int):
    shares = np.zeros((2, 1, 2 * half + 1))
    wanted = [i for i in range(n_channels) if abs(i - nearest) <= half]
    assert list(range(*channel_range(nearest, shares, n_channels))) == wanted


# Charge set free


@given(st.integers(0, 40), st.integers(0, 1 << 60), st.integers(0, 1 << 40))
def test_charge_of_a_row_of_channels(n: int, key: int, counter: int):
    """The deviate of a channel is one of the table, and depends on nothing but key, counter and place."""
    shares = np.linspace(0.5, 1.5, n)
    deposit, longer = np.zeros(n), np.zeros(n + 7)
    free_charge(deposit, shares, np.sqrt(shares), 1000.0, 10.0, key, counter)
    deviates = (deposit - 1000.0 * shares) / (10.0 * np.sqrt(shares))
    nearest = NORMAL[np.clip(np.searchsorted(NORMAL, deviates - 1e-6), 0, len(NORMAL) - 1)]
    np.testing.assert_allclose(deviates, nearest, atol=1e-6)
    more = np.append(shares, np.ones(7))
    free_charge(longer, more, np.sqrt(more), 1000.0, 10.0, key, counter)
    np.testing.assert_array_equal(longer[:n], deposit)


def test_neighbours_get_different_deviates():
    deposit = np.zeros(25)
    free_charge(deposit, np.ones(25), np.ones(25), 0.0, 1.0, 5, 6)
    free_charge(deposit, np.ones(25), np.ones(25), 100.0, 1.0, 5, 6)
    assert len(np.unique(deposit)) >= 24


@pytest.mark.parametrize("remainder", [[0.0, 0.99, 1.0, 1.5, 12345.75]])
def test_counts_are_whole_and_the_rest_is_kept(remainder: list[float]):
    left, counts = np.array(remainder), np.full(5, 77, np.int32)
    take_counts(left, counts)
    assert counts.tolist() == [0, 0, 1, 1, 12345]
    assert left.tolist() == [0.0, 0.99, 0.0, 0.5, 0.75]
