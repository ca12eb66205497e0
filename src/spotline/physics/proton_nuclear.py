"""Nuclear reactions of protons: what the transport needs to know, and what comes out of one reaction.

`proton_tables` makes the tables of a material, `react_proton` samples one reaction with them: elastic
scattering on a proton (isotropic in the centre of mass, both protons leave), elastic scattering on a nucleus
(exponential in the squared momentum transfer, the recoil is left on the spot), or an inelastic reaction
(`spotline.physics.proton_cascade`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats, Integers
from spotline.errors import PhysicsError
from spotline.jit import kernel
from spotline.physics.elements import ELEMENTS
from spotline.physics.materials import Material
from spotline.physics.nuclei import INDEX
from spotline.physics.proton_cascade import PARAMETERS, PROTON_MASS_MeV, react_inelastic
from spotline.physics.proton_cross_sections import (
    HIGHEST_MeV,
    elastic_mb,
    elastic_slope_MeV2,
    inelastic_mb,
    mass_number,
)
from spotline.physics.transport.products import Products, add_product
from spotline.random import Sequence as Random
from spotline.random import draw_uniform
from spotline.units import ATOMIC_MASS_UNIT_MeV

MOST_ELEMENTS = 14
"""Elements in a material."""
STEP_MeV = 0.5
AVOGADRO_PER_MB_MOL = 6.022_140_76e-4
"""Avogadro's number times one millibarn, in cm2/mol."""

INELASTIC_SCALE = 0.923
"""On the inelastic cross sections of ICRU 63; fitted to depth doses with the parameters of
`spotline.physics.proton_cascade`.  Geant4 takes 0.95 of ICRU 63 for oxygen at 150 MeV."""

PROTON_INDEX = INDEX["1H"]
TWO_PI = 2.0 * math.pi


class ProtonTables(NamedTuple):
    """Reactions of protons in a material, on energies from 0 to `HIGHEST_MeV` in steps of `STEP_MeV`.

    `react_proton` takes the tables of several materials, stacked along a first axis.

    Attributes
    ----------
    energy_MeV : ndarray, shape (n,)
        Kinetic energies.
    total_cm2_g : ndarray, shape (n,)
        Macroscopic cross section of all reactions together.
    cumulative : ndarray, shape (n, 2 * MOST_ELEMENTS)
        Probability of this or an earlier channel; elastic and inelastic in turn, element by element.
    charge, mass_number : ndarray of int, shape (MOST_ELEMENTS,)
        Of the target nuclei.
    mass_MeV : ndarray, shape (MOST_ELEMENTS,)
        Of the target nuclei.
    slope_MeV2 : ndarray, shape (MOST_ELEMENTS,)
        Slope of elastic scattering.
    barrier_MeV : ndarray, shape (MOST_ELEMENTS,)
        Coulomb energy of a proton at the surface of the nucleus.
    parameters : ndarray, shape (len(PARAMETERS),)
        Of the inelastic reactions.
    """

    energy_MeV: Floats
    total_cm2_g: Floats
    cumulative: Floats
    charge: Integers
    mass_number: Integers
    mass_MeV: Floats
    slope_MeV2: Floats
    barrier_MeV: Floats
    parameters: Floats


def proton_tables(material: Material) -> ProtonTables:
    """Make the tables of one material.

    Raises
    ------
    PhysicsError
        If it has an element without cross sections, or too many elements.
    """
    composition = material.composition
    if len(composition) > MOST_ELEMENTS:
        raise PhysicsError(
            f"nuclear reactions in {material.name}: {len(composition)} elements, but there is room for "
            f"{MOST_ELEMENTS}; leave out the least"
        )
    energy = np.arange(0.0, HIGHEST_MeV + STEP_MeV, STEP_MeV)
    channels = np.zeros((len(energy), 2 * MOST_ELEMENTS))
    charge = np.ones(MOST_ELEMENTS, dtype=np.int64)
    nucleons = np.ones(MOST_ELEMENTS, dtype=np.int64)
    for index, (z, fraction) in enumerate(composition):
        charge[index], nucleons[index] = z, mass_number(z)
        atoms = fraction * AVOGADRO_PER_MB_MOL / ELEMENTS[z].atomic_mass_u
        channels[:, 2 * index] = atoms * elastic_mb(z, energy)
        channels[:, 2 * index + 1] = atoms * INELASTIC_SCALE * inelastic_mb(z, energy)
    cumulative = np.cumsum(channels, axis=1)
    total = cumulative[:, -1].copy()
    cumulative /= np.where(total > 0.0, total, 1.0)[:, np.newaxis]
    # e^2 = 1.44 MeV fm; two touching spheres of 1.4 fm A^(1/3).
    barrier = 1.44 * (charge - 1) / (1.4 * (np.cbrt(nucleons) + 1.0))
    return ProtonTables(
        energy_MeV=energy,
        total_cm2_g=total,
        cumulative=cumulative,
        charge=charge,
        mass_number=nucleons,
        mass_MeV=nucleons.astype(float) * ATOMIC_MASS_UNIT_MeV,
        slope_MeV2=elastic_slope_MeV2(nucleons),
        barrier_MeV=barrier,
        parameters=np.array(list(PARAMETERS.values())),
    )


