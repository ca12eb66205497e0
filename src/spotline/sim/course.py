"""How far time has come in the simulated room, what fails in it, and whether the process still lives."""

from __future__ import annotations

from spotline.sim.disk import FaultyDisk
from spotline.sim.faults.crash import SimulatedCrash
from spotline.sim.faults.timeline import Active, Timeline


class Course:
    """The time of a simulated room, which all its devices share.

    Parameters
    ----------
    faults : Timeline
        What fails, and when.
    disk : FaultyDisk or None
        What the process writes to: faults fill it, and take its power.
    start_us : int
        Clock of the field.

    Attributes
    ----------
    clock_us : int
        How far time has come, as far as the room was asked anything.
    """

    def __init__(self, faults: Timeline, disk: FaultyDisk | None, start_us: int) -> None:
        self.faults = faults
        self.clock_us = start_us
        self._disk = disk
        self._crash: SimulatedCrash | None = None

    def live_until(self, time_us: int) -> None:
        """Let time go on between two calls of the fast loop; the process may not live to see it."""
        if self._crash is not None:
            raise self._crash
        self.clock_us = max(self.clock_us, time_us)
        crash = self.faults.first_crash()
        if crash is not None and crash.onset_us <= self.clock_us:
            self.end_with(crash)

    def end_with(self, crash: Active) -> None:
        """End the process: whoever asks anything from now on gets the same crash."""
        self._crash = SimulatedCrash(crash.fault.kind)
        if self._disk is not None and crash.fault.kind == "power.loss":
            self._disk.lose_power()
        raise self._crash

    def reach(self, time_us: int) -> None:
        """Let time come to the end of a block of samples; the disk may have filled."""
        self.clock_us = time_us
        if self._disk is not None and self.faults.is_active("disk.full", time_us):
            self._disk.fill()
