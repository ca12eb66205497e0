"""Sampled reactions of ions: conservation, and agreement with the tables and the theory behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from spotline.physics.fragment_layout import HEAVY, MODEL, FragmentTables
from spotline.physics.fragment_tables import fragment_tables, stack_tables
from spotline.physics.fragmentation import GOLDHABER_MEV_C, collide, on_hydrogen, react_ion
from spotline.physics.materials import WATER
from spotline.physics.nuclei import CHARGE, INDEX, MASS_NUMBER, SPECIES, MASS_MeV
from spotline.physics.transport.products import NEUTRON, new_products

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _quiet_overflow() -> Iterator[None]:
    """Uncompiled, NumPy tells of every overflow of the random numbers."""
    with np.errstate(over="ignore"):
        yield


MASS = np.append(MASS_NUMBER, 1)  # NEUTRON is the last
CHARGES = np.append(CHARGE, 0)


@pytest.fixture(scope="module")
def tables() -> FragmentTables:
    return stack_tables([fragment_tables(WATER)])


@dataclass(frozen=True)
class Events:
    """Products of many reactions: which of them, what, how fast and where to; energy on the spot of each."""

    event: np.ndarray
    species: np.ndarray
    energy_MeV_u: np.ndarray
    direction: np.ndarray
    local_MeV: np.ndarray


def react(tables: FragmentTables, symbol: str, energy_MeV_u: float, number: int, seed: int = 3) -> Events:
    rng, products = np.array([seed], dtype=np.uint64), new_products()
    event, species, energy, direction, local = [], [], [], [], []
    for i in range(number):
        n, on_the_spot = react_ion(tables, 0, INDEX[symbol], energy_MeV_u, rng, products)
        event += [i] * n
        species += list(products.species[:n])
        energy += list(products.energy_MeV_u[:n])
        direction += list(products.direction[:n].copy())
        local.append(on_the_spot)
    return Events(*(np.array(part) for part in (event, species, energy, direction, local)))


@pytest.mark.parametrize("energy_MeV_u", [3.0, 30.0, 290.0])
@pytest.mark.parametrize("symbol", ["2H", "3He", "4He", "7Li", "12C", "16O"])
def test_nothing_is_made(tables: FragmentTables, symbol: str, energy_MeV_u: float):
    """Charge, nucleons and energy never exceed those of projectile and target; directions have length 1."""
    number = 300
    events = react(tables, symbol, energy_MeV_u, number)
    species = INDEX[symbol]
    charge = np.bincount(events.event, CHARGES[events.species], number)
    nucleons = np.bincount(events.event, MASS[events.species], number)
    kinetic = np.bincount(events.event, MASS[events.species] * events.energy_MeV_u, number)
    assert charge.max() <= CHARGE[species] + 8
    assert nucleons.max() <= MASS_NUMBER[species] + 16
    assert np.all(events.energy_MeV_u >= 0.0)
    assert np.all(events.local_MeV >= 0.0)
    limit = energy_MeV_u * MASS_NUMBER[species]
    assert np.max(kinetic + events.local_MeV) <= limit * (1.0 + 1e-9)
    np.testing.assert_allclose(np.linalg.norm(events.direction, axis=1), 1.0, atol=1e-6)


def test_yields_are_those_of_the_tables(tables: FragmentTables):
    """Expected numbers of all fragments but nucleons, from the tables without sampling."""
    species, energy, number = INDEX["12C"], 200.0, 4000
    share = on_hydrogen(tables, 0, species, energy)
    expected = np.zeros(len(SPECIES) + 1)
    for kind, weight in ((0, share), (HEAVY, 1.0 - share)):
        begin, n = tables.node_begin[0, species], tables.node_number[0, species]
        nodes = np.full(n, 1.0 / n) * tables.node_chance[0, kind, begin : begin + n]
        rejected = (1.0 - tables.node_chance[0, kind, begin : begin + n]) / n
        np.add.at(nodes, tables.node_alias[0, kind, begin : begin + n], rejected)
        for node, chance in enumerate(nodes, begin):
            first, m = tables.node_decay_begin[0, node], tables.node_decay_number[0, node]
            if m == 0:
                continue
            keep = tables.decay_chance[0, first : first + m]
            decay = keep / m
            np.add.at(decay, tables.decay_alias[0, first : first + m], (1.0 - keep) / m)
            for row, probability in enumerate(decay, first):
                for fragment in tables.decay_fragment[0, row, : tables.decay_number[0, row]]:
                    expected[fragment] += weight * chance * probability
    events = react(tables, "12C", energy, number)
    counted = np.bincount(events.species[events.species != NEUTRON], minlength=len(SPECIES))
    for i in range(1, len(SPECIES)):
        assert abs(counted[i] / number - expected[i]) < 4.5 * np.sqrt((expected[i] + 1e-3) * 2.0 / number)


def test_momentum_width_of_one_nucleon_removed(tables: FragmentTables):
    """Goldhaber (1974): sigma_0 sqrt(K (A - K) / (A - 1)) for K = 1 is sigma_0."""
    events = react(tables, "12C", 250.0, 6000)
    chosen = events.species == INDEX["11C"]
    mass, energy = MASS_MeV[INDEX["11C"]], events.energy_MeV_u[chosen] * 11
    momentum = np.sqrt(energy * (energy + 2.0 * mass))
    across = momentum[:, None] * events.direction[chosen, :2]
    assert chosen.sum() > 250
    assert across.std() == pytest.approx(GOLDHABER_MEV_C, rel=0.1)
    assert np.abs(across.mean(axis=0)).max() < 4.0 * GOLDHABER_MEV_C / np.sqrt(chosen.sum())


def test_fragments_keep_the_velocity(tables: FragmentTables):
    events = react(tables, "16O", 300.0, 1500)
    for symbol, spread in (("4He", 12.0), ("12C", 6.0), ("15N", 4.0)):
        energy = events.energy_MeV_u[events.species == INDEX[symbol]]
        assert energy.mean() == pytest.approx(300.0, abs=spread)
        assert events.direction[events.species == INDEX[symbol], 2].mean() > 0.99


def test_protons_go_wide(tables: FragmentTables):
    """Struck nucleons share their energy with those of the target."""
    events = react(tables, "12C", 280.0, 1000)
    protons = events.species == INDEX["1H"]
    assert 0.3 < np.mean(events.energy_MeV_u[protons] < 140.0) < 0.8
    assert 0.2 < np.mean(events.direction[protons, 2] < np.cos(np.radians(30.0))) < 0.7


def test_most_energy_goes_on(tables: FragmentTables):
    """Binding takes some percent of a fast ion; the slower it is, the more."""
    balance = []
    for energy_MeV_u in (60.0, 400.0):
        events = react(tables, "12C", energy_MeV_u, 1000)
        total = np.sum(MASS[events.species] * events.energy_MeV_u) + events.local_MeV.sum()
        balance.append(total / (1000 * 12 * energy_MeV_u))
    assert 0.6 < balance[0] < balance[1] < 0.99
    assert balance[1] > 0.9


def test_hydrogen_gives_one_proton_more(tables: FragmentTables):
    """In a material of hydrogen alone all charge is that of the projectile and of one proton."""
    only = tables._replace(hydrogen_share=np.ones_like(tables.hydrogen_share))
    events = react(only, "12C", 250.0, 500)
    charge = np.bincount(events.event, CHARGES[events.species], 500)
    nucleons = np.bincount(events.event, MASS[events.species], 500)
    is_only_excited = charge == 6
    np.testing.assert_array_equal(charge, np.where(is_only_excited, 6, 7))
    np.testing.assert_array_equal(nucleons, np.where(is_only_excited, 12, 13))
    assert np.mean(is_only_excited) == pytest.approx(MODEL.inelastic_share, abs=0.06)
    np.testing.assert_array_equal(events.local_MeV, 0.0)


def test_two_nucleons_part(tables: FragmentTables):
    """Energy and momentum are kept, and too little energy sets nobody free."""
    rng = np.random.default_rng(5)
    mass = MASS_MeV[0]
    for _ in range(200):
        one, other = rng.normal(0.0, 300.0, 3), rng.normal(0.0, 100.0, 3)
        e = np.sqrt(mass**2 + one @ one) + np.sqrt(mass**2 + other @ other)
        apart, *after = collide(e, *(one + other), *rng.uniform(size=2))
        first, second = np.array(after[:3]), np.array(after[3:])
        assert apart
        np.testing.assert_allclose(first + second, one + other, atol=1e-9)
        after_MeV = np.sqrt(mass**2 + first @ first) + np.sqrt(mass**2 + second @ second)
        assert after_MeV == pytest.approx(e)
    assert not collide(2.0 * mass - 1.0, 0.0, 0.0, 50.0, 0.3, 0.7)[0]


def test_the_same_seed_gives_the_same(tables: FragmentTables):
    one, other = react(tables, "16O", 100.0, 50, seed=9), react(tables, "16O", 100.0, 50, seed=9)
    np.testing.assert_array_equal(one.species, other.species)
    np.testing.assert_array_equal(one.energy_MeV_u, other.energy_MeV_u)
    assert not np.array_equal(one.species, react(tables, "16O", 100.0, 50, seed=10).species)
