"""One spot in water with things in it: dose by the engine, and by our Monte Carlo, which is the reference."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import spotline
from spotline.arrays import Floats
from spotline.dose.beam_frame import beam_frame
from spotline.dose.calibration import StoppingPower
from spotline.dose.engine.beams import FieldBeams, LayerBeam
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.grid import DoseGrid, Grid
from spotline.dose.phantom import Box, phantom
from spotline.dose.voxels import from_voxels, to_voxels
from spotline.machine import BeamLine
from spotline.machine.library import BeamLibrary
from spotline.physics.ions import Ion
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.transport.run import simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan
from spotline.units import ELEMENTARY_CHARGE_C, FWHM_PER_SIGMA
from tests.lines.facts import with_facts

VOXEL_mm = 2.0
SIGMA_mm = 5.0
SURFACE_mm = 20.0
"""Of the phantoms, before the isocentre."""
HALF_mm = 40.0
"""Of the phantoms across the beam."""
FAR_mm = 1e8
"""Distance of the scanning magnets where beams are to be parallel."""
MM3_GY = ELEMENTARY_CHARGE_C * 1e6 * 1e3 * 1e3
"""Gray per MeV in a mm3 of water."""
LEAST_RSP = 0.1
"""Voxels with less hold too little for a dose: there is none in air on either side."""


def _box(
    x_mm: tuple[float, float], depth_mm: tuple[float, float], rsp: float
) -> tuple[tuple[float, float], tuple[float, float], float]:
    return x_mm, depth_mm, rsp


EVERYWHERE = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Phantom:
    """Water, boxes in it, and the angle of the beam.

    Attributes
    ----------
    name : str
    boxes : tuple of (x_mm, depth_mm, rsp)
        Where they begin and end across the beam and in depth below the surface.  The middle of the spot is at
        x = 0.
    angle_deg : float
        Between the beam and the normal of the surface.
    """

    name: str
    boxes: tuple[tuple[tuple[float, float], tuple[float, float], float], ...] = ()
    angle_deg: float = 0.0


AIR = 0.001
LUNG = 0.3
BONE = 1.6
PHANTOMS = (
    Phantom("water"),
    Phantom("slab of bone", (_box(EVERYWHERE, (40.0, 60.0), BONE),)),
    Phantom("slab of lung", (_box(EVERYWHERE, (40.0, 80.0), LUNG),)),
    Phantom("bone on one side", (_box((0.0, math.inf), (40.0, 60.0), BONE),)),
    Phantom("bone from 1 sigma on", (_box((SIGMA_mm + 1.0, math.inf), (40.0, 60.0), BONE),)),
    Phantom("air on one side", (_box((0.0, math.inf), (40.0, 60.0), AIR),)),
    Phantom("lung on one side, long", (_box((0.0, math.inf), (20.0, 100.0), LUNG),)),
    Phantom("step in the surface", (_box((0.0, math.inf), (0.0, 20.0), AIR),)),
    Phantom("surface at 30 degrees", angle_deg=30.0),
    Phantom("surface at 60 degrees", angle_deg=60.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Dose of a phantom; scaled so that the largest of the reference is 2 Gy."""

    name: str
    reference: DoseGrid
    evaluated: DoseGrid
    seconds: float


