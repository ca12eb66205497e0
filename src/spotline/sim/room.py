"""The simulated room, as `spotline.room.Room` wants it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spotline.machine.true_line import TrueLine
from spotline.random import stream_key
from spotline.room import Room
from spotline.sim import settings as truths
from spotline.sim.accelerator import SimulatedAccelerator
from spotline.sim.course import Course
from spotline.sim.disk import FaultyDisk
from spotline.sim.fast_loop import SimulatedLoop, SpillHistory
from spotline.sim.faults.driver import checked
from spotline.sim.faults.model import Fault
from spotline.sim.faults.timeline import Timeline
from spotline.sim.front_end import FrontEnd
from spotline.sim.sensors import SimulatedSensors
from spotline.sim.setup import Setup


class SimulatedRoom(Room):
    """An accelerator and a nozzle of a beam line.

    Parameters
    ----------
    line : TrueLine
    field_number : int
        Number of the field, for the random numbers.
    seed : int
        Seed of the delivery.
    mounted : sequence of str
        Passive elements in the nozzle.
    raw : bool
        Whether blocks carry every frame of every chamber.
    faults : iterable of Fault
        What fails, and when.
    spills_before : int
        Spills of the field that others have delivered: the next one has the number after it.
    disk : FaultyDisk, optional
        What the delivery writes to; without one, faults of the disk change nothing.

    Raises
    ------
    FaultError
        If a fault cannot be, or names a channel that the chamber does not have.
    """

    accelerator: SimulatedAccelerator
    loop: SimulatedLoop
    sensors: SimulatedSensors

    def __init__(
        self,
        line: TrueLine,
        field_number: int,
        seed: int,
        mounted: Sequence[str] = (),
        *,
        raw: bool = False,
        faults: Iterable[Fault] = (),
        spills_before: int = 0,
        disk: FaultyDisk | None = None,
    ) -> None:
        beamline, kind = line.believed, line.believed.facts.accelerator
        setup = Setup(line, field_number, seed, tuple(mounted))
        timeline = Timeline(
            checked(faults, beamline), kind.nominal_start_us, beamline.facts.control.scan_period_us
        )
        course = Course(timeline, disk, kind.nominal_start_us(spills_before) or 0)
        front_end = FrontEnd(line, stream_key(seed, field_number, 0, truths.CAUSE_REMAINDER))
        sensors = SimulatedSensors(setup, course, front_end)
        accelerator = SimulatedAccelerator(beamline, course, spills_before)
        loop = SimulatedLoop(setup, raw, course, accelerator, sensors, front_end)
        super().__init__(accelerator, loop, sensors)

    @property
    def history(self) -> list[SpillHistory]:
        """What truly happened in every spill so far, one that ended with a crash too."""
        return self.loop.history
