"""Folders that appear when all is in them, and what is left of those that never did."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIES = 10
_NO_PID = 10_000_000  # beyond all numbers of processes


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the one that is wanted, which takes its place at the end of the block.

    If anything fails before, nothing is left.  The process that fills it has a lock on it, which the system
    takes back when the process dies, however it does.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    OSError
        If it cannot be made, or cannot take the place: something is there by now.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, descriptor = _begin(folder)
    try:
        yield part
        part.rename(folder)  # takes the place of an empty folder too
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(descriptor)


def _begin(folder: Path) -> tuple[Path, int]:
    """Make the folder and lock it; somebody may take it for left before the lock is on it."""
    for number in range(_TRIES):
        # Another name each time: somebody who removes one may not be done with it.
        part = folder.with_name(f".{folder.name}.{os.getpid() + number * _NO_PID}.part")
        part.mkdir()
        try:
            descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if _locked(descriptor) and _is_same(part, descriptor):
            return part, descriptor
        os.close(descriptor)
    raise OSError(errno.EBUSY, "another process removes it", str(part))


def _locked(descriptor: int) -> bool:
    """Lock a folder, unless somebody else has; where there are no locks, nothing is ever taken for left."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def remove_left(folder: Path) -> list[Path]:
    """Remove what processes have left that were killed while they filled a folder.

    Only what nobody has a lock on is removed: who fills one has it.  What another user has left, or lies
    where there are no locks, stays.

    Parameters
    ----------
    folder : Path
        That they were to fill.

    Returns
    -------
    list of Path
        What was removed.
    """
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.\d+\.part(ial)?")
    try:
        found = sorted(path for path in folder.parent.iterdir() if pattern.fullmatch(path.name))
    except OSError:
        return []
    return [path for path in found if _removed(path)]


def _removed(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_same(path, descriptor):
            return False  # it has taken its place
        shutil.rmtree(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except OSError:
        return False
