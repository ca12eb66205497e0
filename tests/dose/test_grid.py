"""Grids in patient coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError

GRID = Grid((-10.0, 5.0, 100.0), (2.0, 2.5, 3.0), (4, 3, 2))


def test_axes_edges_and_corners():
    np.testing.assert_array_equal(GRID.x_mm, [-10.0, -8.0])
    np.testing.assert_array_equal(GRID.y_mm, [5.0, 7.5, 10.0])
    np.testing.assert_array_equal(GRID.z_mm, [100.0, 103.0, 106.0, 109.0])
    np.testing.assert_array_equal(GRID.edges_mm(2), [98.5, 101.5, 104.5, 107.5, 110.5])
    assert GRID.lower_mm == (-11.0, 3.75, 98.5)
    assert GRID.upper_mm == (-7.0, 11.25, 110.5)
    assert GRID.voxel_cm3 == pytest.approx(0.015)


def test_covering_encloses_the_box():
    grid = Grid.covering((-10.0, 0.0, 0.0), (10.0, 7.0, 0.5), (2.0, 2.0, 1.0))
    assert grid.shape == (1, 4, 10)
    assert grid.lower_mm == (-10.0, 0.0, 0.0)
    assert grid.upper_mm == (10.0, 8.0, 1.0)
    # 0.3 / 0.1 is a little less than 3, and must not make a fourth voxel of 0.6 / 0.2 either.
    assert Grid.covering((0.0, 0.0, 0.0), (0.3, 0.6, 0.7), 0.1).counts == (3, 6, 7)


def test_contains_the_outer_faces():
    points = [[-11.0, 3.75, 98.5], [-7.0, 11.25, 110.5], [-7.01, 11.0, 110.6], [-9.0, 3.0, 100.0]]
    np.testing.assert_array_equal(GRID.contains(points), [True, True, False, False])


def test_same_as_looks_at_both_ends():
    assert GRID.same_as(Grid((-10.0, 5.0, 100.0004), (2.0, 2.5, 3.0001), (4, 3, 2)))
    assert not GRID.same_as(Grid((-10.0, 5.0, 100.0), (2.0, 2.5, 3.001), (4, 3, 2)))
    assert not GRID.same_as(Grid((-10.0, 5.0, 100.0), (2.0, 2.5, 3.0), (4, 3, 1)))


@pytest.mark.parametrize(
    ("origin", "spacing", "shape", "words"),
    [
        ((0.0, np.nan, 0.0), (1.0, 1.0, 1.0), (1, 1, 1), "origin_mm"),
        ((0.0, 0.0, 0.0), (1.0, -1.0, 1.0), (1, 1, 1), "spacing_mm"),
        ((0.0, 0.0, 0.0), (1.0, 1.0), (1, 1, 1), "spacing_mm"),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1, 0, 1), "shape"),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (5000, 5000, 5000), "shape"),
    ],
)
def test_what_no_grid_can_be(origin: tuple, spacing: tuple, shape: tuple, words: str):
    with pytest.raises(DoseError, match=words):
        Grid(origin, spacing, shape)


def test_dose_belongs_to_its_grid():
    dose = DoseGrid(GRID, np.ones(GRID.shape))
    assert dose.dose_Gy.dtype == np.float32
    with pytest.raises(DoseError, match=r"shape \(3, 4, 2\)"):
        DoseGrid(GRID, np.ones((3, 4, 2)))
    with pytest.raises(DoseError, match="kind"):
        DoseGrid(GRID, np.ones(GRID.shape), "biological")
    broken = np.ones(GRID.shape)
    broken[3, 1, 0] = np.inf
    with pytest.raises(DoseError, match=r"\[3, 1, 0\]"):
        DoseGrid(GRID, broken)
