"""Making the tables that the transport looks up (`spotline.physics.transport.lookup`)."""

from __future__ import annotations

import functools

import numpy as np

from spotline.arrays import Floats
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER, Material
from spotline.physics.nuclei import SPECIES
from spotline.physics.scattering import scattering_power_rad2_cm2_per_g
from spotline.physics.stopping import (
    LOWEST_ENERGY_MeV_u,
    RangeEnergy,
    mass_stopping_power_MeV_cm2_per_g,
)
from spotline.physics.straggling import (
    straggling_third_moment_MeV3_cm2_per_g,
    straggling_variance_MeV2_cm2_per_g,
)
from spotline.physics.transport.lookup import (
    COLUMNS,
    ENERGY,
    NODES,
    NODES_PER_ROOT_ENERGY,
    REACTIONS,
    SCATTERING,
    SKEW,
    VARIANCE,
    HIGHEST_ENERGY_MeV_u,
    TransportTables,
)
from spotline.physics.transport.reaction_tables import reactions_cm2_g


@functools.lru_cache(maxsize=256)
def _slowing_down(ion: Ion, material: Material, excitation_eV: float | None) -> tuple[Floats, float, Floats]:
    """Nodes without scattering and reactions, nodes per root, and ranges at steps of the root of energy."""
    table = RangeEnergy(ion, material, excitation_eV)
    farthest = float(table.range_g_cm2(HIGHEST_ENERGY_MeV_u))
    nodes_per_root = NODES / farthest**0.5
    ranges = (np.arange(NODES + 2) / nodes_per_root) ** 2
    lowest_range = float(table.range_g_cm2(LOWEST_ENERGY_MeV_u))
    nodes = np.zeros((NODES + 2, COLUMNS))
    inside = (ranges > lowest_range) & (ranges < farthest * (1.0 - 1e-9))
    energies = LOWEST_ENERGY_MeV_u * (ranges / lowest_range) ** (2.0 / 3.0)  # S ~ E^-1/2 below the table
    energies[inside] = table.energy_MeV_u(ranges[inside] * 10.0 / material.density_g_cm3)
    energies[ranges >= farthest * (1.0 - 1e-9)] = HIGHEST_ENERGY_MeV_u
    nodes[:, ENERGY] = energies
    evaluated = np.clip(energies, LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u)
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, evaluated, material, excitation_eV)
    nodes[:, VARIANCE] = straggling_variance_MeV2_cm2_per_g(ion, evaluated, material) / stopping**2
    nodes[:, SKEW] = straggling_third_moment_MeV3_cm2_per_g(ion, evaluated, material) / stopping**3
    at = (np.arange(NODES + 2) / NODES_PER_ROOT_ENERGY) ** 2
    range_at = lowest_range * (at / LOWEST_ENERGY_MeV_u) ** 1.5
    above = at > LOWEST_ENERGY_MeV_u
    range_at[above] = table.range_g_cm2(np.minimum(at[above], HIGHEST_ENERGY_MeV_u))
    return nodes, nodes_per_root, range_at


def transport_tables(
    materials: tuple[Material, ...],
    energy_MeV_u: float,
    excitation_eV: float | None = None,
    reactions: bool = True,
) -> TransportTables:
    """Tabulate everything for a beam.

    Parameters
    ----------
    materials : tuple of Material
        In the order in which the geometry numbers them.
    energy_MeV_u : float
        Of the beam: scattering depends on what a particle has left behind, and secondaries carry on what the
        beam began.
    excitation_eV : float, optional
        I of water for all species; by default what holds for each of them.
    reactions : bool
        Whether there are any.
    """
    nodes = np.zeros((len(materials), len(SPECIES), NODES + 2, COLUMNS))
    nodes_per_root = np.zeros((len(materials), len(SPECIES)))
    range_at = np.zeros((len(materials), len(SPECIES), NODES + 2))
    for m, material in enumerate(materials):
        for s, species in enumerate(SPECIES):
            excitation = excitation_eV if material == WATER else None
            slowing, nodes_per_root[m, s], range_at[m, s] = _slowing_down(species, material, excitation)
            nodes[m, s] = slowing
            energies = np.clip(slowing[:, ENERGY], LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u)
            nodes[m, s, :, SCATTERING] = scattering_power_rad2_cm2_per_g(
                species, energies, material, energy_MeV_u
            )
            if reactions:
                nodes[m, s, :, REACTIONS] = reactions_cm2_g(species, slowing[:, ENERGY], material)
    return TransportTables(nodes, nodes_per_root, range_at)
