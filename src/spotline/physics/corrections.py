"""Terms of the stopping number beyond Bethe's logarithm.

Numbers that were fitted say to what; everything else is theory or published.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.special import digamma, loggamma

from spotline.arrays import Floats
from spotline.physics.elements import ELEMENTS
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.units import FINE_STRUCTURE, ELECTRON_MASS_MeV

SHELL_FIT = (6.724, 18.86, 152.8)
"""Of `shell_correction`: fitted by least squares to the stopping power of water for protons of ICRU Report 90
(2016), with I = 78 eV, at every second energy from 0.5 to 450 MeV."""

CHARGE_FIT = (1.253, -0.0556, 1.196, 0.9305)
"""Of `effective_charge`: fitted by least squares to the stopping power of water for helium and carbon ions of
ICRU Report 90 (2016), at every second energy from 0.1 to 10 MeV/u."""


def effective_charge(ion: Ion, beta: ArrayLike) -> Floats:
    """Charge number reduced by the electrons that a slow ion carries along.

    ``z (1 - exp(-a z^p u [1 + (u / (b z^q))^6]))`` with ``u = beta / (alpha z^(2/3))``: the first term in the
    exponent is Barkas's (Nuclear Research Emulsions I, 1963), the second strips the last, inner electrons.
    a, p, b and q are `CHARGE_FIT`.

    Parameters
    ----------
    ion : Ion
        The projectile.
    beta : array_like
        Velocity in units of the speed of light.
    """
    z = ion.charge_number
    a, p, b, q = CHARGE_FIT
    u = np.asarray(beta, dtype=float) / (FINE_STRUCTURE * z ** (2.0 / 3.0))
    charge: Floats = -z * np.expm1(-a * z**p * u * (1.0 + (u / (b * z**q)) ** 6))
    return charge


def density_effect(eta: Floats, material: Material) -> Floats:
    """Delta, the polarization of the medium (Sternheimer, Berger and Seltzer 1984, eq. 4)."""
    c, x0, x1, a, m = material.density_effect
    x = np.log10(eta)
    asymptote = 2.0 * math.log(10.0) * x - c
    bent = asymptote + a * np.maximum(x1 - x, 0.0) ** m
    return np.where(x > x1, asymptote, np.where(x > x0, bent, 0.0))


def shell_correction(beta: Floats, material: Material) -> Floats:
    """``C/Z = q1 x / (1 + q2 x + q3 x^2)`` with ``x = I / (m_e c^2 beta^2)``.

    At high velocity it falls as the square of the velocity of the electrons over that of the ion, as it must
    (Fano, Annu. Rev. Nucl. Sci. 13 (1963) 1, eq. 33); other materials follow from water by their I.  The
    numbers are `SHELL_FIT`.
    """
    x = material.mean_excitation_eV / (ELECTRON_MASS_MeV * 1e6) / beta**2
    q1, q2, q3 = SHELL_FIT
    shell: Floats = q1 * x / (1.0 + x * (q2 + q3 * x))
    return shell


# Ashley, Ritchie and Brandt, Phys. Rev. B 5 (1972) 2393, the function F read from their figure 1.
_ARB_ARGUMENT = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)
_ARB_VALUE = (21.5, 16.0, 12.2, 9.25, 7.0, 5.7, 4.5, 3.0, 1.7, 0.86, 0.42, 0.13, 0.051, 0.024, 0.009, 0.0025)
_LOG_ARB = CubicSpline(np.log(_ARB_ARGUMENT), np.log(_ARB_VALUE))


def barkas_l1(beta: Floats, material: Material) -> Floats:
    """L_1, the first odd power of the charge.

    ``L_1 = F(b / sqrt(X)) / (sqrt(Z) X^(3/2))`` with ``X = beta^2 / (alpha^2 Z)``, averaged over the
    electrons of the elements: Ashley, Ritchie and Brandt, Phys. Rev. B 5 (1972) 2393, and 8 (1973) 2402, with
    b of ICRU Report 49 (1993), section 2.3: 1.8 for Z up to 10, as in water, and for argon; 1.4 for heavier
    ones.
    """
    l1 = np.zeros_like(beta)
    for z, w in material.composition:
        share = w * z / ELEMENTS[z].atomic_mass_u / material.z_over_a
        reduced = (beta / FINE_STRUCTURE) ** 2 / z
        b = 1.8 if z <= 10 or z == 18 else 1.4
        argument = np.clip(b / np.sqrt(reduced), _ARB_ARGUMENT[0], _ARB_ARGUMENT[-1])
        l1 += share * np.exp(_LOG_ARB(np.log(argument))) / (math.sqrt(z) * reduced**1.5)
    return l1


def bloch_l2(charge: Floats, beta: Floats) -> Floats:
    """``psi(1) - Re psi(1 + i z alpha / beta)``: Bloch, Ann. Phys. 16 (1933) 285."""
    l2: Floats = digamma(1.0) - np.real(digamma(1.0 + 1j * charge * FINE_STRUCTURE / beta))
    return l2


def lindhard_sorensen(charge: Floats, beta: Floats, terms: int = 60) -> Floats:
    """Correction of close collisions for the exact scattering of Dirac electrons by a point charge.

    Lindhard and Sorensen, Phys. Rev. A 53 (1996) 2443, eqs. 7 to 13.  Contains Bloch's correction and the
    Mott scattering.

    Parameters
    ----------
    charge, beta : ndarray, shape (n,)
        Charge number and velocity.
    terms : int
        Partial waves that are added up; the rest falls with their square and is estimated.
    """
    charge, beta = charge[:, None], beta[:, None]
    gamma = 1.0 / np.sqrt(1.0 - beta**2)
    eta = charge * FINE_STRUCTURE / beta
    kappa = np.arange(1.0, terms + 2.0)[None, :]

    def phase_shift(signed: Floats) -> Floats:
        s = np.sqrt(signed**2 - (charge * FINE_STRUCTURE) ** 2)
        momentum = np.where(signed > 0.0, signed, -signed - 1.0)
        ratio = (signed - 1j * eta / gamma) / (s - 1j * eta)
        shift: Floats = 0.5 * np.angle(ratio) - np.imag(loggamma(s + 1.0 + 1j * eta))
        return shift + 0.5 * math.pi * (momentum - s)

    up, down = phase_shift(kappa), phase_shift(-kappa)
    k = kappa[:, :-1]
    # For kappa = 1 the first sine has the factor 0.
    before = np.concatenate([up[:, :1], up[:, :-2]], axis=1)
    waves = (k - 1.0) / (2.0 * k - 1.0) * np.sin(up[:, :-1] - before) ** 2
    waves += (k + 1.0) / (2.0 * k + 1.0) * np.sin(down[:, :-1] - down[:, 1:]) ** 2
    series = k / eta**2 * waves + k / (4.0 * k**2 - 1.0) / (gamma**2 * k**2 + eta**2) - 1.0 / k
    rest = (terms + 0.5) * series[:, -1]
    total: Floats = series.sum(axis=1) + rest + 0.5 * beta[:, 0] ** 2
    return total


def proton_shape(energy_MeV_u: Floats) -> Floats:
    """Stopping power of water for slow protons, up to a factor.

    Varelas and Biersack's form with the numbers of ICRU Report 49 (1993), table 3.1, for liquid water.
    """
    t_keV = energy_MeV_u * 1000.0
    slow = 4.542 * t_keV**0.45
    fast = 3955.0 / t_keV * np.log(1.0 + 484.7 / t_keV + 0.007904 * t_keV)
    shape: Floats = slow * fast / (slow + fast)
    return shape
