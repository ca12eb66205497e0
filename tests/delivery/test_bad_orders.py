"""An order that is none is refused where it is given; the delivery that it was meant for goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spotline import BeamLine, Delivery, DeliveryOptions, OptionError
from spotline.delivery.command import Command, Order
from spotline.delivery.events import FieldBegun, OrderTaken, SpillBegun, StateChanged
from spotline.delivery.orders import Inbox
from spotline.delivery.progress import Progress
from spotline.delivery.stream import Stream
from tests.delivery.deliveries import PROTON, treatment_of
from tests.delivery.overseen import SAID
from tests.delivery.scripted_room import ScriptedRoom, delivered, delivery_of

BAD: list[tuple[Any, Any, Any]] = [
    ("PAUSE", "a", "b"),
    (3, "a", "b"),
    (None, "a", "b"),
    (Command.PAUSE, None, None),
    (Command.PAUSE, object(), "b"),
    (Command.PAUSE, "a", 3),
    (Command.PAUSE, "", "b"),
    (Command.STOP, "a", "  "),
    (Command.ABORT, "", ""),
    (Command.RESUME, "a\nb", "c"),
]


@pytest.mark.parametrize(("command", "identity", "reason"), BAD)
def test_it_is_refused_in_the_thread_of_the_caller(
    line: BeamLine, tmp_path: Path, command: Any, identity: Any, reason: Any
):
    delivery = Delivery(treatment_of(PROTON, line), tmp_path / "out", options=DeliveryOptions())
    with pytest.raises(OptionError, match="order "):
        delivery.order(command, identity, reason)
    assert delivery._inbox.take() is None, "the delivery never hears of it"


def test_whatever_ends_a_delivery_answers_every_order(tmp_path: Path):
    """The one that was taken when it ended, and those behind it."""

    class Gone(BaseException):
        pass

    def gone(event: object, _: Progress) -> None:
        if isinstance(event, OrderTaken):
            raise Gone

    stream, inbox = Stream(), Inbox()
    stream.attend(gone)
    answers = [inbox.post(Order(Command.STOP, *SAID)), inbox.post(Order(Command.ABORT, *SAID))]
    with pytest.raises(Gone):
        delivery_of(ScriptedRoom(), tmp_path, stream=stream, orders=inbox).run()
    assert not any(answer.done() for answer in answers)
    inbox.close("the delivery is over")
    late = inbox.post(Order(Command.STOP, *SAID))
    for answer in (*answers, late):
        with pytest.raises(OptionError, match="the delivery is over"):
            answer.result(0)


def test_a_callable_that_returns_no_order_says_so(tmp_path: Path):
    with pytest.raises(TypeError, match="orders: the answer 'PAUSE' is no Order"):
        delivered(ScriptedRoom(), tmp_path, orders=lambda _: "PAUSE")  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(("kind", "may"), [(FieldBegun, False), (StateChanged, False), (SpillBegun, True)])
def test_beam_may_have_been_given_from_the_first_spill_that_was_announced(
    kind: type, may: bool, line: BeamLine, tmp_path: Path
):
    """Whoever hears that nothing was delivered must not hear that beam may have been given, too."""

    def ends(event: object, _: Progress) -> None:
        if isinstance(event, kind):
            raise OSError("here")

    delivery = Delivery(
        treatment_of(PROTON, line), tmp_path / "out", options=DeliveryOptions(documents=False)
    )
    delivery._stream.attend(ends)
    with pytest.raises(OSError, match="here"):
        delivery.run()
    assert delivery.may_have_given_beam is may
