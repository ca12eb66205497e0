"""The files that ``spotline dose`` is given, read."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from spotline.dicom.ct import read_ct
from spotline.dicom.dose import read_dose
from spotline.dicom.structures import read_structures
from spotline.dicom.treatment_record_reader import record_uid
from spotline.dose.calibration import read_calibration
from spotline.dose.engine.beams import Widths
from spotline.dose.evaluation.evaluate import DoseOptions
from spotline.dose.evaluation.patients import CtPatient, WaterBox
from spotline.dose.grid import DoseGrid
from spotline.dose.rbe import rbe_model
from spotline.dose.structures import StructureSet
from spotline.errors import LibraryError, OptionError
from spotline.faces.cli.dose_box import grid_of
from spotline.faces.cli.treatment import treatment_to_deliver
from spotline.faces.report.dose_folder import Provenance
from spotline.machine import BeamLine, load_beamline
from spotline.machine.library import BeamLibrary, read_library
from spotline.plan import Plan
from spotline.planning.delivered import plan_of_records
from spotline.planning.prepared.layout import SUMMARY as PREPARATION
from spotline.planning.read import read_plan
from spotline.record import Record, open_record
from spotline.record.kept import sha256_of
from spotline.treatment import Treatment

DICOM_RECORD = "record.dcm"


@dataclass(frozen=True, slots=True)
class DoseRequest:
    """The arguments of the verb, as it documents them."""

    sources: tuple[Path, ...]
    beamline: str | None
    ct: Path | None
    ct_series: str
    water_mm: float | None
    structures: Path | None
    grid_mm: float
    box: tuple[str, ...]
    rbe: str | None
    alpha_beta_Gy: float | None
    compare: Path | None
    field: int | None
    per_field: bool
    widths: Widths
    fractions: int
    library: Path | None
    plan: Path | None
    calibration: Path | None
    overrides: tuple[str, ...]
    prescriptions: tuple[str, ...]
    compared_percent: float
    quiet: bool
    tolerant: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What `spotline.evaluate` is given, by its own names, and where it comes from."""

    source: Treatment | list[Record]
    patient: CtPatient | WaterBox
    plan: Plan | None
    structures: StructureSet | None
    prescribed_Gy: dict[str, float]
    compare: dict[str, DoseGrid]
    options: DoseOptions
    provenance: Provenance


def read_inputs(request: DoseRequest) -> Inputs:
    """Read all files.

    Raises
    ------
    SpotlineError
        If anything cannot be read, arguments do not go together, or records are not of one patient.
    """
    _check(request)
    source, plan, beamline = _source(request)
    rbe = None if request.rbe is None else rbe_model(request.rbe, request.alpha_beta_Gy)
    overrides = _by_name("override", request.overrides, "RSP", "couch=0.5")
    prescribed_Gy = _by_name("prescription", request.prescriptions, "GY", "PTV=2")
    structures = None if request.structures is None else read_structures(request.structures)
    compare = {} if request.compare is None else {request.compare.name: read_dose(request.compare)}
    libraries = {} if request.library is None else _libraries(request.library, _ions(source, request.field))
    patient: CtPatient | WaterBox
    if request.water_mm is not None:
        patient = WaterBox(request.water_mm)
    else:
        assert request.ct is not None
        image = read_ct(request.ct, series_uid=request.ct_series)
        curve = None if request.calibration is None else read_calibration(request.calibration)
        patient = CtPatient(image, curve, overrides)
    # A plan that is given by hand is asked first: old records do not hold the isocentre.
    placed = plan.fields if plan is not None and request.plan is not None else ()
    options = DoseOptions(
        beamline=beamline,
        grid_mm=request.grid_mm,
        grid=grid_of(request.box, request.grid_mm, patient, structures) if request.box else None,
        rbe=rbe,
        libraries=libraries,
        fields=None if request.field is None else [request.field],
        isocentres_mm={one.number: one.isocentre_mm for one in placed if one.isocentre_mm},
        per_field=request.per_field,
        widths=request.widths,
        fractions=request.fractions,
        compared_percent=request.compared_percent,
    )
    return Inputs(
        source, patient, plan, structures, prescribed_Gy, compare, options, _provenance(request, source, plan)
    )


