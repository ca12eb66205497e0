"""Rays beside those of voxels: where they are kept, and the dose that comes along them."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.dose.beam_frame import beam_frame
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.pencil_beams import GY_PER_MEV_PER_G, Divergence, Weighting, add_layer
from spotline.dose.engine.sub_ray_depths import hexagon_mm, sub_rays
from spotline.dose.engine.sub_rays import RADIUS_SIGMAS, PER_mm, SubRays, no_sub_rays
from spotline.dose.engine.voxel_loop import Rays
from spotline.dose.grid import Grid
from spotline.physics.ions import PROTON
from tests.dose.engine.entries import made_up_entry, made_up_library
from tests.dose.engine.test_pencil_beams import plain_sum

pytestmark = pytest.mark.kernel
PARALLEL = Divergence(1e9, 1e9)
LIBRARY = made_up_library(PROTON, [60.0, 100.0, 150.0, 230.0])
CORE_mm = 3.0
"""Of a made-up beam at the end of its range."""
GRID = Grid((-19.0, -19.0, -19.0), (2.0, 2.0, 2.0), (20, 20, 20))
FRAME = beam_frame(0.0)
"""A beam from above: along y of the grid, with x of the beam along its x and y along its z."""


def everywhere(depth_mm: np.ndarray) -> SubRays:
    return sub_rays(depth_mm.astype(np.float32), GRID, FRAME, np.arange(depth_mm.size), LIBRARY)


def in_grid(along_x: np.ndarray | float) -> np.ndarray:
    """Depths that may change along x."""
    return np.broadcast_to(60.0 + np.asarray(along_x), GRID.shape)


def rays_along_x(x_mm: np.ndarray, depth_mm: np.ndarray) -> Rays:
    none = np.zeros_like(x_mm)
    return Rays(*(column.astype(np.float32) for column in (x_mm, none, depth_mm, none)))


def of_rays(rays: Rays, slope: float, entry_radius_mm: np.ndarray) -> SubRays:
    """Corners for depths that rise evenly along x."""
    flat = no_sub_rays()
    radius = np.interp(rays.depth_mm.astype(int), np.arange(len(entry_radius_mm)), entry_radius_mm)
    depth = rays.depth_mm[:, None] + slope * radius[:, None] * flat.along_x
    row = np.arange(len(radius), dtype=np.int32)
    return flat._replace(row=row, depth=np.round(PER_mm * depth).astype(np.uint16), radius_mm=entry_radius_mm)


RADIUS_mm = RADIUS_SIGMAS * CORE_mm * (np.arange(121.0) / 100.0) ** 1.5
"""Of the hexagon for `made_up_entry`."""


def test_no_rays_beside_where_depth_is_the_same_across():
    found = everywhere(in_grid(0.0))
    assert len(found.row) == 0
    assert len(found.depth) == 0


def test_a_fan_in_water_counts_as_the_same_depth():
    """100 mm off the axis, 5.5 m from the source, depth changes by 0.02 mm per mm."""
    assert len(everywhere(in_grid(0.018 * GRID.x_mm)).row) == 0


def test_corners_lie_on_a_hexagon():
    slope = 0.5
    found = everywhere(in_grid(slope * GRID.x_mm))
    radius = hexagon_mm(LIBRARY)
    place = (10, 10, 9)
    voxel = int(np.ravel_multi_index(place, GRID.shape))
    own = 60.0 + slope * GRID.x_mm[9]
    angles = np.pi / 3.0 * np.arange(6)
    expected = own + slope * radius[int(own)] * np.cos(angles)
    np.testing.assert_allclose(found.depth[found.row[voxel]] / PER_mm, expected, atol=0.02)


def test_beyond_the_grid_the_own_depth_holds():
    found = everywhere(in_grid(0.5 * GRID.x_mm))
    corner = found.depth[found.row[0]] / PER_mm
    assert corner[3] == pytest.approx(60.0 + 0.5 * GRID.x_mm[0], abs=0.02)  # the one at lower x


def test_the_hexagon_follows_the_scattering():
    radius = hexagon_mm(LIBRARY)
    for energy in LIBRARY.energy_MeV_u:
        range_mm = LIBRARY.entry(energy).range_mm
        assert radius[int(range_mm)] == pytest.approx(RADIUS_SIGMAS * CORE_mm, rel=0.1)


def test_dose_is_the_sum_over_seven_rays():
    """Against the sum in NumPy, in which each ray has the depth dose of its own depth; maps cost 0.7 %."""
    entry, slope = made_up_entry(halo_share=0.0), 1.2
    x = np.linspace(-20.0, 20.0, 41)
    spots = Spots(np.array([0.0, 3.0]), np.zeros(2), np.array([1e6, 2e6]), np.full(2, 4.0), np.full(2, 4.0))
    rays = rays_along_x(x, 70.0 + slope * x)
    sub = of_rays(rays, slope, RADIUS_mm)
    dose = np.zeros(len(x))
    add_layer(rays, entry, spots, PARALLEL, dose, sub=sub)

    depth = rays.depth_mm.astype(float)
    radius = RADIUS_mm[depth.astype(int)]
    spread = np.minimum(entry.lateral(depth).core_mm ** 2, 0.5 * radius**2)
    side = spread / (3.0 * radius**2)
    left = np.sqrt(np.maximum(entry.lateral(depth).core_mm ** 2 - spread, 0.0))
    expected = np.zeros(len(x))
    corners = zip(sub.along_x, sub.along_y, sub.depth.T / PER_mm, strict=True)
    for u, v, at in [(0.0, 0.0, depth), *corners]:
        share = side if u or v else 1.0 - 6.0 * side
        for k in range(len(x)):
            one = Rays(*(np.array([q]) for q in (x[k] + radius[k] * u, radius[k] * v, at[k], 0.0)))
            narrow = made_up_entry(halo_share=0.0)
            narrow.core_mm[:] = left[k]
            expected[k] += share[k] * plain_sum(one, narrow, spots, PARALLEL)[0]
    np.testing.assert_allclose(dose, expected, atol=1e-2 * expected.max())


@pytest.mark.parametrize(
    ("slope", "own_ray_only", "seven_rays"), [(0.6, 0.15, 0.02), (1.0, 0.3, 0.06), (1.5, 0.5, 0.13)]
)
def test_an_oblique_surface_smears_the_peak(slope: float, own_ray_only: float, seven_rays: float):
    """In a broad field, dose is the depth dose behind a sloping surface, spread by scattering.

    With more than seven rays the steep far end of this beam (2 mm) would be smooth at large slopes too.
    """
    entry = made_up_entry(halo_share=0.0)
    x = np.linspace(-15.0, 15.0, 61)
    wide = np.full(1, 300.0)
    spots = Spots(np.zeros(1), np.zeros(1), np.full(1, 1e10), wide, wide)
    depth = 92.0 + slope * x
    rays = rays_along_x(x, depth)
    alone, sampled = np.zeros(len(x)), np.zeros(len(x))
    add_layer(rays, entry, spots, PARALLEL, alone)
    add_layer(rays, entry, spots, PARALLEL, sampled, sub=of_rays(rays, slope, RADIUS_mm))
    aside = np.linspace(-15.0, 15.0, 601)
    sigma = entry.lateral(depth).core_mm[:, None]
    weight = np.exp(-0.5 * (aside / sigma) ** 2)
    curve = entry.dose_MeV_cm2_g(depth[:, None] + slope * aside)
    exact = (weight * curve).sum(axis=1) / weight.sum(axis=1)
    exact *= 100.0 * GY_PER_MEV_PER_G * 1e10 / (2.0 * np.pi * 300.0**2)
    off_alone, off_sampled = (np.abs(dose - exact).max() / exact.max() for dose in (alone, sampled))
    assert off_alone > own_ray_only
    assert off_sampled < seven_rays


def test_equal_depths_change_little():
    """The hexagon stands for the Gaussian: a layer of spots has the same dose with it and without."""
    entry = made_up_entry()
    x = np.linspace(-20.0, 20.0, 81)
    axis = np.arange(-10.0, 10.1, 5.0)
    at_x, at_y = (grid.ravel() for grid in np.meshgrid(axis, axis))
    ones = np.ones(len(at_x))
    spots = Spots(at_x, at_y, 1e6 * ones, 4.0 * ones, 4.0 * ones)
    rays = rays_along_x(x, np.full(len(x), 95.0))
    alone, sampled = np.zeros(len(x)), np.zeros(len(x))
    add_layer(rays, entry, spots, PARALLEL, alone)
    add_layer(rays, entry, spots, PARALLEL, sampled, sub=of_rays(rays, 0.0, RADIUS_mm))
    assert not np.array_equal(alone, sampled)
    np.testing.assert_allclose(sampled, alone, atol=0.01 * alone.max())


def test_dose_behind_the_end_of_the_own_ray():
    """A voxel too deep for the beam has what was scattered to it from shallower rays, and its quantities."""
    entry = made_up_entry(halo_share=0.0)
    rays = rays_along_x(np.zeros(1), np.array([125.0]))
    spots = Spots(np.zeros(1), np.zeros(1), np.array([1e6]), np.full(1, 4.0), np.full(1, 4.0))
    sub = of_rays(rays, -10.0, RADIUS_mm)
    dose, weighted = np.zeros(1), np.zeros((1, 1))
    ones = Weighting(weighted, lambda depth: np.ones((len(depth), 1)))
    add_layer(rays, entry, spots, PARALLEL, dose, ones, 1, sub)
    assert dose[0] > 0.0
    assert weighted[0, 0] == pytest.approx(dose[0], rel=1e-12)
