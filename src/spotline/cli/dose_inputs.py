"""What ``spotline dose`` is given, read and put together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import spotline
from spotline.beamline import BeamLine
from spotline.biology import RbeModel, rbe_model
from spotline.cli.treatment import treatment_to_deliver
from spotline.console.layout import SUMMARY as PREPARATION
from spotline.dicom.ct import read_ct
from spotline.dicom.dose import read_dose
from spotline.dicom.structures import read_structures
from spotline.dicom.treatment_record_reader import record_uid
from spotline.dose.calibration import StoppingPower, nominal_calibration, read_calibration
from spotline.dose.ct import AIR_HU
from spotline.dose.grid import DoseGrid, Grid, Point
from spotline.dose.masks import Mask, mask_of
from spotline.dose.patient import check_frame, patient
from spotline.dose.sampling import resample
from spotline.dose.structures import StructureSet
from spotline.engine.beams import FieldBeams
from spotline.engine.forward import Patient
from spotline.engine.reconstruct import reconstruct
from spotline.engine.sources import Source, beams_of
from spotline.engine.surroundings import grid_around, water_box
from spotline.errors import DoseError, LibraryError, OptionError
from spotline.library import BeamLibrary, read_library
from spotline.plan import Plan
from spotline.preparation import Treatment
from spotline.record import Record
from spotline.record.delivery_file import NAME as DELIVERY
from spotline.record.delivery_file import PLANS, read_delivery
from spotline.report.dose_case import Case

Told = Callable[[int, int], None] | None

DICOM_RECORD = "record.dcm"


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of the verb, as it documents them."""

    sources: tuple[Path, ...]
    beamline: str | None
    ct: Path | None
    water_mm: float | None
    structures: Path | None
    grid_mm: float
    rbe: str | None
    alpha_beta_Gy: float | None
    compare: Path | None
    field: int | None
    per_field: bool
    library: Path | None
    plan: Path | None
    calibration: Path | None
    overrides: tuple[str, ...]
    quiet: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """The source, and what is known of its plan."""

    source: Source
    title: str
    line: BeamLine
    plan: Plan | None
    isocentres_mm: dict[int, Point]
    record_uids: tuple[str, ...]
    inputs: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Met:
    """What the beams meet, and where dose is wanted."""

    power: StoppingPower
    patient: Patient
    grid: Grid
    image: np.ndarray
    image_kind: str
    notes: tuple[str, ...]


def prepare_case(asked: Asked, told: Told) -> Case:
    """Read everything, compute the dose, and put both together.

    Raises
    ------
    SpotlineError
        If anything cannot be read, is missing, or does not go with the rest.
    """
    _check(asked)
    read = _read(asked)
    model = None if asked.rbe is None else rbe_model(asked.rbe, asked.alpha_beta_Gy)
    numbers = None if asked.field is None else [asked.field]
    structures = None if asked.structures is None else read_structures(asked.structures)
    notes: list[str] = []
    read = _with_isocentres(read, asked, notes)
    beams = beams_of(read.source, read.line, fields=numbers, isocentres_mm=read.isocentres_mm)
    every = [one for group in beams.beams.values() for one in group]
    ions = list(dict.fromkeys(one.ion.name for one in every))
    libraries = None if asked.library is None else _libraries(asked.library, ions)
    met = _meet(asked, read, every, structures)
    done = reconstruct(
        read.source,
        read.line,
        met.patient,
        met.grid,
        rbe=model,
        libraries=libraries,
        fields=numbers,
        isocentres_mm=read.isocentres_mm,
        per_field=asked.per_field,
        progress=told,
    )
    masks = _masks(structures, met.grid, notes)
    compare = _comparison(asked, read, done.fractions, notes)
    identity = {} if read.plan is None else read.plan.identity
    frame = met.power.frame_of_reference_uid or identity.get("FrameOfReferenceUID", "")
    return Case(
        title=read.title,
        reconstruction=done,
        beamline=read.line,
        image=met.image,
        image_kind=met.image_kind,
        structures=masks,
        compare=compare,
        compare_name="" if asked.compare is None else asked.compare.name,
        rbe="" if model is None else model.name,
        inputs=read.inputs + _others(asked, model),
        identity=identity,
        frame_of_reference_uid=frame,
        plan_uid=identity.get("SOPInstanceUID", ""),
        record_uids=read.record_uids,
        fraction_group=1 if read.plan is None else read.plan.fraction_group,
        notes=tuple(dict.fromkeys([*done.notes, *met.notes, *notes])),
    )


