"""Bounds follow from the beam line, the prescription and the fault."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from spotline import Treatment
from spotline.campaign.bounds import (
    BEAM_OFF_us,
    Bound,
    beam_off_us,
    bound_of,
    calibration_error,
    largest_intensity_per_us,
    overcounting_error,
)
from spotline.campaign.received import received_of
from spotline.machine import BeamLine, load_beamline
from spotline.machine.true_line import true_line_of
from spotline.sim.faults import Fault
from tests.campaign.made_up import spill_of
from tests.lines.facts import with_facts
from tests.lines.monitors import one_box


def bound(treatment: Treatment, *faults: Fault, line: BeamLine | None = None, n_spills: int = 3) -> Bound:
    (field,) = treatment.fields
    received = received_of(field, [spill_of(field, 1, 0), spill_of(field, 2, 1)])
    return bound_of(
        field,
        true_line_of(line or treatment.beamline),
        faults,
        received.spot_of_visit,
        received.spills,
        n_spills,
    )


def test_terms_of_a_spot_by_hand(treatment: Treatment, line: BeamLine):
    slice_ = treatment.fields[0].slices[0]
    k = max(slice_.particles_per_count1.max(), slice_.particles_per_count2.max())
    particles = 2.2e6
    # Ripple of six equal lines at their crest, and five times the noise; 60 carbon ions per microsecond.
    intensity = 60.0 * (1.0 + 0.2 * math.sqrt(12.0) + 5.0 * 0.3)
    error = calibration_error(true_line_of(line), 3 * 4.5 / 3600.0)
    expected = (
        error * particles  # calibration
        + 2.0 * k  # rounding, and the count that INT2 has more
        + k  # one spill
        + 5.0 * 0.55 / 6.0 * math.sqrt(particles)  # ionization
        + intensity * (350.0 / 6.0 + 250.0)  # late charge, and the chopper
    )
    assert bound(treatment).spots[0] == pytest.approx(expected)


def test_what_a_spot_and_a_field_may_lack_by_hand(treatment: Treatment, line: BeamLine):
    (field,) = treatment.fields
    slice_ = field.slices[0]
    k = max(slice_.particles_per_count1.max(), slice_.particles_per_count2.max())
    error = overcounting_error(true_line_of(line), 3 * 4.5 / 3600.0)
    intensity = 60.0 * (1.0 + 0.2 * math.sqrt(12.0) + 5.0 * 0.3)
    noise = 0.55 / 6.0 * math.sqrt(2.2e6)
    # Rounding, what is left of the spot before; the first of two chambers; late charge of the spot before.
    expected = error * 2.2e6 + 2.0 * k + 6.0 * noise + intensity * 350.0 / 6.0
    assert bound(treatment).lack_spots[0] == pytest.approx(expected)
    whole = error * field.particles + sum(
        s.n_spots * max(s.particles_per_count1.max(), s.particles_per_count2.max()) for s in field.slices
    )
    spread = 0.55 / 6.0 * sum(float(np.sqrt(s.particles).sum()) for s in field.slices)
    whole += spread + 5.0 * 0.55 / 6.0 * math.sqrt(field.particles)
    assert bound(treatment).lack_field == pytest.approx(whole)
    assert bound(treatment).lack_field < 0.005 * field.particles, "0.5 % less are found"


def test_what_a_spot_lacks_is_that_of_the_chamber_that_counts_most(line: BeamLine):
    usual = overcounting_error(true_line_of(line), 0.0)
    assert 0.003 < usual < 0.0045  # gain 0.2 %, residual 0.1 %, sensors 0.08 %
    less = with_facts(line, {"simulation.chambers.int2_gain": 0.9})
    assert overcounting_error(true_line_of(less), 0.0) == usual
    more = with_facts(line, {"simulation.chambers.int2_gain": 1.02})
    assert overcounting_error(true_line_of(more), 0.0) == pytest.approx(1.0 - (1.0 - usual) * 1.002 / 1.02)
    few = with_facts(line, {f"simulation.chambers.int{n}_gain": 0.9 for n in (1, 2)})
    assert overcounting_error(true_line_of(few), 0.0) == 0.0
    assert overcounting_error(true_line_of(line), 10.0) > usual, "the gas drifts"


def test_calibration_error_is_that_of_the_worse_chamber(line: BeamLine):
    usual = calibration_error(true_line_of(line), 0.0)
    assert 0.002 < usual < 0.004  # gain 0.1 %, residual 0.1 %, sensors 0.08 %
    worse = with_facts(line, {"simulation.chambers.int1_gain": 0.98})
    assert calibration_error(true_line_of(worse), 0.0) == pytest.approx((1.0 + usual) * 0.999 / 0.98 - 1.0)


def test_something_that_fails_may_take_500_us(treatment: Treatment):
    usual, failing = bound(treatment), bound(treatment, Fault("int2", "dead"))
    (field,) = treatment.fields
    intensity = largest_intensity_per_us(field.slices[0], (), true_line_of(treatment.beamline))
    assert failing.spots - usual.spots == pytest.approx(np.full(128, intensity * 250.0))
    assert failing.field - usual.field == pytest.approx(3 * intensity * 250.0)
    assert failing.beam_off_us == BEAM_OFF_us


def test_a_spike_raises_the_intensity_and_takes_the_window_to_be_seen(treatment: Treatment):
    dead, spike = bound(treatment, Fault("int2", "dead")), bound(treatment, Fault("beam", "spike", 100.0))
    (field,) = treatment.fields
    intensity = largest_intensity_per_us(field.slices[0], (), true_line_of(treatment.beamline))
    late_us = 350.0 / 6.0
    added = intensity * (100.0 * (late_us + 500.0 + 125.0) - (late_us + 500.0))
    assert spike.spots - dead.spots == pytest.approx(np.full(128, added))


def test_a_silent_fast_control_costs_the_time_of_the_watchdog(treatment: Treatment):
    hang, dead = bound(treatment, Fault("fast_control", "hang")), bound(treatment, Fault("int2", "dead"))
    intensity = largest_intensity_per_us(treatment.fields[0].slices[0], (), true_line_of(treatment.beamline))
    assert hang.spots - dead.spots == pytest.approx(np.full(128, intensity * 250.0))


def test_a_chopper_that_fails_has_the_bound_of_the_second_path(treatment: Treatment, line: BeamLine):
    (field,) = treatment.fields
    stuck = beam_off_us((Fault("chopper", "stuck_open"),), field, line)
    # Chopper 250, collection 400, two periods 50, extraction 500; and six counts at a tenth of 60 per us.
    k = max(max(s.particles_per_count1.max(), s.particles_per_count2.max()) for s in field.slices)
    # One count in 2 ms is background.
    assert stuck == pytest.approx(1200.0 + 6.0 / (6.0 / k - 1.0 / 2000.0))
    leak = beam_off_us((Fault("chopper", "leak", 0.5),), field, line)
    assert leak == pytest.approx(1200.0 + 6.0 / (3.0 / k - 1.0 / 2000.0))


def test_a_leak_of_fewer_counts_than_background_stays_until_the_extraction_is_over(
    treatment: Treatment, line: BeamLine
):
    leak = Fault("chopper", "leak", 0.003)
    (field,) = treatment.fields
    assert beam_off_us((leak,), field, line) == 1200.0 + 1_500_000.0
    slice_ = field.slices[0]
    k = max(slice_.particles_per_count1.max(), slice_.particles_per_count2.max())
    intensity = largest_intensity_per_us(slice_, (), true_line_of(line))
    added = bound(treatment, leak).spots[0] - bound(treatment, Fault("int2", "dead")).spots[0]
    # 700 us more on the second path, and 750 counts that pass as background, with six of beam when off.
    assert added == pytest.approx(0.003 * 700.0 * intensity + 756.0 * k)
    closed = bound(treatment, Fault("chopper", "stuck_closed"))
    assert (closed.spots == bound(treatment, Fault("int2", "dead")).spots).all()


def test_wrong_energy_adds_what_the_chambers_miss(treatment: Treatment, line: BeamLine):
    right = bound(treatment, Fault("int2", "dead"))
    wrong = bound(treatment, Fault("beam", "energy", 1.05))
    factor = (
        line.particles_per_count("carbon", 221.45 * 1.05) / line.particles_per_count("carbon", 221.45) - 1.0
    )
    assert wrong.spots[0] - right.spots[0] == pytest.approx(factor * 2.2e6)
    lower = bound(treatment, Fault("beam", "energy", 0.95))
    assert lower.spots[0] == pytest.approx(right.spots[0])


def test_a_field_adds_up_its_spots_and_its_spills(treatment: Treatment):
    few, many = bound(treatment, n_spills=3), bound(treatment, n_spills=10)
    intensity = largest_intensity_per_us(treatment.fields[0].slices[0], (), true_line_of(treatment.beamline))
    line, particles = treatment.beamline, treatment.fields[0].particles
    drift = calibration_error(true_line_of(line), 10 * 4.5 / 3600.0) - calibration_error(
        true_line_of(line), 3 * 4.5 / 3600.0
    )
    flight = 7 * intensity * (350.0 / 6.0 + 250.0)
    assert many.field - few.field == pytest.approx(flight + drift * particles)
    assert few.field < few.spots.sum()


def test_both_counts_in_one_box_agree_on_what_is_wrong_with_its_gas(treatment: Treatment, tmp_path: Path):
    """Then neither ends the spot for the other: what the slow control allows, and the beam of its period."""
    one = load_beamline(one_box(tmp_path / "line"))
    sound = bound(treatment, Fault("int2", "dead"), line=one)
    leak, of_two = Fault("box1", "leak", 100.0), bound(treatment, Fault("box1", "leak", 100.0))
    assert of_two.spots[0] == pytest.approx(sound.spots[0]), "the other box ends the spot"
    shared = bound(treatment, leak, line=one)
    (field,) = treatment.fields
    flight = largest_intensity_per_us(field.slices[0], (leak,), true_line_of(one)) * 1e6
    assert shared.spots[0] - sound.spots[0] == pytest.approx(2.2e6 * 0.01 / 0.99 + flight)
    # A sensor that is wrong from the beginning is believed as far as its tolerance goes.
    cold = bound(treatment, Fault("sensor_temperature1", "offset", 4.0), line=one)
    assert cold.spots[0] - sound.spots[0] == pytest.approx(2.2e6 * (299.15 / 289.15 - 1.0) + flight)
