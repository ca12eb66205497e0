"""Shares of repainted spots: nothing is lost, nothing is too weak, and the terms of the field hold."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spotline.treatment.repainting import ROUNDING, Painting, paint

ROUND = 1.0 + 2.0 * ROUNDING

metersets = st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=40).map(np.array)
minima = st.floats(1e-2, 1e7)


def shared(meterset, minimum, **options) -> tuple[Painting, ...]:
    meterset = np.array(meterset, float)
    return paint(meterset, np.broadcast_to(np.float64(minimum), meterset.shape), **options)


def spots(paintings: tuple[Painting, ...]) -> list[list[int]]:
    return [painting.spot.tolist() for painting in paintings]


def visits_of(paintings: tuple[Painting, ...], spot: int) -> list[float]:
    """What each visit to a spot delivers, in order."""
    return [float(p.meterset[list(p.spot).index(spot)]) for p in paintings if spot in p.spot]


def check(meterset: np.ndarray, minimum: float, paintings: tuple[Painting, ...]) -> None:
    """What holds for every way of repainting."""
    for painting in paintings:
        assert len(painting.spot) == len(painting.meterset) > 0
        assert (np.diff(painting.spot) > 0).all(), "order of the plan, each spot once"
    for spot, whole in enumerate(meterset):
        visits = visits_of(paintings, spot)
        assert math.fsum(visits) == whole
        assert sum(map(Fraction, visits)) == Fraction(float(whole)), "exactly"
        if len(visits) > 1:
            assert min(visits) * ROUND >= minimum


def test_one_painting_is_the_plan():
    meterset = np.array([0.1, 0.7, 1e6 / 3])
    (painting,) = shared(meterset, 5.0, paintings=1)
    assert painting.spot.tolist() == [0, 1, 2]
    assert painting.meterset.tolist() == meterset.tolist()


def test_scaled_repainting():
    """Strong spots get equal shares in every painting, weak ones as many as they can, spread evenly."""
    paintings = shared([60.0, 39.0, 25.0, 9.0, 20.0], 10.0, paintings=4)
    assert spots(paintings) == [[0, 1], [0, 2, 4], [0, 1, 3], [0, 1, 2, 4]]
    assert [visits_of(paintings, spot) for spot in range(5)] == [
        [15.0] * 4,
        [13.0] * 3,
        [12.5] * 2,
        [9.0],  # below the minimum as it is
        [10.0] * 2,
    ]


def test_paintings_that_no_spot_is_strong_enough_for_are_left_out():
    paintings = shared([25.0, 10.0], 10.0, paintings=7)
    assert spots(paintings) == [[0], [0, 1]]
    assert visits_of(paintings, 0) == [12.5, 12.5]


def test_iso_layered_repainting():
    """Every visit delivers the same, the last one the rest; weak spots are in the first paintings only."""
    paintings = shared([30.0, 100.0, 75.0, 60.0], 10.0, paintings=1, largest=30.0)
    assert spots(paintings) == [[0, 1, 2, 3], [1, 2, 3], [1, 2], [1]]
    assert [visits_of(paintings, spot) for spot in range(4)] == [
        [30.0],
        [30.0, 30.0, 30.0, 10.0],
        [30.0, 30.0, 15.0],
        [30.0, 30.0],
    ]


def test_remainder_below_the_minimum():
    """It is shared with the visit before; with all, if that is not enough; or there is a visit fewer."""
    paintings = shared([65.0, 4.0], 10.0, paintings=1, largest=30.0)
    assert [visits_of(paintings, spot) for spot in (0, 1)] == [[30.0, 17.5, 17.5], [4.0]]
    paintings = shared([31.0, 13.0, 20.0], 10.0, paintings=1, largest=12.0)
    assert visits_of(paintings, 0) == pytest.approx([31.0 / 3] * 3)  # 12, 9.5, 9.5 would be too little
    assert visits_of(paintings, 1) == [13.0], "more than the largest: there is no other way"
    assert visits_of(paintings, 2) == [10.0, 10.0]


def test_number_of_paintings_does_not_matter_with_a_largest_visit():
    one, other = (shared([65.0, 4.0], 10.0, paintings=n, largest=30.0) for n in (1, 5))
    assert spots(one) == spots(other)


def test_each_spot_has_its_own_minimum():
    paintings = paint(np.array([30.0, 30.0]), np.array([10.0, 20.0]), paintings=3)
    assert spots(paintings) == [[0], [0, 1], [0]]


@pytest.mark.stored
def test_weights_of_32_bits_are_as_good_as_whole_numbers():
    """Three times the minimum, a little less as a plan stores it, is three visits all the same."""
    stored = float(np.float32(0.3))
    assert stored / 3 != 0.1
    for meterset in (0.3, stored, 0.3 * (1 - 1e-7)):
        assert len(shared([meterset], 0.1, paintings=3)) == 3
        assert len(shared([meterset * (1 + 2e-7)], 0.01, paintings=1, largest=0.1)) == 3


def test_nothing_to_paint():
    assert len(shared([5.0, 5.0], 10.0, paintings=3)) == 1


@pytest.mark.parametrize("options", [{"paintings": 0}, {"paintings": -2}])
def test_number_of_paintings_that_cannot_be(options):
    with pytest.raises(ValueError, match="paintings is"):
        shared([5.0], 1.0, **options)


@pytest.mark.parametrize("largest", [0.0, -1.0, math.nan])
def test_largest_visit_that_cannot_be(largest: float):
    with pytest.raises(ValueError, match="largest is"):
        shared([5.0], 1.0, paintings=1, largest=largest)


@given(metersets, minima, st.integers(1, 30))
def test_scaled_shares(meterset: np.ndarray, minimum: float, n: int):
    paintings = shared(meterset, minimum, paintings=n)
    check(meterset, minimum, paintings)
    assert 1 <= len(paintings) <= n
    for spot, whole in enumerate(meterset):
        visits = visits_of(paintings, spot)
        assert max(visits) - min(visits) <= 1e-12 * whole, "equal shares"
        assert len(visits) == n or whole / (len(visits) + 1) < minimum, "no fewer than there must be"
        numbers = [i for i, painting in enumerate(paintings) if spot in painting.spot]
        if len(numbers) > 1:
            assert max(np.diff(numbers)) - min(np.diff(numbers)) <= 1, "evenly spread"


@given(metersets, minima, st.floats(1.0, 50.0))
def test_iso_layered_shares(meterset: np.ndarray, minimum: float, ratio: float):
    largest = max(minimum * ratio, meterset.max() / 50.0)
    paintings = shared(meterset, minimum, paintings=1, largest=largest)
    check(meterset, minimum, paintings)
    for spot, whole in enumerate(meterset):
        visits = visits_of(paintings, spot)
        in_paintings = [spot in painting.spot for painting in paintings]
        assert in_paintings == sorted(in_paintings, reverse=True), "in the first paintings"
        if max(visits) > largest * ROUND:
            # Only where the minimum forbids another visit.
            assert whole / (len(visits) + 1) < minimum
            assert max(visits) < 2.0 * max(minimum, whole / (len(visits) + 1)) * ROUND
        else:
            assert len(visits) == max(1, math.ceil(whole / largest - ROUNDING))
            assert (np.diff(visits) <= largest * 2.0 * ROUNDING).all(), "the largest come first"
            assert np.ptp(visits) <= 1e-12 * whole or visits[:-2] == pytest.approx(
                [largest] * (len(visits) - 2), rel=1e-9
            )


@given(metersets, minima, st.integers(1, 10), st.randoms(use_true_random=False))
def test_sums_are_exact_in_any_order(meterset: np.ndarray, minimum: float, n: int, random):
    paintings = list(shared(meterset, minimum, paintings=n))
    random.shuffle(paintings)
    total = np.zeros(len(meterset))
    for painting in paintings:
        total[painting.spot] += painting.meterset
    assume(len(paintings) > 1)
    assert total.tolist() == meterset.tolist()
