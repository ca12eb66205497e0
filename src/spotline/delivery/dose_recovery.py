"""Keep the journal while the fast loop runs: the Dose Delivered Recovery of one spill."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spotline.control.interlocks import RECORD
from spotline.delivery.logbook import Logbook
from spotline.record.entries import ProgressEntry
from spotline.record.journal import PROGRESS
from spotline.record.model import Table
from spotline.room import Block, FastLoop
from spotline.storage import Disk

END_BYTES = 1 << 17
"""Room that the disk must still have during a spill: without it the file will not be written."""


class DoseRecovery:
    """Brings the journal up to date, and tells the fast control so.

    Entries are made at multiples of the period on the clock of the field, whatever the size of the blocks.

    Parameters
    ----------
    logbook : Logbook
        Of the field; it has the entry of the spill.
    loop : FastLoop
        Where the spill is.
    disk : Disk
        Watched: if it fills, the beam is taken away.
    folder : Path
        Of the field.
    period_us : int
        Time between entries.
    spill : int
        Its number.
    start_us : int
        First sample.

    Attributes
    ----------
    due_us : int
        When the next entry is due.
    """

    def __init__(
        self,
        logbook: Logbook,
        loop: FastLoop,
        disk: Disk,
        folder: Path,
        period_us: int,
        spill: int,
        start_us: int,
    ) -> None:
        self._logbook, self._loop, self._disk, self._folder = logbook, loop, disk, folder
        self._period_us, self._spill = period_us, spill
        self._waiting: list[Table] = []  # parts that the journal does not have
        self._row = 0  # row of the first of them
        self._is_stopped = False
        self._now_us = start_us
        self.due_us = (start_us // period_us + 1) * period_us

    def take(self, block: Block, now_us: int) -> None:
        """Take what a block left, and make an entry if it is due; the end of a spill has one of its own."""
        if self._waiting:
            # The first part is the last one before, with what it has by now.
            self._waiting[-1] = self._waiting[-1][:-1]
        self._waiting.append(block.parts)
        self._now_us = now_us
        if block.finished or now_us < self.due_us:
            return
        self.due_us += self._period_us
        self._enter(now_us)
        if not self._is_stopped:
            self._watch()

    def keep(self) -> None:
        """Have the journal hold what came since the last entry, of a spill in which the room has failed."""
        if self._waiting:
            entry = ProgressEntry(spill=self._spill, row=self._row, time_us=self._now_us)
            self._logbook.note(PROGRESS, entry, np.concatenate(self._waiting))

    def _enter(self, now_us: int) -> None:
        """Make the entry, and have it confirmed."""
        parts = np.concatenate(self._waiting)
        entry = ProgressEntry(spill=self._spill, row=self._row, time_us=now_us)
        if not self._logbook.note(PROGRESS, entry, parts):
            return
        self._loop.confirm()
        self._row += len(parts) - 1
        self._waiting = [parts[-1:]]

    def _watch(self) -> None:
        """Take the beam away if what it delivers could not be written."""
        free = 0 if self._logbook.is_lost else self._disk.free_bytes(self._folder)
        if free < END_BYTES:
            self._is_stopped = True
            self._loop.abort(RECORD, free, END_BYTES)
