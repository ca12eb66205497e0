"""Electronic stopping power and range of ions in water and in the gases of the nozzle.

The mass stopping power is the Bethe formula with its usual corrections (ICRU Report 49, 1993, chapter 2,
whose notation is kept)::

    S = K z_eff^2 (Z/A) / beta^2 * L
    L = 1/2 ln(2 m_e c^2 beta^2 gamma^2 W_max / I^2) - beta^2 - delta/2 - C/Z + z L_1 + L_2 + L_Mott

* ``W_max``, largest energy transfer to an electron, and ``K``: Particle Data Group, Review of Particle
  Physics, "Passage of particles through matter".
* ``z_eff``, charge of the ion dressed with electrons: Barkas, Nuclear Research Emulsions I (1963).
* ``delta``, density effect: Sternheimer, Berger and Seltzer, At. Data Nucl. Data Tables 30 (1984) 261.
* ``C/Z``, shell correction: Barkas and Berger, NASA SP-3013 (1964).
* ``L_1``, Barkas effect: Lindhard, Nucl. Instrum. Methods 132 (1976) 1, for one oscillator of energy I.
* ``L_2 = psi(1) - Re psi(1 + i z alpha / beta)``: Bloch, Ann. Phys. 16 (1933) 285.
* ``L_Mott = 1/2 pi alpha z beta``, first order of Mott over Rutherford scattering: Ahlen, Rev. Mod.
  Phys. 52 (1980) 121.  It is half a percent for carbon at 400 MeV/u; the first order of the theory of
  Lindhard and Sorensen, Phys. Rev. A 53 (1996) 2443.

Between 20 and 450 MeV/u this agrees with the tables of ICRU Reports 73 and 90 within 0.2 % (see the
tests).  Below 2 MeV/u it is only good to some percent, which is some micrometres of range.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.special import digamma

from spotline.errors import SpotlineError
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER, Material
from spotline.units import ELECTRON_MASS_MEV

Floats = NDArray[np.float64]

BETHE_K_MeV_cm2_PER_MOL = 0.307_075
FINE_STRUCTURE = 1.0 / 137.035_999
LOWEST_ENERGY_MeV_u = 1.0
"""The formulas are not used below."""
HIGHEST_ENERGY_MeV_u = 600.0


MEAN_EXCITATION_WATER_eV = {"proton": 77.0, "helium": 77.5, "carbon": 77.5, "oxygen": 78.0}
"""I of water by ion.  Proton and carbon: the values that brought simulated depth doses onto the measured
ones (Mirandola et al. 2015, 3.A.1); helium and oxygen as carbon and as ICRU 90, by lack of better."""


def mean_excitation_eV(ion: Ion, material: Material) -> float:
    """Return I of a material for an ion: only water's depends on the ion (see `MEAN_EXCITATION_WATER_eV`)."""
    if material is WATER:
        return MEAN_EXCITATION_WATER_eV.get(ion.name, 77.0 if ion.charge_number == 1 else 77.5)
    return material.mean_excitation_eV


def largest_energy_transfer_MeV(ion: Ion, energy_MeV_u: ArrayLike) -> Floats:
    """Largest kinetic energy that the ion can give to a free electron (PDG, eq. 34.4)."""
    gamma = 1.0 + np.asarray(energy_MeV_u, dtype=float) * ion.mass_number / ion.mass_MeV
    ratio = ELECTRON_MASS_MEV / ion.mass_MeV
    transfer: Floats = 2.0 * ELECTRON_MASS_MEV * (gamma**2 - 1.0) / (1.0 + 2.0 * gamma * ratio + ratio**2)
    return transfer


def effective_charge(ion: Ion, beta: ArrayLike) -> Floats:
    """Charge number reduced by electrons that a slow ion carries along (Barkas 1963)."""
    z = ion.charge_number
    charge: Floats = z * (1.0 - np.exp(-125.0 * np.asarray(beta, dtype=float) * z ** (-2.0 / 3.0)))
    return charge


def _density_effect(eta: Floats, material: Material) -> Floats:
    c, x0, x1, a, m = material.density_effect
    x = np.log10(eta)
    asymptote = 2.0 * math.log(10.0) * x - c
    bent = asymptote + a * np.abs(x1 - x) ** m
    return np.where(x > x1, asymptote, np.where(x > x0, bent, 0.0))


