"""Gamma against closed forms, against a dense search in NumPy, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from spotline.dose.evaluation.gamma import TOLERANCE, GammaResult, gamma_index
from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError

pytestmark = pytest.mark.kernel

CLOSE = 2.0 * TOLERANCE


def dose_of(values: Any, spacing_mm: Any = (1.0, 1.0, 1.0), origin_mm: Any = (0.0, 0.0, 0.0)) -> DoseGrid:
    values = np.asarray(values, dtype=np.float32)
    return DoseGrid(Grid(tuple(origin_mm), tuple(spacing_mm), values.shape), values)


def profile(values: Any, spacing_mm: float = 1.0, origin_mm: float = 0.0) -> DoseGrid:
    """One-dimensional dose, along x."""
    return dose_of(np.asarray(values)[None, None], (spacing_mm, 1.0, 1.0), (origin_mm, 0.0, 0.0))


def compare(reference: DoseGrid, evaluated: DoseGrid, **options: Any) -> GammaResult:
    asked = {"dose_percent": 3.0, "distance_mm": 2.0, "threads": 1} | options
    return gamma_index(reference, evaluated, **asked)


def smooth(seed: int, shape: tuple[int, int, int] = (5, 6, 7), roughness: float = 0.1) -> np.ndarray:
    """A dose with slopes and cross terms, from 0.5 to 1.5 Gy or so."""
    chance = np.random.default_rng(seed)
    z, y, x = (np.linspace(-1.0, 1.0, n) for n in shape)
    hill = np.exp(-(z[:, None, None] ** 2) - (y[:, None] - 0.3) ** 2 - x**2)
    return 0.5 + hill + roughness * chance.standard_normal(shape)


# Closed forms


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1.015, 1.03, 0.97, 1.045])
def test_scaled_uniform_dose(factor: float, local: bool):
    """No distance helps: gamma is the difference over the criterion."""
    found = compare(dose_of(np.full((3, 4, 5), 2.0)), dose_of(np.full((3, 4, 5), 2.0 * factor)), local=local)
    np.testing.assert_allclose(found.gamma, abs(factor - 1.0) / 0.03, atol=1e-4)
    assert found.pass_rate == (1.0 if abs(factor - 1.0) < 0.031 else 0.0)


@pytest.mark.parametrize("gradient", [(0.05, 0.0, 0.0), (0.0, -0.02, 0.0), (0.03, -0.02, 0.04)])
@pytest.mark.parametrize("shift_mm", [0.3, -1.0])
def test_shifted_ramp(gradient: tuple[float, float, float], shift_mm: float):
    """For D = g.r and a difference d, gamma is d / sqrt(accepted dose^2 + |g|^2 accepted distance^2)."""
    x_mm = np.arange(15.0)
    ramp = 5.0 + sum(
        g * axis for g, axis in zip(gradient, (x_mm, x_mm[:, None], x_mm[:, None, None]), strict=True)
    )
    change_Gy = shift_mm * gradient[np.argmax(np.abs(gradient))]
    found = compare(dose_of(ramp), dose_of(ramp + change_Gy), normalisation_Gy=1.0)
    slope = float(np.linalg.norm(gradient))
    expected = abs(change_Gy) / np.hypot(0.03, slope * 2.0)
    np.testing.assert_allclose(found.gamma[4:-4, 4:-4, 4:-4], expected, atol=CLOSE)


def test_shifted_step():
    """A step is a ramp over one voxel: only where it begins can the full dose be found."""
    reference = np.where(np.arange(40) < 20, 1.0, 0.0)
    evaluated = np.where(np.arange(40) < 18, 1.0, 0.0)  # 17 has all, 18 nothing
    found = compare(profile(reference), profile(evaluated), maximum_gamma=3.0).gamma[0, 0]
    steepness = 1.0 / 0.03  # of a voxel, in units of the accepted dose
    for x in (18, 19):
        away_mm = x - 17.0
        u_mm = away_mm / 4.0 / (steepness**2 + 1.0 / 4.0)
        assert found[x] == pytest.approx(np.hypot(steepness * u_mm, (away_mm - u_mm) / 2.0), abs=CLOSE)
    np.testing.assert_array_equal(found[:18], 0.0)
    assert np.isnan(found[20:]).all(), "below the cut-off"


def test_voxels_that_differ_from_those_of_the_reference():
    """The same ramp on another grid is the same dose."""
    x_mm = np.arange(31) * 1.0
    other_mm = 0.4 + 2.5 * np.arange(12)
    found = compare(profile(1.0 + 0.01 * x_mm), profile(1.0 + 0.01 * other_mm, 2.5, 0.4))
    inside = (x_mm >= 0.4) & (x_mm <= other_mm[-1])
    np.testing.assert_allclose(found.gamma[0, 0, inside], 0.0, atol=CLOSE)
    assert np.isnan(found.gamma[0, 0, ~inside]).all()
    assert (found.compared, found.outside, found.below_cutoff) == (inside.sum(), (~inside).sum(), 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_dimensions_are_a_plane_of_three(axis: int):
    """Doses that do not change along an axis have the gamma of one plane."""
    first, second = smooth(1)[:1, :5, :5], smooth(2)[:1, :5, :5]
    flat = compare(dose_of(first), dose_of(second)).gamma[0]
    deep = [np.moveaxis(np.repeat(a, 5, axis=0), 0, axis) for a in (first, second)]
    found = np.moveaxis(compare(dose_of(deep[0]), dose_of(deep[1])).gamma, axis, 0)
    for plane in found:
        np.testing.assert_allclose(plane, flat, atol=CLOSE)


# A dense search


def dense_gamma(
    reference: DoseGrid, evaluated: DoseGrid, point: tuple[int, int, int], accepted_Gy: float, mm: float
) -> float:
    """Gamma of a point: interpolate on ever finer grids about the best places of the last one."""
    grid = evaluated.grid
    axes = (grid.z_mm, grid.y_mm, grid.x_mm)
    dose = RegularGridInterpolator(axes, evaluated.dose_Gy.astype(float))
    here = np.array([a[i] for a, i in zip((grid.z_mm, grid.y_mm, grid.x_mm), point, strict=True)])
    there_Gy = float(reference.dose_Gy[point])
    low, high = np.array([a[0] for a in axes]), np.array([a[-1] for a in axes])
    unit = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.0, 25)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    centres, reach_mm, best = [here], 2.0 * mm, np.inf
    for _ in range(6):
        places = np.clip(np.concatenate([c + reach_mm * unit for c in centres]), low, high)
        squared = ((dose(places) - there_Gy) / accepted_Gy) ** 2 + np.sum(((places - here) / mm) ** 2, axis=1)
        order = np.argsort(squared)
        best = min(best, float(np.sqrt(squared[order[0]])))
        centres = [places[i] for i in order[:400:50]]
        reach_mm /= 6.0
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("roughness", [0.01, 0.2])
def test_against_a_dense_search(seed: int, roughness: float):
    spacing_mm = (1.5, 2.0, 1.0)
    reference = dose_of(smooth(seed, roughness=roughness), spacing_mm)
    evaluated = dose_of(1.02 * smooth(seed + 10, roughness=roughness), spacing_mm)
    found = compare(reference, evaluated, normalisation_Gy=1.0, maximum_gamma=2.0)
    chance = np.random.default_rng(seed)
    for _ in range(6):
        point = tuple(int(chance.integers(n)) for n in reference.grid.shape)
        dense = min(2.0, dense_gamma(reference, evaluated, point, 0.03, 2.0))
        assert found.gamma[point] <= dense + CLOSE
        assert found.gamma[point] >= dense - 2e-3


# What must hold for any dose


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), local=st.booleans())
def test_identical_doses_have_gamma_zero(seed: int, local: bool):
    dose = dose_of(smooth(seed, (3, 4, 5)))
    found = compare(dose, dose, local=local)
    assert found.largest < 1e-6
    assert found.passed == found.compared


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(1.1, 4.0))
def test_gamma_goes_with_the_criteria(seed: int, factor: float):
    """Both criteria times a number: gamma over that number."""
    first, second = dose_of(smooth(seed, (3, 4, 5))), dose_of(smooth(seed + 1, (3, 4, 5)))
    strict = compare(first, second, maximum_gamma=20.0).gamma
    loose = compare(first, second, dose_percent=3 * factor, distance_mm=2 * factor, maximum_gamma=20.0).gamma
    np.testing.assert_allclose(factor * loose, strict, atol=5 * CLOSE)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), dose_percent=st.floats(1.0, 5.0), distance_mm=st.floats(0.5, 3.0))
def test_wider_criteria_never_raise_gamma(seed: int, dose_percent: float, distance_mm: float):
    first, second = dose_of(smooth(seed, (3, 4, 5))), dose_of(smooth(seed + 1, (3, 4, 5)))
    strict = compare(first, second, dose_percent=dose_percent, distance_mm=distance_mm).gamma
    for wider in ({"dose_percent": 1.3 * dose_percent}, {"distance_mm": 1.3 * distance_mm}):
        asked = {"dose_percent": dose_percent, "distance_mm": distance_mm} | wider
        assert (compare(first, second, **asked).gamma <= strict + CLOSE).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shift_mm=st.floats(-2.0, 2.0))
def test_mirrored_doses_have_mirrored_gamma(seed: int, shift_mm: float):
    """A shift one way and the other: nothing prefers a direction, and no gamma is above the shift alone."""
    values = smooth(seed, (1, 1, 25))[0, 0]
    there = compare(profile(values), profile(values, origin_mm=shift_mm)).gamma[0, 0]
    back = compare(profile(values[::-1]), profile(values[::-1], origin_mm=-shift_mm)).gamma[0, 0]
    np.testing.assert_allclose(there, back[::-1], atol=CLOSE)
    # The reference dose of a point is found the shift away, except where that is beyond the end.
    assert np.nanmax(there[2:-2]) <= abs(shift_mm) / 2.0 + CLOSE


def test_any_number_of_threads():
    first, second = dose_of(smooth(3)), dose_of(smooth(4))
    one = compare(first, second, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(compare(first, second, threads=threads).gamma, one.gamma)


# Options, and what cannot be


def test_options():
    values = smooth(5)
    first, second = dose_of(values), dose_of(1.05 * values)
    found = compare(first, second, lower_cutoff_percent=50.0, normalisation_Gy=2.0, maximum_gamma=1.5)
    np.testing.assert_array_equal(np.isnan(found.gamma), first.dose_Gy < 1.0)
    assert found.largest <= 1.5
    assert found.below_cutoff == (first.dose_Gy < 1.0).sum()
    assert found.mean == pytest.approx(np.nanmean(found.gamma, dtype=float))
    written = found.as_dict()
    assert written["pass_percent"] == 100.0 * found.passed / found.compared
    assert found.name == "3 %/2 mm global"


def test_global_criterion_is_of_the_largest_reference_dose():
    reference = np.array([1.0, 1.0, 1.0, 4.0, 4.0, 4.0])
    found = compare(profile(reference, 50.0), profile(reference + 0.12, 50.0))
    np.testing.assert_allclose(found.gamma[0, 0, [0, 1, 4, 5]], 1.0, atol=1e-3)
    assert found.normalisation_Gy == 4.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dose_percent": 0.0}, "dose_percent is 0"),
        ({"distance_mm": -1.0}, "distance_mm is -1"),
        ({"distance_mm": np.nan}, "distance_mm is nan"),
        ({"maximum_gamma": 0.5}, "nothing could fail"),
        ({"lower_cutoff_percent": -1.0}, "lower_cutoff_percent is -1"),
        ({"lower_cutoff_percent": 200.0}, "no reference dose reaches the cut-off"),
        ({"local": True, "lower_cutoff_percent": 0.0}, "divides by doses of 0"),
        ({"normalisation_Gy": 0.0}, "the normalisation is 0 Gy"),
    ],
)
def test_criteria_that_cannot_be(options: dict[str, Any], message: str):
    dose = dose_of(smooth(6))
    with pytest.raises(DoseError, match=message):
        compare(dose, dose, **options)


def test_no_overlap():
    with pytest.raises(DoseError, match="lie outside the evaluated grid"):
        compare(profile(np.ones(5)), profile(np.ones(5), origin_mm=100.0))


def test_no_dose():
    with pytest.raises(DoseError, match="the normalisation is 0 Gy"):
        compare(profile(np.zeros(5)), profile(np.ones(5)))


def test_dose_of_another_kind():
    dose = profile(np.ones(5))
    with pytest.raises(DoseError, match="compare like with like"):
        compare(dose, DoseGrid(dose.grid, dose.dose_Gy, "effective"))
