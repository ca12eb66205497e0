"""What a prescribed spot received, against values by hand, and against a repainted delivery."""

from __future__ import annotations

from math import nan
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline import Record, load_beamline
from spotline.dicom.treatment_record import read_treatment_record
from spotline.record import FieldRecord, prescribed_spots
from spotline.record.statistics import field_statistics, prescribed_deviations
from spotline.treatment import Options
from tests.record.tables import field_record
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square


def visit(slice_: int, layer: int, spot: int, particles: float, painting: int = 0) -> dict[str, float]:
    return {
        "slice": slice_,
        "planned_layer": layer,
        "planned_spot": spot,
        "painting": painting,
        "particles_planned": particles,
        "x_planned_mm": 10.0 * spot,
        "y_planned_mm": 10.0 * layer,
    }


VISITS = [
    visit(0, 0, 3, 100.0),
    visit(0, 0, 1, 50.0),
    visit(1, 1, 0, 200.0),
    visit(2, 0, 3, 300.0, painting=1),
    visit(2, 0, 2, 70.0),
]
MEASURED = [
    {"complete": True, "particles": 100.5, "particles_int2": 99.0, "position_valid": True, "x_mm": 31.0,
     "y_mm": 2.0},
    {"complete": True, "particles": 49.0, "particles_int2": 49.5, "position_valid": False, "x_mm": 12.0,
     "y_mm": nan},
    {"complete": True, "particles": 190.0, "particles_int2": 191.0, "position_valid": False, "x_mm": nan,
     "y_mm": nan},
    {"complete": False, "particles": 301.5, "particles_int2": 301.0, "position_valid": True, "x_mm": 29.0,
     "y_mm": 6.0},
]  # fmt: skip


def by_hand() -> FieldRecord:
    """Five visits to four spots; of the last nothing was delivered, and the fourth is unfinished."""
    spots = [{**planned, **found} for planned, found in zip(VISITS, MEASURED, strict=False)]
    return field_record(spots=spots, visits=VISITS)


def test_by_hand():
    table = prescribed_spots(by_hand())
    assert table[["planned_layer", "planned_spot"]].tolist() == [(0, 1), (0, 2), (0, 3), (1, 0)]
    assert table["visits_planned"].tolist() == [1, 1, 2, 1]
    assert table["visits"].tolist() == [1, 0, 2, 1]
    assert table["visits_complete"].tolist() == [1, 0, 1, 1]
    assert table["complete"].tolist() == [True, False, False, True]
    assert table["particles_planned"].tolist() == [50.0, 70.0, 400.0, 200.0]
    assert table["particles"].tolist() == [49.0, 0.0, 402.0, 190.0]
    assert table["particles_int2"].tolist() == [49.5, 0.0, 400.0, 191.0]
    assert table["x_planned_mm"].tolist() == [10.0, 20.0, 30.0, 0.0]
    assert table["y_planned_mm"].tolist() == [0.0, 0.0, 0.0, 10.0]
    assert table["position_valid"].tolist() == [False, False, True, False]
    # Weighted with 100.5 and 301.5 particles: 29.5 and 5.
    np.testing.assert_allclose(table["x_mm"], [12.0, nan, 29.5, nan])
    np.testing.assert_allclose(table["y_mm"], [nan, nan, 5.0, nan])


def test_centre_of_gravity_outranks_the_strip_with_most_counts():
    record = by_hand()
    record.spots["position_valid"][3] = False
    table = prescribed_spots(record)
    assert table["position_valid"].tolist() == [False, False, True, False]
    assert (table["x_mm"][2], table["y_mm"][2]) == (31.0, 2.0)


def test_nothing_was_delivered():
    table = prescribed_spots(field_record(visits=VISITS))
    assert table["visits"].tolist() == [0] * 4
    assert not table["complete"].any()
    assert np.isnan(table["x_mm"]).all()
    assert len(prescribed_spots(field_record())) == 0


