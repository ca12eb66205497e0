"""What a reaction sets free: charged products that wait, and neutrons with the protons that they knock on."""

from __future__ import annotations

from spotline.jit import kernel
from spotline.physics.neutrons import LOWEST_MeV, neutron_rate, strike
from spotline.physics.nuclei import CHARGE, MASS_MeV, NEUTRON_MASS_MeV
from spotline.physics.transport.directions import turned
from spotline.physics.transport.products import NEUTRON
from spotline.physics.transport.reactions import ReactionTables
from spotline.physics.transport.tally import LOCAL, TallyArrays, score_point
from spotline.physics.transport.waiting import STACK, Scratch, put
from spotline.random import draw_exponential

MOST_COLLISIONS = 8
"""Of a neutron; what it has left then is nearly nothing."""


@kernel
def release(
    number: int,
    waiting: int,
    x: float,
    y: float,
    z: float,
    u: float,
    v: float,
    w: float,
    reactions: ReactionTables,
    material: int,
    density: float,
    tally: TallyArrays,
    scratch: Scratch,
) -> int:
    """Let the products of a reaction wait, and neutrons fly; return how many particles wait."""
    products = scratch.products
    for k in range(number):
        if waiting >= STACK:
            scratch.lost[0] += 1
            break
        species = products.species[k]
        a, b, c = turned(
            u, v, w, products.direction[k, 0], products.direction[k, 1], products.direction[k, 2]
        )
        energy = products.energy_MeV_u[k]
        if species == NEUTRON:
            waiting = fly(energy, waiting, x, y, z, a, b, c, reactions, material, density, tally, scratch)
        else:
            waiting = put(scratch, waiting, species, CHARGE[species], energy, x, y, z, a, b, c)
    return waiting


@kernel
def fly(
    energy_MeV: float,
    waiting: int,
    x: float,
    y: float,
    z: float,
    u: float,
    v: float,
    w: float,
    reactions: ReactionTables,
    material: int,
    density_g_cm3: float,
    tally: TallyArrays,
    scratch: Scratch,
) -> int:
    """Follow a neutron and let the protons that it knocks on wait; return how many particles wait.

    All matter on its way is taken for that where it was set free.
    """
    rng = scratch.rng
    for _ in range(MOST_COLLISIONS):
        if energy_MeV < LOWEST_MeV or waiting >= STACK:
            break
        way = (
            10.0
            * draw_exponential(rng)
            / (neutron_rate(reactions.neutrons, material, energy_MeV) * density_g_cm3)
        )
        x, y, z = x + way * u, y + way * v, z + way * w
        xn, yn, zn, xp, yp, zp, local_MeV = strike(reactions.neutrons, material, energy_MeV, rng)
        score_point(tally, x, y, z, local_MeV, 0.0, LOCAL)
        squared = xp * xp + yp * yp + zp * zp
        if squared > 0.0:
            kinetic = squared / ((MASS_MeV[0] * MASS_MeV[0] + squared) ** 0.5 + MASS_MeV[0])
            size = squared**0.5
            a, b, c = turned(u, v, w, xp / size, yp / size, zp / size)
            waiting = put(scratch, waiting, 0, CHARGE[0], kinetic, x, y, z, a, b, c)
        squared = xn * xn + yn * yn + zn * zn
        if squared == 0.0:
            break
        energy_MeV = squared / ((NEUTRON_MASS_MeV * NEUTRON_MASS_MeV + squared) ** 0.5 + NEUTRON_MASS_MeV)
        size = squared**0.5
        u, v, w = turned(u, v, w, xn / size, yn / size, zn / size)
    return waiting
