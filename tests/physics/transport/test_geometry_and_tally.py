"""Geometries and tallies: what they refuse, and where they score."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from spotline.errors import PhysicsError
from spotline.physics.materials import AIR, WATER
from spotline.physics.transport.areas import Area
from spotline.physics.transport.geometry import slabs, voxels
from spotline.physics.transport.lookup import energy_at, range_of
from spotline.physics.transport.tables import transport_tables
from spotline.physics.transport.tally import (
    TallyPlan,
    bin_of,
    new_arrays,
    score_end,
    score_point,
    score_track,
)

pytestmark = pytest.mark.kernel
EDGES = np.array([0.0, 1.0, 3.0])


def test_slabs_share_materials():
    geometry = slabs([(WATER, 1.0), (AIR, 2.0), (WATER, 3.0)], start_mm=-1.0)
    assert [material.name for material in geometry.materials] == ["water", "air"]
    np.testing.assert_array_equal(geometry.arrays.material[0, 0], [0, 1, 0])
    np.testing.assert_allclose(geometry.arrays.z_mm, [-1.0, 0.0, 2.0, 5.0])


@pytest.mark.parametrize(
    ("edges", "density", "material", "message"),
    [
        (np.array([1.0, 0.0]), np.ones((1, 2, 2)), None, "do not ascend"),
        (EDGES, np.ones((2, 2, 1)), None, r"\(2, 2, 2\) voxels"),
        (EDGES, -np.ones((2, 2, 2)), None, "density"),
        (EDGES, np.full((2, 2, 2), np.nan), None, "density"),
        (EDGES, np.ones((2, 2, 2)), np.ones((2, 2, 2), dtype=int), "none of the 1 materials"),
    ],
)
def test_bad_voxels(edges: np.ndarray, density: np.ndarray, material: np.ndarray | None, message: str):
    with pytest.raises(PhysicsError, match=message):
        voxels(edges, EDGES, EDGES, density, material)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (TallyPlan(np.array([0.0])), "do not ascend"),
        (TallyPlan(EDGES, ring_depth_mm=np.array([0.0, 2.0])), "ring_depth_mm"),
        (TallyPlan(EDGES, plane_mm=np.array([0.5])), "plane_mm"),
        (TallyPlan(EDGES, layer_mm=np.array([[0.0, 0.5]])), "layer_mm"),
        (TallyPlan(EDGES, layer_mm=np.array([[0.0, 3.0], [1.0, 3.0]])), "overlap"),
        (TallyPlan(EDGES, layer_mm=np.array([[3.0, 1.0]])), "overlap"),
        (TallyPlan(EDGES, spectrum_MeV_u=np.array([1.0, 3.0, 2.0])), "ascend from above 0"),
        (TallyPlan(EDGES, spectrum_MeV_u=np.array([0.0, 1.0])), "ascend from above 0"),
    ],
)
def test_bad_tally(plan: TallyPlan, message: str):
    with pytest.raises(PhysicsError, match=message):
        new_arrays(plan, (1, 1, 1))


def test_bins():
    assert [bin_of(EDGES, z) for z in (-0.1, 0.0, 0.99, 1.0, 2.9, 3.0, 9.0)] == [-1, 0, 0, 1, 1, 2, 2]


def test_range_and_energy_are_inverse():
    tables = transport_tables((WATER,), 150.0)
    for energy in (1.0, 12.0, 150.0, 400.0):
        there = range_of(tables, 0, 0, energy)
        assert energy_at(tables, 0, 0, there) == pytest.approx(energy, rel=2e-3)


@pytest.mark.parametrize(("from_z", "to_z"), [(-1.0, 4.0), (4.0, -1.0), (0.2, 0.8), (0.2, 2.9), (2.9, 0.2)])
def test_a_track_leaves_all_its_energy(from_z: float, to_z: float):
    tables = transport_tables((WATER,), 150.0)
    plan = TallyPlan(
        EDGES, EDGES, np.array([0.0, 1.0, 100.0]), EDGES[1:2], EDGES[None, 1:3], np.geomspace(1.0, 300.0, 200)
    )
    tally = new_arrays(plan, (1, 1, 1))
    ranges = (10.0, 10.0 - abs(to_z - from_z) / 10.0)
    energies = tuple(energy_at(tables, 0, 0, r) for r in ranges)
    last = score_track(
        tally, tables, 0, 0, 0, 1.0, bin_of(EDGES, from_z),
        0.0, 0.0, from_z, 3.0, 0.0, to_z, *ranges, *energies,
    )  # fmt: skip
    assert last == bin_of(EDGES, to_z)
    # Share of the track in each bin, in terms of energy: by the range at its ends.
    for k in range(2):
        low, high = sorted((from_z, to_z))
        inside = (max(low, EDGES[k]), min(high, EDGES[k + 1]))
        expected = 0.0
        if inside[1] > inside[0]:
            at = [ranges[0] - abs(z - from_z) / 10.0 for z in inside]
            expected = abs(energy_at(tables, 0, 0, at[1]) - energy_at(tables, 0, 0, at[0]))
        assert tally.energy[0, k] == pytest.approx(expected, abs=1e-9)
    path_um = [1e4 * (min(high, b) - max(low, a)) / 10 for a, b in itertools.pairwise(EDGES)]
    np.testing.assert_allclose(tally.let[0], 1e3 * tally.energy[0] ** 2 / path_um)
    np.testing.assert_allclose(tally.ring.sum(), tally.energy.sum())
    crosses = from_z < EDGES[1] <= to_z
    assert tally.crossing[0, 0] == tally.crossing.sum() == (1.0 if crosses else 0.0)
    # Fluence: the way in the layer over its thickness, at the energies that the particle has there.
    way_mm = max(0.0, path_um[1]) / 1e3 * math.hypot(3.0, to_z - from_z) / abs(to_z - from_z)
    assert tally.fluence[0, 0].sum() == tally.fluence.sum() == pytest.approx(way_mm / 2.0)
    if way_mm > 0.0:
        middle = np.sqrt(plan.spectrum_MeV_u[1:] * plan.spectrum_MeV_u[:-1])
        low, high = sorted((max(min(from_z, to_z), 1.0), min(max(from_z, to_z), 3.0)))
        left = [
            energy_at(tables, 0, 0, ranges[0] - abs(z - from_z) / 10.0) for z in np.linspace(low, high, 101)
        ]
        assert np.average(middle, weights=tally.fluence[0, 0]) == pytest.approx(np.mean(left), rel=0.01)


def test_a_particle_that_stops_counts_with_the_rest_of_its_way():
    tables = transport_tables((WATER,), 150.0)
    spectrum = np.geomspace(0.1, 10.0, 60)
    tally = new_arrays(TallyPlan(EDGES, layer_mm=EDGES[None, :2], spectrum_MeV_u=spectrum), (1, 1, 1))
    rest = range_of(tables, 0, 0, 2.0)
    let = score_end(tally, tables, 0, 0, 1, 0.0, 0.0, 0.5, 2.0, 2.0, rest, 0.5)
    assert let == pytest.approx(0.1 * 2.0 / rest)
    assert tally.energy[1].tolist() == [2.0, 0.0]
    # In water of half the density it goes twice as far; all that is slower is in the first bin.
    assert tally.fluence[0, 1].sum() == pytest.approx(10.0 * rest / 0.5)
    expected = [20.0 * (range_of(tables, 0, 0, edge)) for edge in spectrum[1:] if edge < 2.0]
    found = np.cumsum(tally.fluence[0, 1])[: len(expected)]
    np.testing.assert_allclose(found, expected)
    score_end(tally, tables, 0, 0, 1, 0.0, 0.0, 0.5, 2.0, 2.0, rest, 0.0)  # in a vacuum there is no way
    score_end(tally, tables, 0, 0, 1, 0.0, 0.0, 2.0, 2.0, 2.0, rest, 1.0)  # outside of the layer
    assert tally.fluence.sum() == pytest.approx(10.0 * rest / 0.5)


def test_a_particle_that_gains_range_by_straggling_keeps_its_way():
    tables = transport_tables((WATER,), 150.0)
    tally = new_arrays(TallyPlan(EDGES, layer_mm=EDGES[None, :2]), (1, 1, 1))
    ranges = (5.0, 5.01)
    score_track(
        tally, tables, 0, 0, 0, 1.0, 0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.7,
        *ranges, *(energy_at(tables, 0, 0, r) for r in ranges),
    )  # fmt: skip
    assert tally.fluence.sum() == pytest.approx(0.5)


def test_points_by_radius():
    areas = (Area("chamber", radius_mm=40.8), Area("field", half_width_mm=125.0))
    plan = TallyPlan(EDGES, EDGES[[0, 2]], np.array([0.0, 10.0, 100.0]), areas=areas)
    tally = new_arrays(plan, (1, 1, 1))
    for x, y in ((0.0, 9.0), (0.0, 60.0), (0.0, 124.0), (0.0, 126.0)):
        score_point(tally, x, y, 0.5, 1.0, 0.0, 9)
    score_point(tally, 0.0, 0.0, 5.0, 1.0, 0.0, 9)
    assert tally.energy[9].tolist() == [4.0, 0.0]
    assert tally.within.tolist() == [[1.0, 0.0], [3.0, 0.0]]
    assert tally.ring.tolist() == [[1.0, 1.0]]
