"""Number of struck nucleons, and the cross section that goes with it."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.physics.abrasion import abrasion_cross_section_mb, abrasion_probability, struck_probability
from spotline.physics.nuclei import SPECIES
from spotline.physics.reaction_cross_sections import reaction_cross_section_mb

FREE_FM2 = 3.3
"""Mean of pp and pn at 200 MeV."""


@pytest.mark.parametrize("target", [(1, 1), (6, 12), (8, 16)])
@pytest.mark.parametrize("species", range(1, len(SPECIES)))
def test_distribution(species: int, target: tuple[int, int]):
    ion = SPECIES[species]
    chance = abrasion_probability((ion.charge_number, ion.mass_number), target, FREE_FM2)
    assert chance.shape == (ion.mass_number + 1,)
    assert chance[0] == 0.0
    assert chance.sum() == pytest.approx(1.0)
    assert np.argmax(chance) == 1


@pytest.mark.parametrize("symbol", ["4He", "12C", "16O"])
@pytest.mark.parametrize(("target", "tolerance"), [((6, 12), 0.05), ((8, 16), 0.05), ((1, 1), 0.16)])
def test_geometry_agrees_with_reaction_cross_sections(symbol: str, target: tuple[int, int], tolerance: float):
    """Nothing is fitted: free nucleons and measured radii make the measured cross section at 200 MeV/u."""
    ion = next(ion for ion in SPECIES if ion.symbol == symbol)
    struck = abrasion_cross_section_mb((ion.charge_number, ion.mass_number), target, FREE_FM2)
    reacting = float(reaction_cross_section_mb(ion, target[0], 200.0))
    assert struck == pytest.approx(reacting, rel=tolerance)


def test_chance_falls_with_the_impact_parameter():
    _, chance = struck_probability((6, 12), (8, 16), FREE_FM2)
    assert np.all(np.diff(chance) < 0.0)
    assert 0.7 < chance[0] <= 1.0
    assert chance[-1] < 1e-4


def test_proton_strikes_fewer():
    on_proton = abrasion_probability((6, 12), (1, 1), FREE_FM2) @ np.arange(13)
    on_oxygen = abrasion_probability((6, 12), (8, 16), FREE_FM2) @ np.arange(13)
    assert 1.0 < on_proton < 2.0 < on_oxygen
