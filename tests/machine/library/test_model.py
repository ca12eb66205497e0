"""Entries behind thicknesses, between energies, and what is read from them."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.errors import LibraryError, OptionError
from spotline.machine import load_beamline
from spotline.machine.library import load_library
from spotline.machine.library.grid import middles
from spotline.machine.library.model import SURFACE_BINS, Entry
from spotline.machine.library.modifiers import in_beam, ripple_filter, slab, together
from tests.machine.library.fakes import HALO, fake_entry, fake_library, widths_mm

CASES = [("proton", 62.73), ("proton", 228.57), ("carbon", 115.23), ("carbon", 398.84)]


def energy_in_MeV(entry: Entry, scoring: str = "field") -> float:
    """Integral of the depth dose."""
    depth = np.linspace(0.0, entry.depth_mm[-1], 400_001)
    return float(np.trapezoid(entry.dose_MeV_cm2_g(depth, scoring), depth) / 10.0)


@pytest.mark.parametrize(("ion", "energy"), CASES)
def test_depth_dose_keeps_the_energy(ion: str, energy: float):
    """All of the energy is left in the water, but the last MeV per nucleon that has no range table."""
    entry = fake_entry(ion, energy).entry
    nucleons = entry.ion.mass_number
    assert energy_in_MeV(entry) == pytest.approx(energy * nucleons, rel=0.012)
    assert energy_in_MeV(entry, "chamber") == pytest.approx(0.99 * energy_in_MeV(entry), rel=1e-6)


@pytest.mark.parametrize(("ion", "energy"), CASES)
def test_slab_shifts(ion: str, energy: float):
    """A thickness that is the same everywhere moves all by itself."""
    entry = fake_entry(ion, energy).entry
    behind = entry.with_thickness(slab(7.3))
    depth = np.linspace(0.0, entry.range_mm, 2001)
    np.testing.assert_allclose(
        behind.dose_MeV_cm2_g(depth),
        entry.dose_MeV_cm2_g(depth + 7.3),
        atol=0.002 * entry.field_MeV_cm2_g.max(),
    )
    before, after = entry.ranges(), behind.ranges()
    for name in ("peak_mm", "R90_mm", "R80_mm", "R50_mm", "R10_mm"):
        assert getattr(after, name) == pytest.approx(
            getattr(before, name) - 7.3, abs=0.02 * entry.sigma_mm
        ), name
    assert after.FWHM_mm == pytest.approx(before.FWHM_mm, rel=2e-3)
    inside = np.linspace(0.0, 0.95 * behind.range_mm, 50)
    np.testing.assert_allclose(behind.letd(inside), entry.letd(inside + 7.3), rtol=0.02)
    below = inside[inside > 1.0]
    np.testing.assert_allclose(
        behind.lateral(below).core_mm, entry.lateral(below + 7.3).core_mm, rtol=0.02, atol=0.01
    )
    np.testing.assert_allclose(behind.spectrum.sum(axis=(1, 2))[3:8], 1.0)


@pytest.mark.parametrize(("ion", "energy"), CASES)
def test_ripple_filters_average(ion: str, energy: float):
    """The mean of shifted curves, and with it mean, variance and area of the peak."""
    entry = fake_entry(ion, energy).entry
    filters = together([ripple_filter(1.0), ripple_filter(1.0)])
    behind = entry.with_thickness(filters)
    depth = np.linspace(0.5 * entry.range_mm, entry.range_mm, 501)
    fine = np.linspace(0.0, 4.0, 2001)
    triangle = 1.0 - np.abs(fine - 2.0) / 2.0
    expected = np.array([np.average(entry.dose_MeV_cm2_g(z + fine), weights=triangle) for z in depth])
    np.testing.assert_allclose(behind.dose_MeV_cm2_g(depth), expected, atol=0.004 * expected.max())
    assert behind.range_mm == pytest.approx(entry.range_mm - 2.0)
    assert behind.ranges().FWHM_mm > entry.ranges().FWHM_mm


def test_widths_with_ripple_filters_are_near_the_published_ones():
    """Mirandola et al. 2015, Table III, for carbon of 30 mm; without fragments, so within 15 %."""
    entry = fake_entry("carbon", 115.23).entry
    line = load_beamline("cnao-h")
    width = (
        entry.with_thickness(in_beam(line, "carbon", range_modulators=["RIFI1", "RIFI2"])).ranges().FWHM_mm
    )
    assert width == pytest.approx(5.9, rel=0.15)
    assert entry.with_thickness(in_beam(line, "carbon")).ranges().FWHM_mm == pytest.approx(0.9, rel=0.25)


def test_thickness_that_stops_the_beam():
    with pytest.raises(
        OptionError, match=r"reaches 33.* mm of water, and 40.0 mm lie before it; take a higher"
    ):
        fake_entry("carbon", 115.23).entry.with_thickness(slab(40.0))


def test_lateral_shape():
    """What the rings were made of, between their depths too."""
    entry = fake_entry("carbon", 279.97).entry
    depth = np.linspace(0.15, 0.97, 20) * entry.range_mm
    found = entry.lateral(depth)
    core, *halos = widths_mm(depth, entry.range_mm)
    np.testing.assert_allclose(found.core_mm, core, rtol=0.03)
    np.testing.assert_allclose(found.halo_mm, np.array(halos).T, rtol=0.1)
    np.testing.assert_allclose(found.halo_share, np.outer(depth / entry.range_mm, HALO), atol=0.003)
    assert entry.lateral(10.0).core_mm.shape == (1,)
    assert found.halo_share.shape == (20, 2)


def test_outside_of_the_entry():
    entry = fake_entry("proton", 150.0).entry
    assert entry.dose_MeV_cm2_g(-1.0) == 0.0
    assert entry.dose_MeV_cm2_g(1e4) == 0.0
    assert entry.dose_MeV_cm2_g(0.0) == pytest.approx(entry.field_MeV_cm2_g[0], rel=0.01)
    assert np.all(entry.dose_MeV_cm2_g(np.array([[0.0, 10.0], [20.0, 30.0]])) > 0.0)


def test_dose_at_the_surface_is_on_the_line_of_the_first_bins():
    entry = load_library(load_beamline("cnao-h"), "carbon").entry(279.97)
    for area in ("field", "chamber"):
        values = entry.scored_MeV_cm2_g(area)
        line = np.polynomial.Polynomial.fit(entry.depth_mm[:SURFACE_BINS], values[:SURFACE_BINS], 1)
        assert entry.dose_MeV_cm2_g(0.0, area) == pytest.approx(line(0.0), rel=1e-12)


def test_spectra():
    entry = fake_entry("proton", 150.0).entry
    depth = float(entry.plane_mm[5])
    np.testing.assert_allclose(entry.particles(depth), entry.spectrum[5])
    assert entry.particles(depth + 0.1).sum() == pytest.approx(1.0)


# Between energies


def test_listed_energy_is_itself():
    library = fake_library("carbon", 221.45, 226.0, 230.5)
    entry = library.entry(226.0)
    np.testing.assert_array_equal(entry.field_MeV_cm2_g, library.arrays.field_MeV_cm2_g[1])
    assert entry.energy_MeV_u == 226.0


@pytest.mark.parametrize(
    ("ion", "energies"), [("proton", (149.0, 149.6, 150.2)), ("carbon", (278.0, 279.97, 281.9))]
)
def test_between_energies(ion: str, energies: tuple[float, float, float]):
    """As good as an entry of its own: ranges within 0.05 mm, dose within 0.5 % of the peak."""
    low, energy, high = energies
    found = fake_library(ion, low, high).entry(energy)
    own = fake_entry(ion, energy).entry
    mixed, true = found.ranges(), own.ranges()
    for name in ("peak_mm", "R90_mm", "R80_mm", "R50_mm", "R10_mm"):
        assert getattr(mixed, name) == pytest.approx(getattr(true, name), abs=0.05), name
    assert mixed.FWHM_mm == pytest.approx(true.FWHM_mm, rel=5e-3)
    depth = np.linspace(0.0, true.R10_mm, 500)
    own_dose = own.dose_MeV_cm2_g(depth)
    np.testing.assert_allclose(
        found.dose_MeV_cm2_g(depth - own.range_mm + found.range_mm), own_dose, atol=0.005 * own_dose.max()
    )
    assert middles(found.spectrum_edges_MeV_u)[-1] == pytest.approx(
        middles(own.spectrum_edges_MeV_u)[-1], rel=1e-3
    )


@pytest.mark.parametrize("energy", [62.0, 229.0, float("nan")])
def test_energy_that_is_not_there(energy: float):
    with pytest.raises(LibraryError, match=r"has no proton of .* energies lie from 62.73 to 228.57 MeV/u"):
        fake_library("proton", 62.73, 228.57).entry(energy)


def test_all_energies_behind_a_thickness():
    """Those that are stopped are left out; the last one says so if all are."""
    library = fake_library("carbon", 115.23, 278.0, 279.97, 281.9)
    behind = library.with_thickness(slab(50.0))
    np.testing.assert_array_equal(behind.energy_MeV_u, [278.0, 279.97, 281.9])
    own = library.entry(279.97).with_thickness(slab(50.0))
    np.testing.assert_array_equal(behind.as_arrays().field_MeV_cm2_g[1], own.field_MeV_cm2_g)
    between = behind.entry(280.5).ranges().R80_mm
    assert between == pytest.approx(library.entry(280.5).ranges().R80_mm - 50.0, abs=0.02)
    with pytest.raises(OptionError, match=r"281.9 MeV/u reaches .* and 300.0 mm lie before it"):
        library.with_thickness(slab(300.0))


def test_arrays():
    """What compiled code gets: rectangular, float64, the energy first."""
    library = fake_library("carbon", 221.45, 226.0, 230.5)
    arrays = library.as_arrays()
    assert {len(array) for array in arrays} == {3}
    assert {array.dtype for array in arrays} == {np.dtype(float)}
    np.testing.assert_array_equal(library.energy_MeV_u, [221.45, 226.0, 230.5])
    assert library.ion.symbol == "12C"
