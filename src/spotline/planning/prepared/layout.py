"""What lies where in the folder of a preparation, and what its files have in common."""

from __future__ import annotations

import hashlib
from pathlib import Path

from spotline.machine import BeamLine
from spotline.planning.read import read_kept_plan
from spotline.treatment import prepare
from spotline.treatment.headers import PreparationHeader
from spotline.treatment.treatment import FieldTreatment, Treatment

SUMMARY = "preparation.json"
PLAN = "plan.dcm"
CYCLES = "cycle-codes.csv"
SLICES = "sld"


def treatment_of(path: Path, beamline: BeamLine, numbers: list[int]) -> Treatment:
    """Make the treatment of these fields from an extended plan, by the instructions in it."""
    plan = read_kept_plan(path)
    fields = tuple(prepare(plan, beamline, field=number).fields[0] for number in numbers)
    return Treatment(plan, beamline, fields)


def folder_of(field: FieldTreatment) -> str:
    """Name of the folder of a field."""
    return f"field-{field.field.number:02d}"


def header_of(treatment: Treatment, field: FieldTreatment) -> PreparationHeader:
    """Facts of a field that its treatment file and its slice files carry."""
    plan, line = treatment.plan, treatment.beamline
    chambers = line.facts.chambers
    return PreparationHeader(
        number=field.field.number,
        name=field.field.name,
        ion=field.beam.name,
        beamline=line.name,
        beamline_version=line.facts.version,
        beamline_sha256=line.sha256,
        plan_label=plan.label,
        plan_sha256=plan.prepared_for.plan_sha256 if plan.prepared_for else plan.sha256,
        passive_elements=field.passive_elements,
        spots=field.n_spots,
        particles=field.particles,
        slices=len(field.slices),
        gas_factors=field.gas_factors,
        temperature_C=chambers.reference_temperature_C,
        pressure_Pa=chambers.reference_pressure_Pa,
    )


def sha256_of(path: Path) -> str:
    """Hash of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
