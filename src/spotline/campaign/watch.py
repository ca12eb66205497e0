"""The simulated room, watched: what was loaded, what tripped and what truly happened, spill by spill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spotline.beamline import BeamLine
from spotline.control.memory import LawSettings, SliceMemory
from spotline.preparation.treatment import FieldTreatment, Integers
from spotline.room import Block, Broadcast, SpillResult, Table
from spotline.sim.faults import Fault, SimulatedCrash
from spotline.sim.room import SimulatedRoom


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
    interlocks : Table
        Columns `spotline.control.memory.INTERLOCK`.
    truth : ndarray of float, shape (n, 5)
        `spotline.room.SpillResult.truth`, with zeros for spots that were not reached.
    last_ion_us : int
        When the last ion passed; 0 if none did.
    first_interlock_us : int or None
        Sample of the first interlock.
    """

    field: int
    spill: int
    start_us: int
    cycle_code: int
    int1_left: Integers
    x_current_A: np.ndarray
    y_current_A: np.ndarray
    interlocks: Table
    truth: np.ndarray
    last_ion_us: int = 0
    first_interlock_us: int | None = None


class WatchedRoom(SimulatedRoom):
    """A simulated room that notes what goes on in it; it behaves like any other."""

    def __init__(
        self,
        beamline: BeamLine,
        treatment: FieldTreatment,
        seed: int,
        faults: tuple[Fault, ...],
        spills_before: int,
    ) -> None:
        number = treatment.field.number
        super().__init__(
            beamline,
            number,
            seed,
            treatment.passive_elements,
            faults=faults,
            spills_before=spills_before,
        )
        self.spills: list[Watched] = []
        self._number, self._requested = number, spills_before

    def request_cycle(self, code: int) -> Broadcast:
        """Ask for a spill."""
        self._requested += 1
        return super().request_cycle(code)

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> None:
        """Load the memory boards, and note what with."""
        super().load(settings, memory, broadcast)
        self.spills.append(
            Watched(
                field=self._number,
                spill=self._requested,
                start_us=broadcast.extraction_start_us,
                cycle_code=memory.cycle_code,
                int1_left=memory.int1_counts.copy(),
                x_current_A=memory.x_current_A.copy(),
                y_current_A=memory.y_current_A.copy(),
                interlocks=np.zeros(0),
                truth=np.zeros((len(memory.int1_counts), 5)),
            )
        )

    def run(self, max_samples: int) -> Block:
        """Run the fast loop; a crash leaves its interlocks too."""
        try:
            return super().run(max_samples)
        except SimulatedCrash:
            self.result()
            raise

    def result(self) -> SpillResult:
        """Return what the spill left behind, and note its interlocks."""
        result = super().result()
        self.spills[-1].interlocks = result.interlocks.copy()
        return result

    def noted(self) -> list[Watched]:
        """Every spill so far, with what the room knows of the truth."""
        of_spill = {watched.spill: watched for watched in self.spills}
        for number, truth, last_ion_us, first_us in self.history:
            watched = of_spill[number]
            watched.truth[: len(truth)] = truth
            watched.last_ion_us = int(last_ion_us or 0)
            watched.first_interlock_us = None if first_us is None else int(first_us)
        return self.spills


class Watch:
    """Makes the rooms of one run, and keeps what was noted in them.

    Parameters
    ----------
    beamline : BeamLine
    seed : int
        Seed of the rooms.
    faults_of : callable
        Faults of a field, by its number.
    """

    def __init__(self, beamline: BeamLine, seed: int, faults_of: Callable[[int], tuple[Fault, ...]]) -> None:
        self._beamline, self._seed, self._faults_of = beamline, seed, faults_of
        self._is_repaired = False
        self._rooms: list[WatchedRoom] = []

    def room(self, treatment: FieldTreatment) -> WatchedRoom:
        """Make the room for a field; spills go on where the last room for it ended."""
        number = treatment.field.number
        before = max((watched.spill for watched in self.spills_of(number)), default=0)
        faults = () if self._is_repaired else self._faults_of(number)
        room = WatchedRoom(self._beamline, treatment, self._seed, faults, before)
        self._rooms.append(room)
        return room

    def repair(self) -> None:
        """Let nothing fail from now on."""
        self._is_repaired = True

    def spills_of(self, number: int) -> list[Watched]:
        """Every spill of a field."""
        return [w for room in self._rooms for w in room.noted() if w.field == number]

    @property
    def spills(self) -> list[Watched]:
        """Every spill, in the order of delivery."""
        return [watched for room in self._rooms for watched in room.noted()]
