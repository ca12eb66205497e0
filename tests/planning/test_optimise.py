"""The operator in water against the engine, its adjoint, and what the optimisation reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import nnls

from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.pencil_beams import Divergence, add_layer
from spotline.dose.engine.voxel_loop import Rays
from spotline.errors import DoseError
from spotline.planning.optimise import Wanted, _cost, optimise
from spotline.planning.water_operator import WaterOperator, WaterPoints
from tests.dose.engine.entries import made_up_entry

DIVERGENCE = Divergence(6200.0, 5500.0, linear_mm=-0.002, quadratic=1e-5)
AXIS_mm = np.arange(-12.0, 12.1, 4.0)


def make_operator(step_mm: float = 4.0) -> WaterOperator:
    points = WaterPoints(
        np.arange(70.0, 104.0, step_mm),
        np.arange(-14.0, 14.1, step_mm),
        np.arange(-10.0, 10.1, step_mm),
        90.0,
    )
    entries = [made_up_entry(r) for r in (84.0, 88.0, 92.0, 96.0)]
    return WaterOperator(entries, [(4.0, 4.2)] * 4, AXIS_mm, AXIS_mm[1:-1], points, [DIVERGENCE] * 4)


@pytest.mark.kernel
def test_operator_is_the_engine():
    operator = make_operator()
    particles = np.random.default_rng(1).uniform(1e6, 2e6, operator.shape)
    points = operator.points
    z, y, x = (
        g.ravel().astype(np.float32)
        for g in np.meshgrid(points.depth_mm, points.y_iso_mm, points.x_iso_mm, indexing="ij")
    )
    rays = Rays(x, y, z, (points.isocentre_depth_mm - z).astype(np.float32))
    dose = np.zeros(len(x))
    gy, gx = np.meshgrid(AXIS_mm[1:-1], AXIS_mm, indexing="ij")
    for entry, n in zip(operator.entries, particles, strict=True):
        ones = np.ones(gx.size)
        add_layer(
            rays, entry, Spots(gx.ravel(), gy.ravel(), n.ravel(), 4.0 * ones, 4.2 * ones), DIVERGENCE, dose
        )
    expected = operator.dose(particles).ravel()
    np.testing.assert_allclose(dose, expected, atol=3e-3 * expected.max())


def test_adjoint_is_the_transpose():
    operator, chance = make_operator(), np.random.default_rng(2)
    particles, values = chance.normal(size=operator.shape), chance.normal(size=operator.points.shape)
    quantity = chance.uniform(1.0, 2.0, (len(values), operator.shape[0]))
    for q in (None, quantity):
        one = np.sum(operator.dose(particles, q) * values)
        other = np.sum(particles * operator.adjoint(values, q))
        assert one == pytest.approx(other, rel=1e-10)


def wanted_box(operator: WaterOperator, dose_Gy: float = 1.0) -> Wanted:
    z, y, x = np.meshgrid(
        operator.points.depth_mm, operator.points.y_iso_mm, operator.points.x_iso_mm, indexing="ij"
    )
    inside = (abs(x) <= 6.0) & (abs(y) <= 4.0) & (z >= 84.0) & (z <= 96.0)
    return Wanted(np.where(inside, dose_Gy, 0.0), np.where(inside, 1.0, 1e-3))


def test_optimum_is_that_of_bounded_least_squares():
    """Against the matrix of all spots and the active-set method of Lawson and Hanson, which is exact."""
    operator = make_operator()
    wanted = wanted_box(operator)
    told: list[tuple[int, int]] = []
    particles = optimise(
        operator, wanted, np.zeros(4), progress=lambda done, total: told.append((done, total))
    )
    unit = np.eye(operator.size).reshape(operator.size, *operator.shape) * 1e6
    matrix = np.array([operator.dose(one).ravel() for one in unit]).T
    root = np.sqrt(wanted.weight).ravel()
    _, residual = nnls(matrix * root[:, None], wanted.dose_Gy.ravel() * root, maxiter=10_000)
    cost = np.sum((root * (operator.dose(particles) - wanted.dose_Gy).ravel()) ** 2)
    assert residual**2 * (1 - 1e-9) <= cost < 1.05 * residual**2
    assert told[-1][0] <= told[-1][1]


def test_worst_point_is_mended_where_it_counts_more():
    operator = make_operator()
    even = wanted_box(operator)
    strict = replace(even, tolerance=0.003, beyond=100.0)
    worst, cost = [], []
    for wanted in (even, strict):
        away = operator.dose(optimise(operator, wanted, np.zeros(4))) - even.dose_Gy
        worst.append(np.abs(away[even.dose_Gy > 0.0]).max())
        cost.append(np.sum(even.weight * away**2))
    assert worst[1] < 0.9 * worst[0]
    assert cost[1] > cost[0]


def test_gradient_is_that_of_the_cost():
    operator = make_operator()
    wanted = replace(wanted_box(operator), tolerance=0.05, beyond=20.0)
    chance = np.random.default_rng(1)
    particles = 1e6 * chance.uniform(0.5, 1.5, operator.shape)
    way = 1e2 * chance.normal(size=operator.shape)
    (more, _), (less, _) = (_cost(operator, wanted, particles + sign * way) for sign in (1.0, -1.0))
    _, gradient = _cost(operator, wanted, particles)
    assert (more - less) / 2.0 == pytest.approx(float(np.sum(gradient * way)), rel=1e-5)


def test_least_particles_are_kept_or_left_out():
    operator = make_operator()
    plenty = np.full(4, 5e7)
    particles = optimise(operator, wanted_box(operator), plenty)
    assert np.all((particles == 0.0) | (particles >= 5e7 * (1 - 1e-9)))
    assert 0 < np.count_nonzero(particles) < particles.size


def test_no_spot_may_be_so_weak():
    operator = make_operator()
    with pytest.raises(DoseError, match="every spot would have fewer particles"):
        optimise(operator, wanted_box(operator), np.full(4, 1e15))


def test_a_good_start_is_kept():
    operator = make_operator()
    wanted = wanted_box(operator)
    found = optimise(operator, wanted, np.zeros(4))
    again = optimise(operator, wanted, np.zeros(4), start=found, iterations=1)
    target = wanted.dose_Gy > 0.0
    np.testing.assert_allclose(operator.dose(again)[target], operator.dose(found)[target], atol=0.01)


def test_nothing_prescribed_or_reached():
    operator = make_operator()
    nothing = Wanted(np.zeros(operator.points.shape), np.ones(operator.points.shape))
    with pytest.raises(DoseError, match="no point has a prescription"):
        optimise(operator, nothing, np.zeros(4))
    points = WaterPoints(np.array([500.0]), np.zeros(1), np.zeros(1), 90.0)
    far = WaterOperator([made_up_entry()], [(4.0, 4.0)], AXIS_mm, AXIS_mm, points, [DIVERGENCE])
    with pytest.raises(DoseError, match="no spot reaches"):
        optimise(far, Wanted(np.ones((1, 1, 1)), np.ones((1, 1, 1))), np.zeros(1))
