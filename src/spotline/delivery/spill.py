"""Deliver one spill in a room: what is loaded, told and written of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from spotline.arrays import Integers
from spotline.control import interlocks, timing
from spotline.control.slow import SlowTrip
from spotline.delivery.answers import MARGIN_us
from spotline.delivery.dose_recovery import DoseRecovery
from spotline.delivery.events import InterlockTripped, Samples, SpillBegun, SpillEnded, SpillStored
from spotline.delivery.guard import RoomError
from spotline.delivery.headers import beam_on_us
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.outcome import Outcome
from spotline.delivery.oversight import Oversight
from spotline.delivery.recorder import Recorder
from spotline.delivery.stream import Stream
from spotline.delivery.unconfirmed import largest_unconfirmed_counts
from spotline.machine import BeamLine
from spotline.record import journal
from spotline.record.account import Account
from spotline.record.spill_file import file_bytes, spill_path
from spotline.room import Broadcast, FastLoop, SpillResult, boards_sha256
from spotline.treatment.treatment import FieldTreatment, Slice


class SpillDelivery:
    """Delivers the spills of a field, one by one.

    Parameters
    ----------
    beamline : BeamLine
        The line.
    loop : FastLoop
        What delivers.
    recorder : Recorder
        Writes journal and spill files; listens to the stream.
    oversight : Oversight
        Who watches.
    outcome : Outcome
        Knows the number of the spill; takes the time of the fast loop.
    stream : Stream
        Told what happens.
    block_us : int
        Samples per call of the fast loop at most.
    between : callable
        Called before every block, given its first sample: orders are obeyed until then.

    Attributes
    ----------
    is_open : bool
        Whether a spill is in the journal that is not over; if the room fails then, what it gave is assumed.
    """

    def __init__(
        self,
        beamline: BeamLine,
        loop: FastLoop,
        recorder: Recorder,
        oversight: Oversight,
        outcome: Outcome,
        stream: Stream,
        block_us: int,
        between: Callable[[int], None],
    ) -> None:
        self._beamline = beamline
        self._loop = loop
        self._recorder = recorder
        self._oversight = oversight
        self._outcome = outcome
        self._stream = stream
        self._block_us = block_us
        self._between = between
        self.is_open = False

    def has_room(self, n_spots: int) -> bool:
        """Check that the next spill can be written, and set room aside for its part of the journal."""
        accelerator, control = self._beamline.facts.accelerator, self._beamline.facts.control
        files = self._recorder.files
        duration_us = round(accelerator.longest_s * 1e6) + MARGIN_us
        needed = file_bytes(n_spots, duration_us, _raw_bytes_per_us(self._beamline) if files.raw else 0.0)
        n_bytes = journal.spill_bytes(n_spots, duration_us // control.recovery_period_us + 1)
        try:
            self._recorder.logbook.reserve(n_bytes)
            path = spill_path(files.folder, self._outcome.spills + 1)
            files.disk.make_folder(path.parent)
            if path.exists():
                raise FileExistsError(path)  # somebody else's: no room, for it is never replaced
            free = files.disk.free_bytes(files.folder)
        except OSError:
            free = 0
        if self._recorder.spill_files.is_lost:
            free = 0  # no spill may follow in the journal before that file is made of it
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
        """Deliver one spill, book it, and write its file.

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
        facts = self._beamline.facts
        left1, left2 = (left[slice_.index][spots] for left in (account.left1, account.left2))
        begun = SpillBegun(
            time_us=self._oversight.now_us,
            spill=self._outcome.spills,
            slice=slice_.index,
            energy_MeV_u=slice_.energy_MeV_u,
            cycle_code=slice_.cycle_code,
            broadcast_code=broadcast.code,
            extraction_start_us=broadcast.extraction_start_us,
            extraction_end_us=broadcast.extraction_end_us,
            unconfirmed=largest_unconfirmed_counts(facts, treatment.beam, slice_),
            spots=spots,
            settings=law_settings(facts, treatment.beam, slice_),
            memory=slice_memory(slice_, spots, left1, left2),
        )
        self._stream.tell(begun)
        if self._recorder.logbook.is_lost:
            return None
        self.is_open = True
        loaded = boards_sha256(begun.settings, begun.memory)
        held = self._loop.load(begun.settings, begun.memory, broadcast)
        if held != loaded:
            # The spill ends in its first sample, before any beam.
            self._loop.abort(interlocks.MEMORY_BOARDS, 1.0, 0.0)
        self._run(begun, account.n_complete)
        result = self._loop.result()
        self.is_open = False
        account.book(slice_.index, spots, result.parts)
        is_last = slice_.index == len(treatment.slices) - 1
        self._end(begun, result, account, held, is_last=is_last)
        if held == loaded and result.boards_sha256 not in (None, loaded):
            detail = f"loop.result: the boards of spill {begun.spill} held something else when it was over"
            self._oversight.interlock(SlowTrip(interlocks.MEMORY_BOARDS, 1.0, 0.0), detail)
        return result

    def _run(self, begun: SpillBegun, complete_before: int) -> None:
        """Run the fast loop to the end of the spill."""
        self._loop.run(0)  # compiles the loop on first use, outside of the clock below
        now_us = self._loop.result().end_us
        period_us = self._beamline.facts.control.recovery_period_us
        files = self._recorder.files
        recovery = DoseRecovery(
            self._recorder.logbook, self._loop, files.disk, files.folder, period_us, begun.spill, now_us
        )
        try:
            self._run_blocks(begun, complete_before, recovery, now_us)
        except RoomError:
            recovery.keep()
            raise

    def _run_blocks(
        self, begun: SpillBegun, complete_before: int, recovery: DoseRecovery, now_us: int
    ) -> None:
        int1_counts = int2_counts = 0
        finished = False
        while not finished:
            self._between(now_us)
            if now_us >= self._oversight.next_look_us:
                for trip in self._oversight.look(begun.spill).trips:
                    self._loop.abort(trip.cause, trip.value, trip.limit)
            start = time.perf_counter()
            until_us = min(self._oversight.next_look_us, recovery.due_us)
            block = self._loop.run(min(self._block_us, until_us - now_us))
            self._outcome.loop_wall_s += time.perf_counter() - start
            now_us += block.n_samples
            finished = block.finished
            recovery.take(block, now_us)
            self._oversight.now_us = max(self._oversight.now_us, now_us)
            int1_counts += int(block.trend["int1_counts"].sum())
            int2_counts += int(block.trend["int2_counts"].sum())
            self._stream.tell(
                Samples(
                    time_us=now_us,
                    spill=begun.spill,
                    n_samples=block.n_samples,
                    spot=int(begun.spots[min(block.spot, len(begun.spots) - 1)]),
                    spots_complete=complete_before + block.spot,
                    int1_counts=int1_counts,
                    int2_counts=int2_counts,
                    trend=block.trend,
                    parts=block.parts,
                    raw=block.raw,
                )
            )

    def _end(
        self, begun: SpillBegun, result: SpillResult, account: Account, held: str, *, is_last: bool
    ) -> None:
        """Tell that a spill is over, and what became of its file."""
        for row in result.interlocks:
            self._stream.tell(
                InterlockTripped(
                    time_us=int(row["tick"]),
                    cause=int(row["cause"]),
                    value=float(row["value"]),
                    limit=float(row["limit"]),
                    action=int(row["action"]),
                    spill=begun.spill,
                    slice=begun.slice,
                    spot=int(begun.spots[min(int(row["spot"]), len(begun.spots) - 1)]),
                    is_with_beam=True,
                )
            )
        is_complete = len(result.parts) == len(begun.spots) and bool((result.parts["complete"] == 1).all())
        self._stream.tell(
            SpillEnded(
                time_us=result.end_us,
                spill=begun.spill,
                slice=begun.slice,
                beam_on_us=beam_on_us(result.commands),
                request=timing.request_after(result.end_reason, is_last, is_complete),
                spots_complete=account.n_complete,
                result=result,
                boards_sha256=held,
            )
        )
        files, written = self._recorder.files, self._recorder.spill_files
        if written.is_lost:
            free = files.disk.free_bytes(files.folder)
            self._oversight.interlock(SlowTrip(interlocks.RECORD, free, 0.0))
            return
        path = spill_path(files.folder, begun.spill).relative_to(files.folder.parent).as_posix()
        self._stream.tell(
            SpillStored(time_us=result.end_us, spill=begun.spill, path=path, sha256=written.sha256)
        )


def _raw_bytes_per_us(beamline: BeamLine) -> float:
    """Bytes of all frames of all chambers, without compression."""
    facts, control = beamline.facts, beamline.facts.control
    (n_strips, _), (n_pixels, _) = facts.strips, facts.pixels
    return (
        2 * 2
        + 2 * 2 * n_strips / control.strip_period_us
        + 2 * n_pixels**2 / control.pixel_period_us
        + (4 * 8 + 2) / control.scan_period_us
    )
