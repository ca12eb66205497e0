"""The folder that a record, or a campaign of many, goes into, and names in it."""

from __future__ import annotations

from pathlib import Path

from spotline.errors import OutputError

SUMMARY = "summary.json"
STATUS = "status.json"
CONTINUATION = "continuation.dcm"
"""Copy of the plan that the rest of the delivery was given up for."""
# In the folder of a field.
FIELD_HEADER = "field.json"
DICOM_RECORD = "record.dcm"


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
