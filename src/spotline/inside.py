"""Names that a file of somebody else gives: none of them leads out of the folder that it is about.

A record, a preparation or a course may come from anywhere, and whoever reads it may go on to write where its
files say.  Every name in them goes through `inside` before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from spotline.errors import RecordError

LONGEST_NAME = 200
"""Bytes of a name in a record; file systems end at 255, and what is being written has a suffix more."""


def inside(name: str, what: str, *, depth: int = 1) -> str:
    """Return a name if it leads to something in the folder that it is in, on whatever system.

    Parameters
    ----------
    name : str
        As a file has it: parts with ``/`` between them.
    what : str
        What it names, in the message.
    depth : int
        Most parts that it may have.

    Raises
    ------
    ValueError
        If it is empty, absolute, has more parts or a part ``..``, or is none of these on Windows only.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    plain = (
        name
        and "\0" not in name
        and not posix.is_absolute()
        and not windows.drive
        and not windows.root
        and "\\" not in name
        and name == str(posix)
        and 0 < len(posix.parts) <= depth
        and not any(part in ("..", ".") for part in posix.parts)
    )
    if not plain:
        raise ValueError(f"{what} is {name[:80]!r}, which is no name in its folder")
    return name


def name_of_copy(name: str, other: str) -> str:
    """Name for the copy of a file: its own, unless that is no name everywhere or leaves no room for a suffix.

    Parameters
    ----------
    name : str
        Of the file; it may be as long as the file system lets it.
    other : str
        Taken instead, with the suffix of the file.
    """
    try:
        if len(inside(name, "name").encode()) <= LONGEST_NAME:
            return name
    except ValueError:  # UnicodeEncodeError is one: bytes that are no text
        pass
    suffix = PurePosixPath(name).suffix
    return other + (suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 8 else "")


def check_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse links that lead out of a folder.

    Parameters
    ----------
    folder : Path
        It may be reached by a link itself.
    names : iterable of str
        What in it is looked at, with all that is in there.

    Raises
    ------
    RecordError
        If anything of that is a link to something outside.
    """
    home = folder.resolve()
    for name in names:
        for path in _all_in(folder / name):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                raise RecordError(
                    f"{path}: is a link that leads out of {folder}; put a copy of what it leads to there"
                )


def _all_in(path: Path) -> Iterator[Path]:
    yield path
    if path.is_symlink() or not path.is_dir():
        return
    for root, folders, files in os.walk(path):
        for name in (*folders, *files):
            yield Path(root, name)
