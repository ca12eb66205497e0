"""The form of the tables from which the break-up of ions is sampled, and the parameters behind them.

`spotline.physics.fragment_tables` makes them, and kernels read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.physics.ions import HELIUM, Ion

ENERGY_MeV_u: Floats = np.geomspace(1.0, 600.0, 128)
"""Grid of the cross sections, in equal steps of the logarithm."""
QUANTILES = 8
"""Kinetic energies per decay."""
LIGHT = 4
"""Mass number of the heaviest nucleus with nothing but a 1s shell."""
HYDROGEN, HEAVY = 0, 1
"""The two kinds of targets."""


@dataclass(frozen=True, slots=True)
class FragmentationModel:
    """Parameters of the fragmentation that no theory gives well enough.

    Attributes
    ----------
    cross_section_scale : float
        Factor on total reaction cross sections.
    cross_section_scale_helium : float
        The same for 4He.
    inelastic_share : float
        Share of the reactions in which no nucleon is struck and the projectile is only excited.
    excitation_light_MeV : float
        Mean excitation that a nucleon struck out of a nucleus up to helium leaves behind; these have no shell
        below that of the nucleon.
    excitation_MeV : float
        The same for heavier nuclei.
    nucleon_fm2 : float
        Cross section of a nucleon on a nucleon inside nuclei.

    Notes
    -----
    The first four are fitted to the depth doses of three reference libraries (helium, carbon and oxygen), all
    at once, and at the even energies alone; the page of verification on depth doses has the others.  The mean
    excitation is fitted to the isotopes that 12C leaves on carbon (Kidd et al., Phys. Rev. C 37 (1988) 2613).
    The cross section of a nucleon is three quarters of 3.3 fm2, the mean of free pp and pn at 200 MeV, as
    inside matter (Li and Machleidt, Phys. Rev. C 48 (1993) 1702 and 49 (1994) 566).
    """

    cross_section_scale: float = 0.95
    cross_section_scale_helium: float = 1.09
    inelastic_share: float = 0.07
    excitation_light_MeV: float = 7.5
    excitation_MeV: float = 20.0
    nucleon_fm2: float = 2.4

    def scale_of(self, ion: Ion) -> float:
        """Factor on the total reaction cross sections of an ion."""
        return self.cross_section_scale_helium if ion == HELIUM else self.cross_section_scale

    def excitation_of(self, ion: Ion) -> float:
        """Mean excitation in MeV that a nucleon struck out of an ion leaves behind."""
        return self.excitation_light_MeV if ion.mass_number <= LIGHT else self.excitation_MeV


MODEL = FragmentationModel()


class FragmentTables(NamedTuple):
    """What the sampling of reactions in one material needs; for several, stacked along a first axis.

    Attributes
    ----------
    total_cm2_g : ndarray, shape (n_species, n_energies)
        Macroscopic reaction cross section on the grid `ENERGY_MeV_u`; 0 for protons.
    hydrogen_share : ndarray, shape (n_species, n_energies)
        Share of hydrogen in it.
    node_begin, node_number : ndarray of int, shape (n_species,)
        Where the nodes of a species are.
    node_chance, node_alias : ndarray, shape (2, n_nodes)
        Alias tables of every species, on hydrogen and on heavier nuclei.
    node_struck : ndarray of int, shape (n_nodes, 2)
        Protons and neutrons struck.
    node_decay_begin, node_decay_number : ndarray of int, shape (n_nodes,)
        Where the decays of a node are; none if nothing remains.
    decay_chance, decay_alias : ndarray, shape (n_decays,)
        Alias tables of every node.
    decay_number : ndarray of int, shape (n_decays,)
        Fragments of a decay.
    decay_fragment : ndarray of int, shape (n_decays, MOST_FRAGMENTS)
        Their species, or `NEUTRON`.
    decay_cost_MeV : ndarray, shape (n_decays,)
        Energy that the decay takes beside the kinetic energy of its fragments.
    decay_kinetic_MeV : ndarray, shape (n_decays, QUANTILES)
        Kinetic energy of the fragments together, at equally likely quantiles.
    local_MeV : ndarray, shape (2, most_struck + 1)
        Mean energy of charged particles from the rest of the target, by number of struck nucleons.
    excitation_MeV : ndarray, shape ()
        Excitation per struck nucleon.
    """

    total_cm2_g: Floats
    hydrogen_share: Floats
    node_begin: Integers
    node_number: Integers
    node_chance: Floats
    node_alias: Integers
    node_struck: Integers
    node_decay_begin: Integers
    node_decay_number: Integers
    decay_chance: Floats
    decay_alias: Integers
    decay_number: Integers
    decay_fragment: Integers
    decay_cost_MeV: Floats
    decay_kinetic_MeV: Floats
    local_MeV: Floats
    excitation_MeV: Floats
