"""A ledger: a file of lines that is only appended to, each line with the hash of the one before.

What was written cannot be changed, taken out or put in without the chain breaking.  What no chain can
show, that its last lines are gone, shows the file beside it: the head, which says how many lines there are
and the hash of the last one.  It is replaced after every line, and nobody acts on a line before.

A line that the head does not know yet was never acted on.  If it is not whole, a crash has torn it: it is
told, cut off by whoever writes next, and what was cut off is noted.  Any other line that is not as it was
written makes the ledger one that nothing may be delivered by.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from spotline.errors import CourseError, OutputError
from spotline.storage import LARGEST_JSON_bytes, confirm_written, publish, read_bounded, sync_folder

NAME = "ledger.jsonl"
HEAD = "ledger.head"
NOTHING = "0" * 64
"""What the first line has for the hash of the one before."""
TORN = "torn"
"""Kind of the line that says what was cut off."""
OWN = ("number", "before", "when", "kind")
"""Keys that every line has; the others belong to its kind."""

LARGEST_bytes = 1 << 26
"""Of a ledger: ten thousands of deliveries."""

WAIT_S = 10.0
"""So long another process may be at the ledger; it never takes longer than to write a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a ledger.

    Attributes
    ----------
    number : int
        From 1.
    before : str
        SHA-256 of the line before, hexadecimal.
    when : str
        ISO 8601.
    kind : str
        What it tells.
    values : dict
        Everything else.
    sha256 : str
        Its own hash, hexadecimal.
    """

    number: int
    before: str
    when: str
    kind: str
    values: dict[str, Any]
    sha256: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a ledger holds.

    Attributes
    ----------
    lines : tuple of Line
        In order.
    end : int
        Bytes that they take.
    torn : bytes
        What is behind them: a line that was never whole.
    """

    lines: tuple[Line, ...]
    end: int
    torn: bytes

    @property
    def sha256(self) -> str:
        """Hash of the last line."""
        return self.lines[-1].sha256 if self.lines else NOTHING


