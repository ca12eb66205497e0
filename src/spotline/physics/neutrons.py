"""Collisions of the neutrons that reactions of ions set free.

Through the protons that they knock on, they leave some percent of the dose behind the peak of an ion.  A
neutron meets hydrogen, isotropically in the centre of mass, with the cross section of Cugnon et al.,
Nucl. Instrum. Methods B 111 (1996) 215::

    sigma_np = 33 + 196 |p - 0.95|^2.5 mb (p > 0.45 GeV/c),  6.3555 p^-3.2481 exp(-0.377 ln^2 p) mb below

or a nucleon bound in a nucleus, with the inelastic cross section that protons have on it.  Elastic scattering
from nuclei, which hardly turns it, and capture are left out; so are neutrons of less than `LOWEST_MEV`, whose
recoils are spread over decimetres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotline.jit import kernel
from spotline.physics.elements import ELEMENTS
from spotline.physics.fragment_tables import MODEL, FragmentationModel, local_energy_MeV
from spotline.physics.fragmentation import GOLDHABER_MEV_C, NUCLEON_MEV, SEPARATION_MEV, collide
from spotline.physics.materials import Material
from spotline.physics.nuclei import NEUTRON_MASS_MEV
from spotline.physics.proton_cascade import unlike_over_like
from spotline.physics.proton_cross_sections import inelastic_mb
from spotline.physics.reaction_cross_sections import AVOGADRO_PER_MOL, CM2_PER_MB
from spotline.random import Sequence as Random
from spotline.random import draw, draw_uniform, normal

Floats = NDArray[np.float64]

LOWEST_MEV = 5.0
"""Neutrons of less energy are not followed."""
STEP_MEV = 2.0
HIGHEST_MEV = 700.0


class NeutronTables(NamedTuple):
    """Collisions of neutrons in a material, on energies from 0 in steps of `STEP_MEV`; stacked for several.

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


def neutron_proton_mb(energy_MeV: ArrayLike) -> Floats:
    """Cross section of a neutron on hydrogen; same shape as `energy_MeV`, from 1 MeV."""
    energy = np.asarray(energy_MeV, dtype=float)
    p = 1e-3 * np.sqrt(energy * (energy + 2.0 * NEUTRON_MASS_MEV))
    fast = 33.0 + 196.0 * np.abs(p - 0.95) ** 2.5
    slow = 6.3555 * p**-3.2481 * np.exp(-0.377 * np.log(p) ** 2)
    return np.where(p > 0.45, fast, slow)


def neutron_tables(material: Material, model: FragmentationModel = MODEL) -> NeutronTables:
    """Make the tables of one material."""
    energy = np.maximum(np.arange(0.0, HIGHEST_MEV + STEP_MEV, STEP_MEV), 1.0)
    total, hydrogen = np.zeros((2, energy.size))
    for z, fraction in material.composition:
        per_mb = fraction * AVOGADRO_PER_MOL / ELEMENTS[z].atomic_mass_u * CM2_PER_MB
        # What protons have below 20 MeV is the work of the Coulomb barrier.
        share = per_mb * (neutron_proton_mb(energy) if z == 1 else inelastic_mb(z, np.maximum(energy, 20.0)))
        total += share
        if z == 1:
            hydrogen = share
    return NeutronTables(
        total, hydrogen / total, np.array(model.excitation_MeV), np.array(local_energy_MeV(model, 1)[1])
    )


def stacked_neutrons(materials: Sequence[Material]) -> NeutronTables:
    """Tables of several materials, stacked along a first axis."""
    tables = [neutron_tables(material) for material in materials]
    return NeutronTables(*(np.stack(fields) for fields in zip(*tables, strict=True)))


@kernel
def neutron_rate(tables: NeutronTables, material: int, energy_MeV: float) -> float:
    """Collisions of a neutron per g/cm2."""
    row = min(int(energy_MeV / STEP_MEV + 0.5), tables.total_cm2_g.shape[1] - 1)
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
    row = min(int(energy_MeV / STEP_MEV + 0.5), tables.total_cm2_g.shape[1] - 1)
    mass = NUCLEON_MEV
    momentum = math.sqrt(energy_MeV * (energy_MeV + 2.0 * mass))
    e, x, y, z, local_MeV = energy_MeV + 2.0 * mass, 0.0, 0.0, momentum, 0.0
    is_proton = True
    if draw_uniform(rng) >= tables.hydrogen_share[material, row]:
        bits = draw(rng)
        x, y = GOLDHABER_MEV_C * normal(bits, 0), GOLDHABER_MEV_C * normal(bits, 1)
        z += GOLDHABER_MEV_C * normal(bits, 2)
        e -= SEPARATION_MEV + tables.hole_MeV[material]
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
