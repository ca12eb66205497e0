"""The table of the treatment."""

from __future__ import annotations

from itertools import product

import pytest
from spotline.control.phases import TRANSITIONS, Event, Phase, advance

EXPECTED = {
    (Phase.OFF, Event.LOADED): Phase.PRE,
    (Phase.PRE, Event.CHECKS_PASSED): Phase.DELIVERY,
    (Phase.PRE, Event.CHECKS_FAILED): Phase.POST,
    (Phase.DELIVERY, Event.SPILL_OVER): Phase.DELIVERY,
    (Phase.DELIVERY, Event.FIELD_COMPLETE): Phase.POST,
    (Phase.DELIVERY, Event.BEAM_STOPPED): Phase.POST,
    (Phase.POST, Event.RECORD_WRITTEN): Phase.OFF,
}


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_every_pair_of_phase_and_event(phase: Phase, event: Event):
    if (phase, event) in EXPECTED:
        assert advance(phase, event) is EXPECTED[phase, event]
    else:
        with pytest.raises(ValueError, match=f"{event.value}.*cannot happen.*{phase.value}"):
            advance(phase, event)


def test_every_phase_is_reached_and_left_and_every_event_leads_somewhere():
    reached, todo = {Phase.OFF}, [Phase.OFF]
    while todo:
        phase = todo.pop()
        following = {t.next for (before, _), t in TRANSITIONS.items() if before is phase}
        assert following - {phase}, "no way out"
        todo += following - reached
        reached |= following
    assert reached == set(Phase)
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_beam_only_after_the_checks():
    """Nothing but passed checks leads to beam delivery."""
    into_delivery = {
        event
        for (phase, event), t in TRANSITIONS.items()
        if t.next is Phase.DELIVERY and phase is not Phase.DELIVERY
    }
    assert into_delivery == {Event.CHECKS_PASSED}


def test_every_row_says_what_is_done_and_where_that_stands():
    for transition in TRANSITIONS.values():
        assert transition.action
        assert transition.reference.startswith("III.")
