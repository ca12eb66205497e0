"""The simulated room, as `spotline.room.Room` wants it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spotline.control.integral import trip
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    COLLECTING,
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
from spotline.control.slow import SlowReading
from spotline.machine import BeamLine
from spotline.random import stream_key
from spotline.room import Block, Broadcast, RawSamples, SpillResult
from spotline.sim import settings as truths
from spotline.sim.faults.crash import SimulatedCrash
from spotline.sim.faults.integrals import apply_to_integrals
from spotline.sim.faults.model import Fault
from spotline.sim.faults.striking import Striker, checked
from spotline.sim.faults.timeline import FOREVER_US, Active, Timeline
from spotline.sim.faults.timing import ANNOUNCED_US, code_error
from spotline.sim.front_end import FrontEnd
from spotline.sim.loop import Samples, run_block
from spotline.sim.plant import Floats, PlantSettings, PlantState
from spotline.sim.samples import new_samples, raw_samples, rest
from spotline.sim.sensors import SlowSensors
from spotline.treatment.cycle_code import decode

PRE_ROLL_US = 20_000
"""The fast loop starts this long before extraction, for the magnets to reach the first spot."""


class SpillHistory(NamedTuple):
    """What truly happened in a spill.

    Attributes
    ----------
    spill : int
        Its number.
    truth : ndarray of float, shape (n_spots, 5)
        Ions, and sums of x, x^2, y, y^2 in mm at the isocentre, for each spot in the memory boards.
    last_ion_us : int
        End of the scan period in which the last ion passed the chopper; 0: none did.
    first_interlock_us : int or None
        Sample of the first interlock.
    """

    spill: int
    truth: Floats
    last_ion_us: int
    first_interlock_us: int | None


class SimulatedRoom:
    """A synchrotron and a nozzle of a beam line.

    Parameters
    ----------
    beamline : BeamLine
        The line; its ``simulation`` table says what is true.
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

    Attributes
    ----------
    history : list of SpillHistory
        Every spill so far, one that ended with a crash too.

    Raises
    ------
    FaultError
        If a fault cannot be, or names a channel that the chamber does not have.
    """

    def __init__(
        self,
        beamline: BeamLine,
        field_number: int,
        seed: int,
        mounted: Sequence[str] = (),
        *,
        raw: bool = False,
        faults: Iterable[Fault] = (),
        spills_before: int = 0,
    ) -> None:
        self._beamline = beamline
        self._field_number = field_number
        self._seed = seed
        self._mounted = tuple(mounted)
        self._raw = raw
        self._spill = spills_before
        self._cycle = spills_before
        period_us = beamline.facts.accelerator.cycle_period_s * 1e6
        self._cycle_us = round(period_us / TREND_TICKS) * TREND_TICKS
        self._extraction_us = (
            round(beamline.facts.accelerator.spill_length_s * 1e6 / TREND_TICKS) * TREND_TICKS
        )
        self._faults = Timeline(
            checked(faults, beamline), self._cycle_us, beamline.facts.control.scan_period_us
        )
        self.history: list[SpillHistory] = []
        self._crash: SimulatedCrash | None = None
        # How far time has come, as far as the room was asked anything.
        self._clock_us = spills_before * self._cycle_us
        self._ended_us = self._clock_us  # when the fast loop ran last
        self._code_error = 0
        self._striker = Striker(beamline, self._faults)
        self._next_strike_us = FOREVER_US
        self._is_still = False
        self._sensors = SlowSensors(beamline, field_number, seed, self._mounted, self._faults)
        self._front_end = FrontEnd(beamline, stream_key(seed, field_number, 0, truths.CAUSE_REMAINDER))
        self._law: LawState
        self._settings: LawSettings
        self._memory: SliceMemory
        self._plant: PlantState
        self._truth: PlantSettings
        self._samples: Samples
        self._start_us = 0
        self._told_row = 0

    # The accelerator

    def request_cycle(self, code: int, after_us: int = 0) -> Broadcast:
        """Ask for a spill; it comes with the next cycle that begins after that time."""
        self._cycle = max(self._cycle, after_us // self._cycle_us) + 1
        start_us = self._cycle * self._cycle_us
        announced_us = max(self._clock_us, start_us - ANNOUNCED_US)
        self._live_until(announced_us)
        self._code_error = code_error(announced_us, self._faults)
        return Broadcast(code + self._code_error, start_us, start_us + self._extraction_us)

    def beam_off(self) -> None:
        """End the cycles: nothing to do, since the simulated synchrotron cycles on request only."""

    # The fast loop

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> None:
        """Load the memory boards for the announced spill."""
        facts = self._beamline.facts
        self._spill += 1  # a cycle that is asked for need not be used
        self._settings, self._memory = settings, memory
        self._start_us = broadcast.extraction_start_us - PRE_ROLL_US
        self._live_until(self._start_us)
        announced = broadcast.extraction_start_us, broadcast.extraction_end_us
        broadcast = replace(broadcast, code=broadcast.code - self._code_error)
        self._law = new_state(memory, settings, facts.chambers.strips, self._start_us, announced)
        self._aborts: list[tuple[int, int, float, float, int]] = []
        self._told_row = 0
        self._truth, ring, phases = truths.plant_settings(
            self._beamline,
            settings,
            broadcast,
            self._range_modulators(broadcast.code),
            self._seed,
            self._field_number,
            self._spill,
        )
        self._plant = self._front_end.plant(self._truth, ring, phases, self._start_us)
        self._next_strike_us = FOREVER_US
        if self._faults:
            self._striker.begin(self._truth, broadcast)
            self._plant.lines[1] |= self._faults.lines_between(self._ended_us, self._start_us)
            self._next_strike_us = self._start_us
        self._samples = new_samples(self._beamline, 0, False, np.zeros((len(memory.int1_counts), 5)))

    def run(self, max_samples: int) -> Block:
        """Run the fast loop for at most so many samples, or to the end of the spill."""
        self._live_until(self._clock_us)
        self._samples = new_samples(self._beamline, max_samples, self._raw, self._samples.truth)
        control, period = self._law.scalars[0], self._truth.period
        start_us = int(control.tick)
        goal_us = start_us + max_samples // period * period
        crash = self._faults.first_crash()
        self._play(goal_us if crash is None else min(goal_us, max(start_us, crash.onset_us)))
        finished = bool(control.phase == DONE)
        self._clock_us = self._ended_us = int(control.tick)
        if crash is not None and self._clock_us >= crash.onset_us:
            self._end_with(crash)
        if finished:
            if self._faults and self._is_beam_passing():
                self._let_beam_end()
            self._close_spill()
        n_samples = int(control.tick) - start_us
        first, self._told_row = self._told_row, int(control.row)
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

    def result(self) -> SpillResult:
        """Return what the spill left behind, and keep the remainders of charge for the next one."""
        control = self._law.scalars[0]
        self._front_end.keep(self._plant, int(control.tick))
        n_parts = int(control.row) + 1
        return SpillResult(
            parts=self._law.parts[:n_parts],
            commands=self._law.commands[: control.commands],
            interlocks=self._law.interlocks[: control.interlocks],
            end_reason=int(control.end_reason),
            start_us=self._start_us,
            end_us=int(control.tick),
            int1_counts=int(control.total1),
            int2_counts=int(control.total2),
            truth=self._samples.truth[:n_parts],
            last_ion_us=int(self._plant.beam[0].last_ion_tick),
        )

    # The slow sensors

    def read_slow_control(self, time_us: int) -> SlowReading | None:
        """Read gas and high voltage, each with the noise of its sensor; None if there is no reading."""
        self._live_until(time_us)
        return self._sensors.read(time_us)

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        """Count the background of INT1 and INT2 without beam, in whole counts."""
        self._live_until(self._clock_us)
        integrals = truths.quiet_integrals(self._beamline)
        integrals = apply_to_integrals(integrals, self._faults.active(self._clock_us), self._clock_us)
        ticks = duration_s * 1e6
        counts1 = (integrals.int1_background_per_tick + integrals.int1_noise_per_tick) * ticks
        counts2 = (integrals.int2_background_per_tick + integrals.int2_noise_per_tick) * ticks
        return (
            max(0, int(counts1 + self._front_end.int1_remainder)) / duration_s,
            max(0, int(counts2 + self._front_end.int2_remainder)) / duration_s,
        )

    @property
    def disk_is_full(self) -> bool:
        """Whether the disk takes nothing more, now."""
        return self._faults.is_active("disk.full", self._clock_us)

    def _range_modulators(self, code: int) -> int:
        """Ripple filters in the beam of the spill to be loaded."""
        modulators = self._beamline.facts.passive_elements.range_modulators
        wanted, there = (
            sum(name in modulators for name in names)
            for names in (self._mounted, self._sensors.mounted_at(self._start_us))
        )
        cycle = decode(code)
        ion = truths.ion_of(cycle).name
        focus = self._beamline.foci(ion)[cycle.focus]
        # The line knows the optics of the combinations that are used; a wrong one may be none of them.
        known = self._beamline.spot_size(ion, cycle.energy_MeV_u, focus, there) is not None
        return there if known else wanted

    # Faults, and the end of the beam

    def _live_until(self, time_us: int) -> None:
        """Let time go on between two calls of the fast loop; the process may not live to see it."""
        if self._crash is not None:
            raise self._crash
        self._clock_us = max(self._clock_us, time_us)
        crash = self._faults.first_crash()
        if crash is not None and crash.onset_us <= self._clock_us:
            self._crash = SimulatedCrash(crash.fault.kind)
            raise self._crash

    def _play(self, goal_us: int) -> None:
        """Run the compiled loop until some time or the end of the spill, with the faults as they come."""
        control, period = self._law.scalars[0], self._truth.period
        start_us = now_us = int(control.tick)
        while True:
            if now_us >= self._next_strike_us:
                self._strike(now_us)
            until_us = min(goal_us, self._next_strike_us)
            run_block(
                self._law,
                self._settings,
                self._memory,
                self._plant,
                self._truth,
                rest(self._samples, now_us - start_us, self._truth),
                (until_us - now_us) // period,
            )
            now_us = until_us
            if control.phase == DONE or now_us >= goal_us:
                return

    def _strike(self, now_us: int) -> None:
        """Bring the plant to what the faults of this moment make of it."""
        self._truth = self._striker.strike(now_us, self._plant.beam[0])
        if self._is_still:
            self._truth = self._truth._replace(inputs=self._truth.inputs | INPUT_HANG)
        self._next_strike_us = self._striker.next_us(now_us)

    def _play_on(self) -> None:
        """Follow the beam with the fast control standing still, until no more comes through the chopper."""
        truth = self._samples.truth
        end_us = self._truth.spill.end + 2 * TREND_TICKS
        self._is_still = True
        now_us = int(self._law.scalars[0].tick)
        self._next_strike_us = now_us
        while now_us < end_us and self._is_beam_passing():
            self._samples = new_samples(self._beamline, TREND_TICKS, False, truth)
            now_us = (now_us // TREND_TICKS + 1) * TREND_TICKS
            self._play(now_us)
        self._is_still = False

    def _is_beam_passing(self) -> bool:
        beam = self._plant.beam[0]
        return bool(beam.transmission > 0.0 or beam.chopper_moving == 1 or self._truth.chopper.leak > 0.0)

    def _let_beam_end(self) -> None:
        """Follow the beam that a broken chopper lets through although the fast control is done."""
        law, samples = self._law, self._samples
        scalars, safety = law.scalars.copy(), law.safety.copy()
        # The loop ends with a spill that is done; the fast control learns nothing of what follows.
        law.scalars.phase = COLLECTING
        self._play_on()
        law.scalars[:] = scalars
        law.safety[:] = safety
        self._samples = samples

    def _end_with(self, crash: Active) -> None:
        """Let the beam end without the fast control, and raise the crash."""
        self._play_on()
        self._clock_us = int(self._law.scalars[0].tick)
        self._close_spill()
        self._crash = SimulatedCrash(crash.fault.kind)
        raise self._crash

    def _close_spill(self) -> None:
        """Add the spill to the history."""
        rows = self._law.interlocks[: self._law.scalars[0].interlocks]
        self.history.append(
            SpillHistory(
                self._spill,
                self._samples.truth,
                int(self._plant.beam[0].last_ion_tick),
                int(rows[0]["tick"]) if len(rows) else None,
            )
        )

    def _taken(self, n_ticks: int) -> RawSamples:
        """What was kept of every frame of a block, and what was asked for from outside during it."""
        aborts, self._aborts = self._aborts, []
        return raw_samples(self._samples, n_ticks, self._truth, aborts)
