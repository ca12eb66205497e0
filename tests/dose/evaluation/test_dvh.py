"""Dose-volume histograms against closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.dose.evaluation.dvh import dose_statistics, dvh
from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError

N = 200
"""Voxels of the ramp: from 0 to 2 Gy, in a structure of 0.8 cm3."""


def dose_of(values: np.ndarray, spacing_mm: tuple[float, float, float] = (1.0, 2.0, 2.0)) -> DoseGrid:
    return DoseGrid(Grid((0.0, 0.0, 0.0), spacing_mm, values.shape), values.astype(np.float32))


@pytest.fixture
def ramp() -> DoseGrid:
    return dose_of((2.0 * (np.arange(N) + 0.5) / N)[None, None])


def test_ramp(ramp: DoseGrid):
    """Dose that rises linearly from 0 to 2 Gy: V(D) = 1 - D / 2."""
    curve = dvh(ramp, np.ones((1, 1, N)))
    assert curve.total_cm3 == pytest.approx(0.8)
    assert curve.mean_Gy == pytest.approx(1.0)
    assert (curve.minimum_Gy, curve.maximum_Gy) == pytest.approx((0.005, 1.995))
    for percent in (0.5, 2, 5, 33.3, 50, 95, 98):
        assert curve.dose_at_percent_Gy(percent) == pytest.approx(2.0 - 0.02 * percent, rel=1e-6)
    assert curve.dose_at_cm3_Gy(0.2) == pytest.approx(1.5, rel=1e-6)
    doses_Gy = np.array([0.01, 0.123, 1.0, 1.777])
    np.testing.assert_allclose(curve.volume_at_percent(doses_Gy), 100.0 - 50.0 * doses_Gy, rtol=1e-5)
    np.testing.assert_allclose(curve.volume_at_cm3(doses_Gy), 0.8 * (1.0 - doses_Gy / 2.0), rtol=1e-5)
    assert curve.volume_at_cm3([0.0, 2.0]).tolist() == [pytest.approx(0.8), 0.0]


def test_what_is_beyond_the_grid_has_no_dose(ramp: DoseGrid):
    """As much again outside: half of the volume has nothing, and the mean is half."""
    whole = np.ones((1, 1, N))
    curve = dvh(ramp, whole, outside_cm3=0.8)
    assert (curve.total_cm3, curve.mean_Gy, curve.minimum_Gy) == pytest.approx((1.6, 0.5, 0.0))
    assert curve.dose_at_percent_Gy(25.0) == pytest.approx(1.0, rel=1e-6)
    assert float(curve.volume_at_percent(1.0)) == pytest.approx(25.0, rel=1e-5)
    said = dose_statistics(ramp, whole, prescription_Gy=1.0, outside_cm3=0.8)
    assert said.V95_percent == pytest.approx(50.0 * (1.0 - 0.475), rel=1e-4)
    assert said.conformity_rtog == pytest.approx(0.5 * (1.0 - 0.475), abs=0.005)


def test_ramp_differential(ramp: DoseGrid):
    edges_Gy = np.linspace(0.0, 2.0, 21)
    bins_cm3 = dvh(ramp, np.ones((1, 1, N))).differential(edges_Gy)
    np.testing.assert_allclose(bins_cm3[1:-1], 0.04, rtol=1e-4)
    assert bins_cm3.sum() == pytest.approx(0.8)


def test_statistics_of_a_ramp(ramp: DoseGrid):
    found = dose_statistics(ramp, np.ones((1, 1, N)), prescription_Gy=1.6)
    assert found.homogeneity_D5_D95_percent == pytest.approx(100.0 * 1.8 / 1.6, rel=1e-5)
    assert found.homogeneity_icru83 == pytest.approx(1.96 - 0.04, rel=1e-5)
    assert found.V95_percent == pytest.approx(100.0 * (1.0 - 0.76), rel=1e-4)
    assert found.V107_percent == pytest.approx(100.0 * (1.0 - 0.856), rel=1e-4)
    without = dose_statistics(ramp, np.ones((1, 1, N)))
    assert without.homogeneity_D5_D95_percent == pytest.approx(180.0, rel=1e-5)
    assert without.V95_percent is without.conformity_paddick is None
    assert json.loads(json.dumps(without.as_dict()))["D50_Gy"] == pytest.approx(1.0)


def test_partial_volumes(ramp: DoseGrid):
    """Half of all voxels, and all of half the voxels, are two structures of one volume."""
    half = dvh(ramp, np.full((1, 1, N), 0.5))
    assert half.total_cm3 == pytest.approx(0.4)
    assert half.dose_at_percent_Gy(95) == pytest.approx(0.1, rel=1e-5)
    upper = np.zeros((1, 1, N))
    upper[..., N // 2 :] = 1.0
    upper[..., N // 2 - 1] = 0.5
    curve = dvh(ramp, upper)
    assert curve.total_cm3 == pytest.approx(0.402)
    weights = upper.ravel() / upper.sum()
    assert curve.mean_Gy == pytest.approx(float(weights @ ramp.dose_Gy.ravel()), rel=1e-6)
    assert curve.minimum_Gy == pytest.approx(0.995)


def test_uniform_dose():
    dose = dose_of(np.full((3, 3, 3), 2.0))
    found = dose_statistics(dose, np.ones((3, 3, 3)), prescription_Gy=2.0)
    assert {found.D2_Gy, found.D98_Gy, found.mean_Gy, found.minimum_Gy, found.maximum_Gy} == {2.0}
    assert (found.homogeneity_D5_D95_percent, found.homogeneity_icru83) == (0.0, 0.0)
    assert (found.V95_percent, found.V107_percent) == (100.0, 0.0)
    curve = dvh(dose, np.ones((3, 3, 3)))
    assert float(curve.volume_at_percent(2.0)) == 100.0
    assert curve.differential([1.0, 2.0]).sum() == pytest.approx(curve.total_cm3)


def test_conformity():
    """An isodose of 4 voxels that shares 2 with a target of 3."""
    values, mask = np.zeros((1, 1, 9)), np.zeros((1, 1, 9))
    values[..., 2:6] = 1.0
    mask[..., 4:7] = 1.0
    found = dose_statistics(dose_of(values), mask, prescription_Gy=1.0)
    assert found.conformity_rtog == pytest.approx(4 / 3)
    assert found.conformity_paddick == pytest.approx(2**2 / (3 * 4))
    nothing = dose_statistics(dose_of(0.1 * values), mask, prescription_Gy=1.0)
    assert (nothing.conformity_rtog, nothing.conformity_paddick) == (0.0, 0.0)


def test_results_of_a_structure(ramp: DoseGrid):
    mask = np.ones(ramp.grid.shape)
    without = {one.name: one for one in dose_statistics(ramp, mask).results("target")}
    found = dose_statistics(ramp, mask, prescription_Gy=50.0)
    results = {one.name: one for one in found.results("target")}
    assert set(results) - set(without) == {
        f"target: {name}" for name in ("V95", "V107", "conformity rtog", "conformity paddick")
    }
    assert (results["target: D95"].value, results["target: D95"].unit) == (found.D95_Gy, "Gy")
    assert (results["target: volume"].value, results["target: volume"].unit) == (found.volume_cm3, "cm3")
    assert results["target: V95"].unit == results["target: homogeneity D5 D95"].unit == "percent"
    assert (results["target: conformity rtog"].value, results["target: conformity rtog"].unit) == (
        found.conformity_rtog,
        "",
    )


def test_no_dose_has_no_homogeneity():
    found = dose_statistics(dose_of(np.zeros((1, 1, 4))), np.ones((1, 1, 4)))
    assert found.as_dict()["homogeneity_icru83"] is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), percent=st.floats(1.0, 99.0))
def test_dose_and_volume_are_inverse(seed: int, percent: float):
    chance = np.random.default_rng(seed)
    dose = dose_of(chance.uniform(0.5, 2.0, (4, 5, 6)))
    curve = dvh(dose, chance.uniform(0.1, 1.0, (4, 5, 6)))
    at_Gy = curve.dose_at_percent_Gy(percent)
    if curve.minimum_Gy < at_Gy < curve.maximum_Gy:
        assert float(curve.volume_at_percent(at_Gy)) == pytest.approx(percent, abs=1e-6)
    assert np.all(np.diff(curve.volume_cm3) < 0.0)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((1, 1, 3)), r"has shape \(1, 1, 3\)"),
        (np.full((1, 1, N), 1.5), "0 to 1"),
        (np.full((1, 1, N), np.nan), "0 to 1"),
        (np.zeros((1, 1, N)), "mask of PTV is empty"),
    ],
)
def test_masks_that_cannot_be(ramp: DoseGrid, mask: np.ndarray, message: str):
    with pytest.raises(DoseError, match=message):
        dvh(ramp, mask, "PTV")


def test_figures_that_cannot_be(ramp: DoseGrid):
    curve = dvh(ramp, np.ones((1, 1, N)))
    with pytest.raises(DoseError, match="D101%"):
        curve.dose_at_percent_Gy(101.0)
    with pytest.raises(DoseError, match="the structure has"):
        curve.dose_at_cm3_Gy(1.0)
    with pytest.raises(DoseError, match="ascending"):
        curve.differential([2.0, 1.0])
    with pytest.raises(DoseError, match="the prescription is 0 Gy"):
        dose_statistics(ramp, np.ones((1, 1, N)), prescription_Gy=0.0)
