"""Reactions of protons: balance of energy and momentum, angles, and what ICRU 63 expects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from spotline.errors import PhysicsError
from spotline.physics.materials import AIR, CORTICAL_BONE, WATER, Material
from spotline.physics.nuclei import MASS_NUMBER, SPECIES, MASS_MeV
from spotline.physics.proton_cascade import PARAMETERS, react_inelastic, unlike_over_like
from spotline.physics.proton_cross_sections import elastic_mb, elastic_slope_MeV2, inelastic_mb
from spotline.physics.proton_nuclear import (
    INELASTIC_SCALE,
    MOST_ELEMENTS,
    ProtonTables,
    proton_reactions_cm2_g,
    proton_tables,
    react_proton,
    stacked,
)
from spotline.physics.transport.products import NEUTRON, Products, new_products
from spotline.random import begin_sequence

PROTON_MASS_MeV = SPECIES[0].mass_MeV
BARRIER_OXYGEN_MeV = 1.44 * 7 / (1.4 * (16 ** (1 / 3) + 1))


def only(tables: ProtonTables, channel: int) -> ProtonTables:
    """The same tables with one channel only."""
    cumulative = np.zeros_like(tables.cumulative)
    cumulative[..., channel:] = 1.0
    return tables._replace(cumulative=cumulative)


def reactions(
    tables: ProtonTables, energy_MeV: float, number: int, seed: int = 1
) -> Iterator[tuple[int, float, Products]]:
    """Sample reactions one after the other."""
    rng, products = np.zeros(1, dtype=np.uint64), new_products()
    with np.errstate(over="ignore"):  # uncompiled, NumPy tells of every overflow of the generator
        begin_sequence(rng, seed, 0)
        for _ in range(number):
            count, local_MeV = react_proton(tables, 0, energy_MeV, rng, products)
            yield count, local_MeV, products


def nucleons(count: int, products: Products) -> np.ndarray:
    """Mass numbers of the products."""
    species = products.species[:count]
    return np.where(species == NEUTRON, 1, MASS_NUMBER[species])


def kinetic_MeV(count: int, products: Products) -> np.ndarray:
    """Kinetic energies of the products."""
    return products.energy_MeV_u[:count] * nucleons(count, products)


def momentum_MeV_c(count: int, products: Products) -> np.ndarray:
    """Sum of the momenta of the products."""
    energy, mass = kinetic_MeV(count, products), MASS_MeV[products.species[:count]]
    size = np.sqrt(energy * (energy + 2.0 * mass))
    return (size[:, None] * products.direction[:count]).sum(axis=0)


def test_tables_of_water():
    tables = proton_tables(WATER)
    energy = tables.energy_MeV
    oxygen = 0.888106 * 6.02214076e-4 / 15.999
    hydrogen = 0.111894 * 6.02214076e-4 / 1.008
    expected = oxygen * (INELASTIC_SCALE * inelastic_mb(8, energy) + elastic_mb(8, energy))
    np.testing.assert_allclose(
        tables.total_cm2_g, expected + hydrogen * elastic_mb(1, energy), rtol=2e-4, atol=1e-12
    )
    assert np.all(np.diff(tables.cumulative, axis=1) >= -1e-15)
    np.testing.assert_allclose(tables.cumulative[tables.total_cm2_g > 0.0, -1], 1.0)
    np.testing.assert_allclose(
        proton_reactions_cm2_g([0.0, 100.0, 449.0], WATER),
        np.interp([0, 100, 449], energy, tables.total_cm2_g),
    )


def test_tables_stack():
    tables = stacked([WATER, AIR, CORTICAL_BONE])
    assert tables.total_cm2_g.shape == (3, len(proton_tables(WATER).energy_MeV))
    assert tables.charge[1, :4].tolist() == [6, 7, 8, 18]
    np.testing.assert_array_equal(tables.cumulative[2], proton_tables(CORTICAL_BONE).cumulative)


def test_too_many_elements():
    many = Material("soup", 1.0, 0.5, 75.0, 36.0, WATER.density_effect, ((8, 0.05),) * (MOST_ELEMENTS + 1))
    with pytest.raises(PhysicsError, match=r"nuclear reactions in soup: 15 elements"):
        proton_tables(many)


@pytest.mark.kernel
@pytest.mark.parametrize("energy_MeV", [5.0, 60.0, 400.0])
def test_protons_on_protons_keep_energy_and_momentum(energy_MeV: float):
    tables = only(stacked([WATER]), 0)
    momentum = np.sqrt(energy_MeV * (energy_MeV + 2.0 * PROTON_MASS_MeV))
    shares = []
    for count, local_MeV, products in reactions(tables, energy_MeV, 400):
        assert (count, local_MeV) == (2, 0.0)
        assert products.species[:2].tolist() == [0, 0]
        assert kinetic_MeV(count, products).sum() == pytest.approx(energy_MeV, rel=1e-12)
        np.testing.assert_allclose(
            momentum_MeV_c(count, products), [0.0, 0.0, momentum], atol=1e-6 * momentum
        )
        np.testing.assert_allclose(np.linalg.norm(products.direction[:2], axis=1), 1.0)
        shares.append(products.energy_MeV_u[0] / energy_MeV)
    # Isotropic in the centre of mass is uniform in energy: mean 1/2, standard deviation 0.29 / sqrt(400).
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(1.0 / 12.0, rel=0.2)


@pytest.mark.kernel
@pytest.mark.parametrize("energy_MeV", [20.0, 150.0, 400.0])
def test_protons_on_oxygen_scatter_as_their_slope(energy_MeV: float):
    tables = only(stacked([WATER]), 2)
    mass_MeV = float(tables.mass_MeV[0, 1])
    momentum = np.sqrt(energy_MeV * (energy_MeV + 2.0 * PROTON_MASS_MeV))
    transfers = []
    for count, recoil_MeV, products in reactions(tables, energy_MeV, 1500):
        assert count == 1
        assert products.energy_MeV_u[0] + recoil_MeV == pytest.approx(energy_MeV, rel=1e-12)
        missing = np.array([0.0, 0.0, momentum]) - momentum_MeV_c(1, products)
        # What is missing belongs to the nucleus, with just the energy of the recoil.
        assert np.dot(missing, missing) == pytest.approx(
            recoil_MeV * (recoil_MeV + 2.0 * mass_MeV), rel=1e-5, abs=1e-3
        )
        transfers.append(2.0 * mass_MeV * recoil_MeV)
    slope = float(elastic_slope_MeV2(16))
    s = (energy_MeV + PROTON_MASS_MeV + mass_MeV) ** 2 - momentum**2
    largest = 4.0 * momentum**2 * mass_MeV**2 / s
    expected = 1.0 / slope - largest / np.expm1(slope * largest)
    assert np.mean(transfers) == pytest.approx(expected, rel=0.1)
    assert max(transfers) <= largest * (1.0 + 1e-9)


@pytest.mark.kernel
@pytest.mark.parametrize("material", [WATER, AIR, CORTICAL_BONE], ids=lambda m: m.name)
def test_never_more_energy_out_than_in(material: Material):
    tables = stacked([material])
    # From threshold up; channels in their natural share.
    for energy_MeV in (3.2, 8.0, 15.0, 25.0, 40.0, 80.0, 160.0, 300.0, 449.0):
        for count, local_MeV, products in reactions(tables, energy_MeV, 150, seed=int(energy_MeV)):
            assert local_MeV >= 0.0
            assert np.all(kinetic_MeV(count, products) > 0.0)
            assert kinetic_MeV(count, products).sum() + local_MeV <= energy_MeV * (1.0 + 1e-9)
            np.testing.assert_allclose(np.linalg.norm(products.direction[:count], axis=1), 1.0)


@pytest.mark.kernel
def test_charge_of_the_products():
    """No more protons leave than there are in the proton and the nucleus."""
    rng, products = np.zeros(1, dtype=np.uint64), new_products()
    parameters = np.array(list(PARAMETERS.values()))
    charges = np.array([ion.charge_number for ion in SPECIES])
    with np.errstate(over="ignore"):
        begin_sequence(rng, 3, 0)
        for _ in range(1500):
            count, _ = react_inelastic(400.0, 8, 16, BARRIER_OXYGEN_MeV, parameters, rng, products)
            species = products.species[:count]
            assert charges[species[species != NEUTRON]].sum() <= 9
            assert nucleons(count, products).sum() <= 17


# ICRU Report 63 (2000), p + 16O: share of the energy of the proton that protons of more than 2.5 MeV,
# deuterons of as much and alpha particles of more than 8 MeV take, and that all charged particles take.
ICRU_63 = {
    50.0: (0.388, 0.072, 0.046, 0.600),
    100.0: (0.437, 0.095, 0.045, 0.635),
    150.0: (0.479, 0.102, 0.042, 0.663),
    200.0: (0.502, 0.105, 0.040, 0.678),
}


@pytest.mark.kernel
@pytest.mark.parametrize("energy_MeV", ICRU_63)
def test_energy_of_secondaries(energy_MeV: float):
    tables = only(stacked([WATER]), 3)
    sums, squares, number = np.zeros(4), np.zeros(4), 3000
    for count, local_MeV, products in reactions(tables, energy_MeV, number):
        energy = kinetic_MeV(count, products) / energy_MeV
        species = products.species[:count]
        event = [energy[species == index].sum() for index in (0, 1, 4)]
        event.append(energy[species != NEUTRON].sum() + local_MeV / energy_MeV)
        sums += event
        squares += np.square(event)
    mean = sums / number
    error = np.sqrt((squares / number - mean**2) / number)
    tolerance = np.array([0.22, 0.33, 0.55, 0.18]) * ICRU_63[energy_MeV]
    assert np.all(np.abs(mean - ICRU_63[energy_MeV]) < tolerance + 3.0 * error), mean


@pytest.mark.kernel
def test_secondaries_go_forward_the_more_the_faster():
    """ICRU 63 at 150 MeV: mean cosine 0.32 of protons at a tenth of the energy, 0.77 at half, 0.91 at 0.9."""
    tables = only(stacked([WATER]), 3)
    cosines: dict[float, list[float]] = {0.1: [], 0.5: [], 0.9: []}
    for count, _, products in reactions(tables, 150.0, 4000):
        for k in range(count):
            for share, found in cosines.items():
                if products.species[k] == 0 and abs(products.energy_MeV_u[k] / 150.0 - share) < 0.05:
                    found.append(products.direction[k, 2])
    mean = {share: np.mean(found) for share, found in cosines.items()}
    assert mean[0.1] == pytest.approx(0.32, abs=0.12)
    assert mean[0.5] == pytest.approx(0.77, abs=0.08)
    assert mean[0.9] == pytest.approx(0.91, abs=0.06)


@pytest.mark.kernel
def test_same_sequence_same_reaction():
    tables = stacked([WATER])
    first = [(n, e, p.energy_MeV_u[:n].tolist()) for n, e, p in reactions(tables, 120.0, 50, seed=9)]
    assert first == [(n, e, p.energy_MeV_u[:n].tolist()) for n, e, p in reactions(tables, 120.0, 50, seed=9)]
    assert first != [(n, e, p.energy_MeV_u[:n].tolist()) for n, e, p in reactions(tables, 120.0, 50, seed=8)]


def test_neutrons_are_the_likelier_partners():
    """Metropolis et al. (1958): two to three times at 50 MeV, about 1.6 at 300 MeV."""
    with np.errstate(all="ignore"):
        assert 2.2 < unlike_over_like(50.0) < 3.2
        assert unlike_over_like(300.0) == pytest.approx(1.6, abs=0.25)
