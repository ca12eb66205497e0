"""Libraries by simulation, with few particles."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from spotline.errors import OptionError
from spotline.machine import load_beamline
from spotline.machine.library.areas import CHAMBER, read_area
from spotline.machine.library.build import (
    Origin,
    Run,
    build_library,
    energy_sigma,
    physics_sha256,
    simulate_entry,
)
from spotline.machine.library.model import BeamLibrary
from spotline.physics.ions import CARBON, PROTON
from spotline.physics.transport.areas import Area

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def build(**options) -> BeamLibrary:
    given = {"energies_MeV_u": [64.8, 62.73], "primaries": 400, "seed": 3, "run": Run(1)} | options
    ion = given.pop("ion", "proton")
    return build_library(load_beamline("cnao-h"), ion, origin=Origin(MADE, "spotline ..."), **given)


@pytest.fixture(scope="module")
def small() -> BeamLibrary:
    return build()


def test_header(small: BeamLibrary):
    header = small.header
    expected = {
        "ion": "proton",
        "beamline": "cnao-h",
        "momentum_spread_percent": 0.15,
        "areas": [{"name": "chamber", "radius_mm": 40.8}],
        "letd_groups": ["primaries", "hydrogen", "charged"],
        "mean_excitation_eV": 77.0,
        "primaries": 400,
        "seed": 3,
        "made": "2026-01-02T03:04:05+00:00",
        "command": "spotline ...",
        "physics_sha256": physics_sha256(),
        "lost": 0,
    }
    assert {name: header[name] for name in expected} == expected
    assert header["versions"].keys() == {"spotline", "numpy", "numba"}
    assert 0.0 < header["lateral_residual"]["mean"] <= header["lateral_residual"]["largest"] < 0.2


def test_energies_are_sorted(small: BeamLibrary):
    np.testing.assert_array_equal(small.energy_MeV_u, [62.73, 64.8])


def test_beam_stops_where_it_should(small: BeamLibrary):
    """R80 is near the range in continuous slowing down, the dose that of the energy but for neutrons."""
    for energy in small.energy_MeV_u:
        entry = small.entry(energy)
        assert entry.ranges().R80_mm == pytest.approx(entry.range_mm, abs=0.35)
        depth = np.linspace(0.0, entry.depth_mm[-1], 20_001)
        left = float(np.trapezoid(entry.dose_MeV_cm2_g(depth), depth) / 10.0)
        assert 0.93 * energy < left < 1.005 * energy


def test_threads_change_nothing(small: BeamLibrary):
    again = build(run=Run(2))
    for one, other in zip(small.arrays, again.arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_energy_does_not_depend_on_the_others(small: BeamLibrary):
    """So that a part can be made anew."""
    again = build(energies_MeV_u=[64.8, 66.8])
    np.testing.assert_array_equal(again.arrays.field_MeV_cm2_g[0], small.arrays.field_MeV_cm2_g[1])


def test_areas_that_are_asked_for(small: BeamLibrary):
    """A smaller chamber sees less, one wider than the field more; the default is what it was."""
    areas = (Area("small", radius_mm=10.0), CHAMBER, Area("wide", radius_mm=300.0))
    again = build(areas=areas)
    assert again.areas == areas
    entry = again.entry(64.8)
    chamber = small.entry(64.8).scored_MeV_cm2_g("chamber")
    np.testing.assert_array_equal(entry.scored_MeV_cm2_g("chamber"), chamber)
    names = ("small", "chamber", "field", "wide")
    assert sorted(names, key=lambda name: entry.scored_MeV_cm2_g(name).sum()) == list(names)
    assert build(areas=()).areas == ()


@pytest.mark.parametrize("names", [("a", "b", "a"), ("field",)])
def test_areas_of_one_name(names: tuple[str, ...]):
    with pytest.raises(OptionError, match=f"area '{names[-1]}': there are two of that name"):
        build(areas=[Area(name, radius_mm=10.0) for name in names])


@pytest.mark.parametrize("text", ["chamber", "chamber:", ":10", "a b:10", "c:0", "c:nan", "c:-1"])
def test_area_that_is_none(text: str):
    with pytest.raises(OptionError, match="is no name and radius; write a name of letters"):
        read_area(text)


def test_read_area():
    assert read_area("stingray: 75") == Area("stingray", radius_mm=75.0)


def test_seed_changes_all(small: BeamLibrary):
    again = build(seed=4)
    assert np.all(np.abs(again.arrays.field_MeV_cm2_g[:, 100] - small.arrays.field_MeV_cm2_g[:, 100]) > 0.0)


def test_progress():
    steps: list[tuple[int, int, float]] = []
    build(primaries=64, run=Run(1, lambda done, total, share: steps.append((done, total, share))))
    assert steps[-1] == (1, 2, 1.0)
    assert [done + share for done, _, share in steps] == sorted(done + share for done, _, share in steps)
    assert {total for _, total, _ in steps} == {2}


def test_momentum_spread():
    """Relative spread of energy over that of momentum is (gamma + 1) / gamma: 2 for slow ions, towards 1."""
    slow, fast = energy_sigma(PROTON, 1.0, 0.15), energy_sigma(PROTON, 20_000.0, 0.15)
    assert slow == pytest.approx(2.0 * 0.0015 / 2.3548, rel=1e-3)
    assert fast == pytest.approx(0.0015 / 2.3548, rel=0.05)
    assert energy_sigma(CARBON, 100.0, 0.0) == 0.0


def test_ripple_filter_in_the_simulation():
    """The source may carry one: the peak is shallower by its mean and wider."""
    beam = {"momentum_spread_percent": 0.10, "primaries": 640, "seed": 1, "run": Run(1)}
    without = simulate_entry(CARBON, 115.23, **beam).entry.ranges()
    quantiles = np.linspace(0.0, 2.0, 101)
    behind = simulate_entry(CARBON, 115.23, ripple_mm=quantiles, **beam).entry.ranges()
    assert behind.R50_mm == pytest.approx(without.R50_mm - 1.0, abs=1.0)
    assert behind.FWHM_mm > 2.0 * without.FWHM_mm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ion": "helium"}, "ion 'helium': cnao-h does not deliver it"),
        ({"energies_MeV_u": [100.0, 100.0]}, "energies of proton: 1 make no library"),
        ({"energies_MeV_u": [5.0, 100.0]}, "energies of proton: 5 to 100 MeV/u; use 20 to 500 MeV/u"),
        ({"primaries": 5}, "primaries: 5 are too few; give at least 32"),
    ],
)
def test_refused(options: dict, message: str):
    with pytest.raises(OptionError, match=message):
        build(**options)
