"""Tables of the collisions of neutrons (`spotline.physics.neutrons`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.physics.elements import ELEMENTS
from spotline.physics.fragment_layout import MODEL, FragmentationModel
from spotline.physics.fragment_tables import local_energy_MeV
from spotline.physics.materials import Material
from spotline.physics.neutrons import HIGHEST_MeV, NeutronTables, STEP_MeV
from spotline.physics.nuclei import NEUTRON_MASS_MeV
from spotline.physics.proton_cross_sections import inelastic_mb
from spotline.physics.reaction_cross_sections import AVOGADRO_PER_MOL, CM2_PER_MB


def neutron_proton_mb(energy_MeV: ArrayLike) -> Floats:
    """Cross section of a neutron on hydrogen; same shape as `energy_MeV`, from 1 MeV."""
    energy = np.asarray(energy_MeV, dtype=float)
    p = 1e-3 * np.sqrt(energy * (energy + 2.0 * NEUTRON_MASS_MeV))
    fast = 33.0 + 196.0 * np.abs(p - 0.95) ** 2.5
    slow = 6.3555 * p**-3.2481 * np.exp(-0.377 * np.log(p) ** 2)
    return np.where(p > 0.45, fast, slow)


def neutron_tables(material: Material, model: FragmentationModel = MODEL) -> NeutronTables:
    """Make the tables of one material."""
    energy = np.maximum(np.arange(0.0, HIGHEST_MeV + STEP_MeV, STEP_MeV), 1.0)
    total, hydrogen = np.zeros((2, energy.size))
    for z, fraction in material.composition:
        per_mb = fraction * AVOGADRO_PER_MOL / ELEMENTS[z].atomic_mass_u * CM2_PER_MB
        # What protons have below 20 MeV is the work of the Coulomb barrier.
        share = per_mb * (neutron_proton_mb(energy) if z == 1 else inelastic_mb(z, np.maximum(energy, 20.0)))
        total += share
        if z == 1:
            hydrogen = share
    return NeutronTables(
        total, hydrogen / total, np.array(model.excitation_MeV), np.array(local_energy_MeV(model, 1)[1])
    )


def stacked_neutrons(materials: Sequence[Material]) -> NeutronTables:
    """Tables of several materials, stacked along a first axis."""
    tables = [neutron_tables(material) for material in materials]
    return NeutronTables(*(np.stack(fields) for fields in zip(*tables, strict=True)))
