"""Core and halo come out of rings that were made of them."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.machine.library import grid
from spotline.machine.library.lateral import fit_lateral

EDGES = grid.ring_depth_edges_mm(1.0, 0.01)
X = grid.middles(EDGES)
END = grid.end_of_primaries(EDGES, 1.0, 0.01)
BEFORE = int(np.sum(X < 1.0))
CORE, HALOS = 0.02 + 3.5 * X**1.7, np.stack([4.0 + 6.0 * X, np.full_like(X, 20.0)], axis=1)
SHARES = np.outer(np.minimum(X, 1.0), [0.08, 0.03])
DOSE = np.where(X < 1.0, 1.0 + 2.0 * X**4, 1e-5)


def rings(n: float) -> np.ndarray:
    """Counts of n particles, with their noise."""
    widths = np.concatenate([CORE[:, None], HALOS], axis=1)
    weights = np.concatenate([1.0 - SHARES.sum(axis=1, keepdims=True), SHARES], axis=1)
    outside = np.exp(-0.5 * (grid.RING_EDGES_mm / widths[:, :, None]) ** 2)
    mean = (weights[:, :, None] * (outside[:, :, :-1] - outside[:, :, 1:])).sum(axis=1)
    return np.random.default_rng(3).poisson(mean * DOSE[:, None] * n) / n


@pytest.mark.parametrize(
    ("n", "core", "share", "halo"), [(1e6, 0.005, 0.003, 0.08), (2e4, 0.03, 0.012, 0.25)]
)
def test_known_shape_is_found(n: float, core: float, share: float, halo: float):
    fit = fit_lateral(grid.RING_EDGES_mm, rings(n), *END)
    inside = (X > 0.1) & (X < 1.0)
    np.testing.assert_allclose(fit.core_mm[inside], CORE[inside], rtol=core)
    np.testing.assert_allclose(fit.halo_share[inside], SHARES[inside], atol=share)
    np.testing.assert_allclose(fit.halo_mm[inside], HALOS[inside], rtol=halo)


def test_residual_is_that_of_the_noise():
    few, many = (fit_lateral(grid.RING_EDGES_mm, rings(n), *END).residual for n in (1e4, 1e6))
    assert np.nanmean(many) < 0.004
    assert 5.0 < np.nanmean(few) / np.nanmean(many) < 20.0


def test_nothing_is_made_up_where_there_is_no_dose():
    """Behind the peak of a proton beam the shape follows from its neighbours, and the residual says so."""
    fit = fit_lateral(grid.RING_EDGES_mm, rings(1e6), *END)
    np.testing.assert_array_equal(np.isnan(fit.residual), X > 1.0)
    assert np.all(np.isfinite(fit.core_mm))
    assert np.all((fit.halo_share >= 0.0) & (fit.halo_share.sum(axis=1, keepdims=True) < 1.0))


def test_components_keep_their_order():
    fit = fit_lateral(grid.RING_EDGES_mm, rings(1e4), *END)
    assert np.all(fit.core_mm < fit.halo_mm[:, 0])
    assert np.all(fit.halo_mm[:, 0] < fit.halo_mm[:, 1])


def test_what_lies_behind_the_range_leaves_the_shape_before_it_alone():
    """Fragments behind the peak are spread ten times as far as the beam in it."""
    behind = rings(1e6)
    wide = np.diff(1.0 - np.exp(-0.5 * (grid.RING_EDGES_mm / 30.0) ** 2))
    behind[BEFORE:] = 0.05 * DOSE[0] * wide
    with_tail = fit_lateral(grid.RING_EDGES_mm, behind, *END)
    without = fit_lateral(grid.RING_EDGES_mm, rings(1e6), *END)
    np.testing.assert_allclose(with_tail.core_mm[:BEFORE], without.core_mm[:BEFORE], rtol=0.01)
    np.testing.assert_allclose(with_tail.halo_share[:BEFORE], without.halo_share[:BEFORE], atol=0.006)
    spread = np.sqrt(
        with_tail.core_mm**2 * (1.0 - with_tail.halo_share.sum(axis=1))
        + (with_tail.halo_share * with_tail.halo_mm**2).sum(axis=1)
    )
    np.testing.assert_allclose(spread[BEFORE:], 30.0, rtol=0.05)
