"""Sampling of nuclear reactions of ions: what comes out, how fast and where to.

The rest of the projectile flies on with nearly its velocity.  In the frame of the projectile its momentum has
the width of Goldhaber, Phys. Lett. B 53 (1974) 306, ``sigma^2 = sigma_0^2 k (A - k) / (A - 1)`` for k
nucleons struck (the variance of the sum of k out of A momenta that add up to 0), and the small mean loss of
Morrissey, Phys. Rev. C 39 (1989) 460, ``8 MeV/c k (gamma + 1) / (beta gamma)``.  Its fragments share the
kinetic energy of the break-up as phase space has it; nucleons and isotopes of hydrogen, many of which leave
before the energy is shared, have the width of Goldhaber for themselves instead.  All is then boosted to the
laboratory.

Every struck nucleon meets one of the target, both with the momentum that they had inside, less the energy
that holds them and that they leave behind as excitation; they part isotropically in their centre of mass.
This makes the fast protons at large angles.  On hydrogen the one proton meets all struck nucleons in turn.
"""

from __future__ import annotations

import math

from spotline.jit import kernel
from spotline.physics.fragment_layout import HEAVY, HYDROGEN, QUANTILES, ENERGY_MeV_u, FragmentTables
from spotline.physics.nuclei import CHARGE, MASS_NUMBER, MASS_MeV, NEUTRON_MASS_MeV
from spotline.physics.transport.products import NEUTRON, Products, add_product
from spotline.random import Sequence, draw, draw_uniform, normal

GOLDHABER_MEV_C = 90.0
"""sigma_0: Greiner et al., Phys. Rev. Lett. 35 (1975) 152, found 78 to 86 for carbon and oxygen; Goldhaber's
value for a Fermi momentum of 200 MeV/c is 90."""
MEAN_LOSS_MEV_C = 8.0
"""Morrissey (1989)."""
SEPARATION_MeV = 8.0
"""Energy that holds a nucleon."""

NUCLEON_MeV = float(MASS_MeV[0])
"""Rest energy of protons and neutrons alike, where they collide."""
_LOG_FIRST = math.log(float(ENERGY_MeV_u[0]))
_STEPS_PER_LOG = (ENERGY_MeV_u.size - 1) / (math.log(float(ENERGY_MeV_u[-1])) - _LOG_FIRST)
_LAST = ENERGY_MeV_u.size - 2


@kernel
def on_hydrogen(tables: FragmentTables, material: int, species: int, energy_MeV_u: float) -> float:
    """Chance that the partner of a reaction is hydrogen."""
    place = (math.log(max(energy_MeV_u, 1e-6)) - _LOG_FIRST) * _STEPS_PER_LOG
    cell = min(max(int(place), 0), _LAST)
    fraction = min(max(place - cell, 0.0), 1.0)
    share = tables.hydrogen_share
    below, above = share[material, species, cell], share[material, species, cell + 1]
    return below + fraction * (above - below)


@kernel
def draw_cell(u: float, number: int) -> tuple[int, float]:
    """Split a uniform deviate into one of `number` cells and a uniform deviate within it."""
    place = u * number
    cell = min(int(place), number - 1)
    return cell, place - cell