def parallel(line: BeamLine, ion: Ion) -> BeamLine:
    """The line without nozzle and with parallel beams: what is left is the engine."""
    return with_facts(
        line,
        {
            "nozzle": None,
            f"ions.{ion.name}.nozzle_mm": 0.0,
            "geometry.x_source_to_isocentre_mm": FAR_mm,
            "geometry.y_source_to_isocentre_mm": FAR_mm,
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class SpotCase:
    """One spot in a phantom, and its dose per primary (Gy) by the Monte Carlo."""

    name: str
    power: StoppingPower
    field: FieldBeams
    reference_Gy: Floats
    seconds: float

    def readable(self, dose_Gy: Floats) -> DoseGrid:
        """Scale a dose per primary so that the largest of the reference is 2 Gy; leave out that in air."""
        scale = 2.0 / float(self.reference_Gy.max())
        dose = scale * np.where(self.power.rsp < LEAST_RSP, 0.0, dose_Gy)
        return DoseGrid(self.power.grid, dose.astype(np.float32))


def spot_cases(
    ion: Ion,
    energy_MeV_u: float,
    library: BeamLibrary,
    primaries: int,
    phantoms: Sequence[Phantom] = PHANTOMS,
) -> Iterator[SpotCase]:
    """Compute phantoms by Monte Carlo."""
    focus = spotline.load_beamline("cnao-h").foci(ion.name)[0]
    for one in phantoms:
        power = power_of(one, library.entry(energy_MeV_u).range_mm)
        began = time.perf_counter()
        reference = scored(power, library, energy_MeV_u, primaries, one.angle_deg)
        took = time.perf_counter() - began
        ones = np.ones(1)
        # Particles begin on a plane along the surface, across which an oblique beam is as much narrower.
        narrow = math.cos(math.radians(one.angle_deg))
        spots = Spots(0.0 * ones, 0.0 * ones, ones, SIGMA_mm * narrow * ones, SIGMA_mm * ones)
        layer = LayerBeam(0, energy_MeV_u, focus, spots)
        field = FieldBeams(1, "spot", ion, (), one.angle_deg, 0.0, (0.0, 0.0, 0.0), (layer,))
        yield SpotCase(f"{ion.name} {energy_MeV_u:g} MeV/u, {one.name}", power, field, reference, took)


def pairs(ion: Ion, energy_MeV_u: float, library: BeamLibrary, primaries: int) -> Iterator[Pair]:
    """Compute all phantoms by Monte Carlo and engine."""
    line = parallel(spotline.load_beamline("cnao-h"), ion)
    for case in spot_cases(ion, energy_MeV_u, library, primaries):
        power = case.power
        engine = DoseEngine(line, Patient(power.rsp, power.grid), power.grid, libraries={ion.name: library})
        engine.add([case.field])
        reference, evaluated = (case.readable(dose) for dose in (case.reference_Gy, engine.dose_Gy))
        yield Pair(case.name, reference, evaluated, case.seconds)


def power_of(one: Phantom, range_mm: float) -> StoppingPower:
    """Make the voxels of a phantom; the beam comes along y, and oblique from the side of positive x."""
    matter_mm = sum(max(0.0, 1.0 - rsp) * (deep[1] - deep[0]) for _, deep, rsp in one.boxes)
    angle = math.radians(one.angle_deg)
    along_mm = 1.25 * range_mm * math.cos(angle) + matter_mm + HALF_mm * math.sin(angle)
    across_mm = 1.25 * range_mm * math.sin(angle)
    depth_mm, aside_mm = (VOXEL_mm * math.ceil(size / VOXEL_mm) for size in (along_mm, across_mm))
    lower = (-HALF_mm - aside_mm, -SURFACE_mm, -HALF_mm)
    upper = (HALF_mm + (SURFACE_mm * 2.0 if angle else 0.0), depth_mm - SURFACE_mm, HALF_mm)
    boxes = [
        Box(
            (max(x[0], lower[0]), deep[0] - SURFACE_mm, lower[2]),
            (min(x[1], upper[0]), deep[1] - SURFACE_mm, upper[2]),
            rsp,
        )
        for x, deep, rsp in one.boxes
    ]
    return phantom(Grid.covering(lower, upper, VOXEL_mm), boxes)


def scored(
    power: StoppingPower, library: BeamLibrary, energy_MeV_u: float, primaries: int, angle_deg: float
) -> Floats:
    """Dose to water per primary in Gy, shape of the grid: a box of a density has that of as much water."""
    frame = beam_frame(0.0)
    geometry = to_voxels(power, frame)
    x, y, z = frame.matrix @ np.array(beam_frame(angle_deg).direction)
    u, v = x / -z, y / -z  # the transport has its z along the beam
    spots = np.array([[-SURFACE_mm * u, -SURFACE_mm * v, 1e3 * u, 1e3 * v, 1.0]])
    gamma = 1.0 + energy_MeV_u / 931.494
    spread = 1e-2 * library.momentum_spread_percent * (gamma + 1.0) / gamma / FWHM_PER_SIGMA
    source = pencil_source(
        library.ion,
        energy_MeV_u,
        sigma_relative=spread,
        phase_space=PhaseSpace(SIGMA_mm, 0.0),
        start_mm=-SURFACE_mm,
        spots=spots,
    )
    edges = np.array([-SURFACE_mm, power.grid.upper_mm[1]])
    tally = simulate(source, geometry, TallyPlan(edges, voxels=True), primaries=primaries, seed=1, threads=1)
    energy = from_voxels(tally.voxel_MeV, power.grid, frame)
    dose: Floats = energy / np.maximum(power.rsp, 1e-6) / VOXEL_mm**3 * MM3_GY
    return dose
