"""Hundreds of deliveries in which something fails: no invariant may be violated in any of them."""

from __future__ import annotations

import pytest

from spotline import Treatment
from spotline.campaign.invariants import names_of
from spotline.campaign.one import run_one
from spotline.campaign.setting import Setting
from spotline.sim.faults import KINDS

SEED = 2026
LEAST = 200
RUNS_PER_KIND = max(3, -(-LEAST // len(KINDS)))
PAIRS = 40
FAULTLESS = 10


def check(setting: Setting, numbers: range) -> list[dict[str, object]]:
    """Make runs; none may violate an invariant."""
    rows = [run_one(setting, number) for number in numbers]
    violated = [
        f"run {row['run']} ({row['fault1']} {row['fault2']}): {names_of(row['violations'])}: {row['remarks']}"
        for row in rows
        if row["violations"]
    ]
    assert not violated, "\n".join(violated)
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_single_faults(treatment: Treatment, kind: str):
    rows = check(Setting(treatment, SEED, (kind,)), range(RUNS_PER_KIND))
    assert any(row["struck"] for row in rows), "no fault of this kind came before the field was over"
    assert all(row["outcome"] in ("complete", "paused", "resumed") for row in rows)


@pytest.mark.parametrize("first", range(0, PAIRS, 4))
def test_pairs_of_faults(treatment: Treatment, first: int):
    check(Setting(treatment, SEED, tuple(KINDS), pairs=True), range(first, first + 4))


def test_without_faults(treatment: Treatment):
    rows = check(Setting(treatment, SEED), range(FAULTLESS))
    assert {(row["outcome"], row["interlocks"]) for row in rows} == {("complete", 0)}


def test_there_are_enough():
    assert RUNS_PER_KIND * len(KINDS) >= LEAST
