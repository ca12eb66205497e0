"""Tables from which the break-up of ions is sampled.

A reaction is sampled in two stages, as in the models of abrasion and ablation (Huefner et al., Phys. Rev. C
12 (1975) 1888; Gaimard and Schmidt, Nucl. Phys. A 531 (1991) 709).  A *node* says how many protons and
neutrons were struck out of the projectile (`spotline.physics.abrasion`); which of both is struck goes by
chance alone.  What remains has been left with a hole for each, each of an exponentially distributed energy,
and goes into the fragments of a *decay* (`spotline.physics.breakup`).  Both are drawn by the alias method
(Walker, ACM Trans. Math. Softw. 3 (1977) 253), which takes the same time for any number of them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import gamma, hypergeom

from spotline.arrays import Floats, Integers
from spotline.physics.abrasion import abrasion_probability
from spotline.physics.breakup import FINAL, Breakup, break_up, breakup_threshold_MeV, mass_excess_MeV
from spotline.physics.fragment_layout import (
    HEAVY,
    HYDROGEN,
    LIGHT,
    MODEL,
    QUANTILES,
    ENERGY_MeV_u,
    FragmentationModel,
    FragmentTables,
)
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.nuclei import SPECIES
from spotline.physics.reaction_cross_sections import (
    cross_section_shares_cm2_g,
    macroscopic_cross_section_cm2_g,
    reaction_cross_section_mb,
    target_mass_number,
)
from spotline.physics.transport.products import NEUTRON

MOST_FRAGMENTS = 10
"""Decays into more fragments are left out."""
LEAST_PROBABILITY = 3e-4
"""Decays that are rarer than this behind their node are left out."""
HOTTEST_MeV_u = 6.0
"""Most excitation per nucleon that a nucleus keeps; what is beyond leaves with the struck nucleons.

