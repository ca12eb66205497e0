"""A figure that came out, what it is held against, and the verdict.

The deviation is the value minus the reference or, without a reference, the value itself.  It is held against
two pairs of limits: the *tolerance*, beyond which something has to be looked into, and the *action level*,
beyond which one stops (the two of AAPM TG-224, Arjomandy et al., Med. Phys. 46 (2019) e678, and of TG-218,
Miften et al., Med. Phys. 45 (2018) e53).  The uncertainty has no part in a verdict; what it means is for
the reader.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from spotline.errors import MeasurementError
from spotline.measurement.checks import check_finite, check_name, check_uncertainty, check_unit

ROUNDING = 1e-10
"""A deviation this close to a limit, relative to the numbers that it is made of, is on it, not beyond."""


class Verdict(StrEnum):
    """What a result is found to be."""

    PASS = "pass"
    TOLERANCE_EXCEEDED = "tolerance exceeded"
    ACTION_EXCEEDED = "action exceeded"
    NOT_JUDGED = "not judged"
    """There is no limit, no value, or no reference other than 0 to take percents of."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Between what a deviation may lie; the limits themselves are allowed.

    A side without a limit is open.  A side with both kinds has the one that allows more ("2 % or 1 mm,
    whichever is greater").

    Attributes
    ----------
    low, high : float, optional
        In the unit of the result.
    low_percent, high_percent : float, optional
        In percent of the reference, whatever its sign.
    """

    low: float | None = None
    high: float | None = None
    low_percent: float | None = None
    high_percent: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            check_finite(getattr(self, name), "limits", name)
        if not self.is_relative and self.low is None and self.high is None:
            raise MeasurementError("limits: none is given; leave the limits out")
        for low, high, unit in ((self.low, self.high, ""), (self.low_percent, self.high_percent, " %")):
            if low is not None and high is not None and low > high:
                raise MeasurementError(
                    f"limits: the lower one, {low:g}{unit}, is above the upper one, {high:g}{unit}"
                )

    @classmethod
    def within(cls, absolute: float | None = None, percent: float | None = None) -> Limits:
        """Make limits that are the same on both sides; of both kinds, the one that allows more holds."""
        return cls(
            low=None if absolute is None else 0.0 - absolute,
            high=absolute,
            low_percent=None if percent is None else 0.0 - percent,
            high_percent=percent,
        )

    @property
    def is_relative(self) -> bool:
        """Whether any of the limits is in percent."""
        return self.low_percent is not None or self.high_percent is not None

    @property
    def needs_reference(self) -> bool:
        """Whether a side has no limit but one in percent."""
        return (self.low_percent is not None and self.low is None) or (
            self.high_percent is not None and self.high is None
        )

    def around(self, reference: float | None) -> tuple[float, float]:
        """Lower and upper limit of the deviation, infinite where a side is open.

        Parameters
        ----------
        reference : float or None
            In the unit of the result; percents are of it.
        """
        per_percent = math.nan if reference is None else abs(reference) / 100.0
        lows = [limit for limit in (self.low, _times(self.low_percent, per_percent)) if limit is not None]
        highs = [limit for limit in (self.high, _times(self.high_percent, per_percent)) if limit is not None]
        return min(lows, default=-math.inf), max(highs, default=math.inf)


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A figure that came out.

    Attributes
    ----------
    name : str
        Stable from version to version, and the only one of its set.
    value : float or None
        None if it could not be had.
    unit : str
        As names end (`spotline.units`): ``mm``, ``percent``; empty for a number without unit.
    uncertainty : float or None
        Standard uncertainty (k = 1), in the same unit; None if unknown, 0 if the value has none.
    reference : float or None
        What the value ought to be, in the same unit.
    tolerance, action : Limits or None
        Of the deviation. The action level may not lie within the tolerance.
    source : str
        Where reference and limits come from: a publication, a protocol, a baseline.

    Raises
    ------
    MeasurementError
        If a number is not finite, the unit is unknown, or limits cannot be.
    """

    name: str
    value: float | None
    unit: str = ""
    uncertainty: float | None = None
    reference: float | None = None
    tolerance: Limits | None = None
    action: Limits | None = None
    source: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "result")
        check_unit(self.unit, self.name)
        check_finite(self.value, self.name, "the value")
        check_finite(self.reference, self.name, "the reference")
        check_uncertainty(self.uncertainty, self.name)
        for limits in (self.tolerance, self.action):
            if limits is not None and limits.is_relative and self.reference is None:
                raise MeasurementError(f"{self.name}: limits in percent need a reference; give one")
        if self.tolerance is not None and self.action is not None:
            (low, high), (action_low, action_high) = (
                limits.around(self.reference) for limits in (self.tolerance, self.action)
            )
            if action_low > low or action_high < high:
                raise MeasurementError(
                    f"{self.name}: the action level lies within the tolerance; it must be wider, or the same"
                )

    @property
    def deviation(self) -> float | None:
        """Value minus reference, or the value if there is no reference."""
        if self.value is None:
            return None
        return self.value - (self.reference or 0.0)

    @property
    def verdict(self) -> Verdict:
        """What the numbers say; on a limit is within it, up to `ROUNDING`."""
        given = [limits for limits in (self.tolerance, self.action) if limits is not None]
        if not given or self.deviation is None:
            return Verdict.NOT_JUDGED
        if self.reference == 0.0 and any(limits.needs_reference for limits in given):
            return Verdict.NOT_JUDGED
        if self._is_beyond(self.action):
            return Verdict.ACTION_EXCEEDED
        return Verdict.TOLERANCE_EXCEEDED if self._is_beyond(self.tolerance) else Verdict.PASS

    def _is_beyond(self, limits: Limits | None) -> bool:
        if limits is None or self.value is None or self.deviation is None:
            return False
        low, high = limits.around(self.reference)
        finite = [abs(number) for number in (low, high) if math.isfinite(number)]
        slack = ROUNDING * max(abs(self.value), abs(self.reference or 0.0), *finite)
        return not low - slack <= self.deviation <= high + slack


def finite_or_none(value: float | None) -> float | None:
    """Return a number as a result takes it: None for what is not a number or not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


def _times(percent: float | None, per_percent: float) -> float | None:
    return None if percent is None else percent * per_percent
