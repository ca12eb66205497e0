"""Grants and checks before and during a field, in a room without physics."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES, INHIBIT, SLOW, STOP
from spotline.control.register import InterlockRegister
from spotline.delivery.field import Earlier
from spotline.delivery.progress import Command, Order
from spotline.files import write_json
from spotline.hdf5 import keys_of
from spotline.record.folder import FIELD_HEADER
from spotline.record.read import open_field
from spotline.record.recovered import field_header, read_state
from spotline.record.spill_file import read_spill, spill_path
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.overseen import SAID, SECOND_us, at, changed, events, latched, state
from tests.delivery.scripted_room import TREATMENT, CYCLE_us, ScriptedRoom, delivered, delivery_of
from tests.readings import GOOD, good_but

# How it goes when nothing happens


def test_a_field_walks_through_the_table(tmp_path: Path):
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path)
    assert outcome.complete
    assert [(row["event"], row["state"]) for row in outcome.events] == [
        ("treatment received", "treatment loaded"),
        ("slow control grants", "treatment loaded"),
        ("all checks passed", "ready"),
        ("supervision acknowledges", "beam delivery"),
        ("spill over, spots left", "beam delivery"),
        ("last spot of the last slice delivered", "post treatment"),
    ]
    assert [row["time_us"] for row in outcome.events[-2:]] == [CYCLE_us + 5000, 2 * CYCLE_us + 5000]
    assert room.is_off
    assert (outcome.interlocks_without_beam, latched(outcome)) == ([], [])


def test_the_record_ends_it(tmp_path: Path):
    delivery_of(ScriptedRoom(), tmp_path).run()
    last = read_state(tmp_path).events[-1]
    assert (last.event, last.state) == ("record written", "off treatment")
    (tmp_path / "b").mkdir()
    delivery_of(ScriptedRoom(background=(11.0, 0.0)), tmp_path / "b").run()
    last = read_state(tmp_path / "b").events[-1]
    assert (last.event, last.state) == ("record written", "interrupted"), "the rest waits"


def test_counts_are_made_with_the_gas_of_either_box(tmp_path: Path):
    reading = good_but(temperature1_C=22.0, pressure1_Pa=100_500.0, temperature2_C=18.0)
    outcome = delivered(ScriptedRoom(reading), tmp_path)
    assert outcome.complete
    stored = read_treatment_file(tmp_path)
    first, second = 293.15 / 295.15 * 100_500 / 101_325, 293.15 / 291.15
    assert stored.header.gas_factors == pytest.approx([first, second])
    for gas, kept in ((first, "1"), (second, "2")):
        reference = TREATMENT.slices[0]
        expected = getattr(reference, f"particles_per_count{kept}") / gas
        np.testing.assert_allclose(getattr(stored.slices[0], f"particles_per_count{kept}"), expected)


# Slow control


TRIPS: dict[int, dict[str, object]] = {
    interlocks.TEMPERATURE_1: {"temperature1_C": 26.0},
    interlocks.TEMPERATURE_2: {"temperature2_C": 16.0},
    interlocks.PRESSURE_1: {"pressure1_Pa": 9e4},
    interlocks.PRESSURE_2: {"pressure2_Pa": 11e4},
    interlocks.HIGH_VOLTAGE_1: {"high_voltage1_V": 395.0},
    interlocks.HIGH_VOLTAGE_2: {"high_voltage2_V": 405.0},
    interlocks.PASSIVE_ELEMENTS: {"mounted": ("RIFI1",)},
    interlocks.GAS_DENSITY: {"pressure2_Pa": 101325.0 * 1.0101},
}
JUST_NOT: dict[int, dict[str, object]] = {
    interlocks.TEMPERATURE_1: {"temperature1_C": math.nextafter(26.0, 0.0)},
    interlocks.TEMPERATURE_2: {"temperature2_C": math.nextafter(16.0, 99.0)},
    interlocks.PRESSURE_1: {"pressure1_Pa": math.nextafter(9e4, 1e9)},
    interlocks.PRESSURE_2: {"pressure2_Pa": math.nextafter(11e4, 0.0)},
    interlocks.HIGH_VOLTAGE_1: {"high_voltage1_V": math.nextafter(395.0, 400.0)},
    interlocks.HIGH_VOLTAGE_2: {"high_voltage2_V": math.nextafter(405.0, 400.0)},
    interlocks.PASSIVE_ELEMENTS: {"mounted": ()},
    interlocks.GAS_DENSITY: {"pressure2_Pa": 101325.0 * 1.0099},
}


def test_every_slow_row_is_driven_through_a_field():
    rows = {code for code, cause in CAUSES.items() if cause.source == SLOW}
    assert set(TRIPS) == set(JUST_NOT) == rows - {interlocks.SLOW_SILENCE}


@pytest.mark.parametrize("cause", [cause for cause in TRIPS if cause != interlocks.GAS_DENSITY])
def test_no_treatment_begins_with_a_slow_quantity_at_its_limit(tmp_path: Path, cause: int):
    room = ScriptedRoom(good_but(**TRIPS[cause]))  # type: ignore[arg-type]
    outcome = delivered(room, tmp_path)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["time_us"], row["spill"], row["action"]) == (cause, 0, 0, STOP)
    assert latched(outcome) == [cause]
    assert events(outcome) == ["treatment received", "a check failed"]
    assert (state(outcome), room.spills, outcome.complete) == ("interrupted", [], False)
    assert read_treatment_file(tmp_path).header.gas_factors == (1.0, 1.0)
    (tmp_path / "b").mkdir()
    within = ScriptedRoom(good_but(**JUST_NOT[cause]))  # type: ignore[arg-type]
    assert delivered(within, tmp_path / "b").complete


@pytest.mark.parametrize("cause", TRIPS)
@pytest.mark.parametrize("when_us", [SECOND_us, CYCLE_us])
def test_a_slow_quantity_that_reaches_its_limit_stops_before_or_within_a_spill(
    tmp_path: Path, cause: int, when_us: int
):
    room = ScriptedRoom(changed(lambda now_us: now_us == when_us, **TRIPS[cause]))
    outcome = delivered(room, tmp_path)
    assert latched(outcome)[0] == cause
    assert (outcome.complete, state(outcome)) == (False, "interrupted")
    assert events(outcome)[-1] == "slow control withdraws its grant"
    if when_us < CYCLE_us:
        assert cause in [row["cause"] for row in outcome.interlocks_without_beam]
        assert (room.spots_of, outcome.spills) == ([], 0)
    else:
        assert outcome.interlocks_without_beam == []
        spill = read_spill(spill_path(tmp_path, 1))
        assert cause in spill.interlocks["cause"]
        assert spill.header.end_reason == 4
        assert len(room.spots_of) == 1
    # The register has it from the reading, with the time of the reading.
    assert {row.time_us for row in outcome.register.latched} == {when_us}


@pytest.mark.parametrize("cause", [c for c in TRIPS if c != interlocks.PASSIVE_ELEMENTS])
def test_a_slow_quantity_just_within_its_limit_stops_nothing(tmp_path: Path, cause: int):
    # The density must not change by more than a percent either, so it is converted like this.
    others = {} if cause == interlocks.GAS_DENSITY else JUST_NOT[cause]
    changes = JUST_NOT[cause]
    room = ScriptedRoom(lambda now_us: good_but(**(changes if now_us else others)))  # type: ignore[arg-type]
    outcome = delivered(room, tmp_path)
    assert (outcome.complete, latched(outcome)) == (True, [])


@pytest.mark.parametrize(("last_us", "complete"), [(0, False), (SECOND_us, False), (2 * SECOND_us, True)])
def test_how_long_silence_may_last(tmp_path: Path, last_us: int, complete: bool):
    """Spills begin at 2 s and 4 s and the second is over at 4.005 s; the silence may last 3 s."""
    outcome = delivered(ScriptedRoom(lambda now_us: GOOD if now_us <= last_us else None), tmp_path)
    assert outcome.complete == complete
    assert latched(outcome) == ([] if complete else [interlocks.SLOW_SILENCE])
    if not complete:
        assert outcome.register.latched[0].time_us == last_us + 3 * SECOND_us


def test_a_treatment_waits_for_its_first_reading(tmp_path: Path):
    room = ScriptedRoom(lambda now_us: good_but(pressure1_Pa=1e5) if now_us >= 2 * SECOND_us else None)
    outcome = delivered(room, tmp_path)
    assert outcome.complete
    assert room.read_at[:3] == [0, SECOND_us, 2 * SECOND_us]
    assert read_treatment_file(tmp_path).header.gas_factors[0] == pytest.approx(1e5 / 101325)
    assert room.spills[0][0] >= 2 * SECOND_us


def test_a_treatment_without_any_reading_does_not_begin(tmp_path: Path):
    room = ScriptedRoom(None)
    outcome = delivered(room, tmp_path)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["time_us"], row["value"]) == (interlocks.SLOW_SILENCE, 3 * SECOND_us, 3.0)
    assert (room.spills, state(outcome)) == ([], "interrupted")


def test_a_reading_that_is_no_number_goes_through_the_files(tmp_path: Path):
    room = ScriptedRoom(good_but(temperature2_C=math.nan))
    outcome = delivered(room, tmp_path)
    write_json(tmp_path / FIELD_HEADER, keys_of(field_header(read_state(tmp_path))))
    record = open_field(tmp_path)
    (reading,) = record.slow_control
    assert math.isnan(reading["temperature2_C"])
    assert math.isnan(reading["flux_correction2"])
    assert reading["flux_correction1"] == 1.0
    (row,) = record.interlocks
    assert row["cause"] == interlocks.TEMPERATURE_2
    assert math.isnan(row["value"])
    kept = json.loads((tmp_path / FIELD_HEADER).read_text())
    assert kept["register"]["latched"][0]["value"] is None
    assert InterlockRegister.from_json(json.dumps(kept["register"])) == outcome.register
    assert kept["events"][-2] == {"time_us": 0, "event": "a check failed", "state": "interrupted"}


# Before the beam


@pytest.mark.parametrize("background", [(10.0, 0.0), (0.0, 10.0)])
def test_background_inhibits_the_treatment(tmp_path: Path, background: tuple[float, float]):
    room = ScriptedRoom(background=background)
    outcome = delivered(room, tmp_path)
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["value"], row["action"]) == (interlocks.BACKGROUND, 10.0, INHIBIT)
    assert (latched(outcome), room.spills, state(outcome)) == ([interlocks.BACKGROUND], [], "interrupted")


def test_background_just_within_its_limit_inhibits_nothing(tmp_path: Path):
    within = math.nextafter(10.0, 0.0)
    assert delivered(ScriptedRoom(background=(within, within)), tmp_path).complete


def test_no_treatment_begins_with_something_latched(tmp_path: Path):
    register = InterlockRegister()
    register.latch(interlocks.COUCH, 1.0, 0.0, 0, 0)
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path, earlier=Earlier(None, 0, 0, register))
    assert (room.spills, state(outcome), latched(outcome)) == ([], "interrupted", [interlocks.COUCH])


def test_the_supervision_aborts_just_before_the_beam(tmp_path: Path):
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path, orders=at(("ready", Order(Command.ABORT, *SAID))))
    (row,) = outcome.interlocks_without_beam
    assert (row["cause"], row["spill"], row["action"]) == (interlocks.SUPERVISION, 0, STOP)
    assert events(outcome)[-2:] == ["all checks passed", "supervision aborts"]
    assert (room.spills, state(outcome)) == ([], "interrupted")
