"""Dose of a plan as large as a patient's, and of one slice as it is delivered."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spotline.dose.engine.beams import FieldBeams, LayerBeam
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.grid import Grid
from spotline.machine import BeamLine, load_beamline
from spotline.physics.ions import PROTON
from tests.dose.engine.entries import made_up_library

ROUNDS = 5
LAYERS = 44
SIDE_mm = 220.0
"""Of a cube of water, about that of the RayStation plan of DCPT (44 layers, 18 436 spots)."""
LIBRARIES = {"proton": made_up_library(PROTON, [60.0, 100.0, 150.0, 230.0])}
"""Smooth curves: the time does not depend on what they are."""
LINE: BeamLine = load_beamline("cnao-h")


def grid_of(spacing_mm: float) -> Grid:
    """Voxels of a cube around the isocentre."""
    half = SIDE_mm / 2.0
    return Grid.covering((-half,) * 3, (half,) * 3, spacing_mm)


def spots_of(side: int, step_mm: float) -> Spots:
    """A square of regular spots."""
    axis = step_mm * (np.arange(side) - 0.5 * (side - 1))
    x, y = (values.ravel() for values in np.meshgrid(axis, axis))
    ones = np.ones(len(x))
    return Spots(x, y, 1e7 * ones, 4.0 * ones, 4.0 * ones)


def field_of(layers: int, spots: Spots) -> FieldBeams:
    """A field whose peaks lie in the cube."""
    listed = LINE.energies["proton"].energy_MeV_u
    energies = np.sort(listed[(listed > 83.0) & (listed < 149.0)])[::-1]
    chosen = energies[np.linspace(0, len(energies) - 1, layers).astype(int)]
    focus = LINE.foci("proton")[0]
    made = tuple(LayerBeam(k, float(energy), focus, spots) for k, energy in enumerate(chosen))
    return FieldBeams(1, "one", PROTON, (), 90.0, 0.0, (0.0, 0.0, 0.0), made)


def engine_on(spacing_mm: float, threads: int) -> DoseEngine:
    """An engine in the cube."""
    grid = grid_of(spacing_mm)
    water = Patient(np.ones(grid.shape, dtype=np.float32), grid)
    return DoseEngine(LINE, water, grid, libraries=LIBRARIES, threads=threads)


def whole(field: FieldBeams, spacing_mm: float, threads: int) -> DoseEngine:
    """Everything that the dose of a plan takes: rays, tables, maps, dose."""
    engine = engine_on(spacing_mm, threads)
    engine.add([field])
    assert engine.dose_Gy.max() > 0.0
    return engine


@pytest.mark.parametrize(
    "spacing_mm, side, threads", [(2.5, 20, 1), (2.5, 20, 2), (2.0, 20, 2), (4.0, 20, 2), (2.5, 40, 2)]
)
def test_plan(benchmark: BenchmarkFixture, spacing_mm: float, side: int, threads: int) -> None:
    field = field_of(LAYERS, spots_of(side, 100.0 / side))
    whole(field, 8.0, threads)  # compiles
    found = benchmark.pedantic(whole, (field, spacing_mm, threads), rounds=ROUNDS)  # type: ignore[no-untyped-call]
    benchmark.extra_info.update(
        kind="dose",
        name="plan",
        spots=LAYERS * side**2,
        voxels=int(np.prod(found.grid.shape)),
        spacing_mm=spacing_mm,
        threads=threads,
    )


@pytest.mark.parametrize("side", [16, 22, 32])
def test_slice(benchmark: BenchmarkFixture, side: int) -> None:
    """One more layer on a patient grid whose rays are known, as between two spills."""
    field = field_of(3, spots_of(side, 100.0 / side))
    engine = engine_on(2.0, 2)
    engine.add_layer(field, field.layers[0])
    engine.add_layer(field, field.layers[1])
    benchmark.pedantic(engine.add_layer, (field, field.layers[0]), rounds=4 * ROUNDS)  # type: ignore[no-untyped-call]
    assert engine.dose_Gy.max() > 0.0
    benchmark.extra_info.update(
        kind="dose",
        name="slice",
        spots=side**2,
        voxels=int(np.prod(engine.grid.shape)),
        spacing_mm=2.0,
        threads=2,
    )
