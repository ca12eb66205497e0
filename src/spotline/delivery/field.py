"""Deliver one field in a room: checks, spills, interlocks, and what is written of each spill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spotline.beamline import BeamLine
from spotline.control import interlocks, timing
from spotline.control.memory import COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN, END_PAUSE, END_STOP
from spotline.control.phases import Event, Phase, advance
from spotline.control.slow import SlowReading, SlowTrip, check_reading
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.progress import Progress, Report
from spotline.preparation.counts import convert_counts
from spotline.preparation.treatment import FieldTreatment, Slice
from spotline.record.model import INTERLOCK, SLOW_CONTROL, Table
from spotline.record.spill_file import SpillWriter, spill_path
from spotline.record.treatment_file import write_treatment_file
from spotline.room import Broadcast, Room, SpillResult

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
        Whether every spot was delivered.
    spills : int
        Spills used.
    loop_wall_s : float
        Time that the fast loop took.
    interlocks_without_beam : list of dict
        Interlocks between spills, columns `INTERLOCK`.
    slow_control : list of SlowReading
        Readings between spills.
    """

    complete: bool = False
    spills: int = 0
    loop_wall_s: float = 0.0
    interlocks_without_beam: list[dict[str, Any]] = field(default_factory=list)
    slow_control: list[SlowReading] = field(default_factory=list)


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
    block_us : int
        Samples per call of the fast loop, a multiple of 1000; changes nothing in the results.
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
        block_us: int = BLOCK_US,
    ) -> None:
        self._treatment = treatment
        self._beamline = beamline
        self._room = room
        self._folder = folder
        self._header = header
        self._report = report
        self._position = position
        self._block_us = block_us
        self._phase = Phase.OFF
        self._outcome = Outcome()
        self._slow_period_us = max(1000, round(beamline.facts.slow_interlocks.period_s * 1e3) * 1000)
        self._next_slow_us = 0
        self._spots_done = 0

    def run(self) -> Outcome:
        """Deliver the field, as far as the interlocks let it."""
        self._phase = advance(self._phase, Event.LOADED)
        if self._pre_treatment():
            self._phase = advance(self._phase, Event.CHECKS_PASSED)
            self._outcome.complete = self._deliver()
            self._room.beam_off()
            event = Event.FIELD_COMPLETE if self._outcome.complete else Event.BEAM_STOPPED
        else:
            event = Event.CHECKS_FAILED
        self._phase = advance(self._phase, event)
        return self._outcome

    def _pre_treatment(self) -> bool:
        """Check what can be checked without beam, and convert particles to counts."""
        reading = self._read_slow_control()
        self._treatment = convert_counts(
            self._treatment, reading.temperature_C, reading.pressure_Pa, self._beamline
        )
        header = {**self._header, "gas_factor": self._treatment.gas_factor}
        write_treatment_file(self._folder, header, self._treatment.slices)
        trips = list(self._slow_trips(reading))
        limit = self._beamline.facts.fast_interlocks.background_counts_per_s
        for background in self._room.measure_background(BACKGROUND_S):
            if background >= limit:
                trips.append(SlowTrip(interlocks.BACKGROUND, background, limit))
        for trip in trips:
            self._note_interlock(trip, 0, 0)
        return not trips

    def _deliver(self) -> bool:
        """Deliver slice after slice; return whether all were."""
        return all(self._deliver_slice(slice_) for slice_ in self._treatment.slices)

    def _deliver_slice(self, slice_: Slice) -> bool:
        """Deliver one slice with as many spills as it takes; return whether it is complete."""
        spots = np.arange(slice_.n_spots)
        left1, left2 = slice_.int1_counts.copy(), slice_.int2_counts.copy()
        fruitless = 0
        while len(spots):
            broadcast = self._room.request_cycle(slice_.cycle_code)
            self._outcome.spills += 1
            if not self._is_granted(slice_, broadcast):
                return False
            result = self._deliver_spill(slice_, spots, left1, left2, broadcast)
            complete = result.parts["complete"] == 1
            self._spots_done += int(complete.sum())
            open_spot = result.parts["spot"][~complete]
            # What a part still lacks is at least one count: the counts that are in did not complete it.
            left1[spots[open_spot]] = np.maximum(
                1, left1[spots[open_spot]] - result.parts["int1_counts"][~complete]
            )
            left2[spots[open_spot]] = np.maximum(
                1, left2[spots[open_spot]] - result.parts["int2_counts"][~complete]
            )
            spots = np.delete(spots, result.parts["spot"][complete])
            if result.end_reason == END_STOP:
                return False
            in_vain = not complete.any() and (result.end_reason == END_PAUSE or not self._was_beam(result))
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

    def _deliver_spill(
        self, slice_: Slice, spots: np.ndarray, left1: np.ndarray, left2: np.ndarray, broadcast: Broadcast
    ) -> SpillResult:
        """Deliver one spill and write its file."""
        settings = law_settings(self._beamline.facts, self._treatment.beam, slice_)
        memory = slice_memory(slice_, spots, left1[spots], left2[spots])
        path = spill_path(self._folder, self._outcome.spills)
        readings: list[SlowReading] = []
        with SpillWriter(path, settings, memory, spots) as writer:
            self._room.load(settings, memory, broadcast)
            self._room.run(0)  # compiles the loop on first use, outside of the clock below
            now_us, finished = self._room.result().end_us, False
            while not finished:
                if now_us >= self._next_slow_us:
                    reading = self._read_slow_control(readings)
                    for trip in self._slow_trips(reading):
                        self._room.abort(trip.cause, trip.value, trip.limit)
                start = time.perf_counter()
                # Confirmations come at the same times whatever the size of the blocks.
                confirm_us = self._beamline.facts.control.recovery_period_us
                until_us = confirm_us - now_us % confirm_us
                block = self._room.run(min(self._block_us, self._next_slow_us - now_us, until_us))
                if block.n_samples == until_us:
                    self._room.confirm()
                self._outcome.loop_wall_s += time.perf_counter() - start
                now_us += block.n_samples
                finished = block.finished
                writer.add(block)
                self._tell(slice_, self._spots_done + block.spot, now_us)
            result = self._room.result()
            writer.finish(
                self._spill_header(slice_, broadcast, result, len(spots)), result, _slow_table(readings)
            )
        return result

    def _spill_header(
        self, slice_: Slice, broadcast: Broadcast, result: SpillResult, n_spots: int
    ) -> dict[str, Any]:
        is_complete = len(result.parts) == n_spots and bool((result.parts["complete"] == 1).all())
        is_last = slice_.index == len(self._treatment.slices) - 1
        return {
            "field": self._treatment.field.number,
            "spill": self._outcome.spills,
            "slice": slice_.index,
            "cycle_code": slice_.cycle_code,
            "extraction_start_us": broadcast.extraction_start_us,
            "extraction_end_us": broadcast.extraction_end_us,
            "broadcast_code": broadcast.code,
            "start_us": result.start_us,
            "end_us": result.end_us,
            "beam_on_us": beam_on_us(result.commands),
            "end_reason": result.end_reason,
            "request": timing.request_after(result.end_reason, is_last, is_complete),
            "int1_counts": result.int1_counts,
            "int2_counts": result.int2_counts,
            "beamline_sha256": self._header["beamline_sha256"],
            "plan_sha256": self._header["plan_sha256"],
            "seed": self._header["seed"],
        }

    # Slow control

    def _read_slow_control(self, into: list[SlowReading] | None = None) -> SlowReading:
        """Take the reading that is due; without a list to put it in, it belongs to the field."""
        reading = self._room.read_slow_control(self._next_slow_us)
        self._next_slow_us += self._slow_period_us
        (self._outcome.slow_control if into is None else into).append(reading)
        return reading

    def _slow_trips(self, reading: SlowReading) -> Iterator[SlowTrip]:
        limits = self._beamline.facts.slow_interlocks
        return check_reading(reading, limits, self._treatment.passive_elements)

    def _note_interlock(self, trip: SlowTrip, spill: int, slice_index: int) -> None:
        """Record an interlock that came while there was no beam."""
        time_us = self._next_slow_us - self._slow_period_us
        action = interlocks.CAUSES[trip.cause].action
        values = (trip.cause, time_us, spill, slice_index, 0, trip.value, trip.limit, action)
        self._outcome.interlocks_without_beam.append(dict(zip(INTERLOCK.names or (), values, strict=True)))

    def _tell(self, slice_: Slice, spots: int, now_us: int) -> None:
        self._report(
            Progress(
                field=self._position[0],
                n_fields=self._position[1],
                slice=slice_.index + 1,
                n_slices=len(self._treatment.slices),
                energy_MeV_u=slice_.energy_MeV_u,
                spots=spots,
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
