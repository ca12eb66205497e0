"""How a delivery went: ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spotline.files import read_json
from spotline.hdf5 import as_written, typed
from spotline.record.folder import SUMMARY
from spotline.record.headers import SummaryFile


def read_summary(folder: Path) -> SummaryFile:
    """Read the summary of a record.

    Parameters
    ----------
    folder : Path
        Of the record.

    Raises
    ------
    RecordError
        If it is missing or broken.
    """
    return summary_of(read_json(folder / SUMMARY), folder / SUMMARY)


def summary_of(keys: Mapping[str, Any], path: Path) -> SummaryFile:
    """Make a summary of its keys, which `path` holds.

    Raises
    ------
    RecordError
        If they are broken.
    """
    with as_written(path):
        summary = typed(SummaryFile, keys)
        for field in summary.fields:
            if Path(field.folder).name != field.folder:
                raise ValueError(f"folder is {field.folder!r}")
    return summary
