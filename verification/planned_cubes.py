"""Cubes that pyRadPlan planned, with its dose: the beams its files do not describe, put together again.

The files name no ripple filter, no spot size and no energy spread: pyRadPlan takes them from its machine.
Its machine data (version 0.5.0, ``carbon_Generic`` and ``protons_Generic``) say what they are; where they do
not, the figure is fitted, and `verification.peers` shows how well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import spotline
from spotline.arrays import Floats
from spotline.dicom.dose import read_dose
from spotline.dose.engine.beams import FieldBeams, LayerBeam
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.engine.pencil_beams import GY_PER_MEV_PER_G
from spotline.dose.grid import DoseGrid, Grid
from spotline.machine.library import BeamLibrary, Entry
from spotline.machine.library.build import energy_sigma
from spotline.machine.library.model import stack
from spotline.machine.library.modifiers import ripple_filter, slab, together
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.stopping import RangeEnergy
from spotline.physics.transport.geometry import voxels
from spotline.physics.transport.run import simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan
from spotline.plan.model import Field
from tests.lines.facts import with_facts
from verification.cubes import quantiles_mm

SOURCE_mm = 10_000.0
"""Source to isocentre: `SAD` of both machines."""
SURFACE_mm = 150.5
"""Of the water before the isocentre: the upper face of the dose grids, which fill the box."""
ISOCENTRE_y_mm = 150.0
MIDDLE_mm = 24.0
"""Half width of the middle of the cubes."""
BEFORE_mm = 20.0
"""Room before the surface for what lies there, as so much water."""
AIR_WET_mm_PER_mm = 0.0011
"""With which pyRadPlan lets the air from the nozzle to the surface shorten the way in water."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine data say of the beam.

    Attributes
    ----------
    nozzle_to_isocentre_mm : float
        `BAMStoIsoDist`; there is air from there to the surface.
    energy_MeV_u, sigma_mm : tuple of float
        Standard deviations of spots in air (`initFocus`), straight between the energies.
    mean_MeV_u, spread_percent : tuple of float
        Mean, and relative standard deviation, of the energy at the same nominal ones (`energySpectrum`);
        empty if it is that of the library.
    before_mm : float
        Water-equivalent thickness before the water that the depths of the machine data contain.
    filters_mm : tuple of float
        Mean thicknesses of ripple filters that its peaks contain.
    """

    nozzle_to_isocentre_mm: float
    energy_MeV_u: tuple[float, ...]
    sigma_mm: tuple[float, ...]
    mean_MeV_u: tuple[float, ...] = ()
    spread_percent: tuple[float, ...] = ()
    before_mm: float = 0.0
    filters_mm: tuple[float, ...] = ()


MACHINES = {
    # The peaks of carbon are those behind CNAO's two ripple filters. What lies before the water besides them
    # was fitted to R80 at every second energy (even indices); the others deviate by 0.02 mm on average.
    "carbon": Machine(2000.0, (226.46, 313.91), (4.3796, 3.8844), before_mm=0.64, filters_mm=(1.0, 1.0)),
    "proton": Machine(
        1000.0,
        (129.777, 142.058, 153.571, 164.453),
        (5.4695, 5.0947, 4.8060, 4.5828),
        mean_MeV_u=(128.838, 141.212, 152.849, 163.880),
        spread_percent=(0.9862, 0.8139, 0.6895, 0.5959),
    ),
}


def air_mm(machine: Machine) -> float:
    """Water-equivalent thickness of the air that pyRadPlan puts before the surface."""
    return AIR_WET_mm_PER_mm * (machine.nozzle_to_isocentre_mm - SURFACE_mm)


def entry_of(library: BeamLibrary, machine: Machine, energy_MeV_u: float) -> Entry:
    """Our depth dose and lateral shape for a nominal energy of the machine, without the air."""
    parts = [slab(machine.before_mm), *(ripple_filter(mean) for mean in machine.filters_mm)]
    if not machine.mean_MeV_u:
        return library.entry(energy_MeV_u).with_thickness(together(parts))
    mean = float(np.interp(energy_MeV_u, machine.energy_MeV_u, machine.mean_MeV_u))
    percent = float(np.interp(energy_MeV_u, machine.energy_MeV_u, machine.spread_percent))
    entry = library.entry(mean).with_thickness(together(parts))
    dose = np.zeros_like(entry.depth_mm)
    for shift, share in zip(*_range_shifts(library, mean, 1e-2 * percent), strict=True):
        dose += share * entry.dose_MeV_cm2_g(np.maximum(entry.depth_mm + shift, 0.0))
    return replace(entry, energy_MeV_u=energy_MeV_u, field_MeV_cm2_g=dose)


def _range_shifts(library: BeamLibrary, mean_MeV_u: float, relative: float) -> tuple[Floats, Floats]:
    """Shifts of the range (mm) and their shares: the spread of the energy less that of the library."""
    ion: Ion = library.ion
    ranges = RangeEnergy(ion, WATER)
    own = energy_sigma(ion, mean_MeV_u, library.momentum_spread_percent)
    step = 1e-3 * mean_MeV_u
    slope = float(ranges.range_mm(mean_MeV_u + step) - ranges.range_mm(mean_MeV_u - step)) / (2.0 * step)
    places = np.linspace(-4.0, 4.0, 81)
    share = np.exp(-0.5 * places**2)
    return slope * mean_MeV_u * np.sqrt(max(relative**2 - own**2, 0.0)) * places, share / share.sum()


def beams_of(field: Field, sigma_mm: Callable[[float], float]) -> FieldBeams:
    """Spots of a plan in NP, round, of a size that depends on the energy."""

    def layer(index: int) -> LayerBeam:
        one = field.layers[index]
        sigma = np.full(len(one.x_iso_mm), sigma_mm(one.energy_MeV_u))
        return LayerBeam(
            index, one.energy_MeV_u, "", Spots(one.x_iso_mm, one.y_iso_mm, one.meterset, sigma, sigma)
        )

    assert field.unit == "NP"
    assert field.isocentre_mm is not None
    layers = tuple(layer(index) for index in range(len(field.layers)))
    return FieldBeams(1, field.name, field.ion, (), 0.0, 0.0, field.isocentre_mm, layers)


def engine_dose(beams: FieldBeams, grid: Grid, library: BeamLibrary, before_mm: float = 0.0) -> DoseGrid:
    """Dose by our engine in water that fills a grid; the library holds all that lies before it but this."""
    name = beams.ion.name
    line = with_facts(
        spotline.load_beamline("cnao-h"),
        {
            "nozzle": None,
            f"ions.{name}.nozzle_mm": before_mm,
            "geometry.x_source_to_isocentre_mm": SOURCE_mm,
            "geometry.y_source_to_isocentre_mm": SOURCE_mm,
        },
    )
    water = Patient(np.ones(grid.shape, dtype=np.float32), grid)
    engine = DoseEngine(line, water, grid, libraries={name: library})
    engine.add([beams])
    return DoseGrid(grid, engine.dose_Gy.astype(np.float32))


def library_for(library: BeamLibrary, machine: Machine, energies_MeV_u: Sequence[float]) -> BeamLibrary:
    """A library with `entry_of` for some energies."""
    entries = [entry_of(library, machine, energy) for energy in sorted(set(energies_MeV_u))]
    return BeamLibrary(library.header, stack(entries))


def without_halo(library: BeamLibrary) -> BeamLibrary:
    """The same depth doses, all of them in the core."""
    share = np.zeros_like(library.arrays.halo_share)
    return replace(library, arrays=library.arrays._replace(halo_share=share))


def planned_cube(folder: Path, library: BeamLibrary, halo: bool = True) -> tuple[DoseGrid, DoseGrid, float]:
    """Dose of the file, ours with or without halos, and the seconds that ours took."""
    name = library.ion.name
    machine = MACHINES[name]
    (field,) = spotline.read_plan(folder / f"{name}_cube_15cm_plan.dcm").fields
    given = read_dose(folder / f"{name}_cube_15cm_dose.dcm")
    beams = beams_of(field, lambda e: float(np.interp(e, machine.energy_MeV_u, machine.sigma_mm)))
    theirs = library_for(library, machine, [layer.energy_MeV_u for layer in beams.layers])
    theirs = theirs if halo else without_halo(theirs)
    began = time.perf_counter()
    ours = engine_dose(beams, given.grid, theirs, air_mm(machine))
    return given, ours, time.perf_counter() - began


def middle(dose: DoseGrid) -> float:
    """Mean dose in the middle of the cubes in Gy: their outer 6 mm are left out."""
    grid = dose.grid
    inner = [np.abs(axis) < MIDDLE_mm for axis in (grid.z_mm, grid.y_mm - ISOCENTRE_y_mm, grid.x_mm)]
    return float(dose.dose_Gy[np.ix_(*inner)].mean())


def simulated(folder: Path, library: BeamLibrary, primaries: int) -> tuple[float, float]:
    """What `middle` is by Monte Carlo, and its standard error: the same beams, without the library."""
    ion = library.ion
    machine = MACHINES[ion.name]
    (field,) = spotline.read_plan(folder / f"{ion.name}_cube_15cm_plan.dcm").fields
    beams = beams_of(field, lambda e: float(np.interp(e, machine.energy_MeV_u, machine.sigma_mm)))
    parts = [slab(machine.before_mm + air_mm(machine)), *map(ripple_filter, machine.filters_mm)]
    across = np.array([-500.0, -MIDDLE_mm, MIDDLE_mm, 500.0])
    deep = np.array([-BEFORE_mm, SURFACE_mm - MIDDLE_mm, SURFACE_mm + MIDDLE_mm])
    water = voxels(across, across, deep, np.ones((3, 3, 2)))
    scale = 1.0 / SOURCE_mm
    total, variance = 0.0, 0.0
    for layer in beams.layers:
        spots, energy = layer.spots, layer.energy_MeV_u
        mean, sigma = energy, energy_sigma(ion, energy, library.momentum_spread_percent)
        if machine.mean_MeV_u:
            mean = float(np.interp(energy, machine.energy_MeV_u, machine.mean_MeV_u))
            sigma = 1e-2 * float(np.interp(energy, machine.energy_MeV_u, machine.spread_percent))
        source = pencil_source(
            ion,
            mean,
            sigma_relative=sigma,
            ripple_mm=quantiles_mm(together(parts)),
            phase_space=PhaseSpace(float(spots.sigma_x_mm[0]), 0.0),
            spots=np.column_stack(
                [
                    spots.x_mm * (1.0 - SURFACE_mm * scale),
                    spots.y_mm * (1.0 - SURFACE_mm * scale),
                    1e3 * scale * spots.x_mm,
                    1e3 * scale * spots.y_mm,
                    spots.particles,
                ]
            ),
        )
        share = spots.particles.sum() / beams.particles
        tally = simulate(
            source,
            water,
            TallyPlan(np.array([0.0, deep[-1]]), voxels=True),
            primaries=max(3200, round(primaries * share)),
            seed=layer.slice,
        )
        to_Gy = float(spots.particles.sum()) * GY_PER_MEV_PER_G / (2.0 * MIDDLE_mm / 10.0) ** 3
        total += float(tally.voxel_MeV[1, 1, 1]) * to_Gy
        variance += (float(tally.voxel_error_MeV[1, 1, 1]) * to_Gy) ** 2
    return total, float(np.sqrt(variance))
