"""Write the reference page of the events of a delivery from their descriptions in the code.

    python tools/make_events_reference.py      # into docs/reference/events.md

A test fails when the page is out of date.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from spotline.delivery.events import COMMON, EVENTS, Column

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "events.md"
NOTE = "<!-- Written by tools/make_events_reference.py from the descriptions in the code; do not edit. -->"

HEAD = f"""\
# Events of a delivery

{NOTE}

What happens in a delivery is told as one stream of events, in order
([how to watch one](../how-to/watch-a-delivery.md)). They are the types of
[`spotline.delivery.events`](../../src/spotline/delivery/events.py); `EVENTS` there has what is on this page.

A limit with a dot is a key of the [beam-line file](beam-line-file.md) (`limits_of` gives its numbers). A
column whose type is a table has its own columns, named `table.column`. Events have no time of day: a sink
that wants one adds it. With the same beam line, treatment, seed and orders they are the same on every run;
the size of the blocks only changes how the samples are cut into `Samples`, and the numbers with it.

## All events

"""


def page() -> str:
    """The page."""
    parts = [HEAD + columns_table(COMMON)]
    for kind, columns in EVENTS.items():
        parts.append(f"## {kind.__name__}\n\n{inspect.getdoc(kind)}\n\n{columns_table(columns)}")
    return "\n\n".join(parts) + "\n"


def columns_table(columns: tuple[Column, ...]) -> str:
    """A row per column, and per column of a table."""
    head = "| column | type | unit | limits | from | meaning |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join([head, *(row for column in columns for row in _rows(column, ""))])


def _rows(column: Column, before: str) -> list[str]:
    name = before + column.name
    kind = column.dtype + (f" [{', '.join(column.shape)}]" if column.shape else "")
    cells = (f"`{name}`", kind, column.unit, _limits(column), column.source, column.meaning)
    rows = [f"| {' | '.join(cells)} |"]
    for inner in column.columns:
        rows += _rows(inner, f"{name}.")
    return rows


def _limits(column: Column) -> str:
    if isinstance(column.limits, str):
        return f"`{column.limits}`"
    low, high = column.limits
    if low is None and high is None:
        return ""
    return " ".join(
        text
        for text in ("" if low is None else f"from {low:g}", "" if high is None else f"to {high:g}")
        if text
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
