"""Numbers of the summary, against values by hand."""

from __future__ import annotations

from math import inf, nan, sqrt

import msgspec
import numpy as np
import pytest

from spotline import Record
from spotline.control.interlocks import BACKGROUND, CAUSES, INT_RATIO, PAUSE, POSITION_X, STOP
from spotline.hdf5 import keys_of
from spotline.record.statistics import (
    describe_interlock,
    field_statistics,
    particle_deviations,
    position_rms_mm,
    statistics_results,
    total_statistics,
)
from tests.record.tables import field_record

SPOTS = [
    # Within 1 % is good, 1.1 % is not; what is not complete does not count.
    {"complete": True, "particles_planned": 1000.0, "particles": 1009.9},
    {"complete": True, "particles_planned": 1000.0, "particles": 989.0},
    {"complete": True, "particles_planned": 2000.0, "particles": 2000.0},
    {"complete": True, "particles_planned": 500.0, "particles": 495.5},
    {"complete": False, "particles_planned": 500.0, "particles": 3.0},
]
PLACES = [
    {"position_valid": True, "x_mm": 3.0, "y_mm": 4.0, "x_planned_mm": 0.0, "y_planned_mm": 0.0},  # 5 mm off
    {"position_valid": True, "x_mm": -1.0, "y_mm": 7.0, "x_planned_mm": 0.0, "y_planned_mm": 7.0},  # 1 mm
    {"position_valid": False, "x_mm": 90.0, "y_mm": 90.0},
    {"position_valid": False, "x_mm": nan, "y_mm": nan},
    {"position_valid": True, "x_mm": 2.0, "y_mm": 2.0, "x_planned_mm": 2.0, "y_planned_mm": 2.0},
]


def by_hand():
    spots = [
        {"planned_spot": i, **spot, **place}
        for i, (spot, place) in enumerate(zip(SPOTS, PLACES, strict=True))
    ]
    return field_record(
        spots=spots,
        visits=[{name: spot[name] for name in ("planned_spot", "particles_planned")} for spot in spots],
        slices=[
            {"slice": 0, "spots_planned": 4, "particles_planned": 4500.0},
            {"slice": 1, "spots_planned": 10, "particles_planned": 9000.0},
        ],
        spills=[
            {"beam_on_us": 250_000, "end_us": 6_000_000},
            {"beam_on_us": 500_000, "end_us": 10_500_000},
        ],
        interlocks=[
            {"cause": POSITION_X, "time_us": 6_000_123, "spill": 1, "slice": 0, "spot": 2, "value": -2.5,
             "limit": 2.0, "action": PAUSE},
        ],
    )  # fmt: skip


def test_field_by_hand():
    assert keys_of(field_statistics(by_hand())) == {
        "status": "",
        "spots_planned": 14,
        "spots_delivered": 4,
        "particles_planned": 13_500.0,
        "particles_delivered": pytest.approx(4497.4),
        "assumed": {"int1_counts": 0, "particles": 0.0, "spots": []},
        "fraction_spots_within_1_percent": 0.75,
        "prescribed_spots_delivered": 4,
        "fraction_prescribed_spots_within_1_percent": 0.75,
        "position_rms_mm": pytest.approx(sqrt((25.0 + 1.0 + 0.0) / 3)),
        "spills": 2,
        "beam_on_s": pytest.approx(0.75),
        "treatment_s": pytest.approx(10.5),
        "interlocks": [
            {
                "cause": "position x",
                "time_s": pytest.approx(6.000123),
                "spill": 1,
                "slice": 0,
                "spot": 2,
                "value": -2.5,
                "limit": 2.0,
                "unit": "mm",
                "action": "pause",
            }
        ],
    }
    np.testing.assert_allclose(particle_deviations(by_hand()), [0.0099, -0.011, 0.0, -0.009])


def test_field_of_which_nothing_was_delivered():
    nothing = field_record(slices=[{"slice": 0, "spots_planned": 3, "particles_planned": 3e5}])
    statistics = field_statistics(nothing)
    assert statistics.fraction_spots_within_1_percent is None
    assert statistics.fraction_prescribed_spots_within_1_percent is None
    assert statistics.position_rms_mm is None
    assert (statistics.spots_delivered, statistics.particles_delivered) == (0, 0.0)
    assert (statistics.spills, statistics.beam_on_s, statistics.treatment_s) == (0, 0.0, 0.0)


