"""What a library says of the lateral shape at the peak, against transport in bins much finer than its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spotline.arrays import Floats
from spotline.machine import load_beamline
from spotline.machine.library import load_library
from spotline.machine.library.build import energy_sigma
from spotline.machine.library.model import Entry
from spotline.physics.materials import WATER
from spotline.physics.stopping import mean_excitation_eV
from spotline.physics.transport.geometry import water
from spotline.physics.transport.run import Tally, TransportPhysics, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan

RINGS_mm = np.concatenate([np.linspace(0.0, 8.0, 81), [10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 300.0]])


def on_axis_per_mm2(tally: Tally, spot_mm: float) -> Floats:
    """Part of the dose of each depth bin that a Gaussian spot of such narrow beams has on its axis."""
    squared_mm2 = 0.5 * (RINGS_mm[1:] ** 2 + RINGS_mm[:-1] ** 2)
    weight = np.exp(-0.5 * squared_mm2 / spot_mm**2) / (2.0 * np.pi * spot_mm**2)
    return tally.ring_MeV @ weight / tally.ring_MeV.sum(axis=1)


def said_per_mm2(entry: Entry, depth_mm: Floats, spot_mm: float) -> Floats:
    """The same, as the library has it."""
    lateral = entry.lateral(depth_mm)
    shares = np.column_stack([1.0 - lateral.halo_share.sum(axis=1), lateral.halo_share])
    widths_mm = np.column_stack([lateral.core_mm, lateral.halo_mm])
    said: Floats = np.sum(shares / (2.0 * np.pi * (widths_mm**2 + spot_mm**2)), axis=1)
    return said


@pytest.mark.stored
@pytest.mark.parametrize(
    ("ion", "energy", "bins"),
    [("carbon", 115.23, 4), ("carbon", 279.97, 4), ("carbon", 398.84, 4), ("proton", 148.79, 4)],
)
def test_dose_on_the_axis_around_the_peak(ion: str, energy: float, bins: int):
    """In bins as narrow as the range is spread, from two such widths before it to where primaries have ended.

    A shape between those before and behind the range, which nothing has, is 3 to 14 % off for carbon.
    """
    line = load_beamline("cnao-h")
    entry = load_library(line, ion).entry(energy)
    beam = line.beam(ion)
    assert beam is not None
    edges_mm = entry.range_mm + entry.sigma_mm * np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    plan = TallyPlan(np.append(0.0, edges_mm), ring_depth_mm=edges_mm, ring_mm=RINGS_mm)
    spread = energy_sigma(entry.ion, energy, beam.momentum_spread_percent)
    tally = simulate(
        pencil_source(entry.ion, energy, sigma_relative=spread),
        water(1.2 * entry.range_mm),
        plan,
        primaries=24_000,
        seed=5,
        physics=TransportPhysics(excitation_eV=mean_excitation_eV(entry.ion, WATER)),
    )
    middle_mm = 0.5 * (edges_mm[1:] + edges_mm[:-1])
    for spot_mm in (2.1, 4.5):
        ratio = said_per_mm2(entry, middle_mm, spot_mm) / on_axis_per_mm2(tally, spot_mm)
        np.testing.assert_allclose(ratio[:bins], 1.0, atol=0.025)


@pytest.mark.stored
@pytest.mark.parametrize(("ion", "energy"), [("carbon", 398.84), ("proton", 148.79)])
def test_shipped_shapes_turn_where_primaries_end(ion: str, energy: float):
    """They are known one standard deviation apart there, and are read straight between."""
    entry = load_library(load_beamline("cnao-h"), ion).entry(energy)
    places = (entry.lateral_depth_mm - entry.range_mm) / entry.sigma_mm
    around = places[np.abs(places - 1.0) < 4.0]
    np.testing.assert_allclose(around, [-2.0, -0.5, 0.5, 1.5, 2.5, 4.5], atol=0.1)
    between = entry.range_mm + entry.sigma_mm * np.linspace(-3.0, 5.0, 50)
    found = entry.lateral(between)
    np.testing.assert_allclose(found.core_mm, np.interp(between, entry.lateral_depth_mm, entry.core_mm))
    for k in range(2):
        straight = np.interp(between, entry.lateral_depth_mm, entry.halo_share[:, k])
        np.testing.assert_allclose(found.halo_share[:, k], straight)
    if ion == "carbon":
        halo = entry.halo_share[np.isin(places, around)].sum(axis=1)
        assert halo[1] < 0.1
        assert np.all(np.diff(halo[1:]) > 0.02), "from that of primaries to that of fragments"


@pytest.mark.parametrize(("ion", "energy"), [("carbon", 398.84), ("proton", 148.79)])
def test_each_part_of_an_older_library_goes_on_as_it_is(ion: str, energy: float):
    """Formats 2 and 3 know nothing between 0.98 and 1.02 ranges; each part is met at its own depths."""
    known = load_library(load_beamline("cnao-h"), ion).entry(energy)
    depth_mm = known.range_mm * np.array([0.0, 0.3, 0.6, 0.97, 0.99, 1.02, 1.2])
    at = known.lateral(np.clip(depth_mm, None, 0.99 * known.range_mm))
    is_behind = depth_mm > known.range_mm
    entry = replace(
        known,
        lateral_depth_mm=depth_mm,
        core_mm=np.where(is_behind, 3.0, at.core_mm),
        halo_mm=at.halo_mm,
        halo_share=np.where(is_behind[:, None], 0.3, at.halo_share),
    )
    at_depths = entry.lateral(depth_mm)
    np.testing.assert_allclose(at_depths.core_mm, entry.core_mm)
    np.testing.assert_allclose(at_depths.halo_share, entry.halo_share)
    around = entry.lateral(entry.range_mm + entry.sigma_mm * np.array([1.4, 1.6]))
    np.testing.assert_allclose(around.halo_share[1], [0.3, 0.3])
    assert around.core_mm[1] == 3.0
    assert around.halo_share[0].sum() < 0.6 * around.halo_share[1].sum()
    assert np.all(around.core_mm > 0.0)
