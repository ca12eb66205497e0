"""Hundreds of deliveries in which something fails: no invariant may be violated in any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice

import pytest

from spotline import Treatment
from spotline.campaign.invariants import names_of
from spotline.campaign.one import run_one
from spotline.campaign.row import Row
from spotline.campaign.setting import Setting, draw_run
from spotline.sim.faults import KINDS

SEED = 2026
LEAST = 200
RUNS_PER_KIND = max(2, -(-LEAST // len(KINDS)))
PAIRS = 40
FAULTLESS = 10


LAST_SPILL, EARLY_us = 3, 500_000
"""Without faults the third spill is the last one, and takes longer than this."""


def check(setting: Setting, numbers: Iterable[int]) -> list[Row]:
    """Make runs; none may violate an invariant."""
    rows = [run_one(setting, number) for number in numbers]
    violated = [
        f"run {row.run} ({row.fault1} {row.fault2}): {names_of(row.violations)}: {row.remarks}"
        for row in rows
        if row.violations
    ]
    assert not violated, "\n".join(violated)
    return rows


def runs_that_strike(setting: Setting) -> Iterator[int]:
    """Runs whose fault begins before the field is over."""
    for number in count():
        (fault,) = draw_run(setting, number).faults
        if fault.spill < LAST_SPILL or fault.at_us < EARLY_us:
            yield number


@pytest.mark.parametrize("kind", KINDS)
def test_single_faults(treatment: Treatment, kind: str):
    setting = Setting(treatment, SEED, (kind,))
    rows = check(setting, islice(runs_that_strike(setting), RUNS_PER_KIND))
    assert all(row.struck for row in rows)
    assert {row.outcome for row in rows} <= {"complete", "paused", "resumed"}


@pytest.mark.parametrize("first", range(0, PAIRS, 4))
def test_pairs_of_faults(treatment: Treatment, first: int):
    check(Setting(treatment, SEED, tuple(KINDS), pairs=True), range(first, first + 4))


def test_without_faults(treatment: Treatment):
    rows = check(Setting(treatment, SEED), range(FAULTLESS))
    assert {(row.outcome, row.interlocks) for row in rows} == {("complete", 0)}


def test_there_are_enough():
    assert RUNS_PER_KIND * len(KINDS) >= LEAST
