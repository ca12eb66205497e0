"""Replay a record with raw samples through the control law, and compare every decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spotline.control.memory import ABORT, LawSettings, LawState, new_state
from spotline.control.replay import Recording, new_scratch, replay_spill
from spotline.errors import RecordError
from spotline.hdf5 import as_written
from spotline.record.spill_file import Spill, read_control, read_raw, read_spill
from spotline.record.summary_file import read_summary
from spotline.room import RawSamples


@dataclass(frozen=True, slots=True)
class SpillReplay:
    """Outcome of one replayed spill.

    Attributes
    ----------
    path : Path
        Spill file.
    samples : int
        Samples of the integral chambers.
    differences : tuple of str
        Decisions that came out differently; empty if the law decided the same.
    """

    path: Path
    samples: int
    differences: tuple[str, ...]


def replay(path: str | Path) -> list[SpillReplay]:
    """Run the control law over the raw samples of a record.

    Parameters
    ----------
    path : str or Path
        Folder of a delivery that was made with ``raw``.

    Returns
    -------
    list of SpillReplay
        One per spill file, in order.

    Raises
    ------
    RecordError
        If the record is broken, or holds no raw samples.
    """
    folder = Path(path)
    spills = [
        spill
        for field in read_summary(folder).fields
        for spill in sorted((folder / field.folder / "spills").glob("spill-*.h5"))
    ]
    if not spills:
        raise RecordError(f"{folder}: no spill files; nothing was delivered")
    # What was recovered from the journal has no samples: the delivery died in it.
    spills = [spill for spill in spills if not read_spill(spill).header.recovered]
    return [_replay_one(spill) for spill in spills]


def _replay_one(path: Path) -> SpillReplay:
    raw = read_raw(path)
    if raw is None:
        raise RecordError(f"{path}: holds no raw samples; deliver with --raw to replay")
    recorded = read_spill(path)
    settings, memory = read_control(path)
    with as_written(path):
        _check_lengths(raw, settings, recorded)
        announced = recorded.header.extraction_start_us, recorded.header.extraction_end_us
        aborts = np.ascontiguousarray(raw.aborts).astype(ABORT, casting="safe").view(np.recarray)
    law = new_state(memory, settings, raw.strips.shape[2], recorded.header.start_us, announced)
    recording = Recording(
        integrals=raw.integrals,
        strips=raw.strips,
        pixels=raw.pixels,
        read_A=np.ascontiguousarray(raw.currents_A[:, :2]),
        inputs=raw.inputs,
        broadcast_code=recorded.header.broadcast_code,
        aborts=aborts,
    )
    scratch = new_scratch(recording)
    replay_spill(law, settings, memory, recording, scratch)
    with as_written(path):
        differences = tuple(_differences(recorded, raw, law, scratch.set_A))
    return SpillReplay(path, len(raw.integrals), differences)


def _check_lengths(raw: RawSamples, settings: LawSettings, recorded: Spill) -> None:
    """Check that there are as many samples of each kind as the others want: compiled code does not."""
    n_samples = len(raw.inputs) * settings.scan_period
    for name, expected in (
        ("integrals", n_samples),
        ("strips", n_samples // settings.strip_period),
        ("pixels", n_samples // settings.pixel_period),
        ("currents_A", len(raw.inputs)),
    ):
        found = len(getattr(raw, name))
        if found != expected:
            raise ValueError(f"{found} raw {name}, but {expected} belong to {len(raw.inputs)} periods")


def _differences(recorded: Spill, raw: RawSamples, law: LawState, set_A: np.ndarray) -> list[str]:
    """Name every decision that is not the recorded one."""
    control = law.scalars[0]
    found = []
    if int(control.end_reason) != recorded.header.end_reason:
        found.append(f"spill ended for reason {control.end_reason}, recorded {recorded.header.end_reason}")
    tables = (
        ("spot", law.parts[: control.row + 1], recorded.parts),
        ("command", law.commands[: control.commands], recorded.commands),
        ("interlock", law.interlocks[: control.interlocks], recorded.interlocks),
    )
    for name, now, then in tables:
        if len(now) != len(then):
            found.append(f"{len(now)} {name}s, recorded {len(then)}")
            continue
        for column in recorded.part_columns if name == "spot" else now.dtype.names or ():
            same = np.asarray(now[column] == then[column]) | (_isnan(now[column]) & _isnan(then[column]))
            if not same.all():
                row = int(np.argmin(same))
                found.append(f"{name} {row}: {column} is {now[column][row]}, recorded {then[column][row]}")
    same = (set_A == raw.currents_A[:, 2:]).all(axis=1)
    if not same.all():
        found.append(f"set-points differ from scan period {int(np.argmin(same))} on")
    return found


def _isnan(column: np.ndarray) -> np.ndarray:
    return np.asarray(np.isnan(column)) if column.dtype.kind == "f" else np.zeros(len(column), bool)
