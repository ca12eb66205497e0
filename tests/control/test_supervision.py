"""The supervision: its table, every state that can be reached, and operators who press whatever they find."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from spotline.control import interlocks
from spotline.control.register import InterlockRegister, Latched
from spotline.control.supervision import NEEDS_GRANT, TRANSITIONS, Event, State, Supervision, advance
from spotline.errors import OptionError

EXPECTED = {
    (State.OFF, Event.LOADED): State.LOADED,
    (State.OFF, Event.POWER_UP): State.INTERRUPTED,
    (State.LOADED, Event.SLOW_GRANTS): State.LOADED,
    (State.LOADED, Event.SLOW_WITHDRAWS): State.LOADED,
    (State.LOADED, Event.CHECKS_PASSED): State.READY,
    (State.LOADED, Event.CHECKS_FAILED): State.INTERRUPTED,
    (State.LOADED, Event.ABORT): State.INTERRUPTED,
    (State.READY, Event.SLOW_WITHDRAWS): State.INTERRUPTED,
    (State.READY, Event.GRANTED): State.DELIVERY,
    (State.READY, Event.STOP): State.INTERRUPTED,
    (State.READY, Event.ABORT): State.INTERRUPTED,
    (State.DELIVERY, Event.SLOW_WITHDRAWS): State.INTERRUPTED,
    (State.DELIVERY, Event.SPILL_OVER): State.DELIVERY,
    (State.DELIVERY, Event.PAUSE): State.PAUSED,
    (State.DELIVERY, Event.STOP): State.INTERRUPTED,
    (State.DELIVERY, Event.ABORT): State.INTERRUPTED,
    (State.DELIVERY, Event.COMPLETE): State.POST,
    (State.PAUSED, Event.SLOW_WITHDRAWS): State.INTERRUPTED,
    (State.PAUSED, Event.RESUME): State.DELIVERY,
    (State.PAUSED, Event.STOP): State.INTERRUPTED,
    (State.PAUSED, Event.ABORT): State.INTERRUPTED,
    (State.INTERRUPTED, Event.SLOW_GRANTS): State.INTERRUPTED,
    (State.INTERRUPTED, Event.SLOW_WITHDRAWS): State.INTERRUPTED,
    (State.INTERRUPTED, Event.RESET): State.LOADED,
    (State.INTERRUPTED, Event.RECORD_WRITTEN): State.INTERRUPTED,
    (State.INTERRUPTED, Event.CLOSED): State.POST,
    (State.POST, Event.RECORD_WRITTEN): State.OFF,
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_of_state_and_event(state: State, event: Event):
    if (state, event) in EXPECTED:
        assert advance(state, event) is EXPECTED[state, event]
    else:
        with pytest.raises(ValueError, match=f"{event.value}.*cannot happen.*{state.value}"):
            advance(state, event)


def test_every_row_says_what_is_done_and_where_that_stands():
    for transition in TRANSITIONS.values():
        assert transition.action
        assert transition.reference.startswith("III.")


# The model: supervision, register, grant of the slow control, permit of the patient interlock system


class Node(NamedTuple):
    """One state of the whole."""

    state: State
    is_clear: bool
    is_granted: bool
    permit: bool

    @property
    def has_beam(self) -> bool:
        """What the supervision permits, and the line to the chopper too."""
        return machine(self).is_beam_permitted and self.permit


LATCHED = Latched(cause=interlocks.COUCH, value=1.0, limit=0.0, time_us=0, spill=1)


def machine(node: Node) -> Supervision:
    """The real thing in that state."""
    supervision = Supervision(InterlockRegister(latched=() if node.is_clear else (LATCHED,)))
    supervision.state, supervision.is_slow_granted = node.state, node.is_granted
    return supervision


def following(node: Node, act: Callable[[Supervision], object], permit: bool) -> Node:
    supervision = machine(node)
    act(supervision)
    return Node(supervision.state, supervision.register.is_clear, supervision.is_slow_granted, permit)


def edges(node: Node) -> Iterator[tuple[str, Node]]:
    """Everything that can happen: events, hardware, operators."""
    for event in Event:
        # A new spill, or none: the line is released when what held it is gone.
        permit = node.permit or (node.is_clear and event in (Event.RESUME, Event.RECORD_WRITTEN))
        try:
            yield event.name, following(node, lambda s, event=event: s.handle(event), permit)
        except ValueError:
            continue
    if node.state is not State.OFF:
        # The line falls first, and what pulled it is latched afterwards.
        yield "line", node._replace(permit=False)
        if not node.permit:
            yield "latch", node._replace(is_clear=False)
    if node.state is State.INTERRUPTED:
        yield "reset", following(node, lambda s: s.reset("who", "why", 0), True)


def explore() -> dict[Node, list[tuple[str, Node]]]:
    """All that can be reached from a new supervision, breadth first."""
    start = Node(State.OFF, True, False, True)
    graph: dict[Node, list[tuple[str, Node]]] = {}
    todo = deque([start, start._replace(is_clear=False, permit=False)])  # the second: after a crash
    while todo:
        node = todo.popleft()
        if node not in graph:
            graph[node] = list(edges(node))
            todo.extend(after for _, after in graph[node])
    return graph


GRAPH = explore()


def reachable(start: Node, but: Callable[[str], bool] = lambda name: False) -> set[Node]:
    """What can be reached without edges of some names."""
    reached, todo = {start}, [start]
    while todo:
        for name, after in GRAPH[todo.pop()]:
            if not but(name) and after not in reached:
                reached.add(after)
                todo.append(after)
    return reached


def test_the_model_is_all_there():
    assert {node.state for node in GRAPH} == set(State)
    assert any(node.has_beam for node in GRAPH)
    taken = {(node.state, name) for node, out in GRAPH.items() for name, _ in out}
    table = {(state, event.name) for state, event in TRANSITIONS if event is not Event.RESET}
    assert table <= taken, "every row of the table is taken somewhere"


def test_beam_only_during_delivery_with_every_grant():
    for node in GRAPH:
        assert node.has_beam == (
            node.state is State.DELIVERY and node.is_clear and node.is_granted and node.permit
        )


def test_an_interlock_takes_the_beam_away_until_somebody_resets_it():
    latched = [node for node in GRAPH if not node.is_clear]
    assert latched
    for node in latched:
        assert not any(after.has_beam for after in reachable(node, lambda name: name == "reset"))


def test_no_beam_without_the_slow_control():
    withdrawn = [node for node in GRAPH if not node.is_granted]
    for node in withdrawn:
        assert not any(after.has_beam for after in reachable(node, lambda name: name == "SLOW_GRANTS"))


def test_no_beam_before_the_checks_and_the_acknowledgement():
    for node in GRAPH:
        if node.state in (State.OFF, State.LOADED, State.INTERRUPTED, State.POST):
            for needed in ("CHECKS_PASSED", "GRANTED"):
                reached = reachable(node, lambda name, needed=needed: name == needed)
                assert not any(after.has_beam for after in reached)


@pytest.mark.parametrize("event", [Event.ABORT, Event.STOP, Event.SLOW_WITHDRAWS])
def test_an_abort_before_or_with_beam_always_works_and_ends_without_beam(event: Event):
    before_or_with = {State.READY, State.DELIVERY, State.PAUSED}
    if event is not Event.STOP:
        before_or_with.add(State.LOADED)
    found = [node for node in GRAPH if node.state in before_or_with]
    assert found
    for node in found:
        (after,) = (after for name, after in GRAPH[node] if name == event.name)
        assert not after.has_beam
        assert after.state in (State.INTERRUPTED, State.LOADED)
        assert not any(a.has_beam for a in reachable(after, lambda n: n in ("reset", "CHECKS_PASSED")))


def test_everything_comes_to_an_end_and_nothing_is_stuck():
    for node in GRAPH:
        assert any(after.state is State.OFF for after in reachable(node))
        if node.state is not State.OFF:
            assert any(after != node for _, after in GRAPH[node])


def test_after_every_reset_beam_can_come_back():
    interrupted = [node for node in GRAPH if node.state is State.INTERRUPTED]
    assert interrupted
    for node in interrupted:
        assert any(after.has_beam for after in reachable(node))


def test_a_refused_event_changes_nothing():
    refused = 0
    for node, event in product(GRAPH, Event):
        supervision = machine(node)
        try:
            supervision.handle(event)
        except ValueError:
            refused += 1
            after = Node(
                supervision.state, supervision.register.is_clear, supervision.is_slow_granted, node.permit
            )
            assert after == node
    assert refused > len(GRAPH)


def test_a_reset_needs_its_own_door():
    supervision = machine(Node(State.INTERRUPTED, True, False, True))
    with pytest.raises(ValueError, match="identity and a reason"):
        supervision.handle(Event.RESET)
    with pytest.raises(OptionError, match="identity"):
        supervision.reset("", "why", 0)
    assert supervision.state is State.INTERRUPTED
    assert supervision.reset("who", "why", 0) is State.LOADED
    with pytest.raises(ValueError, match="cannot happen"):
        supervision.reset("who", "why", 0)
    assert len(supervision.register.resets) == 1, "a reset at the wrong time releases nothing"


@pytest.mark.parametrize("event", sorted(NEEDS_GRANT, key=lambda event: event.name))
def test_nothing_that_brings_beam_happens_without_grant_or_with_an_interlock(event: Event):
    state = next(state for state, known in TRANSITIONS if known is event)
    for is_clear, is_granted in product((True, False), repeat=2):
        supervision = machine(Node(state, is_clear, is_granted, True))
        if is_clear and is_granted:
            supervision.handle(event)
            continue
        with pytest.raises(ValueError, match="cannot happen w"):
            supervision.handle(event)


# Random operators


class Operators(RuleBasedStateMachine):
    """A supervision and its register in the hands of people who try everything, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.supervision = Supervision()
        self.causes: list[int] = []
        self.released: list[tuple[str, tuple[int, ...]]] = []
        self.time_us = 0

    @rule(event=st.sampled_from(Event))
    def something_happens(self, event: Event) -> None:
        before = self.supervision.state
        allowed = (before, event) in EXPECTED and event is not Event.RESET
        if event in NEEDS_GRANT:
            allowed = allowed and not self.causes and self.supervision.is_slow_granted
        try:
            after = self.supervision.handle(event)
        except ValueError:
            assert not allowed
            assert self.supervision.state is before
        else:
            assert allowed
            assert after is EXPECTED[before, event]

    @precondition(lambda self: self.supervision.state is not State.OFF)
    @rule(cause=st.sampled_from(sorted(interlocks.CAUSES)), value=st.floats())
    def an_interlock_trips(self, cause: int, value: float) -> None:
        self.time_us += 1
        self.supervision.register.latch(cause, value, 0.0, self.time_us, 1)
        if cause not in self.causes:
            self.causes.append(cause)
        assert not self.supervision.is_beam_permitted

    @rule(
        identity=st.sampled_from(["A. Volta", "", " "]),
        reason=st.sampled_from(["repaired", ""]),
        persisting=st.sets(st.sampled_from(sorted(interlocks.CAUSES)), max_size=1),
    )
    def an_operator_resets(self, identity: str, reason: str, persisting: set[int]) -> None:
        was = self.supervision.state
        try:
            self.supervision.reset(identity, reason, self.time_us, persisting)
        except (OptionError, ValueError):
            assert was is not State.INTERRUPTED or persisting or not identity.strip() or not reason
            assert self.supervision.state is was
        else:
            assert was is State.INTERRUPTED
            assert (identity, reason, persisting) == ("A. Volta", "repaired", set())
            assert self.supervision.state is State.LOADED
            self.released.append((identity, tuple(self.causes)))
            self.causes = []

    @rule()
    def the_computer_is_started_again(self) -> None:
        """What is latched comes back from the file; a treatment that was under way is interrupted."""
        register = InterlockRegister.from_json(self.supervision.register.to_json())
        was_under_way = self.supervision.state is not State.OFF
        self.supervision = Supervision(register)
        if was_under_way:
            self.supervision.handle(Event.POWER_UP)

    @invariant()
    def the_register_holds_what_tripped(self) -> None:
        register = self.supervision.register
        assert [row.cause for row in register.latched] == self.causes
        assert register.is_clear == (not self.causes)
        assert (register.first is None) == (not self.causes)
        history = [(r.identity, tuple(row.cause for row in r.released)) for r in register.resets]
        assert history == self.released

    @invariant()
    def beam_needs_everything(self) -> None:
        supervision = self.supervision
        everything = supervision.state is State.DELIVERY and not self.causes and supervision.is_slow_granted
        assert supervision.is_beam_permitted == everything


Operators.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestOperators = Operators.TestCase
