"""The fast loop of the simulated room: law and plant in one compiled loop, with the faults as they come."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats
from spotline.control.integral import trip
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    DONE,
    INPUT_CONFIRMED,
    INPUT_HANG,
    TREND_TICKS,
    LawSettings,
    LawState,
    SliceMemory,
    new_state,
    open_parts,
)
from spotline.control.planes import readings_of
from spotline.room import TRUTH_COLUMNS, Block, Broadcast, RawSamples, SpillResult, Table, boards_sha256
from spotline.sim import settings as truths
from spotline.sim.accelerator import SimulatedAccelerator
from spotline.sim.course import Course
from spotline.sim.faults.driver import FaultDriver
from spotline.sim.faults.timeline import Active, FOREVER_us
from spotline.sim.front_end import FrontEnd
from spotline.sim.loop import Samples, run_block
from spotline.sim.planes import PlaneReadout
from spotline.sim.plant import PlantSettings, PlantState
from spotline.sim.registers import registers_of
from spotline.sim.samples import new_samples, raw_samples, rest
from spotline.sim.sensors import SimulatedSensors
from spotline.sim.setup import Setup
from spotline.treatment.cycle_code import decode

PRE_ROLL_us = 20_000
"""The fast loop starts this long before extraction, for the magnets to reach the first spot."""


class SpillHistory(NamedTuple):
    """What truly happened in a spill.

    Attributes
    ----------
    spill : int
        Its number.
    truth : ndarray of float, shape (n_spots, TRUTH_COLUMNS)
        As `spotline.room.SpillResult.truth`, for each spot in the memory boards.
    last_ion_us : int
        End of the scan period in which the last ion passed the chopper; 0: none did.
    first_interlock_us : int or None
        Sample of the first interlock.
    """

    spill: int
    truth: Floats
    last_ion_us: int
    first_interlock_us: int | None


class SimulatedLoop:
    """The fast control and the plant of a beam line.

    Parameters
    ----------
    setup : Setup
        Line, field and seed.
    raw : bool
        Whether blocks carry every frame of every chamber.
    course : Course
        Time and faults of the room.
    accelerator : SimulatedAccelerator
        Whose beam comes.
    sensors : SimulatedSensors
        Who knows what is truly mounted.
    front_end : FrontEnd
        What the devices keep from spill to spill.

    Attributes
    ----------
    history : list of SpillHistory
        Every spill so far, one that ended with a crash too.
    """

    def __init__(
        self,
        setup: Setup,
        raw: bool,
        course: Course,
        accelerator: SimulatedAccelerator,
        sensors: SimulatedSensors,
        front_end: FrontEnd,
    ) -> None:
        self._setup = setup
        self._beamline = setup.line.believed
        self._raw = raw
        self._course = course
        self._accelerator = accelerator
        self._sensors = sensors
        self._front_end = front_end
        self._faults = course.faults
        self.history: list[SpillHistory] = []
        self._ended_us = course.clock_us  # when the loop ran last
        self._fault_driver = FaultDriver(setup.line, self._faults)
        self._next_fault_change_us = FOREVER_us
        self._is_still = False
        self._law: LawState
        self._settings: LawSettings
        self._memory: SliceMemory
        self._plant: PlantState
        self._planes: PlaneReadout
        self._has_planes = bool(self._beamline.facts.monitors_without_role)
        self._truth: PlantSettings
        self._samples: Samples
        self._samples_us = 0  # where they begin
        self._start_us = 0
        self._reported_row = 0

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        """Load the memory boards for the announced spill; return the hash of what they hold."""
        facts = self._beamline.facts
        self._settings, self._memory = settings, memory
        self._start_us = broadcast.extraction_start_us - PRE_ROLL_us
        self._course.live_until(self._start_us)
        announced = broadcast.extraction_start_us, broadcast.extraction_end_us
        asked = self._accelerator.use()
        broadcast = Broadcast(asked.code, *announced)
        self._law = new_state(memory, settings, facts.strips[0], self._start_us, announced)
        self._aborts: list[tuple[int, int, float, float, int]] = []
        self._reported_row = 0
        self._truth, planes, ring, phases = truths.plant_settings(
            self._setup.line,
            settings,
            broadcast,
            self._range_modulators(asked.code),
            self._setup.seed,
            self._setup.field_number,
            asked.spill,
            asked.gantry_angle_deg,
        )
        self._plant = self._front_end.plant(self._truth, ring, phases, self._start_us)
        self._planes = PlaneReadout(
            registers_of(facts, settings, memory),
            planes,
            self._front_end.planes(planes, self._start_us),
        )
        self._next_fault_change_us = FOREVER_us
        if self._faults:
            self._fault_driver.begin(self._truth, planes, broadcast)
            self._plant.lines[1] |= self._faults.lines_between(self._ended_us, self._start_us)
            self._next_fault_change_us = self._start_us
        self._take_samples(0, False, np.zeros((len(memory.int1_counts), TRUTH_COLUMNS)))
        return boards_sha256(self._settings, self._memory)

    def run(self, max_samples: int) -> Block:
        """Run the fast loop for at most so many samples, or to the end of the spill.

        A spill is over when the fast control is done with it and no more beam can come through the chopper.
        """
        self._course.live_until(self._course.clock_us)
        self._take_samples(max_samples, self._raw, self._samples.truth)
        control, period = self._law.scalars[0], self._truth.period
        start_us = int(control.tick)
        goal_us = start_us + max_samples // period * period
        crash = self._faults.first_crash()
        goal_us = goal_us if crash is None else min(goal_us, max(start_us, crash.onset_us))
        if control.phase != DONE:
            self._play(goal_us)
        while control.phase == DONE and control.tick < goal_us and self._may_beam_pass():
            self._play(min(goal_us, self._next_ms_us()))
        finished = bool(control.phase == DONE) and not self._may_beam_pass()
        self._ended_us = int(control.tick)
        self._course.reach(self._ended_us)
        if crash is not None and self._ended_us >= crash.onset_us:
            self._end_with(crash)
        if finished:
            self._close_spill()
        n_samples = int(control.tick) - start_us
        first, self._reported_row = self._reported_row, int(control.row)
        return Block(
            n_samples=n_samples,
            finished=finished,
            trend=self._samples.trend[: n_samples // TREND_TICKS],
            spot=int(control.spot),
            parts=open_parts(self._law, first),
            raw=self._taken(n_samples) if self._raw else None,
        )

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        """Stop the beam for a cause from outside the fast control."""
        self._aborts.append((int(self._law.scalars[0].tick), cause, value, limit, action))
        trip(self._law, cause, action, value, limit)

    def confirm(self) -> None:
        """Tell the fast control that the recovery journal holds everything so far."""
        self._plant.lines[1] |= INPUT_CONFIRMED

    def raise_line(self, line: int) -> None:
        """Activate an input of the patient interlock system for the rest of the spill."""
        self._plant.lines[0] |= line

    @property
    def interlocks(self) -> Table:
        """What has tripped in the spill so far, columns `INTERLOCK` of `spotline.control.memory`."""
        return self._law.interlocks[: self._law.scalars[0].interlocks]

    def result(self) -> SpillResult:
        """Return what the spill left behind, and keep the remainders of charge for the next one."""
        control = self._law.scalars[0]
        self._front_end.keep(self._plant, self._planes.frames, int(control.tick))
        n_parts = int(control.row) + 1
        return SpillResult(
            parts=self._law.parts[:n_parts],
            commands=self._law.commands[: control.commands],
            interlocks=self.interlocks,
            end_reason=int(control.end_reason),
            start_us=self._start_us,
            end_us=int(control.tick),
            int1_counts=int(control.total1),
            int2_counts=int(control.total2),
            truth=self._samples.truth[:n_parts],
            last_ion_us=int(self._plant.beam[0].last_ion_tick),
            readings=readings_of(self._planes.registers, n_parts) if self._has_planes else None,
            boards_sha256=boards_sha256(self._settings, self._memory),
        )

    def _range_modulators(self, code: int) -> int:
        """Ripple filters in the beam of the spill to be loaded."""
        modulators = self._beamline.facts.passive_elements.range_modulators
        wanted, there = (
            sum(name in modulators for name in names)
            for names in (self._setup.mounted, self._sensors.mounted_at(self._start_us))
        )
        cycle = decode(code)
        ion = truths.ion_of(cycle).name
        focus = self._beamline.foci(ion)[cycle.focus]
        # The line knows the optics of the combinations that are used; a wrong one may be none of them.
        known = self._beamline.spot_size(ion, cycle.energy_MeV_u, focus, there) is not None
        return there if known else wanted

    def _play(self, goal_us: int) -> None:
        """Run the compiled loop until some time or until the fast control is done, with faults as they come.

        If it is done already, until that time.
        """
        control, period = self._law.scalars[0], self._truth.period
        now_us = int(control.tick)
        rests = control.phase == DONE
        while True:
            if now_us >= self._next_fault_change_us:
                self._change_faults(now_us)
            until_us = min(goal_us, self._next_fault_change_us)
            run_block(
                self._law,
                self._settings,
                self._memory,
                self._plant,
                self._truth,
                rest(self._samples, now_us - self._samples_us, self._truth),
                self._planes if self._has_planes else None,
                (until_us - now_us) // period,
            )
            now_us = int(control.tick)
            if now_us >= goal_us or (control.phase == DONE and not rests):
                return

    def _change_faults(self, now_us: int) -> None:
        """Bring the plant to what the faults of this moment make of it."""
        self._truth, planes = self._fault_driver.settings_at(now_us, self._plant.beam[0])
        self._planes = self._planes._replace(truth=planes)
        if self._is_still:
            self._truth = self._truth._replace(inputs=self._truth.inputs | INPUT_HANG)
        self._next_fault_change_us = self._fault_driver.next_us(now_us)

    def _play_on(self) -> None:
        """Follow the beam with the fast control standing still, until no more can pass the chopper."""
        truth = self._samples.truth
        self._is_still = True
        self._next_fault_change_us = int(self._law.scalars[0].tick)
        while self._may_beam_pass():
            self._take_samples(TREND_TICKS, False, truth)
            self._play(self._next_ms_us())
        self._is_still = False

    def _take_samples(self, n_ticks: int, raw: bool, truth: Floats) -> None:
        """Make room for samples from now on."""
        self._samples = new_samples(self._beamline, n_ticks, raw, truth)
        self._samples_us = int(self._law.scalars[0].tick)

    def _next_ms_us(self) -> int:
        return (int(self._law.scalars[0].tick) // TREND_TICKS + 1) * TREND_TICKS

    def _may_beam_pass(self) -> bool:
        """Whether there may be beam, now or later in the spill, that the chopper lets through.

        After the extraction that is what comes without one, until the magnets go to the first spot of a next
        spill.
        """
        now_us, spill = int(self._law.scalars[0].tick), self._truth.spill
        end_us = spill.end + 2 * TREND_TICKS
        if spill.stray_per_us > 0.0:
            end_us = max(end_us, self._accelerator.next_start_us(end_us) - PRE_ROLL_us)
        if now_us >= end_us:
            return False
        beam, safety = self._plant.beam[0], self._law.safety[0]
        if safety.end_extraction == 1 and now_us - safety.end_extraction_tick >= spill.stop_ticks:
            return False  # the accelerator has ended the extraction
        if beam.transmission > 0.0 or beam.chopper_moving == 1 or self._truth.chopper.leak > 0.0:
            return True
        leaks = self._faults.of_kind("chopper.leak")
        return any(now_us < leak.end_us and leak.onset_us < end_us for leak in leaks)

    def _end_with(self, crash: Active) -> None:
        """Let the beam end without the fast control, and raise the crash."""
        self._play_on()
        self._course.clock_us = int(self._law.scalars[0].tick)
        self._close_spill()
        self._course.end_with(crash)

    def _close_spill(self) -> None:
        """Add the spill to the history."""
        rows = self.interlocks
        self.history.append(
            SpillHistory(
                self._accelerator.asked.spill,
                self._samples.truth,
                int(self._plant.beam[0].last_ion_tick),
                int(rows[0]["tick"]) if len(rows) else None,
            )
        )

    def _taken(self, n_ticks: int) -> RawSamples:
        """What was kept of every frame of a block, and what was asked for from outside during it."""
        aborts, self._aborts = self._aborts, []
        return raw_samples(self._samples, n_ticks, self._truth, aborts)
