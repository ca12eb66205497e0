"""Slow extraction: how many ions per microsecond come out of the synchrotron.

Intensity = envelope x (1 + ripple of the power supplies + random modulation), cut at zero, until the
charge in the ring is used up (facts and amplitudes: see the ``[simulation.spill]`` table of the beam
line; the structure follows Singh, Forck and Sorge, arXiv:1904.09195).
"""

from __future__ import annotations

import math
from typing import Any

from spotline.arrays import Floats
from spotline.control.memory import INPUT_RING_CHARGED, INPUT_RING_SPENT
from spotline.jit import kernel
from spotline.random import hash64, normal
from spotline.sim.plant import ChopperTruth, SpillTruth

RING_EMPTY_PULSES = 10.0
"""Charge below so many pulses is none to the reading of the ring."""


@kernel
def envelope(time_us: float, rise_us: float, length_us: float, fall_us: float) -> float:
    """Trapezoid of unit height, zero outside of 0 to `length_us`."""
    if time_us <= 0.0 or time_us >= length_us:
        return 0.0
    rising = time_us / rise_us if rise_us > 0.0 else 1.0
    falling = (length_us - time_us) / fall_us if fall_us > 0.0 else 1.0
    return min(1.0, rising, falling)


@kernel
def advance_spill(beam: Any, ripple: Floats, truth: SpillTruth, tick: int) -> float:
    """Advance the extraction by one step and return the ions per tick."""
    bits = hash64(truth.key, tick)
    beam.spill_noise = beam.spill_noise * truth.noise_decay + truth.noise_kick * normal(bits, 0)
    modulation = 1.0 + beam.spill_noise
    for i in range(ripple.shape[1]):
        re, im = ripple[0, i], ripple[1, i]
        cosine, sine = truth.ripple_turn[0, i], truth.ripple_turn[1, i]
        ripple[0, i] = re * cosine - im * sine
        ripple[1, i] = re * sine + im * cosine
        modulation += ripple[0, i]
    if beam.ring_particles <= 0.0:
        return truth.stray_per_us
    height = envelope(float(tick - truth.start), truth.rise_us, float(truth.end - truth.start), truth.fall_us)
    rate = truth.particles_per_us * height * max(0.0, modulation)
    beam.ring_particles -= rate * truth.period
    beam.ring_lost += rate * truth.period
    return rate + truth.stray_per_us


@kernel
def ring_reading(beam: Any, truth: SpillTruth) -> int:
    """What the current transformer of the ring tells with a scan period, as bits ``INPUT_RING_...``.

    It shows no charge below a few pulses, and gives one pulse in a scan period at most.
    """
    if truth.ring_pulse <= 0.0:
        return 0
    bits = INPUT_RING_CHARGED if beam.ring_particles > RING_EMPTY_PULSES * truth.ring_pulse else 0
    if beam.ring_lost >= truth.ring_pulse:
        beam.ring_lost %= truth.ring_pulse
        bits |= INPUT_RING_SPENT
    return bits


@kernel
def command_chopper(beam: Any, truth: ChopperTruth, is_open: int, tick: int) -> None:
    """Take a command; it takes effect after its delay."""
    beam.chopper_command = is_open
    beam.chopper_tick = tick + (truth.on_delay if is_open == 1 else truth.off_delay)
    beam.chopper_moving = 1


@kernel
def move_chopper(beam: Any, truth: ChopperTruth, tick: int) -> None:
    """Advance a moving chopper by one tick: the fraction of the beam that passes changes linearly."""
    if tick < beam.chopper_tick:
        return
    if beam.chopper_command == 1:
        if truth.opens == 0:
            return
        beam.transmission = min(1.0, beam.transmission + truth.on_step)
        beam.chopper_moving = 1 if beam.transmission < 1.0 else 0
    elif truth.closes == 1:
        beam.transmission = max(0.0, beam.transmission - truth.off_step)
        beam.chopper_moving = 1 if beam.transmission > 0.0 else 0


def ripple_amplitudes(n_lines: int, rms: float) -> float:
    """Amplitude of each of `n_lines` equal cosine lines that together have this rms."""
    return rms * math.sqrt(2.0 / n_lines) if n_lines else 0.0
