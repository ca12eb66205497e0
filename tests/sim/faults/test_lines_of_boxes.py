"""Contacts at the boxes: which lines are active for which gas and voltage."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import spotline
from spotline.control.memory import INPUT_GAS, INPUT_HIGH_VOLTAGE
from spotline.sim.faults.slow import lines_of_boxes
from spotline.sim.settings import BoxState

SOUND = BoxState(temperature_C=22.0, pressure_Pa=100_500.0, high_voltage_V=400.0)
LIMITS = {
    "temperature_C": (16.0, 26.0, INPUT_GAS),
    "pressure_Pa": (9.0e4, 11.0e4, INPUT_GAS),
    "high_voltage_V": (395.0, 405.0, INPUT_HIGH_VOLTAGE),
}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("quantity", LIMITS)
def test_a_contact_closes_at_the_end_of_the_interval(quantity: str, number: int):
    facts = spotline.load_beamline("cnao-h").facts
    low, high, line = LIMITS[quantity]

    def lines(value: float) -> int:
        boxes = [SOUND, SOUND]
        boxes[number - 1] = replace(SOUND, **{quantity: value})
        return lines_of_boxes(facts, boxes)

    assert (lines(low), lines(high)) == (line, line)
    assert lines(math.nextafter(low, high)) == lines(math.nextafter(high, low)) == 0


def test_both_lines_at_once():
    facts = spotline.load_beamline("cnao-h").facts
    bad = replace(SOUND, pressure_Pa=8.0e4, high_voltage_V=0.0)
    assert lines_of_boxes(facts, (SOUND, bad)) == INPUT_GAS | INPUT_HIGH_VOLTAGE
