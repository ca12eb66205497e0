"""The simulated room, as `spotline.room.Room` wants it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spotline.beamline import BeamLine
from spotline.control.integral import trip
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    DONE,
    INPUT_CONFIRMED,
    TREND,
    TREND_TICKS,
    LawSettings,
    LawState,
    SliceMemory,
    new_state,
    open_parts,
)
from spotline.control.slow import SlowReading
from spotline.room import Block, Broadcast, RawSamples, SpillResult
from spotline.sim import settings as truths
from spotline.sim.loop import Samples, run_block
from spotline.sim.plant import ARRIVED, BEAM, CHARGE, FrameState, PlantSettings, PlantState, SegmentedTruth
from spotline.sim.random import stream_key

PRE_ROLL_US = 20_000
"""The fast loop starts this long before extraction, for the magnets to reach the first spot."""


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
    spills_before : int
        Spills that the field has already had: the next one is the one after.
    """

    def __init__(
        self,
        beamline: BeamLine,
        field_number: int,
        seed: int,
        mounted: Sequence[str] = (),
        *,
        raw: bool = False,
        spills_before: int = 0,
    ) -> None:
        self._beamline = beamline
        self._field_number = field_number
        self._seed = seed
        self._mounted = tuple(mounted)
        self._raw = raw
        self._spill = spills_before
        period_us = beamline.facts.accelerator.cycle_period_s * 1e6
        self._cycle_us = round(period_us / TREND_TICKS) * TREND_TICKS
        self._extraction_us = (
            round(beamline.facts.accelerator.spill_length_s * 1e6 / TREND_TICKS) * TREND_TICKS
        )
        modulators = beamline.facts.passive_elements.range_modulators
        self._range_modulators = sum(name in modulators for name in self._mounted)
        self._front_end = _FrontEnd(beamline, stream_key(seed, field_number, 0, truths.CAUSE_REMAINDER))
        self._law: LawState
        self._settings: LawSettings
        self._memory: SliceMemory
        self._plant: PlantState
        self._truth: PlantSettings
        self._samples: Samples
        self._start_us = 0
        self._told_row = 0

    # The accelerator

    def request_cycle(self, code: int) -> Broadcast:
        """Ask for a spill; it comes one cycle after the one before."""
        self._spill += 1
        start_us = self._spill * self._cycle_us
        return Broadcast(code, start_us, start_us + self._extraction_us)

    def beam_off(self) -> None:
        """End the cycles: nothing to do, since the simulated synchrotron cycles on request only."""

    # The fast loop

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> None:
        """Load the memory boards for the announced spill."""
        facts = self._beamline.facts
        self._settings, self._memory = settings, memory
        self._start_us = broadcast.extraction_start_us - PRE_ROLL_US
        self._law = new_state(memory, settings, facts.chambers.strips, self._start_us)
        self._told_row = 0
        self._truth, ring, phases = truths.plant_settings(
            self._beamline,
            settings,
            broadcast,
            self._range_modulators,
            self._seed,
            self._field_number,
            self._spill,
        )
        self._plant = self._front_end.plant(self._truth, ring, phases, self._start_us)
        self._samples = self._new_samples(0)._replace(truth=np.zeros((len(memory.int1_counts), 5)))

    def run(self, max_samples: int) -> Block:
        """Run the fast loop for at most so many samples, or to the end of the spill."""
        n_periods = max_samples // self._truth.period
        self._samples = self._new_samples(max_samples)._replace(truth=self._samples.truth)
        done = run_block(
            self._law, self._settings, self._memory, self._plant, self._truth, self._samples, n_periods
        )
        control = self._law.scalars[0]
        n_samples = done * self._truth.period
        first, self._told_row = self._told_row, int(control.row)
        return Block(
            n_samples=n_samples,
            finished=bool(control.phase == DONE),
            trend=self._samples.trend[: n_samples // TREND_TICKS],
            spot=int(control.spot),
            parts=open_parts(self._law, first),
            raw=self._raw_samples(n_samples) if self._raw else None,
        )

    def abort(self, cause: int, value: float, limit: float) -> None:
        """Stop the beam for a cause from outside the fast control."""
        trip(self._law, cause, STOP, value, limit)

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

    def read_slow_control(self, time_us: int) -> SlowReading:
        """Read gas and high voltage, each with the noise of its sensor."""
        gas = self._beamline.facts.simulation.gas
        true = truths.gas_state(gas, time_us)
        key = stream_key(self._seed, self._field_number, time_us, truths.CAUSE_SLOW_CONTROL)
        noise = np.random.Generator(np.random.PCG64(key)).standard_normal(4)
        return SlowReading(
            time_us=time_us,
            temperature_C=true.temperature_C + gas.temperature_noise_C * noise[0],
            pressure_Pa=true.pressure_Pa + gas.pressure_noise_Pa * noise[1],
            high_voltage1_V=true.high_voltage_V + gas.high_voltage_noise_V * noise[2],
            high_voltage2_V=true.high_voltage_V + gas.high_voltage_noise_V * noise[3],
            mounted=self._mounted,
        )

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        """Count the background of INT1 and INT2 without beam, in whole counts."""
        counts = truths.background_counts_per_s(self._beamline) * duration_s
        return (
            int(counts + self._front_end.int1_remainder) / duration_s,
            int(counts + self._front_end.int2_remainder) / duration_s,
        )

    def _new_samples(self, n_ticks: int) -> Samples:
        chambers = self._beamline.facts.chambers
        n_raw = n_ticks if self._raw else 0
        control = self._beamline.facts.control
        return Samples(
            trend=np.zeros(n_ticks // TREND_TICKS, TREND).view(np.recarray),
            truth=np.zeros((0, 5)),
            raw=int(self._raw),
            integrals=np.zeros((n_raw, 2), np.uint16),
            strips=np.zeros((n_raw // control.strip_period_us, 2, chambers.strips), np.uint16),
            pixels=np.zeros((n_raw // control.pixel_period_us, chambers.pixels, chambers.pixels), np.uint16),
            currents=np.zeros((n_raw // control.scan_period_us, 4)),
            inputs=np.zeros(n_raw // control.scan_period_us, np.uint16),
        )

    def _raw_samples(self, n_ticks: int) -> RawSamples:
        samples, truth = self._samples, self._truth
        return RawSamples(
            integrals=samples.integrals[:n_ticks],
            strips=samples.strips[: n_ticks // truth.strip_x.period],
            pixels=samples.pixels[: n_ticks // truth.pixel_x.period],
            currents_A=samples.currents[: n_ticks // truth.period],
            inputs=samples.inputs[: n_ticks // truth.period],
        )


class _FrontEnd:
    """What the front-end and the magnets keep from spill to spill: remainders of charge, currents."""

    def __init__(self, beamline: BeamLine, key: int) -> None:
        chambers = beamline.facts.chambers
        generator = np.random.Generator(np.random.PCG64(key))
        self._background_per_us = truths.background_counts_per_s(beamline) * 1e-6
        self._ripple_amplitude = truths.ripple_amplitude(beamline)
        self._noise_rms = beamline.facts.simulation.spill.noise_rms
        self._jitter_mm = beamline.facts.simulation.beam.jitter_mm
        self.int1_remainder, self.int2_remainder = generator.random(2).tolist()
        self._strips = generator.random((2, chambers.strips))
        self._pixels = generator.random((chambers.pixels, chambers.pixels))
        self._currents_A = (0.0, 0.0)
        self._last_us = 0

    def plant(self, settings: PlantSettings, ring: float, phases: np.ndarray, start_us: int) -> PlantState:
        """Make the state of the plant at the start of a spill; background has gone on meanwhile."""
        background = self._background_per_us * (start_us - self._last_us)
        key = stream_key(settings.spill.key, start_us)
        noise, x_jitter, y_jitter = np.random.Generator(np.random.PCG64(key)).standard_normal(3)
        beam, charge = np.zeros(1, BEAM).view(np.recarray), np.zeros(1, CHARGE).view(np.recarray)
        beam.spill_noise = self._noise_rms * noise
        beam.x_jitter_mm, beam.y_jitter_mm = self._jitter_mm * x_jitter, self._jitter_mm * y_jitter
        beam.ring_particles = ring
        beam.x_current_A, beam.y_current_A = self._currents_A
        charge.int1_charge = float(_below_a_count(self.int1_remainder + background))
        charge.int2_charge = float(_below_a_count(self.int2_remainder + background))
        strips = _below_a_count(self._strips + background)
        return PlantState(
            beam=beam,
            charge=charge,
            arrived=np.zeros(2, ARRIVED).view(np.recarray),
            ripple=self._ripple_amplitude * np.stack([np.cos(phases), np.sin(phases)]),
            arrivals=np.zeros(settings.integrals.drift_ticks, np.int64),
            strip_x=_frames(settings.strip_x, strips[0].copy()),
            strip_y=_frames(settings.strip_y, strips[1].copy()),
            pixel=_frames(settings.pixel_x, _below_a_count(self._pixels + background)),
            lines=np.zeros(2, np.int64),
        )

    def keep(self, plant: PlantState, end_us: int) -> None:
        """Remember what the next spill starts from."""
        beam, charge = plant.beam[0], plant.charge[0]
        self.int1_remainder = float(charge.int1_charge - charge.int1_counted)
        self.int2_remainder = float(charge.int2_charge - charge.int2_counted)
        self._strips = np.stack([plant.strip_x.remainder, plant.strip_y.remainder])
        self._pixels = plant.pixel.remainder
        self._currents_A = float(beam.x_current_A), float(beam.y_current_A)
        self._last_us = end_us


def _frames(truth: SegmentedTruth, remainder: np.ndarray) -> FrameState:
    n_frames = len(truth.weights)
    return FrameState(
        deposits=np.zeros((n_frames, *remainder.shape)),
        regions=np.zeros((n_frames, 2 * remainder.ndim), np.int64),
        slot=np.zeros(1, np.int64),
        remainder=remainder,
        counts=np.zeros(remainder.shape, np.int32),
        region=np.zeros(2 * remainder.ndim, np.int64),
    )


def _below_a_count(charge: float | np.ndarray) -> np.ndarray:
    """What stays of charge when whole counts are read out; a fluctuation may have left less than nothing."""
    return np.asarray(charge - np.maximum(0.0, np.floor(charge)))
