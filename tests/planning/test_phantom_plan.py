"""A plan on a phantom has what its setup says, or the beam line; what makes none is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline.errors import OptionError, PlanError
from spotline.machine import BeamLine
from spotline.plan import Plan
from spotline.planning.phantom_plan import Setup, phantom_plan
from tests.lines.edit import copy_line, edit


@pytest.fixture(scope="module")
def cnao_h() -> BeamLine:
    return spotline.load_beamline("cnao-h")


def plan_of(
    setup: Setup, *, energy_MeV_u: float = 221.45, x_iso_mm: float = 10.0, particles: float = 1e6
) -> Plan:
    """A plan of two spots."""
    x_mm = np.array([-x_iso_mm, x_iso_mm])
    layer = (energy_MeV_u, x_mm, np.zeros(2), np.full(2, particles))
    return phantom_plan(setup, "TWO", "Two spots", [layer])


def test_spots_are_those_that_were_given():
    plan = plan_of(Setup(ion="carbon", name="Pair"))
    (field,) = plan.fields
    assert (plan.label, field.name, field.ion.name, field.unit) == ("TWO", "Pair", "carbon", "NP")
    (layer,) = field.layers
    assert (layer.energy_MeV_u, layer.x_iso_mm.tolist()) == (221.45, [-10.0, 10.0])
    assert layer.meterset.tolist() == [1e6, 1e6]


@pytest.mark.parametrize(("reach", "angle_deg"), [("[-90.0, 90.0]", 0.0), ("[30.0, 210.0]", 30.0)])
def test_gantry(reach: str, angle_deg: float, tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("gantry_angles_deg = [90.0]", f"gantry_range_deg = {reach}"))
    line = spotline.load_beamline(toml)
    (field,) = plan_of(Setup(ion="carbon", beamline=line)).fields
    assert field.gantry_angle_deg == angle_deg
    asked = Setup(ion="carbon", beamline=line, gantry_angle_deg=60.0)
    assert plan_of(asked).fields[0].gantry_angle_deg == 60.0


def test_range_modulators_choose_a_focus_that_has_sizes_for_them(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    text = toml.read_text(encoding="utf-8")
    large = next(line for line in text.splitlines(keepends=True) if "carbon_optics_large_0" in line)
    first = next(line for line in text.splitlines(keepends=True) if "carbon_optics_small_0" in line)
    toml.write_text(text.replace(large, "").replace(first, large + first), encoding="utf-8")
    line = spotline.load_beamline(toml)
    assert line.foci("carbon")[0] == "large"
    with_two = Setup(ion="carbon", beamline=line, range_modulators=("RIFI1", "RIFI2"))
    (field,) = plan_of(with_two).fields
    assert field.layers[0].tune_id == "small"
    assert [(e.kind, e.id) for e in field.passive] == [
        ("range_modulator", "RIFI1"),
        ("range_modulator", "RIFI2"),
    ]
    assert plan_of(Setup(ion="carbon", beamline=line)).fields[0].layers[0].tune_id == "large"


def test_all_reasons_of_the_beam_line(cnao_h: BeamLine):
    setup = Setup(ion="carbon", beamline=cnao_h, gantry_angle_deg=0.0, range_modulators=("RIFI9",))
    with pytest.raises(PlanError) as caught:
        plan_of(setup, energy_MeV_u=500.0, x_iso_mm=109.0, particles=100.0)
    for reason in ("500", "GantryAngle is 0 deg", "'RIFI9'", "200 x 200 mm field", "fewer than 5000"):
        assert reason in str(caught.value)


def test_refused_setups(cnao_h: BeamLine):
    for setup, message in (
        (Setup(ion="neon"), "ion 'neon' is not known: choose one of proton, helium, carbon, oxygen"),
        (Setup(ion="carbon", gantry_angle_deg=361.0), "gantry angle is 361 deg"),
        (Setup(ion="carbon", gantry_angle_deg=float("nan")), "gantry angle is nan deg"),
        (Setup(ion="carbon", range_modulators=("A", "A")), "range modulator A is given more than once"),
        (Setup(ion="carbon", beamline=cnao_h, focus="tiny"), "focus 'tiny' .* choose one of small, large"),
    ):
        with pytest.raises(OptionError, match=message):
            plan_of(setup)
