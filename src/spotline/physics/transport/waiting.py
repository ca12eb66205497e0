"""Particles that wait to be followed, and the rest of the memory of a thread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.jit import kernel
from spotline.physics.transport.products import Products, new_products

STACK = 256
"""Particles that wait; one beyond is left out, and counted."""


class Scratch(NamedTuple):
    """Memory of one thread.

    Attributes
    ----------
    rng : ndarray of uint64, shape (1,)
    species, group : ndarray of int, shape (STACK,)
        Of the particles that wait.
    state : ndarray, shape (STACK, 7)
        Their energy (MeV/u), position (mm) and direction.
    products : Products
    lost : ndarray of int, shape (1,)
        Particles for which there was no room.
    """

    rng: NDArray[np.uint64]
    species: NDArray[np.int64]
    group: NDArray[np.int64]
    state: NDArray[np.float64]
    products: Products
    lost: NDArray[np.int64]


def new_scratch() -> Scratch:
    """Make the memory of a thread."""
    return Scratch(
        np.zeros(1, dtype=np.uint64),
        np.zeros(STACK, dtype=np.int64),
        np.zeros(STACK, dtype=np.int64),
        np.zeros((STACK, 7)),
        new_products(),
        np.zeros(1, dtype=np.int64),
    )


@kernel
def put(
    scratch: Scratch,
    waiting: int,
    species: int,
    group: int,
    energy: float,
    x: float,
    y: float,
    z: float,
    u: float,
    v: float,
    w: float,
) -> int:
    """Let a particle wait; return how many do."""
    scratch.species[waiting] = species
    scratch.group[waiting] = group
    state = scratch.state
    state[waiting, 0], state[waiting, 1], state[waiting, 2], state[waiting, 3] = energy, x, y, z
    state[waiting, 4], state[waiting, 5], state[waiting, 6] = u, v, w
    return waiting + 1
