"""Who is told what happens in a delivery.

Three kinds of listeners.  *Writers* write what must not be lost: they are told first, the delivery waits for
them, and what they raise ends it.  *Attendants* are called in the thread of the delivery and may end it, too:
for callers who hand a callable to `spotline.deliver`.  *Watchers* only look on: each has a queue of its own,
from which the oldest events fall when it is full, so that nobody who is slow or fails delays or ends a
delivery.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from spotline.delivery.events import DeliveryEvent
from spotline.delivery.progress import Progress, Standing
from spotline.record.summary_file import SinkNote

CAPACITY = 4096
"""Events that wait for a watcher at most: about forty seconds of beam."""
DRAIN_s = 2.0
"""So long, by the clock of the computer, a delivery waits at its end for all its sinks together."""

Writer = Callable[[DeliveryEvent], None]
Sink = Callable[[DeliveryEvent, Progress], object]
"""Told every event, and how far the delivery is after it."""


class Subscription:
    """Events for another thread: an iterator that waits for the next one, and ends with the delivery.

    If more than `capacity` events wait, the oldest are dropped; the numbers of the events tell.

    Parameters
    ----------
    capacity : int
        At least 1.

    Attributes
    ----------
    missed : int
        Events that were dropped: those that found no room, and all that `discard` leaves unread.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; it must be at least 1")
        self._capacity = capacity
        self._changed = threading.Condition()
        self._waiting: deque[tuple[DeliveryEvent, Progress]] = deque()
        self._is_closed = False
        self._is_discarded = False
        self.missed = 0

    def __iter__(self) -> Iterator[DeliveryEvent]:
        while (told := self.next()) is not None:
            yield told[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def next(self, timeout_s: float | None = None) -> tuple[DeliveryEvent, Progress] | None:
        """Wait for the next event, and how far the delivery was after it; None when there are no more.

        Raises
        ------
        TimeoutError
            If none came in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._is_closed, timeout_s):
                raise TimeoutError(f"no event for {timeout_s:g} s")
            return self._waiting.popleft() if self._waiting else None

    def offer(self, event: DeliveryEvent, progress: Progress) -> None:
        """Put an event into the queue; never waits."""
        with self._changed:
            if self._is_closed:
                self.missed += self._is_discarded
                return
            if len(self._waiting) == self._capacity:
                self._waiting.popleft()
                self.missed += 1
            self._waiting.append((event, progress))
            self._changed.notify()

    def close(self) -> None:
        """Take no more events; those that wait can still be read."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def discard(self) -> None:
        """Take no more events, and drop those that wait: from now on all that comes is missed."""
        with self._changed:
            self._is_closed = self._is_discarded = True
            self.missed += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()


class _Watcher:
    """A sink with its queue and its thread."""

    def __init__(self, sink: Sink, name: str, capacity: int) -> None:
        self.name = name
        self.queue = Subscription(capacity)
        self._sink = sink
        self._failure: str | None = None
        self._left = 0
        self._thread = threading.Thread(target=self._run, name=f"spotline {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (told := self.queue.next()) is not None:
            try:
                self._sink(*told)
            except BaseException as error:  # SystemExit too: it would end this thread without a word
                self._failure = f"{type(error).__name__}: {error}"
                self.queue.discard()

    def finish(self, until: float) -> SinkNote | None:
        """Wait for the sink until some time of the monotonic clock; return what is to be noted of it."""
        self.queue.close()
        self._thread.join(max(0.0, until - time.monotonic()))
        failure = self._failure
        if self._thread.is_alive():
            failure = f"had not come to an end {DRAIN_s:g} s after the delivery"
            self.queue.discard()
        if failure is None and not self.queue.missed:
            return None
        return SinkNote(self.name, self.queue.missed, failure)


class Stream:
    """Numbers events, and tells them to everybody.

    Attributes
    ----------
    field : int
        Number of the field under way.
    raised : Exception or None
        What one of those who attend has raised: it ends the delivery, whatever it is.
    """

    def __init__(self) -> None:
        self.field = 0
        self.raised: Exception | None = None
        self._sequence = 0
        self._standing = Standing()
        self._writers: tuple[Writer, ...] = ()
        self._attendants: list[Sink] = []
        # Others may join while events are told: these are replaced, never changed.
        self._lock = threading.Lock()
        self._watchers: tuple[_Watcher, ...] = ()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._is_closed = False

    @property
    def progress(self) -> Progress:
        """How far the delivery is."""
        return self._standing.progress

    @contextmanager
    def written_by(self, *writers: Writer) -> Iterator[None]:
        """Have those write down what happens meanwhile."""
        self._writers = writers
        try:
            yield
        finally:
            self._writers = ()

    def attend(self, sink: Sink) -> None:
        """Have a callable called with every event, by the delivery itself; what it raises ends it."""
        self._attendants.append(sink)

    def watch(self, sink: Sink, name: str, capacity: int = CAPACITY) -> None:
        """Have a sink told every event, in a thread of its own."""
        with self._lock:
            if self._is_closed:
                raise ValueError(f"{name}: the delivery is over, and tells nothing more")
            self._watchers += (_Watcher(sink, name, capacity),)

    def subscribe(self, capacity: int = CAPACITY) -> Subscription:
        """Make a queue of the events that come."""
        subscription = Subscription(capacity)
        with self._lock:
            if self._is_closed:
                subscription.close()
            self._subscriptions += (subscription,)
        return subscription

    def tell(self, event: DeliveryEvent) -> DeliveryEvent:
        """Tell an event; return it with its number.

        Raises
        ------
        Exception
            What a writer or an attendant raises.
        """
        self._sequence += 1
        event = replace(event, sequence=self._sequence, field=self.field)
        for write in self._writers:
            write(event)
        progress = self._standing.take(event)
        self._offer(event, progress)
        for attend in self._attendants:
            try:
                attend(event, progress)
            except Exception as error:
                self.raised = error
                raise
        return event

    def _offer(self, event: DeliveryEvent, progress: Progress) -> None:
        watchers, subscriptions = self._watchers, self._subscriptions
        if watchers or subscriptions:
            shown = event.for_watchers()
            for watcher in watchers:
                watcher.queue.offer(shown, progress)
            for subscription in subscriptions:
                subscription.offer(shown, progress)

    def end(self, event: DeliveryEvent) -> list[SinkNote]:
        """Tell the last event to those who watch, and wait for their threads for a bounded time.

        Returns
        -------
        list of SinkNote
            Of the sinks that failed, missed something, or did not come to an end.
        """
        self._sequence += 1
        self._offer(replace(event, sequence=self._sequence, field=self.field), self.progress)
        with self._lock:
            self._is_closed = True
        for subscription in self._subscriptions:
            subscription.close()
        for watcher in self._watchers:
            watcher.queue.close()
        until = time.monotonic() + DRAIN_s
        notes = (watcher.finish(until) for watcher in self._watchers)
        return [note for note in notes if note is not None]
