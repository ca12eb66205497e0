"""The page of the campaign names everything that there is."""

from __future__ import annotations

import pytest

from spotline.campaign.invariants import INVARIANTS
from spotline.campaign.row import COLUMNS
from spotline.campaign.summary import summary_of
from spotline.hdf5 import keys_of
from tests.campaign.made_up import PROVENANCE, row_of
from tests.places import ROOT

pytestmark = pytest.mark.stored

PAGE = ROOT / "docs" / "reference" / "campaign.md"


def test_every_column_with_its_meaning():
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name, kind, meaning in COLUMNS if f"| `{name}` | {kind} | {meaning} |" not in text]
    assert not missing


def test_every_invariant():
    text = PAGE.read_text(encoding="utf-8")
    assert not [i.name for i in INVARIANTS if f"| {i.bit} | `{i.name}` |" not in text]


def test_every_key():
    text = PAGE.read_text(encoding="utf-8")
    summary = keys_of(summary_of([row_of(0, fault1="int2.dead", struck=True)], PROVENANCE))
    keys = [*summary, *summary["kinds"]["int2.dead"]]
    assert not [key for key in keys if f"`{key}`" not in text]
