"""The journal of a field: what was delivered, written down while it is delivered.

The dose delivery system of CNAO has a device with a battery, the Dose Delivered Recovery, that stores the
last slice and spot all the time (III.B.2.2 of the dose delivery paper).  Here it is a file that is only
appended to.  An entry is on the disk before anybody acts on it, so that the death of the process or the
loss of power leaves every entry that was confirmed, and at most one that was not.

An entry is a head, a payload and a CRC-32 over both.  The head has a mark, the length of the payload, the
number of the entry and the CRC of the entry before it: entries that are altered, missing, repeated or in
another order are noticed.  The payload is JSON and, for some kinds, a table.  All is little-endian.

The room behind the last entry is set aside in advance, and zero: what must be noted while the disk is full
can be noted.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from spotline.control.memory import PART, widened
from spotline.errors import RecordError
from spotline.record.model import Table
from spotline.storage import Disk, LARGEST_JSON_bytes, read_bounded

NAME = "journal.bin"
FORMAT = 2
READ_FORMATS = (1, FORMAT)
"""Format 1 has no widths of spots in its rows of parts."""

LOADED = np.dtype([("spot", "<i8"), ("int1_counts", "<i8"), ("int2_counts", "<i8")])
"""Spots in the memory boards: index in the slice, and what each still lacks."""

# Kinds of entries.  The number is what the file has.
FIELD = "field"  # delivery of the field begins: hashes of treatment, plan and beam line
SPILL = "spill"  # the memory boards are about to be loaded for a spill
PROGRESS = "progress"  # parts delivered since the entry before, the last one with what it has so far
OVER = "over"  # the spill is over: all its parts, and the header of its file
STORED = "stored"  # the spill file is published
READING = "reading"  # of the slow control, between spills
INTERLOCK = "interlock"  # that came without beam
RESUME = "resume"  # an operator has the delivery go on
CLOSED = "closed"  # delivery of the field ends; what is latched
EVENT = "event"  # of the supervision
GIVEN_UP = "given up"  # the rest is left to a continuation plan, for good; only if there is one
ORDER = "order"  # that is obeyed, and the sample from which on
KINDS: dict[str, tuple[int, np.dtype[np.void] | None]] = {
    FIELD: (1, None),
    SPILL: (2, LOADED),
    PROGRESS: (3, PART.newbyteorder("<")),
    OVER: (4, PART.newbyteorder("<")),
    STORED: (5, None),
    READING: (6, None),
    INTERLOCK: (7, None),
    RESUME: (8, None),
    CLOSED: (9, None),
    EVENT: (10, None),
    GIVEN_UP: (11, None),
    ORDER: (12, None),
}
_PART_1 = np.dtype([(name, PART[name].newbyteorder("<")) for name in (PART.names or ())[:18]])
"""Columns of parts in format 1; those of today begin with the same."""
_KIND_OF = {number: kind for kind, (number, _) in KINDS.items()}

_MARK = b"SpJ\x01"
_HEAD = struct.Struct("<4sIIHHII")  # mark, kind, payload bytes, format, 0, number of the entry, CRC before
_CRC = struct.Struct("<I")
_JSON = struct.Struct("<I")  # bytes of JSON at the start of the payload
_PROGRESS_JSON, _OTHER_JSON = 128, 8192  # bytes of JSON at most, in an entry of progress and in any other
LARGEST_PAYLOAD = 1 << 28
LARGEST_bytes = 1 << 30
"""Of a journal: what a field of a million visits takes, with all confirmations."""
MOST_ENTRIES = 1_000_000
"""Of a journal: hours of beam in one field."""
MOST_HEADS = 64
"""Heads of entries that are looked at behind the last whole one: there is one, that of the torn entry."""
RESERVE_BYTES = 1 << 16
"""Set aside beyond what a spill needs: for readings, interlocks and the end of the field."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    values : dict
        What the JSON holds.
    table : Table or None
        With the columns of the kind.
    """

    kind: str
    values: dict[str, Any]
    table: Table | None


@dataclass(frozen=True, slots=True, eq=False)
class JournalContent:
    """What a journal holds.

    Attributes
    ----------
    entries : tuple of Entry
        In order.
    end : int
        Bytes that they take.
    crc : int
        Of the last entry; 0 without any.
    is_torn : bool
        Whether there was something behind them that is no whole entry: it was not confirmed.
    """

    entries: tuple[Entry, ...]
    end: int
    crc: int
    is_torn: bool


class Journal:
    """Writes a journal.

    Parameters
    ----------
    disk : Disk
        Where to.
    path : Path
        New file, or a journal to go on with.
    taken : callable, optional
        Given every entry that is on the disk, as it will be read.
    """

    def __init__(self, disk: Disk, path: Path, taken: Callable[[Entry], None] | None = None) -> None:
        content = read_journal(path) if path.exists() else JournalContent((), 0, 0, False)
        self._count, self._crc = len(content.entries), content.crc
        self._file = disk.open_append(path, content.end)
        self._taken = taken

    @property
    def entries(self) -> int:
        """Number of entries."""
        return self._count

    def append(self, kind: str, values: dict[str, Any], table: Table | None = None) -> None:
        """Write an entry; it is on the disk when this returns.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        content = encode(kind, self._count, self._crc, values, table)
        self._file.append(content)
        self._file.sync()
        self._count += 1
        (self._crc,) = _CRC.unpack(content[-_CRC.size :])
        if self._taken is not None:
            self._taken(_decode(content))

    def reserve(self, n_bytes: int) -> None:
        """Set room aside for so many bytes, and some more for the end.

        Raises
        ------
        OSError
            If the disk has no room for them.
        """
        self._file.reserve(n_bytes + RESERVE_BYTES)

    def finish(self) -> None:
        """Give back the room that was set aside."""
        self._file.trim()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def encode(kind: str, number: int, crc_before: int, values: dict[str, Any], table: Table | None) -> bytes:
    """Make the bytes of an entry."""
    code, dtype = KINDS[kind]
    said = json.dumps(values, sort_keys=True).encode()
    rows = b"" if dtype is None or table is None else table.astype(dtype, copy=False).tobytes()
    head = _HEAD.pack(_MARK, code, _JSON.size + len(said) + len(rows), FORMAT, 0, number, crc_before)
    content = b"".join((head, _JSON.pack(len(said)), said, rows))
    return content + _CRC.pack(zlib.crc32(content))


