"""The log holds exactly the quantities of Table 3 of the dose delivery paper."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import numpy as np
import pytest

from spotline import Record
from spotline.files import write_json
from spotline.hdf5 import keys_of
from spotline.record.log import log_of, write_log
from tests.record.tables import field_record

GENERAL = {"delivered_slices", "delivered_spots", "delivered_particles"}
SLICE = {
    "cycle_code",
    "delivered_spots",
    "cumulative_particles",
    "passive_elements",
    "fwhm_x_mm",
    "fwhm_y_mm",
    "spots",
}
SPOTS = {"particles", "x_mm", "y_mm", "dx_mm", "dy_mm"}


@pytest.fixture
def by_hand():
    """A whole slice, one that was begun, and one that was not."""
    common = {"complete": True, "x_planned_mm": 1.0, "y_planned_mm": -2.0}
    return field_record(
        spots=[
            {**common, "slice": 0, "particles": 50_001.26, "x_mm": 1.23456, "y_mm": -2.5},
            {**common, "slice": 0, "particles": 49_999.0, "x_mm": nan, "y_mm": nan},
            {**common, "slice": 1, "particles": 60_000.0, "x_mm": 0.9, "y_mm": -2.0},
            {**common, "slice": 1, "particles": 123.0, "x_mm": 1.0, "y_mm": -2.0, "complete": False},
        ],
        slices=[
            {"slice": i, "cycle_code": 0x160005681 + i, "spots_planned": 2, "spots_delivered": n,
             "fwhm_x_mm": 5.5, "fwhm_y_mm": 6.5}
            for i, n in enumerate((2, 1, 0))
        ],
        passive_elements=["RIFI1", "RIFI2"],
    )  # fmt: skip


def test_by_hand(by_hand):
    assert keys_of(log_of(by_hand)) == {
        "general": {
            "delivered_slices": 1,
            "delivered_spots": 3,
            "delivered_particles": pytest.approx(160_123.26),
        },
        "slices": [
            {
                "cycle_code": "0160005681",
                "delivered_spots": 2,
                "cumulative_particles": pytest.approx(100_000.26),
                "passive_elements": ["RIFI1", "RIFI2"],
                "fwhm_x_mm": 5.5,
                "fwhm_y_mm": 6.5,
                "spots": {
                    "particles": [50_001.3, 49_999.0],
                    "x_mm": [1.235, None],
                    "y_mm": [-2.5, None],
                    "dx_mm": [0.235, None],
                    "dy_mm": [-0.5, None],
                },
            },
            {
                "cycle_code": "0160005682",
                "delivered_spots": 1,
                "cumulative_particles": 60_123.0,
                "passive_elements": ["RIFI1", "RIFI2"],
                "fwhm_x_mm": 5.5,
                "fwhm_y_mm": 6.5,
                "spots": {
                    "particles": [60_000.0, 123.0],
                    "x_mm": [0.9, 1.0],
                    "y_mm": [-2.0, -2.0],
                    "dx_mm": [-0.1, 0.0],
                    "dy_mm": [0.0, 0.0],
                },
            },
        ],
    }


def test_log_of_a_delivery(small: Record):
    (delivered,) = small.fields
    log = json.loads((delivered.path / "log.json").read_text(encoding="utf-8"))
    assert set(log) == {"general", "slices"}
    assert set(log["general"]) == GENERAL
    assert [set(entry) for entry in log["slices"]] == [SLICE] * 2
    assert [set(entry["spots"]) for entry in log["slices"]] == [SPOTS] * 2
    assert log["general"]["delivered_slices"] == 2
    assert log["general"]["delivered_spots"] == 18
    assert log["general"]["delivered_particles"] == pytest.approx(delivered.spots["particles"].sum())
    assert log["general"]["delivered_particles"] == pytest.approx(2.7e6, rel=0.02)
    for entry, row in zip(log["slices"], delivered.slices, strict=True):
        assert int(entry["cycle_code"], 16) == row["cycle_code"]
        assert len(entry["cycle_code"]) == 10
        assert {len(column) for column in entry["spots"].values()} == {9}
        spots = delivered.spots[delivered.spots["slice"] == row["slice"]]
        np.testing.assert_allclose(entry["spots"]["x_mm"], spots["x_mm"], atol=0.0006)
        np.testing.assert_allclose(
            entry["spots"]["dy_mm"], spots["y_mm"] - spots["y_planned_mm"], atol=0.0006
        )


def test_nothing_was_delivered(tmp_path: Path):
    nothing = field_record(slices=[{"slice": 0, "spots_planned": 3}])
    write_log(nothing, tmp_path)
    assert json.loads((tmp_path / "log.json").read_text(encoding="utf-8")) == {
        "general": {"delivered_slices": 0, "delivered_spots": 0, "delivered_particles": 0.0},
        "slices": [],
    }


def test_what_json_cannot_say_is_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": nan})
    assert list(tmp_path.iterdir()) == []
