"""Particles of the spots of a cube: a weight for each layer, times a smooth profile across it.

Which spots there are is a matter of geometry: in each layer a rectangle without holes.  Across a layer the
weights are even, and changed towards the edges by some ramps in each axis and by their products, which is why
they are smooth and symmetric.  So few numbers are left that the problem is solved exactly: the cost is smooth
and strictly convex, bounds are kept by a logarithmic barrier, and Newton's method goes on until nothing moves
any more (Boyd and Vandenberghe, Convex Optimization (2004), chapters 9 and 11).  No decision hangs on a
number that was optimised, and so none on how a processor rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

from spotline.arrays import Floats
from spotline.errors import DoseError
from spotline.planning.water_operator import WaterOperator

RAMPS = (2.5, 6.0)
"""Lengths of the ramps at the edges of a layer, in standard deviations of its spots."""
RATIO = 1.45
"""Largest ratio of neighbouring spots of a layer."""
FLOOR_MARGIN = 1.02
"""The first weights stay so far above the least, because the barrier needs room to begin in."""
TOLERANCE = 0.005
"""Relative deviation beyond which the fourth power of the deviation costs more than its square, so that
single bad points are mended at the price of many good ones."""
RIDGE, ROUGHNESS = 1e-5, 0.05
"""What coefficients cost that differ from those of an even layer, and second differences in depth."""
BARRIERS = (1e-3, 1e-5, 1e-7)
"""Weights of the barrier, one after the other: what the bounds may cost, beside the mean square deviation."""
STILL = 1e-9
"""Newton's method has arrived when no coefficient moves by more, relative to the weight of its layer."""
STEPS = 200
"""A strictly convex problem that takes more steps of Newton's method is badly posed."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """What does not change while particles are looked for, of spots and points that are symmetric about 0.

    Attributes
    ----------
    response_Gy : ndarray, shape (points, layers, shapes)
        Dose of one particle in each spot of a layer times a shape, in one quarter of the points.
    shapes : list of ndarray, each of shape (shapes, rows, columns)
        Of each layer; the first is 1 within its rectangle, and all are 0 beyond.
    bounds : list of ndarray, each of shape (bounds, shapes)
        Particles of single spots, then what a neighbour may have more than a spot, in one quarter.
    n_spots : ndarray, shape (layers,)
        How many of the bounds are particles of spots.
    """

    response_Gy: Floats
    shapes: list[Floats]
    bounds: list[Floats]
    n_spots: NDArray[np.intp]


def layers_of(
    operator: WaterOperator, x_mm: Floats, y_mm: Floats, half_mm: Floats, sigma_mm: Floats
) -> Layers:
    """Lay out rectangles and ramps, and their dose.

    Parameters
    ----------
    operator : WaterOperator
    x_mm, y_mm : ndarray, shapes (columns,), (rows,)
        Its axes of spots, symmetric about 0.
    half_mm : ndarray, shape (layers, 2)
        Positions of the outermost spots of each layer, in x and y.
    sigma_mm : ndarray, shape (layers, 2)
        Standard deviations of its spots where their peak lies.
    """
    points = operator.points.shape
    quarter = [n // 2 for n in points[1:]]
    response, shapes, bounds, counts = [], [], [], []
    for layer in range(len(operator.entries)):
        along_x, along_y = (
            _ramps(axis, half_mm[layer, a], sigma_mm[layer, a]) for a, axis in enumerate((x_mm, y_mm))
        )
        response.append(operator.separable(layer, along_y, along_x)[:, quarter[0] :, quarter[1] :])
        both = np.einsum("iy,jx->ijyx", along_y, along_x).reshape(-1, len(y_mm), len(x_mm))
        shapes.append(both)
        spots = both[:, len(y_mm) // 2 :, len(x_mm) // 2 :]
        spots = spots[:, along_y[0, len(y_mm) // 2 :] > 0.0][:, :, along_x[0, len(x_mm) // 2 :] > 0.0]
        pairs = [(spots[:, 1:], spots[:, :-1]), (spots[:, :, 1:], spots[:, :, :-1])]
        ratios = [RATIO * a - b for one, other in pairs for a, b in ((one, other), (other, one))]
        bounds.append(np.concatenate([part.reshape(len(both), -1).T for part in (spots, *ratios)]))
        counts.append(spots[0].size)
    stacked = np.stack(response, axis=3)
    return Layers(stacked.reshape(-1, *stacked.shape[3:]), shapes, bounds, np.array(counts))


def _ramps(axis_mm: Floats, half_mm: float, sigma_mm: float) -> Floats:
    """1, and squares that rise from 0 to 1 towards the outermost spot, over each of some lengths."""
    away = np.abs(axis_mm)
    rows = [np.ones(len(away))]
    for ramp in RAMPS:
        length = min(ramp * sigma_mm, half_mm)
        rows.append(np.maximum(0.0, 1.0 - (half_mm - away) / length) ** 2)
    return np.where(away <= half_mm + 1e-6, np.array(rows), 0.0)


def quarter_of(values: Floats) -> Floats:
    """Values in one quarter of points that are symmetric about 0, flat; shape (nz, ny, nx) before."""
    return values[:, values.shape[1] // 2 :, values.shape[2] // 2 :].ravel()


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What the particles are to reach, in the points of a quarter.

    Attributes
    ----------
    dose_Gy : ndarray, shape (points,)
        Prescription where it is above 0.
    weight : ndarray, shape (points,)
        Weight of the square of the deviation of each point; where nothing is prescribed, of its dose.
    """

    dose_Gy: Floats
    weight: Floats


