"""From instructions to slices in machine units."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from spotline import Options, load_beamline, prepare
from spotline.treatment.cycle_code import Cycle, decode
from spotline.treatment.slices import positions_mm
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, proton_field

LINE = load_beamline("cnao-h")


PLANNED = Options(order="planned")


def slices(*layers, line=LINE, **more):
    """Slices in the order of the plan."""
    return prepare(plan_of(field(*layers, **more)), line, options=PLANNED).fields[0].slices


def test_where_the_beam_crosses_the_chambers():
    """Similar triangles: magnets at 6200 and 5500 mm, chambers at 815, 800 and 715 mm."""
    (slice_,) = slices(layer([50.0, -80.0], [20.0, 0.0]))
    np.testing.assert_allclose(slice_.x_iso_mm, [50.0, -80.0])
    np.testing.assert_allclose(slice_.y_iso_mm, [20.0, 0.0])
    np.testing.assert_allclose(slice_.x_strip_mm, [50.0 * 5385 / 6200, -80.0 * 5385 / 6200])
    np.testing.assert_allclose(slice_.y_strip_mm, [20.0 * 4700 / 5500, 0.0])
    np.testing.assert_allclose(slice_.x_pixel_mm, [50.0 * 5485 / 6200, -80.0 * 5485 / 6200])
    np.testing.assert_allclose(slice_.y_pixel_mm, [20.0 * 4785 / 5500, 0.0])


def test_currents():
    """I = angle x rigidity / integrated field per ampere, with the rigidity from the momentum."""
    (slice_,) = slices(layer([100.0, 0.0], [0.0, -55.0]))
    nucleon_MeV = 931.49410 - 6 * 0.51099895 / 12  # of the bare carbon nucleus
    energy = CARBON_MeV_u[0]
    rigidity_T_m = 2.0 * math.sqrt(energy * (energy + 2.0 * nucleon_MeV)) / 299.792458  # A / Z = 2
    assert slice_.x_current_A[0] == pytest.approx(100.0 / 6200.0 * rigidity_T_m / 0.67e-3, rel=1e-6)
    assert slice_.y_current_A[1] == pytest.approx(-55.0 / 5500.0 * rigidity_T_m / 0.75e-3, rel=1e-6)
    assert slice_.y_current_A[0] == 0.0


def test_slices_are_neighbouring_layers_of_one_energy():
    first, second, _ = CARBON_MeV_u
    found = slices(
        layer([1.0, 2.0], energy_MeV_u=first),
        layer([3.0], index=1, energy_MeV_u=second),
        # Within the tolerance of 0.15 MeV/u it is the same energy of the accelerator.
        layer([4.0, 5.0, 6.0], index=2, energy_MeV_u=second + 0.1),
        layer([7.0], index=3, energy_MeV_u=first),
    )
    assert [s.energy_MeV_u for s in found] == [first, second, first]
    assert [s.index for s in found] == [0, 1, 2]
    assert [s.x_iso_mm.tolist() for s in found] == [[1.0, 2.0], [3.0, 4.0, 5.0, 6.0], [7.0]]
    assert [s.planned_layer.tolist() for s in found] == [[0, 0], [1, 2, 2, 2], [3]]
    assert [s.planned_spot.tolist() for s in found] == [[0, 1], [0, 0, 1, 2], [0]]


def test_layers_of_one_energy_and_different_focus_are_two_slices():
    found = slices(layer(tune_id="small"), layer(index=1, tune_id="large"), layer(index=2, tune_id="large"))
    assert [(s.focus, s.planned_layer.tolist()) for s in found] == [("small", [0]), ("large", [1, 2])]
    assert [decode(s.cycle_code).focus for s in found] == [0, 1]
    assert found[0].fwhm_x_mm < found[1].fwhm_x_mm


def test_cycle_code_says_what_the_slice_is():
    (slice_,) = slices(layer(tune_id="large", meterset=5e3))
    assert decode(slice_.cycle_code) == Cycle(6, pytest.approx(CARBON_MeV_u[0]), 1, 2, 1)
    (slice_,) = slices(line=load_beamline("cnao-v"), gantry_angle_deg=0.0)
    assert decode(slice_.cycle_code).line == 2
    (prepared,) = prepare(plan_of(proton_field(layer(meterset=2e7, energy_MeV_u=150.43))), LINE).fields
    assert decode(prepared.slices[0].cycle_code).charge_number == 1


def test_spot_size_is_that_of_the_plan_or_of_the_line():
    size = LINE.spot_size("carbon", CARBON_MeV_u[0])
    assert size is not None
    (of_line,) = slices(layer())
    assert (of_line.fwhm_x_mm, of_line.fwhm_y_mm) == (size.fwhm_x_mm, size.fwhm_y_mm)
    (of_plan,) = slices(layer(fwhm_x_mm=9.0, fwhm_y_mm=9.5))
    assert (of_plan.fwhm_x_mm, of_plan.fwhm_y_mm) == (9.0, 9.5)


def test_monitor_units_are_particles_by_the_table():
    table = LINE.energies["proton"]
    per_MU = np.linspace(1e8, 2e8, len(table.energy_MeV_u))
    line = replace(LINE, energies={**LINE.energies, "proton": replace(table, particles_per_MU=per_MU)})
    energy = float(table.energy_MeV_u[50])
    plan = plan_of(proton_field(layer([0.0, 3.0], 0.0, [0.5, 2.0], energy_MeV_u=energy), unit="MU"))
    (slice_,) = prepare(plan, line).fields[0].slices
    np.testing.assert_allclose(slice_.particles, [0.5 * per_MU[50], 2.0 * per_MU[50]], rtol=1e-9)


def test_visits_of_a_repainted_slice():
    """Each visit has its own particles; place and planned spot are those of the spot."""
    plan = plan_of(field(layer([0.0, 10.0], [5.0, 5.0], [4e4, 1.2e4], paintings=2)))
    (slice_,) = prepare(plan, LINE, options=PLANNED).fields[0].slices
    assert slice_.planned_spot.tolist() == [0, 1, 0, 1]
    assert slice_.painting.tolist() == [0, 0, 1, 1]
    assert slice_.particles.tolist() == [2e4, 6e3, 2e4, 6e3]
    assert slice_.x_iso_mm.tolist() == [0.0, 10.0, 0.0, 10.0]
    assert slice_.x_current_A[1] == slice_.x_current_A[3]
    assert (slice_.int1_counts >= 5).all()


def test_positions_of_mixed_layers():
    """Visits to two layers in any order find their places."""
    planned = field(layer([1.0, 2.0], [3.0, 4.0]), layer([5.0, 6.0], [7.0, 8.0], index=1))
    (instruction,) = prepare(plan_of(planned), LINE, options=PLANNED).fields[0].instructions
    mixed = replace(instruction, layer=np.array([1, 0, 1, 0]), spot=np.array([1, 0, 0, 1]))
    x_mm, y_mm = positions_mm(mixed, planned)
    assert x_mm.tolist() == [6.0, 1.0, 5.0, 2.0]
    assert y_mm.tolist() == [8.0, 3.0, 7.0, 4.0]
