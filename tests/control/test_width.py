"""Width of a spot from the strips and from the pixels: oracles, the window, what has no width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from spotline.control.width import (
    LEAST_REACH,
    pixel_spread,
    rounding,
    strip_width,
    untruncated,
    within,
)
from tests.control.bench import Bench, spots

pytestmark = pytest.mark.kernel

N_STRIPS, PITCH_mm = 128, 1.65


def shares_of(sigma: float, mean: float, n: int = N_STRIPS) -> np.ndarray:
    """Share of a Gaussian beam in every channel; all in channels."""
    edges = np.arange(n + 1) - 0.5
    return np.diff(norm.cdf(edges, mean, sigma))


@given(sigma=st.floats(0.5, 8.0), reach=st.floats(2.0, 6.0))
def test_what_a_window_cuts_off_is_put_back(sigma: float, reach: float):
    cut = truncnorm.var(-reach, reach) * sigma**2
    whole, slope = untruncated(cut, reach * sigma)
    assert whole == pytest.approx(sigma**2, rel=2e-4)
    step = 1e-4 * cut
    above, below = untruncated(cut + step, reach * sigma)[0], untruncated(cut - step, reach * sigma)[0]
    assert slope == pytest.approx((above - below) / (2.0 * step), rel=0.02)


@pytest.mark.parametrize("variance", [math.nan, 0.0, -1.0, 1.01 / LEAST_REACH**2])
def test_nothing_is_put_back_where_there_is_too_little(variance: float):
    assert all(math.isnan(found) for found in untruncated(variance, 1.0))


@given(sigma=st.floats(0.7, 6.0), mean=st.floats(40.0, 80.0), counts=st.integers(10**7, 10**8))
def test_width_of_a_gaussian(sigma: float, mean: float, counts: int):
    spot = np.rint(counts * shares_of(sigma, mean)).astype(np.int64)
    middle = round(mean)
    reach = math.ceil(3.06 * sigma + 2.0)
    sd_mm, error_mm, behind = strip_width(spot, middle, reach, 50, PITCH_mm, 0.0)
    assert behind == spot[middle - reach : middle + reach + 1].sum()
    assert sd_mm == pytest.approx(sigma * PITCH_mm, rel=3e-3)
    assert 0.0 < error_mm < 1e-2 * sd_mm


def test_the_second_moment_agrees_with_numpy():
    spot = np.zeros(N_STRIPS, np.int64)
    spot[58:68] = (1, 4, 9, 30, 57, 55, 28, 11, 3, 2)
    index, window = np.arange(N_STRIPS), 12.5
    mean = np.average(index, weights=spot)
    variance = np.average((index - mean) ** 2, weights=spot) - 1.0 / 12.0
    whole, _ = untruncated(variance, window - abs(mean - 63))
    sd_mm, _, counts = strip_width(spot, 63, 12, 50, PITCH_mm, 0.01)
    assert counts == spot.sum()
    assert sd_mm == pytest.approx(math.sqrt(whole) * PITCH_mm, rel=1e-12)


def few() -> np.ndarray:
    spot = np.zeros(N_STRIPS, np.int64)
    spot[60:65] = (5, 12, 16, 12, 5)
    return spot


def far(spot: np.ndarray) -> np.ndarray:
    spot[100] = 60
    return spot


@pytest.mark.parametrize(
    ("spot", "middle", "minimum"),
    [
        (np.zeros(N_STRIPS, np.int64), 62, 0),
        (few(), 62, 51),
        (far(few()), 62, 50),
        (few(), 1, 1),
        (few(), -5, 1),
        (few(), 140, 1),
    ],
    ids=["none", "too few", "most elsewhere", "not there", "below the chamber", "above the chamber"],
)
def test_no_width(spot: np.ndarray, middle: int, minimum: int):
    sd_mm, error_mm, _ = strip_width(spot, middle, 8, minimum, PITCH_mm, 0.0)
    assert math.isnan(sd_mm)
    assert math.isnan(error_mm)


def test_far_background_does_not_widen_a_spot():
    alone = strip_width(few(), 62, 8, 50, PITCH_mm, 0.0)
    with_background = few()
    with_background[[3, 120]] = 1
    assert strip_width(with_background, 62, 8, 50, PITCH_mm, 0.0) == alone


@given(expected=st.floats(0.0, 30.0))
def test_rounding_is_that_of_a_remainder(expected: float):
    fraction = np.linspace(0.0, 1.0, 2001)
    drawn = np.floor(expected + fraction) - expected
    if expected < 0.2:
        assert rounding(expected) == pytest.approx(np.mean(drawn**2), abs=1e-3)
    else:
        assert np.mean(drawn**2) <= 0.25 + 1e-3
        assert rounding(expected) <= 1.0 / 6.0 + 1e-4


@given(
    total=st.integers(50, 10**5),
    mean=st.tuples(st.floats(10.0, 20.0), st.floats(10.0, 20.0)),
    sigma=st.tuples(st.floats(0.3, 1.5), st.floats(0.3, 1.5)),
)
def test_spread_over_pixels_agrees_with_numpy(
    total: int, mean: tuple[float, float], sigma: tuple[float, float]
):
    """The sum over all pixels within three and a half standard deviations, without recurrences."""
    found = pixel_spread(total, *mean, sigma[0] ** 2, sigma[1] ** 2, 0.02)
    seen = [math.sqrt(s**2 + 1 / 12) for s in sigma]
    axes = [
        np.arange(math.floor(m % 1 - 3.5 * s), math.ceil(m % 1 + 3.5 * s) + 1) - m % 1
        for m, s in zip(mean, seen, strict=True)
    ]
    x, y = np.meshgrid(*axes)
    charge = total * norm.pdf(x, 0.0, seen[0]) * norm.pdf(y, 0.0, seen[1])
    noise = np.where(charge < 0.2113, charge * (1 - charge), 1 / 6) + 0.02 * charge
    for spread, off, sd in ((found[0], x, seen[0]), (found[1], y, seen[1])):
        oracle = np.sum(noise * (off**2 - sd**2) ** 2) / total**2
        assert spread == pytest.approx(oracle, rel=1e-6)


def test_mean_and_variance_of_a_plane_of_pixels():
    counts = np.zeros(32)
    counts[14:19] = (10, 30, 45, 28, 9)
    index = np.arange(32)
    mean, variance, _ = within(counts @ index, counts @ index**2, int(counts.sum()), 16, 4)
    expected = np.average((index - mean) ** 2, weights=counts) - 1 / 12
    assert mean == pytest.approx(np.average(index, weights=counts), rel=1e-12)
    assert variance == pytest.approx(untruncated(expected, 4.5 - abs(mean - 16))[0], rel=1e-12)


@pytest.mark.parametrize("mean", [63.0, 62.7])
def test_uncertainty_of_a_width_agrees_with_numpy(mean: float):
    """Noise of every strip within three and a half standard deviations, on the second moment."""
    sigma, reach, ion_noise = 2.0, 12, 0.02
    spot = np.rint(4000 * shares_of(sigma, mean)).astype(np.int64)
    _, error_mm, total = strip_width(spot, 63, reach, 50, PITCH_mm, ion_noise)
    k = np.arange(-reach, reach + 1)
    counts = spot[63 - reach : 63 + reach + 1]
    middle = np.average(k, weights=counts)
    measured = np.average((k - middle) ** 2, weights=counts)
    variance, slope = untruncated(measured - 1.0 / 12.0, reach + 0.5 - abs(middle))
    seen = math.sqrt(variance + 1.0 / 12.0)
    near = np.abs(k - middle) < 3.5 * seen + 1.0
    charge = total * norm.pdf(k, middle, seen)
    noise = np.where(charge < 0.2113, charge * (1 - charge), 1 / 6) + ion_noise * charge
    spread = np.sum((noise * ((k - middle) ** 2 - measured) ** 2)[near]) / total**2
    assert error_mm == pytest.approx(
        math.sqrt(spread) * slope / (2.0 * math.sqrt(variance)) * PITCH_mm, rel=0.01
    )


@pytest.mark.parametrize(
    ("x", "y", "is_valid"), [(64, 64, 1), (63, 64, 0), (64, 63, 0)], ids=["both", "x too few", "y too few"]
)
def test_a_spot_has_widths_if_both_planes_have(x: int, y: int, is_valid: int):
    bench = Bench(spots([200], strip=64, row=60))
    bench.strip_x = lambda tick: {63: 15, 64: x - 30, 65: 15} if tick == 150 else {}
    bench.strip_y = lambda tick: {59: 15, 60: y - 30, 61: 15} if tick == 150 else {}
    bench.begin().run_to(200).finish_with(200)
    part = bench.law.parts[0]
    assert (part.strip_x_sd_counts, part.strip_y_sd_counts) == (x, y)
    assert part.width_valid == is_valid
    assert (part.x_strip_sd_mm > 0.0, part.y_strip_sd_mm > 0.0) == (x == 64, y == 64)
