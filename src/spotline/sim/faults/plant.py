"""What faults change in the plant of a spill: chopper, lines and data here, chambers and beam next door.

Each effect takes the settings of the plant and returns them changed.  Effects of several faults follow each
other in the order in which the faults were given.
"""

from __future__ import annotations

from collections.abc import Iterable

from spotline.control.memory import INPUT_HANG, INPUT_NO_INTEGRAL, INPUT_NO_PIXEL, INPUT_NO_STRIP
from spotline.sim.faults import beam, integrals, segmented, shared
from spotline.sim.faults.context import Effect, FaultContext, value_of
from spotline.sim.faults.timeline import LINES, Active
from spotline.sim.plant import PlantSettings


def apply_faults(truth: PlantSettings, active: Iterable[Active], context: FaultContext) -> PlantSettings:
    """Return the settings of the plant with the faults that are there."""
    for fault in active:
        effect = EFFECTS.get(fault.fault.kind)
        if effect is not None:
            truth = effect(truth, fault, context)
    return truth


def _slow_chopper(truth: PlantSettings, active: Active, _: FaultContext) -> PlantSettings:
    chopper, factor = truth.chopper, value_of(active)
    return truth._replace(
        chopper=chopper._replace(
            off_delay=round(chopper.off_delay * factor),
            on_delay=round(chopper.on_delay * factor),
            off_step=chopper.off_step / factor,
            on_step=chopper.on_step / factor,
        )
    )


def _leaky(truth: PlantSettings, active: Active, _: FaultContext) -> PlantSettings:
    leak = max(truth.chopper.leak, value_of(active))
    return truth._replace(chopper=truth.chopper._replace(leak=leak))


def _stays(field: str) -> Effect:
    def effect(truth: PlantSettings, _active: Active, _context: FaultContext) -> PlantSettings:
        return truth._replace(chopper=truth.chopper._replace(**{field: 0}))

    return effect


def _input(bit: int) -> Effect:
    def effect(truth: PlantSettings, _active: Active, _context: FaultContext) -> PlantSettings:
        return truth._replace(inputs=truth.inputs | bit)

    return effect


def _wrong_code(truth: PlantSettings, active: Active, _: FaultContext) -> PlantSettings:
    return truth._replace(broadcast_code=truth.broadcast_code + int(value_of(active)))


EFFECTS: dict[str, Effect] = {
    **integrals.EFFECTS,
    **segmented.EFFECTS,
    **beam.EFFECTS,
    **shared.EFFECTS,
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
