"""The verb ``prepare``, and ``deliver`` from what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spotline.faces.cli import run
from tests.places import ROOT

CARBON = str(ROOT / "examples" / "uniform_carbon_60mm.dcm")
PROTON = str(ROOT / "examples" / "three_layers_proton.dcm")


def prepared(plan: str, out: Path, *more: str) -> int:
    return run(["prepare", plan, "--beamline", "cnao-h", "--out", str(out), *more])


def summary_of(out: Path) -> dict[str, object]:
    return dict(json.loads((out / "preparation.json").read_text(encoding="utf-8")))


def test_says_what_was_decided(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert prepared(PROTON, tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "field 1 (Three layers): 147 spots in 3 slices, 147 visits" in said.out
    assert "beam-off jumps" in said.out
    assert "predicted:" in said.out
    assert said.err == ""


def test_quiet(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert prepared(PROTON, tmp_path / "out", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_choices_reach_the_treatment(tmp_path: Path, capsys: pytest.CaptureFixture):
    more = ["--paintings", "2", "--repainting", "back-and-forth", "--intensity", "50", "--order", "planned"]
    assert prepared(PROTON, tmp_path / "out", *more, "--beam-off-jump", "2.5") == 0
    said = summary_of(tmp_path / "out")
    assert said["visits"] == 2 * 147
    (field,) = said["fields"]  # type: ignore[misc]
    assert [s["layers"] for s in field["slices"]] == [[0], [1], [2], [2], [1], [0]]
    assert {s["intensity_level"] for s in field["slices"]} == {0.5}
    assert field["beam_off_jumps"] == 6 * 48, "every move is further than 2.5 mm"


def test_extended_plan_keeps_its_choices_unless_others_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    assert prepared(CARBON, tmp_path / "one", "--paintings", "3") == 0
    plan = str(tmp_path / "one" / "plan.dcm")
    assert prepared(plan, tmp_path / "two") == 0
    assert prepared(plan, tmp_path / "three", "--paintings", "1") == 0
    visits = [summary_of(tmp_path / name)["visits"] for name in ("one", "two", "three")]
    assert visits == [2700, 2700, 900]
    assert summary_of(tmp_path / "two")["options"] == "as in the plan"


def test_retarget_says_what_it_changed(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert prepared(PROTON, tmp_path / "out", "--retarget") == 0
    assert capsys.readouterr().out.startswith("retargeted: ")
    assert summary_of(tmp_path / "out")["retargeted"] == []


def test_delivered_from_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert prepared(PROTON, tmp_path / "prepared", "--quiet") == 0
    assert run(["deliver", str(tmp_path / "prepared"), "--out", str(tmp_path / "out"), "--seed", "4"]) == 0
    assert "delivered whole: 147 of 147 spots" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--intensity", "30"], "intensity"),
        (["--paintings", "0"], "paintings"),
        (["--paintings", "2", "--largest-visit", "1e6"], "largest_visit_particles"),
        (["--largest-visit", "-1"], "largest_visit_particles"),
        (["--beam-off-jump", "-3"], "beam_off_jump_mm"),
        (["--order", "random"], "--order"),
        (["--repainting", "often"], "--repainting"),
        (["--paintings", "2.5"], "'2.5' is not a whole number"),
        (["--field", "7"], "no field has beam number 7"),
    ],
)
def test_bad_input(more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert prepared(PROTON, tmp_path / "out", *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("spotline: ")
    assert words in line
    assert not list(tmp_path.iterdir()), "nothing is left"


def test_folder_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "notes.txt").touch()
    assert prepared(PROTON, tmp_path) == 2
    assert "is not an empty folder" in capsys.readouterr().err


def test_what_a_killed_run_has_left_is_removed_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    left = tmp_path / ".out.123.part"
    left.mkdir()
    (left / "plan.dcm").touch()
    assert prepared(PROTON, tmp_path / "out", "--quiet") == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"spotline: {left}: was left by a process that was killed, and is removed")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