class Ledger:
    """The ledger in a folder.

    Parameters
    ----------
    folder : Path
        Where `made` has made one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> Iterator[Writer]:
        """Make one with the lines that are added in the block: all of them, or there is none.

        Raises
        ------
        OutputError
            If there is one, or it cannot be written: nothing is left then.
        """
        ledger, was_there = cls(folder), folder.exists()
        ledger._begin()
        with ledger.writing() as writer:
            if writer.content.lines or writer.content.torn:
                raise _has_one(folder)
            try:
                yield writer
            except BaseException:
                with suppress(OSError):
                    for path in (folder / HEAD, ledger.path):
                        path.unlink(missing_ok=True)
                    if not was_there:
                        folder.rmdir()
                raise

    def _begin(self) -> None:
        """Make the file without a line, or take the one that a process has left that died at once."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.path.is_file() and not self.path.stat().st_size and not (self.folder / HEAD).exists():
                return
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            sync_folder(self.folder)
        except FileExistsError:
            raise _has_one(self.folder) from None
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another"
            ) from error

    def read(self) -> Content:
        """Read and check the whole chain.

        Raises
        ------
        CourseError
            If it is missing, altered or cut.
        """
        with self._opened("rb", fcntl.LOCK_SH) as file:
            return self._read(file)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Keep everybody else away while one looks at what is there and adds to it.

        Raises
        ------
        CourseError
            If the ledger is missing, altered or cut, or somebody else keeps it too long.
        OutputError
            If it cannot be written; then nothing was added.
        """
        with self._opened("r+b", fcntl.LOCK_EX) as file:
            writer = Writer(self, file, self._read(file))
            try:
                yield writer
            except OSError as error:
                raise OutputError(
                    f"{error.filename or self.path}: cannot be written ({error.strerror or error}); make "
                    "room, or make it writable"
                ) from error

    @contextmanager
    def _opened(self, mode: str, lock: int) -> Iterator[BinaryIO]:
        try:
            file: BinaryIO = self.path.open(mode, buffering=0)  # type: ignore[assignment]
        except FileNotFoundError:
            raise CourseError(f"{self.path}: no such file; `spotline course new` makes a course") from None
        except OSError as error:
            raise CourseError(f"{self.path}: cannot be opened ({error.strerror}); make it writable") from None
        with file:
            self._lock(file, lock)
            yield file

    def _lock(self, file: BinaryIO, lock: int) -> None:
        """Nothing ever replaces the file, so the lock on it is the same for everybody.

        Only one that could not be made is removed again; nobody may write into what has no name any more.
        """
        until = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(file, lock | fcntl.LOCK_NB)
                if not os.fstat(file.fileno()).st_nlink:
                    raise CourseError(f"{self.path}: could not be made by another process; try again")
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise CourseError(f"{self.path}: another process is at it; try again") from None
                time.sleep(0.01)

    def _read(self, file: BinaryIO) -> Content:
        file.seek(0)
        if os.fstat(file.fileno()).st_size > LARGEST_bytes:
            raise self._broken(f"it has more than {LARGEST_bytes >> 20} MiB")
        content = file.read()
        known, sha256 = self._head()
        lines: list[Line] = []
        end = 0
        while end < len(content):
            until = content.find(b"\n", end)
            line = None if until < 0 else _line(content[end:until], lines[-1] if lines else None)
            if line is None:
                break
            lines.append(line)
            end = until + 1
        if len(lines) < known:
            what = "is altered" if end < len(content) else "is missing"
            raise self._broken(f"line {len(lines) + 1} of {known} {what}")
        if known and lines[known - 1].sha256 != sha256:
            raise self._broken(f"line {known} is not the one that {HEAD} tells of")
        torn = content[end:]
        # One line at most is written before the head knows it.
        if b"\n" in torn.rstrip(b"\n") or len(lines) > known + 1 or (torn and len(lines) > known):
            raise self._broken(f"there are lines behind line {known} that {HEAD} does not tell of")
        return Content(tuple(lines), end, torn)

    def _broken(self, what: str) -> CourseError:
        return CourseError(
            f"{self.path}: {what}: the ledger was altered or is an older copy, and nothing may be delivered "
            "by it; restore it from a copy, and compare it with the records"
        )

    def _head(self) -> tuple[int, str]:
        """How many lines there are, and the hash of the last; none if no line was written yet."""
        path = self.folder / HEAD
        try:
            head = json.loads(read_bounded(path, LARGEST_JSON_bytes))
            return int(head["number"]), str(head["sha256"])
        except FileNotFoundError:
            return 0, NOTHING
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise CourseError(f"{path}: cannot be read ({error}); restore it from a copy") from error


class Writer:
    """Adds lines to a ledger that is kept from others.

    Attributes
    ----------
    content : Content
        All that is there, also what was just added.
    """

    def __init__(self, ledger: Ledger, file: BinaryIO, content: Content) -> None:
        self._ledger, self._file = ledger, file
        self.content = content

    def append(self, kind: str, values: dict[str, Any], when: datetime | None = None) -> Line:
        """Add a line; it is on the disk, and the head knows it, when this returns.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._settle()
        return self._add(kind, values, when)

    def _settle(self) -> None:
        """Have the head know what it did not, and cut off what was never whole."""
        content = self.content
        if content.lines and self._ledger._head()[0] < len(content.lines):
            self._publish_head()
        if not content.torn:
            return
        self._file.truncate(content.end)
        self._file.seek(content.end)
        self.content = Content(content.lines, content.end, b"")
        values = {
            "n_bytes": len(content.torn),
            "sha256": hashlib.sha256(content.torn).hexdigest(),
            "text": content.torn.decode("utf-8", "replace"),
        }
        self._add(TORN, values, None)

    def _add(self, kind: str, values: dict[str, Any], when: datetime | None) -> Line:
        before = self.content
        moment = (when or datetime.now().astimezone()).isoformat(timespec="microseconds")
        said = {"number": len(before.lines) + 1, "before": before.sha256, "when": moment, "kind": kind}
        text = json.dumps({**said, **values}, ensure_ascii=False, allow_nan=False).encode()
        line = _line(text, before.lines[-1] if before.lines else None)
        assert line is not None
        self._file.seek(before.end)
        view = memoryview(text + b"\n")
        try:
            while view:
                view = view[self._file.write(view) :]
            confirm_written(self._file.fileno())
        except OSError as error:
            self._file.truncate(before.end)
            error.filename = str(self._ledger.path)
            raise
        self.content = Content((*before.lines, line), before.end + len(text) + 1, b"")
        self._publish_head()
        return line

    def _publish_head(self) -> None:
        head = {"number": len(self.content.lines), "sha256": self.content.sha256}
        publish((json.dumps(head) + "\n").encode(), self._ledger.folder / HEAD)


def _has_one(folder: Path) -> OutputError:
    return OutputError(f"{folder}: has a ledger or is no folder; choose another folder")


def _line(text: bytes, before: Line | None) -> Line | None:
    """A line that follows another; None if it is none, or does not follow."""
    try:
        said = json.loads(text)
        own = {key: said.pop(key) for key in OWN}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    sha256, number = (NOTHING, 1) if before is None else (before.sha256, before.number + 1)
    if own["number"] != number or own["before"] != sha256:
        return None
    if not (isinstance(own["when"], str) and isinstance(own["kind"], str)):
        return None
    return Line(number, sha256, own["when"], own["kind"], said, hashlib.sha256(text).hexdigest())
