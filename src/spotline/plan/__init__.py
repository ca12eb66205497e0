"""Clinical intent: plans, fields, layers and spots."""

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
