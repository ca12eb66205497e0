"""A treatment record as it was read from DICOM: fields, control points, interlocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers
from spotline.dicom.assumed import NOTHING, AssumedSpots


@dataclass(frozen=True, slots=True, eq=False)
class RecordedControlPoint:
    """A control point, and the spots delivered between it and the next one.

    Arrays of spots are in the order of delivery; a repainted spot comes once for each visit.

    Attributes
    ----------
    index : int
        Index of the control point in the plan.
    time : datetime or None
        When the delivery of it began.
    energy_MeV_u : float or None
        Nominal kinetic energy per nucleon.
    specified_meterset : float or None
        What the plan wants before this control point.
    delivered_meterset : float
        What was delivered before this control point.
    x_iso_mm, y_iso_mm : ndarray of shape (n_spots,)
        Positions in the isocentric plane.
    meterset : ndarray of shape (n_spots,)
        Delivered to each spot, in the unit of the record.
    measured : ndarray of bool, shape (n_spots,)
        Whether the position was measured; True throughout unless Spotline wrote the record.
    reordered : bool or None
        Whether the spots differ from those of the plan in order or number, as repainted ones do; None if
        the record does not say.
    prescribed_index : ndarray of int, shape (n_spots,), or None
        Index of each spot in the control point of the plan, from 0 whatever the record counts from; None
        if the record does not say.
    time_offset_us : ndarray of shape (n_spots,), or None
        From `time` until the beam was at the spot.
    fwhm_mm : tuple of two floats or None
        Spot size in X and Y as the planning system assumed it.
    sizes_mm : ndarray of shape (n_spots, 2), or None
        Full widths at half maximum in X and Y of each spot as delivered; None if the record does not say.
    tune_id : str
        Scan Spot Tune ID.
    """

    index: int
    time: datetime | None
    energy_MeV_u: float | None
    specified_meterset: float | None
    delivered_meterset: float
    x_iso_mm: Floats
    y_iso_mm: Floats
    meterset: Floats
    measured: NDArray[np.bool_]
    reordered: bool | None
    prescribed_index: Integers | None
    time_offset_us: Floats | None
    fwhm_mm: tuple[float, float] | None
    tune_id: str
    sizes_mm: Floats | None = None

    @property
    def n_spots(self) -> int:
        """Number of spots that are listed, with zeros."""
        return len(self.meterset)

    @property
    def n_delivered(self) -> int:
        """Number of spots of which anything was delivered."""
        return int(np.count_nonzero(self.meterset))


@dataclass(frozen=True, slots=True)
class RecordedInterlock:
    """An interlock.

    Attributes
    ----------
    cause : int or None
        Code of `spotline.control.interlocks.CAUSES`; None if Spotline did not write the record.
    meaning : str
        Meaning of the code that the record gives it.
    description : str
        In words.
    time : datetime or None
        When it came.
    resolution : str
        What was done.
    """

    cause: int | None
    meaning: str
    description: str
    time: datetime | None
    resolution: str


@dataclass(frozen=True, slots=True, eq=False)
class RecordedField:
    """What was delivered of one field (DICOM: ion beam).

    Attributes
    ----------
    number, name : int, str
        As in the plan.
    delivery_type : str
        Treatment Delivery Type, such as ``"TREATMENT"``.
    termination : str
        Treatment Termination Status: ``"NORMAL"``, ``"OPERATOR"``, ``"MACHINE"`` or ``"UNKNOWN"``; empty
        if the record does not say.
    fraction : int or None
        Current Fraction Number.
    specified_meterset : float or None
        What the plan wants.
    control_points : tuple of RecordedControlPoint
        In the order of the file.
    interlocks : tuple of RecordedInterlock
        In the order of the file.
    continuation_start, continuation_end : float or None
        Which part of the field of the first plan was delivered, if it is a continuation and the record
        says.
    assumed : AssumedSpots
        What may have been delivered beyond, because the delivery died; empty unless Spotline wrote it.
    """

    number: int
    name: str
    delivery_type: str
    termination: str
    fraction: int | None
    specified_meterset: float | None
    control_points: tuple[RecordedControlPoint, ...]
    interlocks: tuple[RecordedInterlock, ...]
    continuation_start: float | None = None
    continuation_end: float | None = None
    assumed: AssumedSpots = NOTHING

    @property
    def meterset(self) -> float:
        """Sum of all delivered spots."""
        return float(sum(point.meterset.sum() for point in self.control_points))

    @property
    def n_delivered(self) -> int:
        """Number of spots of which anything was delivered."""
        return sum(point.n_delivered for point in self.control_points)


@dataclass(frozen=True, slots=True, eq=False)
class TreatmentRecord:
    """A treatment record as it was read.

    Attributes
    ----------
    path : Path
        File it was read from.
    sha256 : str
        Hash of that file, hexadecimal.
    plan_uid : str
        SOP Instance UID of the plan; empty if the record does not say.
    machine : str
        Treatment Machine Name.
    unit : str
        Primary Dosimeter Unit: ``"NP"`` (particles) or ``"MU"``; empty if the record does not say.
    index_base : int
        What the prescribed indices of the file count from, 0 or 1.
    fields : tuple of RecordedField
        In the order of the file.
    warnings : tuple of str
        What is wrong with the file although it can be read.
    """

    path: Path
    sha256: str
    plan_uid: str
    machine: str
    unit: str
    index_base: int
    fields: tuple[RecordedField, ...]
    warnings: tuple[str, ...]
