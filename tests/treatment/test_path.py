"""The delivery path: never worse than the given one, and as short as it can be where that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from spotline.moves import Moves, transit_time_us
from spotline.treatment.path import Jumps, PathLength, measure_path, shortest_path
from tests.treatment.layers import (
    EQUAL,
    JUMPS,
    MOVES,
    Positions,
    all_orders,
    grid,
    positions,
    shuffled,
    some_positions,
)


def measured(positions_mm: Positions, moves: Moves = MOVES, jumps: Jumps = JUMPS) -> PathLength:
    """What the path that is found costs."""
    x_mm, y_mm = positions_mm
    order = shortest_path(x_mm, y_mm, moves, jumps)
    assert sorted(order) == list(range(len(x_mm)))
    return measure_path(x_mm[order], y_mm[order], moves, jumps)


@given(positions_mm=positions(25))
@settings(max_examples=60)
@pytest.mark.kernel
def test_never_worse_than_the_given_order(positions_mm: np.ndarray):
    x_mm, y_mm = positions_mm
    order = shortest_path(x_mm, y_mm, MOVES, JUMPS)
    assert sorted(order) == list(range(len(x_mm)))
    new = measure_path(x_mm[order], y_mm[order], MOVES, JUMPS)
    old = measure_path(x_mm, y_mm, MOVES, JUMPS)
    assert all(a <= b for a, b in zip(new, old, strict=True))
    if not np.array_equal(order, np.arange(len(x_mm))):
        assert new.time_us < old.time_us or new.travel_mm < old.travel_mm


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8])
def test_small_layers_against_every_order(n: int):
    """Of the orders that are no longer a way than the given one, the fastest, within the price of the way.

    The price is 2 % of the time to slew along the diagonal, which is less than 3 % of any move's time.
    """
    orders = all_orders(n)
    for seed in range(40):
        x_mm, y_mm = some_positions(n, seed)
        distance_mm = np.hypot(x_mm[:, None] - x_mm, y_mm[:, None] - y_mm)
        edge_us = np.array(
            [
                [
                    max(
                        transit_time_us(x_mm[i] - x_mm[j], MOVES.x),
                        transit_time_us(y_mm[i] - y_mm[j], MOVES.y),
                    )
                    for j in range(n)
                ]
                for i in range(n)
            ]
        )
        edge_us += JUMPS.cost_us * (distance_mm > JUMPS.threshold_mm)
        times_us = edge_us[orders[:, :-1], orders[:, 1:]].sum(axis=1)
        ways_mm = distance_mm[orders[:, :-1], orders[:, 1:]].sum(axis=1)
        jumps = (distance_mm > JUMPS.threshold_mm)[orders[:, :-1], orders[:, 1:]].sum(axis=1)
        old = measure_path(x_mm, y_mm, MOVES, JUMPS)
        allowed = (ways_mm <= old.travel_mm + 1e-9) & (jumps <= old.jumps)
        new = measured((x_mm, y_mm))
        assert times_us[allowed].min() - 1e-6 <= new.time_us <= 1.03 * times_us[allowed].min(), seed


@pytest.mark.kernel
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_spots_stay_in_order(n: int):
    x_mm = np.array([5.0, -5.0])[:n]
    assert shortest_path(x_mm, x_mm, MOVES, JUMPS).tolist() == list(range(n))


@pytest.mark.kernel
def test_spots_on_a_line_are_scanned_from_end_to_end():
    x_mm, y_mm = shuffled((np.arange(20) * 3.0, np.zeros(20)))
    for line in ((x_mm, y_mm), (y_mm, x_mm), (x_mm, x_mm)):
        order = shortest_path(*line, MOVES, JUMPS)
        steps = np.diff(np.hypot(*line)[order])
        assert np.all(steps > 0.0) or np.all(steps < 0.0)


@pytest.mark.kernel
def test_spots_at_one_place_follow_each_other_in_the_given_order():
    x_mm, y_mm = shuffled((np.repeat(np.arange(6) * 3.0, 3), np.zeros(18)))
    x_mm = x_mm + np.linspace(0.0, 1e-7, 18)
    order = shortest_path(x_mm, y_mm, MOVES, JUMPS)
    for visits in order.reshape(6, 3):
        assert np.ptp(x_mm[visits]) < 1e-6
        assert np.all(np.diff(visits) > 0)
    assert shortest_path(np.zeros(9), np.zeros(9), MOVES, JUMPS).tolist() == list(range(9))


@pytest.mark.kernel
def test_a_path_that_is_the_best_stays_as_it_is():
    for x_mm, y_mm in (grid(6, 4, 2.0), grid(1, 9, 3.0)):
        assert shortest_path(x_mm, y_mm, MOVES, JUMPS).tolist() == list(range(len(x_mm)))


@pytest.mark.kernel
def test_rows_run_along_the_faster_axis():
    x_mm, y_mm = grid(5, 5, 3.0)
    x_mm, y_mm = shuffled((y_mm, x_mm))  # scanned along y before
    order = shortest_path(x_mm, y_mm, MOVES, JUMPS)
    assert np.count_nonzero(np.diff(y_mm[order])) == 4
    assert measured((x_mm, y_mm)).time_us == pytest.approx(
        20 * transit_time_us(3.0, MOVES.x) + 4 * transit_time_us(3.0, MOVES.y)
    )


def test_of_moves_that_take_equally_long_the_gentlest():
    """A diagonal step takes no longer than a straight one, but both magnets move."""
    found = measured(shuffled(grid(12, 12, 2.0)), EQUAL)
    assert found.time_us == pytest.approx(143 * transit_time_us(2.0, EQUAL.x))
    assert found.travel_mm == pytest.approx(143 * 2.0)


def test_a_large_grid_in_any_order_becomes_rows():
    found = measured(shuffled(grid(25, 20, 2.0)))
    step_us = transit_time_us(2.0, MOVES.x)
    rows_us = 480 * step_us + 19 * transit_time_us(2.0, MOVES.y)
    assert found.time_us <= 1.01 * rows_us
    assert found.jumps == 0


@pytest.mark.kernel
def test_islands_are_finished_one_by_one():
    x_mm, y_mm = grid(4, 4, 2.0)
    x_mm = np.concatenate([x_mm, x_mm + 60.0, x_mm + 30.0])
    layer = shuffled((x_mm, np.tile(y_mm, 3)))
    assert measure_path(*layer, MOVES, JUMPS).jumps > 10
    assert measured(layer).jumps == 2


@pytest.mark.kernel
def test_a_faster_path_that_is_a_longer_way_is_not_taken():
    """The shortest way of these spots takes 1890 us, the fastest path 1716 us for 1.8 mm more."""
    x_mm = np.array([12.0, 8.0, 8.0, 12.0, 16.0, 20.0, 16.0, 0.0])
    y_mm = np.array([20.0, 12.0, 8.0, 8.0, 8.0, 8.0, 4.0, 0.0])
    assert shortest_path(x_mm, y_mm, EQUAL, JUMPS).tolist() == list(range(8))


@pytest.mark.kernel
def test_if_the_fastest_path_is_a_longer_way_another_is_found():
    x_mm = np.array([4.0, 16.0, 12.0, 12.0, 8.0, 4.0, 24.0])
    y_mm = np.array([24.0, 20.0, 16.0, 12.0, 8.0, 8.0, 0.0])
    fastest = PathLength(1892.99, 56.247, 0)
    old, new = measure_path(x_mm, y_mm, EQUAL, JUMPS), measured((x_mm, y_mm), EQUAL)
    assert fastest.travel_mm > old.travel_mm >= new.travel_mm
    assert fastest.time_us < new.time_us < old.time_us
    assert (new.jumps, old.jumps) == (0, 1)


def sparse_layer(spots: int, side: int) -> Positions:
    """Random points of a grid, in its order."""
    chosen = np.random.Generator(np.random.PCG64(3)).choice(side**2, spots, replace=False)
    y, x = np.divmod(np.sort(chosen), side)
    return 2.0 * x, 2.0 * y


def test_500_spots_within_5_percent_of_a_long_search():
    x_mm, y_mm = sparse_layer(500, 50)
    long = shortest_path(x_mm, y_mm, MOVES, JUMPS, effort=40.0)
    best = measure_path(x_mm[long], y_mm[long], MOVES, JUMPS)
    found = measured((x_mm, y_mm))
    assert best.time_us <= found.time_us <= 1.05 * best.time_us


def test_many_spots():
    x_mm, y_mm = sparse_layer(20_000, 200)
    order = shortest_path(x_mm, y_mm, MOVES, JUMPS, effort=0.1)
    assert np.array_equal(np.sort(order), np.arange(20_000))
    new = measure_path(x_mm[order], y_mm[order], MOVES, JUMPS)
    # Two spots are never less than a step apart; half of the grid is there.
    assert 19_999 * transit_time_us(2.0, MOVES.x) < new.time_us
    assert new.time_us < 0.6 * measure_path(x_mm, y_mm, MOVES, JUMPS).time_us


@pytest.mark.kernel
def test_the_same_spots_make_the_same_path():
    x_mm, y_mm = some_positions(30, 2)
    first = shortest_path(x_mm, y_mm, MOVES, JUMPS)
    np.random.Generator(np.random.PCG64(1)).uniform()
    assert np.array_equal(first, shortest_path(x_mm.copy(), y_mm.copy(), MOVES, JUMPS))


def test_measure_by_hand():
    x_mm, y_mm = np.array([0.0, 3.0, 3.0, 33.0]), np.array([0.0, 4.0, 4.0, 4.0])
    expected_us = transit_time_us(4.0, MOVES.y) + transit_time_us(30.0, MOVES.x) + JUMPS.cost_us
    assert measure_path(x_mm, y_mm, MOVES, JUMPS) == (pytest.approx(expected_us), 35.0, 1)
    assert measure_path(x_mm[:1], y_mm[:1], MOVES, JUMPS) == (0.0, 0.0, 0)


@pytest.mark.stored
@pytest.mark.parametrize("part", [2e-16, -2e-16, 1e-15])
def test_last_digits_of_the_costs_decide_nothing(part: float):
    """A disc on a grid has many equally good paths; magnets equally fast change by a last digit."""
    x_mm, y_mm = (axis.ravel() for axis in np.meshgrid(np.arange(-8.0, 9.0), np.arange(-8.0, 9.0)))
    inside = np.hypot(x_mm, y_mm) < 7.7
    x_mm, y_mm = 1.9 * x_mm[inside], 1.9 * y_mm[inside]

    def changed(axis):
        return axis._replace(
            A_per_mm=axis.A_per_mm * (1.0 + part),
            slew_A_per_us=axis.slew_A_per_us * (1.0 - part),
            settling_us=axis.settling_us * (1.0 + part),
        )

    others = EQUAL._replace(x=changed(EQUAL.x), y=changed(EQUAL.y))
    assert others != EQUAL
    found, again = (shortest_path(x_mm, y_mm, moves, JUMPS) for moves in (EQUAL, others))
    np.testing.assert_array_equal(again, found)
