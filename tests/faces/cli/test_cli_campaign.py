"""The verb ``campaign``: exit status, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spotline.campaign import one
from spotline.faces.cli import run
from tests.delivery.deliveries import TWO_LAYERS

PLAN = [str(TWO_LAYERS), "--beamline", "cnao-h"]
FEW = [*PLAN, "--runs", "2", "--faults", "none"]


def test_all_invariants_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["campaign", *FEW, "--seed", "4", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 runs in ")
    assert "all invariants held" in said
    summary = json.loads((tmp_path / "out" / "campaign.json").read_text(encoding="utf-8"))
    assert (summary["runs"], summary["faults"], summary["seed"]) == (2, 0, 4)


def test_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(one, "check_counts", lambda *_: ["a count is missing"])
    assert run(["campaign", *FEW, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "VIOLATED: counts in 2 runs" in said
    assert "run 1: a count is missing" in said


def test_a_run_that_fails_says_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """In the terminal, in the summary and on the page."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the spill is nowhere")

    monkeypatch.setattr(one, "deliver", broken)
    assert run(["campaign", *FEW, "--out", str(tmp_path / "out")]) == 1
    error = "RuntimeError: the spill is nowhere"
    assert f"  FAILED in 2 runs: {error} (again: --run 0)" in capsys.readouterr().out.splitlines()
    summary = json.loads((tmp_path / "out" / "campaign.json").read_text(encoding="utf-8"))
    assert summary["failures"] == [{"error": error, "runs": 2, "first": 0}]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    table = page[page.index("Runs that an error of the program ended") :].partition("</table>")[0]
    assert error in table


def test_without_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["campaign", *FEW, "--no-report", "--out", str(tmp_path / "out")]) == 0
    assert "report" not in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "campaign.json" in names
    assert "report.html" not in names


def test_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["campaign", *FEW, "--run", "1", "--quiet", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([str(TWO_LAYERS), "--out", "out"], "--beamline is missing"),
        ([*PLAN, "--out", "out", "--faults", "int2.deaf"], "'int2.deaf' is no kind of fault"),
        ([*FEW, "--out", "out", "--run", "2"], "run: 2 is none of the runs 0 to 1"),
        ([*FEW, "--out", "out", "--workers", "0"], "workers: 0 is too few"),
        ([*PLAN, "--out", "out", "--runs", "1.5"], "not a whole number"),
        (["none.dcm", "--beamline", "cnao-h", "--out", "out"], "none.dcm"),
    ],
)
def test_bad_input(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert run(["campaign", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()
