"""Patients and phantoms as voxels for the Monte Carlo transport, and its scores back on their grid.

The transport knows a beam along its z.  Voxels are therefore given in the frame of the beam, with z turned
into the depth below the isocentre plane, and made of water whose density is the stopping power relative to
water.  That is water-equivalent: ranges are right, while scattering and reactions are those of water.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.dose.beam_frame import BeamFrame
from spotline.dose.calibration import StoppingPower
from spotline.dose.grid import Grid
from spotline.errors import DoseError
from spotline.physics.transport.geometry import Geometry, voxels


def to_voxels(power: StoppingPower, frame: BeamFrame) -> Geometry:
    """Make a geometry for the transport.

    Parameters
    ----------
    power : StoppingPower
    frame : BeamFrame
        Of a beam along an axis of the patient.

    Returns
    -------
    Geometry
        x and y of the beam and depth below the isocentre plane, in mm; density 1 g/cm3 is water, 0 vacuum.

    Raises
    ------
    DoseError
        If the beam is oblique.
    """
    order, senses = _order(frame)
    edges = []
    for axis, sense in zip(order, senses, strict=True):
        along: Floats = sense * (power.grid.edges_mm(axis) - frame.isocentre_mm[axis])
        edges.append(np.sort(along))
    density = np.transpose(power.rsp, [2 - axis for axis in order])
    for place, sense in enumerate(senses):
        if sense < 0:
            density = np.flip(density, place)
    return voxels(edges[0], edges[1], edges[2], density.astype(float))


def from_voxels(scores: ArrayLike, grid: Grid, frame: BeamFrame) -> Floats:
    """Bring scores of the transport back to the grid of the patient.

    Parameters
    ----------
    scores : array_like, shape of the voxels of `to_voxels`
    grid : Grid
        Of the stopping power.
    frame : BeamFrame
        The same beam.

    Returns
    -------
    ndarray, shape (nz, ny, nx)
    """
    order, senses = _order(frame)
    turned = np.asarray(scores, dtype=float)
    for place, sense in enumerate(senses):
        if sense < 0:
            turned = np.flip(turned, place)
    back = np.transpose(turned, [order.index(axis) for axis in (2, 1, 0)])
    if back.shape != grid.shape:
        raise DoseError(f"scores: of shape {back.shape} (z, y, x), but the grid has {grid.shape}")
    return np.ascontiguousarray(back)


def _order(frame: BeamFrame) -> tuple[list[int], list[int]]:
    """Axis of the patient and sense of the x, the y and the depth of the beam."""
    rows = frame.matrix * [[1.0], [1.0], [-1.0]]
    order = [int(np.argmax(np.abs(row))) for row in rows]
    senses = [int(np.sign(row[axis])) for row, axis in zip(rows, order, strict=True)]
    if any(abs(row[axis]) < 1.0 - 1e-9 for row, axis in zip(rows, order, strict=True)):
        raise DoseError(
            "voxels: the beam is not along an axis of the patient, and the transport does not turn voxels; "
            "use gantry and patient support angles that are multiples of 90 degrees"
        )
    return order, senses
