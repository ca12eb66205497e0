"""Terms of the stopping number, against their limits and against one another."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spotline.physics.corrections import (
    barkas_l1,
    bloch_l2,
    density_effect,
    effective_charge,
    lindhard_sorensen,
    shell_correction,
)
from spotline.physics.ions import CARBON, OXYGEN, PROTON
from spotline.physics.materials import ALUMINIUM, MATERIALS, WATER
from spotline.units import FINE_STRUCTURE

BETA = np.array([0.05, 0.15, 0.3, 0.5, 0.7])


def test_bloch_of_weak_and_strong_charges():
    """-1.202 y^2 for small y; for large y it turns Bethe's logarithm into Bohr's: -ln(y) - 0.577."""
    assert float(bloch_l2(np.array([1.0]), np.array([0.5]))[0]) == pytest.approx(
        -1.2020569 * (FINE_STRUCTURE / 0.5) ** 2, rel=1e-3
    )
    y = 20.0
    assert float(bloch_l2(np.array([y * 0.01 / FINE_STRUCTURE]), np.array([0.01]))[0]) == pytest.approx(
        -math.log(y) - 0.5772157, abs=1e-3
    )


@pytest.mark.parametrize("charge", [1.0, 6.0, 8.0])
def test_lindhard_sorensen_of_slow_ions_is_bloch(charge: float):
    beta = np.array([0.02, 0.05])
    charges = np.full(2, charge)
    np.testing.assert_allclose(lindhard_sorensen(charges, beta), bloch_l2(charges, beta), atol=6e-3)


def test_lindhard_sorensen_of_weak_charges_is_bloch_and_first_order_mott():
    """pi/2 alpha z beta, the difference of Mott and Rutherford scattering in first order (Ahlen 1980)."""
    charges, fast = np.full(4, 0.5), BETA[1:]
    first_order = 0.5 * math.pi * FINE_STRUCTURE * 0.5 * fast
    mott = lindhard_sorensen(charges, fast, terms=500) - bloch_l2(charges, fast)
    np.testing.assert_allclose(mott, first_order, rtol=0.04)


def test_lindhard_sorensen_has_enough_terms():
    """What the default leaves out is 0.01 % of the stopping number of slow ions and less of others."""
    charges = np.full(BETA.size, 8.0)
    error = lindhard_sorensen(charges, BETA) - lindhard_sorensen(charges, BETA, terms=3000)
    assert abs(error[0]) < 3e-4
    assert np.all(np.abs(error[1:]) < 3e-5)


def test_barkas_term_falls_with_velocity():
    """As beta^-3 up to a logarithm; 1 % of the stopping number of 1 MeV protons, and nothing at 100."""
    l1 = barkas_l1(np.array([0.046, 0.14, 0.428]), WATER)
    assert l1[0] == pytest.approx(0.07, abs=0.01)
    assert l1[2] < 0.001
    slopes = np.diff(np.log(l1)) / np.diff(np.log([0.046, 0.14, 0.428]))
    assert np.all((slopes > -3.0) & (slopes < -2.0))


def test_shell_correction_falls_with_the_square_of_the_velocity():
    fast = shell_correction(np.array([0.4, 0.8]), WATER)
    assert fast[0] / fast[1] == pytest.approx(4.0, rel=0.1)
    slow = shell_correction(np.array([0.1]), ALUMINIUM) / shell_correction(np.array([0.1]), WATER)
    assert 1.2 < float(slow[0]) < 2.2, "tighter bound electrons"


def test_density_effect_begins_at_x0_and_ends_at_the_asymptote():
    for material in MATERIALS.values():
        c, x0, x1, _, _ = material.density_effect
        before, after, far = density_effect(10.0 ** np.array([x0 - 1e-6, x0 + 1e-6, x1 + 1.0]), material)
        assert before == 0.0
        # Conductors (delta_0 of 0.1 in Sternheimer et al. 1984) already have some at x0.
        assert abs(after) < 0.2
        assert far == pytest.approx(2.0 * math.log(10.0) * (x1 + 1.0) - c)


def test_effective_charge():
    """Protons are bare; carbon above some MeV/u; slow ions keep electrons."""
    assert float(effective_charge(PROTON, PROTON.beta(0.2))) == pytest.approx(1.0, rel=1e-3)
    assert float(effective_charge(CARBON, CARBON.beta(10.0))) == pytest.approx(6.0, rel=1e-4)
    assert 4.5 < float(effective_charge(CARBON, CARBON.beta(1.0))) < 5.7
    beta = np.geomspace(0.014, 0.7, 50)
    assert np.all(np.diff(effective_charge(OXYGEN, beta)) >= 0.0)
