"""Radial dose of ion tracks, and the energy that a track leaves in a small domain.

The radial dose is that of Kiefer and Chatterjee, with the figures of Kase et al., Phys. Med. Biol. 53 (2008)
37, that Inaniwa et al., Phys. Med. Biol. 55 (2010) 6721, take over::

    D(r) = D_c             r < R_c = 0.0116 um beta
    D(r) = K_p / r^2       R_c < r < R_p = 0.0616 um (E / (MeV/u))^1.7
    K_p  = 1.25e-4 Gy um2 (Z_eff / beta)^2
    D_c  = (LET / rho - 2 pi K_p ln(R_p / R_c)) / (pi R_c^2)

with the effective charge of Barkas.  Radial dose and LET belong together: what the penumbra does not take is
left in the core.  A domain is a cylinder along the track.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.polynomial import legendre

from spotline.arrays import Floats
from spotline.physics.corrections import effective_charge
from spotline.physics.ions import Ion
from spotline.physics.let import let_keV_um
from spotline.physics.stopping import velocity
from spotline.units import ELEMENTARY_CHARGE_C

CORE_um = 0.0116
PENUMBRA_um = 0.0616
PENUMBRA_POWER = 1.7
PENUMBRA_Gy_um2 = 1.25e-4
GY_UM2_PER_KEV_UM = ELEMENTARY_CHARGE_C * 1e3 * 1e15
"""Dose times area that 1 keV/um leaves in water: 1 keV per um3 of 1e-15 kg."""

ANGLES = 32
"""Nodes of the integral over the part of the penumbra that a domain cuts."""
IMPACTS = (12, 40, 16, 60)
"""Nodes of the pieces of the integral over impact parameters: a core from the rim, inside, deep, outside."""


def core_radius_um(beta: Floats) -> Floats:
    """Radius of the core."""
    return CORE_um * beta


def penumbra_radius_um(energy_MeV_u: Floats) -> Floats:
    """Radius of the penumbra, the reach of the delta electrons."""
    radius: Floats = PENUMBRA_um * energy_MeV_u**PENUMBRA_POWER
    return radius


def radial_dose_Gy(ion: Ion, energy_MeV_u: float, radius_um: Floats) -> Floats:
    """Mean dose at distances from the track of one ion; same shape as `radius_um`."""
    energy = np.array([energy_MeV_u])
    core_Gy, penumbra_Gy_um2 = (float(values[0]) for values in _strengths(ion, energy))
    core = float(core_radius_um(velocity(ion, energy))[0])
    with np.errstate(divide="ignore"):
        dose = np.where(radius_um < core, core_Gy, penumbra_Gy_um2 / radius_um**2)
    return np.where(radius_um < penumbra_radius_um(energy), dose, 0.0)


def domain_events(ion: Ion, energy_MeV_u: Floats, domain_um: float) -> tuple[Floats, Floats]:
    """Specific energy that single ions leave in a domain, by impact parameter.

    Parameters
    ----------
    ion : Ion
        The ion.
    energy_MeV_u : ndarray, shape (n,)
        Its kinetic energies per nucleon.
    domain_um : float
        Radius of the domain.

    Returns
    -------
    specific_energy_Gy : ndarray, shape (n, m)
        Mean dose in the domain from an ion that passes its axis at one of m distances.
    area_um2 : ndarray, shape (n, m)
        The area that each distance stands for: sums with it are integrals over all impact parameters.
    """
    specific = [_events(ion, float(energy), domain_um) for energy in energy_MeV_u]
    return np.array([z for z, _ in specific]), np.array([area for _, area in specific])


def specific_energy_Gy(ion: Ion, energy_MeV_u: float, domain_um: float, impact_um: Floats) -> Floats:
    """Mean dose in a domain from one ion that passes its axis at distances `impact_um`; same shape."""
    energy = np.array([energy_MeV_u])
    core_Gy, penumbra_Gy_um2 = (float(values[0]) for values in _strengths(ion, energy))
    core_um = float(core_radius_um(velocity(ion, energy))[0])
    reach_um = float(penumbra_radius_um(energy)[0])
    left = core_Gy * _common_area_um2(impact_um, core_um, domain_um)
    left += penumbra_Gy_um2 * _penumbra_share(impact_um, core_um, reach_um, domain_um)
    specific: Floats = left / (math.pi * domain_um**2)
    return specific


def _strengths(ion: Ion, energy_MeV_u: Floats) -> tuple[Floats, Floats]:
    """Dose of the core in Gy, and K_p in Gy um2."""
    beta = velocity(ion, energy_MeV_u)
    penumbra = PENUMBRA_Gy_um2 * (effective_charge(ion, beta) / beta) ** 2
    core_um = core_radius_um(beta)
    all_of_it = let_keV_um(ion, energy_MeV_u) * GY_UM2_PER_KEV_UM
    outside = 2.0 * math.pi * penumbra * np.log(penumbra_radius_um(energy_MeV_u) / core_um)
    return (all_of_it - outside) / (math.pi * core_um**2), penumbra


def _events(ion: Ion, energy_MeV_u: float, domain_um: float) -> tuple[Floats, Floats]:
    energy = np.array([energy_MeV_u])
    core_um = float(core_radius_um(velocity(ion, energy))[0])
    impact, width = _impacts(core_um, float(penumbra_radius_um(energy)[0]), domain_um)
    return specific_energy_Gy(ion, energy_MeV_u, domain_um, impact), 2.0 * math.pi * impact * width


def _impacts(core_um: float, reach_um: float, domain_um: float) -> tuple[Floats, Floats]:
    """Nodes and weights in the impact parameter, dense where the core crosses the rim of the domain."""
    reach_um = max(reach_um, 1.001 * core_um)
    near_um = min(reach_um, 0.999 * domain_um)
    at_rim, inside, deep, outside = (_gauss(number) for number in IMPACTS)
    pieces = [
        # Distance to the rim, inwards: less than a core, less than a penumbra, more.
        (-1.0, *_linear(0.0, core_um, at_rim)),
        (-1.0, *_logarithmic(core_um, near_um, inside)),
        (-1.0, *_linear(near_um, domain_um, deep)),
        # And outwards.
        (1.0, *_linear(0.0, core_um, at_rim)),
        (1.0, *_logarithmic(core_um, reach_um, outside)),
    ]
    impact = np.concatenate([domain_um + sign * distance for sign, distance, _ in pieces])
    return impact, np.concatenate([width for _, _, width in pieces])


@functools.cache
def _gauss(number: int) -> tuple[Floats, Floats]:
    nodes, weights = legendre.leggauss(number)
    return np.asarray(nodes), np.asarray(weights)


def _linear(first: float, last: float, rule: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    half = 0.5 * (last - first)
    return first + half * (1.0 + rule[0]), half * rule[1]


def _logarithmic(first: float, last: float, rule: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    logs, widths = _linear(math.log(first), math.log(last), rule)
    return np.exp(logs), np.exp(logs) * widths


def _common_area_um2(distance_um: Floats, first_um: float, second_um: float) -> Floats:
    """Area that two discs have in common."""
    small = min(first_um, second_um)
    touching = np.clip(distance_um, abs(first_um - second_um) * (1.0 + 1e-12) + 1e-300, first_um + second_um)
    d2 = touching**2
    first = np.arccos(np.clip((d2 + first_um**2 - second_um**2) / (2.0 * touching * first_um), -1.0, 1.0))
    second = np.arccos(np.clip((d2 + second_um**2 - first_um**2) / (2.0 * touching * second_um), -1.0, 1.0))
    area: Floats = first_um**2 * (first - 0.5 * np.sin(2.0 * first))
    area += second_um**2 * (second - 0.5 * np.sin(2.0 * second))
    return np.where(distance_um <= abs(first_um - second_um), math.pi * small**2, area)


def _penumbra_share(impact_um: Floats, core_um: float, reach_um: float, domain_um: float) -> Floats:
    """Integral of ``1 / r^2`` over the part of the domain between core and reach; no unit."""
    gap = np.abs(impact_um - domain_um)
    # Circles around the track that lie wholly in the domain.
    whole_um = np.where(impact_um < domain_um, np.clip(gap, core_um, reach_um), core_um)
    whole = 2.0 * math.pi * np.log(whole_um / core_um)
    # Circles that it cuts: in ln r, with nodes dense at both ends, where the arc goes as a root.
    nodes, weights = _gauss(ANGLES)
    turn = 0.5 * math.pi * (1.0 + nodes)
    place = 0.5 * (1.0 - np.cos(turn))
    slope = 0.25 * math.pi * np.sin(turn) * weights
    first = np.log(np.clip(gap, core_um, reach_um))
    last = np.log(np.clip(impact_um + domain_um, core_um, reach_um))
    radius = np.exp(first[:, None] + (last - first)[:, None] * place)
    distance = np.maximum(impact_um, 1e-9 * domain_um)[:, None]
    cosine = (distance**2 + radius**2 - domain_um**2) / (2.0 * distance * radius)
    arc = 2.0 * np.arccos(np.clip(cosine, -1.0, 1.0))
    share: Floats = whole + (last - first) * (arc @ slope)
    return share
