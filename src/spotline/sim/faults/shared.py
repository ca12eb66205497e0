"""What faults change that come from something which several devices share: a common cause.

A nozzle has one gas, one crate of high voltage, one supply of its front-ends, one clock, one link by which
everything is read out, and one timing network (in `timing`).
"""

from __future__ import annotations

import math

from spotline.control.memory import INPUT_HANG, INPUT_NO_INTEGRAL, INPUT_NO_PIXEL, INPUT_NO_STRIP
from spotline.sim.faults.beam import scaled_charge
from spotline.sim.faults.context import Effect, FaultContext, value_of
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import PlantSettings, SegmentedTruth

LEAST_GAIN = 0.1
"""Contaminated gas still makes so much of the charge."""


def gain_in_bad_gas(active: Active, context: FaultContext) -> float:
    """Gain of every chamber relative to that in good gas."""
    return max(LEAST_GAIN, 1.0 - value_of(active) * active.seconds(context.time_us))


def _contaminated(truth: PlantSettings, active: Active, context: FaultContext) -> PlantSettings:
    gain = gain_in_bad_gas(active, context)
    return scaled_charge(truth, lambda _: gain)


def _blind(truth: PlantSettings, _active: Active, _context: FaultContext) -> PlantSettings:
    """No channel of any chamber counts; the background is gone as well."""

    def dead(chamber: SegmentedTruth) -> SegmentedTruth:
        return chamber._replace(background=0.0)

    truth = scaled_charge(truth, lambda _: 0.0)
    return truth._replace(
        integrals=truth.integrals._replace(
            int1_background_per_tick=0.0,
            int2_background_per_tick=0.0,
            int1_noise_per_tick=0.0,
            int2_noise_per_tick=0.0,
        ),
        strip_x=dead(truth.strip_x),
        strip_y=dead(truth.strip_y),
        pixel_x=dead(truth.pixel_x),
        pixel_y=dead(truth.pixel_y),
    )


def _unread(truth: PlantSettings, _active: Active, _context: FaultContext) -> PlantSettings:
    beam = truth.beam
    return truth._replace(
        inputs=truth.inputs | INPUT_NO_INTEGRAL | INPUT_NO_STRIP | INPUT_NO_PIXEL,
        beam=beam._replace(
            x=beam.x._replace(read_offset_A=math.nan), y=beam.y._replace(read_offset_A=math.nan)
        ),
    )


def _without_clock(truth: PlantSettings, _active: Active, _context: FaultContext) -> PlantSettings:
    """Nothing that runs with it takes a step; the patient interlock system has a clock of its own."""
    return truth._replace(inputs=truth.inputs | INPUT_HANG)


EFFECTS: dict[str, Effect] = {
    "gas.contaminated": _contaminated,
    "front_ends.dead": _blind,
    "clock.stop": _without_clock,
    "readout_link.lost": _unread,
}
