"""The folder that a record, or a campaign of many, goes into."""

from __future__ import annotations

from pathlib import Path

from spotline.errors import OutputError


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
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder}: is not empty; choose another folder for {what}")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
