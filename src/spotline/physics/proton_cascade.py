"""Inelastic reactions of protons with nuclei, in two stages.

**Cascade.**  The proton meets a bound nucleon that has a momentum of the Fermi gas and leaves a hole of some
excitation.  Both go apart isotropically in their centre of mass; whether the partner is a neutron goes by the
cross sections of Metropolis et al., Phys. Rev. 110 (1958) 185.  Either escapes, with a probability that rises
with its energy, or is caught.  Of what is caught, a fast nucleon collides again.  A fast escaping nucleon may
take a partner along as a deuteron (pick-up).

**Evaporation.**  What was caught, and the holes, excite the rest.  It gives off neutrons, protons, deuterons
and alpha particles one after the other, with Maxwell spectra above the Coulomb energy, isotropically in its
own moving frame, as long as its excitation covers their separation; the last of it goes into gamma rays.

Energy and momentum are balanced in every reaction: what leaves is the energy of the proton less separation
energies and gamma rays.  Tritons and 3He, some percent of the charged energy together, are not told apart
from deuterons and alphas.

It is a model with few parameters (`PARAMETERS`), not a cascade in a nucleus with a radius, and has mean
separation energies in place of those of single nuclides.  Held against p + 16O of ICRU Report 63 (2000), the
energy of protons comes out within 7 % from 100 MeV up (20 % low at 50 MeV), but slow protons are a quarter
too few; deuterons have a quarter too little energy, and alphas half of theirs at 200 MeV.
"""

from __future__ import annotations

import math

from spotline.arrays import Floats
from spotline.jit import kernel
from spotline.physics.ions import PROTON
from spotline.physics.nuclei import INDEX
from spotline.physics.transport.products import NEUTRON, Products, add_product
from spotline.random import Sequence, draw_exponential, draw_uniform

PROTON_MASS_MeV = PROTON.mass_MeV
NUCLEON_MASS_MeV = 938.919
"""Mean of proton and neutron."""

PARAMETERS: dict[str, float] = {
    "escape": 0.664,  # probability that a fast nucleon gets out after a collision
    "escape_energy_MeV": 10.9,  # half of it at this energy above the Coulomb energy
    "hole_MeV": 4.45,  # mean excitation of a hole (exponential)
    "pickup": 0.095,  # probability that an escaping fast nucleon takes a partner along
    "alpha": 1.39,  # weight of alphas in evaporation, protons having 1
    "deuteron": 0.475,  # the same of deuterons
    "temperature": 1.39,  # over (8 MeV times the excitation per nucleon)^0.5
    "fermi_MeV": 195.0,  # highest momentum of a bound nucleon, MeV/c
    "separation_MeV": 6.34,  # of a nucleon from a nucleus below A = 20; 0.7 of it above
}
"""Parameters of the model.

All were fitted to the spectra of p + 16O in ICRU Report 63 (2000), 30 to 220 MeV.  Then, all but "deuteron",
"temperature" and "fermi_MeV" once more, together with `spotline.physics.proton_nuclear.INELASTIC_SCALE`: to
these spectra at 50, 100, 150 and 200 MeV, and to depth doses in water of 5 energies of a Geant4 library (even
indices, 98 to 210 MeV): `verification/proton_fit.py`.
"""
ESCAPE, ESCAPE_ENERGY, HOLE, PICKUP, ALPHA, DEUTERON, TEMPERATURE, FERMI, SEPARATION = range(len(PARAMETERS))

MOST_COLLISIONS = 5
MOST_EVAPORATED = 10
COLLIDE_AGAIN_MeV = 25.0
"""A caught nucleon of more energy collides again instead of adding to the excitation."""
LOCAL_PROTON_MeV = 2.5
"""Protons of less energy, and deuterons of as much, are left on the spot (0.1 mm of water)."""
LOCAL_ALPHA_MeV = 8.0
LEAST_PICKUP_MeV = 10.0
"""Of a deuteron from pick-up."""

