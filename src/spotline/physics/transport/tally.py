"""What is written down along the tracks: on depth, on depth and radius, in voxels, on planes and in layers.

Spectra are of fluence: lengths of track over the volume that they lie in, which is what particles per area
of a sphere comes to (ICRU Report 85 (2011), "Fluence").  Counting particles on a plane with the
reciprocal of the cosine would have the same mean, but of unbounded variance from grazing tracks, and no place
for what stops before it meets a plane.  In a layer both count with the way that they go in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.errors import PhysicsError
from spotline.jit import kernel
from spotline.physics.transport.areas import Area
from spotline.physics.transport.lookup import TransportTables, energy_at, range_of

GROUPS = 10
PRIMARY, LOCAL = 0, 9
"""Groups of particles: primaries that have not reacted, secondaries by charge number from 1 to 8, and what
reactions leave on the spot."""


class TallyArrays(NamedTuple):
    """A tally as kernels see it: where to score, and sums over particles.

    Attributes
    ----------
    z_mm : ndarray, shape (nz + 1,)
        Boundaries of depth bins.
    coarse : ndarray of int, shape (nz,)
        Ring bin of each depth bin, -1: none.
    plane : ndarray of int, shape (nz + 1,)
        Plane that lies on a boundary, -1: none.
    ring2_mm2 : ndarray, shape (nr + 1,)
        Squared radii of the rings, from 0.
    layer : ndarray of int, shape (nz,)
        Layer that a depth bin belongs to, -1: none.
    per_layer_mm : ndarray, shape (nl,)
        Reciprocal of the thickness of each layer.
    spectrum_MeV_u : ndarray, shape (ne + 1,)
        Boundaries of the energy bins of the spectra.
    energy : ndarray, shape (GROUPS, nz)
        In MeV.
    area_mm : ndarray, shape (na, 2)
        Squared radius and half width of the areas.
    within : ndarray, shape (na, nz)
        The part of it within each area.
    let : ndarray, shape (GROUPS, nz)
        Energy times LET, in MeV keV/um.
    ring : ndarray, shape (nzc, nr)
        Energy by depth and ring.
    crossing : ndarray, shape (np, GROUPS)
        Particles that cross a plane forward.
    fluence : ndarray, shape (nl, GROUPS, ne)
        Length of track over the thickness of a layer: fluence, integrated across the beam.
    voxel_energy, voxel_let : ndarray, shape (nx, ny, nz) of the geometry, or (0, 0, 0)
    """

    z_mm: Floats
    coarse: Integers
    plane: Integers
    ring2_mm2: Floats
    layer: Integers
    per_layer_mm: Floats
    spectrum_MeV_u: Floats
    energy: Floats
    area_mm: Floats
    within: Floats
    let: Floats
    ring: Floats
    crossing: Floats
    fluence: Floats
    voxel_energy: Floats
    voxel_let: Floats


SUMS = ("energy", "within", "let", "ring", "crossing", "fluence", "voxel_energy", "voxel_let")
"""Fields of `TallyArrays` that are sums."""


@dataclass(frozen=True, slots=True, eq=False)
class TallyPlan:
    """What to score.

    Attributes
    ----------
    depth_mm : ndarray, shape (nz + 1,)
        Boundaries of depth bins, ascending.
    ring_depth_mm : ndarray, shape (nzc + 1,)
        Boundaries in depth of the rings: some of `depth_mm`.  Empty: no rings.
    ring_mm : ndarray, shape (nr + 1,)
        Their radii, ascending from 0.
    plane_mm : ndarray, shape (np,)
        Depths of the planes on which particles are counted: some of `depth_mm`.
    layer_mm : ndarray, shape (nl, 2)
        First and last depth of the layers for spectra, one behind the other: some of `depth_mm`.
    spectrum_MeV_u : ndarray, shape (ne + 1,)
        Boundaries of their energy bins, ascending from above 0.
    areas : tuple of Area
        Parts of the plane in which energy is summed by depth beside all of it.
    voxels : bool
        Whether to score in the voxels of the geometry too.
    """

    depth_mm: Floats
    ring_depth_mm: Floats = field(default_factory=lambda: np.zeros(0))
    ring_mm: Floats = field(default_factory=lambda: np.array([0.0, 1e6]))
    plane_mm: Floats = field(default_factory=lambda: np.zeros(0))
    layer_mm: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    spectrum_MeV_u: Floats = field(default_factory=lambda: np.geomspace(0.5, 500.0, 49))
    areas: tuple[Area, ...] = ()
    voxels: bool = False


def new_arrays(plan: TallyPlan, shape: tuple[int, ...]) -> TallyArrays:
    """Make empty arrays for a plan and a geometry of `shape` voxels.

    Raises
    ------
    PhysicsError
        If the boundaries of a plan do not fit together.
    """
    z_mm = np.ascontiguousarray(plan.depth_mm, dtype=float)
    if len(z_mm) < 2 or not np.all(np.diff(z_mm) > 0.0):
        raise PhysicsError("tally: the boundaries in depth do not ascend; give at least two, sorted")
    coarse = np.full(len(z_mm) - 1, -1, dtype=np.int64)
    edges = _found(plan.ring_depth_mm, z_mm, "ring_depth_mm")
    for number in range(len(edges) - 1):
        coarse[edges[number] : edges[number + 1]] = number
    plane = np.full(len(z_mm), -1, dtype=np.int64)
    plane[_found(plan.plane_mm, z_mm, "plane_mm")] = np.arange(len(plan.plane_mm))
    ends = _found(np.ravel(plan.layer_mm), z_mm, "layer_mm")
    if not np.all(np.diff(ends.reshape(-1, 2), axis=1) > 0) or not np.all(np.diff(ends) >= 0):
        raise PhysicsError("tally: the layers for spectra overlap; put them one behind the other")
    layer = np.full(len(z_mm) - 1, -1, dtype=np.int64)
    for number, (first, last) in enumerate(ends.reshape(-1, 2)):
        layer[first:last] = number
    spectrum = np.ascontiguousarray(plan.spectrum_MeV_u, dtype=float)
    if len(spectrum) < 2 or not spectrum[0] > 0.0 or not np.all(np.diff(spectrum) > 0.0):
        raise PhysicsError("tally: the energy bins of a spectrum do not ascend from above 0; sort them")
    n, bins = len(z_mm) - 1, len(spectrum) - 1
    voxels = shape if plan.voxels else (0, 0, 0)
    return TallyArrays(
        z_mm,
        coarse,
        plane,
        np.asarray(plan.ring_mm, dtype=float) ** 2,
        layer,
        1.0 / np.diff(np.reshape(plan.layer_mm, (-1, 2)), axis=1).ravel(),
        spectrum,
        np.zeros((GROUPS, n)),
        np.array([(area.radius_mm**2, area.half_width_mm) for area in plan.areas]).reshape(-1, 2),
        np.zeros((len(plan.areas), n)),
        np.zeros((GROUPS, n)),
        np.zeros((max(0, len(edges) - 1), len(plan.ring_mm) - 1)),
        np.zeros((len(plan.plane_mm), GROUPS)),
        np.zeros((len(plan.layer_mm), GROUPS, bins)),
        np.zeros(voxels),
        np.zeros(voxels),
    )


def _found(some_mm: Floats, z_mm: Floats, name: str) -> Integers:
    """Index of each depth among the boundaries."""
    some = np.asarray(some_mm, dtype=float)
    index = np.clip(np.searchsorted(z_mm, some - 1e-9), 0, len(z_mm) - 1)
    if not np.allclose(z_mm[index], some, rtol=0.0, atol=1e-6):
        raise PhysicsError(f"tally: a depth of {name} is none of the boundaries of the depth bins; add it")
    return np.asarray(index, dtype=np.int64)


@kernel
def bin_of(z_mm: Floats, z: float) -> int:
    """Depth bin of a position, by bisection: -1 before the first, the number of bins behind the last."""
    low, high = 0, len(z_mm)
    while low < high:
        middle = (low + high) // 2
        if z_mm[middle] <= z:
            low = middle + 1
        else:
            high = middle
    return low - 1


@kernel
def let_keV_um(energy_MeV: float, path_g_cm2: float) -> float:
    """Mean LET over a piece of a track, for density 1; 0 where there is no path."""
    return 0.1 * energy_MeV / path_g_cm2 if path_g_cm2 != 0.0 else 0.0


@kernel
def score_point(
    tally: TallyArrays, x: float, y: float, z: float, energy_MeV: float, let: float, group: int
) -> None:
    """Score an energy that is left at a point; `let` (keV/um) is 0 for what is not transported."""
    bin_ = bin_of(tally.z_mm, z)
    if 0 <= bin_ < len(tally.coarse):
        _score(tally, bin_, x, y, energy_MeV, let, group)


@kernel
def score_end(
    tally: TallyArrays,
    tables: TransportTables,
    material: int,
    species: int,
    group: int,
    x: float,
    y: float,
    z: float,
    rest_MeV: float,
    energy_MeV_u: float,
    range_g_cm2: float,
    density_g_cm3: float,
) -> float:
    """Score a particle that is about to stop where it is; return the mean LET of the rest of its way."""
    let = let_keV_um(rest_MeV, range_g_cm2)
    score_point(tally, x, y, z, rest_MeV, let, group)
    bin_ = bin_of(tally.z_mm, z)
    if 0 <= bin_ < len(tally.coarse) and density_g_cm3 > 0.0:
        layer = tally.layer[bin_]
        if layer >= 0:
            way_mm = 10.0 * range_g_cm2 / density_g_cm3
            _score_way(
                tally, tables, material, species, group, layer, way_mm, range_g_cm2, 0.0, energy_MeV_u, 0.0
            )
    return let


@kernel
def _score(
    tally: TallyArrays, bin_: int, x: float, y: float, energy_MeV: float, let: float, group: int
) -> None:
    r2 = x * x + y * y
    tally.energy[group, bin_] += energy_MeV
    tally.let[group, bin_] += energy_MeV * let
    for area in range(len(tally.within)):
        if r2 < tally.area_mm[area, 0] and max(abs(x), abs(y)) < tally.area_mm[area, 1]:
            tally.within[area, bin_] += energy_MeV
    row = tally.coarse[bin_]
    if row >= 0:
        rings = tally.ring2_mm2
        last = len(rings) - 1
        ring = 0
        while ring < last and rings[ring + 1] <= r2:
            ring += 1
        if ring < last:
            tally.ring[row, ring] += energy_MeV


@kernel
def score_track(
    tally: TallyArrays,
    tables: TransportTables,
    material: int,
    species: int,
    group: int,
    nucleons: float,
    bin_: int,
    from_x: float,
    from_y: float,
    from_z: float,
    to_x: float,
    to_y: float,
    to_z: float,
    from_range: float,
    to_range: float,
    from_energy: float,
    to_energy: float,
) -> int:
    """Share the energy of a straight step out among the depth bins that it crosses.

    Within the step the residual range falls linearly with the path, so that a long step leaves no steps in
    the depth dose.

    Returns
    -------
    int
        The depth bin in which the step ends.
    """
    z_mm = tally.z_mm
    bins = len(tally.coarse)
    energy, done = from_energy, 0.0
    dx, dy, dz = to_x - from_x, to_y - from_y, to_z - from_z
    spent = from_range - to_range
    forward = 1 if dz > 0.0 else 0
    while True:
        edge = bin_ + forward
        ends = edge < 0 or edge > bins or dz == 0.0
        if not ends:
            ends = (z_mm[edge] > to_z) if dz > 0.0 else (z_mm[edge] <= to_z)
        share, here = 1.0, to_energy
        if not ends:
            share = (z_mm[edge] - from_z) / dz
            here = energy_at(tables, material, species, from_range + share * (to_range - from_range))
        if 0 <= bin_ < bins:
            middle = 0.5 * (done + share)
            x, y = from_x + middle * dx, from_y + middle * dy
            lost = (energy - here) * nucleons
            _score(tally, bin_, x, y, lost, let_keV_um(lost, (share - done) * spent), group)
            layer = tally.layer[bin_]
            if layer >= 0:
                way_mm = (share - done) * (dx * dx + dy * dy + dz * dz) ** 0.5
                before, behind = from_range - done * spent, from_range - share * spent
                _score_way(
                    tally, tables, material, species, group, layer, way_mm, before, behind, energy, here
                )
        if ends:
            return bin_
        bin_ += 2 * forward - 1
        energy, done = here, share
        if forward == 1 and tally.plane[edge] >= 0:
            tally.crossing[tally.plane[edge], group] += 1.0


@kernel
def _score_way(
    tally: TallyArrays,
    tables: TransportTables,
    material: int,
    species: int,
    group: int,
    layer: int,
    way_mm: float,
    from_range: float,
    to_range: float,
    from_energy: float,
    to_energy: float,
) -> None:
    """Share a way in a layer out among the energy bins that the residual range runs through on it."""
    low_range, high_range = min(from_range, to_range), max(from_range, to_range)
    low_energy, high_energy = min(from_energy, to_energy), max(from_energy, to_energy)
    edges, fluence = tally.spectrum_MeV_u, tally.fluence
    most = len(edges) - 2
    place = min(max(bin_of(edges, low_energy), 0), most)
    rest = way_mm * tally.per_layer_mm[layer]
    span = high_range - low_range
    per_range = rest / span if span > 0.0 else 0.0
    done = low_range
    while place < most and edges[place + 1] <= high_energy:
        edge = min(max(range_of(tables, material, species, edges[place + 1]), done), high_range)
        fluence[layer, group, place] += per_range * (edge - done)
        rest -= per_range * (edge - done)
        done = edge
        place += 1
    fluence[layer, group, place] += rest
