"""The verbs of ``spotline physics``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cyclopts import App

from spotline.faces.cli.common import LOOK_UP, STATUS_DONE, Numbers, Switch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from spotline.physics.ions import Ion
    from spotline.physics.materials import Material

physics = App(name="physics", group=LOOK_UP, help="Look up how ions slow down in matter.")

DIGITS = 5
"""Significant digits of a table; JSON has all."""


@physics.command
def stopping(
    *,
    ion: str,
    energy: Numbers,
    material: str = "water",
    excitation: float | None = None,
    json: Switch = False,
) -> int:
    """Show mass stopping power and LET at given energies.

    Exit status: 0 shown, 2 bad input.

    Parameters
    ----------
    ion
        By name, symbol or letter: carbon, 12C, C, p.
    energy
        Kinetic energies in MeV/u, from 0.1 to 600.
    material
        By name, such as water, air, PMMA or cortical-bone.
    excitation
        Mean excitation energy in eV; by default that of the material (of water: for this ion).
    json
        Write JSON, with all digits.
    """
    from spotline.physics.let import let_keV_um
    from spotline.physics.stopping import mass_stopping_power_MeV_cm2_per_g

    which, stuff, excitation_eV = _chosen(ion, material, excitation)
    _some(energy, "--energy")
    columns: Mapping[str, ArrayLike] = {
        "energy_MeV_u": energy,
        "stopping_MeV_cm2_per_g": mass_stopping_power_MeV_cm2_per_g(which, energy, stuff, excitation_eV),
        "let_keV_um": let_keV_um(which, energy, stuff, excitation_eV),
    }
    return _print(which, stuff, excitation_eV, columns, json)


@physics.command(name="range")
def range_(
    *,
    ion: str,
    energy: Numbers = (),
    range_mm: Numbers = (),
    material: str = "water",
    excitation: float | None = None,
    json: Switch = False,
) -> int:
    """Show range and range straggling at given energies, or the energies of given ranges.

    The range is that of continuous slowing down; straggling is the standard deviation of the ranges of ions
    of one energy.

    Exit status: 0 shown, 2 bad input.

    Parameters
    ----------
    ion
        By name, symbol or letter: carbon, 12C, C, p.
    energy
        Kinetic energies in MeV/u, from 0.1 to 600.
    range_mm
        Ranges in mm of the material, instead of energies.
    material
        By name, such as water, air, PMMA or cortical-bone.
    excitation
        Mean excitation energy in eV; by default that of the material (of water: for this ion).
    json
        Write JSON, with all digits.
    """
    import numpy as np

    from spotline.errors import OptionError
    from spotline.physics.stopping import HIGHEST_ENERGY_MeV_u, LOWEST_ENERGY_MeV_u, RangeEnergy
    from spotline.physics.straggling import range_straggling_g_cm2

    which, stuff, excitation_eV = _chosen(ion, material, excitation)
    if energy and range_mm:
        raise OptionError("--energy and --range-mm were both given: give one of them")
    table = RangeEnergy(which, stuff, excitation_eV)
    if range_mm:
        asked, energies = np.array(range_mm), table.energy_MeV_u(range_mm)
    else:
        _some(energy, "--energy (or --range-mm)")
        asked = energies = np.array(energy)
    ranges = table.range_g_cm2(energies)
    if np.any(np.isnan(ranges)):
        shortest, longest = table.range_mm([LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u])
        raise OptionError(
            f"{asked[np.isnan(ranges)][0]:g} is out of reach for {which.name} in {stuff.name}: use energies "
            f"of {LOWEST_ENERGY_MeV_u:g} to {HIGHEST_ENERGY_MeV_u:g} MeV/u, or ranges of {shortest:.2g} to "
            f"{longest:.5g} mm"
        )
    mm_per_g_cm2 = 10.0 / stuff.density_g_cm3
    columns = {
        "energy_MeV_u": energies,
        "range_g_cm2": ranges,
        "range_mm": ranges * mm_per_g_cm2,
        "straggling_mm": range_straggling_g_cm2(which, energies, stuff, excitation_eV) * mm_per_g_cm2,
    }
    return _print(which, stuff, excitation_eV, columns, json)


def _some(numbers: tuple[float, ...], option: str) -> None:
    from spotline.errors import OptionError

    if not numbers:
        raise OptionError(f"{option} is missing: give one number or several")


def _chosen(ion: str, material: str, excitation: float | None) -> tuple[Ion, Material, float]:
    from spotline.errors import OptionError
    from spotline.physics.materials import material_named
    from spotline.physics.names import ion_named
    from spotline.physics.stopping import mean_excitation_eV

    which, stuff = ion_named(ion), material_named(material)
    if excitation is None:
        excitation = mean_excitation_eV(which, stuff)
    elif not 10.0 <= excitation <= 1000.0:
        raise OptionError(f"--excitation is {excitation:g}: give an energy of 10 to 1000 eV")
    return which, stuff, excitation


def _print(
    ion: Ion, material: Material, excitation_eV: float, columns: Mapping[str, ArrayLike], as_json: bool
) -> int:
    import json

    import numpy as np

    arrays = {name: np.asarray(values, dtype=float) for name, values in columns.items()}
    rows = [dict(zip(arrays, map(float, row), strict=True)) for row in zip(*arrays.values(), strict=True)]
    if as_json:
        facts = {
            "ion": ion.symbol,
            "material": material.name,
            "density_g_cm3": material.density_g_cm3,
            "mean_excitation_eV": excitation_eV,
        }
        print(json.dumps({**facts, "rows": rows}, indent=2))
        return STATUS_DONE
    print(f"{ion.symbol} in {material.name} ({material.density_g_cm3:g} g/cm3, I = {excitation_eV:.4g} eV)")
    cells = [list(arrays), *([f"{value:.{DIGITS}g}" for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))
    return STATUS_DONE
