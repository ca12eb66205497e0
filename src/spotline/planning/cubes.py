"""Cubes of homogeneous dose in water: the fields that ion centres check their dose with.

CNAO's are 6 x 6 x 6 cm3 of 31 layers, 2 mm apart in depth, centred at 9, 15, 21 and 24 cm (Mirandola et al.,
Med. Phys. 42 (2015), 2.A.8).  Energies come from the beam line, particles from our own engine.  Each layer is
a full rectangle, as large as geometry says: no spot is left out because it would get few particles.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats
from spotline.dose.engine.in_air import beam_in_air
from spotline.dose.rbe import RbeModel
from spotline.errors import OptionError
from spotline.machine.geometry import interpolate
from spotline.machine.library import BeamLibrary, Entry, in_beam, load_library
from spotline.machine.load import BeamLine
from spotline.plan.model import Plan
from spotline.planning.layer_weights import (
    Layers,
    Wanted,
    even_weights,
    layers_of,
    particles_of,
    quarter_of,
    solve,
)
from spotline.planning.phantom_plan import Setup, focus_of, phantom_plan
from spotline.planning.qa_fields import SPACING_mm
from spotline.planning.water_operator import WaterOperator, WaterPoints

LAYER_STEP_mm = 2.0
"""Distance of the peaks in depth: Mirandola et al. 2015, 2.A.1."""
SPOTS_BEYOND = 1.6
"""Spots reach so many standard deviations of a spot, where its peak lies, beyond the cube: so far that its
edges are kept up by raising the outer ones a little."""
POINT_STEP_mm = 3.0
"""Largest distance of the points in which dose is optimised, across the beam; that of the spots if less."""
OUTSIDE_WEIGHT = 1e-3
DIGITS = 5
"""Significant digits of particles: more than a chamber counts, fewer than processors agree in."""
ROUNDS = 4
"""How often the RBE is taken from the dose and put back into the prescription.  A number, and no criterion:
a dose that lies on the border of one would be another plan on another processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """What is wanted.

    Attributes
    ----------
    size_mm : float
        Side.
    depth_mm : float
        Depth of the centre in water, which is the isocentre.
    dose_Gy : float
        Physical, or RBE-weighted with a model.
    spacing_mm : float or None
        Distance of the spots; by default as published for the ion.
    """

    size_mm: float = 60.0
    depth_mm: float = 150.0
    dose_Gy: float = 1.0
    spacing_mm: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CubeDose:
    """What the particles of a cube make of it, in the points that were optimised.

    Attributes
    ----------
    points : WaterPoints
    dose_Gy : ndarray, shape `points.shape`
        Physical or RBE-weighted, as the prescription.
    target : ndarray of bool, shape `points.shape`
        Points of the cube.
    """

    points: WaterPoints
    dose_Gy: Floats
    target: NDArray[np.bool_]


