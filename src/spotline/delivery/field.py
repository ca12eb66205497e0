"""Deliver one field in a room: checks, spills, interlocks, and what is written of each spill."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spotline.beamline import BeamLine
from spotline.control import interlocks, timing
from spotline.control.interlocks import PAUSE
from spotline.control.memory import (
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    END_PAUSE,
    END_STOP,
    INPUT_OPERATOR,
    INPUT_SUPERVISION,
)
from spotline.control.register import InterlockRegister
from spotline.control.slow import Grant, SlowTrip
from spotline.control.supervision import Event, State
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.outcome import Outcome
from spotline.delivery.oversight import Oversight
from spotline.delivery.progress import Command, Order, Orders, Progress, Report
from spotline.delivery.status import PERIOD_US
from spotline.errors import OptionError
from spotline.preparation.counts import convert_counts
from spotline.preparation.treatment import FieldTreatment, Slice
from spotline.record.model import SLOW_CONTROL, Table
from spotline.record.spill_file import SpillWriter, spill_path
from spotline.record.treatment_file import write_treatment_file
from spotline.room import Block, Broadcast, Room, SpillResult

BLOCK_US = 100_000
BACKGROUND_S = 1.0
FRUITLESS_PAUSES = 3
"""So many spills in a row end the treatment that were paused before one spot was complete, or in which no
beam came: the fault persists."""


@dataclass(slots=True)
class _Left:
    """What is left of a slice: indices of its spots that are not complete, and what every spot lacks."""

    spots: np.ndarray
    int1_counts: np.ndarray
    int2_counts: np.ndarray


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
        Told how far the delivery is, after every block of samples.
    position : tuple of int
        Position of the field in the treatment, from 1, and number of fields.
    block_us : int
        Samples per call of the fast loop, a multiple of 1000; changes nothing in the results.
    publish : callable, optional
        Told the same whenever the state changes, and once per second of a spill.
    orders : callable, optional
        Asked for orders; by default nobody has any.
    register : InterlockRegister, optional
        What is latched from before; by default nothing.
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
        *,
        publish: Report | None = None,
        orders: Orders | None = None,
        register: InterlockRegister | None = None,
    ) -> None:
        self._treatment = treatment
        self._beamline = beamline
        self._room = room
        self._folder = folder
        self._header = header
        self._report = report
        self._position = position
        self._block_us = block_us
        self._publish = publish
        self._orders = orders
        self._outcome = Outcome(register=register if register is not None else InterlockRegister())
        self._oversight = Oversight(
            treatment.passive_elements, beamline, room, self._outcome, lambda: self._show(self._progress())
        )
        self._is_converted = False
        self._left: dict[int, _Left] = {}
        self._spots_done, self._spots_in_spill = 0, 0
        self._pause_ordered = False
        # What is shown of the spill under way.
        self._slice: Slice | None = None
        self._spot = 0
        self._counts = (0, 0)
        self._published_us = 0

    def run(self) -> Outcome:
        """Deliver the field, as far as interlocks and orders let it."""
        self._oversight.happens(Event.LOADED)
        while self._is(State.LOADED):
            self._check()
            if self._is(State.READY):
                self._acknowledge()
            if self._is(State.DELIVERY):
                self._deliver()
            if self._is(State.INTERRUPTED):
                self._release()
        self._room.beam_off()
        return self._outcome

    def record_written(self) -> None:
        """Tell the supervision that the record of the field is on the disk."""
        self._oversight.happens(Event.RECORD_WRITTEN)

    # Supervision

    def _is(self, state: State) -> bool:
        return self._oversight.state is state

    def _check(self) -> None:
        """Check what can be checked without beam, and convert particles to counts (III.C, 2)."""
        grant = self._oversight.look()
        while not grant.is_known and not grant.trips:
            grant = self._oversight.look()  # until a reading comes, or the silence is too long
        if not self._is_converted:
            self._convert(grant)
        trips = list(grant.trips)
        limit = self._beamline.facts.fast_interlocks.background_counts_per_s
        for background in self._room.measure_background(BACKGROUND_S):
            if not background < limit:
                trips.append(SlowTrip(interlocks.BACKGROUND, background, limit))
        for trip in trips:
            self._oversight.interlock(trip)
        is_ready = self._oversight.is_clear
        self._oversight.happens(Event.CHECKS_PASSED if is_ready else Event.CHECKS_FAILED)

    def _convert(self, grant: Grant) -> None:
        """Convert particles to counts with the gas as it is; without a grant nothing is delivered anyway."""
        if grant.is_granted and self._oversight.reading is not None:
            gas_factors = self._oversight.reading.gas_factors(self._beamline)
            self._treatment = convert_counts(self._treatment, gas_factors, self._beamline)
            self._oversight.expect_gas(gas_factors)
            self._is_converted = True
        header = {**self._header, "gas_factors": list(self._treatment.gas_factors)}
        write_treatment_file(self._folder, header, self._treatment.slices)

    def _acknowledge(self) -> None:
        """Wait for the supervision: it begins, or aborts just before the beam."""
        order = self._ask()
        if order is None or order.command is Command.RESUME:
            self._oversight.happens(Event.GRANTED)
        else:
            self._obey_without_beam(order)

    def _release(self) -> None:
        """Ask once what is to become of an interrupted field; without an order it stays as it is."""
        order = self._ask()
        if order is None:
            return
        if order.command is Command.CLOSE:
            self._oversight.happens(Event.CLOSED)
        elif order.command is Command.RESET:
            self._oversight.reset(order)
        else:
            raise _cannot(order, self._oversight.state)

    def _wait_in_pause(self) -> None:
        """Wait until somebody orders to go on; the slow control watches, and its readings tell the time."""
        while self._is(State.PAUSED):
            for trip in self._oversight.look().trips:
                self._oversight.interlock(trip)
            order = self._ask() if self._is(State.PAUSED) else None
            if order is not None:
                self._obey_without_beam(order)

    def _obey_without_beam(self, order: Order) -> None:
        """Carry out an order that comes while there is no beam."""
        if order.command is Command.RESUME:
            self._oversight.happens(Event.RESUME)
        elif order.command is Command.STOP:
            self._oversight.interlock(SlowTrip(interlocks.OPERATOR, 1.0, 0.0))
            self._oversight.happens(Event.STOP)
        elif order.command is Command.ABORT:
            self._oversight.interlock(SlowTrip(interlocks.SUPERVISION, 1.0, 0.0))
            self._oversight.happens(Event.ABORT)
        elif order.command is not Command.PAUSE or not self._is(State.PAUSED):
            raise _cannot(order, self._oversight.state)

    def _obey_with_beam(self, order: Order) -> None:
        """Carry out an order during a spill: by the lines of the patient interlock system, or as a pause."""
        if order.command is Command.PAUSE:
            self._pause_ordered = True
            self._room.abort(interlocks.OPERATOR, 1.0, 0.0, PAUSE)
        elif order.command is Command.STOP:
            self._room.raise_line(INPUT_OPERATOR)
        elif order.command is Command.ABORT:
            self._room.raise_line(INPUT_SUPERVISION)
        else:
            raise _cannot(order, self._oversight.state)

    def _ask(self) -> Order | None:
        return self._orders(self._progress()) if self._orders is not None else None

    # Beam

    def _deliver(self) -> None:
        """Deliver slice after slice, as far as it goes."""
        self._outcome.complete = all(self._deliver_slice(slice_) for slice_ in self._treatment.slices)
        if self._outcome.complete:
            self._oversight.happens(Event.COMPLETE)

    def _deliver_slice(self, slice_: Slice) -> bool:
        """Deliver what is left of a slice with as many spills as it takes; return whether it is complete."""
        whole = _Left(np.arange(slice_.n_spots), slice_.int1_counts.copy(), slice_.int2_counts.copy())
        left = self._left.setdefault(slice_.index, whole)
        left1, left2 = left.int1_counts, left.int2_counts
        fruitless = 0
        while len(left.spots):
            spots = left.spots
            broadcast = self._room.request_cycle(slice_.cycle_code, self._oversight.now_us)
            self._outcome.spills += 1
            if not self._is_granted(slice_, broadcast):
                return False
            result = self._deliver_spill(slice_, spots, left1, left2, broadcast)
            complete = result.parts["complete"] == 1
            self._spots_done, self._spots_in_spill = self._spots_done + int(complete.sum()), 0
            open_spot = result.parts["spot"][~complete]
            # What a part still lacks is at least one count: the counts that are in did not complete it.
            left1[spots[open_spot]] = np.maximum(
                1, left1[spots[open_spot]] - result.parts["int1_counts"][~complete]
            )
            left2[spots[open_spot]] = np.maximum(
                1, left2[spots[open_spot]] - result.parts["int2_counts"][~complete]
            )
            left.spots = np.delete(spots, result.parts["spot"][complete])
            in_vain = not complete.any() and (result.end_reason == END_PAUSE or not self._was_beam(result))
            fruitless = fruitless + 1 if in_vain and not self._pause_ordered else 0
            persists = len(left.spots) > 0 and fruitless == FRUITLESS_PAUSES
            self._after_spill(result, slice_, persists, is_over=not len(left.spots))
            if self._is(State.INTERRUPTED):
                return False
        return True

    def _after_spill(self, result: SpillResult, slice_: Slice, persists: bool, *, is_over: bool) -> None:
        """Tell the supervision how a spill ended, and wait if it ended in a pause that somebody ordered."""
        stops = result.end_reason == END_STOP
        for row in result.interlocks:
            if (stops and row["action"] != PAUSE) or persists:
                self._oversight.latch(
                    SlowTrip(int(row["cause"]), float(row["value"]), float(row["limit"])), row["tick"]
                )
        ordered, self._pause_ordered = self._pause_ordered, False
        if self._is(State.INTERRUPTED):
            return  # the slow control has withdrawn its grant during the spill
        if stops or persists:
            aborted = (result.interlocks["cause"] == interlocks.SUPERVISION).any()
            self._oversight.happens(Event.ABORT if stops and aborted else Event.STOP)
        elif is_over and slice_.index == len(self._treatment.slices) - 1:
            return  # complete
        elif ordered:
            self._oversight.happens(Event.PAUSE)
            self._wait_in_pause()
        elif result.end_reason == END_PAUSE:
            self._oversight.happens(Event.PAUSE)
            self._oversight.happens(Event.RESUME)
        else:
            self._oversight.happens(Event.SPILL_OVER)

    def _was_beam(self, result: SpillResult) -> bool:
        """Whether more was counted in a spill than the background may be."""
        background_per_s = self._beamline.facts.fast_interlocks.background_counts_per_s
        seconds = (result.end_us - result.start_us) * 1e-6
        return max(result.int1_counts, result.int2_counts) > background_per_s * seconds

    def _is_granted(self, slice_: Slice, broadcast: Broadcast) -> bool:
        """Check slow control until the spill, and the cycle-code that is broadcast."""
        self._slice, self._oversight.slice = slice_, slice_.index
        while self._oversight.next_look_us < broadcast.extraction_start_us - self._oversight.period_us // 2:
            trips = self._oversight.look().trips
            for trip in trips:
                self._oversight.interlock(trip)
            if trips:
                self._outcome.spills -= 1  # the spill is not taken
                return False
        if not timing.acknowledge(slice_.cycle_code, broadcast.code):
            self._oversight.interlock(SlowTrip(interlocks.SYNCHRONIZATION, broadcast.code, slice_.cycle_code))
            self._oversight.happens(Event.STOP)
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
        readings: list[tuple[Any, ...]] = []
        self._counts = (0, 0)
        with SpillWriter(path, settings, memory, spots) as writer:
            self._room.load(settings, memory, broadcast)
            self._room.run(0)  # compiles the loop on first use, outside of the clock below
            now_us, finished = self._room.result().end_us, False
            while not finished:
                if now_us >= self._oversight.next_look_us:
                    for trip in self._oversight.look(readings).trips:
                        self._room.abort(trip.cause, trip.value, trip.limit)
                order = self._ask() if self._is(State.DELIVERY) else None
                if order is not None:
                    self._obey_with_beam(order)
                start = time.perf_counter()
                # Confirmations come at the same times whatever the size of the blocks.
                confirm_us = self._beamline.facts.control.recovery_period_us
                until_us = confirm_us - now_us % confirm_us
                look_us = self._oversight.next_look_us - now_us
                block = self._room.run(min(self._block_us, look_us, until_us))
                if block.n_samples == until_us:
                    self._room.confirm()
                self._outcome.loop_wall_s += time.perf_counter() - start
                now_us += block.n_samples
                finished = block.finished
                writer.add(block)
                self._tell(block, spots, now_us)
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

    # Progress

    def _tell(self, block: Block, spots: np.ndarray, now_us: int) -> None:
        """Report a block of samples."""
        self._oversight.now_us = max(self._oversight.now_us, now_us)
        self._spots_in_spill = block.spot
        self._spot = int(spots[min(block.spot, len(spots) - 1)])
        int1, int2 = self._counts
        self._counts = (
            int1 + int(block.trend["int1_counts"].sum()),
            int2 + int(block.trend["int2_counts"].sum()),
        )
        progress = self._progress()
        self._report(progress)
        if self._oversight.now_us - self._published_us >= PERIOD_US:
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        self._published_us = self._oversight.now_us
        if self._publish is not None:
            self._publish(progress)

    def _progress(self) -> Progress:
        reading = self._oversight.reading
        return Progress(
            field=self._position[0],
            n_fields=self._position[1],
            slice=self._slice.index + 1 if self._slice is not None else 0,
            n_slices=len(self._treatment.slices),
            energy_MeV_u=self._slice.energy_MeV_u if self._slice is not None else 0.0,
            spot=self._spot,
            spots=self._spots_done + self._spots_in_spill,
            n_spots=self._treatment.n_spots,
            spill=self._outcome.spills,
            treatment_s=self._oversight.now_us * 1e-6,
            state=self._oversight.state.value,
            int1_counts=self._counts[0],
            int2_counts=self._counts[1],
            reading=reading,
            flux_corrections=reading.flux_corrections(self._beamline) if reading is not None else None,
            register=self._outcome.register,
            is_beam_permitted=self._oversight.is_beam_permitted,
        )


def _cannot(order: Order, state: State) -> OptionError:
    return OptionError(f"order {order.command.value!r} cannot be carried out during {state.value!r}")


def beam_on_us(commands: Table) -> int:
    """Time for which the chopper was commanded open."""
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE]
    return int(closed.sum() - opened.sum())


def _slow_table(readings: list[tuple[Any, ...]]) -> Table:
    return np.array(readings, SLOW_CONTROL) if readings else np.zeros(0, SLOW_CONTROL)
