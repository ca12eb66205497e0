"""What the physician wants: fields, layers and spots, with no machine in them.

Coordinates are those of the DICOM RT Ion Plan: ``x_iso_mm`` and ``y_iso_mm`` lie in the isocentric
plane of the IEC 61217 beam limiting device (gantry) system, seen along the beam.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.physics.ions import Ion
from spotline.plan.instructions import Instruction, PreparedFor


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Spots of one energy, in the order in which the planning system wants them.

    Attributes
    ----------
    index : int
        Position of the layer in its field, from 0.
    energy_MeV_u : float
        Nominal kinetic energy per nucleon.
    x_iso_mm, y_iso_mm : ndarray of shape (n_spots,)
        Spot positions in the isocentric plane.
    meterset : ndarray of shape (n_spots,)
        What each spot shall receive, in the unit of the field (particles or MU), all > 0.
    fwhm_x_mm, fwhm_y_mm : float or None
        Spot size in air at the isocentre that the planning system assumed.
    tune_id : str
        Scan Spot Tune ID: the optics or focus that was asked for.
    paintings : int
        Number of Paintings: how often the layer is to be scanned.
    control_point : int
        Index of the DICOM control point whose weights these are; the treatment record refers to it.
        For TRiP98 the position of the submachine in its file.
    spot_index : ndarray of int, shape (n_spots,), or None
        Index of each spot in the file, from 0.  Spots of weight zero are left out of the layer, so
        these can have gaps; None means that nothing was left out: 0, 1, ..., n_spots - 1.
    """

    index: int
    energy_MeV_u: float
    x_iso_mm: Floats
    y_iso_mm: Floats
    meterset: Floats
    fwhm_x_mm: float | None = None
    fwhm_y_mm: float | None = None
    tune_id: str = ""
    paintings: int = 1
    control_point: int = 0
    spot_index: Integers | None = None

    @property
    def n_spots(self) -> int:
        """Number of spots."""
        return len(self.meterset)

    @property
    def file_index(self) -> Integers:
        """Index of each spot in the file, from 0, shape (n_spots,)."""
        return np.arange(self.n_spots) if self.spot_index is None else self.spot_index


