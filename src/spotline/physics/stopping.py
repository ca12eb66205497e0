"""Electronic stopping power and range of ions.

The mass stopping power is the Bethe formula with its corrections (ICRU Report 49, 1993, chapter 2, whose
notation is kept)::

    S = K z_eff^2 (Z/A) / beta^2 * L
    L = 1/2 ln(2 m_e c^2 beta^2 gamma^2 W_max / I^2) - beta^2 - delta/2 - C/Z + z_eff L_1 + L_2

* ``W_max``, largest energy transfer to an electron, and ``K``: Particle Data Group, Review of Particle
  Physics, "Passage of particles through matter".
* ``delta``, density effect; ``C/Z``, shell correction; ``L_1``, Barkas effect; ``z_eff``, charge of the ion
  dressed with electrons: see `spotline.physics.corrections`.
* ``L_2`` of hydrogen and helium nuclei is Bloch's, of heavier ions that of Lindhard and Sorensen, which
  contains it.  So do the tables of ICRU Report 90 (2016).  What the lighter ones lack by that, the Mott
  scattering of the electrons, is 0.08 % for protons and 0.15 % for helium at 200 MeV/u.

Below 0.5 MeV/u, where this ends, the stopping power goes with that of protons in water (ICRU Report 49) and
with the effective charge.  That is good to some percent, which is less than a micrometre of range.
docs/reference/verification-matter.md has how far all of it agrees with tables.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline, PchipInterpolator

from spotline.arrays import Floats
from spotline.errors import SpotlineError
from spotline.physics.corrections import (
    barkas_l1,
    bloch_l2,
    density_effect,
    effective_charge,
    lindhard_sorensen,
    proton_shape,
    shell_correction,
)
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER, Material
from spotline.units import ELECTRON_MASS_MeV

BETHE_K_MeV_cm2_PER_MOL = 0.307_075
LOWEST_ENERGY_MeV_u = 0.1
"""No stopping power is given below."""
HIGHEST_ENERGY_MeV_u = 600.0
BETHE_ENDS_MeV_u = 0.5
"""Below, the formula of Bethe gives way to the shape of the stopping power of slow protons."""

MEAN_EXCITATION_WATER_eV = {1: 77.0, 2: 77.5, 6: 77.5, 8: 78.0}
"""I of water by charge number of the beam.  Proton and carbon: the values that brought simulated depth doses
onto the measured ones (Mirandola et al. 2015, 3.A.1); helium as carbon and oxygen as ICRU 90, by lack of
better.  A charge between takes the value of the next one below."""


def mean_excitation_eV(ion: Ion, material: Material) -> float:
    """Return I of a material for an ion: only water's depends on the ion (see `MEAN_EXCITATION_WATER_eV`).

    In a mixed field give all its ions the I of the beam, so that the matter that they cross is one.
    """
    if material == WATER:
        known = max(z for z in MEAN_EXCITATION_WATER_eV if z <= ion.charge_number)
        return MEAN_EXCITATION_WATER_eV[known]
    return material.mean_excitation_eV


def largest_energy_transfer_MeV(ion: Ion, energy_MeV_u: ArrayLike) -> Floats:
    """Largest kinetic energy that the ion can give to a free electron (PDG 2022, eq. 34.4)."""
    gamma = 1.0 + np.asarray(energy_MeV_u, dtype=float) * ion.mass_number / ion.mass_MeV
    ratio = ELECTRON_MASS_MeV / ion.mass_MeV
    transfer: Floats = 2.0 * ELECTRON_MASS_MeV * (gamma**2 - 1.0) / (1.0 + 2.0 * gamma * ratio + ratio**2)
    return transfer


def velocity(ion: Ion, energy_MeV_u: ArrayLike) -> Floats:
    """Velocity in units of the speed of light; same shape as `energy_MeV_u`."""
    gamma = 1.0 + np.asarray(energy_MeV_u, dtype=float) * ion.mass_number / ion.mass_MeV
    beta: Floats = np.sqrt(1.0 - 1.0 / gamma**2)
    return beta


def mass_stopping_power_MeV_cm2_per_g(
    ion: Ion, energy_MeV_u: ArrayLike, material: Material, excitation_eV: float | None = None
) -> Floats:
    """Electronic mass stopping power of an ion.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : array_like
        Kinetic energy per nucleon, from 0.1 to 600 MeV/u.
    material : Material
        What it crosses.
    excitation_eV : float, optional
        Mean excitation energy; by default `mean_excitation_eV`.

    Returns
    -------
    ndarray
        Same shape as `energy_MeV_u`, in MeV cm2/g of the whole ion (not per nucleon).

    Raises
    ------
    SpotlineError
        If an energy lies outside the validity of the formula.
    """
    energy = np.asarray(energy_MeV_u, dtype=float)
    if not np.all((energy >= LOWEST_ENERGY_MeV_u) & (energy <= HIGHEST_ENERGY_MeV_u)):
        raise SpotlineError(
            f"stopping power of {ion.name} in {material.name}: an energy lies outside "
            f"{LOWEST_ENERGY_MeV_u:g}..{HIGHEST_ENERGY_MeV_u:g} MeV/u; use energies within"
        )
    excitation = mean_excitation_eV(ion, material) if excitation_eV is None else excitation_eV
    flat = energy.ravel()
    # Slow ions start from the stopping power at the end of Bethe's formula.
    stopping = _bethe(ion, np.maximum(flat, BETHE_ENDS_MeV_u), material, excitation)
    slow = flat < BETHE_ENDS_MeV_u
    stopping[slow] *= _slow_shape(ion, flat[slow]) / _slow_shape(ion, np.array(BETHE_ENDS_MeV_u))
    return stopping.reshape(energy.shape)


def _bethe(ion: Ion, energy_MeV_u: Floats, material: Material, excitation_eV: float) -> Floats:
    beta = velocity(ion, energy_MeV_u)
    eta = beta / np.sqrt(1.0 - beta**2)
    charge = effective_charge(ion, beta)
    electron_eV = ELECTRON_MASS_MeV * 1e6
    w_max_eV = largest_energy_transfer_MeV(ion, energy_MeV_u) * 1e6
    close = bloch_l2(charge, beta) if ion.charge_number <= 2 else lindhard_sorensen(charge, beta)
    stopping_number = (
        0.5 * np.log(2.0 * electron_eV * eta**2 * w_max_eV / excitation_eV**2)
        - beta**2
        - 0.5 * density_effect(eta, material)
        - shell_correction(beta, material)
        + charge * barkas_l1(beta, material)
        + close
    )
    stopping: Floats = BETHE_K_MeV_cm2_PER_MOL * material.z_over_a * charge**2 / beta**2 * stopping_number
    return stopping


def _slow_shape(ion: Ion, energy_MeV_u: Floats) -> Floats:
    shape: Floats = proton_shape(energy_MeV_u) * effective_charge(ion, velocity(ion, energy_MeV_u)) ** 2
    return shape


PROTON_PATH_BELOW = 1.37
"""Path of protons below `LOWEST_ENERGY_MeV_u`, over that with the stopping power there:
the integral of `proton_shape`."""


class RangeEnergy:
    """Range in continuous slowing down (CSDA), and back from range to energy, of one ion in one material.

    The range is the integral of ``dE / S`` in ln E by a cubic spline through 500 points.  Below 0.1 MeV/u,
    where the range is 2 to 5 um of water, S goes with the velocity, and that of protons with `proton_shape`.

    Parameters
    ----------
    ion : Ion
        The projectile.
    material : Material
        What it crosses.
    excitation_eV : float, optional
        Mean excitation energy; by default `mean_excitation_eV`.
    """

    def __init__(self, ion: Ion, material: Material, excitation_eV: float | None = None) -> None:
        self.ion = ion
        self.material = material
        log_energy = np.linspace(math.log(LOWEST_ENERGY_MeV_u), math.log(HIGHEST_ENERGY_MeV_u), 500)
        energy = np.exp(log_energy)
        energy[0], energy[-1] = LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u
        stopping = mass_stopping_power_MeV_cm2_per_g(ion, energy, material, excitation_eV)
        integral = CubicSpline(log_energy, energy * ion.mass_number / stopping).antiderivative()
        below = PROTON_PATH_BELOW if ion.charge_number == 1 else 2.0
        start = below * LOWEST_ENERGY_MeV_u * ion.mass_number / stopping[0]
        ranges = start + integral(log_energy)
        self._range_of = CubicSpline(log_energy, np.log(ranges))
        self._energy_of = PchipInterpolator(np.log(ranges), log_energy)

    def range_g_cm2(self, energy_MeV_u: ArrayLike) -> Floats:
        """CSDA range in g/cm2; same shape as `energy_MeV_u` (0.1 to 600 MeV/u, NaN outside)."""
        energy = np.asarray(energy_MeV_u, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            ranges: Floats = np.exp(self._range_of(np.log(energy), extrapolate=False))
        return ranges

    def range_mm(self, energy_MeV_u: ArrayLike) -> Floats:
        """CSDA range in mm of the material."""
        ranges: Floats = self.range_g_cm2(energy_MeV_u) / self.material.density_g_cm3 * 10.0
        return ranges

    def energy_MeV_u(self, range_mm: ArrayLike) -> Floats:
        """Energy of a CSDA range in mm of the material; NaN outside 0.1 to 600 MeV/u."""
        ranges = np.asarray(range_mm, dtype=float) / 10.0 * self.material.density_g_cm3
        with np.errstate(divide="ignore", invalid="ignore"):
            energy: Floats = np.exp(self._energy_of(np.log(ranges), extrapolate=False))
        return energy

    def energy_after_MeV_u(self, energy_MeV_u: ArrayLike, thickness_mm: float) -> Floats:
        """Mean energy behind a slab of the material; NaN where the ion would stop (below 0.1 MeV/u)."""
        return self.energy_MeV_u(self.range_mm(energy_MeV_u) - thickness_mm)


def relative_ionization_spread(
    ion: Ion, energy_MeV_u: float, gas: Material, gap_mm: float, cut_MeV: float
) -> float:
    """Relative standard deviation of the energy that one ion leaves in a thin gas gap.

    Variance of the energy loss from single collisions up to a cut,
    ``(K/2) z^2 (Z/A) / beta^2 rho x T (1 - beta^2 T / (2 W_max))``
    (Bohr 1915 in the form of ICRU 49, with the spectrum of delta electrons ended at T), over the mean
    energy loss.  The cut is the energy at which a delta electron leaves the gap instead of being
    stopped in it.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    gas : Material
        Gas of the gap.
    gap_mm : float
        Its width.
    cut_MeV : float
        Energy of the delta electrons that just cross the gap.
    """
    areal_density = gas.density_g_cm3 * gap_mm / 10.0
    beta_squared = ion.beta(energy_MeV_u) ** 2
    w_max = float(largest_energy_transfer_MeV(ion, energy_MeV_u))
    cut = min(cut_MeV, w_max)
    strength = 0.5 * BETHE_K_MeV_cm2_PER_MOL * gas.z_over_a * ion.charge_number**2 / beta_squared
    variance = strength * areal_density * cut * (1.0 - 0.5 * beta_squared * cut / w_max)
    loss = float(mass_stopping_power_MeV_cm2_per_g(ion, energy_MeV_u, gas)) * areal_density
    return math.sqrt(variance) / loss
