"""From the patient to the beam: gantry, patient support, isocentre and the two virtual sources (IEC 61217).

The frame of a beam is the gantry system of IEC 61217 (2011) with its origin at the isocentre: the source is
at positive z, so the beam runs towards negative z, and spot positions of a plan are its x and y at the
isocentre (DICOM PS3.3, Scan Spot Position Map).  At gantry angle 0 it is the fixed system: x to the right of
who faces the gantry, y towards the gantry, z up.  Fixed lines have a gantry angle too: 90 degrees for a
horizontal line, whose beam enters from the positive x of the room, and 0 degrees for a vertical one.

A scanned beam has two sources, one at each scanning magnet: it crosses the isocentre plane at
(x_iso, y_iso), and its x grows with the distance from the x magnet, its y with that from the y magnet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.dose.grid import Point
from spotline.errors import DoseError
from spotline.machine.geometry import per_isocentre
from spotline.plan.model import Field

Axes = tuple[Point, Point, Point]

PATIENT_AXES: dict[str, Axes] = {
    "HFS": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "HFP": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "FFS": ((-1, 0, 0), (0, 0, -1), (0, -1, 0)),
    "FFP": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "HFDL": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    "HFDR": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "FFDL": ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
    "FFDR": ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
}
"""x, y and z of the table top in patient coordinates, by PatientPosition (DICOM PS3.3, C.7.3.1.1.2).

