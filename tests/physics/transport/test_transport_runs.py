"""Transport as a whole: what goes in comes out, the same on any number of threads, as theory says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from spotline.dose.rbe.spectrum import NUCLIDES
from spotline.errors import PhysicsError
from spotline.physics.ions import CARBON, PROTON, Ion
from spotline.physics.materials import AIR, WATER
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.stopping import RangeEnergy
from spotline.physics.transport.areas import Area
from spotline.physics.transport.geometry import Geometry, slabs, voxels, water
from spotline.physics.transport.history import Steps
from spotline.physics.transport.lookup import VARIANCE
from spotline.physics.transport.run import Tally, TransportPhysics, simulate
from spotline.physics.transport.source import Source, pencil_source
from spotline.physics.transport.tables import transport_tables
from spotline.physics.transport.tally import TallyPlan

kernel = pytest.mark.kernel

WIDE, NARROW = Area("wide", half_width_mm=125.0), Area("narrow", radius_mm=40.8)
BEAMS = [(PROTON, 100.0), (CARBON, 200.0)]


def range_mm(ion: Ion, energy_MeV_u: float) -> float:
    return float(RangeEnergy(ion, WATER).range_mm(energy_MeV_u))


def run(
    source: Source,
    geometry: Geometry,
    plan: TallyPlan,
    primaries: int = 160,
    threads: int = 1,
    seed: int = 1,
    reactions: bool = True,
) -> Tally:
    return simulate(
        source,
        geometry,
        plan,
        primaries=primaries,
        seed=seed,
        threads=threads,
        physics=TransportPhysics(reactions=reactions),
    )


@kernel
@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_energy_is_conserved(ion: Ion, energy: float):
    plan = TallyPlan(np.linspace(0.0, 200.0, 41), areas=(WIDE,), voxels=True)
    tally = run(pencil_source(ion, energy), water(200.0), plan, reactions=False)
    total = energy * ion.mass_number
    assert tally.total_MeV.sum() == pytest.approx(total, rel=1e-6)
    assert tally.voxel_MeV.sum() == pytest.approx(total, rel=1e-6)
    assert tally.in_area_MeV("wide").sum() == pytest.approx(total, rel=1e-6)
    assert tally.energy_MeV[0].sum() == pytest.approx(total, rel=1e-6)
    assert tally.lost == 0


@kernel
def test_areas_are_sums_over_rings():
    """A disc is the rings within it; a square has more than the disc in it, and less than that around it."""
    edges, radii = np.linspace(0.0, 160.0, 17), np.array([0.0, 3.0, 6.0, 6.0 * math.sqrt(2.0), 500.0])
    areas = (Area("disc", radius_mm=6.0), Area("square", half_width_mm=6.0), Area("all"))
    plan = TallyPlan(edges, ring_depth_mm=edges, ring_mm=radii, areas=areas)
    tally = run(pencil_source(PROTON, 150.0), water(160.0), plan)
    np.testing.assert_allclose(tally.in_area_MeV("disc"), tally.ring_MeV[:, :2].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(tally.in_area_MeV("all"), tally.total_MeV, rtol=1e-12)
    square, around = tally.in_area_MeV("square"), tally.ring_MeV[:, :3].sum(axis=1)
    assert np.all((tally.in_area_MeV("disc") <= square) & (square <= around * (1 + 1e-12)))
    assert tally.in_area_MeV("disc").sum() < square.sum() < around.sum() < tally.total_MeV.sum()
    with pytest.raises(PhysicsError, match="'ring': was not scored; these were: disc, square, all"):
        tally.in_area_MeV("ring")


@kernel
@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_reactions_only_take_energy_away(ion: Ion, energy: float):
    edges = np.linspace(0.0, 400.0, 41)
    tally = run(pencil_source(ion, energy), water(400.0), TallyPlan(edges, areas=(WIDE, NARROW)))
    total = energy * ion.mass_number
    assert 0.8 * total < tally.total_MeV.sum() < total
    assert tally.energy_MeV[1:].sum() > 0.005 * total
    assert np.all(tally.in_area_MeV("narrow") <= tally.in_area_MeV("wide") * (1 + 1e-12))
    assert np.all(tally.in_area_MeV("wide") <= tally.total_MeV * (1 + 1e-12))
    assert tally.lost == 0


@kernel
@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_same_numbers_on_any_number_of_threads(ion: Ion, energy: float):
    depth_mm = np.linspace(0.0, 200.0, 101)
    layer_mm = np.array([[0.0, 2.0], [40.0, 50.0]])
    plan = TallyPlan(
        depth_mm, depth_mm[::10], np.array([0.0, 1.0, 5.0, 50.0]), depth_mm[5:6], layer_mm, voxels=True
    )
    one, three = (run(pencil_source(ion, energy), water(300.0), plan, threads=n) for n in (1, 3))
    for field in dataclasses.fields(Tally):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(three, field.name), field.name)
    other = run(pencil_source(ion, energy), water(300.0), plan, seed=2)
    assert not np.array_equal(one.energy_MeV, other.energy_MeV)


def test_fluence_of_a_slanting_beam_is_larger_than_the_number_that_crosses():
    """By the reciprocal of the cosine, whichever way it flies."""
    tilted = pencil_source(PROTON, 200.0, spots=np.array([[0.0, 0.0, 1000.0, 0.0, 1.0]]))
    plan = TallyPlan(
        np.array([0.0, 0.5, 1.0, 1.5]), plane_mm=np.array([1.0]), layer_mm=np.array([[0.5, 1.0], [1.0, 1.5]])
    )
    tally = run(tilted, water(5.0), plan, reactions=False)
    assert tally.crossing[0].tolist() == [1.0, *[0.0] * 9]
    np.testing.assert_allclose(tally.fluence[:, 0].sum(axis=1), 2.0**0.5, rtol=0.01)
    assert tally.fluence[:, 1:].sum() == 0.0


@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_fluence_and_stopping_power_give_the_dose_back(ion: Ion, energy: float):
    """Of the secondaries, which have all energies.

    The dose of all charged particles is fluence times stopping power (ICRU Report 85 (2011), "Cema").
    """
    layer_mm = np.array([[10.0, 20.0], [30.0, 40.0]])
    edges = np.geomspace(0.1, 450.0, 160)
    plan = TallyPlan(np.arange(0.0, 41.0, 10.0), layer_mm=layer_mm, spectrum_MeV_u=edges)
    tally = run(pencil_source(ion, energy), water(100.0), plan, 3200 if ion is PROTON else 640)
    found = np.zeros(2)
    for charge_number in range(1, 9):
        nuclide = NUCLIDES[charge_number - 1]
        ranges = RangeEnergy(nuclide, WATER).range_mm(edges)
        let = nuclide.mass_number * np.diff(edges) / np.diff(ranges)
        let[0] = nuclide.mass_number * edges[1] / ranges[1]  # the first bin holds all that are slower too
        fluence = tally.fluence[:, charge_number]
        found += fluence @ let
        scored = tally.energy_MeV[charge_number, [1, 3]] / 10.0
        if charge_number == 1:
            np.testing.assert_allclose(fluence @ let, scored, rtol=0.01)
    scored = tally.energy_MeV[1:9, [1, 3]].sum(axis=0) / 10.0
    np.testing.assert_allclose(found, scored, rtol=0.02)


@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_range_and_straggling_are_those_of_theory(ion: Ion, energy: float):
    """Variance of the range: Tschalaer, Nucl. Instrum. Methods 61 (1968) 141."""
    csda_mm = range_mm(ion, energy)
    tables = transport_tables((WATER,), energy)
    species = 0 if ion is PROTON else 14
    scale = tables.nodes_per_root[0, species]
    nodes = tables.nodes[0, species, : int((csda_mm / 10.0) ** 0.5 * scale) + 1]
    ranges = (np.arange(len(nodes)) / scale) ** 2
    sigma_mm = 10.0 * np.trapezoid(nodes[:, VARIANCE], ranges) ** 0.5
    plane_mm = np.linspace(csda_mm - 8 * sigma_mm, csda_mm + 5 * sigma_mm, 131)
    primaries = 12_800
    tally = run(
        pencil_source(ion, energy),
        water(400.0),
        TallyPlan(plane_mm, plane_mm=plane_mm),
        primaries,
        reactions=False,
    )
    left = tally.crossing.sum(axis=1)
    assert left[0] == pytest.approx(1.0)
    stopped, middle = -np.diff(left), 0.5 * (plane_mm[1:] + plane_mm[:-1])
    mean_mm = np.sum(stopped * middle)
    measured = np.sum(stopped * (middle - mean_mm) ** 2) ** 0.5
    assert measured == pytest.approx(sigma_mm, rel=0.01 + 2.0 / (2 * primaries) ** 0.5)
    # The way of a scattered proton is a little longer than its depth: 0.1 to 0.2 %, of an ion less.
    assert -0.002 * csda_mm < mean_mm - csda_mm < 0.0


def test_error_is_that_of_the_spread_between_runs():
    depth_mm = np.array([0.0, 30.0, 60.0, 90.0])
    tallies = [
        run(pencil_source(PROTON, 100.0), water(200.0), TallyPlan(depth_mm), 640, seed=k) for k in range(30)
    ]
    spread = np.std([tally.total_MeV for tally in tallies], axis=0, ddof=1)
    claimed = np.mean([tally.energy_error_MeV for tally in tallies], axis=0)
    np.testing.assert_allclose(claimed, spread, rtol=0.45)  # 3 sigma of a spread out of 30


@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_water_in_slabs_or_voxels_is_water(ion: Ion, energy: float):
    """Cutting water into pieces costs steps but changes nothing within statistics."""
    depth_mm = np.linspace(0.0, 160.0, 17)
    source, plan = pencil_source(ion, energy), TallyPlan(depth_mm)
    whole = run(source, water(160.0), plan, 6400)
    cut = run(source, slabs([(WATER, 4.0)] * 40), plan, 6400, seed=2)
    edges_mm = np.linspace(-40.0, 40.0, 21)
    grid = voxels(edges_mm, edges_mm, np.linspace(0.0, 160.0, 41), np.ones((20, 20, 40)))
    fine = run(source, grid, TallyPlan(depth_mm, voxels=True), 6400, seed=3)
    for other in (cut, fine):
        error = np.hypot(whole.energy_error_MeV, other.energy_error_MeV)
        assert np.all(np.abs(other.total_MeV - whole.total_MeV) <= 4.5 * error + 2e-3 * whole.total_MeV)
    by_voxel = fine.voxel_MeV.sum(axis=(0, 1)).reshape(-1, 40 // 20).sum(axis=1)
    np.testing.assert_allclose(by_voxel.sum(), fine.total_MeV.sum(), rtol=0.02)


def width_mm(ion: Ion, energy: float, geometry: Geometry, seed: int, share: float = 0.1) -> float:
    """Root mean square distance from the axis in one plane, by energy in a millimetre before the peak."""
    depth_mm = float(np.floor(0.97 * range_mm(ion, energy)))
    rings_mm = np.linspace(0.0, 40.0, 401)
    behind = np.array([depth_mm - 1.0, depth_mm])
    plan = TallyPlan(np.array([0.0, *behind]), ring_depth_mm=behind, ring_mm=rings_mm)
    physics = TransportPhysics(reactions=False, steps=Steps(share=share))
    tally = simulate(pencil_source(ion, energy), geometry, plan, primaries=20_000, seed=seed, physics=physics)
    (energy_MeV,) = tally.ring_MeV
    middle_mm = 0.5 * (rings_mm[1:] + rings_mm[:-1])
    return float((np.sum(energy_MeV * middle_mm**2) / np.sum(energy_MeV) / 2.0) ** 0.5)


@pytest.mark.parametrize(("ion", "energy"), BEAMS)
def test_a_beam_in_pieces_of_water_is_as_wide_as_in_one(ion: Ion, energy: float):
    """Scattering of a step must not come before the matter that it belongs to: 8 % too wide otherwise."""
    edges_mm = np.arange(-61.0, 62.0, 2.0)
    cubes = np.ones((len(edges_mm) - 1, len(edges_mm) - 1, 48))
    small_steps = width_mm(ion, energy, water(96.0), 1, share=0.01)
    assert width_mm(ion, energy, water(96.0), 2) == pytest.approx(small_steps, rel=0.015)
    layers = slabs([(WATER, 1.0)] * 96)
    assert width_mm(ion, energy, layers, 3) == pytest.approx(small_steps, rel=0.015)
    grid = voxels(edges_mm, edges_mm, np.arange(0.0, 97.0, 2.0), cubes)
    assert width_mm(ion, energy, grid, 4) == pytest.approx(small_steps, rel=0.015)


def test_density_scales_the_range():
    dense = voxels(
        np.array([-1e4, 1e4]), np.array([-1e4, 1e4]), np.array([0.0, 300.0]), np.full((1, 1, 1), 0.5)
    )
    thin = run(pencil_source(PROTON, 100.0), dense, TallyPlan(np.linspace(0.0, 200.0, 101)), 3200)
    normal = run(pencil_source(PROTON, 100.0), water(300.0), TallyPlan(np.linspace(0.0, 100.0, 101)), 3200)
    error = np.hypot(thin.energy_error_MeV, normal.energy_error_MeV)
    assert np.all(np.abs(thin.total_MeV - normal.total_MeV) < 4.5 * error + 1e-9)


def test_air_and_vacuum_before_the_water():
    layers = slabs([(AIR, 1000.0), (WATER, 200.0)], start_mm=-1000.0)
    source = pencil_source(PROTON, 100.0, start_mm=-1000.0)
    tally = run(source, layers, TallyPlan(np.linspace(0.0, 100.0, 101)), 3200)
    centre = int(np.argmax(tally.total_MeV))
    behind_air = RangeEnergy(PROTON, WATER).range_mm(
        RangeEnergy(PROTON, AIR).energy_after_MeV_u(100.0, 1000.0)
    )
    assert tally.depth_mm[centre] == pytest.approx(float(behind_air) - 1.2, abs=1.0)
    empty = voxels(
        np.array([-1e4, 1e4]),
        np.array([-1e4, 1e4]),
        np.array([-1000.0, 0.0, 200.0]),
        np.array([0.0, 1.0])[None, None],
    )
    through = run(source, empty, TallyPlan(np.linspace(0.0, 100.0, 101)), 3200)
    direct = run(pencil_source(PROTON, 100.0), water(200.0), TallyPlan(np.linspace(0.0, 100.0, 101)), 3200)
    error = np.hypot(through.energy_error_MeV, direct.energy_error_MeV)
    assert np.all(np.abs(through.total_MeV - direct.total_MeV) < 4.5 * error + 1e-9)


def test_a_ripple_filter_shifts_and_widens_the_peak():
    plan = TallyPlan(np.linspace(0.0, 60.0, 601))
    source = pencil_source(CARBON, 115.0)
    sharp = run(source, water(100.0, -10.0), plan, 3200)
    rippled = pencil_source(CARBON, 115.0, ripple_mm=np.array([0.0, 4.0]))
    blunt = run(rippled, water(100.0, -10.0), plan, 3200)
    sharp_mm, blunt_mm = (plan.depth_mm[np.argmax(t.total_MeV)] for t in (sharp, blunt))
    assert 0.0 < sharp_mm - blunt_mm < 4.0
    assert blunt.total_MeV.max() < 0.7 * sharp.total_MeV.max()


def test_spot_and_divergence_of_the_source():
    """In vacuum: sigma^2(z) = sigma^2 + 2 c z + sigma'^2 z^2."""
    edges_mm = np.linspace(-60.0, 60.0, 241)
    empty = voxels(
        edges_mm,
        np.array([-1e4, 1e4]),
        np.array([0.0, 999.0, 1000.0]),
        np.array([0.0, 1.0])[None, None] * np.ones((240, 1, 1)),
    )
    source = pencil_source(CARBON, 200.0, phase_space=PhaseSpace(3.0, 5.0, -8.0))
    tally = run(source, empty, TallyPlan(np.array([0.0, 1000.0]), voxels=True), 12_800)
    across = tally.voxel_MeV[:, 0, 1]
    middle = 0.5 * (edges_mm[1:] + edges_mm[:-1])
    sigma_mm = (np.sum(across * middle**2) / np.sum(across)) ** 0.5
    assert sigma_mm == pytest.approx((9.0 - 16.0 + 25.0) ** 0.5, rel=0.03)


