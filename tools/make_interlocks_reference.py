"""Write the reference page of the interlocks from the table in the code.

    python tools/make_interlocks_reference.py      # into docs/reference/interlocks.md

A test fails when the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP, Cause
from spotline.control.supervision import TRANSITIONS
from spotline.machine import BeamLine, load_beamline

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "interlocks.md"
EXAMPLE = "cnao-h"
ACTIONS = {PAUSE: "pause", STOP: "stop", INHIBIT: "inhibit"}

INTRODUCTION = f"""\
# Interlocks

<!-- Written by tools/make_interlocks_reference.py from spotline.control.interlocks; do not edit. -->

Every cause for which the control system takes the beam away. Nothing else does. An interlock is a row in the
record, not an exception: cause, sample, value, limit, action. Limits stand in the
[beam-line file](beam-line-file.md); the figures here are those of `{EXAMPLE}`. Why these causes, and how the
beam is taken away: [How a scanned beam is controlled](../explanation/control.md#when-something-is-wrong).

| action | what is done | latching | who releases the beam |
| --- | --- | --- | --- |
| pause | the beam is off for the rest of the spill, the slice goes on with the next one | no | {{pause}} |
| stop | the treatment ends; what was delivered is in the record | yes | {{stop}} |
| inhibit | the treatment does not begin | yes | {{stop}} |

* A border value trips: a quantity that reaches its limit is out of tolerance.
* The first interlock of a spill takes the beam away. Later ones are recorded too, each cause once, and a stop
  outranks a pause.
* Three paused spills in a row without a complete spot end the treatment.
* Slow-control causes are checked before the treatment as well: then nothing is delivered.
* `spotline deliver` ends with status 3 if an interlock left anything undelivered.
"""


def limit_of(cause: Cause, line: BeamLine) -> str:
    """Key of a limit and its value."""
    if not cause.limit:
        return ""
    table, _, key = cause.limit.partition(".")
    if table == "ions":
        values = ", ".join(f"{getattr(ion, key):g} ({ion.name})" for ion in line.facts.ions)
    else:
        value = getattr(getattr(line.facts, table), key)
        if value is None:
            return f"`{cause.limit}`<br>not checked"
        values = " to ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else f"{value:g}"
    return f"`{cause.limit}`<br>{values}"


def sections(line: BeamLine) -> list[str]:
    """One section for each source, in the order of the table."""
    found = []
    for source in dict.fromkeys(cause.source for cause in CAUSES.values()):
        rows = [
            f"| {c.code} | {c.name} | {c.condition} | {c.unit} | {limit_of(c, line)} | {c.rate} "
            f"| {ACTIONS[c.action]} | {c.redundancy} | {c.reference} |"
            for c in CAUSES.values()
            if c.source == source
        ]
        found.append(
            f"## {source[0].upper()}{source[1:]}\n\n"
            "| code | cause | must hold | unit | limit | checked | action | else noticed by | reference |\n"
            "| ---: | --- | --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
        )
    return found


def supervision() -> str:
    """The transition table of the supervision."""
    rows = [
        f"| {state.value} | {event.value} | {t.action} | {t.next.value} | {t.reference} |"
        for (state, event), t in TRANSITIONS.items()
    ]
    return (
        "## States of a treatment\n\n"
        "What is not in this table cannot happen; why it is as it is: "
        "[Supervision](../explanation/supervision.md).\n\n"
        "| state | event | action | next state | section of the paper |\n"
        "| --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def page() -> str:
    """Text of the whole page."""
    introduction = INTRODUCTION.format(pause=interlocks.BY_ITSELF, stop=interlocks.BY_OPERATOR)
    return "\n".join([introduction, *sections(load_beamline(EXAMPLE)), supervision()])


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
