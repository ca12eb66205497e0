"""A spill of the simulated room with a fault, what is seen of it, and what a test of the fault needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spotline.control.memory import NEVER, RING_NOT_READ, LawSettings
from spotline.control.slow import SlowReading
from spotline.machine import BeamLine
from spotline.machine.true_line import true_line_of
from spotline.room import RawSamples, SpillResult
from spotline.sim.disk import FaultyDisk
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.faults import Fault
from spotline.sim.room import SimulatedRoom
from spotline.treatment import prepare
from tests.sim.small import control_of, raw_of, small_field
from tests.treatment.plans import field, layer, plan_of

ENERGY = 221.45
SPILL_us = 16_000
ONSET_us = 5_000
"""Of most faults: the intensity is on its flat top."""
WINDOW_us = 1_000
SPOT_X_mm, SPOT_Y_mm = 30.0, -20.0
ALWAYS_us = -PRE_ROLL_us
LATE = {"at_us": ONSET_us + 600, "length_us": 4000}
"""Charge from before the onset has arrived."""


class Seen(NamedTuple):
    """A spill, as far as it was run."""

    room: SimulatedRoom
    disk: FaultyDisk
    raw: RawSamples
    result: SpillResult
    code: int
    reading: SlowReading | None

    def window(self, name: str, at_us: int = ONSET_us, length_us: int = WINDOW_us) -> np.ndarray:
        """Samples of a chamber, or others, from some time after the start of extraction."""
        period = {"integrals": 1, "strips": 50, "pixels": 100, "currents_A": 25, "inputs": 25}[name]
        first = (PRE_ROLL_us + at_us) // period
        samples: np.ndarray = getattr(self.raw, name)[first : first + length_us // period]
        assert len(samples) == length_us // period
        return samples.astype(float) if name != "inputs" else samples

    def counts(self, number: int, **when: int) -> float:
        """Counts of an integral chamber."""
        return float(self.window("integrals", **when)[:, number - 1].sum())

    def strip_mm(self, plane: int, **when: int) -> float:
        """Centre of gravity at a strip chamber."""
        counts = self.window("strips", **when)[:, plane].sum(axis=0)
        return float(counts @ (np.arange(128) - 63.5) * 1.65 / counts.sum())

    def pixel_mm(self, plane: int, **when: int) -> float:
        """The same at the pixel chamber, whose rows are along y."""
        counts = self.window("pixels", **when).sum(axis=0).sum(axis=0 if plane == 0 else 1)
        return float(counts @ (np.arange(32) - 15.5) * 6.6 / counts.sum())

    def true_mm(self, plane: int) -> float:
        """Mean true position at the isocentre."""
        truth = self.room.history[-1].truth if self.room.history else self.result.truth
        assert truth is not None
        return float(truth[:, 1 + 2 * plane].sum() / truth[:, 0].sum())


def controls(line: BeamLine, moving: bool) -> tuple[Any, Any]:
    """The small field, or one spot off the axis that takes the whole spill."""
    if moving:
        return control_of(line, small_field(line))
    plan = plan_of(field(layer(SPOT_X_mm, SPOT_Y_mm, 1e8, energy_MeV_u=ENERGY)))
    return control_of(line, prepare(plan, line).fields[0])


def tolerant(settings: LawSettings) -> LawSettings:
    """A fast control that only leads the delivery: it measures and corrects nothing."""
    wide = dict.fromkeys(
        (
            "intensity_limit1",
            "intensity_limit2",
            "position_limit_mm",
            "pixel_position_limit_mm",
            "strip_pixel_limit_mm",
            "rate_counts",
            "charge_counts",
            "unsettled_spots",
            "excess1",
            "excess2",
            "deviation_ticks",
            "no_counts_ticks",
            "off_counts",
            "data_periods",
            "event_tolerance_ticks",
            "unconfirmed_counts",
        ),
        NEVER,
    )
    never = settings.integral._replace(difference=np.inf, ratio_counts=NEVER)
    return settings._replace(integral=never, feedback_gain=0.0, ring=RING_NOT_READ, **wide)


def see(line: BeamLine, faults: tuple[Fault, ...], moving: bool = False, run_us: int = 10_000) -> Seen:
    """Run so much of the extraction of a spill, or to its end if that comes before."""
    settings, memory = controls(line, moving)
    settings = tolerant(settings)
    disk = FaultyDisk()
    room = SimulatedRoom(true_line_of(line), 1, 42, ("RIFI1", "RIFI2"), raw=True, faults=faults, disk=disk)
    broadcast = room.accelerator.request_beam(memory.cycle_code)
    room.loop.load(settings, memory, broadcast)
    blocks = [room.loop.run(1000)]
    while not blocks[-1].finished and len(blocks) * 1000 < PRE_ROLL_us + run_us:
        blocks.append(room.loop.run(1000))
    reading = room.sensors.read(broadcast.extraction_start_us + run_us)
    return Seen(room, disk, raw_of(blocks), room.loop.result(), broadcast.code - memory.cycle_code, reading)


Check = Callable[[Seen, Seen], None]


@dataclass(frozen=True)
class Case:
    """A fault and what must come of it, given the spill without and the spill with it."""

    check: Check
    value: float | None = None
    at_us: int = ONSET_us
    duration_us: int | None = None
    others: tuple[Fault, ...] = ()
    moving: bool = False
    run_us: int = 10_000
