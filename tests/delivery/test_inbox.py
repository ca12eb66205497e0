"""Orders from other threads: obeyed within 10 ms of the clock of the field, wherever the delivery is."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spotline
from spotline import BeamLine, Delivery, DeliveryOptions, OptionError, OutputError, open_record
from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.control.slow import SlowReading
from spotline.delivery.command import Command, Order
from spotline.delivery.events import DeliveryEvent, OrderTaken, SpillBegun, SpillEnded, StateChanged
from spotline.delivery.orders import Inbox, STEP_us
from spotline.delivery.stream import Stream
from spotline.machine.true_line import true_line_of
from spotline.record.recovered import read_state
from spotline.room import Room
from spotline.sim.room import SimulatedRoom
from spotline.storage import Disk
from spotline.treatment import FieldTreatment
from tests.delivery.deliveries import PROTON, causes, hashes, treatment_of
from tests.delivery.listening import TimedInbox
from tests.delivery.noted import Noted, noted
from tests.delivery.overseen import SAID, SECOND_us, delivered_counts, events, prescribed_counts, state
from tests.delivery.scripted_room import LINE, ScriptedRoom, delivery_of, field_of
from tests.readings import GOOD, good_but

LIMIT_us = 10_000
LONG = field_of((30, 30))
"""Two slices that take some hundredths of a second of beam each."""
READY_us, END_us = 1_000_000, 8_000_000


def ordered(
    room: Room, folder: Path, orders: list[tuple[int, Order]], **options: Any
) -> tuple[Noted, list[DeliveryEvent], list[OrderTaken]]:
    """Deliver a field in which orders come at some times of its clock."""
    told: list[DeliveryEvent] = []
    stream = Stream()
    stream.attend(lambda event, _: told.append(event))
    inbox = TimedInbox(orders, lambda: delivery._oversight.now_us)
    disk = Disk(confirms=False)  # nobody loses power here
    delivery = delivery_of(room, folder, stream=stream, orders=inbox, disk=disk, **options)
    outcome = noted(delivery, folder)
    return outcome, told, [event for event in told if isinstance(event, OrderTaken)]


def between(told: list[DeliveryEvent], order: OrderTaken) -> str:
    """Where an order was obeyed: in a spill, or the state that was told before it."""
    before = [event for event in told if event.sequence < order.sequence]
    begun = sum(isinstance(event, SpillBegun) for event in before)
    if begun > sum(isinstance(event, SpillEnded) for event in before):
        return "spill"
    return [event.state for event in before if isinstance(event, StateChanged)][-1]


times = st.integers(READY_us, END_us)
commands = st.sampled_from([Command.PAUSE, Command.RESUME, Command.STOP, Command.ABORT])


@settings(max_examples=60, deadline=None)
@given(orders=st.lists(st.tuples(times, commands), max_size=6))
def test_orders_at_any_time_are_obeyed_in_time_or_refused(
    orders: list[tuple[int, Command]], tmp_path_factory: pytest.TempPathFactory
):
    """Without beam and with it: no order is late, none is lost, and none has a spot delivered twice."""
    folder = tmp_path_factory.mktemp("inbox")
    room = ScriptedRoom(no_beam=(1,), spill_ms=1500)
    # Whoever pauses goes on at last; else the treatment would wait for ever.
    last = (END_us + SECOND_us, Order(Command.RESUME, *SAID))
    coming = [(time_us, Order(command, *SAID)) for time_us, command in orders]
    outcome, told, taken = ordered(room, folder, [*coming, last])
    posted_us = sorted(time_us for time_us, _ in [*coming, last])
    assert len(taken) <= len(posted_us)
    for order, time_us in zip(taken, posted_us, strict=False):
        assert 0 <= order.time_us - time_us <= LIMIT_us, (order, between(told, order))
    obeyed = [order for order in taken if order.refusal is None]
    assert [row.time_us for row in read_state(folder).orders] == [order.time_us for order in obeyed]
    counts, prescribed = delivered_counts(folder, outcome.spills), prescribed_counts(folder)
    assert (counts <= prescribed).all()
    assert outcome.complete == bool((counts == prescribed).all())
    if not {Command.STOP, Command.ABORT} & {Command[order.command.upper()] for order in obeyed}:
        assert outcome.complete


@pytest.mark.parametrize("number", range(8))
def test_a_pause_at_a_random_sample_in_the_simulated_room(number: int, tmp_path: Path):
    """In spills of real length: the beam goes off at the sample in which the order is obeyed."""
    random = np.random.default_rng((20, number))
    cycle_us = round(LINE.facts.accelerator.cycle_period_s * 1e6)
    # Near the beginning of one of the two spills, so that half of the orders come with beam.
    pause_us = int(random.integers(1, 3)) * cycle_us + int(random.integers(-60_000, 60_000))
    resume_us = pause_us + int(random.integers(60_000, 9 * SECOND_us))
    orders = [(pause_us, Order(Command.PAUSE, *SAID)), (resume_us, Order(Command.RESUME, *SAID))]
    outcome, told, taken = ordered(SimulatedRoom(true_line_of(LINE), 1, 1), tmp_path, orders, treatment=LONG)
    assert outcome.complete
    assert [order.refusal for order in taken] == [None, None]
    for order, time_us in zip(taken, (pause_us, resume_us), strict=True):
        assert 0 <= order.time_us - time_us <= LIMIT_us
    trips = [event for event in told if event.__class__.__name__ == "InterlockTripped"]
    if between(told, taken[0]) == "spill":
        (trip,) = trips
        assert trip.cause == interlocks.OPERATOR
        assert trip.time_us >= taken[0].time_us
        assert trip.time_us - taken[0].time_us <= LIMIT_us
    else:
        assert trips == []


def test_a_pause_between_spills_loses_no_spill_and_no_count(tmp_path: Path):
    """The cycle that was asked for goes by; the next spill is the one that would have come."""
    orders = [(3 * SECOND_us, Order(Command.PAUSE, *SAID)), (9_123_456, Order(Command.RESUME, *SAID))]
    paused, told, _ = ordered(SimulatedRoom(true_line_of(LINE), 1, 1), tmp_path / "a", orders, treatment=LONG)
    whole, *_ = ordered(SimulatedRoom(true_line_of(LINE), 1, 1), tmp_path / "b", [], treatment=LONG)
    assert paused.complete
    assert paused.spills == whole.spills == 2
    assert events(paused)[4:6] == ["pause", "resume"]
    (resumed,) = [e for e in told if isinstance(e, OrderTaken) and e.command == "resume"]
    assert resumed.time_us - 9_123_456 <= LIMIT_us
    assert [row["time_us"] // SECOND_us for row in paused.slow_control[:10]] == list(range(10))


@pytest.mark.parametrize(("command", "cause"), [(Command.STOP, "OPERATOR"), (Command.ABORT, "SUPERVISION")])
def test_a_stop_between_spills_needs_no_beam(tmp_path: Path, command: Command, cause: str):
    outcome, *_ = ordered(ScriptedRoom(), tmp_path, [(3_456_789, Order(command, *SAID))])
    (row,) = outcome.interlocks_without_beam
    assert row["cause"] == getattr(interlocks, cause)
    assert 0 <= row["time_us"] - 3_456_789 <= LIMIT_us
    assert (state(outcome), outcome.spills) == ("interrupted", 1)


def test_going_on_before_the_pause_has_come_is_no_pause(tmp_path: Path):
    """Both orders are in the inbox when the first is taken, in the middle of a spill."""
    orders = [(2_003_000, Order(Command.PAUSE, *SAID)), (2_003_000, Order(Command.RESUME, *SAID))]
    outcome, _, taken = ordered(ScriptedRoom(no_beam=(1,), spill_ms=50), tmp_path, orders)
    assert [order.refusal for order in taken] == [None, None]
    assert outcome.complete
    assert events(outcome)[4:6] == ["pause", "resume"]


@pytest.mark.parametrize(
    ("time_us", "command", "where"),
    [
        (0, Command.PAUSE, "ready"),
        (2_002_000, Command.RESUME, "beam delivery"),
        (3_000_000, Command.CLOSE, "beam delivery"),
    ],
)
def test_an_order_at_the_wrong_time_is_refused_and_changes_nothing(
    tmp_path: Path, time_us: int, command: Command, where: str
):
    outcome, _, (taken,) = ordered(ScriptedRoom(), tmp_path / "a", [(time_us, Order(command, *SAID))])
    assert taken.refusal == f"order {command.value!r} cannot be carried out during {where!r}"
    assert outcome.complete
    undisturbed, *_ = ordered(ScriptedRoom(), tmp_path / "b", [])
    assert (tmp_path / "a" / "journal.bin").read_bytes() == (tmp_path / "b" / "journal.bin").read_bytes()
    assert undisturbed.complete


def test_a_field_that_was_stopped_waits_for_a_reset(tmp_path: Path):
    room = ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)})
    reset = Order(Command.RESET, "M. Curie", "repaired")
    outcome, _, (taken,) = ordered(room, tmp_path, [(5_432_100, reset)], reset_wait_s=60.0)
    assert outcome.complete
    assert (taken.identity, taken.reason, taken.refusal) == ("M. Curie", "repaired", None)
    assert outcome.register.resets[0].identity == "M. Curie"
    assert len(outcome.slow_control) >= 5, "the slow control is read while somebody is waited for"


def test_nobody_is_waited_for_for_ever(tmp_path: Path):
    room = ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)})
    outcome, told, taken = ordered(room, tmp_path, [], reset_wait_s=3.5)
    assert (state(outcome), taken) == ("interrupted", [])
    stopped = next(e for e in told if isinstance(e, StateChanged) and e.state == "interrupted")
    assert told[-1].time_us - stopped.time_us == 3_500_000


def test_a_reset_is_refused_while_the_cause_persists(tmp_path: Path):

    def warm(time_us: int) -> SlowReading:
        return GOOD if time_us < SECOND_us else good_but(temperature1_C=90.0)

    reset = Order(Command.RESET, "M. Curie", "repaired")
    outcome, _, (taken,) = ordered(ScriptedRoom(warm), tmp_path, [(4_000_000, reset)], reset_wait_s=5.0)
    assert taken.refusal is not None
    assert taken.refusal.endswith("persists; remove the condition first")
    assert outcome.register.resets == ()


# From other threads, with the whole of a delivery.

ORDERED = DeliveryOptions(documents=False)


def test_a_delivery_in_a_thread_of_its_own(line: BeamLine, protons: Path, tmp_path: Path):
    delivery = Delivery(treatment_of(PROTON, line), tmp_path / "out", seed=1, options=ORDERED)
    with pytest.raises(ValueError, match="has not been started"):
        delivery.result()
    delivery.start()
    record = delivery.result()
    assert (record.summary["status"], delivery.progress.spots) == ("complete", 147)
    assert hashes(tmp_path / "out") == hashes(protons)
    assert "sinks" not in record.summary
    with pytest.raises(ValueError, match="delivered once"):
        delivery.run()
    with pytest.raises(OptionError, match="the delivery is over"):
        delivery.order(Command.STOP, *SAID).result()


def test_what_cannot_be_begun_is_raised_where_it_is_started(line: BeamLine, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    delivery = Delivery(treatment_of(PROTON, line), tmp_path)
    told: list[str | None] = []
    delivery.watch(lambda event, _: told.append(event.error), "monitor")
    with pytest.raises(OutputError, match="is not empty"):
        delivery.start()
    assert len(told) == 1, "who listens learns that nothing comes"
    assert str(told[0]).startswith("OutputError: ")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("spotline")]


def test_an_order_before_the_start_waits(line: BeamLine, tmp_path: Path):
    delivery = Delivery(treatment_of(PROTON, line), tmp_path / "out", options=ORDERED)
    taken_back = delivery.order(Command.STOP, *SAID)
    answer = delivery.order(Command.ABORT, "A. Meyer", "wrong patient")
    assert taken_back.cancel()
    delivery.start()
    record = delivery.result()
    assert causes(record) == [("supervision", "stop")]
    assert record.summary["spots_delivered"] == 0
    assert answer.result().identity == "A. Meyer"
    with pytest.raises(CancelledError):
        taken_back.result()
    (order,) = record.fields[0].header["orders"]
    assert (order["command"], order["reason"]) == ("abort", "wrong patient")
    assert order["time_us"] == answer.result().time_us


def test_a_delivery_that_takes_no_orders_says_so(line: BeamLine, tmp_path: Path):
    options = DeliveryOptions(takes_orders=False)
    delivery = Delivery(treatment_of(PROTON, line), tmp_path / "out", options=options)
    with pytest.raises(OptionError, match="takes no orders"):
        delivery.order(Command.STOP, *SAID)
    with pytest.raises(OptionError, match="identity and the reason"):
        delivery.order(Command.RESET)


def test_an_error_in_the_thread_is_raised_to_who_asks(line: BeamLine, tmp_path: Path):
    def room_of(_field: FieldTreatment) -> Room:
        raise OptionError("room 4: there is none")

    delivery = Delivery(
        treatment_of(PROTON, line),
        tmp_path / "out",
        make_room=room_of,
        options=ORDERED,
    )
    events_of_it = delivery.events()
    waiting = delivery.order(Command.STOP, *SAID)
    delivery.start()
    with pytest.raises(OptionError, match="room 4"):
        delivery.result()
    *_, last = events_of_it
    assert last.error == "OptionError: room 4: there is none"
    with pytest.raises(OptionError, match="the delivery is over"):
        waiting.result()


def test_several_threads_order_at_once(line: BeamLine, tmp_path: Path):
    """Every order is answered, once; those that were obeyed are in the record, in order."""
    delivery = Delivery(treatment_of(PROTON, line), tmp_path / "out", seed=1, options=ORDERED)
    heard = delivery.events()
    answers: list[list[object]] = [[] for _ in range(4)]
    is_over = threading.Event()

    def press(number: int) -> None:
        while not is_over.is_set():
            for command in (Command.PAUSE, Command.RESUME):
                answer = delivery.order(command, f"operator {number}", "at once")
                answers[number].append(answer.exception() or answer.result())

    threads = [threading.Thread(target=press, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    delivery.start()
    try:
        while len([a for a in answers if len(a) > 10]) < 4 and delivery.progress.state != "off treatment":
            is_over.wait(0.01)
    finally:
        is_over.set()
    for thread in threads:
        thread.join()
    while delivery.progress.spots < 147 or not is_finished(delivery):
        delivery.order(Command.RESUME, "the last one", "at last").exception()
    record = delivery.result()
    assert record.summary["status"] == "complete"
    told = [event for event in heard if isinstance(event, OrderTaken)]
    obeyed = [event for event in told if event.refusal is None]
    journalled = record.fields[0].header["orders"]
    assert [(e.time_us, e.command, e.identity) for e in obeyed] == [
        (row["time_us"], row["command"], row["identity"]) for row in journalled
    ]
    for number, mine in enumerate(answers):
        heard_of = [e for e in told if e.identity == f"operator {number}"]
        events_of_mine = [a for a in mine if isinstance(a, OrderTaken)]
        refused = [a for a in mine if isinstance(a, OptionError)]
        assert events_of_mine == [e for e in heard_of if e.refusal is None]
        too_late = [str(a) for a in refused if str(a).endswith("the delivery is over")]
        assert len(refused) - len(too_late) == len([e for e in heard_of if e.refusal is not None])


def is_finished(delivery: Delivery) -> bool:
    try:
        delivery.result(0.01)
    except TimeoutError:
        return False
    return True


def test_going_on_takes_orders_too(line: BeamLine, tmp_path: Path):
    out = tmp_path / "out"
    first = Delivery(treatment_of(PROTON, line), out, seed=1, options=ORDERED)
    first.order(Command.ABORT, *SAID)
    first.run()
    second = spotline.resumption(out, operator="a physicist", reason="the right patient", options=ORDERED)
    heard = second.events()
    stop = second.order(Command.STOP, "a nurse", "the bell")
    second.start()
    assert second.result().summary["status"] == "interlock"
    assert stop.result().identity == "a nurse"
    begun = next(iter(heard))
    assert (begun.operator, begun.spills) == ("a physicist", 0)
    third = spotline.resumption(out, operator="a physicist", reason="again", options=ORDERED)
    assert third.run().summary["status"] == "complete"
    done = spotline.resumption(out, operator="", reason="", options=ORDERED)
    assert done.run().summary["status"] == "complete"
    assert len(open_record(out).fields[0].header["orders"]) == 2


def test_steps_of_the_inbox_are_no_longer_than_they_may_be():
    assert LIMIT_us >= STEP_us
    inbox = Inbox()
    inbox.close("it is over")
    with pytest.raises(OptionError, match="it is over"):
        inbox.post(Order(Command.STOP, *SAID)).result()
