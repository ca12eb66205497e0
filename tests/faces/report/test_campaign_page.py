"""The report of a campaign, from made-up rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from spotline.campaign.invariants import EXCESS
from spotline.campaign.row import Row
from spotline.campaign.summary import summary_of
from spotline.errors import OutputError
from spotline.faces.report.campaign_page import write_campaign_page
from tests.campaign.made_up import PROVENANCE, row_of


def page(rows: list[Row], path: Path) -> str:
    write_campaign_page(summary_of(rows, PROVENANCE), rows, path)
    return path.read_text(encoding="utf-8")


def dead(run: int, **facts: Any) -> Row:
    usual = {"fault1": "int2.dead", "struck": True, "detected_by": "int ratio", "detection_us": 900}
    return row_of(run, **{**usual, "beam_off_us": 250, "excess": 2e4, "outcome": "resumed", **facts})


def test_page_of_a_campaign(tmp_path: Path):
    html = page([dead(0), dead(1), row_of(2, fault1="int2.dead")], tmp_path / "report.html")
    assert "All invariants held" in html
    assert "TWO &lt;LAYERS&gt;" in html
    assert html.count("<svg") == 4
    assert "int ratio 2" in html
    assert not re.search(r"(?:src|href)=\"http", html)
    assert "<script" not in html


def test_violations_are_named(tmp_path: Path):
    html = page([dead(0, violations=EXCESS, remarks="slice 0, spot 1: too many")], tmp_path / "report.html")
    assert "Invariants violated" in html
    assert "slice 0, spot 1: too many" in html


def test_same_rows_same_page(tmp_path: Path):
    rows = [dead(0), row_of(1)]
    assert page(rows, tmp_path / "one.html") == page(rows, tmp_path / "two.html")


def test_a_campaign_without_faults(tmp_path: Path):
    html = page([row_of(0), row_of(1)], tmp_path / "report.html")
    assert "no fault struck" in html
    assert "no interlock with beam" in html


def test_no_place_to_write(tmp_path: Path):
    with pytest.raises(OutputError, match="the report cannot be written"):
        page([row_of(0)], tmp_path / "no" / "report.html")
