"""Interpolation, against what is exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from spotline.dose.grid import Grid
from spotline.dose.sampling import average, overlap, resample, sample_points
from spotline.errors import DoseError

GRID = Grid((-10.0, 5.0, 100.0), (2.0, 2.5, 3.0), (6, 5, 7))
RANDOM = np.random.default_rng(5).random(GRID.shape).astype(np.float32)


def linear(points: np.ndarray) -> np.ndarray:
    return 0.5 * points[..., 0] - 0.25 * points[..., 1] + 2.0 * points[..., 2] - 100.0


@pytest.mark.kernel
def test_linear_fields_are_exact_within_the_centres():
    points = np.random.default_rng(1).uniform(
        [GRID.x_mm[0], GRID.y_mm[0], GRID.z_mm[0]], [GRID.x_mm[-1], GRID.y_mm[-1], GRID.z_mm[-1]], (200, 3)
    )
    np.testing.assert_allclose(
        sample_points(linear(GRID.points_mm()), GRID, points), linear(points), rtol=1e-5
    )


@pytest.mark.kernel
def test_sampling_against_scipy():
    points = np.random.default_rng(2).uniform(
        [GRID.x_mm[0], GRID.y_mm[0], GRID.z_mm[0]], [GRID.x_mm[-1], GRID.y_mm[-1], GRID.z_mm[-1]], (4, 50, 3)
    )
    oracle = RegularGridInterpolator((GRID.z_mm, GRID.y_mm, GRID.x_mm), RANDOM)
    np.testing.assert_allclose(sample_points(RANDOM, GRID, points), oracle(points[..., ::-1]), atol=1e-6)


@pytest.mark.kernel
def test_edges_hold_to_the_outer_face():
    x, y, z = GRID.lower_mm
    found = sample_points(RANDOM, GRID, [[x, y, z], [x - 0.01, y, z], [np.nan, y, z]], outside=-1.0)
    np.testing.assert_allclose(found, [RANDOM[0, 0, 0], -1.0, -1.0])
    assert sample_points(RANDOM, GRID, GRID.upper_mm) == RANDOM[-1, -1, -1]


@pytest.mark.kernel
def test_resampling_is_sampling_at_centres():
    target = Grid.covering((-13.0, 4.0, 95.0), (1.0, 17.0, 120.0), (1.5, 1.0, 0.8))
    found = resample(RANDOM, GRID, target, outside=-2.0)
    np.testing.assert_allclose(found, sample_points(RANDOM, GRID, target.points_mm(), -2.0), atol=1e-6)
    assert (found == -2.0).any()
    np.testing.assert_array_equal(resample(RANDOM, GRID, GRID, outside=0.0), RANDOM)


@given(
    st.tuples(*[st.floats(0.3, 4.0)] * 3),
    st.tuples(*[st.floats(-3.0, 3.0)] * 3),
)
def test_average_keeps_the_integral(spacing: tuple, shift: tuple):
    lower = np.subtract(GRID.lower_mm, 4.0) + shift
    target = Grid.covering(lower, np.add(GRID.upper_mm, 4.0), spacing)
    total = average(RANDOM, GRID, target, outside=0.0).sum(dtype=float) * target.voxel_cm3
    assert total == pytest.approx(RANDOM.sum(dtype=float) * GRID.voxel_cm3, rel=1e-5)


def test_average_fills_with_what_is_outside():
    target = Grid((-10.0, 5.0, 98.5), (2.0, 2.5, 3.0), (1, 5, 7))  # half above, half in the first plane
    np.testing.assert_allclose(
        average(RANDOM, GRID, target, outside=3.0)[0], 0.5 * RANDOM[0] + 1.5, atol=1e-6
    )


def test_grids_that_do_not_overlap():
    far = Grid((40.0, 5.0, 100.0), (2.0, 2.5, 3.0), (6, 5, 7))
    assert not overlap(GRID, far)
    for function in (resample, average):
        with pytest.raises(DoseError, match=r"from \(-11, 3.75, 98.5\) .* does not overlap"):
            function(RANDOM, GRID, far, outside=0.0)
