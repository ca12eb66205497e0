"""Parts of the plane across the beam in which the transport sums energy: what detectors of some size see."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spotline.errors import PhysicsError


@dataclass(frozen=True, slots=True)
class Area:
    """A part of every plane across the beam in which energy is summed: what a detector of that size sees.

    Attributes
    ----------
    name : str
        What it is called in results: letters, digits and ``_``.
    radius_mm : float
        Distance from the axis within which it lies; infinite: no such border.
    half_width_mm : float
        Half the side of the square around the axis within which it lies; likewise.
    """

    name: str
    radius_mm: float = math.inf
    half_width_mm: float = math.inf

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isascii()):
            raise PhysicsError(f"area {self.name!r}: is no name; use letters, digits and _")
        if not (self.radius_mm > 0.0 and self.half_width_mm > 0.0):
            raise PhysicsError(
                f"area {self.name}: radius {self.radius_mm:g} mm and half width {self.half_width_mm:g} mm "
                "leave nothing; give sizes above 0"
            )
