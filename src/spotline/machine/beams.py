"""Whether a beam library is of the beams that a line really has (`spotline.machine.real_beams`)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from spotline.machine.library.grid import range_sigma_mm
from spotline.machine.library.model import BeamLibrary
from spotline.machine.load import BeamLine
from spotline.machine.real_beams import differs_from_names, momentum_spread_percent, real_beam
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy, mean_excitation_eV

AGREE_mm = 0.02
"""So close are range and its spread in a library to those of the table that it was made of, whose figures are
written with some digits."""


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
