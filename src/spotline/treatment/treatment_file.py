"""What is to be delivered, as files: the treatment file of a field and its slice files.

At CNAO the treatment console hands the fast control a treatment file with all spots grouped in slices
(``DDS_treatment``), from which one file a slice is made for the memory boards (``slice_data``, ``sld``;
sections III.A and III.C of the dose delivery paper).  Here both are HDF5, with one group or one file
per slice, and in it one dataset or attribute per attribute of `spotline.treatment.treatment.Slice`.

Every file carries a SHA-256 over all that is in it, and is refused if that does not match.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import h5py
import numpy as np

from spotline.hdf5 import (
    array_of,
    check_attribute,
    header_of,
    keys_of,
    member_of,
    new_file,
    open_file,
    plain,
    publish_file,
    put,
    text,
    typed,
)
from spotline.storage import Disk
from spotline.treatment.headers import PreparationHeader, TreatmentHeader
from spotline.treatment.treatment import Slice

FORMAT = "spotline-treatment"
SLICE_FORMAT = "spotline-slice"
VERSION = 4
READ_VERSIONS = (3, VERSION)
"""Version 3 has no sizes of spots at the chambers."""
NAME = "DDS_treatment.h5"
CHECKSUM = "sha256"


Header = TypeVar("Header", bound=TreatmentHeader)


@dataclass(frozen=True, slots=True, eq=False)
class TreatmentFile(Generic[Header]):
    """Content of a treatment file: the header of the field, its slices, and the hash of both.

    `keys` is the header by key, with what this version does not know.
    """

    header: Header
    slices: tuple[Slice, ...]
    sha256: str
    keys: Mapping[str, Any]


def write_treatment_file(
    folder: Path, header: TreatmentHeader, slices: tuple[Slice, ...], disk: Disk | None = None
) -> str:
    """Write ``DDS_treatment.h5`` into a folder, as a whole or not at all; return the hash of its content."""
    with new_file(folder / NAME) as file:
        _begin(file, FORMAT, header)
        for slice_ in slices:
            _put_slice(file.create_group(f"slices/{slice_.index:04d}"), slice_)
        return _finish(file, folder / NAME, disk)


@overload
def read_treatment_file(folder: Path) -> TreatmentFile[TreatmentHeader]: ...
@overload
def read_treatment_file(folder: Path, kind: type[Header]) -> TreatmentFile[Header]: ...
def read_treatment_file(folder: Path, kind: type[Any] = TreatmentHeader) -> TreatmentFile[Any]:
    """Read ``DDS_treatment.h5``.

    Parameters
    ----------
    folder : Path
        Of the field.
    kind : type
        Of the header: `TreatmentHeader`, or `DeliveryHeader` or `PreparationHeader` for all that it says.

    Raises
    ------
    spotline.errors.RecordError
        If it is missing, truncated or altered.
    """
    with open_file(folder / NAME, FORMAT, READ_VERSIONS) as file:
        keys = _checked_keys(file)
        header = typed(kind, keys)
        group = member_of(file, "slices")
        slices = tuple(_get_slice(member_of(group, name)) for name in sorted(group))
        sha256 = plain(file.attrs[CHECKSUM])
    return TreatmentFile(header, slices, sha256, keys)


def slice_path(folder: Path, index: int) -> Path:
    """Name of the slice file of a slice."""
    return folder / f"sld-{index:04d}.h5"


def write_slice_file(path: Path, header: TreatmentHeader, slice_: Slice) -> None:
    """Write one slice to a file of its own, as a whole or not at all."""
    with new_file(path) as file:
        _begin(file, SLICE_FORMAT, header)
        _put_slice(file.create_group("slice"), slice_)
        _finish(file, path)


def read_slice_file(path: Path) -> tuple[PreparationHeader, Slice]:
    """Read the header of the field and the slice from a slice file.

    Raises
    ------
    spotline.errors.RecordError
        If it is missing, truncated or altered.
    """
    with open_file(path, SLICE_FORMAT, READ_VERSIONS) as file:
        return typed(PreparationHeader, _checked_keys(file)), _get_slice(member_of(file, "slice"))


def _begin(file: h5py.File, kind: str, header: TreatmentHeader) -> None:
    file.attrs.update(format=text(kind), version=VERSION)
    file.attrs["header"] = text(json.dumps(keys_of(header), sort_keys=True))


def _finish(file: h5py.File, path: Path, disk: Disk | None = None) -> str:
    sha256 = _checksum(file)
    file.attrs[CHECKSUM] = text(sha256)
    publish_file(file, path, disk)
    return sha256


def _checked_keys(file: h5py.File) -> dict[str, Any]:
    check_attribute(file, CHECKSUM)
    if plain(file.attrs[CHECKSUM]) != _checksum(file):
        raise ValueError("its SHA-256 is not that of its content")
    return header_of(file)


def _checksum(file: h5py.File) -> str:
    """Hash names, types, shapes and values of everything in a file but the hash itself."""
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(f"{name}\n".encode())
        for key in sorted(item.attrs):
            if key != CHECKSUM:
                check_attribute(item, key)
                digest.update(f"{key}={plain(item.attrs[key])!r}\n".encode())
        if isinstance(item, h5py.Dataset):
            values = array_of(file, name)
            digest.update(f"{values.dtype.str}{values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values).tobytes())

    add("", file)
    names: list[str] = []
    file.visit(names.append)
    for name in sorted(names):
        add(name, member_of(file, name))
    return digest.hexdigest()


def _put_slice(group: h5py.Group, slice_: Slice) -> None:
    for attribute in fields(Slice):
        value = getattr(slice_, attribute.name)
        if isinstance(value, np.ndarray):
            put(group, attribute.name, value)
        else:
            group.attrs[attribute.name] = text(value) if isinstance(value, str) else value


def _get_slice(group: h5py.Group) -> Slice:
    values = {key: plain(value) for key, value in group.attrs.items()}
    values.update({key: array_of(group, key) for key in group})
    return Slice(**values)
