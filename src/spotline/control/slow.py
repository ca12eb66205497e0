"""Slow control: gas, high voltage and passive elements, about once a second (section III.B.2.2).

Every box has a board of its own that reads temperature and pressure of the gas and the high voltage.  At CNAO
BOX1 holds INT1 and the strips, BOX2 holds INT2 and the pixels.  Boxes are numbered from 1 in the order of the
beam-line file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from spotline.control import interlocks
from spotline.physics.gas import gas_factor

MILLISECOND_us = 1000
"""The fast loop runs whole milliseconds, so that is when the slow control can look."""


@dataclass(frozen=True, slots=True)
class SlowLimits:
    """Tolerances of the slow control (Table 5), and the gas that counts are converted for.

    Attributes
    ----------
    temperature_C, pressure_Pa, high_voltage_V : tuple of float
        Lowest and highest value, of every box.
    gas_density_change : float
        Largest relative change of the gas density of a box since particles were converted to counts.
    period_s : float
        Period of the checks.
    silence_s : float
        Longest time without a reading.
    reference_temperature_C, reference_pressure_Pa : float
        Gas of which the density is 1.
    """

    temperature_C: tuple[float, float]
    pressure_Pa: tuple[float, float]
    high_voltage_V: tuple[float, float]
    gas_density_change: float
    period_s: float
    silence_s: float
    reference_temperature_C: float
    reference_pressure_Pa: float


@dataclass(frozen=True, slots=True)
class BoxReading:
    """What the board of one box reads.

    Attributes
    ----------
    name : str
        Of the box.
    temperature_C, pressure_Pa : float
        Of the gas.
    high_voltage_V : float
        At the chambers.
    """

    name: str
    temperature_C: float
    pressure_Pa: float
    high_voltage_V: float


@dataclass(frozen=True, slots=True)
class SlowReading:
    """One reading of the slow sensors.

    Attributes
    ----------
    time_us : int
        When the sensors were read, on the clock of the field.
    boxes : tuple of BoxReading
        In the order of the beam-line file.
    mounted : tuple of str
        Names of the passive elements in the nozzle.
    """

    time_us: int
    boxes: tuple[BoxReading, ...]
    mounted: tuple[str, ...]

    def gas_factors(self, limits: SlowLimits) -> tuple[float, ...]:
        """Density of the gas of each box, relative to the reference."""
        reference = limits.reference_temperature_C, limits.reference_pressure_Pa
        return tuple(gas_factor(box.temperature_C, box.pressure_Pa, *reference) for box in self.boxes)

    def flux_corrections(self, limits: SlowLimits) -> tuple[float, ...]:
        """What counts of each box are multiplied by for gas of the reference density (NaN without a density).

        The flux correction factor of Fig. 8 of the dose delivery paper.
        """
        return tuple(1.0 / factor for factor in self.gas_factors(limits))


@dataclass(frozen=True, slots=True)
class SlowTrip:
    """A slow quantity out of tolerance: an interlock of `spotline.control.interlocks.CAUSES`."""

    cause: int
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What a treatment expects of the slow sensors, besides the tolerances of the line.

    Attributes
    ----------
    passive_elements : tuple of str
        What must be mounted, in any order.
    gas_factors : tuple of float, optional
        Gas density of each box with which particles were converted to counts; None before that.
    """

    passive_elements: tuple[str, ...]
    gas_factors: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What the slow control tells the supervision: that it grants the delivery, or why it does not.

    Attributes
    ----------
    trips : tuple of SlowTrip
        What is out of tolerance.
    is_known : bool
        Whether there has been a reading at all.
    """

    trips: tuple[SlowTrip, ...]
    is_known: bool

    @property
    def is_granted(self) -> bool:
        """Whether there is a reading, and nothing is out of tolerance."""
        return self.is_known and not self.trips


def check_reading(reading: SlowReading, limits: SlowLimits, expected: Expected) -> Iterator[SlowTrip]:
    """Yield an interlock for each quantity outside its tolerance (Table 5).

    A border value is outside, and so is what is not a number.

    Parameters
    ----------
    reading : SlowReading
        What the sensors say.
    limits : SlowLimits
        Tolerances of the line, and its reference gas.
    expected : Expected
        What the treatment wants.
    """
    for quantity in ("temperature_C", "pressure_Pa", "high_voltage_V"):
        low, high = getattr(limits, quantity)
        for number, box in enumerate(reading.boxes, start=1):
            value = getattr(box, quantity)
            if not low < value < high:
                cause = interlocks.OF_BOX[f"slow_interlocks.{quantity}", number]
                yield SlowTrip(cause, value, low if value <= low else high)
    if expected.gas_factors is not None:
        yield from _density(reading.gas_factors(limits), expected.gas_factors, limits)
    wrong = len(set(reading.mounted) ^ set(expected.passive_elements))
    if wrong:
        yield SlowTrip(interlocks.PASSIVE_ELEMENTS, float(wrong), 0.0)


def _density(now: tuple[float, ...], converted: tuple[float, ...], limits: SlowLimits) -> Iterator[SlowTrip]:
    """Compare the gas of every box with that of the conversion; the worst change is told."""
    changes = [density / before - 1.0 for density, before in zip(now, converted, strict=True)]
    limit = limits.gas_density_change
    outside = [change for change in changes if not abs(change) < limit]
    if outside:
        worst = max(outside, key=lambda change: math.inf if math.isnan(change) else abs(change))
        yield SlowTrip(interlocks.GAS_DENSITY, worst, limit)


def slow_period_us(limits: SlowLimits) -> int:
    """Time from one reading to the next, in whole milliseconds."""
    return max(MILLISECOND_us, round(limits.period_s * 1e3) * MILLISECOND_us)


class SlowControl:
    """The slow control of one field: when to read, what is still good, and the grant.

    Parameters
    ----------
    limits : SlowLimits
        Of the line.
    expected : Expected
        What the treatment wants.
    start_us : int
        Clock of the field at the first reading.

    Attributes
    ----------
    expected : Expected
        As above; the gas is filled in once particles have been converted.
    last : SlowReading or None
        The last reading that came.
    """

    def __init__(self, limits: SlowLimits, expected: Expected, start_us: int = 0) -> None:
        self.expected = expected
        self.last: SlowReading | None = None
        self._limits = limits
        self._period_us = slow_period_us(limits)
        self._silence_us = max(MILLISECOND_us, round(limits.silence_s * 1e3) * MILLISECOND_us)
        self._standing: tuple[SlowTrip, ...] = ()
        self._due_us = start_us
        self._heard_us = start_us
        self._looked_us = start_us - 1

    @property
    def period_us(self) -> int:
        """Time from one reading to the next."""
        return self._period_us

    @property
    def next_us(self) -> int:
        """When to look next: the next reading is due, or the last one becomes too old."""
        silent_us = self._heard_us + self._silence_us
        return silent_us if self._looked_us < silent_us < self._due_us else self._due_us

    @property
    def is_due(self) -> bool:
        """Whether the sensors are to be read at `next_us`."""
        return self.next_us == self._due_us

    def take(self, reading: SlowReading | None) -> Grant:
        """Judge what came at `next_us`, and go on to the next look.

        Parameters
        ----------
        reading : SlowReading or None
            What the sensors say; None if nothing came, or if no reading was due.
        """
        now_us = self.next_us
        if reading is not None:
            self.last = reading
            # A board that repeats its last reading is as silent as one that says nothing.
            self._heard_us = max(self._heard_us, min(reading.time_us, now_us))
            self._standing = tuple(check_reading(reading, self._limits, self.expected))
        trips = list(self._standing)  # a reading that does not come changes nothing
        if now_us - self._heard_us >= self._silence_us:
            silence_s, limit_s = (now_us - self._heard_us) * 1e-6, self._silence_us * 1e-6
            trips.append(SlowTrip(interlocks.SLOW_SILENCE, silence_s, limit_s))
        self._looked_us = now_us
        if now_us == self._due_us:
            self._due_us += self._period_us
        return Grant(tuple(trips), self.last is not None)