Nuclei of some 60 to 100 nucleons keep 5 to 6 (Natowitz et al., Phys. Rev. C 65 (2002) 034618)."""


def alias_table(probability: Floats) -> tuple[Floats, Integers]:
    """Make the table for drawing from a discrete distribution in one step.

    Parameters
    ----------
    probability : ndarray, shape (n,)
        >= 0, of any sum above 0.

    Returns
    -------
    tuple of ndarray
        Chance to keep a cell drawn at random, and the cell to take otherwise.
    """
    n = probability.size
    scaled = probability / probability.sum() * n
    chance, alias = np.ones(n), np.arange(n)
    small = [i for i in range(n) if scaled[i] < 1.0]
    large = [i for i in range(n) if scaled[i] >= 1.0]
    while small and large:
        less, more = small.pop(), large[-1]
        chance[less], alias[less] = scaled[less], more
        scaled[more] -= 1.0 - scaled[less]
        if scaled[more] < 1.0:
            small.append(large.pop())
    return chance, alias


_EXCITATION_EDGES_MeV = np.concatenate(
    [np.arange(0.0, 60.0, 1.5), np.arange(60.0, 150.0, 6.0), np.arange(150.0, 401.0, 25.0)]
)


_EXCITATION_MeV = 0.5 * (_EXCITATION_EDGES_MeV[1:] + _EXCITATION_EDGES_MeV[:-1])


@dataclass(frozen=True, slots=True)
class Decays:
    """What the rest of a projectile goes into, most likely first.

    Attributes
    ----------
    fragments : tuple of tuple of int
        Species, or `NEUTRON`, of every decay.
    probability, cost_MeV : ndarray, shape (n,)
        Probability, and energy that masses take.
    kinetic_MeV : ndarray, shape (n, QUANTILES)
        Kinetic energy of all fragments together, at equally likely quantiles.
    """

    fragments: tuple[tuple[int, ...], ...]
    probability: Floats
    cost_MeV: Floats
    kinetic_MeV: Floats


@functools.cache
def _breakup_on_grid(z: int, a: int) -> Breakup:
    return break_up(z, a, _EXCITATION_MeV)


@functools.cache
def decays(z: int, a: int, holes: int, excitation_MeV: float) -> Decays:
    """Tell what a nucleus goes into that has been left with so many holes.

    Parameters
    ----------
    z, a : int
        Atomic number and mass number of what remains.
    holes : int
        Number of exponential deviates that its excitation is the sum of; 0 stands for a nucleus that was
        excited without a hole, by one deviate.  Up to helium no level is bound but the lowest, so that such
        an excitation is one from where the nucleus comes apart.
    excitation_MeV : float
        Mean of each.
    """
    result = _breakup_on_grid(z, a)
    cumulative = gamma.cdf(_EXCITATION_EDGES_MeV, max(holes, 1), scale=excitation_MeV)
    cumulative[-1] = 1.0
    share = np.diff(cumulative)
    if holes > 0:
        hottest = max(int(np.searchsorted(_EXCITATION_MeV, HOTTEST_MeV_u * a)), 1)
        share[hottest - 1] += share[hottest:].sum()
        share[hottest:] = 0.0
    if holes == 0 and a <= LIGHT:
        share[breakup_threshold_MeV(z, a) >= _EXCITATION_MeV] = 0.0
    weight = (share / share.sum())[:, None] * result.probability
    probability = weight.sum(axis=0)
    few = np.array([sum(chosen) <= MOST_FRAGMENTS for chosen in result.sets])
    kept = [int(i) for i in np.argsort(-probability) if few[i] and probability[i] > LEAST_PROBABILITY]
    ground = mass_excess_MeV((z, a))
    middle = (np.arange(QUANTILES) + 0.5) / QUANTILES
    fragments, cost, kinetic = [], [], []
    for i in kept:
        counts = result.sets[i]
        fragments.append(tuple(index - 1 for index, count in enumerate(counts) for _ in range(count)))
        masses = sum(count * mass_excess_MeV(FINAL[index]) for index, count in enumerate(counts) if count)
        cost.append(max(masses - ground, 0.0))
        order = np.argsort(result.kinetic_MeV[:, i])
        along = np.cumsum(weight[order, i]) - 0.5 * weight[order, i]
        kinetic.append(np.interp(middle * probability[i], along, result.kinetic_MeV[order, i]))
    return Decays(
        tuple(fragments), probability[kept] / probability[kept].sum(), np.array(cost), np.array(kinetic)
    )


def _nodes(species: int) -> list[tuple[int, int]]:
    """All numbers of struck protons and neutrons."""
    ion = SPECIES[species]
    protons, neutrons = ion.charge_number, ion.mass_number - ion.charge_number
    return [(p, n) for p in range(protons + 1) for n in range(neutrons + 1)]


def _node_probability(species: int, target: tuple[int, int], model: FragmentationModel) -> Floats:
    ion = SPECIES[species]
    projectile = (ion.charge_number, ion.mass_number)
    struck = abrasion_probability(projectile, target, model.nucleon_fm2) * (1.0 - model.inelastic_share)
    struck[0] = model.inelastic_share
    chance = [
        struck[p + n] * hypergeom.pmf(p, ion.mass_number, ion.charge_number, p + n)
        for p, n in _nodes(species)
    ]
    return np.array(chance)


def local_energy_MeV(model: FragmentationModel, most_struck: int) -> Floats:
    """Mean kinetic energy of charged fragments of an oxygen nucleus, by number of struck nucleons.

    Of the energy of a break-up each fragment has the share that equal partition gives it.
    """
    local = np.zeros(most_struck + 1)
    for struck in range(1, most_struck + 1):
        for p in range(max(0, struck - 8), min(8, struck) + 1):
            if struck == 16:
                continue
            rest = decays(8 - p, 16 - struck, struck, model.excitation_MeV)
            chance = hypergeom.pmf(p, 16, 8, struck)
            for fragments, probability, kinetic in zip(
                rest.fragments, rest.probability, rest.kinetic_MeV, strict=True
            ):
                charged = sum(f != NEUTRON for f in fragments) / len(fragments)
                local[struck] += chance * probability * charged * kinetic.mean()
    return local


def ion_reactions_cm2_g(
    ion: Ion, energy_MeV_u: ArrayLike, material: Material, model: FragmentationModel = MODEL
) -> Floats:
    """Macroscopic cross section of all reactions of an ion, as the tables have it.

    Parameters
    ----------
    ion : Ion
        Any of `SPECIES` but the proton.
    energy_MeV_u : array_like
        Kinetic energy per nucleon.
    material : Material
        What it crosses.
    model : FragmentationModel
        Parameters.
    """
    return model.scale_of(ion) * macroscopic_cross_section_cm2_g(ion, material, energy_MeV_u)


def fragment_tables(material: Material, model: FragmentationModel = MODEL) -> FragmentTables:
    """Make the tables for a material.

    Parameters
    ----------
    material : Material
        What the ions cross.
    model : FragmentationModel
        Parameters.

    Returns
    -------
    FragmentTables
        Of the same shapes for every material.
    """
    n_species = len(SPECIES)
    total, hydrogen = np.zeros((2, n_species, ENERGY_MeV_u.size))
    begin, number = np.zeros((2, n_species), dtype=np.int64)
    chances: list[list[Floats]] = [[], []]
    aliases: list[list[Integers]] = [[], []]
    struck: list[tuple[int, int]] = []
    decay_begin, decay_number = [], []
    found: dict[tuple[int, int, int, float], tuple[int, int]] = {}
    all_decays: list[Decays] = []
    size = 0
    for species in range(1, n_species):
        ion = SPECIES[species]
        shares = cross_section_shares_cm2_g(ion, material, ENERGY_MeV_u)
        total[species] = model.scale_of(ion) * sum(shares.values())
        on_hydrogen = model.scale_of(ion) * shares.get(1, np.zeros(ENERGY_MeV_u.size))
        hydrogen[species] = np.divide(
            on_hydrogen, total[species], where=total[species] > 0.0, out=np.zeros(ENERGY_MeV_u.size)
        )
        # Which elements the others are matters little to what is struck: they are mixed as at 200 MeV/u.
        middle = int(np.searchsorted(ENERGY_MeV_u, 200.0))
        heavy = {z: share[middle] for z, share in shares.items() if z > 1} or {8: 1.0}
        mixed = sum(
            share / sum(heavy.values()) * _node_probability(species, (z, target_mass_number(z)), model)
            for z, share in heavy.items()
        )
        excitation_MeV = model.excitation_of(ion)
        begin[species] = len(struck)
        number[species] = len(_nodes(species))
        for kind, probability in ((HYDROGEN, _node_probability(species, (1, 1), model)), (HEAVY, mixed)):
            chance, alias = alias_table(np.asarray(probability))
            chances[kind].append(chance)
            aliases[kind].append(alias)
        for p, n in _nodes(species):
            struck.append((p, n))
            rest = (ion.charge_number - p, ion.mass_number - p - n, p + n, excitation_MeV)
            if rest[1] == 0:  # nothing remains
                decay_begin.append(0)
                decay_number.append(0)
                continue
            if rest not in found:
                chosen = decays(*rest)
                found[rest] = (size, len(chosen.fragments))
                all_decays.append(chosen)
                size += len(chosen.fragments)
            decay_begin.append(found[rest][0])
            decay_number.append(found[rest][1])
    fragments = np.full((size, MOST_FRAGMENTS), NEUTRON)
    for row, chosen_set in enumerate(f for chosen in all_decays for f in chosen.fragments):
        fragments[row, : len(chosen_set)] = chosen_set
    tables = [alias_table(chosen.probability) for chosen in all_decays]
    most = max(ion.mass_number for ion in SPECIES)
    return FragmentTables(
        total,
        hydrogen,
        begin,
        number,
        np.array([np.concatenate(parts) for parts in chances]),
        np.array([np.concatenate(parts) for parts in aliases]),
        np.array(struck),
        np.array(decay_begin),
        np.array(decay_number),
        np.concatenate([chance for chance, _ in tables]),
        np.concatenate([alias for _, alias in tables]),
        np.array([len(f) for chosen in all_decays for f in chosen.fragments]),
        fragments,
        np.concatenate([chosen.cost_MeV for chosen in all_decays]),
        np.concatenate([chosen.kinetic_MeV for chosen in all_decays]),
        np.array([np.zeros(most + 1), local_energy_MeV(model, most)]),
        np.array(model.excitation_MeV),
    )


def stack_tables(tables: Sequence[FragmentTables]) -> FragmentTables:
    """Stack the tables of several materials along a first axis, as the kernels take them."""
    return FragmentTables(*(np.stack(field) for field in zip(*tables, strict=True)))


def production_cross_sections_mb(
    ion: Ion, target_z: int, energy_MeV_u: float, model: FragmentationModel = MODEL
) -> Floats:
    """Cross sections for the fragments of an ion that its struck nucleons leave.

    Parameters
    ----------
    ion : Ion
        The projectile, any of `SPECIES` but the proton.
    target_z : int
        Atomic number of the target.
    energy_MeV_u : float
        Kinetic energy per nucleon.
    model : FragmentationModel
        Parameters.

    Returns
    -------
    ndarray, shape (n_species + 1,)
        In millibarn, counted as often as there are fragments; neutrons last.  Struck nucleons do
        not count.
    """
    species = SPECIES.index(ion)
    produced = np.zeros(len(SPECIES) + 1)
    chances = _node_probability(species, (target_z, target_mass_number(target_z)), model)
    for (p, n), chance in zip(_nodes(species), chances, strict=True):
        rest = (ion.charge_number - p, ion.mass_number - p - n)
        if rest[1] > 0:
            result = decays(*rest, p + n, model.excitation_of(ion))
            for fragments, probability in zip(result.fragments, result.probability, strict=True):
                for fragment in fragments:
                    produced[fragment] += chance * probability
    return produced * model.scale_of(ion) * float(reaction_cross_section_mb(ion, target_z, energy_MeV_u))
