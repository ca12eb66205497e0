"""From particles to counts of the integral chambers: the pre-treatment conversion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spotline.beamline import BeamLine
from spotline.preparation.treatment import FieldTreatment, Floats, Integers

ABSOLUTE_ZERO_C = -273.15


def gas_factor(temperature_C: float, pressure_Pa: float, beamline: BeamLine) -> float:
    """Density of the chamber gas relative to the reference (ideal gas; IAEA TRS-398, section 4.4.3.1)."""
    chambers = beamline.facts.chambers
    reference_K = chambers.reference_temperature_C - ABSOLUTE_ZERO_C
    return (reference_K / (temperature_C - ABSOLUTE_ZERO_C)) * (pressure_Pa / chambers.reference_pressure_Pa)


def convert_counts(
    treatment: FieldTreatment, temperature_C: float, pressure_Pa: float, beamline: BeamLine
) -> FieldTreatment:
    """Convert particles to counts of both integral chambers (the pre-treatment conversion, III.C).

    A spot makes ``particles / particles_per_count`` counts, with the table of the ion, the gas density,
    the daily factor and the gain map at the spot.  Counts are whole numbers; their running sum along
    the slice is what is rounded, so that rounding never adds up.  INT2, the back-up, gets
    ``int2_margin_counts`` more: otherwise the first of two equally good but differently rounded chambers
    would always win, and a spot of 100 counts would fall short by half a count on average.

    Parameters
    ----------
    treatment : FieldTreatment
        A prepared field.
    temperature_C, pressure_Pa : float
        Of the gas in the chambers.
    beamline : BeamLine
        The line it was prepared for.
    """
    gas = gas_factor(temperature_C, pressure_Pa, beamline)
    calibration = beamline.facts.calibration
    margin = beamline.facts.control.int2_margin_counts
    slices = []
    for s in treatment.slices:
        reference = float(beamline.particles_per_count(treatment.beam.name, s.energy_MeV_u))
        gain1 = beamline.int1_gain(s.x_iso_mm, s.y_iso_mm) * calibration.int1_daily_factor * gas
        gain2 = beamline.int2_gain(s.x_iso_mm, s.y_iso_mm) * calibration.int2_daily_factor * gas
        slices.append(
            replace(
                s,
                particles_per_count1=reference / gain1,
                particles_per_count2=reference / gain2,
                int1_counts=round_running(s.particles * gain1 / reference),
                int2_counts=round_running(s.particles * gain2 / reference) + margin,
            )
        )
    return replace(treatment, slices=tuple(slices), gas_factor=gas)


def round_running(counts: Floats) -> Integers:
    """Round counts to whole numbers of at least 1, so that every running sum is off by half a count at most.

    (By more only where spots below one count are raised to one.)
    """
    rounded = np.diff(np.floor(np.cumsum(counts) + 0.5), prepend=0.0).astype(np.int64)
    return np.maximum(rounded, 1)
