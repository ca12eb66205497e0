"""Which reactions there are: where the transport calls the nuclear models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.jit import kernel
from spotline.physics.fragment_layout import FragmentTables
from spotline.physics.fragmentation import react_ion
from spotline.physics.neutrons import NeutronTables
from spotline.physics.proton_nuclear import PROTON_INDEX, ProtonTables, react_proton
from spotline.physics.transport.products import Products


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
