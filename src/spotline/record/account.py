"""The account of a field in counts: what every spot was prescribed, has received, and still lacks.

Everything that decides what is delivered next is a whole number of counts: of INT1, which leads, and of
INT2, the back-up.  One account is kept while a field is delivered; the same one comes of its record.

For every spot that is not complete, ``delivered1 + assumed1 + left1`` is what was prescribed, exactly.  A
complete spot lacks nothing: it has its prescribed counts of one chamber, and those that came in while the
beam was taken away.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spotline.arrays import Integers
from spotline.record.model import Table
from spotline.record.spill_file import Spill
from spotline.treatment.treatment import Slice


class Account:
    """What the spots of a field have received and still lack; lists by slice, arrays by spot.

    Parameters
    ----------
    slices : tuple of Slice
        With their prescribed counts.

    Attributes
    ----------
    left1, left2 : list of ndarray of int
        Counts that each spot lacks, at least 1; 0 once it is complete.
    delivered1, delivered2 : list of ndarray of int
        Counts that were measured.
    assumed1, assumed2 : list of ndarray of int
        Counts that nobody confirmed, and that count as delivered.
    """

    def __init__(self, slices: tuple[Slice, ...]) -> None:
        self.left1 = [s.int1_counts.copy() for s in slices]
        self.left2 = [s.int2_counts.copy() for s in slices]
        self.delivered1, self.delivered2, self.assumed1, self.assumed2 = (
            [np.zeros(s.n_spots, np.int64) for s in slices] for _ in range(4)
        )

    def open_spots(self, index: int) -> Integers:
        """Spots of a slice that are not complete, in delivery order."""
        return np.flatnonzero(self.left1[index] > 0)

    @property
    def n_complete(self) -> int:
        """Spots that lack nothing."""
        return sum(int(np.count_nonzero(left == 0)) for left in self.left1)

    @property
    def is_complete(self) -> bool:
        """Whether no spot lacks anything."""
        return all(not left.any() for left in self.left1)

    def book(self, index: int, spots: Integers, parts: Table) -> None:
        """Book what a spill delivered.

        Parameters
        ----------
        index : int
            Of the slice.
        spots : ndarray of int
            Indices in the slice of the spots in the memory boards.
        parts : Table
            Columns ``spot`` (index in the memory boards, each once), ``int1_counts``, ``int2_counts``,
            ``complete``.
        """
        self._take(index, spots, parts)
        rows = spots[parts["spot"]]
        self.delivered1[index][rows] += parts["int1_counts"]
        self.delivered2[index][rows] += parts["int2_counts"]

    def book_assumed(self, index: int, spots: Integers, parts: Table) -> None:
        """Book counts that were assumed; parameters as of `book`."""
        self._take(index, spots, parts)
        rows = spots[parts["spot"]]
        self.assumed1[index][rows] += parts["int1_counts"]
        self.assumed2[index][rows] += parts["int2_counts"]

    def _take(self, index: int, spots: Integers, parts: Table) -> None:
        rows, complete = spots[parts["spot"]], parts["complete"] == 1
        for left, name in ((self.left1[index], "int1_counts"), (self.left2[index], "int2_counts")):
            # What an open spot still lacks is at least one count: the counts that are in did not
            # complete it.
            left[rows] = np.where(complete, 0, np.maximum(1, left[rows] - parts[name]))


def account_of(slices: tuple[Slice, ...], spills: Iterable[Spill]) -> Account:
    """Make the account of a field from its spills, in order."""
    account = Account(slices)
    for spill in spills:
        index = spill.header.slice
        account.book(index, spill.spots, spill.parts)
        account.book_assumed(index, spill.spots, spill.assumed)
    return account
