"""Who listens cannot disturb: a sink that raises, sleeps or never reads delays and changes nothing."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from spotline import BeamLine, Delivery, DeliveryOptions
from spotline.delivery.events import (
    DeliveryEnded,
    DeliveryEvent,
    Samples,
    SpillBegun,
    SpillEnded,
    SpillStored,
)
from spotline.delivery.progress import Progress
from spotline.delivery.stream import DRAIN_s, Stream, Subscription
from spotline.record.summary_file import SinkNote
from tests.delivery.deliveries import PROTON, hashes, treatment_of
from tests.delivery.listening import heard
from tests.delivery.scripted_room import ScriptedRoom, delivered

QUIET = DeliveryOptions(documents=False, takes_orders=False)


def protons_with(line: BeamLine, out: Path, options: DeliveryOptions = QUIET) -> Delivery:
    return Delivery(treatment_of(PROTON, line), out, seed=1, options=options)


def test_a_sink_that_raises_is_noted_and_told_no_more(line: BeamLine, protons: Path, tmp_path: Path):
    told: list[int] = []

    def fails(event: DeliveryEvent, progress: Progress) -> None:
        told.append(event.sequence)
        if len(told) == 3:
            raise RuntimeError("no network")

    delivery = protons_with(line, tmp_path / "out")
    delivery.watch(fails, "monitor")
    record = delivery.run()
    assert hashes(tmp_path / "out") == hashes(protons)
    assert told == [1, 2, 3]
    assert record.summary["status"] == "complete"
    (note,) = record.summary["sinks"]
    assert (note["name"], note["failure"]) == ("monitor", "RuntimeError: no network")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["sinks"] == [note]


def test_a_sink_that_hangs_delays_the_end_by_a_bounded_time(line: BeamLine, protons: Path, tmp_path: Path):
    go_on = threading.Event()
    delivery = protons_with(line, tmp_path / "out")
    delivery.watch(lambda event, _: go_on.wait(), "archive", capacity=10)
    ended = []
    delivery.watch(lambda event, _: ended.append(time.monotonic()), "clock")
    try:
        record = delivery.run()
        waited_s = time.monotonic() - ended[-1]
    finally:
        go_on.set()
    assert hashes(tmp_path / "out") == hashes(protons)
    # Whatever else the computer does, it waits so long and not for every event.
    assert DRAIN_s * 0.9 < waited_s < DRAIN_s + 20.0
    (note,) = record.summary["sinks"]
    assert note["name"] == "archive"
    assert note["missed"] > 10
    assert "had not come to an end" in note["failure"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), RuntimeError("x")])
def test_whatever_a_sink_raises_is_noted_with_all_that_it_was_not_told(tmp_path: Path, error: BaseException):
    told: list[int] = []

    def fails(event: DeliveryEvent, progress: Progress) -> None:
        told.append(event.sequence)
        raise error

    stream = Stream()
    heard_of = stream.subscribe()
    stream.watch(fails, "archive")
    assert delivered(ScriptedRoom(), tmp_path, stream=stream).complete
    (note,) = stream.end(DeliveryEnded(time_us=0, status="complete"))
    assert told == [1]
    assert str(note.failure).startswith(type(error).__name__)
    assert note.missed == len(list(heard_of)) - 1


def test_what_waits_for_a_sink_that_hangs_is_missed(tmp_path: Path):
    """Nothing was dropped for want of room: all the same it was not told."""
    stream, go_on, told = Stream(), threading.Event(), []

    def hangs(event: DeliveryEvent, progress: Progress) -> None:
        told.append(event.sequence)
        go_on.wait()

    heard_of = stream.subscribe()
    stream.watch(hangs, "archive")
    delivered(ScriptedRoom(), tmp_path, stream=stream)
    (note,) = stream.end(DeliveryEnded(time_us=0, status="complete"))
    go_on.set()
    assert note.missed == len(list(heard_of)) - len(told) > 0


def test_a_slow_sink_sees_by_the_numbers_what_it_missed(tmp_path: Path):
    stream, is_over, seen = Stream(), threading.Event(), []

    def slow(event: DeliveryEvent, progress: Progress) -> None:
        is_over.wait()
        seen.append(event.sequence)

    stream.watch(slow, "slow", capacity=5)
    delivered(ScriptedRoom(), tmp_path, stream=stream, block_us=1000)
    is_over.set()
    notes = stream.end(DeliveryEnded(time_us=0, status="complete"))
    last = seen[-1]
    # The first one was taken before the queue was full, or not; the newest are there, the end among them.
    assert seen[-5:] == list(range(last - 4, last + 1))
    assert notes == [SinkNote("slow", last - len(seen), None)]
    assert last - len(seen) > 0


def test_an_iterator_that_is_never_read_delays_nothing(tmp_path: Path):
    stream = Stream()
    subscription = stream.subscribe(capacity=4)
    delivered(ScriptedRoom(), tmp_path, stream=stream, block_us=1000)
    start = time.monotonic()
    assert stream.end(DeliveryEnded(time_us=0, status="complete")) == []
    assert time.monotonic() - start < DRAIN_s
    numbers = [event.sequence for event in subscription]
    assert len(numbers) == 4
    assert subscription.missed == numbers[0] - 1
    assert list(subscription) == []


def test_who_joins_late_is_told_from_then_on(tmp_path: Path):
    stream = Stream()
    delivered(ScriptedRoom(), tmp_path, stream=stream)
    subscription = stream.subscribe()
    stream.end(DeliveryEnded(time_us=0, status="complete"))
    assert [type(event) for event in subscription] == [DeliveryEnded]
    assert list(stream.subscribe()) == []
    with pytest.raises(ValueError, match="the delivery is over"):
        stream.watch(print, "late")


def test_waiting_for_an_event_can_end(tmp_path: Path):
    subscription = Subscription()
    with pytest.raises(TimeoutError, match=r"no event for 0\.01 s"):
        subscription.next(0.01)
    with pytest.raises(ValueError, match="at least 1"):
        Subscription(0)


def test_keepers_hear_every_event_once(tmp_path: Path):
    """What must be written is written in the thread of the delivery, before anybody else hears of it."""
    heard_by: list[tuple[str, int]] = []
    stream = Stream()
    stream.attend(lambda event, _: heard_by.append(("attendant", event.sequence)))
    with stream.written_by(lambda event: heard_by.append(("writer", event.sequence))):
        for number in range(1, 4):
            assert stream.tell(SpillStored(time_us=0, spill=number, path="", sha256="")).sequence == number
    assert heard_by == [(who, n) for n in (1, 2, 3) for who in ("writer", "attendant")]


def test_a_keeper_that_fails_ends_the_delivery_and_nobody_hears_of_it(tmp_path: Path):
    def full(event: DeliveryEvent) -> None:
        raise OSError("full")

    stream = Stream()
    subscription = stream.subscribe()
    with stream.written_by(full), pytest.raises(OSError, match="full"):
        stream.tell(SpillStored(time_us=0, spill=1, path="", sha256=""))
    stream.end(DeliveryEnded(time_us=0, status="interrupted"))
    assert [type(event) for event in subscription] == [DeliveryEnded]


def test_the_status_is_written_by_a_thread_of_its_own(line: BeamLine, tmp_path: Path):
    """A folder in the place of the file makes every write fail: no note, no delay, no status."""
    out = tmp_path / "out"
    delivery = protons_with(line, out, DeliveryOptions(takes_orders=False))
    with delivery.events() as events:
        delivery.run()
        assert events.missed == 0
    assert json.loads((out / "status.json").read_text())["state"] == "off treatment"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("spotline")]


def test_what_ends_a_delivery_is_told(tmp_path: Path, line: BeamLine):
    class Stop(BaseException):
        pass

    def stop(progress: Progress) -> None:
        raise Stop("here")

    delivery = protons_with(line, tmp_path / "out")
    delivery.attend(progress=stop)
    events = delivery.events()
    with pytest.raises(Stop):
        delivery.run()
    *_, last = events
    assert isinstance(last, DeliveryEnded)
    assert (last.status, last.error) == ("interrupted", "Stop: here")


def test_listening_changes_no_byte(tmp_path: Path):
    _, events = heard(ScriptedRoom(), tmp_path / "a")
    delivered(ScriptedRoom(), tmp_path / "b")
    a, b = ((tmp_path / name / "journal.bin").read_bytes() for name in "ab")
    assert a == b
    assert events


@pytest.mark.parametrize("kind", [SpillBegun, Samples, SpillEnded])
def test_who_watches_cannot_write_into_what_is_delivered(kind: type[DeliveryEvent], tmp_path: Path):
    def meddles(event: DeliveryEvent, progress: Progress) -> None:
        if isinstance(event, SpillBegun) and kind is SpillBegun:
            event.memory.int1_counts[:] = 0
        elif isinstance(event, Samples) and kind is Samples:
            event.parts["int1_counts"] = 0
        elif isinstance(event, SpillEnded) and kind is SpillEnded:
            event.result.parts["int1_counts"] = 0

    stream = Stream()
    stream.watch(meddles, "meddler")
    assert delivered(ScriptedRoom(), tmp_path, stream=stream).complete
    (note,) = stream.end(DeliveryEnded(time_us=0, status="complete"))
    assert "read-only" in str(note.failure)
