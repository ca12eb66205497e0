"""Fluctuations of the energy loss, and of the range that follows from them.

Moments of the energy loss per path come from the spectrum of single collisions with free electrons,
``d sigma / dT ~ (1 - beta^2 T / W_max) / T^2`` (Rossi, High-Energy Particles, 1952, section 2.3)::

    M_n = (K/2) z_eff^2 (Z/A) / beta^2 * W_max^(n-1) (1/(n-1) - beta^2/n)

which is the integral of ``T^n`` over that spectrum up to W_max.  ``M_2`` is the variance of Bohr, Philos.
Mag. 30 (1915) 581, made relativistic; ``M_3`` makes the asymmetry of thin layers: Vavilov, Sov. Phys. JETP 5
(1957) 749.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from spotline.arrays import Floats
from spotline.physics.corrections import effective_charge
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.stopping import (
    BETHE_K_MeV_cm2_PER_MOL,
    HIGHEST_ENERGY_MeV_u,
    LOWEST_ENERGY_MeV_u,
    largest_energy_transfer_MeV,
    mass_stopping_power_MeV_cm2_per_g,
    velocity,
)


def collision_strength_MeV_cm2_per_g(ion: Ion, energy_MeV_u: ArrayLike, material: Material) -> Floats:
    """``(K/2) z_eff^2 (Z/A) / beta^2``, Vavilov's xi per areal density; same shape as `energy_MeV_u`."""
    beta = velocity(ion, energy_MeV_u)
    squares = (effective_charge(ion, beta) / beta) ** 2
    strength: Floats = 0.5 * BETHE_K_MeV_cm2_PER_MOL * material.z_over_a * squares
    return strength


def straggling_moment(ion: Ion, energy_MeV_u: ArrayLike, material: Material, order: int) -> Floats:
    """Central moment of the energy loss of the whole ion per areal density.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : array_like
        Kinetic energy per nucleon, above 0.
    material : Material
        What it crosses.
    order : int
        2 for the variance, 3 for the third moment (for both, moments of layers add up).

    Returns
    -------
    ndarray
        Same shape as `energy_MeV_u`, in MeV^order cm2/g.
    """
    beta_squared = (
        1.0 - (1.0 + np.asarray(energy_MeV_u, dtype=float) * ion.mass_number / ion.mass_MeV) ** -2.0
    )
    w_max = largest_energy_transfer_MeV(ion, energy_MeV_u)
    strength = collision_strength_MeV_cm2_per_g(ion, energy_MeV_u, material)
    moment: Floats = strength * w_max ** (order - 1) * (1.0 / (order - 1) - beta_squared / order)
    return moment


def straggling_variance_MeV2_cm2_per_g(ion: Ion, energy_MeV_u: ArrayLike, material: Material) -> Floats:
    """Variance of the energy loss of the whole ion per areal density; same shape as `energy_MeV_u`."""
    return straggling_moment(ion, energy_MeV_u, material, 2)


def straggling_third_moment_MeV3_cm2_per_g(ion: Ion, energy_MeV_u: ArrayLike, material: Material) -> Floats:
    """Third central moment of the energy loss per areal density; same shape as `energy_MeV_u`."""
    return straggling_moment(ion, energy_MeV_u, material, 3)


def vavilov_kappa(ion: Ion, energy_MeV_u: ArrayLike, material: Material, thickness_mm: float) -> Floats:
    """Vavilov's kappa = xi / W_max of a layer: above 10 a Gaussian will do, below 0.01 Landau's holds."""
    areal_density = thickness_mm / 10.0 * material.density_g_cm3
    strength = collision_strength_MeV_cm2_per_g(ion, energy_MeV_u, material)
    kappa: Floats = strength * areal_density / largest_energy_transfer_MeV(ion, energy_MeV_u)
    return kappa


def range_straggling_g_cm2(
    ion: Ion, energy_MeV_u: ArrayLike, material: Material, excitation_eV: float | None = None
) -> Floats:
    """Standard deviation of the range of monoenergetic ions.

    An energy that is off by dE at energy E makes the range longer by dE / S(E).  On a path dx at E the
    variance of the energy grows by M_2 dx, that of the range by M_2 dx / S^2, and dx = dE / S::

        sigma_R^2 = integral of M_2(E) / S(E)^3 dE

    which is the first order of Tschalaer, Nucl. Instrum. Methods 61 (1968) 141.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : array_like
        Initial kinetic energy per nucleon.
    material : Material
        Where it stops.
    excitation_eV : float, optional
        Mean excitation energy, as for the stopping power.

    Returns
    -------
    ndarray
        Same shape as `energy_MeV_u`; NaN outside the validity of the stopping power.
    """
    log_energy = np.linspace(math.log(LOWEST_ENERGY_MeV_u), math.log(HIGHEST_ENERGY_MeV_u), 500)
    grid = np.clip(np.exp(log_energy), LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u)
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, grid, material, excitation_eV)
    density = straggling_variance_MeV2_cm2_per_g(ion, grid, material) / stopping**3
    integral = CubicSpline(log_energy, density * grid * ion.mass_number).antiderivative()
    energy = np.asarray(energy_MeV_u, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma: Floats = np.sqrt(np.maximum(integral(np.log(energy), extrapolate=False), 0.0))
    return sigma
