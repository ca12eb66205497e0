"""Write the reference page of the files of a record from the tables in the code.

    python -m tools.make_record_reference      # into docs/reference/record-files.md

A test fails when the page is out of date.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from spotline.delivery.events import OTHERS, PARTS, TREND
from spotline.delivery.status import STATUS_COLUMNS
from spotline.record import model
from spotline.record.headers import DeliveryFile, FieldFile, SpillHeader
from spotline.record.log import LogFile
from spotline.record.merged import MERGED_COLUMNS
from spotline.record.prescribed import PRESCRIBED_COLUMNS
from spotline.record.summary_file import SummaryFile
from spotline.treatment.headers import DeliveryHeader
from spotline.treatment.treatment import Slice
from tools.make_events_reference import columns_table
from tools.struct_tables import tables_of, types_within

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
NOTE = "<!-- Written by tools/make_record_reference.py from the tables in the code; do not edit. -->"

TABLES = (
    ("spots", model.SPOT_COLUMNS, "Every spot of which anything was delivered, in order of slice and spot."),
    (
        "visits",
        model.VISIT_COLUMNS,
        "Every spot of the treatment, delivered or not; with repainting a row is one visit.",
    ),
    ("slices", model.SLICE_COLUMNS, "Every slice of the treatment, delivered or not."),
    ("spills", model.SPILL_COLUMNS, "Every spill that was taken."),
    (
        "trend",
        model.TREND_COLUMNS,
        "One row per whole millisecond of every spill; what is left after the last is in `spills` only.",
    ),
    ("interlocks", model.INTERLOCK_COLUMNS, "Every interlock, those between spills first."),
    ("slow_control", model.SLOW_CONTROL_COLUMNS, "Every reading of the slow control."),
    (
        "assumed",
        model.ASSUMED_COLUMNS,
        "What was [assumed](../explanation/recovery.md) because the delivery died; in no other table.",
    ),
    (
        "readings",
        model.READING_COLUMNS,
        "What [monitors without a role](monitors.md) measured of every spot; empty on a line without any.",
    ),
    (
        "truth",
        model.TRUTH_COLUMNS,
        (
            "What only the simulation knows, one row per row of `spots`. The table is `None` if any spill of "
            "the field has no truth, such as one that was killed and comes from the journal."
        ),
    ),
    (
        "prescribed_spots",
        PRESCRIBED_COLUMNS,
        "Made by `spotline.record.prescribed_spots(field)`: every spot of the plan, its visits joined.",
    ),
    (
        "merge_records",
        MERGED_COLUMNS,
        "Made by `spotline.merge_records(records)`: every spot of the plan, its deliveries joined.",
    ),
)

FILES = f"""\
# Files of a record

{NOTE}

`spotline deliver` fills the output folder:

