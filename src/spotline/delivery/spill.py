"""Deliver one spill in a room: what is loaded, noted and written of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spotline.control import interlocks, timing
from spotline.control.memory import COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN
from spotline.control.slow import SlowTrip
from spotline.delivery.credit import unconfirmed_counts
from spotline.delivery.keeper import Keeper
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.logbook import Logbook
from spotline.delivery.outcome import Outcome
from spotline.delivery.oversight import Oversight
from spotline.machine import BeamLine
from spotline.record import journal
from spotline.record.account import Account
from spotline.record.model import SLOW_CONTROL, Table
from spotline.record.spill_file import SpillWriter, file_bytes, spill_path
from spotline.room import Block, Broadcast, FastLoop, SpillResult, boards_sha256
from spotline.storage import Disk
from spotline.treatment.treatment import FieldTreatment, Integers, Slice

MARGIN_US = 200_000
"""A spill file begins before the extraction and ends after it, by less than this."""


class SpillDelivery:
    """Delivers the spills of a field, one by one.

    Parameters
    ----------
    beamline : BeamLine
        The line.
    loop : FastLoop
        What delivers.
    folder : Path
        Of the field.
    header : dict
        Facts of the field; its hashes and seed go into the spill files.
    disk : Disk
        Where the files are.
    logbook : Logbook
        Journal of the field.
    oversight : Oversight
        Who watches.
    outcome : Outcome
        Knows the number of the spill; takes the time of the fast loop.
    block_us : int
        Samples per call of the fast loop at most.
    raw : bool
        Whether the loop keeps every frame: the files are larger then.
    between : callable
        Called before every block.
    after : callable
        Given each block, the spots in the memory boards, and the clock after it.

    Attributes
    ----------
    is_file_lost : bool
        Whether a spill file could not be written: it is made of the journal later.
    """

    def __init__(
        self,
        beamline: BeamLine,
        loop: FastLoop,
        folder: Path,
        header: dict[str, Any],
        disk: Disk,
        logbook: Logbook,
        oversight: Oversight,
        outcome: Outcome,
        block_us: int,
        raw: bool,
        between: Callable[[], None],
        after: Callable[[Block, Integers, int], None],
    ) -> None:
        self._beamline = beamline
        self._loop = loop
        self._folder = folder
        self._header = header
        self._disk = disk
        self._logbook = logbook
        self._oversight = oversight
        self._outcome = outcome
        self._block_us = block_us
        self._raw = raw
        self._between = between
        self._after = after
        self.is_file_lost = False

    def has_room(self, n_spots: int) -> bool:
        """Check that the next spill can be written, and set room aside for its part of the journal."""
        accelerator, control = self._beamline.facts.accelerator, self._beamline.facts.control
        duration_us = round(accelerator.longest_s * 1e6) + MARGIN_US
        needed = file_bytes(n_spots, duration_us, _raw_bytes_per_us(self._beamline) if self._raw else 0.0)
        try:
            self._logbook.reserve(journal.spill_bytes(n_spots, duration_us // control.recovery_period_us + 1))
            path = spill_path(self._folder, self._outcome.spills + 1)
            self._disk.make_folder(path.parent)
            if path.exists():
                raise FileExistsError(path)  # somebody else's: no room, for it is never replaced
            free = self._disk.free_bytes(self._folder)
        except OSError:
            free = 0
        if free < needed:
            self._oversight.interlock(SlowTrip(interlocks.RECORD, free, needed))
        return free >= needed

    def deliver(
        self,
        treatment: FieldTreatment,
        slice_: Slice,
        account: Account,
        spots: Integers,
        broadcast: Broadcast,
    ) -> SpillResult | None:
        """Deliver one spill and write its file.

        Parameters
        ----------
        treatment : FieldTreatment
            The field.
        slice_ : Slice
            The slice.
        account : Account
            What its spots lack.
        spots : ndarray of int
            Those to load, indices in the slice.
        broadcast : Broadcast
            What the timing system announced.

        Returns
        -------
        SpillResult or None
            None if the spill could not be noted; then nothing was delivered.
        """
        facts, number = self._beamline.facts, self._outcome.spills
        left1, left2 = (left[slice_.index][spots] for left in (account.left1, account.left2))
        settings = law_settings(facts, treatment.beam, slice_)
        memory = slice_memory(slice_, spots, left1, left2)
        announced = self._announced(treatment, slice_, broadcast)
        begin = {
            "spill": number,
            "slice": slice_.index,
            "start_us": broadcast.extraction_start_us,
            "unconfirmed": unconfirmed_counts(facts, treatment.beam, slice_),
            "header": announced,
        }
        if not self._logbook.note(journal.SPILL, begin, _loaded(spots, left1, left2)):
            return None
        path = spill_path(self._folder, number)
        with SpillWriter(path, settings, memory, spots, self._disk) as writer:
            held = self._loop.load(settings, memory, broadcast)
            if held != boards_sha256(settings, memory):
                # The spill ends in its first sample, before any beam.
                self._loop.abort(interlocks.MEMORY_BOARDS, 1.0, 0.0)
            readings = self._run(writer, spots)
            result = self._loop.result()
            is_last = slice_.index == len(treatment.slices) - 1
            header = {**announced, **_came_of(result, len(spots), is_last)}
            self._store(writer, header, result, readings)
        return result

    def _run(self, writer: SpillWriter, spots: Integers) -> list[tuple[Any, ...]]:
        """Run the fast loop to the end of the spill; return the readings of the slow control meanwhile."""
        readings: list[tuple[Any, ...]] = []
        self._loop.run(0)  # compiles the loop on first use, outside of the clock below
        now_us, finished = self._loop.result().end_us, False
        period_us = self._beamline.facts.control.recovery_period_us
        keeper = Keeper(
            self._logbook, self._loop, self._disk, self._folder, period_us, self._outcome.spills, now_us
        )
        while not finished:
            if now_us >= self._oversight.next_look_us:
                for trip in self._oversight.look(readings).trips:
                    self._loop.abort(trip.cause, trip.value, trip.limit)
            self._between()
            start = time.perf_counter()
            until_us = min(self._oversight.next_look_us, keeper.due_us)
            block = self._loop.run(min(self._block_us, until_us - now_us))
            self._outcome.loop_wall_s += time.perf_counter() - start
            now_us += block.n_samples
            finished = block.finished
            writer.add(block)
            keeper.take(block, now_us)
            self._after(block, spots, now_us)
        return readings

    def _store(
        self,
        writer: SpillWriter,
        header: dict[str, Any],
        result: SpillResult,
        readings: list[tuple[Any, ...]],
    ) -> None:
        """Note that a spill is over, and publish its file."""
        over = {
            "spill": header["spill"],
            "row": 0,
            "header": header,
            "interlocks": [row.item() for row in result.interlocks],
        }
        self._logbook.note(journal.OVER, over, result.parts)
        slow_control = np.array(readings, SLOW_CONTROL) if readings else np.zeros(0, SLOW_CONTROL)
        try:
            sha256 = writer.finish(header, result, slow_control)
        except OSError:
            # Nothing is lost: the journal has it, and the file is made from it later.
            free = self._disk.free_bytes(self._folder)
            self._oversight.interlock(SlowTrip(interlocks.RECORD, free, 0.0))
            self.is_file_lost = True
            return
        stored = {"spill": header["spill"], "sha256": sha256, "recovered": False}
        self._logbook.note(journal.STORED, stored)

    def _announced(self, treatment: FieldTreatment, slice_: Slice, broadcast: Broadcast) -> dict[str, Any]:
        """What the header of a spill file says before the spill."""
        return {
            "field": treatment.field.number,
            "spill": self._outcome.spills,
            "slice": slice_.index,
            "cycle_code": slice_.cycle_code,
            "extraction_start_us": broadcast.extraction_start_us,
            "extraction_end_us": broadcast.extraction_end_us,
            "broadcast_code": broadcast.code,
            "recovered": False,
            **{name: self._header[name] for name in ("beamline_sha256", "plan_sha256", "seed")},
        }


def _came_of(result: SpillResult, n_spots: int, is_last: bool) -> dict[str, Any]:
    """What the header of a spill file says after the spill."""
    is_complete = len(result.parts) == n_spots and bool((result.parts["complete"] == 1).all())
    return {
        "start_us": result.start_us,
        "end_us": result.end_us,
        "beam_on_us": beam_on_us(result.commands),
        "end_reason": result.end_reason,
        "request": timing.request_after(result.end_reason, is_last, is_complete),
        "int1_counts": result.int1_counts,
        "int2_counts": result.int2_counts,
    }


def beam_on_us(commands: Table) -> int:
    """Time for which the chopper was commanded open."""
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE]
    return int(closed.sum() - opened.sum())


def _loaded(spots: Integers, left1: Integers, left2: Integers) -> Table:
    table = np.zeros(len(spots), journal.LOADED)
    table["spot"], table["int1_counts"], table["int2_counts"] = spots, left1, left2
    return table


def _raw_bytes_per_us(beamline: BeamLine) -> float:
    """Bytes of all frames of all chambers, without compression."""
    chambers, control = beamline.facts.chambers, beamline.facts.control
    return (
        2 * 2
        + 2 * 2 * chambers.strips / control.strip_period_us
        + 2 * chambers.pixels**2 / control.pixel_period_us
        + (4 * 8 + 2) / control.scan_period_us
    )
