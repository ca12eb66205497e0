"""Deliver one field in a room: checks, slices, spills, interlocks and orders."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from spotline.arrays import Integers
from spotline.control import interlocks, timing
from spotline.control.interlocks import PAUSE
from spotline.control.memory import END_PAUSE, END_STOP, INPUT_OPERATOR, INPUT_SUPERVISION
from spotline.control.register import InterlockRegister
from spotline.control.slow import Grant, SlowTrip
from spotline.control.supervision import Event, State
from spotline.delivery.command import Command
from spotline.delivery.events import Converted, FieldBegun, FieldEnded, OrderTaken
from spotline.delivery.expenditure import Expenditure
from spotline.delivery.guard import Guard, RoomError
from spotline.delivery.orders import Inbox, OrderCallback, Posted, STEP_us
from spotline.delivery.outcome import Outcome
from spotline.delivery.oversight import Oversight
from spotline.delivery.recorder import FieldFiles, Recorder
from spotline.delivery.spill import SpillDelivery
from spotline.delivery.stream import Stream
from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.record.account import Account
from spotline.room import Broadcast, Room, SpillResult
from spotline.treatment.counts import convert_counts
from spotline.treatment.treatment import FieldTreatment, Slice
from spotline.treatment.treatment_file import write_treatment_file

BLOCK_us = 100_000
BACKGROUND_s = 1.0
FRUITLESS_PAUSES = 3
"""So many spills in a row end the treatment that were paused before one spot was complete, or in which no
beam came: the fault persists."""
LOAD_AHEAD_us = 30_000
"""The memory boards are loaded so long before the extraction; until then orders are obeyed without beam."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who has a delivery go on that did not end well.

    Attributes
    ----------
    identity, reason : str
        Who, and why.
    resumed : str
        When, by the clock of the computer.
    """

    identity: str
    reason: str
    resumed: str


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


@dataclass(frozen=True, slots=True, eq=False)
class FieldTask:
    """What is to be delivered of a field.

    Attributes
    ----------
    treatment : FieldTreatment
        The prepared field.
    beamline : BeamLine
        The line it was prepared for.
    position : int
        Of the field in the treatment, from 1.
    n_fields : int
        Of the treatment.
    earlier : Earlier or None
        What was delivered before; None if the delivery begins.
    operator : Operator or None
        Who has it go on.
    """

    treatment: FieldTreatment
    beamline: BeamLine
    position: int = 1
    n_fields: int = 1
    earlier: Earlier | None = None
    operator: Operator | None = None


class FieldDelivery:
    """The delivery of one field.

    Parameters
    ----------
    task : FieldTask
        What to deliver.
    room : Room
        Where to deliver it.
    files : FieldFiles
        Where its files are.
    stream : Stream
        Told what happens.
    orders : Inbox or OrderCallback, optional
        Where orders come from; by default nobody has any.
    block_us : int
        Samples per call of the fast loop at most, a multiple of 1000; changes nothing in the results.
    reset_wait_s : float
        So long, on its clock, a field that was interrupted waits for a reset in the inbox.
    """

    def __init__(
        self,
        task: FieldTask,
        room: Room,
        files: FieldFiles,
        stream: Stream,
        orders: Inbox | OrderCallback | None = None,
        block_us: int = BLOCK_us,
        reset_wait_s: float = 0.0,
    ) -> None:
        self._task = task
        self._treatment = task.treatment
        self._beamline = task.beamline
        self._room = Guard(room, task.beamline)
        self._files = files
        self._stream = stream
        self._orders = orders
        self._block_us = block_us if not isinstance(orders, Inbox) else min(block_us, STEP_us)
        self._reset_wait_us = round(reset_wait_s * 1e6)
        earlier = task.earlier
        self._outcome = Outcome()
        if earlier is not None:
            self._outcome.spills, self._outcome.register = earlier.spills, earlier.register
        self._account = earlier.account if earlier is not None else None
        self._oversight = Oversight(
            self._treatment.passive_elements,
            self._beamline,
            self._room.sensors,
            self._outcome,
            stream,
            earlier.clock_us if earlier is not None else 0,
        )
        self._expenditure = Expenditure(self._treatment, self._beamline)
        self._recorder: Recorder
        self._spills: SpillDelivery
        self._pause_ordered = False

    def run(self) -> Outcome:
        """Deliver the field, as far as interlocks and orders let it."""
        operator = self._task.operator
        self._stream.field = self._treatment.field.number
        with (
            Recorder(self._files, None if operator is None else operator.resumed) as recorder,
            self._stream.written_by(recorder.take),
        ):
            self._recorder = recorder
            self._spills = SpillDelivery(
                self._beamline,
                self._room.loop,
                recorder,
                self._oversight,
                self._outcome,
                self._stream,
                self._block_us,
                self._obey_in_spill,
            )
            try:
                self._go_through()
            except RoomError as error:
                self._give_up_room(error)
            except BaseException:
                self._room.end_beam()
                raise
            self._oversight.happens(Event.RECORD_WRITTEN)  # what follows is made of the journal
            self._stream.tell(
                FieldEnded(
                    time_us=self._oversight.now_us,
                    status="complete" if self._outcome.complete else "interlock",
                    spills=self._outcome.spills,
                    latched=self._outcome.register.latched,
                )
            )
        self._outcome.is_written = not (recorder.is_lost or self._spills.is_open)
        return self._outcome

    def _go_through(self) -> None:
        """Let the field go through its states, until it is delivered or nobody releases it."""
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

    def _give_up_room(self, error: RoomError) -> None:
        """Make an interlock of what the room did, which is asked nothing more: a resumption makes another.

        A spill that was under way stays open in the journal, and is made of it, with what may have followed.
        """
        if self._account is None and not self._recorder.logbook.is_begun:
            self._convert(Grant((), False))
        self._oversight.interlock(SlowTrip(error.cause, 1.0, 0.0), str(error))
        if self._is(State.LOADED):
            self._oversight.happens(Event.CHECKS_FAILED)
        elif not (self._is(State.INTERRUPTED) or self._is(State.POST)):
            self._oversight.happens(Event.STOP)

    def _begin(self) -> None:
        """Load the treatment; one that was interrupted goes on when its operator has reset it."""
        operator, oversight = self._task.operator, self._oversight
        self._stream.tell(
            FieldBegun(
                time_us=oversight.now_us,
                position=self._task.position,
                n_fields=self._task.n_fields,
                n_slices=len(self._treatment.slices),
                n_spots=self._treatment.n_spots,
                spots_complete=self._account.n_complete if self._account is not None else 0,
                spills=self._outcome.spills,
                resets=self._outcome.register.resets,
                operator=None if operator is None else operator.identity,
                reason=None if operator is None else operator.reason,
            )
        )
        if self._account is not None:
            oversight.expect_gas(self._treatment.gas_factors)
        if self._task.earlier is None or operator is None:
            oversight.happens(Event.LOADED)
            return
        oversight.happens(Event.POWER_UP)
        if not oversight.persisting():  # else what is latched says what persists
            oversight.reset(operator.identity, operator.reason)

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
        for background in self._room.sensors.measure_background(BACKGROUND_s):
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
        files, gas_factors = self._files, self._treatment.gas_factors
        header = msgspec.structs.replace(files.header, gas_factors=gas_factors)
        treatment_sha256 = write_treatment_file(files.folder, header, self._treatment.slices, files.disk)
        files.content.converted(header, self._treatment.slices, treatment_sha256)
        self._stream.tell(
            Converted(
                time_us=self._oversight.now_us,
                is_converted=self._account is not None,
                gas_factors=gas_factors,
                treatment_sha256=treatment_sha256,
            )
        )

    def _acknowledge(self) -> None:
        """Wait for the supervision: it begins, or aborts just before the beam."""
        posted = self._ask()
        if posted is not None:
            self._obey(posted)
        if self._is(State.READY):
            self._oversight.happens(Event.GRANTED)

    def _release(self) -> None:
        """Ask what is to become of an interrupted field; without an order it stays as it is."""
        oversight = self._oversight
        until_us = oversight.now_us + self._reset_wait_us
        posted = self._ask()
        if posted is not None:
            self._obey(posted)
        while self._is(State.INTERRUPTED) and isinstance(self._orders, Inbox) and oversight.now_us < until_us:
            if oversight.next_look_us < until_us:
                self._wait_for_looks()
            else:
                self._pass_time(until_us, waits=True)

    def _wait_in_pause(self) -> None:
        """Wait until somebody orders to go on; the slow control watches, and its readings tell the time."""
        while self._is(State.PAUSED):
            self._wait_for_looks()
            posted = (
                self._ask() if isinstance(self._orders, OrderCallback) and self._is(State.PAUSED) else None
            )
            if posted is not None:
                self._obey(posted)

    def _wait_for_looks(self) -> None:
        """Let time go on to the next reading of the slow control, and take it unless an order was obeyed."""
        state = self._oversight.state
        self._pass_time(self._oversight.next_look_us, waits=True)
        if not self._is(state):
            return
        known = {row.cause for row in self._outcome.register.latched} if state is State.INTERRUPTED else set()
        for trip in self._oversight.look().trips:
            if trip.cause not in known:
                self._oversight.interlock(trip)

    # Orders

    def _pass_time(self, until_us: int, *, waits: bool = False) -> None:
        """Let time without beam go on, and obey what is in the inbox, until the state changes.

        Nobody waits for the clock of the field but an operator: a pause lasts as long by the clock of the
        computer as by that of the field, so that there is time to order something.
        """
        inbox, state = self._orders, self._oversight.state
        if not isinstance(inbox, Inbox):
            return
        while self._is(state):
            posted = inbox.take()
            if posted is not None:
                self._obey(posted)
                continue
            left_us = until_us - self._oversight.now_us
            if left_us <= 0:
                return
            if waits:
                inbox.wait(min(STEP_us, left_us) * 1e-6)
            self._oversight.now_us += min(STEP_us, left_us)

    def _ask(self) -> Posted | None:
        if isinstance(self._orders, Inbox):
            return self._orders.take()
        return self._orders.take(self._stream.progress) if self._orders is not None else None

    def _obey_in_spill(self, now_us: int) -> None:
        """Obey what is ordered during a spill until some sample."""
        oversight = self._oversight
        if isinstance(self._orders, Inbox):
            while self._is(State.DELIVERY):
                posted = self._orders.take()
                if posted is not None:
                    self._obey(posted, is_with_beam=True)
                elif oversight.now_us >= now_us:
                    return
                else:  # the memory boards are loaded, and the fast loop has not begun yet
                    oversight.now_us = min(oversight.now_us + STEP_us, now_us)
        elif self._is(State.DELIVERY):
            posted = self._ask()
            if posted is not None:
                self._obey(posted, is_with_beam=True)

    def _obey(self, posted: Posted, *, is_with_beam: bool = False) -> None:
        """Carry out an order, or refuse it; either is told, and the journal has it before anybody acts."""
        order = posted.order
        persisting = self._oversight.persisting() if self._is_reset(posted) else set()
        refusal = None
        if order.command not in self._allowed(is_with_beam=is_with_beam):
            refusal = _cannot(posted, self._oversight.state)
        elif persisting:
            names = ", ".join(interlocks.CAUSES[cause].name for cause in sorted(persisting))
            refusal = OptionError(f"reset of the interlocks: {names} persists; remove the condition first")
        event = self._stream.tell(
            OrderTaken(
                time_us=self._oversight.now_us,
                command=order.command.name.lower(),
                identity=order.identity.strip(),
                reason=order.reason.strip(),
                spill=self._outcome.spills,
                refusal=None if refusal is None else str(refusal),
            )
        )
        assert isinstance(event, OrderTaken)
        if refusal is None:
            self._carry_out(posted, is_with_beam=is_with_beam)
            posted.answer.set_result(event)
            return
        posted.answer.set_exception(refusal)
        if isinstance(self._orders, OrderCallback) and not persisting:
            raise refusal

    def _is_reset(self, posted: Posted) -> bool:
        return posted.order.command is Command.RESET and self._is(State.INTERRUPTED)

    def _allowed(self, *, is_with_beam: bool) -> frozenset[Command]:
        """Orders that can be carried out now."""
        if self._is(State.DELIVERY) and is_with_beam and self._pause_ordered:
            return _ALLOWED[State.DELIVERY] | {Command.RESUME}  # before the pause has come
        return _ALLOWED.get(self._oversight.state, frozenset())

    def _carry_out(self, posted: Posted, *, is_with_beam: bool) -> None:
        command = posted.order.command
        if command is Command.RESET:
            self._oversight.reset(posted.order.identity, posted.order.reason)
            self._expenditure.begin_again()
        elif command is Command.CLOSE:
            self._oversight.happens(Event.CLOSED)
        elif is_with_beam:
            self._carry_out_with_beam(command)
        elif command is Command.RESUME:
            self._oversight.happens(Event.RESUME if self._is(State.PAUSED) else Event.GRANTED)
        elif command is Command.STOP:
            self._oversight.interlock(SlowTrip(interlocks.OPERATOR, 1.0, 0.0))
            self._oversight.happens(Event.STOP)
        elif command is Command.ABORT:
            self._oversight.interlock(SlowTrip(interlocks.SUPERVISION, 1.0, 0.0))
            self._oversight.happens(Event.ABORT)
        elif self._is(State.DELIVERY):
            self._oversight.happens(Event.PAUSE)

    def _carry_out_with_beam(self, command: Command) -> None:
        """Carry out an order during a spill: by the lines of the patient interlock system, or as a pause."""
        if command is Command.STOP:
            self._room.loop.raise_line(INPUT_OPERATOR)
        elif command is Command.ABORT:
            self._room.loop.raise_line(INPUT_SUPERVISION)
        else:
            self._pause_ordered = command is Command.PAUSE
            if self._pause_ordered:
                self._room.loop.abort(interlocks.OPERATOR, 1.0, 0.0, PAUSE)

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
            self._oversight.slice = slice_.index
            result = self._deliver_spill(slice_, account, spots)
            if result is None:
                if self._is(State.DELIVERY):
                    continue  # a pause before the spill is over: the next cycle
                return False
            self._expenditure.take(slice_, result)
            spots = account.open_spots(slice_.index)
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
        limit = self._beamline.facts.fast_interlocks.excess_spills
        if self._expenditure.excess >= limit:
            trip = SlowTrip(interlocks.SPILLS, self._expenditure.excess, limit)
            self._oversight.interlock(trip)
            self._oversight.happens(Event.STOP)
            return None
        if not self._spills.has_room(len(spots)):
            self._oversight.happens(Event.STOP)
            return None
        broadcast = self._room.accelerator.request_beam(
            slice_.cycle_code, self._oversight.now_us, self._treatment.field.gantry_angle_deg
        )
        self._outcome.spills += 1
        result = None
        try:
            if self._is_granted(slice_, broadcast):
                result = self._spills.deliver(self._treatment, slice_, account, spots, broadcast)
                if result is None:
                    self._oversight.happens(Event.STOP)
        finally:
            if result is None and not self._spills.is_open:
                self._outcome.spills -= 1
        return result

    def _after_spill(self, result: SpillResult, slice_: Slice, persists: bool, *, is_over: bool) -> None:
        """Tell the supervision how a spill ended, and wait if it ended in a pause that somebody ordered."""
        stops = result.end_reason == END_STOP or self._recorder.is_lost or not self._oversight.is_clear
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
        """Check slow control and orders until the spill, and the cycle-code that is broadcast."""
        while self._oversight.next_look_us < broadcast.extraction_start_us - self._oversight.period_us // 2:
            if not self._is_left_alone(self._oversight.next_look_us):
                return False
            trips = self._oversight.look().trips
            for trip in trips:
                self._oversight.interlock(trip)
            if trips:
                return False
        if not self._is_left_alone(broadcast.extraction_start_us - LOAD_AHEAD_us):
            return False
        if not timing.acknowledge(slice_.cycle_code, broadcast.code):
            self._oversight.interlock(SlowTrip(interlocks.SYNCHRONIZATION, broadcast.code, slice_.cycle_code))
            self._oversight.happens(Event.STOP)
            return False
        return True

    def _is_left_alone(self, until_us: int) -> bool:
        """Wait for the spill; return whether nobody orders otherwise."""
        self._pass_time(until_us)
        if self._is(State.PAUSED):
            self._wait_in_pause()
            return False
        return self._is(State.DELIVERY)


_ALLOWED = {
    State.READY: frozenset({Command.RESUME, Command.STOP, Command.ABORT}),
    State.DELIVERY: frozenset({Command.PAUSE, Command.STOP, Command.ABORT}),
    State.PAUSED: frozenset({Command.PAUSE, Command.RESUME, Command.STOP, Command.ABORT}),
    State.INTERRUPTED: frozenset({Command.RESET, Command.CLOSE}),
}


def _cannot(posted: Posted, state: State) -> OptionError:
    return OptionError(f"order {posted.order.command.value!r} cannot be carried out during {state.value!r}")
