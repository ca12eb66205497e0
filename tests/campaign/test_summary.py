"""What a campaign found, in numbers."""

from __future__ import annotations

import json

from spotline.campaign.invariants import COUNTS, EXCESS, FAILURE
from spotline.campaign.row import Row
from spotline.campaign.summary import summary_of
from spotline.hdf5 import keys_of
from tests.campaign.made_up import PROVENANCE, row_of


def rows() -> list[Row]:
    dead = {"fault1": "int2.dead", "struck": True, "detected_by": "int ratio", "outcome": "resumed"}
    return [
        row_of(0),
        row_of(1, **dead, detection_us=800, beam_off_us=250, excess=2e4),
        row_of(2, **dead, detection_us=1200, beam_off_us=300, excess=9e4, slice=1, spot=7, prescribed=2e6),
        row_of(3, fault1="int2.dead"),
        row_of(4, fault1="strip_x.dead", struck=True, misplaced=3e5, excess=1e4),
        row_of(
            5, fault1="strip_x.dead", fault2="beam.spike", struck=True, excess=3e5, excess_bound=2e5,
            violations=EXCESS | COUNTS, remarks="too much",
        ),
    ]  # fmt: skip


def test_totals():
    found = keys_of(summary_of(rows(), PROVENANCE))
    assert (found["runs"], found["faults"], found["detections"]) == (6, 4, 2)
    assert found["outcomes"] == {"complete": 4, "resumed": 2}
    assert found["violations"] == {
        "excess": 1,
        "beam_off": 0,
        "counts": 1,
        "false_trip": 0,
        "failure": 0,
        "lack": 0,
    }
    assert found["violating_runs"] == [{"run": 5, "invariants": ["excess", "counts"], "remarks": "too much"}]
    assert found["worst_excess"]["run"] == 5
    assert found["worst_beam_off"] == {"value": 300, "bound": 500.0, "run": 2}


def test_errors_of_the_program_are_told():
    failed = {"violations": FAILURE, "outcome": "failed"}
    ended = [
        row_of(0),
        row_of(1, **failed, remarks="OSError: no room"),
        row_of(2, **failed, remarks="ValueError: wrong; correct it"),
        row_of(3, violations=COUNTS, remarks="a count is missing"),
        row_of(4, **failed, remarks="ValueError: wrong; correct it"),
    ]
    assert keys_of(summary_of(ended, PROVENANCE))["failures"] == [
        {"error": "ValueError: wrong; correct it", "runs": 2, "first": 2},
        {"error": "OSError: no room", "runs": 1, "first": 1},
    ]


def test_by_kind():
    kinds = keys_of(summary_of(rows(), PROVENANCE))["kinds"]
    assert list(kinds) == ["beam.spike + strip_x.dead", "int2.dead", "strip_x.dead"]
    dead = kinds["int2.dead"]
    assert (dead["runs"], dead["struck"], dead["detected"], dead["by"]) == (3, 2, 2, {"int ratio": 2})
    assert dead["detection_us"] == {"median": 1000.0, "largest": 1200}
    assert dead["worst_excess"] == {
        "value": 9e4, "bound": 1e5, "run": 2, "slice": 1, "spot": 7, "prescribed": 2e6,
    }  # fmt: skip
    assert dead["worst_excess_undetected"] is None
    unseen = kinds["strip_x.dead"]
    assert (unseen["detected"], unseen["by"], unseen["detection_us"]["median"]) == (0, {}, None)
    assert unseen["worst_excess_undetected"]["value"] == 1e4
    assert unseen["worst_misplaced_undetected"] == 3e5


def test_is_json_without_a_run():
    assert (
        json.loads(json.dumps(keys_of(summary_of([], PROVENANCE)), allow_nan=False))["worst_excess"] is None
    )
