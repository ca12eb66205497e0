"""How many nucleons an ion loses in the first stage of a fragmentation.

Abrasion after Huefner, Schaefer and Schuermann, Phys. Rev. C 12 (1975) 1888: nucleons fly straight on, and
each of the projectile at impact parameter b is struck with the chance ``p(b)`` that it meets one of the
target.  The number k of struck nucleons is binomial at every b::

    p(b) = int d2s T_P(s - b) (1 - exp(-sigma_NN A_T T_T(s)))
    P(k) ~ int 2 pi b db binom(A_P, k) p(b)^k (1 - p(b))^(A_P - k),   k >= 1

with the thickness T of Gaussian densities that have the measured radius.  A proton as target is as wide as
the range of the force between nucleons.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.stats import binom

from spotline.arrays import Floats
from spotline.physics.reaction_cross_sections import rms_radius_fm

_FORCE_VARIANCE_FM2 = 0.5
"""Variance per axis of the range of the force: slope of elastic nucleon-nucleon scattering, Ray, Phys. Rev. C
20 (1979) 1857."""
_NUCLEON_RADIUS_SQUARED_FM2 = 0.77
"""Of the charge of a proton, which charge radii contain."""


def _variance_fm2(z: int, a: int) -> float:
    if a == 1:
        return 0.0
    return max(rms_radius_fm(z, a) ** 2 - _NUCLEON_RADIUS_SQUARED_FM2, 0.5) / 3.0


@functools.cache
def struck_probability(
    projectile: tuple[int, int], target: tuple[int, int], nucleon_fm2: float
) -> tuple[Floats, Floats]:
    """Chance that a nucleon of the projectile is struck, by impact parameter.

    Parameters
    ----------
    projectile, target : tuple of int
        Atomic number and mass number.
    nucleon_fm2 : float
        Cross section of a nucleon on a nucleon inside nuclei.

    Returns
    -------
    tuple of ndarray
        Impact parameters in fm and the chance there, both of shape (n,).
    """
    wide = _variance_fm2(*projectile)
    narrow = _variance_fm2(*target) + _FORCE_VARIANCE_FM2
    reach = 5.0 * math.sqrt(wide + narrow)
    impact = (np.arange(80) + 0.5) * reach / 80
    radius = (np.arange(100) + 0.5) * 5.0 * math.sqrt(narrow) / 100
    angle = (np.arange(32) + 0.5) * math.pi / 32
    opacity = 1.0 - np.exp(
        -nucleon_fm2 * target[1] / (2.0 * math.pi * narrow) * np.exp(-(radius**2) / (2.0 * narrow))
    )
    distance_squared = (
        radius[None, :, None] ** 2
        + impact[:, None, None] ** 2
        - 2.0 * radius[None, :, None] * impact[:, None, None] * np.cos(angle)
    )
    thickness = np.exp(-distance_squared / (2.0 * wide)) / (2.0 * math.pi * wide)
    step = radius[1] - radius[0]
    chance = 2.0 * math.pi * step * np.einsum("r,brt->b", radius * opacity, thickness) / angle.size
    return impact, np.minimum(chance, 1.0)


@functools.cache
def abrasion_probability(projectile: tuple[int, int], target: tuple[int, int], nucleon_fm2: float) -> Floats:
    """Distribution of the number of struck nucleons.

    Parameters
    ----------
    projectile, target : tuple of int
        Atomic number and mass number; the projectile has two nucleons or more.
    nucleon_fm2 : float
        Cross section of a nucleon on a nucleon inside nuclei.

    Returns
    -------
    ndarray, shape (A_P + 1,)
        Probability of k struck nucleons, given that it is one at least; that of k = 0 is 0.
    """
    impact, chance = struck_probability(projectile, target, nucleon_fm2)
    k = np.arange(projectile[1] + 1)
    probability: Floats = impact @ binom.pmf(k[None, :], projectile[1], chance[:, None])
    probability[0] = 0.0
    return probability / probability.sum()


def abrasion_cross_section_mb(
    projectile: tuple[int, int], target: tuple[int, int], nucleon_fm2: float
) -> float:
    """Cross section of striking at least one nucleon, to be held against the total reaction cross section."""
    impact, chance = struck_probability(projectile, target, nucleon_fm2)
    missed = (1.0 - chance) ** projectile[1]
    return float(10.0 * 2.0 * math.pi * (impact[1] - impact[0]) * np.sum(impact * (1.0 - missed)))