def even_weights(layers: Layers, wanted: Wanted, least: Floats, on_axis: NDArray[np.bool_]) -> Floats:
    """Particles of the spots of even layers that make the dose on the axis homogeneous.

    Least squares with all weights above the least; that they change evenly from layer to layer is part of it,
    without which neighbours whose peaks overlap could take from each other.

    Raises
    ------
    DoseError
        If the least particles make more than the prescribed dose already.
    """
    rows = on_axis & (wanted.dose_Gy > 0.0)
    dose = layers.response_Gy[rows, :, 0]
    floor = FLOOR_MARGIN * least
    prescribed = wanted.dose_Gy[rows]
    if not dose.max() > 0.0:
        raise DoseError("no spot reaches the target; take energies that do")
    if np.mean(dose @ floor) > np.mean(prescribed):
        raise DoseError(
            f"the least that a spot may have gives {np.mean(dose @ floor):.3g} Gy in the mean, more than the "
            f"{np.mean(prescribed):.3g} Gy prescribed; prescribe more dose, or take spots further apart"
        )
    unit = prescribed.max() / dose.max(axis=0)
    # The layer that ends the cube is stronger than the others by far, and no neighbour of theirs.
    uneven = np.diff(np.eye(len(least)), n=2, axis=0)[:-1] * ROUGHNESS
    system = np.concatenate([dose * unit / prescribed[:, None], uneven])
    right = np.concatenate([1.0 - dose @ floor / prescribed, -uneven @ (floor / unit)])
    weights: Floats = floor + unit * nnls(system, right)[0]
    return weights


def particles_of(layers: Layers, weights: Floats, coefficients: Floats) -> Floats:
    """Particles of all spots from the coefficients of shapes, shape (layers, rows, columns)."""
    return np.array(
        [
            w * np.tensordot(c, shape, axes=1)
            for w, c, shape in zip(weights, coefficients, layers.shapes, strict=True)
        ]
    )


def solve(
    layers: Layers,
    wanted: Wanted,
    least: Floats,
    weights: Floats,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Find the coefficients of the shapes of all layers.

    Parameters
    ----------
    layers : Layers
    wanted : Wanted
    least : ndarray, shape (layers,)
        The least a spot of each layer may have.
    weights : ndarray, shape (layers,)
        Particles of the spots to begin with, above the least: those of even layers.
    progress : callable, optional
        Called with the parts that are done, and all.

    Returns
    -------
    ndarray, shape (layers, shapes)
        In units of `weights`.

    Raises
    ------
    DoseError
        If Newton's method does not arrive.
    """
    n_shapes = layers.response_Gy.shape[2]
    reference = wanted.dose_Gy.max()
    matrix = (layers.response_Gy * (weights[:, None] / reference)).reshape(len(wanted.dose_Gy), -1)
    target = wanted.dose_Gy / reference
    share = wanted.weight / wanted.weight.sum()
    quartic = np.where(wanted.dose_Gy > 0.0, TOLERANCE**-2, 0.0)
    offsets = [
        np.where(np.arange(len(bound)) < n, low / weight, 0.0)
        for bound, n, low, weight in zip(layers.bounds, layers.n_spots, least, weights, strict=True)
    ]
    total = sum(map(len, offsets))
    first = np.zeros((len(weights), n_shapes))
    first[:, 0] = 1.0
    now = first.copy()

    def room(at: Floats) -> list[Floats]:
        return [bound @ c - low for bound, c, low in zip(layers.bounds, at, offsets, strict=True)]

    def cost(at: Floats, barrier: float) -> float:
        left = room(at)
        if min(float(part.min()) for part in left) <= 0.0:
            return np.inf
        away = matrix @ at.ravel() - target
        logs = sum(float(np.log(part).sum()) for part in left)
        return (
            float(np.sum(share * away**2 * (1.0 + quartic * away**2)))
            + RIDGE * float(np.sum((at - first) ** 2))
            - barrier / total * logs
        )

    def step(at: Floats, barrier: float) -> tuple[Floats, float]:
        away = matrix @ at.ravel() - target
        gradient = matrix.T @ (share * (2.0 * away + 4.0 * quartic * away**3))
        gradient += 2.0 * RIDGE * (at - first).ravel()
        curve = share * (2.0 + 12.0 * quartic * away**2)
        hessian = (matrix * curve[:, None]).T @ matrix
        hessian[np.diag_indices_from(hessian)] += 2.0 * RIDGE
        for layer, (bound, left) in enumerate(zip(layers.bounds, room(at), strict=True)):
            where = slice(layer * n_shapes, (layer + 1) * n_shapes)
            gradient[where] -= barrier / total * (bound.T @ (1.0 / left))
            hessian[where, where] += barrier / total * ((bound / left[:, None] ** 2).T @ bound)
        move = -cho_solve(cho_factor(hessian), gradient)
        return move.reshape(at.shape), float(gradient @ move)

    for number, barrier in enumerate(BARRIERS):
        for _ in range(STEPS):
            move, slope = step(now, barrier)
            length, before = 1.0, cost(now, barrier)
            # Close to the end costs differ by less than they are rounded to, and full steps are right.
            while not cost(now + length * move, barrier) <= before + 0.1 * length * slope + 1e-13:
                length *= 0.5
            now = now + length * move
            if np.abs(move).max() < STILL:
                break
        else:
            raise DoseError(
                "particles of the layers: Newton's method does not arrive; take another depth or size"
            )
        if progress is not None:
            progress(number + 1, len(BARRIERS))
    return now
