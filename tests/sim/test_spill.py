"""Slow extraction and the chopper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.control.memory import INPUT_RING_CHARGED, INPUT_RING_SPENT
from spotline.sim.plant import BEAM, ChopperTruth
from spotline.sim.spill import (
    advance_spill,
    command_chopper,
    envelope,
    move_chopper,
    ring_reading,
    ripple_amplitudes,
)
from tests.sim.plants import CHOPPER, Table, new_beam, spill_truth

pytestmark = pytest.mark.kernel

NO_RIPPLE = np.zeros((2, 0))


# Envelope and mean


@given(st.floats(-1e5, 2e6), st.floats(1.0, 1e5), st.floats(1.0, 1e5), st.floats(3e5, 1.6e6))
def test_envelope_is_a_trapezoid(time_us: float, rise_us: float, fall_us: float, length_us: float):
    corners = [0.0, rise_us, length_us - fall_us, length_us]
    expected = np.interp(time_us, corners, [0.0, 1.0, 1.0, 0.0], left=0.0, right=0.0)
    assert envelope(time_us, rise_us, length_us, fall_us) == pytest.approx(expected, abs=1e-9)


def test_a_spill_shorter_than_its_slopes_does_not_reach_full_height():
    assert envelope(50.0, 100.0, 100.0, 100.0) == 0.5
    assert envelope(25.0, 100.0, 100.0, 100.0) == 0.25
    assert envelope(75.0, 100.0, 100.0, 100.0) == 0.25


def test_slopes_may_be_vertical():
    """A beam line may have no rise and no fall at all."""
    assert envelope(1.0, 0.0, 100.0, 20.0) == 1.0
    assert envelope(99.0, 20.0, 100.0, 0.0) == 1.0
    assert envelope(0.0, 0.0, 100.0, 0.0) == 0.0


def rates(n: int, beam: Table, ripple: np.ndarray, **changes: object) -> np.ndarray:
    """Ions per tick in `n` steps from the middle of the first second of a long spill."""
    truth = spill_truth(**{"end": 100_000_000, **changes})
    first = truth.start + 500_000
    return np.array([advance_spill(beam[0], ripple, truth, first + i * truth.period) for i in range(n)])


def test_without_modulation_the_spill_is_its_envelope_and_empties_the_ring_by_as_much():
    truth = spill_truth()
    beam = new_beam(ring_particles=1e9)
    ticks = np.arange(truth.start - 1000, truth.end + 1000, truth.period)
    rate = np.array([advance_spill(beam[0], NO_RIPPLE, truth, tick) for tick in ticks])
    expected = 60.0 * np.interp(ticks, [1_000_000, 1_050_000, 1_980_000, 2_000_000], [0.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(rate, expected, atol=1e-9)
    assert 1e9 - beam[0].ring_particles == pytest.approx(60.0 * (1e6 - 35_000), rel=1e-6)


def test_an_empty_ring_gives_nothing():
    beam = new_beam(ring_particles=60.0 * 25 * 10.5)
    rate = rates(20, beam, NO_RIPPLE)
    assert (rate[:11] == 60.0).all(), "the last step may take a little more than there is"
    assert (rate[11:] == 0.0).all()


def test_modulation_goes_on_with_an_empty_ring():
    """So that the next numbers do not depend on how full the ring was."""
    full, empty = new_beam(ring_particles=1e12), new_beam(ring_particles=0.0)
    rates(50, full, NO_RIPPLE, noise_decay=0.9, noise_kick=0.1)
    rates(50, empty, NO_RIPPLE, noise_decay=0.9, noise_kick=0.1)
    assert full[0].spill_noise == empty[0].spill_noise != 0.0


# Modulation


def ripple_of(frequencies_Hz: list[float], rms: float, phases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    turn = 2.0 * math.pi * np.array(frequencies_Hz) * 25e-6
    amplitude = ripple_amplitudes(len(frequencies_Hz), rms)
    return np.stack([np.cos(turn), np.sin(turn)]), amplitude * np.stack([np.cos(phases), np.sin(phases)])


def test_ripple_is_the_sum_of_its_lines():
    frequencies_Hz, phases = [50.0, 300.0, 1200.0], np.array([0.3, 1.1, 5.0])
    turn, ripple = ripple_of(frequencies_Hz, 0.2, phases)
    n = 2000
    rate = rates(n, new_beam(ring_particles=1e12), ripple, ripple_turn=turn)
    time_s = np.arange(1, n + 1) * 25e-6
    amplitude = 0.2 * math.sqrt(2.0 / 3.0)
    lines = [
        amplitude * np.cos(2.0 * math.pi * f * time_s + phase)
        for f, phase in zip(frequencies_Hz, phases, strict=True)
    ]
    np.testing.assert_allclose(rate, 60.0 * (1.0 + np.sum(lines, axis=0)), rtol=1e-9)


def test_ripple_has_the_rms_that_was_asked_for_and_leaves_the_mean():
    # One second holds a whole number of periods of all lines.
    turn, ripple = ripple_of([50.0, 100.0, 150.0, 300.0, 600.0, 1200.0], 0.2, np.arange(6.0))
    rate = rates(40_000, new_beam(ring_particles=1e12), ripple, ripple_turn=turn) / 60.0
    assert rate.mean() == pytest.approx(1.0, abs=1e-4)
    assert rate.std() == pytest.approx(0.2, rel=1e-4)
    np.testing.assert_allclose(np.hypot(*ripple), ripple_amplitudes(6, 0.2), rtol=1e-9)


def test_no_lines_no_ripple():
    assert ripple_amplitudes(0, 0.2) == 0.0


def test_noise_has_the_rms_and_the_correlation_time_that_were_asked_for():
    decay = math.exp(-25.0 / 1000.0)
    truth = {"noise_decay": decay, "noise_kick": 0.15 * math.sqrt(1.0 - decay**2)}
    rate = rates(40_000, new_beam(ring_particles=1e12), NO_RIPPLE, **truth) / 60.0
    # 1 s holds 500 independent values of a process with a correlation time of 1 ms.
    assert rate.mean() == pytest.approx(1.0, abs=4 * 0.15 / math.sqrt(500))
    assert rate.std() == pytest.approx(0.15, rel=4 / math.sqrt(2 * 500))
    deviation = rate - rate.mean()
    for lag in (1, 10, 40):
        correlation = np.mean(deviation[lag:] * deviation[:-lag]) / np.mean(deviation**2)
        assert correlation == pytest.approx(decay**lag, abs=0.15)


def test_intensity_is_never_negative():
    rate = rates(2000, new_beam(ring_particles=1e12), NO_RIPPLE, noise_decay=0.5, noise_kick=2.0)
    assert rate.min() == 0.0
    assert rate.max() > 60.0


def test_the_same_step_gives_the_same_number_whatever_came_before():
    one, other = new_beam(ring_particles=1e12), new_beam(ring_particles=1e12)
    truth = spill_truth(noise_kick=0.1)
    advance_spill(one[0], NO_RIPPLE, truth, 1_500_000)
    for tick in range(1_400_000, 1_500_001, 25):
        advance_spill(other[0], NO_RIPPLE, truth, tick)
    assert one[0].spill_noise == other[0].spill_noise


# The chopper


def transmissions(beam: Table, truth: ChopperTruth, first: int, n: int) -> np.ndarray:
    """What passes in each of `n` ticks."""
    found = np.zeros(n)
    for i in range(n):
        if beam[0].chopper_moving == 1:
            move_chopper(beam[0], truth, first + i)
        found[i] = beam[0].transmission
    return found


def test_chopper_opens_after_its_delay_in_a_straight_line():
    beam = new_beam()
    command_chopper(beam[0], CHOPPER, 1, 1000)
    passed = transmissions(beam, CHOPPER, 1000, 200)
    ticks = np.arange(1000, 1200)
    expected = np.clip((ticks - (1000 + 30) + 1) / 100, 0.0, 1.0)
    np.testing.assert_allclose(passed, expected, atol=1e-12)
    assert passed[29] == 0.0
    assert passed[30] == 0.01
    assert passed[-1] == 1.0
    assert beam[0].chopper_moving == 0


def test_chopper_closes_after_its_delay_in_a_straight_line():
    beam = new_beam(transmission=1.0, chopper_command=1)
    command_chopper(beam[0], CHOPPER, 0, 5000)
    passed = transmissions(beam, CHOPPER, 5000, 400)
    expected = np.clip(1.0 - (np.arange(400) - 50 + 1) / 200, 0.0, 1.0)
    np.testing.assert_allclose(passed, expected, atol=1e-12)
    assert passed[49] == 1.0
    assert passed[-1] == 0.0
    assert beam[0].chopper_moving == 0


def test_beam_is_off_for_good_once_it_has_been_off():
    beam = new_beam(transmission=1.0, chopper_command=1)
    command_chopper(beam[0], CHOPPER, 0, 0)
    # 200 steps of 1/200 may leave a rest of rounding; one step later there is none.
    assert transmissions(beam, CHOPPER, 0, 252)[-1] == 0.0


def test_a_new_command_turns_the_chopper_back_from_where_it_is():
    beam = new_beam(transmission=1.0, chopper_command=1)
    command_chopper(beam[0], CHOPPER, 0, 0)
    transmissions(beam, CHOPPER, 0, 50 + 80)
    assert beam[0].transmission == pytest.approx(0.6)
    command_chopper(beam[0], CHOPPER, 1, 130)
    passed = transmissions(beam, CHOPPER, 130, 200)
    assert (passed[:30] == passed[0]).all(), "the old motion ends with the new command"
    assert passed[0] == pytest.approx(0.6)
    assert passed[30] == pytest.approx(0.61)
    assert passed[-1] == 1.0


def test_a_chopper_may_act_at_once():
    beam = new_beam()
    truth = CHOPPER._replace(off_delay=0, off_step=1.0, on_delay=0, on_step=1.0)
    command_chopper(beam[0], truth, 1, 7)
    assert transmissions(beam, truth, 7, 1).tolist() == [1.0]
    command_chopper(beam[0], truth, 0, 8)
    assert transmissions(beam, truth, 8, 1).tolist() == [0.0]


def test_the_ring_tells_what_left_it_by_pulses():
    """Two periods for each pulse of 500 ions; nothing without a reading, and no charge at the end."""
    beam = np.zeros(1, BEAM).view(np.recarray)[0]
    beam.ring_particles = 6000.0
    truth = spill_truth(ring_pulse=500.0)
    told = []
    for _ in range(4):
        beam.ring_particles -= 250.0
        beam.ring_lost += 250.0
        told.append(ring_reading(beam, truth))
    charged, spent = INPUT_RING_CHARGED, INPUT_RING_SPENT
    assert told == [charged, charged | spent, charged, 0 | spent]
    assert ring_reading(beam, spill_truth(ring_pulse=0.0)) == 0
