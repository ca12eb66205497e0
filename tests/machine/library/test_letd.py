"""LETd by groups of particles: of primaries, of all hydrogen, of all charged particles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spotline.machine import load_beamline
from spotline.machine.library import load_library
from spotline.machine.library.build import Run, condense, simulate_entry
from spotline.machine.library.grid import range_sigma_mm
from spotline.machine.library.letd import LETD_GROUPS, letd_group, letd_in_words
from spotline.machine.library.modifiers import ripple_filter, slab
from spotline.physics.ions import CARBON, IONS, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from tests.machine.library.fakes import fake_entry, fake_tally


def of_groups(ion: Ion, energy: float):
    """Beside primaries hydrogen leaves 1 % of their dose at 2 keV/um, and helium 0.5 % at 90 keV/um."""
    range_mm = float(RangeEnergy(ion, WATER).range_mm(energy))
    sigma_mm = range_sigma_mm(ion, energy, 0.0006)
    tally = fake_tally(ion, energy, range_mm, sigma_mm)
    dose = tally.energy_MeV[0]
    for group, share, let in ((1, 0.01, 2.0), (2, 0.005, 90.0), (9, 0.004, 0.0)):
        tally.energy_MeV[group], tally.let_MeV_keV_um[group] = share * dose, share * dose * let
    return condense(ion, energy, range_mm, sigma_mm, tally).entry


def test_what_each_group_holds():
    """Primaries of protons are hydrogen, those of carbon are not; what is left on the spot has no LET."""
    for ion, energy in ((PROTON, 148.8), (CARBON, 280.0)):
        entry, alone = of_groups(ion, energy), fake_entry(ion.name, energy).entry
        depth = np.array([0.1, 0.5, 0.9]) * entry.range_mm
        first = entry.letd(depth, "primaries")
        np.testing.assert_allclose(first, alone.letd(depth, "primaries"), rtol=1e-2)
        hydrogen = (first + 0.01 * 2.0) / 1.01 if ion is PROTON else np.full(3, 2.0)
        np.testing.assert_allclose(entry.letd(depth, "hydrogen"), hydrogen, rtol=1e-9)
        charged = (first + 0.01 * 2.0 + 0.005 * 90.0) / 1.015
        np.testing.assert_allclose(entry.letd(depth, "charged"), charged, rtol=1e-9)
        shares = np.array([1.0, 1.01 if ion is PROTON else 0.01, 1.015]) / 1.019
        for found, expected in zip(entry.letd_share[:, 100], shares, strict=True):
            assert found == pytest.approx(expected)
        assert entry.letd_group == ("hydrogen" if ion is PROTON else "charged")
        np.testing.assert_array_equal(entry.letd(depth), entry.letd(depth, entry.letd_group))


def test_means_over_a_thickness_are_weighted_with_the_dose_of_the_group():
    """Behind the range of half of them, LETd of primaries is that of those that are still there."""
    entry = of_groups(CARBON, 280.0)
    filters = ripple_filter(1.0)
    behind = entry.with_thickness(filters)
    depth = behind.range_mm + np.array([-5.0, -0.5, 0.0, 0.5])
    at = depth[:, None] + filters.thickness_mm
    for k, group in enumerate(LETD_GROUPS):
        dose = entry.dose_MeV_cm2_g(at) * np.interp(at, entry.depth_mm, entry.letd_share[k]) * filters.share
        expected = (dose * entry.letd(at, group)).sum(axis=1) / dose.sum(axis=1)
        np.testing.assert_allclose(behind.letd(depth, group), expected, rtol=0.01)
    shifted = entry.with_thickness(slab(7.3))
    depth = np.linspace(1.0, shifted.range_mm, 30)
    for group in LETD_GROUPS:
        np.testing.assert_allclose(shifted.letd(depth, group), entry.letd(depth + 7.3, group), rtol=0.03)


def test_before_and_behind_a_group_there_is_no_share_of_it():
    entry = fake_entry("carbon", 280.0).entry
    assert np.all(entry.letd_keV_um[1] == 0.0), "no hydrogen at all"
    assert np.all(entry.letd_share[1] == 0.0)
    assert entry.letd_share[0, -1] == 0.0
    assert entry.letd(entry.depth_mm[-1], "primaries") > 100.0, "LETd goes on as it was"


def test_protons_of_150_MeV():
    """At a fifth of the range an independent tally had 0.98 of hydrogen and 0.59 of primaries.

    Recoils of helium make it 1.35 if they are counted, and leave a part of a percent of the dose.
    """
    entry = simulate_entry(
        PROTON, 148.79, momentum_spread_percent=0.15, primaries=40_000, seed=11, run=Run(1)
    ).entry
    near = np.abs(entry.depth_mm / entry.range_mm - 0.2) < 0.05
    weight = entry.field_MeV_cm2_g[near]

    def mean(group: str) -> float:
        return float(np.average(entry.letd(entry.depth_mm[near], group), weights=weight))

    assert mean("primaries") == pytest.approx(0.59, abs=0.01)
    assert mean("hydrogen") == pytest.approx(0.98, rel=0.05)
    assert mean("charged") == pytest.approx(1.35, rel=0.08)
    share = entry.letd_share[:, near].mean(axis=1)
    assert 0.8 < share[0] < share[1] < share[2] < 1.0
    assert 0.002 < share[2] - share[1] < 0.008
    peak = entry.letd_keV_um[:, np.argmin(np.abs(entry.depth_mm - entry.range_mm))]
    np.testing.assert_allclose(peak, peak[1], rtol=0.03)


@pytest.mark.stored
@pytest.mark.parametrize(
    ("place", "hydrogen", "primaries"), [(0.2, 0.98, 0.59), (0.5, 1.16, 0.73), (0.8, 1.43, 1.07)]
)
def test_shipped_protons(place: float, hydrogen: float, primaries: float):
    """The same figures at three depths; what the shipped library gives is LETd of hydrogen."""
    entry = load_library(load_beamline("cnao-h"), "proton").entry(148.79)
    near = np.abs(entry.depth_mm / entry.range_mm - place) < 0.025
    depth, weight = entry.depth_mm[near], entry.field_MeV_cm2_g[near]
    assert np.average(entry.letd(depth), weights=weight) == pytest.approx(hydrogen, rel=0.04)
    assert np.average(entry.letd(depth, "primaries"), weights=weight) == pytest.approx(primaries, rel=0.02)


def test_the_group_of_an_ion():
    assert {name: letd_group(ion) for name, ion in IONS.items()} == {
        "proton": "hydrogen",
        "helium": "charged",
        "carbon": "charged",
        "oxygen": "charged",
    }
    assert letd_group(PROTON, ("charged",)) == "charged"
    assert letd_in_words({"proton": "hydrogen"}) == "hydrogen nuclei"
    both = {"proton": "hydrogen", "carbon": "charged"}
    assert letd_in_words(both) == "hydrogen nuclei (proton), all charged particles (carbon)"
    assert letd_in_words({"helium": "charged", "carbon": "charged"}) == "all charged particles"


def test_an_entry_says_what_it_lacks():
    entry = replace(fake_entry("proton", 150.0).entry, letd_groups=("charged",))
    assert entry.letd_group == "charged"