@kernel
def react_ion(
    tables: FragmentTables,
    material: int,
    species: int,
    energy_MeV_u: float,
    rng: Sequence,
    products: Products,
) -> tuple[int, float]:
    """Sample what a reaction of an ion leaves.

    Parameters
    ----------
    tables : FragmentTables
        Stacked along a first axis `material`.
    material : int
        Index of the material.
    species : int
        Index of the projectile in `SPECIES`, no proton.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    rng : ndarray of uint64, shape (1,)
        Sequence of random numbers.
    products : Products
        Where the products are written.

    Returns
    -------
    tuple of int and float
        Number of products (neutrons too), and energy in MeV that charged products of very short range leave
        on the spot.  Together they never have more than the projectile had; the rest is gone with gammas or
        into binding.
    """
    mass_number = MASS_NUMBER[species]
    gamma = 1.0 + energy_MeV_u * mass_number / MASS_MeV[species]
    beta_gamma = math.sqrt(gamma * gamma - 1.0)
    kind = HYDROGEN if draw_uniform(rng) < on_hydrogen(tables, material, species, energy_MeV_u) else HEAVY
    begin = tables.node_begin[material, species]
    cell, rest = draw_cell(draw_uniform(rng), tables.node_number[material, species])
    if rest >= tables.node_chance[material, kind, begin + cell]:
        cell = tables.node_alias[material, kind, begin + cell]
    node = begin + cell
    struck_protons = tables.node_struck[material, node, 0]
    struck = struck_protons + tables.node_struck[material, node, 1]

    # What the struck nucleons had of momentum inside, the rest has with the other sign.
    width = GOLDHABER_MEV_C * math.sqrt(struck * (mass_number - struck) / (mass_number - 1.0))
    bits = draw(rng)
    rest_x, rest_y, rest_z = width * normal(bits, 0), width * normal(bits, 1), width * normal(bits, 2)

    number, cost_MeV = 0, 0.0
    if tables.node_decay_number[material, node] > 0:
        number, cost_MeV = decay_rest(
            tables,
            material,
            node,
            struck,
            mass_number,
            rest_x,
            rest_y,
            rest_z,
            gamma,
            beta_gamma,
            rng,
            products,
        )
    hole_MeV = cost_MeV / struck if struck > 0 else 0.0
    number = scatter_nucleons(
        tables,
        material,
        kind,
        struck,
        struck_protons,
        hole_MeV,
        rest_x,
        rest_y,
        rest_z,
        gamma,
        beta_gamma,
        number,
        rng,
        products,
    )
    local_MeV = tables.local_MeV[material, kind, struck]

    available_MeV = energy_MeV_u * mass_number
    total_MeV = local_MeV
    for i in range(number):
        species_i = products.species[i]
        total_MeV += products.energy_MeV_u[i] * (1 if species_i < 0 else MASS_NUMBER[species_i])
    if total_MeV > available_MeV:
        # The momenta inside the nuclei fluctuate more than energy conservation allows the slowest ions.
        factor = available_MeV / total_MeV
        local_MeV *= factor
        for i in range(number):
            products.energy_MeV_u[i] *= factor
    return number, local_MeV


