"""A record that goes on somewhere else: with another version, another clock, on a disk that takes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pydicom
import pytest

import spotline
from spotline import BeamLine, OutputError, PlanError, open_record, resume
from spotline.delivery.resume import remarks_on
from spotline.faces.cli import run
from spotline.record.delivery_file import read_delivery
from tests.delivery.deliveries import PROTON, astray_in

WHO = {"operator": "A. Physicist", "reason": "repaired"}


@pytest.fixture(scope="module")
def stopped_once(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delivery whose beam missed in its second spill; with its documents."""
    out = tmp_path_factory.mktemp("stopped") / "out"
    treatment = spotline.prepare(spotline.read_plan(PROTON), line)
    rooms = astray_in(line, range(2, 100), spill_offset_mm=60.0)
    options = spotline.DeliveryOptions(operator="L. Meitner")
    record = spotline.Delivery(treatment, out, seed=1, make_room=rooms, options=options).run()
    assert record.summary["status"] == "interlock"
    return out


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped_once, tmp_path / "out"))


def altered(record: Path, **values: object) -> None:
    path = record / "delivery.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_nothing_is_odd_about_a_record_of_here(stopped: Path):
    assert remarks_on(read_delivery(stopped)) == ()
    resume(stopped, **WHO, documents=False)
    (session,) = json.loads((stopped / "field-01" / "field.json").read_text())["sessions"]
    assert "remarks" not in session


def test_another_version_and_a_start_in_the_future_are_told_and_kept(
    stopped: Path, no_report: None, capsys: pytest.CaptureFixture
):
    versions = json.loads((stopped / "delivery.json").read_text())["versions"]
    altered(stopped, versions={**versions, "spotline": "9.9.9"}, started="2950-01-01T12:00:00+00:00")
    assert run(["resume", str(stopped), "--operator", "x", "--reason", "y", "--quiet"]) == 0
    version, future = capsys.readouterr().err.splitlines()
    assert f"{stopped}: the delivery was begun with Spotline 9.9.9, and goes on with " in version
    assert f"{stopped}: the delivery began at 2950-01-01T12:00:00+00:00, which is in the future" in future
    (session,) = open_record(stopped).outcome.fields[0].sessions
    assert [f"spotline: {stopped}: {remark}" for remark in session.remarks] == [version, future]


@pytest.mark.parametrize(("ahead_s", "remarks"), [(-1e6, 0), (0, 0), (55, 0), (65, 1), (1e9, 1)])
@pytest.mark.parametrize("zone", [True, False])
def test_clocks_may_differ_a_little(ahead_s: float, remarks: int, zone: bool, stopped: Path):
    now = datetime.now().astimezone()
    started = now + timedelta(seconds=ahead_s)
    altered(stopped, started=(started if zone else started.replace(tzinfo=None)).isoformat())
    assert len(remarks_on(read_delivery(stopped), now)) == remarks


def test_a_version_that_nobody_noted(stopped: Path):
    altered(stopped, versions={})
    (remark,) = remarks_on(read_delivery(stopped))
    assert "Spotline of no known version" in remark


@pytest.mark.parametrize("what", [".", "field-01"])
def test_a_folder_that_cannot_be_written(what: str, stopped: Path, monkeypatch: pytest.MonkeyPatch):
    """The superuser may write everywhere, so the answer of the system is made up."""
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    real, closed = os.access, (stopped / what).resolve()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).resolve() != closed and real(path, mode))
    with pytest.raises(OutputError, match=r"cannot be written .*nothing was delivered") as caught:
        resume(stopped, **WHO)
    assert str(stopped) in str(caught.value)
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before


