"""Which reactions there are: where the transport calls the nuclear models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.jit import kernel
from spotline.physics.ions import Ion
from spotline.physics.stopping import Material
from spotline.physics.transport.products import Products

Floats = NDArray[np.float64]


class ReactionTables(NamedTuple):
    """Tables of the nuclear models.

    Attributes
    ----------
    empty : ndarray, shape (1,)
    """

    empty: Floats


def reaction_tables(materials: tuple[Material, ...]) -> ReactionTables:
    """Make the tables of all nuclear models for the materials of a geometry."""
    return ReactionTables(np.zeros(1))


def reactions_cm2_g(species: Ion, energy_MeV_u: Floats, material: Material) -> Floats:
    """Macroscopic cross section of all reactions of a species over density; same shape as the energies."""
    return np.zeros_like(energy_MeV_u)


@kernel
def react(
    tables: ReactionTables,
    material: int,
    species: int,
    energy_MeV_u: float,
    rng: NDArray[np.uint64],
    products: Products,
) -> tuple[int, float]:
    """Draw what a reaction leaves.

    Returns
    -------
    int
        Number of charged products.
    float
        Energy in MeV that stays on the spot.
    """
    return 0, 0.0
