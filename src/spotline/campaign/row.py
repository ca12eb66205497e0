"""The table of a campaign: one row per run."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pyarrow as pa
from msgspec import Struct

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("run", "int64", "number of the run, from 0"),
    ("seed", "int64", "seed of the campaign"),
    ("delivery_seed", "int64", "seed of the simulated room, drawn from seed and run"),
    ("field", "int32", "number of the field in which the faults strike, as in the plan"),
    ("fault1", "string", "kind of the first fault; empty without one"),
    ("value1", "double", "its value, in the unit of its kind; null if it has none"),
    ("spill1", "int32", "spill in which it begins, from 1; 0 without one"),
    ("at1_us", "int64", "when it begins, after the start of extraction of that spill"),
    ("duration1_us", "int64", "how long it lasts; null if for good"),
    ("fault2", "string", "the same of the second fault"),
    ("value2", "double", "likewise"),
    ("spill2", "int32", "likewise"),
    ("at2_us", "int64", "likewise"),
    ("duration2_us", "int64", "likewise"),
    ("struck", "bool", "whether a fault began before the field was over"),
    (
        "outcome",
        "string",
        (
            "complete; paused: complete, with pauses; resumed: complete, after an interruption; stopped: not "
            "complete in spite of that; failed: an error of the program"
        ),
    ),
    ("detected_by", "string", "cause of the first interlock; empty if none came"),
    (
        "detection_us",
        "int64",
        "from the scan period in which the first fault began to the first interlock; null without one",
    ),
    (
        "beam_off_us",
        "int64",
        (
            "worst time from the first interlock of a spill to its last ion, at most a scan period too long; "
            "null without an interlock during a spill"
        ),
    ),
    ("beam_off_bound_us", "double", "its bound"),
    ("excess", "double", "particles that the worst spot received too many (the one nearest to its bound)"),
    ("excess_bound", "double", "its bound"),
    ("prescribed", "double", "particles prescribed to that spot"),
    (
        "excess_Gy",
        "double",
        (
            "the same as dose at the Bragg peak, on the axis of the spot alone; null if the line knows no "
            "beam library or optics of it"
        ),
    ),
    ("excess_bound_Gy", "double", "likewise, of the bound"),
    ("prescribed_Gy", "double", "likewise, of the prescription"),
    ("excess_field", "double", "particles that the field received too many"),
    ("excess_field_bound", "double", "its bound"),
    (
        "lack",
        "double",
        (
            "particles that a spot received too few (the one nearest to its bound); null if a fault struck "
            "or the program failed"
        ),
    ),
    ("lack_bound", "double", "its bound; null likewise"),
    ("slice", "int32", "slice of the worst spot, from 0"),
    ("spot", "int32", "the spot in the slice, from 0: its first visit"),
    ("missing", "double", "particles that the field lacks when all is over"),
    (
        "misplaced",
        "double",
        "particles of spots that were, in root mean square, more than 2 mm off in a spill",
    ),
    ("displacement_mm", "double", "largest such distance"),
    ("spills", "int32", "spills used"),
    ("interlocks", "int32", "interlocks recorded"),
    ("resumes", "int32", "how often the delivery was resumed"),
    ("violations", "int32", "invariants that did not hold, as bits"),
    ("remarks", "string", "what did not hold, in words"),
)
"""Name, type and meaning of each column."""

SCHEMA = pa.schema([(name, pa.type_for_alias(kind)) for name, kind, _ in COLUMNS])


class Row(Struct, frozen=True, kw_only=True):
    """One run; `COLUMNS` says what each attribute means."""

    run: int
    seed: int
    delivery_seed: int
    field: int
    fault1: str
    value1: float | None
    spill1: int
    at1_us: int | None
    duration1_us: int | None
    fault2: str
    value2: float | None
    spill2: int
    at2_us: int | None
    duration2_us: int | None
    struck: bool
    outcome: str
    detected_by: str
    detection_us: int | None
    beam_off_us: int | None
    beam_off_bound_us: float
    excess: float
    excess_bound: float
    prescribed: float
    excess_Gy: float | None
    excess_bound_Gy: float | None
    prescribed_Gy: float | None
    excess_field: float
    excess_field_bound: float
    lack: float | None = None  # tables of before have neither
    lack_bound: float | None = None
    slice: int
    spot: int
    missing: float
    misplaced: float
    displacement_mm: float
    spills: int
    interlocks: int
    resumes: int
    violations: int
    remarks: str


def table_of(rows: Iterable[Row]) -> pa.Table:
    """Make the table: rows by number, whatever the order in which they came."""
    return pa.Table.from_pylist(
        [msgspec.structs.asdict(row) for row in sorted(rows, key=lambda row: row.run)], SCHEMA
    )


def rows_in(table: pa.Table) -> list[Row]:
    """Rows of a table of runs."""
    return msgspec.convert(table.to_pylist(), list[Row])
