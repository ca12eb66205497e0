"""The operator in water against the engine, and its short cut for separable weights."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.pencil_beams import Divergence, add_layer
from spotline.dose.engine.voxel_loop import Rays
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


def test_separable_weights_give_the_dose_of_their_product():
    operator, chance = make_operator(), np.random.default_rng(2)
    along_y, along_x = chance.uniform(0.5, 1.5, (2, 5)), chance.uniform(0.5, 1.5, (3, 7))
    found = operator.separable(2, along_y, along_x)
    assert found.shape == (*operator.points.shape, 6)
    for i, y in enumerate(along_y):
        for j, x in enumerate(along_x):
            particles = np.zeros(operator.shape)
            particles[2] = np.outer(y, x)
            expected = operator.dose(particles)
            np.testing.assert_allclose(found[..., 3 * i + j], expected, atol=1e-5 * expected.max())
