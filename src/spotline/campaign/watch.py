"""The simulated room, watched: what was loaded, what tripped and what truly happened, spill by spill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from spotline.control.memory import LawSettings, SliceMemory
from spotline.control.slow import SlowReading
from spotline.machine import BeamLine
from spotline.room import Block, Broadcast
from spotline.sim.disk import SimulatedDisk
from spotline.sim.faults import Fault, SimulatedCrash
from spotline.sim.room import SimulatedRoom
from spotline.storage import Disk
from spotline.treatment.treatment import FieldTreatment, Floats, Integers

POWER_LOSS = "power.loss"


@dataclass(slots=True, eq=False)
class Watched:
    """One spill.

    Attributes
    ----------
    field : int
        Number of its field.
    spill : int
        Its number, as the room counts.
    start_us : int
        Announced start of extraction, on the clock of the field.
    cycle_code : int
        What was delivered.
    int1_left : ndarray of int, shape (n,)
        Counts that the spots in the memory boards lacked.
    x_current_A, y_current_A : ndarray of float, shape (n,)
        Where they are: to know them again.
    interlocks : list of (int, int)
        Sample and cause of every interlock.
    truth : ndarray of float, shape (n, 5)
        `spotline.room.SpillResult.truth`, with zeros for spots that were not reached.
    last_ion_us : int
        When the last ion passed; 0 if none did.
    """

    field: int
    spill: int
    start_us: int
    cycle_code: int
    int1_left: Integers
    x_current_A: Floats
    y_current_A: Floats
    interlocks: list[tuple[int, int]]
    truth: Floats
    last_ion_us: int = 0


class WatchedRoom(SimulatedRoom):
    """A simulated room that notes what goes on in it; it behaves like any other."""

    def __init__(
        self,
        beamline: BeamLine,
        treatment: FieldTreatment,
        seed: int,
        faults: tuple[Fault, ...],
        spills_before: int,
        disk: Disk,
    ) -> None:
        number = treatment.field.number
        super().__init__(
            beamline, number, seed, treatment.passive_elements, faults=faults, spills_before=spills_before
        )
        self._spills: list[Watched] = []
        self._disk: Disk | None = disk
        self._number, self._requested = number, spills_before

    def request_cycle(self, code: int, after_us: int = 0) -> Broadcast:
        """Ask for a spill."""
        with self._power():
            self._requested += 1
            return super().request_cycle(code, after_us)

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> None:
        """Load the memory boards, and note what with."""
        with self._power():
            super().load(settings, memory, broadcast)
        self._spills.append(
            Watched(
                field=self._number,
                spill=self._requested,
                start_us=broadcast.extraction_start_us,
                cycle_code=memory.cycle_code,
                int1_left=memory.int1_counts.copy(),
                x_current_A=memory.x_current_A.copy(),
                y_current_A=memory.y_current_A.copy(),
                interlocks=[],
                truth=np.zeros((len(memory.int1_counts), 5)),
            )
        )

    def run(self, max_samples: int) -> Block:
        """Run the fast loop."""
        with self._power():
            try:
                return super().run(max_samples)
            finally:
                self._note_interlocks()

    def read_slow_control(self, time_us: int) -> SlowReading | None:
        """Read the slow sensors."""
        with self._power():
            return super().read_slow_control(time_us)

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        """Count without beam."""
        with self._power():
            return super().measure_background(duration_s)

    def noted(self) -> list[Watched]:
        """Every spill so far, with what the room knows of the truth."""
        of_spill = {watched.spill: watched for watched in self._spills}
        for past in self.history:
            watched = of_spill[past.spill]
            watched.truth[: len(past.truth)] = past.truth
            watched.last_ion_us = int(past.last_ion_us or 0)
        return self._spills

    def _note_interlocks(self) -> None:
        """Note what tripped, after a crash too: the patient interlock system outlives the process."""
        rows = self._law.interlocks[: self._law.scalars[0].interlocks]
        self._spills[-1].interlocks = [(int(row["tick"]), int(row["cause"])) for row in rows]

    @contextmanager
    def _power(self) -> Iterator[None]:
        """Let a loss of power take what the disk has not confirmed, at once."""
        try:
            yield
        except SimulatedCrash as crash:
            if crash.kind == POWER_LOSS and isinstance(self._disk, SimulatedDisk):
                self._disk.lose_power()
                self._disk = None  # it goes once
            raise


class Watch:
    """Makes the rooms of one run, and keeps what was noted in them.

    Parameters
    ----------
    beamline : BeamLine
    seed : int
        Seed of the rooms.
    faults_of : callable
        Faults of a field, by its number.
    disk : Disk
        What the deliveries are written to until they crash.
    """

    def __init__(
        self,
        beamline: BeamLine,
        seed: int,
        faults_of: Callable[[int], tuple[Fault, ...]],
        disk: Disk,
    ) -> None:
        self._beamline, self._seed, self._faults_of, self._disk = beamline, seed, faults_of, disk
        self._is_repaired = False
        self._rooms: list[WatchedRoom] = []

    def room(self, treatment: FieldTreatment, spills_before: int = 0) -> WatchedRoom:
        """Make the room for a field of which so many spills are delivered."""
        faults = () if self._is_repaired else self._faults_of(treatment.field.number)
        room = WatchedRoom(self._beamline, treatment, self._seed, faults, spills_before, self._disk)
        self._rooms.append(room)
        return room

    def repair(self) -> None:
        """Let nothing fail from now on."""
        self._is_repaired = True

    def spills_of(self, number: int) -> list[Watched]:
        """Every spill of a field."""
        return [w for room in self._rooms for w in room.noted() if w.field == number]
