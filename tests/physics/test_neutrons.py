"""Neutrons of reactions: cross sections, single collisions, and the dose that they carry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from spotline.physics.materials import WATER
from spotline.physics.neutron_tables import neutron_proton_mb, stacked_neutrons
from spotline.physics.neutrons import neutron_rate, strike
from spotline.physics.nuclei import MASS_MeV, NEUTRON_MASS_MeV

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _quiet_overflow() -> Iterator[None]:
    """Uncompiled, NumPy tells of every overflow of the random numbers."""
    with np.errstate(over="ignore"):
        yield


@pytest.mark.parametrize(
    ("energy_MeV", "measured"), [(20.0, 482.0), (50.0, 167.0), (100.0, 73.0), (200.0, 42.7), (300.0, 35.0)]
)
def test_neutron_on_proton(energy_MeV: float, measured: float):
    """Total cross section: Lisowski et al., Phys. Rev. Lett. 49 (1982) 255."""
    assert float(neutron_proton_mb(energy_MeV)) == pytest.approx(measured, rel=0.08)


def test_mean_free_path_in_water():
    """Some 40 to 60 cm at 100 to 200 MeV: hydrogen and the inelastic part of oxygen, 0.3 b."""
    tables = stacked_neutrons((WATER,))
    path_cm = [1.0 / neutron_rate(tables, 0, energy) for energy in (100.0, 200.0)]
    assert 40.0 < path_cm[0] < path_cm[1] < 90.0


@pytest.mark.parametrize("energy_MeV", [6.0, 40.0, 250.0])
def test_collisions_make_no_energy(energy_MeV: float):
    tables = stacked_neutrons((WATER,))
    rng = np.array([4], dtype=np.uint64)
    protons = 0
    for _ in range(400):
        xn, yn, zn, xp, yp, zp, local_MeV = strike(tables, 0, energy_MeV, rng)
        neutron = np.hypot(np.hypot(xn, yn), np.hypot(zn, NEUTRON_MASS_MeV)) - NEUTRON_MASS_MeV
        proton = np.hypot(np.hypot(xp, yp), np.hypot(zp, MASS_MeV[0])) - MASS_MeV[0]
        protons += proton > 0.0
        # Momenta inside a nucleus spread what both have, but on the mean binding takes more.
        assert neutron + proton + local_MeV < energy_MeV + 80.0
        assert local_MeV <= energy_MeV
    assert 100 < protons < 400


def test_on_hydrogen_nothing_is_lost():
    tables = stacked_neutrons((WATER,))
    tables = tables._replace(hydrogen_share=np.ones_like(tables.hydrogen_share))
    rng = np.array([4], dtype=np.uint64)
    shares = []
    for _ in range(500):
        xn, yn, zn, xp, yp, zp, local_MeV = strike(tables, 0, 100.0, rng)
        proton = np.sqrt(xp**2 + yp**2 + zp**2 + MASS_MeV[0] ** 2) - MASS_MeV[0]
        neutron = np.sqrt(xn**2 + yn**2 + zn**2 + NEUTRON_MASS_MeV**2) - NEUTRON_MASS_MeV
        assert neutron + proton == pytest.approx(100.0, abs=0.5)
        assert local_MeV == 0.0
        shares.append(proton / 100.0)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)  # isotropic in the centre of mass
    assert np.std(shares) == pytest.approx(1.0 / np.sqrt(12.0), rel=0.08)
