"""Write the reference page of the geometry of a plan from the table in the code.

    python -m tools.make_plan_geometry_reference      # into docs/reference/plan-geometry.md

A test fails when the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from pydicom.datadict import dictionary_description, tag_for_keyword

from spotline.dicom.plan_geometry import PLACES, GeometryRow, rows_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "plan-geometry.md"

TEXT = """\
# The geometry of a plan

<!-- Written by tools/make_plan_geometry_reference.py from the table in the code; do not edit. -->

Every attribute of a DICOM RT Ion Plan that says where something stands (DICOM PS3.3: C.8.8.9, C.8.8.12,
C.8.8.25 and the Frame of Reference Module), and what Spotline does with it:

* **used**: it decides something, as the table says.
* **refused**: a plan with any value but the default is not read, with one sentence; an empty one is the
  default.
* **noted**: nothing follows it. A value other than the default is told by `spotline plan show`, `prepare`
  and `deliver`, stands among the warnings of the field in `summary.json`, and among the notes of a dose.

Numbers within 0.001 (mm or degrees) of the default are the default. Numbers of control points that are used
or refused must stay as they are at the first control point, and directions of rotation are refused at any.
Beams of type SETUP are not looked at. The [treatment record](treatment-record.md) and a plan that Spotline
writes again repeat what is marked in the last column.

{tables}

## How the patient lies

Each beam is computed for the patient as he lies in its own setup: Referenced Patient Setup Number says
which that is. Without it all setups of the plan must have the same Patient Position. A plan without any
setup is taken as the CT was scanned, or head first, supine, and that is a note of the dose.

## Scanning magnets and machine

Virtual Source-Axis Distances and Treatment Machine Name are compared with the beam line when the plan is
prepared. Other distances (by more than 0.2 %) or another name are a warning: spots are delivered where the
plan has them in the plane of the isocentre, and before and behind it they go along the rays of the line.
The warning says how far they are off there. A dose is computed with the distances of the line.
"""


def page() -> str:
    """The whole page."""
    heads = [
        "| tag | attribute | default | | what becomes of it | repeated |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    tables = [
        "\n".join([f"## In the {place}", "", *heads, *(_row(row) for row in rows_of(place))])
        for place in PLACES
    ]
    return TEXT.format(tables="\n\n".join(tables))


def _row(row: GeometryRow) -> str:
    tag = tag_for_keyword(row.keyword)
    assert tag is not None
    default = "" if row.default is None else f"{row.default:g}" if row.is_number else str(row.default)
    named = f"({tag >> 16:04X},{tag & 0xFFFF:04X}) | {dictionary_description(tag)}"
    return f"| {named} | {default} | {row.handling} | {row.meaning} | {'yes' if row.recorded else ''} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
