"""What faults change in gas, high voltage, slow sensors and passive elements."""

from __future__ import annotations

import math
from collections.abc import Iterable

from spotline.control.memory import INPUT_HIGH_VOLTAGE
from spotline.machine import BeamLine
from spotline.sim.faults.beam import scaled_charge
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import PlantSettings
from spotline.sim.settings import GasState

LEAST_PRESSURE_PA = 1000.0
LEAST_TEMPERATURE_C = -200.0
LEAST_VOLTAGE_V = 1e-3
TRIP_US = 10_000.0
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
    f"sensor_{quantity}{number}": f"{quantity}{number}_{unit}"
    for quantity, unit in (("temperature", "C"), ("pressure", "Pa"), ("high_voltage", "V"))
    for number in (1, 2)
}
"""Numbers of a reading by the device that shows them."""


def with_faults(clean: GasState, active: Iterable[Active], time_us: int) -> GasState:
    """Gas and high voltage of both boxes with the faults that are there.

    Parameters
    ----------
    clean : GasState
        Without faults.
    active : iterable of Active
        Faults that are there at the time.
    time_us : int
        On the clock of the field.
    """
    temperatures_C = [clean.temperature1_C, clean.temperature2_C]
    pressures_Pa = [clean.pressure1_Pa, clean.pressure2_Pa]
    voltages_V = [clean.high_voltage1_V, clean.high_voltage2_V]
    for fault in active:
        kind, value, seconds = fault.fault.kind, fault.fault.value or 0.0, fault.seconds(time_us)
        for box in range(2):
            leak, heating, sag, trip, crate = KINDS_OF_BOX[box + 1]
            if kind == leak:
                pressures_Pa[box] -= value * seconds
            elif kind == heating:
                temperatures_C[box] += value * seconds
            elif kind == sag:
                voltages_V[box] -= value
            elif kind in (trip, crate):
                voltages_V[box] *= math.exp(-seconds * 1e6 / TRIP_US)
    return GasState(
        *(max(LEAST_TEMPERATURE_C, temperature_C) for temperature_C in temperatures_C),
        *(max(LEAST_PRESSURE_PA, pressure_Pa) for pressure_Pa in pressures_Pa),
        *(max(LEAST_VOLTAGE_V, voltage_V) for voltage_V in voltages_V),
    )


def high_voltage_line(beamline: BeamLine, gas: GasState) -> int:
    """The line of the high-voltage supplies, as a bit: active if either voltage is out of its interval."""
    low_V, high_V = beamline.facts.slow_interlocks.high_voltage_V
    voltages_V = (gas.high_voltage1_V, gas.high_voltage2_V)
    return 0 if all(low_V < voltage_V < high_V for voltage_V in voltages_V) else INPUT_HIGH_VOLTAGE


def apply_gas(truth: PlantSettings, beamline: BeamLine, clean: GasState, gas: GasState) -> PlantSettings:
    """Return the settings of the plant with other gas and high voltage in the boxes.

    The charge of an ion goes with the density; recombination follows the formula of the beam line also
    where the voltage is far below that of its measurements.

    Parameters
    ----------
    truth : PlantSettings
        With the clean gas of the spill.
    beamline : BeamLine
    clean : GasState
        Gas and voltage without faults.
    gas : GasState
        With them.
    """

    def density(state: GasState) -> tuple[float, float]:
        return (
            beamline.gas_factor(state.temperature1_C, state.pressure1_Pa),
            beamline.gas_factor(state.temperature2_C, state.pressure2_Pa),
        )

    density1, density2 = (now / before for now, before in zip(density(gas), density(clean), strict=True))
    lower1 = clean.high_voltage1_V / gas.high_voltage1_V
    lower2 = clean.high_voltage2_V / gas.high_voltage2_V
    truth = scaled_charge(truth, density1, density2)
    i = truth.integrals
    return truth._replace(
        integrals=i._replace(
            box1_recombination_a=i.box1_recombination_a * lower1,
            box2_recombination_a=i.box2_recombination_a * lower2,
            box1_recombination_b_per_rate=i.box1_recombination_b_per_rate * density1 * lower1**2,
            box2_recombination_b_per_rate=i.box2_recombination_b_per_rate * density2 * lower2**2,
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