@kernel
def decay_rest(
    tables: FragmentTables,
    material: int,
    node: int,
    struck: int,
    mass_number: int,
    rest_x: float,
    rest_y: float,
    rest_z: float,
    gamma: float,
    beta_gamma: float,
    rng: Sequence,
    products: Products,
) -> tuple[int, float]:
    """Break up what remains of the projectile.

    Returns
    -------
    tuple of int and float
        Number of products, and the energy in MeV that the break-up took.
    """
    begin = tables.node_decay_begin[material, node]
    cell, rest = draw_cell(draw_uniform(rng), tables.node_decay_number[material, node])
    if rest >= tables.decay_chance[material, begin + cell]:
        cell = tables.decay_alias[material, begin + cell]
    decay = begin + cell
    n = tables.decay_number[material, decay]
    quantile, _ = draw_cell(draw_uniform(rng), QUANTILES)
    kinetic_MeV = tables.decay_kinetic_MeV[material, decay, quantile]

    # Momenta distributed normally with variances as the masses, less their common motion and brought to one
    # energy, fill the shell of constant energy evenly, which is what phase space means.
    whole_MeV, sum_x, sum_y, sum_z = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        fragment = tables.decay_fragment[material, decay, i]
        mass = NEUTRON_MASS_MeV if fragment < 0 else MASS_MeV[fragment]
        width = math.sqrt(mass)
        bits = draw(rng)
        products.direction[i, 0] = width * normal(bits, 0)
        products.direction[i, 1] = width * normal(bits, 1)
        products.direction[i, 2] = width * normal(bits, 2)
        whole_MeV += mass
        sum_x += products.direction[i, 0]
        sum_y += products.direction[i, 1]
        sum_z += products.direction[i, 2]
    drawn = 0.0
    for i in range(n):
        fragment = tables.decay_fragment[material, decay, i]
        mass = NEUTRON_MASS_MeV if fragment < 0 else MASS_MeV[fragment]
        share = mass / whole_MeV
        products.direction[i, 0] -= share * sum_x
        products.direction[i, 1] -= share * sum_y
        products.direction[i, 2] -= share * sum_z
        x, y, z = products.direction[i, 0], products.direction[i, 1], products.direction[i, 2]
        drawn += 0.5 * (x * x + y * y + z * z) / mass
    scale = math.sqrt(kinetic_MeV / drawn) if n > 1 else 0.0

    cost_MeV = tables.decay_cost_MeV[material, decay] + kinetic_MeV
    if struck > 0:
        rest_z -= MEAN_LOSS_MEV_C * struck * (gamma + 1.0) / beta_gamma
    else:
        rest_z -= cost_MeV * gamma / beta_gamma  # what the excitation takes from the motion

    number = 0
    for i in range(n):
        fragment = tables.decay_fragment[material, decay, i]
        mass = NEUTRON_MASS_MeV if fragment < 0 else MASS_MeV[fragment]
        share = mass / whole_MeV
        x = scale * products.direction[i, 0] + share * rest_x
        y = scale * products.direction[i, 1] + share * rest_y
        z = scale * products.direction[i, 2] + share * rest_z
        if struck > 0 and n > 1 and (fragment < 0 or CHARGE[fragment] == 1):
            nucleons = 1 if fragment < 0 else MASS_NUMBER[fragment]
            width = GOLDHABER_MEV_C * math.sqrt(nucleons * (mass_number - nucleons) / (mass_number - 1.0))
            bits = draw(rng)
            before = x * x + y * y + z * z
            x, y = width * normal(bits, 0), width * normal(bits, 1)
            z = width * normal(bits, 2) + share * rest_z
            cost_MeV += 0.5 * (x * x + y * y + z * z - before) / mass
        energy = math.sqrt(mass * mass + x * x + y * y + z * z)
        number = add_momentum(products, number, fragment, x, y, gamma * z + beta_gamma * energy)
    return number, max(cost_MeV, 0.0)


@kernel
def add_momentum(products: Products, number: int, species: int, x: float, y: float, z: float) -> int:
    """Write a product of a momentum (x, y, z) in MeV/c; return the number of the next."""
    squared = x * x + y * y + z * z
    mass = NEUTRON_MASS_MeV if species < 0 else MASS_MeV[species]
    nucleons = 1 if species < 0 else MASS_NUMBER[species]
    kinetic_MeV = squared / (math.sqrt(mass * mass + squared) + mass)
    if squared == 0.0:
        return add_product(products, number, species, 0.0, 0.0, 0.0, 1.0)
    size = math.sqrt(squared)
    return add_product(products, number, species, kinetic_MeV / nucleons, x / size, y / size, z / size)