PROTON_INDEX, DEUTERON_INDEX, ALPHA_INDEX = INDEX["1H"], INDEX["2H"], INDEX["4He"]
DEUTERON_BINDING_MeV = 2.2246
ALPHA_SEPARATION_MeV = 7.5
NEUTRON_EXTRA = 1.7
"""Of the Coulomb energy of a proton: so much more tightly are neutrons bound than protons in nuclei with
about as many of both (AME2020: 12C 2.8, 16O 3.5, 27Al 4.8, 40Ca 7.3 MeV)."""
HEAVY = 20
"""Nucleons of a nucleus that holds its nucleons less tightly than carbon or oxygen, and one more better."""
BARRIER_SHARE = 0.7
"""Of the Coulomb energy: charged particles also leave from below its top."""
TWO_PI = 2.0 * math.pi


@kernel
def unlike_over_like(energy_MeV: float) -> float:
    """Cross section of proton on neutron over that of proton on proton: Metropolis et al. (1958)."""
    gamma = 1.0 + max(energy_MeV, 10.0) / NUCLEON_MASS_MeV
    beta = math.sqrt(1.0 - 1.0 / (gamma * gamma))
    like = 10.63 / (beta * beta) - 29.92 / beta + 42.9
    unlike = 34.10 / (beta * beta) - 82.2 / beta + 82.2
    return unlike / like


@kernel
def isotropic(size: float, rng: Sequence) -> tuple[float, float, float]:
    """Draw a vector of given size and any direction."""
    w = 2.0 * draw_uniform(rng) - 1.0
    phi = TWO_PI * draw_uniform(rng)
    across = size * math.sqrt(1.0 - w * w)
    return across * math.cos(phi), across * math.sin(phi), size * w


@kernel
def separations_MeV(mass_number: int, parameters: Floats) -> tuple[float, float, float]:
    """Separation energy of a nucleon, and of a proton and a neutron from a nucleus with one nucleon more."""
    if mass_number < HEAVY:
        return parameters[SEPARATION], 2.0, 15.0
    return 0.7 * parameters[SEPARATION], 6.0, 9.0


