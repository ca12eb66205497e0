"""Make a delivery path shorter: local search in compiled code.

A path with free ends is kept as a closed tour with one node more, the *gap*, which stands between the
last spot and the first.  The tour is an array of nodes in which stretches are turned around.  Two moves
make it shorter: two edges are replaced by two others (2-opt: Croes, Oper. Res. 6 (1958) 791), and up to
three spots are put in elsewhere (Or-opt: I. Or, thesis, Northwestern University, 1976), both only towards
the nearest neighbours of a spot, and only around spots where something has changed since they were last
looked at (Bentley, ORSA J. Comput. 4 (1992) 387).  Where no move helps, two neighbouring stretches are
swapped, the search goes on around them, and all is undone if it became worse (iterated local search:
Johnson and McGeoch, in: Aarts and Lenstra, Local Search in Combinatorial Optimization, 1997).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers
from spotline.jit import kernel
from spotline.moves import Moves, transit_time_us

LONGEST_INSERTED = 3
"""So many spots are put in elsewhere at once."""
LONGEST_SWAPPED = 50
"""Length of the stretches that are swapped."""
SMALLEST_GAIN_us = 1e-7
"""Less is taken for rounding: it could go round in circles, and elsewhere round differently."""
MOST_TURNS = 4096
"""Stretches turned around between a swap and its undoing; some tens are usual."""

# Random numbers: x' = 48271 x mod (2^31 - 1) (Park, Miller and Stockmeyer, Comm. ACM 36 (1993) 105).
FACTOR, MODULUS = 48271, 2_147_483_647

# Registers of a tour.
TURNS, HEAD, WAITING, RANDOM = 0, 1, 2, 3
N_REGISTERS = 4


class Spots(NamedTuple):
    """What is to be visited, and what an edge costs."""

    x_mm: Floats  # (n,)
    y_mm: Floats  # (n,)
    near: Integers  # (n, k): other spots around each, the cheapest first
    near_us: Floats  # (n, k): cost of the edges to them
    moves: Moves
    threshold_mm: float  # beyond it the beam is switched off ...
    jump_us: float  # ... which costs as much
    gentle_us_per_mm: float  # price of the way, beside that of the time
    gap_us: float  # cost of the edges to the gap, more than any other; a tour always has two of them


class Tour(NamedTuple):
    """A tour under way; n spots and the gap, node n."""

    node: Integers  # (n + 1,): nodes in the order of the tour
    place: Integers  # (n + 1,): where each node stands
    queue: Integers  # (n + 1,): ring of nodes to look at
    queued: NDArray[np.bool_]  # (n + 1,)
    turns: Integers  # (MOST_TURNS, 2): places of the stretches turned around
    register: Integers  # (N_REGISTERS,)


@kernel
def edge_us(spots: Spots, i: int, j: int) -> float:
    """Cost of going from spot to spot."""
    n = len(spots.x_mm)
    if i == n or j == n:
        return spots.gap_us
    dx_mm = spots.x_mm[j] - spots.x_mm[i]
    dy_mm = spots.y_mm[j] - spots.y_mm[i]
    distance_mm = math.sqrt(dx_mm * dx_mm + dy_mm * dy_mm)
    cost_us = max(transit_time_us(dx_mm, spots.moves.x), transit_time_us(dy_mm, spots.moves.y))
    if distance_mm > spots.threshold_mm:
        cost_us += spots.jump_us
    return cost_us + spots.gentle_us_per_mm * distance_mm


@kernel
def path_us(spots: Spots, order: Integers) -> float:
    """Cost of a path, without the gap."""
    cost_us = 0.0
    for i in range(1, len(order)):
        cost_us += edge_us(spots, order[i - 1], order[i])
    return cost_us


@kernel
def sort_neighbours(spots: Spots) -> None:
    """Fill in the cost of the edges to the neighbours, and put the cheapest first.

    Neighbours of one cost, as on every grid, stay in the order in which they were given.
    """
    for i in range(spots.near.shape[0]):
        for k in range(spots.near.shape[1]):
            j = spots.near[i, k]
            cost_us = edge_us(spots, i, j)
            m = k
            while m > 0 and spots.near_us[i, m - 1] > cost_us + SMALLEST_GAIN_us:
                spots.near_us[i, m] = spots.near_us[i, m - 1]
                spots.near[i, m] = spots.near[i, m - 1]
                m -= 1
            spots.near_us[i, m] = cost_us
            spots.near[i, m] = j


@kernel
def neighbour(tour: Tour, node: int, sense: int) -> int:
    """The node after (`sense` 1) or before (-1) another."""
    n = len(tour.node)
    place = tour.place[node] + sense
    if place == n:
        place = 0
    elif place < 0:
        place = n - 1
    found: int = tour.node[place]
    return found


@kernel
def enqueue(tour: Tour, node: int) -> None:
    """Queue a node."""
    if not tour.queued[node]:
        n = len(tour.node)
        tour.queue[(tour.register[HEAD] + tour.register[WAITING]) % n] = node
        tour.queued[node] = True
        tour.register[WAITING] += 1


@kernel
def reverse(tour: Tour, first: int, last: int) -> None:
    """Turn the stretch between two places around, or else all the rest, which makes the same tour."""
    n = len(tour.node)
    length = last - first + 1
    if length <= 0:
        length += n
    if 2 * length > n:
        first, last = (last + 1) % n, (first + n - 1) % n
        length = n - length
    for _ in range(length // 2):
        a, b = tour.node[first], tour.node[last]
        tour.node[first] = b
        tour.place[b] = first
        tour.node[last] = a
        tour.place[a] = last
        first += 1
        if first == n:
            first = 0
        last -= 1
        if last < 0:
            last = n - 1


@kernel
def turn(tour: Tour, before: int, first: int, last: int) -> None:
    """Turn ``first ... last`` around, which begins next to `before`, whichever way the array runs."""
    i, j = tour.place[first], tour.place[last]
    if neighbour(tour, before, 1) != first:
        i, j = j, i
    reverse(tour, i, j)
    k = tour.register[TURNS] % MOST_TURNS
    tour.turns[k, 0] = i
    tour.turns[k, 1] = j
    tour.register[TURNS] += 1


@kernel
def swap(tour: Tour, before: int, s1: int, s2: int, t1: int, t2: int, keep: bool) -> None:
    """Make ``before, t1 ... t2, s1 ... s2`` of ``before, s1 ... s2, t1 ... t2``, or end it with s2 ... s1."""
    turn(tour, before, s1, t2)
    turn(tour, before, t2, t1)
    if keep:
        turn(tour, t2, s2, s1)


@kernel
def cross(tour: Tour, spots: Spots, a: int, ahead: int) -> float:
    """Replace the edge from `a` and another by an edge to a neighbour and one between the far ends."""
    after_a = neighbour(tour, a, ahead)
    old_us = edge_us(spots, a, after_a)
    for k in range(spots.near.shape[1]):
        gain_us: float = old_us - spots.near_us[a, k]
        if gain_us <= SMALLEST_GAIN_us:
            break
        b = spots.near[a, k]
        after_b = neighbour(tour, b, ahead)
        if b == after_a or after_b == a:
            continue
        gain_us += edge_us(spots, b, after_b) - edge_us(spots, after_a, after_b)
        if gain_us > SMALLEST_GAIN_us:
            turn(tour, a, after_a, b)
            enqueue(tour, a)
            enqueue(tour, after_a)
            enqueue(tour, b)
            enqueue(tour, after_b)
            return gain_us
    return 0.0


@kernel
def insert(tour: Tour, spots: Spots, a: int, ahead: int) -> float:
    """Take out `a` and up to two more ahead of it, and put them in with `a` beside one of its neighbours."""
    n = len(tour.node)
    before = neighbour(tour, a, -ahead)
    old_us = edge_us(spots, before, a)
    end = a
    for more in range(LONGEST_INSERTED):
        if more > 0:
            end = neighbour(tour, end, ahead)
        after = neighbour(tour, end, ahead)
        if after == before:
            break
        freed_us = old_us + edge_us(spots, end, after) - edge_us(spots, before, after)
        for k in range(spots.near.shape[1]):
            if freed_us - spots.near_us[a, k] <= SMALLEST_GAIN_us:
                break
            b = spots.near[a, k]
            if (ahead * (tour.place[b] - tour.place[a]) + n) % n <= more:
                continue  # it is one of those taken out
            for side in range(2):
                # Put in ahead of b the way they stood, or behind it, turned around.
                if b == (before if side == 0 else after):
                    continue
                other = neighbour(tour, b, ahead if side == 0 else -ahead)
                gain_us: float = freed_us - spots.near_us[a, k]
                gain_us += edge_us(spots, b, other) - edge_us(spots, end, other)
                if gain_us > SMALLEST_GAIN_us:
                    swap(tour, before, a, end, after, b if side == 0 else other, side == 0)
                    enqueue(tour, before)
                    enqueue(tour, after)
                    enqueue(tour, a)
                    enqueue(tour, end)
                    enqueue(tour, b)
                    enqueue(tour, other)
                    return gain_us
    return 0.0


@kernel
def descend(tour: Tour, spots: Spots, most_turns: int) -> float:
    """Make moves around queued nodes until none helps; return what was gained.

    Beyond `most_turns` no more moves are made.
    """
    n = len(tour.node)
    gained_us = 0.0
    while tour.register[WAITING] > 0:
        a = tour.queue[tour.register[HEAD]]
        tour.register[HEAD] = (tour.register[HEAD] + 1) % n
        tour.register[WAITING] -= 1
        tour.queued[a] = False
        if a == n - 1:
            continue  # the gap has no neighbours; the ends of the path have
        for sense in range(2):
            if tour.register[TURNS] > most_turns:
                break
            gain_us = cross(tour, spots, a, 1 - 2 * sense)
            if gain_us == 0.0:
                gain_us = insert(tour, spots, a, 1 - 2 * sense)
            if gain_us > 0.0:
                gained_us += gain_us
                break
    return gained_us


@kernel
def below(tour: Tour, limit: int) -> int:
    """Draw a number from 0 to `limit` - 1."""
    tour.register[RANDOM] = tour.register[RANDOM] * FACTOR % MODULUS
    drawn: int = tour.register[RANDOM] % limit
    return drawn


@kernel
def kick(tour: Tour, spots: Spots, longest: int) -> float:
    """Swap two neighbouring stretches somewhere; return what was gained, usually less than nothing."""
    n = len(tour.node)
    at = below(tour, n)
    first = 1 + below(tour, longest)
    second = 1 + below(tour, longest)
    before, s1 = tour.node[at], tour.node[(at + 1) % n]
    s2, t1 = tour.node[(at + first) % n], tour.node[(at + first + 1) % n]
    t2, after = tour.node[(at + first + second) % n], tour.node[(at + first + second + 1) % n]
    gain_us = edge_us(spots, before, s1) + edge_us(spots, s2, t1) + edge_us(spots, t2, after)
    gain_us -= edge_us(spots, before, t1) + edge_us(spots, t2, s1) + edge_us(spots, s2, after)
    swap(tour, before, s1, s2, t1, t2, True)
    enqueue(tour, before)
    enqueue(tour, s1)
    enqueue(tour, s2)
    enqueue(tour, t1)
    enqueue(tour, t2)
    enqueue(tour, after)
    return gain_us


@kernel
def search(tour: Tour, spots: Spots, kicks: int) -> float:
    """Kick and descend so many times; return what was gained.

    The tour has at least four nodes, and nothing queued.
    """
    n = len(tour.node)
    longest = min(LONGEST_SWAPPED, (n - 2) // 2)
    gained_us = 0.0
    for _ in range(kicks):
        tour.register[TURNS] = 0
        gain_us = kick(tour, spots, longest)
        gain_us += descend(tour, spots, MOST_TURNS - 3)
        # Paths as good as this one are taken too: on a grid there are many, and some lead on.
        if gain_us > -SMALLEST_GAIN_us:
            gained_us += gain_us
        else:
            for k in range(tour.register[TURNS] - 1, -1, -1):
                reverse(tour, tour.turns[k, 0], tour.turns[k, 1])
    return gained_us
