"""Deliveries in a course: the ledger knows before the beam and after it, whatever happens in between."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

import spotline
from spotline import (
    BeamLine,
    CourseError,
    CourseFolder,
    DeliveryOptions,
    OptionError,
    OutputError,
    Record,
    Treatment,
    make_course,
    resume,
)
from spotline.delivery.progress import Progress
from spotline.dicom.write_plan import write_ion_plan
from spotline.faces import cli
from spotline.record.ledger import NAME
from spotline.sim.disk import FaultyDisk
from tests.delivery.deliveries import astray_in
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

LAYERS = tuple(square(3, 4.0, 3e6, index=i, energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u[:2]))
WHO = {"operator": "A. Physicist", "reason": "the cause is gone"}


class Stop(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def treatment(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Treatment:
    path = tmp_path_factory.mktemp("plan") / "plan.dcm"
    plan = plan_of(field(*LAYERS), field(*LAYERS[:1], number=2))
    write_ion_plan(replace(plan, path=path), path)
    return spotline.prepare(spotline.read_plan(path), line)


@pytest.fixture
def course(treatment: Treatment, tmp_path: Path) -> CourseFolder:
    return make_course(tmp_path / "course", [treatment.plan], 3)


def deliver(treatment: Treatment, out: Path, course: CourseFolder | None, **more: Any) -> Record:
    attended = more.pop("progress", None)
    own = {name: more.pop(name) for name in ("make_room",) if name in more}
    options = DeliveryOptions(takes_orders=False, course=course, **more)
    delivery = spotline.Delivery(treatment, out, options=options, **own)
    delivery.attend(progress=attended)
    return delivery.run()


def kinds(course: CourseFolder) -> list[str]:
    return [json.loads(line)["kind"] for line in (course.folder / NAME).read_text().splitlines()][2:]


def test_noted_before_and_after_the_beam(treatment: Treatment, course: CourseFolder, tmp_path: Path):
    seen = []

    def watch(progress: Progress) -> None:
        if progress.spill and not seen:
            seen.append(kinds(course))

    deliver(treatment, tmp_path / "day1", course, operator="L. Meitner", progress=watch)
    assert (seen, kinds(course)) == ([["begun"]], ["begun", "ended"])
    record = deliver(treatment, tmp_path / "day2", course)
    for number, day in ((1, "day1"), (2, "day2")):
        for folder in ("field-01", "field-02"):
            dataset = dcmread(tmp_path / day / folder / "record.dcm")
            assert dataset.TreatmentSessionIonBeamSequence[0].CurrentFractionNumber == number
            assert dataset.OperatorsName == ("L. Meitner^" if number == 1 else "")
    assert record.fields[0].outcome.fraction == 2
    (begun, ended) = (json.loads(line) for line in (course.folder / NAME).read_text().splitlines()[-2:])
    assert (begun["record"], begun["plan_sha256"]) == (str(tmp_path / "day2"), treatment.plan.sha256)
    assert sorted(ended["files"]) == ["field-01/journal.bin", "field-02/journal.bin", "summary.json"]
    assert course.check() == []


def test_refused_before_anything_is_written(treatment: Treatment, course: CourseFolder, tmp_path: Path):
    deliver(treatment, tmp_path / "day1", course, documents=False)
    (tmp_path / "free").mkdir()
    for out in (tmp_path / "x", tmp_path / "free"):
        with pytest.raises(CourseError, match="fraction 1 was given"):
            deliver(treatment, out, course, fraction=1)
    assert not (tmp_path / "x").exists()
    assert list((tmp_path / "free").iterdir()) == []
    part = replace(treatment, fields=treatment.fields[:1])
    with pytest.raises(OptionError, match="a course is given whole plans: leave --field away"):
        deliver(part, tmp_path / "x", course)
    with pytest.raises(OptionError, match="belongs to a course"):
        deliver(treatment, tmp_path / "x", None, again="because")
    assert kinds(course) == ["begun", "ended"]


def test_stopped_continued_and_given_once(
    line: BeamLine, treatment: Treatment, course: CourseFolder, tmp_path: Path
):
    day, rest = tmp_path / "day1", tmp_path / "rest.dcm"
    record = deliver(treatment, day, course, make_room=astray_in(line, range(1, 100)))
    assert record.summary["status"] == "interlock"
    with pytest.raises(CourseError, match="spotline resume"):
        deliver(treatment, tmp_path / "x", course)
    spotline.write_continuation_plan(record, rest)
    spotline.write_continuation_plan(record, tmp_path / "same.dcm")
    assert kinds(course) == ["begun", "ended", "left"]
    assert course.check() == []
    again = spotline.prepare(spotline.read_plan(rest), line)
    with pytest.raises(CourseError, match="deliver that into the course"):
        deliver(treatment, tmp_path / "x", course)
    continued = deliver(again, tmp_path / "day1-rest", course)
    assert continued.summary["status"] == "complete"
    dataset = dcmread(tmp_path / "day1-rest" / "field-01" / "record.dcm")
    assert dataset.TreatmentSessionIonBeamSequence[0].CurrentFractionNumber == 1
    with pytest.raises(CourseError, match="this continuation plan was given"):
        deliver(again, tmp_path / "x", course)
    # Outside of the course it may be played again: it is a simulation.
    assert deliver(again, tmp_path / "played", None).summary["status"] == "complete"
    assert deliver(treatment, tmp_path / "day2", course).fields[0].outcome.fraction == 2


def test_prepared_plan_is_the_plan(
    line: BeamLine, treatment: Treatment, course: CourseFolder, tmp_path: Path
):
    spotline.write_preparation(treatment, tmp_path / "prepared")
    prepared = spotline.open_preparation(tmp_path / "prepared", line)
    assert prepared.plan.sha256 != treatment.plan.sha256
    deliver(prepared, tmp_path / "day1", course, documents=False)
    assert [one.number for one in course.state().of(treatment.plan.sha256)] == [1]


def crash(progress: Progress) -> None:
    if progress.spots > 3:
        raise Stop


def test_killed(treatment: Treatment, course: CourseFolder, tmp_path: Path):
    """Begun and never ended: it must be resumed, and is, in its course."""
    day = tmp_path / "day1"
    with pytest.raises(Stop):
        deliver(treatment, day, course, progress=crash)
    assert kinds(course) == ["begun"]
    with pytest.raises(
        CourseError, match="was begun and has not come to an end: go on with `spotline resume`"
    ):
        deliver(treatment, tmp_path / "x", course)
    (tmp_path / "course").rename(tmp_path / "moved")
    with pytest.raises(CourseError, match="is not there any more; say where it is with --course"):
        resume(day, **WHO)
    moved = CourseFolder(tmp_path / "moved")
    options = DeliveryOptions(takes_orders=False, course=moved)
    assert spotline.resumption(day, options=options, **WHO).run().summary["status"] == "complete"
    assert kinds(moved) == ["begun", "resumed", "ended"]
    dataset = dcmread(day / "field-01" / "record.dcm")
    assert dataset.OperatorsName == "A. Physicist^"
    assert dataset.TreatmentSessionIonBeamSequence[0].CurrentFractionNumber == 1


def test_given_up_is_not_resumed(treatment: Treatment, course: CourseFolder, tmp_path: Path):
    with pytest.raises(Stop):
        deliver(treatment, tmp_path / "day1", course, progress=crash)
    course.give_up("A. Physicist", "the patient has left")
    before = {path: path.read_bytes() for path in (tmp_path / "day1").rglob("*") if path.is_file()}
    with pytest.raises(CourseError, match="is not open any more"):
        resume(tmp_path / "day1", **WHO)
    with pytest.raises(CourseError, match="is not open any more"):
        spotline.write_continuation_plan(spotline.open_record(tmp_path / "day1"), tmp_path / "rest.dcm")
    assert not (tmp_path / "rest.dcm").exists()
    assert before == {path: path.read_bytes() for path in (tmp_path / "day1").rglob("*") if path.is_file()}
    assert deliver(treatment, tmp_path / "day2", course).fields[0].outcome.fraction == 2


def test_what_cannot_begin_is_due_again(treatment: Treatment, course: CourseFolder, tmp_path: Path):
    disk = FaultyDisk()
    disk.fill()
    with pytest.raises(OutputError, match="nothing was delivered"):
        deliver(treatment, tmp_path / "full", course, disk=disk)
    assert kinds(course) == ["begun", "ended"]
    assert deliver(treatment, tmp_path / "day1", course).fields[0].outcome.fraction == 1


def test_end_that_cannot_be_noted(
    treatment: Treatment, course: CourseFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The delivery is what it is; the course has it begun until somebody has it noted."""

    def fail(*_: object) -> None:
        raise OutputError("the ledger: cannot be written")

    with monkeypatch.context() as patched:
        patched.setattr("spotline.record.course_folder.LedgerPlace.end", fail)
        record = deliver(treatment, tmp_path / "day1", course)
    (said,) = record.summary["unwritten"]
    assert "not noted in its course (the ledger: cannot be written)" in said
    assert record.summary["status"] == "complete"
    with pytest.raises(CourseError, match="spotline resume"):
        deliver(treatment, tmp_path / "x", course)
    assert resume(tmp_path / "day1", **WHO).summary["status"] == "complete"
    assert kinds(course) == ["begun", "ended"]
    resume(tmp_path / "day1", **WHO)
    assert kinds(course) == ["begun", "ended"]
    assert deliver(treatment, tmp_path / "day2", course).fields[0].outcome.fraction == 2


