"""The simulated room, watched: what was loaded, what tripped and what truly happened, spill by spill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.control.interlocks import STOP
from spotline.control.memory import LawSettings, SliceMemory
from spotline.machine.true_line import TrueLine
from spotline.room import TRUTH_COLUMNS, Block, Broadcast, Room, SpillResult
from spotline.sim.disk import FaultyDisk
from spotline.sim.faults import Fault
from spotline.sim.room import SimulatedRoom
from spotline.treatment.treatment import FieldTreatment


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
    truth : ndarray of float, shape (n, TRUTH_COLUMNS)
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


class WatchedLoop:
    """A simulated fast loop that notes what goes on in it; it behaves like any other.

    Parameters
    ----------
    room : SimulatedRoom
        Whose loop it is.
    number : int
        Of the field.

    Attributes
    ----------
    number : int
        Of the field.
    """

    def __init__(self, room: SimulatedRoom, number: int) -> None:
        self._accelerator, self._loop = room.accelerator, room.loop
        self._spills: list[Watched] = []
        self.number = number

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        """Load the memory boards, and note what with."""
        held = self._loop.load(settings, memory, broadcast)
        self._spills.append(
            Watched(
                field=self.number,
                spill=self._accelerator.asked.spill,
                start_us=broadcast.extraction_start_us,
                cycle_code=memory.cycle_code,
                int1_left=memory.int1_counts.copy(),
                x_current_A=memory.x_current_A.copy(),
                y_current_A=memory.y_current_A.copy(),
                interlocks=[],
                truth=np.zeros((len(memory.int1_counts), TRUTH_COLUMNS)),
            )
        )
        return held

    def run(self, max_samples: int) -> Block:
        """Run the fast loop; note what tripped, after a crash too: the interlock systems outlive it."""
        try:
            return self._loop.run(max_samples)
        finally:
            self._spills[-1].interlocks = [
                (int(row["tick"]), int(row["cause"])) for row in self._loop.interlocks
            ]

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        """Stop the beam for a cause from outside the fast control."""
        self._loop.abort(cause, value, limit, action)

    def confirm(self) -> None:
        """Tell the fast control that the recovery journal holds everything so far."""
        self._loop.confirm()

    def raise_line(self, line: int) -> None:
        """Activate an input of the patient interlock system for the rest of the spill."""
        self._loop.raise_line(line)

    def result(self) -> SpillResult:
        """Return what the spill left behind."""
        return self._loop.result()

    def noted(self) -> list[Watched]:
        """Every spill so far, with what the room knows of the truth."""
        of_spill = {watched.spill: watched for watched in self._spills}
        for past in self._loop.history:
            watched = of_spill[past.spill]
            watched.truth[: len(past.truth)] = past.truth
            watched.last_ion_us = int(past.last_ion_us or 0)
        return self._spills


class Watch:
    """Makes the rooms of one run, and keeps what was noted in them.

    Parameters
    ----------
    line : TrueLine
    seed : int
        Seed of the rooms.
    faults_of : callable
        Faults of a field, by its number.
    disk : FaultyDisk
        What the deliveries are written to until they crash.

    Attributes
    ----------
    line : TrueLine
        Of the rooms.
    """

    def __init__(
        self,
        line: TrueLine,
        seed: int,
        faults_of: Callable[[int], tuple[Fault, ...]],
        disk: FaultyDisk,
    ) -> None:
        self.line = line
        self._seed, self._faults_of, self._disk = seed, faults_of, disk
        self._is_repaired = False
        self._loops: list[WatchedLoop] = []

    def room(self, treatment: FieldTreatment, spills_before: int = 0) -> Room:
        """Make the room for a field of which so many spills are delivered."""
        number = treatment.field.number
        room = SimulatedRoom(
            self.line,
            number,
            self._seed,
            treatment.passive_elements,
            faults=() if self._is_repaired else self._faults_of(number),
            spills_before=spills_before,
            disk=self._disk,
        )
        self._loops.append(WatchedLoop(room, number))
        return Room(room.accelerator, self._loops[-1], room.sensors)

    def repair(self) -> None:
        """Let nothing fail from now on."""
        self._is_repaired = True

    def spills_of(self, number: int) -> list[Watched]:
        """Every spill of a field."""
        return [w for loop in self._loops if loop.number == number for w in loop.noted()]
