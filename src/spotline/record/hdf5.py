"""HDF5 files that are whole or not there, and say clearly when they are neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spotline.errors import RecordError


def put(group: h5py.Group, name: str, data: Any) -> None:
    """Store an array, compressed and with a checksum where that is possible."""
    array = np.asarray(data)
    if array.ndim == 0 or array.size == 0:
        group.create_dataset(name, data=array)
    else:
        group.create_dataset(
            name, data=array, compression="gzip", compression_opts=1, shuffle=True, fletcher32=True
        )


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """Write a file under another name, and give it its own when it is complete and on the disk."""
    part = path.with_name(path.name + ".part")
    with h5py.File(part, "w", libver="latest") as file:
        yield file
    publish(part, path)


def publish(part: Path, path: Path) -> None:
    """Give a complete file its final name, so that it survives a loss of power as a whole."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def open_file(path: Path, kind: str, version: int) -> Iterator[h5py.File]:
    """Open a file for reading and check what it says it is.

    Raises
    ------
    RecordError
        If it is missing, truncated, altered, of another kind or of another version.
    """
    if not path.is_file():
        raise RecordError(f"{path}: no such file; the record is incomplete")
    try:
        with h5py.File(path, "r") as file:
            found, found_version = file.attrs.get("format"), file.attrs.get("version")
            if found != kind:
                raise RecordError(
                    f"{path}: format is {found!r}, not {kind!r}; it was not written by Spotline"
                )
            if found_version != version:
                raise RecordError(
                    f"{path}: version {found_version} of the format; this Spotline reads version {version}"
                )
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RecordError(f"{path}: truncated or altered ({reason}); restore it from a copy") from error
