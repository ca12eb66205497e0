"""Rooms in which a test changes one device and leaves the others as they are."""

from __future__ import annotations

from spotline.control.interlocks import STOP
from spotline.control.memory import LawSettings, SliceMemory
from spotline.room import Block, Broadcast, FastLoop, SpillResult


class LoopBehind:
    """A fast loop that hands everything on to another one, for tests to do something else here and there."""

    def __init__(self, behind: FastLoop) -> None:
        self.behind = behind

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        return self.behind.load(settings, memory, broadcast)

    def run(self, max_samples: int) -> Block:
        return self.behind.run(max_samples)

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        self.behind.abort(cause, value, limit, action)

    def confirm(self) -> None:
        self.behind.confirm()

    def raise_line(self, line: int) -> None:
        self.behind.raise_line(line)

    def result(self) -> SpillResult:
        return self.behind.result()