def test_a_journal_that_cannot_be_opened(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    real = Path.open

    def opened(path: Path, mode: str = "r", *others: object, **more: object):
        if path.name == "journal.bin" and "+" in mode:
            raise OSError(30, os.strerror(30), str(path))
        return real(path, mode, *others, **more)

    monkeypatch.setattr(Path, "open", opened)
    assert run(["resume", str(stopped), "--operator", "x", "--reason", "y"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(r"field-01: cannot be written \(Read-only file system\)", said)


def _can_mount() -> bool:
    try:
        return not subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode
    except OSError:
        return False


@pytest.mark.skipif(not _can_mount(), reason="nothing may be mounted here")
def test_a_disk_that_is_mounted_read_only(stopped: Path):
    resume_it = f"{sys.executable} -m spotline resume {stopped} --operator x --reason y"
    mounted = f"mount --bind {stopped} {stopped} && mount -o remount,bind,ro {stopped} || exit 77"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{mounted}; {resume_it}"], capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip("nothing may be mounted here")
    assert done.returncode == 2, done.stderr
    (said,) = done.stderr.splitlines()
    assert f"{stopped}: cannot be written" in said


@pytest.mark.parametrize("name", ["p" * 251 + ".dcm", "ü" * 125 + ".dcm", "a\\b.dcm"])
def test_a_plan_with_any_name_has_a_copy_that_resuming_reads(name: str, line: BeamLine, tmp_path: Path):
    plan = Path(shutil.copy(PROTON, tmp_path / name))
    treatment = spotline.prepare(spotline.read_plan(plan), line)
    rooms = astray_in(line, range(2, 100), spill_offset_mm=60.0)
    spotline.deliver(treatment, tmp_path / "out", seed=1, documents=False, make_room=rooms)
    delivery = read_delivery(tmp_path / "out")
    assert (delivery.plan, delivery.plan_name) == ("plan.dcm", name)
    plan.unlink()
    assert resume(tmp_path / "out", **WHO, documents=False).summary["status"] == "complete"


@pytest.mark.parametrize("was_there", [True, False])
def test_a_plan_that_was_changed_after_it_was_read(was_there: bool, line: BeamLine, tmp_path: Path):
    plan, out = Path(shutil.copy(PROTON, tmp_path / "plan.dcm")), tmp_path / "out"
    treatment = spotline.prepare(spotline.read_plan(plan), line)
    plan.write_bytes(plan.read_bytes() + b"\0\0")
    if was_there:
        out.mkdir()
    with pytest.raises(PlanError, match="was changed after the plan was read"):
        spotline.deliver(treatment, out, seed=1)
    assert out.exists() == was_there
    assert not list(tmp_path.glob("out/*"))


def test_the_copy_of_a_plan_goes_on_whatever_becomes_of_the_plan(
    line: BeamLine, tmp_path: Path, no_report: None
):
    plan, out = Path(shutil.copy(PROTON, tmp_path / "plan.dcm")), tmp_path / "out"
    treatment = spotline.prepare(spotline.read_plan(plan), line)
    rooms = astray_in(line, range(2, 100), spill_offset_mm=60.0)
    spotline.deliver(treatment, out, seed=1, documents=False, make_room=rooms)
    plan.write_bytes(b"another")
    assert run(["resume", str(out), "--operator", "x", "--reason", "y", "--quiet"]) == 0
    assert (out / "plan" / "plan.dcm").read_bytes() == PROTON.read_bytes()


def test_the_treatment_record_names_who_delivered_and_who_resolved_the_interlock(stopped: Path):
    before = pydicom.dcmread(stopped / "field-01" / "record.dcm")
    assert str(before.OperatorsName) == "L. Meitner^"
    items = before.TreatmentSessionIonBeamSequence[0].InterlockSequence
    assert not any(item.InterlockResolutionUserSequence for item in items)
    resume(stopped, **WHO)
    after = pydicom.dcmread(stopped / "field-01" / "record.dcm")
    assert [str(name) for name in after.OperatorsName] == ["L. Meitner^", "A. Physicist^"]
    *_, stop = after.TreatmentSessionIonBeamSequence[0].InterlockSequence
    (user,) = stop.InterlockResolutionUserSequence
    assert user.PersonIdentificationCodeSequence[0].CodeMeaning == "A. Physicist"
