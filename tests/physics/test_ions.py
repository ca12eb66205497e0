"""Kinematics of the ions, against published rigidities and identities."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.physics.ions import CARBON, IONS, PROTON, Ion, ion_from_numbers

# Rigidity of CNAO's beams, computed independently from CODATA masses (relativistic p / q).
RIGIDITIES_T_m = [
    (PROTON, 60.0, 1.137),
    (PROTON, 62.73, 1.163),
    (PROTON, 228.57, 2.314),
    (CARBON, 115.23, 3.185),
    (CARBON, 120.0, 3.254),
    (CARBON, 398.84, 6.336),
    (CARBON, 400.0, 6.347),
]

ENERGIES_MeV_u = st.floats(1.0, 600.0)
ANY_ION = st.sampled_from(list(IONS.values()))


@pytest.mark.parametrize(("ion", "energy_MeV_u", "expected_T_m"), RIGIDITIES_T_m)
def test_rigidity(ion: Ion, energy_MeV_u: float, expected_T_m: float):
    assert ion.rigidity_T_m(energy_MeV_u) == pytest.approx(expected_T_m, abs=0.001)


def test_published_current_sensitivities_are_consistent():
    """55 mA move carbon by 70 and protons by 200 um at the lowest energies (Giordanengo et al., II.C)."""
    ratio = CARBON.rigidity_T_m(120.0) / PROTON.rigidity_T_m(60.0)
    assert ratio == pytest.approx(200.0 / 70.0, rel=0.005)


def test_nuclear_masses():
    """CODATA 2018: proton 938.272 088, alpha particle 3727.379 407 MeV."""
    assert PROTON.mass_MeV == pytest.approx(938.272088, abs=2e-5)  # the electron's binding is left out
    assert IONS["helium"].mass_MeV == pytest.approx(3727.379407, abs=1e-4)


@given(ion=ANY_ION, energy_MeV_u=ENERGIES_MeV_u)
def test_identities(ion: Ion, energy_MeV_u: float):
    gamma, beta = ion.gamma(energy_MeV_u), ion.beta(energy_MeV_u)
    momentum = ion.momentum_MeV_c(energy_MeV_u)
    assert 0.0 < beta < 1.0 < gamma
    assert momentum == pytest.approx(gamma * beta * ion.mass_MeV, rel=1e-9)
    total = energy_MeV_u * ion.mass_number + ion.mass_MeV
    assert math.hypot(momentum, ion.mass_MeV) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("ion", IONS.values(), ids=IONS)
def test_ion_from_numbers(ion: Ion):
    assert ion_from_numbers(ion.charge_number, ion.mass_number) is ion


def test_unknown_ion():
    assert ion_from_numbers(3, 7) is None
