"""Fields for quality assurance are what the papers describe, and nothing else is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spotline
from spotline.dicom.write_plan import write_ion_plan
from spotline.errors import OptionError, PlanError
from spotline.machine import BeamLine
from spotline.plan import Plan
from spotline.planning.phantom_plan import Setup
from spotline.planning.qa_fields import line_plan, pattern_plan, uniform_plan
from spotline.planning.read import read_plan
from tests.dicom.validator import errors_in_plan, needs_validator

CARBON = Setup(ion="carbon")
PROTON = Setup(ion="proton")


def positions(plan: Plan, layer: int = 0) -> list[tuple[float, float]]:
    spots = plan.fields[0].layers[layer]
    return list(zip(spots.x_iso_mm.tolist(), spots.y_iso_mm.tolist(), strict=True))


def energies(plan: Plan) -> list[float]:
    return [layer.energy_MeV_u for layer in plan.fields[0].layers]


# Uniform fields


@pytest.mark.parametrize(
    ("setup", "size_mm", "spots"),
    [(CARBON, 60.0, 30), (CARBON, 150.0, 75), (PROTON, 60.0, 20), (PROTON, 150.0, 50)],
)
def test_published_uniform_fields(setup: Setup, size_mm: float, spots: int):
    """60 and 150 mm with spots 2 mm (carbon) and 3 mm (protons) apart, 2e6 and 1e8 particles each."""
    (field,) = uniform_plan(setup, [150.0], size_mm=size_mm).fields
    (layer,) = field.layers
    assert layer.n_spots == spots**2
    spacing_mm, particles = {"carbon": (2.0, 2e6), "proton": (3.0, 1e8)}[setup.ion]
    assert (layer.meterset == particles).all()
    assert np.unique(layer.x_iso_mm).tolist() == np.unique(layer.y_iso_mm).tolist()
    assert np.unique(layer.x_iso_mm)[[0, -1]].tolist() == [
        -(size_mm - spacing_mm) / 2,
        (size_mm - spacing_mm) / 2,
    ]


def test_rectangle_is_scanned_there_and_back():
    plan = uniform_plan(CARBON, [200.0], size_mm=(6.0, 4.0), spacing_mm=2.0)
    assert positions(plan) == [(-2, -1), (0, -1), (2, -1), (2, 1), (0, 1), (-2, 1)]


@given(size_mm=st.tuples(st.floats(1.0, 200.0), st.floats(1.0, 200.0)), spacing_mm=st.floats(0.5, 1.0))
def test_any_size_and_spacing(size_mm: tuple[float, float], spacing_mm: float):
    (layer,) = uniform_plan(CARBON, [200.0], size_mm=size_mm, spacing_mm=spacing_mm).fields[0].layers
    sides = [np.unique(layer.x_iso_mm), np.unique(layer.y_iso_mm)]
    assert layer.n_spots == len(sides[0]) * len(sides[1])
    for side_mm, along in zip(size_mm, sides, strict=True):
        assert along.mean() == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose(np.diff(along), spacing_mm)
        assert len(along) * spacing_mm <= side_mm * (1 + 1e-6) < (len(along) + 1) * spacing_mm * (1 + 2e-6)
    steps_mm = np.abs(np.diff(layer.x_iso_mm)) + np.abs(np.diff(layer.y_iso_mm))
    np.testing.assert_allclose(steps_mm, spacing_mm)


def test_energies_make_layers_from_the_highest():
    plan = uniform_plan(CARBON, [150.71, 279.97, 221.45])
    assert energies(plan) == [279.97, 221.45, 150.71]
    assert [layer.index for layer in plan.fields[0].layers] == [0, 1, 2]
    assert [layer.control_point for layer in plan.fields[0].layers] == [0, 2, 4]


# Pattern and line


def test_pattern_has_eight_spots_around_one():
    plan = pattern_plan(PROTON, [150.0, 100.0])
    assert len(plan.fields[0].layers) == 2
    expected = {(x, y) for x in (-80.0, 0.0, 80.0) for y in (-80.0, 0.0, 80.0)}
    for layer in range(2):
        assert len(positions(plan, layer)) == 9
        assert set(positions(plan, layer)) == expected
    assert set(positions(pattern_plan(PROTON, [150.0], distance_mm=90.0))) == {
        (x * 9 / 8, y * 9 / 8) for x, y in expected
    }


@pytest.mark.parametrize(
    ("ion", "every", "number", "ends"),
    [
        ("carbon", 1, 121, (398.84, 115.23)),
        ("carbon", 4, 31, (398.84, 115.23)),
        ("proton", 1, 146, (228.57, 62.73)),
        ("proton", 5, 30, (228.57, 62.73)),
    ],
)
def test_line_takes_the_energies_of_the_beam_line(
    ion: str, every: int, number: int, ends: tuple[float, float], cnao_h: BeamLine
):
    """About 30 energies over the whole range are checked every day."""
    plan = line_plan(Setup(ion=ion, beamline=cnao_h), every=every)
    assert len(energies(plan)) == number
    assert (energies(plan)[0], energies(plan)[-1]) == ends
    assert energies(plan) == sorted(cnao_h.energies[ion].energy_MeV_u[::-1][::every], reverse=True)
    assert all(positions(plan, layer) == [(0.0, 0.0)] for layer in range(number))


def test_line_of_given_energies():
    assert energies(line_plan(PROTON, [70.0, 200.0], particles=5e7)) == [200.0, 70.0]


# On a beam line


def test_beam_line_says_what_the_user_does_not(cnao_h: BeamLine):
    (field,) = uniform_plan(Setup(ion="carbon", beamline=cnao_h), [221.5]).fields
    assert (field.machine, field.gantry_angle_deg) == ("cnao-h", 90.0)
    assert field.layers[0].energy_MeV_u == 221.45, "as the line lists it"
    assert field.layers[0].tune_id == "small"
    vertical = Setup(ion="proton", beamline=spotline.load_beamline("cnao-v"))
    (field,) = pattern_plan(vertical, [148.22]).fields
    assert (field.machine, field.gantry_angle_deg, field.layers[0].tune_id) == ("cnao-v", 0.0, "standard")


@pytest.mark.parametrize(
    ("name", "ion"),
    [
        (name, ion)
        for name in spotline.shipped_beamlines()
        for ion in spotline.load_beamline(name).ion_names
        if ion in ("proton", "carbon")
    ],
)
def test_what_is_made_for_a_line_can_be_prepared_there(name: str, ion: str):
    line = spotline.load_beamline(name)
    setup, listed = Setup(ion=ion, beamline=line), line.energies[ion].energy_MeV_u[[0, -1]]
    for plan in (uniform_plan(setup, listed), pattern_plan(setup, listed), line_plan(setup, every=30)):
        (field,) = spotline.prepare(plan, line).fields
        # A cyclotron has no ring whose charge could be read, and a warning says so.
        ring = line.facts.accelerator.pulse_particles(1.0) == 0.0
        assert [("charge of a ring" in warning) for warning in field.warnings] == [True] * ring
        assert field.particles == plan.fields[0].meterset


def test_ion_that_the_line_does_not_have(cnao_h: BeamLine):
    helium = Setup(ion="helium", beamline=cnao_h)
    with pytest.raises(OptionError, match="cnao-h has no helium beam"):
        line_plan(helium, particles=1e7)
    with pytest.raises(PlanError, match="cnao-h has no helium beam"):
        pattern_plan(helium, [100.0], particles=1e7)


# What makes no field


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"spacing_mm": 61.0}, "spacing 61 mm is more than the size, 60 mm"),
        ({"size_mm": (60.0, 1.0)}, "spacing 2 mm is more than the size, 1 mm"),
        ({"spacing_mm": 0.0}, "spacing is 0 mm: give more than 0"),
        ({"spacing_mm": -2.0}, "spacing is -2 mm"),
        ({"spacing_mm": float("nan")}, "spacing is nan mm"),
        ({"spacing_mm": 5e-324}, "choose a smaller size or a wider spacing"),
        ({"spacing_mm": 0.01}, "would have 3.6e\\+07 of them, more than 250000"),
        ({"size_mm": 0.0}, "size is 0 mm"),
        ({"size_mm": float("inf")}, "size is inf mm"),
        ({"size_mm": 1e6}, "size is 1e\\+06 mm: give more than 0 and at most 2000"),
        ({"particles": 0.0}, "particles per spot is 0 ions"),
        ({"particles": -5.0}, "particles per spot is -5 ions"),
        ({"particles": 0.5}, "give at least one"),
        ({"particles": float("inf")}, "particles per spot is inf ions"),
    ],
)
def test_refused_uniform_fields(choices: dict[str, object], message: str):
    with pytest.raises(OptionError, match=message):
        uniform_plan(CARBON, [221.45], **choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("energies_MeV_u", "message"),
    [
        ([], "no energy is given"),
        ([0.0], "energy is 0 MeV/u: give more than 0"),
        ([200.0, -1.0], "energy is -1 MeV/u"),
        ([float("nan")], "energy is nan"),
        ([200.0, 100.0, 200.0], "energy 200 MeV/u is given more than once"),
    ],
)
def test_refused_energies(energies_MeV_u: list[float], message: str):
    for make in (uniform_plan, pattern_plan, line_plan):
        with pytest.raises(OptionError, match=message):
            make(CARBON, energies_MeV_u)


def test_energies_that_are_one_on_the_line(cnao_h: BeamLine):
    with pytest.raises(OptionError, match=r"energy 221\.45 MeV/u is given more than once"):
        uniform_plan(Setup(ion="carbon", beamline=cnao_h), [221.45, 221.5])


@pytest.mark.parametrize("distance_mm", [0.0, -80.0, float("nan"), 1e9])
def test_refused_patterns(distance_mm: float):
    with pytest.raises(OptionError, match="distance is"):
        pattern_plan(CARBON, [221.45], distance_mm=distance_mm)


def test_refused_lines(cnao_h: BeamLine):
    with pytest.raises(OptionError, match="neither energies nor a beam line"):
        line_plan(CARBON)
    with pytest.raises(OptionError, match="every is 0"):
        line_plan(Setup(ion="carbon", beamline=cnao_h), every=0)
    with pytest.raises(OptionError, match="exclude each other"):
        line_plan(CARBON, [221.45], every=2)


def test_ions_for_which_nothing_is_published():
    with pytest.raises(OptionError, match="spacing for helium: none is published"):
        uniform_plan(Setup(ion="helium"), [221.45])
    with pytest.raises(OptionError, match="particles per spot for oxygen: none is published"):
        line_plan(Setup(ion="oxygen"), [221.45])


# As files


def made(line: BeamLine) -> list[Plan]:
    carbon = Setup(ion="carbon", beamline=line, range_modulators=("RIFI1", "RIFI2"), label="QA")
    return [
        uniform_plan(carbon, [221.45, 150.71], size_mm=(20.0, 30.0)),
        pattern_plan(Setup(ion="proton", beamline=line, name="Deflection"), [148.22]),
        line_plan(Setup(ion="carbon"), [221.45]),
        pattern_plan(Setup(ion="helium"), [100.0], particles=1e7),
    ]


def test_round_trip(cnao_h: BeamLine, tmp_path: Path):
    for number, plan in enumerate(made(cnao_h)):
        path = tmp_path / f"{number}.dcm"
        write_ion_plan(plan, path)
        found = read_plan(path)
        assert found.identity["PatientID"] == "WATER_PHANTOM"
        assert found.identity["PlanIntent"] == "MACHINE_QA"
        (field,), (planned,) = found.fields, plan.fields
        assert (found.label, field.name, field.ion) == (plan.label, planned.name, planned.ion)
        assert field.passive == planned.passive
        assert energies(found) == energies(plan)
        for layer in range(len(planned.layers)):
            assert positions(found, layer) == positions(plan, layer)
            assert field.layers[layer].meterset.tolist() == planned.layers[layer].meterset.tolist()


def test_labels(cnao_h: BeamLine):
    assert [(plan.label, plan.fields[0].name) for plan in made(cnao_h)] == [
        ("QA", "Uniform 20 x 30 mm"),
        ("NINESPOTS", "Deflection"),
        ("AXIS", "Spots on the axis"),
        ("NINESPOTS", "Nine spots 80 mm"),
    ]
    assert uniform_plan(CARBON, [221.45]).label == "UNIFORM60"
    assert uniform_plan(CARBON, [221.45], size_mm=(60.0, 37.5)).label == "UNIFORM60x37.5"
    long = uniform_plan(CARBON, [221.45], size_mm=(60.25, 37.125))
    assert (long.label, long.fields[0].name) == ("UNIFORM", "Uniform 60.25 x 37.125 mm")


@needs_validator
def test_independent_validator_finds_no_fault(cnao_h: BeamLine, tmp_path: Path):
    for number, plan in enumerate(made(cnao_h)):
        path = tmp_path / f"{number}.dcm"
        write_ion_plan(plan, path)
        assert errors_in_plan(path) == []