def test_documents_that_are_written_later(treatment: Treatment, course: CourseFolder, tmp_path: Path):
    """No beam, so the fraction need not be open; the ledger then knows the files as they are."""
    deliver(treatment, tmp_path / "day1", course, documents=False)
    assert resume(tmp_path / "day1", **WHO).summary["status"] == "complete"
    assert (tmp_path / "day1" / "field-02" / "record.dcm").exists()
    assert kinds(course) == ["begun", "ended", "ended"]
    assert course.check() == []
    resume(tmp_path / "day1", **WHO)
    assert kinds(course) == ["begun", "ended", "ended"]
    assert deliver(treatment, tmp_path / "day2", course).fields[0].outcome.fraction == 2


def test_records_of_a_course_and_others(
    line: BeamLine, treatment: Treatment, course: CourseFolder, tmp_path: Path
):
    room = astray_in(line, range(1, 100))
    inside = deliver(treatment, tmp_path / "inside", course, make_room=room, documents=False)
    outside = deliver(treatment, tmp_path / "outside", None, make_room=room, documents=False)
    with pytest.raises(CourseError, match="belongs to no course; leave --course away"):
        spotline.resumption(tmp_path / "outside", options=DeliveryOptions(course=course), **WHO).run()
    shutil.rmtree(tmp_path / "outside" / "field-02", ignore_errors=True)
    del outside
    other = make_course(tmp_path / "other", [treatment.plan], 3)
    with pytest.raises(CourseError, match="is not the course of this record"):
        spotline.write_continuation_plan(inside, tmp_path / "rest.dcm", course=other)
    assert not (tmp_path / "rest.dcm").exists()
    assert kinds(course) == ["begun", "ended"]


