"""A plan for other energies is moved to those of the line, with a report, or refused."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline import BeamLine, PlanError, load_beamline, prepare, read_plan
from spotline.physics.ions import CARBON, HELIUM, PROTON
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from spotline.treatment.retarget import LARGEST_RANGE_CHANGE_mm, retarget
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, proton_field

pytestmark = pytest.mark.stored

LINE = load_beamline("cnao-h")
FIRST, SECOND, THIRD = CARBON_MeV_u
TABLE = LINE.energies["carbon"]


def with_energies(line: BeamLine, ion: str, energy_MeV_u, range_mm, per_MU=None) -> BeamLine:
    """A line with another list of energies."""
    energy = np.array(energy_MeV_u, float)
    table = replace(
        line.energies[ion],
        energy_MeV_u=energy,
        range_mm=np.array(range_mm, float),
        particles_per_count=np.full(len(energy), 500.0),
        particles_per_MU=None if per_MU is None else np.array(per_MU, float),
    )
    return replace(line, energies={**line.energies, ion: table})


def layers_of(*energies: float, **more):
    return [layer(index=i, energy_MeV_u=e, **more) for i, e in enumerate(energies)]


def test_layers_go_to_the_energies_of_the_line():
    plan = plan_of(field(*layers_of(221.0, 218.92, 216.9)))
    with pytest.raises(PlanError, match="no such NominalBeamEnergy"):
        prepare(plan, LINE)
    found = retarget(plan, LINE)
    assert [change.energy_MeV_u for change in found.changes] == [FIRST, THIRD]
    assert [change.planned_MeV_u for change in found.changes] == [221.0, 216.9]
    assert [(change.field, change.layer) for change in found.changes] == [(1, 0), (1, 2)]
    treatment = prepare(found.plan, LINE)
    assert [s.energy_MeV_u for s in treatment.fields[0].slices] == [FIRST, SECOND, THIRD]
    assert [layer.energy_MeV_u for layer in treatment.extended_plan.fields[0].layers] == [
        FIRST,
        SECOND,
        THIRD,
    ]


def test_range_changes_are_those_of_the_table():
    """Between two listed energies 2 mm apart the two range changes add up to 2 mm."""
    planned = 220.3
    (change,) = retarget(plan_of(field(*layers_of(planned))), LINE).changes
    here = float(LINE.range_mm("carbon", planned))
    assert change.energy_MeV_u == FIRST
    assert change.range_change_mm == pytest.approx(float(LINE.range_mm("carbon", FIRST)) - here)
    assert 0.0 < change.range_change_mm < 1.0
    calculated = RangeEnergy(CARBON, WATER).range_mm([planned, FIRST])
    assert change.range_change_mm == pytest.approx(calculated[1] - calculated[0], abs=0.02)


@given(st.floats(TABLE.energy_MeV_u[0], TABLE.energy_MeV_u[-1]))
def test_nearest_in_range(planned: float):
    """No other energy of the list is nearer in range, and none is moved by more than half a step."""
    found = retarget(plan_of(field(*layers_of(planned))), LINE)
    energy = found.plan.fields[0].layers[0].energy_MeV_u
    here = float(LINE.range_mm("carbon", planned))
    if LINE.match_energy("carbon", planned) is not None:
        assert found.changes == ()
        assert energy == planned
        return
    (change,) = found.changes
    away = np.abs(TABLE.range_mm - here)
    assert abs(change.range_change_mm) == pytest.approx(away.min())
    assert abs(change.range_change_mm) <= np.diff(TABLE.range_mm).max() / 2 + 1e-9
    assert energy == pytest.approx(TABLE.energy_MeV_u[np.argmin(away)])


def test_nearest_in_range_is_not_always_nearest_in_energy():
    """Ranges 10, 14, 15 mm at 100, 110, 130: PCHIP bends, so that 119 MeV/u is nearer to 130 in range."""
    line = with_energies(LINE, "carbon", [100.0, 110.0, 130.0, 150.0], [10.0, 14.0, 15.0, 19.0])
    planned = np.linspace(110.2, 129.8, 99)
    ranges = line.range_mm("carbon", planned)
    differ = (planned < 120.0) & (ranges > 14.5) | (planned > 120.0) & (ranges < 14.5)
    assert differ.any()
    for energy, range_mm in zip(planned[differ], ranges[differ], strict=True):
        (change,) = retarget(plan_of(field(*layers_of(energy))), line).changes
        assert change.energy_MeV_u == (130.0 if range_mm > 14.5 else 110.0)


def test_tie_goes_to_the_lower_energy():
    line = with_energies(LINE, "carbon", [100.0, 110.0, 120.0], [10.0, 12.0, 14.0])  # straight
    (change,) = retarget(plan_of(field(*layers_of(105.0))), line).changes
    assert (change.energy_MeV_u, change.range_change_mm) == (100.0, pytest.approx(-1.0))


@pytest.mark.parametrize(("end", "outside"), [(0, -1.0), (-1, 1.0)])
def test_beyond_the_list_by_a_little(end: int, outside: float):
    """There the calculated range continues the table."""
    edge = float(TABLE.energy_MeV_u[end])
    calculated = RangeEnergy(CARBON, WATER)
    (change,) = retarget(plan_of(field(*layers_of(edge + outside))), LINE).changes
    expected = calculated.range_mm([edge + outside, edge])
    assert change.energy_MeV_u == edge
    assert change.range_change_mm == pytest.approx(expected[1] - expected[0])
    assert change.range_change_mm * outside < 0.0


def test_what_would_move_too_far_is_refused_with_all_of_it():
    plan = plan_of(
        field(*layers_of(90.0, 221.0, 420.0, 1e4), gantry_angle_deg=0.0),
        field(*layers_of(402.5), number=2),
    )
    with pytest.raises(PlanError) as caught:
        retarget(plan, LINE)
    found = str(caught.value)
    assert found.startswith(
        "small.dcm: field 1 (Field 1) cannot be delivered on cnao-h: retargeting would move the range of 3 "
        "layers by more than 3 mm of water (layer 0 90 MeV/u by +11."
    )
    assert re.search(
        r"layer 2 420 MeV/u by -23\.\d mm to 398\.84, layer 3 10000 MeV/u of unknown range", found
    )
    assert "; GantryAngle is 0 deg" in found, "the other reasons come with it"
    assert (
        "field 2 (Field 2) cannot be delivered on cnao-h: retargeting would move the range of 1 layer"
        in found
    )
    assert "NominalBeamEnergy" not in found
    assert "\n" not in found


def test_coarse_list_is_no_licence():
    """Half the step is 20 mm here: nothing between the listed energies may go to one of them."""
    line = with_energies(LINE, "carbon", [200.0, 280.0, 350.0], [80.0, 120.0, 160.0])
    with pytest.raises(PlanError, match=r"layer 0 240 MeV/u by -\d+\.\d mm to 200"):
        retarget(plan_of(field(*layers_of(240.0))), line)
    (change,) = retarget(plan_of(field(*layers_of(202.0))), line).changes
    assert -LARGEST_RANGE_CHANGE_mm < change.range_change_mm < 0.0


def test_continuous_energies_have_nothing_to_change_within_their_ends():
    line = with_facts(LINE, {"ions.carbon.energy_selection": "continuous"})
    plan = plan_of(field(*layers_of(221.0, 217.77)))
    assert retarget(plan, line).plan is plan
    (change,) = retarget(plan_of(field(*layers_of(115.0))), line).changes
    assert change.energy_MeV_u == 115.23


def test_ion_that_the_line_does_not_have():
    with pytest.raises(PlanError, match="cnao-h has no helium beam"):
        retarget(plan_of(field(ion=HELIUM)), LINE)


def test_only_the_field_that_is_asked_for():
    plan = plan_of(field(*layers_of(221.0)), field(*layers_of(90.0, 218.0), number=2))
    found = retarget(plan, LINE, field=1)
    assert [change.field for change in found.changes] == [1]
    assert found.plan.fields[1] is plan.fields[1]
    assert found.layers == 1
    with pytest.raises(PlanError, match="no field has beam number 3"):
        retarget(plan, LINE, field=3)


def test_everything_else_of_the_plan_stays():
    planned = field(layer([1.0, 2.0], [3.0, 4.0], [5e4, 6e4], energy_MeV_u=221.0, fwhm_x_mm=6.0, paintings=2))
    plan = plan_of(planned)
    new = retarget(plan, LINE).plan
    assert plan.fields[0].layers[0].energy_MeV_u == 221.0, "plans never change"
    assert (new.sha256, new.path, new.identity) == (plan.sha256, plan.path, plan.identity)
    old_layer, new_layer = plan.fields[0].layers[0], new.fields[0].layers[0]
    assert replace(new_layer, energy_MeV_u=221.0).__repr__() == repr(old_layer)


def test_plan_of_the_line_is_left_alone():
    plan = plan_of(field(*layers_of(FIRST, SECOND + 0.1)))
    found = retarget(plan, LINE)
    assert (found.plan, found.changes) == (plan, ())
    assert found.in_words() == "retargeted: all energies of 2 layers are those of the beam line"


def test_layers_that_fall_on_one_energy_stay_two():
    """Neighbours become one slice, others do not; both are reported."""
    plan = plan_of(field(*layers_of(221.3, 221.0, 218.92, 220.9), layer(index=4, energy_MeV_u=221.0)))
    found = retarget(plan, LINE)
    assert len(found.plan.fields[0].layers) == 5
    shared = {change.layer: change.shares_energy_with for change in found.changes}
    assert shared == {1: (0, 3), 3: (0, 1, 4), 4: (0, 3)}, "1 and 4 were planned with one energy"
    slices = prepare(found.plan, LINE).fields[0].slices
    assert [np.unique(s.planned_layer).tolist() for s in slices] == [[0, 1], [2], [3, 4]]
    assert "field 1 layers 0-1, 3-4 now at one energy, 221.45 MeV/u" in found.in_words()


def test_tune_that_the_line_does_not_have_becomes_its_default():
    plan = plan_of(field(*layers_of(221.0, 218.92, tune_id="F1"), layer(index=2, tune_id="large")))
    found = retarget(plan, LINE)
    assert [(change.layer, change.planned_tune_id, change.tune_id) for change in found.changes] == [
        (0, "F1", "small"),
        (1, "F1", "small"),
    ]
    assert [change.range_change_mm != 0.0 for change in found.changes] == [True, False]
    assert [layer.tune_id for layer in found.plan.fields[0].layers] == ["small", "small", "large"]
    assert "; ScanSpotTuneID 'F1' to 'small' in 2 layers" in found.in_words()
    assert prepare(found.plan, LINE).fields[0].warnings == (), "it was changed openly"


def test_tune_that_the_plan_does_not_name_stays_open():
    (change,) = retarget(plan_of(field(*layers_of(221.0))), LINE).changes
    assert (change.planned_tune_id, change.tune_id) == ("", "")


def test_monitor_units_take_the_calibration_of_the_new_energy():
    line = with_energies(
        LINE, "carbon", [200.0, 202.0, 204.0], [82.0, 83.0, 84.0], per_MU=[1.0e7, 1.02e7, 1.04e7]
    )
    plan = plan_of(field(*layers_of(200.8, meterset=2.0), unit="MU"))
    found = retarget(plan, line)
    (change,) = found.changes
    assert change.energy_MeV_u == 200.0
    assert change.particles_change == pytest.approx(1.0 / 1.008 - 1.0)
    assert prepare(found.plan, line).fields[0].particles == pytest.approx(2.0e7)
    assert "; particles per MU by up to -0.79% (field 1 layer 0)" in found.in_words()


def test_monitor_units_beyond_the_calibration_are_unknown():
    line = with_energies(LINE, "carbon", [200.0, 202.0], [82.0, 83.0], per_MU=[1.0e7, 1.02e7])
    found = retarget(plan_of(field(*layers_of(199.5, 202.0, meterset=2.0), unit="MU")), line)
    assert [change.particles_change for change in found.changes] == [None]
    assert "; particles per MU unknown at the planned energy of 1 layer" in found.in_words()


def test_monitor_units_without_calibration_are_still_refused():
    found = retarget(plan_of(field(*layers_of(221.0, meterset=2.0), unit="MU")), LINE)
    assert found.changes[0].particles_change is None
    with pytest.raises(PlanError, match="PrimaryDosimeterUnit is MU but cnao-h has no particles_per_MU"):
        prepare(found.plan, LINE)


def test_particles_stay_particles():
    found = retarget(plan_of(proton_field(layer(meterset=1e6, energy_MeV_u=150.9))), LINE)
    assert found.changes[0].particles_change == 0.0
    assert prepare(found.plan, LINE).fields[0].particles == 1e6
    assert found.changes[0].range_change_mm == pytest.approx(
        float(np.diff(RangeEnergy(PROTON, WATER).range_mm([150.9, 150.43]))[0]), abs=0.02
    )


def test_in_words():
    found = retarget(plan_of(field(*layers_of(221.0, 219.3, FIRST)), field(number=3)), LINE)
    sizes = [abs(change.range_change_mm) for change in found.changes]
    first = found.changes[0]
    assert sizes[0] > sizes[1] > 0.0
    assert found.in_words() == (
        f"retargeted: 2 of 4 layers to another energy, their range by {sum(sizes) / 2:.2f} mm of water on "
        f"average and {sizes[0]:.2f} mm at most (field 1 layer 0, 221 to 221.45 MeV/u, "
        f"{first.range_change_mm:+.2f} mm); field 1 layers 0, 2 now at one energy, 221.45 MeV/u"
    )
    assert set(asdict(first)) >= {"planned_MeV_u", "energy_MeV_u", "range_change_mm"}


def test_instructions_for_other_energies_are_dropped():
    """They say for which energies they are, which are no longer those of the plan."""
    energies = np.sort(np.append(TABLE.energy_MeV_u, 220.3))
    other = with_energies(LINE, "carbon", energies, LINE.range_mm("carbon", energies))
    other = replace(other, sha256="0" * 64)
    extended = prepare(plan_of(field(*layers_of(220.3, THIRD))), other).extended_plan
    found = retarget(extended, LINE)
    assert found.plan.fields[0].instructions == ()
    assert [s.energy_MeV_u for s in prepare(found.plan, LINE).fields[0].slices] == [FIRST, THIRD]


@pytest.mark.parametrize(
    ("name", "line", "layers"),
    [("cubes/proton_cube_15cm_plan.dcm", "cnao-v", 14), ("trip98/tst003001.rst", "cnao-h", 15)],
)
def test_real_plan(shared_plans: Path, name: str, line: str, layers: int):
    """Plans for another list of energies, 2 mm apart at most: no layer moves by more than 1 mm."""
    beamline = load_beamline(line)
    plan = read_plan(shared_plans / name)
    found = retarget(plan, beamline)
    moved = [change for change in found.changes if change.planned_MeV_u != change.energy_MeV_u]
    assert len(moved) == layers
    assert max(abs(change.range_change_mm) for change in moved) <= 1.0
    treatment = prepare(found.plan, beamline)
    planned = sum(f.meterset for f in plan.fields)
    assert sum(f.particles for f in treatment.fields) == pytest.approx(planned, rel=1e-12)
