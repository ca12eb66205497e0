"""Scattering power and angles of multiple scattering, against theory and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.errors import OptionError
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import AIR, ALUMINIUM, WATER, Material, compound
from spotline.physics.moliere import hanson_angle_mrad
from spotline.physics.nuclei import INDEX, SPECIES
from spotline.physics.scattering import (
    highland_angle_mrad,
    pv_MeV,
    scattering_length_g_cm2,
    scattering_power_rad2_cm2_per_g,
)
from spotline.physics.stopping import RangeEnergy

# Density effect: Sternheimer et al. (1984).
BERYLLIUM = compound(
    "beryllium",
    1.848,
    {"Be": 1.0},
    mean_excitation_eV=63.7,
    density_effect=(2.7847, 0.0592, 1.6922, 0.80392, 2.4339),
)
COPPER = compound(
    "copper",
    8.96,
    {"Cu": 1.0},
    mean_excitation_eV=322.0,
    density_effect=(4.4190, -0.0254, 3.2792, 0.14339, 2.9044),
)


def angle_mrad(ion: Ion, energy_MeV_u: float, material: Material, thickness_mm: float) -> float:
    """Square root of the scattering power summed along a slab; fine steps at its beginning."""
    table = RangeEnergy(ion, material, material.mean_excitation_eV)
    edges = thickness_mm * np.linspace(0.0, 1.0, 4001) ** 2
    depth = 0.5 * (edges[1:] + edges[:-1])
    energy = table.energy_MeV_u(table.range_mm(energy_MeV_u) - depth)
    power = scattering_power_rad2_cm2_per_g(ion, energy, material, energy_MeV_u)
    return 1e3 * float(np.sqrt(np.sum(power * np.diff(edges)) * material.density_g_cm3 / 10.0))


@pytest.mark.parametrize(
    ("material", "published_g_cm2"), [(WATER, 46.88), (BERYLLIUM, 92.60), (ALUMINIUM, 28.75), (COPPER, 14.62)]
)
def test_scattering_length(material: Material, published_g_cm2: float):
    """Gottschalk, Med. Phys. 37 (2010) 352, in his table of scattering lengths."""
    assert scattering_length_g_cm2(material) == pytest.approx(published_g_cm2, rel=0.001)


@pytest.mark.parametrize(
    ("material", "deviation"), [(BERYLLIUM, 0.0221), (ALUMINIUM, 0.0206), (COPPER, 0.0141)]
)
def test_scattering_power_of_protons_differs_from_moliere_as_published(material: Material, deviation: float):
    """Largest deviation of f_dM from Moliere, Fano and Hanson at 158.6 MeV and 1, 10, 50 and 90 % of the
    range, in the table of Gottschalk (2010): both the fit and the theory are his."""
    full = float(RangeEnergy(PROTON, material, material.mean_excitation_eV).range_mm(158.6))
    found = [
        angle_mrad(PROTON, 158.6, material, share * full)
        / hanson_angle_mrad(PROTON, 158.6, material, share * full)
        - 1.0
        for share in (0.01, 0.1, 0.5, 0.9)
    ]
    assert max(map(abs, found)) == pytest.approx(deviation, abs=0.002)


@pytest.mark.parametrize("energy_MeV", [70.0, 150.0, 230.0])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_protons_in_water_against_moliere(energy_MeV: float, share: float):
    thickness = share * float(RangeEnergy(PROTON, WATER, 78.0).range_mm(energy_MeV))
    theory = hanson_angle_mrad(PROTON, energy_MeV, WATER, thickness)
    assert angle_mrad(PROTON, energy_MeV, WATER, thickness) == pytest.approx(theory, rel=0.035)


@pytest.mark.parametrize(
    ("ion", "energy_MeV_u"), [(HELIUM, 150.0), (CARBON, 280.0), (CARBON, 400.0), (OXYGEN, 400.0)]
)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_ions_in_thick_water_against_moliere(ion: Ion, energy_MeV_u: float, share: float):
    """Highland's formula comes within 4 % of the theory for point nuclei where most is scattered."""
    thickness = share * float(RangeEnergy(ion, WATER, 78.0).range_mm(energy_MeV_u))
    theory = hanson_angle_mrad(ion, energy_MeV_u, WATER, thickness)
    assert angle_mrad(ion, energy_MeV_u, WATER, thickness) == pytest.approx(theory, rel=0.04)


