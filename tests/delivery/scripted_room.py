"""A room without physics, all in one: one spot a millisecond, and whatever a test wants to go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    COMMAND,
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    INPUT_COUCH,
    INPUT_OPERATOR,
    INPUT_SUPERVISION,
    INTERLOCK,
    PART,
    TREND,
    LawSettings,
    SliceMemory,
)
from spotline.control.slow import SlowReading
from spotline.delivery.field import Earlier, FieldDelivery, FieldTask
from spotline.delivery.orders import Inbox, OrderCallback
from spotline.delivery.progress import Orders
from spotline.delivery.recorder import FieldFiles
from spotline.delivery.stream import Stream
from spotline.machine import BeamLine, load_beamline
from spotline.record.assembly import FieldContent
from spotline.room import Block, Broadcast, Room, SpillResult, boards_sha256
from spotline.storage import Disk
from spotline.treatment import prepare
from spotline.treatment.headers import DeliveryHeader, IsocentrePerChamber
from spotline.treatment.treatment import FieldTreatment
from tests.delivery.noted import Noted, noted
from tests.readings import GOOD
from tests.treatment.plans import field, layer, plan_of

CYCLE_us = 2_000_000
SPILL_ms = 20
LINE: BeamLine = load_beamline("cnao-h")
_CAUSES = {
    INPUT_OPERATOR: interlocks.OPERATOR,
    INPUT_SUPERVISION: interlocks.SUPERVISION,
    INPUT_COUCH: interlocks.COUCH,
}


class ScriptedRoom:
    """A room in which each millisecond of beam completes a spot.

    Parameters
    ----------
    reading : SlowReading or callable
        What the slow sensors say, perhaps depending on the time; None: nothing.
    background : tuple of float
        Of both integral chambers, per second; or several, one for each time that it is measured.
    trips : dict
        For a spill, from 1: the millisecond, the cause and the action of an interlock in it.
    no_beam : tuple of int
        Spills in which nothing comes.
    spill_ms : int
        Length of the extraction.

    Attributes
    ----------
    spills : list of tuple
        Start of every spill that was asked for, and its cycle-code.
    spots_of : list of int
        How many spots were loaded for every spill.
    """

    def __init__(
        self,
        reading: SlowReading | Callable[[int], SlowReading | None] | None = GOOD,
        background: tuple[float, float] = (0.0, 0.0),
        trips: Mapping[int, tuple[int, int, int]] | None = None,
        no_beam: tuple[int, ...] = (),
        spill_ms: int = SPILL_ms,
    ) -> None:
        self._reading = reading
        self.background = background
        self._trips = trips or {}
        self._no_beam = no_beam
        self._spill_ms = spill_ms
        self.spills: list[tuple[int, int]] = []
        self.spots_of: list[int] = []
        self.is_off = False
        self.read_at: list[int] = []

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        before_us = self.spills[-1][0] if self.spills else 0
        start_us = (max(before_us, after_us) // CYCLE_us + 1) * CYCLE_us
        self.spills.append((start_us, code))
        return Broadcast(code, start_us, start_us + self._spill_ms * 1000)

    def beam_off(self) -> None:
        self.is_off = True

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        self.spots_of.append(len(memory.int1_counts))
        self._memory, self._start_us = memory, broadcast.extraction_start_us
        self._ms, self._end, self._line = 0, 0, 0
        self._done = self._reported = 0
        self._interlocks: list[tuple[Any, ...]] = []
        return boards_sha256(settings, memory)

    def run(self, max_samples: int) -> Block:
        started = self._ms
        n_spots = len(self._memory.int1_counts)
        while not self._end and (self._ms - started) * 1000 < max_samples:
            for line, cause in _CAUSES.items():
                if self._line & line:
                    self.abort(cause, 1.0, 0.0)
            trip = self._trips.get(len(self.spills))
            if trip and trip[0] == self._ms:
                self.abort(trip[1], 9.0, 1.0, trip[2])
            if self._end:
                break
            self._ms += 1
            self._done += len(self.spills) not in self._no_beam
            if self._done == n_spots:
                self._end = END_SLICE_COMPLETE
            elif self._ms == self._spill_ms:
                self._end = END_OF_EXTRACTION
        n_ms = self._ms - started
        trend = np.zeros(n_ms, TREND)
        trend["int1_counts"], trend["int2_counts"] = 10, 11
        spot = min(self._done, n_spots - 1)
        parts, first = self._parts(), self._reported
        self._reported = len(parts) - 1
        return Block(n_ms * 1000, bool(self._end), trend, spot, parts[first:], None)

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        tick = self._start_us + self._ms * 1000
        self._interlocks.append((tick, cause, self._done, value, limit, action))
        if action == STOP or not self._end:
            self._end = END_STOP if action == STOP else END_PAUSE

    def confirm(self) -> None:
        """There is no journal here."""

    def raise_line(self, line: int) -> None:
        self._line |= line

    def _parts(self) -> np.ndarray:
        """Complete spots, and the one under way with all counts but one."""
        n = min(self._done + 1, len(self._memory.int1_counts))
        parts = np.zeros(n, PART)
        parts["spot"] = np.arange(n)
        parts["start_tick"] = self._start_us + 1000 * np.arange(n)
        parts["complete"] = np.arange(n) < self._done
        parts["int1_counts"] = self._memory.int1_counts[:n] - (1 - parts["complete"])
        parts["int2_counts"] = self._memory.int2_counts[:n] - (1 - parts["complete"])
        if not self._done:
            parts["int1_counts"][0] = parts["int2_counts"][0] = 0
        return parts

    def _commands(self, end_us: int) -> np.ndarray:
        """The chopper is open for all of a spill that is over, if beam came."""
        if not self._done or not self._end:
            return np.zeros(0, COMMAND)
        times_us = (self._start_us, COMMAND_CHOPPER_OPEN), (end_us, COMMAND_CHOPPER_CLOSE)
        return np.array([(tick, command, 0) for tick, command in times_us], COMMAND)

    def result(self) -> SpillResult:
        end_us = self._start_us + self._ms * 1000
        parts = self._parts()
        return SpillResult(
            parts=parts,
            commands=self._commands(end_us),
            interlocks=np.array(self._interlocks, INTERLOCK),
            end_reason=self._end,
            start_us=self._start_us,
            end_us=end_us,
            int1_counts=int(parts["int1_counts"].sum()),
            int2_counts=int(parts["int2_counts"].sum()),
            truth=None,
        )

    def read(self, time_us: int) -> SlowReading | None:
        self.read_at.append(time_us)
        reading = self._reading(time_us) if callable(self._reading) else self._reading
        return None if reading is None else replace(reading, time_us=time_us)

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        return self.background


def field_of(spots: tuple[int, ...] = (5, 5)) -> FieldTreatment:
    """Layers with so many carbon spots, three millimetres apart."""
    layers = (
        layer(3.0 * np.arange(n), 0.0, 1e5, index=index, energy_MeV_u=energy)
        for index, (energy, n) in enumerate(zip((221.45, 208.60, 195.20), spots, strict=False))
    )
    return prepare(plan_of(field(*layers)), LINE).fields[0]


TREATMENT = field_of()


def delivery_of(
    room: Room,
    folder: Path,
    *,
    stream: Stream | None = None,
    orders: Inbox | Orders | None = None,
    earlier: Earlier | None = None,
    treatment: FieldTreatment = TREATMENT,
    disk: Disk | None = None,
    **options: Any,
) -> FieldDelivery:
    """The delivery of two slices of five spots in a room."""
    header = DeliveryHeader(
        number=1,
        name="spots",
        beamline_sha256="",
        plan_sha256="",
        seed=0,
        iso_per_chamber=IsocentrePerChamber(strip_x=1.0, strip_y=1.0, pixel_x=1.0, pixel_y=1.0),
    )
    task = FieldTask(treatment, LINE, earlier=earlier)
    if orders is not None and not isinstance(orders, Inbox):
        orders = OrderCallback(orders)
    folder.mkdir(parents=True, exist_ok=True)
    files = FieldFiles(FieldContent.before(folder, header, treatment.slices), disk or Disk())
    devices = room if isinstance(room, Room) else Room(room, room, room)
    return FieldDelivery(task, devices, files, stream or Stream(), orders, **options)


def delivered(room: Room, folder: Path, **options: Any) -> Noted:
    """What came of it."""
    return noted(delivery_of(room, folder, **options), folder)
