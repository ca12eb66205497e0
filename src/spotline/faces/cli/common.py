"""What several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

STATUS_DONE = 0
STATUS_DIFFERENT = 1
STATUS_BAD_INPUT = 2
STATUS_INTERLOCK = 3

# Headings of the verbs in `spotline --help`, by what somebody has to do.
PLAN = Group("Plan", sort_key=1)
DELIVER = Group("Deliver", sort_key=2)
DOSE = Group("Dose", sort_key=3)
LOOK_UP = Group("Look up", sort_key=4)
ABOUT = Group("About", sort_key=9)


def whole_number(_: object, tokens: Sequence[Token]) -> int:
    """Take whole numbers only: cyclopts would round 1.5 without a word."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


WholeNumber = Annotated[int, Parameter(converter=whole_number)]
Seed = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=0))]
Count = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=1))]
Tolerant = Annotated[
    bool,
    Parameter(
        negative=(),
        help="Repair a DICOM plan that breaks the standard where its meaning is not in doubt, as OpenTPS "
        "writes them; every repair is told.",
    ),
]
Switch = Annotated[bool, Parameter(negative=())]
Numbers = Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative=())]
"""One or several behind one option."""
WithPage = Annotated[bool, Parameter(name="--report", negative="--no-report")]
"""Whether report.html is written."""
Words = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())]
"""Likewise."""


def tell_removed(folder: Path) -> None:
    """Remove what processes that were killed have left of a folder, and say so."""
    from spotline.whole_folder import remove_left

    for path in remove_left(folder):
        print(
            f"spotline: {path}: was left by a process that was killed, and is removed: it was not whole",
            file=sys.stderr,
        )
