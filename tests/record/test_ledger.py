"""A ledger shows that it was altered, cut or torn, and one writes at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spotline.errors import CourseError, OutputError
from spotline.record import ledger
from spotline.record.ledger import HEAD, NAME, NOTHING, TORN, Ledger


def noted(folder: Path, n: int = 4) -> Ledger:
    with Ledger.made(folder) as writer:
        for number in range(n):
            writer.append("thing", {"value": number, "text": "ä\n"})
    return Ledger(folder)


def lines(folder: Path) -> list[bytes]:
    return (folder / NAME).read_bytes().splitlines(keepends=True)


def test_every_line_has_the_hash_of_the_one_before(tmp_path: Path):
    made = noted(tmp_path)
    before = NOTHING
    for number, (text, line) in enumerate(zip(lines(tmp_path), made.read().lines, strict=True), start=1):
        said = json.loads(text)
        assert (said["number"], said["before"], said["kind"]) == (number, before, "thing")
        assert (line.number, line.values) == (number, {"value": number - 1, "text": "ä\n"})
        before = hashlib.sha256(text.rstrip(b"\n")).hexdigest()
        assert line.sha256 == before
    assert json.loads((tmp_path / HEAD).read_text()) == {"number": 4, "sha256": before}


def test_one_ledger_to_a_folder(tmp_path: Path):
    noted(tmp_path / "a" / "b")
    before = (tmp_path / "a" / "b" / NAME).read_bytes()
    with pytest.raises(OutputError, match="has a ledger"), Ledger.made(tmp_path / "a" / "b"):
        pass
    assert (tmp_path / "a" / "b" / NAME).read_bytes() == before
    with pytest.raises(CourseError, match="no such file; `spotline course new` makes a course"):
        Ledger(tmp_path).read()


SPOILINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "first line altered": lambda found: [found[0].replace(b'"value": 0', b'"value": 7'), *found[1:]],
    "line in between altered": lambda found: [*found[:2], found[2].replace(b": 2,", b": 9,"), found[3]],
    "last line altered": lambda found: [*found[:3], found[3].replace(b'"value": 3', b'"value": 7')],
    "last line broken": lambda found: [*found[:3], found[3][:-20]],
    "last line missing": lambda found: found[:3],
    "line in between missing": lambda found: [found[0], *found[2:]],
    "all lines missing": lambda found: [],
    "two lines exchanged": lambda found: [found[0], found[2], found[1], found[3]],
    "line repeated": lambda found: [*found, found[3]],
    "two lines behind": lambda found: [*found, b"{}\n", b"{}\n"],
    "not a line": lambda found: [found[0], b"\x00\xff\n", *found[1:]],
}


@pytest.mark.parametrize("spoiling", SPOILINGS)
def test_what_is_not_as_it_was_written_is_refused(spoiling: str, tmp_path: Path):
    made = noted(tmp_path)
    spoilt = b"".join(SPOILINGS[spoiling](lines(tmp_path)))
    if spoiling == "line repeated":
        spoilt += b"{}\n"  # one line behind alone is a torn one
    (tmp_path / NAME).write_bytes(spoilt)
    for attempt in (made.read, made.writing().__enter__):
        with pytest.raises(CourseError, match="the ledger was altered or is an older copy, and nothing may"):
            attempt()
    assert (tmp_path / NAME).read_bytes() == spoilt


@pytest.mark.parametrize(
    ("spoiling", "said"),
    [
        ("line in between altered", "line 4 of 4 is altered"),
        ("last line missing", "line 4 of 4 is missing"),
        ("line in between missing", "line 2 of 4 is altered"),
        ("all lines missing", "line 1 of 4 is missing"),
    ],
)
def test_what_is_missing_is_not_called_altered(spoiling: str, said: str, tmp_path: Path):
    made = noted(tmp_path)
    (tmp_path / NAME).write_bytes(b"".join(SPOILINGS[spoiling](lines(tmp_path))))
    with pytest.raises(CourseError, match=said):
        made.read()


def test_any_byte_altered_is_noticed(tmp_path: Path):
    """Anywhere: none of them is a torn line."""
    made = noted(tmp_path, 2)
    content = (tmp_path / NAME).read_bytes()
    for place in range(len(content)):
        spoilt = bytearray(content)
        spoilt[place] ^= 1
        (tmp_path / NAME).write_bytes(bytes(spoilt))
        with pytest.raises(CourseError):
            made.read()


def test_without_its_head(tmp_path: Path):
    """Nobody knows any more whether all lines are there."""
    made = noted(tmp_path)
    (tmp_path / HEAD).unlink()
    with pytest.raises(CourseError, match=r"behind line 0 that ledger\.head does not tell of"):
        made.read()
    (tmp_path / HEAD).write_text("{")
    with pytest.raises(CourseError, match=r"ledger\.head: cannot be read"):
        made.read()


@pytest.mark.parametrize("left", [1, 40, -2])
def test_torn_line_is_cut_off_and_noted(left: int, tmp_path: Path):
    """What a crash leaves of a line that the head never knew; or all but the end of it."""
    made = noted(tmp_path, 3)
    head = (tmp_path / HEAD).read_bytes()
    with made.writing() as writer:
        writer.append("thing", {"value": "x"})
    (tmp_path / HEAD).write_bytes(head)
    whole = lines(tmp_path)
    torn = whole[3][:left]
    (tmp_path / NAME).write_bytes(b"".join([*whole[:3], torn]))
    found = made.read()
    assert (len(found.lines), found.torn) == (3, torn)
    with made.writing() as writer:
        writer.append("thing", {"value": "y"})
    *_, cut, after = made.read().lines
    assert (cut.kind, cut.number, after.values) == (TORN, 4, {"value": "y"})
    assert cut.values == {
        "n_bytes": len(torn),
        "sha256": hashlib.sha256(torn).hexdigest(),
        "text": torn.decode(),
    }
    assert made.read().torn == b""


def test_whole_line_that_the_head_does_not_know(tmp_path: Path):
    """The crash came between the two: it counts."""
    made = noted(tmp_path, 3)
    head = (tmp_path / HEAD).read_bytes()
    with made.writing() as writer:
        writer.append("thing", {"value": "x"})
    (tmp_path / HEAD).write_bytes(head)
    assert [line.values["value"] for line in made.read().lines] == [0, 1, 2, "x"]
    with made.writing() as writer:
        writer.append("thing", {"value": "y"})
    assert [line.kind for line in made.read().lines] == ["thing"] * 5


def test_one_writes_at_a_time(tmp_path: Path):
    made = noted(tmp_path, 1)

    def add(number: int) -> None:
        with made.writing() as writer:
            last = writer.content.lines[-1].values["value"]
            writer.append("thing", {"value": last + 1, "by": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    found = made.read().lines
    assert [line.values["value"] for line in found] == list(range(41))
    assert {line.values["by"] for line in found[1:]} == set(range(40))


def test_somebody_who_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger, "WAIT_S", 0.05)
    made = noted(tmp_path)
    with made.writing(), pytest.raises(CourseError, match="another process is at it"):
        made.read()


def test_disk_that_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The line is not there afterwards."""
    made = noted(tmp_path)
    before = (tmp_path / NAME).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "confirm_written", full)
        with pytest.raises(OutputError, match="No space left on device"), made.writing() as writer:
            writer.append("thing", {})
    assert (tmp_path / NAME).read_bytes() == before
    assert len(made.read().lines) == 4


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("was_there", [False, True])
def test_a_full_disk_leaves_nothing_of_a_new_one(
    line: int, was_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whichever line it does not take: the folder can be chosen again."""
    folder = tmp_path / "course"
    if was_there:
        folder.mkdir()
    taken = 0

    def full(descriptor: int) -> None:
        nonlocal taken
        taken += 1
        if taken > line:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "confirm_written", full)
        with pytest.raises(OutputError, match="No space left on device"):
            noted(folder, 3)
    assert folder.exists() == was_there
    assert not was_there or list(folder.iterdir()) == []
    assert len(noted(folder, 3).read().lines) == 3


def test_one_that_died_before_its_first_line_bars_nobody(tmp_path: Path):
    (tmp_path / NAME).touch()
    assert len(noted(tmp_path, 2).read().lines) == 2


def test_nobody_writes_into_one_that_could_not_be_made(tmp_path: Path):
    """Who waits for the lock meanwhile has the file open, but it has no name any more."""
    (tmp_path / NAME).touch()
    waiting = Ledger(tmp_path)
    with (tmp_path / NAME).open("r+b") as file:
        (tmp_path / NAME).unlink()
        with pytest.raises(CourseError, match="could not be made by another process"):
            waiting._lock(file, ledger.fcntl.LOCK_EX)
