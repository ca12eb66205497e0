"""A delivery returns its record without reading its own files, and it is the one that the files hold."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import spotline
from spotline import BeamLine, FieldRecord, Record, open_record
from spotline.record.folder import LOCK
from spotline.record.summary_file import UNWRITTEN
from spotline.sim.faults import Fault, SimulatedCrash
from spotline.treatment.treatment import Slice
from tests.delivery.deliveries import PROTON, TWO_LAYERS, deliver

FOLDER, OPENED = "", []
"""Folder that is watched, and the files below it that were opened for reading."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """See what Python opens; it cannot be taken away again, so it looks at nothing unless a folder is set."""
    if not FOLDER or event != "open" or not isinstance(arguments[0], str):
        return
    path, _, flags = arguments
    if path.startswith(FOLDER) and flags & os.O_ACCMODE == os.O_RDONLY and not Path(path).is_dir():
        OPENED.append(path)


sys.addaudithook(_hook)


@contextmanager
def watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the files below a folder that are opened for reading meanwhile; HDF5 opens its own."""
    real: Callable[..., h5py.File] = h5py.File

    def noting(name: Any, mode: str = "r", **options: Any) -> h5py.File:
        if mode == "r" and str(name).startswith(str(folder)):
            OPENED.append(str(name))
        return real(name, mode, **options)

    global FOLDER
    monkeypatch.setattr(h5py, "File", noting)
    OPENED.clear()
    FOLDER, opened = str(folder), []
    try:
        yield opened
    finally:
        FOLDER = ""
        opened += [Path(path).relative_to(folder).as_posix() for path in OPENED]


def assert_same_field(one: FieldRecord, other: FieldRecord) -> None:
    assert (one.path, one.number, one.name) == (other.path, other.number, other.name)
    assert list(one.header) == list(other.header)
    assert json.dumps(one.header) == json.dumps(other.header)
    assert (one.facts, one.outcome) == (other.facts, other.outcome)
    for part in fields(FieldRecord):
        mine, theirs = getattr(one, part.name), getattr(other, part.name)
        if isinstance(mine, np.ndarray) or isinstance(theirs, np.ndarray):
            assert mine.dtype == theirs.dtype, part.name
            assert mine.tobytes() == theirs.tobytes(), part.name
    for mine, theirs in zip(one.prescribed, other.prescribed, strict=True):
        for part in fields(Slice):
            a, b = np.asarray(getattr(mine, part.name)), np.asarray(getattr(theirs, part.name))
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes()), part.name


def assert_same(one: Record, other: Record) -> None:
    assert one.path == other.path
    assert json.dumps(one.summary) == json.dumps(other.summary)
    assert one.outcome == other.outcome
    for mine, theirs in zip(one.fields, other.fields, strict=True):
        assert_same_field(mine, theirs)


def test_record_is_that_of_the_files(line: BeamLine, tmp_path: Path):
    for name, plan, options in (("a", PROTON, {"raw": True}), ("b", TWO_LAYERS, {"documents": False})):
        record = deliver(plan, line, tmp_path / name, seed=5, **options)
        assert record.outcome.status == "complete"
        assert all(len(field.spots) and len(field.trend) for field in record.fields)
        assert_same(record, open_record(tmp_path / name))


def test_nothing_is_read(line: BeamLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "out"
    with watched(out, monkeypatch) as opened:
        deliver(TWO_LAYERS, line, out, seed=5)
    assert opened == [LOCK]
    with watched(out, monkeypatch) as opened:
        open_record(out)
    assert {"summary.json", "field-01/field.json", "field-01/DDS_treatment.h5"} < set(opened)
    assert "field-01/spills/spill-0001.h5" in opened


def test_stopped_and_resumed(line: BeamLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "out"
    stopped = deliver(TWO_LAYERS, line, out, seed=5, faults=[Fault("int2", "dead", None, 2, 50_000, None)])
    assert stopped.outcome.status == "interlock"
    assert_same(stopped, open_record(out))
    spills = [
        f"field-01/spills/spill-{number:04d}.h5" for number in range(1, len(stopped.fields[0].spills) + 1)
    ]
    with watched(out, monkeypatch) as opened:
        record = spotline.resume(out, operator="A. B.", reason="repaired")
    assert record.outcome.status == "complete"
    assert_same(record, open_record(out))
    # Each is hashed, which is not reading what is in it, and read once; those of this session are not read.
    assert sorted(name for name in opened if "spills" in name) == sorted(2 * spills)


def test_killed_and_resumed(line: BeamLine, tmp_path: Path):
    """The spill that was never written comes from the journal, with its assumed counts."""
    out = tmp_path / "out"
    with pytest.raises(SimulatedCrash):
        deliver(TWO_LAYERS, line, out, seed=5, faults=[Fault("process", "kill", None, 2, 30_000)])
    record = spotline.resume(out, operator="A. B.", reason="started again")
    assert record.outcome.status == "complete"
    assert len(record.fields[0].assumed)
    assert_same(record, open_record(out))


def test_disk_that_fails(line: BeamLine, tmp_path: Path):
    """What the disk has not taken is not in the record, although it was delivered."""
    out = tmp_path / "out"
    record = deliver(
        TWO_LAYERS, line, out, seed=5, faults=[Fault("disk", "full", None, 1, 30_000, 2_000_000)]
    )
    assert record.outcome.status == "interlock"
    (said,) = record.summary[UNWRITTEN]  # which the disk did not take either
    assert "cannot be written (No space left on device)" in said
    known = {key: value for key, value in record.summary.items() if key != UNWRITTEN}
    assert_same(replace(record, summary=known), open_record(out))
