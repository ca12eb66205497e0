"""What lies in the beam before the water, as a distribution of water-equivalent thickness.

Nozzle, range shifters and ripple filters shorten the way in water.  Where a thickness differs from particle
to particle, as behind a ripple filter, the depth dose is the mean of shifted ones,
``D(z) = sum p(t) D_0(z + t)`` (Weber and Kraft, Phys. Med. Biol. 44 (1999) 2765).  Reactions in water
stand for those in the modifier, which `verification.library` compares with the filter in the simulation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.tables import closest

STEP_mm = 0.04
"""Largest step in which the profile of a ripple filter is sampled: a third of the narrowest peak's width."""


@dataclass(frozen=True, slots=True, eq=False)
class Thickness:
    """A distribution of water-equivalent thickness.

    Attributes
    ----------
    thickness_mm : ndarray, shape (n,)
        Ascending.
    share : ndarray, shape (n,)
        Share of the particles that cross each; the sum is 1.
    """

    thickness_mm: Floats
    share: Floats

    @property
    def mean_mm(self) -> float:
        """Mean thickness."""
        return float(self.share @ self.thickness_mm)

    @property
    def variance_mm2(self) -> float:
        """Variance of the thickness."""
        return float(self.share @ (self.thickness_mm - self.mean_mm) ** 2)

    def and_then(self, other: Thickness) -> Thickness:
        """Return the distribution behind both, whose thicknesses do not depend on each other."""
        sums = np.round(self.thickness_mm[:, None] + other.thickness_mm[None, :], 9)
        thickness_mm, where = np.unique(sums.ravel(), return_inverse=True)
        share = np.bincount(where, (self.share[:, None] * other.share[None, :]).ravel())
        return Thickness(thickness_mm, share.astype(float))


def slab(thickness_mm: float) -> Thickness:
    """Something of the same thickness everywhere."""
    return Thickness(np.array([thickness_mm], dtype=float), np.ones(1))


def ripple_filter(mean_mm: float) -> Thickness:
    """A ripple filter whose thickness is uniform from 0 to twice the mean."""
    n = max(2, int(np.ceil(2.0 * mean_mm / STEP_mm)))
    edges_mm: Floats = np.linspace(0.0, 2.0 * mean_mm, n + 1, dtype=float)
    return Thickness(0.5 * (edges_mm[1:] + edges_mm[:-1]), np.full(n, 1.0 / n))


def together(elements: Iterable[Thickness]) -> Thickness:
    """Several elements one behind the other; nothing if there are none."""
    return reduce(Thickness.and_then, elements, slab(0.0))


def in_beam(
    beamline: BeamLine,
    ion_name: str,
    *,
    range_modulators: Iterable[str] = (),
    range_shifters: Iterable[str] = (),
) -> Thickness:
    """Everything between the vacuum and the water: the nozzle, and what is mounted in it.

    Parameters
    ----------
    beamline : BeamLine
        The line.
    ion_name : str
        Ion: the calibrated thickness of the nozzle belongs to it.
    range_modulators, range_shifters : iterable of str
        Names of ripple filters and of range shifters.

    Raises
    ------
    OptionError
        If the line has no such ion or element, or a ripple filter is named twice.
    """
    beam = beamline.beam(ion_name)
    if beam is None:
        raise OptionError(
            f"ion {ion_name!r}: {beamline.name} does not deliver it; {closest(ion_name, beamline.ion_names)}"
        )
    passive, modulators = beamline.facts.passive_elements, tuple(range_modulators)
    for name in modulators:
        if modulators.count(name) > 1:
            raise OptionError(f"ripple filter {name!r} is named more than once; name each once")
    parts = [slab(beam.nozzle_mm)]
    for kind, names, known, make in (
        ("ripple filter", modulators, passive.range_modulators, ripple_filter),
        ("range shifter", range_shifters, passive.range_shifters, slab),
    ):
        for name in names:
            if name not in known:
                raise OptionError(f"{kind} {name!r}: {beamline.name} has no such; {closest(name, known)}")
            parts.append(make(known[name]))
    return together(parts)
