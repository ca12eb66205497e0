"""Gas of the chambers: what its density does to the counts."""

from __future__ import annotations

import math

from spotline.units import ABSOLUTE_ZERO_C


def gas_factor(
    temperature_C: float, pressure_Pa: float, reference_temperature_C: float, reference_pressure_Pa: float
) -> float:
    """Density of the chamber gas relative to the reference (ideal gas; IAEA TRS-398, section 4.4.3.1).

    NaN for what no gas can have, since a broken sensor may say anything.
    """
    if not (temperature_C > ABSOLUTE_ZERO_C and pressure_Pa > 0.0):
        return math.nan
    reference_K = reference_temperature_C - ABSOLUTE_ZERO_C
    return (reference_K / (temperature_C - ABSOLUTE_ZERO_C)) * (pressure_Pa / reference_pressure_Pa)