@kernel
def scatter_nucleons(
    tables: FragmentTables,
    material: int,
    kind: int,
    struck: int,
    struck_protons: int,
    hole_MeV: float,
    rest_x: float,
    rest_y: float,
    rest_z: float,
    gamma: float,
    beta_gamma: float,
    number: int,
    rng: Sequence,
    products: Products,
) -> int:
    """Let every struck nucleon scatter from one of the target.

    Returns
    -------
    int
        Number of products so far.
    """
    mass = NUCLEON_MeV
    width = GOLDHABER_MEV_C * math.sqrt(1.0 - 1.0 / max(struck, 1))
    target_protons, target_nucleons = 8, 16  # a heavy target is taken for oxygen
    # The nucleon of the target: of hydrogen it begins at rest, and goes on to the next.
    e_t, x_t, y_t, z_t = mass, 0.0, 0.0, 0.0
    for i in range(struck):
        bits = draw(rng)
        x_p = width * normal(bits, 0) - rest_x / struck
        y_p = width * normal(bits, 1) - rest_y / struck
        z_rest = width * normal(bits, 2) - rest_z / struck
        e_rest = mass - SEPARATION_MeV - hole_MeV
        e_p = gamma * e_rest + beta_gamma * z_rest
        z_p = gamma * z_rest + beta_gamma * e_rest
        if kind == HEAVY:
            x_t, y_t = GOLDHABER_MEV_C * normal(bits, 3), GOLDHABER_MEV_C * normal(bits, 4)
            z_t = GOLDHABER_MEV_C * normal(draw(rng), 0)
            e_t = mass - SEPARATION_MeV - tables.excitation_MeV[material]
        apart, x, y, z, x_after, y_after, z_after = collide(
            e_p + e_t, x_p + x_t, y_p + y_t, z_p + z_t, draw_uniform(rng), draw_uniform(rng)
        )
        is_proton = i < struck_protons
        if not apart:
            # Not enough energy to set both free: the struck one goes on alone with what it has.
            spare_MeV = max(e_p - mass, 0.0)
            size = math.sqrt(spare_MeV * (spare_MeV + 2.0 * mass) / (x_p * x_p + y_p * y_p + z_p * z_p))
            species = 0 if is_proton else NEUTRON
            number = add_momentum(products, number, species, size * x_p, size * y_p, size * z_p)
            continue
        x_t, y_t, z_t = x_after, y_after, z_after
        e_t = math.sqrt(mass * mass + x_t * x_t + y_t * y_t + z_t * z_t)
        number = add_momentum(products, number, 0 if is_proton else NEUTRON, x, y, z)
        if kind == HEAVY:
            is_proton = draw_uniform(rng) * target_nucleons < target_protons
            target_nucleons -= 1
            target_protons -= 1 if is_proton else 0
            number = add_momentum(products, number, 0 if is_proton else NEUTRON, x_t, y_t, z_t)
    if kind == HYDROGEN and e_t > mass:
        number = add_momentum(products, number, 0, x_t, y_t, z_t)
    return number


@kernel
def collide(
    e: float, x: float, y: float, z: float, chance: float, turn: float
) -> tuple[bool, float, float, float, float, float, float]:
    """Let two nucleons part isotropically in their centre of mass.

    Parameters
    ----------
    e, x, y, z : float
        Energy and momentum of both together, in MeV.
    chance, turn : float
        Uniform deviates.

    Returns
    -------
    tuple of bool and six floats
        Whether the energy is enough for both, and the two momenta; where it is not, a target at rest.
    """
    mass = NUCLEON_MeV
    s = e * e - x * x - y * y - z * z
    if s <= 4.0 * mass * mass:
        return False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    root_s = math.sqrt(s)
    e_cm = 0.5 * root_s
    p_cm = math.sqrt(e_cm * e_cm - mass * mass)
    cosine = 2.0 * chance - 1.0
    sine = math.sqrt(1.0 - cosine * cosine)
    angle = 2.0 * math.pi * turn
    x_cm, y_cm, z_cm = p_cm * sine * math.cos(angle), p_cm * sine * math.sin(angle), p_cm * cosine
    along = (x * x_cm + y * y_cm + z * z_cm) / (root_s * (e + root_s))
    ahead, back = along + e_cm / root_s, e_cm / root_s - along
    return (
        True,
        ahead * x + x_cm,
        ahead * y + y_cm,
        ahead * z + z_cm,
        back * x - x_cm,
        back * y - y_cm,
        back * z - z_cm,
    )
