"""Moments of the energy loss and range straggling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import AIR, WATER
from spotline.physics.stopping import RangeEnergy, largest_energy_transfer_MeV
from spotline.physics.straggling import (
    collision_strength_MeV_cm2_per_g,
    range_straggling_g_cm2,
    straggling_third_moment_MeV3_cm2_per_g,
    straggling_variance_MeV2_cm2_per_g,
    vavilov_kappa,
)


@pytest.mark.parametrize("ion", [PROTON, CARBON])
@pytest.mark.parametrize("energy_MeV_u", [5.0, 100.0, 400.0])
def test_moments_are_those_of_the_collision_spectrum(ion: Ion, energy_MeV_u: float):
    w_max = float(largest_energy_transfer_MeV(ion, energy_MeV_u))
    strength = float(collision_strength_MeV_cm2_per_g(ion, energy_MeV_u, WATER))
    beta_squared = ion.beta(energy_MeV_u) ** 2
    for order, moment in (
        (2, straggling_variance_MeV2_cm2_per_g),
        (3, straggling_third_moment_MeV3_cm2_per_g),
    ):
        integral, _ = quad(
            lambda t, n=order: strength * (1.0 - beta_squared * t / w_max) * t ** (n - 2), 0.0, w_max
        )
        assert float(moment(ion, energy_MeV_u, WATER)) == pytest.approx(integral, rel=1e-9)


def test_variance_of_slow_protons_is_bohrs():
    """4 pi N Z e^4: 0.087 MeV2 per cm of water (Bortfeld 1997, eq. 16)."""
    assert float(straggling_variance_MeV2_cm2_per_g(PROTON, 5.0, WATER)) == pytest.approx(0.0871, rel=0.01)


def test_range_straggling_of_the_simplified_theory():
    """With Bohr's variance and R = alpha E^p the integral has a closed form (Bortfeld 1997, eqs. 17, 18)."""
    alpha, p, variance, range_cm = 0.0022, 1.77, 0.087, 20.0
    energy = (range_cm / alpha) ** (1.0 / p)

    def integrand(e: float) -> float:
        return variance * (alpha * p * e ** (p - 1.0)) ** 3

    ours = quad(integrand, 0.0, energy)[0] ** 0.5
    assert ours == pytest.approx(0.012 * range_cm**0.935, rel=0.02)
    # The real one adds the relativistic rise of the variance, 7 % in sigma.
    real = float(range_straggling_g_cm2(PROTON, RangeEnergy(PROTON, WATER).energy_MeV_u(200.0), WATER))
    assert real / ours == pytest.approx(1.07, abs=0.02)


def test_range_straggling_agrees_with_direct_integration():
    """Steps down a range table, summing the variance of the range step by step."""
    energy = 200.0
    table = RangeEnergy(CARBON, WATER)
    edges = np.geomspace(energy, 0.5, 4000)
    middle = np.sqrt(edges[1:] * edges[:-1])
    path = -np.diff(table.range_g_cm2(edges))
    slope = (
        np.diff(table.range_g_cm2(np.stack([middle * 0.999, middle * 1.001])), axis=0)[0]
        / (0.002 * middle)
        / CARBON.mass_number
    )
    variance = np.sum(straggling_variance_MeV2_cm2_per_g(CARBON, middle, WATER) * path * slope**2)
    assert float(range_straggling_g_cm2(CARBON, energy, WATER)) == pytest.approx(variance**0.5, rel=1e-3)


def test_heavier_ions_of_one_range_straggle_less():
    """As the root of the mass number; higher velocities at the same range take some percent more off."""
    sigmas = [
        float(range_straggling_g_cm2(ion, RangeEnergy(ion, WATER).energy_MeV_u(150.0), WATER))
        for ion in (PROTON, HELIUM, CARBON, OXYGEN)
    ]
    assert sigmas[0] / sigmas[1] == pytest.approx(2.0, rel=0.02)
    assert 1.0 < sigmas[0] / sigmas[2] / 12.0**0.5 < 1.1
    assert 1.0 < sigmas[0] / sigmas[3] / 4.0 < 1.1


def test_regimes_of_vavilov():
    """1 mm of water is thick for a slow carbon ion, a gap of air is thin for a fast proton."""
    assert float(vavilov_kappa(CARBON, 5.0, WATER, 0.1)) > 10.0
    assert float(vavilov_kappa(PROTON, 200.0, AIR, 10.0)) < 0.01


def test_energies_outside_give_no_number():
    assert np.all(np.isnan(range_straggling_g_cm2(PROTON, [0.01, 700.0], WATER)))