def test_no_position_was_valid():
    assert position_rms_mm(field_record(spots=[{"complete": True, "position_valid": False}])) is None


def test_total_of_two_fields():
    one = field_statistics(by_hand())
    other = msgspec.structs.replace(
        one,
        spots_delivered=12,
        particles_delivered=500.0,
        fraction_spots_within_1_percent=1.0,
        prescribed_spots_delivered=6,
        fraction_prescribed_spots_within_1_percent=0.5,
        position_rms_mm=1.0,
        treatment_s=4.5,
        interlocks=(),
    )
    total = total_statistics([one, other])
    assert total.spots_planned == 28
    assert total.spots_delivered == 16
    assert total.particles_delivered == pytest.approx(4997.4)
    assert total.treatment_s == pytest.approx(15.0)
    assert total.spills == 4
    assert total.fraction_spots_within_1_percent == pytest.approx((4 * 0.75 + 12 * 1.0) / 16)
    assert total.prescribed_spots_delivered == 10
    assert total.fraction_prescribed_spots_within_1_percent == pytest.approx((4 * 0.75 + 6 * 0.5) / 10)
    assert total.position_rms_mm == pytest.approx(sqrt((4 * 26 / 3 + 12 * 1.0) / 16))
    assert total.interlocks == one.interlocks


def test_total_with_a_field_of_which_nothing_was_delivered():
    one, nothing = field_statistics(by_hand()), field_statistics(field_record())
    total = total_statistics([one, nothing])
    assert total.fraction_spots_within_1_percent == 0.75
    assert total.position_rms_mm == one.position_rms_mm
    total = total_statistics([nothing, nothing])
    assert total.fraction_spots_within_1_percent is None
    assert total.position_rms_mm is None
    assert total_statistics([]).spots_planned == 0


@pytest.mark.parametrize(("value", "described"), [(0.1234, 0.1234), (inf, None), (nan, None)])
def test_value_that_json_has_no_word_for(value: float, described: float | None):
    row = {"cause": INT_RATIO, "value": value, "limit": 0.1, "action": STOP}
    (interlock,) = field_record(interlocks=[row]).interlocks
    assert describe_interlock(interlock).value == described
    assert describe_interlock(interlock).action == "stop"


@pytest.mark.parametrize("code", CAUSES)
def test_every_cause_has_words(code: int):
    (interlock,) = field_record(interlocks=[{"cause": code, "action": STOP}]).interlocks
    described = describe_interlock(interlock)
    assert described.cause == CAUSES[code].name
    assert described.unit
    assert CAUSES[BACKGROUND].name == "background"


def test_summary_of_a_delivery(small: Record):
    """The totals of one field are those of the field."""
    summary, (entry,) = small.summary, small.summary["fields"]
    statistics = keys_of(field_statistics(small.fields[0]))
    assert {key: entry[key] for key in statistics} == statistics
    for key, value in statistics.items():
        if key not in ("interlocks", "assumed", "status") and value is not None:
            assert summary[key] == pytest.approx(value), key
    assert (entry["field"], entry["folder"], entry["status"]) == (3, "field-03", "complete")
    assert summary["realtime_factor"] == pytest.approx(summary["beam_on_s"] / summary["loop_wall_s"])
    assert 0.0 < summary["loop_wall_s"] < summary["wall_s"]
    assert (summary["seed"], summary["raw"], summary["plan"]) == (12, False, "small.dcm")


def test_results_say_what_the_statistics_say():
    statistics = field_statistics(by_hand())
    results = {one.name: one for one in statistics_results(statistics, "field 1")}
    within = results["field 1: spots within 1 % in particles"]
    assert (within.value, within.unit) == (75.0, "percent")
    rms = results["field 1: position, rms"]
    assert (rms.value, rms.unit) == (statistics.position_rms_mm, "mm")
    assert results["field 1: particles delivered"].value == statistics.particles_delivered
    assert results["field 1: treatment"].value == 10.5


def test_what_no_spot_tells_has_no_value():
    results = {one.name: one for one in statistics_results(total_statistics([]))}
    assert results["position, rms"].value is None
    assert results["spots delivered"].value == 0
