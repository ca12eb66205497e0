"""Slow control: gas, high voltage and passive elements, about once a second (section III.B.2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spotline.beamline.model import SlowInterlocks
from spotline.control import interlocks


@dataclass(frozen=True, slots=True)
class SlowReading:
    """One reading of the slow sensors.

    Attributes
    ----------
    time_us : int
        On the clock of the field.
    temperature_C, pressure_Pa : float
        Of the gas in the chambers.
    high_voltage1_V, high_voltage2_V : float
        Of BOX1 and BOX2.
    mounted : tuple of str
        Names of the passive elements in the nozzle.
    """

    time_us: int
    temperature_C: float
    pressure_Pa: float
    high_voltage1_V: float
    high_voltage2_V: float
    mounted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlowTrip:
    """A slow quantity out of tolerance: an interlock of `spotline.control.interlocks.CAUSES`."""

    cause: int
    value: float
    limit: float


def check_reading(
    reading: SlowReading, limits: SlowInterlocks, expected: tuple[str, ...]
) -> Iterator[SlowTrip]:
    """Yield an interlock for each quantity outside its tolerance (Table 5); a border value is outside.

    Parameters
    ----------
    reading : SlowReading
        What the sensors say.
    limits : SlowInterlocks
        Intervals.
    expected : tuple of str
        Passive elements that the treatment wants, in any order.
    """
    checks = (
        (interlocks.TEMPERATURE_1, reading.temperature_C, limits.temperature_C),
        (interlocks.PRESSURE_1, reading.pressure_Pa, limits.pressure_Pa),
        (interlocks.HIGH_VOLTAGE_1, reading.high_voltage1_V, limits.high_voltage_V),
        (interlocks.HIGH_VOLTAGE_2, reading.high_voltage2_V, limits.high_voltage_V),
    )
    for cause, value, (low, high) in checks:
        if not low < value < high:
            yield SlowTrip(cause, value, low if value <= low else high)
    wrong = len(set(reading.mounted) ^ set(expected))
    if wrong:
        yield SlowTrip(interlocks.PASSIVE_ELEMENTS, float(wrong), 0.0)