def test_differential_highland_sums_up_to_highland():
    """A thin layer, in which pv hardly changes: 14.1 MeV z / pv sqrt(l) (1 + lg(l) / 9), Highland (1975)."""
    for thickness in (0.5, 2.0):
        layers = thickness / 10.0 / WATER.radiation_length_g_cm2
        behind = float(RangeEnergy(CARBON, WATER, 78.0).energy_after_MeV_u(390.0, thickness / 2.0))
        highland = 14.1e3 * 6.0 / float(pv_MeV(CARBON, behind)) * layers**0.5 * (1.0 + np.log10(layers) / 9.0)
        assert angle_mrad(CARBON, 390.0, WATER, thickness) == pytest.approx(highland, rel=0.002)


def test_end_of_range_in_water():
    """Displacement of stopping ions: 2.24 % of the range times z^-0.08 A^-0.46.

    Kanematsu, Phys. Med. Biol. 54 (2009) N67 (abstract: arXiv:0810.1390), who holds measurements of
    protons and ions within 2 % or 0.2 mm with it.
    """
    for ion, energy in ((PROTON, 150.0), (HELIUM, 150.0), (CARBON, 280.0), (OXYGEN, 300.0)):
        table = RangeEnergy(ion, WATER, 78.0)
        full = float(table.range_mm(energy))
        depth = full * (np.arange(20000) + 0.5) / 20001
        power = scattering_power_rad2_cm2_per_g(ion, table.energy_MeV_u(full - depth), WATER, energy) / 10.0
        power[~np.isfinite(power)] = 0.0
        sigma = np.sqrt(np.sum(power * (full - depth) ** 2) * full / 20001)
        kanematsu = 0.0224 * ion.charge_number**-0.08 * ion.mass_number**-0.46 * full
        assert sigma == pytest.approx(kanematsu, rel=0.03)


@given(
    species=st.sampled_from(SPECIES),
    energy_MeV_u=st.floats(5.0, 599.0),
    initial_MeV_u=st.floats(5.0, 599.0),
    material=st.sampled_from([WATER, AIR]),
)
def test_every_nucleus_scatters(species: Ion, energy_MeV_u: float, initial_MeV_u: float, material: Material):
    """Also where the ion is faster than at the beginning, as fragments may be."""
    power = float(scattering_power_rad2_cm2_per_g(species, energy_MeV_u, material, initial_MeV_u))
    rossi = (15.0 * species.charge_number / float(pv_MeV(species, energy_MeV_u))) ** 2
    assert 0.0 < power * material.radiation_length_g_cm2 / rossi < 1.6


def test_isotopes_of_equal_velocity():
    """The angle goes with z / pv: a triton's is 2/3 of a deuteron's, and a bit more for its longer path."""
    deuteron, triton = SPECIES[INDEX["2H"]], SPECIES[INDEX["3H"]]
    powers = [scattering_power_rad2_cm2_per_g(ion, 50.0, WATER, 200.0) for ion in (deuteron, triton)]
    assert 2.15 < float(powers[0] / powers[1]) < 2.25


def test_stopped_ions_scatter_finitely():
    powers = scattering_power_rad2_cm2_per_g(CARBON, [0.01, 0.5, 1.0], WATER, 200.0)
    assert np.all(np.isfinite(powers))
    assert np.all(np.diff(powers) < 0.0)


def test_shape_and_broadcasting():
    energy = np.array([50.0, 100.0, 150.0])
    powers = scattering_power_rad2_cm2_per_g(PROTON, energy, WATER, 200.0)
    assert powers.shape == (3,)
    assert np.all(np.diff(powers) < 0.0)
    single = [float(scattering_power_rad2_cm2_per_g(PROTON, e, WATER, 200.0)) for e in energy]
    np.testing.assert_allclose(powers, single, rtol=1e-12)


def test_moliere_refuses_what_it_cannot():
    with pytest.raises(OptionError, match="it stops there"):
        hanson_angle_mrad(PROTON, 100.0, WATER, 90.0)
    with pytest.raises(OptionError, match="too few collisions"):
        hanson_angle_mrad(PROTON, 100.0, WATER, 1e-5)


def test_highland_angle_of_a_slab():
    """13.6 MeV formula by hand for 150 MeV protons in 10 mm of water: pv = 279.1 MeV."""
    angle = highland_angle_mrad(PROTON, 150.0, WATER, 10.0)
    layers = 1.0 / 36.08
    assert angle == pytest.approx(13.6e3 / 279.1 * layers**0.5 * (1.0 + 0.038 * np.log(layers)), rel=0.001)
    assert highland_angle_mrad(CARBON, 150.0, WATER, 10.0) < angle
