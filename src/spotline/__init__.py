"""Spotline: an open dose delivery system for scanned ion beams.

Research software, not a medical device.

>>> import spotline
>>> plan = spotline.read_plan("examples/uniform_carbon_60mm.dcm")      # doctest: +SKIP
>>> treatment = spotline.prepare(plan, spotline.load_beamline("cnao-h"))  # doctest: +SKIP
>>> record = spotline.deliver(treatment, "first-delivery", seed=1)       # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spotline.beamline import BeamLine, load_beamline, shipped_beamlines
    from spotline.console import open_preparation, write_preparation
    from spotline.delivery import deliver, replay, resume
    from spotline.dicom.extended_plan import write_extended_plan
    from spotline.errors import BeamLineError, OptionError, OutputError, PlanError, RecordError, SpotlineError
    from spotline.plan import Field, Layer, PassiveElement, Plan, read_plan
    from spotline.plan.continuation import continuation_plan, write_continuation_plan
    from spotline.preparation import FieldTreatment, Options, Slice, Treatment, prepare
    from spotline.record import FieldRecord, Record, open_record
    from spotline.record.merged import merge_records
    from spotline.report import write_report

# Where each name lives.  They are imported when first asked for: `spotline --help` needs none of them.
_HOMES = {
    "spotline.beamline": ("BeamLine", "load_beamline", "shipped_beamlines"),
    "spotline.console": ("open_preparation", "write_preparation"),
    "spotline.delivery": ("deliver", "replay", "resume"),
    "spotline.dicom.extended_plan": ("write_extended_plan",),
    "spotline.errors": (
        "BeamLineError",
        "OptionError",
        "OutputError",
        "PlanError",
        "RecordError",
        "SpotlineError",
    ),
    "spotline.plan": ("Field", "Layer", "PassiveElement", "Plan", "read_plan"),
    "spotline.plan.continuation": ("continuation_plan", "write_continuation_plan"),
    "spotline.preparation": ("FieldTreatment", "Options", "Slice", "Treatment", "prepare"),
    "spotline.record": ("FieldRecord", "Record", "open_record"),
    "spotline.record.merged": ("merge_records",),
    "spotline.report": ("write_report",),
}

__all__ = [
    "BeamLine",
    "BeamLineError",
    "Field",
    "FieldRecord",
    "FieldTreatment",
    "Layer",
    "OptionError",
    "Options",
    "OutputError",
    "PassiveElement",
    "Plan",
    "PlanError",
    "Record",
    "RecordError",
    "Slice",
    "SpotlineError",
    "Treatment",
    "continuation_plan",
    "deliver",
    "load_beamline",
    "merge_records",
    "open_preparation",
    "open_record",
    "prepare",
    "read_plan",
    "replay",
    "resume",
    "shipped_beamlines",
    "write_continuation_plan",
    "write_extended_plan",
    "write_preparation",
    "write_report",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            # Not importlib.import_module(home).name: `prepare` is a verb and a package.
            value = getattr(importlib.import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'spotline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
