"""What faults change in the integral chambers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from spotline.sim.faults.context import Effect, FaultContext
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import IntegralTruth, PlantSettings

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


def _of_integral(truth: PlantSettings, active: Active, context: FaultContext) -> PlantSettings:
    return truth._replace(integrals=apply_to_integrals(truth.integrals, (active,), context.time_us))


EFFECTS: dict[str, Effect] = {
    f"{device}.{mode}": _of_integral for device in ("int1", "int2") for mode in _INTEGRAL
}
