"""Deliver one field in a room: checks, slices, spills, interlocks and orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from spotline.control import interlocks, timing
from spotline.control.interlocks import PAUSE
from spotline.control.memory import END_PAUSE, END_STOP, INPUT_OPERATOR, INPUT_SUPERVISION
from spotline.control.register import InterlockRegister
from spotline.control.slow import Grant, SlowTrip
from spotline.control.supervision import Event, State
from spotline.delivery.logbook import Logbook
from spotline.delivery.outcome import Outcome
from spotline.delivery.oversight import Oversight
from spotline.delivery.progress import Command, Order, Orders, Progress, Report
from spotline.delivery.spill import SpillDelivery
from spotline.delivery.status import PERIOD_US
from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.record import journal
from spotline.record.account import Account
from spotline.record.journal import Journal
from spotline.room import Block, Broadcast, Room, SpillResult
from spotline.storage import Disk
from spotline.treatment.counts import convert_counts
from spotline.treatment.treatment import FieldTreatment, Integers, Slice
from spotline.treatment.treatment_file import write_treatment_file

BLOCK_US = 100_000
BACKGROUND_S = 1.0
FRUITLESS_PAUSES = 3
"""So many spills in a row end the treatment that were paused before one spot was complete, or in which no
beam came: the fault persists."""


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """What was delivered before, of a field whose delivery goes on.

    Attributes
    ----------
    account : Account or None
        What is left; None if particles have not been converted to counts yet.
    spills : int
        Spills used.
    clock_us : int
        Clock of the field; it stood still in between.
    register : InterlockRegister
        What is latched.
    """

    account: Account | None
    spills: int
    clock_us: int
    register: InterlockRegister


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
    disk : Disk
        Where the files are.
    block_us : int
        Samples per call of the fast loop at most, a multiple of 1000; changes nothing in the results.
    raw : bool
        Whether the room keeps every frame: the files are larger then.
    publish : callable, optional
        Told the same as `report` whenever the state changes, and once per second of a spill.
    orders : callable, optional
        Asked for orders; by default nobody has any.
    earlier : Earlier, optional
        What was delivered before; by default the delivery begins.
    session : dict, optional
        Who has it go on, and why, for the journal: ``operator``, ``reason``, ``resumed``.
    after_spill : callable, optional
        Called after every spill, when its file is written.
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
        publish: Report | None = None,
        orders: Orders | None = None,
        earlier: Earlier | None = None,
        session: dict[str, Any] | None = None,
        after_spill: Callable[[], None] | None = None,
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
        self._publish = publish
        self._orders = orders
        self._earlier = earlier
        self._session = session
        self._spill_is_over = after_spill
        self._outcome = Outcome()
        if earlier is not None:
            self._outcome.spills, self._outcome.register = earlier.spills, earlier.register
        self._account = earlier.account if earlier is not None else None
        self._logbook: Logbook
        self._oversight: Oversight
        self._spills: SpillDelivery
        self._spots_in_spill = 0
        self._pause_ordered = False
        # What is shown of the spill under way.
        self._slice: Slice | None = None
        self._spot = 0
        self._counts = (0, 0)
        self._published_us = 0

    def run(self) -> Outcome:
        """Deliver the field, as far as interlocks and orders let it."""
        with Journal(self._disk, self._folder / journal.NAME) as book:
            self._open(book)
            self._begin()
            while self._is(State.LOADED):
                self._check()
                if self._is(State.READY):
                    self._acknowledge()
                if self._is(State.DELIVERY):
                    self._deliver()
                if self._is(State.INTERRUPTED):
                    self._release()
            self._room.accelerator.beam_off()
            self._oversight.happens(Event.RECORD_WRITTEN)  # what follows is made of the journal
            latched = msgspec.to_builtins(self._outcome.register.latched)
            status = "complete" if self._outcome.complete else "interlock"
            self._logbook.note(journal.CLOSED, {"status": status, "latched": latched})
            self._logbook.finish()
        return self._outcome

    def _open(self, book: Journal) -> None:
        """Open the journal, and put those to their places who write to it."""
        self._logbook = Logbook(book, is_begun=book.entries > 0)
        self._oversight = Oversight(
            self._treatment.passive_elements,
            self._beamline,
            self._room.sensors,
            self._outcome,
            self._logbook,
            lambda: self._show(self._progress()),
            self._earlier.clock_us if self._earlier is not None else 0,
        )
        if self._account is not None:
            self._oversight.expect_gas(self._treatment.gas_factors)
        self._spills = SpillDelivery(
            self._beamline,
            self._room.loop,
            self._folder,
            self._header,
            self._disk,
            self._logbook,
            self._oversight,
            self._outcome,
            self._block_us,
            self._raw,
            self._ask_with_beam,
            self._tell,
        )

    def _begin(self) -> None:
        """Load the treatment; one that was interrupted goes on when its operator has reset it."""
        if self._session is not None:
            self._logbook.note(journal.RESUME, {**self._session, "spill": self._outcome.spills + 1})
        if self._earlier is None or self._session is None:
            self._oversight.happens(Event.LOADED)
            return
        self._oversight.happens(Event.POWER_UP)
        operator, reason = self._session["operator"], self._session["reason"]
        self._oversight.reset(Order(Command.RESET, operator, reason))

    # Supervision

    def _is(self, state: State) -> bool:
        return self._oversight.state is state

    def _check(self) -> None:
        """Check what can be checked without beam, and convert particles to counts (III.C, 2)."""
        grant = self._oversight.look()
        while not grant.is_known and not grant.trips:
            grant = self._oversight.look()  # until a reading comes, or the silence is too long
        if self._account is None:
            self._convert(grant)
        trips = list(grant.trips)
        limit = self._beamline.facts.fast_interlocks.background_counts_per_s
        for background in self._room.sensors.measure_background(BACKGROUND_S):
            if not background < limit:
                trips.append(SlowTrip(interlocks.BACKGROUND, background, limit))
        for trip in trips:
            self._oversight.interlock(trip)
        is_ready = self._oversight.is_clear
        self._oversight.happens(Event.CHECKS_PASSED if is_ready else Event.CHECKS_FAILED)

    def _convert(self, grant: Grant) -> None:
        """Convert particles to counts with the gas as it is; without a grant nothing is delivered anyway."""
        if grant.is_granted and self._oversight.reading is not None:
            gas_factors = self._oversight.reading.gas_factors(self._beamline.slow_limits)
            self._treatment = convert_counts(self._treatment, gas_factors, self._beamline)
            self._oversight.expect_gas(gas_factors)
            self._account = Account(self._treatment.slices)
        header = {**self._header, "gas_factors": list(self._treatment.gas_factors)}
        treatment_sha256 = write_treatment_file(self._folder, header, self._treatment.slices, self._disk)
        names = ("plan_sha256", "beamline_sha256", "seed", "versions")
        self._logbook.begin(
            {
                "field": self._treatment.field.number,
                "treatment_sha256": treatment_sha256,
                "converted": self._account is not None,
                **{name: self._header[name] for name in names},
            }
        )

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
            self._room.loop.abort(interlocks.OPERATOR, 1.0, 0.0, PAUSE)
        elif order.command is Command.STOP:
            self._room.loop.raise_line(INPUT_OPERATOR)
        elif order.command is Command.ABORT:
            self._room.loop.raise_line(INPUT_SUPERVISION)
        else:
            raise _cannot(order, self._oversight.state)

    def _ask(self) -> Order | None:
        return self._orders(self._progress()) if self._orders is not None else None

    def _ask_with_beam(self) -> None:
        """Ask for an order during a spill, and carry it out."""
        order = self._ask() if self._is(State.DELIVERY) else None
        if order is not None:
            self._obey_with_beam(order)

    # Beam

    def _deliver(self) -> None:
        """Deliver slice after slice, as far as it goes."""
        self._outcome.complete = all(self._deliver_slice(slice_) for slice_ in self._treatment.slices)
        if self._outcome.complete:
            self._oversight.happens(Event.COMPLETE)

    def _deliver_slice(self, slice_: Slice) -> bool:
        """Deliver what is left of a slice with as many spills as it takes; return whether it is complete."""
        account = self._account
        assert account is not None, "particles have been converted"
        spots = account.open_spots(slice_.index)
        fruitless = 0
        while len(spots):
            self._slice, self._oversight.slice = slice_, slice_.index
            result = self._deliver_spill(slice_, account, spots)
            if result is None:
                return False
            account.book(slice_.index, spots, result.parts)
            if self._spill_is_over is not None:
                self._spill_is_over()
            spots, self._spots_in_spill = account.open_spots(slice_.index), 0
            in_vain = not (result.parts["complete"] == 1).any() and (
                result.end_reason == END_PAUSE or not self._was_beam(result)
            )
            fruitless = fruitless + 1 if in_vain and not self._pause_ordered else 0
            persists = len(spots) > 0 and fruitless == FRUITLESS_PAUSES
            self._after_spill(result, slice_, persists, is_over=not len(spots))
            if self._is(State.INTERRUPTED):
                return False
        return True

    def _deliver_spill(self, slice_: Slice, account: Account, spots: Integers) -> SpillResult | None:
        """Deliver one spill; None if it is not taken, because something is wrong before it."""
        if not self._spills.has_room(len(spots)):
            self._oversight.happens(Event.STOP)
            return None
        broadcast = self._room.accelerator.request_beam(
            slice_.cycle_code, self._oversight.now_us, self._treatment.field.gantry_angle_deg
        )
        self._outcome.spills += 1
        self._counts = (0, 0)
        result = None
        if self._is_granted(slice_, broadcast):
            result = self._spills.deliver(self._treatment, slice_, account, spots, broadcast)
            if result is None:
                self._oversight.happens(Event.STOP)
        if result is None:
            self._outcome.spills -= 1
        return result

    def _after_spill(self, result: SpillResult, slice_: Slice, persists: bool, *, is_over: bool) -> None:
        """Tell the supervision how a spill ended, and wait if it ended in a pause that somebody ordered."""
        is_unwritten = self._logbook.is_lost or self._spills.is_file_lost
        stops = result.end_reason == END_STOP or is_unwritten
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
        while self._oversight.next_look_us < broadcast.extraction_start_us - self._oversight.period_us // 2:
            trips = self._oversight.look().trips
            for trip in trips:
                self._oversight.interlock(trip)
            if trips:
                return False
        if not timing.acknowledge(slice_.cycle_code, broadcast.code):
            self._oversight.interlock(SlowTrip(interlocks.SYNCHRONIZATION, broadcast.code, slice_.cycle_code))
            self._oversight.happens(Event.STOP)
            return False
        return True

    # Progress

    def _tell(self, block: Block, spots: Integers, now_us: int) -> None:
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
            spots=(self._account.n_complete if self._account is not None else 0) + self._spots_in_spill,
            n_spots=self._treatment.n_spots,
            spill=self._outcome.spills,
            treatment_s=self._oversight.now_us * 1e-6,
            state=self._oversight.state.value,
            int1_counts=self._counts[0],
            int2_counts=self._counts[1],
            reading=reading,
            flux_corrections=reading.flux_corrections(self._beamline.slow_limits)
            if reading is not None
            else None,
            register=self._outcome.register,
            is_beam_permitted=self._oversight.is_beam_permitted,
        )


def _cannot(order: Order, state: State) -> OptionError:
    return OptionError(f"order {order.command.value!r} cannot be carried out during {state.value!r}")
