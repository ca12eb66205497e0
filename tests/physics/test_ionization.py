"""Particles per count of the chambers, against the published ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.physics.ionization import ion_pairs, particles_per_count
from spotline.physics.ions import CARBON, IONS, PROTON, Ion

# Giordanengo et al. (2015), III.B.1, per 200 fC.
PUBLISHED = [(PROTON, 62.0, 7.2e3), (PROTON, 226.0, 1.9e4), (CARBON, 115.0, 341.0), (CARBON, 399.0, 767.0)]
# Effective: thickness before the chamber, gap, and charge that carbon gives relative to that of its energy
# loss.  The three are fitted to the four numbers above.
UPSTREAM_mm, GAP_mm, CARBON_GAIN = 3.5, 5.53, 0.937


@pytest.mark.parametrize(("ion", "energy_MeV_u", "published"), PUBLISHED)
def test_published_particles_per_count(ion: Ion, energy_MeV_u: float, published: float):
    gap = GAP_mm * (CARBON_GAIN if ion is CARBON else 1.0)
    found = particles_per_count(
        ion, energy_MeV_u, charge_quantum_C=200e-15, gap_mm=gap, upstream_mm=UPSTREAM_mm
    )
    assert float(found) == pytest.approx(published, rel=0.01)


def test_by_hand():
    """62 MeV protons lose 9.341 MeV cm2/g in nitrogen (NIST PSTAR): 164.9 pairs in 5.53 mm at W = 36.5 eV."""
    pairs = 9.341e6 * 1.165e-3 * 0.553 / 36.5
    assert float(ion_pairs(PROTON, 62.0, 5.53)) == pytest.approx(pairs, rel=0.002)
    count = float(particles_per_count(PROTON, 62.0, charge_quantum_C=200e-15, gap_mm=5.53))
    assert count == pytest.approx(200e-15 / 1.602176634e-19 / pairs, rel=0.002)


@given(ion=st.sampled_from(list(IONS.values())), energy=st.floats(60.0, 400.0), factor=st.floats(0.1, 10.0))
def test_scaling(ion: Ion, energy: float, factor: float):
    """Twice the charge of a count needs twice the particles, twice the gap half of them."""
    one = float(particles_per_count(ion, energy, charge_quantum_C=2e-13, gap_mm=5.0))
    assert float(
        particles_per_count(ion, energy, charge_quantum_C=2e-13 * factor, gap_mm=5.0)
    ) == pytest.approx(one * factor)
    assert float(
        particles_per_count(ion, energy, charge_quantum_C=2e-13, gap_mm=5.0 * factor)
    ) == pytest.approx(one / factor)


def test_what_stops_before_the_chamber_makes_no_count():
    counts = particles_per_count(PROTON, [10.0, 100.0], charge_quantum_C=2e-13, gap_mm=5.0, upstream_mm=5.0)
    assert np.isnan(counts[0])
    assert counts[1] > 0.0
