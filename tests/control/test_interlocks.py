"""Every cause that stops the beam: what trips it, and what just does not."""

from __future__ import annotations

import pytest

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES, DELIVERER, SLOW
from spotline.control.memory import INTERLOCK_ROWS
from spotline.machine import load_beamline
from tests.control.trips import counts, inputs, places, ring
from tests.control.trips.case import Case
from tests.places import ROOT

CASES = [*counts.CASES, *places.CASES, *inputs.CASES, *ring.CASES]
FAST = {
    code
    for code, cause in CAUSES.items()
    if cause.source != SLOW
    and cause.source != DELIVERER
    and code not in (interlocks.BACKGROUND, interlocks.RECORD, interlocks.MEMORY_BOARDS)
}
KERNEL_CASES = [
    pytest.param(case, id=case.name, marks=pytest.mark.kernel if case.expected.cause in FAST else ())
    for case in CASES
]


@pytest.mark.parametrize("case", KERNEL_CASES)
def test_a_quantity_at_its_limit_is_an_interlock(case: Case):
    (tripped,) = case.drive(True)
    assert tripped == case.expected
    assert tripped.action == CAUSES[tripped.cause].action


@pytest.mark.parametrize("case", KERNEL_CASES)
def test_a_quantity_just_within_its_limit_is_none(case: Case):
    assert case.drive(False) == []


_BORDERS = "tests/control/test_slow.py::test_a_quantity_on_the_border_of_its_interval_is_an_interlock"
ELSEWHERE = {
    interlocks.TEMPERATURE_1: _BORDERS,
    interlocks.TEMPERATURE_2: _BORDERS,
    interlocks.PRESSURE_1: _BORDERS,
    interlocks.PRESSURE_2: _BORDERS,
    interlocks.HIGH_VOLTAGE_1: _BORDERS,
    interlocks.HIGH_VOLTAGE_2: _BORDERS,
    interlocks.PASSIVE_ELEMENTS: (
        "tests/control/test_slow.py::test_wrong_elements_are_those_missing_and_those_too_many"
    ),
    interlocks.GAS_DENSITY: (
        "tests/control/test_slow.py::test_density_of_either_box_that_changed_by_the_limit_is_an_interlock"
    ),
    interlocks.SLOW_SILENCE: (
        "tests/control/test_slow.py::test_silence_trips_when_the_last_reading_is_as_old_as_the_limit"
    ),
    interlocks.MEMORY_BOARDS: (
        "tests/delivery/test_interlocks.py::test_memory_boards_that_hold_something_else"
    ),
    interlocks.RECORD: "tests/delivery/test_output.py::test_disk_fills_between_spills",
    interlocks.ROOM_FAILURE: (
        "tests/delivery/test_room_failures.py::test_whatever_a_room_raises_is_an_interlock_of_it"
    ),
    interlocks.ROOM_ANSWER: "tests/delivery/test_room_answers.py::test_an_answer_that_cannot_be",
    interlocks.SPILLS: "tests/delivery/test_too_many_spills.py::test_spills_at_their_limit_and_just_below",
}
"""Causes that no case can drive, and the test that drives each to its limit and just not."""


def test_every_cause_has_its_cases():
    assert {case.expected.cause for case in CASES} | set(ELSEWHERE) == set(CAUSES)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_the_test_of_a_cause_that_is_tested_elsewhere_exists(place: str):
    file, _, test = place.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_table_is_sound():
    assert all(code == cause.code for code, cause in CAUSES.items())
    assert len({cause.name for cause in CAUSES.values()}) == len(CAUSES)
    codes = {
        value
        for name, value in vars(interlocks).items()
        if name.isupper() and isinstance(value, int) and name not in ("PAUSE", "STOP", "INHIBIT")
    }
    assert codes == set(CAUSES), "every code has its row"
    assert len(CAUSES) <= INTERLOCK_ROWS, "a spill has room for each cause once"


def test_limits_are_keys_of_the_beam_line_file():
    facts = load_beamline("cnao-h").facts
    for cause in CAUSES.values():
        table, _, key = cause.limit.partition(".")
        if table == "ions":
            assert all(hasattr(ion, key) for ion in facts.ions)
        elif cause.limit:
            assert hasattr(getattr(facts, table), key)
