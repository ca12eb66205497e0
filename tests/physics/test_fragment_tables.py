"""Tables of the fragmentation: what they conserve, and how they compare with measured yields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.physics.fragment_layout import HEAVY, MODEL, ENERGY_MeV_u, FragmentTables
from spotline.physics.fragment_tables import (
    alias_table,
    decays,
    fragment_tables,
    ion_reactions_cm2_g,
    production_cross_sections_mb,
    stack_tables,
)
from spotline.physics.materials import AIR, WATER
from spotline.physics.nuclei import CHARGE, INDEX, MASS_NUMBER, SPECIES
from spotline.physics.reaction_cross_sections import reaction_cross_section_mb
from spotline.physics.transport.products import NEUTRON


@pytest.fixture(scope="module")
def tables() -> FragmentTables:
    return fragment_tables(WATER)


def drawn(chance: np.ndarray, alias: np.ndarray) -> np.ndarray:
    """Distribution that an alias table draws from."""
    probability = chance / chance.size
    np.add.at(probability, alias, (1.0 - chance) / chance.size)
    return probability


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=40).filter(lambda v: sum(v) > 1e-3))
def test_alias_table(weights: list[float]):
    probability = np.array(weights) / np.sum(weights)
    np.testing.assert_allclose(drawn(*alias_table(np.array(weights))), probability, atol=1e-12)


def test_every_node_keeps_charge_and_nucleons(tables: FragmentTables):
    mass = np.append(MASS_NUMBER, 1)  # NEUTRON is the last
    charge = np.append(CHARGE, 0)
    for species in range(1, len(SPECIES)):
        begin, number = tables.node_begin[species], tables.node_number[species]
        for node in range(begin, begin + number):
            protons, neutrons = tables.node_struck[node]
            first = tables.node_decay_begin[node]
            if tables.node_decay_number[node] == 0:
                assert protons + neutrons == MASS_NUMBER[species]
            for decay in range(first, first + tables.node_decay_number[node]):
                fragments = tables.decay_fragment[decay, : tables.decay_number[decay]]
                assert charge[fragments].sum() + protons == CHARGE[species]
                assert mass[fragments].sum() + protons + neutrons == MASS_NUMBER[species]
                assert np.all(tables.decay_fragment[decay, tables.decay_number[decay] :] == NEUTRON)


def test_alias_tables_hold_together(tables: FragmentTables):
    for chance, alias, begins, numbers in (
        (tables.node_chance[HEAVY], tables.node_alias[HEAVY], tables.node_begin[1:], tables.node_number[1:]),
        (tables.decay_chance, tables.decay_alias, tables.node_decay_begin, tables.node_decay_number),
    ):
        for begin, number in zip(begins, numbers, strict=True):
            keep, other = chance[begin : begin + number], alias[begin : begin + number]
            assert np.all((keep >= 0.0) & (keep <= 1.0 + 1e-12))
            assert np.all((other >= 0) & (other < number))


def test_struck_nucleons_of_a_species(tables: FragmentTables):
    """What is drawn from has the share of inelastic reactions, and as many protons as neutrons."""
    species = INDEX["12C"]
    part = slice(tables.node_begin[species], tables.node_begin[species] + tables.node_number[species])
    probability = drawn(tables.node_chance[HEAVY, part], tables.node_alias[HEAVY, part])
    struck = tables.node_struck[part]
    assert probability[struck.sum(axis=1) == 0].sum() == pytest.approx(MODEL.inelastic_share)
    assert probability @ struck[:, 0] == pytest.approx(probability @ struck[:, 1])


def test_materials_stack(tables: FragmentTables):
    both = stack_tables([tables, fragment_tables(AIR)])
    assert both.node_chance.shape == (2, *tables.node_chance.shape)
    np.testing.assert_array_equal(both.total_cm2_g[0], tables.total_cm2_g)
    assert np.all(both.hydrogen_share[1] == 0.0)


def test_cross_sections_in_the_tables(tables: FragmentTables):
    species = INDEX["16O"]
    expected = ion_reactions_cm2_g(SPECIES[species], ENERGY_MeV_u, WATER)
    np.testing.assert_allclose(tables.total_cm2_g[species], expected)
    assert np.all(tables.total_cm2_g[INDEX["1H"]] == 0.0)


def test_helium_does_not_survive_its_excitation():
    whole = (INDEX["4He"],)
    assert whole not in decays(2, 4, 0, 8.0).fragments
    assert (INDEX["12C"],) in decays(6, 12, 0, 18.0).fragments


# Millibarn, 12C on carbon: Kidd et al., Phys. Rev. C 37 (1988) 2613, at 250 MeV/u (carbon, boron, 7Be), to
# which the mean excitation and the volume at break-up were fitted; Lindstrom et al., LBL-3650 (1975), at
# 2.1 GeV/u (others).
MEASURED_mb = [
    ("11C", 55.97, 0.2), ("11B", 65.61, 0.15), ("10B", 47.5, 0.3), ("10C", 5.33, 0.4), ("7Be", 22.64, 0.5),
    ("6Li", 30.0, 0.6), ("7Li", 21.5, 0.5), ("10Be", 5.81, 0.35), ("9Be", 10.63, 0.45),
]  # fmt: skip


@pytest.mark.parametrize(("symbol", "measured", "tolerance"), MEASURED_mb)
def test_isotopes_of_carbon_on_carbon(symbol: str, measured: float, tolerance: float):
    made = production_cross_sections_mb(SPECIES[INDEX["12C"]], 6, 250.0)
    assert made[INDEX[symbol]] == pytest.approx(measured, rel=tolerance)


def test_charge_changing_cross_section():
    """Webber et al., Phys. Rev. C 41 (1990) 520: some 0.7 b for 12C on carbon at a few hundred MeV/u."""
    ion = SPECIES[INDEX["12C"]]
    made = production_cross_sections_mb(ion, 6, 250.0)
    kept = sum(made[INDEX[symbol]] for symbol in ("10C", "11C", "12C"))
    total = MODEL.cross_section_scale * float(reaction_cross_section_mb(ion, 6, 250.0))
    assert total - kept == pytest.approx(702.0, rel=0.06)
