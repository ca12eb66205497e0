"""Which reactions there are: where the transport calls the nuclear models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.jit import kernel
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.nuclei import SPECIES
from spotline.physics.proton_nuclear import (
    PROTON_INDEX,
    ProtonTables,
    proton_reactions_cm2_g,
    react_proton,
    stacked,
)
from spotline.physics.transport.products import Products

Floats = NDArray[np.float64]


class ReactionTables(NamedTuple):
    """Tables of the nuclear models.

    Attributes
    ----------
    protons : ProtonTables
        Of all materials, stacked.
    """

    protons: ProtonTables


def reaction_tables(materials: tuple[Material, ...]) -> ReactionTables:
    """Make the tables of all nuclear models for the materials of a geometry."""
    return ReactionTables(stacked(materials))


def reactions_cm2_g(species: Ion, energy_MeV_u: Floats, material: Material) -> Floats:
    """Macroscopic cross section of all reactions of a species over density; same shape as the energies."""
    if species is SPECIES[PROTON_INDEX]:
        return proton_reactions_cm2_g(energy_MeV_u, material)
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
    if species == PROTON_INDEX:
        return react_proton(tables.protons, material, energy_MeV_u, rng, products)
    return 0, 0.0
