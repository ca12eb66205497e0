"""Folders that are claimed whole, and JSON files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spotline.errors import OutputError, RecordError
from spotline.storage import Disk, LARGEST_JSON_bytes, only_one, read_bounded


def claim_folder(folder: Path, what: str) -> None:
    """Make an output folder, or find it empty.

    Parameters
    ----------
    folder : Path
    what : str
        What it is for, in messages.

    Raises
    ------
    OutputError
        If it cannot be made, or has something in it.
    """
    try:
        if folder.is_symlink() and not folder.exists():
            raise OutputError(
                f"{folder}: is a link to {folder.readlink()}, which is not there; choose another folder for "
                f"{what}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder}: is not empty; choose another folder for {what}")
    except FileExistsError:
        raise OutputError(f"{folder}: is no folder; choose another one for {what}") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error


@contextmanager
def claimed_by_one(folder: Path, lock: str, what: str) -> Iterator[None]:
    """Claim an output folder before anything is written to it, and keep it to this process.

    Of any number that claim it at the same time, on whatever file system, one gets it: the one that makes the
    lock file.  The others leave nothing, nor does one that fails before its first file.  The lock file stays;
    nothing ever replaces it, so that a lock on it is the same lock for everybody.

    Parameters
    ----------
    folder : Path
    lock : str
        Name of the lock file in it.
    what : str
        What the folder is for, in messages.

    Raises
    ------
    OutputError
        If it cannot be made, has something in it, or somebody else has claimed it.
    """
    was_there = os.path.lexists(folder)
    claim_folder(folder, what)
    path = folder / lock
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        raise OutputError(
            f"{folder}: is not empty any more, another process has just claimed it; choose another folder "
            f"for {what}"
        ) from None
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder for {what}"
        ) from error
    with only_one(path):
        # What came in between belongs to somebody who makes no lock.
        if any(other.name != lock for other in folder.iterdir()):
            path.unlink()
            raise OutputError(f"{folder}: is not empty any more; choose another folder for {what}")
        try:
            yield
        except BaseException:
            with suppress(OSError):
                if all(other.name == lock for other in folder.iterdir()):  # nothing was begun
                    path.unlink()
                    if not was_there:
                        folder.rmdir()
            raise


def write_json(path: Path, content: Any, disk: Disk | None = None) -> None:
    """Write a JSON file as a whole or not at all."""
    (disk or Disk()).publish((json.dumps(content, indent=1, allow_nan=False) + "\n").encode(), path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a record."""
    try:
        content: dict[str, Any] = json.loads(read_bounded(path, LARGEST_JSON_bytes).decode("utf-8-sig"))
    except FileNotFoundError:
        raise RecordError(
            f"{path}: no such file; a delivery that was completed or stopped writes it"
        ) from None
    except NotADirectoryError:
        raise RecordError(f"{path.parent}: is a file and no record; give the folder of a delivery") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise RecordError(f"{path}: truncated or altered (no table of keys); restore it from a copy")
    return content
