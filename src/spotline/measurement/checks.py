"""What holds for every name, number and unit of a measurement or a result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from spotline.errors import MeasurementError
from spotline.units import is_unit


def check_name(name: str, what: str) -> None:
    """Refuse a name that is empty, has a blank at an end, or does not fit on a line."""
    if not name or name != name.strip() or not name.isprintable():
        raise MeasurementError(f"{what}: the name is {name!r}; give one line, without blanks at its ends")


def check_unit(unit: str, what: str) -> None:
    """Refuse a unit that names in this project may not end in."""
    if not is_unit(unit):
        raise MeasurementError(
            f"{what}: unit {unit!r} is unknown; write it as names end, such as mm or counts_per_Gy, or leave "
            "it empty for a number without unit"
        )


def check_finite(value: float | None, what: str, field: str) -> None:
    """Refuse what is not finite; None says that there is no number."""
    if value is not None and not math.isfinite(value):
        raise MeasurementError(f"{what}: {field} is {value}; it must be finite, or null if there is none")


def check_uncertainty(value: float | None, what: str) -> None:
    """Refuse an uncertainty that is not finite or below 0."""
    check_finite(value, what, "the uncertainty")
    if value is not None and value < 0.0:
        raise MeasurementError(f"{what}: the uncertainty is {value:g}; it is a standard deviation, 0 or more")


def check_unique(names: Iterable[str], what: str) -> None:
    """Refuse a name that stands twice."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise MeasurementError(f"{what}: the name {twice[0]!r} stands twice; each must be the only one")
