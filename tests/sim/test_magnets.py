"""Scanning magnets against their differential equation, and how fast the beam lines are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.control.scan import to_step
from spotline.machine import load_beamline
from spotline.machine.geometry import current_A
from spotline.moves import AxisMoves, transit_time_us
from spotline.physics.ions import CARBON, PROTON, Ion
from spotline.sim.magnets import advance_magnets, follow, position, read_back
from tests.sim.plants import AXIS, beam_truth, new_beam

pytestmark = pytest.mark.kernel

SLEW, TAU = AXIS.slew_A_per_us, AXIS.settling_us


def integrate(
    current: np.ndarray, setting: np.ndarray, slew: float, tau_us: float, step_us: float
) -> np.ndarray:
    """Solve dI/dt = clip((set - I) / tau, -slew, slew) with classical Runge-Kutta in steps of 5 ns."""
    n = round(step_us / 0.005)
    h = step_us / n

    def rate(value: np.ndarray) -> np.ndarray:
        return np.clip((setting - value) / tau_us, -slew, slew)

    value = current.copy()
    for _ in range(n):
        k1 = rate(value)
        k2 = rate(value + h / 2 * k1)
        k3 = rate(value + h / 2 * k2)
        k4 = rate(value + h * k3)
        value += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return value


def test_follow_solves_the_equation_of_a_supply_with_limited_slew():
    knee = SLEW * TAU
    steps = np.array(
        [0.0, 1e-3, 0.5 * knee, 0.999 * knee, knee, 1.001 * knee, 1.3 * knee, 2 * knee, 5.0, 300.0]
    )
    current = np.tile([-40.0, 0.0, 17.0], (2 * len(steps), 1)).ravel()
    setting = current + np.repeat(np.concatenate([steps, -steps]), 3)
    for slew, tau_us, step_us in ((SLEW, TAU, 25.0), (SLEW, TAU, 100.0), (0.5, 3.0, 25.0)):
        expected = integrate(current, setting, slew, tau_us, step_us)
        found = [follow(c, s, slew, tau_us, step_us) for c, s in zip(current, setting, strict=True)]
        # What is left when less than a microampere is missing is dropped.
        np.testing.assert_allclose(found, expected, atol=2e-6)


@given(st.floats(-200.0, 200.0), st.floats(-200.0, 200.0), st.integers(1, 6))
def test_steps_add_up(current: float, setting: float, n: int):
    value = current
    for _ in range(n):
        value = follow(value, setting, SLEW, TAU, 25.0)
    assert value == pytest.approx(follow(current, setting, SLEW, TAU, 25.0 * n), abs=3e-6)


@given(st.floats(-200.0, 200.0), st.floats(-200.0, 200.0))
def test_a_supply_never_overshoots_nor_slews_too_fast(current: float, setting: float):
    after = follow(current, setting, SLEW, TAU, 25.0)
    assert abs(after - current) <= SLEW * 25.0 * (1 + 1e-9)
    assert min(current, setting) <= after <= max(current, setting)


def test_a_supply_stays_where_it_is_told_to_be():
    assert follow(12.3, 12.3, SLEW, TAU, 25.0) == 12.3
    value = 10.0
    for _ in range(100):
        value = follow(value, 12.3, SLEW, TAU, 25.0)
    assert value == 12.3, "it arrives, to the last bit"


def test_a_supply_without_settling_time_slews_all_the_way():
    assert follow(0.0, 10.0, 0.1, 0.0, 25.0) == 2.5
    assert follow(0.0, 1.0, 0.1, 0.0, 25.0) == 1.0
    assert follow(0.0, -1.0, 0.1, 0.0, 25.0) == -1.0


# Transit times of the shipped line


def transit_us(ion: Ion, energy_MeV_u: float, plane: str, step_mm: float) -> float:
    """Time from a new set-point until the current is settled, microsecond by microsecond."""
    facts = load_beamline("cnao-h").facts
    axis = getattr(facts.scanning, plane)
    source_mm = getattr(facts.geometry, f"{plane}_source_to_isocentre_mm")
    step_A = float(
        current_A(step_mm, source_mm, ion.rigidity_T_m(energy_MeV_u), axis.integral_field_mT_m_per_A)
    )
    set_A = to_step(step_A, axis.current_step_A)
    value, time_us = 0.0, 0
    while abs(value - set_A) >= facts.control.settled_current_A:
        value = follow(value, set_A, axis.slew_A_per_s * 1e-6, axis.settling_time_us, 1.0)
        time_us += 1
        assert time_us < 2000
    supply = AxisMoves(1.0, axis.slew_A_per_s * 1e-6, axis.settling_time_us, facts.control.settled_current_A)
    closed_form = transit_time_us(set_A, supply)
    assert time_us == pytest.approx(closed_form, abs=1.0)
    return time_us


@pytest.mark.parametrize("plane", ["x", "y"])
@pytest.mark.parametrize(
    ("ion", "energies", "step_mm"), [(CARBON, (115.23, 398.84), 2.0), (PROTON, (62.73, 228.57), 3.0)]
)
def test_a_step_of_the_grid_takes_less_than_200_us(
    ion: Ion, energies: tuple[float, ...], step_mm: float, plane: str
):
    """Giordanengo 2015, II.C, for the spacings with which fields are planned."""
    times = [transit_us(ion, energy, plane, step_mm) for energy in energies]
    assert max(times) < 200.0
    assert times == sorted(times), "stiffer beams take longer"


# The true position


def test_position_is_that_of_the_mean_current_with_offset_drift_and_jitter():
    axis = AXIS._replace(offset_mm=0.2, drift_mm_per_us=1e-7)
    expected = 0.7 * (10.0 + 12.0) / 2 + 0.2 + 1e-7 * 500_000 + 0.03
    assert position(10.0, 12.0, axis, 500_000.0, 0.03) == pytest.approx(expected, abs=1e-12)


def test_both_planes_advance_on_their_own():
    beam = new_beam(x_current_A=1.0, y_current_A=-2.0)
    y = AXIS._replace(slew_A_per_us=0.01, mm_per_A=-0.5, offset_mm=1.0)
    advance_magnets(beam[0], beam_truth(y=y), 1000, 50.0, -50.0)
    assert beam[0].x_current_A == 1.0 + 25 * SLEW
    assert beam[0].y_current_A == -2.0 - 25 * 0.01
    assert beam[0].x_iso_mm == pytest.approx(0.7 * (1.0 + beam[0].x_current_A) / 2)
    assert beam[0].y_iso_mm == pytest.approx(1.0 + 0.5 * (2.0 - beam[0].y_current_A) / 2)


def test_drift_is_counted_from_the_start_of_extraction():
    beam = new_beam()
    truth = beam_truth(start=10_000, x=AXIS._replace(drift_mm_per_us=1e-6))
    advance_magnets(beam[0], truth, 10_000, 0.0, 0.0)
    assert beam[0].x_iso_mm == 0.0
    advance_magnets(beam[0], truth, 1_010_000, 0.0, 0.0)
    assert beam[0].x_iso_mm == pytest.approx(1.0)


def test_jitter_has_the_rms_and_the_correlation_time_that_were_asked_for():
    decay = math.exp(-25.0 / 2000.0)
    truth = beam_truth(jitter_decay=decay, jitter_kick_mm=0.05 * math.sqrt(1.0 - decay**2))
    beam = new_beam()
    n = 40_000  # 1 s: 250 independent values
    track = np.zeros((n, 2))
    for i in range(n):
        advance_magnets(beam[0], truth, 25 * i, 0.0, 0.0)
        track[i] = beam[0].x_iso_mm, beam[0].y_iso_mm
    np.testing.assert_allclose(track.std(axis=0), 0.05, rtol=4 / math.sqrt(2 * 250))
    np.testing.assert_allclose(track.mean(axis=0), 0.0, atol=4 * 0.05 / math.sqrt(250))
    assert abs(np.corrcoef(track.T)[0, 1]) < 4 / math.sqrt(250)
    for lag in (1, 40):
        assert np.mean(track[lag:] * track[:-lag]) == pytest.approx(0.05**2 * decay**lag, rel=0.4)


def test_read_back_is_the_current_with_noise():
    beam = new_beam(x_current_A=20.0, y_current_A=-30.0)
    exact = read_back(beam[0], beam_truth(), 100)
    assert exact == (20.0, -30.0)
    noisy = AXIS._replace(read_noise_A=0.01)
    truth = beam_truth(x=noisy, y=noisy)
    read = np.array([read_back(beam[0], truth, 25 * i) for i in range(10_000)]) - exact
    np.testing.assert_allclose(read.mean(axis=0), 0.0, atol=4e-4)
    np.testing.assert_allclose(read.std(axis=0), 0.01, rtol=0.03)
    assert abs(np.corrcoef(read.T)[0, 1]) < 0.04
    assert (beam[0].x_current_A, beam[0].y_current_A) == exact, "reading changes nothing"