def cube_plan(
    setup: Setup,
    cube: Cube,
    *,
    library: BeamLibrary | None = None,
    rbe: RbeModel | None = None,
    iterations: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Plan, CubeDose]:
    """Make a plan of a cube of homogeneous dose.

    Parameters
    ----------
    setup : Setup
        The beam; it must name a beam line.
    cube : Cube
    library : BeamLibrary, optional
        By default the one that is shipped for the line.
    rbe : RbeModel, optional
        By default the dose is physical.
    iterations : int, optional
        No longer used, since the weights are solved for exactly; whoever gives it is told so.
    progress : callable, optional
        Called with the steps that are done, and all.

    Returns
    -------
    Plan
        One field of one layer per energy, from the highest, with spots row by row, there and back.
    CubeDose
        Its dose by the engine.

    Raises
    ------
    OptionError
        If there is no beam line, or its energies do not reach both ends of the cube.
    DoseError
        If the least that the spots may have gives more than the prescribed dose.
    PlanError
        If the beam line cannot deliver the plan.
    """
    if iterations is not None:
        warnings.warn(
            "cube_plan: iterations is no longer used; leave it out", DeprecationWarning, stacklevel=2
        )
    line = _line(setup)
    for name, value in (
        ("size", cube.size_mm),
        ("depth", cube.depth_mm),
        ("dose", cube.dose_Gy),
        ("spacing", cube.spacing_mm),
    ):
        if value is not None and not (np.isfinite(value) and value > 0.0):
            raise OptionError(f"{name} of the cube is {value:g}: give more than 0")
    library = library or load_library(line, setup.ion)
    spacing_mm = cube.spacing_mm or SPACING_mm.get(setup.ion, 3.0)
    entries = _entries(line, setup, library, cube)
    if rbe is not None:
        rbe.quantities(entries[0])  # refuses an ion that the model is not for
    focus = focus_of(setup)
    air = [
        beam_in_air(line, setup.ion, entry.energy_MeV_u, focus or None, setup.range_modulators)
        for entry in entries
    ]
    sigma_mm = [(beam.sigma_x_mm, beam.sigma_y_mm) for beam in air]
    wide_mm = np.hypot(sigma_mm, [[_scattered_mm(entry)] for entry in entries])
    half_mm = _half_mm(cube.size_mm, spacing_mm, wide_mm)
    x_axis, y_axis = (
        spacing_mm * np.arange(-half, half + 1.0) for half in np.rint(half_mm.max(axis=0) / spacing_mm)
    )
    operator = WaterOperator(
        entries,
        sigma_mm,
        x_axis,
        y_axis,
        _points(cube, min(spacing_mm, POINT_STEP_mm)),
        [beam.divergence for beam in air],
    )
    target = _target(operator.points, cube)
    least = _least_particles(line, setup.ion, [entry.energy_MeV_u for entry in entries])
    spots = layers_of(operator, x_axis, y_axis, half_mm, wide_mm)
    particles = _solve(operator, spots, target, cube.dose_Gy, least, rbe, progress)
    layers = []
    x_mm, y_mm = np.meshgrid(x_axis, y_axis)
    x_mm[1::2] = x_mm[1::2, ::-1]
    for entry, some in zip(entries, particles, strict=True):
        row = some.copy()
        row[1::2] = row[1::2, ::-1]
        used = row > 0.0
        if used.any():
            layers.append((entry.energy_MeV_u, x_mm[used], y_mm[used], row[used]))
    layers.sort(key=lambda layer: -layer[0])
    plan = phantom_plan(setup, f"CUBE{cube.size_mm:g}", f"Cube of {cube.size_mm:g} mm", layers)
    return plan, CubeDose(operator.points, _dose(operator, particles, rbe), target)


def _line(setup: Setup) -> BeamLine:
    if setup.beamline is None:
        raise OptionError("a cube needs a beam line, whose energies and spots it is made of: give --beamline")
    return setup.beamline


def _entries(line: BeamLine, setup: Setup, library: BeamLibrary, cube: Cube) -> list[Entry]:
    """Entries of the layers: peaks from the near to the far side, as near to even steps as energies are."""
    thickness = in_beam(line, setup.ion, range_modulators=setup.range_modulators)
    depths = cube.depth_mm + np.arange(-cube.size_mm / 2, cube.size_mm / 2 + 1e-6, LAYER_STEP_mm)
    listed = _energies(line, setup.ion)
    reach = np.array([library.entry(float(e)).range_mm for e in listed]) - thickness.mean_mm
    near = listed[(reach > depths[0] - 5.0) & (reach < depths[-1] + 25.0)]
    found = [library.entry(float(energy)).with_thickness(thickness) for energy in near]
    peaks = np.array([entry.ranges().peak_mm for entry in found])
    if not len(peaks) or peaks.min() > depths[0] + LAYER_STEP_mm or peaks.max() < depths[-1] - LAYER_STEP_mm:
        reached = f"{peaks.min():.0f} to {peaks.max():.0f} mm" if len(peaks) else "none of it"
        raise OptionError(
            f"cube from {depths[0]:g} to {depths[-1]:g} mm of water: peaks of {setup.ion} on {line.name} "
            f"reach {reached}; choose another depth or size"
        )
    chosen = sorted({int(np.argmin(np.abs(peaks - depth))) for depth in depths})
    return [found[index] for index in chosen]


def _energies(line: BeamLine, ion: str) -> Floats:
    """Energies to choose from: those of the line, or if it has all, some whose peaks are close together."""
    beam, table = line.beam(ion), line.energies[ion]
    if beam is None or beam.energy_selection == "listed":
        return table.energy_MeV_u
    depth_mm = np.arange(table.range_mm[0], table.range_mm[-1], 0.5 * LAYER_STEP_mm)
    between: Floats = np.unique(np.round(interpolate(depth_mm, table.range_mm, table.energy_MeV_u), 1))
    chosen: Floats = between[(between >= table.energy_MeV_u[0]) & (between <= table.energy_MeV_u[-1])]
    return chosen


def _scattered_mm(entry: Entry) -> float:
    """What scattering adds to the standard deviation of a spot where its peak lies."""
    return float(entry.lateral(np.array([entry.ranges().peak_mm])).core_mm[0])


def _half_mm(size_mm: float, spacing_mm: float, sigma_mm: Floats) -> Floats:
    """Outermost spots of each layer and axis, for standard deviations of shape (layers, 2)."""
    half: Floats = spacing_mm * np.ceil((size_mm / 2.0 + SPOTS_BEYOND * sigma_mm) / spacing_mm - 1e-6)
    return half


