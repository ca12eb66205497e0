"""Particles of spots for a wanted dose: bounded least squares.

The objective is the mean square of dose less prescription over the target, plus a small one of dose outside;
what is beyond a tolerance can be made to count more.
L-BFGS-B keeps all particles above 0 (Byrd et al., SIAM J. Sci. Comput. 16 (1995) 1190).  Spots below the
least that a machine delivers are then taken out or raised to it, and the others are optimised again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from spotline.errors import DoseError
from spotline.planning.water_operator import WaterOperator

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What the optimisation is to reach, in all points of an operator.

    Attributes
    ----------
    dose_Gy : ndarray, shape (nz, ny, nx)
        Prescription where it is above 0.
    weight : ndarray, shape (nz, ny, nx)
        Weight of the deviation of each point; where nothing is prescribed, of its dose.
    tolerance : float
        Part of the largest prescription by which a prescribed dose may be missed at no more cost ...
    beyond : float
        ... than its square; what is beyond costs its own square, times this, on top.  So single bad points
        are mended at the price of many good ones.
    """

    dose_Gy: Floats
    weight: Floats
    tolerance: float = 0.0
    beyond: float = 0.0


def optimise(
    operator: WaterOperator,
    wanted: Wanted,
    least_particles: Floats,
    start: Floats | None = None,
    iterations: int = 150,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Find particles for a wanted dose.

    Parameters
    ----------
    operator : WaterOperator
    wanted : Wanted
    least_particles : ndarray, shape (layers,)
        The least a spot of each layer may have; a spot of nothing is left out of the plan.
    start : ndarray, shape `operator.shape`, optional
        Particles to begin with; by default the same for all spots.
    iterations : int
        At most, in each of the two rounds.
    progress : callable, optional
        Called with the iterations that are done, and at most all.

    Returns
    -------
    ndarray, shape `operator.shape`
        Particles; each is 0 or at least the least of its layer.

    Raises
    ------
    DoseError
        If nothing is prescribed, no spot reaches it, or none would have the least that may be delivered.
    """
    target = wanted.dose_Gy > 0.0
    if not target.any():
        raise DoseError("optimisation: no point has a prescription; make the target larger than the grid")
    flat = operator.dose(np.ones(operator.shape))
    reached = float(np.mean(flat[target]))
    if not reached > 0.0:
        raise DoseError("optimisation: no spot reaches the target; take energies that do")
    scale = float(np.mean(wanted.dose_Gy[target])) / reached
    least = np.broadcast_to(least_particles[:, None, None] / scale, operator.shape)
    done = 0

    def tell(_: object) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done, 2 * iterations), 2 * iterations)

    def cost(free: Floats, where: Mask, fixed: Floats) -> tuple[float, Floats]:
        particles = fixed.copy()
        particles[where] = free
        value, gradient = _cost(operator, wanted, particles * scale)
        return value, gradient[where] * scale

    everything = np.ones(operator.shape, dtype=bool)
    first = np.ones(operator.size) if start is None else start.ravel() / scale
    bounds: list[tuple[float, float | None]] = [(0.0, None)] * operator.size
    found = _minimise(cost, first, bounds, everything, np.zeros(operator.shape), iterations, tell)
    # A spot below half of the least is left out, one above is worth raising.
    kept = found >= 0.5 * least
    if not kept.any():
        raise DoseError(
            "optimisation: every spot would have fewer particles than may be delivered; prescribe more dose, "
            "or take spots further apart"
        )
    particles = np.where(kept, np.maximum(found, least), 0.0)
    bounds = [(float(low), None) for low in least[kept]]
    particles = _minimise(
        cost, particles[kept], bounds, kept, np.where(kept, 0.0, particles), iterations, tell
    )
    result: Floats = particles * scale
    return result


def _minimise(
    cost: Callable[[Floats, Mask, Floats], tuple[float, Floats]],
    start: Floats,
    bounds: list[tuple[float, float | None]],
    where: Mask,
    fixed: Floats,
    iterations: int,
    tell: Callable[[object], None],
) -> Floats:
    found = minimize(
        cost,
        start,
        (where, fixed),
        "L-BFGS-B",
        jac=True,
        bounds=bounds,
        callback=tell,
        options={"maxiter": iterations, "ftol": 1e-9, "gtol": 1e-9, "maxcor": 20},
    )
    particles = fixed.copy()
    particles[where] = found.x
    return particles


def _cost(operator: WaterOperator, wanted: Wanted, particles: Floats) -> tuple[float, Floats]:
    """Weighted mean square of the relative deviation, with what `Wanted` adds to it, and its gradient."""
    reference, total = float(wanted.dose_Gy.max()), float(wanted.weight.sum())
    away = (operator.dose(particles) - wanted.dose_Gy) / reference
    outside = np.where(wanted.dose_Gy > 0.0, np.maximum(0.0, np.abs(away) - wanted.tolerance), 0.0)
    slope = away + wanted.beyond * np.sign(away) * outside
    gradient = operator.adjoint(2.0 * wanted.weight * slope / (reference * total))
    return float(np.sum(wanted.weight * (away**2 + wanted.beyond * outside**2))) / total, gradient
