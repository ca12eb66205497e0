"""Repainting: share the particles of each spot among several visits.

The words are those of Zenklusen et al., Phys. Med. Biol. 55 (2010) 5103: *scaled* repainting divides
every spot by the number of paintings, *iso-layered* repainting gives every visit the same, so that weak
spots are visited less often.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers

ROUNDING = 1e-6
"""A visit may be below the minimum or above the largest by this part of it: plans hold 32-bit numbers."""


class Painting(NamedTuple):
    """The spots that one painting of a layer visits, and what each visit delivers; shape (n,)."""

    spot: Integers
    meterset: Floats


def paint(
    meterset: Floats, minimum: Floats, *, paintings: int, largest: float | None = None
) -> tuple[Painting, ...]:
    """Share out the spots of a layer among paintings.

    The visits of a spot add up to its meterset exactly, whatever the order of adding: all but the last
    are rounded to the spacing of floating-point numbers at the meterset itself.

    Parameters
    ----------
    meterset : ndarray of shape (n_spots,)
        What each spot shall receive, all > 0.
    minimum : ndarray of shape (n_spots,)
        The least that a visit may deliver, in the same unit.  A spot that is weaker, or too weak to be
        divided, is visited once.
    paintings : int
        Number of paintings.  Every visit to a spot gets an equal share; a spot too weak for that is
        visited as often as the minimum allows, spread evenly over the paintings.
    largest : float, optional
        The most that a visit delivers: as many paintings as that takes, whatever `paintings` is.  Every
        visit gets just that, and the last one the remainder; a remainder below the minimum is shared
        with the visit before, or, if that is not enough, with all of them.  Weak spots are in the first
        paintings only.  Where the minimum does not let visits be so small they are larger.

    Returns
    -------
    tuple of Painting
        Spots in the order of the plan, a spot at most once in each.  Paintings that no spot is strong
        enough for are left out, so that none is empty.

    Raises
    ------
    ValueError
        If `paintings` or `largest` is not positive.
    """
    if paintings < 1:
        raise ValueError(f"paintings is {paintings}; it must be 1 or more")
    if largest is not None and not largest > 0.0:
        raise ValueError(f"largest is {largest:g}; it must be positive")
    with np.errstate(divide="ignore"):  # without a minimum there is no limit
        most = np.maximum(np.floor(meterset / minimum * (1.0 + ROUNDING)), 1.0)
    if largest is None:
        wanted = np.full(len(meterset), float(paintings))
    else:
        wanted = np.maximum(np.ceil(meterset / largest - ROUNDING), 1.0)
    visits = np.minimum(wanted, most).astype(np.int64)
    spot = np.repeat(np.arange(len(meterset)), visits)
    visit = np.arange(len(spot)) - np.repeat(np.cumsum(visits) - visits, visits)
    share = (meterset / visits)[spot]
    painting = visit
    if largest is None:
        n = int(visits.max(initial=0))
        painting = (2 * visit + 1) * n // (2 * visits[spot])
    else:
        # Where the minimum allows fewer visits than wanted, or the end would fall below it: equal shares.
        full = visits == wanted
        remainder = meterset - (visits - 1) * largest
        pair = (largest + remainder) / 2.0
        least = minimum * (1.0 - ROUNDING)
        even = full & (remainder < least) & (pair >= least)
        full &= (remainder >= least) | even
        share = np.where(full[spot], largest, share)
        share = np.where(even[spot] & (visit == visits[spot] - 2), pair[spot], share)
    return _paintings(spot, painting, _exact(share, visit, visits, meterset, spot))


def _exact(share: Floats, visit: Integers, visits: Integers, meterset: Floats, spot: Integers) -> Floats:
    """Round the shares so that their sums are exact, and give the last visit what is left."""
    step = np.spacing(meterset)[spot]  # a power of two: dividing by it is exact
    share = np.floor(share / step) * step
    last = visit == visits[spot] - 1
    share[last] = 0.0
    share[last] = meterset - np.bincount(spot, share, len(meterset))
    return share


def _paintings(spot: Integers, painting: Integers, share: Floats) -> tuple[Painting, ...]:
    """Sort visits, which come spot by spot, into their paintings."""
    order = np.argsort(painting, kind="stable")
    ends = np.cumsum(np.bincount(painting))[:-1]
    return tuple(
        Painting(*columns)
        for columns in zip(np.split(spot[order], ends), np.split(share[order], ends), strict=True)
    )
