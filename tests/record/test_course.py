"""A course: a fraction is given once, a continuation once, in order; all else is said and kept."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import spotline
from spotline import CourseError, CourseFolder, OptionError, Plan, RecordError, make_course
from spotline.record.course import Wanted
from spotline.record.course_folder import LedgerPlace
from spotline.record.headers import CourseReference
from spotline.record.ledger import HEAD, NAME
from spotline.record.model import Record
from spotline.storage import only_one
from tests.places import EXAMPLES

PLAN = spotline.read_plan(EXAMPLES / "axis_proton.dcm")
OTHER = spotline.read_plan(EXAMPLES / "cube_proton_20mm.dcm")


def wanted(folder: Path, plan: Plan = PLAN, **more: object) -> Wanted:
    keys = {"plan_sha256": plan.sha256, "original_sha256": plan.sha256, "record": folder, **more}
    keys.setdefault("original_uid", plan.identity["SOPInstanceUID"])
    keys.setdefault("continuation", 0)
    return Wanted(beamline="cnao-h", beamline_sha256="b1", **keys)  # type: ignore[arg-type]


def rest(folder: Path, uid: str = "1.2.3", **more: object) -> Wanted:
    """The delivery of a continuation plan."""
    return wanted(folder, original_sha256="c", plan_sha256="c", original_uid=uid, continuation=1, **more)


def record(folder: Path, status: str) -> Record:
    folder.mkdir(exist_ok=True)
    (folder / "summary.json").write_text("{}")
    numbers = {"spots_delivered": 1, "spots_planned": 2, "particles_delivered": 1.0, "particles_planned": 2.0}
    return Record(folder, {"status": status, **numbers}, ())


@pytest.fixture
def course(tmp_path: Path) -> CourseFolder:
    return make_course(tmp_path / "course", [PLAN], 3)


def give(course: CourseFolder, folder: Path, status: str = "complete", **more: object) -> LedgerPlace:
    place = course.begin(wanted(folder, **more))
    place.end(record(folder, status))
    return place


def test_fractions_are_given_once_and_in_order(course: CourseFolder, tmp_path: Path):
    with pytest.raises(CourseError, match="fraction 2 is not due, but fraction 1"):
        course.begin(wanted(tmp_path / "x", fraction=2))
    for number in (1, 2, 3):
        assert give(course, tmp_path / f"day{number}").fraction == number
    with pytest.raises(
        CourseError, match=r"all 3 prescribed fractions of .* were given; .* say why with --again"
    ):
        course.begin(wanted(tmp_path / "x"))
    with pytest.raises(CourseError, match="fraction 2 was given; if it must be given again"):
        course.begin(wanted(tmp_path / "x", fraction=2))
    state = course.state()
    assert [one.number for one in state.fractions] == [1, 2, 3]
    assert state.open is None
    assert course.records() == [(tmp_path / f"day{number}") for number in (1, 2, 3)]


def test_giving_again_is_recorded(course: CourseFolder, tmp_path: Path):
    with pytest.raises(CourseError, match=r"no fraction of .* was given yet, so none can be given again"):
        course.begin(wanted(tmp_path / "x", again="because"))
    give(course, tmp_path / "day1")
    give(course, tmp_path / "day2")
    assert give(course, tmp_path / "day1b", again="wrong couch", fraction=1).fraction == 1
    assert give(course, tmp_path / "day2b", again="wrong couch").fraction == 2
    with pytest.raises(CourseError, match="fraction 3 was not given yet"):
        course.begin(wanted(tmp_path / "x", again="because", fraction=3))
    assert [(one.number, one.again) for one in course.state().fractions] == [
        (1, ""),
        (2, ""),
        (1, "wrong couch"),
        (2, "wrong couch"),
    ]
    assert '"again": "wrong couch"' in (course.folder / NAME).read_text()
    assert give(course, tmp_path / "day3").fraction == 3


@pytest.mark.parametrize("status", ["begun", "interlock", "interrupted"])
def test_nothing_begins_while_something_is_open(status: str, course: CourseFolder, tmp_path: Path):
    """Not even what is given again; the sentence says what to do."""
    place = course.begin(wanted(tmp_path / "day1"))
    if status != "begun":
        place.end(record(tmp_path / "day1", status))
    for more in ({}, {"again": "because"}, {"fraction": 1}, {"fraction": 2}):
        with pytest.raises(
            CourseError, match=r"fraction 1 \(in .*day1\) was .*spotline resume.*give-up"
        ) as caught:
            course.begin(wanted(tmp_path / "x", **more))
        assert "\n" not in str(caught.value)
    with pytest.raises(CourseError, match="spotline resume"):
        course.begin(rest(tmp_path / "x"))
    again = course.go_on(place.reference, "A. Physicist", "repaired")
    assert course.state().fractions[0].last.status == "begun"
    again.end(record(tmp_path / "day1", "complete"))
    with pytest.raises(CourseError, match="is not open any more"):
        course.go_on(place.reference, "A. Physicist", "once more")
    assert course.begin(wanted(tmp_path / "day2")).fraction == 2


def test_a_remainder_is_of_one_fraction(course: CourseFolder, tmp_path: Path):
    first = give(course, tmp_path / "day1")
    second = give(course, tmp_path / "day2", "interlock")
    course.check_remainder((second.reference,))
    for references in ((first.reference, second.reference), (second.reference, first.reference)):
        with pytest.raises(CourseError, match=r"day1.* and .*day2.*|day2.* and .*day1.*") as caught:
            course.check_remainder(references)
        assert "are two fractions; give the records of one" in str(caught.value)


def test_remainder_is_given_once(course: CourseFolder, tmp_path: Path):
    place = give(course, tmp_path / "day1", "interlock")
    with pytest.raises(CourseError, match="spotline continuation --out"):
        course.begin(rest(tmp_path / "x"))  # nobody has written it
    course.leave((place.reference,), "1.2.3", "c")
    course.leave((place.reference,), "1.2.3", "c")  # asked again
    with pytest.raises(CourseError, match=r"is left to the continuation plan with SOP Instance UID 1\.2\.3"):
        course.leave((place.reference,), "1.2.4", "d")
    for attempt in (
        lambda: course.begin(wanted(tmp_path / "x")),
        lambda: course.begin(rest(tmp_path / "x", uid="1.2.4")),
        lambda: course.begin(rest(tmp_path / "x", again="because")),
        lambda: course.go_on(place.reference, "A. Physicist", "repaired"),
    ):
        with pytest.raises(CourseError, match=r"1\.2\.3: deliver that into the course, or .* give-up"):
            attempt()
    second = course.begin(rest(tmp_path / "rest"))
    assert second.fraction == 1
    second.end(record(tmp_path / "rest", "interlock"))
    # The continuation was stopped, too: both records belong to the next one.
    with pytest.raises(CourseError, match="is missing: give all records of the fraction"):
        course.leave((place.reference,), "1.2.5", "e")
    course.leave((place.reference, second.reference), "1.2.5", "e")
    third = course.begin(rest(tmp_path / "rest2", uid="1.2.5"))
    third.end(record(tmp_path / "rest2", "complete"))
    for uid in ("1.2.3", "1.2.5"):
        with pytest.raises(
            CourseError, match="this continuation plan was given, as fraction 1, continuation 1"
        ):
            course.begin(rest(tmp_path / "x", uid=uid))
    assert course.begin(rest(tmp_path / "again", again="film")).fraction == 1
    first, again = course.state().fractions
    assert [len(first.deliveries), len(again.deliveries)] == [3, 1]
    assert (first.is_open, again.is_open, again.again) == (False, True, "film")


def test_giving_up(course: CourseFolder, tmp_path: Path):
    with pytest.raises(CourseError, match="no fraction is open"):
        course.give_up("A. Physicist", "enough")
    place = give(course, tmp_path / "day1", "interlock")
    for who, why in (("", "enough"), ("A. Physicist", " ")):
        with pytest.raises(OptionError, match="in somebody's name"):
            course.give_up(who, why)
    (tmp_path / "day1" / "delivery.lock").touch()
    with only_one(tmp_path / "day1" / "delivery.lock"), pytest.raises(RecordError, match="another process"):
        course.give_up("A. Physicist", "enough")
    course.give_up("A. Physicist", "enough")
    for attempt in (
        lambda: course.go_on(place.reference, "A. Physicist", "repaired"),
        lambda: course.leave((place.reference,), "1.2.3", "c"),
        lambda: course.check_remainder((place.reference,)),
    ):
        with pytest.raises(CourseError, match=r"is not open any more .*given up by A. Physicist: enough"):
            attempt()
    assert course.begin(wanted(tmp_path / "day2")).fraction == 2


def test_what_never_began_is_due(course: CourseFolder, tmp_path: Path):
    give(course, tmp_path / "day1", "interlock")
    course.leave((course_reference(course),), "1.2.3", "c")
    course.begin(rest(tmp_path / "x")).nothing("the disk is full")
    second = course.begin(rest(tmp_path / "rest"))
    second.end(record(tmp_path / "rest", "complete"))
    course.begin(wanted(tmp_path / "x")).nothing("the disk is full")
    assert course.begin(wanted(tmp_path / "day2")).fraction == 2


def course_reference(course: CourseFolder) -> CourseReference:
    state = course.state()
    given = state.deliveries[-1]
    return CourseReference(
        folder=str(course.folder), uid=state.made.uid, line=given.line, sha256=given.sha256
    )


def test_one_of_many_begins(course: CourseFolder, tmp_path: Path):
    """They may come at the same time."""

    def begin(number: int) -> bool:
        try:
            course.begin(wanted(tmp_path / f"try{number}"))
        except CourseError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(16))) == 1
    assert len(course.state().deliveries) == 1


def test_record_of_another_course_or_of_a_ledger_that_is_older(course: CourseFolder, tmp_path: Path):
    copies = tmp_path / "copies"
    shutil.copytree(course.folder, copies)
    place = course.begin(wanted(tmp_path / "day1"))
    other = make_course(tmp_path / "other", [PLAN], 3)
    with pytest.raises(CourseError, match="is not the course of this record"):
        other.go_on(place.reference, "A. Physicist", "repaired")
    for name in (NAME, HEAD):  # both put back: no chain can show it, but the record does
        shutil.copy(copies / name, course.folder / name)
    with pytest.raises(CourseError, match="it is an older copy; restore the last one"):
        course.go_on(place.reference, "A. Physicist", "repaired")
    course.begin(wanted(tmp_path / "another"))  # the same line number, another delivery
    with pytest.raises(CourseError, match="it is an older copy; restore the last one"):
        course.go_on(place.reference, "A. Physicist", "repaired")


def test_records_are_held_against_the_ledger(course: CourseFolder, tmp_path: Path):
    give(course, tmp_path / "day1")
    give(course, tmp_path / "day2")
    give(course, tmp_path / "day3")
    assert course.check() == []
    (tmp_path / "day1" / "summary.json").write_text('{"status": "complete"}')
    (tmp_path / "day2" / "summary.json").unlink()
    shutil.rmtree(tmp_path / "day3")
    found = course.check()
    assert [text.partition(": ")[2] for text in found] == [
        "summary.json is not what it was when the delivery ended",
        "has no summary.json",
        "is not there",
    ]


def test_course_and_records_can_be_moved_together(tmp_path: Path):
    course = make_course(tmp_path / "course", [PLAN], 3)
    give(course, tmp_path / "course" / "day1")
    (tmp_path / "course").rename(tmp_path / "moved")
    moved = CourseFolder(tmp_path / "moved")
    assert moved.records() == [tmp_path / "moved" / "day1"]
    assert moved.check() == []


def test_what_can_be_prescribed(tmp_path: Path):
    plan = replace(PLAN, fractions_planned=7, identity={**PLAN.identity, "PatientID": "A"})
    other = replace(OTHER, identity={**OTHER.identity, "PatientID": "B"})
    assert next(iter(make_course(tmp_path / "c", [plan]).state().plans.values())).fractions == 7
    for plans, fractions, words in (
        ([], None, "give one"),
        ([plan, plan], None, "twice"),
        ([plan, other], None, "of patients A, B"),
        ([plan], 0, "0 fractions"),
        ([replace(plan, sha256="")], None, "not read from a file"),
    ):
        with pytest.raises(OptionError, match=words):
            make_course(tmp_path / "d", plans, fractions)
    assert not (tmp_path / "d").exists()


def test_several_plans_have_fractions_of_their_own(tmp_path: Path):
    course = make_course(tmp_path / "course", [PLAN, OTHER], 2)
    assert give(course, tmp_path / "a").fraction == 1
    assert give(course, tmp_path / "b", plan=OTHER).fraction == 1
    assert give(course, tmp_path / "c").fraction == 2
    course.begin(wanted(tmp_path / "d", plan=OTHER))
    with pytest.raises(CourseError, match=r"fraction 2 .in .*d. was begun"):
        course.begin(wanted(tmp_path / "e"))
    stranger = replace(PLAN, sha256="f" * 64)
    with pytest.raises(CourseError, match="spotline resume"):  # what is open comes first
        course.begin(wanted(tmp_path / "e", plan=stranger))
    course.give_up("A. Physicist", "enough")
    with pytest.raises(CourseError, match="was not prescribed; the course has axis_proton"):
        course.begin(wanted(tmp_path / "e", plan=stranger))


def test_lines_that_cannot_be_understood(course: CourseFolder):
    with course.ledger.writing() as writer:
        writer.append("dream", {"of": "the future"})
    with pytest.raises(
        CourseError, match=r"line 3 cannot be understood .*; read it with the Spotline that wrote it"
    ):
        course.state()


def test_delivery_that_no_line_begins(course: CourseFolder):
    with course.ledger.writing() as writer:
        writer.append("given up", {"delivery": 2, "operator": "x", "reason": "y"})
    with pytest.raises(CourseError, match="is about a delivery that no line 2 begins"):
        course.state()


def test_crash_in_a_line(course: CourseFolder, tmp_path: Path):
    """Told, cut off by the next delivery, and kept."""
    assert course.torn() == ""
    with (course.folder / NAME).open("ab") as file:
        file.write(b'{"number": 3, "bef')
    assert "a crash has torn line 3 (18 bytes); nobody acted on it" in course.torn()
    give(course, tmp_path / "day1")
    assert course.torn() == ""
    assert course.state().torn == 1
    kinds = [json.loads(line)["kind"] for line in (course.folder / NAME).read_text().splitlines()]
    assert kinds == ["course", "prescribed", "torn", "begun", "ended"]