def _points(cube: Cube, step_mm: float) -> WaterPoints:
    """Points in which dose is optimised: the cube, what lies around it, and a little before and behind."""
    half = cube.size_mm / 2.0
    count = max(2, round(cube.size_mm / step_mm))
    inside = np.linspace(-half, half, count + 1)
    beyond = half + np.array([6.0, 12.0])
    across = np.concatenate([-beyond[::-1], inside, beyond])
    depth = np.arange(cube.depth_mm - half, cube.depth_mm + half + 1e-6, 1.5)
    before = np.array([0.2, 0.5, 0.8]) * (cube.depth_mm - half)
    behind = cube.depth_mm + half + np.array([6.0, 12.0])
    return WaterPoints(np.concatenate([before, depth, behind]), across, across, cube.depth_mm)


def _target(points: WaterPoints, cube: Cube) -> NDArray[np.bool_]:
    half = cube.size_mm / 2.0 + 1e-6
    inside = [np.abs(axis) <= half for axis in (points.y_iso_mm, points.x_iso_mm)]
    deep = np.abs(points.depth_mm - cube.depth_mm) <= half
    return deep[:, None, None] & inside[0][None, :, None] & inside[1][None, None, :]


def _least_particles(line: BeamLine, ion: str, energies_MeV_u: list[float]) -> Floats:
    """The least that a spot may have: by particles, and by counts with one to spare."""
    table, beam = line.energies[ion], line.beam(ion)
    per_count = np.interp(energies_MeV_u, table.energy_MeV_u, table.particles_per_count)
    least: Floats = (line.facts.control.minimum_spot_counts + 1) * per_count
    return least if beam is None else np.maximum(least, beam.minimum_particles_per_spot)


def _solve(
    operator: WaterOperator,
    layers: Layers,
    target: NDArray[np.bool_],
    dose_Gy: float,
    least: Floats,
    rbe: RbeModel | None,
    progress: Callable[[int, int], None] | None,
) -> Floats:
    rounds = ROUNDS if rbe is not None else 1
    middle = np.zeros(operator.points.shape)
    middle[:, middle.shape[1] // 2, middle.shape[2] // 2] = 1.0
    weight = _quarters(np.where(target, 1.0, OUTSIDE_WEIGHT))
    prescribed = np.where(target, dose_Gy, 0.0)
    particles: Floats | None = None
    for number in range(rounds):
        ratio = 1.0 if particles is None or rbe is None else _rbe(operator, particles, rbe)
        wanted = Wanted(quarter_of(prescribed / ratio), weight)

        def report(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, rounds * total)

        weights = even_weights(layers, wanted, least, quarter_of(middle) > 0.0)
        particles = particles_of(layers, weights, solve(layers, wanted, least, weights, report))
    assert particles is not None
    rounded: Floats = np.where(particles > 0.0, np.maximum(_rounded(particles), least[:, None, None]), 0.0)
    return rounded


def _quarters(weight: Floats) -> Floats:
    """Weights of the points of a quarter that stand for all."""
    _, rows, columns = weight.shape
    many = weight.copy()
    many[:, (rows + 1) // 2 :] *= 2.0
    many[:, :, (columns + 1) // 2 :] *= 2.0
    return quarter_of(many)


def _rounded(values: Floats) -> Floats:
    """To some significant digits, as many as hold against how a processor rounds."""
    digit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1.0))) - DIGITS + 1)
    rounded: Floats = np.rint(values / digit) * digit
    return rounded


def _dose(operator: WaterOperator, particles: Floats, rbe: RbeModel | None) -> Floats:
    dose = operator.dose(particles)
    if rbe is None:
        return dose
    effective: Floats = rbe.effective_dose(dose, _weighted(operator, particles, rbe))
    return effective


def _weighted(operator: WaterOperator, particles: Floats, rbe: RbeModel) -> Floats:
    if rbe.number == 0:
        return np.zeros((*operator.points.shape, 0))
    by_layer = [rbe.quantities(entry)(operator.points.depth_mm) for entry in operator.entries]
    columns = np.stack(by_layer, axis=1)  # (nz, layers, number)
    return np.stack([operator.dose(particles, columns[:, :, k]) for k in range(rbe.number)], axis=-1)


def _rbe(operator: WaterOperator, particles: Floats, rbe: RbeModel) -> Floats:
    dose = operator.dose(particles)
    safe = np.maximum(dose, 1e-9)
    ratio: Floats = _dose(operator, particles, rbe) / safe
    clipped: Floats = np.clip(ratio, 0.5, 10.0)
    return clipped
