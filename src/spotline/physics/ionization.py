"""Charge that ions set free in the gas of a parallel-plate chamber, and particles per count."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.physics.ions import Ion
from spotline.physics.materials import NITROGEN, WATER, Material
from spotline.physics.stopping import RangeEnergy, mass_stopping_power_MeV_cm2_per_g
from spotline.units import ELEMENTARY_CHARGE_C

W_NITROGEN_eV = 36.5
"""Mean energy per ion pair of protons in nitrogen: ICRU Report 31 (1979)."""


def ion_pairs(
    ion: Ion,
    energy_MeV_u: ArrayLike,
    gap_mm: float,
    gas: Material = NITROGEN,
    energy_per_pair_eV: float = W_NITROGEN_eV,
) -> Floats:
    """Ion pairs that one ion makes in a gap, ``S rho g / W``.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : array_like
        Its kinetic energy per nucleon in the gap.
    gap_mm : float
        Width of the gap.
    gas : Material
        What fills it, at the density to which the count belongs.
    energy_per_pair_eV : float
        W of the gas.
    """
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, energy_MeV_u, gas)
    pairs: Floats = stopping * gas.density_g_cm3 * gap_mm / 10.0 * 1e6 / energy_per_pair_eV
    return pairs


def particles_per_count(
    ion: Ion,
    energy_MeV_u: ArrayLike,
    *,
    charge_quantum_C: float,
    gap_mm: float,
    upstream_mm: float = 0.0,
    gas: Material = NITROGEN,
    energy_per_pair_eV: float = W_NITROGEN_eV,
) -> Floats:
    """Ions whose ionization of a chamber is one count, ``Q / (e n)`` with n of `ion_pairs`.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : array_like
        Its nominal kinetic energy per nucleon.
    charge_quantum_C : float
        Charge of a count, Q.
    gap_mm : float
        Width of the gap.
    upstream_mm : float
        Water-equivalent thickness that the ion crosses before the chamber.
    gas : Material
        What fills the gap.
    energy_per_pair_eV : float
        W of the gas.

    Returns
    -------
    ndarray
        Same shape as `energy_MeV_u`; NaN where the ion does not reach the chamber.
    """
    energy = np.asarray(energy_MeV_u, dtype=float)
    if upstream_mm > 0.0:
        energy = RangeEnergy(ion, WATER).energy_after_MeV_u(energy, upstream_mm)
    arrives = np.isfinite(energy)
    pairs = ion_pairs(ion, np.where(arrives, energy, 100.0), gap_mm, gas, energy_per_pair_eV)
    particles: Floats = np.where(arrives, charge_quantum_C / ELEMENTARY_CHARGE_C / pairs, np.nan)
    return particles
