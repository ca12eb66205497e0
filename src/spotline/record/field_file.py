"""How the delivery of a field went: ``field.json``."""

from __future__ import annotations

from pathlib import Path

from spotline.files import read_json
from spotline.hdf5 import as_written, typed
from spotline.record.headers import FieldFile


def read_field_file(path: Path) -> FieldFile:
    """Read ``field.json``.

    Raises
    ------
    RecordError
        If it is missing or broken.
    """
    keys = read_json(path)
    with as_written(path):
        return typed(FieldFile, keys)
