"""A delivery as an object: start it, listen to what happens, give orders, wait for the record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from spotline.delivery.command import Command, Order
from spotline.delivery.events import DeliveryEnded, OrderTaken, Samples, SpillStored
from spotline.delivery.opening import Begun, begin, plan_content, simulated_rooms, take_place
from spotline.delivery.orders import Inbox, OrderCallback
from spotline.delivery.progress import Orders, Progress, Report
from spotline.delivery.session import DeliveryOptions, Session
from spotline.delivery.status import StatusFile
from spotline.delivery.stream import CAPACITY, Sink, Stream, Subscription
from spotline.errors import OptionError
from spotline.files import claimed_by_one
from spotline.given import is_whole
from spotline.record.folder import LOCK
from spotline.record.model import Record
from spotline.record.summary_file import SinkNote
from spotline.room import Room
from spotline.sim.disk import FaultyDisk
from spotline.sim.faults import Fault
from spotline.sim.faults.driver import checked
from spotline.storage import Disk
from spotline.treatment.treatment import FieldTreatment, Treatment

MakeRoom = Callable[[FieldTreatment], Room]

Open = Callable[[Stream, Inbox | OrderCallback | None], Session | Record]
"""Makes what is to be delivered; or gives the record, if nothing is left to do."""

AfterSpill = Callable[[Path], object]

LARGEST_SEED = 2**128 - 1
"""As many bits as a UUID has (chosen); JSON, in which files hold it, has no limit of its own."""


class Delivery:
    """A delivery of a treatment, that a program can own.

    `start` delivers in a thread of its own, `run` in the calling one; a delivery is delivered once.  While it
    goes on, its status is published in ``status.json`` (`spotline.delivery.status`).

    Parameters
    ----------
    treatment : Treatment
        From `spotline.prepare`.
    out : str or Path
        Folder to write to; it must not exist yet, or be empty, when the delivery begins.
    seed : int
        Seed of the simulated room: the same treatment and seed leave the same spill files, to the byte.
    raw : bool
        Whether to keep every frame of every chamber.
    faults : iterable of Fault
        What fails in the simulated room, the same in every field; they are kept in ``faults.toml``.
    make_room : callable, optional
        Given a field, makes the room to deliver it in; by default a simulated one.
    options : DeliveryOptions, optional
        How to deliver, and what to write.

    Raises
    ------
    BeamLineError
        If the line has no ``simulation`` table, and no other room is given.
    FaultError
        If a fault is none that the beam line can have.
    OptionError
        If `seed` is no whole number from 0 to 2^128 - 1.
    ValueError
        If there are faults for a room of your own or for a disk that cannot have any.
    """

    def __init__(
        self,
        treatment: Treatment,
        out: str | Path,
        *,
        seed: int = 0,
        raw: bool = False,
        faults: Iterable[Fault] = (),
        make_room: MakeRoom | None = None,
        options: DeliveryOptions | None = None,
    ) -> None:
        options = options or DeliveryOptions()
        seed = _checked_seed(seed)
        failing = tuple(checked(faults, treatment.beamline))
        if failing and make_room is not None:
            raise ValueError("faults are those of the simulated room; leave make_room or the faults away")
        disk = options.disk or (FaultyDisk() if failing else Disk())
        faulty = disk if isinstance(disk, FaultyDisk) else None
        if failing and faulty is None:
            raise ValueError(
                "faults are those of a simulated disk too; give a FaultyDisk, or leave disk away"
            )
        options, folder = replace(options, disk=disk), Path(out)

        if make_room is None:
            room_of = simulated_rooms(treatment.beamline, seed, raw, failing, faulty)
        else:
            make = make_room

            def room_of(field: FieldTreatment, _spills_before: int) -> Room:
                return make(field)

        def opened(stream: Stream, orders: Inbox | OrderCallback | None) -> Session:
            started = options.started if options.started is not None else datetime.now().astimezone()
            content = plan_content(treatment.plan)  # before anything is written or noted
            begun = Begun(seed, raw, started, failing, options.fraction or 1, options.operator, content)
            with ExitStack() as lock:
                lock.enter_context(claimed_by_one(folder, LOCK, "the record"))
                place = take_place(treatment, folder, options)
                delivery, contents = begin(treatment, folder, begun, disk, place)
                session = Session(
                    folder, treatment, delivery, contents, room_of, options, stream, orders, place=place
                )
                session.lock = lock.pop_all()
                return session

        self._set_up(folder, opened, options)

    @classmethod
    def opened_by(cls, folder: Path, opened: Open, options: DeliveryOptions) -> Self:
        """Make the delivery of a session that somebody else opens: of one that goes on."""
        delivery = cls.__new__(cls)
        delivery._set_up(folder, opened, options)
        return delivery

    def _set_up(self, folder: Path, opened: Open, options: DeliveryOptions) -> None:
        self.folder = folder
        self._open = opened
        self._options = options
        self._stream = Stream()
        self._inbox = Inbox()
        self._order_callback: OrderCallback | None = None
        self._is_begun = False
        self._thread: threading.Thread | None = None
        self._record: Record | None = None
        self._error: BaseException | None = None

    # Listening

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._stream.progress

    @property
    def may_have_given_beam(self) -> bool:
        """Whether it has come so far that there may have been beam: a spill was announced in its journal."""
        now = self._stream.progress
        return now.field > 1 or now.spill > 0

    def events(self, capacity: int = CAPACITY) -> Subscription:
        """Subscribe to the events from now on: an iterator for another thread.

        It ends when the delivery does.  If more than `capacity` events wait, the oldest are dropped, which
        the numbers of those that follow tell.
        """
        return self._stream.subscribe(capacity)

    def watch(self, sink: Sink, name: str = "", capacity: int = CAPACITY) -> None:
        """Have a callable told every event, and how far the delivery is after it, in a thread of its own.

        One that is slow misses events, and one that raises is told no more; neither delays the delivery.  At
        the end a delivery waits two seconds for all of them.  What they missed is in the summary, under
        ``sinks``.

        Parameters
        ----------
        sink : callable
            Given a `DeliveryEvent` and a `Progress`.
        name : str, optional
            For the summary; by default that of the callable.
        capacity : int
            Events that wait for it at most.
        """
        self._stream.watch(sink, name or getattr(sink, "__name__", type(sink).__name__), capacity)

    # Orders

    def order(self, command: Command | Order, identity: str = "", reason: str = "") -> Future[OrderTaken]:
        """Order something, from any thread.

        During a spill, in a pause and between spills it is obeyed within 10 ms of the clock of the field; an
        order that comes before the field is ready waits until then.

        Parameters
        ----------
        command : Command or Order
        identity, reason : str
            Who orders it, and why; for the journal, and never blank.

        Returns
        -------
        Future of OrderTaken
            ``result()`` waits until the order is obeyed, and returns the event with the sample at which it
            was; or raises `OptionError`, if its state or its end does not let the delivery obey.
            ``cancel()`` takes the order back, as long as it waits.

        Raises
        ------
        OptionError
            If it is no command, has no identity or no reason, or the delivery takes no orders.  The delivery
            goes on as if nothing had been said.
        """
        order = command if isinstance(command, Order) else Order(command, identity, reason)
        if not self._options.takes_orders or self._order_callback is not None:
            raise OptionError(f"order {order.command.value!r}: this delivery takes no orders")
        return self._inbox.post(order)

    # Delivering

    def start(self) -> None:
        """Begin to deliver, in a thread of its own.

        Raises
        ------
        OutputError, RecordError, OptionError, CourseError
            If it cannot be begun; nothing was delivered then.
        """
        wall = time.perf_counter()
        session = self._begin()
        self._thread = threading.Thread(
            target=self._in_thread, args=(session, wall), name="spotline delivery"
        )
        self._thread.start()

    def result(self, timeout_s: float | None = None) -> Record:
        """Wait until the delivery is over; return its record.

        Raises
        ------
        BaseException
            What ended the delivery: as of `run`.
        TimeoutError
            If it is not over in time.
        """
        if self._thread is None:
            raise ValueError("the delivery has not been started; call start")
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"the delivery was not over within {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        assert self._record is not None
        return self._record

    def run(self) -> Record:
        """Deliver in the calling thread.

        Returns
        -------
        Record
            As `spotline.open_record` reads it.  If the disk fails during the delivery, that is an interlock
            in it.

        Raises
        ------
        OutputError
            If the folder is not free or cannot be written; nothing was delivered then.  What cannot be
            written later is in ``summary["unwritten"]``, and changes nothing of what was delivered.
        CourseError
            If the course has something else to be done; nothing was delivered then.
        SimulatedCrash
            If a fault ends the process; `spotline.resume` goes on from there.
        """
        wall = time.perf_counter()
        return self._deliver(self._begin(), wall)

    def _begin(self) -> Session | Record:
        if self._is_begun:
            raise ValueError("a delivery is delivered once; make another, or resume it")
        self._is_begun = True
        orders: Inbox | OrderCallback | None = self._order_callback
        if orders is None and self._options.takes_orders:
            orders = self._inbox
        try:
            session = self._open(self._stream, orders)
        except BaseException as error:
            self._fail(error)
            raise
        if isinstance(session, Session) and self._options.documents:
            self._stream.watch(StatusFile(self.folder).take, "status.json")
        return session

    def _in_thread(self, session: Session | Record, wall: float) -> None:
        try:
            self._record = self._deliver(session, wall)
        except BaseException as error:  # whoever asks for the result gets it
            self._error = error

    def _deliver(self, session: Session | Record, wall: float) -> Record:
        """Deliver; `wall` is the time at which the clock of the computer was started."""
        if isinstance(session, Record):
            self._end(session.outcome.status)
            return session
        with session.lock:
            try:
                record = session.run(wall)
            except BaseException as error:
                self._fail(error)
                raise
            notes = self._end(record.outcome.status)
            return session.close(session.note(record, notes) if notes else record)

    def _fail(self, error: BaseException) -> None:
        self._end("interrupted", f"{type(error).__name__}: {error}")

    def _end(self, status: str, error: str | None = None) -> list[SinkNote]:
        self._inbox.close("the delivery is over")
        now_us = round(self.progress.treatment_s * 1e6)
        return self._stream.end(DeliveryEnded(time_us=now_us, status=status, error=error))

    # Callables of `spotline.deliver` and `spotline.resume`

    def attend(
        self,
        progress: Report | None = None,
        orders: Orders | None = None,
        after_spill: AfterSpill | None = None,
    ) -> None:
        """Have callables called by the delivery itself; what they raise ends it.

        They are the arguments of `spotline.deliver` and `spotline.resume` with these names.
        """
        if progress is not None:
            self._stream.attend(lambda event, now: progress(now) if isinstance(event, Samples) else None)
        if orders is not None:
            self._order_callback = OrderCallback(orders)
        if after_spill is not None:
            self._stream.attend(
                lambda event, _: after_spill(self.folder) if isinstance(event, SpillStored) else None
            )


def _checked_seed(seed: Any) -> int:
    """A seed that can be one: nothing is written before."""
    if not (is_whole(seed) and 0 <= seed <= LARGEST_SEED):
        raise OptionError(f"seed: {seed!r} is none; give a whole number from 0 to {LARGEST_SEED}")
    return int(seed)
