"""Run the control law over recorded samples instead of a room.

The order of the calls is that of the fast loop (`spotline.sim.loop`); the samples come from arrays, and
what the law decides goes nowhere but into its own registers and tables.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Frame, Integers
from spotline.control.integral import integral_decision, integral_sample, trip
from spotline.control.memory import (
    DONE,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.control.period import close_period, open_period
from spotline.control.pixel import close_pixel_spot, has_pixels, pixel_frame
from spotline.control.strip import close_strip_spot, has_strips, strip_frame
from spotline.jit import kernel


class Recording(NamedTuple):
    """Samples of one spill, as `spotline.room.RawSamples`."""

    integrals: NDArray[np.uint16]
    strips: NDArray[np.uint16]
    pixels: NDArray[np.uint16]
    read_A: Floats  # (n_periods, 2)
    inputs: NDArray[np.uint16]
    broadcast_code: int
    aborts: Any  # record array, dtype ABORT, in order of ticks


class Scratch(NamedTuple):
    """Room for one frame of each segmented chamber, and for the decisions of the law."""

    strip_x: Frame
    strip_y: Frame
    pixels: Frame
    strip_region: Integers  # (2,): the whole chamber
    pixel_region: Integers  # (4,)
    set_A: Floats  # (n_periods, 2): set-points that the law writes


def new_scratch(recording: Recording) -> Scratch:
    """Make room for the replay of a recording."""
    n_strips, n_pixels = recording.strips.shape[2], recording.pixels.shape[1]
    return Scratch(
        strip_x=np.zeros(n_strips, np.int32),
        strip_y=np.zeros(n_strips, np.int32),
        pixels=np.zeros((n_pixels, n_pixels), np.int32),
        strip_region=np.array([0, n_strips]),
        pixel_region=np.array([0, n_pixels, 0, n_pixels]),
        set_A=np.full((len(recording.inputs), 2), np.nan),
    )


@kernel
def replay_spill(
    law: LawState, settings: LawSettings, memory: SliceMemory, recording: Recording, scratch: Scratch
) -> int:
    """Run the law over a recorded spill; return the scan periods that the fast control took.

    A recording goes on when the fast control is done if there was beam all the same: for the safety interlock
    system.
    """
    control = law.scalars[0]
    start = control.tick
    period_ticks = settings.scan_period
    safety = law.safety[0]
    n_strips = n_pixels = n_aborts = 0
    taken = len(recording.inputs)
    for period in range(len(recording.inputs)):
        control.tick = start + period * period_ticks
        while n_aborts < len(recording.aborts) and recording.aborts[n_aborts].tick <= control.tick:
            abort = recording.aborts[n_aborts]
            trip(law, abort.cause, abort.action, abort.value, abort.limit)
            n_aborts += 1
        inputs = int(recording.inputs[period])
        x_read_A, y_read_A = recording.read_A[period, 0], recording.read_A[period, 1]
        open_period(law, settings, memory, inputs, recording.broadcast_code, x_read_A, y_read_A)
        scratch.set_A[period, 0] = law.axes[0].set_A
        scratch.set_A[period, 1] = law.axes[1].set_A
        rests = control.phase == DONE
        runs = inputs & INPUT_HANG == 0 and not rests
        is_read = runs and inputs & INPUT_NO_INTEGRAL == 0
        safety.seen1 = 0
        safety.seen2 = 0
        for i in range(period_ticks):
            sample = period * period_ticks + i
            int1, int2 = int(recording.integrals[sample, 0]), int(recording.integrals[sample, 1])
            safety.seen1 += int1
            safety.seen2 += int2
            if is_read and integral_sample(control, settings.integral, int1, int2):
                control.tick = start + sample
                integral_decision(law, settings, memory)
        control.tick = start + (period + 1) * period_ticks
        close_period(law, settings, memory, inputs)
        if control.tick % settings.strip_period == 0:
            for i in range(len(scratch.strip_x)):
                scratch.strip_x[i] = recording.strips[n_strips, 0, i]
                scratch.strip_y[i] = recording.strips[n_strips, 1, i]
            region = scratch.strip_region
            if runs and has_strips(settings) and inputs & INPUT_NO_STRIP == 0:
                strip_frame(law, settings, memory, scratch.strip_x, region, scratch.strip_y, region)
            n_strips += 1
        if control.tick % settings.pixel_period == 0:
            for j in range(scratch.pixels.shape[0]):
                for i in range(scratch.pixels.shape[1]):
                    scratch.pixels[j, i] = recording.pixels[n_pixels, j, i]
            if runs and has_pixels(settings) and inputs & INPUT_NO_PIXEL == 0:
                pixel_frame(law, settings, memory, scratch.pixels, scratch.pixel_region)
            n_pixels += 1
        if control.phase == DONE and not rests:
            close_strip_spot(law, settings, memory)
            close_pixel_spot(law, settings, memory, scratch.pixels.shape[0])
            taken = period + 1
    return taken
