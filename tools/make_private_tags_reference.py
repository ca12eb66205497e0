"""Write the reference page of the private tags of an extended plan from the table in the code.

    python tools/make_private_tags_reference.py      # into docs/reference/private-tags.md

A test fails when the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from spotline.dicom import continuation
from spotline.dicom.private import CREATOR, GROUP, LEVELS, PrivateTag

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "private-tags.md"

TEXT = f"""\
# The extended plan and its private tags

<!-- Written by tools/make_private_tags_reference.py from the table in the code; do not edit. -->

The extended plan is a DICOM RT Ion Plan with the instructions of its delivery: what
`spotline.write_extended_plan(treatment, path)` and `spotline prepare` write, and `spotline.read_plan` reads
back, each number exactly. The instructions are in a private block; a program that does not know it finds the
plan of the planning system, with every layer, spot and meterset as it was.

Group {GROUP:04X}, Private Creator `{CREATOR}`. The digits `xx` are those of the element that holds the
creator, `10` unless another vendor has that block. All elements of a block must be there; the table says
which may be empty.

{{tables}}

Arrays are in the byte order of the file: OL has whole numbers of 32 bits, OD floating-point numbers of 64
bits. They and all texts that can be long have VRs with lengths of 32 bits, so that the block survives in
explicit VR. A reader without this table gets all of it from implicit VR as UN; Spotline decodes that too.

## What else is written

A plan from a DICOM file is completed: everything in the file is kept as it is, the private tags of others
and the transfer syntax included (deflated becomes Explicit VR Little Endian; big endian is refused). What
changes:

| attribute | |
| --- | --- |
| SOP Instance UID | new, made from the content: the same treatment makes the same bytes |
| Referenced RT Plan Sequence | has one more item, the plan of the planning system, as `PREDECESSOR` |
| Approval Status | `UNAPPROVED`: nobody has approved the new instance |
| Review Date, Time and Reviewer Name; Instance Creation Date and Time, Instance Creator UID; Digital \
Signatures and MAC Parameters Sequence | left out: they belong to the original |

If the plan was moved to energies or foci of the beam line (`--retarget`), in the fields concerned also:

| attribute | |
| --- | --- |
| Nominal Beam Energy, Scan Spot Tune ID | follow at all control points |
| Beam Dose and what specifies it, Referenced Dose Sequence, Depth Dose Parameters Sequence, Referenced Dose \
Reference Sequence of the control points | left out: they were calculated for the old energies |

A TRiP98 plan, or one that was made in Python, is written as a new RT Ion Plan with the block in it.

## What is refused

A block that does not agree with itself or with the plan, with one error, as any broken plan: an element that
is missing or too short, a spot that the layer does not have, visits that do not add up to the meterset of
their spot within the rounding of 32-bit floats, a beam with instructions that is gone, positions or energies
that were altered afterwards (the hash tells), a block of the creator `SPOTLINE` with another number. Passing
over the instructions of a later version would deliver something else than was prepared. The way out is to
prepare the plan of the planning system again.

## The continuation plan

A [continuation plan](../how-to/continue-a-treatment.md) has one more block, Private Creator
`{continuation.CREATOR}` in the same group. It tells which records belong together, even if the first plan was
no DICOM file; delivering the plan does not need it.

{{continuation}}

Beside it, in public attributes:

| attribute | |
| --- | --- |
| Referenced RT Plan Sequence | the plan whose delivery was stopped, as `PREDECESSOR` (empty for TRiP98) |
| RT Plan Label | that of the plan, cut, with C1, C2, ... |
| Number of Fractions Planned | 1: it completes one fraction |
| Treatment Delivery Type | `CONTINUATION` for a field of which something was delivered, else `TREATMENT` |
| Continuation Start Meterset (0074,0120), Continuation End Meterset (0074,0121) | in a continued field: \
what was delivered before, and the Beam Meterset of the first plan. DICOM has them in the RT Beams Delivery \
Instruction; in a plan and in a treatment record they are a standard extension |
| Number of Paintings | how many visits to a spot of the layer are left |
"""


def page() -> str:
    """The whole page."""
    tables = [
        "\n".join(
            [f"In {level}:", "", "| tag | VR | VM | name | meaning |", "| --- | --- | --- | --- | --- |"]
            + [_row(tag) for tag in tags]
        )
        for level, tags in LEVELS.items()
    ]
    rows = [_row(tag) for tag in continuation.TAGS]
    block = "\n".join(["| tag | VR | VM | name | meaning |", "| --- | --- | --- | --- | --- |", *rows])
    return TEXT.format(tables="\n\n".join(tables), continuation=block)


def _row(tag: PrivateTag) -> str:
    many = "1-n" if tag.many else "1"
    return f"| ({GROUP:04X},xx{tag.offset:02X}) | {tag.vr} | {many} | {tag.name} | {tag.meaning} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