def test_statistics_by_hand():
    np.testing.assert_allclose(prescribed_deviations(by_hand()), [-0.02, -0.05])
    statistics = field_statistics(by_hand())
    assert statistics.prescribed_spots_delivered == 2
    assert statistics.fraction_prescribed_spots_within_1_percent == 0.0
    assert statistics.fraction_spots_within_1_percent == pytest.approx(1 / 3)


def test_without_repainting_it_is_the_table_of_the_spots(small: Record):
    (record,) = small.fields
    table = prescribed_spots(record)
    assert (table["visits_planned"] == 1).all()
    assert table["complete"].all()
    for name in ("planned_layer", "planned_spot", "particles_planned", "particles", "x_planned_mm"):
        np.testing.assert_array_equal(table[name], np.sort(record.spots, order=KEYS)[name])
    for name in ("x_mm", "y_mm"):
        np.testing.assert_allclose(table[name], np.sort(record.spots, order=KEYS)[name], rtol=1e-12)
    statistics = field_statistics(record)
    assert statistics.prescribed_spots_delivered == statistics.spots_delivered == 18
    assert statistics.fraction_prescribed_spots_within_1_percent == statistics.fraction_spots_within_1_percent


KEYS = ["planned_layer", "planned_spot"]


@pytest.fixture(scope="module", params=["layered", "volumetric", "back_and_forth"])
def repainted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FieldRecord:
    """Three layers of nine spots, the weaker half visited twice instead of three times."""
    rng = np.random.default_rng(5)
    layers = [
        square(3, 4.0, rng.uniform(1.3e4, 2.5e4, 9), index=i, energy_MeV_u=energy)
        for i, energy in enumerate(CARBON_MeV_u)
    ]
    plan, line = plan_of(field(*layers)), load_beamline("cnao-h")
    treatment = spotline.prepare(plan, line, options=Options(paintings=3, repainting=request.param))
    record = spotline.deliver(treatment, tmp_path_factory.mktemp("repainted") / "out", seed=4)
    assert record.summary["status"] == "complete"
    return record.fields[0]


def test_repainted_delivery_maps_back_to_the_plan(repainted: FieldRecord):
    table = prescribed_spots(repainted)
    assert table[KEYS].tolist() == [(layer, spot) for layer in range(3) for spot in range(9)]
    assert set(table["visits_planned"].tolist()) == {2, 3}
    assert (table["visits"] == table["visits_planned"]).all()
    assert table["complete"].all()
    assert len(repainted.spots) == table["visits"].sum() == len(repainted.visits)
    rng = np.random.default_rng(5)
    weights = np.concatenate([rng.uniform(1.3e4, 2.5e4, 9) for _ in range(3)])
    np.testing.assert_allclose(table["particles_planned"], weights, rtol=1e-12)
    assert table["particles"].sum() == pytest.approx(repainted.spots["particles"].sum())
    # Some counts of some thirty: each visit can be off by two (500 ions each).
    assert np.abs(table["particles"] - weights).max() < 6 * 550.0
    for row in table:
        mine = repainted.spots[
            (repainted.spots["planned_layer"] == row["planned_layer"])
            & (repainted.spots["planned_spot"] == row["planned_spot"])
        ]
        good = mine[mine["position_valid"]] if row["position_valid"] else mine
        assert len(good)
        for name in ("x_mm", "y_mm"):
            assert row[name] == pytest.approx(np.average(good[name], weights=good["particles"]))


def test_dicom_record_of_a_repainted_delivery(repainted: FieldRecord):
    record = read_treatment_record(Path(repainted.path) / "record.dcm")
    assert record.warnings == ()
    table = prescribed_spots(repainted)
    for layer, point in enumerate(record.fields[0].control_points[::2]):
        assert point.reordered
        assert point.prescribed_index is not None
        mine = table[table["planned_layer"] == layer]
        np.testing.assert_array_equal(np.bincount(point.prescribed_index), mine["visits"])
        np.testing.assert_allclose(
            np.bincount(point.prescribed_index, point.meterset), mine["particles"], rtol=1e-6
        )
        assert point.time_offset_us is not None
        assert (np.diff(point.time_offset_us) > 0).all(), "in the order of delivery"
