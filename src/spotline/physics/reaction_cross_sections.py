"""Total reaction cross sections of ions: how often a nucleus breaks up in matter.

The parametrisation is that of Tripathi, Cucinotta and Wilson::

    sigma = pi r_0^2 (A_P^(1/3) + A_T^(1/3) + delta_E)^2 (1 - R_c B / E_cm) X_m
    delta_E = 1.85 S + 0.16 S / E_cm^(1/3) - C_E + 0.91 (A_T - 2 Z_T) Z_P / (A_T A_P)
    C_E = D (1 - exp(-E / T_1)) - 0.292 exp(-E / 792) cos(0.229 E^0.453)

for nuclei from lithium (Nucl. Instrum. Methods B 117 (1996) 347) and for light ones (B 155 (1999) 349), from
which the constants `D`, `T_1`, `R_c` and the optical-model factor `X_m` of protons, deuterons, 3He and 4He
come.  Form and constants as in codes that use them (Geant4, TALYS); the numbers of the equations are not at
hand.  `D` of 4He is that of Horst et al., Phys. Rev. C 99 (2019) 014603, who fitted it to their measurements
on H, C, O and Si; its numbers have not been held against the paper.  The first paper divides D of lithium by
3, for its dilute surface; that would make lithium a third larger than beryllium, against the interaction
cross sections of Tanihata et al., Phys. Lett. B 160 (1985) 380, and is left out.  On hydrogen an ion is
looked at from its own rest frame, so that the proton is the projectile.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.errors import PhysicsError
from spotline.physics.elements import ELEMENTS
from spotline.physics.ions import PROTON, Ion
from spotline.physics.materials import Material
from spotline.units import ATOMIC_MASS_UNIT_MeV, ELECTRON_MASS_MeV

AVOGADRO_PER_MOL = 6.022_140_76e23
CM2_PER_MB = 1e-27
RADIUS_FM = 1.1
"""r_0 of Tripathi et al."""

# Root-mean-square charge radii in fm: Angeli and Marinova, At. Data Nucl. Data Tables 99 (2013) 69; for the
# short-lived 10C, 11C, 13N and 15O those of their mirror nuclei.
_RMS_RADIUS_FM = {
    (1, 1): 0.878, (1, 2): 2.142, (1, 3): 1.759, (2, 3): 1.966, (2, 4): 1.676, (3, 6): 2.589, (3, 7): 2.444,
    (4, 7): 2.646, (4, 9): 2.519, (4, 10): 2.355, (5, 10): 2.428, (5, 11): 2.406, (6, 10): 2.355,
    (6, 11): 2.406, (6, 12): 2.470, (6, 13): 2.461, (7, 13): 2.461, (7, 14): 2.558, (7, 15): 2.606,
    (8, 15): 2.606, (8, 16): 2.699,
}  # fmt: skip


def rms_radius_fm(z: int, a: int) -> float:
    """Root-mean-square charge radius; beyond oxygen the trend ``0.836 A^(1/3) + 0.570`` (Elton 1961)."""
    return _RMS_RADIUS_FM.get((z, a), 0.836 * math.pow(a, 1.0 / 3.0) + 0.570)


def target_mass_number(z: int) -> int:
    """Mass number that stands for an element: its atomic weight, rounded.

    Raises
    ------
    PhysicsError
        If the element is none of `ELEMENTS`.
    """
    try:
        return round(ELEMENTS[z].atomic_mass_u)
    except KeyError:
        known = ", ".join(map(str, ELEMENTS))
        raise PhysicsError(
            f"reaction cross sections: no element of atomic number {z}; use one of {known}"
        ) from None


def reaction_cross_section_mb(ion: Ion, target_z: int, energy_MeV_u: ArrayLike) -> Floats:
    """Total reaction cross section of an ion on an element.

    Parameters
    ----------
    ion : Ion
        The projectile, up to oxygen.
    target_z : int
        Atomic number of the target.
    energy_MeV_u : array_like
        Kinetic energy per nucleon, >= 0.

    Returns
    -------
    ndarray
        Same shape as `energy_MeV_u`, in millibarn; 0 below the Coulomb barrier, and for a proton on hydrogen.

    Raises
    ------
    PhysicsError
        If the element is not known.
    """
    energy = np.asarray(energy_MeV_u, dtype=float)
    target_a = target_mass_number(target_z)
    projectile, target = (ion.charge_number, ion.mass_number), (target_z, target_a)
    if projectile == target == (1, 1):
        return np.zeros_like(energy)
    if target == (1, 1):
        projectile, target = target, projectile
        energy = energy * ion.mass_number / ion.mass_MeV * PROTON.mass_MeV  # the same velocity
    floor = 1e-3  # the formula divides by the energy; nothing reacts so far below the barrier
    sigma = _tripathi_mb(projectile, target, np.maximum(energy, floor))
    return np.where(energy > floor, sigma, 0.0)


def _mass_MeV(nucleus: tuple[int, int]) -> float:
    """Rest energy of a nucleus, good enough for the energy in the centre of mass."""
    z, a = nucleus
    return a * ATOMIC_MASS_UNIT_MeV - z * ELECTRON_MASS_MeV


def _density(nucleus: tuple[int, int]) -> float:
    return nucleus[1] / (4.0 / 3.0 * math.pi * (1.29 * rms_radius_fm(*nucleus)) ** 3)


def _transparency(
    projectile: tuple[int, int], target: tuple[int, int], energy: Floats
) -> tuple[Floats, float]:
    """Return D and T_1 of the two papers, for a pair whose lighter nucleus comes first."""
    a_t = target[1]
    if projectile == (1, 1):
        return 1.85 + 0.16 / (1.0 + np.exp((500.0 - energy) / 200.0)), 23.0
    if projectile == (1, 2):
        return 1.65 + 0.10 / (1.0 + np.exp((500.0 - energy) / 200.0)), 23.0
    if projectile == (2, 3):
        return np.full_like(energy, 1.55), 40.0
    if projectile == (2, 4):
        slope = -8.0e-3 * a_t + 1.8e-5 * a_t**2
        return 2.2 + slope - 0.3 / (1.0 + np.exp((120.0 - energy) / 50.0)), 40.0
    d = 1.75 * (_density(projectile) + _density(target)) / (2.0 * _density((6, 12)))
    return np.full_like(energy, d), 40.0


_COULOMB_FACTOR = {
    ((1, 1), (1, 2)): 13.5, ((1, 1), (2, 3)): 21.0, ((1, 1), (2, 4)): 27.0, ((1, 1), (3, 6)): 2.2,
    ((1, 1), (3, 7)): 2.2, ((1, 2), (1, 2)): 13.5, ((1, 2), (2, 4)): 13.5, ((1, 2), (6, 12)): 6.0,
}  # fmt: skip
"""R_c of Tripathi et al. (1999), where it is not 1."""


def _tripathi_mb(projectile: tuple[int, int], target: tuple[int, int], energy: Floats) -> Floats:
    (z_p, a_p), (z_t, a_t) = projectile, target
    m_p, m_t = _mass_MeV(projectile), _mass_MeV(target)
    total = energy * a_p + m_p + m_t
    momentum_squared = energy * a_p * (energy * a_p + 2.0 * m_p)
    e_cm = np.sqrt(total**2 - momentum_squared) - m_p - m_t
    p3, t3 = a_p ** (1.0 / 3.0), a_t ** (1.0 / 3.0)
    s = p3 * t3 / (p3 + t3)
    pair = (projectile, target) if a_p <= a_t else (target, projectile)
    d, t_1 = _transparency(*pair, energy)
    c_e = d * (1.0 - np.exp(-energy / t_1))
    c_e -= 0.292 * np.exp(-energy / 792.0) * np.cos(0.229 * energy**0.453)
    asymmetry = 0.91 * (pair[1][1] - 2 * pair[1][0]) * pair[0][0] / (a_t * a_p)
    delta = 1.85 * s + 0.16 * s / e_cm ** (1.0 / 3.0) - c_e + asymmetry
    radius = 1.29 * (rms_radius_fm(*projectile) + rms_radius_fm(*target)) + 1.2 * (p3 + t3) / e_cm ** (
        1.0 / 3.0
    )
    barrier = 1.44 * z_p * z_t / radius
    # Far below the barrier two factors may be negative at once, hence each is ended at 0.
    sigma = 10.0 * math.pi * RADIUS_FM**2 * np.maximum(p3 + t3 + delta, 0.0) ** 2
    sigma = sigma * np.maximum(1.0 - _COULOMB_FACTOR.get(pair, 1.0) * barrier / e_cm, 0.0)
    if pair[0][1] <= 4:
        x_1 = 2.83 - 3.1e-2 * pair[1][1] + 1.7e-4 * pair[1][1] ** 2
        s_l = 1.2 + 1.6 * (1.0 - np.exp(-energy / 15.0))
        sigma = sigma * np.maximum(1.0 - x_1 * np.exp(-energy / (x_1 * s_l)), 0.0)
    result: Floats = sigma
    return result


def macroscopic_cross_section_cm2_g(ion: Ion, material: Material, energy_MeV_u: ArrayLike) -> Floats:
    """Reactions of an ion per areal density of a material.

    Parameters
    ----------
    ion : Ion
        The projectile.
    material : Material
        What it crosses.
    energy_MeV_u : array_like
        Kinetic energy per nucleon.

    Returns
    -------
    ndarray
        Same shape as `energy_MeV_u`, in cm2/g.
    """
    shares = cross_section_shares_cm2_g(ion, material, energy_MeV_u).values()
    total: Floats = np.sum(list(shares), axis=0)
    return total


def cross_section_shares_cm2_g(ion: Ion, material: Material, energy_MeV_u: ArrayLike) -> dict[int, Floats]:
    """Share of every element of a material, by atomic number, in `macroscopic_cross_section_cm2_g`."""
    return {
        z: fraction
        * AVOGADRO_PER_MOL
        / ELEMENTS[z].atomic_mass_u
        * CM2_PER_MB
        * reaction_cross_section_mb(ion, z, energy_MeV_u)
        for z, fraction in material.composition
    }
