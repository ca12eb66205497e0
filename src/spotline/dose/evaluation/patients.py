"""What the beams meet, as an evaluation is given it: a CT, a box of water, or what was made before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spotline.arrays import Float32s
from spotline.dose.calibration import Calibration, StoppingPower, nominal_calibration
from spotline.dose.ct import AIR_HU, CtImage
from spotline.dose.engine.beams import FieldBeams
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.water_and_grid import grid_around, water_box
from spotline.dose.evaluation.compare import OTHER_FRAME
from spotline.dose.grid import Grid
from spotline.dose.patient import check_frame, patient
from spotline.dose.sampling import resample
from spotline.dose.structures import StructureSet
from spotline.machine.load import BeamLine

HEAD_FIRST = "HFS"
"""How a patient lies of whom nothing says it: head first, supine."""


@dataclass(frozen=True, slots=True, eq=False)
class CtPatient:
    """A patient as a CT shows him.

    Attributes
    ----------
    image : CtImage
    calibration : Calibration, optional
        From HU to stopping power; by default a nominal one, of no real scanner.
    overrides : mapping of str to float
        Stopping power relative to water by the name of a structure.
    """

    image: CtImage
    calibration: Calibration | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaterBox:
    """A box of water around all beams, which enter it through faces across their axes.

    Attributes
    ----------
    surface_mm : float
        Distance of the surface from the isocentre, upstream.
    """

    surface_mm: float


Met = Patient | CtPatient | WaterBox
"""What the beams can be told to meet."""


@dataclass(frozen=True, slots=True, eq=False)
class PatientOnGrid:
    """A patient or phantom, and where dose is wanted in it.

    Attributes
    ----------
    patient : Patient
        What the beams are traced through.
    grid : Grid
        Of the dose.
    image : ndarray of float32, shape (nz, ny, nx)
        The CT in HU or the stopping power, on the dose grid, to draw the dose over.
    image_kind : str
        What that is, in words.
    frame_of_reference_uid : str
        Of image or plan; empty if neither says.
    notes : tuple of str
        What the reader of the dose has to know.
    """

    patient: Patient
    grid: Grid
    image: Float32s
    image_kind: str
    frame_of_reference_uid: str = ""
    notes: tuple[str, ...] = ()


def put_on_grid(
    met: Met,
    beams: Sequence[FieldBeams],
    beamline: BeamLine,
    grid: Grid | float,
    identity: Mapping[str, str],
    structures: StructureSet | None = None,
) -> PatientOnGrid:
    """Make ready what the beams meet.

    Parameters
    ----------
    met : Patient, CtPatient or WaterBox
    beams : sequence of FieldBeams
        All of them: the dose grid is laid around them.
    beamline : BeamLine
    grid : Grid or float
        Where dose is wanted, or the size in mm of voxels wherever the beams leave dose.
    identity : mapping of str to str
        Of the plan, by DICOM keyword: its frame of reference, and how the patient lies.
    structures : StructureSet, optional
        In a CT, those whose stopping power the file sets have that.

    Raises
    ------
    DoseError
        If plan, image and structures do not go together, or the beams cannot enter what they are to meet.
    """
    if isinstance(met, WaterBox):
        return _water(met, beams, beamline, grid, identity, structures)
    if isinstance(met, CtPatient):
        return _scanned(met, beams, beamline, grid, identity, structures)
    power = StoppingPower(met.grid, met.rsp)
    wanted = _grid(grid, beams, beamline, power, met.position)
    image = resample(met.rsp, met.grid, wanted, outside=0.0, what="patient")
    return PatientOnGrid(met, wanted, image, "the stopping power", identity.get("FrameOfReferenceUID", ""))


def _scanned(
    met: CtPatient,
    beams: Sequence[FieldBeams],
    beamline: BeamLine,
    grid: Grid | float,
    identity: Mapping[str, str],
    structures: StructureSet | None,
) -> PatientOnGrid:
    image, curve = met.image, met.calibration
    frame = identity.get("FrameOfReferenceUID", "")
    is_for_a_device = identity.get("RTPlanGeometry", "") == "TREATMENT_DEVICE"
    if not is_for_a_device:
        check_frame(image.frame_of_reference_uid, "CT", frame, "plan")
    power = patient(image, nominal_calibration() if curve is None else curve, structures, met.overrides)
    notes = [*image.notes, *power.notes]
    if is_for_a_device:
        notes.append("the plan is for a device and no patient; its isocentre is taken as a point of the CT")
    if curve is None:
        notes.append(
            "the curve from HU to stopping power is a nominal one, of no real scanner (--calibration)"
        )
    # It is how the patient lies at the treatment that counts, and that is in the plan.
    position = identity.get("PatientPosition", "") or image.patient_position
    if not position and not all(one.patient_position for one in beams):
        notes.append("neither CT nor plan say how the patient lies; head first, supine (HFS) is taken")
    position = position or HEAD_FIRST
    notes += _positions_note(image.patient_position, position, beams)
    wanted = _grid(grid, beams, beamline, power, position)
    return PatientOnGrid(
        Patient(power.rsp, power.grid, position),
        wanted,
        resample(image.hu, image.grid, wanted, outside=AIR_HU, what="CT"),
        "the CT",
        power.frame_of_reference_uid or frame,
        tuple(notes),
    )


def _positions_note(scanned: str, position: str, beams: Sequence[FieldBeams]) -> list[str]:
    """Tell that the patient is treated in another position than scanned, or in several."""
    fields: dict[str, list[int]] = {}
    for one in beams:
        numbers = fields.setdefault(one.patient_position or position, [])
        if one.number not in numbers:
            numbers.append(one.number)
    if len(fields) > 1:
        each = ", ".join(
            f"{lies} (field{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))})"
            for lies, numbers in fields.items()
        )
        return [f"the patient is treated in several positions, as the plan says: {each}"]
    lies = next(iter(fields), position)
    if scanned in ("", lies):
        return []
    return [f"the patient was scanned {scanned} and is treated {lies}, as the plan says"]


def _water(
    met: WaterBox,
    beams: Sequence[FieldBeams],
    beamline: BeamLine,
    grid: Grid | float,
    identity: Mapping[str, str],
    structures: StructureSet | None,
) -> PatientOnGrid:
    position = identity.get("PatientPosition", "") or HEAD_FIRST
    frame = identity.get("FrameOfReferenceUID", "")
    spacing_mm = min(grid.spacing_mm) if isinstance(grid, Grid) else grid
    box = water_box(beams, beamline, met.surface_mm, spacing_mm, position)
    notes = []
    frames = {frame, "" if structures is None else structures.frame_of_reference_uid}
    if len(frames - {""}) > 1:
        notes.append(f"the structure set, in water: {OTHER_FRAME}")
    wanted, image = box.grid, box.rsp
    if isinstance(grid, Grid):
        wanted, image = grid, resample(box.rsp, box.grid, grid, outside=0.0, what="water")
    return PatientOnGrid(
        Patient(box.rsp, box.grid, position), wanted, image, "the water", frame, tuple(notes)
    )


def _grid(
    grid: Grid | float, beams: Sequence[FieldBeams], beamline: BeamLine, power: StoppingPower, position: str
) -> Grid:
    """Lay the dose grid around the beams, if it is not given."""
    return grid if isinstance(grid, Grid) else grid_around(beams, beamline, power, position, grid)
