"""From planned layers to slices in machine units."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from spotline import PlanError, load_beamline, prepare
from spotline.preparation.cycle_code import Cycle, decode
from tests.lines.facts import with_facts
from tests.preparation.plans import CARBON_MeV_u, field, layer, plan_of, proton_field, square

LINE = load_beamline("cnao-h")


def slices(*layers, line=LINE, **more):
    return prepare(plan_of(field(*layers, **more)), line).fields[0].slices


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


def test_beam_is_off_for_long_jumps_only():
    x_mm = [0.0, 20.0, 40.1, 40.1, 52.0]
    y_mm = [0.0, 0.0, 0.0, 20.1, 4.0]
    (slice_,) = slices(layer(x_mm, y_mm))
    # 20 mm is not beyond 20 mm; the last jump is 20.04 mm along the diagonal.
    assert slice_.beam_off.tolist() == [False, False, True, True, True]


def test_long_jump_from_layer_to_layer_of_one_slice():
    (slice_,) = slices(layer([0.0, 1.0]), layer([30.0, 31.0], index=1))
    assert slice_.beam_off.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("smallest", "index"),
    [
        (5e4, 0),  # 833 us at 6e7 particles per second
        (1.5e4, 0),  # 250 us, the minimum itself
        (1.49e4, 1),
        (7.5e3, 1),
        (7.4e3, 2),
        (5e3, 2),  # 417 us at a fifth
    ],
)
def test_highest_intensity_for_the_smallest_spot(smallest: float, index: int):
    (slice_,) = slices(layer([0.0, 2.0, 4.0], 0.0, [9e5, smallest, 5e5]))
    level = (1.0, 0.5, 0.2, 0.1)[index]
    assert slice_.intensity_level == level
    assert slice_.particles_per_s == pytest.approx(6e7 * level)
    assert decode(slice_.cycle_code).intensity == index


def test_each_slice_has_its_own_intensity():
    found = slices(layer(meterset=5e3), layer(meterset=5e5, index=1, energy_MeV_u=CARBON_MeV_u[1]))
    assert [s.intensity_level for s in found] == [0.2, 1.0]


def test_spot_too_short_at_any_intensity_is_delivered_with_a_warning():
    line = with_facts(LINE, {"ions.carbon.minimum_particles_per_spot": 100.0})
    plan = plan_of(field(layer(), layer(meterset=900.0, index=1, energy_MeV_u=CARBON_MeV_u[1])))
    prepared = prepare(plan, line).fields[0]
    assert prepared.slices[1].intensity_level == 0.1
    (warning,) = prepared.warnings
    assert warning.startswith("slice 1: the smallest spot lasts 150 us")
    assert "minimum_spot_time_us" in warning


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
    assert decode(slice_.cycle_code) == Cycle(6, pytest.approx(CARBON_MeV_u[0]), 1, 2)
    (prepared,) = prepare(plan_of(proton_field(layer(meterset=2e7, energy_MeV_u=150.43))), LINE).fields
    assert decode(prepared.slices[0].cycle_code).charge_number == 1


def test_unknown_focus_is_the_default_one_with_a_warning():
    layers = [layer(index=i, tune_id="4.0", energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u)]
    prepared = prepare(plan_of(field(*layers)), LINE).fields[0]
    assert {s.focus for s in prepared.slices} == {"small"}
    assert prepared.warnings == (
        "ScanSpotTuneID '4.0' is not a focus of cnao-h (small, large): using 'small'",
    ), "it is said once"


@pytest.mark.parametrize("tune_id", ["", "small"])
def test_known_or_missing_focus_makes_no_warning(tune_id: str):
    prepared = prepare(plan_of(field(layer(tune_id=tune_id))), LINE).fields[0]
    assert (prepared.slices[0].focus, prepared.warnings) == ("small", ())


def test_spot_size_is_that_of_the_plan_or_of_the_line():
    size = LINE.spot_size("carbon", CARBON_MeV_u[0])
    assert size is not None
    (of_line,) = slices(layer())
    assert (of_line.fwhm_x_mm, of_line.fwhm_y_mm) == (size.fwhm_x_mm, size.fwhm_y_mm)
    (of_plan,) = slices(layer(fwhm_x_mm=9.0, fwhm_y_mm=9.5))
    assert (of_plan.fwhm_x_mm, of_plan.fwhm_y_mm) == (9.0, 9.5)


@pytest.mark.parametrize(
    ("particles", "spills"),
    # A spill of 1.5 s with 50 ms of rise and 20 ms of fall holds 6e7 x 1.465 particles.
    [(5e4, 1), (8.78e7, 1), (8.80e7, 2), (1.75e8, 2), (1.77e8, 3)],
)
def test_spills_expected(particles: float, spills: int):
    (slice_,) = slices(layer(meterset=particles))
    assert slice_.spills == spills


def test_spills_expected_at_a_lower_intensity():
    (slice_,) = slices(layer([0.0, 2.0], 0.0, [5e3, 1.8e7]))
    assert (slice_.intensity_level, slice_.spills) == (0.2, 2)


def test_monitor_units_are_particles_by_the_table():
    table = LINE.energies["proton"]
    per_MU = np.linspace(1e8, 2e8, len(table.energy_MeV_u))
    line = replace(LINE, energies={**LINE.energies, "proton": replace(table, particles_per_MU=per_MU)})
    energy = float(table.energy_MeV_u[50])
    plan = plan_of(proton_field(layer([0.0, 3.0], 0.0, [0.5, 2.0], energy_MeV_u=energy), unit="MU"))
    (slice_,) = prepare(plan, line).fields[0].slices
    np.testing.assert_allclose(slice_.particles, [0.5 * per_MU[50], 2.0 * per_MU[50]], rtol=1e-9)


def test_whole_treatment():
    plan = plan_of(field(square(3, 4.0, 5e4)), field(layer(), layer(index=1, energy_MeV_u=218.92), number=7))
    treatment = prepare(plan, LINE)
    assert treatment.plan is plan
    assert treatment.beamline is LINE
    assert [f.field.number for f in treatment.fields] == [1, 7]
    assert [(f.n_spots, f.particles, f.spills) for f in treatment.fields] == [(9, 4.5e5, 1), (2, 1e5, 2)]
    (only,) = prepare(plan, LINE, field=7).fields
    assert only.field is plan.fields[1]
    with pytest.raises(PlanError, match="no field has beam number 3; the plan has 1, 7"):
        prepare(plan, LINE, field=3)


def test_field_that_is_not_asked_for_may_be_impossible():
    plan = plan_of(field(), field(number=2, gantry_angle_deg=0.0))
    assert len(prepare(plan, LINE, field=1).fields) == 1
    with pytest.raises(PlanError, match="field 2"):
        prepare(plan, LINE)
