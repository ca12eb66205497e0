"""Names that no file system takes, and places that nobody may use: one sentence, whichever verb it is."""

from __future__ import annotations

from pathlib import Path

import pytest

import spotline
from spotline.errors import OutputError
from spotline.faces import cli
from tests.delivery.deliveries import PROTON

LONG = "x" * 300
VERBS = {
    "deliver": ["deliver", LONG, "--beamline", "cnao-h", "--out", "out"],
    "deliver --out": ["deliver", str(PROTON), "--beamline", "cnao-h", "--out", LONG],
    "deliver --beamline": ["deliver", str(PROTON), "--beamline", LONG, "--out", "out"],
    "deliver --fault": ["deliver", str(PROTON), "--beamline", "cnao-h", "--fault", LONG, "--out", "out"],
    "deliver --course": ["deliver", str(PROTON), "--beamline", "cnao-h", "--course", LONG, "--out", "out"],
    "dose": ["dose", LONG, "--water", "80", "--out", "out"],
    "dose --out": ["dose", str(PROTON), "--beamline", "cnao-h", "--water", "80", "--out", LONG],
    "dose --ct": ["dose", str(PROTON), "--beamline", "cnao-h", "--ct", LONG, "--out", "out"],
    "dose --rbe": [
        "dose",
        str(PROTON),
        "--beamline",
        "cnao-h",
        "--water",
        "80",
        "--rbe",
        LONG,
        "--out",
        "out",
    ],
    "plan show": ["plan", "show", LONG],
    "plan show --html": ["plan", "show", str(PROTON), "--html", LONG],
    "beamline show": ["beamline", "show", LONG],
    "beamline check": ["beamline", "check", LONG],
    "prepare": ["prepare", LONG, "--beamline", "cnao-h", "--out", "out"],
    "prepare --out": ["prepare", str(PROTON), "--beamline", "cnao-h", "--out", LONG],
    "resume": ["resume", LONG, "--operator", "a", "--reason", "b"],
    "replay": ["replay", LONG],
    "course new": ["course", "new", LONG, str(PROTON)],
    "course show": ["course", "show", LONG],
    "library show": ["library", "show", LONG],
    "gamma": ["gamma", "--reference", LONG, "--evaluated", LONG],
    "continuation": ["continuation", LONG, "--out", "out.dcm"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_name_that_is_too_long_is_told_in_one_sentence(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    assert cli.run(VERBS[verb]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("spotline: ")
    assert LONG in said[0]
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_beam_line_is_not_written_to_such_a_name(tmp_path: Path):
    with pytest.raises(OutputError, match="cannot be written"):
        spotline.write_beamline(spotline.load_beamline("cnao-h"), tmp_path / LONG)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_nowhere_is_called_so(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "out").symlink_to("nowhere")
    arguments = ["deliver", str(PROTON), "--beamline", "cnao-h", "--out", str(tmp_path / "out")]
    assert cli.run(arguments) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "out: is a link to nowhere, which is not there" in said
    (tmp_path / "file").touch()
    assert cli.run([*arguments[:-1], str(tmp_path / "file")]) == 2
    assert "file: is no folder; choose another one" in capsys.readouterr().err
    assert (tmp_path / "out").is_symlink()


def test_a_field_that_cannot_be_delivered_has_the_name_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    out = tmp_path / "u.dcm"
    plan = ["plan", "uniform", "--ion", "proton", "--energy", "20", "--beamline", "cnao-h"]
    assert cli.run([*plan, "--out", str(out)]) == 2
    assert f"spotline: {out}: " in capsys.readouterr().err
    assert not out.exists()
