"""Charge that the beam sets free in the chambers: its mean, its fluctuation, its place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from spotline.sim.chambers import (
    NEGLIGIBLE_SHARE,
    channel_shares,
    frame_weights,
    pixel_readout,
    strip_readout,
)
from tests.sim.plants import frames, segmented
from tests.sim.readout import N_STRIPS, PITCH_mm, freed, fresh_deposit

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("particles", [3, 10, 100, 3000, 150_000])
def test_ions_set_as_much_charge_free_as_they_should(particles: int):
    """However few they are; an efficiency below 1 takes its part."""
    truth = segmented(channel_shares(2.5, PITCH_mm), np.ones(1), counts_per_particle=1.0)
    charge = freed(particles, 0.4, truth, 1500).sum(axis=1)
    error = math.sqrt(particles / 1500)
    assert charge.mean() == pytest.approx(particles, abs=4 * error + 2e-4 * particles)


def test_efficiency_and_gain_scale_the_charge():
    truth = segmented(channel_shares(2.5, PITCH_mm), np.ones(1), counts_per_particle=0.25)
    state, other = frames((N_STRIPS,), 1), frames((N_STRIPS,), 1)
    strip_readout(state, truth, 100_000, 0.4, 0.5, 50)
    strip_readout(other, truth._replace(counts_per_particle=1.0), 100_000, 0.4, 1.0, 50)
    np.testing.assert_allclose(8 * fresh_deposit(state), fresh_deposit(other), rtol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_charge_fluctuates_with_the_number_of_ions_and_their_spread(spread: float):
    truth = segmented(channel_shares(2.5, PITCH_mm), np.ones(1), counts_per_particle=0.1, spread=spread)
    charge = freed(3000, 0.4, truth, 1500)
    expected = 3000 * (1.0 + spread**2) * 0.1**2
    assert charge.sum(axis=1).var() == pytest.approx(expected, rel=0.05 + 4 * math.sqrt(2 / 1500))
    middle = charge[:, 63:66].var(axis=0) / charge.var(axis=0).sum()
    share = charge[:, 63:66].sum(axis=0) / charge.sum()
    np.testing.assert_allclose(middle, share, rtol=4 * math.sqrt(2 / 1500) + 0.02)


@pytest.mark.parametrize("position_mm", [-33.3, -0.7, 0.0, 0.4, 51.234])
def test_centre_of_gravity_of_the_counts_is_where_the_beam_is(position_mm: float):
    truth = segmented(
        channel_shares(2.5, PITCH_mm), frame_weights(350.0, 50.0), counts_per_particle=0.01, spread=0.1
    )
    state = frames((N_STRIPS,), len(truth.weights))
    total = np.zeros(N_STRIPS)
    for k in range(1500):
        strip_readout(state, truth, 3000, position_mm, 1.0, 50 * (k + 1))
        total += state.counts
    where_mm = (np.arange(N_STRIPS) - (N_STRIPS - 1) / 2) * PITCH_mm
    centre_mm = np.average(where_mm, weights=total)
    statistical_mm = 2.5 / math.sqrt(3000 * 1500)
    assert centre_mm == pytest.approx(position_mm, abs=4 * statistical_mm + PITCH_mm / 128)
    sigma_mm = math.sqrt(np.average((where_mm - centre_mm) ** 2, weights=total))
    assert sigma_mm == pytest.approx(math.sqrt(2.5**2 + PITCH_mm**2 / 12), rel=0.02)


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
    truth = segmented(channel_shares(4.0, PITCH_mm), np.ones(1), counts_per_particle=1.0)
    charge = freed(1_000_000, position_mm, truth, 40).mean(axis=0)
    edges_mm = (np.arange(N_STRIPS + 1) - N_STRIPS / 2) * PITCH_mm
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
    truth = segmented(channel_shares(2.5, PITCH_mm), np.ones(1))
    state, other = frames((N_STRIPS,), 1), frames((N_STRIPS,), 1)
    for k in range(1, 5):
        strip_readout(state, truth, 1000 * k, 7.0 * k, 1.0, 50 * k)
    strip_readout(other, truth, 4000, 28.0, 1.0, 200)
    np.testing.assert_array_equal(fresh_deposit(state), fresh_deposit(other))


def test_planes_with_different_keys_fluctuate_on_their_own():
    truth = segmented(channel_shares(2.5, PITCH_mm), np.ones(1))
    a = freed(3000, 0.4, truth, 400).sum(axis=1)
    b = freed(3000, 0.4, truth._replace(key=778), 400).sum(axis=1)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


def test_a_frame_without_beam_is_empty_and_touches_nothing():
    truth = segmented(channel_shares(2.5, PITCH_mm), frame_weights(350.0, 50.0))
    state = frames((N_STRIPS,), len(truth.weights), 0.5)
    strip_readout(state, truth, 0, 0.0, 1.0, 50)
    assert state.counts.sum() == 0
    assert (state.remainder == 0.5).all()
    assert state.region.tolist() == [0, 0]


@pytest.mark.parametrize("position_mm", [-500.0, -120.0, 120.0, 500.0])
def test_a_beam_off_the_chamber_is_not_seen(position_mm: float):
    truth = segmented(channel_shares(1.7, PITCH_mm), np.ones(1))
    assert freed(3000, position_mm, truth, 3).sum() == 0.0
