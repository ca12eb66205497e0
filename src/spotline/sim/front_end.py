"""What the plant of a spill begins with, and what stays of it for the next one."""

from __future__ import annotations

import numpy as np

from spotline.machine.true_line import TrueLine
from spotline.random import stream_key
from spotline.sim import settings as truths
from spotline.sim.planes import PlaneFrames, PlaneTruth, new_frames
from spotline.sim.plant import ARRIVED, BEAM, CHARGE, FrameState, PlantSettings, PlantState, SegmentedTruth


class FrontEnd:
    """What the devices keep from spill to spill: remainders of charge, currents, the chopper."""

    def __init__(self, line: TrueLine, key: int) -> None:
        facts = line.believed.facts
        (n_strips, _), (n_pixels, _) = facts.strips, facts.pixels
        generator = np.random.Generator(np.random.PCG64(key))
        self._background_per_us = truths.background_counts_per_s(line) * 1e-6
        self._ripple_amplitude = truths.ripple_amplitude(line)
        self._noise_rms = line.simulation.spill.noise_rms
        self._jitter_mm = line.simulation.beam.jitter_mm
        self.int1_remainder, self.int2_remainder = generator.random(2).tolist()
        self._strips = generator.random((2, n_strips))
        self._pixels = generator.random((n_pixels, n_pixels))
        others = [monitor.channels or 0 for monitor in facts.monitors_without_role]
        self._planes = generator.random((len(others), max(others, default=0)))
        self._currents_A = (0.0, 0.0)
        self._chopper = (0, 0, 0, 0.0)
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
        beam.chopper_command, beam.chopper_tick, beam.chopper_moving, beam.transmission = self._chopper
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

    def planes(self, truth: PlaneTruth, start_us: int) -> PlaneFrames:
        """Make the charge on its way in the planes that the law does not use, at the start of a spill."""
        background = self._background_per_us * (start_us - self._last_us)
        return new_frames(truth, _below_a_count(self._planes + background))

    def keep(self, plant: PlantState, planes: PlaneFrames, end_us: int) -> None:
        """Remember what the next spill starts from."""
        beam, charge = plant.beam[0], plant.charge[0]
        self.int1_remainder = float(charge.int1_charge - charge.int1_counted)
        self.int2_remainder = float(charge.int2_charge - charge.int2_counted)
        self._strips = np.stack([plant.strip_x.remainder, plant.strip_y.remainder])
        self._pixels = plant.pixel.remainder
        self._planes = planes.remainder
        self._currents_A = float(beam.x_current_A), float(beam.y_current_A)
        # Closed, unless it is broken.
        self._chopper = (
            int(beam.chopper_command),
            int(beam.chopper_tick),
            int(beam.chopper_moving),
            float(beam.transmission),
        )
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
