"""Collisions of the neutrons that reactions of ions set free.

Through the protons that they knock on, they leave some percent of the dose behind the peak of an ion.  A
neutron meets hydrogen, isotropically in the centre of mass, with the cross section of Cugnon et al.,
Nucl. Instrum. Methods B 111 (1996) 215, with the numbers that codes with this parametrisation have::

    sigma_np = 33 + 196 |p - 0.95|^2.5 mb (p > 0.45 GeV/c),  6.3555 p^-3.2481 exp(-0.377 ln^2 p) mb below

or a nucleon bound in a nucleus, with the inelastic cross section that protons have on it.  Elastic scattering
from nuclei, which hardly turns it, and capture are left out; so are neutrons of less than `LOWEST_MeV`, whose
recoils are spread over decimetres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from spotline.arrays import Floats
from spotline.jit import kernel
from spotline.physics.fragmentation import GOLDHABER_MEV_C, NUCLEON_MeV, SEPARATION_MeV, collide
from spotline.physics.proton_cascade import unlike_over_like
from spotline.random import Sequence as Random
from spotline.random import draw, draw_uniform, normal

LOWEST_MeV = 5.0
"""Neutrons of less energy are not followed."""
STEP_MeV = 2.0
HIGHEST_MeV = 700.0


class NeutronTables(NamedTuple):
    """Collisions of neutrons in a material, on energies from 0 in steps of `STEP_MeV`; stacked for several.

    Attributes
    ----------
    total_cm2_g : ndarray, shape (n,)
        Collisions per areal density.
    hydrogen_share : ndarray, shape (n,)
        Share of hydrogen in them.
    hole_MeV, local_MeV : ndarray, shape ()
        Excitation that a struck nucleon leaves in its nucleus, and what charged particles get of it.
    """

    total_cm2_g: Floats
    hydrogen_share: Floats
    hole_MeV: Floats
    local_MeV: Floats


@kernel
def neutron_rate(tables: NeutronTables, material: int, energy_MeV: float) -> float:
    """Collisions of a neutron per g/cm2."""
    row = min(int(energy_MeV / STEP_MeV + 0.5), tables.total_cm2_g.shape[1] - 1)
    return tables.total_cm2_g[material, row]


@kernel
def strike(
    tables: NeutronTables, material: int, energy_MeV: float, rng: Random
) -> tuple[float, float, float, float, float, float, float]:
    """Sample a collision of a neutron.

    Returns
    -------
    tuple of seven floats
        Momentum in MeV/c of the faster neutron afterwards and of the proton set free (zeros if there is none)
        relative to the direction of the neutron before, and the energy in MeV left on the spot.
    """
    row = min(int(energy_MeV / STEP_MeV + 0.5), tables.total_cm2_g.shape[1] - 1)
    mass = NUCLEON_MeV
    momentum = math.sqrt(energy_MeV * (energy_MeV + 2.0 * mass))
    e, x, y, z, local_MeV = energy_MeV + 2.0 * mass, 0.0, 0.0, momentum, 0.0
    is_proton = True
    if draw_uniform(rng) >= tables.hydrogen_share[material, row]:
        bits = draw(rng)
        x, y = GOLDHABER_MEV_C * normal(bits, 0), GOLDHABER_MEV_C * normal(bits, 1)
        z += GOLDHABER_MEV_C * normal(bits, 2)
        e -= SEPARATION_MeV + tables.hole_MeV[material]
        local_MeV = tables.local_MeV[material]
        ratio = unlike_over_like(energy_MeV)
        is_proton = draw_uniform(rng) * (1.0 + ratio) < ratio
    apart, xn, yn, zn, xp, yp, zp = collide(e, x, y, z, draw_uniform(rng), draw_uniform(rng))
    if not apart:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, min(local_MeV, energy_MeV)
    if not is_proton:
        if xp * xp + yp * yp + zp * zp > xn * xn + yn * yn + zn * zn:
            xn, yn, zn = xp, yp, zp
        xp, yp, zp = 0.0, 0.0, 0.0
    return xn, yn, zn, xp, yp, zp, local_MeV
