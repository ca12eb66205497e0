"""Preparation: from a plan and a beam line to a treatment in machine units."""

from __future__ import annotations

from spotline.treatment.options import Options
from spotline.treatment.preparing import prepare
from spotline.treatment.treatment import FieldTreatment, Slice, Treatment

__all__ = ["FieldTreatment", "Options", "Slice", "Treatment", "prepare"]
