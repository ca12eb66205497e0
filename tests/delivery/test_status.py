"""The status that is published while a treatment goes on."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.delivery.progress import Progress
from spotline.delivery.status import STATUS_COLUMNS, StatusFile, status_of
from spotline.delivery.stream import Stream
from spotline.hdf5 import keys_of
from spotline.record.folder import STATUS
from tests.delivery.scripted_room import CYCLE_us, ScriptedRoom, delivered
from tests.readings import GOOD, good_but


def published(folder: Path, room: ScriptedRoom, **options: Any) -> list[dict[str, Any]]:
    """Every status of a field, as it stands in the file after each time that it is written."""
    seen = []

    class Seen(StatusFile):
        def write(self, progress: Progress) -> None:
            super().write(progress)
            seen.append(json.loads((folder / STATUS).read_text()))

    stream = Stream()
    stream.attend(Seen(folder).take)
    delivered(room, folder, stream=stream, **options)
    return seen


def test_every_change_of_the_state_is_published(tmp_path: Path):
    seen = published(tmp_path, ScriptedRoom())
    # The second status of each spill comes at its end; the first one a second or more after the one before.
    shown = [
        (status["state"], status["permit"], status["spill"], status["spots_complete"]) for status in seen
    ]
    assert shown == [
        ("treatment loaded", False, 0, 0),
        ("treatment loaded", False, 0, 0),
        ("ready", False, 0, 0),
        ("beam delivery", True, 0, 0),
        ("beam delivery", True, 1, 4),
        ("beam delivery", True, 1, 5),
        ("beam delivery", True, 2, 9),
        ("post treatment", False, 2, 10),
        ("off treatment", False, 2, 10),
    ]
    last = seen[-1]
    assert (last["fields"], last["slices"], last["spots_planned"], last["energy_MeV_u"]) == (1, 2, 10, 208.59)
    assert (last["int1_counts"], last["int2_counts"]) == (50, 55), "of the last spill"
    assert last["treatment_s"] == pytest.approx((2 * CYCLE_us + 5000) * 1e-6)
    assert datetime.fromisoformat(last["updated"]).tzinfo is not None
    assert not list(tmp_path.glob("*.part"))


def test_gas_and_high_voltage_of_both_boxes_are_there(tmp_path: Path):
    reading = good_but(temperature2_C=22.0, pressure1_Pa=1e5, high_voltage1_V=399.0, high_voltage2_V=401.0)
    first, *_, last = published(tmp_path, ScriptedRoom(reading))
    assert (first["box1"], first["box2"], first["slow_control_s"]) == (None, None, None)
    assert last["box1"] == {
        "temperature_C": 20.0,
        "pressure_Pa": 1e5,
        "high_voltage_V": 399.0,
        "flux_correction": pytest.approx(1.01325),
    }
    assert last["box2"]["flux_correction"] == pytest.approx(295.15 / 293.15)
    assert (last["box2"]["temperature_C"], last["box2"]["high_voltage_V"]) == (22.0, 401.0)
    assert last["slow_control_s"] == 4.0


def test_a_long_spill_is_published_once_a_second(tmp_path: Path):
    seen = published(tmp_path, ScriptedRoom(spill_ms=1500, no_beam=(1,)))
    in_spill = [status["treatment_s"] for status in seen if status["spill"] == 1]
    assert in_spill == pytest.approx([2.02, 3.02, 3.5])


def test_what_is_latched_is_published_in_words(tmp_path: Path):
    *_, last = published(tmp_path, ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)}))
    assert last["state"] == "interrupted"
    assert last["interlocks"] == [
        {"cause": "int ratio", "value": 9.0, "limit": 1.0, "unit": "1", "time_s": pytest.approx(2.003)}
    ]


def test_numbers_that_are_none_are_null(tmp_path: Path):
    *_, last = published(tmp_path, ScriptedRoom(good_but(temperature1_C=math.nan)))
    assert last["box1"]["temperature_C"] is None
    assert last["box1"]["flux_correction"] is None
    assert last["box2"]["flux_correction"] == 1.0
    assert last["interlocks"][0]["value"] is None


def test_a_status_that_cannot_be_written_ends_no_treatment(tmp_path: Path):
    (tmp_path / STATUS).mkdir()
    stream = Stream()
    stream.attend(StatusFile(tmp_path).take)
    assert delivered(ScriptedRoom(), tmp_path, stream=stream).complete
    assert status_of(stream.progress).state == "off treatment"


def test_what_is_in_the_status_is_described():
    status = keys_of(status_of(Progress(reading=GOOD, flux_corrections=(1.0, 1.0))))
    assert [column.name for column in STATUS_COLUMNS] == list(status)
    described = {column.name: [inner.name for inner in column.columns] for column in STATUS_COLUMNS}
    assert described["box1"] == described["box2"] == list(status["box1"])


def test_what_is_latched_is_described(tmp_path: Path):
    *_, last = published(tmp_path, ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)}))
    described = {column.name: [inner.name for inner in column.columns] for column in STATUS_COLUMNS}
    assert described["interlocks"] == list(last["interlocks"][0])
