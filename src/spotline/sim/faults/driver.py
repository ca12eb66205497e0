"""The plant of a spill, brought up to date with its faults whenever one begins, grows or ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from spotline.errors import FaultError
from spotline.machine import BeamLine
from spotline.machine.true_line import TrueLine
from spotline.room import Broadcast
from spotline.sim.faults.catalogue import KINDS
from spotline.sim.faults.context import FaultContext
from spotline.sim.faults.model import Fault, check_fault
from spotline.sim.faults.planes import planes_in_gas, planes_with
from spotline.sim.faults.plant import apply_faults
from spotline.sim.faults.slow import KINDS_OF_BOX, apply_gas, gas_changes, lines_of_boxes, with_faults
from spotline.sim.faults.timeline import Active, Timeline
from spotline.sim.faults.timing import with_events
from spotline.sim.planes import PlaneTruth
from spotline.sim.plant import PlantSettings
from spotline.sim.settings import gas_state, ion_of
from spotline.treatment.cycle_code import decode

RAMPS = frozenset(
    {"int1.drift", "int2.drift", "box1.leak", "box2.leak", "box1.heating", "box2.heating"}
    | {"high_voltage1.trip", "high_voltage2.trip", "high_voltage.trip", "gas.contaminated"}
)
"""Kinds whose effect grows with time; it is renewed every `RAMP_us`."""
RAMP_us = 1000

HALTS = ("fast_control.hang", "clock.stop")
"""Kinds with which the fast control takes no step."""
RESTART_us = 100_000
"""A fast control that hangs is started again so long after the extraction, to end its spill."""


class FaultDriver:
    """Applies faults to the settings of a plant.

    What they are at a time depends on that time alone, and on what a device held when it got stuck; not on
    how the way there was divided.

    Parameters
    ----------
    line : TrueLine
    faults : Timeline
    """

    def __init__(self, line: TrueLine, faults: Timeline) -> None:
        self._line, self._beamline = line, line.believed
        self._faults = faults
        self._held_A: dict[Active, float] = {}
        self._sound: PlantSettings
        self._planes: PlaneTruth
        self._context: FaultContext

    def begin(self, sound: PlantSettings, planes: PlaneTruth, broadcast: Broadcast) -> None:
        """Take the settings of a spill without faults."""
        cycle = decode(broadcast.code)
        self._sound = sound._replace(spill=with_events(sound.spill, self._faults))
        self._planes = planes
        self._context = FaultContext(
            beamline=self._beamline,
            ion=ion_of(cycle),
            energy_MeV_u=cycle.energy_MeV_u,
            particles_per_us=sound.spill.particles_per_us,
            time_us=0,
            held_A=self._held_A,
        )

    def settings_at(self, now_us: int, beam: Any) -> tuple[PlantSettings, PlaneTruth]:
        """Return the settings of the plant, and of the planes that the law does not use, at a time.

        Parameters
        ----------
        now_us : int
            On the clock of the field; called at every time that `next_us` gives.
        beam : record
            ``PlantState.beam[0]``.
        """
        active = self._faults.active(now_us)
        self._hold(active, beam)
        if now_us >= self._sound.spill.end + RESTART_us:
            active = tuple(fault for fault in active if fault.fault.kind not in HALTS)
        context = replace(self._context, time_us=now_us)
        truth, planes = apply_faults(self._sound, active, context), planes_with(self._planes, active, context)
        if any(fault.fault.kind in kinds for fault in active for kinds in KINDS_OF_BOX.values()):
            facts = self._beamline.facts
            clean = gas_state(self._line.simulation.gas, self._sound.spill.start)
            gas = with_faults(clean, len(facts.boxes), active, now_us)
            changes = gas_changes(self._beamline, clean, gas)
            truth = apply_gas(truth, facts, changes)
            truth = truth._replace(inputs=truth.inputs | lines_of_boxes(facts, gas))
            planes = planes_in_gas(planes, changes)
        return truth, planes

    def next_us(self, now_us: int) -> int:
        """When the settings change after a time."""
        times_us = [self._faults.next_change_us(now_us)]
        restart_us = self._sound.spill.end + RESTART_us
        if now_us < restart_us:
            times_us.append(restart_us)
        if any(active.fault.kind in RAMPS for active in self._faults.active(now_us)):
            times_us.append((now_us // RAMP_us + 1) * RAMP_us)
        return min(times_us)

    def _hold(self, active: tuple[Active, ...], beam: Any) -> None:
        """Remember the currents at which read-backs are stuck."""
        for fault in active:
            if fault.fault.mode == "readback_stuck" and fault not in self._held_A:
                current_A = beam.x_current_A if fault.fault.device == "magnet_x" else beam.y_current_A
                self._held_A[fault] = float(current_A)


def checked(faults: Iterable[Fault], beamline: BeamLine) -> Iterator[Fault]:
    """Yield faults that a beam line can have.

    Raises
    ------
    FaultError
        If there is no such kind, a number cannot be, or the line has no such monitor, box or channel.
    """
    facts = beamline.facts
    for index, fault in enumerate(faults):
        where = f"fault[{index}]"
        check_fault(fault, where)
        missing = KINDS[fault.kind].missing_on(facts.roles, len(facts.boxes))
        if missing:
            raise FaultError(
                f"{where}: {fault.kind} strikes {missing}, which {beamline.name} does not have; leave it out"
            )
        channels = facts.pixels[0] ** 2 if fault.device == "pixel" else facts.strips[0]
        if fault.mode.endswith(("_channel", "_stretch")) and (fault.value or 0.0) >= channels:
            raise FaultError(
                f"{where}: value is {fault.value:g}, but channels of {fault.device} go from 0 to "
                f"{channels - 1}; correct it"
            )
        yield fault
