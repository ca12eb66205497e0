"""Spill files: what the fast control measured in one spill (the paper's ``ddd`` files).

==================  =========================================================================
group               contents
==================  =========================================================================
``measured``        ``parts``, ``trend``, ``commands``, ``interlocks``, ``slow_control``
``control``         settings and memory boards of the fast control, so that it can be replayed
``raw``             every frame of every chamber (only if asked for)
``truth``           what only the simulation knows; nothing else reads it
``readings``        only of lines that have them: what monitors without a role in the law measured
``assumed``         only in a file that was recovered from the journal: counts that may have been
                    delivered after the last entry, and count as delivered
==================  =========================================================================

Files of format 2 are read, too.  They have no widths: what they lack is filled in by `read_spill` and
`read_control`, and nowhere else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from spotline.control.memory import (
    COMMAND,
    PART,
    RING_NOT_READ,
    TREND,
    TREND_TICKS,
    AxisSettings,
    IntegralLimits,
    LawSettings,
    RingSettings,
    SliceMemory,
    widened,
)
from spotline.control.planes import READING
from spotline.hdf5 import (
    array_of,
    header_of,
    json_of,
    keys_of,
    member_of,
    new_file,
    open_file,
    publish_file,
    put,
    text,
    typed,
)
from spotline.record.headers import SpillHeader
from spotline.record.model import SLOW_CONTROL, Table
from spotline.room import TRUTH_COLUMNS, RawSamples, SpillResult
from spotline.storage import Disk

FORMAT = "spotline-spill"
VERSION = 3
READ_VERSIONS = (2, VERSION)
"""Version 2 has no widths of spots, no expected ones in the memory boards, and no hash of these."""

RAW_CHUNK_us = 100_000
"""Raw samples are written in stretches of this length, whatever the size of the blocks: the same bytes."""
LARGEST_RAW_bytes = 1 << 32
"""Of raw samples of one kind: those of the pixels in a spill of half an hour."""

ASSUMED_PART = np.dtype([("spot", "i8"), ("int1_counts", "i8"), ("int2_counts", "i8"), ("complete", "i8")])
"""Counts of a spot (index in the memory boards) that nobody confirmed, and whether they complete it."""

_FRAME_BYTES = 1 << 17  # what HDF5 adds, settings, header

NOTHING_ASSUMED = np.zeros(0, ASSUMED_PART)
NO_READINGS = np.zeros(0, READING)


def spill_path(folder: Path, spill: int) -> Path:
    """Path of a spill file in the folder of its field."""
    return folder / "spills" / f"spill-{spill:04d}.h5"


def file_bytes(n_spots: int, duration_us: int, raw_bytes_per_us: float) -> int:
    """Most bytes that a spill file takes: everything in it without compression, and its frame.

    Parameters
    ----------
    n_spots : int
        Spots in the memory boards.
    duration_us : int
        Length of the spill.
    raw_bytes_per_us : float
        Of all chambers; 0 without raw samples.
    """
    truth_bytes = TRUTH_COLUMNS * 8
    per_spot = PART.itemsize + truth_bytes + 3 * COMMAND.itemsize + len(SliceMemory._fields) * 8
    trend = duration_us // TREND_TICKS * TREND.itemsize
    return n_spots * per_spot + trend + int(raw_bytes_per_us * duration_us) + _FRAME_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Spill:
    """Content of a spill file.

    Attributes
    ----------
    header : SpillHeader
    spots : ndarray of int
        Indices in the slice of the spots that were in the memory boards.
    parts, trend, commands, interlocks, slow_control : Table
    truth : ndarray or None
        `spotline.room.SpillResult.truth`.
    assumed : Table
        Columns `ASSUMED_PART`; empty unless the delivery died during the spill.
    part_columns : tuple of str
        Columns of `parts` that the file has; the others were not measured when it was written.
    readings : Table
        Columns `READING` of `spotline.control.planes`; empty without monitors that have no role in the law.
    """

    header: SpillHeader
    spots: np.ndarray
    parts: Table
    trend: Table
    commands: Table
    interlocks: Table
    slow_control: Table
    truth: np.ndarray | None
    assumed: Table = field(default_factory=NOTHING_ASSUMED.copy)
    part_columns: tuple[str, ...] = PART.names or ()
    readings: Table = field(default_factory=NO_READINGS.copy)


class SpillWriter:
    """Collects a spill block by block and leaves a whole file, or none.

    Parameters
    ----------
    path : Path
        Final path.
    settings, memory
        What the fast control was loaded with.
    spots : ndarray of int
        Indices in the slice of the spots in the memory boards.
    disk : Disk
        Where to write.
    """

    def __init__(
        self, path: Path, settings: LawSettings, memory: SliceMemory, spots: np.ndarray, disk: Disk
    ) -> None:
        self._path, self._disk = path, disk
        self._trend: list[Table] = []
        # Samples that wait to be written, and how many make a chunk.
        self._chunk_rows = {
            "integrals": RAW_CHUNK_us,
            "strips": RAW_CHUNK_us // settings.strip_period,
            "pixels": RAW_CHUNK_us // settings.pixel_period,
            "currents_A": RAW_CHUNK_us // settings.scan_period,
            "inputs": RAW_CHUNK_us // settings.scan_period,
        }
        self._raw: dict[str, list[np.ndarray]] = {name: [] for name in self._chunk_rows}
        self._aborts: list[Table] = []
        self._file = new_file(path)
        self._file.attrs.update(format=text(FORMAT), version=VERSION)
        control = self._file.create_group("control")
        control.attrs["settings"] = text(json.dumps(_as_lists(settings)))
        put(control, "spots", spots)
        for name, value in memory._asdict().items():
            put(control, name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing, unless the file is published."""
        self._file.close()

    def add(self, trend: Table, raw: RawSamples | None) -> None:
        """Take the trend and the raw samples of a block."""
        self._trend.append(trend)
        if raw is not None:
            self._aborts.append(raw.aborts)
            for name, waiting in self._raw.items():
                waiting.append(getattr(raw, name))
            while all(sum(map(len, w)) >= self._chunk_rows[name] for name, w in self._raw.items()):
                self._write_raw()

    def _write_raw(self) -> None:
        """Write one chunk of every kind of raw samples, or what is left."""
        group = self._file.require_group("raw")
        for name, waiting in self._raw.items():
            rows = self._chunk_rows[name]
            values = np.concatenate(waiting)
            self._raw[name] = [values[rows:].copy()]
            _append(group, name, values[:rows], rows)

    @property
    def trend(self) -> Table:
        """What came in so far."""
        return np.concatenate(self._trend) if self._trend else np.zeros(0, TREND)

    def finish(
        self,
        header: SpillHeader,
        result: SpillResult,
        slow_control: Table,
        assumed: Table = NOTHING_ASSUMED,
    ) -> str:
        """Write the results and publish the file; return its SHA-256.

        Raises
        ------
        OSError
            If it cannot be written, or is there already: a spill file is never replaced.
        """
        while any(sum(map(len, waiting)) for waiting in self._raw.values()):
            self._write_raw()
        if self._aborts:
            put(self._file.require_group("raw"), "aborts", np.concatenate(self._aborts))
        measured = self._file.create_group("measured")
        put(measured, "parts", result.parts)
        put(measured, "trend", self.trend)
        put(measured, "commands", result.commands)
        put(measured, "interlocks", result.interlocks)
        put(measured, "slow_control", slow_control)
        if result.truth is not None:
            put(self._file.create_group("truth"), "parts", result.truth)
        if result.readings is not None:
            put(self._file.create_group("readings"), "parts", result.readings)
        if len(assumed):
            put(self._file.create_group("assumed"), "parts", assumed)
        self._file.attrs["header"] = text(json.dumps(keys_of(header), sort_keys=True))
        return publish_file(self._file, self._path, self._disk, is_new=True)


