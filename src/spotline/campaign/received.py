"""What every prescribed spot truly received, from the truth of all spills of a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.campaign.watch import Watched
from spotline.treatment.treatment import FieldTreatment, Slice

MISPLACED_mm = 2.0
"""Ions of a spot that was further than this from where it should be are counted as misplaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """Prescribed spots of a field: arrays of shape (n_prescribed,), in the order of the plan.

    Attributes
    ----------
    spot_of_visit : ndarray of int, shape (n_visits,)
        Prescribed spot of every visit, in delivery order.
    slice, spot : ndarray of int
        First visit: index of its slice, and its own in the slice.
    prescribed : ndarray
        Particles, summed over the visits.
    received : ndarray
        Ions that passed while the spot was the current one.
    spills : ndarray of int
        Spills in which any did.
    misplaced : float
        Ions of the spots that were, in root mean square, further than `MISPLACED_mm` from their place.
    displacement_mm : float
        Largest such distance of a spot in a spill.
    """

    spot_of_visit: Integers
    slice: Integers
    spot: Integers
    prescribed: Floats
    received: Floats
    spills: Integers
    misplaced: float
    displacement_mm: float

    @property
    def excess(self) -> Floats:
        """Particles beyond the prescription, negative where they are missing."""
        return self.received - self.prescribed


def spots_loaded(watched: Watched, slices: Sequence[Slice], begin: int) -> tuple[int, Integers]:
    """Find out which spots of which slice a spill was loaded with.

    Spots are delivered in their order, so those that are left are always the last ones of a slice.

    Parameters
    ----------
    watched : Watched
    slices : sequence of Slice
    begin : int
        Slice of the spill before: earlier ones are over.

    Returns
    -------
    slice : int
        Its index.
    spots : ndarray of int, shape (n_loaded,)

    Raises
    ------
    ValueError
        If no slice has these spots.
    """
    n = len(watched.int1_left)
    for slice_ in slices[begin:]:
        if slice_.cycle_code != watched.cycle_code or slice_.n_spots < n:
            continue
        first = slice_.n_spots - n
        if np.array_equal(slice_.x_current_A[first:], watched.x_current_A) and np.array_equal(
            slice_.y_current_A[first:], watched.y_current_A
        ):
            return slice_.index, np.arange(first, slice_.n_spots)
    raise ValueError(f"spill {watched.spill}: {n} spots were loaded that end no slice of the field")


def received_of(treatment: FieldTreatment, spills: Sequence[Watched]) -> Received:
    """Add up the truth of all spills of a field.

    Of the ions of a spot in a spill, number, mean and mean square of the position are known.  All of them
    count as misplaced if their distance from the spot, in root mean square, is beyond `MISPLACED_mm`: a few
    that were far away are enough for that.
    """
    slices = treatment.slices
    planned = np.concatenate([np.column_stack([s.planned_layer, s.planned_spot]) for s in slices])
    keys, first, spot_of_visit = np.unique(planned, axis=0, return_index=True, return_inverse=True)
    spot_of_visit = spot_of_visit.reshape(-1)
    begins = np.cumsum([0] + [s.n_spots for s in slices])
    prescribed = np.zeros(len(keys))
    np.add.at(prescribed, spot_of_visit, np.concatenate([s.particles for s in slices]))
    received, n_spills = np.zeros(len(keys)), np.zeros(len(keys), np.int64)
    misplaced = displacement_mm = 0.0
    now = 0
    for watched in spills:
        now, spots = spots_loaded(watched, slices, now)
        here = spot_of_visit[begins[now] + spots]
        particles = watched.truth[:, 0]
        np.add.at(received, here, particles)
        n_spills += np.bincount(here[particles > 0], minlength=len(keys)) > 0
        far, distance_mm = _misplaced(watched.truth, slices[now].x_iso_mm[spots], slices[now].y_iso_mm[spots])
        misplaced, displacement_mm = misplaced + far, max(displacement_mm, distance_mm)
    slice_of_visit = np.searchsorted(begins, first, side="right") - 1
    return Received(
        spot_of_visit=spot_of_visit,
        slice=slice_of_visit,
        spot=first - begins[slice_of_visit],
        prescribed=prescribed,
        received=received,
        spills=n_spills,
        misplaced=misplaced,
        displacement_mm=displacement_mm,
    )


def _misplaced(truth: np.ndarray, x_mm: Floats, y_mm: Floats) -> tuple[float, float]:
    """Count the ions of spots that were off in one spill, and find the largest root mean square distance."""
    some = truth[:, 0] > 0
    if not some.any():
        return 0.0, 0.0
    n, x, xx, y, yy = truth[some, :5].T
    x_mm, y_mm = x_mm[some], y_mm[some]
    squares = (xx - 2.0 * x_mm * x + n * x_mm**2 + yy - 2.0 * y_mm * y + n * y_mm**2) / n
    rms_mm = np.sqrt(np.maximum(squares, 0.0))
    return float(n[rms_mm > MISPLACED_mm].sum()), float(rms_mm.max())