def spill_bytes(n_spots: int, n_confirmations: int) -> int:
    """Most bytes that the entries of a spill take.

    A row of parts is written once when its spot is complete, once more with each confirmation before, and
    once when the spill is over.
    """
    rows = (2 * n_spots + n_confirmations) * PART.itemsize + n_spots * LOADED.itemsize
    heads = (n_confirmations + 4) * (_HEAD.size + _JSON.size + _CRC.size)
    return rows + heads + n_confirmations * _PROGRESS_JSON + 4 * _OTHER_JSON


def read_journal(path: Path) -> JournalContent:
    """Read a journal.

    What is behind the last whole entry is left out, if it can be an entry that was never confirmed.

    Raises
    ------
    RecordError
        If the file is missing, or if anything before its end was altered.
    """
    try:
        content = read_bounded(path, LARGEST_bytes)
    except OSError as error:
        raise RecordError(
            f"{path}: cannot be read ({error.strerror or error}); restore it from a copy"
        ) from error
    entries: list[Entry] = []
    offset, crc = 0, 0
    while (found := _whole_entry(content, offset)) is not None:
        number, crc_before, length = found
        if number >= MOST_ENTRIES:
            raise RecordError(
                f"{path}: has more than {MOST_ENTRIES} entries, which no delivery writes; restore a copy"
            )
        if number != len(entries) or crc_before != crc:
            raise RecordError(
                f"{path}: entry {len(entries)} is not the one that follows the entry before; "
                "restore the journal from a copy"
            )
        try:
            entries.append(_decode(content[offset : offset + length]))
        except (ValueError, LookupError, RecursionError) as error:
            raise RecordError(
                f"{path}: entry {number} cannot be understood ({error}); "
                "read it with the Spotline that wrote it"
            ) from error
        offset += length
        (crc,) = _CRC.unpack_from(content, offset - _CRC.size)
    rest = content[offset:]
    if _has_entry(rest):
        raise RecordError(
            f"{path}: entry {len(entries)} is altered, but there are entries behind it; "
            "restore the journal from a copy"
        )
    return JournalContent(tuple(entries), offset, crc, is_torn=rest.count(0) < len(rest))


def _whole_entry(content: bytes, offset: int) -> tuple[int, int, int] | None:
    """Number, CRC of the entry before, and length of the entry at a place; None if there is no whole one."""
    if len(content) - offset < _HEAD.size + _JSON.size + _CRC.size:
        return None
    mark, _, size, _, _, number, crc_before = _HEAD.unpack_from(content, offset)
    if mark != _MARK or not _JSON.size <= size <= LARGEST_PAYLOAD:
        return None
    end = offset + _HEAD.size + size
    if end + _CRC.size > len(content):
        return None
    if zlib.crc32(memoryview(content)[offset:end]) != _CRC.unpack_from(content, end)[0]:
        return None
    return number, crc_before, end + _CRC.size - offset


def _has_entry(content: bytes) -> bool:
    """Whether a whole entry is anywhere in some bytes, or more heads of entries than can be there.

    To check a head takes as long as the entry is that it announces.  Only the last entry can be unconfirmed,
    so that heads beyond `MOST_HEADS` come from nobody who writes journals.
    """
    place = content.find(_MARK)
    for _ in range(MOST_HEADS):
        if place < 0:
            return False
        if _whole_entry(content, place) is not None:
            return True
        place = content.find(_MARK, place + 1)
    return place >= 0


def _decode(content: bytes) -> Entry:
    """Make an entry of its bytes, which are whole."""
    _, code, size, version, _, _, _ = _HEAD.unpack_from(content)
    if version not in READ_FORMATS:
        raise ValueError(f"version {version} of the format")
    kind = _KIND_OF.get(code)
    if kind is None:
        raise ValueError(f"kind {code}")
    payload = content[_HEAD.size : _HEAD.size + size]
    (n_json,) = _JSON.unpack_from(payload)
    if n_json > LARGEST_JSON_bytes:
        raise ValueError(f"{n_json} bytes of JSON")
    said, rows = payload[_JSON.size : _JSON.size + n_json], payload[_JSON.size + n_json :]
    values = json.loads(said)
    if len(said) != n_json or not isinstance(values, dict):
        raise ValueError("no table of keys")
    dtype = KINDS[kind][1]
    if dtype is None:
        return Entry(kind, values, None)
    if version == 1 and kind in (PROGRESS, OVER):
        return Entry(kind, values, widened(np.frombuffer(rows, _PART_1)))
    return Entry(kind, values, np.frombuffer(rows, dtype))
