"""Deliveries without a report, which would take longer than everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import spotline
from spotline.machine import BeamLine
from spotline.machine.true_line import true_line_of
from spotline.plan import Plan
from spotline.record.model import FieldRecord, Record
from spotline.room import Broadcast, Room
from spotline.sim.room import SimulatedRoom
from spotline.treatment import FieldTreatment, Treatment
from tests.lines.facts import with_facts
from tests.places import EXAMPLES

CARBON, PROTON = EXAMPLES / "uniform_carbon_60mm.dcm", EXAMPLES / "three_layers_proton.dcm"
TWO_LAYERS = EXAMPLES / "two_layers_carbon.dcm"


def deliver(
    plan: Plan | Path, line: BeamLine, out: Path, *, field: int | None = None, **options: Any
) -> Record:
    """Prepare and deliver a plan; options as of `spotline.deliver`."""
    return spotline.deliver(treatment_of(plan, line, field), out, **options)


def treatment_of(plan: Plan | Path, line: BeamLine, field: int | None = None) -> Treatment:
    """Prepare a plan."""
    if isinstance(plan, Path):
        plan = spotline.read_plan(plan)
    return spotline.prepare(plan, line, field=field)


def deliver_field(plan: Plan | Path, line: BeamLine, out: Path, **options: Any) -> FieldRecord:
    """The same for a plan of one field."""
    (field,) = deliver(plan, line, out, **options).fields
    return field


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every treatment and spill file of a record, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.h5"))
    }


def causes(record: Record) -> list[tuple[str, str]]:
    """Name and action of every interlock."""
    return [(interlock["cause"], interlock["action"]) for interlock in record.summary["interlocks"]]


class SwitchingRoom(Room):
    """A room that is another one in some spills: two rooms that run side by side.

    Parameters
    ----------
    usual, other : Room
    spills : collection of int
        Spills, from 1, in which the other room is there.
    """

    def __init__(self, usual: Room, other: Room, spills: Collection[int]) -> None:
        switch = _Switch((usual, other), spills)
        loop, sensors = (_OfTheRoomThatIsThere(switch, name) for name in ("loop", "sensors"))
        super().__init__(switch, loop, sensors)


class _Switch:
    """Asks both accelerators, and changes rooms."""

    def __init__(self, rooms: tuple[Room, Room], spills: Collection[int]) -> None:
        self._rooms, self._spills = rooms, spills
        self.now, self._spill = rooms[0], 0

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        self._spill += 1
        broadcast, _ = (room.accelerator.request_beam(code, after_us) for room in self._rooms)
        self.now = self._rooms[self._spill in self._spills]
        return broadcast

    def beam_off(self) -> None:
        for room in self._rooms:
            room.accelerator.beam_off()


class _OfTheRoomThatIsThere:
    def __init__(self, switch: _Switch, device: str) -> None:
        self._switch, self._device = switch, device

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._switch.now, self._device), name)


def astray_in(line: BeamLine, spills: Collection[int], **truth_mm: float) -> Callable[[FieldTreatment], Room]:
    """A room in which the beam misses the spots in some spills, by centimetres unless told otherwise.

    Parameters
    ----------
    line : BeamLine
    spills : collection of int
        Spills, from 1, in which it does.
    **truth_mm : float
        Keys of ``[simulation.beam]``.
    """
    changes = {
        f"simulation.beam.{key}": value for key, value in (truth_mm or {"spill_offset_mm": 30.0}).items()
    }
    astray = with_facts(line, changes)

    def make(field: FieldTreatment) -> Room:
        number = field.field.number
        return SwitchingRoom(
            SimulatedRoom(true_line_of(line), number, 1),
            SimulatedRoom(true_line_of(astray), number, 1),
            spills,
        )

    return make
