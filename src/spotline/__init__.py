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

from spotline import moved

if TYPE_CHECKING:
    from spotline.campaign import Campaign, run_campaign
    from spotline.delivery import Delivery, DeliveryOptions, deliver, replay, resume, resumption
    from spotline.dicom.ct import read_ct
    from spotline.dicom.dose import read_dose
    from spotline.dicom.extended_plan import write_extended_plan
    from spotline.dicom.structures import read_structures
    from spotline.dose.engine.forward import DoseEngine, Patient
    from spotline.dose.engine.reconstruct import Reconstruction, reconstruct
    from spotline.dose.engine.water_and_grid import water_phantom
    from spotline.dose.evaluation.compare import compare_doses
    from spotline.dose.evaluation.evaluate import DoseOptions
    from spotline.dose.evaluation.findings import Evaluation
    from spotline.dose.evaluation.patients import CtPatient, WaterBox
    from spotline.dose.grid import DoseGrid, Grid
    from spotline.dose.online import Reconstructor
    from spotline.errors import (
        BeamLineError,
        CourseError,
        DoseError,
        FaultError,
        LibraryError,
        OptionError,
        OutputError,
        PlanError,
        RecordError,
        SpotlineError,
    )
    from spotline.faces.report import write_report
    from spotline.machine import BeamLine, load_beamline, shipped_beamlines
    from spotline.machine.library import BeamLibrary, load_library, read_library
    from spotline.machine.problems import check_beamline
    from spotline.machine.write import write_beamline
    from spotline.plan import Field, Layer, PassiveElement, Plan
    from spotline.planning.continuation import continuation_plan, write_continuation_plan
    from spotline.planning.cubes import Cube, cube_plan
    from spotline.planning.delivered import plan_of_records
    from spotline.planning.evaluated import evaluate
    from spotline.planning.phantom_plan import Setup
    from spotline.planning.prepared import open_preparation, write_preparation
    from spotline.planning.read import read_plan
    from spotline.record import FieldRecord, Record, open_record
    from spotline.record.course_folder import CourseFolder, make_course
    from spotline.record.merged import merge_records
    from spotline.sim.faults import Fault, read_faults, write_faults
    from spotline.treatment import FieldTreatment, Options, Slice, Treatment, prepare

moved.install()

# Where each name lives.  They are imported when first asked for: `spotline --help` needs none of them.
_HOMES = {
    "spotline.machine": ("BeamLine", "load_beamline", "shipped_beamlines"),
    "spotline.campaign": ("Campaign", "run_campaign"),
    "spotline.planning.prepared": ("open_preparation", "write_preparation"),
    "spotline.delivery": ("Delivery", "DeliveryOptions", "deliver", "replay", "resume", "resumption"),
    "spotline.dicom.ct": ("read_ct",),
    "spotline.dicom.dose": ("read_dose",),
    "spotline.dicom.extended_plan": ("write_extended_plan",),
    "spotline.dicom.structures": ("read_structures",),
    "spotline.dose.evaluation.compare": ("compare_doses",),
    "spotline.dose.evaluation.evaluate": ("DoseOptions",),
    "spotline.dose.evaluation.findings": ("Evaluation",),
    "spotline.dose.evaluation.patients": ("CtPatient", "WaterBox"),
    "spotline.dose.grid": ("DoseGrid", "Grid"),
    "spotline.planning.cubes": ("Cube", "cube_plan"),
    "spotline.dose.engine.forward": ("DoseEngine", "Patient"),
    "spotline.dose.engine.reconstruct": ("Reconstruction", "reconstruct"),
    "spotline.dose.engine.water_and_grid": ("water_phantom",),
    "spotline.dose.online": ("Reconstructor",),
    "spotline.errors": (
        "BeamLineError",
        "CourseError",
        "DoseError",
        "FaultError",
        "LibraryError",
        "OptionError",
        "OutputError",
        "PlanError",
        "RecordError",
        "SpotlineError",
    ),
    "spotline.machine.library": ("BeamLibrary", "load_library", "read_library"),
    "spotline.machine.problems": ("check_beamline",),
    "spotline.machine.write": ("write_beamline",),
    "spotline.plan": ("Field", "Layer", "PassiveElement", "Plan"),
    "spotline.planning.read": ("read_plan",),
    "spotline.planning.continuation": ("continuation_plan", "write_continuation_plan"),
    "spotline.planning.delivered": ("plan_of_records",),
    "spotline.planning.evaluated": ("evaluate",),
    "spotline.planning.phantom_plan": ("Setup",),
    "spotline.treatment": ("FieldTreatment", "Options", "Slice", "Treatment", "prepare"),
    "spotline.record": ("FieldRecord", "Record", "open_record"),
    "spotline.record.course_folder": ("CourseFolder", "make_course"),
    "spotline.record.merged": ("merge_records",),
    "spotline.faces.report": ("write_report",),
    "spotline.sim.faults": ("Fault", "read_faults", "write_faults"),
}

__all__ = [
    "BeamLibrary",
    "BeamLine",
    "BeamLineError",
    "Campaign",
    "CourseError",
    "CourseFolder",
    "CtPatient",
    "Cube",
    "Delivery",
    "DeliveryOptions",
    "DoseEngine",
    "DoseError",
    "DoseGrid",
    "DoseOptions",
    "Evaluation",
    "Fault",
    "FaultError",
    "Field",
    "FieldRecord",
    "FieldTreatment",
    "Grid",
    "Layer",
    "LibraryError",
    "OptionError",
    "Options",
    "OutputError",
    "PassiveElement",
    "Patient",
    "Plan",
    "PlanError",
    "Reconstruction",
    "Reconstructor",
    "Record",
    "RecordError",
    "Setup",
    "Slice",
    "SpotlineError",
    "Treatment",
    "WaterBox",
    "check_beamline",
    "compare_doses",
    "continuation_plan",
    "cube_plan",
    "deliver",
    "evaluate",
    "load_beamline",
    "load_library",
    "make_course",
    "merge_records",
    "open_preparation",
    "open_record",
    "plan_of_records",
    "prepare",
    "read_ct",
    "read_dose",
    "read_faults",
    "read_library",
    "read_plan",
    "read_structures",
    "reconstruct",
    "replay",
    "resume",
    "resumption",
    "run_campaign",
    "shipped_beamlines",
    "water_phantom",
    "write_beamline",
    "write_continuation_plan",
    "write_extended_plan",
    "write_faults",
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
