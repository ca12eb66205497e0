"""What a delivery was asked to do, kept beside its record: all that it takes to go on with it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from spotline.errors import RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written

NAME = "delivery.json"
PLANS = "plan"
"""Folder of the copy of the plan."""
FORMAT = 1


def read_delivery(folder: Path) -> dict[str, Any]:
    """Read ``delivery.json``.

    Returns
    -------
    dict
        ``plan`` (name of the copy; None if the plan came from no file), ``plan_name``, ``plan_label``,
        ``plan_sha256``, ``beamline``, ``beamline_version``, ``beamline_path`` (None if shipped),
        ``beamline_sha256``, ``seed``, ``raw``, ``started``, ``versions``, and ``fields``: list of
        ``number``, ``folder``, ``spots_planned``, ``particles_planned``.

    Raises
    ------
    RecordError
        If it is missing or broken.
    """
    path = folder / NAME
    if not path.exists():
        raise RecordError(
            f"{path}: no such file; no delivery was begun there, deliver the plan into another folder"
        )
    content = read_json(path)
    with as_written(path):
        if content["format"] != FORMAT:
            raise RecordError(f"{path}: has version {content['format']}; use the Spotline that wrote it")
        for name in ("plan_name", "plan_label", "plan_sha256", "beamline", "beamline_sha256", "started"):
            _text(content[name], name)
        datetime.fromisoformat(content["started"])
        for name in ("plan", "beamline_path"):
            if content[name] is not None and not _text(content[name], name):
                raise ValueError(f"{name} is empty")
        if not isinstance(content["seed"], int) or not isinstance(content["raw"], bool):
            raise ValueError("seed or raw is of the wrong kind")
        if Path(content["plan"] or "").name != (content["plan"] or ""):
            raise ValueError(f"plan is {content['plan']!r}, not the name of a file in the folder")
        if not isinstance(content["fields"], list) or not content["fields"]:
            raise ValueError("it has no fields")
        for field in content["fields"]:
            int(field["number"]), int(field["spots_planned"]), float(field["particles_planned"])
            if Path(_text(field["folder"], "folder")).name != field["folder"]:
                raise ValueError(f"folder is {field['folder']!r}")
    return content


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}")
    return value