def _check(asked: Asked) -> None:
    if not asked.sources:
        raise OptionError("there is no source: give a record, a plan or a preparation")
    if (asked.ct is None) == (asked.water_mm is None):
        raise OptionError("give either --ct (a folder) or --water (mm of water before the isocentre)")
    if not (math.isfinite(asked.grid_mm) and asked.grid_mm > 0.0):
        raise OptionError(f"--grid: {asked.grid_mm:g} mm is no size of a voxel; give more than 0")
    if asked.ct is None and (asked.calibration is not None or asked.overrides):
        raise OptionError("--calibration and --override are about a CT: give --ct")
    if asked.overrides and asked.structures is None:
        raise OptionError("--override names structures: give --structures")
    if asked.rbe is None and asked.alpha_beta_Gy is not None:
        raise OptionError("--alpha-beta-Gy belongs to a model of the RBE: give --rbe")


def _is_record(path: Path) -> bool:
    return path.is_dir() and not (path / PREPARATION).exists()


def _read(asked: Asked) -> _Read:
    are_records = [_is_record(path) for path in asked.sources]
    if all(are_records):
        return _read_records(asked)
    if len(asked.sources) > 1:
        raise OptionError(
            "several sources are added only if all are folders of records; give one plan, or records"
        )
    (path,) = asked.sources
    treatment = treatment_to_deliver(path, asked.beamline, asked.field, asked.quiet)
    plan = treatment.plan
    named = plan.path if path.is_dir() else path
    inputs = ({"role": "plan", "name": named.name, "sha256": plan.sha256},)
    return _Read(treatment, plan.label or path.name, treatment.beamline, plan, {}, (), inputs)


def _read_records(asked: Asked) -> _Read:
    records = [spotline.open_record(path) for path in asked.sources]
    line = spotline.load_beamline(asked.beamline or _line_of(records[0]))
    plan = spotline.read_plan(asked.plan) if asked.plan is not None else _plan_of(records[0])
    uids, inputs = [], []
    for record in records:
        inputs.append({"role": "record", "name": record.path.name, "sha256": _hash_of_record(record)})
        for field in record.fields:
            path = field.path / DICOM_RECORD
            if path.exists():
                uids.append(record_uid(path))
    if asked.plan is not None:
        assert plan is not None
        inputs.append({"role": "plan", "name": asked.plan.name, "sha256": plan.sha256})
    places = {} if plan is None else {f.number: f.isocentre_mm for f in plan.fields if f.isocentre_mm}
    known = {
        field.number
        for record in records
        for field in record.fields
        if field.header.get("isocentre_mm") is not None and asked.plan is None
    }
    return _Read(
        records,
        ", ".join(record.path.name for record in records),
        line,
        plan,
        {number: at for number, at in places.items() if number not in known},
        tuple(uids) if len(uids) == sum(len(record.fields) for record in records) else (),
        tuple(inputs),
    )


def _line_of(record: Record) -> str:
    if (record.path / DELIVERY).exists():
        delivery = read_delivery(record.path)
        return str(delivery["beamline_path"] or delivery["beamline"])
    if not record.fields:
        raise DoseError(f"{record.path}: no field was delivered, so there is no dose")
    return str(record.fields[0].header["beamline"])


def _plan_of(record: Record) -> Plan | None:
    """The copy of the plan that a delivery keeps, if there is one."""
    if not (record.path / DELIVERY).exists():
        return None
    name = read_delivery(record.path)["plan"]
    path = record.path / PLANS / str(name)
    return spotline.read_plan(path) if name is not None and path.exists() else None


def _with_isocentres(read: _Read, asked: Asked, notes: list[str]) -> _Read:
    """Water can lie around any point: where no isocentre is known, the origin is one."""
    if asked.water_mm is None:
        return read
    found: dict[int, Point | None]
    if isinstance(read.source, Treatment):
        found = {one.field.number: one.field.isocentre_mm for one in read.source.fields}
    else:
        records = [read.source] if isinstance(read.source, Record) else read.source
        found = {f.number: f.header.get("isocentre_mm") for record in records for f in record.fields}
    lost = [number for number, at in found.items() if at is None and number not in read.isocentres_mm]
    if lost:
        notes.append(
            f"field {', '.join(map(str, lost))}: no isocentre is known; it is taken as (0, 0, 0) in the water"
        )
    return replace(read, isocentres_mm={**read.isocentres_mm, **dict.fromkeys(lost, (0.0, 0.0, 0.0))})


