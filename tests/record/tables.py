"""Field records made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spotline.record.model import (
    INTERLOCK,
    SLICE,
    SLOW_CONTROL,
    SPILL,
    SPOT,
    TREND,
    VISIT,
    FieldRecord,
    Table,
)


def table(kind: np.dtype, rows: list[dict[str, Any]]) -> Table:
    """A table with some of its columns, the others zero."""
    result = np.zeros(len(rows), kind)
    for row, values in zip(result, rows, strict=True):
        for name, value in values.items():
            row[name] = value
    return result


def field_record(
    spots: list[dict[str, Any]] = [],  # noqa: B006
    slices: list[dict[str, Any]] = [],  # noqa: B006
    spills: list[dict[str, Any]] = [],  # noqa: B006
    interlocks: list[dict[str, Any]] = [],  # noqa: B006
    visits: list[dict[str, Any]] = [],  # noqa: B006
    **header: Any,
) -> FieldRecord:
    return FieldRecord(
        path=Path("field-01"),
        number=1,
        name="by hand",
        header={"passive_elements": [], **header},
        spots=table(SPOT, spots),
        visits=table(VISIT, visits),
        slices=table(SLICE, slices),
        spills=table(SPILL, spills),
        trend=table(TREND, []),
        interlocks=table(INTERLOCK, interlocks),
        slow_control=table(SLOW_CONTROL, []),
        truth=None,
    )
