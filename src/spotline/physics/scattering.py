"""Multiple Coulomb scattering of ions: scattering power, and angles behind homogeneous slabs.

The scattering power is the growth of the variance of the projected angle, ``T = d<theta_x^2> / dx``.  In
Rossi's simplest theory it is ``(z E_s / pv)^2`` per length with ``E_s = 15.0 MeV``.  Its growth is really
slower at the beginning of a path, where the tail of single scattering is still far from the Gaussian core.
Two published corrections hold that: one for protons that was fitted to the theory of Moliere, one for ions
that is the derivative of the formula of Highland.  Both must be told with which energy the path began.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.physics.elements import ELEMENTS
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.stopping import RangeEnergy
from spotline.units import FINE_STRUCTURE

ROSSI_E_S_MeV = 15.0
"""Rossi's ``m_e c^2 sqrt(2 pi / alpha)``, for the projected angle."""
AVOGADRO_PER_MOL = 6.022_140_76e23
ELECTRON_RADIUS_cm = 2.817_940_3e-13
SHORTEST_PATH = 1e-5
"""Radiation lengths (4 um of water) below which the logarithm of Highland's formula is held."""
LEAST_LOSS = 1e-4
"""Relative loss of (pv)^2 (some um of water) below which the logarithm of Gottschalk's formula is held."""


def pv_MeV(ion: Ion, energy_MeV_u: ArrayLike) -> Floats:
    """Momentum times velocity of the whole ion, ``T (T + 2 M) / (T + M)``; same shape as `energy_MeV_u`."""
    kinetic = np.asarray(energy_MeV_u, dtype=float) * ion.mass_number
    product: Floats = kinetic * (kinetic + 2.0 * ion.mass_MeV) / (kinetic + ion.mass_MeV)
    return product


@functools.lru_cache(maxsize=64)
def scattering_length_g_cm2(material: Material) -> float:
    """Scattering length of a material, that scales the scattering of protons.

    ``1 / X_S = alpha N_A r_e^2 sum w Z^2 / A {2 ln[33219 (A Z)^(-1/3)] - 1}``: Gottschalk, Med. Phys. 37
    (2010) 352, where it takes the place of the radiation length (abstract), with the additivity of Bragg.
    """
    inverse = 0.0
    for z, fraction in material.composition:
        a = ELEMENTS[z].atomic_mass_u
        inverse += fraction * z**2 / a * (2.0 * math.log(33219.0 * (a * z) ** (-1.0 / 3.0)) - 1.0)
    return 1.0 / (FINE_STRUCTURE * AVOGADRO_PER_MOL * ELECTRON_RADIUS_cm**2 * inverse)


@functools.lru_cache(maxsize=256)
def range_table(ion: Ion, material: Material) -> RangeEnergy:
    """Ranges of an ion in a material with its tabulated I, made once; good enough for scattering."""
    return RangeEnergy(ion, material, material.mean_excitation_eV)


def scattering_power_rad2_cm2_per_g(
    ion: Ion, energy_MeV_u: ArrayLike, material: Material, initial_energy_MeV_u: ArrayLike
) -> Floats:
    """Scattering power of a material for an ion that began its path with a certain energy.

    Protons: ``T = f_dM (E_s / pv)^2 / X_S`` with the differential Moliere correction ``f_dM`` of Gottschalk,
    Med. Phys. 37 (2010) 352 (abstract).  It is fitted to protons, and knows the path by the loss of pv
    alone, so that it also holds for a path through several materials.

    Other ions: ``T = f_dH (z E_s / pv)^2 / X_0`` with the differential Highland correction
    ``f_dH = 0.970 (1 + ln l / 20.7) (1 + ln l / 22.7)``, l being the path so far in radiation lengths:
    Kanematsu, Nucl. Instrum. Methods B 266 (2008) 5056.  It is the derivative of Highland's variance: with
    ``e = 1 / (9 ln 10) = 1 / 20.72``, ``d/dl [14.1^2 l (1 + e ln l)^2]`` is ``14.1^2 (1 + 2 e) (1 + e ln l)
    (1 + ln l / 22.72)``, and ``(14.1 / 15.0)^2 (1 + 2 e) = 0.969``.  The path is computed as if it were all
    in this material.

    Parameters
    ----------
    ion : Ion
        Any nucleus.
    energy_MeV_u : array_like
        Kinetic energy per nucleon here.
    material : Material
        What the ion crosses here.
    initial_energy_MeV_u : array_like
        Kinetic energy per nucleon with which it began, broadcast against `energy_MeV_u`.  Above it the
        correction is that of the very beginning of a path.

    Returns
    -------
    ndarray
        Variance of the projected angle per mass thickness, in rad2 cm2/g.
    """
    pv = pv_MeV(ion, energy_MeV_u)
    rossi = (ion.charge_number * ROSSI_E_S_MeV / pv) ** 2
    if (ion.charge_number, ion.mass_number) == (1, 1):
        initial = pv_MeV(ion, initial_energy_MeV_u)
        return rossi * _differential_moliere(pv, initial) / scattering_length_g_cm2(material)
    table = range_table(ion, material)
    # Ions below the energies of the table are as good as stopped.
    left = np.nan_to_num(table.range_g_cm2(energy_MeV_u))
    path = (table.range_g_cm2(initial_energy_MeV_u) - left) / material.radiation_length_g_cm2
    return rossi * _differential_highland(path) / material.radiation_length_g_cm2


def _differential_moliere(pv: Floats, initial_pv: Floats) -> Floats:
    # Held at the beginning of the path, where the fit would fall below 0; so it also serves ions that are
    # faster than they should be at the beginning.
    lost = np.log10(np.maximum(1.0 - (pv / initial_pv) ** 2, LEAST_LOSS))
    size = np.log10(pv)
    correction: Floats = np.maximum(0.5244 + 0.1975 * lost + 0.2320 * size - 0.0098 * lost * size, 0.0)
    return correction


def _differential_highland(path: Floats) -> Floats:
    logarithm = np.log(np.maximum(path, SHORTEST_PATH))
    correction: Floats = 0.970 * (1.0 + logarithm / 20.7) * (1.0 + logarithm / 22.7)
    return correction


def highland_angle_mrad(ion: Ion, energy_MeV_u: float, material: Material, thickness_mm: float) -> float:
    """Projected standard deviation of the scattering angle behind a layer that stops little.

    ``theta_0 = 13.6 MeV / (p v) z sqrt(x/X_0) (1 + 0.038 ln(x/X_0))``: Highland, Nucl. Instrum. Methods
    129 (1975) 497, with the constants of Lynch and Dahl, Nucl. Instrum. Methods B 58 (1991) 6, as in Particle
    Data Group, Prog. Theor. Exp. Phys. (2022) 083C01, section 34.3.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    material : Material
        What it crosses.
    thickness_mm : float
        Thickness of the layer, above 0.
    """
    layers = thickness_mm / 10.0 * material.density_g_cm3 / material.radiation_length_g_cm2
    pv = float(pv_MeV(ion, energy_MeV_u))
    return 13.6e3 / pv * ion.charge_number * math.sqrt(layers) * (1.0 + 0.038 * math.log(layers))
