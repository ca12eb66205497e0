"""What is written down along the tracks: on depth, on depth and radius, in voxels, and on planes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.errors import PhysicsError
from spotline.jit import kernel
from spotline.physics.transport.lookup import TransportTables, energy_at

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GROUPS = 10
PRIMARY, LOCAL = 0, 9
"""Groups of particles: primaries that have not reacted, secondaries by charge number from 1 to 8, and what
reactions leave on the spot."""

CHAMBER_RADIUS_mm = 40.8
"""Of the chambers of the water column: Mirandola et al. 2015, 2.A.2."""
FIELD_HALF_mm = 125.0
"""Half width of the field in which planning systems want the depth dose: Mirandola et al. 2015, 2.A.1."""


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
    spectrum_log : ndarray, shape (3,)
        Logarithm of the lowest energy of the spectra, bins per unit of it, and their number.
    energy : ndarray, shape (GROUPS, nz)
        In MeV.
    chamber, field : ndarray, shape (nz,)
        The part of it within the radius of a chamber, and within a square field.
    let : ndarray, shape (nz,)
        Energy times LET, in MeV keV/um.
    ring : ndarray, shape (nzc, nr)
        Energy by depth and ring.
    spectrum : ndarray, shape (np, GROUPS, ne)
        Particles that cross a plane forward.
    voxel_energy, voxel_let : ndarray, shape (nx, ny, nz) of the geometry, or (0, 0, 0)
    """

    z_mm: Floats
    coarse: Integers
    plane: Integers
    ring2_mm2: Floats
    spectrum_log: Floats
    energy: Floats
    chamber: Floats
    field: Floats
    let: Floats
    ring: Floats
    spectrum: Floats
    voxel_energy: Floats
    voxel_let: Floats


SUMS = ("energy", "chamber", "field", "let", "ring", "spectrum", "voxel_energy", "voxel_let")
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
        Depths of the planes for spectra: some of `depth_mm`.
    spectrum_MeV_u : ndarray, shape (ne + 1,)
        Boundaries of energy bins, each the same factor above the one before.
    voxels : bool
        Whether to score in the voxels of the geometry too.
    """

    depth_mm: Floats
    ring_depth_mm: Floats = field(default_factory=lambda: np.zeros(0))
    ring_mm: Floats = field(default_factory=lambda: np.array([0.0, 1e6]))
    plane_mm: Floats = field(default_factory=lambda: np.zeros(0))
    spectrum_MeV_u: Floats = field(default_factory=lambda: np.geomspace(0.5, 500.0, 49))
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
    spectrum = np.asarray(plan.spectrum_MeV_u, dtype=float)
    logs = np.log(spectrum)
    if not np.allclose(np.diff(logs), np.diff(logs)[0]):
        raise PhysicsError("tally: energy bins of a spectrum must be equal in the logarithm; use geomspace")
    n, bins = len(z_mm) - 1, len(spectrum) - 1
    voxels = shape if plan.voxels else (0, 0, 0)
    return TallyArrays(
        z_mm,
        coarse,
        plane,
        np.asarray(plan.ring_mm, dtype=float) ** 2,
        np.array([logs[0], bins / (logs[-1] - logs[0]), bins]),
        np.zeros((GROUPS, n)),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros((max(0, len(edges) - 1), len(plan.ring_mm) - 1)),
        np.zeros((len(plan.plane_mm), GROUPS, bins)),
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
    if 0 <= bin_ < len(tally.let):
        _score(tally, bin_, x, y, energy_MeV, let, group)


@kernel
def _score(
    tally: TallyArrays, bin_: int, x: float, y: float, energy_MeV: float, let: float, group: int
) -> None:
    r2 = x * x + y * y
    tally.energy[group, bin_] += energy_MeV
    tally.let[bin_] += energy_MeV * let
    if r2 < CHAMBER_RADIUS_mm * CHAMBER_RADIUS_mm:
        tally.chamber[bin_] += energy_MeV
    if abs(x) < FIELD_HALF_mm and abs(y) < FIELD_HALF_mm:
        tally.field[bin_] += energy_MeV
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
    bins = len(tally.let)
    energy, done = from_energy, 0.0
    dz = to_z - from_z
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
            x, y = from_x + middle * (to_x - from_x), from_y + middle * (to_y - from_y)
            lost = (energy - here) * nucleons
            _score(tally, bin_, x, y, lost, let_keV_um(lost, (share - done) * spent), group)
        if ends:
            return bin_
        bin_ += 2 * forward - 1
        energy, done = here, share
        if forward == 1 and tally.plane[edge] >= 0:
            _cross(tally, tally.plane[edge], group, here)


@kernel
def _cross(tally: TallyArrays, plane: int, group: int, energy_MeV_u: float) -> None:
    place = int((np.log(max(energy_MeV_u, 1e-9)) - tally.spectrum_log[0]) * tally.spectrum_log[1])
    bins = int(tally.spectrum_log[2])
    tally.spectrum[plane, group, min(max(place, 0), bins - 1)] += 1.0
