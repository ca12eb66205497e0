"""Preparation: from a plan and a beam line to a treatment in machine units.

May know plans, the machine, the control law's numbers and physics.  Known to every room from the seam
upwards.
"""

from __future__ import annotations

from spotline.treatment.options import Options
from spotline.treatment.preparing import prepare
from spotline.treatment.treatment import FieldTreatment, Slice, Treatment

__all__ = ["FieldTreatment", "Options", "Slice", "Treatment", "prepare"]
