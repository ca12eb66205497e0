"""Scanning magnets with their supplies, and the true position of the beam."""

from __future__ import annotations

import math
from typing import Any

from spotline.jit import kernel
from spotline.random import hash64, normal
from spotline.sim.plant import AxisTruth, BeamTruth


@kernel
def follow(current_A: float, set_A: float, slew_A_per_us: float, settling_us: float, step_us: float) -> float:
    """Current of a supply after `step_us`.

    Far from the set-point it slews at its largest rate, near it approaches exponentially; the rate is
    continuous where both meet.
    """
    error_A = set_A - current_A
    if error_A == 0.0:
        return current_A
    direction = 1.0 if error_A > 0.0 else -1.0
    distance_A = abs(error_A)
    knee_A = slew_A_per_us * settling_us
    slewing_us = max(0.0, (distance_A - knee_A) / slew_A_per_us)
    if slewing_us >= step_us:
        return current_A + direction * slew_A_per_us * step_us
    if settling_us <= 0.0:
        return set_A
    remaining_A = min(distance_A, knee_A) * math.exp(-(step_us - slewing_us) / settling_us)
    return set_A - direction * remaining_A if remaining_A > 1e-6 else set_A


@kernel
def position(before_A: float, after_A: float, axis: AxisTruth, since_us: float, jitter_mm: float) -> float:
    """Mean position at the isocentre while the current changed from one value to another."""
    drift_mm = axis.drift_mm_per_us * since_us
    return 0.5 * (before_A + after_A) * axis.mm_per_A + axis.offset_mm + drift_mm + jitter_mm


@kernel
def advance_magnets(beam: Any, truth: BeamTruth, tick: int, x_set_A: float, y_set_A: float) -> None:
    """Advance both magnets by one step, and the mean true position of the beam during it."""
    x, y, step_us = truth.x, truth.y, float(truth.period)
    x_before_A, y_before_A = beam.x_current_A, beam.y_current_A
    beam.x_current_A = follow(x_before_A, x_set_A * x.follows, x.slew_A_per_us, x.settling_us, step_us)
    beam.y_current_A = follow(y_before_A, y_set_A * y.follows, y.slew_A_per_us, y.settling_us, step_us)
    bits = hash64(truth.jitter_key, tick)
    beam.x_jitter_mm = beam.x_jitter_mm * truth.jitter_decay + truth.jitter_kick_mm * normal(bits, 0)
    beam.y_jitter_mm = beam.y_jitter_mm * truth.jitter_decay + truth.jitter_kick_mm * normal(bits, 1)
    since_us = float(tick - truth.start)
    beam.x_iso_mm = position(x_before_A, beam.x_current_A, x, since_us, beam.x_jitter_mm)
    beam.y_iso_mm = position(y_before_A, beam.y_current_A, y, since_us, beam.y_jitter_mm)


@kernel
def read_back(beam: Any, truth: BeamTruth, tick: int) -> tuple[float, float]:
    """Currents as the supplies report them."""
    bits = hash64(truth.readback_key, tick)
    x, y = truth.x, truth.y
    x_A = beam.x_current_A * x.read_gain + x.read_offset_A + x.read_noise_A * normal(bits, 0)
    y_A = beam.y_current_A * y.read_gain + y.read_offset_A + y.read_noise_A * normal(bits, 1)
    return x_A, y_A
