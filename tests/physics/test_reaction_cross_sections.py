"""Total reaction cross sections, against measured ones."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.errors import PhysicsError
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.nuclei import INDEX, SPECIES
from spotline.physics.reaction_cross_sections import (
    cross_section_shares_cm2_g,
    macroscopic_cross_section_cm2_g,
    reaction_cross_section_mb,
)


@pytest.mark.parametrize(("energy", "measured", "error"), [(83, 965, 30), (200, 864, 45), (300, 858, 60)])
def test_carbon_on_carbon(energy: float, measured: float, error: float):
    """Kox et al., Phys. Rev. C 35 (1987) 1678."""
    sigma = float(reaction_cross_section_mb(CARBON, 6, energy))
    assert abs(sigma - measured) < 1.1 * error


@pytest.mark.parametrize(
    ("symbol", "interaction"),
    [("3He", 550), ("4He", 503), ("6Li", 688), ("7Li", 736), ("7Be", 738), ("9Be", 806), ("10Be", 813)],
)
def test_light_nuclei_on_carbon(symbol: str, interaction: float):
    """Tanihata et al., Phys. Lett. B 160 (1985) 380 and Phys. Rev. Lett. 55 (1985) 2676, at 790 MeV/u.

    They are interaction cross sections, to which a reaction adds excitation without loss of a nucleon.
    """
    sigma = float(reaction_cross_section_mb(SPECIES[INDEX[symbol]], 6, 790.0))
    assert 1.0 < sigma / interaction < 1.25


@pytest.mark.parametrize("ion", [HELIUM, CARBON, OXYGEN])
def test_proton_and_ion_change_places(ion: Ion):
    """On hydrogen an ion has the cross section of a proton of the same velocity on it."""
    energy = np.array([50.0, 200.0])
    on_hydrogen = reaction_cross_section_mb(ion, 1, energy)
    if ion is not HELIUM:
        scale = ion.mass_number * PROTON.mass_MeV / ion.mass_MeV
        np.testing.assert_allclose(
            on_hydrogen, reaction_cross_section_mb(PROTON, ion.charge_number, energy * scale)
        )
    assert np.all(on_hydrogen < reaction_cross_section_mb(ion, 6, energy))


def test_proton_on_oxygen():
    """ICRU 63 (2000): some 0.29 b above 100 MeV; Carlson, At. Data Nucl. Data Tables 63 (1996) 93."""
    np.testing.assert_allclose(reaction_cross_section_mb(PROTON, 8, [150.0, 200.0]), 290.0, rtol=0.06)


def test_nothing_reacts_far_below_the_barrier():
    energy = np.array([0.0, 1e-6, 0.1, 0.4])
    for ion in SPECIES[1:]:
        for z in (1, 6, 8, 20):
            sigma = reaction_cross_section_mb(ion, z, energy)
            assert sigma[0] == sigma[1] == 0.0
            assert np.all((sigma >= 0.0) & (sigma < 3000.0)), ion.symbol
    assert np.all(reaction_cross_section_mb(CARBON, 8, energy) == 0.0)


def test_protons_do_not_break_protons():
    assert np.all(reaction_cross_section_mb(PROTON, 1, [100.0, 400.0]) == 0.0)


def test_water_is_the_sum_of_its_elements():
    """Carbon in water has a mean free path of 20 to 21 cm at therapeutic energies."""
    energy = np.array([100.0, 200.0, 400.0])
    shares = cross_section_shares_cm2_g(CARBON, WATER, energy)
    total = macroscopic_cross_section_cm2_g(CARBON, WATER, energy)
    np.testing.assert_allclose(shares[1] + shares[8], total)
    by_hand = 6.02214e23 / 18.015 * 1e-27
    molecule = 2 * reaction_cross_section_mb(CARBON, 1, energy) + reaction_cross_section_mb(CARBON, 8, energy)
    np.testing.assert_allclose(total, by_hand * molecule, rtol=1e-3)
    np.testing.assert_allclose(1.0 / total[1:], 20.5, atol=0.8)


def test_unknown_element():
    with pytest.raises(PhysicsError, match="no element of atomic number 99"):
        reaction_cross_section_mb(CARBON, 99, 100.0)
