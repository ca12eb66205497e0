"""Dose of a particle at the Bragg peak, on the axis of its own spot: what a bound in particles is in Gy."""

from __future__ import annotations

import math

import numpy as np

from spotline.dose.engine.in_air import beam_in_air
from spotline.errors import SpotlineError
from spotline.machine import BeamLine
from spotline.machine.library.modifiers import in_beam
from spotline.machine.library.store import load_library

GY_PER_MEV_CM2_G_MM2 = 1.602_176_634e-8
"""Dose of 1 MeV cm2/g spread over 1 mm2."""

_KNOWN: dict[tuple[object, ...], float | None] = {}


def peak_dose_Gy(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: float,
    focus: str,
    passive_elements: tuple[str, ...] = (),
) -> float:
    """Dose of one particle at the Bragg peak in water, on the axis of a spot.

    The peak lies at the isocentre: the spot is as wide there as in air, and wider by what scatters in the
    water.

    Parameters
    ----------
    beamline : BeamLine
    ion_name : str
    energy_MeV_u : float
    focus : str
        Optics.
    passive_elements : tuple of str
        What is mounted in the nozzle.

    Returns
    -------
    float
        In Gy.

    Raises
    ------
    SpotlineError
        If the line has no beam library or no optics of that beam.
    """
    names = beamline.facts.passive_elements
    modulators = [name for name in passive_elements if name in names.range_modulators]
    shifters = [name for name in passive_elements if name not in names.range_modulators]
    thickness = in_beam(beamline, ion_name, range_modulators=modulators, range_shifters=shifters)
    entry = load_library(beamline, ion_name).entry(energy_MeV_u).with_thickness(thickness)
    ranges = entry.ranges()
    lateral = entry.lateral(ranges.peak_mm)
    air = beam_in_air(beamline, ion_name, energy_MeV_u, focus, passive_elements)
    widths_mm = np.array([lateral.core_mm[0], *lateral.halo_mm[0]])
    halo = lateral.halo_share[0]
    shares = np.array([1.0 - halo.sum(), *halo])
    area_mm2 = (
        2.0 * math.pi * np.sqrt((air.sigma_x_mm**2 + widths_mm**2) * (air.sigma_y_mm**2 + widths_mm**2))
    )
    return float(ranges.peak_MeV_cm2_g * GY_PER_MEV_CM2_G_MM2 * (shares / area_mm2).sum())


def known_peak_dose_Gy(
    beamline: BeamLine, ion_name: str, energy_MeV_u: float, focus: str, passive_elements: tuple[str, ...]
) -> float | None:
    """The same, worked out once a process; None if the line does not know enough of that beam."""
    key = beamline.sha256, ion_name, energy_MeV_u, focus, passive_elements
    if key not in _KNOWN:
        try:
            _KNOWN[key] = peak_dose_Gy(beamline, ion_name, energy_MeV_u, focus, passive_elements)
        except SpotlineError:
            _KNOWN[key] = None
    return _KNOWN[key]
