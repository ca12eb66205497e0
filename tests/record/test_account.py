"""The account of a field in counts, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from spotline.record.account import Account
from tests.record.journals import parts


def account(*counts: int) -> Account:
    """Of a slice that is not asked about, and one of spots with these counts; INT2 has 3 more."""
    slices: list[Any] = [
        SimpleNamespace(n_spots=len(numbers), int1_counts=numbers, int2_counts=numbers + 3)
        for numbers in (np.array([7, 7]), np.array(counts))
    ]
    return Account(tuple(slices))


def both(first: list[np.ndarray], second: list[np.ndarray]) -> tuple[list[int], list[int]]:
    """Of the second slice, by chamber; nothing happens to the first."""
    return first[1].tolist(), second[1].tolist()


def booked(first: int, second: int) -> Any:
    """Parts of the last two of three spots, the first of them complete; INT2 has one count less."""
    found = parts((0, first, 1), (1, second, 0))
    found["int2_counts"] -= 1
    return found


def test_what_was_measured_adds_up_and_is_no_longer_lacking():
    book = account(100, 50, 80)
    book.book(1, np.array([1, 2]), booked(51, 30))
    book.book(1, np.array([2]), parts((0, 20, 0)))
    assert both(book.delivered1, book.delivered2) == ([0, 51, 50], [0, 50, 49])
    assert both(book.left1, book.left2) == ([100, 0, 30], [103, 0, 34])
    assert both(book.assumed1, book.assumed2) == ([0, 0, 0], [0, 0, 0])
    assert (book.left1[0].tolist(), book.delivered2[0].tolist()) == ([7, 7], [0, 0])
    assert (book.n_complete, book.is_complete) == (1, False)
    assert book.open_spots(1).tolist() == [0, 2]


def test_what_is_assumed_is_kept_apart_and_no_longer_lacking():
    book = account(100, 50, 80)
    book.book_assumed(1, np.array([1, 2]), booked(51, 30))
    book.book_assumed(1, np.array([2]), parts((0, 20, 0)))
    assert both(book.assumed1, book.assumed2) == ([0, 51, 50], [0, 50, 49])
    assert both(book.left1, book.left2) == ([100, 0, 30], [103, 0, 34])
    assert both(book.delivered1, book.delivered2) == ([0, 0, 0], [0, 0, 0])


def test_an_open_spot_lacks_a_count_at_least():
    book = account(100)
    book.book(1, np.array([0]), parts((0, 100, 0)))
    assert both(book.left1, book.left2) == ([1], [3])
