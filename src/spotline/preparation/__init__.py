"""Preparation: from a plan and a beam line to a treatment in machine units."""

from __future__ import annotations

from spotline.preparation.options import Options
from spotline.preparation.preparing import prepare
from spotline.preparation.treatment import FieldTreatment, Slice, Treatment

__all__ = ["FieldTreatment", "Options", "Slice", "Treatment", "prepare"]
