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

from spotline.arrays import Integers
from spotline.campaign.received import spots_loaded
from spotline.campaign.watch import Watched
from spotline.record.model import Table
from spotline.record.spill_file import Spill, read_spill
from spotline.treatment.treatment_file import read_treatment_file


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
    seen = {watched.start_us: watched for watched in loaded}
    left = [slice_.int1_counts.copy() for slice_ in treatment.slices]
    wrong, now = [], 0
    for spill in spills:
        place = f"spill {spill.header.spill}, slice {spill.header.slice}"
        # One that was announced and never loaded, because of a crash, has no counts but assumed ones.
        watched = seen.pop(spill.header.extraction_start_us, None)
        if watched is not None:
            now, spots = spots_loaded(watched, treatment.slices, now)
            wrong += _compare(left[now], spots, watched.int1_left, place)
        wrong += _take(spill, spill.parts, left, place)
        wrong += _take(spill, spill.assumed, left, place)
    wrong += [f"spill at {start_us} us: was delivered, but is not in the record" for start_us in seen]
    over = not any(counts.any() for counts in left)
    if over != is_complete:
        counts = sum(int(counts.sum()) for counts in left)
        said = "complete" if is_complete else "interrupted"
        wrong.append(f"the field is said to be {said}, and {counts} counts are left")
    return wrong


def _compare(left: Integers, spots: Integers, loaded: Integers, place: str) -> list[str]:
    """Compare what was loaded with what is left of a slice."""
    if not np.array_equal(np.flatnonzero(left), spots):
        return [f"{place}: other spots were loaded than those that are left"]
    differ = np.flatnonzero(left[spots] != loaded)
    if not len(differ):
        return []
    i = int(differ[0])
    return [f"{place}, spot {spots[i]}: {loaded[i]} counts were loaded, {left[spots[i]]} are left"]


def _take(spill: Spill, parts: Table, left: list[Integers], place: str) -> list[str]:
    """Take what a spill delivered, or is assumed to have delivered, from what was left."""
    counts, wrong = left[spill.header.slice], []
    for part in parts:
        spot = spill.spots[part["spot"]]
        if part["complete"] == 1:
            counts[spot] = 0
        elif part["int1_counts"] >= counts[spot]:
            wrong.append(f"{place}, spot {spot}: has all its counts but is not complete")
        else:
            counts[spot] -= part["int1_counts"]
    return wrong