def stacked(materials: Sequence[Material]) -> ProtonTables:
    """Tables of several materials, stacked along a first axis."""
    tables = [proton_tables(material) for material in materials]
    return ProtonTables(*(np.stack(fields) for fields in zip(*tables, strict=True)))


def proton_reactions_cm2_g(energy_MeV: ArrayLike, material: Material) -> Floats:
    """Macroscopic cross section of all nuclear reactions of protons; same shape as `energy_MeV`."""
    tables = proton_tables(material)
    total: Floats = np.interp(np.asarray(energy_MeV, dtype=float), tables.energy_MeV, tables.total_cm2_g)
    return total


@kernel
def react_proton(
    tables: ProtonTables, material: int, energy_MeV: float, rng: Random, products: Products
) -> tuple[int, float]:
    """Sample one nuclear reaction of a proton.

    Parameters
    ----------
    tables : ProtonTables
        Of all materials, stacked along a first axis.
    material : int
        Which of them.
    energy_MeV : float
        Kinetic energy of the proton.
    rng : ndarray of uint64, shape (1,)
        Random sequence.
    products : Products
        Takes the charged particles that go on, the scattered proton among them, and neutrons; directions
        relative to the proton's.

    Returns
    -------
    number : int
        Of particles.
    local_MeV : float
        Energy left on the spot by particles of short range.
    """
    rows = tables.cumulative.shape[1]
    row = min(max(int(energy_MeV / STEP_MeV + 0.5), 0), rows - 1)
    chance = draw_uniform(rng)
    channel = 0
    while channel < 2 * MOST_ELEMENTS - 1 and tables.cumulative[material, row, channel] <= chance:
        channel += 1
    target = channel // 2
    if channel % 2 == 1:
        return react_inelastic(
            energy_MeV,
            tables.charge[material, target],
            tables.mass_number[material, target],
            tables.barrier_MeV[material, target],
            tables.parameters[material],
            rng,
            products,
        )
    if tables.mass_number[material, target] == 1:
        return _scatter_on_proton(energy_MeV, rng, products), 0.0
    mass, slope = tables.mass_MeV[material, target], tables.slope_MeV2[material, target]
    return 1, _scatter_on_nucleus(energy_MeV, mass, slope, rng, products)


@kernel
def _scatter_on_proton(energy_MeV: float, rng: Random, products: Products) -> int:
    # Isotropic in the centre of mass: energies in the laboratory are uniform.  For equal masses, angle and
    # energy belong together by cos^2 = T' (T + 2 m) / (T (T' + 2 m)).
    share, phi = draw_uniform(rng), TWO_PI * draw_uniform(rng)
    cosine, sine = math.cos(phi), math.sin(phi)
    number = 0
    for side in range(2):
        scattered = energy_MeV * (share if side == 0 else 1.0 - share)
        if scattered <= 0.0:
            continue
        w = math.sqrt(
            scattered
            * (energy_MeV + 2.0 * PROTON_MASS_MeV)
            / (energy_MeV * (scattered + 2.0 * PROTON_MASS_MeV))
        )
        w = min(w, 1.0)
        across = math.sqrt(1.0 - w * w) * (1.0 if side == 0 else -1.0)
        number = add_product(products, number, PROTON_INDEX, scattered, across * cosine, across * sine, w)
    return number


@kernel
def _scatter_on_nucleus(
    energy_MeV: float, mass_MeV: float, slope_MeV2: float, rng: Random, products: Products
) -> float:
    m = PROTON_MASS_MeV
    squared = energy_MeV * (energy_MeV + 2.0 * m)
    s = m * m + mass_MeV * mass_MeV + 2.0 * mass_MeV * (energy_MeV + m)
    largest = 4.0 * squared * mass_MeV * mass_MeV / s
    transfer = -math.log(1.0 - draw_uniform(rng) * (1.0 - math.exp(-slope_MeV2 * largest))) / slope_MeV2
    recoil = transfer / (2.0 * mass_MeV)
    after = energy_MeV - recoil
    momenta = math.sqrt(squared * after * (after + 2.0 * m))
    w = ((energy_MeV + m) * (after + m) - m * m - 0.5 * transfer) / momenta
    w = min(max(w, -1.0), 1.0)
    across, phi = math.sqrt(1.0 - w * w), TWO_PI * draw_uniform(rng)
    add_product(products, 0, PROTON_INDEX, after, across * math.cos(phi), across * math.sin(phi), w)
    return recoil
