"""Which reactions there are: where the transport calls the nuclear models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.jit import kernel
from spotline.physics.fragment_tables import (
    FragmentTables,
    fragment_tables,
    ion_reactions_cm2_g,
    stack_tables,
)
from spotline.physics.fragmentation import react_ion
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.neutrons import NeutronTables, stacked_neutrons
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
    fragments : FragmentTables
        Of all other ions, likewise.
    neutrons : NeutronTables
        Of neutrons, likewise.
    """

    protons: ProtonTables
    fragments: FragmentTables
    neutrons: NeutronTables


def reaction_tables(materials: tuple[Material, ...]) -> ReactionTables:
    """Make the tables of all nuclear models for the materials of a geometry."""
    fragments = stack_tables([fragment_tables(material) for material in materials])
    return ReactionTables(stacked(materials), fragments, stacked_neutrons(materials))


def reactions_cm2_g(species: Ion, energy_MeV_u: Floats, material: Material) -> Floats:
    """Macroscopic cross section of all reactions of a species over density; same shape as the energies."""
    if species is SPECIES[PROTON_INDEX]:
        return proton_reactions_cm2_g(energy_MeV_u, material)
    return ion_reactions_cm2_g(species, energy_MeV_u, material)


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
    return react_ion(tables.fragments, material, species, energy_MeV_u, rng, products)