def _meet(asked: Asked, read: _Read, beams: list[FieldBeams], structures: StructureSet | None) -> _Met:
    if asked.water_mm is not None:
        box = water_box(beams, read.line, asked.water_mm, asked.grid_mm)
        return _Met(box, Patient(box.rsp, box.grid), box.grid, box.rsp, "the water", ())
    assert asked.ct is not None
    image = read_ct(asked.ct)
    identity = {} if read.plan is None else read.plan.identity
    frame = identity.get("FrameOfReferenceUID", "")
    is_for_a_device = identity.get("RTPlanGeometry", "") == "TREATMENT_DEVICE"
    if not is_for_a_device:
        check_frame(image.frame_of_reference_uid, "CT", frame, "plan")
    curve = nominal_calibration() if asked.calibration is None else read_calibration(asked.calibration)
    power = patient(image, curve, structures, _overrides(asked.overrides))
    notes = [*image.notes, *power.notes]
    if is_for_a_device:
        notes.append("the plan is for a device and no patient; its isocentre is taken as a point of the CT")
    if asked.calibration is None:
        notes.append(
            "the curve from HU to stopping power is a nominal one, of no real scanner (--calibration)"
        )
    position = image.patient_position or identity.get("PatientPosition", "")
    if not position:
        position = "HFS"
        notes.append("neither CT nor plan say how the patient lies; head first, supine (HFS) is taken")
    grid = grid_around(beams, read.line, power, position, asked.grid_mm)
    hu = resample(image.hu, image.grid, grid, outside=AIR_HU, what="CT")
    return _Met(power, Patient(power.rsp, power.grid, position), grid, hu, "the CT", tuple(notes))


def _overrides(texts: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise OptionError(f"--override: {text!r} is no override; write NAME=RSP, as in couch=0.5")
    return found


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


def _masks(structures: StructureSet | None, grid: Grid, notes: list[str]) -> tuple[Mask, ...]:
    """Structures on the dose grid; what lies outside is told and left out."""
    if structures is None:
        return ()
    masks = []
    notes += structures.notes
    for one in structures.structures:
        try:
            mask = mask_of(one, grid)
        except DoseError:
            notes.append(f"structure {one.name} lies outside of the dose grid; nothing is said about it")
            continue
        masks.append(mask)
        notes += mask.notes
    return tuple(masks)


def _comparison(asked: Asked, read: _Read, fractions: int, notes: list[str]) -> DoseGrid | None:
    """The dose to compare with, of as many fractions as ours."""
    if asked.compare is None:
        return None
    dose = read_dose(asked.compare)
    planned = 1 if read.plan is None else read.plan.fractions_planned
    if dose.summation == "PLAN" and planned != fractions:
        factor = fractions / planned
        notes.append(
            f"{asked.compare.name}: is of all {planned} fractions of the plan (Dose Summation Type PLAN); it "
            f"is taken times {factor:.4g}, for {fractions}"
        )
        return replace(dose, dose_Gy=dose.dose_Gy * np.float32(factor))
    return dose


def _others(asked: Asked, model: RbeModel | None) -> tuple[dict[str, str], ...]:
    """Name and hash of every other file that was read."""
    files = {
        "structures": asked.structures,
        "calibration": asked.calibration,
        "compare": asked.compare,
        "CT": asked.ct,
        "libraries": asked.library,
        "RBE": Path(asked.rbe) if model is not None and asked.rbe and Path(asked.rbe).is_file() else None,
    }
    return tuple(
        {"role": role, "name": path.name, "sha256": _hash_of(path)}
        for role, path in files.items()
        if path is not None
    )


def _hash_of(path: Path) -> str:
    """Hash of a file, or of all files of a folder by name."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(p for p in path.iterdir() if p.is_file()):
        digest.update(f"{file.name}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _hash_of_record(record: Record) -> str:
    """Hash of the treatment files and the spill files."""
    digest = hashlib.sha256()
    for field in record.fields:
        for file in [*sorted(field.path.glob("*.h5")), *sorted(field.path.glob("spills/*.h5"))]:
            digest.update(f"{field.path.name}/{file.name}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
