"""What a journal says was delivered, and what has to be assumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline import Record, RecordError
from spotline.record import journal
from spotline.record.journal import Entry, read_journal
from spotline.record.recovered import FieldState, assume, take_entry
from tests.record.journals import loaded, parts

RATIO = np.ones(5)


def rows(table) -> list[tuple[int, int, int, int]]:
    return [tuple(int(v) for v in row) for row in table]


def test_nothing_was_confirmed():
    """From the first spot on."""
    assert rows(assume(130, loaded(100, 50, 80), parts(), RATIO)) == [(0, 100, 103, 1), (1, 30, 30, 0)]


def test_from_the_open_spot_on():
    done = parts((0, 100, 1), (1, 20, 0))
    assert rows(assume(40, loaded(100, 50, 80), done, RATIO)) == [(1, 30, 33, 1), (2, 10, 10, 0)]
    assert rows(assume(30, loaded(100, 50, 80), done, RATIO)) == [(1, 30, 33, 1)]
    assert rows(assume(29, loaded(100, 50, 80), done, RATIO)) == [(1, 29, 29, 0)]


def test_last_part_is_complete():
    """A spot that is complete takes no more, though it was the current one."""
    assert rows(assume(9, loaded(100, 50, 80), parts((0, 100, 1)), RATIO)) == [(1, 9, 9, 0)]
    assert rows(assume(9, loaded(100), parts((0, 100, 1)), RATIO)) == []


def test_never_more_than_the_slice_lacks():
    assert rows(assume(10**6, loaded(100, 50), parts((0, 99, 0)), RATIO)) == [(0, 1, 4, 1), (1, 50, 53, 1)]


def test_none():
    assert rows(assume(0, loaded(100, 50), parts((0, 99, 0)), RATIO)) == []


def test_back_up_by_the_expected_ratio():
    """INT2 makes two counts for each of INT1 here."""
    assert rows(assume(10, loaded(100), parts(), np.array([0.5]))) == [(0, 10, 20, 0)]


@given(
    counts=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    reached=st.integers(0, 1000),
    unconfirmed=st.integers(0, 2000),
)
def test_all_that_may_have_followed_and_no_more(counts: list[int], reached: int, unconfirmed: int):
    """With `reached` counts confirmed, the next `unconfirmed` along the path, up to the end of the slice."""
    table, done, left = loaded(*counts), [], reached
    for spot, count in enumerate(counts):
        if left < count:
            done.append((spot, left, 0))
            break
        done.append((spot, count, 1))
        left -= count
    found = assume(unconfirmed, table, parts(*done), RATIO)
    assert found["int1_counts"].sum() == min(unconfirmed, max(0, sum(counts) - reached))
    total = np.zeros(len(counts), int)
    for spot, count, _ in done:
        total[spot] += count
    np.add.at(total, found["spot"], found["int1_counts"])
    assert (total <= counts).all()
    for row in found:
        assert (row["complete"] == 1) == (total[row["spot"]] == counts[row["spot"]])
    assert total.tolist() == pytest.approx(
        np.diff(np.minimum(np.cumsum([0, *counts]), reached + unconfirmed))
    )


def test_an_open_spot_takes_a_count_before_it_is_taken_for_complete():
    """With all that it lacked, and more: what ended it was not confirmed, and counted at least once."""
    assert rows(assume(3, loaded(100, 50), parts((0, 100, 0)), RATIO)) == [(0, 1, 3, 1), (1, 2, 2, 0)]
    assert rows(assume(1, loaded(100, 50), parts((0, 120, 0)), RATIO)) == [(0, 1, 0, 1)]


@pytest.fixture(scope="module")
def entries(small: Record) -> list[Entry]:
    """Of the journal of a field of two spills."""
    return list(read_journal(small.fields[0].path / journal.NAME).entries)


def places(entries: list[Entry], kind: str) -> list[int]:
    return [place for place, entry in enumerate(entries) if entry.kind == kind]


def take(*entries: Entry) -> FieldState:
    state = FieldState()
    for entry in entries:
        take_entry(state, entry, Path("journal.bin"))
    return state


def test_a_journal_in_order_is_taken(entries: list[Entry]):
    state = take(*entries)
    assert (state.status, state.spills, sorted(state.stored)) == ("complete", 2, [1, 2])
    assert state.open_spill == []


def test_a_spill_follows_on_the_one_before_once_that_is_over(entries: list[Entry]):
    first, second = places(entries, journal.SPILL)
    stored = places(entries, journal.STORED)[0]
    assert take(*entries[: second + 1]).spills == 2
    with pytest.raises(RecordError, match=r"spill 2 is out of order"):
        take(*entries[:stored], entries[second])
    with pytest.raises(RecordError, match=r"spill 2 is out of order"):
        take(*entries[:first], entries[second])
    with pytest.raises(RecordError, match=r"spill 1 is out of order"):
        take(*entries[: stored + 1], entries[first])


def test_progress_is_of_the_spill_that_is_open(entries: list[Entry]):
    first, second = places(entries, journal.SPILL)
    one, other = places(entries, journal.OVER)
    with pytest.raises(RecordError, match=r"spill 1, which is not open"):
        take(*entries[:first], entries[one])
    with pytest.raises(RecordError, match=r"spill 1, which is not open"):
        take(*entries[: second + 1], entries[one])
    assert take(*entries[: other + 1]).open_spill[-1] is entries[other]


def test_a_field_begins_once(entries: list[Entry]):
    with pytest.raises(RecordError, match="never or twice"):
        take(*entries[1:])
    with pytest.raises(RecordError, match="never or twice"):
        take(entries[0], *entries)
