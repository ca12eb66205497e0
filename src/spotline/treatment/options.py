"""What can be chosen when a treatment is prepared."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from spotline.errors import OptionError
from spotline.given import is_whole
from spotline.machine import BeamLine
from spotline.tables import closest

LARGEST_PAINTINGS = 100
"""More is taken for a mistake (assumed)."""

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


def check_options(options: Options, beamline: BeamLine) -> None:
    """Refuse choices that the beam line does not have, or that contradict each other.

    Raises
    ------
    OptionError
        The message has all faults.
    """
    faults = list(_faults(options, beamline))
    if faults:
        raise OptionError("; ".join(faults))


def _faults(options: Options, beamline: BeamLine) -> Iterator[str]:
    yield from _unknown_word("order", options.order, get_args(Order))
    yield from _unknown_word("repainting", options.repainting, get_args(Repainting))
    levels = beamline.facts.accelerator.intensity_levels
    intensity: Any = options.intensity
    if intensity is not None and (isinstance(intensity, bool) or intensity not in levels):
        yield (
            f"intensity is {intensity!r}, which {beamline.name} does not have: choose one of "
            f"{', '.join(f'{level:g}' for level in levels)}"
        )
    paintings: Any = options.paintings
    if paintings is not None and not (is_whole(paintings) and 1 <= paintings <= LARGEST_PAINTINGS):
        yield f"paintings is {paintings!r}: choose a whole number from 1 to {LARGEST_PAINTINGS}"
    for name in ("largest_visit_particles", "beam_off_jump_mm", "beam_off_transit_share"):
        value = getattr(options, name)
        if value is not None and not _is_positive(value):
            yield f"{name} is {value!r}: choose a number above 0"
    if paintings is not None and options.largest_visit_particles is not None:
        yield (
            "paintings and largest_visit_particles exclude each other: choose the first for equal shares, or "
            "the second for visits of equal size"
        )


def _unknown_word(name: str, word: Any, known: tuple[str, ...]) -> Iterator[str]:
    if word not in known:
        yield f"{name} is {word!r}, which is not known: {closest(str(word), known)}"


def _is_positive(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0.0