@dataclass(frozen=True, slots=True)
class PassiveElement:
    """A device that the plan wants in the beam.

    Attributes
    ----------
    kind : str
        ``"range_shifter"``, ``"range_modulator"`` (ripple filter), ``"lateral_spreading_device"``,
        ``"block"``, ``"compensator"``, ``"wedge"``, ``"bolus"`` or ``"beam_limiting_device"``
        (jaws, multi-leaf collimator).
    id : str
        Name of the device in the plan.
    type : str
        DICOM type, such as ``"BINARY"`` or ``"SCATTERER"``; scanning magnets are left out.
    wet_mm : float or None
        Water-equivalent thickness.
    isocentre_distance_mm : float or None
        Distance from the isocentre.
    number : int or None
        What the plan numbers the device with; the treatment record refers to it.
    """

    kind: str
    id: str
    type: str = ""
    wet_mm: float | None = None
    isocentre_distance_mm: float | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One treatment field (DICOM: ion beam).

    Attributes
    ----------
    number : int
        DICOM Beam Number, unique within the plan.
    name : str
        Beam Name.
    ion : Ion
        What is delivered.
    unit : str
        Primary Dosimeter Unit: ``"NP"`` (particles) or ``"MU"``.
    layers : tuple of Layer
        In the planned order.
    passive : tuple of PassiveElement
        Devices that shall be in the beam, the same for all layers.
    gantry_angle_deg : float or None
        IEC 61217 gantry angle; None where the format has none (TRiP98).
    patient_support_angle_deg : float or None
        IEC 61217 patient support angle.
    isocentre_mm : tuple of three floats or None
        Isocentre in the patient coordinate system.
    snout_position_mm : float or None
        Snout Position.
    machine : str
        Treatment Machine Name.
    delivery_type : str
        ``"TREATMENT"`` or ``"CONTINUATION"``, as in DICOM.
    instructions : tuple of Instruction
        How to deliver it, in delivery order; empty unless the plan was prepared.
    start_meterset : float or None
        What earlier deliveries gave of the field, in `unit`; None unless it is a continuation that says so.
    patient_position : str
        How the patient lies for this field, such as ``"HFS"`` (DICOM Patient Position of the setup that the
        beam refers to); empty if the plan does not say.
    setup_number : int or None
        Patient Setup Number of that setup.
    source_axis_distances_mm : tuple of two floats or None
        Virtual Source-Axis Distances in x and y that it was planned with.
    as_planned : dict of str to str or float
        What the plan states of the geometry beyond that and the treatment record repeats, by DICOM keyword.
    notes : tuple of str
        What the plan states and nothing follows, for who delivers it.
    """

    number: int
    name: str
    ion: Ion
    unit: str
    layers: tuple[Layer, ...]
    passive: tuple[PassiveElement, ...] = ()
    gantry_angle_deg: float | None = None
    patient_support_angle_deg: float | None = None
    isocentre_mm: tuple[float, float, float] | None = None
    snout_position_mm: float | None = None
    machine: str = ""
    delivery_type: str = "TREATMENT"
    instructions: tuple[Instruction, ...] = ()
    start_meterset: float | None = None
    patient_position: str = ""
    setup_number: int | None = None
    source_axis_distances_mm: tuple[float, float] | None = None
    as_planned: dict[str, str | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def n_spots(self) -> int:
        """Number of spots in all layers."""
        return sum(layer.n_spots for layer in self.layers)

    @property
    def meterset(self) -> float:
        """Sum of all spots, in `unit`."""
        return float(sum(layer.meterset.sum() for layer in self.layers))

    @property
    def is_continuation(self) -> bool:
        """Whether it is the rest of a field of which something was delivered before."""
        return self.delivery_type == "CONTINUATION"


@dataclass(frozen=True, slots=True)
class Continues:
    """Which plan a continuation plan goes on with (`spotline.planning.continuation`).

    Attributes
    ----------
    plan_uid : str
        SOP Instance UID of the plan whose delivery was stopped; empty if it was no DICOM file.
    plan_sha256 : str
        Hash of its file, hexadecimal; empty if it was not read from a file.
    number : int
        1 for the first continuation of that plan, 2 for the next one, ...
    """

    plan_uid: str
    plan_sha256: str
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A treatment plan as it was read.

    Attributes
    ----------
    label : str
        RT Plan Label.
    fields : tuple of Field
        In the order of the file.
    path : Path
        File it was read from.
    sha256 : str
        Hash of that file, hexadecimal.
    format : str
        ``"DICOM RT Ion Plan"`` or ``"TRiP98 raster scan file"``.
    fractions_planned : int
        Number of Fractions Planned.
    fraction_group : int
        Fraction Group Number.
    identity : dict of str to str
        Who the plan is for and where it belongs, by DICOM keyword (PatientID, PatientName,
        StudyInstanceUID, FrameOfReferenceUID, SOPInstanceUID, ...), as far as the file says.  What
        TRiP98 writes beyond that has keys that begin with ``TRiP98``.
    prepared_for : PreparedFor or None
        What the instructions of the fields were made for; None if the plan was not prepared.
    continues : Continues or None
        Which plan it goes on with; None unless it is a continuation plan.
    notes : tuple of str
        What the plan states as a whole and nothing follows, for who delivers it.
    repairs : tuple of str
        What was repaired in it on reading, because it was asked for (`spotline.planning.read.read_plan`).
    """

    label: str
    fields: tuple[Field, ...]
    path: Path
    sha256: str
    format: str
    fractions_planned: int = 1
    fraction_group: int = 1
    identity: dict[str, str] = field(default_factory=dict)
    prepared_for: PreparedFor | None = None
    continues: Continues | None = None
    notes: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Everything about the plan as a whole that who delivers it has to know."""
        return (*(f"repaired in the plan: {repair}" for repair in self.repairs), *self.notes)

    def field_by_number(self, number: int) -> Field:
        """Return the field with this beam number.

        Raises
        ------
        spotline.errors.PlanError
            If the plan has no such field.
        """
        from spotline.errors import PlanError

        for candidate in self.fields:
            if candidate.number == number:
                return candidate
        known = ", ".join(str(f.number) for f in self.fields)
        raise PlanError(f"{self.path}: no field has beam number {number}; the plan has {known}")
