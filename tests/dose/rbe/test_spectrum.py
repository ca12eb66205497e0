"""Means over the particles of an entry, weighted with dose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from spotline.arrays import Floats
from spotline.dose.rbe.spectrum import NUCLIDES, dose_weighted, of_primaries, of_secondaries
from spotline.errors import DoseError
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.let import let_keV_um
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from tests.dose.rbe.entries import entry_of


def let(charge_number: int, energy_MeV_u: Floats) -> Floats:
    energy = np.clip(energy_MeV_u, 0.1, 600.0)
    return let_keV_um(NUCLIDES[charge_number - 1], energy)[:, None]


def test_each_charge_number_has_its_nuclide() -> None:
    assert [nuclide.charge_number for nuclide in NUCLIDES] == list(range(1, 9))


@pytest.mark.parametrize("ion", [PROTON, HELIUM, CARBON, OXYGEN])
def test_what_is_the_same_for_all_stays(ion: Ion) -> None:
    entry = entry_of(ion, 150.0, fragments={1: (100.0, 0.5)})
    at = dose_weighted(entry, lambda z, energy: np.full((len(energy), 2), [3.0, 0.7]))
    depth = np.linspace(0.0, entry.depth_mm[-1], 500)
    np.testing.assert_allclose(at(depth), np.full((500, 2), [3.0, 0.7]), rtol=1e-9)


@pytest.mark.parametrize(("ion", "energy"), [(PROTON, 100.0), (CARBON, 250.0)])
def test_primaries_before_the_peak_have_the_let_of_their_energy(ion: Ion, energy: float) -> None:
    entry = entry_of(ion, energy, sigma_mm=0.05)
    depth = np.array([0.1, 0.3, 0.6, 0.9]) * entry.range_mm
    rest = RangeEnergy(ion, WATER).energy_MeV_u(entry.range_mm - depth)
    expected = let_keV_um(ion, rest)
    np.testing.assert_allclose(of_primaries(entry, depth, let)[:, 0], expected, rtol=2e-3)
    # Straight between the depths of the entry.
    np.testing.assert_allclose(dose_weighted(entry, let)(depth)[:, 0], expected, rtol=1e-2)


def test_all_of_the_energy_of_primaries_is_left_along_their_way() -> None:
    entry = entry_of(CARBON, 250.0, sigma_mm=1.0)
    depth = np.concatenate([np.linspace(0.0, 120.0, 500), np.linspace(120.0, 135.0, 3001)[1:]])
    left = np.trapezoid(of_primaries(entry, depth, let)[:, 0], depth)
    assert left == pytest.approx(250.0 * 12.0, rel=2e-3)


def test_the_peak_is_a_mean_over_ranges() -> None:
    # LET weighted with dose at the mean range: over the half of the primaries that still flies.
    entry = entry_of(CARBON, 250.0, sigma_mm=0.6)
    rest = (np.arange(20_000) + 0.5) / 20_000.0 * 3.0
    share = np.exp(-0.5 * (rest / 0.6) ** 2)
    value = let_keV_um(
        CARBON, np.maximum(RangeEnergy(CARBON, WATER).energy_MeV_u(np.maximum(rest, 0.01)), 0.1)
    )
    expected = np.sum(share * value**2) / np.sum(share * value)
    found = dose_weighted(entry, let)(np.array([entry.range_mm]))[0, 0]
    assert found == pytest.approx(expected, rel=0.02)


def test_reactions_take_primaries_away() -> None:
    lost = entry_of(CARBON, 250.0, attenuation_per_mm=0.004)
    kept = entry_of(CARBON, 250.0)
    depth = np.array([10.0, 60.0, 120.0])
    ratio = of_primaries(lost, depth, let)[:, 0] / of_primaries(kept, depth, let)[:, 0]
    np.testing.assert_allclose(ratio, np.exp(-0.004 * depth), rtol=1e-3)


def test_fragments_count_with_their_dose() -> None:
    entry = entry_of(CARBON, 250.0, sigma_mm=0.05, fragments={1: (80.0, 0.6), 5: (80.0, 0.2)})
    depth = np.array([50.0])
    primary = let_keV_um(CARBON, RangeEnergy(CARBON, WATER).energy_MeV_u(entry.range_mm - depth))
    fragments = [0.6 * let(1, np.array([80.0])), 0.2 * let(5, np.array([80.0]))]
    expected = sum(part.item() for part in fragments)
    assert of_secondaries(entry, depth, let)[0, 0] == pytest.approx(expected, rel=0.05)
    marked = dose_weighted(entry, lambda z, energy: np.full((len(energy), 1), float(z)))(depth)[0, 0]
    mean = (6.0 * primary[0] + 1.0 * fragments[0].item() + 5.0 * fragments[1].item()) / (
        primary[0] + expected
    )
    assert marked == pytest.approx(mean, rel=0.01)


def test_secondaries_that_fly_along_stop_with_the_primaries() -> None:
    # Carbon that was scattered, at each plane with the range of the primaries.
    entry = entry_of(CARBON, 250.0, sigma_mm=0.05)
    spectrum = entry.spectrum.copy()
    spectrum[:, 6] = 0.1 * spectrum[:, 0]
    entry = replace(entry, spectrum=spectrum)
    planes = entry.plane_mm
    last, next_one = planes[planes <= entry.range_mm][-1], planes[planes > entry.range_mm][0]
    behind = 0.5 * (last + next_one)
    assert of_secondaries(entry, np.array([behind]), let)[0, 0] == 0.0
    # Between two planes they have what is left of their range there, and not a mean of both spectra.
    before = np.array([0.925 * entry.range_mm])
    rest = RangeEnergy(CARBON, WATER).energy_MeV_u(entry.range_mm - before)
    expected = 0.1 * let_keV_um(CARBON, rest)
    np.testing.assert_allclose(of_secondaries(entry, before, let)[:, 0], expected, rtol=0.05)


def test_behind_the_last_particle_the_means_go_on() -> None:
    entry = entry_of(PROTON, 100.0)
    depth = np.array([1.3, 1.6, 5.0]) * entry.range_mm
    values = dose_weighted(entry, let)(depth)[:, 0]
    assert np.all(np.isfinite(values))
    assert np.all(values == values[0])


def test_a_library_without_spectra_is_refused() -> None:
    entry = entry_of(PROTON, 100.0)
    with pytest.raises(DoseError, match="has no spectra"):
        dose_weighted(replace(entry, spectrum=0.0 * entry.spectrum), let)


def test_the_high_end_of_the_bins_lies_above_the_stopping_power() -> None:
    # Protons of 700 MeV/u, faster than the carbon that they left.
    entry = entry_of(CARBON, 400.0, fragments={1: (700.0, 1.0)})
    found = of_secondaries(entry, np.array([10.0]), let)[0, 0]
    assert found == pytest.approx(float(let_keV_um(PROTON, 600.0)), rel=0.02)
    assert math.isfinite(found)
