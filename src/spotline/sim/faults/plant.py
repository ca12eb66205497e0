"""What faults change in the plant of a spill.

Each effect takes the settings of the plant and returns them changed.  Effects of several faults follow each
other in the order in which the faults were given.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spotline.beamline import BeamLine
from spotline.control.memory import INPUT_HANG, INPUT_NO_INTEGRAL, INPUT_NO_PIXEL, INPUT_NO_STRIP
from spotline.physics.ions import Ion
from spotline.sim.chambers import channel_shares
from spotline.sim.faults.timeline import LINES, Active
from spotline.sim.plant import AxisTruth, Floats, IntegralTruth, PlantSettings, SegmentedTruth

RAMPS = frozenset(
    {"int1.drift", "int2.drift", "box1.leak", "box2.leak", "box1.heating", "box2.heating"}
    | {"high_voltage1.trip", "high_voltage2.trip"}
)
"""Kinds whose effect grows with time; it is renewed every `RAMP_US`."""
RAMP_US = 1000

STUCK_COUNTS = 10.0
"""Counts of a stuck channel in every frame."""
STRETCH = 16
"""Strips of a dead stretch."""

HELD_SLEW_A_PER_US = 1e-12
"""A supply that holds its current; exactly zero would divide by zero."""
FREE_SLEW_A_PER_US = 1e9
"""Nothing but its time constant limits a current that decays."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What an effect may need to know of the spill.

    Attributes
    ----------
    beamline : BeamLine
    ion : Ion
    energy_MeV_u : float
        Of the cycle-code.
    particles_per_us : float
        Full intensity of the spill.
    time_us : int
        On the clock of the field.
    held_A : dict of Active to float
        Current at the onset of each fault that holds a read-back.
    """

    beamline: BeamLine
    ion: Ion
    energy_MeV_u: float
    particles_per_us: float
    time_us: int
    held_A: dict[Active, float]


Effect = Callable[[PlantSettings, Active, Scene], PlantSettings]


def apply_faults(truth: PlantSettings, active: Iterable[Active], scene: Scene) -> PlantSettings:
    """Return the settings of the plant with the faults that are there."""
    for fault in active:
        effect = EFFECTS.get(fault.fault.kind)
        if effect is not None:
            truth = effect(truth, fault, scene)
    return truth


def _value(active: Active) -> float:
    assert active.fault.value is not None, "checked when it was read"
    return active.fault.value


# Integral chambers


IntegralEffect = Callable[[IntegralTruth, Active, float], IntegralTruth]
"""Takes the chambers, a fault and the seconds since its onset."""


def _integral(**fields: Callable[[float, float, float], float]) -> IntegralEffect:
    """Change numbers of the chamber that the fault names: functions of the number, the value, the seconds."""

    def effect(integrals: IntegralTruth, active: Active, seconds: float) -> IntegralTruth:
        value = active.fault.value or 0.0
        changes: dict[str, Any] = {}
        for field, change in fields.items():
            name = f"{active.fault.device}_{field}"
            changes[name] = change(getattr(integrals, name), value, seconds)
        return integrals._replace(**changes)

    return effect


def _nothing(_number: float, _value: float, _seconds: float) -> float:
    return 0.0


_INTEGRAL: dict[str, IntegralEffect] = {
    "gain": _integral(counts_per_particle=lambda gain, value, _: gain * value),
    "dead": _integral(counts_per_particle=_nothing, background_per_tick=_nothing, noise_per_tick=_nothing),
    "stuck": _integral(
        counts_per_particle=_nothing, background_per_tick=lambda _rate, value, _s: 1e-6 * value
    ),
    "drift": _integral(counts_per_particle=lambda gain, value, s: gain * max(0.0, 1.0 + value * s)),
    "noise": _integral(noise_per_tick=lambda noise, value, _: noise + 1e-6 * value),
    "offset": _integral(background_per_tick=lambda rate, value, _: rate + 1e-6 * value),
    "saturated": _integral(ceiling_per_tick=lambda ceiling, value, _: min(ceiling, value)),
}


def apply_to_integrals(integrals: IntegralTruth, active: Iterable[Active], time_us: int) -> IntegralTruth:
    """Return the integral chambers with the faults of their own."""
    for fault in active:
        if fault.fault.device in ("int1", "int2"):
            integrals = _INTEGRAL[fault.fault.mode](integrals, fault, fault.seconds(time_us))
    return integrals


def _of_integral(truth: PlantSettings, active: Active, scene: Scene) -> PlantSettings:
    return truth._replace(integrals=apply_to_integrals(truth.integrals, (active,), scene.time_us))


# Segmented chambers


@functools.lru_cache(maxsize=32)
def _shares(sigma_mm: float, pitch_mm: float) -> Floats:
    return channel_shares(sigma_mm, pitch_mm)


def _planes(device: str) -> tuple[str, ...]:
    return ("pixel_x", "pixel_y") if device == "pixel" else (device,)


def _segmented(change: Callable[[SegmentedTruth, Active], SegmentedTruth], plane: str = "") -> Effect:
    """Change the chamber that the fault names, or one plane of it."""

    def effect(truth: PlantSettings, active: Active, _: Scene) -> PlantSettings:
        names = (plane,) if plane else _planes(active.fault.device)
        changes: dict[str, Any] = {name: change(getattr(truth, name), active) for name in names}
        return truth._replace(**changes)

    return effect


def _moved(chamber: SegmentedTruth, active: Active) -> SegmentedTruth:
    return chamber._replace(offset_mm=chamber.offset_mm + _value(active))


def _amplified(chamber: SegmentedTruth, active: Active) -> SegmentedTruth:
    return chamber._replace(counts_per_particle=chamber.counts_per_particle * _value(active))


def _spoil(change: Callable[[Floats, Floats, Active], float]) -> Effect:
    """Spoil the read-out; `change` alters gain and added counts in place and returns the noise."""

    def effect(truth: PlantSettings, active: Active, scene: Scene) -> PlantSettings:
        device, chambers = active.fault.device, scene.beamline.facts.chambers
        name = {"strip_x": "spoil_x", "strip_y": "spoil_y", "pixel": "spoil_pixel"}[device]
        shape = (chambers.pixels, chambers.pixels) if device == "pixel" else (chambers.strips,)
        spoil = getattr(truth, name)
        gain = spoil.gain.copy() if spoil.active else np.ones(shape)
        added = spoil.added.copy() if spoil.active else np.zeros(shape)
        # Views of one dimension: a channel number counts along the rows.
        noise = change(gain.reshape(-1), added.reshape(-1), active)
        period = truth.pixel_x.period if device == "pixel" else truth.strip_x.period
        noise = spoil.noise + 1e-6 * noise * period
        return truth._replace(**{name: spoil._replace(active=1, gain=gain, added=added, noise=noise)})

    return effect


def _dead(gain: Floats, added: Floats, _: Active) -> float:
    gain[:] = 0.0
    added[:] = 0.0
    return 0.0


def _dead_channel(gain: Floats, _: Floats, active: Active) -> float:
    channel = int(_value(active))
    gain[channel : channel + 1] = 0.0
    return 0.0


def _dead_stretch(gain: Floats, _: Floats, active: Active) -> float:
    channel = int(_value(active))
    if active.fault.device == "pixel":
        side = math.isqrt(len(gain))
        first = channel // side * side
        gain[first : first + side] = 0.0
    else:
        gain[channel : channel + STRETCH] = 0.0
    return 0.0


def _stuck_channel(gain: Floats, added: Floats, active: Active) -> float:
    channel = int(_value(active))
    gain[channel : channel + 1] = 0.0
    added[channel : channel + 1] = STUCK_COUNTS
    return 0.0


def _noisy(_gain: Floats, _added: Floats, active: Active) -> float:
    return _value(active)


_SEGMENTED: dict[str, Effect] = {
    "dead": _spoil(_dead),
    "dead_channel": _spoil(_dead_channel),
    "dead_stretch": _spoil(_dead_stretch),
    "stuck_channel": _spoil(_stuck_channel),
    "noisy": _spoil(_noisy),
    "gain": _segmented(_amplified),
}


# Magnets and beam


def _axis(plane: str, change: Callable[[AxisTruth, Active, PlantSettings, Scene], AxisTruth]) -> Effect:
    def effect(truth: PlantSettings, active: Active, scene: Scene) -> PlantSettings:
        axes: dict[str, Any] = {plane: change(getattr(truth.beam, plane), active, truth, scene)}
        return truth._replace(beam=truth.beam._replace(**axes))

    return effect


def _tripped(axis: AxisTruth, active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    return axis._replace(follows=0.0, slew_A_per_us=FREE_SLEW_A_PER_US, settling_us=_value(active))


def _held(axis: AxisTruth, _active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    return axis._replace(slew_A_per_us=HELD_SLEW_A_PER_US, settling_us=0.0)


def _slower(axis: AxisTruth, active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    factor = _value(active)
    return axis._replace(slew_A_per_us=axis.slew_A_per_us * factor, settling_us=axis.settling_us / factor)


def _shifted(axis: AxisTruth, active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    return axis._replace(offset_mm=axis.offset_mm + _value(active))


def _drifting(axis: AxisTruth, active: Active, truth: PlantSettings, _scene: Scene) -> AxisTruth:
    # The plant counts drifts from the start of extraction; this one is zero at its onset.
    per_us = 1e-6 * _value(active)
    return axis._replace(
        drift_mm_per_us=axis.drift_mm_per_us + per_us,
        offset_mm=axis.offset_mm + per_us * (truth.beam.start - active.onset_us),
    )


def _read_off(axis: AxisTruth, active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    return axis._replace(read_offset_A=axis.read_offset_A + _value(active))


def _read_stuck(axis: AxisTruth, active: Active, _truth: PlantSettings, scene: Scene) -> AxisTruth:
    held_A = scene.held_A[active]
    return axis._replace(read_gain=0.0, read_offset_A=held_A, read_noise_A=0.0)


def _unread(axis: AxisTruth, _active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    return axis._replace(read_offset_A=math.nan)


def _read_noisy(axis: AxisTruth, active: Active, _truth: PlantSettings, _scene: Scene) -> AxisTruth:
    return axis._replace(read_noise_A=math.hypot(axis.read_noise_A, _value(active)))


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


def _wider(truth: PlantSettings, active: Active, _: Scene) -> PlantSettings:
    def wide(chamber: SegmentedTruth) -> SegmentedTruth:
        sigma_mm = chamber.sigma_mm * _value(active)
        return chamber._replace(sigma_mm=sigma_mm, shares=_shares(sigma_mm, chamber.pitch_mm))

    names = ("strip_x", "strip_y", "pixel_x", "pixel_y")
    chambers: dict[str, Any] = {name: wide(getattr(truth, name)) for name in names}
    return truth._replace(**chambers)


def _wrong_energy(truth: PlantSettings, active: Active, scene: Scene) -> PlantSettings:
    """Bend the beam and ionize as at another energy."""
    ion, energy = scene.ion, scene.energy_MeV_u
    listed = scene.beamline.energies[ion.name].energy_MeV_u
    other = min(max(energy * _value(active), float(listed[0])), float(listed[-1]))
    per_count = scene.beamline.particles_per_count(ion.name, np.array([energy, other]))
    counts = float(per_count[0] / per_count[1])
    bend = ion.rigidity_T_m(energy) / ion.rigidity_T_m(other)
    beam = truth.beam
    x = beam.x._replace(mm_per_A=beam.x.mm_per_A * bend)
    y = beam.y._replace(mm_per_A=beam.y.mm_per_A * bend)
    return scaled_charge(truth._replace(beam=beam._replace(x=x, y=y)), counts, counts)


def scaled_charge(truth: PlantSettings, box1: float, box2: float) -> PlantSettings:
    """Multiply the charge that an ion makes in each box."""

    def scaled(chamber: SegmentedTruth, factor: float) -> SegmentedTruth:
        return chamber._replace(counts_per_particle=chamber.counts_per_particle * factor)

    integrals = truth.integrals
    return truth._replace(
        integrals=integrals._replace(
            int1_counts_per_particle=integrals.int1_counts_per_particle * box1,
            int2_counts_per_particle=integrals.int2_counts_per_particle * box2,
        ),
        strip_x=scaled(truth.strip_x, box1),
        strip_y=scaled(truth.strip_y, box1),
        pixel_x=scaled(truth.pixel_x, box2),
        pixel_y=scaled(truth.pixel_y, box2),
    )


def _intensity(factor: Callable[[Active], float]) -> Effect:
    def effect(truth: PlantSettings, active: Active, _: Scene) -> PlantSettings:
        per_us = truth.spill.particles_per_us * factor(active)
        return truth._replace(spill=truth.spill._replace(particles_per_us=per_us))

    return effect


def _stray(truth: PlantSettings, active: Active, scene: Scene) -> PlantSettings:
    per_us = truth.spill.stray_per_us + scene.particles_per_us * _value(active)
    return truth._replace(spill=truth.spill._replace(stray_per_us=per_us))


# Chopper, lines and events


def _slow_chopper(truth: PlantSettings, active: Active, _: Scene) -> PlantSettings:
    chopper, factor = truth.chopper, _value(active)
    return truth._replace(
        chopper=chopper._replace(
            off_delay=round(chopper.off_delay * factor),
            on_delay=round(chopper.on_delay * factor),
            off_step=chopper.off_step / factor,
            on_step=chopper.on_step / factor,
        )
    )


def _leaky(truth: PlantSettings, active: Active, _: Scene) -> PlantSettings:
    leak = max(truth.chopper.leak, _value(active))
    return truth._replace(chopper=truth.chopper._replace(leak=leak))


def _stays(field: str) -> Effect:
    def effect(truth: PlantSettings, _active: Active, _scene: Scene) -> PlantSettings:
        return truth._replace(chopper=truth.chopper._replace(**{field: 0}))

    return effect


def _input(bit: int) -> Effect:
    def effect(truth: PlantSettings, _active: Active, _scene: Scene) -> PlantSettings:
        return truth._replace(inputs=truth.inputs | bit)

    return effect


def _wrong_code(truth: PlantSettings, active: Active, _: Scene) -> PlantSettings:
    return truth._replace(broadcast_code=truth.broadcast_code + int(_value(active)))


EFFECTS: dict[str, Effect] = {
    **{f"{device}.{mode}": _of_integral for device in ("int1", "int2") for mode in _INTEGRAL},
    **{
        f"{device}.{mode}": effect
        for device in ("strip_x", "strip_y", "pixel")
        for mode, effect in _SEGMENTED.items()
    },
    "strip_x.offset": _segmented(_moved),
    "strip_y.offset": _segmented(_moved),
    "pixel.offset_x": _segmented(_moved, "pixel_x"),
    "pixel.offset_y": _segmented(_moved, "pixel_y"),
    **{
        f"magnet_{plane}.{mode}": _axis(plane, change)
        for plane in ("x", "y")
        for mode, change in _MAGNET.items()
    },
    "beam.shift_x": _axis("x", _shifted),
    "beam.shift_y": _axis("y", _shifted),
    "beam.drift_x": _axis("x", _drifting),
    "beam.drift_y": _axis("y", _drifting),
    "beam.wide": _wider,
    "beam.energy": _wrong_energy,
    "beam.spike": _intensity(_value),
    "beam.low": _intensity(_value),
    "beam.stops": _intensity(lambda _: 0.0),
    "beam.stray": _stray,
    "timing.wrong_code": _wrong_code,
    "chopper.slow": _slow_chopper,
    "chopper.stuck_open": _stays("closes"),
    "chopper.stuck_closed": _stays("opens"),
    "chopper.leak": _leaky,
    "integrals.lost": _input(INPUT_NO_INTEGRAL),
    "strips.lost": _input(INPUT_NO_STRIP),
    "pixel.lost": _input(INPUT_NO_PIXEL),
    "fast_control.hang": _input(INPUT_HANG),
    **{kind: _input(bit) for kind, bit in LINES.items()},
}
"""What each kind does to the plant.  Kinds that are not here act in `slow`, `timing` and in the room."""
