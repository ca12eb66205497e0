"""Beams in air at the isocentre: how wide their spots are, and how they widen along the axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotline.dose.engine.pencil_beams import Divergence
from spotline.errors import OptionError
from spotline.machine.load import BeamLine
from spotline.machine.optics import beam_at
from spotline.units import FWHM_PER_SIGMA


@dataclass(frozen=True, slots=True)
class BeamInAir:
    """A scanned beam of one energy in air.

    Attributes
    ----------
    sigma_x_mm, sigma_y_mm : float
        Standard deviations of a spot at the isocentre.
    divergence : Divergence
        What happens to them along the axis.
    """

    sigma_x_mm: float
    sigma_y_mm: float
    divergence: Divergence


def beam_in_air(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: float,
    focus: str | None = None,
    passive_elements: Sequence[str] = (),
) -> BeamInAir:
    """Find a beam in air, behind everything that lies before the patient.

    A line without a nozzle has spot sizes at the isocentre only: its spots keep them along the axis, and
    range shifters do not change them.

    Parameters
    ----------
    beamline : BeamLine
    ion_name : str
        Ion of the beam.
    energy_MeV_u : float
        Kinetic energy per nucleon in vacuum.
    focus : str, optional
        Optics; by default the first of the ion.
    passive_elements : sequence of str
        Names of the ripple filters and range shifters in the beam.

    Raises
    ------
    BeamLineError, OptionError
        As `spotline.machine.optics.beam_at`; OptionError also if a line without a nozzle has no spot size.
    """
    facts = beamline.facts
    sources = facts.geometry.x_source_to_isocentre_mm, facts.geometry.y_source_to_isocentre_mm
    if facts.nozzle is None:
        sigma_mm = _tabulated_mm(beamline, ion_name, energy_MeV_u, focus, passive_elements)
        return BeamInAir(*sigma_mm, Divergence(*sources))
    x, y = (
        beam_at(
            beamline, ion_name, energy_MeV_u, plane, focus=focus, passive_elements=passive_elements
        ).phase_space
        for plane in ("x", "y")
    )
    # Both planes widen alike within the patient, as far as the library goes.
    linear_mm = -1e-3 * float(x.covariance_mm_mrad + y.covariance_mm_mrad)
    quadratic = 0.5e-6 * float(np.square(x.divergence_mrad) + np.square(y.divergence_mrad))
    return BeamInAir(float(x.sigma_mm), float(y.sigma_mm), Divergence(*sources, linear_mm, quadratic))


def _tabulated_mm(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: float,
    focus: str | None,
    passive_elements: Sequence[str],
) -> tuple[float, float]:
    modulators = beamline.facts.passive_elements.range_modulators
    number = sum(name in modulators for name in passive_elements)
    size = beamline.spot_size(ion_name, energy_MeV_u, focus, number)
    if size is None or not np.isfinite(size.fwhm_x_mm * size.fwhm_y_mm):
        raise OptionError(
            f"{beamline.name}: there is no spot size of {ion_name} of {energy_MeV_u:g} MeV/u with "
            f"{number} ripple filters; add a table of optics to the line, or take other filters"
        )
    return size.fwhm_x_mm / FWHM_PER_SIGMA, size.fwhm_y_mm / FWHM_PER_SIGMA
