"""Differences, profiles and gamma of two doses together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spotline.dose.evaluation.compare import Criterion, compare_doses, hottest_mm, profiles
from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError
from spotline.measurement import Verdict


def ramp(grid: Grid, change_Gy: float = 0.0) -> DoseGrid:
    """Dose that rises along x, falls along y and rises slowly along z."""
    z, y, x = grid.z_mm[:, None, None], grid.y_mm[:, None], grid.x_mm
    return DoseGrid(grid, (5.0 + 0.05 * x - 0.02 * y + 0.01 * z + change_Gy).astype(np.float32))


GRID = Grid((0.0, 0.0, 0.0), (2.0, 2.0, 3.0), (6, 8, 10))
FINE = Grid((1.3, -0.7, 0.4), (0.9, 1.1, 1.7), (9, 14, 18))
"""Begins later than the other along x and z, and ends before it."""


def test_difference_on_another_grid():
    """Trilinear interpolation keeps a ramp, so the difference is the change everywhere."""
    found = compare_doses(ramp(GRID), ramp(FINE, 0.1), criteria=[Criterion(3.0, 2.0)])
    common = np.isfinite(found.difference_Gy)
    inside = (GRID.x_mm >= 1.3) & (GRID.x_mm <= 16.6)
    inside = (
        inside & ((GRID.y_mm <= 13.6)[:, None]) & ((GRID.z_mm >= 0.4) & (GRID.z_mm <= 14.0))[:, None, None]
    )
    np.testing.assert_array_equal(common, inside)
    np.testing.assert_allclose(found.difference_Gy[common], 0.1, atol=2e-6)
    assert found.points == found.gammas[0].compared == common.sum()
    for value in (found.mean_Gy, found.rms_Gy, found.lowest_Gy, found.highest_Gy, found.percentiles_Gy[50]):
        assert value == pytest.approx(0.1, abs=2e-6)


def test_figures_of_the_difference():
    first = ramp(GRID)
    noise = np.random.default_rng(1).normal(0.02, 0.1, GRID.shape)
    found = compare_doses(first, DoseGrid(GRID, first.dose_Gy + noise), criteria=[], normalisation_Gy=5.0)
    assert found.mean_Gy == pytest.approx(noise.mean(), abs=1e-6)
    assert found.rms_Gy == pytest.approx(np.sqrt(np.mean(noise**2)), abs=1e-6)
    assert (found.lowest_Gy, found.highest_Gy) == pytest.approx((noise.min(), noise.max()), abs=1e-6)
    assert found.percentiles_Gy[95] == pytest.approx(np.percentile(noise, 95), abs=1e-6)
    written = json.loads(json.dumps(found.as_dict()))
    assert written["difference"]["largest_percent"] == pytest.approx(20.0 * np.abs(noise).max(), abs=1e-4)
    assert written["gamma"] == []


def test_results_say_what_the_comparison_says():
    found = compare_doses(ramp(GRID), ramp(GRID, 0.1), criteria=[Criterion(3.0, 2.0), Criterion(1.0, 1.0)])
    results = {one.name: one for one in found.results("cube")}
    assert results["cube, difference: mean"].value == found.mean_Gy
    assert results["cube, difference: mean"].unit == "Gy"
    relative = results["cube, difference: largest, relative"]
    assert relative.value == pytest.approx(100.0 * found.largest_Gy / found.normalisation_Gy)
    assert relative.unit == "percent"
    assert results["cube, difference: percentile 95"].value == found.percentiles_Gy[95]
    rate = results["cube, gamma 1 %/1 mm global: pass rate"]
    assert (rate.value, rate.unit) == (100.0 * found.gammas[1].pass_rate, "percent")
    assert results["cube, gamma 3 %/2 mm global: mean"].value == found.gammas[0].mean
    assert len(results) == len(found.results()) == 1 + 4 + 7 + 3 + 2 * 4


def test_largest_doses_are_the_first_result_and_judged():
    """By a tenth: 1.09 times is within it, 1.11 times and 0.89 times are not."""
    for scale, verdict in ((1.09, "pass"), (1.11, "tolerance exceeded"), (0.89, "tolerance exceeded")):
        evaluated = DoseGrid(GRID, np.float32(scale) * ramp(GRID).dose_Gy)
        first, *_ = compare_doses(ramp(GRID), evaluated, criteria=[]).results("cube")
        assert (first.name, first.unit) == ("cube, largest dose", "Gy")
        assert first.value == pytest.approx(scale * first.reference, rel=1e-6)
        assert first.reference == ramp(GRID).dose_Gy.max()
        assert first.verdict == verdict, scale


def test_the_share_compared_is_a_result_that_is_judged():
    found = compare_doses(ramp(GRID), ramp(FINE), criteria=[Criterion(3.0, 2.0)])
    share = 100.0 * found.points / GRID.shape[0] / GRID.shape[1] / GRID.shape[2]
    assert share < 95.0
    (compared,) = (one for one in found.results() if one.name == "gamma 3 %/2 mm global: compared")
    assert (compared.value, compared.unit) == (pytest.approx(share), "percent")
    assert compared.verdict is Verdict.TOLERANCE_EXCEEDED
    results = {one.name: one for one in found.results("cube", compared_percent=share - 0.1)}
    assert results["cube, gamma 3 %/2 mm global: compared"].verdict is Verdict.PASS


def test_cut_off():
    first = ramp(GRID)
    found = compare_doses(first, ramp(GRID, 0.1), criteria=[], lower_cutoff_percent=95.0)
    assert found.points == (first.dose_Gy >= 0.95 * first.dose_Gy.max()).sum()


def test_several_criteria():
    criteria = [Criterion(3.0, 2.0), Criterion(1.0, 1.0), Criterion(3.0, 2.0, local=True)]
    found = compare_doses(ramp(GRID), ramp(GRID, 0.1), criteria=criteria)
    assert [gamma.name for gamma in found.gammas] == ["3 %/2 mm global", "1 %/1 mm global", "3 %/2 mm local"]
    assert found.gammas[1].mean > found.gammas[0].mean
    written = json.loads(json.dumps(found.as_dict()))
    assert [gamma["local"] for gamma in written["gamma"]] == [False, False, True]


def test_profiles():
    point_mm = (5.0, 3.3, 4.0)
    for axis, profile in enumerate(profiles(ramp(GRID), ramp(FINE, 0.1), point_mm)):
        assert profile.axis == "xyz"[axis]
        places = np.tile(np.array(point_mm), (len(profile.place_mm), 1))
        places[:, axis] = (GRID.x_mm, GRID.y_mm, GRID.z_mm)[axis]
        expected_Gy = 5.0 + places @ np.array([0.05, -0.02, 0.01])
        np.testing.assert_allclose(profile.reference_Gy, expected_Gy, atol=1e-5)
        lower, upper = (ends[axis] for ends in (FINE.origin_mm, (16.6, 13.6, 14.0)))
        inner = (profile.place_mm >= lower) & (profile.place_mm <= upper)
        np.testing.assert_allclose(profile.evaluated_Gy[inner], expected_Gy[inner] + 0.1, atol=1e-5)
        assert json.loads(json.dumps(profile.as_dict()))["place_mm"] == profile.place_mm.tolist()
    assert np.isnan(profiles(ramp(GRID), ramp(FINE), point_mm)[0].evaluated_Gy).any()


def test_hottest():
    values = np.zeros(GRID.shape)
    values[2:5, 3:6, 4:7] = 1.0
    assert hottest_mm(DoseGrid(GRID, values)) == (10.0, 8.0, 9.0)


def test_what_cannot_be_compared():
    first = ramp(GRID)
    far = DoseGrid(Grid((500.0, 0.0, 0.0), (2.0, 2.0, 3.0), GRID.shape), first.dose_Gy)
    with pytest.raises(DoseError, match="does not overlap"):
        compare_doses(first, far)
    with pytest.raises(DoseError, match="like with like"):
        compare_doses(first, DoseGrid(GRID, first.dose_Gy, "effective"))
    with pytest.raises(DoseError, match="no reference voxel above the cut-off"):
        compare_doses(first, first, lower_cutoff_percent=200.0)
    with pytest.raises(DoseError, match="the normalisation is 0 Gy"):
        compare_doses(DoseGrid(GRID, np.zeros(GRID.shape)), first)
    with pytest.raises(DoseError, match="outside of the reference grid"):
        profiles(first, first, (100.0, 0.0, 0.0))
