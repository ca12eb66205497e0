"""A bench for the control law: samples, frames, read-backs and events by hand, in the order of the loop.

Figures are chosen so that positions, deviations and limits are exact in binary: a strip is 2 mm wide and
its middle lies at an odd number of millimetres, a pixel is 8 mm wide and its middle lies at 4 mm plus a
multiple of 8 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotline.control.integral import integral_decision, integral_sample, trip
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    ABORT,
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    COMMAND_SPOT_COMPLETE,
    DELIVERING,
    DONE,
    INPUT_END,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_START,
    AxisSettings,
    IntegralLimits,
    LawSettings,
    LawState,
    SliceMemory,
    new_state,
)
from spotline.control.period import close_period, open_period
from spotline.control.pixel import close_pixel_spot, pixel_frame
from spotline.control.replay import Recording, new_scratch, replay_spill
from spotline.control.strip import close_strip_spot, strip_frame

Frames = NDArray[np.int32]

N_STRIPS = 128
N_PIXELS = 32
CODE = 6 << 28 | 22145
UNKNOWN = 1 << 40
"""When an event is announced that a test does not care about."""

SETTINGS = LawSettings(
    integral=IntegralLimits(difference=100.0, ratio=0.25, ratio_counts=100),
    x=AxisSettings(
        feedback_limit_A=2.0,
        step_A=0.0,
        A_per_mm=0.5,
        slew_A_per_us=0.03125,
        settling_us=0.0,
        deviation_limit_A=1.0,
        iso_per_strip=1.25,
        iso_per_pixel=1.125,
    ),
    y=AxisSettings(
        feedback_limit_A=4.0,
        step_A=0.0,
        A_per_mm=0.25,
        slew_A_per_us=0.03125,
        settling_us=0.0,
        deviation_limit_A=0.5,
        iso_per_strip=1.25,
        iso_per_pixel=1.125,
    ),
    scan_period=25,
    strip_period=50,
    pixel_period=100,
    beam_off_ticks=250,
    collection_ticks=400,
    blanking_ticks=100,
    anticipate=0,
    late_counts_ticks=200.0,
    feedback_gain=0.5,
    settled_A=0.25,
    strip_pitch_mm=2.0,
    pixel_pitch_mm=8.0,
    strip_reach=5,
    pixel_reach=2,
    centroid_counts=64,
    pixel_centroid_counts=64,
    intensity_bins=4,
    intensity_limit1=300,
    intensity_limit2=300,
    particles_per_s_per_count1=5.0e6,
    particles_per_s_per_count2=8.0e6,
    position_limit_mm=2.5,
    pixel_position_limit_mm=4.5,
    # What follows is so wide that only the tests that are about it come near.
    strip_pixel_limit_mm=1e9,
    rate_ratio=0.25,
    rate_counts=1 << 40,
    charge_ratio=0.25,
    charge_counts=1 << 40,
    unsettled_spots=1 << 40,
    excess1=1 << 40,
    excess2=1 << 40,
    first_move_ticks=1000,
    deviation_ticks=1 << 40,
    rise_ticks=100,
    no_counts_ticks=1 << 40,
    off_counts=1 << 40,
    data_periods=3,
    event_tolerance_ticks=500,
    unconfirmed_counts=1 << 40,
    watchdog_ticks=200,
    ion_noise1=0.0,
    ion_noise2=0.0,
)
LATE_TICKS = SETTINGS.beam_off_ticks + SETTINGS.collection_ticks


def strip_mm(strip: float) -> float:
    """Position of a strip on the bench."""
    return (strip - (N_STRIPS - 1) / 2) * SETTINGS.strip_pitch_mm


def pixel_mm(pixel: float) -> float:
    """Position of a row or column of pixels on the bench."""
    return (pixel - (N_PIXELS - 1) / 2) * SETTINGS.pixel_pitch_mm


def spots(
    counts: list[int],
    *,
    margin2: int = 1,
    beam_off: tuple[int, ...] = (),
    x_A: list[float] | None = None,
    strip: int = 64,
    row: int = 60,
    pixel: int = 16,
    pixel_row: int = 15,
) -> SliceMemory:
    """Memory boards with these prescribed counts of INT1; all spots lie at one position."""
    n = len(counts)
    return SliceMemory(
        cycle_code=CODE,
        int1_counts=np.array(counts, np.int64),
        int2_counts=np.array(counts, np.int64) + margin2,
        int1_per_int2=np.ones(n),
        x_strip_mm=np.full(n, strip_mm(strip)),
        y_strip_mm=np.full(n, strip_mm(row)),
        x_pixel_mm=np.full(n, pixel_mm(pixel)),
        y_pixel_mm=np.full(n, pixel_mm(pixel_row)),
        x_current_A=np.array(x_A if x_A is not None else [0.0] * n, float),
        y_current_A=np.zeros(n),
        beam_off=np.array([k in beam_off for k in range(n)], np.uint16),
    )


def nothing(tick: int) -> tuple[int, int]:
    """No counts."""
    return 0, 0


def every(ticks: int, since: int = 0, until: int = UNKNOWN) -> Callable[[int], tuple[int, int]]:
    """One count in both integral chambers every so many ticks."""
    return lambda tick: (1, 1) if since <= tick < until and (tick - since) % ticks == 0 else (0, 0)


def listed(counts: Mapping[int, tuple[int, int]]) -> Callable[[int], tuple[int, int]]:
    """Counts in the samples that are named, and no others."""
    return lambda tick: counts.get(tick, (0, 0))


def line_of(counts: Mapping[int, int]) -> Frames:
    """One frame of a strip chamber with counts in the strips that are named."""
    frame = np.zeros(N_STRIPS, np.int32)
    for strip, number in counts.items():
        frame[strip] = number
    return frame


def image_of(counts: Mapping[tuple[int, int], int]) -> Frames:
    """One frame of the pixel chamber with counts in the pixels (row, column) that are named."""
    frame = np.zeros((N_PIXELS, N_PIXELS), np.int32)
    for place, number in counts.items():
        frame[place] = number
    return frame


class Bench:
    """The fast control with everything that it reads in the hands of a test.

    Each attribute below tells what comes at a tick; a test replaces those that it cares about.
    """

    def __init__(
        self,
        memory: SliceMemory,
        settings: LawSettings = SETTINGS,
        start_tick: int = 0,
        announced: tuple[int, int] = (UNKNOWN, UNKNOWN),
    ) -> None:
        self.memory = memory
        self.settings = settings
        self.law: LawState = new_state(memory, settings, N_STRIPS, start_tick, announced)
        self.start_tick = start_tick
        self.counts: Callable[[int], tuple[int, int]] = nothing
        self.strip_x: Callable[[int], Mapping[int, int]] = lambda tick: {}
        self.strip_y: Callable[[int], Mapping[int, int]] = lambda tick: {}
        self.pixels: Callable[[int], Mapping[tuple[int, int], int]] = lambda tick: {}
        # Bits INPUT_... by tick: events, and what else comes in; aborts as a room gets them.
        self.events: dict[int, int] = {}
        self.inputs: Callable[[int], int] = lambda tick: 0
        self.aborts: list[tuple[int, int, float, float, int]] = []
        self.broadcast_code = CODE
        # By default the magnets are where they were told to be in the period before.
        self.read_A: Callable[[int], tuple[float, float]] = lambda tick: self.set_A
        # What was fed, as a recording keeps it, and what came out.
        self.fed: dict[str, list[Any]] = {
            name: [] for name in ("integrals", "strips", "pixels", "read_A", "inputs", "set_A")
        }

    @property
    def s(self) -> Any:
        """The registers of the Int FPGA."""
        return self.law.scalars[0]

    @property
    def set_A(self) -> tuple[float, float]:
        return float(self.law.axes[0].set_A), float(self.law.axes[1].set_A)

    @property
    def announced(self) -> tuple[int, int]:
        """Start and end of the extraction as announced."""
        return int(self.s.start_due), int(self.s.end_due)

    @property
    def safety(self) -> Any:
        """The registers of the patient and safety interlock systems."""
        return self.law.safety[0]

    @property
    def commands(self) -> list[tuple[str, int, int]]:
        """Commands given so far: what, when, at which spot."""
        words = {
            COMMAND_CHOPPER_OPEN: "open",
            COMMAND_CHOPPER_CLOSE: "close",
            COMMAND_SPOT_COMPLETE: "complete",
        }
        table = self.law.commands[: self.s.commands]
        return [(words[int(c.command)], int(c.tick), int(c.spot)) for c in table]

    @property
    def interlocks(self) -> list[tuple[int, int, float, float, int]]:
        """Interlocks so far: cause, tick, value, limit, action."""
        table = self.law.interlocks[: self.s.interlocks]
        return [(int(i.cause), int(i.tick), float(i.value), float(i.limit), int(i.action)) for i in table]

    def period(self) -> None:
        """One scan period, in the order of the fast loop."""
        law, settings, memory, s = self.law, self.settings, self.memory, self.s
        start = int(s.tick)
        inputs = self.events.get(start, 0) | self.inputs(start)
        read_A = self.read_A(start)
        open_period(law, settings, memory, inputs, self.broadcast_code, *read_A)
        rests = s.phase == DONE
        runs = not inputs & INPUT_HANG and not rests
        self.fed["inputs"].append(inputs)
        self.fed["read_A"].append(read_A)
        self.fed["set_A"].append(self.set_A)
        seen = [0, 0]
        for tick in range(start, start + settings.scan_period):
            int1, int2 = self.counts(tick)
            self.fed["integrals"].append((int1, int2))
            seen[0] += int1
            seen[1] += int2
            is_read = runs and not inputs & INPUT_NO_INTEGRAL
            if is_read and integral_sample(s, settings.integral, int1, int2):
                s.tick = tick
                integral_decision(law, settings, memory)
        tick = s.tick = start + settings.scan_period
        law.safety[0].seen1, law.safety[0].seen2 = seen
        close_period(law, settings, memory, inputs)
        if tick % settings.strip_period == 0:
            x, y = line_of(self.strip_x(tick)), line_of(self.strip_y(tick))
            if runs and not inputs & INPUT_NO_STRIP:
                strip_frame(law, settings, memory, x, lit(x), y, lit(y))
            self.fed["strips"].append((x, y))
        if tick % settings.pixel_period == 0:
            image = image_of(self.pixels(tick))
            rows, columns = lit(image.any(axis=1)), lit(image.any(axis=0))
            if runs and not inputs & INPUT_NO_PIXEL:
                pixel_frame(law, settings, memory, image, np.concatenate([rows, columns]))
            self.fed["pixels"].append(image)
        if s.phase == DONE and not rests:
            close_strip_spot(law, settings, memory)
            close_pixel_spot(law, settings, memory, N_PIXELS)

    def run_to(self, tick: int) -> Bench:
        """Run until the clock stands at a tick, or the spill is done."""
        while self.s.tick < tick and self.s.phase != DONE:
            self.period()
        return self

    def finish(self, limit: int = 100_000) -> Bench:
        """Run to the end of the spill."""
        self.run_to(self.start_tick + limit)
        assert self.s.phase == DONE, "the spill does not come to an end"
        return self

    def rest_to(self, tick: int) -> Bench:
        """Go on with the fast control done, until the clock stands at a tick."""
        assert self.s.phase == DONE
        while self.s.tick < tick:
            self.period()
        return self

    def finish_with(self, counts: int) -> Bench:
        """Feed so many counts in the next sample, so that spots complete, and run to the end of the spill."""
        now = int(self.s.tick)
        self.counts = lambda tick: (counts, counts) if tick == now else (0, 0)
        if self.s.phase != DONE:
            self.end_extraction_at(now + self.settings.scan_period)
        return self.finish()

    def begin(self) -> Bench:
        """Let the extraction start, with the magnets already at the first spot."""
        self.run_to(self.start_tick + self.settings.scan_period)
        if self.s.start_due == UNKNOWN:
            self.s.start_due = self.s.tick
        self.events[int(self.s.tick)] = INPUT_START
        return self

    def deliver(self) -> Bench:
        """As `begin`, and run the first period with beam."""
        self.begin()
        self.period()
        assert self.s.phase == DELIVERING
        return self

    def end_extraction_at(self, tick: int) -> Bench:
        """Let the extraction end, as announced."""
        self.s.end_due = tick
        self.events[tick] = INPUT_END
        return self

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        """Stop the beam from outside, as a room does."""
        self.aborts.append((int(self.s.tick), cause, value, limit, action))
        trip(self.law, cause, action, value, limit)

    def recording(self) -> Recording:
        """What was fed, as a recording."""
        return Recording(
            integrals=np.array(self.fed["integrals"], np.uint16).reshape(-1, 2),
            strips=np.array(self.fed["strips"], np.uint16).reshape(-1, 2, N_STRIPS),
            pixels=np.array(self.fed["pixels"], np.uint16).reshape(-1, N_PIXELS, N_PIXELS),
            read_A=np.array(self.fed["read_A"], float).reshape(-1, 2),
            inputs=np.array(self.fed["inputs"], np.uint16),
            broadcast_code=self.broadcast_code,
            aborts=np.array(self.aborts, ABORT).view(np.recarray),
        )


def lit(values: NDArray[Any]) -> NDArray[np.int64]:
    """First and one past the last place that is not zero, as the front-end tells it."""
    places = np.flatnonzero(values)
    return np.array([places[0], places[-1] + 1] if len(places) else [0, 0], np.int64)


def replay(
    memory: SliceMemory,
    settings: LawSettings,
    recording: Recording,
    start_tick: int = 0,
    announced: tuple[int, int] = (UNKNOWN, UNKNOWN),
) -> tuple[LawState, NDArray[np.float64], int]:
    """Run the law over a recording; the state it leaves, the set-points, and the scan periods it took."""
    law = new_state(memory, settings, N_STRIPS, start_tick, announced)
    scratch = new_scratch(recording)
    periods = replay_spill(law, settings, memory, recording, scratch)
    return law, scratch.set_A, int(periods)