def read_spill(path: Path) -> Spill:
    """Read a spill file without its raw samples.

    Raises
    ------
    spotline.errors.RecordError
        If it is missing or broken.
    """
    with open_file(path, FORMAT, READ_VERSIONS) as file:

        def there(name: str) -> np.ndarray | None:
            return array_of(file, f"{name}/parts") if name in file else None

        slow = array_of(file, "measured/slow_control")
        recorded = array_of(file, "measured/parts")
        parts, truth = _as_now(recorded, there("truth"))
        assumed, readings = there("assumed"), there("readings")
        return Spill(
            header=typed(SpillHeader, header_of(file)),
            spots=array_of(file, "control/spots"),
            parts=parts,
            trend=array_of(file, "measured/trend"),
            commands=array_of(file, "measured/commands"),
            interlocks=array_of(file, "measured/interlocks"),
            slow_control=slow if slow.size else np.zeros(0, SLOW_CONTROL),
            truth=truth,
            assumed=NOTHING_ASSUMED.copy() if assumed is None else assumed,
            part_columns=recorded.dtype.names or (),
            readings=NO_READINGS.copy() if readings is None else readings,
        )


def read_control(path: Path) -> tuple[LawSettings, SliceMemory]:
    """Read what the fast control was loaded with."""
    with open_file(path, FORMAT, READ_VERSIONS) as file:
        control = member_of(file, "control")
        values = json_of(control, "settings")
        settings = LawSettings(
            **{
                **values,
                "integral": IntegralLimits(**values["integral"]),
                "x": AxisSettings(**values["x"]),
                "y": AxisSettings(**values["y"]),
                # Files from before the ring was read have nothing of it.
                "ring": RingSettings(**values["ring"]) if "ring" in values else RING_NOT_READ,
            }
        )
        # What a file of format 2 lacks has a default.
        memory = {name: array_of(control, name) for name in SliceMemory._fields if name in control}
        memory["cycle_code"] = int(memory["cycle_code"])
        memory |= {name: float(memory[name]) for name in ("x_sd_mm", "y_sd_mm") if name in memory}
        missing = set(SliceMemory._fields) - set(SliceMemory._field_defaults) - set(memory)
        if missing:
            raise KeyError(min(missing))
        return settings, SliceMemory(**memory)


