"""Substances that ions cross: water, gases, plastics, metals and tissues, and how to make others.

A material is known by its composition and density.  What the formulas need besides follows from these:
electrons per mass, mean excitation energy I by Bragg additivity, the density effect by the general
parameters of Sternheimer and Peierls, and the radiation length by that of the elements; tabulated values take
their place where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from spotline.errors import OptionError
from spotline.physics.elements import ATOMIC_NUMBERS, ELEMENTS, radiation_length_g_cm2


@dataclass(frozen=True, slots=True)
class Material:
    """A substance that ions cross.

    Attributes
    ----------
    name : str
        What it is.
    density_g_cm3 : float
        Density (gases at 20 C and 101 325 Pa).
    z_over_a : float
        Electrons per nucleon, sum of w_i Z_i / A_i, in mol/g.
    mean_excitation_eV : float
        I; of water see also `spotline.physics.stopping.mean_excitation_eV`.
    radiation_length_g_cm2 : float
        For multiple scattering.
    density_effect : tuple of five floats
        Sternheimer's C-bar, x_0, x_1, a and m.
    composition : tuple of (int, float)
        Atomic number and mass fraction of every element, by rising atomic number.
    """

    name: str
    density_g_cm3: float
    z_over_a: float
    mean_excitation_eV: float
    radiation_length_g_cm2: float
    density_effect: tuple[float, float, float, float, float]
    composition: tuple[tuple[int, float], ...]


def compound(
    name: str,
    density_g_cm3: float,
    mass_fractions: Mapping[str, float],
    *,
    gas: bool = False,
    mean_excitation_eV: float | None = None,
    density_effect: tuple[float, float, float, float, float] | None = None,
) -> Material:
    """Make a material of its elements.

    Parameters
    ----------
    name : str
        What it is.
    density_g_cm3 : float
        Density, above 0.
    mass_fractions : mapping of str to float
        Share in the mass of each element, by chemical symbol; brought to a sum of 1 (percents will do).
    gas : bool
        Whether it is a gas, for the additivity of I and for the density effect.
    mean_excitation_eV : float, optional
        I; by default Bragg additivity with the values of ICRU Report 49 for elements in compounds.
    density_effect : tuple of five floats, optional
        C-bar, x_0, x_1, a and m; by default `general_density_effect`.

    Returns
    -------
    Material

    Raises
    ------
    OptionError
        If an element is not known, or a number is not positive.
    """
    for symbol in mass_fractions:
        if symbol not in ATOMIC_NUMBERS:
            raise OptionError(
                f"material {name}: there is no element {symbol!r}; use {', '.join(ATOMIC_NUMBERS)}"
            )
    numbers = {"density_g_cm3": density_g_cm3, **mass_fractions}
    if mean_excitation_eV is not None:
        numbers["mean_excitation_eV"] = mean_excitation_eV
    for what, value in numbers.items():
        if not (math.isfinite(value) and value > 0.0):
            raise OptionError(f"material {name}: {what} is {value:g}; give a number above 0")
    if not mass_fractions:
        raise OptionError(f"material {name}: it has no elements; give their mass fractions")
    total = math.fsum(mass_fractions.values())
    parts = tuple(sorted((ATOMIC_NUMBERS[symbol], w / total) for symbol, w in mass_fractions.items()))
    electrons = math.fsum(w * z / ELEMENTS[z].atomic_mass_u for z, w in parts)
    if mean_excitation_eV is None:
        mean_excitation_eV = bragg_excitation_eV(parts, gas=gas)
    if density_effect is None:
        density_effect = general_density_effect(density_g_cm3, electrons, mean_excitation_eV, gas=gas)
    return Material(
        name=name,
        density_g_cm3=density_g_cm3,
        z_over_a=electrons,
        mean_excitation_eV=mean_excitation_eV,
        radiation_length_g_cm2=1.0 / math.fsum(w / radiation_length_g_cm2(z) for z, w in parts),
        density_effect=density_effect,
        composition=parts,
    )


def molecule(atoms: Mapping[str, float]) -> dict[str, float]:
    """Mass fractions of the elements of a molecule, from the number of atoms of each."""
    masses = {symbol: n * ELEMENTS[ATOMIC_NUMBERS[symbol]].atomic_mass_u for symbol, n in atoms.items()}
    return {symbol: mass / math.fsum(masses.values()) for symbol, mass in masses.items()}


def bragg_excitation_eV(composition: tuple[tuple[int, float], ...], *, gas: bool) -> float:
    """Mean excitation energy of a compound by additivity.

    ``ln I = sum w_i (Z_i/A_i) ln I_i / sum w_i Z_i/A_i``: ICRU Report 49 (1993), eq. 2.22.

    Parameters
    ----------
    composition : tuple of (int, float)
        Atomic number and mass fraction of every element.
    gas : bool
        Whether it is a gas.
    """
    if len(composition) == 1 and composition[0][0] != 6:
        # A pure element has its own; only carbon's differs between elements and compounds of one kind.
        return ELEMENTS[composition[0][0]].excitation_gas_eV
    logarithm, electrons = 0.0, 0.0
    for z, w in composition:
        element = ELEMENTS[z]
        share = w * z / element.atomic_mass_u
        excitation_eV = element.excitation_gas_eV if gas else element.excitation_condensed_eV
        logarithm += share * math.log(excitation_eV)
        electrons += share
    return math.exp(logarithm / electrons)


def plasma_energy_eV(density_g_cm3: float, z_over_a: float) -> float:
    """Energy of the plasma oscillation of all electrons (PDG 2022, table 34.1)."""
    return 28.816 * math.sqrt(density_g_cm3 * z_over_a)


def general_density_effect(
    density_g_cm3: float, z_over_a: float, mean_excitation_eV: float, *, gas: bool
) -> tuple[float, float, float, float, float]:
    """Parameters of the density effect of any substance.

    Sternheimer and Peierls, Phys. Rev. B 3 (1971) 3681, eqs. 6 to 13.

    Returns
    -------
    tuple of five floats
        C-bar, x_0, x_1, a and m.
    """
    c = 2.0 * math.log(mean_excitation_eV / plasma_energy_eV(density_g_cm3, z_over_a)) + 1.0
    if gas:
        steps = ((10.0, 1.6, 4.0), (10.5, 1.7, 4.0), (11.0, 1.8, 4.0), (11.5, 1.9, 4.0), (12.25, 2.0, 4.0))
        x0, x1 = (2.0, 5.0) if c < 13.804 else (0.326 * c - 2.5, 5.0)
        for limit, start, end in reversed(steps):
            if c < limit:
                x0, x1 = start, end
    elif mean_excitation_eV < 100.0:
        x0, x1 = (0.2 if c < 3.681 else 0.326 * c - 1.0), 2.0
    else:
        x0, x1 = (0.2 if c < 5.215 else 0.326 * c - 1.5), 3.0
    return c, x0, x1, (c - 2.0 * math.log(10.0) * x0) / (x1 - x0) ** 3, 3.0


# Density, I and density effect of water, gases, plastics, metals and graphite: Sternheimer, Berger and
# Seltzer, At. Data Nucl. Data Tables 30 (1984) 261; I of water: ICRU Report 90 (2016).
WATER = compound(
    "water",
    1.0,
    molecule({"H": 2, "O": 1}),
    mean_excitation_eV=78.0,
    density_effect=(3.5017, 0.2400, 2.8004, 0.09116, 3.4773),
)
NITROGEN = compound(
    "nitrogen",
    1.165e-3,
    {"N": 1},
    gas=True,
    mean_excitation_eV=82.0,
    density_effect=(10.5400, 1.7378, 4.1323, 0.15349, 3.2125),
)
AIR = compound(
    "air",
    1.2048e-3,
    {"C": 0.000124, "N": 0.755267, "O": 0.231781, "Ar": 0.012827},
    gas=True,
    mean_excitation_eV=85.7,
    density_effect=(10.5961, 1.7418, 4.2759, 0.10914, 3.3994),
)
PMMA = compound(
    "PMMA",
    1.19,
    molecule({"C": 5, "H": 8, "O": 2}),
    mean_excitation_eV=74.0,
    density_effect=(3.3297, 0.1824, 2.6681, 0.11433, 3.3836),
)
POLYSTYRENE = compound(
    "polystyrene",
    1.06,
    molecule({"C": 8, "H": 8}),
    mean_excitation_eV=68.7,
    density_effect=(3.2999, 0.1647, 2.5031, 0.16454, 3.2224),
)
POLYCARBONATE = compound(
    "polycarbonate",
    1.20,
    molecule({"C": 16, "H": 14, "O": 3}),
    mean_excitation_eV=73.1,
    density_effect=(3.3201, 0.1606, 2.6225, 0.12860, 3.3288),
)
KAPTON = compound(
    "Kapton",
    1.42,
    molecule({"C": 22, "H": 10, "N": 2, "O": 5}),
    mean_excitation_eV=79.6,
    density_effect=(3.3497, 0.1509, 2.5631, 0.15972, 3.1921),
)
GRAPHITE = compound(
    "graphite",
    2.0,
    {"C": 1},
    mean_excitation_eV=78.0,
    density_effect=(2.9925, -0.0351, 2.4860, 0.20240, 3.0036),
)
ALUMINIUM = compound(
    "aluminium",
    2.699,
    {"Al": 1},
    mean_excitation_eV=166.0,
    density_effect=(4.2395, 0.1708, 3.0127, 0.08024, 3.6345),
)
TITANIUM = compound(
    "titanium",
    4.54,
    {"Ti": 1},
    mean_excitation_eV=233.0,
    density_effect=(4.4450, 0.0957, 3.0386, 0.15662, 3.0302),
)

# RW3 is polystyrene with 2.1 % of TiO2, 1.045 g/cm3 (PTW Freiburg, data sheet T29672).  Its I is that of
# the two, 68.7 and 179.5 eV (Sternheimer et al. 1984), by additivity.
_POLYSTYRENE_ELEMENTS = molecule({"C": 8, "H": 8})
_RUTILE_ELEMENTS = molecule({"Ti": 1, "O": 2})
_RUTILE_SHARE = 0.021
RW3 = compound(
    "RW3",
    1.045,
    {symbol: (1.0 - _RUTILE_SHARE) * w for symbol, w in _POLYSTYRENE_ELEMENTS.items()}
    | {symbol: _RUTILE_SHARE * w for symbol, w in _RUTILE_ELEMENTS.items()},
    mean_excitation_eV=68.7 * (179.5 / 68.7) ** 0.0186,  # TiO2 has 1.86 % of the electrons
)

# Tissues of adults in percent of the mass: ICRU Report 44 (1989), appendix A; spongy bone (spongiosa) also
# White, Woodard and Hammond, Br. J. Radiol. 60 (1987) 907.
LUNG = compound(
    "lung",  # inflated
    0.26,
    {"H": 10.3, "C": 10.5, "N": 3.1, "O": 74.9, "Na": 0.2, "P": 0.2, "S": 0.3, "Cl": 0.3, "K": 0.2},
)
ADIPOSE = compound(
    "adipose",
    0.95,
    {"H": 11.4, "C": 59.8, "N": 0.7, "O": 27.8, "Na": 0.1, "S": 0.1, "Cl": 0.1},
)
MUSCLE = compound(
    "muscle",
    1.05,
    {"H": 10.2, "C": 14.3, "N": 3.4, "O": 71.0, "Na": 0.1, "P": 0.2, "S": 0.3, "Cl": 0.1, "K": 0.4},
)
SPONGY_BONE = compound(
    "spongy bone",
    1.18,
    {"H": 8.5, "C": 40.4, "N": 2.8, "O": 36.7, "Na": 0.1, "Mg": 0.1, "P": 3.4, "S": 0.2, "Cl": 0.2, "K": 0.1}
    | {"Ca": 7.4, "Fe": 0.1},
)
CORTICAL_BONE = compound(
    "cortical bone",
    1.92,
    {"H": 3.4, "C": 15.5, "N": 4.2, "O": 43.5, "Na": 0.1, "Mg": 0.2, "P": 10.3, "S": 0.3, "Ca": 22.5},
)

MATERIALS: dict[str, Material] = {
    material.name: material
    for material in (
        WATER,
        AIR,
        NITROGEN,
        RW3,
        PMMA,
        POLYSTYRENE,
        POLYCARBONATE,
        KAPTON,
        GRAPHITE,
        ALUMINIUM,
        TITANIUM,
        LUNG,
        ADIPOSE,
        MUSCLE,
        SPONGY_BONE,
        CORTICAL_BONE,
    )
}
"""All materials by name."""


def material_named(name: str) -> Material:
    """Find a material by its name; capitals do not matter, and hyphens and underscores are blanks.

    Raises
    ------
    OptionError
        If there is none of this name.
    """
    wanted = name.strip().casefold().replace("-", " ").replace("_", " ")
    for material in MATERIALS.values():
        if material.name.casefold() == wanted:
            return material
    raise OptionError(f"there is no material {name!r}; use {', '.join(MATERIALS)}")
