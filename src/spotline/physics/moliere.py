"""Moliere's theory of multiple scattering: the width of the Gaussian core behind a homogeneous slab.

It takes no radiation length and no fitted constant, and knows the nuclei as points.  It is what the
scattering power of protons (`spotline.physics.scattering`) was fitted to, and serves to check it.
"""

from __future__ import annotations

import math

import numpy as np

from spotline.errors import OptionError
from spotline.physics.elements import ELEMENTS
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.scattering import AVOGADRO_PER_MOL, pv_MeV
from spotline.physics.stopping import RangeEnergy
from spotline.units import FINE_STRUCTURE

HBAR_C_MeV_cm = 197.326_980e-13
BOHR_RADIUS_cm = 0.529_177_211e-8
FANO_U_IN = {1: 3.6, 2: 4.1, 3: 4.6, 4: 5.0}
"""Inelastic screening by atomic number, 5.8 for all others: Fano, Phys. Rev. 93 (1954) 117."""


def hanson_angle_mrad(ion: Ion, energy_MeV_u: float, material: Material, thickness_mm: float) -> float:
    """Projected standard deviation of the Gaussian that fits the core of the angular distribution best.

    ``theta = chi_c sqrt((B - 1.2) / 2)`` (Hanson et al., Phys. Rev. 84 (1951) 634) with
    ``B - ln B = ln(chi_c^2 / 1.167 chi_a^2) + D_F / Z`` (Moliere 1948; Bethe, Phys. Rev. 89 (1953) 1256).
    ``chi_c^2 = 4 pi N_A (alpha hbar c z Z)^2 w/A int dt / (pv)^2`` sums over the elements and along the
    slowing down.  ``chi_a`` and the share of the electrons, for heavy particles
    ``D_F = ln[1130 Z^(-4/3) beta^2 gamma^2] + u_in - beta^2 / 2`` (Fano 1954), are averaged with the same
    weights, as in Gottschalk et al., Nucl. Instrum. Methods B 74 (1993) 467.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its kinetic energy per nucleon in front of the slab.
    material : Material
        The slab.
    thickness_mm : float
        Its thickness, above 0.

    Raises
    ------
    OptionError
        If the ion stops in the slab, or the slab is too thin for multiple scattering.
    """
    table = RangeEnergy(ion, material, material.mean_excitation_eV)
    total_g_cm2 = thickness_mm / 10.0 * material.density_g_cm3
    fraction, weight = np.polynomial.legendre.leggauss(48)
    depth_mm = thickness_mm * 0.5 * (fraction + 1.0)
    energy = table.energy_MeV_u(float(table.range_mm(energy_MeV_u)) - depth_mm)
    if not np.all(np.isfinite(energy)):
        raise OptionError(
            f"scattering of {ion.name} in {thickness_mm:g} mm of {material.name}: it stops there; "
            "use a thinner slab"
        )
    gamma = 1.0 + energy * ion.mass_number / ion.mass_MeV
    beta_squared = 1.0 - 1.0 / gamma**2
    pv = pv_MeV(ion, energy)
    momentum = pv / np.sqrt(beta_squared)
    chi_c_squared, logarithm = 0.0, 0.0
    for z, share in material.composition:
        strength = (
            4.0
            * math.pi
            * AVOGADRO_PER_MOL
            * (FINE_STRUCTURE * HBAR_C_MeV_cm * ion.charge_number * z) ** 2
            * share
            / ELEMENTS[z].atomic_mass_u
        )
        slices = strength * 0.5 * weight * total_g_cm2 / pv**2
        radius_cm = 0.885 * BOHR_RADIUS_cm * z ** (-1.0 / 3.0)
        born = (ion.charge_number * z * FINE_STRUCTURE) ** 2 / beta_squared
        chi_a_squared = (HBAR_C_MeV_cm / (momentum * radius_cm)) ** 2 * (1.13 + 3.76 * born)
        electrons = (
            np.log(1130.0 * z ** (-4.0 / 3.0) * (gamma**2 - 1.0)) + FANO_U_IN.get(z, 5.8) - 0.5 * beta_squared
        )
        chi_c_squared += float(np.sum(slices))
        logarithm += float(np.sum(slices * (electrons / z - np.log(1.167 * chi_a_squared))))
    b = math.log(chi_c_squared) + logarithm / chi_c_squared
    if b < 2.0:
        raise OptionError(
            f"scattering of {ion.name} in {thickness_mm:g} mm of {material.name}: too few "
            "collisions for the theory of multiple scattering; use a thicker slab"
        )
    big_b = b
    for _ in range(60):
        big_b = b + math.log(big_b)
    return 1e3 * math.sqrt(chi_c_squared * (big_b - 1.2) / 2.0)
