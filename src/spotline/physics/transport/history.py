"""Primaries and what comes of them, one after the other: condensed history of charged particles.

A step is a fixed share of the residual range.  Over it the range falls by the path and by straggling, with
mean, variance and third moment of the collisions (a gamma distribution, so that losses beyond the mean
reach further than those below, as in the regime of Vavilov).  Scattering of a step is split in halves
before and behind it, which is right to second order in the step; two halves that meet are drawn as one.  A
step ends at a wall before anything is drawn for it: scattering for matter behind a wall would come too early,
and make every beam in thin layers too wide.
"""

from __future__ import annotations

from typing import NamedTuple

from spotline.jit import kernel
from spotline.physics.nuclei import MASS_NUMBER
from spotline.physics.transport.directions import deflect
from spotline.physics.transport.geometry import GeometryArrays
from spotline.physics.transport.lookup import (
    REACTIONS,
    SCATTERING,
    SKEW,
    VARIANCE,
    TransportTables,
    energy_at,
    range_of,
)
from spotline.physics.transport.reactions import ReactionTables, react
from spotline.physics.transport.secondaries import release
from spotline.physics.transport.source import SourceArrays, start_primary
from spotline.physics.transport.tally import (
    LOCAL,
    PRIMARY,
    TallyArrays,
    bin_of,
    let_keV_um,
    score_end,
    score_point,
    score_track,
)
from spotline.physics.transport.waiting import Scratch, put
from spotline.random import begin_sequence, draw, draw_exponential, normal

BEYOND_WALL = 1.001
"""A step that a wall ends would go so much further than straight on to it, for the deflection at its
beginning lengthens the way."""

LEAST_STEP_g_cm2 = 1e-9
"""What such a step is longer than that, so that the last of the way to a wall takes one step."""


class Steps(NamedTuple):
    """How long steps are.

    Attributes
    ----------
    share : float
        Of the residual range.
    smallest_g_cm2 : float
        What a step is longer than that.
    largest_g_cm2 : float
        No step is longer.
    end_g_cm2 : float
        A particle of less residual range leaves its energy on the spot.
    """

    share: float = 0.1
    smallest_g_cm2: float = 1e-3
    largest_g_cm2: float = 2.0
    end_g_cm2: float = 1e-3


@kernel
def run_histories(
    first: int,
    number: int,
    key: int,
    primary: int,
    source: SourceArrays,
    tables: TransportTables,
    reactions: ReactionTables,
    geometry: GeometryArrays,
    steps: Steps,
    tally: TallyArrays,
    scratch: Scratch,
) -> None:
    """Follow primaries `first` to `first + number - 1` and all their secondaries.

    Parameters
    ----------
    first, number : int
        Which primaries; what happens to one depends on the key and its number alone.
    key : int
        Of the random numbers.
    primary : int
        Species of the primaries.
    source, tables, reactions, geometry, steps : NamedTuple
    tally : TallyArrays
        Sums to add to.
    scratch : Scratch
    """
    rng = scratch.rng
    for history in range(first, first + number):
        begin_sequence(rng, key, history)
        energy, x, y, z, u, v, w = start_primary(source, rng)
        waiting = put(scratch, 0, primary, PRIMARY, energy, x, y, z, u, v, w)
        while waiting > 0:
            waiting = follow(waiting - 1, tables, reactions, geometry, steps, tally, scratch)