def _shell_correction(eta: Floats, mean_excitation: float, material: Material) -> Floats:
    # The polynomial holds from eta = 0.13 (8 MeV/u); below, its value there is kept.
    e = np.maximum(eta, 0.13)
    c = (0.422377 * e**-2 + 0.0304043 * e**-4 - 0.00038106 * e**-6) * 1e-6 * mean_excitation**2
    c += (3.850190 * e**-2 - 0.1667989 * e**-4 + 0.00157955 * e**-6) * 1e-9 * mean_excitation**3
    shell: Floats = c / (10.0 if material is WATER else 7.0)
    return shell


def _barkas_l1(beta: Floats, mean_excitation: float) -> Floats:
    i_over_mc2 = mean_excitation / (ELECTRON_MASS_MEV * 1e6)
    logarithm = np.log(2.0 * beta**2 / i_over_mc2)
    l1: Floats = 1.5 * math.pi * FINE_STRUCTURE * i_over_mc2 / beta**3 * np.maximum(logarithm, 0.0)
    return l1


def _bloch_l2(y: Floats) -> Floats:
    l2: Floats = digamma(1.0) - np.real(digamma(1.0 + 1j * y))
    return l2


def mass_stopping_power_MeV_cm2_per_g(
    ion: Ion, energy_MeV_u: ArrayLike, material: Material, excitation_eV: float | None = None
) -> Floats:
    """Electronic mass stopping power of an ion.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : array_like
        Kinetic energy per nucleon, from 1 to 600 MeV/u.
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
    gamma = 1.0 + energy * ion.mass_number / ion.mass_MeV
    beta = np.sqrt(1.0 - 1.0 / gamma**2)
    eta = beta * gamma
    z_eff = effective_charge(ion, beta)
    electron_eV = ELECTRON_MASS_MEV * 1e6
    w_max_eV = largest_energy_transfer_MeV(ion, energy) * 1e6
    stopping_number = (
        0.5 * np.log(2.0 * electron_eV * eta**2 * w_max_eV / excitation**2)
        - beta**2
        - 0.5 * _density_effect(eta, material)
        - _shell_correction(eta, excitation, material)
        + z_eff * _barkas_l1(beta, excitation)
        + _bloch_l2(z_eff * FINE_STRUCTURE / beta)
        + 0.5 * math.pi * FINE_STRUCTURE * z_eff * beta
    )
    stopping: Floats = BETHE_K_MeV_cm2_PER_MOL * material.z_over_a * z_eff**2 / beta**2 * stopping_number
    return stopping


class RangeEnergy:
    """Range in continuous slowing down (CSDA), and back from range to energy, of one ion in one material.

    The range is the integral of ``dE / S`` in ln E by a cubic spline through 400 points.  Below 1 MeV/u,
    S is taken as ``E^-1/2``; the range there is 0.02 mm of water, so that its error is some micrometres.

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
        log_energy = np.linspace(math.log(LOWEST_ENERGY_MeV_u), math.log(HIGHEST_ENERGY_MeV_u), 400)
        energy = np.exp(log_energy)
        energy[0], energy[-1] = LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u
        stopping = mass_stopping_power_MeV_cm2_per_g(ion, energy, material, excitation_eV)
        integral = CubicSpline(log_energy, energy * ion.mass_number / stopping).antiderivative()
        start = LOWEST_ENERGY_MeV_u * ion.mass_number / (1.5 * stopping[0])
        ranges = start + integral(log_energy)
        self._range_of = CubicSpline(log_energy, np.log(ranges))
        self._energy_of = PchipInterpolator(np.log(ranges), log_energy)

    def range_g_cm2(self, energy_MeV_u: ArrayLike) -> Floats:
        """CSDA range in g/cm2; same shape as `energy_MeV_u` (1 to 600 MeV/u, NaN outside)."""
        energy = np.asarray(energy_MeV_u, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            ranges: Floats = np.exp(self._range_of(np.log(energy), extrapolate=False))
        return ranges

    def range_mm(self, energy_MeV_u: ArrayLike) -> Floats:
        """CSDA range in mm of the material."""
        ranges: Floats = self.range_g_cm2(energy_MeV_u) / self.material.density_g_cm3 * 10.0
        return ranges

    def energy_MeV_u(self, range_mm: ArrayLike) -> Floats:
        """Energy of a CSDA range in mm of the material; NaN outside 1 to 600 MeV/u."""
        ranges = np.asarray(range_mm, dtype=float) / 10.0 * self.material.density_g_cm3
        with np.errstate(divide="ignore", invalid="ignore"):
            energy: Floats = np.exp(self._energy_of(np.log(ranges), extrapolate=False))
        return energy

    def energy_after_MeV_u(self, energy_MeV_u: ArrayLike, thickness_mm: float) -> Floats:
        """Mean energy behind a slab of the material; NaN where the ion would stop (below 1 MeV/u)."""
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
