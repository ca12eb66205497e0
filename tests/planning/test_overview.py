"""What is told of a plan is what is in it, and what the beam line makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline.errors import PlanError
from spotline.faces.report import plan_tables
from spotline.faces.report.plan_tables import PAGE, TERMINAL, Notation
from spotline.machine import BeamLine
from spotline.planning.overview import plan_overview
from spotline.planning.read import read_plan
from spotline.treatment import Options
from spotline.treatment.duration import predict_duration
from tests.lines.edit import copy_line, edit
from tests.treatment.plans import CARBON_MeV_u, PROTON_MeV, field, layer, plan_of, proton_field, square

pytestmark = pytest.mark.stored


def two_layers() -> spotline.Field:
    """Nine spots and a half, and a row of three, of different weights."""
    weights = np.arange(1.0, 10.0) * 1e4
    return field(
        square(3, 2.0, weights, tune_id="small"),
        layer([-5.0, 1.0, 7.5], [4.0, 4.0, 4.0], [5e4, 6e4, 7e4], index=1, energy_MeV_u=CARBON_MeV_u[1]),
    )


def test_layers():
    view = plan_overview(plan_of(two_layers()))
    (found,) = view.fields
    first, second = found.layers
    assert (first.index, first.energy_MeV_u, first.n_spots) == (0, 221.45, 9)
    assert (first.meterset, first.particles) == (4.5e5, 4.5e5)
    assert (first.smallest, first.largest) == (1e4, 9e4)
    assert (first.x_iso_mm, first.y_iso_mm, first.spacing_mm) == ((-2, 2), (-2, 2), 2.0)
    assert (second.x_iso_mm, second.y_iso_mm, second.spacing_mm) == ((-5, 7.5), (4, 4), 6.0)
    assert (first.tune_id, second.tune_id, first.paintings) == ("small", "", 1)
    assert found.particles == 6.3e5
    assert (first.range_mm, found.slices, found.problems, found.warnings) == (None, (), (), ())
    assert (found.spills, found.beam_on_s, found.treatment_s) == (None, None, None)


def test_spacing_leaves_out_repetitions_and_single_spots():
    repainted = layer([0.0, 3.0, 0.0, 3.0, 0.0], 0.0)
    (found,) = plan_overview(plan_of(field(repainted, layer(index=1, energy_MeV_u=200.0)))).fields
    assert [layer.spacing_mm for layer in found.layers] == [3.0, None]


def test_on_a_beam_line(cnao_h: BeamLine):
    plan = plan_of(two_layers())
    (found,) = plan_overview(plan, cnao_h).fields
    (prepared,) = spotline.prepare(plan, cnao_h).fields
    assert [round(layer.range_mm or 0.0, 2) for layer in found.layers] == [100.0, 98.0]
    assert (found.problems, found.follows_plan) == ((), False)
    assert [s.visits for s in found.slices] == [9, 3]
    assert [s.layers for s in found.slices] == [(0,), (1,)]
    assert [s.cycle_code for s in found.slices] == [s.cycle_code for s in prepared.slices]
    assert found.slices[0].asks_for.startswith("carbon 221.45 MeV/u, focus small, intensity ")
    assert [s.intensity_level for s in found.slices] == [s.intensity_level for s in prepared.slices]
    expected = predict_duration(prepared, cnao_h).total
    assert found.spills == pytest.approx(expected.spills)
    assert found.beam_on_s == pytest.approx(expected.beam_on_s)
    assert found.treatment_s == pytest.approx(expected.treatment_s)


def test_jumps_and_paintings_are_counted(cnao_h: BeamLine):
    """Two spots 50 mm apart, painted there, back and there again: three jumps."""
    (found,) = plan_overview(plan_of(field(layer([-25.0, 25.0], 0.0, 3e5, paintings=3))), cnao_h).fields
    (slice_,) = found.slices
    assert (slice_.visits, slice_.paintings, slice_.beam_off_jumps) == (6, 3, 3)
    assert slice_.meterset == pytest.approx(6e5)


def test_problems_are_told_and_no_slices(cnao_h: BeamLine):
    bad = field(layer(150.0, 0.0, 100.0, energy_MeV_u=500.0), gantry_angle_deg=0.0)
    (found,) = plan_overview(plan_of(bad), cnao_h).fields
    assert len(found.problems) == 4
    assert all(
        any(word in problem for problem in found.problems)
        for word in ("500", "GantryAngle", "200 x 200 mm", "fewer than 5000")
    )
    assert found.slices == ()
    assert found.layers[0].range_mm is None, "beyond the table"


def test_what_only_preparation_finds(tmp_path: Path):
    """More spills than allowed by the intensity that the smallest spot asks for."""
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("largest_spills_per_field = 1000", "largest_spills_per_field = 3"))
    weights = np.array([5e3, 1e8])
    (found,) = plan_overview(
        plan_of(field(layer([0.0, 2.0], 0.0, weights))), spotline.load_beamline(toml)
    ).fields
    assert len(found.problems) == 1
    assert "largest_spills_per_field" in found.problems[0]
    assert found.slices == ()


def test_warnings(cnao_h: BeamLine):
    (found,) = plan_overview(plan_of(field(layer(tune_id="F1"))), cnao_h).fields
    assert found.problems == ()
    assert any("'F1' is not a focus of cnao-h" in warning for warning in found.warnings)


def test_one_field_of_several(cnao_h: BeamLine):
    plan = plan_of(field(number=1), proton_field(layer(0, 0, 1e8, energy_MeV_u=PROTON_MeV[0]), number=4))
    assert [f.field.number for f in plan_overview(plan, cnao_h).fields] == [1, 4]
    assert [f.field.number for f in plan_overview(plan, cnao_h, field=4).fields] == [4]
    with pytest.raises(PlanError, match="no field has beam number 2"):
        plan_overview(plan, field=2)


def test_progress_of_each_slice(cnao_h: BeamLine):
    steps: list[tuple[int, int]] = []
    plan_overview(plan_of(two_layers()), cnao_h, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (2, 2)


# Monitor units


def test_monitor_units(cnao_h: BeamLine):
    mu = proton_field(layer([0.0, 4.0], 0.0, [2.0, 3.0], energy_MeV_u=100.0), unit="MU")
    (found,) = plan_overview(plan_of(mu)).fields
    assert (found.layers[0].meterset, found.particles) == (5.0, None)
    (found,) = plan_overview(plan_of(mu), cnao_h).fields
    assert found.particles is None
    assert any("particles_per_MU" in problem for problem in found.problems)
    line = spotline.load_beamline("dcpt-like")
    (found,) = plan_overview(plan_of(mu), line).fields
    per_MU = line.particles_per_MU("proton", 100.0)
    assert per_MU is not None
    assert found.particles == pytest.approx(5.0 * float(per_MU))
    assert (found.problems, found.slices[0].meterset) == ((), pytest.approx(5.0))


# Prepared plans


def test_prepared_plan(cnao_h: BeamLine):
    plan = plan_of(two_layers())
    options = Options(intensity=0.1, repainting="volumetric", paintings=2)
    extended = spotline.prepare(plan, cnao_h, options=options).extended_plan
    (alone,) = plan_overview(extended).fields
    assert alone.follows_plan
    assert {s.intensity_level for s in alone.slices} == {0.1}
    assert [s.layers for s in alone.slices] == [(0,), (1,), (0,), (1,)]
    assert sum(s.meterset for s in alone.slices) == pytest.approx(6.3e5)
    assert (alone.slices[0].cycle_code, alone.slices[0].asks_for, alone.treatment_s) == (None, "", None)
    (here,) = plan_overview(extended, cnao_h).fields
    assert here.follows_plan
    assert [(s.visits, s.intensity_level) for s in here.slices] == [
        (s.visits, s.intensity_level) for s in alone.slices
    ]
    assert here.slices[0].asks_for.endswith("intensity 10 %, line 1")


def test_prepared_for_another_line(cnao_h: BeamLine, tmp_path: Path):
    options = Options(intensity=0.1)
    extended = spotline.prepare(plan_of(two_layers()), cnao_h, options=options).extended_plan
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ('version = "1"', 'version = "2"'))
    (found,) = plan_overview(extended, spotline.load_beamline(toml)).fields
    assert not found.follows_plan
    assert any("which is not this beam line" in warning for warning in found.warnings)
    (found,) = plan_overview(extended, spotline.load_beamline("cnao-v")).fields
    assert found.follows_plan
    assert len(found.problems) == 1
    assert {s.intensity_level for s in found.slices} == {0.1}


# As tables


@pytest.mark.parametrize("notation", [PAGE, TERMINAL], ids=["page", "terminal"])
def test_tables_have_a_cell_for_each_head(notation: Notation, cnao_h: BeamLine):
    plan = plan_of(two_layers(), field(layer(500.0), number=2))
    for view in (plan_overview(plan), plan_overview(plan, cnao_h)):
        tables = [plan_tables.field_table(view, notation)]
        for found in view.fields:
            tables.append(plan_tables.layer_table(found, notation))
            assert len(tables[-1].rows) == len(found.layers)
            if found.slices:
                tables.append(plan_tables.slice_table(found, notation))
                assert len(tables[-1].rows) == len(found.slices)
        for table in tables:
            assert all(len(row) == len(table.heads) for row in table.rows)
            assert all(cell for row in table.rows for cell in row[2:])


def test_what_all_layers_share_is_told_once():
    alike = field(layer(tune_id="small"), layer(index=1, energy_MeV_u=200.0, tune_id="small"))
    (found,) = plan_overview(plan_of(alike)).fields
    assert "Tune" not in plan_tables.layer_table(found, TERMINAL).heads
    assert ("Tune", "small") in plan_tables.field_facts(found)
    mixed = field(layer(tune_id="small"), layer(index=1, energy_MeV_u=200.0, paintings=3))
    (found,) = plan_overview(plan_of(mixed)).fields
    table = plan_tables.layer_table(found, TERMINAL)
    assert [row[table.heads.index("Tune")] for row in table.rows] == ["small", "-"]
    assert [row[table.heads.index("Paintings")] for row in table.rows] == ["1", "3"]
    assert not {"Tune", "Paintings"} & {name for name, _ in plan_tables.field_facts(found)}


def test_facts():
    plan = dataclasses.replace(
        plan_of(field(passive=(spotline.PassiveElement("range_shifter", "RW3-30mm", wet_mm=31.44),))),
        identity={"PatientID": "P1", "PatientName": "Doe^Jane", "PlanIntent": "VERIFICATION"},
        fractions_planned=12,
    )
    view = plan_overview(plan)
    facts = dict(plan_tables.plan_facts(view))
    assert (facts["Patient"], facts["Fractions"]) == ("P1, Doe^Jane", "12")
    assert facts["Intent, approval"] == "VERIFICATION"
    assert not {"UID", "Study", "Beam line", "Prepared for"} & set(facts)
    about = dict(plan_tables.field_facts(view.fields[0]))
    assert about["Passive elements"] == "range shifter RW3-30mm, 31.44 mm of water"
    assert about["Angles"] == "gantry 90°, patient support 0°"


def test_sums_of_unlike_units_are_not_made():
    alike = plan_of(field(), field(number=2))
    unlike = plan_of(field(), field(number=2, unit="MU"))
    assert [row[0] for row in plan_tables.field_table(plan_overview(alike), TERMINAL).rows][-1] == "All"
    assert len(plan_tables.field_table(plan_overview(unlike), TERMINAL).rows) == 2


# Real plans


@pytest.mark.parametrize(
    ("name", "layers", "spots"),
    [
        ("dcpt/eclipse_sobp_plan.dcm", [21], 6069),
        ("dcpt/raystation_ramp_full_plan.dcm", [22, 22], 18436),
        ("headphantom/RN.*.dcm", [24, 19, 19], 1907),
        ("trip98/tst003012.rst", [17], 13243),
        ("cubes/carbon_cube_15cm_plan.dcm", [30], 19173),
    ],
)
def test_real_plans(name: str, layers: list[int], spots: int, shared_plans: Path):
    (path,) = shared_plans.glob(name)
    view = plan_overview(read_plan(path))
    assert [len(f.layers) for f in view.fields] == layers
    assert sum(layer.n_spots for f in view.fields for layer in f.layers) == spots
    for found in view.fields:
        assert sum(layer.meterset for layer in found.layers) == pytest.approx(found.field.meterset)
        assert all(0.0 < layer.smallest <= layer.largest for layer in found.layers)