@kernel
def follow(
    waiting: int,
    tables: TransportTables,
    reactions: ReactionTables,
    geometry: GeometryArrays,
    steps: Steps,
    tally: TallyArrays,
    scratch: Scratch,
) -> int:
    """Follow the particle in place `waiting` to its end; return how many particles wait then."""
    rng, state, nodes = scratch.rng, scratch.state, tables.nodes
    species, group = scratch.species[waiting], scratch.group[waiting]
    energy, x, y, z = state[waiting, 0], state[waiting, 1], state[waiting, 2], state[waiting, 3]
    u, v, w = state[waiting, 4], state[waiting, 5], state[waiting, 6]
    nucleons = float(MASS_NUMBER[species])
    by_voxel = tally.voxel_energy.size > 0
    ix, iy, iz = bin_of(geometry.x_mm, x), bin_of(geometry.y_mm, y), bin_of(geometry.z_mm, z)
    nx, ny, nz = geometry.density_g_cm3.shape
    bin_ = bin_of(tally.z_mm, z)
    paths = draw_exponential(rng)  # mean free paths to the next reaction
    owed = 0.0  # scattering (rad2) of the half step behind
    material, remaining = -1, 0.0
    while 0 <= ix < nx and 0 <= iy < ny and 0 <= iz < nz:
        density = geometry.density_g_cm3[ix, iy, iz]
        here = geometry.material[ix, iy, iz]
        if density > 0.0 and here != material:
            material = here
            remaining = range_of(tables, material, species, energy)
        if material >= 0 and remaining < steps.end_g_cm2:
            rest_MeV = energy * nucleons
            mean_let = score_end(
                tally, tables, material, species, group, x, y, z, rest_MeV, energy, remaining, density
            )
            if by_voxel:
                tally.voxel_energy[ix, iy, iz] += rest_MeV
                tally.voxel_let[ix, iy, iz] += rest_MeV * mean_let
            return waiting
        step = variance = skew = scattering = rate = 0.0
        reacts = False
        if density > 0.0:
            step = min(steps.share * remaining + steps.smallest_g_cm2, steps.largest_g_cm2, remaining)
            # Nothing may happen for what lies behind the wall: not even half of its scattering.
            ahead, _ = way_to_wall(geometry, ix, iy, iz, x, y, z, u, v, w)
            step = min(step, BEYOND_WALL * 0.1 * density * ahead + LEAST_STEP_g_cm2)
            place = (remaining - 0.5 * step) ** 0.5 * tables.nodes_per_root[material, species]
            node = int(place)
            rest = place - node
            near = 1.0 - rest
            variance = (
                near * nodes[material, species, node, VARIANCE]
                + rest * nodes[material, species, node + 1, VARIANCE]
            )
            skew = (
                near * nodes[material, species, node, SKEW] + rest * nodes[material, species, node + 1, SKEW]
            )
            scattering = (
                near * nodes[material, species, node, SCATTERING]
                + rest * nodes[material, species, node + 1, SCATTERING]
            )
            rate = (
                near * nodes[material, species, node, REACTIONS]
                + rest * nodes[material, species, node + 1, REACTIONS]
            )
            if rate * step > paths:
                step = paths / rate
                reacts = True
            bits = draw(rng)
            spread = owed + 0.5 * scattering * step
            if spread > 0.0:
                angle = spread**0.5
                u, v, w = deflect(u, v, w, angle * normal(bits, 0), angle * normal(bits, 1))
                owed = 0.0
            else:
                owed = spread
        way, wall = way_to_wall(geometry, ix, iy, iz, x, y, z, u, v, w)
        if density > 0.0 and step * 10.0 <= way * density:
            way = step * 10.0 / density
            wall = 0
        else:
            reacts = False
            shorter = way * density * 0.1
            if density > 0.0:
                owed -= 0.5 * scattering * (step - shorter)
            step = shorter
        to_x, to_y, to_z = x + way * u, y + way * v, z + way * w
        if density > 0.0:
            owed += 0.5 * scattering * step
            paths -= rate * step
            left = remaining - step
            if step > 0.0:
                left += straggle(variance * step, skew * step, normal(bits, 2))
            left = max(left, 0.0)
            left_energy = energy_at(tables, material, species, left)
            bin_ = score_track(
                tally,
                tables,
                material,
                species,
                group,
                nucleons,
                bin_,
                x,
                y,
                z,
                to_x,
                to_y,
                to_z,
                remaining,
                left,
                energy,
                left_energy,
            )
            if by_voxel:
                lost = (energy - left_energy) * nucleons
                tally.voxel_energy[ix, iy, iz] += lost
                tally.voxel_let[ix, iy, iz] += lost * let_keV_um(lost, remaining - left)
            remaining, energy = left, left_energy
        else:
            bin_ = bin_of(tally.z_mm, to_z)
        x, y, z = to_x, to_y, to_z
        if wall == 1:
            ix += 1 if u > 0.0 else -1
        elif wall == 2:
            iy += 1 if v > 0.0 else -1
        elif wall == 3:
            iz += 1 if w > 0.0 else -1
        elif reacts:
            number, local_MeV = react(reactions, material, species, energy, rng, scratch.products)
            score_point(tally, x, y, z, local_MeV, 0.0, LOCAL)
            if by_voxel:
                tally.voxel_energy[ix, iy, iz] += local_MeV
            return release(number, waiting, x, y, z, u, v, w, reactions, material, density, tally, scratch)
    return waiting


@kernel
def way_to_wall(
    geometry: GeometryArrays,
    ix: int,
    iy: int,
    iz: int,
    x: float,
    y: float,
    z: float,
    u: float,
    v: float,
    w: float,
) -> tuple[float, int]:
    """Way in mm straight on to the next wall of a voxel, and the axis across which it lies: 1, 2 or 3."""
    way, wall = 1e30, 0
    if u != 0.0:
        way = (geometry.x_mm[ix + (u > 0.0)] - x) / u
        wall = 1
    if v != 0.0:
        other = (geometry.y_mm[iy + (v > 0.0)] - y) / v
        if other < way:
            way, wall = other, 2
    if w != 0.0:
        other = (geometry.z_mm[iz + (w > 0.0)] - z) / w
        if other < way:
            way, wall = other, 3
    return max(way, 0.0), wall


@kernel
def straggle(variance: float, third: float, deviate: float) -> float:
    """Deviation of the residual range over a step, of given variance and third moment.

    A gamma distribution by the transformation of Wilson and Hilferty, Proc. Natl. Acad. Sci. 17 (1931) 684,
    with its long tail towards small residual ranges.
    """
    sigma = variance**0.5
    skewness = third / (variance * sigma)
    if skewness < 1e-3:
        return sigma * deviate
    sixth = min(skewness, 2.0) / 6.0
    cube = 1.0 - sixth * sixth + sixth * deviate
    return -sigma * (cube * cube * cube - 1.0) / (3.0 * sixth)
