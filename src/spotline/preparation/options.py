"""What can be chosen when a treatment is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Order = Literal["shortest", "planned"]
Repainting = Literal["layered", "volumetric", "back_and_forth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Choices of a preparation; each has a default that suits most plans.

    Attributes
    ----------
    order : str
        ``"shortest"`` scans the spots of a layer on the fastest path that was found, ``"planned"`` in
        the order of the plan.
    intensity : float or None
        Level of all slices, one of the accelerator's; None takes for each slice the highest at which
        its smallest spot can be controlled.
    paintings : int or None
        How often a layer is scanned at most; None takes Number of Paintings of the plan.
    repainting : str
        ``"layered"`` paints a layer as often as asked before the next one; ``"volumetric"`` paints all
        layers once, then all again from the first; ``"back_and_forth"`` likewise, but every second
        painting goes through the layers in reverse.
    largest_visit_particles : float or None
        None shares the particles of a spot equally among its paintings (scaled repainting); a number
        lets each visit deliver at most so many, so that weak spots are visited less often (iso-layered
        repainting).
    beam_off_jump_mm : float or None
        The beam is switched off between spots further apart; None takes that of the beam line.
    beam_off_transit_share : float or None
        The beam is switched off where more than this part of the arriving spot would be delivered on
        the way to it; None takes that of the beam line.
    """

    order: Order = "shortest"
    intensity: float | None = None
    paintings: int | None = None
    repainting: Repainting = "layered"
    largest_visit_particles: float | None = None
    beam_off_jump_mm: float | None = None
    beam_off_transit_share: float | None = None
