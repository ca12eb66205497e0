"""Clinical intent: plans, fields, layers and spots.

May know the machine, physics and the ground: no file format, no preparation, no record.  Known to every room
from treatment upwards.
"""

from spotline.plan.instructions import Instruction, PreparedFor
from spotline.plan.model import Continues, Field, Layer, PassiveElement, Plan

__all__ = [
    "Continues",
    "Field",
    "Instruction",
    "Layer",
    "PassiveElement",
    "Plan",
    "PreparedFor",
]
