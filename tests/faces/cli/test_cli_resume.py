"""The verb ``resume``."""

from __future__ import annotations

from pathlib import Path

import pytest

import spotline
from spotline.faces.cli import run
from tests.delivery.deliveries import PROTON, astray_in


class Stop(BaseException):
    """The process ends here."""


@pytest.fixture
def killed(tmp_path: Path, no_report: None) -> Path:
    """A delivery that died in its second spill; nobody draws a report."""

    def watch(progress):
        if progress.spots >= 60:
            raise Stop

    out = tmp_path / "out"
    treatment = spotline.prepare(spotline.read_plan(PROTON), spotline.load_beamline("cnao-h"))
    with pytest.raises(Stop):
        spotline.deliver(treatment, out, seed=1, progress=watch, documents=False)
    return out


def test_goes_on(killed: Path, capsys: pytest.CaptureFixture):
    assert run(["resume", str(killed), "--operator", "A. Physicist", "--reason", "power is back"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("delivered whole: ")
    assumed = spotline.open_record(killed).summary["assumed"]["int1_counts"]
    assert f"  assumed delivered, not confirmed: {assumed} counts of INT1" in said
    summary = spotline.open_record(killed).summary
    lacking = summary["spots_planned"] - summary["spots_delivered"]
    assert lacking > 0
    assert said[0] == (
        f"delivered whole: {summary['spots_delivered']} of {summary['spots_planned']} spots by what was "
        f"measured, the other {lacking} by what is assumed to have been delivered"
    )
    assert run(["resume", str(killed)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "nothing is left to deliver"


def test_a_plan_is_no_record(capsys: pytest.CaptureFixture):
    for verb in (["continuation"], ["resume", "--operator", "x", "--reason", "y"], ["replay"]):
        assert run([verb[0], str(PROTON), *verb[1:]]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert said == f"spotline: {PROTON}: is a file and no record; give the folder of a delivery"


def test_needs_a_name(killed: Path, capsys: pytest.CaptureFixture):
    assert run(["resume", str(killed)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("spotline: operator is missing")


def test_no_delivery(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert run(["resume", str(tmp_path), "--operator", "x", "--reason", "y"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "no such file" in said


def test_stopped_again(killed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """The beam misses from now on."""
    line = spotline.load_beamline("cnao-h")
    rooms = astray_in(line, range(1, 100), spill_offset_mm=60.0)
    original = spotline.resumption
    monkeypatch.setitem(
        vars(spotline),
        "resumption",
        lambda *a, **k: original(*a, **k, make_room=lambda field, spills: rooms(field)),
    )
    assert run(["resume", str(killed), "--operator", "x", "--reason", "y"]) == 3
    said = capsys.readouterr().out
    assert said.startswith("STOPPED BY AN INTERLOCK")
    assert f"to go on: spotline resume {killed} --operator NAME --reason TEXT" in said
