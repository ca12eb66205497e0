"""How long the magnets take, against an integration of their supplies and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.machine import load_beamline
from spotline.moves import AxisMoves, Moves, move_times_us, transit_time_us

pytestmark = pytest.mark.kernel

SLEW_A_per_us, SETTLED_A = 0.023, 0.2
MOVES = Moves(
    AxisMoves(1.1, SLEW_A_per_us, 20.0, SETTLED_A),
    AxisMoves(0.7, SLEW_A_per_us / 2, 60.0, SETTLED_A),
)
STEPS_mm = st.floats(-200.0, 200.0)


def integrated_us(step_A: float, axis: AxisMoves) -> float:
    """Integrate the supply in steps of 10 ns: slew at most, and at most the remaining step per tau."""
    remaining_A, time_us, dt_us = abs(step_A), 0.0, 0.01
    while remaining_A > axis.settled_A:
        rate = axis.slew_A_per_us
        if axis.settling_us > 0.0:
            rate = min(rate, remaining_A / axis.settling_us)
        remaining_A -= rate * dt_us
        time_us += dt_us
    return time_us


@pytest.mark.parametrize("step_A", [0.1, 0.3, 1.0, -3.0, 5.0])
@pytest.mark.parametrize("tau_us", [0.0, 5.0, 20.0, 60.0])
@pytest.mark.parametrize("A_per_mm", [1.0, 0.5])
def test_transit_time_against_integration(step_A: float, tau_us: float, A_per_mm: float):
    axis = AxisMoves(A_per_mm, SLEW_A_per_us, tau_us, SETTLED_A)
    time_us = transit_time_us(step_A / A_per_mm, axis)
    assert time_us == pytest.approx(integrated_us(step_A, axis), abs=0.1)


@given(a_mm=STEPS_mm, b_mm=STEPS_mm)
def test_a_longer_step_takes_no_less(a_mm: float, b_mm: float):
    a_mm, b_mm = sorted((a_mm, b_mm), key=abs)
    assert 0.0 <= transit_time_us(a_mm, MOVES.x) <= transit_time_us(b_mm, MOVES.x)
    assert transit_time_us(a_mm, MOVES.x) == transit_time_us(-a_mm, MOVES.x)


def test_the_slower_axis_decides():
    # x: 11 A are 0.46 A of exponential approach, from which 20 us x ln(0.46 / 0.2), after 10.54 A of slewing.
    x_us = 10.54 / 0.023 + 20.0 * math.log(0.46 / 0.2)
    # y: 3.5 A, of which 0.69 A (0.0115 A/us x 60 us) exponentially.
    y_us = 2.81 / 0.0115 + 60.0 * math.log(0.69 / 0.2)
    x_mm, y_mm = np.array([0.0, 10.0, 10.0, 0.0]), np.array([0.0, 0.0, 5.0, 10.0])
    times_us = move_times_us(x_mm, y_mm, MOVES)
    assert x_us > y_us
    # The last move is 10 mm in x and 5 mm in y: both magnets move at the same time.
    np.testing.assert_allclose(times_us, [0.0, x_us, y_us, x_us], rtol=1e-12)


def test_no_moves():
    assert move_times_us(np.zeros(1), np.zeros(1), MOVES).tolist() == [0.0]


def test_moves_of_a_line():
    """A stiffer beam needs more current per mm; the currents are those of the slices."""
    line = load_beamline("cnao-h")
    soft, stiff = line.moves("proton", 62.73), line.moves("carbon", 398.84)
    # 1 mm from 6.2 m is 0.1613 mrad: of 6.33 T m and 0.67 mT m / A, 1.52 A.
    assert stiff.x.A_per_mm == pytest.approx(1.52, abs=0.01)
    assert soft.x.A_per_mm < stiff.x.A_per_mm
    assert stiff.x.slew_A_per_us == pytest.approx(0.023)
    with pytest.raises(KeyError):
        line.moves("neon", 200.0)
