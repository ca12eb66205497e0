"""The verbs of ``spotline beamline``, and the old name of one of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import spotline
from spotline.faces import cli
from tests.lines.edit import copy_line, edit


def test_list(capsys: pytest.CaptureFixture):
    assert cli.run(["beamline", "list"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == list(spotline.shipped_beamlines())
    assert said[0] == "cnao-h: CNAO, horizontal line (from publications) (proton, carbon)"


def test_old_name_of_list(capsys: pytest.CaptureFixture):
    assert cli.run(["beamline", "list"]) == 0
    new = capsys.readouterr().out
    assert cli.run(["beamlines"]) == 0
    old = capsys.readouterr()
    assert old.out == new
    assert old.err == "spotline: beamlines is now called beamline list\n"


def test_show(capsys: pytest.CaptureFixture):
    assert cli.run(["beamline", "show", "cnao-h"]) == 0
    said = capsys.readouterr().out
    rows = {" ".join(line.split()) for line in said.splitlines()}
    assert "carbon 121 115.2 to 398.8 30 to 270 341.6 to 766.9 6e+07 cnao-carbon" in rows
    assert "carbon small 2 10 to 5 10 to 5 9.477 to 4.894 9.477 to 4.894" in rows
    for fact in (
        "cycle_period_s 4.5",
        "BOX2 400",
        "StripX strip x BOX1 815 5.53 128 1.65 strip_x",
        "INT2 integral - BOX2 730 5.53 - - int2",
        "intensity_levels 1, 0.5, 0.2, 0.1",
    ):
        assert fact in rows
    assert any(row.startswith("SL ") and row.endswith("S. Rossi, slides, 27 Feb 2026") for row in rows)


def test_show_as_json(capsys: pytest.CaptureFixture):
    assert cli.run(["beamline", "show", "cnao-research", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    line = spotline.load_beamline("cnao-research")
    assert (shown["name"], shown["sha256"]) == (line.name, line.sha256)
    assert [ion["name"] for ion in shown["ions"]] == list(line.ion_names)
    assert shown["geometry"]["gantry_angles_deg"] == list(line.facts.geometry.gantry_angles_deg)
    for ion in shown["ions"]:
        table = line.energies[ion["name"]]
        assert ion["energy_MeV_u"] == [table.energy_MeV_u[0], table.energy_MeV_u[-1]]
        assert [spot["focus"] for spot in ion["spots"]] == [o.focus for o in line.beam(ion["name"]).optics]


def test_show_counts_the_lines_that_name_a_source(tmp_path: Path, capsys: pytest.CaptureFixture):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("[sources]\n", '[sources]\nNEW = "a new one"\n'))
    edit(
        toml,
        ("distance_mm = 830.0 ", "distance_mm = 830.0 # [QA 1, NEW p. 3] "),
        ("channels = 32 ", "channels = 32 # NEW "),
    )
    assert cli.run(["beamline", "show", str(toml), "--json"]) == 0
    (new,) = [s for s in json.loads(capsys.readouterr().out)["sources"] if s["code"] == "NEW"]
    assert new == {"code": "NEW", "source": "a new one", "lines": 1}


def test_check(capsys: pytest.CaptureFixture):
    assert cli.run(["beamline", "check", "cnao-v"]) == 0
    assert capsys.readouterr().out == "cnao-v, version 1: nothing is wrong (proton, carbon)\n"


def test_check_says_all_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("silence_s = 3.0", "silence_s = 1.0"), ('library = "cnao-carbon"', 'library = "absent"'))
    (toml.parent / "int1_gain.csv").unlink()
    assert cli.run(["beamline", "check", str(toml.parent)]) == 1
    printed = capsys.readouterr()
    assert printed.err == ""
    *problems, last = printed.out.splitlines()
    assert last == "3 problems found"
    assert len(problems) == 3
    assert all("; " in problem for problem in problems), "says what to do"


def test_check_of_a_line_that_is_not_there(capsys: pytest.CaptureFixture):
    assert cli.run(["beamline", "check", "cnao"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "is neither a shipped beam line" in printed.err
