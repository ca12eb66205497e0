"""Invariant 3: delivered, assumed and remaining counts of every spot make up its prescription.

What was delivered (or is assumed to have been, after a crash) stands in the spill files.  What remained is
what the memory boards were truly loaded with for the next spill, which the room has seen.  Both must agree
for every spot and every spill: within a delivery, and after every interruption.  A spot is over when either
chamber has its counts; INT1 may then be some counts short or beyond, and nothing remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spotline.campaign.received import spots_loaded
from spotline.campaign.watch import Watched
from spotline.record.spill_file import Spill, read_spill
from spotline.record.treatment_file import TreatmentFile, read_treatment_file


def check_counts(folder: Path, loaded: Sequence[Watched], is_complete: bool) -> list[str]:
    """Follow the counts of every spot through the spills of a field.

    Parameters
    ----------
    folder : Path
        Of the field.
    loaded : sequence of Watched
        Every spill that the memory boards were loaded for.
    is_complete : bool
        Whether the field is said to be delivered whole.

    Returns
    -------
    list of str
        What is wrong, in words; empty if nothing is.
    """
    treatment = read_treatment_file(folder)
    spills = [read_spill(path) for path in sorted((folder / "spills").glob("spill-*.h5"))]
    wrong = []
    if len(spills) != len(loaded):
        wrong.append(f"{len(loaded)} spills were delivered, but {len(spills)} stand in the record")
    left = [slice_.int1_counts.copy() for slice_ in treatment.slices]
    now = 0
    for watched, spill in zip(loaded, spills, strict=False):
        now, spots = spots_loaded(watched, treatment.slices, now)
        place = f"spill {watched.spill}, slice {now}"
        if not np.array_equal(np.flatnonzero(left[now]), spots):
            wrong.append(f"{place}: other spots were loaded than those that are left")
        differ = np.flatnonzero(left[now][spots] != watched.int1_left)
        if len(differ):
            spot = int(differ[0])
            wrong.append(
                f"{place}, spot {spots[spot]}: {watched.int1_left[spot]} counts were loaded, "
                f"{left[now][spots[spot]]} are left"
            )
        wrong += _take(spill, left, place)
    over = not any(counts.any() for counts in left)
    if over != is_complete:
        counts = sum(int(counts.sum()) for counts in left)
        said = "complete" if is_complete else "interrupted"
        wrong.append(f"the field is said to be {said}, and {counts} counts are left")
    return wrong + _never_loaded(treatment, loaded, left)


def _take(spill: Spill, left: list[np.ndarray], place: str) -> list[str]:
    """Take what a spill delivered from what was left."""
    counts = left[spill.header["slice"]]
    spots, parts = spill.spots[spill.parts["spot"]], spill.parts
    wrong = []
    for spot, part in zip(spots, parts, strict=True):
        if part["complete"] == 1:
            counts[spot] = 0
        elif part["int1_counts"] >= counts[spot]:
            wrong.append(f"{place}, spot {spot}: has all its counts but is not complete")
        else:
            counts[spot] -= part["int1_counts"]
    return wrong


def _never_loaded(treatment: TreatmentFile, loaded: Sequence[Watched], left: list[np.ndarray]) -> list[str]:
    """Slices that were skipped: something is left of one although a later one was begun."""
    codes = [watched.cycle_code for watched in loaded]
    if not codes:
        return []
    last = max(i for i, s in enumerate(treatment.slices) if s.cycle_code in codes)
    return [f"slice {i}: left behind with {left[i].sum()} counts" for i in range(last) if left[i].any()]
