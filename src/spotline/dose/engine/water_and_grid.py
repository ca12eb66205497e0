"""What the beams meet when there is no CT, and where dose is wanted: boxes of water and dose grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spotline.arrays import Floats
from spotline.dose.beam_frame import BeamFrame, beam_frame
from spotline.dose.calibration import StoppingPower
from spotline.dose.engine.beams import FieldBeams
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.sources import beams_of
from spotline.dose.grid import Grid
from spotline.dose.phantom import Box, phantom
from spotline.errors import DoseError
from spotline.machine.load import BeamLine
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from spotline.treatment.treatment import Treatment

AROUND_mm = 30.0
"""Dose is computed so far beyond the outermost spots, which holds the halo but for a few thousandths."""
BEHIND_mm = 20.0
"""Water behind the range of the highest energy."""
MATTER_RSP = 0.05
"""Less than this, relative to water, is air around the patient."""
MOST_VOXELS = 30_000_000
"""Of a dose grid: with LETd and RBE it then needs some 2 GiB."""

_ALONG = 1.0 - 1e-6


def water_box(
    beams: Sequence[FieldBeams],
    beamline: BeamLine,
    surface_mm: float,
    spacing_mm: float,
    position: str = "HFS",
) -> StoppingPower:
    """Make a box of water that all fields enter through a face across their beams.

    Parameters
    ----------
    beams : sequence of FieldBeams
        With isocentres and angles.
    beamline : BeamLine
        Its scanning magnets say how wide the beams become.
    surface_mm : float
        Distance of the surface from the isocentre, upstream.
    spacing_mm : float
        Size of the voxels.
    position : str
        Patient Position for fields that say nothing of it: what angles and positions mean in the patient.

    Raises
    ------
    DoseError
        If a field is oblique to the axes of the patient, two fields want different surfaces on one side, or
        there are no spots.
    """
    if not np.isfinite(surface_mm):
        raise DoseError(f"water: a surface {surface_mm:g} mm before the isocentre; give a distance in mm")
    used = [one for one in beams if any(len(layer.spots.x_mm) for layer in one.layers)]
    if not used:
        raise DoseError("water: there are no spots, so there is nothing to put water around")
    corners = []
    faces: dict[tuple[int, bool], float] = {}
    for one in used:
        frame = beam_frame(
            one.gantry_deg, one.patient_support_deg, one.isocentre_mm, one.patient_position or position
        )
        direction = np.array(frame.direction)
        axis = int(np.argmax(np.abs(direction)))
        if abs(direction[axis]) < _ALONG:
            raise DoseError(
                f"water: field {one.number} comes at gantry {one.gantry_deg:g} and patient support "
                f"{one.patient_support_deg:g} degrees, oblique to a box of water; give --ct, or a plan at "
                "multiples of 90 degrees"
            )
        is_lower = bool(direction[axis] > 0.0)
        face = frame.isocentre_mm[axis] - float(direction[axis]) * surface_mm
        other = faces.setdefault((axis, is_lower), face)
        if abs(other - face) > 1e-3:
            raise DoseError(
                f"water: fields want its surface at {other:g} and at {face:g} mm in {'xyz'[axis]}, because "
                "their isocentres differ; compute them one by one, or give --ct"
            )
        energy = max(layer.energy_MeV_u for layer in one.layers)
        reach_mm = float(RangeEnergy(one.ion, WATER).range_mm(energy)) + BEHIND_mm
        corners.append(_corners_mm(one, frame, beamline, surface_mm, surface_mm - reach_mm))
    points = np.concatenate(corners)
    lower, upper = points.min(axis=0), points.max(axis=0)
    # Voxels begin at the surface, and else are centred on the isocentre.
    start = np.array(used[0].isocentre_mm) + 0.5 * spacing_mm
    for (axis, is_lower), face in faces.items():
        (lower if is_lower else upper)[axis] = start[axis] = face
    lower = start - spacing_mm * np.ceil((start - lower) / spacing_mm - 1e-6)
    upper = start + spacing_mm * np.ceil((upper - start) / spacing_mm - 1e-6)
    for (axis, is_lower), face in faces.items():
        (lower if is_lower else upper)[axis] = face
    grid = checked_grid(Grid.covering(lower.tolist(), upper.tolist(), spacing_mm))
    x, y, z = (float(value) for value in lower)
    x_end, y_end, z_end = (float(value) for value in upper)
    return phantom(grid, [Box((x, y, z), (x_end, y_end, z_end))], background=0.0)


def water_phantom(treatment: Treatment, surface_mm: float, spacing_mm: float = 2.0) -> Patient:
    """Make a box of water around all beams of a treatment, as something for them to meet.

    Parameters
    ----------
    treatment : Treatment
    surface_mm : float
        Distance of the surface from the isocentre, upstream.
    spacing_mm : float
        Size of the voxels.

    Raises
    ------
    DoseError
        As `water_box`, or if a field does not say where its isocentre lies.
    """
    line = treatment.beamline
    box = water_box(beams_of(treatment, line).beams["planned"], line, surface_mm, spacing_mm)
    return Patient(box.rsp, box.grid)


def grid_around(
    beams: Sequence[FieldBeams], beamline: BeamLine, power: StoppingPower, position: str, spacing_mm: float
) -> Grid:
    """Make a dose grid of that part of a patient in which the beams can leave dose.

    It holds all matter within `AROUND_mm` of the spots, along their whole way.

    Raises
    ------
    DoseError
        If the beams pass by the patient, or the grid has more than `MOST_VOXELS` voxels.
    """
    grid = power.grid
    matter = power.rsp > MATTER_RSP
    bounds = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != 2 - axis)
        found = np.flatnonzero(matter.any(axis=others))
        if not found.size:
            raise DoseError("patient: there is nothing but air in it; check image and calibration")
        edges = grid.edges_mm(axis)
        bounds.append((edges[found[0]], edges[found[-1] + 1]))
    low, high = (np.array([bound[k] for bound in bounds]) for k in (0, 1))
    far_mm = float(np.linalg.norm(high - low))
    boxes = []
    for one in beams:
        if not any(len(layer.spots.x_mm) for layer in one.layers):
            continue
        frame = beam_frame(
            one.gantry_deg, one.patient_support_deg, one.isocentre_mm, one.patient_position or position
        )
        # Heights between which there is any patient.
        ends = frame.to_beam_mm(np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T)[:, 2]
        top = min(float(ends.max()), far_mm)
        points = _corners_mm(one, frame, beamline, top, float(ends.min()))
        boxes.append((points.min(axis=0), points.max(axis=0)))
    if boxes:
        low = np.maximum(low, np.min([box[0] for box in boxes], axis=0))
        high = np.minimum(high, np.max([box[1] for box in boxes], axis=0))
    if not np.all(high > low):
        raise DoseError("dose grid: the beams pass by the patient; check the isocentre and the image")
    return checked_grid(Grid.covering(low.tolist(), high.tolist(), spacing_mm))


def _corners_mm(
    beams: FieldBeams, frame: BeamFrame, beamline: BeamLine, top_mm: float, bottom_mm: float
) -> Floats:
    """Corners of what the beams of a field reach between two heights, in patient coordinates."""
    geometry = beamline.facts.geometry
    sources = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
    if top_mm >= min(sources):
        raise DoseError(
            f"field {beams.number}: what the beam is to meet begins {top_mm:g} mm above the isocentre, and a "
            f"scanning magnet is {min(sources):g} mm above it; check the isocentre"
        )
    sides = []
    for name, source in zip(("x_mm", "y_mm"), sources, strict=True):
        spots = np.concatenate([getattr(layer.spots, name) for layer in beams.layers])
        ends = np.array([spots.min() - AROUND_mm, spots.max() + AROUND_mm])
        sides.append((ends, source))
    points = [
        (x * (1.0 - z / sides[0][1]), y * (1.0 - z / sides[1][1]), z)
        for z in (top_mm, bottom_mm)
        for x in sides[0][0]
        for y in sides[1][0]
    ]
    return frame.to_patient_mm(np.array(points))


def checked_grid(grid: Grid) -> Grid:
    """Return a dose grid that memory has room for.

    Raises
    ------
    DoseError
        If it has more than `MOST_VOXELS` voxels.
    """
    count = int(np.prod(grid.shape))
    if count > MOST_VOXELS:
        nx, ny, nz = grid.counts
        raise DoseError(
            f"dose grid: {nx} x {ny} x {nz} voxels, and {MOST_VOXELS} is as much as memory "
            "allows; take larger ones (--grid)"
        )
    return grid
