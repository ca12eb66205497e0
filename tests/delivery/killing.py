"""Deliver in a child process, kill it at some moment, and check what is left of it."""

from __future__ import annotations

import os
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import spotline
from spotline.control.memory import LawSettings, SliceMemory
from spotline.machine.true_line import true_line_of
from spotline.record.model import Record
from spotline.record.read import read_account
from spotline.record.recovered import read_state
from spotline.room import Block, Broadcast, Room
from spotline.sim.room import SimulatedRoom
from spotline.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import read_treatment_file
from tests.rooms import LoopBehind

_WORD = struct.Struct("<qqqq")  # field, spots in memory, rows and counts that were confirmed


class WitnessedLoop(LoopBehind):
    """A fast loop that tells a pipe what was confirmed: what it says survives the process."""

    def __init__(self, room: SimulatedRoom, number: int, pipe: int) -> None:
        super().__init__(room.loop)
        self._accelerator, self._number, self._pipe = room.accelerator, number, pipe
        self._counts: dict[int, int] = {}

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        self._counts = {}
        return super().load(settings, memory, broadcast)

    def run(self, max_samples: int) -> Block:
        block = super().run(max_samples)
        for row in block.parts:
            self._counts[int(row["spot"])] = int(row["int1_counts"])
        return block

    def confirm(self) -> None:
        super().confirm()
        spill, counts = self._accelerator.asked.spill, self._counts
        os.write(self._pipe, _WORD.pack(self._number, spill, len(counts), sum(counts.values())))


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was confirmed last: field, spill, spots touched in it, counts of INT1 in them."""

    field: int
    spill: int
    spots: int
    counts: int


def deliver_and_kill(treatment: Treatment, out: Path, seed: int, after_s: float) -> Witnessed | None:
    """Deliver in a child process that is killed after some time; return what it confirmed last."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            spotline.deliver(
                treatment, out, seed=seed, make_room=lambda field: room_of(treatment, field, seed, write)
            )
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    whole = len(said) // _WORD.size * _WORD.size
    return Witnessed(*_WORD.unpack(said[whole - _WORD.size : whole])) if whole else None


def room_of(treatment: Treatment, field: FieldTreatment, seed: int, pipe: int) -> Room:
    number = field.field.number
    room = SimulatedRoom(true_line_of(treatment.beamline), number, seed, field.passive_elements)
    return Room(room.accelerator, WitnessedLoop(room, number, pipe), room.sensors)


def stage_of(out: Path) -> str:
    """Where a delivery was when it died."""
    if not (out / "delivery.json").exists():
        return "before anything was begun"
    if (out / "summary.json").exists():
        return "after its end"
    states = [read_state(folder) for folder in sorted(out.glob("field-*"))]
    if all(state.status == "complete" for state in states):
        return "while the record was written"
    if any(state.open_spill for state in states):
        return "during a spill"
    return "between spills" if any(state.begun for state in states) else "before the first spill"


def violations(record: Record, witnessed: Witnessed | None) -> list[str]:
    """What is wrong with a delivery that was resumed to its end."""
    found = []
    if record.summary["status"] != "complete":
        found.append(f"status is {record.summary['status']}")
    for field in record.fields:
        account, slices = read_account(field.path), read_treatment_file(field.path).slices
        for slice_, left, delivered, assumed in zip(
            slices, account.left1, account.delivered1, account.assumed1, strict=True
        ):
            complete = left == 0
            if not complete.all():
                found.append(f"field {field.number}, slice {slice_.index}: spots are open")
            # Nothing is missing: what was measured and what is assumed make up the prescription, but for
            # spots that the back-up chamber completed.
            received = delivered + assumed
            if (received < slice_.int1_counts - _back_up_margin(slice_.int1_counts)).any():
                found.append(f"field {field.number}, slice {slice_.index}: counts are missing")
            if (assumed > slice_.int1_counts).any():
                found.append(f"field {field.number}, slice {slice_.index}: too much is assumed")
        if witnessed is not None and field.number == witnessed.field:
            found += _lost(field.path, witnessed)
    return found


def _back_up_margin(counts: np.ndarray) -> np.ndarray:
    """How much earlier than INT1 the back-up may complete a spot: a few standard deviations of its counts."""
    return np.asarray(5.0 * np.sqrt(counts) + 0.05 * counts)


def _lost(folder: Path, witnessed: Witnessed) -> list[str]:
    """Confirmed counts that the record does not have."""
    from spotline.record.spill_file import read_spill, spill_path

    parts = read_spill(spill_path(folder, witnessed.spill)).parts[: witnessed.spots]
    if len(parts) < witnessed.spots or parts["int1_counts"].sum() < witnessed.counts:
        return [f"{folder.name}, spill {witnessed.spill}: confirmed counts are lost"]
    return []
