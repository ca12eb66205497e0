"""Orders at any time: those at the wrong one are refused, and none has a spot delivered twice or lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.delivery.progress import Command, Order, Progress
from spotline.delivery.stream import Stream
from spotline.errors import OptionError
from tests.delivery.noted import noted
from tests.delivery.overseen import (
    RESET,
    SAID,
    at,
    both,
    delivered_counts,
    in_spill,
    latched,
    prescribed_counts,
    state,
)
from tests.delivery.scripted_room import ScriptedRoom, delivered, delivery_of


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("ready", Command.PAUSE),
        ("ready", Command.CLOSE),
        ("beam delivery", Command.RESUME),
        ("beam delivery", Command.CLOSE),
        ("paused", Command.CLOSE),
        ("interrupted", Command.RESUME),
        ("interrupted", Command.ABORT),
    ],
)
def test_an_order_at_the_wrong_time_is_refused_in_words(tmp_path: Path, where: str, command: Command):
    order = at((where, Order(command, *SAID)))
    if where == "paused":
        order = both(in_spill(1, 0, Command.PAUSE), order)
    room = ScriptedRoom(background=(11.0, 0.0) if where == "interrupted" else (0.0, 0.0))
    with pytest.raises(OptionError, match=f"order .*cannot be carried out during '{where}'"):
        delivered(room, tmp_path, orders=order)


@pytest.mark.parametrize(("identity", "reason"), [("", "repaired"), ("M. Curie", " ")])
def test_an_order_to_reset_names_who_and_why(identity: str, reason: str):
    with pytest.raises(OptionError, match="identity and the reason"):
        Order(Command.RESET, identity, reason)


COMMANDS = {
    "ready": [None, None, Command.RESUME, Command.STOP, Command.ABORT],
    "beam delivery": [None] * 12 + [Command.PAUSE, Command.STOP, Command.ABORT],
    "paused": [None, Command.PAUSE, Command.RESUME, Command.RESUME, Command.STOP, Command.ABORT],
    "interrupted": [None, Command.RESET, Command.RESET, Command.RESET, Command.CLOSE],
}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_ordered_nothing_is_delivered_twice_or_lost(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("orders")
    generator = data.draw(st.randoms(use_true_random=False))
    resets = 0

    class Watched(ScriptedRoom):
        def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None):
            assert stream.progress.is_beam_permitted, "a spill is asked for with every grant only"
            return super().request_beam(code, after_us)

    def orders(progress: Progress) -> Order | None:
        nonlocal resets
        command = generator.choice(COMMANDS[progress.state])
        if command is Command.RESET:
            resets += 1
            return RESET if resets < 20 else None
        return Order(command, *SAID) if command is not None else None

    room, stream = Watched(), Stream()
    delivery = delivery_of(room, folder, stream=stream, orders=orders, block_us=1000)
    outcome = noted(delivery, folder)
    counts, prescribed = delivered_counts(folder, outcome.spills), prescribed_counts(folder)
    assert (counts <= prescribed).all()
    assert outcome.complete == bool((counts == prescribed).all())
    assert outcome.complete or state(outcome) in ("interrupted", "post treatment")
    assert outcome.register.is_clear == (outcome.complete or not latched(outcome))
