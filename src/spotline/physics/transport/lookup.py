"""What the transport looks up: energy, straggling, scattering and reactions of every species by its range.

A particle is followed by its residual range.  In terms of the root of that range the energy is almost a
straight line, so that a table with equal steps in the root can be interpolated linearly.
`spotline.physics.transport.tables` makes the tables.
"""

from __future__ import annotations

from typing import NamedTuple

from spotline.arrays import Floats
from spotline.jit import kernel

NODES = 1024
HIGHEST_ENERGY_MeV_u = 600.0

ENERGY, VARIANCE, SKEW, SCATTERING, REACTIONS = range(5)
"""Columns: energy per nucleon (MeV/u); variance and third moment of the range per path ((g/cm2)^2 and
(g/cm2)^3 per g/cm2); scattering power (rad2 cm2/g, in one plane); reactions (cm2/g)."""
COLUMNS = 8  # a power of two, so that a node fills a line of the processor's cache


class TransportTables(NamedTuple):
    """Tables of all species in the materials of a geometry.

    Attributes
    ----------
    nodes : ndarray, shape (materials, species, NODES + 2, COLUMNS)
        At equal steps of the root of the residual range, from 0.
    nodes_per_root : ndarray, shape (materials, species)
        Nodes per (g/cm2)^0.5.
    range_g_cm2 : ndarray, shape (materials, species, NODES + 2)
        Residual range at equal steps of the root of the energy, from 0.
    """

    nodes: Floats
    nodes_per_root: Floats
    range_g_cm2: Floats


NODES_PER_ROOT_ENERGY = NODES / HIGHEST_ENERGY_MeV_u**0.5


@kernel
def range_of(tables: TransportTables, material: int, species: int, energy_MeV_u: float) -> float:
    """Residual range in g/cm2 at an energy; that of the highest energy in the tables if it is beyond."""
    place = min(energy_MeV_u, HIGHEST_ENERGY_MeV_u) ** 0.5 * NODES_PER_ROOT_ENERGY
    node = int(place)
    rest = place - node
    ranges = tables.range_g_cm2
    lower = ranges[material, species, node]
    return lower + rest * (ranges[material, species, node + 1] - lower)


@kernel
def energy_at(tables: TransportTables, material: int, species: int, range_g_cm2: float) -> float:
    """Energy per nucleon at a residual range within the tables."""
    place = range_g_cm2**0.5 * tables.nodes_per_root[material, species]
    node = int(place)
    rest = place - node
    nodes = tables.nodes
    lower = nodes[material, species, node, ENERGY]
    return lower + rest * (nodes[material, species, node + 1, ENERGY] - lower)
