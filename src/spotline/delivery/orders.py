"""Orders of operator and supervision, and the inbox that they come from."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from spotline.delivery.command import Order
from spotline.delivery.events import OrderTaken
from spotline.delivery.progress import Orders, Progress
from spotline.errors import OptionError

STEP_us = 10_000
"""An order in the inbox is obeyed within so much time on the clock of the field."""


@dataclass(frozen=True, slots=True, eq=False)
class Posted:
    """An order on its way.

    Attributes
    ----------
    order : Order
    answer : Future of OrderTaken
        Told what became of it.
    """

    order: Order
    answer: Future[OrderTaken] = field(default_factory=Future)


class Inbox:
    """Where orders wait until they are obeyed: any thread may post, the delivery takes.

    Orders are taken in the order in which they were posted.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._posted: deque[Posted] = deque()
        self._taken: Posted | None = None  # the delivery obeys one after another
        self._end: str | None = None

    def post(self, order: Order) -> Future[OrderTaken]:
        """Leave an order; returns at once.

        Returns
        -------
        Future of OrderTaken
            Its result is the event, once the order is obeyed; or `OptionError`, if it cannot be carried out.
            An order can be cancelled until it is obeyed.
        """
        posted = Posted(order)
        with self._changed:
            if self._end is None:
                self._posted.append(posted)
                self._changed.notify_all()
                return posted.answer
        posted.answer.set_exception(_too_late(order, self._end))
        return posted.answer

    def take(self) -> Posted | None:
        """Take the order that was posted first and not cancelled; None if there is none."""
        with self._changed:
            while self._posted:
                posted = self._posted.popleft()
                if posted.answer.set_running_or_notify_cancel():
                    self._taken = posted
                    return posted
        return None

    def wait(self, seconds: float) -> None:
        """Wait for an order, but not longer than so many seconds."""
        with self._changed:
            if not self._posted:
                self._changed.wait(seconds)

    def close(self, end: str) -> None:
        """Refuse every order that is left or still comes, because of the end of the delivery.

        One that was taken and not answered, because what it was taken for has failed, is refused too.
        """
        with self._changed:
            self._end = end
            left, self._posted = self._posted, deque()
            taken, self._taken = self._taken, None
        if taken is not None and not taken.answer.done():
            taken.answer.set_exception(_too_late(taken.order, end))
        for posted in left:
            if posted.answer.set_running_or_notify_cancel():
                posted.answer.set_exception(_too_late(posted.order, end))


class OrderCallback:
    """Orders of a callable that is asked: the argument `orders` of `spotline.deliver`.

    Parameters
    ----------
    ask : callable
        See `spotline.delivery.progress.Orders`.

    Attributes
    ----------
    raised : Exception or None
        What it has raised: that ends the delivery, whatever it is.
    """

    def __init__(self, ask: Orders) -> None:
        self._ask = ask
        self.raised: Exception | None = None

    def take(self, progress: Progress) -> Posted | None:
        """Ask for an order.

        Raises
        ------
        TypeError
            If the answer is none, which ends the delivery as whatever else is raised there.
        """
        try:
            order = self._ask(progress)
            if not (order is None or isinstance(order, Order)):
                raise TypeError(f"orders: the answer {order!r} is no Order; return one, or None")
        except Exception as error:
            self.raised = error
            raise
        return Posted(order) if order is not None else None


def _too_late(order: Order, end: str) -> OptionError:
    return OptionError(f"order {order.command.value!r} cannot be carried out: {end}")