| file | contents |
| --- | --- |
| `delivery.json` | what was asked for: plan, line, fields, [course](../how-to/keep-a-course.md); comes last |
| `delivery.lock` | empty: made first, so that one of several wins; who delivers has a lock on it |
| `plan/` | copy of the plan, so that `spotline resume` needs nothing else; `plan` if its name is too long |
| `field-NN/journal.bin` | the [journal](../explanation/recovery.md): what was delivered, as it is delivered |
| `summary.json` | status, totals, one entry per field, versions, hashes; `sinks`, `unwritten` (see below) |
| `report.html` | the [report](report.md), self-contained |
| `status.json` | the last [status](#the-status-file) that was published |
| `field-NN/DDS_treatment.h5` | the prepared field in machine units: a group per slice; counts once begun |
| `field-NN/spills/spill-NNNN.h5` | one file per spill, published when the spill is over |
| `field-NN/field.json` | status, start, sessions, and what came [between spills](#the-header-of-a-field) |
| `continuation.dcm` | copy of the [plan](../how-to/continue-a-treatment.md) of the rest, if given up |
| `field-NN/log.json` | the log: exactly the quantities of Table 3 of the dose delivery paper |
| `field-NN/record.dcm` | the [DICOM treatment record](treatment-record.md) |

In `summary.json`, `sinks` has who missed events, and `unwritten` what could not be written although the beam
was given; each is there only if there is any.

A file other than the journal appears under its name when it is complete. A record that lacks `summary.json`
or a `field.json` is read from its journals; its status is `interrupted` if the delivery did not end.
Whatever goes on from a journal that knows less than the other files
[refuses it](../explanation/recovery.md#which-journal-is-believed). A spill file is never replaced.

A record may come from anywhere. Names in it lead to nothing outside of its folder, nor do links; JSON has
16 MiB at most, a journal 1 GiB, and arrays take no more memory than what is stored of them can stand for.
What goes beyond is refused.

Times are microseconds on the clock of the field, which starts with its pre-treatment checks; nothing in
`DDS_treatment.h5`, the journal and the spill files depends on the date, so that the same plan, beam line and
seed leave the same bytes.

## Tables of a field

`spotline.open_record(folder).fields[0]` has these tables as NumPy structured arrays, merged over the spills
(how to use them: [Read a record in Python](../how-to/read-a-record.md)).

{{tables}}

## The header of a field

`field.json` has `status` (`complete`, or `interlock` if anything is left), `started`, `spills`,
`slow_control` and `interlocks_without_beam` (rows of the tables above; an interlock has `detail` if a number
cannot say what was the matter, as `summary.json` then has too), and:

| key | contents |
| --- | --- |
| `fraction`, `operator` | number of the fraction; who had it begin, if that was said |
| `sessions` | who had it go on: `operator`, `reason`, `resumed`, `spill`; `remarks`, if any |
| `events` | what happened to the [supervision](../explanation/supervision.md): `time_us`, `event`, `state` |
| `orders` | that were obeyed: `time_us` (from which sample on), `command`, `identity`, `reason`, `spill` |
| `register.latched` | not reset, in order: `cause`, `value`, `limit`, `time_us`, `spill` |
| `register.resets` | every reset: `identity`, `reason`, `time_us`, and what was `released` |

A number that is not finite is `null`.

## The status file

`status.json` is replaced as a whole at every change of the state and once per second of a spill (on the clock
of the field), by a thread of its own for which the delivery does not wait. It is for displays; `spotline
resume` only looks whether it has shown more spills than the journal knows.

Besides `updated`, when it was written by the clock of the computer, it has:

{{status}}

## The treatment file

Format `spotline-treatment`, version 4; version 3, without sizes at the chambers, is read, too. The attribute
`header` is JSON with facts of the field; `sha256` is
a hash of all content ([how](preparation-files.md#treatment-and-slice-files)). Each group `slices/NNNN` holds
the attributes of `spotline.Slice`:

{{slice}}

## The spill file

Format `spotline-spill`, version 3; version 2, without widths, is read, too, with NaN for what it lacks.
Datasets are compressed and carry a checksum. The attribute `header` is
JSON with field, spill, slice, cycle-code, times, counts, how the spill ended, what was asked of the
accelerator then, whether the file was `recovered` from the journal, and the hash of the memory boards as they
were acknowledged.

| dataset | rows | contents |
| --- | --- | --- |
| `measured/parts` | spots touched | what the fast control measured of each |
| `measured/trend` | milliseconds | counts, set-points, read-backs, positions |
| `measured/commands` | commands | 1 chopper open, 2 chopper closed, 3 spot complete |
| `measured/interlocks` | interlocks | cause, tick, value, limit, action |
| `measured/slow_control` | readings | gas and high voltage during the spill |
| `control/*` | spots loaded | settings and memory boards of the fast control, for replay |
| `raw/integrals` | 1 µs | counts of INT1 and INT2 (with `--raw`, as all below) |
| `raw/strips` | 50 µs | counts of StripX and StripY |
| `raw/pixels` | 100 µs | counts of the pixel chamber, rows along y |
| `raw/currents_A` | 25 µs | x and y read back, x and y set |
| `raw/inputs` | 25 µs | bits `INPUT_...`: events, what did not arrive, lines of the interlock systems |
| `raw/aborts` | orders | stops and pauses asked for by the slow control and the supervision |
| `readings/parts` | spots, monitors | what monitors without a role measured; on lines that have any |
| `assumed/parts` | spots | counts that nobody confirmed; in a recovered file only |
| `truth/parts` | spots touched | seven columns, see below; a simulation only |

Times in the tables are microseconds on the clock of the field; `spot` is an index in the memory boards, among
the spots not yet complete, for which `control/spots` has the index in the slice. `measured/commands` has
`tick`, `command` and `spot`; `measured/interlocks` has `tick`, `cause` and `action`
([codes](interlocks.md)), `spot`, `value` and `limit`; `raw/aborts` has the same without `spot`.

The columns of `truth/parts`, one row per row of `measured/parts`, are the ions; the sums over them of x, x²,
y and y² at the isocentre (mm, mm²); and the sums of the variance of the beam about its centre at the
chambers, in x and in y (mm²).

### measured/parts

{{parts}}

### measured/trend

{{trend}}

### readings/parts

{{readings}}

## All keys

Every key of what is JSON in a record, from the types that write it.

{{keys}}
"""


def files_page() -> str:
    """The page of the files of a record."""
    tables = []
    for name, columns, about in TABLES:
        rows = "\n".join(f"| `{column}` | {code} | {meaning} |" for column, code, meaning in columns)
        tables.append(f"### {name}\n\n{about}\n\n| column | type | meaning |\n| --- | --- | --- |\n{rows}")
    status = columns_table(STATUS_COLUMNS)
    return FILES.format(
        tables="\n\n".join(tables),
        slice=slice_attributes(),
        status=status,
        parts=columns_table(PARTS),
        trend=columns_table(TREND),
        readings=columns_table(OTHERS),
        keys="\n\n".join(f"### {where}\n\n{tables}" for where, tables in keys_of_files().items()),
    )


ROOTS = {
    "delivery.json": DeliveryFile,
    "summary.json": SummaryFile,
    "field.json": FieldFile,
    "log.json": LogFile,
    "Header of DDS_treatment.h5": DeliveryHeader,
    "Header of a spill file": SpillHeader,
}
"""Files with JSON, and the type of what each holds."""


def keys_of_files() -> dict[str, str]:
    """Tables of the keys of each file; a type that several have is described once."""
    described: list[type] = []
    found = {}
    for where, root in ROOTS.items():
        found[where] = tables_of(root, leave_out=described)
        described += types_within(root)
    return found


def slice_attributes() -> str:
    """The attributes of a slice, from its docstring."""
    # Cleaned of its indentation, which the compiler has taken out since Python 3.13.
    text = (inspect.getdoc(Slice) or "").partition("----------\n")[2]
    rows = []
    for line in text.splitlines():
        if not line.startswith("    "):
            if line.strip():
                names, _, kind = line.strip().partition(" : ")
                rows.append([", ".join(f"`{name}`" for name in names.split(", ")), kind, ""])
        elif rows:
            rows[-1][2] = f"{rows[-1][2]} {line.strip()}".strip()
    return "\n".join(
        ["| attribute | type | meaning |", "| --- | --- | --- |", *(f"| {' | '.join(r)} |" for r in rows)]
    )


def main() -> None:
    """Write the page."""
    (REFERENCE / "record-files.md").write_text(files_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
