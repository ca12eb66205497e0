"""Something measured: numbers over axes, with their units, their uncertainty and where they come from."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from spotline.errors import MeasurementError
from spotline.measurement.checks import (
    check_finite,
    check_name,
    check_uncertainty,
    check_unique,
    check_unit,
)


class Axis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One coordinate of a measurement.

    Attributes
    ----------
    name : str
        Such as ``depth``.
    unit : str
        As names end: ``mm``.
    values : tuple of float
        In the order of the measurement; neither ascending nor even steps are asked for.
    """

    name: str
    unit: str = ""
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        check_name(self.name, "axis")
        check_unit(self.unit, f"axis {self.name}")
        if not self.values:
            raise MeasurementError(f"axis {self.name}: it has no values; leave the axis out")
        for value in self.values:
            check_finite(value, f"axis {self.name}", "a value")


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that was as it was while it was measured: a setting, or the air.

    Attributes
    ----------
    name : str
    value : float or str
    unit : str
        As names end; none for a text.
    """

    name: str
    value: float | str
    unit: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "condition")
        check_unit(self.unit, f"condition {self.name}")
        if isinstance(self.value, str):
            if self.unit:
                raise MeasurementError(f"condition {self.name}: a text has no unit; leave {self.unit!r} out")
        else:
            check_finite(self.value, f"condition {self.name}", "the value")


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where numbers come from.

    Attributes
    ----------
    source : str
        The file, the record or the publication.
    sha256 : str
        Of the file, in hexadecimal; empty if there is none.
    measured_at : str
        Date, or date and time, in the form of ISO 8601; empty if unknown.
    made_by : str
        Who measured, or the program and version that read or computed it.
    """

    source: str
    sha256: str = ""
    measured_at: str = ""
    made_by: str = ""

    def __post_init__(self) -> None:
        check_name(self.source, "provenance")
        if self.sha256 and not (len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef")):
            raise MeasurementError(
                f"provenance {self.source}: sha256 is {self.sha256!r}; give 64 small hexadecimal digits"
            )


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers of one quantity over axes.

    Attributes
    ----------
    quantity : str
        Such as ``depth dose``.
    unit : str
        As names end: ``Gy``; empty for a number without unit.
    axes : tuple of Axis
        None for a single number.
    values : tuple of (float or None)
        In C order: that of the last axis changes first. None where nothing was measured.
    uncertainty : float, tuple of float, or None
        Standard uncertainty (k = 1) of all values, or of each; None if unknown.
    instrument : str
        What measured: kind, maker, serial number, as far as they are known.
    conditions : tuple of Condition
    provenance : Provenance

    Raises
    ------
    MeasurementError
        If a shape does not agree, a number is not finite, a unit is unknown, or a name stands twice.
    """

    quantity: str
    unit: str = ""
    axes: tuple[Axis, ...] = ()
    values: tuple[float | None, ...]
    uncertainty: float | tuple[float, ...] | None = None
    instrument: str
    conditions: tuple[Condition, ...] = ()
    provenance: Provenance

    def __post_init__(self) -> None:
        check_name(self.quantity, "measurement")
        what = f"measurement of {self.quantity}"
        check_unit(self.unit, what)
        check_unique((axis.name for axis in self.axes), f"{what}, axes")
        check_unique((condition.name for condition in self.conditions), f"{what}, conditions")
        expected = math.prod(self.shape)
        if len(self.values) != expected:
            raise MeasurementError(
                f"{what}: {len(self.values)} values, but its axes make {expected} ({self.shape})"
            )
        for value in self.values:
            check_finite(value, what, "a value")
        if isinstance(self.uncertainty, tuple):
            if len(self.uncertainty) != expected:
                raise MeasurementError(
                    f"{what}: {len(self.uncertainty)} uncertainties of {expected} values; give one of all or "
                    "one of each"
                )
            for one in self.uncertainty:
                check_uncertainty(one, what)
        else:
            check_uncertainty(self.uncertainty, what)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of values along the axes."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def array(self) -> NDArray[np.float64]:
        """Values in their shape; not a number where nothing was measured."""
        flat = [math.nan if value is None else value for value in self.values]
        return np.array(flat, dtype=float).reshape(self.shape)

    @property
    def uncertainty_array(self) -> NDArray[np.float64]:
        """Standard uncertainties in the same shape; not a number if unknown."""
        one = math.nan if self.uncertainty is None else self.uncertainty
        return np.broadcast_to(
            np.array(one, dtype=float).reshape(self.shape if np.ndim(one) else ()), self.shape
        )
