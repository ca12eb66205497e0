"""What a delivery was asked to do, kept beside its record: all that it takes to go on with it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from spotline.errors import RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written, typed
from spotline.record.headers import DeliveryFile

NAME = "delivery.json"
PLANS = "plan"
"""Folder of the copy of the plan."""
FORMAT = 1


def check_folder(folder: Path) -> None:
    """Refuse a file where the folder of a record is wanted.

    Raises
    ------
    RecordError
        If it is one.
    """
    if folder.is_file():
        raise RecordError(f"{folder}: is a file and no record; give the folder of a delivery")


def read_delivery(folder: Path) -> DeliveryFile:
    """Read ``delivery.json``.

    Raises
    ------
    RecordError
        If it is missing or broken.
    """
    check_folder(folder)
    path = folder / NAME
    if not path.exists():
        raise RecordError(
            f"{path}: no such file; no delivery was begun there, deliver the plan into another folder"
        )
    content = read_json(path)
    with as_written(path):
        if content["format"] != FORMAT:
            raise RecordError(f"{path}: has version {content['format']}; use the Spotline that wrote it")
        delivery = typed(DeliveryFile, content)
        datetime.fromisoformat(delivery.started)
        for name, value in (("plan", delivery.plan), ("beamline_path", delivery.beamline_path)):
            if value == "":
                raise ValueError(f"{name} is empty")
        if Path(delivery.plan or "").name != (delivery.plan or ""):
            raise ValueError(f"plan is {delivery.plan!r}, not the name of a file in the folder")
        if not delivery.fields:
            raise ValueError("it has no fields")
        for field in delivery.fields:
            if Path(field.folder).name != field.folder:
                raise ValueError(f"folder is {field.folder!r}")
    return delivery
