"""What faults change in gas, high voltage, slow sensors and passive elements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spotline.control.memory import INPUT_GAS, INPUT_HIGH_VOLTAGE
from spotline.machine import BeamLine
from spotline.machine.model import BeamLineFile
from spotline.machine.monitors import MOST_BOXES, Role
from spotline.sim.faults.beam import scaled_charge
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import PlantSettings
from spotline.sim.settings import BoxState

LEAST_PRESSURE_Pa = 1000.0
LEAST_TEMPERATURE_C = -200.0
LEAST_VOLTAGE_V = 1e-3
TRIP_us = 10_000.0
"""Time constant with which a box loses its voltage."""

KINDS_OF_BOX = {
    n: (
        f"box{n}.leak",
        f"box{n}.heating",
        f"high_voltage{n}.sag",
        f"high_voltage{n}.trip",
        "high_voltage.trip",
    )
    for n in (1, 2)
}

SENSORS = {
    f"sensor_{quantity}{number}": (number, f"{quantity}_{unit}")
    for quantity, unit in (("temperature", "C"), ("pressure", "Pa"), ("high_voltage", "V"))
    for number in (1, 2)
}
"""Number of the box, and which of its readings, by the device that shows it."""


def with_faults(
    clean: BoxState, n_boxes: int, active: Iterable[Active], time_us: int
) -> tuple[BoxState, ...]:
    """Gas and high voltage of every box with the faults that are there.

    Parameters
    ----------
    clean : BoxState
        Of all boxes without faults.
    n_boxes : int
    active : iterable of Active
        Faults that are there at the time.
    time_us : int
        On the clock of the field.
    """
    faults = tuple(active)
    return tuple(_box_with_faults(clean, number, faults, time_us) for number in range(1, n_boxes + 1))


def _box_with_faults(clean: BoxState, number: int, active: Iterable[Active], time_us: int) -> BoxState:
    temperature_C, pressure_Pa, voltage_V = clean.temperature_C, clean.pressure_Pa, clean.high_voltage_V
    leak, heating, sag, trip, crate = KINDS_OF_BOX[number]
    for fault in active:
        kind, value, seconds = fault.fault.kind, fault.fault.value or 0.0, fault.seconds(time_us)
        if kind == leak:
            pressure_Pa -= value * seconds
        elif kind == heating:
            temperature_C += value * seconds
        elif kind == sag:
            voltage_V -= value
        elif kind in (trip, crate):
            voltage_V *= math.exp(-seconds * 1e6 / TRIP_us)
    return BoxState(
        max(LEAST_TEMPERATURE_C, temperature_C),
        max(LEAST_PRESSURE_Pa, pressure_Pa),
        max(LEAST_VOLTAGE_V, voltage_V),
    )


@dataclass(frozen=True, slots=True)
class GasChange:
    """Gas and high voltage of a box with faults.

    Attributes
    ----------
    density : float
        Of the gas, relative to that without faults: the charge of an ion goes with it.
    lower : float
        High voltage without faults over that with them.
    """

    density: float = 1.0
    lower: float = 1.0


def gas_changes(beamline: BeamLine, clean: BoxState, gas: Sequence[BoxState]) -> dict[int, GasChange]:
    """What faults change in the gas of each box, by its number; boxes that are not there stay as they are."""

    def density(state: BoxState) -> float:
        return beamline.gas_factor(state.temperature_C, state.pressure_Pa)

    changes = {number: GasChange() for number in range(MOST_BOXES + 1)}
    for number, state in enumerate(gas, start=1):
        changes[number] = GasChange(
            density(state) / density(clean), clean.high_voltage_V / state.high_voltage_V
        )
    return changes


def lines_of_boxes(facts: BeamLineFile, gas: Sequence[BoxState]) -> int:
    """Lines that contacts at the boxes and their supplies close, as bits: what is out of its interval.

    Contacts, and not readings: they need nobody who asks, and no second.  What is in the gas they do not
    know.
    """
    limits = facts.slow_interlocks

    def all_within(interval: tuple[float, float], values: Iterable[float]) -> bool:
        low, high = interval
        return all(low < value < high for value in values)

    inputs = 0
    if not all_within(limits.high_voltage_V, (box.high_voltage_V for box in gas)):
        inputs |= INPUT_HIGH_VOLTAGE
    if not (
        all_within(limits.pressure_Pa, (box.pressure_Pa for box in gas))
        and all_within(limits.temperature_C, (box.temperature_C for box in gas))
    ):
        inputs |= INPUT_GAS
    return inputs


def apply_gas(truth: PlantSettings, facts: BeamLineFile, changes: Mapping[int, GasChange]) -> PlantSettings:
    """Return the settings of the plant with other gas and high voltage in the boxes.

    The charge of an ion goes with the density; recombination follows the formula of the beam line also
    where the voltage is far below that of its measurements.

    Parameters
    ----------
    truth : PlantSettings
        With the clean gas of the spill.
    facts : BeamLineFile
        Knows in which box a monitor stands.
    changes : dict of int to GasChange
        From `gas_changes`.
    """

    def change(role: Role) -> GasChange:
        return changes[facts.box_number(role)]

    truth = scaled_charge(truth, lambda role: change(role).density)
    i, one, two = truth.integrals, changes[1], changes[2]
    return truth._replace(
        integrals=i._replace(
            box1_recombination_a=i.box1_recombination_a * one.lower,
            box2_recombination_a=i.box2_recombination_a * two.lower,
            box1_recombination_b_per_rate=i.box1_recombination_b_per_rate * one.density * one.lower**2,
            box2_recombination_b_per_rate=i.box2_recombination_b_per_rate * two.density * two.lower**2,
        )
    )


def mounted_elements(
    mounted: tuple[str, ...], known: Iterable[str], active: Iterable[Active]
) -> tuple[str, ...]:
    """Passive elements that are in the nozzle with the faults that are there.

    Parameters
    ----------
    mounted : tuple of str
        Those that should be there.
    known : iterable of str
        All that the line has.
    active : iterable of Active
        Faults that are there.
    """
    others = [name for name in known if name not in mounted]
    for fault in active:
        if fault.fault.kind == "passive_elements.removed":
            mounted = mounted[1:]
        elif fault.fault.kind == "passive_elements.wrong" and others:
            mounted = (*mounted[1:], others[0])
    return mounted
