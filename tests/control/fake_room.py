"""A room that is a bench: the control law with samples made up by a test, and no simulation behind it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from spotline.control.interlocks import STOP
from spotline.control.memory import (
    DONE,
    INPUT_CONFIRMED,
    INPUT_END,
    INPUT_START,
    TREND,
    LawSettings,
    SliceMemory,
    open_parts,
)
from spotline.control.slow import SlowReading
from spotline.delivery.field import FieldDelivery, FieldTask
from spotline.delivery.recorder import FieldFiles
from spotline.delivery.stream import Stream
from spotline.machine import load_beamline
from spotline.record.assembly import FieldContent
from spotline.room import Block, Broadcast, Room, SpillResult, boards_sha256
from spotline.storage import Disk
from spotline.treatment import prepare
from spotline.treatment.headers import DeliveryHeader
from spotline.treatment.treatment import Treatment
from tests.control.bench import Bench
from tests.delivery.noted import Noted, noted
from tests.readings import GOOD
from tests.treatment.plans import field, layer, plan_of

PRE_ROLL_us = 1000
EXTRACTION_us = 20_000


class FakeRoom:
    """A room in which the beam gives one count every four microseconds while the chopper is commanded open.

    Parameters
    ----------
    reading : SlowReading or callable
        What the slow sensors say, perhaps depending on the time.
    background : tuple of float
        Background of both integral chambers, per second.
    broadcast : callable
        Code that the timing system announces when it is asked for one.
    starts_us : tuple of int
        When the spills begin.
    """

    def __init__(
        self,
        reading: SlowReading | Callable[[int], SlowReading | None] = GOOD,
        background: tuple[float, float] = (0.0, 0.0),
        broadcast: Callable[[int], int] = lambda code: code,
        starts_us: tuple[int, ...] = (1_000_000,),
    ) -> None:
        self._reading = reading
        self._background = background
        self._broadcast = broadcast
        self._starts_us = starts_us
        self.spills = 0
        self.is_off = False
        self.bench: Bench | None = None
        self._lines, self._is_confirmed = 0, False

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        start_us = self._starts_us[self.spills]
        self.spills += 1
        return Broadcast(self._broadcast(code), start_us, start_us + EXTRACTION_us)

    def beam_off(self) -> None:
        self.is_off = True

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        announced = broadcast.extraction_start_us, broadcast.extraction_end_us
        bench = Bench(memory, settings, broadcast.extraction_start_us - PRE_ROLL_us, announced)
        bench.broadcast_code = broadcast.code
        bench.events = {
            broadcast.extraction_start_us: INPUT_START,
            broadcast.extraction_end_us: INPUT_END,
        }
        bench.counts = lambda tick: (1, 1) if bench.s.chopper_open and tick % 4 == 0 else (0, 0)
        bench.inputs = self._inputs
        self._lines, self._is_confirmed = 0, False
        self.bench, self._row = bench, 0
        return boards_sha256(settings, memory)

    def run(self, max_samples: int) -> Block:
        assert self.bench is not None
        start = int(self.bench.s.tick)
        assert start < self.bench.start_tick + 10 * EXTRACTION_us, "the spill does not come to an end"
        self.bench.run_to(start + max_samples)
        s = self.bench.s
        trend, parts = np.zeros(0, TREND), open_parts(self.bench.law, self._row)
        self._row = int(s.row)
        return Block(int(s.tick) - start, s.phase == DONE, trend, int(s.spot), parts, None)

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        assert self.bench is not None
        self.bench.abort(cause, value, limit, action)

    def confirm(self) -> None:
        assert self.bench is not None
        self._is_confirmed = True

    def raise_line(self, line: int) -> None:
        self._lines |= line

    def _inputs(self, tick: int) -> int:
        """What `confirm` and `raise_line` left."""
        confirmed, self._is_confirmed = self._is_confirmed, False
        return self._lines | (INPUT_CONFIRMED if confirmed else 0)

    def result(self) -> SpillResult:
        assert self.bench is not None
        law, s = self.bench.law, self.bench.s
        return SpillResult(
            parts=law.parts[: s.row + 1],
            commands=law.commands[: s.commands],
            interlocks=law.interlocks[: s.interlocks],
            end_reason=int(s.end_reason),
            start_us=self.bench.start_tick,
            end_us=int(s.tick),
            int1_counts=int(s.total1),
            int2_counts=int(s.total2),
            truth=None,
        )

    def read(self, time_us: int) -> SlowReading | None:
        reading = self._reading(time_us) if callable(self._reading) else self._reading
        return None if reading is None else replace(reading, time_us=time_us)

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        return self._background


def one_spot_treatment() -> Treatment:
    """A single spot of 1e5 carbon ions on the axis of cnao-h."""
    return prepare(plan_of(field(layer(meterset=1e5))), load_beamline("cnao-h"))


def field_delivered(room: FakeRoom) -> Noted:
    """Deliver one spot in a room."""
    treatment = one_spot_treatment()
    header = DeliveryHeader(number=1, name="", beamline_sha256="", plan_sha256="", seed=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = FieldTask(treatment.fields[0], treatment.beamline)
        files = FieldFiles(FieldContent.before(folder, header, task.treatment.slices), Disk())
        delivery = FieldDelivery(task, Room(room, room, room), files, Stream())
        return noted(delivery, folder)
