"""What is said of a delivery: its doses, what is between them, and what structures get."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spotline
from spotline.dose.calibration import Calibration
from spotline.dose.ct import CtImage
from spotline.dose.engine.beams import beams_of_record
from spotline.dose.rbe import rbe_model
from spotline.dose.structures import Contour, Structure, StructureSet
from spotline.errors import DoseError, SpotlineError
from spotline.physics.ions import PROTON
from tests.delivery.deliveries import EXAMPLES
from tests.dose.engine.entries import made_up_library

LIBRARIES = {"proton": made_up_library(PROTON, [60.0, 100.0, 150.0, 230.0])}
OPTIONS = spotline.DoseOptions(grid_mm=5.0, libraries=LIBRARIES)
WATER = spotline.WaterBox(80.0)


@pytest.fixture(scope="module")
def plan() -> spotline.Plan:
    return spotline.read_plan(EXAMPLES / "three_layers_proton.dcm")


@pytest.fixture(scope="module")
def treatment(plan: spotline.Plan) -> spotline.Treatment:
    return spotline.prepare(plan, spotline.load_beamline("cnao-h"))


@pytest.fixture(scope="module")
def record(treatment: spotline.Treatment, tmp_path_factory: pytest.TempPathFactory) -> spotline.Record:
    return spotline.deliver(treatment, tmp_path_factory.mktemp("delivered") / "record", documents=False)


@pytest.fixture(scope="module")
def done(record: spotline.Record) -> spotline.Evaluation:
    return spotline.evaluate(record, WATER, options=OPTIONS)


@pytest.fixture(scope="module")
def ct() -> spotline.CtPatient:
    """Water (0 HU) of 100 x 100 x 60 mm in air; the isocentre is 50 mm behind its left side."""
    grid = spotline.Grid.covering((-60.0, -60.0, -30.0), (60.0, 60.0, 30.0), 4.0)
    hu = np.full(grid.shape, -1000.0)
    inside = np.ix_(np.abs(grid.z_mm) < 31.0, np.abs(grid.y_mm) < 50.0, np.abs(grid.x_mm) < 50.0)
    hu[inside] = 0.0
    curve = Calibration("straight", np.array([-1000.0, 0.0]), np.array([0.0, 1.0]), (-1000.0, 0.0), "error",
                        "error")  # fmt: skip
    return spotline.CtPatient(CtImage(grid, hu.astype(np.float32), "1.2.3.5", "HFS"), curve)


@pytest.fixture(scope="module")
def structures() -> StructureSet:
    """A target around the isocentre, and an organ far away."""

    def box(x: float, half: float) -> tuple[Contour, ...]:
        corners = [(x - half, -half), (x + half, -half), (x + half, half), (x - half, half)]
        return tuple(Contour(z, np.array(corners)) for z in (-4.0, 0.0, 4.0))

    target, far = Structure(1, "Target", "PTV", box(0.0, 10.0)), Structure(2, "Far", "ORGAN", box(500.0, 5.0))
    return StructureSet((target, far), {}, "1.2.3.5")


def changed(record: spotline.Record, **header: Any) -> spotline.Record:
    field = record.fields[0]
    return replace(record, fields=(replace(field, header={**field.header, **header}),))


def test_a_record_is_enough(
    record: spotline.Record, treatment: spotline.Treatment, done: spotline.Evaluation
):
    """It names its beam line, and doses are those that its parts give."""
    assert list(done.doses) == ["planned", "measured", "true"]
    assert done.beamline.sha256 == treatment.beamline.sha256
    water = spotline.water_phantom(treatment, 80.0, 5.0)
    found = spotline.reconstruct(record, treatment.beamline, water, water.grid, libraries=LIBRARIES)
    for what, dose in found.doses.items():
        np.testing.assert_array_equal(done.doses[what].dose_Gy, dose.physical.dose_Gy)
    assert [one.names for one in done.comparisons] == [("planned", "measured"), ("planned", "true")]
    expected = spotline.compare_doses(done.doses["planned"], done.doses["measured"])
    assert done.comparisons[0].comparison.as_dict() == expected.as_dict()
    assert (done.fractions, done.notes, done.statistics, done.letd_keV_um) == (1, (), {}, {})
    assert json.loads(json.dumps(done.as_dict()))["doses"].keys() == done.doses.keys()


def test_a_treatment_has_a_planned_dose_only(treatment: spotline.Treatment, done: spotline.Evaluation):
    found = spotline.evaluate(treatment, WATER, options=OPTIONS)
    assert list(found.doses) == ["planned"]
    assert found.comparisons == ()
    np.testing.assert_allclose(found.doses["planned"].dose_Gy, done.doses["planned"].dose_Gy, rtol=1e-6)


def test_fractions_are_added_and_a_dose_of_the_plan_is_scaled(
    record: spotline.Record, plan: spotline.Plan, done: spotline.Evaluation
):
    own = done.doses["planned"]
    whole = replace(own, dose_Gy=20.0 * own.dose_Gy, summation="PLAN", frame_of_reference_uid="1.2.9")
    found = spotline.evaluate(
        record,
        WATER,
        plan=replace(plan, fractions_planned=20),
        compare={"RD.dcm": whole},
        options=replace(OPTIONS, fractions=2),
    )
    assert found.fractions == 2
    for name, dose in found.doses.items():
        np.testing.assert_allclose(dose.dose_Gy, 2.0 * done.doses[name].dose_Gy, rtol=1e-5, atol=1e-7)
    given = [one for one in found.comparisons if one.names[0] == "RD.dcm"]
    assert [one.names[1] for one in given] == ["planned", "measured", "true"]
    np.testing.assert_allclose(given[0].reference.dose_Gy, 2.0 * own.dose_Gy, rtol=1e-6)
    assert given[0].comparison.largest_Gy < 1e-5
    (often, scaled, frame) = found.notes
    assert often.startswith("what is given is taken 2 times")
    assert scaled.startswith("RD.dcm: is of all 20 fractions")
    assert "times 0.1, for 2" in scaled
    assert frame.startswith("RD.dcm: names another frame")


def test_a_dose_unlike_its_prescription_is_told_first(
    treatment: spotline.Treatment, ct: spotline.CtPatient, structures: StructureSet
):
    """By the highest prescription, and by a tenth, in either direction."""
    own_Gy = float(
        spotline.evaluate(treatment, ct, structures=structures, options=OPTIONS)
        .doses["planned"]
        .dose_Gy.max()
    )
    for times, is_told in ((1.0, False), (1.09, False), (1.12, True), (2.33, True), (0.88, True)):
        found = spotline.evaluate(
            treatment, ct, structures=structures, prescribed_Gy={"Target": own_Gy / times}, options=OPTIONS
        )
        assert found.first_notes == found.notes[: len(found.first_notes)]
        assert len(found.first_notes) == is_told, times
        if is_told:
            (first,) = found.first_notes
            assert first.startswith(f"planned: the largest dose is {own_Gy:.4g} Gy, {times:.3g} times the ")
            assert json.loads(json.dumps(found.as_dict()))["notes"][0] == first
    both = {"Target": own_Gy, "Far": own_Gy / 3.0}
    found = spotline.evaluate(treatment, ct, structures=structures, prescribed_Gy=both, options=OPTIONS)
    assert found.first_notes == ()


@pytest.mark.parametrize("summation", ["PLAN", "FRACTION", "BEAM"])
def test_doses_of_the_entire_delivery_are_scaled(
    summation: str, treatment: spotline.Treatment, plan: spotline.Plan, done: spotline.Evaluation
):
    """20 fractions as the type says; and one fraction, as some export it, is told by its largest dose."""
    own = done.doses["planned"]
    given = {"plan": replace(plan, fractions_planned=20), "options": OPTIONS}
    of_all = replace(own, dose_Gy=20.0 * own.dose_Gy, summation=summation)
    found = spotline.evaluate(treatment, WATER, compare={"RD.dcm": of_all}, **given)
    (one,) = found.comparisons
    np.testing.assert_allclose(one.reference.dose_Gy, own.dose_Gy, rtol=1e-5)
    (scaled,) = found.notes
    assert scaled == (
        f"RD.dcm: is of all 20 fractions of the plan (Dose Summation Type {summation}); it is taken times "
        "0.05, for 1"
    )
    found = spotline.evaluate(
        treatment, WATER, compare={"RD.dcm": replace(of_all, dose_Gy=own.dose_Gy)}, **given
    )
    assert found.comparisons[0].reference.dose_Gy.max() == pytest.approx(0.05 * own.dose_Gy.max())
    first, again, doubt = found.notes
    assert first.startswith("planned against RD.dcm: the largest doses are not alike: ")
    assert "times 20" in first
    assert again == scaled
    assert "its largest dose is then 0.05 times that computed for 1 fraction" in doubt
    assert "as a dose of one fraction it would be 1 times" in doubt


@pytest.mark.parametrize("summation", ["FRACTION_SESSION", "BEAM_SESSION"])
def test_doses_of_a_session_are_of_one_fraction(
    summation: str, treatment: spotline.Treatment, plan: spotline.Plan, done: spotline.Evaluation
):
    own = replace(done.doses["planned"], summation=summation)
    given = {"plan": replace(plan, fractions_planned=20), "options": replace(OPTIONS, fractions=3)}
    found = spotline.evaluate(treatment, WATER, compare={"RD.dcm": own}, **given)
    np.testing.assert_allclose(found.comparisons[0].reference.dose_Gy, 3.0 * own.dose_Gy, rtol=1e-5)
    assert any(note.startswith("RD.dcm: is of one fraction") for note in found.notes)
    assert not any("its largest dose is then" in note for note in found.notes)


def test_a_dose_that_reaches_beyond_the_grid_is_told(
    treatment: spotline.Treatment, done: spotline.Evaluation
):
    """The half with the Bragg peaks (the beam comes from +x)."""
    own = done.doses["planned"]
    x, y, z = own.grid.lower_mm
    high = float(own.grid.x_mm[own.dose_Gy.max(axis=(0, 1)).argmax()]) + 12.5
    grid = spotline.Grid.covering((x, y, z), (high, *own.grid.upper_mm[1:]), 5.0)
    found = spotline.evaluate(treatment, WATER, compare={"RD": own}, options=replace(OPTIONS, grid=grid))
    gamma = found.comparisons[0].comparison.gammas[0]
    above = gamma.compared + gamma.outside
    assert above == (own.dose_Gy >= 0.1 * own.dose_Gy.max()).sum()
    assert gamma.outside > 0.05 * above
    assert found.notes[0].startswith(
        f"planned against RD: only {100.0 * gamma.compared / above:.2f} % of the {above} points of RD"
    )
    options = replace(OPTIONS, grid=grid, compared_percent=1.0)
    assert spotline.evaluate(treatment, WATER, compare={"RD": own}, options=options).notes == ()


def test_a_record_that_no_simulation_made_has_no_true_dose(
    record: spotline.Record, done: spotline.Evaluation
):
    without = replace(record, fields=(replace(record.fields[0], truth=None),))
    found = spotline.evaluate(without, WATER, options=OPTIONS)
    assert list(found.doses) == ["planned", "measured"]
    assert [one.names for one in found.comparisons] == [("planned", "measured")]
    np.testing.assert_array_equal(found.doses["measured"].dose_Gy, done.doses["measured"].dose_Gy)


def test_structures_in_a_ct(
    record: spotline.Record, plan: spotline.Plan, ct: spotline.CtPatient, structures: StructureSet
):
    # Its voxels are in the target or beside it, none is half in.
    grid = spotline.Grid.covering((-50.0, -20.0, -12.0), (50.0, 20.0, 12.0), (5.0, 5.0, 3.0))
    given: dict[str, Any] = {"plan": plan, "structures": structures, "options": replace(OPTIONS, grid=grid)}
    found = spotline.evaluate(record, ct, prescribed_Gy={"target": 0.3}, **given)
    assert [mask.name for mask in found.structures] == ["Target"]
    assert any(note.startswith("structure Far: no part of it is within the grid") for note in found.notes)
    assert found.patient.frame_of_reference_uid == "1.2.3.5"
    dose = found.doses["measured"]
    target = np.ix_(np.abs(grid.z_mm) < 6.0, np.abs(grid.y_mm) < 10.0, np.abs(grid.x_mm) < 10.0)
    said = found.statistics["Target"]["measured"]
    assert said.volume_cm3 == pytest.approx(4.8, rel=1e-4)
    assert said.mean_Gy == pytest.approx(dose.dose_Gy[target].mean(dtype=float), rel=1e-4)
    assert said.prescription_Gy == 0.3
    share = float(np.mean(dose.dose_Gy[target] >= 0.95 * 0.3))
    # The histogram is straight between doses, of which several voxels have the same.
    alike = np.unique(dose.dose_Gy[target], return_counts=True)[1].max() / dose.dose_Gy[target].size
    assert said.V95_percent == pytest.approx(100.0 * share, abs=100.0 * float(alike))
    letd = found.reconstruction.doses["measured"].letd_keV_um[target]
    assert letd.min() > 0.0
    expected = float(np.average(letd, weights=dose.dose_Gy[target].astype(float)))
    assert found.letd_keV_um["Target"]["measured"] == pytest.approx(expected, rel=1e-4)
    # 20 mm that stop as 100 mm of water hold the beam, which comes from +x and else reaches 150 mm.
    dense = spotline.evaluate(record, replace(ct, overrides={"Target": 5.0}), **given)
    behind = np.ix_(np.abs(dose.grid.z_mm) < 5.0, np.abs(dose.grid.y_mm) < 5.0, dose.grid.x_mm < -30.0)
    assert dense.doses["measured"].dose_Gy[behind].max() < 0.5 * dose.dose_Gy[behind].max()


def test_weighted_dose_is_prescribed_where_there_is_one(
    record: spotline.Record, structures: StructureSet, done: spotline.Evaluation
):
    options = replace(OPTIONS, rbe=rbe_model("constant"))
    found = spotline.evaluate(
        record, WATER, structures=structures, prescribed_Gy={"Target": 1.0}, options=options
    )
    said = found.statistics["Target"]
    assert said["measured-effective"].prescription_Gy == 1.0
    assert said["measured"].prescription_Gy is None
    np.testing.assert_allclose(
        found.doses["measured-effective"].dose_Gy, 1.1 * done.doses["measured"].dose_Gy, rtol=1e-5, atol=1e-9
    )
    assert found.rbe == rbe_model("constant").name


def test_a_patient_made_before_and_a_grid_of_ones_own(record: spotline.Record, treatment: spotline.Treatment):
    water = spotline.water_phantom(treatment, 80.0, 5.0)
    grid = spotline.Grid.covering((-20.0, -10.0, -10.0), (20.0, 10.0, 10.0), 5.0)
    found = spotline.evaluate(record, water, options=replace(OPTIONS, grid=grid))
    expected = spotline.reconstruct(record, treatment.beamline, water, grid, libraries=LIBRARIES)
    np.testing.assert_array_equal(found.doses["true"].dose_Gy, expected.doses["true"].physical.dose_Gy)
    np.testing.assert_array_equal(found.patient.image, np.ones(grid.shape))
    boxed = spotline.evaluate(record, WATER, options=replace(OPTIONS, grid=grid))
    np.testing.assert_allclose(boxed.doses["true"].dose_Gy, found.doses["true"].dose_Gy, rtol=1e-5, atol=1e-7)


def test_where_the_isocentre_is(
    record: spotline.Record, plan: spotline.Plan, ct: spotline.CtPatient, done: spotline.Evaluation
):
    """In a patient somebody must say it; water lies around any point; what is given outranks all."""
    old = changed(record, isocentre_mm=None)
    with pytest.raises(DoseError, match="does not say where its isocentre lies"):
        spotline.evaluate(old, ct, options=OPTIONS)
    found = spotline.evaluate(old, WATER, options=OPTIONS)
    assert found.notes == ("field 1: no isocentre is known; it is taken as (0, 0, 0) in the water",)
    from_plan = spotline.evaluate(old, WATER, plan=plan, options=OPTIONS)
    assert from_plan.notes == ()
    at = {1: (100.0, 0.0, 0.0)}
    given = spotline.evaluate(record, WATER, plan=plan, options=replace(OPTIONS, isocentres_mm=at))
    assert given.patient.grid.upper_mm[0] == pytest.approx(done.patient.grid.upper_mm[0] + 100.0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"prescribed_Gy": {"Target": 1.0}}, "names structures, but there are none"),
        ({"prescribed_Gy": {"Target": 0.0}, "structures": True}, "0 Gy for Target"),
        ({"prescribed_Gy": {"Liver": 1.0}, "structures": True}, "no structure is named 'Liver'"),
        ({"compare": "effective"}, "RD.dcm: holds effective dose"),
        ({"options": replace(OPTIONS, fields=[7])}, "no field 7"),
        ({"source": []}, "no record to reconstruct"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(
    arguments: dict[str, Any],
    message: str,
    record: spotline.Record,
    structures: StructureSet,
    done: spotline.Evaluation,
):
    given: dict[str, Any] = {"options": OPTIONS, **arguments}
    source = given.pop("source", record)
    if "structures" in given:
        given["structures"] = structures
    if "compare" in given:
        given["compare"] = {"RD.dcm": replace(done.doses["planned"], kind="effective")}
    layers: list[int] = []
    with pytest.raises(DoseError, match=message):
        spotline.evaluate(source, WATER, progress=lambda n, _: layers.append(n), **given)
    assert not layers


@pytest.mark.parametrize("grid_mm", [0.0, -1.0, float("nan")])
def test_voxels_have_a_size(grid_mm: float):
    with pytest.raises(DoseError, match="no size of a voxel"):
        spotline.DoseOptions(grid_mm=grid_mm)


def test_a_record_of_nothing(record: spotline.Record, tmp_path: Path):
    with pytest.raises(SpotlineError, match="nothing tells its beam line"):
        spotline.evaluate(replace(record, path=tmp_path, fields=()), WATER, options=OPTIONS)


@pytest.mark.parametrize("widths", ["x", "Planned", "", None, "measured "])
def test_widths_that_nobody_knows_are_refused(widths: Any, record: spotline.Record):
    """They would be taken for planned ones without a word."""
    with pytest.raises(DoseError, match=r"widths: .* choose one of measured, planned"):
        spotline.DoseOptions(widths=widths)
    with pytest.raises(DoseError, match="widths: "):
        beams_of_record(record.fields[0], "measured", widths=widths)
    with pytest.raises(DoseError, match="ask for one of planned, measured, true"):
        beams_of_record(record.fields[0], widths)


@pytest.mark.parametrize("fractions", [0, -1, 1.5, "2", True, None])
def test_fractions_that_are_none_are_refused(fractions: Any):
    with pytest.raises(DoseError, match="fractions: "):
        spotline.DoseOptions(fractions=fractions)


def test_another_plan_is_refused(treatment: spotline.Treatment, record: spotline.Record, plan: spotline.Plan):
    """As by the command line: isocentres and references would be those of somebody else."""
    other = spotline.read_plan(EXAMPLES / "two_layers_carbon.dcm")
    for source in (record, [record], treatment):
        with pytest.raises(SpotlineError, match="is not the plan "):
            spotline.evaluate(source, WATER, plan=other, options=OPTIONS)
    assert spotline.evaluate(record, WATER, plan=plan, options=OPTIONS).reconstruction.doses
