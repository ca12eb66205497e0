"""From the width at a chamber to that at the isocentre, and means of widths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spotline.record.widths import error_iso_mm, mean_widths, sigma_iso_mm
from spotline.units import FWHM_PER_SIGMA


def test_an_expected_beam_is_as_expected():
    sigma_mm = sigma_iso_mm(np.array([5.0 / FWHM_PER_SIGMA]), 1.2, 8.0, 5.0)
    assert sigma_mm == pytest.approx([8.0 / FWHM_PER_SIGMA], rel=1e-12)


def test_what_is_more_adds_in_quadrature_and_is_projected():
    """3 mm more in quadrature at the chamber are 3.6 mm at the isocentre."""
    sigma_mm = sigma_iso_mm(np.array([5.0]), 1.2, 2.7 * FWHM_PER_SIGMA, 4.0 * FWHM_PER_SIGMA)
    assert sigma_mm == pytest.approx([math.hypot(2.7, 3.6)], rel=1e-12)


@pytest.mark.parametrize(
    ("sigma_mm", "expected_mm"),
    [(math.nan, 4.0), (4.0, math.nan), (0.5, 4.0)],
    ids=["not measured", "not expected", "nothing left"],
)
def test_no_width(sigma_mm: float, expected_mm: float):
    assert np.isnan(sigma_iso_mm(np.array([sigma_mm]), 1.2, 6.0, expected_mm * FWHM_PER_SIGMA)).all()


def test_uncertainty_is_the_derivative():
    at_mm, step_mm = np.array([3.0, 4.0, 6.0]), 1e-6
    expected = 7.0, 9.0
    sigma_mm = sigma_iso_mm(at_mm, 1.15, *expected)
    slope = (sigma_iso_mm(at_mm + step_mm, 1.15, *expected) - sigma_mm) / step_mm
    np.testing.assert_allclose(error_iso_mm(np.full(3, 0.1), at_mm, sigma_mm, 1.15), 0.1 * slope, rtol=1e-5)


def test_means_are_weighted_by_their_uncertainty():
    sigma_mm = np.array([2.0, 3.0, math.nan, 5.0, math.nan])
    error_mm = np.array([0.1, 0.2, math.nan, 0.5, math.nan])
    mean_mm, mean_error_mm = mean_widths(sigma_mm, error_mm, np.array([0, 0, 0, 1, 2]), 3)
    assert mean_mm[:2] == pytest.approx([(2.0 * 100 + 3.0 * 25) / 125, 5.0], rel=1e-12)
    assert mean_error_mm[:2] == pytest.approx([1 / math.sqrt(125), 0.5], rel=1e-12)
    assert math.isnan(mean_mm[2])
    assert math.isnan(mean_error_mm[2])
