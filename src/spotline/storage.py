"""The few things that a delivery does to a disk, so that a test can take the disk away.

For POSIX systems; where macOS has other calls than Linux, they keep the same promises.

Everything that a delivery must not lose goes through a `Disk`: the journal is appended to and confirmed,
files are published whole.  `Disk` is the real one.  `spotline.sim.disk` has one that fills up, and one
that loses, tears and reorders what was not confirmed when the power goes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from spotline.errors import OutputError, RecordError

LARGEST_JSON_bytes = 1 << 24
"""Of a JSON file, or JSON in another: days of readings of the slow control.  Parsed it takes fifty times."""


class AppendFile:
    """A file that grows at its end.

    Parameters
    ----------
    disk : Disk
        Where it is; asked whether it confirms.
    path : Path
        File; made if it does not exist.
    end : int
        Where its content ends; what is behind is cut off.
    """

    def __init__(self, disk: Disk, path: Path, end: int) -> None:
        self._disk = disk
        self.path = path
        self.end = end
        self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
        try:
            self._file.truncate(end)
            confirm_written(self._file.fileno())
        except BaseException as error:
            self._file.close()
            raise _named(error, path) from None
        self._reserved = end

    def reserve(self, n_bytes: int) -> None:
        """Have the disk set aside room for so many bytes behind the end; they are zero until written.

        Raises
        ------
        OSError
            If there is no room: nothing has changed then.
        """
        size = self.end + n_bytes
        if size <= self._reserved:
            return
        try:
            _allocate(self._file.fileno(), self._reserved, size - self._reserved)
            confirm_written(self._file.fileno())
        except OSError as error:
            raise _named(error, self.path) from None
        self._reserved = size

    def append(self, content: bytes) -> None:
        """Write at the end; nothing is certain before `sync`."""
        view, offset = memoryview(content), self.end
        try:
            while view:
                written = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise _named(error, self.path) from None
        self.end = offset

    def sync(self) -> None:
        """Return when what was appended would survive the loss of power."""
        if not self._disk.confirms:
            return
        try:
            _confirm_content(self._file.fileno())
        except OSError as error:
            raise _named(error, self.path) from None

    def trim(self) -> None:
        """Give back what was reserved and not used."""
        self._file.truncate(self.end)
        confirm_written(self._file.fileno())
        self._reserved = self.end

    def close(self) -> None:
        """Let go of the file; what was reserved stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Disk:
    """The disk that the operating system has.

    Parameters
    ----------
    confirms : bool
        Whether to wait until the disk has what it was given.  Without, a loss of power may take anything:
        for simulations whose folder nobody needs afterwards.
    """

    def __init__(self, *, confirms: bool = True) -> None:
        self.confirms = confirms

    def open_append(self, path: Path, end: int = 0) -> AppendFile:
        """Open a file to append to, cut off at `end`; a new one is there for good when this returns."""
        is_new = not path.exists()
        file = AppendFile(self, path, end)
        if is_new:
            sync_folder(path.parent)
        return file

    def publish(self, content: bytes, path: Path, *, is_new: bool = False) -> None:
        """Write a file whole, or leave what was there; it is there for good when this returns.

        Raises
        ------
        FileExistsError
            If it must be new, and is there already.
        """
        publish(content, path, confirm=self.confirms, is_new=is_new)

    def make_folder(self, path: Path) -> None:
        """Make a folder that is there for good when this returns."""
        if not path.exists():
            path.mkdir()
            sync_folder(path.parent)

    def free_bytes(self, folder: Path) -> int:
        """Bytes that may still be written."""
        return shutil.disk_usage(folder).free


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Keep a file to this process while it is at work; the system lets go of it when the process dies.

    It must be a file that nothing replaces: a lock on another file of the same name is another lock.  One
    that is not there is made.

    Raises
    ------
    spotline.errors.RecordError
        If another process has it.
    spotline.errors.OutputError
        If it is not there and cannot be made.
    """
    try:
        file = path.open("rb" if path.exists() else "ab")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}), so nobody else can be kept away; make the folder "
            "writable"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordError(
                f"{path}: another process is delivering into this folder, or gives its rest up; wait "
                "until it has ended"
            ) from None
        yield


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Read a file that may come from anywhere, unless it is larger than any that Spotline writes.

    Raises
    ------
    OSError
        If it cannot be read, or has more bytes; not more than these are taken into memory.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= most_bytes:
            content = file.read(most_bytes + 1)
            if len(content) <= most_bytes:
                return content
    raise OSError(errno.EFBIG, f"has more than {most_bytes >> 20} MiB", str(path))


def publish(content: bytes, path: Path, *, confirm: bool = True, is_new: bool = False) -> None:
    """Write a file under another name, and give it its own when it is complete and on the disk.

    Raises
    ------
    FileExistsError
        If it must be new, and is there already.
    """
    part = path.with_name(path.name + ".part")
    try:
        # What a crash has left may be a second name of a whole file: it is never written through.
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            if confirm:
                confirm_written(file.fileno())
        if is_new:
            give_name(part, path)
        else:
            part.replace(path)
        if confirm:
            sync_folder(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        raise _named(error, path) from None


def give_name(part: Path, path: Path) -> None:
    """Give a file its own name, if nothing has that.

    Raises
    ------
    FileExistsError
        If something has; the file keeps the name that it had.
    """
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)
    else:
        part.unlink()


_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that gives a file one name only."""


def confirm_written(descriptor: int) -> None:
    """Return when the disk has the content of a file, and all that is known of it."""
    # The fsync of macOS leaves the data in the memory of the drive, where a loss of power finds it.
    full: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
        except OSError as error:
            if error.errno not in _NOT_TO_BE_HAD:
                raise
        else:
            return
    os.fsync(descriptor)


def sha256_of(path: Path) -> str:
    """Hash of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder would survive the loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        confirm_written(descriptor)
    finally:
        os.close(descriptor)


def _confirm_content(descriptor: int) -> None:
    """Return when the disk has the content of a file, whose length it has confirmed before."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        confirm_written(descriptor)


_NOT_TO_BE_HAD = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)
"""With these a file system, such as one in a network, says that it knows no such command."""


def _allocate(descriptor: int, offset: int, length: int) -> None:
    """Set room aside; where the system cannot, write zeros."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, offset, length)
        return
    zeros = memoryview(bytes(length))
    while zeros:
        written = os.pwrite(descriptor, zeros, offset)
        zeros, offset = zeros[written:], offset + written


def _named(error: BaseException, path: Path) -> BaseException:
    """An error of the system that knows its file."""
    if isinstance(error, OSError):
        error.filename = str(path)
    return error
