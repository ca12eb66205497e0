"""Whether what a room answers can be, by what it was asked.

These are no interlocks of the beam: a beam out of tolerance makes answers that can be.  Held against what was
loaded, and against what was answered before, an answer that cannot be comes of a driver, a transfer or a
memory.  Nothing in it is believed then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES
from spotline.control.memory import (
    COMMAND,
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    COMMAND_SPOT_COMPLETE,
    END_NONE,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    INTERLOCK,
    PART,
    TREND,
    LawSettings,
    SliceMemory,
)
from spotline.control.slow import SlowReading
from spotline.given import is_whole
from spotline.record.model import Table
from spotline.room import TRUTH_COLUMNS, Block, Broadcast, SpillResult, boards_sha256

MARGIN_us = 200_000
"""The fast loop begins before the extraction and ends after it, by less than this."""
LARGEST_COUNTER = 0xFFFF
"""Of an integral chamber, per microsecond: counters have 16 bits (`spotline.room.RawSamples`)."""
NOBODYS_PER_s = 1000
"""Counts per second that may belong to no spot: what comes before the extraction; more is beam when off."""
LONGEST_WAIT_us = 3_600_000_000
"""A beam that is announced for later than in an hour was not announced."""


def check_broadcast(broadcast: Broadcast, asked_us: int, longest_us: int) -> str | None:
    """Say what of an announcement cannot be; None if all can.

    Parameters
    ----------
    broadcast : Broadcast
        What was announced.
    asked_us : int
        When it was asked for, on the clock of the field.
    longest_us : int
        How long a spill of the accelerator may last.
    """
    start_us, end_us = broadcast.extraction_start_us, broadcast.extraction_end_us
    if not all(is_whole(value) for value in (broadcast.code, start_us, end_us)):
        return f"code {broadcast.code!r} from {start_us!r} to {end_us!r} us are no whole numbers"
    if not asked_us <= start_us <= asked_us + LONGEST_WAIT_us:
        return f"extraction announced for {start_us} us, asked for at {asked_us} us"
    if not 0 < end_us - start_us <= longest_us:
        return f"extraction of {end_us - start_us} us announced, of {longest_us} us at most"
    return None


def check_slow_reading(reading: SlowReading | None, asked_us: int, n_boxes: int) -> str | None:
    """Say what of a reading cannot be; values that are no number are interlocks of their quantity.

    Parameters
    ----------
    reading : SlowReading or None
        None: the boards do not answer, which is an interlock of its own.
    asked_us : int
        When it was asked for, on the clock of the field.
    n_boxes : int
        Of the line.
    """
    if reading is None:
        return None
    if len(reading.boxes) != n_boxes:
        return f"reading of {len(reading.boxes)} boxes, the line has {n_boxes}"
    if not is_whole(reading.time_us) or reading.time_us > asked_us:
        return f"reading of {reading.time_us!r} us, asked for at {asked_us} us"
    for box in reading.boxes:
        values: tuple[Any, ...] = (box.temperature_C, box.pressure_Pa, box.high_voltage_V)
        for value in values:
            if not isinstance(value, int | float | np.number):
                return f"{box.name} reads {value!r}, which is no number"
    names: tuple[Any, ...] = reading.mounted
    if not all(isinstance(name, str) for name in names):
        return f"mounted are {reading.mounted!r}, which are no names"
    return None


def check_background(background: tuple[float, ...]) -> str | None:
    """Say what of a background cannot be; what is no number is an interlock of its own."""
    if len(background) != 2 or any(value < 0.0 for value in background):
        return f"background of {background!r} counts/s"
    return None


class SpillAnswers:
    """Looks at what the fast loop answers during one spill.

    Parameters
    ----------
    settings, memory : LawSettings, SliceMemory
        What was loaded.
    broadcast : Broadcast
        What was announced.

    Attributes
    ----------
    is_over : bool
        Whether the fast loop has said so.
    """

    def __init__(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> None:
        self._excess = settings.excess1, settings.excess2
        self._loaded = memory.int1_counts, memory.int2_counts
        self._boards = boards_sha256(settings, memory)
        self._extraction_us = broadcast.extraction_start_us
        self._now_us: int | None = None
        self._row = 0  # that was current when the loop was asked last
        self._seen = np.zeros(self.n_spots, np.int64), np.zeros(self.n_spots, np.int64)
        self.is_over = False

    @property
    def n_spots(self) -> int:
        """Spots in the memory boards."""
        return len(self._loaded[0])

    def doubt_of_block(self, block: Block, max_samples: int) -> str | None:
        """Say what of a block of at most so many samples cannot be; None if all can."""
        n_samples = block.n_samples
        if not 0 <= n_samples <= max_samples:
            return f"{n_samples} samples, of {max_samples} asked for"
        if max_samples and not n_samples and not block.finished:
            return f"no sample, of {max_samples} asked for, and no end"
        if block.trend.dtype.names != TREND.names or _any_negative(block.trend):
            return "trend with other columns, or counts below 0"
        if not 0 <= block.spot <= self.n_spots:
            return f"spot {block.spot}, of {self.n_spots}"
        if self._now_us is not None:
            self._now_us += n_samples
        doubt = self._doubt_of_parts(block.parts, self._row)
        if doubt is None:
            self._row += len(block.parts) - 1
            self.is_over = bool(block.finished)
        return doubt

    def doubt_of_result(self, result: SpillResult) -> str | None:
        """Say what of a result cannot be, during the spill or of all of it; None if all can."""
        start_us, end_us = result.start_us, result.end_us
        if self._now_us is None:
            self._now_us = end_us
        if not 0 <= self._extraction_us - start_us < MARGIN_us or start_us > end_us:
            return f"from {start_us} to {end_us} us, with an extraction at {self._extraction_us} us"
        if end_us != self._now_us:
            return f"ends at {end_us} us, but was run to {self._now_us} us"
        doubt = self._doubt_of_parts(result.parts, 0) or self._doubt_of_tables(result)
        if doubt is not None or not self.is_over:
            return doubt
        return self._doubt_of_end(result) or self._doubt_of_counts(result)

    def _doubt_of_parts(self, parts: Table, first: int) -> str | None:
        """Look at parts of spots, the first of which is of the spot with this index."""
        if parts.ndim != 1 or parts.dtype.names != PART.names or not len(parts):
            return "parts with other columns, or none"
        spots = np.arange(first, first + len(parts))
        if spots[-1] >= self.n_spots or (parts["spot"] != spots).any():
            return f"parts of other spots than {first} and those that follow, of {self.n_spots}"
        if not np.isin(parts["complete"], (0, 1)).all() or (parts["complete"][:-1] != 1).any():
            return "a spot was left that is not complete"
        for name, seen in zip(("int1_counts", "int2_counts"), self._seen, strict=True):
            counts = parts[name]
            if (counts < seen[spots]).any():
                return f"{name} of spot {spots[np.argmax(counts < seen[spots])]} below 0, or below what was"
            # What came in before a spot began is background: the law counts it, and forgets it at the start.
            seen[spots] = np.where(parts["start_tick"] > 0, counts, 0)
        return None

    def _doubt_of_tables(self, result: SpillResult) -> str | None:
        commands, rows = result.commands, result.interlocks
        if commands.dtype.names != COMMAND.names or rows.dtype.names != INTERLOCK.names:
            return "commands or interlocks with other columns"
        for ticks in (commands["tick"], rows["tick"], result.parts["start_tick"][1:]):
            if len(ticks) and not result.start_us <= ticks.min() <= ticks.max() <= result.end_us:
                return f"tick {ticks.min()} to {ticks.max()}, outside of the spill"
            if (np.diff(ticks) < 0).any():
                return "time goes back"
        known = (COMMAND_CHOPPER_OPEN, COMMAND_CHOPPER_CLOSE, COMMAND_SPOT_COMPLETE)
        if not np.isin(commands["command"], known).all():
            return "commands that are none"
        causes = {int(cause) for cause in rows["cause"]}
        if (
            not causes <= set(CAUSES)
            or not np.isin(rows["action"], (interlocks.PAUSE, interlocks.STOP)).all()
        ):
            return "interlocks of causes or actions that are none"
        if len(rows) and not 0 <= rows["spot"].min() <= rows["spot"].max() <= self.n_spots:
            return "interlocks at spots that are none"
        truth = result.truth
        if truth is not None and truth.shape != (len(result.parts), TRUTH_COLUMNS):
            return f"truth of shape {truth.shape}"
        return None

    def _doubt_of_end(self, result: SpillResult) -> str | None:
        """Hold why a spill ended against what it left."""
        reason, parts = result.end_reason, result.parts
        stops = bool((result.interlocks["action"] == interlocks.STOP).any())
        # A line of the patient interlock system may end a spill for a cause that others have latched.
        if not END_NONE < reason <= END_STOP or (stops and reason != END_STOP):
            return f"end for reason {reason}, {'with' if stops else 'without'} an interlock that stops"
        if reason == END_PAUSE and not len(result.interlocks):
            return "a pause without an interlock"
        opened, closed = (
            np.count_nonzero(result.commands["command"] == command)
            for command in (COMMAND_CHOPPER_OPEN, COMMAND_CHOPPER_CLOSE)
        )
        if opened != closed:
            return f"the chopper opened {opened} times, closed {closed} times"
        is_complete = len(parts) == self.n_spots and parts["complete"][-1] == 1
        if reason == END_SLICE_COMPLETE and not is_complete:
            return f"all spots complete, but {len(parts)} of {self.n_spots} begun"
        return None

    def _doubt_of_counts(self, result: SpillResult) -> str | None:
        """Hold counts of spots against each other, what was loaded, and what counters can hold."""
        duration_us = result.end_us - result.start_us
        totals = result.int1_counts, result.int2_counts
        for number in (0, 1):
            counts, total = result.parts[f"int{number + 1}_counts"], totals[number]
            name = f"INT{number + 1}"
            if not 0 <= total <= LARGEST_COUNTER * duration_us:
                return f"{name} counts {total} in {duration_us} us"
            nobodys = total - int(counts.sum())
            if nobodys < 0:
                return f"{name} counts {total} in all, {int(counts.sum())} in spots"
            if result.boards_sha256 not in (None, self._boards):
                continue  # an interlock of its own; what was counted was counted
            over = counts - self._loaded[number][: len(counts)] - self._excess[number]
            # Who leaves a spot has checked its dose; one that stays too long is an interlock.
            if (over[:-1] >= 0).any():
                return f"{name} has {int(over[:-1].max())} counts too many in a spot that was left"
            if len(result.interlocks):
                continue
            if nobodys > NOBODYS_PER_s * (1 + duration_us * 1e-6):
                return f"{name} counts {total} in all, {nobodys} of them in no spot"
            if over[-1] >= self._excess[number]:
                return f"{name} has {int(over[-1])} counts too many in the last spot, without an interlock"
        return None


def _any_negative(trend: Table) -> bool:
    return bool((trend["int1_counts"] < 0).any() or (trend["int2_counts"] < 0).any())