def test_a_scanned_beam():
    """Three spots of weights 1, 2 and 1 in vacuum, one of them aslant."""
    edges_mm = np.arange(-55.0, 56.0, 10.0)
    empty = voxels(
        edges_mm,
        np.array([-1e4, 1e4]),
        np.array([0.0, 999.0, 1000.0]),
        np.array([0.0, 1.0])[None, None] * np.ones((11, 1, 1)),
    )
    spots = np.array([[-40.0, 0.0, 0.0, 0.0, 1.0], [0.0, 3.0, 20.0, 0.0, 2.0], [40.0, 0.0, 0.0, 0.0, 1.0]])
    source = pencil_source(CARBON, 200.0, spots=spots)
    tally = run(source, empty, TallyPlan(np.array([0.0, 1000.0]), voxels=True), 3200)
    share = tally.voxel_MeV[:, 0, 1] / tally.voxel_MeV[:, 0, 1].sum()
    expected = np.zeros(11)
    expected[[1, 7, 9]] = 0.25, 0.5, 0.25  # 20 mrad are 20 mm behind a metre
    np.testing.assert_allclose(share, expected, atol=0.03)
    with pytest.raises(PhysicsError, match="weights of the spots"):
        pencil_source(CARBON, 200.0, spots=0.0 * spots)


