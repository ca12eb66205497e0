"""Faults of the simulated room, as data: what can fail, when it does, and what it does to the plant.

`model` has one fault and the files of them, `catalogue` all kinds there are, `timeline` says which are
active at a time, `plant` (with `integrals`, `segmented` and `beam`), `slow` and `timing` what they change.

May know the plant's numbers and the names of the law's events.  Known to the simulated room, delivery,
campaigns and faces.
"""

from spotline.sim.faults.catalogue import KINDS, FaultKind
from spotline.sim.faults.crash import SimulatedCrash
from spotline.sim.faults.drawing import draw
from spotline.sim.faults.files import format_faults, read_faults, write_faults
from spotline.sim.faults.model import Fault, check_fault

__all__ = [
    "KINDS",
    "Fault",
    "FaultKind",
    "SimulatedCrash",
    "check_fault",
    "draw",
    "format_faults",
    "read_faults",
    "write_faults",
]
