"""What faults change in the scanning magnets, and in where, of which energy and how intense the beam is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from spotline.machine.monitors import Role
from spotline.sim.faults.context import Effect, FaultContext, value_of
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import AxisTruth, PlantSettings, SegmentedTruth

HELD_SLEW_A_per_us = 1e-12
"""A supply that holds its current; exactly zero would divide by zero."""
FREE_SLEW_A_per_us = 1e9
"""Nothing but its time constant limits a current that decays."""


def _axis(
    plane: str, change: Callable[[AxisTruth, Active, PlantSettings, FaultContext], AxisTruth]
) -> Effect:
    def effect(truth: PlantSettings, active: Active, context: FaultContext) -> PlantSettings:
        axes: dict[str, Any] = {plane: change(getattr(truth.beam, plane), active, truth, context)}
        return truth._replace(beam=truth.beam._replace(**axes))

    return effect


def _tripped(axis: AxisTruth, active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    return axis._replace(follows=0.0, slew_A_per_us=FREE_SLEW_A_per_us, settling_us=value_of(active))


def _held(axis: AxisTruth, _active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    return axis._replace(slew_A_per_us=HELD_SLEW_A_per_us, settling_us=0.0)


def _slower(axis: AxisTruth, active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    factor = value_of(active)
    return axis._replace(slew_A_per_us=axis.slew_A_per_us * factor, settling_us=axis.settling_us / factor)


def _shifted(axis: AxisTruth, active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    return axis._replace(offset_mm=axis.offset_mm + value_of(active))


def _drifting(axis: AxisTruth, active: Active, truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    # The plant counts drifts from the start of extraction; this one is zero at its onset.
    per_us = 1e-6 * value_of(active)
    return axis._replace(
        drift_mm_per_us=axis.drift_mm_per_us + per_us,
        offset_mm=axis.offset_mm + per_us * (truth.beam.start - active.onset_us),
    )


def _read_off(axis: AxisTruth, active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    return axis._replace(read_offset_A=axis.read_offset_A + value_of(active))


def _read_stuck(axis: AxisTruth, active: Active, _truth: PlantSettings, context: FaultContext) -> AxisTruth:
    held_A = context.held_A[active]
    return axis._replace(read_gain=0.0, read_offset_A=held_A, read_noise_A=0.0)


def _unread(axis: AxisTruth, _active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    return axis._replace(read_offset_A=math.nan)


def _read_noisy(axis: AxisTruth, active: Active, _truth: PlantSettings, _context: FaultContext) -> AxisTruth:
    return axis._replace(read_noise_A=math.hypot(axis.read_noise_A, value_of(active)))


_MAGNET = {
    "trip": _tripped,
    "stuck": _held,
    "slow": _slower,
    "offset": _shifted,
    "drift": _drifting,
    "readback_offset": _read_off,
    "readback_stuck": _read_stuck,
    "readback_lost": _unread,
    "readback_noise": _read_noisy,
}


def _wrong_energy(truth: PlantSettings, active: Active, context: FaultContext) -> PlantSettings:
    """Bend the beam and ionize as at another energy."""
    ion, energy = context.ion, context.energy_MeV_u
    other, counts = wrong_energy(active, context)
    bend = ion.rigidity_T_m(energy) / ion.rigidity_T_m(other)
    beam = truth.beam
    x = beam.x._replace(mm_per_A=beam.x.mm_per_A * bend)
    y = beam.y._replace(mm_per_A=beam.y.mm_per_A * bend)
    return scaled_charge(truth._replace(beam=beam._replace(x=x, y=y)), lambda _: counts)


def wrong_energy(active: Active, context: FaultContext) -> tuple[float, float]:
    """The true energy in MeV/u, and counts of an ion relative to those at the announced one."""
    ion, energy = context.ion, context.energy_MeV_u
    listed = context.beamline.energies[ion.name].energy_MeV_u
    other = min(max(energy * value_of(active), float(listed[0])), float(listed[-1]))
    per_count = context.beamline.particles_per_count(ion.name, np.array([energy, other]))
    return other, float(per_count[0] / per_count[1])


def scaled_charge(truth: PlantSettings, factor_of: Callable[[Role], float]) -> PlantSettings:
    """Multiply the charge that an ion makes in each monitor."""

    def scaled(chamber: SegmentedTruth, factor: float) -> SegmentedTruth:
        return chamber._replace(counts_per_particle=chamber.counts_per_particle * factor)

    integrals = truth.integrals
    return truth._replace(
        integrals=integrals._replace(
            int1_counts_per_particle=integrals.int1_counts_per_particle * factor_of("int1"),
            int2_counts_per_particle=integrals.int2_counts_per_particle * factor_of("int2"),
        ),
        strip_x=scaled(truth.strip_x, factor_of("strip_x")),
        strip_y=scaled(truth.strip_y, factor_of("strip_y")),
        pixel_x=scaled(truth.pixel_x, factor_of("pixel")),
        pixel_y=scaled(truth.pixel_y, factor_of("pixel")),
    )


def _intensity(factor: Callable[[Active], float]) -> Effect:
    def effect(truth: PlantSettings, active: Active, _: FaultContext) -> PlantSettings:
        per_us = truth.spill.particles_per_us * factor(active)
        return truth._replace(spill=truth.spill._replace(particles_per_us=per_us))

    return effect


def _stray(truth: PlantSettings, active: Active, context: FaultContext) -> PlantSettings:
    per_us = truth.spill.stray_per_us + context.particles_per_us * value_of(active)
    return truth._replace(spill=truth.spill._replace(stray_per_us=per_us))


EFFECTS: dict[str, Effect] = {
    **{
        f"magnet_{plane}.{mode}": _axis(plane, change)
        for plane in ("x", "y")
        for mode, change in _MAGNET.items()
    },
    "beam.shift_x": _axis("x", _shifted),
    "beam.shift_y": _axis("y", _shifted),
    "beam.drift_x": _axis("x", _drifting),
    "beam.drift_y": _axis("y", _drifting),
    "beam.energy": _wrong_energy,
    "beam.spike": _intensity(value_of),
    "beam.low": _intensity(value_of),
    "beam.stops": _intensity(lambda _: 0.0),
    "beam.stray": _stray,
}
