"""Runs with a cyclotron: the same invariants hold where spills come when they are asked for."""

from __future__ import annotations

import pytest

from spotline import Treatment, load_beamline, prepare, read_plan
from spotline.campaign.one import run_one
from spotline.campaign.setting import Setting
from spotline.sim.faults import Fault
from tests.delivery.deliveries import TWO_LAYERS
from tests.lines.cyclotron import write_cyclotron_line


@pytest.fixture(scope="module")
def treatment(tmp_path_factory: pytest.TempPathFactory) -> Treatment:
    line = load_beamline(write_cyclotron_line(tmp_path_factory.mktemp("line") / "cyclotron"))
    return prepare(read_plan(TWO_LAYERS), line)


FAULTS = [
    Fault("chopper", "stuck_open", None, 2, 50_000, None),
    Fault("process", "kill", None, 2, 30_000),
    Fault("power", "loss", None, 1, 70_000),
    Fault("disk", "full", None, 1, 30_000, 2_000_000),
    Fault("fast_control", "hang", None, 1, 40_000, 3_000),
    Fault("timing", "shift_start", -16_319.0, 2, -2_770, None),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.kind for fault in FAULTS])
def test_invariants(fault: Fault, treatment: Treatment):
    row = run_one(Setting(treatment, 1, fixed=(fault,)), 0)
    assert row.violations == 0, row.remarks
    assert (row.struck, row.outcome) == (True, "resumed")


def test_nothing_fails(treatment: Treatment):
    row = run_one(Setting(treatment, 2), 0)
    assert row.violations == 0, row.remarks
    assert (row.struck, row.outcome, row.spills) == (False, "complete", 2)
