"""Numbers and facts as text for the tables of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP

NOTHING = "\N{EN DASH}"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """Return a number with so many decimals, with a real minus sign; a dash if it is not finite."""
    if not math.isfinite(value):
        return NOTHING
    value = round(value, digits) + 0.0  # no negative zero
    return f"{value:{'+' if sign and value else ''},.{digits}f}".replace("-", "\N{MINUS SIGN}").replace(
        ",", "\N{NARROW NO-BREAK SPACE}"
    )


def power(value: float, digits: int = 4) -> str:
    """Return a number as 1.234 × 10⁸, with so many significant digits; plain below 10 000."""
    if not math.isfinite(value):
        return NOTHING
    if abs(value) < 1e4 and (value == 0 or abs(value) >= 1e-3):
        return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.replace("-", "\N{MINUS SIGN}")
    return f"{mantissa} × 10{superscript(int(exponent))}"


def superscript(exponent: int) -> str:
    """Return an exponent in raised digits."""
    return str(exponent).translate(_SUPERSCRIPT)


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in percent."""
    return f"{number(100.0 * fraction, digits)} %" if math.isfinite(fraction) else NOTHING


def seconds(value: float, digits: int = 3) -> str:
    """Return a time in seconds, with minutes if there are any."""
    if not math.isfinite(value):
        return NOTHING
    text = f"{number(value, digits)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{text} ({minutes} min {rest} s)" if minutes else text


def moment(value: Any) -> str:
    """Return an ISO 8601 date and time, to the second, as people write it."""
    try:
        return datetime.fromisoformat(str(value)).isoformat(" ", "seconds").replace("+00:00", " UTC")
    except ValueError:
        return plain(value)


def plain(value: Any) -> str:
    """Return anything from a header as one line of text."""
    if value is None or value == "" or value == [] or value == {}:
        return NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def short_hash(value: Any) -> str:
    """Return the first digits of a hash."""
    text = plain(value)
    return text[:12] + "…" if len(text) > 12 else text


def status(value: Any) -> tuple[str, str]:
    """Return the status of a field in words, and its kind: ``good``, ``bad`` or ``unknown``."""
    if value == "complete":
        return "Delivered whole", "good"
    if value == "interlock":
        return "Stopped by an interlock", "bad"
    if value == "interrupted":
        return "Interrupted", "bad"
    return f"Status: {plain(value)}", "unknown"


def action(code: int) -> str:
    """Return the action of an interlock in words."""
    return {
        PAUSE: "beam off for the rest of the spill",
        STOP: "treatment stopped",
        INHIBIT: "treatment not begun",
    }.get(code, f"action {code}")


def unit_of(cause: int) -> str:
    """Return the unit of the value and the limit of an interlock."""
    known = CAUSES.get(cause)
    if known is None:
        return ""
    return "°C" if known.unit == "C" else known.unit


def condition_of(cause: int) -> str:
    """Return what should have held, and who checked it."""
    known = CAUSES.get(cause)
    return f"{known.source}: {known.condition}" if known is not None else ""
