"""What tests of the stream of events need: all events of a field, and orders that come at a given time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from spotline.delivery.command import Order
from spotline.delivery.events import DeliveryEvent, Samples
from spotline.delivery.orders import Inbox, Posted
from spotline.delivery.stream import Stream
from tests.delivery.noted import Noted
from tests.delivery.scripted_room import ScriptedRoom, delivered


def heard(room: ScriptedRoom, folder: Path, **options: Any) -> tuple[Noted, list[DeliveryEvent]]:
    """Deliver a field in a room without physics; return what came of it and every event."""
    events: list[DeliveryEvent] = []
    stream = Stream()
    stream.attend(lambda event, _: events.append(event))
    return delivered(room, folder, stream=stream, **options), events


class TimedInbox(Inbox):
    """An inbox to which orders come at some time of the clock of the field, as from another thread.

    Nobody waits by the clock of the computer.

    Parameters
    ----------
    orders : list of tuple
        Time and order.
    clock_us : callable
        Clock of the field.
    """

    def __init__(self, orders: list[tuple[int, Order]], clock_us: Callable[[], int]) -> None:
        super().__init__()
        self._coming = sorted(orders, key=lambda timed: timed[0])
        self._clock_us = clock_us
        self.answers: list[Any] = []

    def take(self) -> Posted | None:
        while self._coming and self._coming[0][0] <= self._clock_us():
            self.answers.append(self.post(self._coming.pop(0)[1]))
        return super().take()

    def wait(self, seconds: float) -> None:
        assert 0.0 < seconds <= 0.01


def without_samples(events: list[DeliveryEvent]) -> list[Any]:
    """Everything but the blocks of samples and the numbers, as plain values."""
    return [
        (type(event).__name__, plain({f.name: getattr(event, f.name) for f in fields(event)}))
        for event in events
        if not isinstance(event, Samples)
    ]


def plain(value: Any) -> Any:
    """An event's column as something that can be compared, however deep its arrays are."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key != "sequence"}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.asdict(value))
    if hasattr(value, "__dataclass_fields__"):
        return plain({f.name: getattr(value, f.name) for f in fields(value)})
    return value


def rows_of_trend(events: list[DeliveryEvent]) -> np.ndarray:
    """The trend of all blocks."""
    return np.concatenate([event.trend for event in events if isinstance(event, Samples)])
