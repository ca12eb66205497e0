"""The promises of a disk, also where the system has other calls for them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from spotline import storage
from spotline.storage import Disk

FULL = 51
"""F_FULLFSYNC of macOS."""


class Calls:
    """What the system was asked to confirm."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusal: int | None = None) -> None:
        self.full: list[int] = []
        self.plain: list[int] = []

        def control(descriptor: int, command: int) -> int:
            assert command == FULL
            if refusal is not None:
                raise OSError(refusal, os.strerror(refusal))
            self.full.append(descriptor)
            return 0

        # As on macOS: neither of the two, and an fsync that is not enough.
        monkeypatch.delattr(os, "fdatasync")
        monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.setattr(storage.fcntl, "F_FULLFSYNC", FULL, raising=False)
        monkeypatch.setattr(storage.fcntl, "fcntl", control)
        monkeypatch.setattr(os, "fsync", self.plain.append)


def journal_of(path: Path) -> bytes:
    with Disk().open_append(path) as file:
        file.reserve(100)
        assert path.stat().st_size == 100
        file.append(b"first")
        file.sync()
        file.append(b"second")
        file.sync()
        file.trim()
    return path.read_bytes()


def test_as_the_system_is(tmp_path: Path):
    assert journal_of(tmp_path / "journal") == b"firstsecond"


def test_where_only_the_full_confirmation_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = Calls(monkeypatch)
    assert journal_of(tmp_path / "journal") == b"firstsecond"
    # The new file and its name, the reserve, each of two entries, what was trimmed.
    assert (len(calls.full), calls.plain) == (6, [])


@pytest.mark.parametrize("refusal", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_where_a_file_system_does_not_know_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int):
    calls = Calls(monkeypatch, refusal)
    assert journal_of(tmp_path / "journal") == b"firstsecond"
    assert len(calls.plain) == 6


def test_a_disk_that_fails_is_no_disk_that_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Calls(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        Disk().open_append(tmp_path / "journal")
    assert caught.value.filename == str(tmp_path / "journal")


def test_room_is_set_aside_whole_by_a_system_that_writes_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = os.pwrite
    Calls(monkeypatch)
    monkeypatch.setattr(os, "pwrite", lambda descriptor, content, at: whole(descriptor, content[:7], at))
    assert journal_of(tmp_path / "journal") == b"firstsecond"
