"""The compiled loop: the plant and the control law, sample by sample.

This is the only place where both meet.  The plant hands over read-backs, events and counts; the law
hands back set-points and the command of the chopper.  Beside them the loop keeps, for each spot, what
truly happened; the law has no access to it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats
from spotline.control.integral import integral_decision, integral_sample
from spotline.control.memory import (
    DONE,
    INPUT_END,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_START,
    TREND_TICKS,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.control.period import close_period, open_period
from spotline.control.pixel import close_pixel_spot, has_pixels, pixel_frame
from spotline.control.planes import close_planes
from spotline.control.safety import is_beam_wanted
from spotline.control.strip import close_strip_spot, has_strips, strip_frame
from spotline.jit import kernel
from spotline.random import MANY, hash64, normal, poisson_of_few, poisson_of_many
from spotline.sim.chambers import map_gain, next_ion_current, pixel_readout, strip_readout
from spotline.sim.magnets import advance_magnets, read_back
from spotline.sim.planes import PlaneReadout, read_planes
from spotline.sim.plant import PlantSettings, PlantState, SpillTruth
from spotline.sim.readout_faults import disturb_pixels, disturb_strips, noise_counts
from spotline.sim.spill import advance_spill, command_chopper, move_chopper, ring_reading

TRUTH_PARTICLES, TRUTH_X, TRUTH_XX, TRUTH_Y, TRUTH_YY, TRUTH_WIDE_X, TRUTH_WIDE_Y = range(7)
"""Columns of the truth table: ions, sums of position and its square at the isocentre, and sums of the
variance of the beam about its centre at the strips."""


class Samples(NamedTuple):
    """Room for what a block of samples leaves behind."""

    trend: Any  # record array, dtype TREND
    truth: Floats  # (n_spots, TRUTH_COLUMNS)
    raw: int  # 1: keep every frame of every chamber in the arrays below
    integrals: NDArray[np.uint16]  # (n_ticks, 2)
    strips: NDArray[np.uint16]  # (n_frames, 2, n_strips)
    pixels: NDArray[np.uint16]  # (n_frames, n, n)
    currents: Floats  # (n_periods, 4): x and y read back, x and y set
    inputs: NDArray[np.uint16]  # (n_periods,)


@kernel
def event_at(spill: SpillTruth, tick: int) -> int:
    """What the timing system broadcasts at a scan period, as bits."""
    repeat = spill.repeat_ticks
    if tick == spill.start_event or (repeat > 0 and tick == spill.start_event + repeat):
        return INPUT_START
    if tick == spill.end_event or (repeat > 0 and tick == spill.end_event + repeat):
        return INPUT_END
    return 0


@kernel
def add_truth(
    sums: Floats, particles: int, x_mm: float, y_mm: float, x_strip_sd_mm: float, y_strip_sd_mm: float
) -> None:
    """Book ions at the true position to a spot, and how wide their beam is at the strips."""
    sums[TRUTH_PARTICLES] += particles
    sums[TRUTH_X] += particles * x_mm
    sums[TRUTH_XX] += particles * x_mm * x_mm
    sums[TRUTH_Y] += particles * y_mm
    sums[TRUTH_YY] += particles * y_mm * y_mm
    sums[TRUTH_WIDE_X] += particles * x_strip_sd_mm * x_strip_sd_mm
    sums[TRUTH_WIDE_Y] += particles * y_strip_sd_mm * y_strip_sd_mm


@kernel
def sample_integrals(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    plant: PlantState,
    truths: PlantSettings,
    samples: Samples,
    start: int,
    sample: int,
    rate: float,
    is_read: bool,
) -> tuple[float, float]:
    """Run one scan period of 1 MHz samples; return the collection efficiencies of both boxes in it.

    Parameters
    ----------
    law, settings, memory
        The control law.
    plant, truths
        The plant and its settings.
    samples : Samples
        Results.
    start, sample : int
        Tick at which the period begins, and its index in the raw data of the block.
    rate : float
        Ions per tick that the accelerator gives.
    is_read : bool
        Whether the samples reach the fast control.
    """
    beam, charge, control = plant.beam[0], plant.charge[0], law.scalars[0]
    truth, arrivals, limits = truths.integrals, plant.arrivals, settings.integral
    x_mm, y_mm = beam.x_iso_mm, beam.y_iso_mm
    x_sd_mm, y_sd_mm = truths.strip_x.sigma_mm, truths.strip_y.sigma_mm
    mean = rate * max(beam.transmission, truths.chopper.leak)
    root = math.sqrt(mean)
    # What the law decided between two periods; what it decides on a sample follows below.
    is_wanted = 1 if is_beam_wanted(law) else 0
    if is_wanted != beam.chopper_command:
        command_chopper(beam, truths.chopper, is_wanted, start)
    efficiency1 = 1.0 / (1.0 + truth.box1_recombination_a + truth.box1_recombination_b_per_rate * mean)
    efficiency2 = 1.0 / (1.0 + truth.box2_recombination_a + truth.box2_recombination_b_per_rate * mean)
    collected1 = efficiency1 if truth.int1_box == 1 else efficiency2
    collected2 = efficiency1 if truth.int2_box == 1 else efficiency2
    gain1 = 0.5 * truth.int1_counts_per_particle * collected1 * map_gain(truth.int1_map, x_mm, y_mm)
    gain2 = 0.5 * truth.int2_counts_per_particle * collected2 * map_gain(truth.int2_map, x_mm, y_mm)
    background1, background2 = truth.int1_background_per_tick, truth.int2_background_per_tick
    ceiling1, ceiling2 = truth.int1_ceiling_per_tick, truth.int2_ceiling_per_tick
    # The spread of the ionization is drawn once a period; a microsecond of it is far below one count.
    bits = hash64(truth.ionization_key, start)
    spread = 2.0 * truth.ionization_spread * math.sqrt(mean * truths.period)
    charge1 = charge.int1_charge + spread * normal(bits, 0) * gain1
    charge2 = charge.int2_charge + spread * normal(bits, 1) * gain2
    if truth.int1_noise_per_tick > 0.0:
        charge1 += noise_counts(truth.int1_noise_per_tick * truths.period, truth.noise_key, 2 * start)
    if truth.int2_noise_per_tick > 0.0:
        charge2 += noise_counts(truth.int2_noise_per_tick * truths.period, truth.noise_key, 2 * start + 1)
    counted1, counted2 = charge.int1_counted, charge.int2_counted
    duration = truth.drift_ticks
    drifting, ion_current, index = charge.arrivals_sum, charge.ion_current, charge.arrivals_index
    per_current = 1.0 / (duration * duration)
    total = 0
    booked = 0
    for i in range(truths.period):
        tick = start + i
        if beam.chopper_moving == 1:
            move_chopper(beam, truths.chopper, tick)
            mean = rate * max(beam.transmission, truths.chopper.leak)
            root = math.sqrt(mean)
        arrived = 0
        if mean > MANY:
            arrived = poisson_of_many(mean, root, normal(hash64(truth.arrival_key, tick), 0))
        elif mean > 0.0:
            arrived = poisson_of_few(mean, hash64(truth.arrival_key, tick))
        total += arrived
        # Half of the charge is induced at once by the electrons, half by the ions while they drift.
        oldest = arrivals[index]
        arrivals[index] = arrived
        ion_current = next_ion_current(ion_current, duration, arrived, drifting, oldest)
        drifting += arrived - oldest
        index = index + 1 if index + 1 < duration else 0
        induced = arrived + per_current * ion_current
        charge1 += min(induced * gain1 + background1, ceiling1)
        charge2 += min(induced * gain2 + background2, ceiling2)
        # A fluctuation can take back a little charge, but no count that was read out.
        int1 = max(0, int(charge1) - counted1)
        int2 = max(0, int(charge2) - counted2)
        counted1 += int1
        counted2 += int2
        if is_read and integral_sample(control, limits, int1, int2):
            row = control.row
            control.tick = tick
            integral_decision(law, settings, memory)
            is_wanted = 1 if is_beam_wanted(law) else 0
            if is_wanted != beam.chopper_command:
                command_chopper(beam, truths.chopper, is_wanted, tick)
            if control.row != row:
                add_truth(samples.truth[row], total - booked, x_mm, y_mm, x_sd_mm, y_sd_mm)
                booked = total
        if samples.raw == 1:
            samples.integrals[sample + i, 0] = int1
            samples.integrals[sample + i, 1] = int2
    safety = law.safety[0]
    safety.seen1, safety.seen2 = counted1 - charge.int1_counted, counted2 - charge.int2_counted
    charge.int1_charge, charge.int2_charge = charge1, charge2
    charge.int1_counted, charge.int2_counted = counted1, counted2
    charge.arrivals_sum, charge.ion_current, charge.arrivals_index = drifting, ion_current, index
    add_truth(samples.truth[control.row], total - booked, x_mm, y_mm, x_sd_mm, y_sd_mm)
    if total > 0:
        beam.last_ion_tick = start + truths.period
    for frame in range(2):
        arrived_in = plant.arrived[frame]
        arrived_in.particles += total
        arrived_in.x_moment_mm += total * x_mm
        arrived_in.y_moment_mm += total * y_mm
    return efficiency1, efficiency2


@kernel
def take_arrived(arrived: Any) -> tuple[int, float, float]:
    """Return the ions of a frame and their mean position at the isocentre, and begin the next frame."""
    particles = arrived.particles
    x_mm = arrived.x_moment_mm / particles if particles > 0 else 0.0
    y_mm = arrived.y_moment_mm / particles if particles > 0 else 0.0
    arrived.particles = 0
    arrived.x_moment_mm = 0.0
    arrived.y_moment_mm = 0.0
    return particles, x_mm, y_mm


@kernel
def strip_period(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    plant: PlantState,
    truths: PlantSettings,
    samples: Samples,
    frame: int,
    efficiency1: float,
    efficiency2: float,
    is_read: bool,
) -> tuple[int, float, float]:
    """Read out one frame of the strip chambers that there are, and hand it to the law, if it arrives there.

    Returns
    -------
    particles : int
        Ions of the frame.
    x_mm, y_mm : float
        Their mean position at the isocentre.
    """
    tick = law.scalars[0].tick
    particles, x_mm, y_mm = take_arrived(plant.arrived[0])
    x, y = plant.strip_x, plant.strip_y
    at_x_mm = x_mm * truths.strip_x.per_iso + truths.strip_x.offset_mm
    at_y_mm = y_mm * truths.strip_y.per_iso + truths.strip_y.offset_mm
    if truths.strip_x.per_iso > 0.0:
        collected = efficiency1 if truths.strip_x.box == 1 else efficiency2
        strip_readout(x, truths.strip_x, particles, at_x_mm, collected, tick)
    if truths.strip_y.per_iso > 0.0:
        collected = efficiency1 if truths.strip_y.box == 1 else efficiency2
        strip_readout(y, truths.strip_y, particles, at_y_mm, collected, tick)
    if truths.strip_x_fault.active == 1:
        disturb_strips(x, truths.strip_x_fault, tick)
    if truths.strip_y_fault.active == 1:
        disturb_strips(y, truths.strip_y_fault, tick)
    if is_read and has_strips(settings):
        strip_frame(law, settings, memory, x.counts, x.region, y.counts, y.region)
    if samples.raw == 1:
        for i in range(x.region[0], x.region[1]):
            samples.strips[frame, 0, i] = x.counts[i]
        for i in range(y.region[0], y.region[1]):
            samples.strips[frame, 1, i] = y.counts[i]
    return particles, x_mm, y_mm


@kernel
def pixel_period(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    plant: PlantState,
    truths: PlantSettings,
    samples: Samples,
    frame: int,
    efficiency1: float,
    efficiency2: float,
    is_read: bool,
) -> None:
    """Read out one frame of the pixel chamber and hand it to the law, if it arrives there."""
    tick = law.scalars[0].tick
    particles, x_mm, y_mm = take_arrived(plant.arrived[1])
    x, y, pixel = truths.pixel_x, truths.pixel_y, plant.pixel
    at_x_mm, at_y_mm = x_mm * x.per_iso + x.offset_mm, y_mm * y.per_iso + y.offset_mm
    collected = efficiency1 if x.box == 1 else efficiency2
    pixel_readout(pixel, x, y, particles, at_x_mm, at_y_mm, collected, tick)
    if truths.pixel_fault.active == 1:
        disturb_pixels(pixel, truths.pixel_fault, tick)
    if is_read:
        pixel_frame(law, settings, memory, pixel.counts, pixel.region)
    if samples.raw == 1:
        for j in range(pixel.region[0], pixel.region[1]):
            for i in range(pixel.region[2], pixel.region[3]):
                samples.pixels[frame, j, i] = pixel.counts[j, i]


@kernel
def write_trend(law: LawState, row: Any) -> None:
    """Write one row of the trend."""
    s = law.scalars[0]
    x, y = law.axes[0], law.axes[1]
    row.tick = s.tick
    row.int1_counts = s.total1 - s.trend1
    row.int2_counts = s.total2 - s.trend2
    s.trend1 = s.total1
    s.trend2 = s.total2
    row.x_set_A = x.set_A
    row.y_set_A = y.set_A
    row.x_read_A = x.read_A
    row.y_read_A = y.read_A
    row.x_strip_mm = x.last_mm
    row.y_strip_mm = y.last_mm
    row.row = s.row


@kernel
def begin_period(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    plant: PlantState,
    truths: PlantSettings,
    samples: Samples,
    period: int,
) -> tuple[float, int]:
    """Read-backs, events and lines to the law, set-points to the magnets.

    Returns
    -------
    rate : float
        Ions per tick that the accelerator gives.
    inputs : int
        What came in with the period, bits ``INPUT_...``.
    """
    tick = law.scalars[0].tick
    beam, safety = plant.beam[0], law.safety[0]
    x_read_A, y_read_A = read_back(beam, truths.beam, tick)
    inputs = event_at(truths.spill, tick) | truths.inputs | plant.lines[0] | plant.lines[1]
    inputs |= ring_reading(beam, truths.spill)
    plant.lines[1] = 0
    open_period(law, settings, memory, inputs, truths.broadcast_code, x_read_A, y_read_A)
    x_set_A, y_set_A = law.axes[0].set_A, law.axes[1].set_A
    if samples.raw == 1:
        samples.currents[period, 0] = x_read_A
        samples.currents[period, 1] = y_read_A
        samples.currents[period, 2] = x_set_A
        samples.currents[period, 3] = y_set_A
        samples.inputs[period] = inputs
    advance_magnets(beam, truths.beam, tick, x_set_A, y_set_A)
    rate = advance_spill(beam, plant.ripple, truths.spill, tick)
    if safety.end_extraction == 1 and tick - safety.end_extraction_tick >= truths.spill.stop_ticks:
        rate = 0.0
    return rate, inputs


@kernel
def run_block(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    plant: PlantState,
    truths: PlantSettings,
    samples: Samples,
    others: PlaneReadout | None,
    n_periods: int,
) -> int:
    """Run the law and the plant for up to `n_periods` scan periods, or until the fast control is done.

    If it is done already the plant goes on for all of them, watched by the interlock systems alone.

    Parameters
    ----------
    law, settings, memory
        Registers, settings and memory boards of the control law.
    plant, truths
        State of the plant and its settings.
    samples : Samples
        Results; the raw arrays and the trend must have room for the block.
    others : PlaneReadout or None
        Strip chambers that the law does not use.  Without them their code is not even compiled: a comparison
        with None is decided by the type.
    n_periods : int
        Scan periods to run at most.

    Returns
    -------
    int
        Scan periods that were run.
    """
    control = law.scalars[0]
    start = control.tick
    n_trend = n_strips = n_pixels = 0
    for period in range(n_periods):
        tick = start + period * truths.period
        control.tick = tick
        rests = control.phase == DONE
        rate, inputs = begin_period(law, settings, memory, plant, truths, samples, period)
        runs = inputs & INPUT_HANG == 0 and not rests
        is_read = runs and inputs & INPUT_NO_INTEGRAL == 0
        efficiency1, efficiency2 = sample_integrals(
            law, settings, memory, plant, truths, samples, tick, period * truths.period, rate, is_read
        )
        tick += truths.period
        control.tick = tick
        close_period(law, settings, memory, inputs)
        if tick % truths.strip_x.period == 0:
            is_read = runs and inputs & INPUT_NO_STRIP == 0
            particles, x_mm, y_mm = strip_period(
                law, settings, memory, plant, truths, samples, n_strips, efficiency1, efficiency2, is_read
            )
            if others is not None:
                read_planes(others, law, settings, particles, x_mm, y_mm, efficiency1, efficiency2, is_read)
            n_strips += 1
        if has_pixels(settings) and tick % truths.pixel_x.period == 0:
            is_read = runs and inputs & INPUT_NO_PIXEL == 0
            pixel_period(
                law, settings, memory, plant, truths, samples, n_pixels, efficiency1, efficiency2, is_read
            )
            n_pixels += 1
        if tick % TREND_TICKS == 0:
            write_trend(law, samples.trend[n_trend])
            n_trend += 1
        if control.phase == DONE and not rests:
            close_strip_spot(law, settings, memory)
            close_pixel_spot(law, settings, memory, plant.pixel.counts.shape[0])
            if others is not None:
                close_planes(others.registers, law, settings)
            return period + 1
    return n_periods
