"""Nothing is delivered twice: not from a journal that is too old, and not beside a continuation plan."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline import BeamLine, OutputError, Record, RecordError, open_record, resume
from spotline.control import interlocks
from spotline.dicom import encoding
from spotline.dicom.write_plan import write_ion_plan
from spotline.faces import cli
from spotline.plan import Plan
from spotline.record import journal
from spotline.record.journal import GIVEN_UP, Journal, read_journal
from spotline.sim.disk import PowerLoss, SimulatedDisk
from spotline.storage import AppendFile, Disk, only_one, publish
from tests.delivery.deliveries import astray_in
from tests.delivery.killing import violations
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

WHO = {"operator": "a physicist", "reason": "the cause is gone", "documents": False}
LAYERS = tuple(square(3, 4.0, 3e6, index=i, energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u[:3]))
BOOK = Path("field-01", "journal.bin")
SPILL_2 = Path("field-01", "spills", "spill-0002.h5")


class Stop(BaseException):
    """The process ends here."""


def deliver(plan: Plan, line: BeamLine, folder: Path, **options) -> Record:
    path = folder.with_suffix(".dcm")
    write_ion_plan(replace(plan, path=path), path)
    return spotline.deliver(spotline.prepare(spotline.read_plan(path), line), folder, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def copied(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


def ends_of(book: Path) -> list[int]:
    """Where the entries of a journal end."""
    content, ends = book.read_bytes(), [0]
    while ends[-1] < read_journal(book).end:
        (payload,) = struct.unpack_from("<I", content, ends[-1] + 8)
        ends.append(ends[-1] + 24 + payload + 4)
    return ends


def assert_refused(folder: Path, match: str, capsys: pytest.CaptureFixture | None = None) -> None:
    """By everything that goes on from the journal, with one line; nothing is written."""
    before = files(folder)
    with pytest.raises(RecordError, match=match) as caught:
        resume(folder, **WHO)
    assert "\n" not in str(caught.value)
    if capsys is not None:
        out = folder.with_name("rest.dcm")
        who = ["--operator", "x", "--reason", "y"]
        for command in (["resume", *who], ["continuation"], ["continuation", "--out", str(out)]):
            assert cli.run([command[0], str(folder), *command[1:]]) == 2
            said = capsys.readouterr()
            assert (said.err.count("\n"), said.out) == (1, "")
            assert "restore" in said.err
            assert not out.exists()
    assert files(folder) == before


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the journal as it was after every spill."""
    return tmp_path_factory.mktemp("older")