Head first is head towards the gantry (y); supine is face up, so that the back (y of the patient) is down;
decubitus left is left side (x of the patient) down.
"""


class VirtualSources(NamedTuple):
    """Distances of the scanning magnets from the isocentre; infinite for parallel beams."""

    x_mm: float
    y_mm: float


PARALLEL = VirtualSources(math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class BeamFrame:
    """Where the beam stands to the patient.

    Attributes
    ----------
    isocentre_mm : tuple of three floats
        In patient coordinates.
    axes : tuple of three tuples
        x, y and z of the beam, as unit vectors in patient coordinates.
    """

    isocentre_mm: Point
    axes: Axes

    @property
    def matrix(self) -> Floats:
        """Rotation from the patient to the beam, shape (3, 3)."""
        return np.array(self.axes, dtype=float)

    @property
    def direction(self) -> Point:
        """Where the beam goes, in patient coordinates."""
        x, y, z = (-value for value in self.axes[2])
        return x, y, z

    def to_beam_mm(self, points_mm: ArrayLike) -> Floats:
        """Points of the patient in the frame of the beam; shape (..., 3)."""
        points: Floats = (np.asarray(points_mm, dtype=float) - self.isocentre_mm) @ self.matrix.T
        return points

    def to_patient_mm(self, points_mm: ArrayLike) -> Floats:
        """Points in the frame of the beam as points of the patient; shape (..., 3)."""
        points: Floats = self.turn_to_patient(points_mm) + self.isocentre_mm
        return points

    def turn_to_patient(self, directions: ArrayLike) -> Floats:
        """Directions in the frame of the beam as directions in the patient; shape (..., 3)."""
        turned: Floats = np.asarray(directions, dtype=float) @ self.matrix
        return turned


def beam_frame(
    gantry_deg: float,
    patient_support_deg: float = 0.0,
    isocentre_mm: ArrayLike = (0.0, 0.0, 0.0),
    patient_position: str = "HFS",
) -> BeamFrame:
    """Make the frame of a beam.

    Parameters
    ----------
    gantry_deg : float
        Gantry Angle: at 0 the beam comes from above, at 90 from the positive x of the room.
    patient_support_deg : float
        Patient Support Angle: counter-clockwise as seen from above.
    isocentre_mm : array_like of three floats
        In patient coordinates.
    patient_position : str
        Patient Position on the table top: HFS, HFP, FFS, FFP, HFDL, HFDR, FFDL or FFDR.

    Returns
    -------
    BeamFrame

    Raises
    ------
    DoseError
        If an angle or the isocentre is not finite, or there is no such position.
    """
    isocentre = np.asarray(isocentre_mm, dtype=float)
    if isocentre.shape != (3,) or not np.all(np.isfinite([*isocentre, gantry_deg, patient_support_deg])):
        raise DoseError(
            f"beam: gantry {gantry_deg} degrees, patient support {patient_support_deg} degrees, isocentre "
            f"{isocentre.tolist()} mm; give two finite angles and three coordinates"
        )
    if patient_position not in PATIENT_AXES:
        raise DoseError(
            f"beam: patient position {patient_position!r} is not known; use {', '.join(PATIENT_AXES)}"
        )
    cos, sin = _turn(gantry_deg)
    gantry_in_room = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
    cos, sin = _turn(patient_support_deg)
    room_in_table = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    axes = gantry_in_room @ room_in_table @ np.array(PATIENT_AXES[patient_position], dtype=float)
    x, y, z = ((float(row[0]), float(row[1]), float(row[2])) for row in axes + 0.0)  # no negative zeros
    return BeamFrame((float(isocentre[0]), float(isocentre[1]), float(isocentre[2])), (x, y, z))


def frame_of_field(
    field: Field, patient_position: str = "", isocentre_mm: ArrayLike | None = None
) -> BeamFrame:
    """Make the frame of a field of a plan.

    Parameters
    ----------
    field : Field
        With its angles; no patient support angle counts as 0.
    patient_position : str
        By default that of the field, or HFS if the plan does not say.
    isocentre_mm : array_like of three floats, optional
        In the place of that of the field, as for a phantom that the plan was not made on.

    Raises
    ------
    DoseError
        If gantry angle or isocentre are not known.
    """
    isocentre = field.isocentre_mm if isocentre_mm is None else isocentre_mm
    if field.gantry_angle_deg is None or isocentre is None:
        what = "GantryAngle" if field.gantry_angle_deg is None else "IsocenterPosition"
        raise DoseError(f"field {field.number} ({field.name}): the plan has no {what}; give it by hand")
    return beam_frame(
        field.gantry_angle_deg,
        field.patient_support_angle_deg or 0.0,
        isocentre,
        patient_position or field.patient_position or "HFS",
    )


def _turn(angle_deg: float) -> tuple[float, float]:
    """Cosine and sine, exact at right angles, where beams must stay along the axes of the grid."""
    quarters, rest = divmod(angle_deg % 360.0, 90.0)
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters)):
        cos, sin = -sin, cos
    return cos, sin


def spot_rays(x_iso_mm: ArrayLike, y_iso_mm: ArrayLike, sources: VirtualSources) -> tuple[Floats, Floats]:
    """Rays through both sources and positions at the isocentre, in the frame of the beam.

    Parameters
    ----------
    x_iso_mm, y_iso_mm : array_like, shape (...)
    sources : VirtualSources

    Returns
    -------
    points_mm : ndarray, shape (..., 3)
        Where they cross the isocentre plane.
    directions : ndarray, shape (..., 3)
        Of length 1.
    """
    x, y = np.broadcast_arrays(np.asarray(x_iso_mm, dtype=float), np.asarray(y_iso_mm, dtype=float))
    points = np.stack([x, y, np.zeros_like(x)], axis=-1)
    directions = np.stack([x / sources.x_mm, y / sources.y_mm, np.full_like(x, -1.0)], axis=-1)
    return points, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def at_isocentre_mm(points_mm: ArrayLike, sources: VirtualSources) -> tuple[Floats, Floats]:
    """Where the rays through points cross the isocentre plane.

    Parameters
    ----------
    points_mm : array_like, shape (..., 3)
        In the frame of the beam, below both sources.
    sources : VirtualSources

    Returns
    -------
    x_iso_mm, y_iso_mm : ndarray, shape (...)

    Raises
    ------
    DoseError
        If a point lies above a source.
    """
    points = np.asarray(points_mm, dtype=float)
    z = points[..., 2]
    if z.size and z.max() >= min(sources):
        raise DoseError(
            f"beam: a point lies {z.max():g} mm above the isocentre and a scanning magnet {min(sources):g} mm"
            "; check the isocentre and the distances of the sources"
        )
    return points[..., 0] / per_isocentre(sources.x_mm, z), points[..., 1] / per_isocentre(sources.y_mm, z)
