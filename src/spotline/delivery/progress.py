"""How far a delivery is, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a delivery between two blocks of samples.

    Attributes
    ----------
    field, n_fields : int
        Position of the field in the treatment, from 1, and number of fields.
    slice, n_slices : int
        Position of the slice in the field, from 1, and number of slices.
    energy_MeV_u : float
        Of the slice.
    spots, n_spots : int
        Complete spots of the field, and all its spots.
    spill : int
        Number of the spill, from 1.
    treatment_s : float
        Time on the clock of the field.
    """

    field: int
    n_fields: int
    slice: int
    n_slices: int
    energy_MeV_u: float
    spots: int
    n_spots: int
    spill: int
    treatment_s: float


Report = Callable[[Progress], None]
"""Called with every `Progress`."""
