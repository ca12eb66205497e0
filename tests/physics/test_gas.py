"""The density of the chamber gas."""

from __future__ import annotations

import math

import pytest

from spotline.machine import load_beamline

LINE = load_beamline("cnao-h")


def test_gas_factor():
    # 293.15 / 298.15 * 99000 / 101325
    assert LINE.gas_factor(25.0, 99_000.0) == pytest.approx(0.9606688, abs=1e-7)
    assert LINE.gas_factor(20.0, 101_325.0) == 1.0


@pytest.mark.parametrize(
    ("temperature_C", "pressure_Pa"),
    [(-273.15, 1e5), (-300.0, 1e5), (20.0, 0.0), (20.0, -1.0), (math.nan, 1e5), (20.0, math.nan)],
)
def test_what_no_gas_can_have_has_no_density(temperature_C: float, pressure_Pa: float):
    assert math.isnan(LINE.gas_factor(temperature_C, pressure_Pa))
