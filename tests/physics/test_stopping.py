"""Stopping power, range and scattering, against published tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.errors import SpotlineError
from spotline.physics.ions import CARBON, HELIUM, IONS, OXYGEN, PROTON, Ion
from spotline.physics.materials import AIR, NITROGEN, WATER, Material
from spotline.physics.stopping import (
    RangeEnergy,
    effective_charge,
    largest_energy_transfer_MeV,
    mass_stopping_power_MeV_cm2_per_g,
    mean_excitation_eV,
    relative_ionization_spread,
)

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the reference tables are not beside the repository"
)

# Electronic mass stopping power in MeV cm2/g.  Protons: NIST PSTAR (water with I = 75 eV, nitrogen 82 eV);
# carbon in nitrogen: ICRU 73, that uses another I and charge state (hence 1 %).
PUBLISHED = [
    (PROTON, WATER, 75.0, 60.0, 10.78, 0.002),
    (PROTON, WATER, 75.0, 100.0, 7.289, 0.002),
    (PROTON, WATER, 75.0, 150.0, 5.443, 0.002),
    (PROTON, WATER, 75.0, 200.0, 4.491, 0.002),
    (PROTON, NITROGEN, None, 62.0, 9.341, 0.002),
    (PROTON, NITROGEN, None, 226.0, 3.704, 0.002),
    (CARBON, NITROGEN, None, 115.0, 211.3, 0.01),
    (CARBON, NITROGEN, None, 399.0, 98.06, 0.01),
]


@pytest.mark.parametrize(("ion", "material", "excitation", "energy", "expected", "tolerance"), PUBLISHED)
def test_stopping_power_published(
    ion: Ion, material: Material, excitation: float | None, energy: float, expected: float, tolerance: float
):
    stopping = float(mass_stopping_power_MeV_cm2_per_g(ion, energy, material, excitation))
    assert stopping == pytest.approx(expected, rel=tolerance)


def test_range_published():
    """NIST PSTAR: CSDA range of protons in water 7.718 (100), 15.77 (150), 25.96 g/cm2 (200 MeV)."""
    ranges = RangeEnergy(PROTON, WATER, 75.0).range_g_cm2([100.0, 150.0, 200.0])
    np.testing.assert_allclose(ranges, [7.718, 15.77, 25.96], rtol=0.002)


def read(name: str) -> np.ndarray:
    """A reference table with its column names."""
    lines = [
        line for line in (REFERENCE / name).read_text().splitlines() if line and not line.startswith("#")
    ]
    return np.genfromtxt(lines, delimiter=",", names=True)


@needs_reference
@pytest.mark.parametrize(
    ("ion", "letter", "lowest_MeV_u", "stopping_tolerance", "range_tolerance"),
    [
        (PROTON, "p", 20.0, 0.002, 0.0012),
        (HELIUM, "he", 20.0, 0.002, 0.0020),
        (CARBON, "c", 20.0, 0.001, 0.0005),
        (OXYGEN, "o", 40.0, 0.001, 0.0006),
    ],
)
def test_water_tables(
    ion: Ion, letter: str, lowest_MeV_u: float, stopping_tolerance: float, range_tolerance: float
):
    """ICRU 90 (protons, helium, carbon) and ICRU 73 with errata (oxygen), all with I = 78 eV."""
    table = read(f"stopping_range_water_{letter}.csv")
    table = table[(table["E_MeV_u"] >= lowest_MeV_u) & (table["E_MeV_u"] <= 450.0)]
    energy = table["E_MeV_u"]
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, energy, WATER, 78.0)
    np.testing.assert_allclose(stopping, table["S_ref_MeVcm2_g"], rtol=stopping_tolerance)
    ranges = RangeEnergy(ion, WATER, 78.0).range_g_cm2(energy)
    # Low energies, for which the formulas do not hold, shift all ranges by up to 40 um (oxygen).
    np.testing.assert_allclose(ranges, table["csda_ref_g_cm2"], rtol=range_tolerance, atol=0.004)


@needs_reference
@pytest.mark.parametrize(
    ("ion", "material", "column", "tolerance"),
    [
        (PROTON, NITROGEN, "p_N2", 0.002),
        (PROTON, AIR, "p_air", 0.003),
        (HELIUM, NITROGEN, "He_N2", 0.004),
        (CARBON, NITROGEN, "C_N2", 0.010),
        (CARBON, AIR, "C_air", 0.010),
    ],
)
def test_gas_tables(ion: Ion, material: Material, column: str, tolerance: float):
    table = read("stopping_gases_pmma.csv")
    table = table[(table["E_MeV_u"] >= 30.0) & np.isfinite(table[column])]
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, table["E_MeV_u"], material)
    np.testing.assert_allclose(stopping, table[column], rtol=tolerance)


@given(
    ion=st.sampled_from(list(IONS.values())),
    energy_MeV_u=st.floats(5.0, 590.0),
    material=st.sampled_from([WATER, NITROGEN, AIR]),
)
def test_range_and_energy_are_inverse(ion: Ion, energy_MeV_u: float, material: Material):
    table = RangeEnergy(ion, material)
    back = float(table.energy_MeV_u(table.range_mm(energy_MeV_u)))
    assert back == pytest.approx(energy_MeV_u, rel=1e-5)


@given(ion=st.sampled_from(list(IONS.values())), energy_MeV_u=st.floats(30.0, 550.0))
def test_slope_of_range_is_the_stopping_power(ion: Ion, energy_MeV_u: float):
    step = 1e-3 * energy_MeV_u
    table = RangeEnergy(ion, WATER)
    thickness = float(np.diff(table.range_g_cm2([energy_MeV_u - step, energy_MeV_u + step]))[0])
    stopping = float(mass_stopping_power_MeV_cm2_per_g(ion, energy_MeV_u, WATER))
    assert 2.0 * step * ion.mass_number / thickness == pytest.approx(stopping, rel=1e-4)


def test_energy_behind_a_slab():
    table = RangeEnergy(CARBON, WATER)
    once = table.energy_after_MeV_u(200.0, 20.0)
    twice = table.energy_after_MeV_u(table.energy_after_MeV_u(200.0, 10.0), 10.0)
    assert float(once) == pytest.approx(float(twice), rel=1e-6)
    assert np.isnan(table.energy_after_MeV_u(200.0, 90.0)), "stopped"
    assert np.all(np.isnan(table.range_mm([-1.0, 0.0, 0.5, 601.0])))


def test_equal_velocities_scale_with_charge():
    """Fast ions of one velocity: S goes with z^2, apart from the corrections in z of below one percent."""
    ratio = mass_stopping_power_MeV_cm2_per_g(CARBON, 300.0, WATER, 78.0) / mass_stopping_power_MeV_cm2_per_g(
        PROTON, 300.0, WATER, 78.0
    )
    assert float(ratio) == pytest.approx(36.0, rel=0.01)


def test_water_has_its_own_excitation_energy_per_ion():
    """Mirandola et al. (2015), 3.A.1: 77.0 eV for protons and 77.5 eV for carbon."""
    assert mean_excitation_eV(PROTON, WATER) == 77.0
    assert mean_excitation_eV(CARBON, WATER) == 77.5
    assert mean_excitation_eV(CARBON, AIR) == AIR.mean_excitation_eV


@pytest.mark.parametrize("energy_MeV_u", [0.5, 700.0, float("nan")])
def test_energies_outside_the_formula_are_refused(energy_MeV_u: float):
    with pytest.raises(SpotlineError, match=r"outside 1\.\.600 MeV/u"):
        mass_stopping_power_MeV_cm2_per_g(CARBON, [100.0, energy_MeV_u], WATER)


def test_whole_validity_gives_finite_and_positive_numbers():
    for ion in IONS.values():
        for material in (WATER, NITROGEN, AIR):
            stopping = mass_stopping_power_MeV_cm2_per_g(ion, np.geomspace(1.0, 600.0, 500), material)
            assert np.all(np.isfinite(stopping))
            assert np.all(stopping > 0.0)
            assert np.all(np.diff(stopping[200:]) < 0.0), "falls with energy below the minimum at 2 GeV/u"


def test_energy_transfer_and_effective_charge():
    """2 m_e c^2 beta^2 gamma^2 up to recoil; carbon is bare above some MeV/u."""
    gamma = PROTON.gamma(150.0)
    assert float(largest_energy_transfer_MeV(PROTON, 150.0)) == pytest.approx(
        1.021998 * (gamma**2 - 1.0), rel=0.002
    )
    assert float(effective_charge(CARBON, CARBON.beta(100.0))) == pytest.approx(6.0, rel=1e-5)
    assert 4.0 < float(effective_charge(CARBON, CARBON.beta(1.0))) < 6.0


def test_ionization_spread():
    """Protons in 5.5 mm of nitrogen with delta electrons up to 19 keV; other ions less by their charge."""
    low, high = (relative_ionization_spread(PROTON, e, NITROGEN, 5.53, 0.019) for e in (62.0, 226.0))
    assert (low, high) == pytest.approx((0.46, 0.68), abs=0.01)
    carbon = relative_ionization_spread(CARBON, 226.0, NITROGEN, 5.53, 0.019)
    assert carbon * 6.0 == pytest.approx(high, rel=0.02)
