"""Stands between a delivery and its room: whatever a room raises, or answers that cannot be, ends the beam.

A room fails in ways of its own: a driver raises what the library below it raises, be it an `OSError`, and a
device may answer nonsense.  Neither is an error of the disk, nor of Spotline, nor of the user.  Here, and
nowhere else, it becomes a `RoomError`, after the beam has been told off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.control.memory import LawSettings, SliceMemory
from spotline.control.slow import SlowReading
from spotline.delivery.answers import SpillAnswers, check_background, check_broadcast, check_slow_reading
from spotline.errors import SpotlineError
from spotline.machine import BeamLine
from spotline.room import Accelerator, Block, Broadcast, FastLoop, Room, SlowSensors, SpillResult


class RoomError(Exception):
    """A call to the room failed, or its answer cannot be; the beam has been told off.

    Attributes
    ----------
    cause : int
        The interlock that it is: `ROOM_FAILURE` or `ROOM_ANSWER` of `spotline.control.interlocks`.
    """

    def __init__(self, cause: int, said: str) -> None:
        super().__init__(said)
        self.cause = cause


class Guard:
    """A room as a delivery sees it.

    Parameters
    ----------
    room : Room
        The one behind.
    beamline : BeamLine
        What its answers are held against.

    Attributes
    ----------
    accelerator : Accelerator
    loop : FastLoop
    sensors : SlowSensors
    """

    def __init__(self, room: Room, beamline: BeamLine) -> None:
        self._room = room
        self._is_loaded = False
        self.accelerator: Accelerator = _GuardedAccelerator(self, room.accelerator, beamline)
        self.loop: FastLoop = _GuardedLoop(self, room.loop)
        self.sensors: SlowSensors = _GuardedSensors(self, room.sensors, beamline)

    def spill(self, is_loaded: bool) -> None:
        """Take note that a spill is loaded, or over: only between the two there is one to abort."""
        self._is_loaded = is_loaded

    def end_beam(self) -> None:
        """Tell fast loop and accelerator that there is to be no more beam, even if they raise at that."""
        try:
            if self._is_loaded:
                with suppress(Exception):
                    self._room.loop.abort(interlocks.ROOM_FAILURE, 1.0, 0.0)
        finally:
            with suppress(Exception):
                self._room.accelerator.beam_off()

    @contextmanager
    def asks(self, call: str) -> Iterator[None]:
        """Ask the room something, and look at its answer.

        Raises
        ------
        RoomError
            If it raises an `Exception`, or its answer cannot be.  What is none, such as
            `KeyboardInterrupt`, goes on as it is.
        """
        try:
            yield
        except RoomError:
            self.end_beam()
            raise
        except BaseException as error:
            self.end_beam()
            if not isinstance(error, Exception):
                raise
            raise RoomError(interlocks.ROOM_FAILURE, f"{call}: {_described(error)}") from error

    def refuses(self, call: str, doubt: str | None) -> None:
        """Refuse an answer of which something is to be doubted."""
        if doubt is not None:
            raise RoomError(interlocks.ROOM_ANSWER, f"{call}: {doubt}")


def _described(error: Exception) -> str:
    """Type and message of an error, and where it was raised."""
    said = " ".join(str(error).split())
    frames = extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"


class _GuardedAccelerator:
    def __init__(self, guard: Guard, behind: Accelerator, beamline: BeamLine) -> None:
        self._guard, self._behind = guard, behind
        self._longest_us = round(beamline.facts.accelerator.longest_s * 1e6)

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        call = "accelerator.request_beam"
        with self._guard.asks(call):
            broadcast = self._behind.request_beam(code, after_us, gantry_angle_deg)
            self._guard.refuses(call, check_broadcast(broadcast, after_us, self._longest_us))
        return broadcast

    def beam_off(self) -> None:
        with self._guard.asks("accelerator.beam_off"):
            self._behind.beam_off()


class _GuardedLoop:
    def __init__(self, guard: Guard, behind: FastLoop) -> None:
        self._guard, self._behind = guard, behind
        self._answers: SpillAnswers

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        self._answers = SpillAnswers(settings, memory, broadcast)
        self._guard.spill(True)
        # Boards of its own: whatever becomes of them, the delivery knows what it has loaded.
        boards = SliceMemory._make(v.copy() if isinstance(v, np.ndarray) else v for v in memory)
        with self._guard.asks("loop.load"):
            return self._behind.load(settings, boards, broadcast)

    def run(self, max_samples: int) -> Block:
        with self._guard.asks("loop.run"):
            block = self._behind.run(max_samples)
            self._guard.refuses("loop.run", self._answers.doubt_of_block(block, max_samples))
        return block

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        with self._guard.asks("loop.abort"):
            self._behind.abort(cause, value, limit, action)

    def confirm(self) -> None:
        with self._guard.asks("loop.confirm"):
            self._behind.confirm()

    def raise_line(self, line: int) -> None:
        with self._guard.asks("loop.raise_line"):
            self._behind.raise_line(line)

    def result(self) -> SpillResult:
        with self._guard.asks("loop.result"):
            result = self._behind.result()
            self._guard.refuses("loop.result", self._answers.doubt_of_result(result))
        if self._answers.is_over:
            self._guard.spill(False)
        return result


class _GuardedSensors:
    def __init__(self, guard: Guard, behind: SlowSensors, beamline: BeamLine) -> None:
        self._guard, self._behind = guard, behind
        self._boxes = len(beamline.facts.boxes)

    def read(self, time_us: int) -> SlowReading | None:
        with self._guard.asks("sensors.read"):
            reading = self._behind.read(time_us)
            self._guard.refuses("sensors.read", check_slow_reading(reading, time_us, self._boxes))
        return reading

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        call = "sensors.measure_background"
        with self._guard.asks(call):
            background = self._behind.measure_background(duration_s)
            self._guard.refuses(call, check_background(background))
        return background


def room_of(make: Callable[[], Room]) -> Room:
    """Make a room; one that cannot be reached fails when it is first asked something, as any other does.

    Raises
    ------
    SpotlineError
        If what was asked for cannot be had.
    """
    try:
        return make()
    except SpotlineError:
        raise
    except Exception as error:
        device: Any = _Unreachable(error)
        return Room(device, device, device)


class _Unreachable:
    """A device of a room that could not be made."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., object]:
        raise self._error
