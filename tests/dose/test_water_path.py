"""Water-equivalent paths, against boxes that can be cut by hand and an oracle that counts small steps."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spotline.dose.beam_frame import PARALLEL, VirtualSources, beam_frame
from spotline.dose.grid import Grid
from spotline.dose.water_path import (
    fan_paths_mm,
    smooth_voxel_paths_mm,
    voxel_paths_mm,
    water_equivalent_path_mm,
)
from spotline.errors import DoseError

pytestmark = pytest.mark.kernel

GRID = Grid.covering((-20.0, -10.0, 0.0), (20.0, 10.0, 30.0), (2.0, 1.0, 3.0))
RANDOM = np.random.default_rng(7).random(GRID.shape).astype(np.float32)
CNAO = VirtualSources(6200.0, 5500.0)


def chord_mm(grid: Grid, start: np.ndarray, end: np.ndarray) -> float:
    """Length of a line within the outer faces of a grid, by clipping."""
    low, high = 0.0, 1.0
    for a, b, lower, upper in zip(start, end, grid.lower_mm, grid.upper_mm, strict=True):
        if a == b:
            if not lower <= a < upper:
                return 0.0
            continue
        first, second = sorted(((lower - a) / (b - a), (upper - a) / (b - a)))
        low, high = max(low, first), min(high, second)
    return max(high - low, 0.0) * float(np.linalg.norm(end - start))


def siddon_mm(values: np.ndarray, grid: Grid, start: np.ndarray, end: np.ndarray) -> float:
    """All crossings with all faces, sorted: slow and plain."""
    along = end - start
    crossings = [0.0, 1.0]
    for axis in range(3):
        if abs(along[axis]) > 1e-12:
            crossings += [
                c for c in ((grid.edges_mm(axis) - start[axis]) / along[axis]).tolist() if 0 < c < 1
            ]
    crossings.sort()
    total = 0.0
    for a, b in pairwise(crossings):
        middle = start + 0.5 * (a + b) * along
        index = np.floor((middle - grid.lower_mm) / grid.spacing_mm).astype(int)
        if np.all(index >= 0) and np.all(index < grid.counts):
            total += (b - a) * values[index[2], index[1], index[0]]
    return total * float(np.linalg.norm(along))


coordinates = st.floats(-60.0, 60.0, width=32, allow_subnormal=False) | st.sampled_from(
    [-20.0, -10.0, 0.0, 3.0, 10.0, 20.0, 30.0, 5.5]
)
points = st.tuples(coordinates, coordinates, coordinates)


@given(points, points)
def test_chords_of_a_uniform_box(start: tuple, end: tuple):
    found = water_equivalent_path_mm(np.full(GRID.shape, 1.5), GRID, start, end)
    a, b = np.array(start), np.array(end)
    if np.linalg.norm(b - a) < 1e-9:
        assert found == 0.0
        return
    exact = 1.5 * chord_mm(GRID, a, b)
    if any(
        abs(p - q) < 1e-6 and min(abs(p - face) for face in (low, high)) < 1e-6
        for p, q, low, high in zip(start, end, GRID.lower_mm, GRID.upper_mm, strict=True)
    ):
        return  # along an outer face, a ray is inside or outside
    assert found == pytest.approx(exact, abs=2e-4)


@given(points, points)
def test_random_voxels_against_sorted_crossings(start: tuple, end: tuple):
    a, b = np.array(start) + 0.0123, np.array(end) - 0.0456  # off the faces, where both sides would do
    assert water_equivalent_path_mm(RANDOM, GRID, a, b) == pytest.approx(
        siddon_mm(RANDOM, GRID, a, b), abs=2e-4
    )


@given(points, points)
def test_there_and_back(start: tuple, end: tuple):
    a, b = np.array(start) + 0.0123, np.array(end) - 0.0456
    forward = water_equivalent_path_mm(RANDOM, GRID, a, b)
    assert water_equivalent_path_mm(RANDOM, GRID, b, a) == pytest.approx(forward, abs=2e-4)


def test_nothing_to_cross():
    assert water_equivalent_path_mm(RANDOM, GRID, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)) == 0.0
    assert water_equivalent_path_mm(RANDOM, GRID, (-50.0, 11.0, 3.0), (50.0, 11.0, 3.0)) == 0.0


def test_slab_off_centre_by_hand():
    """A slab of 1.8 from y = -4 to -1 mm on the half x > 0, beam from the front."""
    rsp = np.ones(GRID.shape)
    rsp[:, 6:9, 10:] = 1.8
    frame = beam_frame(0.0, 0.0, (0.0, 0.0, 15.0))
    paths = voxel_paths_mm(rsp, GRID, frame, PARALLEL)
    depth = GRID.y_mm + 10.0
    np.testing.assert_allclose(paths[3, :, 4], depth, rtol=1e-6)
    behind = depth + 0.8 * np.clip(GRID.y_mm + 4.0, 0.0, 3.0)
    np.testing.assert_allclose(paths[3, :, 14], behind, rtol=1e-6)


@pytest.mark.parametrize(
    ("gantry", "support", "axis", "sense"),
    [(0, 0, 1, 1), (180, 0, 1, -1), (90, 0, 0, -1), (270, 0, 0, 1), (90, 90, 2, 1), (90, 270, 2, -1)],
)
def test_parallel_beams_along_the_axes(gantry: float, support: float, axis: int, sense: int):
    """The path is the sum of the voxels before, and half the voxel itself."""
    paths = voxel_paths_mm(RANDOM, GRID, beam_frame(gantry, support, (1.0, 2.0, 3.0)), PARALLEL)
    dimension = 2 - axis
    values = RANDOM if sense > 0 else np.flip(RANDOM, dimension)
    expected = (np.cumsum(values, dimension, dtype=float) - 0.5 * values) * GRID.spacing_mm[axis]
    expected = expected if sense > 0 else np.flip(expected, dimension)
    np.testing.assert_allclose(paths, expected, rtol=1e-5)


@settings(max_examples=20)
@given(
    st.floats(0.0, 360.0),
    st.floats(0.0, 360.0),
    st.sampled_from([CNAO, VirtualSources(150.0, 90.0), PARALLEL]),
)
@example(1.0, 1e-308, PARALLEL)  # a component that can't be divided by
@example(181.0, 1e-11, PARALLEL)
def test_diverging_rays_against_the_line_to_each_voxel(
    gantry: float, support: float, sources: VirtualSources
):
    frame = beam_frame(gantry, support, (3.0, -2.0, 12.0))
    target = Grid((-15.0, -8.0, 2.0), (7.3, 4.1, 9.7), (3, 4, 5))
    paths = voxel_paths_mm(RANDOM, GRID, frame, sources, target)
    for index in np.ndindex(*target.shape):
        point = target.points_mm()[index]
        x, y, z = frame.to_beam_mm(point)
        x_iso, y_iso = x / (1.0 - z / sources.x_mm), y / (1.0 - z / sources.y_mm)
        upstream = 80.0  # above the box, below the sources
        far = frame.to_patient_mm(
            [x_iso * (1.0 - upstream / sources.x_mm), y_iso * (1.0 - upstream / sources.y_mm), upstream]
        )
        assert paths[index] == pytest.approx(siddon_mm(RANDOM, GRID, far, point), abs=1e-3)


def test_fan_against_lines():
    frame = beam_frame(40.0, 25.0, (3.0, -2.0, 12.0))
    sources = VirtualSources(150.0, 90.0)
    u, v, depth = np.array([-9.0, 0.0, 4.0]), np.array([-5.0, 6.0]), np.linspace(-60.0, 60.0, 25)
    fan = fan_paths_mm(RANDOM, GRID, frame, sources, u, v, depth)
    assert fan.shape == (2, 3, 25)
    for (b, a, k), path in np.ndenumerate(fan):
        ends = [
            frame.to_patient_mm([u[a] * (1.0 + d / sources.x_mm), v[b] * (1.0 + d / sources.y_mm), -d])
            for d in (-70.0, depth[k])
        ]
        assert path == pytest.approx(siddon_mm(RANDOM, GRID, *ends), abs=1e-3)


@settings(max_examples=20)
@given(st.floats(-40.0, 40.0), st.floats(0.0, 360.0), st.sampled_from([CNAO, PARALLEL]))
def test_paths_between_rays(gantry: float, support: float, sources: VirtualSources):
    """In a wide plate that is entered through its front, paths vary linearly: both ways agree."""
    grid = Grid.covering((-400.0, -60.0, -400.0), (400.0, 60.0, 400.0), 20.0)
    target = Grid.covering((-12.0, -12.0, -12.0), (12.0, 12.0, 12.0), (2.0, 3.0, 4.0))
    frame = beam_frame(gantry, support)
    water = np.ones(grid.shape)
    exact = voxel_paths_mm(water, grid, frame, sources, target)
    found = smooth_voxel_paths_mm(water, grid, frame, sources, target)
    np.testing.assert_allclose(found, exact, atol=0.002)


def test_paths_between_rays_along_the_axes_are_exact():
    frame = beam_frame(0.0, 0.0, GRID.lower_mm)
    varied = np.broadcast_to(RANDOM[:1, :, :1], GRID.shape)
    exact = voxel_paths_mm(varied, GRID, frame, PARALLEL)
    found = smooth_voxel_paths_mm(varied, GRID, frame, PARALLEL)
    # Points along the rays are at the faces of voxels; between them the path grows linearly.
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_threads_change_nothing():
    frame = beam_frame(33.0, 10.0, (3.0, -2.0, 12.0))
    one = voxel_paths_mm(RANDOM, GRID, frame, CNAO, threads=1)
    np.testing.assert_array_equal(voxel_paths_mm(RANDOM, GRID, frame, CNAO, threads=3), one)
    one = smooth_voxel_paths_mm(RANDOM, GRID, frame, CNAO, threads=1)
    np.testing.assert_array_equal(smooth_voxel_paths_mm(RANDOM, GRID, frame, CNAO, threads=3), one)


def test_what_cannot_be_traced():
    frame = beam_frame(0.0)
    with pytest.raises(DoseError, match="a source 5 mm"):
        voxel_paths_mm(RANDOM, GRID, frame, VirtualSources(5.0, math.inf))
    with pytest.raises(DoseError, match="shape"):
        voxel_paths_mm(RANDOM[1:], GRID, frame, CNAO)
    with pytest.raises(DoseError, match="evenly spaced"):
        fan_paths_mm(RANDOM, GRID, frame, CNAO, [0.0], [0.0], [0.0, 1.0, 3.0])
    with pytest.raises(DoseError, match="5600 mm above"):
        fan_paths_mm(RANDOM, GRID, frame, CNAO, [0.0], [0.0], [-5600.0, 0.0])
