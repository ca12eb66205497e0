"""Particles of layers: the optimum, bounds that hold, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from spotline.errors import DoseError
from spotline.planning import layer_weights
from spotline.planning.layer_weights import (
    RATIO,
    Layers,
    Wanted,
    even_weights,
    layers_of,
    particles_of,
    quarter_of,
    solve,
)
from spotline.planning.water_operator import WaterOperator, WaterPoints
from tests.dose.engine.entries import made_up_entry
from tests.planning.test_water_operator import DIVERGENCE

AXIS_mm = np.arange(-18.0, 18.1, 3.0)
HALF_mm = np.array([[18.0, 15.0], [18.0, 15.0], [15.0, 15.0], [15.0, 12.0]])


def make(dose_Gy: float = 1.0) -> tuple[WaterOperator, Layers, Wanted, np.ndarray]:
    """Four layers for a box of 20 x 16 x 8 mm3; with which points lie on the axis."""
    points = WaterPoints(
        np.arange(80.0, 105.0, 1.5), np.arange(-16.0, 16.1, 2.0), np.arange(-14.0, 14.1, 2.0), 90.0
    )
    entries = [made_up_entry(r) for r in (88.0, 91.0, 94.0, 97.0)]
    operator = WaterOperator(entries, [(4.0, 4.2)] * 4, AXIS_mm, AXIS_mm, points, [DIVERGENCE] * 4)
    z, y, x = np.meshgrid(points.depth_mm, points.y_iso_mm, points.x_iso_mm, indexing="ij")
    inside = (abs(x) <= 10.0) & (abs(y) <= 8.0) & (z >= 88.0) & (z <= 96.0)
    wanted = Wanted(quarter_of(np.where(inside, dose_Gy, 0.0)), quarter_of(np.where(inside, 1.0, 1e-3)))
    layers = layers_of(operator, AXIS_mm, AXIS_mm, HALF_mm, np.full((4, 2), 5.0))
    return operator, layers, wanted, quarter_of((abs(x) < 1.0) & (abs(y) < 1.0))


def test_response_is_the_dose_of_the_particles():
    operator, layers, _, _ = make()
    chance = np.random.default_rng(3)
    coefficients = chance.uniform(0.5, 1.0, (4, layers.response_Gy.shape[2]))
    weights = np.array([1e6, 2e6, 3e6, 4e6])
    particles = particles_of(layers, weights, coefficients)
    short = np.einsum("pls,ls,l->p", layers.response_Gy, coefficients, weights)
    np.testing.assert_allclose(short, quarter_of(operator.dose(particles)), atol=1e-5 * short.max())
    # Rectangles of the size that was asked for, and nothing beyond.
    x, y = np.meshgrid(AXIS_mm, AXIS_mm)
    for some, (half_x, half_y) in zip(particles, HALF_mm, strict=True):
        np.testing.assert_array_equal(some > 0.0, (abs(x) <= half_x) & (abs(y) <= half_y))


def solved(layers: Layers, wanted: Wanted, on_axis: np.ndarray, least: np.ndarray) -> np.ndarray:
    weights = even_weights(layers, wanted, least, on_axis)
    return particles_of(layers, weights, solve(layers, wanted, least, weights))


def cost_of(layers: Layers, wanted: Wanted, coefficients: np.ndarray, weights: np.ndarray) -> float:
    dose = np.einsum("pls,ls,l->p", layers.response_Gy, coefficients, weights)
    away = dose - wanted.dose_Gy
    fourth = np.where(wanted.dose_Gy > 0.0, (away / layer_weights.TOLERANCE) ** 2, 0.0)
    even = np.zeros_like(coefficients)
    even[:, 0] = 1.0
    ridge = layer_weights.RIDGE * np.sum((coefficients - even) ** 2)
    return float(np.average(away**2 * (1.0 + fourth), weights=wanted.weight) + ridge)


def test_no_other_coefficients_are_better(monkeypatch: pytest.MonkeyPatch):
    """Against a minimiser that knows neither gradient nor curvature of ours; bounds are far away."""
    monkeypatch.setattr(layer_weights, "RATIO", 100.0)
    _, layers, wanted, on_axis = make()
    least = np.full(4, 1.0)
    weights = even_weights(layers, wanted, least, on_axis)
    found = solve(layers, wanted, least, weights)
    ours = cost_of(layers, wanted, found, weights)
    even = np.zeros_like(found)
    even[:, 0] = 1.0
    assert ours < 0.5 * cost_of(layers, wanted, even, weights)
    other = minimize(
        lambda c: cost_of(layers, wanted, c.reshape(found.shape), weights) * 1e4,
        found.ravel(),
        method="L-BFGS-B",
    )
    # What is left is what the barrier of the last round costs, per bound.
    assert other.fun / 1e4 > ours - 10.0 * layer_weights.BARRIERS[-1]


def test_the_same_optimum_from_a_response_with_other_rounding():
    """Noise as large as that of single precision moves particles by little more: nothing flips."""
    _, layers, wanted, on_axis = make()
    least = np.full(4, 1e5)
    plain = solved(layers, wanted, on_axis, least)
    noise = 1.0 + 1e-7 * np.random.default_rng(4).normal(size=layers.response_Gy.shape)
    noisy = solved(replace(layers, response_Gy=layers.response_Gy * noise), wanted, on_axis, least)
    np.testing.assert_array_equal(plain > 0.0, noisy > 0.0)
    np.testing.assert_allclose(noisy, plain, rtol=1e-4)


@pytest.mark.parametrize("part", [0.0, 0.9, 1.05])
def test_bounds_hold(part: float):
    """Also where the least is a bound for a layer, at most a little more than it would get without."""
    _, layers, wanted, on_axis = make()
    free = solved(layers, wanted, on_axis, np.full(4, 1.0))
    least = np.maximum(1.0, part * np.array([some[some > 0.0].min() for some in free]))
    if part > 1.0:
        least[1:] = 1.0  # only the first layer is held up
    particles = solved(layers, wanted, on_axis, least)
    for some, low in zip(particles, least, strict=True):
        used = some[some > 0.0]
        assert used.min() >= low
        rectangle = some[np.ix_((some > 0.0).any(axis=1), (some > 0.0).any(axis=0))]
        assert np.all(rectangle > 0.0)
        for axis in (0, 1):
            ratio = np.exp(np.abs(np.diff(np.log(rectangle), axis=axis)))
            assert ratio.max() <= RATIO
        np.testing.assert_allclose(some, some[::-1], rtol=1e-12)
        np.testing.assert_allclose(some, some[:, ::-1], rtol=1e-12)


def test_the_least_gives_too_much():
    _, layers, wanted, on_axis = make()
    with pytest.raises(DoseError, match="prescribe more dose"):
        even_weights(layers, wanted, np.full(4, 1e9), on_axis)


def test_no_spot_reaches():
    _, layers, wanted, on_axis = make()
    with pytest.raises(DoseError, match="no spot reaches"):
        even_weights(replace(layers, response_Gy=0.0 * layers.response_Gy), wanted, np.full(4, 1.0), on_axis)


def test_too_few_steps_are_said(monkeypatch: pytest.MonkeyPatch):
    _, layers, wanted, on_axis = make()
    monkeypatch.setattr(layer_weights, "STEPS", 1)
    with pytest.raises(DoseError, match="does not arrive"):
        solved(layers, wanted, on_axis, np.full(4, 1.0))