def read_raw(path: Path) -> RawSamples | None:
    """Read the raw samples of a spill; None if it was recorded without."""
    with open_file(path, FORMAT, READ_VERSIONS) as file:
        if "raw" not in file:
            return None
        raw = member_of(file, "raw")
        return RawSamples(**{name: array_of(raw, name, LARGEST_RAW_bytes) for name in RawSamples.__slots__})


def _as_now(parts: Table, truth: np.ndarray | None) -> tuple[Table, np.ndarray | None]:
    """Bring the tables of a file of any format to the columns that they have now."""
    if truth is not None and truth.shape[1] < TRUTH_COLUMNS:
        unknown = np.full((len(truth), TRUTH_COLUMNS - truth.shape[1]), np.nan)
        truth = np.concatenate([truth, unknown], axis=1)
    return widened(parts), truth


def _as_lists(settings: LawSettings) -> dict[str, Any]:
    return {
        name: value._asdict() if hasattr(value, "_asdict") else value
        for name, value in settings._asdict().items()
    }


def _append(group: h5py.Group, name: str, values: np.ndarray, chunk_rows: int) -> None:
    """Append rows to a growing dataset."""
    if name not in group:
        group.create_dataset(
            name,
            shape=(0, *values.shape[1:]),
            maxshape=(None, *values.shape[1:]),
            dtype=values.dtype,
            chunks=(chunk_rows, *values.shape[1:]),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
            fletcher32=True,
        )
    dataset = group[name]
    n = len(dataset)
    dataset.resize(n + len(values), axis=0)
    dataset[n:] = values
