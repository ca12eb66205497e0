"""What faults change in gas, high voltage, slow sensors and passive elements."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from spotline.beamline import BeamLine
from spotline.preparation.counts import gas_factor
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import PlantSettings
from spotline.sim.settings import GasState

LEAST_PRESSURE_PA = 1000.0
LEAST_TEMPERATURE_C = -200.0
LEAST_VOLTAGE_V = 1e-3
TRIP_US = 10_000.0
"""Time constant with which a box loses its voltage."""

KINDS_OF_BOX = {
    n: (f"box{n}.leak", f"box{n}.heating", f"high_voltage{n}.sag", f"high_voltage{n}.trip") for n in (1, 2)
}


def box_state(clean: GasState, number: int, active: Iterable[Active], time_us: int) -> GasState:
    """Gas and high voltage of a box with the faults that are there.

    Parameters
    ----------
    clean : GasState
        Without faults.
    number : int
        1 or 2.
    active : iterable of Active
        Faults that are there at the time.
    time_us : int
        On the clock of the field.
    """
    temperature_C, pressure_Pa = clean.temperature_C, clean.pressure_Pa
    voltage_V = clean.high_voltage_V
    leak, heating, sag, trip = KINDS_OF_BOX[number]
    for fault in active:
        kind, value, seconds = fault.fault.kind, fault.fault.value or 0.0, fault.seconds(time_us)
        if kind == leak:
            pressure_Pa -= value * seconds
        elif kind == heating:
            temperature_C += value * seconds
        elif kind == sag:
            voltage_V -= value
        elif kind == trip:
            voltage_V *= math.exp(-seconds * 1e6 / TRIP_US)
    return GasState(
        max(LEAST_TEMPERATURE_C, temperature_C),
        max(LEAST_PRESSURE_PA, pressure_Pa),
        max(LEAST_VOLTAGE_V, voltage_V),
    )


def apply_boxes(
    truth: PlantSettings, beamline: BeamLine, clean: GasState, boxes: tuple[GasState, GasState]
) -> PlantSettings:
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
    boxes : tuple of two GasState
        Those of BOX1 and BOX2.
    """
    reference = gas_factor(clean.temperature_C, clean.pressure_Pa, beamline)
    density1, density2 = (
        gas_factor(box.temperature_C, box.pressure_Pa, beamline) / reference for box in boxes
    )
    lower1, lower2 = (clean.high_voltage_V / box.high_voltage_V for box in boxes)
    i = truth.integrals

    def scaled(name: str, density: float) -> dict[str, Any]:
        chamber = getattr(truth, name)
        return {name: chamber._replace(counts_per_particle=chamber.counts_per_particle * density)}

    return truth._replace(
        integrals=i._replace(
            int1_counts_per_particle=i.int1_counts_per_particle * density1,
            int2_counts_per_particle=i.int2_counts_per_particle * density2,
            box1_recombination_a=i.box1_recombination_a * lower1,
            box2_recombination_a=i.box2_recombination_a * lower2,
            box1_recombination_b_per_rate=i.box1_recombination_b_per_rate * density1 * lower1**2,
            box2_recombination_b_per_rate=i.box2_recombination_b_per_rate * density2 * lower2**2,
        ),
        **scaled("strip_x", density1),
        **scaled("strip_y", density1),
        **scaled("pixel_x", density2),
        **scaled("pixel_y", density2),
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