@pytest.fixture(scope="module")
def killed(line: BeamLine, older: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delivery that died after its second spill, and showed its status until then."""

    def after_spill(folder: Path) -> None:
        number = len(list(folder.glob("field-01/spills/*.h5")))
        shutil.copy(folder / BOOK, older / f"{number}.bin")
        if number == 2:
            raise Stop

    folder = tmp_path_factory.mktemp("killed") / "record"
    with pytest.raises(Stop):
        deliver(plan_of(field(*LAYERS)), line, folder, after_spill=after_spill)
    return folder


@pytest.fixture(scope="module")
def stopped(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delivery that an interlock stopped in its second spill."""
    folder = tmp_path_factory.mktemp("stopped") / "record"
    room = astray_in(line, range(2, 100))
    deliver(plan_of(field(*LAYERS)), line, folder, make_room=room, documents=False)
    return folder


# A journal that is not the last one.

DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "missing": lambda book, older: book.unlink(),
    "empty": lambda book, older: book.write_bytes(b""),
    "cut in the first entry": lambda book, older: book.write_bytes(book.read_bytes()[:37]),
    "nothing but zeros": lambda book, older: book.write_bytes(bytes(4096)),
    "older copy": lambda book, older: shutil.copy(older / "1.bin", book),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_journal_of_a_killed_delivery(
    damage: str, killed: Path, older: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    out = copied(killed, tmp_path / "out")
    DAMAGES[damage](out / BOOK, older)
    assert_refused(out, r"journal\.bin: .*, but .* would deliver again what was delivered", capsys)


@pytest.mark.parametrize("witness", ["spills", "status.json", "DDS_treatment.h5"])
def test_one_witness_is_enough(witness: str, killed: Path, tmp_path: Path):
    """Of a journal that is missing, whatever else is lost with it."""
    out = copied(killed, tmp_path / "out")
    (out / BOOK).unlink()
    if witness != "spills":
        shutil.rmtree(out / "field-01" / "spills")
        (out / BOOK).touch()
    if witness == "DDS_treatment.h5":
        (out / "status.json").unlink()
        (out / BOOK).unlink()
    assert_refused(out, witness)


def test_cut_anywhere_after_a_kill(killed: Path, tmp_path: Path):
    """Refused; or what is there counts, is left as it is, and only the rest is delivered."""
    entries = read_journal(killed / BOOK).entries
    numbers = [n for n, entry in enumerate(entries) if entry.kind == journal.SPILL]
    last = len(entries) - 1
    tried = {numbers[1] + 1, (numbers[1] + last) // 2, last - 1, last}
    for number, end in enumerate(ends_of(killed / BOOK)[:-1]):
        out = copied(killed, tmp_path / str(number))
        (out / BOOK).write_bytes((killed / BOOK).read_bytes()[:end])
        if number <= numbers[1]:
            assert_refused(out, "restore the last one from a copy")
        if number not in tried:
            continue
        before = files(out / "field-01" / "spills")
        record = resume(out, **WHO)
        assert violations(record, None) == []
        assert record.summary["assumed"]["int1_counts"] == 0
        assert before.items() <= files(out / "field-01" / "spills").items()
        assert len(record.fields[0].spills) == 3


def test_cut_anywhere_after_a_stop(stopped: Path, tmp_path: Path):
    """The documents know how far it was."""
    content = (stopped / BOOK).read_bytes()
    out = copied(stopped, tmp_path / "out")
    for end in ends_of(stopped / BOOK)[:-1]:
        (out / BOOK).write_bytes(content[:end])
        assert_refused(out, r"journal\.bin: .*(made of \d+ entries|after its first entry|a later one)")


@pytest.mark.parametrize("lost", ["field-01/field.json", "summary.json", "field-01/log.json", "all"])
def test_documents_that_are_missing(lost: str, stopped: Path, tmp_path: Path):
    """The journal is enough to go on."""
    out = copied(stopped, tmp_path / "out")
    for name in ("field-01/field.json", "summary.json", "field-01/log.json"):
        if lost in (name, "all"):
            (out / name).unlink()
    assert resume(out, **WHO).summary["status"] == "complete"


@pytest.mark.parametrize("number", [1, 2])
def test_spill_file_that_is_missing(number: int, stopped: Path, tmp_path: Path):
    out = copied(stopped, tmp_path / "out")
    (out / SPILL_2).with_name(f"spill-000{number}.h5").unlink()
    with pytest.raises(RecordError):
        resume(out, **WHO)
    assert not (out / SPILL_2).with_name(f"spill-000{number}.h5").exists()


def test_file_of_a_spill_that_nobody_noted(killed: Path, tmp_path: Path):
    """It must be what the journal announced."""
    out = copied(killed, tmp_path / "out")
    entries, ends = read_journal(out / BOOK).entries, ends_of(out / BOOK)
    over = max(n for n, entry in enumerate(entries) if entry.kind == journal.OVER)
    (out / BOOK).write_bytes((out / BOOK).read_bytes()[: ends[over + 1]])
    shutil.copy((out / SPILL_2).with_name("spill-0001.h5"), out / SPILL_2)
    assert_refused(out, r"spill-0002\.h5: ")
    shutil.copy(killed / SPILL_2, out / SPILL_2)
    assert violations(resume(out, **WHO), None) == []


def test_later_field_was_begun(line: BeamLine, tmp_path: Path):
    """Fields come one after the other: the first was complete, whatever its journal says."""
    plan = plan_of(field(LAYERS[0], number=1), field(LAYERS[1], number=2))

    def stop_in_the_second(progress) -> None:
        if progress.field == 2 and progress.spots > 3:
            raise Stop

    out = tmp_path / "out"
    with pytest.raises(Stop):
        deliver(plan, line, out, progress=stop_in_the_second, documents=False)
    (out / "field-01" / "field.json").unlink()
    ends, content = ends_of(out / BOOK), (out / BOOK).read_bytes()
    (out / BOOK).write_bytes(content[: ends[-2]])  # all but that it is complete
    assert_refused(out, r"field-02/journal\.bin tells of a field that begins when this one is complete")


def test_being_delivered_is_no_contradiction(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A reader sees an older journal than spill files while somebody delivers: it looks again."""
    from spotline.record import witnesses

    out = copied(stopped, tmp_path / "out")
    (out / "summary.json").unlink()
    content, ends = (out / BOOK).read_bytes(), ends_of(out / BOOK)
    (out / BOOK).write_bytes(content[: ends[4]])
    read, seen = witnesses.read_state, []

    def growing(folder: Path):
        seen.append(folder)
        if len(seen) == 2:
            (out / BOOK).write_bytes(content)
        return read(folder)

    monkeypatch.setattr(witnesses, "read_state", growing)
    assert open_record(out).summary["status"] == "interlock"


# A spill file is never replaced.


def test_file_that_is_already_there(line: BeamLine, tmp_path: Path):
    """Somebody puts one into the folder meanwhile: no beam for a spill that could not be kept."""
    out = tmp_path / "out"

    def after_spill(folder: Path) -> None:
        (folder / SPILL_2).write_bytes(b"somebody else's")

    with pytest.raises(RecordError, match=r"2 spill files, but field\.json tells of 1"):
        deliver(plan_of(field(*LAYERS)), line, out, after_spill=after_spill, documents=False)
    kept = json.loads((out / "field-01" / "field.json").read_text())
    assert (kept["status"], kept["spills"]) == ("interlock", 1)
    assert [row["cause"] for row in kept["interlocks_without_beam"]] == [interlocks.RECORD]
    assert_refused(out, r"spill-0002\.h5 is the file of a later one")
    assert (out / SPILL_2).read_bytes() == b"somebody else's"


def test_publishing_what_must_be_new(tmp_path: Path):
    path = tmp_path / "file"
    for disk in (Disk(), SimulatedDisk(np.random.default_rng(0))):
        path.unlink(missing_ok=True)
        disk.publish(b"first", path, is_new=True)
        with pytest.raises(FileExistsError):
            disk.publish(b"second", path, is_new=True)
        assert files(tmp_path) == {"file": b"first"}


def test_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_links(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", no_links)
    publish(b"first", tmp_path / "file", is_new=True)
    with pytest.raises(FileExistsError):
        publish(b"second", tmp_path / "file", is_new=True)
    assert files(tmp_path) == {"file": b"first"}


def test_left_over_from_a_crash(tmp_path: Path):
    """The power went when a file had both of its names: the next one is not written through the second."""
    (tmp_path / "file").write_bytes(b"first")
    os.link(tmp_path / "file", tmp_path / "file.part")
    with pytest.raises(FileExistsError):
        publish(b"second", tmp_path / "file", is_new=True)
    assert files(tmp_path) == {"file": b"first"}


# What a continuation plan delivers.


def uid_of(plan: Path) -> str:
    return spotline.read_plan(plan).identity["SOPInstanceUID"]


def latches(record: Path) -> list[list[str]]:
    """What the journals of the fields have of plans that the rest was given up for."""
    return [
        [e.values["plan_uid"] for e in read_journal(book).entries if e.kind == GIVEN_UP]
        for book in sorted(record.glob("field-*/journal.bin"))
    ]


@pytest.mark.parametrize("which", ["killed", "stopped"])
def test_given_up(which: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture):
    out, plan = copied(request.getfixturevalue(which), tmp_path / "out"), tmp_path / "rest.dcm"
    before, record = files(out), open_record(out)
    for preview in (["--preview"], ["--preview", "--out", str(plan)], []):
        assert cli.run(["continuation", str(out), *preview]) == 1
    assert files(out) == before
    assert not plan.exists()
    assert f"{plan}: SMALL C1, not written\n" in capsys.readouterr().out

    assert cli.run(["continuation", str(out), "--out", str(plan)]) == 0
    uid = uid_of(plan)
    assert f"{out}: given up for the plan with SOP Instance UID {uid}\n" in capsys.readouterr().out
    assert latches(out) == [[uid]]
    assert (out / "continuation.dcm").read_bytes() == plan.read_bytes()
    assert before.keys() | {"continuation.dcm"} == files(out).keys()
    changed = {name for name, content in before.items() if files(out)[name] != content}
    assert changed == {str(BOOK)}
    after = open_record(out)
    assert after.summary == record.summary
    assert after.fields[0].header == record.fields[0].header

    given_up = files(out)
    assert cli.run(["resume", str(out), "--operator", "x", "--reason", "y"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert uid in said
    with pytest.raises(RecordError, match=uid):
        resume(out, **WHO)
    assert cli.run(["continuation", str(out), "--out", str(tmp_path / "again.dcm")]) == 0
    assert (tmp_path / "again.dcm").read_bytes() == plan.read_bytes()
    assert cli.run(["continuation", str(out), "--out", str(plan)]) == 2
    assert files(out) == given_up


def test_older_journal_does_not_forget_it(stopped: Path, tmp_path: Path):
    out = copied(stopped, tmp_path / "out")
    content = (out / BOOK).read_bytes()
    spotline.write_continuation_plan(open_record(out), tmp_path / "rest.dcm")
    (out / BOOK).write_bytes(content)
    assert_refused(out, r"no journal tells that the rest was given up, but .*continuation\.dcm")
    with pytest.raises(RecordError, match="no journal tells"):
        spotline.write_continuation_plan(open_record(out), tmp_path / "again.dcm")


def test_power_lost_at_any_step_of_giving_up(killed: Path, tmp_path: Path):
    """Either the delivery can go on and there is no plan, or it cannot, and the plan is the same."""
    disk = SimulatedDisk(np.random.default_rng(0))
    whole = copied(killed, tmp_path / "whole")
    spotline.write_continuation_plan(open_record(whole), tmp_path / "whole.dcm", disk=disk)
    expected, found = (tmp_path / "whole.dcm").read_bytes(), set()
    for step in range(1, disk.steps + 1):
        out, plan = copied(killed, tmp_path / str(step)), tmp_path / f"{step}.dcm"
        with pytest.raises(PowerLoss):
            spotline.write_continuation_plan(
                open_record(out), plan, disk=SimulatedDisk(np.random.default_rng(step), step)
            )
        assert not plan.exists()
        is_given_up = latches(out) != [[]]
        found.add(is_given_up)
        if is_given_up:
            with pytest.raises(RecordError, match="its rest was given up"):
                resume(out, **WHO)
            spotline.write_continuation_plan(open_record(out), plan)
            assert plan.read_bytes() == expected
            assert latches(out) == [[uid_of(plan)]]
        else:
            assert resume(out, **WHO).summary["status"] == "complete"
    assert found == {True, False}


def test_latch_is_there_before_the_plan(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Even if the plan then never appears."""
    out, plan = copied(stopped, tmp_path / "out"), tmp_path / "rest.dcm"

    def full(*_: object) -> None:
        assert latches(out) != [[]]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(encoding, "give_name", full)
        with pytest.raises(OutputError, match=r"rest\.dcm: cannot be written \(No space left"):
            spotline.write_continuation_plan(open_record(out), plan)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
    spotline.write_continuation_plan(open_record(out), plan)
    assert latches(out) == [[uid_of(plan)]]


class WriteProtected(Disk):
    """A disk on which journals can be opened by nobody to write."""

    def open_append(self, path: Path, end: int = 0) -> AppendFile:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def test_record_that_cannot_be_written(stopped: Path, tmp_path: Path):
    out, plan = copied(stopped, tmp_path / "out"), tmp_path / "rest.dcm"
    before = files(out)
    with pytest.raises(OutputError, match=r"journal\.bin: cannot be written \(Permission denied\)"):
        spotline.write_continuation_plan(open_record(out), plan, disk=WriteProtected())
    assert not plan.exists()
    assert files(out) == before
    assert resume(out, **WHO).summary["status"] == "complete"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is write-protected from root")
@pytest.mark.parametrize("protected", [".", BOOK], ids=str)
def test_permissions(protected: Path, stopped: Path, tmp_path: Path):
    out, plan = copied(stopped, tmp_path / "out"), tmp_path / "rest.dcm"
    mode = (out / protected).stat().st_mode
    (out / protected).chmod(0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        spotline.write_continuation_plan(open_record(out), plan)
    assert cli.run(["continuation", str(out), "--preview"]) == 1
    (out / protected).chmod(mode)
    assert not plan.exists()
    assert latches(out) == [[]]


def test_plan_that_cannot_be_written(stopped: Path, tmp_path: Path):
    """Then nothing is given up."""
    out = copied(stopped, tmp_path / "out")
    (tmp_path / "there.dcm").write_bytes(b"something")
    before = files(out)
    for path, match in (("there.dcm", "exists already"), ("nowhere/rest.dcm", "cannot be written")):
        with pytest.raises(OutputError, match=match):
            spotline.write_continuation_plan(open_record(out), tmp_path / path)
    assert files(out) == before
    assert (tmp_path / "there.dcm").read_bytes() == b"something"


def test_what_was_delivered_meanwhile_is_not_in_the_plan(stopped: Path, line: BeamLine, tmp_path: Path):
    """The record was opened, then somebody went on with the delivery."""
    out = copied(stopped, tmp_path / "out")
    before = open_record(out)
    resume(out, **WHO, make_room=lambda f, spills: astray_in(line, range(2, 100))(f))
    now = spotline.continuation_plan(open_record(out))
    assert now.fields[0].meterset < spotline.continuation_plan(before).fields[0].meterset
    rest = spotline.write_continuation_plan(before, tmp_path / "rest.dcm")
    assert rest.fields[0].meterset == pytest.approx(now.fields[0].meterset, rel=1e-6)


def test_two_at_a_time(stopped: Path, tmp_path: Path):
    out, plan = copied(stopped, tmp_path / "out"), tmp_path / "rest.dcm"
    record = open_record(out)
    with only_one(out / "delivery.lock"), pytest.raises(RecordError, match="another process"):
        spotline.write_continuation_plan(record, plan)
    assert not plan.exists()
    assert latches(out) == [[]]


def test_several_fields(line: BeamLine, tmp_path: Path):
    """One complete, one stopped, one not begun: any of the journals is enough to know."""
    plan = plan_of(*(field(LAYERS[index], number=index + 1) for index in range(3)))

    def make(treated):
        return astray_in(line, range(1, 100) if treated.field.number == 2 else ())(treated)

    out = tmp_path / "out"
    deliver(plan, line, out, make_room=make, documents=False)
    books = {path: path.read_bytes() for path in sorted(out.glob("field-*/journal.bin"))}
    assert len(books) == 2
    rest = spotline.write_continuation_plan(open_record(out), tmp_path / "rest.dcm")
    assert [f.number for f in rest.fields] == [2, 3]
    uid = rest.identity["SOPInstanceUID"]
    assert latches(out) == [[uid], [uid]]
    for path, content in books.items():
        given_up = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(RecordError, match=uid):
            resume(out, **WHO)
        path.write_bytes(given_up)
    # A process that died between the two journals, and is asked again.
    path.write_bytes(content)
    spotline.write_continuation_plan(open_record(out), tmp_path / "again.dcm")
    assert latches(out) == [[uid], [uid]]
    assert (tmp_path / "again.dcm").read_bytes() == (tmp_path / "rest.dcm").read_bytes()


def test_several_records(stopped: Path, line: BeamLine, tmp_path: Path):
    """A continuation that is stopped is given up for the next one; the first stays with its own."""
    first, second = copied(stopped, tmp_path / "first"), tmp_path / "second"
    plans = [tmp_path / "1.dcm", tmp_path / "2.dcm"]
    spotline.write_continuation_plan(open_record(first), plans[0])
    treatment = spotline.prepare(spotline.read_plan(plans[0]), line)
    spotline.deliver(treatment, second, make_room=astray_in(line, range(2, 100)), documents=False)
    records = [open_record(first), open_record(second)]
    spotline.write_continuation_plan(records, plans[1])
    assert (latches(first), latches(second)) == ([[uid_of(plans[0])]], [[uid_of(plans[1])]])
    for folder, plan in ((first, plans[0]), (second, plans[1])):
        with pytest.raises(RecordError, match=uid_of(plan)):
            resume(folder, **WHO)
    again = [tmp_path / "1-again.dcm", tmp_path / "2-again.dcm"]
    spotline.write_continuation_plan(records[0], again[0])
    spotline.write_continuation_plan(records, again[1])
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in plans]


def test_given_up_for_another_plan(line: BeamLine, tmp_path: Path):
    """Two fields in two records: what one was given up for cannot become part of a plan of both."""
    path = tmp_path / "plan.dcm"
    plan = plan_of(field(LAYERS[0], number=1), field(LAYERS[1], number=2))
    write_ion_plan(replace(plan, path=path), path)
    records = [
        spotline.deliver(
            spotline.prepare(spotline.read_plan(path), line, field=number),
            tmp_path / str(number),
            make_room=astray_in(line, range(1, 100)),
            documents=False,
        )
        for number in (1, 2)
    ]
    spotline.write_continuation_plan(records[0], tmp_path / "one.dcm")
    uid = uid_of(tmp_path / "one.dcm")
    before = files(tmp_path)
    with pytest.raises(RecordError, match=f"{uid}, and what is asked for is another one"):
        spotline.write_continuation_plan(records, tmp_path / "both.dcm")
    assert files(tmp_path) == before


def test_nothing_is_left_to_give_up(stopped: Path, tmp_path: Path):
    out = copied(stopped, tmp_path / "out")
    resume(out, **WHO)
    before = files(out)
    with pytest.raises(RecordError, match="nothing is left to deliver"):
        spotline.write_continuation_plan(open_record(out), tmp_path / "rest.dcm")
    assert files(out) == before
    assert latches(out) == [[]]


def test_entry_that_older_records_do_not_have(stopped: Path, tmp_path: Path):
    """Noted twice it says the same, and it takes no part in how far the field is."""
    out = copied(stopped, tmp_path / "out")
    before = open_record(out)
    with Journal(Disk(), out / BOOK) as book:
        book.append(GIVEN_UP, {"plan_uid": "2.25.1"})
        book.append(GIVEN_UP, {"plan_uid": "2.25.1"})
    after = open_record(out)
    assert (after.summary, after.fields[0].header) == (before.summary, before.fields[0].header)
    with pytest.raises(RecordError, match=r"2\.25\.1"):
        resume(out, **WHO)