def test_verbs(
    treatment: Treatment,
    tmp_path: Path,
    no_report: None,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    plan, on = str(treatment.plan.path), ["--beamline", "cnao-h", "--course", "course", "--quiet"]
    assert cli.run(["course", "new", "course", plan, "--fractions", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].endswith("0 of 2 fractions given")
    assert said[2] == "  due: fraction 1"
    assert cli.run(["course", "new", "course", plan]) == 2
    assert cli.run(["deliver", plan, "--out", "day1", *on]) == 0
    assert cli.run(["deliver", plan, "--out", "day1b", "--fraction", "1", *on]) == 2
    assert cli.run(["deliver", plan, "--out", "day1b", "--again", "wrong couch", *on]) == 0
    assert cli.run(["course", "give-up", "course", "--operator", "x", "--reason", "y"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
    with (tmp_path / "course" / NAME).open("ab") as file:
        file.write(b"{")
    assert cli.run(["course", "show", "course"]) == 0
    shown = capsys.readouterr()
    assert "a crash has torn line" in shown.err
    assert "fraction 1 (again: wrong couch): complete; " in shown.out
    assert cli.run(["course", "check", "course"]) == 0
    (tmp_path / "day1" / "summary.json").unlink()
    assert cli.run(["course", "check", "course"]) == 1
    ledger = (tmp_path / "course" / NAME).read_bytes()
    (tmp_path / "course" / NAME).write_bytes(ledger.replace(b"wrong couch", b"right couch"))
    assert cli.run(["course", "check", "course"]) == 2
    assert cli.run(["deliver", plan, "--out", "day2", *on]) == 2
    assert "nothing may be delivered by it" in capsys.readouterr().err
    assert not (tmp_path / "day2").exists()
