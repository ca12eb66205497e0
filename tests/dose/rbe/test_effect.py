"""RBE-weighted dose from sums of dose and its coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.arrays import Floats
from spotline.dose.rbe.effect import Tissue, linear_quadratic_dose
from spotline.errors import DoseError

doses = st.floats(0.0, 30.0)
ratios = st.floats(0.5, 20.0)
coefficients = st.tuples(st.floats(0.5, 10.0), st.floats(0.2, 3.0))


def sums(dose_Gy: Floats, rbe_max: float, rbe_min: float) -> Floats:
    return np.stack([dose_Gy * rbe_max, dose_Gy * rbe_min], axis=-1)


@given(doses, ratios, st.integers(1, 40), st.sampled_from([math.inf, 0.5, 7.0]))
def test_photons_are_as_effective_as_photons(
    dose_Gy: float, ratio_Gy: float, fractions: int, cut_Gy: float
) -> None:
    dose = np.array([dose_Gy])
    found = linear_quadratic_dose(dose, sums(dose, 1.0, 1.0), Tissue(ratio_Gy, cut_Gy), fractions)
    np.testing.assert_allclose(found, dose, rtol=1e-9, atol=1e-12)


@given(st.floats(0.01, 30.0), ratios, coefficients)
def test_one_fraction_has_the_published_closed_form(
    dose_Gy: float, ratio_Gy: float, rbe: tuple[float, float]
) -> None:
    # Carabe-Fernandez, Dale and Jones 2007, equation for the RBE at a dose.
    largest, smallest = rbe
    root = math.sqrt(ratio_Gy**2 + 4.0 * dose_Gy * (ratio_Gy * largest + smallest**2 * dose_Gy))
    dose = np.array([dose_Gy])
    found = linear_quadratic_dose(dose, sums(dose, *rbe), Tissue(ratio_Gy))
    np.testing.assert_allclose(found, 0.5 * (root - ratio_Gy), rtol=1e-9)


@given(ratios, coefficients)
def test_rbe_goes_from_its_largest_to_its_smallest_value(ratio_Gy: float, rbe: tuple[float, float]) -> None:
    dose = np.array([1e-9, 1e12])
    found = linear_quadratic_dose(dose, sums(dose, *rbe), Tissue(ratio_Gy)) / dose
    np.testing.assert_allclose(found, rbe, rtol=1e-6)


@given(doses, doses, ratios, coefficients)
def test_two_fields_of_the_same_kind_are_one(
    first_Gy: float, second_Gy: float, ratio_Gy: float, rbe: tuple[float, float]
) -> None:
    first, second = np.array([first_Gy]), np.array([second_Gy])
    tissue = Tissue(ratio_Gy)
    mixed = linear_quadratic_dose(first + second, sums(first, *rbe) + sums(second, *rbe), tissue)
    one = linear_quadratic_dose(first + second, sums(first + second, *rbe), tissue)
    np.testing.assert_allclose(mixed, one, rtol=1e-9, atol=1e-12)


def test_mixed_fields_average_alpha_and_root_beta() -> None:
    # Zaider and Rossi 1980: 1 Gy of alpha 0.5 /Gy, beta 0.04 /Gy2, and 3 Gy of 0.1, 0.01; photons 0.2, 0.05.
    alpha = (1.0 * 0.5 + 3.0 * 0.1) / 4.0
    beta = ((1.0 * math.sqrt(0.04) + 3.0 * math.sqrt(0.01)) / 4.0) ** 2
    effect = alpha * 4.0 + beta * 16.0
    expected = (-0.2 + math.sqrt(0.2**2 + 4.0 * 0.05 * effect)) / (2.0 * 0.05)
    one, three = np.array([1.0]), np.array([3.0])
    weighted = sums(one, 0.5 / 0.2, math.sqrt(0.04 / 0.05)) + sums(three, 0.1 / 0.2, math.sqrt(0.01 / 0.05))
    np.testing.assert_allclose(linear_quadratic_dose(one + three, weighted, Tissue(4.0)), expected)


def test_fractions_are_effective_each_for_itself() -> None:
    dose = np.array([2.0])
    tissue = Tissue(3.0)
    one = linear_quadratic_dose(dose, sums(dose, 3.0, 1.2), tissue)
    many = linear_quadratic_dose(30.0 * dose, sums(30.0 * dose, 3.0, 1.2), tissue, fractions=30)
    np.testing.assert_allclose(many, 30.0 * one)


def test_above_the_cut_the_effect_grows_in_a_straight_line() -> None:
    # Ions to the cut of 5 Gy, then with the final slope of photons, 3 + 2 x 5; and photons likewise.
    dose = np.array([4.0, 9.0])
    found = linear_quadratic_dose(dose, sums(dose, 2.0, 0.9), Tissue(3.0, 5.0))
    below = 3.0 * 2.0 * 4.0 + (0.9 * 4.0) ** 2
    above = 3.0 * 2.0 * 5.0 + (0.9 * 5.0) ** 2 + 4.0 * 13.0
    at_cut = 5.0 * (3.0 + 5.0)
    expected = [(-3.0 + math.sqrt(9.0 + 4.0 * below)) / 2.0, 5.0 + (above - at_cut) / 13.0]
    assert below < at_cut < above
    np.testing.assert_allclose(found, expected)


def test_no_dose_has_no_effect() -> None:
    dose = np.zeros((2, 3, 4))
    np.testing.assert_array_equal(
        linear_quadratic_dose(dose, np.zeros((2, 3, 4, 2)), Tissue(2.0, 10.0)), dose
    )


@pytest.mark.parametrize("figures", [(0.0,), (-2.0,), (math.nan,), (math.inf,), (2.0, 0.0), (2.0, math.nan)])
def test_a_tissue_needs_figures_above_0(figures: tuple[float, ...]) -> None:
    with pytest.raises(DoseError, match="above 0"):
        Tissue(*figures)
