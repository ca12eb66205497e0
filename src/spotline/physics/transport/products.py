"""What a nuclear reaction leaves: the form in which reactions hand particles to the transport."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.jit import kernel

MOST_PRODUCTS = 48
"""No reaction leaves more: an oxygen nucleus has 16 nucleons, and so has its target."""
NEUTRON = -1
"""Stands for a neutron in place of the index of a species."""


class Products(NamedTuple):
    """Charged particles and neutrons behind a reaction, the scattered projectile among them if it survived.

    Attributes
    ----------
    species : ndarray of int, shape (MOST_PRODUCTS,)
        Index in `spotline.physics.nuclei.SPECIES`, or `NEUTRON`.
    energy_MeV_u : ndarray, shape (MOST_PRODUCTS,)
        Kinetic energy per nucleon in the laboratory.
    direction : ndarray, shape (MOST_PRODUCTS, 3)
        Unit vector in a frame whose third axis is the direction of the projectile before.
    """

    species: Integers
    energy_MeV_u: Floats
    direction: Floats


def new_products() -> Products:
    """Make room for the products of one reaction."""
    return Products(
        np.zeros(MOST_PRODUCTS, dtype=np.int64), np.zeros(MOST_PRODUCTS), np.zeros((MOST_PRODUCTS, 3))
    )


@kernel
def add_product(
    products: Products, number: int, species: int, energy_MeV_u: float, u: float, v: float, w: float
) -> int:
    """Write product `number`; return the number of the next, which stays the same if there is no room."""
    if number >= MOST_PRODUCTS:
        return number
    products.species[number] = species
    products.energy_MeV_u[number] = energy_MeV_u
    products.direction[number, 0] = u
    products.direction[number, 1] = v
    products.direction[number, 2] = w
    return number + 1
