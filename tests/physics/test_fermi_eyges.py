"""The moments of a beam through layers: exact cases, conservation laws and a sum by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.errors import OptionError
from spotline.physics.fermi_eyges import Layer, propagate
from spotline.physics.ions import CARBON, IONS, PROTON, Ion
from spotline.physics.materials import AIR, WATER, Material
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.scattering import scattering_power_rad2_cm2_per_g
from spotline.physics.stopping import RangeEnergy

PENCIL = PhaseSpace(0.0, 0.0, 0.0)
ANY_ION = st.sampled_from(list(IONS.values()))


@st.composite
def beams(draw: st.DrawFn) -> PhaseSpace:
    """Beams that can be: the covariance is not above the product of the deviations."""
    sigma, divergence = draw(st.floats(0.1, 10.0)), draw(st.floats(0.01, 5.0))
    return PhaseSpace(sigma, divergence, draw(st.floats(-1.0, 1.0)) * sigma * divergence)


def assert_same(one: PhaseSpace, other: PhaseSpace, rel: float):
    scale = np.asarray(one.sigma_mm) * one.divergence_mrad
    assert one.sigma_mm == pytest.approx(other.sigma_mm, rel=rel, abs=1e-9)
    assert one.divergence_mrad == pytest.approx(other.divergence_mrad, rel=rel, abs=1e-9)
    np.testing.assert_allclose(
        one.covariance_mm_mrad, other.covariance_mm_mrad, rtol=0.0, atol=rel * float(np.max(scale)) + 1e-9
    )


def test_drift_by_hand():
    """4 mm and 2 mrad at a waist: 5 m on, 2 mrad x 5 m = 10 mm are added in quadrature."""
    behind = propagate(PhaseSpace(4.0, 2.0), PROTON, 100.0, [Layer(None, 5000.0)])
    assert behind.phase_space.sigma_mm == pytest.approx(np.hypot(4.0, 10.0))
    assert behind.phase_space.divergence_mrad == 2.0
    assert behind.phase_space.covariance_mm_mrad == pytest.approx(20.0)
    assert behind.energy_MeV_u == 100.0


@given(beam=beams(), way_mm=st.floats(0.0, 5000.0), ion=ANY_ION)
def test_vacuum_conserves_emittance(beam: PhaseSpace, way_mm: float, ion: Ion):
    behind = propagate(beam, ion, 200.0, [Layer(None, way_mm)]).phase_space
    spread = float(np.asarray(behind.sigma_mm) * behind.divergence_mrad)
    assert behind.emittance_mm_mrad**2 == pytest.approx(beam.emittance_mm_mrad**2, abs=1e-9 * spread**2)
    assert_same(behind, beam.drift(way_mm), 1e-9)
    assert_same(behind.drift(-way_mm), beam, 1e-6 * max(1.0, spread))


@given(beam=beams(), ion=ANY_ION, energy_MeV_u=st.floats(80.0, 400.0), thickness_mm=st.floats(0.5, 12.0))
def test_matter_never_shrinks_emittance(beam: PhaseSpace, ion: Ion, energy_MeV_u: float, thickness_mm: float):
    behind = propagate(beam, ion, energy_MeV_u, [Layer(WATER, thickness_mm)])
    assert behind.phase_space.emittance_mm_mrad > beam.emittance_mm_mrad
    assert behind.energy_MeV_u < energy_MeV_u


@given(
    beam=beams(),
    ion=ANY_ION,
    energy_MeV_u=st.floats(80.0, 400.0),
    material=st.sampled_from([WATER, AIR]),
    share=st.floats(0.02, 0.95),
    cut=st.floats(0.05, 0.95),
)
def test_splitting_a_layer_changes_nothing(
    beam: PhaseSpace, ion: Ion, energy_MeV_u: float, material: Material, share: float, cut: float
):
    thickness = share * float(RangeEnergy(ion, material, 78.0).range_mm(energy_MeV_u))
    whole = propagate(beam, ion, energy_MeV_u, [Layer(material, thickness)])
    parts = propagate(
        beam, ion, energy_MeV_u, [Layer(material, cut * thickness), Layer(material, (1.0 - cut) * thickness)]
    )
    assert_same(whole.phase_space, parts.phase_space, 5e-4)
    assert whole.energy_MeV_u == pytest.approx(parts.energy_MeV_u, rel=1e-3)


@given(ion=ANY_ION, energy_MeV_u=st.floats(80.0, 400.0))
def test_going_on_from_the_middle(ion: Ion, energy_MeV_u: float):
    """Behind half of a stack the rest gives the same, if it is told how the way began."""
    first, second = [Layer(AIR, 500.0), Layer(WATER, 5.0)], [Layer(None, 100.0), Layer(WATER, 4.0)]
    beam = PhaseSpace(2.0, 1.0, -0.5)
    whole = propagate(beam, ion, energy_MeV_u, first + second)
    half = propagate(beam, ion, energy_MeV_u, first)
    rest = propagate(half.phase_space, ion, half.energy_MeV_u, second, initial_energy_MeV_u=energy_MeV_u)
    assert_same(whole.phase_space, rest.phase_space, 1e-9)
    assert whole.energy_MeV_u == pytest.approx(rest.energy_MeV_u)


def test_scattering_adds_in_quadrature():
    """What a beam gets from matter does not depend on its size: A2 is linear."""
    layers = [Layer(WATER, 2.0), Layer(AIR, 1000.0), Layer(WATER, 40.0)]
    scattered = propagate(PENCIL, CARBON, 200.0, layers).phase_space
    beam = PhaseSpace(3.0, 0.4, 0.3)
    behind = propagate(beam, CARBON, 200.0, layers).phase_space
    alone = beam.drift(1042.0)
    assert behind.sigma_mm == pytest.approx(np.hypot(scattered.sigma_mm, alone.sigma_mm))
    assert behind.divergence_mrad == pytest.approx(np.hypot(scattered.divergence_mrad, 0.4))


@pytest.mark.parametrize(("ion", "energy_MeV_u"), [(PROTON, 150.0), (CARBON, 280.0)])
def test_pencil_in_water_by_a_plain_sum(ion: Ion, energy_MeV_u: float):
    table = RangeEnergy(ion, WATER, 78.0)
    full = float(table.range_mm(energy_MeV_u))
    thickness = 0.97 * full
    edges = thickness * np.linspace(0.0, 1.0, 20001) ** 1.5
    depth, step = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    power = scattering_power_rad2_cm2_per_g(ion, table.energy_MeV_u(full - depth), WATER, energy_MeV_u) / 10.0
    behind = propagate(PENCIL, ion, energy_MeV_u, [Layer(WATER, thickness)]).phase_space
    assert behind.divergence_mrad == pytest.approx(1e3 * np.sqrt(np.sum(power * step)), rel=2e-4)
    left = thickness - depth
    assert behind.sigma_mm == pytest.approx(np.sqrt(np.sum(power * left**2 * step)), rel=2e-4)
    assert behind.covariance_mm_mrad == pytest.approx(1e3 * np.sum(power * left * step), rel=4e-4)


def test_many_energies_at_once():
    energies = np.array([[100.0, 150.0], [200.0, 230.0]])
    layers = [Layer(AIR, 800.0), Layer(WATER, 30.0)]
    beam = PhaseSpace(np.array([[4.0, 3.5], [3.0, 2.5]]), 0.3, -0.1)
    together = propagate(beam, PROTON, energies, layers)
    assert together.phase_space.sigma_mm.shape == (2, 2)
    for place in np.ndindex(2, 2):
        one = PhaseSpace(float(beam.sigma_mm[place]), 0.3, -0.1)
        alone = propagate(one, PROTON, float(energies[place]), layers)
        assert together.phase_space.sigma_mm[place] == pytest.approx(float(alone.phase_space.sigma_mm))
        assert together.energy_MeV_u[place] == pytest.approx(float(alone.energy_MeV_u))


def test_nothing_in_the_way():
    beam = PhaseSpace(2.0, 1.0, 0.5)
    assert_same(propagate(beam, PROTON, 100.0, []).phase_space, beam, 1e-12)
    assert_same(propagate(beam, PROTON, 100.0, [Layer(WATER, 0.0)]).phase_space, beam, 1e-12)


def test_refusals():
    with pytest.raises(OptionError, match=r"proton of 60 MeV/u stops in 40 mm of water"):
        propagate(PENCIL, PROTON, [60.0, 150.0], [Layer(WATER, 40.0)])
    with pytest.raises(OptionError, match="thickness is -1 mm"):
        propagate(PENCIL, PROTON, 60.0, [Layer(WATER, -1.0)])
