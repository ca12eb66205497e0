"""A patient for the computation of dose: CT image, calibration and structures put together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spotline.dose.calibration import Calibration, Override, StoppingPower, stopping_power
from spotline.dose.ct import CtImage
from spotline.dose.grid import Grid
from spotline.dose.masks import Mask, mask_of
from spotline.dose.sampling import average
from spotline.dose.structures import StructureSet
from spotline.errors import DoseError

BODY = "EXTERNAL"


def patient(
    ct: CtImage,
    curve: Calibration,
    structures: StructureSet | None = None,
    overrides: Mapping[str, float] | None = None,
    *,
    outside_is_air: bool = False,
) -> StoppingPower:
    """Make the stopping power of a patient.

    Structures whose stopping power is set in the file (REL_STOP_RATIO) have that; those in `overrides` have
    what is said there, on top.

    Parameters
    ----------
    ct : CtImage
    curve : Calibration
    structures : StructureSet, optional
        Of the same frame of reference as the image.
    overrides : mapping of str to float, optional
        Stopping power relative to water by the name of a structure, applied in this order.
    outside_is_air : bool
        Whether what is outside the body (the structures of type EXTERNAL) has no stopping power: couch,
        frames and clothes are left out.

    Returns
    -------
    StoppingPower
        Its notes tell of everything that is not the calibrated image.

    Raises
    ------
    DoseError
        If image and structures are of different frames of reference, a structure is not there or outside the
        image, there is no body, or a voxel is beyond a curve that refuses it.
    """
    wanted = dict(overrides or {})
    if structures is None:
        if wanted or outside_is_air:
            raise DoseError("patient: stopping powers are set by structure, but there are none; give them")
        return stopping_power(ct, curve)
    check_frame(ct.frame_of_reference_uid, "CT", structures.frame_of_reference_uid, "structures")
    chosen = [(one, one.rsp) for one in structures.structures if one.rsp is not None]
    chosen += [(structures.named(name), rsp) for name, rsp in wanted.items()]
    done = [Override(mask_of(one, ct.grid), rsp) for one, rsp in chosen]
    notes = [note for override in done for note in override.mask.notes] + list(structures.notes)
    if outside_is_air:
        done.append(Override(_around(ct, structures), 0.0))
    found = stopping_power(ct, curve, done)
    return StoppingPower(found.grid, found.rsp, found.frame_of_reference_uid, (*found.notes, *notes))


def coarsened(power: StoppingPower, spacing_mm: float) -> StoppingPower:
    """Make the voxels of a patient larger, and keep all of it.

    A beam must be traced through the whole patient: on the grid of a dose, which may be smaller, the path
    from the surface to its edge would be missing.

    Parameters
    ----------
    power : StoppingPower
    spacing_mm : float
        Size of the voxels; no voxel is made smaller than it is.
    """
    grid = power.grid
    spacing = [max(spacing_mm, size) for size in grid.spacing_mm]
    target = Grid.covering(grid.lower_mm, grid.upper_mm, spacing)
    rsp = average(power.rsp, grid, target, outside=0.0, what="patient")
    return StoppingPower(target, rsp, power.frame_of_reference_uid, power.notes)


def check_frame(uid: str, what: str, other_uid: str, other: str) -> None:
    """Check that two things are in one frame of reference; one that says nothing fits all.

    Raises
    ------
    DoseError
        If they are in different ones.
    """
    if uid and other_uid and uid != other_uid:
        raise DoseError(
            f"{what} and {other} are of different frames of reference ({uid}, {other_uid}), so nothing says "
            "where one lies in the other; give files of one patient and one image"
        )


def _around(ct: CtImage, structures: StructureSet) -> Mask:
    """All that is not the body, as a mask."""
    bodies = [one for one in structures.structures if one.kind == BODY]
    if not bodies:
        raise DoseError(f"structures: none is of type {BODY}, so nothing says what is outside the body")
    share = np.zeros(ct.grid.shape, dtype=np.float32)
    for body in bodies:
        np.maximum(share, mask_of(body, ct.grid).share, out=share)
    np.subtract(1.0, share, out=share)
    return Mask(
        "the space outside the body", ct.grid, share, float(share.sum(dtype=float)) * ct.grid.voxel_cm3
    )
