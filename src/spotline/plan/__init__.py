"""Clinical intent: plans, fields, layers and spots, and the formats they are read from."""

from spotline.plan.instructions import Instruction, PreparedFor
from spotline.plan.model import Continues, Field, Layer, PassiveElement, Plan
from spotline.plan.read import read_plan

__all__ = [
    "Continues",
    "Field",
    "Instruction",
    "Layer",
    "PassiveElement",
    "Plan",
    "PreparedFor",
    "read_plan",
]
