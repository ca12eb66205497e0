"""The judge stands alone, agrees with the campaign, and finds what is wrong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spotline.campaign.one import run_one
from spotline.campaign.setting import Setting
from spotline.sim.faults import Fault
from tests.places import ROOT
from verification import judge, judge_runs

NAMES = ("violations", "excess", "excess_bound")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_it_imports_neither_the_campaign_nor_the_law():
    found = list(imports_of(ROOT / "verification" / "judge.py"))
    assert len(found) > 10
    assert not [name for name in found if name.startswith(("spotline.campaign", "spotline.control"))]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("int2", "dead", at_us=300_000),
        Fault("chopper", "leak", 0.003, at_us=-1000),
        Fault("process", "kill", spill=2, at_us=100_000),
    ],
    ids=["int2 dead", "leak", "kill"],
)
def test_it_agrees_with_the_campaign(fault: Fault):
    treatment = judge_runs.settings_of()[0].treatment
    setting = Setting(treatment, 3, fixed=(fault,))
    row, judged = run_one(setting, 0), judge_runs.judge_run(setting, 0)
    assert judge_runs.compare(row, judged) == []
    assert judged["broken"] == []


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch):
    """Fewer particles prescribed, shorter bounds, counts that the record does not have."""
    treatment = judge_runs.settings_of()[0].treatment
    setting = Setting(treatment, 3, fixed=(Fault("int2", "dead", at_us=300_000),))
    real = judge.bounds_of

    def tight(*given: object) -> tuple[np.ndarray, float, float]:
        spots, field, _ = real(*given)  # type: ignore[arg-type]
        return spots * 1e-3, field, 100.0

    monkeypatch.setattr(judge, "bounds_of", tight)
    monkeypatch.setattr(judge, "onset_us", lambda *_: 10**12)
    judged = judge_runs.judge_run(setting, 0)
    assert judged["broken"] == ["beam_off", "excess", "false_trip"]
    row = run_one(setting, 0)
    differ = judge_runs.compare(row, judged)
    assert differ[0].startswith("campaign: nothing violated, judge: ['beam_off', 'excess', 'false_trip']")