def test_let_of_a_fast_proton_is_its_stopping_power():
    """PSTAR: 4.49 MeV cm2/g at 200 MeV in water."""
    plan = TallyPlan(np.array([0.0, 5.0]))
    tally = run(pencil_source(PROTON, 200.0), water(400.0), plan, reactions=False)
    assert tally.let_MeV_keV_um[0, 0] / tally.total_MeV[0] == pytest.approx(0.449, rel=0.01)


@kernel
def test_progress_is_told():
    steps: list[tuple[int, int]] = []
    simulate(
        pencil_source(PROTON, 50.0),
        water(50.0),
        TallyPlan(np.array([0.0, 50.0])),
        primaries=64,
        seed=1,
        threads=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(2 * k, 64) for k in range(1, 33)]


def test_bad_figures():
    plan = TallyPlan(np.array([0.0, 10.0]))
    with pytest.raises(PhysicsError, match="primaries"):
        run(pencil_source(PROTON, 50.0), water(50.0), plan, primaries=31)
    with pytest.raises(PhysicsError, match="put the source into it"):
        run(pencil_source(PROTON, 50.0, start_mm=-1.0), water(50.0), plan)
    with pytest.raises(PhysicsError, match="MeV/u"):
        pencil_source(PROTON, 0.0)
    with pytest.raises(PhysicsError, match="covariance"):
        pencil_source(PROTON, 50.0, phase_space=PhaseSpace(1.0, 1.0, 2.0))
    with pytest.raises(PhysicsError, match="not transported"):
        pencil_source(Ion("neon", "20Ne", 10, 20, 18617.7), 50.0)
