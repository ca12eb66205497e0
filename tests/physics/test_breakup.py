"""Statistical break-up: what is conserved, and what light nuclei are known to go into."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.physics.breakup import (
    FINAL,
    Breakup,
    MASS_EXCESS_MeV,
    Nuclide,
    break_up,
    breakup_threshold_MeV,
    final_set,
    mass_excess_MeV,
)
from spotline.physics.nuclei import SPECIES
from spotline.units import ATOMIC_MASS_UNIT_MeV, ELECTRON_MASS_MeV

ENERGY_MeV = np.array([0.0, 3.0, 9.0, 20.0, 45.0, 110.0])
NUCLEI = [(z, a) for z in range(9) for a in range(1, 17) if z <= a]


def probability(result: Breakup, *nuclides: Nuclide) -> float:
    """Probability of a set, of a break-up at a single energy."""
    wanted = final_set(nuclides)
    return float(result.probability[0, result.sets.index(wanted)]) if wanted in result.sets else 0.0


@pytest.mark.parametrize(("z", "a"), NUCLEI)
def test_charge_and_nucleons_are_kept(z: int, a: int):
    result = break_up(z, a, ENERGY_MeV)
    for counts in result.sets:
        assert sum(count * FINAL[i][0] for i, count in enumerate(counts)) == z
        assert sum(count * FINAL[i][1] for i, count in enumerate(counts)) == a
    np.testing.assert_allclose(result.probability.sum(axis=1), 1.0)


@pytest.mark.parametrize(("z", "a"), [(6, 11), (5, 11), (8, 15), (4, 8), (6, 12), (2, 4)])
def test_energy_is_not_made(z: int, a: int):
    """Kinetic energy and the masses of the fragments together are at most what the nucleus had."""
    result = break_up(z, a, ENERGY_MeV)
    masses = np.array([sum(n * MASS_EXCESS_MeV[FINAL[i]] for i, n in enumerate(s) if n) for s in result.sets])
    total = np.where(result.probability > 0.0, result.kinetic_MeV + masses, 0.0)
    limit = mass_excess_MeV((z, a)) + ENERGY_MeV
    is_forced = result.kinetic_MeV.max(axis=1) == 0.0  # what lives by no break-up that is open
    assert np.all((total <= limit[:, None] + 1e-9) | is_forced[:, None])


def test_masses_are_those_of_the_species():
    for ion in SPECIES:
        atom = ion.mass_MeV + ion.charge_number * ELECTRON_MASS_MeV
        excess = atom - ion.mass_number * ATOMIC_MASS_UNIT_MeV
        assert MASS_EXCESS_MeV[ion.charge_number, ion.mass_number] == pytest.approx(excess, abs=2e-3)


def test_cold_nucleus_stays_or_falls_apart():
    cold = np.array([0.5])
    assert probability(break_up(6, 11, cold), (6, 11)) == 1.0
    assert probability(break_up(4, 8, cold), (2, 4), (2, 4)) == 1.0
    assert probability(break_up(2, 5, cold), (2, 4), (0, 1)) == 1.0
    assert probability(break_up(5, 9, cold), (2, 4), (2, 4), (1, 1)) == 1.0


def test_carbon_goes_into_three_alphas():
    """The lowest threshold of 12C, at 7.27 MeV and a Coulomb barrier, below the others at 16 MeV."""
    assert 7.27 < breakup_threshold_MeV(6, 12) < 14.0
    assert probability(break_up(6, 12, np.array([14.0])), (2, 4), (2, 4), (2, 4)) == 1.0
    hot = break_up(6, 12, np.array([60.0]))
    assert probability(hot, (2, 4), (2, 4), (2, 4)) < 0.1


def test_helium_needs_twenty_MeV():
    assert breakup_threshold_MeV(2, 4) == pytest.approx(20.3, abs=0.5)
    assert probability(break_up(2, 4, np.array([19.0])), (2, 4)) == 1.0


def test_more_energy_makes_more_fragments():
    result = break_up(8, 15, np.array([15.0, 40.0, 90.0]))
    number = result.probability @ np.array([sum(counts) for counts in result.sets])
    assert np.all(np.diff(number) > 0.7)


def test_mirror_nuclei_go_mirrored_ways():
    """11B and 11C differ by the Coulomb energy alone."""
    energy = np.array([35.0])
    of_boron, of_carbon = break_up(5, 11, energy), break_up(6, 11, energy)
    one = probability(of_boron, (2, 4), (2, 4), (1, 3))
    other = probability(of_carbon, (2, 4), (2, 4), (2, 3))
    assert one == pytest.approx(other, rel=0.25)
