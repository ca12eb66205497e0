"""Fields for quality assurance: uniform squares, nine spots across the field, spots of many energies.

They follow what was published for CNAO.  [DDS] is the paper on the dose delivery system (Giordanengo et
al., Med. Phys. 42 (2015) 263), [QA] the one on commissioning and quality assurance (Mirandola et al.,
Med. Phys. 42 (2015), doi 10.1118/1.4928397).  Each function makes a plan of one field on a phantom;
`spotline.dicom.write_plan.write_ion_plan` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.plan.model import Plan
from spotline.planning.phantom_plan import Setup, ion_of, phantom_plan
from spotline.wording import figures

SPACING_mm = {"proton": 3.0, "carbon": 2.0}
"""Distance of the spots of a uniform field, by ion [DDS IV.C, QA 2.A.7]."""

PARTICLES = {"proton": 1.0e8, "carbon": 2.0e6}
"""Particles per spot, by ion: those of the calibration of the monitors [QA 2.A.7].

They make about 1 Gy in a uniform field at a depth of 2 cm.  For the other fields nothing is published;
many more in one spot let the two integral chambers differ by more than 100 counts [DDS Table 4].
"""

SIZE_mm = 60.0
"""Side of a uniform field: the daily one is 60 mm, the monthly one 150 mm [DDS IV.C, QA Table II]."""

DISTANCE_mm = 80.0
"""Distance of the outer spots of the pattern from its centre, in x and y (assumed).

