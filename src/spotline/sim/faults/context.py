"""What an effect of a fault on the plant is, and what it may need to know of the spill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spotline.machine import BeamLine
from spotline.physics.ions import Ion
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import PlantSettings


@dataclass(frozen=True, slots=True)
class FaultContext:
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


Effect = Callable[[PlantSettings, Active, FaultContext], PlantSettings]
"""Takes the settings of the plant, a fault that is there and the spill."""


def value_of(active: Active) -> float:
    """Return the value of a fault whose kind has one."""
    assert active.fault.value is not None, "checked when it was read"
    return active.fault.value
