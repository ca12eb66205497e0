"""The simulated room from outside, and the numbers that it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.control.interlocks import TEMPERATURE_1
from spotline.control.memory import COMMAND_CHOPPER_CLOSE, END_STOP
from spotline.machine import BeamLine, load_beamline
from spotline.machine.accelerator import SHORTEST_WAIT_s
from spotline.machine.geometry import current_A
from spotline.machine.true_line import true_line_of
from spotline.physics.ions import CARBON
from spotline.room import Broadcast
from spotline.sim import settings as truths
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.plant import PlantSettings
from spotline.sim.room import SimulatedRoom
from spotline.treatment.cycle_code import Cycle, encode
from tests.readings import value_of
from tests.sim.small import control_of, run_spill, short_line, small_field

ENERGY = 221.45
CODE = encode(Cycle(6, ENERGY, 0, 0, 1))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> BeamLine:
    return short_line(tmp_path_factory.mktemp("line") / "line")


# The accelerator


def test_a_spill_comes_every_cycle():
    room = SimulatedRoom(true_line_of(load_beamline("cnao-h")), 1, seed=0)
    broadcasts = [room.accelerator.request_beam(CODE + k) for k in range(3)]
    assert [b.code for b in broadcasts] == [CODE, CODE + 1, CODE + 2]
    assert [b.extraction_start_us for b in broadcasts] == [4_500_000, 9_000_000, 13_500_000]
    assert {b.extraction_end_us - b.extraction_start_us for b in broadcasts} == {1_500_000}


@pytest.mark.kernel
def test_the_loop_begins_before_the_extraction(line: BeamLine):
    room = SimulatedRoom(true_line_of(line), 1, seed=0)
    settings, memory = control_of(line, small_field(line))
    broadcast = room.accelerator.request_beam(CODE)
    room.loop.load(settings, memory, broadcast)
    block = room.loop.run(0)
    assert (block.n_samples, block.finished, len(block.trend)) == (0, False, 0)
    assert room.loop.result().end_us == broadcast.extraction_start_us - PRE_ROLL_us
    block = room.loop.run(PRE_ROLL_us)
    assert block.n_samples == PRE_ROLL_us
    assert len(block.trend) == PRE_ROLL_us // 1000
    assert block.raw is None
    assert len(room.loop.result().commands) == 0
    assert room.loop.result().int1_counts <= 1


@pytest.mark.kernel
def test_magnets_are_at_the_first_spot_when_extraction_starts(line: BeamLine):
    room = SimulatedRoom(true_line_of(line), 1, seed=0)
    settings, memory = control_of(line, small_field(line))
    _, result = run_spill(room, settings, memory)
    assert result.commands[0]["tick"] == result.start_us + PRE_ROLL_us


@pytest.mark.kernel
def test_abort_takes_the_beam_away(line: BeamLine):
    room = SimulatedRoom(true_line_of(line), 1, seed=0)
    settings, memory = control_of(line, small_field(line))
    room.loop.load(settings, memory, room.accelerator.request_beam(CODE))
    room.loop.run(21_000)
    room.loop.abort(TEMPERATURE_1, 30.0, 26.0)
    block = room.loop.run(100_000)
    result = room.loop.result()
    assert block.finished
    assert result.end_reason == END_STOP
    assert result.commands[-1]["command"] == COMMAND_CHOPPER_CLOSE
    assert result.commands[-1]["tick"] == result.start_us + 21_000
    assert result.interlocks["cause"].tolist() == [TEMPERATURE_1]
    # The charge of the last ions is in, and no more has come for as long again.
    off_us = result.start_us + 21_000 + settings.beam_off_ticks
    assert off_us + settings.collection_ticks <= result.end_us <= off_us + 2 * settings.collection_ticks


# What stays from spill to spill


@pytest.mark.kernel
def test_rests_of_charge_and_currents_are_carried_over(line: BeamLine):
    room = SimulatedRoom(true_line_of(line), 1, seed=0)
    settings, memory = control_of(line, small_field(line))
    _, result = run_spill(room, settings, memory)
    before = room.loop._plant
    charge = before.charge[0]
    room.loop.load(settings, memory, room.accelerator.request_beam(CODE))
    after = room.loop._plant
    elapsed_us = room.loop._start_us - result.end_us
    background = 0.25e-6 * elapsed_us
    assert after.charge[0].int1_charge == pytest.approx(
        (charge.int1_charge - charge.int1_counted + background) % 1.0
    )
    assert after.charge[0].int2_charge == pytest.approx(
        (charge.int2_charge - charge.int2_counted + background) % 1.0
    )
    for name in ("strip_x", "strip_y", "pixel"):
        # Where few ions went, a fluctuation can leave less than nothing: that is no count.
        rest = getattr(before, name).remainder + background
        expected = np.where(rest < 0.0, rest, rest % 1.0)
        np.testing.assert_allclose(getattr(after, name).remainder, expected)
    assert after.beam[0].x_current_A == before.beam[0].x_current_A != 0.0
    assert after.beam[0].y_current_A == before.beam[0].y_current_A != 0.0
    assert after.charge[0].int1_counted == 0
    assert (after.arrivals == 0).all()


def test_less_than_nothing_is_not_taken_for_a_count(tmp_path: Path):
    """A fluctuation below zero waits for charge to come; turned into the rest of a count it would add one."""
    line = short_line(tmp_path / "line", ("background_fA = 50.0 ", "background_fA = 0.0 "))
    room = SimulatedRoom(true_line_of(line), 1, seed=0)
    settings, memory = control_of(line, small_field(line))
    room.loop._front_end._strips[:] = -0.25
    room.loop._front_end._pixels[:] = -0.25
    room.loop.load(settings, memory, room.accelerator.request_beam(CODE))
    assert (room.loop._plant.strip_x.remainder == -0.25).all()
    assert (room.loop._plant.strip_y.remainder == -0.25).all()
    assert (room.loop._plant.pixel.remainder == -0.25).all()


def test_asking_for_the_result_twice_changes_nothing(line: BeamLine):
    settings, memory = control_of(line, small_field(line))
    second = []
    for looks in (1, 3):
        room = SimulatedRoom(true_line_of(line), 1, seed=0)
        room.loop.load(settings, memory, room.accelerator.request_beam(CODE))
        while not room.loop.run(1000).finished:
            for _ in range(looks - 1):
                room.loop.result()
        room.loop.result()
        second.append(run_spill(room, settings, memory)[1])
    assert second[0].parts.tobytes() == second[1].parts.tobytes()


def test_rests_at_the_beginning_are_random_and_those_of_the_seed(line: BeamLine):
    one, same, other = (SimulatedRoom(true_line_of(line), 1, seed=seed).loop._front_end for seed in (5, 5, 6))
    assert 0.0 <= one.int1_remainder < 1.0
    assert one.int1_remainder == same.int1_remainder != other.int1_remainder
    assert np.array_equal(one._strips, same._strips)
    assert one._pixels.mean() == pytest.approx(0.5, abs=0.05)


# The slow sensors


def test_readings_are_those_of_the_seed_and_the_time():
    line = load_beamline("cnao-h")
    one, same, other = (
        SimulatedRoom(true_line_of(line), 1, 5),
        SimulatedRoom(true_line_of(line), 1, 5),
        SimulatedRoom(true_line_of(line), 2, 5),
    )
    late = one.sensors.read(7_000_000)
    assert one.sensors.read(1_000_000) != late
    assert same.sensors.read(7_000_000) == late, "whatever was read before"
    assert other.sensors.read(7_000_000) != late
    assert late.time_us == 7_000_000


def test_readings_scatter_around_the_truth():
    line = load_beamline("cnao-h")
    room = SimulatedRoom(true_line_of(line), 1, 5, ("RIFI1", "RIFI2"))
    gas = true_line_of(line).simulation.gas
    readings = [room.sensors.read(1_000_000 * k) for k in range(400)]
    for name, true, noise in (
        ("temperature1_C", gas.temperature_C + gas.temperature_drift_C_per_h * 200 / 3600, 0.02),
        ("temperature2_C", gas.temperature_C + gas.temperature_drift_C_per_h * 200 / 3600, 0.02),
        ("pressure1_Pa", gas.pressure_Pa + gas.pressure_drift_Pa_per_h * 200 / 3600, 10.0),
        ("pressure2_Pa", gas.pressure_Pa + gas.pressure_drift_Pa_per_h * 200 / 3600, 10.0),
        ("high_voltage1_V", 400.0, 0.05),
        ("high_voltage2_V", 400.0, 0.05),
    ):
        values = np.array([value_of(reading, name) for reading in readings])
        assert values.mean() == pytest.approx(true, abs=4 * noise / 20)
        assert values.std() == pytest.approx(noise, rel=0.2)
    assert all(reading.mounted == ("RIFI1", "RIFI2") for reading in readings)


def test_gas_drifts_from_the_start_of_the_field():
    gas = true_line_of(load_beamline("cnao-h")).simulation.gas
    hour = truths.gas_state(gas, 3_600_000_000)
    assert truths.gas_state(gas, 0).temperature_C == gas.temperature_C
    assert hour.temperature_C == pytest.approx(gas.temperature_C + gas.temperature_drift_C_per_h)
    assert hour.pressure_Pa == pytest.approx(gas.pressure_Pa + gas.pressure_drift_Pa_per_h)
    assert hour.high_voltage_V == gas.high_voltage_V


def test_background_is_counted_in_whole_counts(tmp_path: Path):
    line = short_line(tmp_path / "line", ("background_fA = 50.0 ", "background_fA = 3000.0 "))
    room = SimulatedRoom(true_line_of(line), 1, seed=5)
    for measured in room.sensors.measure_background(1.0):
        assert measured in (15.0, 16.0)
    for measured in room.sensors.measure_background(100.0):
        assert measured == pytest.approx(15.0, abs=0.0101)
        assert measured * 100.0 == round(measured * 100.0)
    assert truths.background_counts_per_s(true_line_of(line)) == 15.0


# From the beam line to the truth of a spill


def truth_of(line: BeamLine, **changes: int) -> tuple[PlantSettings, float, np.ndarray]:
    law, _ = control_of(line, small_field(line))
    given = {"range_modulators": 0, "seed": 1, "field_number": 1, "spill": 1} | changes
    start_us = 4_500_000 * given["spill"]
    length_us = round(line.facts.accelerator.spill_length_s * 1e6)
    broadcast = Broadcast(CODE, start_us, start_us + length_us)
    found = truths.plant_settings(true_line_of(line), law, broadcast, **given)
    return found.plant, found.ring_particles, found.ripple_phases


def keys_of(truth: PlantSettings) -> list[int]:
    return [
        truth.spill.key,
        truth.beam.jitter_key,
        truth.beam.readback_key,
        truth.integrals.arrival_key,
        truth.integrals.ionization_key,
        truth.strip_x.key,
        truth.strip_y.key,
        truth.pixel_x.key,
    ]


def test_every_cause_and_every_spill_has_its_own_random_numbers():
    line = load_beamline("cnao-h")
    keys = []
    for changes in ({}, {"seed": 2}, {"field_number": 2}, {"spill": 2}):
        keys += keys_of(truth_of(line, **changes)[0])
    assert len(set(keys)) == len(keys) == 32
    assert keys_of(truth_of(line)[0]) == keys[:8]


def test_a_ring_holds_one_spill_and_varies_by_its_spread():
    line = load_beamline("cnao-h")
    trapezoid = 60.0 * (1.5e6 - (50_000 + 20_000) / 2)
    rings = np.array([truth_of(line, spill=k)[1] for k in range(1, 151)]) / trapezoid
    assert rings.mean() == pytest.approx(1.0, abs=4 * 0.05 / np.sqrt(150))
    assert rings.std() == pytest.approx(0.05, rel=0.25)
    offsets = np.array([truth_of(line, spill=k)[0].beam.x.offset_mm for k in range(1, 151)])
    assert offsets.std() == pytest.approx(0.2, rel=0.25)


def test_truth_of_a_spill():
    line = load_beamline("cnao-h")
    truth, _, phases = truth_of(line)
    assert truth.spill.particles_per_us == pytest.approx(60.0)
    assert (truth.spill.start, truth.spill.end) == (4_500_000, 6_000_000)
    assert truth.broadcast_code == CODE
    assert (truth.chopper.off_delay, truth.chopper.on_delay) == (50, 50)
    assert truth.chopper.off_step == truth.chopper.on_step == 1.0 / 200
    assert truth.integrals.drift_ticks == 350
    assert truth.integrals.int1_background_per_tick == pytest.approx(0.25e-6)
    assert truth.integrals.int2_background_per_tick == pytest.approx(0.25e-6)
    assert truth.strip_x.background == pytest.approx(0.25e-6 * 50)
    assert truth.pixel_x.background == pytest.approx(0.25e-6 * 100)
    assert (truth.period, truth.strip_x.period, truth.pixel_x.period) == (25, 50, 100)
    assert len(phases) == truth.spill.ripple_turn.shape[1] == 6
    # Charge per ion: calibration, gas and gain, in that order of importance.
    per_count = float(line.particles_per_count("carbon", ENERGY))
    gas = (293.15 / (273.15 + 22.0 + 0.2 * 4.5 / 3600)) * ((100_500 + 50.0 * 4.5 / 3600) / 101_325)
    assert truth.integrals.int1_counts_per_particle == pytest.approx(gas / per_count * 1.002)
    assert truth.integrals.int2_counts_per_particle == pytest.approx(gas / per_count * 0.999)
    assert truth.strip_x.counts_per_particle == pytest.approx(gas / per_count * 0.997)
    # Carbon fluctuates less than a proton by its charge.
    assert truth.integrals.ionization_spread == pytest.approx(0.55 / 6)


def test_collection_efficiency_at_the_published_point():
    """99.99 % at 400 V (Giordanengo 2015, IV.A), at the intensity with which carbon is used.

    The figures of the line are for the lowest energy; here the beam ionizes less.
    """
    line = load_beamline("cnao-h")
    truth, _, _ = truth_of(line)
    a, b = truth.integrals.box1_recombination_a, truth.integrals.box1_recombination_b_per_rate
    assert 1.0 / (1.0 + a + b * 60.0) == pytest.approx(0.9999, abs=3e-5)


def test_magnets_of_the_plant_are_those_of_the_line_but_for_the_field_error():
    line = load_beamline("cnao-h")
    truth, _, _ = truth_of(line)
    for plane, axis in (("x", truth.beam.x), ("y", truth.beam.y)):
        scanning = getattr(line.facts.scanning, plane)
        source_mm = getattr(line.facts.geometry, f"{plane}_source_to_isocentre_mm")
        current = current_A(100.0, source_mm, CARBON.rigidity_T_m(ENERGY), scanning.integral_field_mT_m_per_A)
        assert axis.mm_per_A * float(current) == pytest.approx(100.0 * 1.0005)
        assert axis.slew_A_per_us == pytest.approx(0.023)
        assert axis.settling_us == 20.0


@pytest.mark.parametrize("which", [1, 2])
def test_true_gain_is_that_of_the_calibration_with_a_small_residual(which: int):
    line = load_beamline("cnao-h")
    truth, _, _ = truth_of(line)
    chamber = truth.integrals.int1_map if which == 1 else truth.integrals.int2_map
    n = len(chamber.gain)
    grid = chamber.first_mm + chamber.step_mm * np.arange(n)
    assert (grid[0], grid[-1]) == pytest.approx((-100.0, 100.0))
    x_mm, y_mm = np.meshgrid(grid, grid)
    known = line.int1_gain(x_mm, y_mm) if which == 1 else line.int2_gain(x_mm, y_mm)
    residual = chamber.gain / known - 1.0
    assert 0.0 < np.abs(residual).max() <= 0.001 + 1e-12
    assert residual.mean() == pytest.approx(0.0, abs=2e-4)


def test_true_spot_size_varies_from_spill_to_spill():
    line = load_beamline("cnao-h")
    size = line.spot_size("carbon", ENERGY, "small", 0)
    assert size is not None
    nominal_mm = size.fwhm_box_x_mm / 2.3548
    found = []
    for k in range(1, 60):
        truth, _, _ = truth_of(line, spill=k)
        shares = truth.strip_x.shares[0]
        channel = (np.arange(shares.shape[1]) - shares.shape[1] // 2) * truth.strip_x.pitch_mm
        variance = shares @ channel**2 - (shares @ channel) ** 2 - truth.strip_x.pitch_mm**2 / 12
        found.append(np.sqrt(variance.mean()))
    assert np.mean(found) == pytest.approx(nominal_mm, rel=0.02)
    assert np.std(found) / nominal_mm == pytest.approx(0.02, rel=0.4)
    assert truth_of(line)[0].strip_x.per_iso == pytest.approx(1.0 - 815.0 / 6200.0)


def test_ripple_filters_widen_the_beam_at_the_chambers_as_the_tables_say():
    line = load_beamline("cnao-h")
    plain, _, _ = truth_of(line)
    filtered, _, _ = truth_of(line, range_modulators=2)
    sizes = [line.spot_size("carbon", ENERGY, "small", n) for n in (0, 2)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    wider = sizes[1].fwhm_box_x_mm >= sizes[0].fwhm_box_x_mm
    assert (filtered.strip_x.shares.shape[2] >= plain.strip_x.shares.shape[2]) == wider


@pytest.mark.kernel
def test_delays_slopes_and_noise_may_be_zero(tmp_path: Path):
    """Zero is a legal value of all of these."""
    line = short_line(
        tmp_path / "line",
        ("spill_rise_s = 0.001", "spill_rise_s = 0.0"),
        ("spill_fall_s = 0.0005", "spill_fall_s = 0.0"),
        ("off_ramp_us = 200.0", "off_ramp_us = 0.0"),
        ("on_ramp_us = 200.0", "on_ramp_us = 0.0"),
        ("off_delay_us = 50.0", "off_delay_us = 0.0"),
        ("on_delay_us = 50.0", "on_delay_us = 0.0"),
        ("ion_drift_time_us = 350.0", "ion_drift_time_us = 0.0"),
        ("noise_rms = 0.3", "noise_rms = 0.0"),
        ("jitter_mm = 0.05", "jitter_mm = 0.0"),
        ("background_fA = 50.0", "background_fA = 0.0"),
        ("ripple_frequencies_Hz = [50.0, 100.0, 150.0, 300.0, 600.0, 1200.0]", "ripple_frequencies_Hz = []"),
    )
    room = SimulatedRoom(true_line_of(line), 1, seed=0)
    settings, memory = control_of(line, small_field(line))
    _, result = run_spill(room, settings, memory)
    assert (result.parts["complete"] == 1).all()
    # Without delays there is no late charge: spots get what was prescribed, within a count.
    assert np.abs(result.parts["int1_counts"] - memory.int1_counts).max() <= 1


def test_no_accelerator_is_faster_than_the_magnets_are_at_the_first_spot():
    assert SHORTEST_WAIT_s * 1e6 == PRE_ROLL_us
