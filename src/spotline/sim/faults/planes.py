"""What faults change in the strip chambers that the law does not use: beam, and gas of their boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from spotline.sim.faults.beam import wrong_energy
from spotline.sim.faults.context import FaultContext, value_of
from spotline.sim.faults.segmented import shares_of
from spotline.sim.faults.shared import gain_in_bad_gas
from spotline.sim.faults.slow import GasChange
from spotline.sim.faults.timeline import Active
from spotline.sim.planes import PlaneTruth, stacked_shares


def planes_with(planes: PlaneTruth, active: Iterable[Active], context: FaultContext) -> PlaneTruth:
    """Return the planes with a beam of another width or energy, in bad gas, or without supply."""
    for fault in active:
        if fault.fault.kind == "beam.energy":
            _, counts = wrong_energy(fault, context)
            planes = planes._replace(counts_per_particle=planes.counts_per_particle * counts)
        elif fault.fault.kind == "gas.contaminated":
            gain = gain_in_bad_gas(fault, context)
            planes = planes._replace(counts_per_particle=planes.counts_per_particle * gain)
        elif fault.fault.kind == "front_ends.dead":
            planes = planes._replace(counts_per_particle=0.0 * planes.counts_per_particle)
        elif fault.fault.kind == "beam.wide":
            sigma_mm = planes.sigma_mm * value_of(fault)
            shares = [
                shares_of(float(sigma), float(pitch))
                for sigma, pitch in zip(sigma_mm, planes.pitch_mm, strict=True)
            ]
            planes = planes._replace(sigma_mm=sigma_mm, shares=stacked_shares(shares))
    return planes


def planes_in_gas(planes: PlaneTruth, changes: Mapping[int, GasChange]) -> PlaneTruth:
    """Return the planes with other gas in their boxes; what recombines there is of the box."""
    density = np.array([changes[int(number)].density for number in planes.box], dtype=np.float64)
    return planes._replace(counts_per_particle=planes.counts_per_particle * density)