The paper says "across the whole scanning area" of 200 x 200 mm [QA 2.A.4] and gives no positions.  At
80 mm the widest beam, 22 mm FWHM, lies within the area out to two standard deviations.
"""

LARGEST_LENGTH_mm = 2000.0
LARGEST_LAYER = 250_000
LARGEST_PARTICLES = 1e18
"""Bounds beyond which something is taken for a mistake (assumed)."""


def uniform_plan(
    setup: Setup,
    energies_MeV_u: Iterable[float],
    *,
    size_mm: float | tuple[float, float] = SIZE_mm,
    spacing_mm: float | None = None,
    particles: float | None = None,
) -> Plan:
    """Make a uniform field: a rectangle of equal spots for each energy, scanned row by row, there and back.

    A field of 60 mm with spots 2 mm apart has 30 spots a side, as in the published test [DDS IV.C]: each
    spot stands for a square of the spacing.  What is left of a side that is no multiple of the spacing
    stays empty, half on either side.

    Parameters
    ----------
    setup : Setup
        The beam.
    energies_MeV_u : iterable of float
        One layer each; the plan has them from the highest to the lowest.
    size_mm : float or tuple of two floats
        Side of the square, or sides in x and y.
    spacing_mm : float, optional
        Distance between neighbours; by default as published for the ion (`SPACING_mm`).
    particles : float, optional
        Ions per spot; by default as published for the ion (`PARTICLES`).

    Returns
    -------
    Plan

    Raises
    ------
    OptionError
        If something that is asked for makes no field.
    PlanError
        If the beam line cannot deliver the field; the message has all reasons.
    """
    x_mm, y_mm = size_mm if isinstance(size_mm, tuple) else (size_mm, size_mm)
    spacing_mm = _or_published(spacing_mm, SPACING_mm, setup, "spacing")
    _check_positive("spacing", spacing_mm, LARGEST_LENGTH_mm, "mm")
    columns, rows = (_spots_along(side_mm, spacing_mm) for side_mm in (x_mm, y_mm))
    if columns * rows > LARGEST_LAYER:
        raise OptionError(
            f"size {x_mm:g} x {y_mm:g} mm: with spots {spacing_mm:g} mm apart a layer would have "
            f"{columns * rows:.6g} of them, more than {LARGEST_LAYER}: choose a smaller size or a wider "
            "spacing"
        )
    x_iso_mm, y_iso_mm = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * spacing_mm for n in (columns, rows)))
    x_iso_mm[1::2] = x_iso_mm[1::2, ::-1]
    size = f"{x_mm:g}" if x_mm == y_mm else f"{x_mm:g}x{y_mm:g}"
    label = f"UNIFORM{size}" if len(size) <= 9 else "UNIFORM"
    name = f"Uniform {size.replace('x', ' x ')} mm"
    return _plan(setup, label, name, energies_MeV_u, x_iso_mm.ravel(), y_iso_mm.ravel(), particles)


def pattern_plan(
    setup: Setup,
    energies_MeV_u: Iterable[float],
    *,
    distance_mm: float = DISTANCE_mm,
    particles: float | None = None,
) -> Plan:
    """Make the pattern of nine spots that checks the deflection across the field [QA 2.A.4].

    One spot on the axis, eight at the corners and the middles of the sides of a square around it.

    Parameters
    ----------
    setup : Setup
        The beam.
    energies_MeV_u : iterable of float
        One layer each; the plan has them from the highest to the lowest.
    distance_mm : float
        Half the side of the square.
    particles : float, optional
        Ions per spot; by default as published for the ion (`PARTICLES`).

    Returns
    -------
    Plan

    Raises
    ------
    OptionError
        If something that is asked for makes no field.
    PlanError
        If the beam line cannot deliver the field; the message has all reasons.
    """
    _check_positive("distance", distance_mm, LARGEST_LENGTH_mm, "mm")
    x_iso_mm, y_iso_mm = np.meshgrid(*[np.array([-distance_mm, 0.0, distance_mm])] * 2)
    x_iso_mm[1] = x_iso_mm[1, ::-1]
    name = f"Nine spots {distance_mm:g} mm"
    return _plan(setup, "NINESPOTS", name, energies_MeV_u, x_iso_mm.ravel(), y_iso_mm.ravel(), particles)


def line_plan(
    setup: Setup,
    energies_MeV_u: Iterable[float] | None = None,
    *,
    every: int = 1,
    particles: float | None = None,
) -> Plan:
    """Make a line of spots on the axis, one for each energy [QA 2.B.3].

    The daily check of the spot position takes about 30 energies over the whole range: every fourth of
    carbon and every fifth of protons at CNAO.

    Parameters
    ----------
    setup : Setup
        The beam.
    energies_MeV_u : iterable of float, optional
        Energies; by default all that the beam line lists.  The plan has them from the highest to the
        lowest.
    every : int
        Take only every n-th of the beam line's energies, beginning with the highest.
    particles : float, optional
        Ions per spot; by default as published for the ion (`PARTICLES`).

    Returns
    -------
    Plan

    Raises
    ------
    OptionError
        If something that is asked for makes no field.
    PlanError
        If the beam line cannot deliver the field; the message has all reasons.
    """
    if every < 1:
        raise OptionError(f"every is {every}: choose 1 or more")
    if energies_MeV_u is None:
        energies_MeV_u = _listed_energies(setup)[::-1][::every]
    elif every != 1:
        raise OptionError("every and energies exclude each other: choose one of them")
    on_axis = np.zeros(1)
    return _plan(setup, "AXIS", "Spots on the axis", energies_MeV_u, on_axis, on_axis, particles)


def _plan(
    setup: Setup,
    label: str,
    name: str,
    energies_MeV_u: Iterable[float],
    x_iso_mm: Floats,
    y_iso_mm: Floats,
    particles: float | None,
) -> Plan:
    """Make a plan with the same spots at each energy."""
    particles = _or_published(particles, PARTICLES, setup, "particles per spot")
    _check_positive("particles per spot", particles, LARGEST_PARTICLES, "ions")
    if particles < 1.0:
        raise OptionError(f"particles per spot are {particles:g}: give at least one")
    each = np.full(len(x_iso_mm), particles)
    layers = [(energy, x_iso_mm, y_iso_mm, each) for energy in _energies(energies_MeV_u, setup)]
    return phantom_plan(setup, label, name, layers)


def _or_published(value: float | None, published: dict[str, float], setup: Setup, name: str) -> float:
    if value is not None:
        return value
    ion = ion_of(setup).name
    if ion not in published:
        raise OptionError(f"{name} for {ion}: none is published: give it")
    return published[ion]


def _check_positive(name: str, value: float, most: float, unit: str) -> None:
    if not (math.isfinite(value) and 0.0 < value <= most):
        raise OptionError(f"{name} is {value:g} {unit}: give more than 0 and at most {most:g}")


def _spots_along(side_mm: float, spacing_mm: float) -> int:
    """Spots that a side holds; the slack keeps a multiple of the spacing one in spite of rounding."""
    _check_positive("size", side_mm, LARGEST_LENGTH_mm, "mm")
    if spacing_mm > side_mm * (1.0 + 1e-9):
        raise OptionError(
            f"spacing {spacing_mm:g} mm is more than the size, {side_mm:g} mm: choose a smaller spacing or a "
            "larger field"
        )
    # A spacing near zero makes a number that no integer holds; the caller refuses what is too many.
    return math.floor(min(side_mm / spacing_mm + 1e-9, 1e9))


def _energies(energies_MeV_u: Iterable[float], setup: Setup) -> Sequence[float]:
    """Energies of the layers from the highest, as the beam line lists them where it has them."""
    asked = [float(energy) for energy in energies_MeV_u]
    if not asked:
        raise OptionError("no energy is given: give at least one")
    for energy in asked:
        if not (math.isfinite(energy) and energy > 0.0):
            raise OptionError(f"energy is {energy:g} MeV/u: give more than 0")
    if setup.beamline is not None:
        matched = [setup.beamline.match_energy(setup.ion, energy) for energy in asked]
        asked = [energy if found is None else found for energy, found in zip(asked, matched, strict=True)]
    twice = sorted({energy for energy in asked if asked.count(energy) > 1}, reverse=True)
    if twice:
        raise OptionError(f"energy {figures(twice)} MeV/u is given more than once: give it once")
    return sorted(asked, reverse=True)


def _listed_energies(setup: Setup) -> Sequence[float]:
    if setup.beamline is None:
        raise OptionError("neither energies nor a beam line to take them from: give one of them")
    ion = ion_of(setup).name
    if setup.beamline.beam(ion) is None:
        known = ", ".join(setup.beamline.ion_names)
        raise OptionError(
            f"{setup.beamline.name} has no {ion} beam (it has {known}): choose another ion or beam line"
        )
    listed: list[float] = setup.beamline.energies[ion].energy_MeV_u.tolist()
    return listed
