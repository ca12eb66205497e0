"""The areas in which a library has depth doses: the field of planning, and what chambers of some size see."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spotline.errors import OptionError, PhysicsError
from spotline.machine.library.headers import ScoredArea
from spotline.physics.transport.areas import Area

FIELD = Area("field", half_width_mm=125.0)
"""In which planning systems want the depth dose, and every library has it: Mirandola et al. 2015, 2.A.1."""

CHAMBER = Area("chamber", radius_mm=40.8)
"""The chambers of the water column: Mirandola et al. 2015, 2.A.2.  Scored unless others are asked for."""


def read_area(text: str) -> Area:
    """Read ``NAME:RADIUS``, the radius in mm.

    Raises
    ------
    OptionError
        If it is something else.
    """
    name, _, radius = text.partition(":")
    try:
        return Area(name.strip(), radius_mm=float(radius))
    except (ValueError, PhysicsError):
        raise OptionError(
            f"area {text!r}: is no name and radius; write a name of letters and digits, a colon and a radius "
            "in mm, as in chamber:40.8"
        ) from None


def check_areas(areas: Sequence[Area]) -> None:
    """Refuse areas that a library cannot tell apart.

    Raises
    ------
    OptionError
        If two have one name, or one that of the field.
    """
    names = [FIELD.name, *(area.name for area in areas)]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"area {name!r}: there are two of that name; give each its own")


def as_header(areas: Sequence[Area]) -> tuple[ScoredArea, ...]:
    """Describe areas for the header of a library; infinite sizes are left out."""
    return tuple(
        ScoredArea(
            name=area.name,
            radius_mm=area.radius_mm if area.radius_mm < math.inf else None,
            half_width_mm=area.half_width_mm if area.half_width_mm < math.inf else None,
        )
        for area in areas
    )


def of_header(described: Sequence[ScoredArea]) -> tuple[Area, ...]:
    """Return the areas that a header describes."""
    return tuple(
        Area(one.name, one.radius_mm or math.inf, one.half_width_mm or math.inf) for one in described
    )
