"""Folders that are claimed whole, and JSON files that are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spotline.errors import OutputError, RecordError
from spotline.storage import Disk


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


def write_json(path: Path, content: Any, disk: Disk | None = None) -> None:
    """Write a JSON file as a whole or not at all."""
    (disk or Disk()).publish((json.dumps(content, indent=1, allow_nan=False) + "\n").encode(), path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a record."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(
            f"{path}: no such file; a delivery that was completed or stopped writes it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise RecordError(f"{path}: truncated or altered (no table of keys); restore it from a copy")
    return content
