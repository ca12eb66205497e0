"""Journals for tests: small, and with every kind of entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spotline.control.memory import PART
from spotline.record import journal
from spotline.record.journal import Entry, Journal, JournalContent
from spotline.record.model import Table
from spotline.storage import Disk


def loaded(*counts: int) -> Table:
    """Spots 0, 1, ... that lack so many counts."""
    table = np.zeros(len(counts), journal.LOADED)
    table["spot"], table["int1_counts"] = np.arange(len(counts)), counts
    table["int2_counts"] = table["int1_counts"] + 3
    return table


def parts(*rows: tuple[int, int, int]) -> Table:
    """Rows of spot, counts of INT1 and completeness; INT2 counts the same."""
    table = np.zeros(len(rows), PART)
    for row, (spot, counts, complete) in zip(table, rows, strict=True):
        row["spot"], row["int1_counts"], row["int2_counts"], row["complete"] = spot, counts, counts, complete
    table["x_strip_mm"] = np.nan
    return table


ENTRIES: tuple[tuple[str, dict[str, Any], Table | None], ...] = (
    (journal.FIELD, {"field": 1, "seed": 7}, None),
    (journal.READING, {"time_us": 0, "temperature_C": 22.5}, None),
    (journal.SPILL, {"spill": 1, "slice": 0, "unconfirmed": 40}, loaded(100, 50, 80)),
    (journal.PROGRESS, {"spill": 1, "row": 0, "time_us": 20_000}, parts((0, 100, 1), (1, 20, 0))),
    (journal.PROGRESS, {"spill": 1, "row": 1, "time_us": 40_000}, parts((1, 50, 1), (2, 60, 0))),
    (journal.OVER, {"spill": 1, "row": 0, "interlocks": []}, parts((0, 100, 1), (1, 50, 1), (2, 70, 0))),
    (journal.STORED, {"spill": 1, "sha256": "ab"}, None),
    (journal.INTERLOCK, {"cause": 43}, None),
    (journal.EVENT, {"time_us": 30_000, "event": "stop", "state": "interrupted"}, None),
    (journal.ORDER, {"time_us": 30_000, "command": "stop", "identity": "me", "reason": ""}, None),
    (journal.CLOSED, {"status": "interlock", "latched": []}, None),
    (journal.RESUME, {"operator": "me"}, None),
    (journal.GIVEN_UP, {"plan_uid": "2.25.7"}, None),
)


def write(path: Path, disk: Disk | None = None) -> list[int]:
    """Write `ENTRIES`; return where each of them ends."""
    ends = []
    with Journal(disk or Disk(), path) as book:
        for kind, values, table in ENTRIES:
            book.append(kind, values, table)
            ends.append(path.stat().st_size)
    return ends


def same(entry: Entry, expected: tuple[str, dict[str, Any], Table | None]) -> bool:
    """Whether an entry is the one that was written."""
    kind, values, table = expected
    if (entry.kind, entry.values) != (kind, values) or (entry.table is None) != (table is None):
        return False
    return table is None or (entry.table is not None and entry.table.tobytes() == table.tobytes())


def is_prefix(content: JournalContent) -> bool:
    """Whether a journal holds the first of `ENTRIES` and nothing else."""
    return all(map(same, content.entries, ENTRIES)) and len(content.entries) <= len(ENTRIES)