def _check(request: DoseRequest) -> None:
    if not request.sources:
        raise OptionError("there is no source: give a record, a plan or a preparation")
    if (request.ct is None) == (request.water_mm is None):
        raise OptionError("give either --ct (a folder) or --water (mm of water before the isocentre)")
    if not (math.isfinite(request.grid_mm) and request.grid_mm > 0.0):
        raise OptionError(f"--grid: {request.grid_mm:g} mm is no size of a voxel; give more than 0")
    if not 0.0 <= request.compared_percent <= 100.0:
        raise OptionError(
            f"--compared-percent: {request.compared_percent:g} is no part of the points; give 0 to 100"
        )
    if request.ct is None and request.ct_series:
        raise OptionError("--ct-series is about a CT: give --ct")
    if request.ct is None and (request.calibration is not None or request.overrides):
        raise OptionError("--calibration and --override are about a CT: give --ct")
    if request.overrides and request.structures is None:
        raise OptionError("--override names structures: give --structures")
    if request.prescriptions and request.structures is None:
        raise OptionError("--prescription names structures: give --structures")
    if request.rbe is None and request.alpha_beta_Gy is not None:
        raise OptionError("--alpha-beta-Gy belongs to a model of the RBE: give --rbe")


def _source(request: DoseRequest) -> tuple[Treatment | list[Record], Plan | None, BeamLine | None]:
    """The records, or the plan or preparation; their plan; and the beam line if it is another than theirs."""
    if all(path.is_dir() and not (path / PREPARATION).exists() for path in request.sources):
        records = [open_record(path) for path in request.sources]
        plan = plan_of_records(
            records, None if request.plan is None else read_plan(request.plan, tolerant=request.tolerant)
        )
        return records, plan, None if request.beamline is None else load_beamline(request.beamline)
    if len(request.sources) > 1:
        raise OptionError(
            "several sources are added only if all are folders of records; give one plan, or records"
        )
    treatment = treatment_to_deliver(
        request.sources[0], request.beamline, request.field, request.quiet, tolerant=request.tolerant
    )
    return treatment, treatment.plan, None


def _by_name(option: str, texts: tuple[str, ...], what: str, example: str) -> dict[str, float]:
    """Numbers that an option gives to structures, by their names."""
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        name = name.strip()
        try:
            said = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise OptionError(f"--{option}: {text!r} is no {option}; write NAME={what}, as in {example}")
        if found.setdefault(name, said) != said:
            raise OptionError(f"--{option}: {name} is given {found[name]:g} and {said:g}; give one")
    return found


def _ions(source: Treatment | list[Record], number: int | None) -> list[str]:
    """Names of the ions of all fields that are taken."""
    if isinstance(source, Treatment):
        found = [(one.field.number, one.field.ion.name) for one in source.fields]
    else:
        found = [(one.number, one.facts.ion) for record in source for one in record.fields]
    return list(dict.fromkeys(ion for field, ion in found if number in (None, field)))


def _libraries(folder: Path, ions: list[str]) -> dict[str, BeamLibrary]:
    """The library of each ion that is in a folder."""
    if not folder.is_dir():
        raise LibraryError(f"{folder}: is no folder; give the one that `spotline library build` wrote to")
    found: dict[str, BeamLibrary] = {}
    for path in sorted(folder.glob("*.h5")):
        library = read_library(path)
        ion = library.ion.name
        if ion in found:
            raise LibraryError(
                f"{folder}: has several libraries of {ion} ({found[ion].path}, {path}); keep one"
            )
        found[ion] = library
    missing = [ion for ion in ions if ion not in found]
    if missing:
        raise LibraryError(
            f"{folder}: has no library of {missing[0]}; build one with `spotline library build`"
        )
    return found


def _provenance(request: DoseRequest, source: Treatment | list[Record], plan: Plan | None) -> Provenance:
    inputs, uids = [], []
    if isinstance(source, Treatment):
        (path,) = request.sources
        title = source.plan.label or path.name
        named = source.plan.path if path.is_dir() else path
        inputs.append(_input("plan", named, source.plan.sha256))
    else:
        title = ", ".join(record.path.name for record in source)
        inputs += [_input("record", record.path, sha256_of(record)) for record in source]
        fields = [one for record in source for one in record.fields]
        written = [one.path / DICOM_RECORD for one in fields if (one.path / DICOM_RECORD).exists()]
        # A dose refers to all records that it is of, or to none.
        uids = [record_uid(path) for path in written] if len(written) == len(fields) else []
        if request.plan is not None and plan is not None:
            inputs.append(_input("plan", request.plan, plan.sha256))
    others = {
        "structures": request.structures,
        "calibration": request.calibration,
        "compare": request.compare,
        "CT": request.ct,
        "libraries": request.library,
        "RBE": Path(request.rbe) if request.rbe and Path(request.rbe).is_file() else None,
    }
    inputs += [_input(role, path, _hash_of(path)) for role, path in others.items() if path is not None]
    return Provenance(title, tuple(inputs), plan, tuple(uids))


def _input(role: str, path: Path, sha256: str) -> dict[str, str]:
    return {"role": role, "name": path.name, "sha256": sha256}


def _hash_of(path: Path) -> str:
    """Hash of a file, or of all files of a folder by name."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.iterdir() if p.is_file()):
        digest.update(f"{file.name}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
