"""What a line does without, and what then holds: for the table of monitors in the documentation.

Which interlocks vanish and which faults cannot be follows from their own tables.  Here stands the rest: what
the bounds of campaigns and the analysis of hazards can still promise.
"""

from __future__ import annotations

from typing import NamedTuple


class Lacking(NamedTuple):
    """A line that lacks something.

    Attributes
    ----------
    what : str
    roles : frozenset of str
        Roles of the control law that it has monitors for.
    boxes : int
    bound : str
        What holds of particles, in terms of `spotline.campaign.bounds`.
    position : str
        What holds of the place of the beam.
    """

    what: str
    roles: frozenset[str]
    boxes: int
    bound: str
    position: str


ALL_ROLES = frozenset({"int1", "int2", "strip_x", "strip_y", "pixel"})
_AS_EVER = "as with all monitors"

REFUSED = {
    "int1": "a dose needs two independent counts",
    "int2": "a dose needs two independent counts",
    "strip_x, pixel": "nothing measures the position in x",
    "strip_y, pixel": "nothing measures the position in y",
}
"""What no line can do without, and why it is refused."""


def _no_strips(plane: str) -> Lacking:
    return Lacking(
        f"`strip_{plane}`",
        ALL_ROLES - {f"strip_{plane}"},
        2,
        _AS_EVER,
        f"no feedback in {plane}; a beam astray in {plane} is paused at `pixel_position_mm` instead of "
        "`position_mm`, and below that stays where it is; pixels that mislead are found by nothing",
    )


LACKING = (
    _no_strips("x"),
    _no_strips("y"),
    Lacking(
        "`strip_x` and `strip_y`",
        ALL_ROLES - {"strip_x", "strip_y"},
        2,
        _AS_EVER,
        "no feedback; otherwise as without either of them",
    ),
    Lacking(
        "`pixel`",
        ALL_ROLES - {"pixel"},
        2,
        _AS_EVER,
        "a beam astray is paused at `position_mm`, as ever; strips that mislead the feedback are found by "
        "nothing, and lead the beam astray by up to `position_mm`",
    ),
    Lacking(
        "a second box",
        ALL_ROLES,
        1,
        "both counts are wrong together when gas, high voltage or slow sensors of the box fail, and agree: "
        "besides the bound, what the tolerances of the slow control allow, and the beam of one period of it",
        _AS_EVER,
    ),
)
