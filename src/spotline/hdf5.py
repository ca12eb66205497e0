"""Files that are whole or not there, and say clearly when they are neither."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py
import msgspec
import numpy as np

from spotline.errors import RecordError
from spotline.storage import Disk, LARGEST_JSON_bytes

# What a file that lacks something, or has something else in its place, makes of the code that reads it.
_NOT_AS_WRITTEN = (
    OSError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


LARGEST_ARRAY_bytes = 1 << 28
"""Of an array in a file of a record: a table of a million spots."""
MOST_DEFLATED = 1040
"""Bytes that one byte of the deflate algorithm can stand for (RFC 1951: 258 bytes in two bits at best)."""


def put(group: h5py.Group, name: str, data: Any) -> None:
    """Store an array, compressed and with a checksum where that is possible."""
    array = np.asarray(data)
    if array.ndim == 0 or array.size == 0:
        group.create_dataset(name, data=array)
    else:
        group.create_dataset(
            name, data=array, compression="gzip", compression_opts=1, shuffle=True, fletcher32=True
        )


def text(value: str) -> np.bytes_:
    """A string as an attribute of fixed length: HDF5 keeps no checksum of strings of variable length."""
    return np.bytes_(value.encode())


def plain(value: Any) -> Any:
    """An attribute as Python has it."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def header_of(file: h5py.File) -> dict[str, Any]:
    """The JSON header of a file, by key."""
    header = json_of(file, "header")
    if not isinstance(header, dict):
        raise ValueError("header is no table of keys")
    return header


def json_of(item: h5py.Group, name: str) -> Any:
    """Content of an attribute that holds JSON.

    Raises
    ------
    KeyError
        If there is no such attribute.
    ValueError
        If it is larger than any that Spotline writes, or no JSON.
    """
    check_attribute(item, name)
    value = plain(item.attrs[name])
    if len(value) > LARGEST_JSON_bytes:  # a text of any length is kept elsewhere in the file
        raise ValueError(f"attribute {name} has more than {LARGEST_JSON_bytes >> 20} MiB")
    return json.loads(value)


def check_attribute(item: h5py.Group | h5py.Dataset, name: str) -> None:
    """Refuse an attribute that would take much memory.

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If it is larger than any that Spotline writes.
    """
    found = item.attrs.get_id(name)
    if found.get_storage_size() > LARGEST_JSON_bytes:
        raise ValueError(f"attribute {name} has more than {LARGEST_JSON_bytes >> 20} MiB")


def array_of(group: h5py.Group, name: str, most_bytes: int = LARGEST_ARRAY_bytes) -> Any:
    """Read an array of a file that may come from anywhere.

    A few bytes of HDF5 can declare an array of any size, or have its values taken from another file.

    Parameters
    ----------
    group : h5py.Group
    name : str
        From the group, parts with ``/`` between them.
    most_bytes : int
        That it may take in memory.

    Returns
    -------
    ndarray or scalar

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If it is larger, larger than what is stored can be, or not in the file itself.
    """
    item = member_of(group, name)
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{name} is no array")
    if item.is_virtual or item.external or h5py.h5o.get_info(item.id).rc > 1:
        raise ValueError(f"{name} is kept elsewhere")
    if item.dtype.hasobject:
        raise ValueError(f"{name} has values of no fixed size")
    n_bytes = math.prod(item.shape) * item.dtype.itemsize
    stored = item.id.get_storage_size()
    if n_bytes > min(most_bytes, stored * MOST_DEFLATED):
        raise ValueError(f"{name} declares {n_bytes} bytes, of which {stored} are stored")
    return item[()]


def member_of(group: h5py.Group, name: str) -> Any:
    """A group or array that is in the same file.

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If it is a link to something else.
    """
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link to something else")
        group = group[part]
    return group


H = TypeVar("H", bound=msgspec.Struct)


def typed(kind: type[H], keys: Mapping[str, Any]) -> H:
    """Make a header of its keys; those that it does not know are passed over.

    Raises
    ------
    KeyError
        If one is missing.
    ValueError
        If one holds something else.
    """
    for part in msgspec.structs.fields(kind):
        if part.required and part.name not in keys:
            raise KeyError(part.name)
    return msgspec.convert(keys, kind)


def keys_of(header: msgspec.Struct) -> dict[str, Any]:
    """Return a header by key, as it is written; what is not known yet has no key."""
    keys: dict[str, Any] = _as_json_has_it(msgspec.to_builtins(header, enc_hook=_number))
    return keys


def _as_json_has_it(value: Any) -> Any:
    """The same with lists for tuples: what is handed on equals what is read back."""
    if isinstance(value, dict):
        return {key: _as_json_has_it(item) for key, item in value.items()}
    return [_as_json_has_it(item) for item in value] if isinstance(value, list | tuple) else value


def _number(value: Any) -> Any:
    """A number of NumPy as Python has it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be written to a header")


def new_file(path: Path) -> h5py.File:
    """Make a file in memory, to be written with `publish_file`: HDF5 does not survive a full disk itself."""
    return h5py.File(path, "w", driver="core", backing_store=False, libver="latest")


def publish_file(file: h5py.File, path: Path, disk: Disk | None = None, *, is_new: bool = False) -> str:
    """Close a file that was made in memory, and write it whole or not at all; return its SHA-256.

    Raises
    ------
    FileExistsError
        If it must be new, and is there already.
    """
    file.flush()
    image = file.id.get_file_image()
    file.close()
    (disk or Disk()).publish(image, path, is_new=is_new)
    return hashlib.sha256(image).hexdigest()


@contextmanager
def open_file(path: Path, kind: str, versions: int | tuple[int, ...]) -> Iterator[h5py.File]:
    """Open a file for reading and check what it says it is; `versions` are those that can be read.

    Raises
    ------
    RecordError
        If it is missing, truncated, altered, of another kind or of another version.
    """
    if not path.is_file():
        raise RecordError(f"{path}: no such file; the record is incomplete, restore it from a copy")
    with as_written(path), h5py.File(path, "r") as file:
        for name in ("format", "version"):
            if name in file.attrs:
                check_attribute(file, name)
        found, found_version = plain(file.attrs.get("format")), plain(file.attrs.get("version"))
        if found != kind:
            raise RecordError(f"{path}: format is {found!r}, not {kind!r}; give a file that Spotline wrote")
        known = (versions,) if isinstance(versions, int) else versions
        if found_version not in known:
            raise RecordError(
                f"{path}: has version {found_version} of the format, but this Spotline reads version "
                f"{' and '.join(map(str, known))}; use the Spotline that wrote it"
            )
        yield file


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Read a file in the belief that it holds what was written; if not, say so.

    Raises
    ------
    RecordError
        If anything that should be there is not, or is not what it should be.
    """
    try:
        yield
    except _NOT_AS_WRITTEN as error:
        reason = f"no {error}" if type(error) is KeyError else str(error)
        raise RecordError(
            f"{path}: truncated or altered ({' '.join(reason.split())}); restore it from a copy"
        ) from error
