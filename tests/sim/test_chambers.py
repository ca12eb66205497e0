"""The ionization chambers and their front-end: where charge goes, and that none is lost."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import norm

from spotline.random import NORMAL
from spotline.sim.chambers import (
    NEGLIGIBLE_SHARE,
    channel_range,
    channel_shares,
    frame_weights,
    free_charge,
    map_gain,
    next_ion_current,
    offset_of,
    pixel_readout,
    strip_readout,
    take_counts,
)
from spotline.sim.plant import ChamberMap, FrameState, SegmentedTruth
from tests.sim.plants import frames, segmented

pytestmark = pytest.mark.kernel

PITCH = 1.65
N = 128


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


# Frames of a strip chamber: a dense calculation of the same charge


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


def fresh_deposit(state: FrameState) -> np.ndarray:
    """Charge that the last frame has set free, zero where the beam did not reach."""
    slot = state.slot[0]
    deposit, region = state.deposits[slot], state.regions[slot]
    inside = np.zeros(deposit.shape, bool)
    inside[tuple(slice(*region[k : k + 2]) for k in range(0, len(region), 2))] = True
    return np.where(inside, deposit, 0.0)


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
        channel_shares(2.5, PITCH), frame_weights(drift_us, 50.0), background=background, spread=0.1
    )
    state = frames((N,), len(truth.weights), 0.25)

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
    truth = segmented(channel_shares(2.5, PITCH), np.ones(1), background=0.01)
    state = frames((N,), 1)
    total = np.zeros(N, int)
    for k in range(1, 100 * N + 1):
        strip_readout(state, truth, 0, 0.0, 1.0, 50 * k)
        total += state.counts
    np.testing.assert_allclose(total + state.remainder, 0.01 * 100 * N, atol=1e-6)


# Charge set free: its mean, its fluctuation, its place


def freed(particles: int, position_mm: float, truth: SegmentedTruth, n: int) -> np.ndarray:
    """Charge that each of `n` frames sets free, in the strips."""
    state = frames((N,), len(truth.weights))
    found = np.zeros((n, N))
    for k in range(n):
        strip_readout(state, truth, particles, position_mm, 1.0, truth.period * (k + 1))
        found[k] = fresh_deposit(state)
    return found


@pytest.mark.parametrize("particles", [3, 10, 100, 3000, 150_000])
def test_ions_set_as_much_charge_free_as_they_should(particles: int):
    """However few they are; an efficiency below 1 takes its part."""
    truth = segmented(channel_shares(2.5, PITCH), np.ones(1), counts_per_particle=1.0)
    charge = freed(particles, 0.4, truth, 1500).sum(axis=1)
    error = math.sqrt(particles / 1500)
    assert charge.mean() == pytest.approx(particles, abs=4 * error + 2e-4 * particles)


def test_efficiency_and_gain_scale_the_charge():
    truth = segmented(channel_shares(2.5, PITCH), np.ones(1), counts_per_particle=0.25)
    state, other = frames((N,), 1), frames((N,), 1)
    strip_readout(state, truth, 100_000, 0.4, 0.5, 50)
    strip_readout(other, truth._replace(counts_per_particle=1.0), 100_000, 0.4, 1.0, 50)
    np.testing.assert_allclose(8 * fresh_deposit(state), fresh_deposit(other), rtol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_charge_fluctuates_with_the_number_of_ions_and_their_spread(spread: float):
    truth = segmented(channel_shares(2.5, PITCH), np.ones(1), counts_per_particle=0.1, spread=spread)
    charge = freed(3000, 0.4, truth, 1500)
    expected = 3000 * (1.0 + spread**2) * 0.1**2
    assert charge.sum(axis=1).var() == pytest.approx(expected, rel=0.05 + 4 * math.sqrt(2 / 1500))
    middle = charge[:, 63:66].var(axis=0) / charge.var(axis=0).sum()
    share = charge[:, 63:66].sum(axis=0) / charge.sum()
    np.testing.assert_allclose(middle, share, rtol=4 * math.sqrt(2 / 1500) + 0.02)


@pytest.mark.parametrize("position_mm", [-33.3, -0.7, 0.0, 0.4, 51.234])
def test_centre_of_gravity_of_the_counts_is_where_the_beam_is(position_mm: float):
    truth = segmented(
        channel_shares(2.5, PITCH), frame_weights(350.0, 50.0), counts_per_particle=0.01, spread=0.1
    )
    state = frames((N,), len(truth.weights))
    total = np.zeros(N)
    for k in range(1500):
        strip_readout(state, truth, 3000, position_mm, 1.0, 50 * (k + 1))
        total += state.counts
    where_mm = (np.arange(N) - (N - 1) / 2) * PITCH
    centre_mm = np.average(where_mm, weights=total)
    statistical_mm = 2.5 / math.sqrt(3000 * 1500)
    assert centre_mm == pytest.approx(position_mm, abs=4 * statistical_mm + PITCH / 128)
    sigma_mm = math.sqrt(np.average((where_mm - centre_mm) ** 2, weights=total))
    assert sigma_mm == pytest.approx(math.sqrt(2.5**2 + PITCH**2 / 12), rel=0.02)


def test_pixels_see_the_beam_where_it_is_in_both_planes():
    x = segmented(channel_shares(2.5, 6.6), np.ones(1), period=100, pitch_mm=6.6, counts_per_particle=0.01)
    y = x._replace(shares=channel_shares(8.0, 6.6))
    state = frames((32, 32), 1)
    total = np.zeros((32, 32))
    for k in range(600):
        pixel_readout(state, x, y, 6000, 20.0, -31.0, 1.0, 100 * (k + 1))
        total += state.counts
    where_mm = (np.arange(32) - 15.5) * 6.6
    assert np.average(where_mm, weights=total.sum(axis=0)) == pytest.approx(20.0, abs=0.1)
    assert np.average(where_mm, weights=total.sum(axis=1)) == pytest.approx(-31.0, abs=0.1)
    y_sigma_mm = math.sqrt(np.average((where_mm + 31.0) ** 2, weights=total.sum(axis=1)))
    assert y_sigma_mm == pytest.approx(math.sqrt(8.0**2 + 6.6**2 / 12), rel=0.03)
    assert total.sum() == pytest.approx(0.01 * 6000 * 600, rel=0.01)


@pytest.mark.parametrize("position_mm", [-105.0, -104.0, -95.0, 0.3, 101.0, 104.9])
def test_each_strip_gets_its_share_also_at_the_edges_of_the_chamber(position_mm: float):
    truth = segmented(channel_shares(4.0, PITCH), np.ones(1), counts_per_particle=1.0)
    charge = freed(1_000_000, position_mm, truth, 40).mean(axis=0)
    edges_mm = (np.arange(N + 1) - N / 2) * PITCH
    expected = np.diff(norm.cdf(edges_mm, position_mm, 4.0)) * 1e6
    # Tails beyond 3.5 standard deviations are cut, and the table knows the place to 1/128 of a strip.
    np.testing.assert_allclose(charge, expected, atol=1000.0)


@pytest.mark.parametrize(("x_mm", "y_mm"), [(-104.0, 103.0), (104.0, -100.0), (3.0, -1.0)])
def test_each_pixel_gets_its_share_also_at_the_edges_of_the_chamber(x_mm: float, y_mm: float):
    x = segmented(channel_shares(5.0, 6.6), np.ones(1), period=100, pitch_mm=6.6, counts_per_particle=1.0)
    y = x._replace(shares=channel_shares(8.0, 6.6))
    state = frames((32, 32), 1)
    charge = np.zeros((32, 32))
    for k in range(40):
        pixel_readout(state, x, y, 1_000_000, x_mm, y_mm, 1.0, 100 * (k + 1))
        charge += fresh_deposit(state) / 40
    edges_mm = (np.arange(33) - 16) * 6.6
    in_x, in_y = np.diff(norm.cdf(edges_mm, x_mm, 5.0)), np.diff(norm.cdf(edges_mm, y_mm, 8.0))
    np.testing.assert_allclose(charge, 1e6 * np.outer(in_y, in_x), atol=1500.0)


def test_every_pixel_fluctuates_on_its_own_and_by_the_root_of_its_share():
    x = segmented(channel_shares(5.0, 6.6), np.ones(1), period=100, pitch_mm=6.6, counts_per_particle=1.0)
    y = x._replace(shares=channel_shares(8.0, 6.6))
    state = frames((32, 32), 1)
    n = 1500
    charge = np.zeros((n, 32, 32))
    for k in range(n):
        pixel_readout(state, x, y, 10_000, 0.0, 0.0, 1.0, 100 * (k + 1))
        charge[k] = fresh_deposit(state)
    middle = charge[:, 14:18, 14:18].reshape(n, -1)
    # The variance of a Poisson number is its mean.
    np.testing.assert_allclose(middle.var(axis=0), middle.mean(axis=0), rtol=5 * math.sqrt(2 / n))
    correlation = np.corrcoef(middle, rowvar=False) - np.eye(16)
    assert np.abs(correlation).max() < 5 / math.sqrt(n)


def test_pixels_with_next_to_nothing_of_the_beam_get_nothing():
    x = segmented(channel_shares(1.0, 6.6), np.ones(1), period=100, pitch_mm=6.6, counts_per_particle=1.0)
    state = frames((32, 32), 1)
    pixel_readout(state, x, x, 1_000_000, 3.3, 3.3, 1.0, 100)
    deposit = fresh_deposit(state)
    assert deposit[16, 16] == pytest.approx(1e6, rel=0.01)
    assert 0.0 <= NEGLIGIBLE_SHARE * 1e6 < 50.0
    assert (deposit[:16, :16] == 0.0).all()


def test_a_frame_does_not_depend_on_the_frames_before():
    """Random numbers belong to a tick, so blocks of any size give the same."""
    truth = segmented(channel_shares(2.5, PITCH), np.ones(1))
    state, other = frames((N,), 1), frames((N,), 1)
    for k in range(1, 5):
        strip_readout(state, truth, 1000 * k, 7.0 * k, 1.0, 50 * k)
    strip_readout(other, truth, 4000, 28.0, 1.0, 200)
    np.testing.assert_array_equal(fresh_deposit(state), fresh_deposit(other))


def test_planes_with_different_keys_fluctuate_on_their_own():
    truth = segmented(channel_shares(2.5, PITCH), np.ones(1))
    a = freed(3000, 0.4, truth, 400).sum(axis=1)
    b = freed(3000, 0.4, truth._replace(key=778), 400).sum(axis=1)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


def test_a_frame_without_beam_is_empty_and_touches_nothing():
    truth = segmented(channel_shares(2.5, PITCH), frame_weights(350.0, 50.0))
    state = frames((N,), len(truth.weights), 0.5)
    strip_readout(state, truth, 0, 0.0, 1.0, 50)
    assert state.counts.sum() == 0
    assert (state.remainder == 0.5).all()
    assert state.region.tolist() == [0, 0]


@pytest.mark.parametrize("position_mm", [-500.0, -120.0, 120.0, 500.0])
def test_a_beam_off_the_chamber_is_not_seen(position_mm: float):
    truth = segmented(channel_shares(1.7, PITCH), np.ones(1))
    assert freed(3000, position_mm, truth, 3).sum() == 0.0
