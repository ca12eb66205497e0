"""Radial dose of tracks, and the energy that they leave in domains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spotline.dose.rbe.track import (
    GY_UM2_PER_KEV_UM,
    core_radius_um,
    domain_events,
    penumbra_radius_um,
    radial_dose_Gy,
    specific_energy_Gy,
)
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.let import let_keV_um
from spotline.physics.nuclei import INDEX, SPECIES

DOMAIN_um = 0.32
ENERGIES_MeV_u = np.array([0.1, 0.3, 1.0, 5.0, 30.0, 100.0, 250.0, 600.0])


@pytest.mark.parametrize("ion", [PROTON, HELIUM, CARBON, OXYGEN])
@pytest.mark.parametrize("energy_MeV_u", [0.5, 5.0, 50.0, 400.0])
def test_the_radial_dose_holds_all_of_the_let(ion: Ion, energy_MeV_u: float) -> None:
    core = float(core_radius_um(np.array(ion.beta(energy_MeV_u))))
    reach = float(penumbra_radius_um(np.array(energy_MeV_u)))
    radius = np.concatenate([np.linspace(0.0, core, 400, endpoint=False), np.geomspace(core, reach, 20_000)])
    radius = radius[:-1]
    held = np.trapezoid(2.0 * math.pi * radius * radial_dose_Gy(ion, energy_MeV_u, radius), radius)
    assert held == pytest.approx(float(let_keV_um(ion, energy_MeV_u)) * GY_UM2_PER_KEV_UM, rel=3e-3)


@pytest.mark.parametrize("domain_um", [0.1, DOMAIN_um, 1.0])
@pytest.mark.parametrize("ion", [PROTON, CARBON])
def test_all_of_the_let_meets_domains_somewhere(ion: Ion, domain_um: float) -> None:
    # Mean dose in a domain from one ion per um2, wherever it passes.
    specific, area = domain_events(ion, ENERGIES_MeV_u, domain_um)
    expected = let_keV_um(ion, ENERGIES_MeV_u) * GY_UM2_PER_KEV_UM
    np.testing.assert_allclose((specific * area).sum(axis=1), expected, rtol=5e-4)


@pytest.mark.parametrize("impact_um", [0.0, 0.2, 0.31, 0.33, 0.6, 2.0])
def test_specific_energies_are_means_of_the_radial_dose(impact_um: float) -> None:
    # Over the disc in rings around the track: the part of each ring that lies in the disc, counted by angles.
    core = float(core_radius_um(np.array(CARBON.beta(50.0))))
    edges = np.concatenate([np.linspace(0.0, core, 50, endpoint=False), np.geomspace(core, 60.0, 4000)])
    radius = 0.5 * (edges[1:] + edges[:-1])
    angle = (np.arange(2000) + 0.5) / 2000.0 * math.pi
    inside = impact_um**2 + radius[:, None] ** 2 - 2.0 * impact_um * radius[:, None] * np.cos(angle)
    share = np.mean(inside < DOMAIN_um**2, axis=1)
    areas = math.pi * np.diff(edges**2)
    mean = np.sum(radial_dose_Gy(CARBON, 50.0, radius) * share * areas) / (math.pi * DOMAIN_um**2)
    found = specific_energy_Gy(CARBON, 50.0, DOMAIN_um, np.array([impact_um]))[0]
    assert found == pytest.approx(mean, rel=3e-3)


def test_the_core_is_that_of_the_published_figure() -> None:
    # Inaniwa et al. 2010: lithium of 50 MeV/u, read off the figure as 2.6e4 Gy within 3.6 nm.
    lithium = SPECIES[INDEX["7Li"]]
    assert float(core_radius_um(np.array(lithium.beta(50.0)))) == pytest.approx(3.65e-3, rel=0.02)
    assert float(radial_dose_Gy(lithium, 50.0, np.array([1e-3]))[0]) == pytest.approx(2.6e4, rel=0.03)


def test_domains_outside_the_penumbra_are_not_met() -> None:
    reach = float(penumbra_radius_um(np.array([1.0]))[0])
    assert radial_dose_Gy(CARBON, 1.0, np.array([1.01 * reach]))[0] == 0.0
    specific, _ = domain_events(CARBON, np.array([1.0]), DOMAIN_um)
    # All within the domain: the whole LET over its area.
    whole = float(let_keV_um(CARBON, 1.0)) * GY_UM2_PER_KEV_UM / (math.pi * DOMAIN_um**2)
    assert specific.max() == pytest.approx(whole, rel=1e-9)
