"""Readings of the slow sensors for tests, by the names of the columns of a record."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from spotline.control.slow import BoxReading, SlowReading

GOOD = SlowReading(
    0, (BoxReading("BOX1", 20.0, 101325.0, 400.0), BoxReading("BOX2", 20.0, 101325.0, 400.0)), ()
)
"""Gas of the reference and the nominal high voltage in both boxes."""


def good_but(**values: Any) -> SlowReading:
    """`GOOD` with other values, as in ``temperature2_C=22.0``: the number is that of the box."""
    boxes, others = list(GOOD.boxes), {}
    for name, value in values.items():
        found = re.fullmatch(r"(\w+)([12])_(\w+)", name)
        if found is None:
            others[name] = value
            continue
        quantity, number, unit = found.groups()
        index = int(number) - 1
        boxes[index] = replace(boxes[index], **{f"{quantity}_{unit}": value})
    return replace(GOOD, boxes=tuple(boxes), **others)


def value_of(reading: SlowReading, name: str) -> float:
    """A value of a reading by the name of its column."""
    found = re.fullmatch(r"(\w+)([12])_(\w+)", name)
    assert found is not None, name
    quantity, number, unit = found.groups()
    value: float = getattr(reading.boxes[int(number) - 1], f"{quantity}_{unit}")
    return value
