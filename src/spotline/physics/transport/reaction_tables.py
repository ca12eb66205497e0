"""Making the tables of all nuclear models, and how often anything reacts."""

from __future__ import annotations

from spotline.arrays import Floats
from spotline.physics.fragment_tables import fragment_tables, ion_reactions_cm2_g, stack_tables
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.neutron_tables import stacked_neutrons
from spotline.physics.nuclei import SPECIES
from spotline.physics.proton_nuclear import PROTON_INDEX, proton_reactions_cm2_g, stacked
from spotline.physics.transport.reactions import ReactionTables


def reaction_tables(materials: tuple[Material, ...]) -> ReactionTables:
    """Make the tables of all nuclear models for the materials of a geometry."""
    fragments = stack_tables([fragment_tables(material) for material in materials])
    return ReactionTables(stacked(materials), fragments, stacked_neutrons(materials))


def reactions_cm2_g(species: Ion, energy_MeV_u: Floats, material: Material) -> Floats:
    """Macroscopic cross section of all reactions of a species over density; same shape as the energies."""
    if species is SPECIES[PROTON_INDEX]:
        return proton_reactions_cm2_g(energy_MeV_u, material)
    return ion_reactions_cm2_g(species, energy_MeV_u, material)