@kernel
def react_inelastic(
    energy_MeV: float,
    charge: int,
    mass_number: int,
    barrier_MeV: float,
    parameters: Floats,
    rng: Sequence,
    products: Products,
) -> tuple[int, float]:
    """Sample one inelastic reaction of a proton with a nucleus.

    Parameters
    ----------
    energy_MeV : float
        Kinetic energy of the proton.
    charge, mass_number : int
        Of the nucleus.
    barrier_MeV : float
        Coulomb energy of a proton at its surface.
    parameters : ndarray
        Values of `PARAMETERS`.
    rng : ndarray of uint64, shape (1,)
        Random sequence.
    products : Products
        Takes the charged particles that go on, and neutrons; directions relative to the proton's.

    Returns
    -------
    number : int
        Of particles.
    local_MeV : float
        Energy left on the spot by slow particles and by the recoiling rest.
    """
    m = NUCLEON_MASS_MeV
    separation, surplus_separation, _ = separations_MeV(mass_number, parameters)
    # Deuterons and alphas become rarer with the size of the nucleus (ICRU 63: Al, Ca).
    clusters = min(1.0, 16.0 / mass_number)
    number, local = 0, 0.0
    z, a = charge, mass_number
    excitation = 0.0
    # Momentum of the rest: what came in less what left.
    qx, qy, qz = 0.0, 0.0, math.sqrt(energy_MeV * (energy_MeV + 2.0 * m))

    # The nucleon that is on its way through the nucleus.
    moving_energy, is_neutron = energy_MeV, False
    px, py, pz = qx, qy, qz
    for _ in range(MOST_COLLISIONS):
        hole = parameters[HOLE] * draw_exponential(rng)
        # Energies within the nucleus count from the Fermi level, a separation energy below the outside.
        available = moving_energy + separation - hole
        total = available + 2.0 * m
        root = 0.0
        kx, ky, kz = 0.0, 0.0, 0.0
        if available > 0.0 and a > 4:
            # Most Fermi momenta along the flight leave too little energy in the centre of mass.
            for _ in range(3):
                kx, ky, kz = isotropic(parameters[FERMI] * draw_uniform(rng) ** (1.0 / 3.0), rng)
                kx, ky, kz = px + kx, py + ky, pz + kz
                s = total * total - kx * kx - ky * ky - kz * kz
                if s > 4.0 * m * m:
                    root = math.sqrt(s)
                    break
        if root == 0.0:
            excitation += moving_energy + (surplus_separation if a >= mass_number else separation)
            a, z = a + 1, z + (0 if is_neutron else 1)
            moving_energy = 0.0
            break

        like, unlike = (a - z, z) if is_neutron else (z, a - z)
        weight = unlike * unlike_over_like(moving_energy)
        is_unlike = draw_uniform(rng) * (weight + like) < weight
        partner_is_neutron = is_neutron != is_unlike
        excitation += hole
        a, z = a - 1, z - (0 if partner_is_neutron else 1)

        # Isotropic in the centre of mass, then boosted; the second has the rest of energy and momentum.
        ix, iy, iz = isotropic(math.sqrt(0.25 * root * root - m * m), rng)
        along = (ix * kx + iy * ky + iz * kz) / root
        factor = along / (total + root) + 0.5
        fx, fy, fz = ix + kx * factor, iy + ky * factor, iz + kz * factor
        first = 0.5 * total + along - m - separation
        second = available - first - 2.0 * separation

        moving_energy = 0.0
        was_neutron = is_neutron
        for which in range(2):
            if which == 0:
                kinetic, neutral = first, was_neutron
                ux, uy, uz = fx, fy, fz
            else:
                kinetic, neutral = second, partner_is_neutron
                ux, uy, uz = kx - fx, ky - fy, kz - fz
            inside = math.sqrt(ux * ux + uy * uy + uz * uz)
            height = 0.0 if neutral else barrier_MeV
            chance = 0.0
            if kinetic > height:
                chance = (
                    parameters[ESCAPE] * (kinetic - height) / (kinetic - height + parameters[ESCAPE_ENERGY])
                )
            if draw_uniform(rng) < chance:
                # Out of the nucleus, with less energy, it keeps its direction.
                ux, uy, uz = ux / inside, uy / inside, uz / inside
                taken = kinetic - separation + DEUTERON_BINDING_MeV
                partners = z if neutral else a - z
                if (
                    taken > LEAST_PICKUP_MeV
                    and a > 5
                    and partners > 0
                    and draw_uniform(rng) < clusters * parameters[PICKUP]
                ):
                    a, z = a - 1, z - (1 if neutral else 0)
                    outside = math.sqrt(taken * (taken + 4.0 * m))
                    qx, qy, qz = qx - outside * ux, qy - outside * uy, qz - outside * uz
                    number = add_product(products, number, DEUTERON_INDEX, 0.5 * taken, ux, uy, uz)
                    continue
                outside = math.sqrt(kinetic * (kinetic + 2.0 * m))
                qx, qy, qz = qx - outside * ux, qy - outside * uy, qz - outside * uz
                if neutral:
                    number = add_product(products, number, NEUTRON, kinetic, ux, uy, uz)
                elif kinetic < LOCAL_PROTON_MeV:
                    local += kinetic
                else:
                    number = add_product(products, number, PROTON_INDEX, kinetic, ux, uy, uz)
            elif kinetic > COLLIDE_AGAIN_MeV and kinetic > moving_energy:
                if moving_energy > 0.0:
                    excitation += moving_energy + separation
                    a, z = a + 1, z + (0 if is_neutron else 1)
                moving_energy, is_neutron = kinetic, neutral
                # Its momentum as if it were outside: what it enters the next collision with.
                outside = math.sqrt(kinetic * (kinetic + 2.0 * m)) / inside
                px, py, pz = ux * outside, uy * outside, uz * outside
            else:
                excitation += kinetic + (surplus_separation if a >= mass_number else separation)
                a, z = a + 1, z + (0 if neutral else 1)
        if moving_energy == 0.0:
            break
    if moving_energy > 0.0:
        excitation += moving_energy + (surplus_separation if a >= mass_number else separation)
        a, z = a + 1, z + (0 if is_neutron else 1)

    # The rest moves: that too is paid from its excitation.
    moving = (qx * qx + qy * qy + qz * qz) / (2.0 * a * m)
    if moving > excitation:
        shrink = math.sqrt(excitation / moving)
        qx, qy, qz = qx * shrink, qy * shrink, qz * shrink
        moving = excitation
    excitation -= moving

    return _evaporate(
        excitation,
        z,
        a,
        qx,
        qy,
        qz,
        charge,
        mass_number,
        barrier_MeV,
        parameters,
        rng,
        products,
        number,
        local,
    )


