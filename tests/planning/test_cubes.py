"""Cubes of homogeneous dose: layers, spots, dose, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from spotline import load_beamline, prepare
from spotline.dose.engine.beams import beams_of_treatment
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.grid import Grid
from spotline.dose.rbe import ConstantRbe, rbe_model
from spotline.errors import DoseError, OptionError
from spotline.machine.library import BeamLibrary, Entry
from spotline.physics.ions import CARBON
from spotline.plan.model import Plan
from spotline.planning.cubes import Cube, cube_plan
from spotline.planning.phantom_plan import Setup
from tests.dose.engine.entries import made_up_library
from tests.lines.facts import with_facts

LINE = load_beamline("cnao-h")
SETUP = Setup(ion="carbon", beamline=LINE)
SMALL = Cube(size_mm=16.0, depth_mm=100.0, dose_Gy=2.0, spacing_mm=3.0)


class Ramp:
    """An RBE that grows with depth, from 1 at the surface to 3 at 100 mm."""

    name, number = "ramp", 1

    def quantities(self, entry: Entry) -> Callable[[np.ndarray], np.ndarray]:
        return lambda depth_mm: (1.0 + depth_mm / 50.0)[:, None]

    def effective_dose(self, dose_Gy: np.ndarray, weighted: np.ndarray, fractions: int = 1) -> np.ndarray:
        return weighted[..., 0]


@pytest.fixture(scope="module")
def library() -> BeamLibrary:
    return made_up_library(CARBON, LINE.energies["carbon"].energy_MeV_u.tolist())


@pytest.fixture(scope="module")
def made(library: BeamLibrary):
    return cube_plan(SETUP, SMALL, library=library)


def test_dose_is_even(made):
    _, found = made
    inside = found.dose_Gy[found.target]
    assert inside.mean() == pytest.approx(2.0, rel=0.005)
    assert np.abs(inside / 2.0 - 1.0).max() < 0.03
    assert np.count_nonzero(found.target) == 11 * 6 * 6
    # Outside, six millimetres beside, there is less.
    middle = len(found.points.depth_mm) // 2
    assert found.dose_Gy[middle, found.points.shape[1] // 2, 0] < 0.5


@pytest.mark.parametrize("has_nozzle", [True, False])
def test_engine_gives_the_same_dose(has_nozzle: bool, library: BeamLibrary):
    """On the axis, with the optics along it if the line has any."""
    line = LINE if has_nozzle else with_facts(LINE, {"nozzle": None})
    plan, found = cube_plan(replace(SETUP, beamline=line, gantry_angle_deg=90.0), SMALL, library=library)
    (beams,) = beams_of_treatment(prepare(plan, line))
    # Along the axis: from the right, the surface 100 mm before the isocentre; voxels of 0.5 mm.
    water = Grid((-49.75, 0.0, 0.0), (0.5, 1.0, 1.0), (1, 1, 300))
    engine = DoseEngine(line, Patient(np.ones(water.shape, np.float32), water), water,
                        libraries={"carbon": library})  # fmt: skip
    engine.add([beams])
    depth_mm = 100.0 - water.x_mm
    points = found.points
    ours = found.dose_Gy[:, len(points.y_iso_mm) // 2, len(points.x_iso_mm) // 2]
    inside = (points.depth_mm > 92.0) & (points.depth_mm < 108.0)
    dose = np.interp(points.depth_mm, depth_mm[::-1], engine.dose_Gy[0, 0, ::-1])
    assert dose[inside] == pytest.approx(ours[inside], rel=0.015)


@pytest.mark.stored
def test_layers_and_spots(made):
    plan, _ = made
    (field,) = plan.fields
    energies = [layer.energy_MeV_u for layer in field.layers]
    assert energies == sorted(energies, reverse=True)
    assert set(energies) <= set(LINE.energies["carbon"].energy_MeV_u.tolist())
    assert 8 <= len(energies) <= 9  # 16 mm in steps of 2 mm
    least = LINE.beam("carbon").minimum_particles_per_spot  # type: ignore[union-attr]
    for layer in field.layers:
        assert layer.meterset.min() >= least * (1 - 1e-9)
        assert np.abs(layer.x_iso_mm).max() <= 8.0 + 8.0
        # Row by row, there and back: the next spot is a neighbour.
        steps = np.hypot(np.diff(layer.x_iso_mm), np.diff(layer.y_iso_mm))
        assert steps == pytest.approx(3.0)
    assert (plan.label, field.name) == ("CUBE16", "Cube of 16 mm")


def rectangles(plan: Plan, spacing_mm: float) -> Iterator[np.ndarray]:
    """Particles of each layer by rows and columns; nan where no spot is."""
    for layer in plan.fields[0].layers:
        column, row = (np.rint(at / spacing_mm).astype(int) for at in (layer.x_iso_mm, layer.y_iso_mm))
        particles = np.full((np.ptp(row) + 1, np.ptp(column) + 1), np.nan)
        particles[row - row.min(), column - column.min()] = layer.meterset
        yield particles


@pytest.mark.parametrize(
    ("ion", "modulators", "rbe", "spacing_mm"),
    [
        ("proton", (), None, 3.0),
        ("carbon", ("RIFI1", "RIFI2"), None, 2.0),
        ("proton", (), "constant", 3.0),
        ("carbon", ("RIFI1", "RIFI2"), "mkm", 2.0),
    ],
)
def test_cubes_that_a_planner_would_accept(
    ion: str, modulators: tuple[str, ...], rbe: str | None, spacing_mm: float
):
    """Full rectangles, smooth and symmetric, of spots that can be delivered, and the dose within 1.5 %."""
    cube = Cube(size_mm=20.0, depth_mm=80.0)
    plan, found = cube_plan(
        Setup(ion=ion, beamline=LINE, range_modulators=modulators),
        cube,
        rbe=None if rbe is None else rbe_model(rbe),
    )
    least = LINE.beam(ion).minimum_particles_per_spot  # type: ignore[union-attr]
    layers = list(rectangles(plan, spacing_mm))
    assert len(layers) == 11
    for particles in layers:
        assert np.all(np.isfinite(particles)), "a spot is missing"
        assert particles.min() >= least
        for axis in (0, 1):
            assert np.exp(np.abs(np.diff(np.log(particles), axis=axis))).max() <= 1.5
            np.testing.assert_allclose(particles, np.flip(particles, axis), rtol=1e-12)
    assert np.abs(found.dose_Gy[found.target] - 1.0).max() <= 0.015


def test_too_little_dose_for_the_least_particles(library: BeamLibrary):
    with pytest.raises(DoseError, match="prescribe more dose"):
        cube_plan(SETUP, replace(SMALL, dose_Gy=5e-4), library=library)


def test_weighted_dose(library: BeamLibrary):
    """A constant RBE takes its share of the particles off; one that grows leaves the weighted dose even."""
    (plain,) = cube_plan(SETUP, SMALL, library=library)[0].fields
    plan, found = cube_plan(SETUP, SMALL, library=library, rbe=ConstantRbe(1.25, "carbon"))
    assert plan.fields[0].meterset == pytest.approx(plain.meterset / 1.25, rel=1e-3)
    assert found.dose_Gy[found.target].mean() == pytest.approx(2.0, rel=0.005)
    _, found = cube_plan(SETUP, SMALL, library=library, rbe=Ramp())
    inside = found.dose_Gy[found.target] / 2.0
    assert inside.mean() == pytest.approx(1.0, abs=0.02)
    assert inside.std() < 0.03


def test_iterations_are_no_longer_used(library: BeamLibrary):
    with pytest.warns(DeprecationWarning, match="iterations is no longer used"):
        cube_plan(SETUP, SMALL, library=library, iterations=5)


def test_progress_is_told(library: BeamLibrary):
    steps: list[tuple[int, int]] = []
    cube_plan(SETUP, SMALL, library=library, progress=lambda *step: steps.append(step))
    assert steps
    assert all(done <= total for done, total in steps)


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        (Cube(size_mm=60.0, depth_mm=290.0), "choose another depth"),
        (Cube(size_mm=60.0, depth_mm=40.0), "choose another depth"),
        (Cube(size_mm=-1.0), "size of the cube"),
        (Cube(dose_Gy=float("nan")), "dose of the cube"),
        (Cube(spacing_mm=0.0), "spacing of the cube"),
    ],
)
def test_bad_cubes(cube: Cube, message: str, library: BeamLibrary):
    with pytest.raises(OptionError, match=message):
        cube_plan(SETUP, cube, library=library)


def test_a_model_of_the_rbe_for_another_ion_is_refused(library: BeamLibrary):
    with pytest.raises(DoseError, match="constant"):
        cube_plan(SETUP, SMALL, library=library, rbe=rbe_model("constant"))


def test_a_beam_line_is_needed(library: BeamLibrary):
    with pytest.raises(OptionError, match="--beamline"):
        cube_plan(Setup(ion="carbon"), SMALL, library=library)
