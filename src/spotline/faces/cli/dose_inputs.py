"""What ``spotline dose`` is given, read and put together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spotline.dicom.ct import read_ct
from spotline.dicom.dose import read_dose
from spotline.dicom.structures import read_structures
from spotline.dose.calibration import StoppingPower, nominal_calibration, read_calibration
from spotline.dose.ct import AIR_HU
from spotline.dose.engine.beams import FieldBeams
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import reconstruct
from spotline.dose.engine.sources import beams_of
from spotline.dose.engine.surroundings import grid_around, water_box
from spotline.dose.evaluation.compare import OTHER_FRAME
from spotline.dose.grid import DoseGrid, Grid
from spotline.dose.masks import Mask, mask_of
from spotline.dose.patient import check_frame, patient
from spotline.dose.rbe import RbeModel, rbe_model
from spotline.dose.sampling import resample
from spotline.dose.structures import StructureSet
from spotline.errors import DoseError, LibraryError, OptionError
from spotline.faces.cli.dose_sources import Asked, Read, read_source, with_isocentres
from spotline.faces.report.dose_case import Case
from spotline.machine.library import BeamLibrary, read_library

Told = Callable[[int, int], None] | None


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
    read = read_source(asked)
    model = None if asked.rbe is None else rbe_model(asked.rbe, asked.alpha_beta_Gy)
    numbers = None if asked.field is None else [asked.field]
    structures = None if asked.structures is None else read_structures(asked.structures)
    prescribed_Gy = _prescribed(asked, structures)
    given = None if asked.compare is None else read_dose(asked.compare)
    notes: list[str] = []
    read = with_isocentres(read, asked, notes)
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
    compare_name = "" if asked.compare is None else asked.compare.name
    fields = sorted({one.number for one in every})
    compare = None if given is None else _comparison(given, compare_name, read, done.fractions, fields, notes)
    identity = {} if read.plan is None else read.plan.identity
    frame = met.power.frame_of_reference_uid or identity.get("FrameOfReferenceUID", "")
    if compare is not None and frame and compare.frame_of_reference_uid not in ("", frame):
        notes.append(f"{compare_name}: {OTHER_FRAME}")
    return Case(
        title=read.title,
        reconstruction=done,
        beamline=read.line,
        image=met.image,
        image_kind=met.image_kind,
        structures=masks,
        prescribed_Gy=prescribed_Gy,
        with_letd=asked.letd,
        compare=compare,
        compare_name=compare_name,
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
    if asked.prescriptions and asked.structures is None:
        raise OptionError("--prescription names structures: give --structures")
    if asked.rbe is None and asked.alpha_beta_Gy is not None:
        raise OptionError("--alpha-beta-Gy belongs to a model of the RBE: give --rbe")


def _meet(asked: Asked, read: Read, beams: list[FieldBeams], structures: StructureSet | None) -> _Met:
    if asked.water_mm is not None:
        return _in_water(asked, asked.water_mm, read, beams, structures)
    assert asked.ct is not None
    image = read_ct(asked.ct)
    identity = {} if read.plan is None else read.plan.identity
    frame = identity.get("FrameOfReferenceUID", "")
    is_for_a_device = identity.get("RTPlanGeometry", "") == "TREATMENT_DEVICE"
    if not is_for_a_device:
        check_frame(image.frame_of_reference_uid, "CT", frame, "plan")
    curve = nominal_calibration() if asked.calibration is None else read_calibration(asked.calibration)
    power = patient(image, curve, structures, _by_name("override", asked.overrides, "RSP", "couch=0.5"))
    notes = [*image.notes, *power.notes]
    if is_for_a_device:
        notes.append("the plan is for a device and no patient; its isocentre is taken as a point of the CT")
    if asked.calibration is None:
        notes.append(
            "the curve from HU to stopping power is a nominal one, of no real scanner (--calibration)"
        )
    # It is how the patient lies at the treatment that counts, and that is in the plan.
    position = identity.get("PatientPosition", "") or image.patient_position
    if image.patient_position not in ("", position):
        notes.append(
            f"the patient was scanned {image.patient_position} and is treated {position}, as the plan says"
        )
    if not position:
        position = "HFS"
        notes.append("neither CT nor plan say how the patient lies; head first, supine (HFS) is taken")
    grid = grid_around(beams, read.line, power, position, asked.grid_mm)
    hu = resample(image.hu, image.grid, grid, outside=AIR_HU, what="CT")
    return _Met(power, Patient(power.rsp, power.grid, position), grid, hu, "the CT", tuple(notes))


def _in_water(
    asked: Asked,
    surface_mm: float,
    read: Read,
    beams: list[FieldBeams],
    structures: StructureSet | None,
) -> _Met:
    identity = {} if read.plan is None else read.plan.identity
    position = identity.get("PatientPosition", "") or "HFS"
    box = water_box(beams, read.line, surface_mm, asked.grid_mm, position)
    notes = []
    frames = {identity.get("FrameOfReferenceUID", "")}
    if structures is not None:
        frames.add(structures.frame_of_reference_uid)
    if len(frames - {""}) > 1:
        notes.append(f"the structure set, in water: {OTHER_FRAME}")
    return _Met(box, Patient(box.rsp, box.grid, position), box.grid, box.rsp, "the water", tuple(notes))


def _by_name(option: str, texts: tuple[str, ...], what: str, example: str) -> dict[str, float]:
    """Numbers that an option gives to structures, by their names."""
    found = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise OptionError(f"--{option}: {text!r} is no {option}; write NAME={what}, as in {example}")
    return found


def _prescribed(asked: Asked, structures: StructureSet | None) -> dict[str, float]:
    """Prescriptions by the names that the structures have."""
    wanted = _by_name("prescription", asked.prescriptions, "GY", "PTV=2")
    if structures is None:
        return {}
    for name, dose_Gy in wanted.items():
        if not (math.isfinite(dose_Gy) and dose_Gy > 0.0):
            raise OptionError(f"--prescription: {dose_Gy:g} Gy for {name}; give more than 0")
    return {structures.named(name).name: dose_Gy for name, dose_Gy in wanted.items()}


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
    """Structures on the dose grid; those without any part of it are told and left out."""
    if structures is None:
        return ()
    masks = []
    notes += structures.notes
    for one in structures.structures:
        try:
            mask = mask_of(one, grid)
        except DoseError as error:
            what, _, _ = str(error).partition("; ")
            notes.append(f"{what}; nothing is said about it")
            continue
        masks.append(mask)
        notes += [f"{note}; this part counts as without dose" for note in mask.notes]
    return tuple(masks)


def _comparison(
    dose: DoseGrid, name: str, read: Read, fractions: int, numbers: list[int], notes: list[str]
) -> DoseGrid:
    """The dose to compare with, of as many fractions as ours."""
    own = "" if read.plan is None else read.plan.identity.get("SOPInstanceUID", "")
    if own and dose.plan_uid not in ("", own):
        notes.append(f"{name}: refers to another plan ({dose.plan_uid}) than that of this dose ({own})")
    if dose.beam_number is not None and numbers != [dose.beam_number]:
        notes.append(
            f"{name}: is of field {dose.beam_number} alone, and field "
            f"{', '.join(map(str, numbers))} was computed (--field)"
        )
    planned = 1 if read.plan is None else read.plan.fractions_planned
    if dose.summation == "PLAN" and planned != fractions:
        factor = fractions / planned
        notes.append(
            f"{name}: is of all {planned} fractions of the plan (Dose Summation Type PLAN); it "
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
