"""Worker processes that do not outlive who started them, and leave nothing behind in main memory.

Every worker holds the reading end of a pipe of which its parent alone has the writing end.  When the parent
lets go of it, or is gone, whatever killed it, the system tells the worker, which clears away and ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NoReturn

GRACE_S = 1.0
"""A worker that compiled code keeps from hearing that it should end is ended after so long."""

_STATUS = 128 + signal.SIGTERM
_is_at_work = False


class _Ended(BaseException):
    """The worker should end: no error of a run, so that nothing takes it for one."""


def folder_in_memory() -> Path | None:
    """Folder in main memory, where there is one: there the confirmations of a disk take no time."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


def prefix() -> str:
    """What the names of all temporary folders of this process begin with."""
    return f"spotline-{os.getpid()}-"


def hold(leash: Connection) -> None:
    """End this process, a worker, with SIGTERM or when the other end of the leash is let go of.

    Interruptions from the keyboard reach all processes of a terminal; what they mean the parent decides.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _hear)
    threading.Thread(target=_watch, args=(leash,), name="leash", daemon=True).start()


@contextmanager
def at_work() -> Iterator[None]:
    """Make runs: if the worker is to end meanwhile, it clears away what it has in memory first."""
    global _is_at_work
    _is_at_work = True
    try:
        yield
    except _Ended:
        _leave()
    finally:
        _is_at_work = False


def _hear(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _is_at_work:
        raise _Ended
    _leave()


def _watch(leash: Connection) -> None:
    with suppress(OSError):
        leash.poll(None)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    _leave()


def _leave() -> NoReturn:
    folder = folder_in_memory()
    if folder is not None:
        for path in folder.glob(f"{prefix()}*"):
            shutil.rmtree(path, ignore_errors=True)
    os._exit(_STATUS)
