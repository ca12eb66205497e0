"""What several devices share fails: the beam is off before a spot has much more than it should."""

from __future__ import annotations

import numpy as np
import pytest

from spotline import Treatment
from spotline.campaign import one
from spotline.campaign.invariants import names_of
from spotline.campaign.received import Received
from spotline.campaign.setting import Setting, draw_run, may_meet
from spotline.sim.faults import KINDS, Fault

GY_PER_PARTICLE = 0.53e-6
"""On the axis of one spot of carbon ions of 150 MeV/u, at its Bragg peak."""
ALLOWED_Gy, ALLOWED_SHARE = 0.25, 0.10
"""The larger of both may be too much in a spot."""
IN_THE_FIRST_SPILL_us = 300_000
BEFORE_IT_us = -2_000_000

CASES = {
    "gas, slowly": (Fault("gas", "contaminated", 0.05, at_us=IN_THE_FIRST_SPILL_us), "ring charge"),
    "gas": (Fault("gas", "contaminated", 0.10, at_us=IN_THE_FIRST_SPILL_us), "ring charge"),
    "gas, fast": (Fault("gas", "contaminated", 0.5, at_us=IN_THE_FIRST_SPILL_us), "ring charge"),
    "gas, before a spill": (Fault("gas", "contaminated", 0.2, spill=2, at_us=BEFORE_IT_us), "ring charge"),
    "high voltage": (Fault("high_voltage", "trip", at_us=IN_THE_FIRST_SPILL_us), "high voltage line"),
    "front-ends": (Fault("front_ends", "dead", at_us=IN_THE_FIRST_SPILL_us), "ring charge"),
    "front-ends, before a spill": (Fault("front_ends", "dead", spill=2, at_us=BEFORE_IT_us), "ring charge"),
    "clock": (Fault("clock", "stop", at_us=IN_THE_FIRST_SPILL_us, duration_us=500_000), "watchdog"),
    "link": (Fault("readout_link", "lost", at_us=IN_THE_FIRST_SPILL_us), "current data"),
    "energy": (Fault("beam", "energy", 1.25, at_us=IN_THE_FIRST_SPILL_us), "ring charge"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_spot_gets_too_much(name: str, treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    found: list[Received] = []
    receive = one.received_of

    def received_of(*of) -> Received:
        found.append(receive(*of))
        return found[-1]

    monkeypatch.setattr(one, "received_of", received_of)
    fault, cause = CASES[name]
    row = one.run_one(Setting(treatment, 7, (), (fault,)), 0)
    assert (row.detected_by, row.outcome) == (cause, "resumed")
    assert not row.violations, (names_of(row.violations), row.remarks)
    (received,) = found
    allowed = np.maximum(ALLOWED_Gy / GY_PER_PARTICLE, ALLOWED_SHARE * received.prescribed)
    assert (received.excess <= allowed).all(), float((received.excess / allowed).max())


def test_they_are_drawn_alone(treatment: Treatment):
    common = {name for name, kind in KINDS.items() if kind.is_common}
    assert len(common) == 6
    facts = treatment.beamline.facts
    assert not any(may_meet(a, b, facts) or may_meet(b, a, facts) for a in common for b in KINDS)
    setting = Setting(treatment, 3, tuple(KINDS), pairs=True)
    for number, name in enumerate(KINDS):
        drawn = [fault.kind for fault in draw_run(setting, number).faults]
        assert drawn[0] == name
        assert len(drawn) == (1 if name in common else 2)
