"""Dose in phantoms: geometry, adding up, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spotline import load_beamline
from spotline.dose.engine.beams import FieldBeams, LayerBeam
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.engine.water_and_grid import grid_around, water_box
from spotline.dose.grid import Grid
from spotline.errors import DoseError
from spotline.machine.library import in_beam
from spotline.machine.optics import spot_sigma_mm
from spotline.physics.ions import CARBON
from tests.dose.engine.entries import made_up_library

LINE = load_beamline("cnao-h")
ENERGIES = [200.0, 221.45, 240.0]
LIBRARIES = {"carbon": made_up_library(CARBON, ENERGIES)}
WATER = Patient(
    np.ones((60, 80, 60), dtype=np.float32), Grid((-59.0, 1.0, -59.0), (2.0, 2.0, 2.0), (60, 80, 60))
)
"""120 x 160 x 120 mm of water below y = 0, where a beam from above enters."""


def field(gantry_deg: float = 0.0, passive: tuple[str, ...] = (), **spots: np.ndarray) -> FieldBeams:
    some = {
        "x_mm": np.array([-10.0, 0.0, 15.0]),
        "y_mm": np.array([5.0, 0.0, -20.0]),
        "particles": np.full(3, 1e6),
        "sigma_x_mm": np.full(3, 3.0),
        "sigma_y_mm": np.full(3, 3.0),
        **spots,
    }
    focus = LINE.foci("carbon")[0]
    layers = tuple(LayerBeam(k, energy, focus, Spots(**some)) for k, energy in enumerate(ENERGIES[1:]))
    return FieldBeams(1, "one", CARBON, passive, gantry_deg, 0.0, (0.0, 90.0, 0.0), layers)


def dose_of(*fields: FieldBeams, patient: Patient = WATER, grid: Grid = WATER.grid) -> np.ndarray:
    engine = DoseEngine(LINE, patient, grid, libraries=LIBRARIES)
    engine.add(fields)
    return engine.dose_Gy


def centre_of(dose: np.ndarray, grid: Grid) -> tuple[float, float, float]:
    z, y, x = (
        float(np.sum(dose * axis)) / float(dose.sum())
        for axis in np.meshgrid(grid.z_mm, grid.y_mm, grid.x_mm, indexing="ij")
    )
    return x, y, z


def test_a_beam_from_above():
    """Spots lie where the plan has them; x of the beam is x of the patient, y its z."""
    one = np.ones(1)
    dose = dose_of(
        field(
            x_mm=20.0 * one, y_mm=-12.0 * one, particles=1e6 * one, sigma_x_mm=3.0 * one, sigma_y_mm=3.0 * one
        )
    )
    plane = dose[:, 44, :]  # y = 89 mm, 1 mm above the isocentre
    x, _, z = centre_of(np.where(np.arange(80)[None, :, None] == 44, dose, 0.0), WATER.grid)
    assert (x, z) == pytest.approx((20.0, -12.0), abs=0.1)
    assert plane.max() > 0.0


def test_depth_is_that_of_the_nozzle_and_the_water():
    whole = field()
    dose = dose_of(replace(whole, layers=whole.layers[1:]))
    profile = dose.sum(axis=(0, 2))
    peak_mm = WATER.grid.y_mm[int(np.argmax(profile))]
    entry = LIBRARIES["carbon"].entry(ENERGIES[-1])
    expected = entry.ranges().peak_mm - in_beam(LINE, "carbon").mean_mm
    assert peak_mm == pytest.approx(expected, abs=2.0)


def test_turning_gantry_and_patient_together_changes_nothing():
    """A quarter turn: the beam comes along -x, so x and y of the phantom change places."""
    grid = Grid((-159.0, -59.0, -59.0), (2.0, 2.0, 2.0), (60, 60, 80))
    turned = Patient(np.ones(grid.shape, dtype=np.float32), grid)
    from_above = dose_of(field())
    beside = replace(field(90.0), isocentre_mm=(-90.0, 0.0, 0.0))
    from_side = dose_of(beside, patient=turned, grid=grid)
    # From the side, depth runs against x, and x of the beam along y of the patient.
    expected = np.swapaxes(from_above, 1, 2)[:, :, ::-1]
    np.testing.assert_allclose(from_side, expected, atol=2e-4 * expected.max())


def test_layers_and_fields_add_up():
    whole = dose_of(field())
    apart = DoseEngine(LINE, WATER, WATER.grid, libraries=LIBRARIES, threads=1)
    for layer in field().layers:
        apart.add_layer(field(), layer)
    np.testing.assert_allclose(whole, apart.dose_Gy, rtol=1e-12)
    other = replace(field(90.0), number=2)
    np.testing.assert_allclose(dose_of(field(), other), whole + dose_of(other), rtol=1e-9, atol=1e-15)


def test_depth_goes_with_the_inverse_of_the_stopping_power():
    dense = replace(WATER, rsp=1.5 * WATER.rsp)
    short = field()
    short = replace(short, layers=short.layers[:1])
    peaks = [
        WATER.grid.y_mm[int(np.argmax(dose_of(short, patient=p).sum(axis=(0, 2))))] for p in (WATER, dense)
    ]
    assert peaks[0] == pytest.approx(1.5 * peaks[1], abs=3.0)


def test_a_range_shifter_takes_depth_and_widens_spots():
    name, thickness_mm = next(iter(LINE.facts.passive_elements.range_shifters.items()))
    plain, shifted = dose_of(field()), dose_of(field(passive=(name,)))
    peaks = [WATER.grid.y_mm[int(np.argmax(d.sum(axis=(0, 2))))] for d in (plain, shifted)]
    assert peaks[0] - peaks[1] == pytest.approx(thickness_mm, abs=2.0)
    widths = [
        spot_sigma_mm(LINE, "carbon", ENERGIES[-1], passive_elements=names)[0] for names in ((), (name,))
    ]
    assert widths[1] > widths[0]


def test_quantities_follow():
    engine = DoseEngine(
        LINE, WATER, WATER.grid, libraries=LIBRARIES,
        quantities=lambda entry: lambda depth: entry.letd(depth)[:, None], n_quantities=1,
    )  # fmt: skip
    engine.add([field()])
    has = engine.dose_Gy > 1e-3 * engine.dose_Gy.max()
    letd = engine.weighted[has, 0] / engine.dose_Gy[has]
    assert 1.0 < letd.min() < letd.max() < 2.3


def test_progress_and_empty_layers():
    steps: list[tuple[int, int]] = []
    engine = DoseEngine(LINE, WATER, WATER.grid, libraries=LIBRARIES)
    empty = {name: np.zeros(0) for name in ("x_mm", "y_mm", "particles", "sigma_x_mm", "sigma_y_mm")}
    engine.add([field(**empty)], progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    assert engine.dose_Gy.max() == 0.0


def test_a_grid_beside_the_patient_is_refused():
    with pytest.raises(DoseError, match=r"in x.*overlaps"):
        DoseEngine(LINE, WATER, Grid((500.0, 0.0, 0.0), (2.0, 2.0, 2.0), (5, 5, 5)))


POSITIONS = {
    "HFS": (1, -1), "HFP": (1, 1), "FFS": (1, -1), "FFP": (1, 1),
    "HFDL": (0, -1), "HFDR": (0, 1), "FFDL": (0, -1), "FFDR": (0, 1),
}  # fmt: skip
"""For a beam from above: axis of the patient along which it runs, and the sign of the side it enters."""


@pytest.mark.parametrize("position", POSITIONS)
def test_positions_on_the_table_top(position: str):
    """The beam from above enters the side that is up, and its range is the same from all sides."""
    grid = Grid((-79.0, -79.0, -79.0), (2.0, 2.0, 2.0), (80, 80, 80))
    patient = Patient(np.ones(grid.shape, dtype=np.float32), grid, position)
    isocentre = replace(field(), isocentre_mm=(0.0, 0.0, 0.0))
    axis, side = POSITIONS[position]
    dose = dose_of(isocentre, patient=patient, grid=grid).sum(axis=tuple({0, 1, 2} - {2 - axis}))
    if side > 0:
        dose = dose[::-1]
    range_mm = LIBRARIES["carbon"].entry(ENERGIES[-1]).range_mm
    assert dose[0] > 0.1 * dose.max()
    assert dose[-1] < 0.05 * dose.max()
    falls_mm = 2.0 * (len(dose) - np.argmax(dose[::-1] > 0.5 * dose.max()))
    assert falls_mm == pytest.approx(range_mm, abs=8.0)


def test_each_field_meets_the_patient_in_its_own_position():
    """What a field says of how the patient lies goes before what is said for all, also of one isocentre."""
    grid = Grid((-59.0, -59.0, -59.0), (2.0, 2.0, 2.0), (60, 60, 60))
    beside = replace(field(x_mm=np.array([20.0, 25.0, 30.0])), isocentre_mm=(0.0, 0.0, 0.0))
    lying = {
        position: Patient(np.ones(grid.shape, dtype=np.float32), grid, position)
        for position in ("HFS", "HFP")
    }
    alone = [dose_of(beside, patient=patient, grid=grid) for patient in lying.values()]
    assert not np.allclose(*alone)
    fields = [replace(beside, patient_position=position) for position in lying]
    for common in lying.values():
        np.testing.assert_allclose(
            dose_of(*fields, patient=common, grid=grid), alone[0] + alone[1], rtol=1e-9
        )


def test_water_and_grid_are_laid_for_the_position_of_each_field():
    beside = replace(field(90.0), isocentre_mm=(0.0, 0.0, 0.0))
    prone = replace(beside, patient_position="HFP")
    box = water_box([prone], LINE, 80.0, 4.0, "HFS")
    assert box.grid == water_box([beside], LINE, 80.0, 4.0, "HFP").grid
    assert box.grid != water_box([beside], LINE, 80.0, 4.0, "HFS").grid
    laid = [
        grid_around([one], LINE, box, position, 4.0) for one, position in ((prone, "HFS"), (beside, "HFP"))
    ]
    assert laid[0] == laid[1] != grid_around([beside], LINE, box, "HFS", 4.0)
