"""The beams that a line really has where plan and machine name an energy.

A machine is asked for an energy by its name, and what comes may differ: behind a degrader the mean is off by
up to two percent, and the spread depends on the energy.  The energy table of the line says so in two optional
columns, `spotline.tables.EnergyTable`.  A beam library of such a line is simulated with the real beams, and
keeps them under the energies that plans name; so everybody who looks up an energy finds its beam.
"""

from __future__ import annotations

from typing import NamedTuple

from spotline.machine.geometry import interpolate
from spotline.machine.load import BeamLine
from spotline.physics.ions import Ion
from spotline.units import FWHM_PER_SIGMA


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
