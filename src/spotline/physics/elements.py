"""The chemical elements that materials here are made of."""

from __future__ import annotations

import math
from typing import NamedTuple

from spotline.units import FINE_STRUCTURE


class Element(NamedTuple):
    """A chemical element.

    Attributes
    ----------
    symbol : str
        Chemical symbol.
    atomic_mass_u : float
        Mean mass of its atoms in nature.
    excitation_gas_eV, excitation_condensed_eV : float
        Mean excitation energy with which it enters that of a gas, and of a liquid or solid compound.
    """

    symbol: str
    atomic_mass_u: float
    excitation_gas_eV: float
    excitation_condensed_eV: float


# Masses: Prohaska et al., Pure Appl. Chem. 94 (2022) 573 (abridged standard atomic weights).
# Mean excitation energies: ICRU Report 49 (1993), table 2.8 (elements), and table 2.11 for compounds; where
# the latter has no value, its rule for condensed compounds holds: 1.13 times that of the element.
ELEMENTS: dict[int, Element] = {
    1: Element("H", 1.008, 19.2, 19.2),
    2: Element("He", 4.0026, 41.8, 1.13 * 41.8),
    4: Element("Be", 9.0122, 63.7, 1.13 * 63.7),
    6: Element("C", 12.011, 70.0, 81.0),
    7: Element("N", 14.007, 82.0, 82.0),
    8: Element("O", 15.999, 97.0, 106.0),
    9: Element("F", 18.998, 115.0, 112.0),
    11: Element("Na", 22.990, 149.0, 1.13 * 149.0),
    12: Element("Mg", 24.305, 156.0, 1.13 * 156.0),
    13: Element("Al", 26.982, 166.0, 1.13 * 166.0),
    14: Element("Si", 28.085, 173.0, 1.13 * 173.0),
    15: Element("P", 30.974, 173.0, 1.13 * 173.0),
    16: Element("S", 32.06, 180.0, 1.13 * 180.0),
    17: Element("Cl", 35.45, 174.0, 180.0),
    18: Element("Ar", 39.95, 188.0, 188.0),
    19: Element("K", 39.098, 190.0, 1.13 * 190.0),
    20: Element("Ca", 40.078, 191.0, 1.13 * 191.0),
    22: Element("Ti", 47.867, 233.0, 1.13 * 233.0),
    26: Element("Fe", 55.845, 286.0, 1.13 * 286.0),
    29: Element("Cu", 63.546, 322.0, 1.13 * 322.0),
    82: Element("Pb", 207.2, 823.0, 1.13 * 823.0),
}
"""Elements by atomic number."""

ATOMIC_NUMBERS: dict[str, int] = {element.symbol: z for z, element in ELEMENTS.items()}
"""Atomic numbers by chemical symbol."""

# Logarithms of the Thomas-Fermi-Moliere model fail for the lightest elements: Tsai (1974), table B.2.
_ELASTIC_LOGARITHM = {1: 5.31, 2: 4.79, 3: 4.74, 4: 4.71}
_INELASTIC_LOGARITHM = {1: 6.144, 2: 5.621, 3: 5.805, 4: 5.924}


def radiation_length_g_cm2(atomic_number: int) -> float:
    """Radiation length of an element.

    ``1 / X_0 = 4 alpha r_e^2 N_A / A {Z^2 [L - f(Z)] + Z L'}``: Tsai, Rev. Mod. Phys. 46 (1974) 815, as in
    Particle Data Group, Prog. Theor. Exp. Phys. (2022) 083C01, section 34.4.2, with the Coulomb correction f
    of Davies, Bethe and Maximon, Phys. Rev. 93 (1954) 788.

    Parameters
    ----------
    atomic_number : int
        Z of one of `ELEMENTS`.
    """
    z = atomic_number
    a = (z * FINE_STRUCTURE) ** 2
    coulomb = a * (1.0 / (1.0 + a) + 0.20206 - 0.0369 * a + 0.0083 * a**2 - 0.002 * a**3)
    elastic = _ELASTIC_LOGARITHM.get(z, math.log(184.15 * z ** (-1.0 / 3.0)))
    inelastic = _INELASTIC_LOGARITHM.get(z, math.log(1194.0 * z ** (-2.0 / 3.0)))
    return 716.408 * ELEMENTS[z].atomic_mass_u / (z**2 * (elastic - coulomb) + z * inelastic)
