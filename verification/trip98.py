"""Plans of TRiP98 against their dose cubes: by the engine, and by the lateral rules of TRiP98 itself.

The command files of the plans choose no dose algorithm, or ``cl`` ("classic", which is the default): parallel
beams that do not widen with depth, intensities spread over neighbouring raster points, and straight lines
between these points (Kraemer et al., Phys. Med. Biol. 45 (2000) 3299; documentation of TRiP98, "Algorithms").
With the same rules only the depth doses are left to differ.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import spotline
from spotline.arrays import Floats
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import reconstruct
from spotline.dose.grid import DoseGrid, Grid
from spotline.dose.phantom import phantom
from spotline.dose.trip98 import read_trip98_dose
from spotline.machine import BeamLine
from spotline.machine.library import BeamLibrary, in_beam
from spotline.physics.ions import CARBON, PROTON, Ion
from spotline.physics.transport.geometry import water
from spotline.physics.transport.run import simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import PRIMARY, TallyPlan
from spotline.plan.model import Plan
from spotline.treatment.treatment import Treatment
from spotline.units import ELEMENTARY_CHARGE_C, FWHM_PER_SIGMA
from tests.lines.facts import with_facts
from tests.lines.trip import write_trip_line
from verification.figures import figure

DepthDose = Callable[[float, Floats], Floats]
"""Dose per primary (MeV cm2/g) of an energy (MeV/u) at depths (mm) of the water of the cube."""

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "plans" / "trip98"

PRESCRIBED_Gy = 2.0
SURFACE_mm = 256.0
"""x of the surface: the beams come from the positive x of the image."""
ISOCENTRE_mm = (128.0, 128.0, 150.0)
OFFSET_mm = 1.709
"""offh2o of the command files, for all that lies before the water."""
FAR_mm = 1e8
"""Distance of the scanning magnets: the beams of ``cl`` are parallel."""
REACH_FWHM = 1.2
"""How far, in FWHM of the spot, a spot has neighbours.  The documentation does not tell.  The edges of the
carbon field do: of all raster points, those to 1.18 FWHM take part and those from 1.21 FWHM do not."""

GY_MM2 = ELEMENTARY_CHARGE_C * 1e6 * 1e3 * 100.0
"""Gray for a MeV cm2/g and a particle per mm2."""


@dataclass(frozen=True, slots=True)
class Case:
    """A plan.

    Attributes
    ----------
    ion : Ion
    stem : str
        Of its files.
    raster_mm : float
        Distance of the spots.
    modulators : tuple of str
        Ripple filters.
    primaries : int
        Per energy, for the depth dose of primaries alone.
    """

    ion: Ion
    stem: str
    raster_mm: float
    modulators: tuple[str, ...]
    primaries: int


CASES = (
    Case(CARBON, "tst003012", 2.0, ("3 mm RIFI",), 1_000),
    Case(PROTON, "tst003001", 3.0, (), 20_000),
)


@dataclass(frozen=True, slots=True, eq=False)
class Doses:
    """What a plan gives; all on the grid of the cube.

    Attributes
    ----------
    case : Case
    plan : Plan
    reference : DoseGrid
        The cube.
    engine : DoseGrid
        Our engine, with parallel beams.
    classic : DoseGrid
        The lateral rules of TRiP98, and our depth doses.
    primaries : DoseGrid
        ..., and the dose of primaries alone.
    seconds : float
        That the engine took.
    """

    case: Case
    plan: Plan
    reference: DoseGrid
    engine: DoseGrid
    classic: DoseGrid
    primaries: DoseGrid
    seconds: float


def doses_of(case: Case, library: BeamLibrary) -> Doses:
    """Compute a plan."""
    reference = read_trip98_dose(FOLDER / f"{case.stem}.hed", PRESCRIBED_Gy)
    plan = spotline.read_plan(FOLDER / f"{case.stem}.rst")
    with tempfile.TemporaryDirectory() as name:
        line = with_facts(
            spotline.load_beamline(write_trip_line(Path(name) / "trip")),
            {
                "nozzle": None,
                f"ions.{case.ion.name}.nozzle_mm": OFFSET_mm,
                "geometry.x_source_to_isocentre_mm": FAR_mm,
                "geometry.y_source_to_isocentre_mm": FAR_mm,
            },
        )
        began = time.perf_counter()
        engine = _engine(spotline.prepare(plan, line), line, reference.grid, library)
        took = time.perf_counter() - began
    thickness = in_beam(line, case.ion.name, range_modulators=case.modulators)

    def ours(energy_MeV_u: float, depth_mm: Floats) -> Floats:
        return library.entry(energy_MeV_u).with_thickness(thickness).dose_MeV_cm2_g(depth_mm)

    def of_primaries(energy_MeV_u: float, depth_mm: Floats) -> Floats:
        at, dose = _of_primaries(case, library, energy_MeV_u)
        shifted = np.interp(depth_mm[:, None] + thickness.thickness_mm, at, dose, right=0.0)
        result: Floats = shifted @ thickness.share
        return result

    return Doses(
        case,
        plan,
        reference,
        engine,
        classic(plan, case.raster_mm, reference.grid, ours),
        classic(plan, case.raster_mm, reference.grid, of_primaries),
        took,
    )


def _engine(treatment: Treatment, line: BeamLine, grid: Grid, library: BeamLibrary) -> DoseGrid:
    (field,) = treatment.fields
    # As the cube has it: from the positive x of the image, with the x of the spots along z (its couch(-90)).
    planned = replace(
        field.field, gantry_angle_deg=0.0, patient_support_angle_deg=90.0, isocentre_mm=ISOCENTRE_mm
    )
    treatment = replace(treatment, fields=(replace(field, field=planned),))
    low, high = grid.lower_mm, grid.upper_mm
    power = phantom(Grid.covering((0.0, low[1], low[2]), (SURFACE_mm, high[1], high[2]), (1.0, 2.0, 3.0)))
    patient = Patient(power.rsp, power.grid, "HFDR")
    done = reconstruct(treatment, line, patient, grid, libraries={library.ion.name: library})
    return done.doses["planned"].physical


def _of_primaries(case: Case, library: BeamLibrary, energy_MeV_u: float) -> tuple[Floats, Floats]:
    """Depths (mm) and dose per primary (MeV cm2/g) of primaries that have not reacted, by Monte Carlo."""
    step_mm = 0.5
    end_mm = step_mm * math.ceil(1.05 * library.entry(energy_MeV_u).range_mm / step_mm)
    gamma = 1.0 + energy_MeV_u / 931.494
    spread = 1e-2 * library.momentum_spread_percent * (gamma + 1.0) / gamma / FWHM_PER_SIGMA
    tally = simulate(
        pencil_source(case.ion, energy_MeV_u, sigma_relative=spread),
        water(end_mm),
        TallyPlan(np.arange(0.0, end_mm + 0.5 * step_mm, step_mm)),
        primaries=case.primaries,
        seed=1,
        threads=1,
    )
    middles = 0.5 * (tally.depth_mm[1:] + tally.depth_mm[:-1])
    return middles, tally.energy_MeV[PRIMARY] / (0.1 * step_mm)


def classic(plan: Plan, raster_mm: float, grid: Grid, depth_dose: DepthDose) -> DoseGrid:
    """Compute dose by the rules of ``cl``."""
    half = 24
    dose = np.zeros(grid.shape)
    depth_mm = SURFACE_mm - grid.x_mm
    for layer in plan.fields[0].layers:
        counts = np.zeros((2 * half + 1, 2 * half + 1))
        places = [np.rint(at / raster_mm).astype(int) + half for at in (layer.x_iso_mm, layer.y_iso_mm)]
        np.add.at(counts, (places[0], places[1]), layer.meterset)
        spread = _spread(counts, raster_mm, float(layer.fwhm_x_mm or 0.0)) / raster_mm**2
        along_z = _between(grid.z_mm - ISOCENTRE_mm[2], raster_mm, half)
        along_y = _between(grid.y_mm - ISOCENTRE_mm[1], raster_mm, half)
        fluence = along_z @ spread @ along_y.T
        dose += fluence[:, :, None] * (GY_MM2 * depth_dose(layer.energy_MeV_u, depth_mm))
    return DoseGrid(grid, dose.astype(np.float32))


def _neighbours(raster_mm: float, fwhm_mm: float) -> list[tuple[int, int, float]]:
    """Raster points that take part in a spot, and their shares."""
    sigma_mm = fwhm_mm / FWHM_PER_SIGMA
    most = int(REACH_FWHM * fwhm_mm / raster_mm)
    found = []
    for i in range(-most, most + 1):
        for j in range(-most, most + 1):
            distance_mm = raster_mm * math.hypot(i, j)
            if distance_mm <= REACH_FWHM * fwhm_mm:
                share = raster_mm**2 / (2.0 * math.pi * sigma_mm**2)
                found.append((i, j, share * math.exp(-0.5 * (distance_mm / sigma_mm) ** 2)))
    return found


def _spread(counts: Floats, raster_mm: float, fwhm_mm: float) -> Floats:
    spread = np.zeros_like(counts)
    for i, j, share in _neighbours(raster_mm, fwhm_mm):
        spread += share * np.roll(counts, (i, j), (0, 1))
    return spread


def kept(doses: Doses) -> float:
    """Share of the particles that the neighbours of all spots hold."""
    layers = doses.plan.fields[0].layers
    particles = np.array([layer.meterset.sum() for layer in layers])
    shares = [
        sum(share for *_, share in _neighbours(doses.case.raster_mm, float(layer.fwhm_x_mm or 0.0)))
        for layer in layers
    ]
    return float(np.average(shares, weights=particles))


def _between(at_mm: Floats, raster_mm: float, half: int) -> Floats:
    """Weights of the raster points for places between them; shape (n, 2 half + 1)."""
    place = at_mm / raster_mm + half
    below = np.floor(place).astype(int)
    weights = np.zeros((len(place), 2 * half + 1))
    rows = np.arange(len(place))
    weights[rows, below] = 1.0 - (place - below)
    weights[rows, below + 1] = place - below
    return weights


DEPTHS_mm = (5.0, 20.0, 50.0, 90.0, 110.0, 130.0, 145.0, 170.0, 200.0)


def axis_rows(doses: Doses) -> list[tuple[str, ...]]:
    """Doses along the axis by depth, the last three over that of the cube."""
    grid = doses.reference.grid
    k, j = (int(np.argmin(np.abs(axis - centre))) for axis, centre in
            ((grid.z_mm, ISOCENTRE_mm[2]), (grid.y_mm, ISOCENTRE_mm[1])))  # fmt: skip
    depth_mm = SURFACE_mm - grid.x_mm
    rows = []
    for depth in DEPTHS_mm:
        near = np.abs(depth_mm - depth) < 1.0
        if not near.any():
            continue
        dose, *others = (
            float(one.dose_Gy[k - 1 : k + 2, j - 3 : j + 4][..., near].mean())
            for one in (doses.reference, doses.engine, doses.classic, doses.primaries)
        )
        if dose < 0.05 * PRESCRIBED_Gy:
            continue
        rows.append(
            (
                doses.case.ion.name,
                f"{depth:g}",
                figure(dose, ".3f"),
                *(figure(o / dose, ".3f") for o in others),
            )
        )
    return rows
