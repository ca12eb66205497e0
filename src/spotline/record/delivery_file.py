"""What a delivery was asked to do, kept beside its record: all that it takes to go on with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from spotline.errors import RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written, typed
from spotline.inside import check_links, inside
from spotline.record.folder import TOP
from spotline.record.headers import DeliveryFile

NAME = "delivery.json"
PLANS = "plan"
"""Folder of the copy of the plan."""
FORMAT = 1
RESERVED = frozenset((*TOP, PLANS))
"""Names that are no folder of a field."""


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
        if type(content["format"]) is not int or content["format"] != FORMAT:
            raise RecordError(
                f"{path}: has version {str(content['format'])[:80]}, but this Spotline reads version "
                f"{FORMAT}; use the Spotline that wrote it"
            )
        delivery = typed(DeliveryFile, content)
        # Fields begin later, and times are compared with others.
        datetime.fromisoformat(delivery.started).astimezone() + timedelta(days=366)
        for name, value in (("plan", delivery.plan), ("beamline_path", delivery.beamline_path)):
            if value == "":
                raise ValueError(f"{name} is empty")
        if delivery.plan is not None:
            inside(delivery.plan, "plan")
        if not delivery.fields:
            raise ValueError("it has no fields")
        folders = [inside(field.folder, "folder") for field in delivery.fields]
        if len(set(folders)) < len(folders) or not RESERVED.isdisjoint(folders):
            raise ValueError(f"folder is {folders!r}, not one of its own for each field")
    check_links(folder, (*TOP, PLANS, *folders))
    return delivery