@kernel
def _evaporate(
    excitation: float,
    z: int,
    a: int,
    qx: float,
    qy: float,
    qz: float,
    charge: int,
    mass_number: int,
    barrier_MeV: float,
    parameters: Floats,
    rng: Sequence,
    products: Products,
    number: int,
    local: float,
) -> tuple[int, float]:
    """Let an excited nucleus (z, a) of momentum q, in place of (charge, mass_number), give off particles."""
    m = NUCLEON_MASS_MeV
    separation, surplus_separation, surplus_neutron = separations_MeV(mass_number, parameters)
    neutron_extra = NEUTRON_EXTRA * barrier_MeV if mass_number <= 2 * charge + 1 else 0.0
    # Deuterons and alphas become rarer with the size of the nucleus (ICRU 63: Al, Ca).
    clusters = min(1.0, 16.0 / mass_number)
    below_p = BARRIER_SHARE * barrier_MeV
    for _ in range(MOST_EVAPORATED):
        if a <= 4 or z < 1 or a - z < 1:
            break
        has_surplus = a > mass_number
        cost_n = surplus_neutron if has_surplus else separation + neutron_extra
        cost_p = surplus_separation if has_surplus else separation
        cost_d = cost_p + separation - DEUTERON_BINDING_MeV
        room_n = max(excitation - cost_n, 0.0)
        room_p = max(excitation - cost_p - below_p, 0.0)
        room_d = max(excitation - cost_d - below_p, 0.0) if z > 1 else 0.0
        room_a = max(excitation - ALPHA_SEPARATION_MeV - 2.0 * below_p, 0.0) if z > 2 and a - z > 2 else 0.0
        chance_n = room_n * (a - z)
        chance_p = chance_n + room_p * z
        chance_d = chance_p + clusters * parameters[DEUTERON] * room_d * z
        chance_a = chance_d + clusters * parameters[ALPHA] * room_a * z
        if chance_a <= 0.0:
            break
        chance = draw_uniform(rng) * chance_a
        if chance < chance_n:
            room, cost, size, units, below = room_n, cost_n, 1, 0, 0.0
        elif chance < chance_p:
            room, cost, size, units, below = room_p, cost_p, 1, 1, below_p
        elif chance < chance_d:
            room, cost, size, units, below = room_d, cost_d, 2, 1, below_p
        else:
            room, cost, size, units, below = room_a, ALPHA_SEPARATION_MeV, 4, 2, 2.0 * below_p
        temperature = parameters[TEMPERATURE] * math.sqrt(8.0 * excitation / a)
        extra = temperature * (draw_exponential(rng) + draw_exponential(rng))
        if extra > room:
            extra = room * draw_uniform(rng)
        released = below + extra
        excitation -= cost + released
        # Both parts move in the frame of the nucleus, apart with the energy released.
        ix, iy, iz = isotropic(math.sqrt(2.0 * m * released * size * (a - size) / a), rng)
        share = size / a
        fx, fy, fz = ix + share * qx, iy + share * qy, iz + share * qz
        qx, qy, qz = qx - fx, qy - fy, qz - fz
        a, z = a - size, z - units
        square = fx * fx + fy * fy + fz * fz
        kinetic = square / (2.0 * size * m)
        if units > 0 and kinetic < (LOCAL_ALPHA_MeV if size == 4 else LOCAL_PROTON_MeV):
            local += kinetic
            continue
        index = PROTON_INDEX
        if units == 0:
            index = NEUTRON
        elif size == 2:
            index = DEUTERON_INDEX
        elif size == 4:
            index = ALPHA_INDEX
        length = math.sqrt(square)
        number = add_product(products, number, index, kinetic / size, fx / length, fy / length, fz / length)

    return number, local + (qx * qx + qy * qy + qz * qz) / (2.0 * a * m)
