"""Peak, ranges and widths of curves whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.machine.library.curve import ranges_of
from tests.machine.library.fakes import fake_entry


def bump(depth: np.ndarray, sigma_mm: float = 2.0) -> np.ndarray:
    """A Gaussian at 50 mm on nothing."""
    return np.exp(-0.5 * ((depth - 50.0) / sigma_mm) ** 2)


def test_gaussian():
    depth = np.arange(0.0, 80.0, 0.25)
    found = ranges_of(depth, 7.0 * bump(depth))
    assert found.peak_mm == pytest.approx(50.0, abs=0.003)
    assert found.peak_MeV_cm2_g == pytest.approx(7.0, rel=1e-3)
    for level in (90, 80, 50, 20, 10):
        expected = 50.0 + 2.0 * np.sqrt(-2.0 * np.log(level / 100.0))
        assert getattr(found, f"R{level}_mm") == pytest.approx(expected, abs=0.01), level
    assert found.FWHM_mm == pytest.approx(2.0 * 2.3548, abs=0.02)
    assert found.W80_mm == pytest.approx(4.0 * np.sqrt(-2.0 * np.log(0.8)), abs=0.02)
    assert found.distal_80_20_mm == pytest.approx(found.R20_mm - found.R80_mm)


def test_uneven_depths_change_nothing():
    """Fine bins before the peak and coarse ones behind it."""
    uneven = np.concatenate([np.arange(0.0, 50.0, 0.1), np.arange(50.0, 80.0, 0.4)])
    even = np.arange(0.0, 80.0, 0.1)
    assert ranges_of(uneven, bump(uneven)).peak_mm == pytest.approx(
        ranges_of(even, bump(even)).peak_mm, abs=0.02
    )


def test_noise_moves_the_peak_little():
    """The highest of noisy values lies anywhere on the top; the peak does not follow it."""
    depth = np.arange(0.0, 80.0, 0.1)
    chance = np.random.default_rng(1)
    noisy = [bump(depth) * (1.0 + 0.01 * chance.normal(size=len(depth))) for _ in range(40)]
    peaks = [ranges_of(depth, curve).peak_mm for curve in noisy]
    highest = [depth[np.argmax(curve)] for curve in noisy]
    assert np.std(peaks) < 0.06
    assert np.std(peaks) < 0.5 * np.std(highest)
    assert np.mean(peaks) == pytest.approx(50.0, abs=0.03)


def test_levels_that_are_not_reached():
    """A plateau of 60 % before the peak has no width at half, and a tail of 15 % no R10."""
    depth = np.arange(0.0, 80.0, 0.25)
    dose = np.where(depth < 50.0, np.maximum(bump(depth), 0.6), np.maximum(bump(depth), 0.15))
    found = ranges_of(depth, dose)
    assert np.isnan(found.FWHM_mm)
    assert np.isnan(found.R10_mm)
    assert np.isfinite([found.W80_mm, found.R20_mm, found.distal_80_20_mm]).all()
    assert found.entrance_MeV_cm2_g == pytest.approx(0.6)


def test_noise_changes_the_width_little():
    """Half of a Bragg curve's height lies where the curve is flat: the width is a place on a smooth curve."""
    entry = fake_entry("carbon", 398.84).entry
    chance = np.random.default_rng(2)
    true = ranges_of(entry.depth_mm, entry.field_MeV_cm2_g)
    noisy = [
        ranges_of(
            entry.depth_mm, entry.field_MeV_cm2_g * (1.0 + 0.01 * chance.normal(size=len(entry.depth_mm)))
        )
        for _ in range(20)
    ]
    assert np.std([found.FWHM_mm for found in noisy]) < 0.02 * true.FWHM_mm
    assert np.mean([found.FWHM_mm for found in noisy]) == pytest.approx(true.FWHM_mm, rel=0.008)
