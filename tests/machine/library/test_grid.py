"""Depths of an entry: fine where the curve is steep, the same number everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.machine.library import grid
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy

BEAMS = [
    (PROTON, 62.73),
    (PROTON, 228.57),
    (HELIUM, 62.4),
    (CARBON, 115.23),
    (CARBON, 398.84),
    (OXYGEN, 136.0),
]


def laid_out(ion: Ion, energy: float) -> tuple[float, float, np.ndarray]:
    range_mm = float(RangeEnergy(ion, WATER).range_mm(energy))
    sigma_mm = grid.range_sigma_mm(ion, energy, 0.0008)
    return range_mm, sigma_mm, grid.depth_edges_mm(range_mm, sigma_mm)


@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_depths(ion: Ion, energy: float):
    range_mm, sigma_mm, edges = laid_out(ion, energy)
    steps = np.diff(edges)
    assert len(edges) == grid.N_DEPTHS + 1 <= 301
    assert edges[0] == 0.0
    assert np.all(steps > 0.0)
    near = np.abs(grid.middles(edges) - range_mm) < 6.0 * sigma_mm
    assert steps[near].max() <= 0.16 * sigma_mm
    assert steps[grid.middles(edges) < range_mm].max() < 0.03 * range_mm
    assert np.abs(np.diff(np.log(steps))).max() < np.log(2.0), "no bin is twice as wide as its neighbour"
    assert edges[-1] >= grid.planes_mm(range_mm)[-1]
    assert edges[-1] >= grid.ring_depth_edges_mm(range_mm, sigma_mm)[-1]


def test_narrowest_peak_is_resolved():
    """Carbon of 115 MeV/u has a peak 0.9 mm wide."""
    _, _, edges = laid_out(CARBON, 115.23)
    assert np.diff(edges).min() < 0.05


@pytest.mark.parametrize(("ion", "expected"), [(PROTON, 1.0), (CARBON, 1.0 / np.sqrt(12.0))])
def test_width_of_the_range(ion: Ion, expected: float):
    """About 1.2 % of 10 cm for protons, less for heavier ions; a spread of the energy widens it."""
    energy = float(RangeEnergy(ion, WATER).energy_MeV_u(100.0))
    assert grid.range_sigma_mm(ion, energy, 0.0) == pytest.approx(1.033 * expected, rel=0.01)
    # R ~ E^1.77 or so: 1 % of the energy are 1.7 to 1.8 mm.
    widened = grid.range_sigma_mm(ion, energy, 0.01) ** 2 - grid.range_sigma_mm(ion, energy, 0.0) ** 2
    assert 1.65 < np.sqrt(widened) < 1.85


def test_a_short_range_is_laid_out_too():
    """Behind a thick range shifter the peak may be near the surface."""
    edges = grid.depth_edges_mm(2.0, 0.8)
    assert np.all(np.diff(edges) > 0.0)


@pytest.mark.parametrize(("range_mm", "sigma_mm"), [(33.0, 0.14), (156.0, 1.6), (31.0, 0.83), (4.0, 2.0)])
def test_rings_end_where_primaries_do(range_mm: float, sigma_mm: float):
    """One standard deviation apart around the range, of which even the widest is cut to an eighth."""
    edges = grid.ring_depth_edges_mm(range_mm, sigma_mm)
    assert len(edges) == 32
    assert edges[0] == 0.0
    assert np.all(np.diff(edges) > 0.0)
    assert np.diff(edges).max() < 0.11 * range_mm + 2.0 * sigma_mm
    width_mm = min(sigma_mm, range_mm / 8.0)
    first, behind = grid.end_of_primaries(edges, range_mm, width_mm)
    around = edges[first - 1 : behind + 2]
    np.testing.assert_allclose((around - range_mm) / width_mm, grid.RING_SIGMAS)
    off = np.random.default_rng(1).uniform(-0.08, 0.08, len(edges)) * width_mm
    assert grid.end_of_primaries(edges + off, range_mm, width_mm) == (first, behind)


@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_layers_of_the_spectra(ion: Ion, energy: float):
    """One behind the other, at the depths that are wanted, thin where the peak is."""
    range_mm, sigma_mm, edges = laid_out(ion, energy)
    layers = grid.layers_mm(edges, range_mm, sigma_mm)
    assert np.isin(layers, edges).all()
    assert np.all(np.diff(layers, axis=1) > 0.0)
    assert np.all(layers[1:, 0] >= layers[:-1, 1])
    assert layers[0].tolist() == edges[:2].tolist()
    middle, wanted = layers.mean(axis=1), grid.planes_mm(range_mm)
    assert np.all(np.abs(middle - wanted)[1:] <= np.diff(layers, axis=1)[1:, 0])
    peak = np.abs(wanted / range_mm - 1.0) < 0.03
    np.testing.assert_allclose(np.diff(layers, axis=1)[peak], sigma_mm, rtol=0.25)


def test_energy_bins_begin_where_the_stopping_power_does():
    edges = grid.spectrum_edges_MeV_u(200.0)
    assert len(edges) == grid.N_SPECTRUM + 1
    assert edges[[0, grid.N_SLOW, -1]] == pytest.approx([0.1, 2.0, 440.0])
    assert np.all(np.diff(edges) > 0.0)
    assert np.ptp(np.diff(np.log(edges[grid.N_SLOW :]))) < 1e-9
