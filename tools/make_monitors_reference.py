"""Write the reference page of what a line without some monitor can do, from the tables in the code.

    python -m tools.make_monitors_reference      # into docs/reference/monitors.md

A test fails when the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from spotline.campaign.lacking import ALL_ROLES, LACKING, REFUSED, Lacking
from spotline.control.interlocks import CAUSES, Cause
from spotline.machine.monitors import ROLES
from spotline.sim.faults import KINDS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "monitors.md"

TEXT = """\
# Monitors, and lines without some

<!-- Written by tools/make_monitors_reference.py from the tables in the code; do not edit. -->

The monitors of a line are the rows `[[monitors]]` of its [file](beam-line-file.md#monitors). The control law
uses them by their `role`, each role of one row at most. A strip chamber without a role is read out and
recorded (`FieldRecord.readings`), and no interlock hangs on it.

## Roles

| role | monitor | interlocks made with it |
| --- | --- | --- |
{roles}

*With* needs the other monitors that are named, too; *or* is made with any of them.

## What no line can do without

Such a line is refused when it is loaded.

| without | why |
| --- | --- |
{refused}

## What a line may do without

Checks of a monitor that is not there are off: no frames of it are expected, none are missed. Faults of it
are refused, and campaigns do not draw them. What is measured with it is not a number (NaN) in the record;
the position and the width of a spot in a plane without strips are those of the pixels, valid if they have
their counts.

| without | interlocks that vanish | faults that cannot be | excess of particles | place of the beam |
| --- | --- | --- | --- | --- |
{lacking}

Bounds are those of [campaigns](campaign.md#bound-of-the-excess), keys those of `[fast_interlocks]`. Hazards
of a line without some monitor are those of the [analysis](hazards.md) whose only causes have vanished.
"""


def page() -> str:
    """The whole page."""
    return TEXT.format(
        roles="\n".join(_role(role) for role in ROLES),
        refused="\n".join(f"| `{role}` | {why} |" for role, why in REFUSED.items()),
        lacking="\n".join(_lacking(row) for row in LACKING),
    )


def _role(role: str) -> str:
    kind, plane = ROLES[role]  # type: ignore[index]
    monitor = f"{kind} chamber" + (f" that measures {plane}" if plane is not None else "")
    found = ", ".join(_with_others(cause, role) for cause in CAUSES.values() if role in cause.roles)
    return f"| `{role}` | {monitor} | {found} |"


def _with_others(cause: Cause, role: str) -> str:
    others = [f"`{other}`" for other in cause.roles if other != role]
    if not others:
        return cause.name
    word = "or" if cause.any_role else "with"
    return f"{cause.name} ({word} {', '.join(others)})"


def _lacking(row: Lacking) -> str:
    gone = [cause.name for cause in CAUSES.values() if not cause.is_on(row.roles, row.boxes)]
    assert all(cause.is_on(ALL_ROLES, 2) for cause in CAUSES.values())
    devices = dict.fromkeys(kind.device for kind in KINDS.values() if kind.missing_on(row.roles, row.boxes))
    faults = ", ".join(f"`{device}.*`" for device in devices)
    return f"| {row.what} | {', '.join(gone)} | {faults} | {row.bound} | {row.position} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
