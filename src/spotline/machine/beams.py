"""The beams that a line really has where plan and machine name an energy.

A machine is asked for an energy by its name, and what comes may differ: behind a degrader the mean is off by
up to two percent, and the spread depends on the energy.  The energy table of the line says so in two optional
columns, `spotline.tables.EnergyTable`.  A beam library of such a line is simulated with the real beams, and
keeps them under the energies that plans name; so everybody who looks up an energy finds its beam.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from spotline.machine.geometry import interpolate
from spotline.machine.library.grid import range_sigma_mm
from spotline.machine.library.model import BeamLibrary
from spotline.machine.load import BeamLine
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy, mean_excitation_eV
from spotline.units import FWHM_PER_SIGMA

AGREE_mm = 0.02
"""So close are range and its spread in a library to those of the table that it was made of, whose figures are
written with some digits."""


class RealBeam(NamedTuple):
    """What comes when an energy is asked for.

    Attributes
    ----------
    energy_MeV_u : float
        Its mean kinetic energy per nucleon.
    sigma_relative : float
        Standard deviation of the energy over its mean.
    """

    energy_MeV_u: float
    sigma_relative: float


def momentum_spread_percent(ion: Ion, energy_MeV_u: float, sigma_relative: float) -> float:
    """Full width at half maximum of the momentum distribution of a beam.

    ``dp/p = dT/T gamma / (gamma + 1)`` with the kinetic energy T.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its mean kinetic energy per nucleon.
    sigma_relative : float
        Standard deviation of the energy over its mean.
    """
    gamma = ion.gamma(energy_MeV_u)
    return 100.0 * FWHM_PER_SIGMA * sigma_relative * gamma / (gamma + 1.0)


def differs_from_names(line: BeamLine, ion_name: str) -> bool:
    """Whether a line says of an ion that its beams are not, or not all alike, what their energies say."""
    table = line.energies[ion_name]
    return table.beam_MeV_u is not None or table.beam_sigma_MeV_u is not None


def real_beam(line: BeamLine, ion_name: str, energy_MeV_u: float) -> RealBeam:
    """The beam that a line has where a plan names an energy; NaN outside the table of its energies.

    Between the rows of the table both figures are interpolated by PCHIP.

    Parameters
    ----------
    line : BeamLine
    ion_name : str
        One of the ions of the line.
    energy_MeV_u : float
        Kinetic energy per nucleon, as plans name it.

    Raises
    ------
    KeyError
        If the line has no such ion.
    """
    table, beam = line.energies[ion_name], line.beam(ion_name)
    if beam is None:
        raise KeyError(ion_name)
    real = energy_MeV_u
    if table.beam_MeV_u is not None:
        real = float(interpolate(energy_MeV_u, table.energy_MeV_u, table.beam_MeV_u))
    if table.beam_sigma_MeV_u is not None:
        sigma = float(interpolate(energy_MeV_u, table.energy_MeV_u, table.beam_sigma_MeV_u))
        return RealBeam(real, sigma / real)
    return RealBeam(real, beam.momentum_spread_percent / momentum_spread_percent(beam.ion, real, 1.0))


def spread_in_words(line: BeamLine, library: BeamLibrary) -> str:
    """Momentum spread of the beams of a library, which of some lines depends on the energy."""
    name, ion = library.ion.name, library.ion
    if not differs_from_names(line, name):
        return f"{library.momentum_spread_percent:g} % (FWHM)"
    beams = [real_beam(line, name, float(energy)) for energy in library.energy_MeV_u]
    spreads = [momentum_spread_percent(ion, *beam) for beam in beams if math.isfinite(beam.energy_MeV_u)]
    return f"{min(spreads, default=math.nan):.2f} to {max(spreads, default=math.nan):.2f} % (FWHM)"


def beam_faults(library: BeamLibrary, line: BeamLine, ion_name: str) -> Iterator[str]:
    """Say where a library is not of the beams that the energy table of a line tells of, and what to do.

    Range and spread by which an entry was laid out are those of the beam that was simulated.  Of a line that
    names its beams by what they are there is nothing to compare.
    """
    beam = line.beam(ion_name)
    if beam is None or not differs_from_names(line, ion_name):
        return
    ranges = RangeEnergy(beam.ion, WATER, mean_excitation_eV(beam.ion, WATER))
    for energy, range_mm, sigma_mm in zip(
        library.energy_MeV_u, library.arrays.range_mm, library.arrays.sigma_mm, strict=True
    ):
        real = real_beam(line, ion_name, float(energy))
        if not math.isfinite(real.energy_MeV_u):
            continue  # beyond the energies of the line
        expected_mm = float(ranges.range_mm(real.energy_MeV_u))
        wide_mm = range_sigma_mm(beam.ion, *real)
        if abs(range_mm - expected_mm) > AGREE_mm or abs(sigma_mm - wide_mm) > AGREE_mm:
            yield (
                f"{library.path}: its beam of {energy:g} MeV/u has a range of {range_mm:.2f} +- "
                f"{sigma_mm:.2f} mm, but that of {line.name} has {expected_mm:.2f} +- {wide_mm:.2f} mm; "
                f"build it anew for {line.name} with `spotline library build`"
            )
            return  # one is enough: all are made at once
