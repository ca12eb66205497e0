"""Where primaries come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats
from spotline.errors import PhysicsError
from spotline.jit import kernel
from spotline.physics.ions import Ion
from spotline.physics.nuclei import SPECIES
from spotline.physics.phase_space import PhaseSpace
from spotline.random import draw, draw_uniform, normal


class SourceArrays(NamedTuple):
    """A source as kernels see it.

    Attributes
    ----------
    beam : ndarray, shape (9,)
        Energy in MeV/u; its relative standard deviation; x, y, z of the centre in mm; then, for both planes
        alike, standard deviations of position (mm) and angle (rad), and the slope of the angle with the
        position (rad/mm) and what remains of the angle beside it.
    filter_mm : ndarray, shape (n,)
        Quantiles, at equal steps, of the thickness that a ripple filter puts before the source.
    spots : ndarray, shape (m, 5)
        Of a scanned beam: x and y of every spot (mm), its direction in x and y (rad), and the share of the
        primaries in it and all before it; empty for a single beam on the axis.
    """

    beam: Floats
    filter_mm: Floats
    spots: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A Gaussian beam along z.

    Attributes
    ----------
    ion : Ion
    energy_MeV_u : float
        Mean energy.
    species : int
        Index of the ion in `SPECIES`.
    arrays : SourceArrays
    """

    ion: Ion
    energy_MeV_u: float
    species: int
    arrays: SourceArrays


def pencil_source(
    ion: Ion,
    energy_MeV_u: float,
    *,
    sigma_relative: float = 0.0,
    start_mm: float = 0.0,
    ripple_mm: Floats | None = None,
    phase_space: PhaseSpace | None = None,
    spots: Floats | None = None,
) -> Source:
    """Make a beam on the axis, or one that is scanned over spots.

    Parameters
    ----------
    ion : Ion
    energy_MeV_u : float
        Mean energy.
    sigma_relative : float
        Standard deviation of the energy over its mean.
    start_mm : float
        z at which the beam begins.
    ripple_mm : ndarray, optional
        Quantiles at equal steps of the thickness of a ripple filter: every primary begins so much earlier, so
        the geometry must extend so far in front of `start_mm`.
    phase_space : PhaseSpace, optional
        Position and angle at the start, in both planes; by default a line without width.
    spots : ndarray, shape (m, 5), optional
        x and y of every spot (mm), its direction in x and y (mrad), and its weight.

    Raises
    ------
    PhysicsError
        If a figure cannot be.
    """
    if ion not in SPECIES:
        raise PhysicsError(f"source: {ion.symbol} is not transported; use one of the nuclei of the tables")
    if not energy_MeV_u > 0.0 or not 0.0 <= sigma_relative < 0.2:
        raise PhysicsError(
            f"source: energy {energy_MeV_u:g} MeV/u, spread {sigma_relative:g}; use a positive energy and a "
            "relative spread below 0.2"
        )
    start = PhaseSpace(0.0, 0.0) if phase_space is None else phase_space
    sigma_mm, sigma_mrad = float(start.sigma_mm), float(start.divergence_mrad)
    covariance_mm_mrad = float(start.covariance_mm_mrad)
    if abs(covariance_mm_mrad) > sigma_mm * sigma_mrad:
        raise PhysicsError("source: covariance beyond the product of both standard deviations")
    slope = covariance_mm_mrad * 1e-3 / sigma_mm**2 if sigma_mm > 0.0 else 0.0
    rest = max(0.0, (sigma_mrad * 1e-3) ** 2 - (slope * sigma_mm) ** 2) ** 0.5
    beam = np.array(
        [energy_MeV_u, sigma_relative, 0.0, 0.0, start_mm, sigma_mm, sigma_mrad * 1e-3, slope, rest]
    )
    quantiles = np.zeros(1) if ripple_mm is None else np.ascontiguousarray(ripple_mm, dtype=float)
    return Source(ion, energy_MeV_u, SPECIES.index(ion), SourceArrays(beam, quantiles, _scanned(spots)))


def _scanned(spots: Floats | None) -> Floats:
    if spots is None:
        return np.zeros((0, 5))
    scanned = np.array(spots, dtype=float)
    weight = scanned[:, 4]
    if not (len(weight) and np.all(weight >= 0.0) and weight.sum() > 0.0):
        raise PhysicsError("source: the weights of the spots are negative or all 0; leave such spots out")
    scanned[:, 2:4] *= 1e-3
    scanned[:, 4] = np.cumsum(weight) / weight.sum()
    return scanned


@kernel
def start_primary(
    source: SourceArrays, rng: NDArray[np.uint64]
) -> tuple[float, float, float, float, float, float, float]:
    """Draw energy (MeV/u), x, y, z (mm) and the direction of a primary."""
    beam = source.beam
    bits = draw(rng)
    energy = beam[0] * (1.0 + beam[1] * normal(bits, 0))
    dx = beam[5] * normal(bits, 1)
    dy = beam[5] * normal(bits, 2)
    u = beam[7] * dx + beam[8] * normal(bits, 3)
    v = beam[7] * dy + beam[8] * normal(bits, 4)
    spots = source.spots
    if len(spots) > 0:
        share = draw_uniform(rng)
        low, high = 0, len(spots) - 1
        while low < high:
            middle = (low + high) // 2
            if spots[middle, 4] <= share:
                low = middle + 1
            else:
                high = middle
        dx, dy, u, v = dx + spots[low, 0], dy + spots[low, 1], u + spots[low, 2], v + spots[low, 3]
    length = (1.0 + u * u + v * v) ** 0.5
    before = 0.0
    last = len(source.filter_mm) - 1
    if last > 0:
        place = draw_uniform(rng) * last
        step = int(place)
        lower = source.filter_mm[step]
        before = lower + (place - step) * (source.filter_mm[step + 1] - lower)
    else:
        before = source.filter_mm[0]
    return energy, beam[2] + dx, beam[3] + dy, beam[4] - before, u / length, v / length, 1.0 / length
