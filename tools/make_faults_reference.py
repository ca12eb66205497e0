"""Write the reference page of the faults from the catalogue in the code.

    python tools/make_faults_reference.py      # into docs/reference/faults.md

A test fails when the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from spotline.control.interlocks import CAUSES
from spotline.sim.faults import KINDS, FaultKind

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "faults.md"

TEXT = """\
# Faults

<!-- Written by tools/make_faults_reference.py from the catalogue in the code; do not edit. -->

What can fail in the simulated room, and how. [Inject faults](../how-to/inject-faults.md) says how to let it
fail. A fault has these keys:

| key | | |
| --- | --- | --- |
| `device`, `mode` | text | a row of the tables below |
| `value` | number | in the unit of the row; not for rows without one |
| `spill` | whole number, 1 by default | spill of the field at which it begins |
| `at_us` | whole number, 0 by default | after the start of extraction of that spill; negative is before it |
| `duration_us` | whole number | how long it lasts; without it, for good |

Faults begin and end with a scan period of the fast control (25 us). Those of the timing system concern an
event if they are there when it was announced for, and the announced cycle-code if they are there one second
before the extraction. Several faults of one device act one after the other, in the order of the file.

*Drawn* is the range from which campaigns draw values, *found by* the interlocks that should find the fault;
any of them is enough.

{tables}

## What is not simulated

* Between the spills no beam is followed: one that came through an open chopper then is not counted.
* With the high voltage the collection efficiency changes as the formula of the beam line says, far below the
  voltages where it was measured too; the drift time of the ions does not.
* A wrong or missing passive element changes the size of the beam if the line has optics for it, and what the
  slow control reads; depth and energy behind the nozzle are not followed.
* A wide beam or one of another energy is as wide, or as bent, at all chambers; its angle does not change.
* A leaking or warm box is well again at once when the fault ends.
* The noise of a chamber is that of Poisson counts; microphonics and pick-up with a frequency are not there.
"""


def page() -> str:
    """The whole page."""
    devices: dict[str, list[FaultKind]] = {}
    for kind in KINDS.values():
        devices.setdefault(kind.device, []).append(kind)
    return TEXT.format(tables="\n\n".join(_table(device, kinds) for device, kinds in devices.items()))


def _table(device: str, kinds: list[FaultKind]) -> str:
    head = [
        f"## {device}",
        "",
        "| mode | what happens | unit | allowed | drawn | found by | not found |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join(head + [_row(kind) for kind in kinds])


def _row(kind: FaultKind) -> str:
    legal = _range(kind.legal, False)
    drawn = _range(kind.draws, kind.either_sign)
    found = ", ".join(CAUSES[code].name for code in kind.detected_by)
    cells = (f"`{kind.mode}`", kind.effect, kind.unit, legal, drawn, found, kind.unseen)
    return "| " + " | ".join(cells) + " |"


def _range(limits: tuple[float, float] | None, either_sign: bool) -> str:
    if limits is None:
        return ""
    text = f"{limits[0]:g} to {limits[1]:g}"
    return f"±({text})" if either_sign else text


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
