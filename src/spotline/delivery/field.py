"""Deliver one field in a room: checks, spills, interlocks, and what is written of each spill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spotline.beamline import BeamLine
from spotline.control import interlocks, timing
from spotline.control.memory import COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN, END_PAUSE, END_STOP
from spotline.control.phases import Event, Phase, advance
from spotline.control.slow import SlowReading, SlowTrip, check_reading
from spotline.delivery.credit import unconfirmed_counts
from spotline.delivery.keeper import Keeper
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.progress import Progress, Report
from spotline.preparation.counts import convert_counts
from spotline.preparation.treatment import FieldTreatment, Integers, Slice
from spotline.record import journal
from spotline.record.account import Account
from spotline.record.journal import Journal
from spotline.record.model import INTERLOCK, SLOW_CONTROL, Table
from spotline.record.spill_file import SpillWriter, file_bytes, spill_path
from spotline.record.storage import Disk
from spotline.record.treatment_file import write_treatment_file
from spotline.room import Broadcast, Room, SpillResult

SPILL_MARGIN_US = 200_000
"""A spill file begins before the extraction and ends after it, by less than this."""
BLOCK_US = 100_000
BACKGROUND_S = 1.0
FRUITLESS_PAUSES = 3
"""So many spills in a row end the treatment that were paused before one spot was complete, or in which no
beam came: the fault persists."""


@dataclass(slots=True)
class Outcome:
    """What came of a field.

    Attributes
    ----------
    complete : bool
        Whether nothing is left to deliver.
    spills : int
        Spills used, those of earlier sessions too.
    loop_wall_s : float
        Time that the fast loop took.
    """

    complete: bool = False
    spills: int = 0
    loop_wall_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """What was delivered before, of a field whose delivery goes on.

    Attributes
    ----------
    account : Account
        What is left.
    spills : int
        Spills used.
    clock_us : int
        Clock of the field; it stood still in between.
    """

    account: Account
    spills: int
    clock_us: int


class FieldDelivery:
    """The delivery of one field.

    Parameters
    ----------
    treatment : FieldTreatment
        The prepared field.
    beamline : BeamLine
        The line it was prepared for.
    room : Room
        Where to deliver it.
    folder : Path
        Existing folder for its files.
    header : dict
        Facts for the header of the treatment file.
    report : callable
        Told how far the delivery is.
    position : tuple of int
        Of the field among those that are delivered, from 1, and their number.
    disk : Disk
        Where the files are.
    block_us : int
        Samples per call of the fast loop at most, a multiple of 1000; changes nothing in the results.
    raw : bool
        Whether the room keeps every frame: the files are larger then.
    earlier : Earlier or None
        What was delivered before; None if the delivery begins.
    session : dict or None
        Who has it go on, and why, for the journal.
    """

    def __init__(
        self,
        treatment: FieldTreatment,
        beamline: BeamLine,
        room: Room,
        folder: Path,
        header: dict[str, Any],
        report: Report,
        position: tuple[int, int],
        *,
        disk: Disk,
        block_us: int = BLOCK_US,
        raw: bool = False,
        earlier: Earlier | None = None,
        session: dict[str, Any] | None = None,
    ) -> None:
        self._treatment = treatment
        self._beamline = beamline
        self._room = room
        self._folder = folder
        self._header = header
        self._report = report
        self._position = position
        self._disk = disk
        self._block_us = block_us
        self._raw = raw
        self._earlier = earlier
        self._session = session
        self._phase = Phase.OFF
        self._outcome = Outcome(spills=earlier.spills if earlier else 0)
        self._slow_period_us = max(1000, round(beamline.facts.slow_interlocks.period_s * 1e3) * 1000)
        clock_us = earlier.clock_us if earlier else 0
        self._next_slow_us = -(-clock_us // self._slow_period_us) * self._slow_period_us
        self._account = earlier.account if earlier else Account(treatment.slices)
        self._journal: Journal
        self._is_journal_lost = False
        self._is_file_lost = False
        self._spots_done = 0

    def run(self) -> Outcome:
        """Deliver the field, as far as the interlocks let it."""
        with Journal(self._disk, self._folder / journal.NAME) as self._journal:
            self._phase = advance(self._phase, Event.LOADED)
            if self._pre_treatment():
                self._phase = advance(self._phase, Event.CHECKS_PASSED)
                self._outcome.complete = self._deliver()
                self._room.beam_off()
                event = Event.FIELD_COMPLETE if self._outcome.complete else Event.BEAM_STOPPED
            else:
                event = Event.CHECKS_FAILED
            self._phase = advance(self._phase, event)
            self._note(journal.CLOSED, {"status": "complete" if self._outcome.complete else "interlock"})
            if not self._is_journal_lost:
                self._journal.finish()
        return self._outcome

    def _pre_treatment(self) -> bool:
        """Check what can be checked without beam, and convert particles to counts."""
        waiting: list[SlowReading] = []
        reading = self._read_slow_control(waiting)
        if self._earlier is None:
            self._treatment = convert_counts(
                self._treatment, reading.temperature_C, reading.pressure_Pa, self._beamline
            )
            self._account = Account(self._treatment.slices)
            header = {**self._header, "gas_factor": self._treatment.gas_factor}
            self._begin(write_treatment_file(self._folder, header, self._treatment.slices, self._disk))
        if self._session is not None:
            self._journal.append(journal.RESUME, {**self._session, "spill": self._outcome.spills + 1})
        self._keep_readings(waiting)
        trips = list(self._slow_trips(reading))
        limit = self._beamline.facts.fast_interlocks.background_counts_per_s
        for background in self._room.measure_background(BACKGROUND_S):
            if background > limit:
                trips.append(SlowTrip(interlocks.BACKGROUND, background, limit))
        for trip in trips:
            self._note_interlock(trip, self._outcome.spills, 0)
        return not trips

    def _begin(self, treatment_sha256: str) -> None:
        """Note in the journal what is delivered."""
        names = ("plan_sha256", "beamline_sha256", "seed", "versions")
        self._journal.append(
            journal.FIELD,
            {
                "field": self._treatment.field.number,
                "treatment_sha256": treatment_sha256,
                **{name: self._header[name] for name in names},
            },
        )

    def _deliver(self) -> bool:
        """Deliver slice after slice; return whether all were."""
        return all(self._deliver_slice(slice_) for slice_ in self._treatment.slices)

    def _deliver_slice(self, slice_: Slice) -> bool:
        """Deliver one slice with as many spills as it takes; return whether it is complete."""
        spots = self._account.open_spots(slice_.index)
        fruitless = 0
        while len(spots):
            if not self._has_room(slice_, len(spots)):
                return False
            broadcast = self._room.request_cycle(slice_.cycle_code)
            self._outcome.spills += 1
            if not self._is_granted(slice_, broadcast):
                return False
            result = self._deliver_spill(slice_, spots, broadcast)
            if result is None:
                return False
            self._account.book(slice_.index, spots, result.parts)
            spots = self._account.open_spots(slice_.index)
            if result.end_reason == END_STOP or self._is_journal_lost or self._is_file_lost:
                return False
            in_vain = not (result.parts["complete"] == 1).any() and (
                result.end_reason == END_PAUSE or not self._was_beam(result)
            )
            fruitless = fruitless + 1 if in_vain else 0
            if len(spots) and fruitless == FRUITLESS_PAUSES:
                return False
        return True

    def _was_beam(self, result: SpillResult) -> bool:
        """Whether more was counted in a spill than the background may be."""
        background_per_s = self._beamline.facts.fast_interlocks.background_counts_per_s
        seconds = (result.end_us - result.start_us) * 1e-6
        return max(result.int1_counts, result.int2_counts) > background_per_s * seconds

    def _is_granted(self, slice_: Slice, broadcast: Broadcast) -> bool:
        """Check slow control until the spill, and the cycle-code that is broadcast."""
        while self._next_slow_us < broadcast.extraction_start_us - self._slow_period_us // 2:
            trips = list(self._slow_trips(self._read_slow_control()))
            for trip in trips:
                self._note_interlock(trip, self._outcome.spills, slice_.index)
            if trips:
                self._outcome.spills -= 1  # the spill is not taken
                return False
        if not timing.acknowledge(slice_.cycle_code, broadcast.code):
            trip = SlowTrip(interlocks.SYNCHRONIZATION, broadcast.code, slice_.cycle_code)
            self._note_interlock(trip, self._outcome.spills, slice_.index)
            self._outcome.spills -= 1
            return False
        return True

    def _has_room(self, slice_: Slice, n_spots: int) -> bool:
        """Check that the next spill can be written, and set room aside for its part of the journal."""
        accelerator, control = self._beamline.facts.accelerator, self._beamline.facts.control
        duration_us = round(accelerator.spill_length_s * 1e6) + SPILL_MARGIN_US
        needed = file_bytes(n_spots, duration_us, _raw_bytes_per_us(self._beamline) if self._raw else 0.0)
        try:
            self._journal.reserve(journal.spill_bytes(n_spots, duration_us // control.recovery_period_us + 1))
            self._disk.make_folder(spill_path(self._folder, 1).parent)
            free = self._disk.free_bytes(self._folder)
        except OSError:
            free = 0
        if free < needed:
            self._note_interlock(
                SlowTrip(interlocks.RECORD, free, needed), self._outcome.spills, slice_.index
            )
            return False
        return True

    def _deliver_spill(self, slice_: Slice, spots: Integers, broadcast: Broadcast) -> SpillResult | None:
        """Deliver one spill and write its file; None if it could not be noted, and nothing was delivered."""
        facts, number = self._beamline.facts, self._outcome.spills
        left1, left2 = (left[slice_.index][spots] for left in (self._account.left1, self._account.left2))
        settings = law_settings(facts, self._treatment.beam, slice_)
        memory = slice_memory(slice_, spots, left1, left2)
        announced = self._announced(slice_, broadcast)
        begin = {
            "spill": number,
            "slice": slice_.index,
            "start_us": broadcast.extraction_start_us,
            "unconfirmed": unconfirmed_counts(facts, self._treatment.beam, slice_),
            "header": announced,
        }
        if not self._note(journal.SPILL, begin, _loaded(spots, left1, left2)):
            self._outcome.spills -= 1
            return None
        self._spots_done = self._account.n_complete
        readings: list[SlowReading] = []
        path = spill_path(self._folder, number)
        with SpillWriter(path, settings, memory, spots, self._disk) as writer:
            self._room.load(settings, memory, broadcast)
            self._room.run(0)  # compiles the loop on first use, outside of the clock below
            now_us, finished = self._room.result().end_us, False
            keeper = Keeper(
                self._journal,
                self._room,
                self._disk,
                self._folder,
                facts.control.recovery_period_us,
                number,
                now_us,
            )
            while not finished:
                if now_us >= self._next_slow_us:
                    reading = self._read_slow_control(readings)
                    for trip in self._slow_trips(reading):
                        self._room.abort(trip.cause, trip.value, trip.limit)
                start = time.perf_counter()
                block = self._room.run(
                    min(self._block_us, self._next_slow_us - now_us, keeper.due_us - now_us)
                )
                self._outcome.loop_wall_s += time.perf_counter() - start
                now_us += block.n_samples
                finished = block.finished
                writer.add(block)
                keeper.take(block, now_us)
                self._tell(slice_, block.spot, now_us)
            self._is_journal_lost |= keeper.is_lost
            result = self._room.result()
            header = {**announced, **self._came_of(slice_, result, len(spots))}
            self._store(writer, header, result, readings)
        return result

    def _store(
        self, writer: SpillWriter, header: dict[str, Any], result: SpillResult, readings: list[SlowReading]
    ) -> None:
        """Note that a spill is over, and publish its file."""
        over = {
            "spill": header["spill"],
            "row": 0,
            "header": header,
            "interlocks": [row.item() for row in result.interlocks],
        }
        self._note(journal.OVER, over, result.parts)
        try:
            sha256 = writer.finish(header, result, _slow_table(readings))
        except OSError:
            # Nothing is lost: the journal has it, and the file is made from it later.
            trip = SlowTrip(interlocks.RECORD, self._disk.free_bytes(self._folder), 0.0)
            self._note_interlock(trip, header["spill"], header["slice"])
            self._is_file_lost = True
            return
        self._note(journal.STORED, {"spill": header["spill"], "sha256": sha256, "recovered": False})

    def _announced(self, slice_: Slice, broadcast: Broadcast) -> dict[str, Any]:
        """What the header of a spill file says before the spill."""
        return {
            "field": self._treatment.field.number,
            "spill": self._outcome.spills,
            "slice": slice_.index,
            "cycle_code": slice_.cycle_code,
            "extraction_start_us": broadcast.extraction_start_us,
            "extraction_end_us": broadcast.extraction_end_us,
            "broadcast_code": broadcast.code,
            "recovered": False,
            **{name: self._header[name] for name in ("beamline_sha256", "plan_sha256", "seed")},
        }

    def _came_of(self, slice_: Slice, result: SpillResult, n_spots: int) -> dict[str, Any]:
        """What it says after it."""
        is_complete = len(result.parts) == n_spots and bool((result.parts["complete"] == 1).all())
        is_last = slice_.index == len(self._treatment.slices) - 1
        return {
            "start_us": result.start_us,
            "end_us": result.end_us,
            "beam_on_us": beam_on_us(result.commands),
            "end_reason": result.end_reason,
            "request": timing.request_after(result.end_reason, is_last, is_complete),
            "int1_counts": result.int1_counts,
            "int2_counts": result.int2_counts,
        }

    def _note(self, kind: str, values: dict[str, Any], table: Table | None = None) -> bool:
        """Write to the journal; False if that is impossible, and then nothing is written to it any more."""
        if self._is_journal_lost:
            return False
        try:
            self._journal.append(kind, values, table)
        except OSError:
            self._is_journal_lost = True
        return not self._is_journal_lost

    # Slow control

    def _read_slow_control(self, into: list[SlowReading] | None = None) -> SlowReading:
        """Take the reading that is due; without a list to put it in, it goes to the journal."""
        reading = self._room.read_slow_control(self._next_slow_us)
        self._next_slow_us += self._slow_period_us
        if into is None:
            self._keep_readings([reading])
        else:
            into.append(reading)
        return reading

    def _keep_readings(self, readings: list[SlowReading]) -> None:
        for reading in readings:
            self._note(journal.READING, {k: v for k, v in asdict(reading).items() if k != "mounted"})

    def _slow_trips(self, reading: SlowReading) -> Iterator[SlowTrip]:
        limits = self._beamline.facts.slow_interlocks
        return check_reading(reading, limits, self._treatment.passive_elements)

    def _note_interlock(self, trip: SlowTrip, spill: int, slice_index: int) -> None:
        """Record an interlock that came while there was no beam."""
        time_us = self._next_slow_us - self._slow_period_us
        values = (trip.cause, time_us, spill, slice_index, 0, trip.value, trip.limit, interlocks.STOP)
        self._note(journal.INTERLOCK, dict(zip(INTERLOCK.names or (), values, strict=True)))

    def _tell(self, slice_: Slice, spot: int, now_us: int) -> None:
        self._report(
            Progress(
                field=self._position[0],
                n_fields=self._position[1],
                slice=slice_.index + 1,
                n_slices=len(self._treatment.slices),
                energy_MeV_u=slice_.energy_MeV_u,
                spots=self._spots_done + spot,
                n_spots=self._treatment.n_spots,
                spill=self._outcome.spills,
                treatment_s=now_us * 1e-6,
            )
        )


def beam_on_us(commands: Table) -> int:
    """Time for which the chopper was commanded open."""
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE]
    return int(closed.sum() - opened.sum())


def _slow_table(readings: list[SlowReading]) -> Table:
    rows = [tuple(getattr(reading, name) for name in SLOW_CONTROL.names or ()) for reading in readings]
    return np.array(rows, SLOW_CONTROL) if rows else np.zeros(0, SLOW_CONTROL)


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
