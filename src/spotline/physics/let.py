"""Linear energy transfer, of single ions and averaged over the ions at one place.

LET is unrestricted: the linear electronic stopping power (ICRU Report 85, 2011, "Linear energy transfer").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER, Material
from spotline.physics.stopping import mass_stopping_power_MeV_cm2_per_g

KEV_PER_UM_PER_MEV_PER_CM = 0.1


@dataclass(frozen=True, slots=True)
class AverageLet:
    """Mean values over the ions that pass a place.

    Attributes
    ----------
    track_keV_um : float
        Weighted with fluence.
    dose_keV_um : float
        Weighted with the dose that each leaves: fluence times LET.
    """

    track_keV_um: float
    dose_keV_um: float


def let_keV_um(
    ion: Ion, energy_MeV_u: ArrayLike, material: Material = WATER, excitation_eV: float | None = None
) -> Floats:
    """LET of an ion in keV/um; arguments as those of the stopping power."""
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, energy_MeV_u, material, excitation_eV)
    let: Floats = stopping * material.density_g_cm3 * KEV_PER_UM_PER_MEV_PER_CM
    return let


def average_let(
    spectra: Iterable[tuple[Ion, ArrayLike, ArrayLike]],
    material: Material = WATER,
    excitation_eV: float | None = None,
) -> AverageLet:
    """Average the LET over a mixed field.

    ``sum(F L) / sum(F)`` and ``sum(F L^2) / sum(F L)`` with the fluence F of each bin: the means over track
    length and over dose, which is fluence times LET (ICRU Report 16, 1970).

    Parameters
    ----------
    spectra : iterable of (Ion, array_like, array_like)
        Each ion with energies in MeV/u and the fluence at each energy, in any unit, the same for all.
    material : Material
        In what.
    excitation_eV : float, optional
        I of the material for all ions; by default that of each.

    Raises
    ------
    OptionError
        If energies and fluences do not match, a fluence is negative, or there is none at all.
    """
    moments = np.zeros(3)
    for ion, energies_MeV_u, fluences in spectra:
        energy, fluence = np.asarray(energies_MeV_u, dtype=float), np.asarray(fluences, dtype=float)
        if energy.shape != fluence.shape:
            raise OptionError(
                f"LET of {ion.name}: {energy.size} energies and {fluence.size} fluences; give one for each"
            )
        if not np.all(np.isfinite(fluence) & (fluence >= 0.0)):
            raise OptionError(f"LET of {ion.name}: a fluence is negative or no number; give 0 or more")
        let = let_keV_um(ion, energy, material, excitation_eV)
        moments += [np.sum(fluence), np.sum(fluence * let), np.sum(fluence * let**2)]
    if moments[0] == 0.0:
        raise OptionError("LET of a field without ions; give a fluence above 0")
    return AverageLet(float(moments[1] / moments[0]), float(moments[2] / moments[1]))
