"""The engine against the plain sum over spots and components."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.dose.engine.fluence import REACH_SIGMAS, Spots, draw_spots, empty_maps, widths_for
from spotline.dose.engine.pencil_beams import GY_PER_MEV_PER_G, Divergence, Weighting, add_layer
from spotline.dose.engine.voxel_loop import Rays
from spotline.errors import DoseError
from spotline.machine.library import Entry
from tests.dose.engine.entries import made_up_entry

pytestmark = pytest.mark.kernel
PARALLEL = Divergence(1e9, 1e9)


def some_spots(n: int, seed: int = 1, side_mm: float = 40.0, sigma_mm: float = 4.0) -> Spots:
    chance = np.random.default_rng(seed)
    x_mm, y_mm = chance.uniform(-side_mm, side_mm, (2, n))
    sigma = sigma_mm * chance.uniform(0.9, 1.1, (2, n))
    return Spots(x_mm, y_mm, chance.uniform(1e6, 2e6, n), *sigma)


def some_rays(n: int, seed: int = 2, side_mm: float = 50.0, depth_mm: float = 110.0) -> Rays:
    chance = np.random.default_rng(seed)
    columns = [chance.uniform(-side_mm, side_mm, n) for _ in range(2)]
    columns += [chance.uniform(0.0, depth_mm, n), chance.uniform(-100.0, 100.0, n)]
    return Rays(*(column.astype(np.float32) for column in columns))


def plain_sum(
    rays: Rays, entry: Entry, spots: Spots, divergence: Divergence, stretch: np.ndarray | float = 0.0
) -> np.ndarray:
    """Dose in Gy of every voxel, spot by spot in double precision.

    `stretch` is by how much more than in water the variance of the core that was scattered is, by voxel.
    """
    x, y, z, h = (np.asarray(column, dtype=float)[:, None] for column in rays[:4])
    mx = divergence.x_source_mm / (divergence.x_source_mm - h)
    my = divergence.y_source_mm / (divergence.y_source_mm - h)
    change = divergence.linear_mm * h + divergence.quadratic * h**2
    lateral = entry.lateral(z[:, 0])
    shares = np.column_stack([1.0 - lateral.halo_share.sum(axis=1), lateral.halo_share])
    variances = np.column_stack([lateral.core_mm**2, lateral.halo_mm**2])
    scattered = variances[:, 0] - entry.lateral(np.zeros(1)).core_mm[0] ** 2
    variances[:, 0] += stretch * scattered
    fluence = np.zeros(len(z))
    for share, variance in zip(shares.T, variances.T, strict=True):
        added = (variance[:, None] + change) * mx * my
        vx, vy = spots.sigma_x_mm**2 + added, spots.sigma_y_mm**2 + added
        away = (x - spots.x_mm) ** 2 / vx + (y - spots.y_mm) ** 2 / vy
        fluence += share * np.sum(
            spots.particles * np.exp(-0.5 * away) / (2 * np.pi * np.sqrt(vx * vy)) * mx * my, axis=1
        )
    return fluence * 100.0 * entry.dose_MeV_cm2_g(z[:, 0]) * GY_PER_MEV_PER_G


@pytest.mark.parametrize("widest", [1.0, 30.0])
def test_a_map_holds_gaussians(widest: float):
    """With the exponential of every point; wide spots beside a narrow one reach over hundreds of points."""
    sigma_mm = 2.0 * np.array([1.0, widest])
    spots = Spots(
        np.array([0.3, -4.0]), np.array([-2.1, 5.0]), np.array([1e6, 3e6]), sigma_mm, 1.1 * sigma_mm
    )
    widths = widths_for(spots, 0.0, 100.0)
    maps = empty_maps(spots, widths)
    level = widths.number - 1
    added = float(widths.added_mm2[level])
    row = np.zeros(maps.columns[level])
    columns = spots.x_mm, spots.y_mm, spots.particles, spots.sigma_x_mm, spots.sigma_y_mm
    draw_spots(maps, level, added, *columns, row)
    x = maps.x_mm[level] + np.arange(maps.columns[level]) / maps.per_mm[level]
    y = maps.y_mm[level] + np.arange(maps.rows[level])[:, None] / maps.per_mm[level]
    expected = np.zeros((maps.rows[level], maps.columns[level]))
    for x_mm, y_mm, particles, sigma_x_mm, sigma_y_mm in zip(*columns, strict=True):
        blur = 1.0 / (6.0 * maps.per_mm[level] ** 2)
        vx, vy = sigma_x_mm**2 + added - blur, sigma_y_mm**2 + added - blur
        u, v = (x - x_mm) ** 2 / vx, (y - y_mm) ** 2 / vy
        inside = np.maximum(u, v) < REACH_SIGMAS**2
        expected += inside * particles * np.exp(-0.5 * (u + v)) / (2.0 * np.pi * np.sqrt(vx * vy))
    found = maps.values[maps.first[level] :].reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("spots", [1, 7, 300])
def test_layer_is_the_sum_of_its_spots(spots: int):
    """Within 0.5 % of the largest dose, and 0.1 % on average."""
    rays, entry, layer = some_rays(3000), made_up_entry(), some_spots(spots)
    dose = np.zeros(3000)
    add_layer(rays, entry, layer, PARALLEL, dose, threads=1)
    expected = plain_sum(rays, entry, layer, PARALLEL)
    assert np.abs(dose - expected).max() < 5e-3 * expected.max()
    assert np.abs(dose - expected).mean() < 1e-3 * expected.mean() + 1e-4 * expected.max()


def test_a_diverging_beam():
    rays, entry, layer = some_rays(3000), made_up_entry(), some_spots(40)
    divergence = Divergence(6200.0, 5500.0, linear_mm=-0.01, quadratic=4e-5)
    dose = np.zeros(3000)
    add_layer(rays, entry, layer, divergence, dose)
    expected = plain_sum(rays, entry, layer, divergence)
    assert np.abs(dose - expected).max() < 5e-3 * expected.max()


def test_dose_adds_up_and_threads_do_not_matter():
    rays, entry, layer = some_rays(2000), made_up_entry(), some_spots(20)
    doses = []
    for threads in (1, 2, 5):
        dose = np.full(2000, 0.25)
        add_layer(rays, entry, layer, PARALLEL, dose, threads=threads)
        doses.append(dose)
    np.testing.assert_array_equal(doses[0], doses[1])
    np.testing.assert_array_equal(doses[0], doses[2])
    alone = np.zeros(2000)
    add_layer(rays, entry, layer, PARALLEL, alone)
    np.testing.assert_allclose(doses[0], alone + 0.25)


def test_quantities_are_weighted_with_dose():
    rays, entry, layer = some_rays(500), made_up_entry(), some_spots(20)
    dose, weighted = np.zeros(500), np.zeros((500, 2))
    add_layer(
        rays, entry, layer, PARALLEL, dose,
        Weighting(weighted, lambda depth: np.column_stack([np.ones_like(depth), entry.letd(depth)])),
    )  # fmt: skip
    np.testing.assert_allclose(weighted[:, 0], dose, rtol=1e-12)
    has = dose > 0.0
    np.testing.assert_allclose(weighted[has, 1] / dose[has], entry.letd(rays.depth_mm[has]), rtol=2e-3)


def test_integral_over_a_plane_is_the_depth_dose():
    """The sum over a plane across the beam, less the tails beyond it, is particles times depth dose."""
    side = np.arange(-100.0, 100.1, 2.0)
    x, y = (g.ravel().astype(np.float32) for g in np.meshgrid(side, side))
    rays = Rays(x, y, np.full_like(x, 60.0), np.zeros_like(x))
    entry, layer = made_up_entry(), some_spots(5, side_mm=10.0)
    dose = np.zeros(len(x))
    add_layer(rays, entry, layer, PARALLEL, dose)
    total = dose.sum() * 4.0 / 100.0 / GY_PER_MEV_PER_G
    assert total == pytest.approx(layer.particles.sum() * float(entry.dose_MeV_cm2_g(60.0)), rel=1e-3)


def test_nothing_outside():
    rays = Rays(*(np.array(v, dtype=np.float32) for v in ([0, 0, 900], [0, 0, 0], [-1, 500, 50], [0, 0, 0])))
    dose = np.zeros(3)
    add_layer(rays, made_up_entry(), some_spots(5), PARALLEL, dose)
    assert dose.tolist() == [0.0, 0.0, 0.0]
    add_layer(rays, made_up_entry(), some_spots(0), PARALLEL, dose)
    assert dose.tolist() == [0.0, 0.0, 0.0]


def test_spots_without_width():
    spots = some_spots(3)
    flat = Spots(spots.x_mm, spots.y_mm, spots.particles, 0.0 * spots.x_mm, spots.sigma_y_mm)
    with pytest.raises(DoseError, match="spot sizes"):
        add_layer(some_rays(10), made_up_entry(), flat, PARALLEL, np.zeros(10))
