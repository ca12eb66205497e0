"""How a field is to be delivered: what preparation decides about it, still in terms of the plan.

At CNAO a program between the planning system and the treatment console completes the plan with
everything that accelerator and scanning need (the DICOM Operating Powering tool, section III.A of the
dose delivery paper).  These are its results.  A plan that has not been prepared has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Instruction:
    """One slice of a field: which spots one kind of spill delivers, in which order.

    A spot can be visited more than once, in one slice or in several.  All arrays have shape (n_visits,)
    and are in delivery order.

    Attributes
    ----------
    energy_MeV_u : float
        Energy that the accelerator is asked for.
    focus : str
        Optics that the accelerator is asked for.
    intensity_level : float
        Fraction of the full intensity of the ion.
    layer, spot : ndarray of int
        Index of the layer in the field, and of the spot in that layer (as kept, see `Layer`).
    painting : ndarray of int
        Which painting of the layer the visit belongs to, from 0.
    meterset : ndarray
        What the visit delivers, in the unit of the field; all visits of a spot add up to the spot.
    beam_off : ndarray of bool
        Whether the beam is switched off on the way to the spot.
    """

    energy_MeV_u: float
    focus: str
    intensity_level: float
    layer: Integers
    spot: Integers
    painting: Integers
    meterset: Floats
    beam_off: NDArray[np.bool_]

    @property
    def n_visits(self) -> int:
        """Number of visits."""
        return len(self.spot)


@dataclass(frozen=True, slots=True)
class PreparedFor:
    """What the instructions of a plan were made for, and from.

    Attributes
    ----------
    beamline, beamline_version, beamline_sha256 : str
        The beam line.
    plan_uid : str
        SOP Instance UID of the plan that was prepared; empty if it was no DICOM file.
    plan_sha256 : str
        Hash of its file, hexadecimal.
    """

    beamline: str
    beamline_version: str
    beamline_sha256: str
    plan_uid: str
    plan_sha256: str
