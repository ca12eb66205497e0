"""The accelerator of the simulated room: the kind of the line says when its beam comes."""

from __future__ import annotations

from typing import NamedTuple

from spotline.machine import BeamLine
from spotline.machine.accelerator import Before
from spotline.room import Broadcast
from spotline.sim.course import Course
from spotline.sim.faults.timing import ANNOUNCED_us, code_error
from spotline.treatment.cycle_code import decode


class Asked(NamedTuple):
    """The beam that was asked for last.

    Attributes
    ----------
    spill : int
        Its number in the field.
    code : int
        Its true cycle-code, whatever was announced.
    gantry_angle_deg : float or None
        Of the field.
    """

    spill: int
    code: int
    gantry_angle_deg: float | None


class SimulatedAccelerator:
    """An accelerator of any kind.

    Parameters
    ----------
    beamline : BeamLine
        The line; its ``accelerator`` table says of which kind.
    course : Course
        Time and faults of the room.
    spills_before : int
        Spills of the field that others have delivered.

    Attributes
    ----------
    asked : Asked
        What comes next, or is there.
    """

    asked: Asked

    def __init__(self, beamline: BeamLine, course: Course, spills_before: int) -> None:
        self._kind = beamline.facts.accelerator
        self._course = course
        self._used = spills_before
        start_us = self._kind.nominal_start_us(spills_before)
        self._before = Before(start_us, None) if start_us is not None else None

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        """Ask for a spill; it comes as the kind has it."""
        spill = self._used + 1
        energy_MeV_u = decode(code).energy_MeV_u
        start_us = self._kind.next_start_us(after_us, self._before, energy_MeV_u)
        self._before = Before(start_us, energy_MeV_u)
        self._course.faults.spill_comes(spill, start_us)
        announced_us = max(self._course.clock_us, start_us - ANNOUNCED_us)
        self._course.live_until(announced_us)
        self.asked = Asked(spill, code, gantry_angle_deg)
        error = code_error(announced_us, self._course.faults)
        return Broadcast(code + error, start_us, start_us + self._kind.length_us())

    def next_start_us(self, asked_us: int) -> int:
        """When a beam like the last one would come if it were asked for at a time."""
        assert self._before is not None, "a beam has been asked for"
        return self._kind.next_start_us(asked_us, self._before, decode(self.asked.code).energy_MeV_u)

    def use(self) -> Asked:
        """Take the beam that was asked for; one that nobody wants any more does not count."""
        self._used = self.asked.spill
        return self.asked

    def beam_off(self) -> None:
        """End the beam: nothing to do, since it comes on request only."""
