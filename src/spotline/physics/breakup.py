"""Statistical break-up of excited light nuclei.

Fermi's model of break-up: the excited nucleus goes at once into fragments, and each set of fragments has the
weight of its phase space, that of n free particles in a volume whose momenta add up to 0 (Fermi, Prog. Theor.
Phys. 5 (1950) 570; for light nuclei Botvina et al., Nucl. Phys. A 475 (1987) 663)::

    W = (V / (2 pi hbar)^3)^(n-1) * prod g_i / prod n_j! * (prod m_i / sum m_i)^(3/2)
        * (2 pi)^(3(n-1)/2) / Gamma(3(n-1)/2) * E_kin^(3(n-1)/2 - 1)

V is the volume at break-up, `VOLUME_FACTOR` times that of the nucleus; E_kin what is left of the excitation
behind masses, levels of the fragments and Coulomb barrier.  Fragments that live long enough are species of
the Monte Carlo; what falls apart at once (5He, 5Li, 8Be, 9B and levels above a threshold) is replaced by its
products.  6He, 8Li, 8B and other nuclei outside the species are left out: all of them together are a few
hundredths of the fragments of carbon.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats
from spotline.physics.nuclei import SPECIES
from spotline.units import ATOMIC_MASS_UNIT_MeV

Nuclide = tuple[int, int]
"""Atomic number and mass number."""
Set = tuple[int, ...]
"""How many of each final fragment: neutrons first, then by index of `SPECIES`."""

HBAR_C_MEV_FM = 197.326_980
RADIUS_FM = 1.3
"""Radius of a nucleon in a nucleus, for the volume at break-up."""
VOLUME_FACTOR = 0.25
"""Volume at break-up over that of the nucleus, for phase space and Coulomb barrier alike.

Botvina et al. take 2, which suits higher excitations.  This one is fitted to the isotopes that 12C leaves
on carbon (Kidd et al., Phys. Rev. C 37 (1988) 2613): the smaller it is, the fewer fragments there are."""
MOST_FRAGMENTS = 16
"""All nucleons apart."""

# Mass excess in MeV: AME2020, Wang et al., Chinese Physics C 45 (2021) 030003.
MASS_EXCESS_MeV: dict[Nuclide, float] = {
    (0, 1): 8.0713, (1, 1): 7.2890, (1, 2): 13.1357, (1, 3): 14.9498, (2, 3): 14.9312, (2, 4): 2.4249,
    (2, 5): 11.231, (2, 6): 17.592, (3, 5): 11.679, (3, 6): 14.0869, (3, 7): 14.9071, (3, 8): 20.9458,
    (3, 9): 24.955, (4, 6): 18.375, (4, 7): 15.7690, (4, 8): 4.9417, (4, 9): 11.3485, (4, 10): 12.6075,
    (4, 11): 20.177, (5, 8): 22.9216, (5, 9): 12.4165, (5, 10): 12.0506, (5, 11): 8.6677, (5, 12): 13.3694,
    (5, 13): 16.562, (6, 9): 28.911, (6, 10): 15.6988, (6, 11): 10.6503, (6, 12): 0.0, (6, 13): 3.1250,
    (6, 14): 3.0199, (7, 12): 17.338, (7, 13): 5.3455, (7, 14): 2.8634, (7, 15): 0.1014, (8, 13): 23.115,
    (8, 14): 8.0078, (8, 15): 2.8556, (8, 16): -4.7370,
}  # fmt: skip

# Levels: energy in MeV and 2 J + 1.  Ajzenberg-Selove, Nucl. Phys. A 490 (1988) 1, A 506 (1990) 1, A 523
# (1991) 1 and A 460 (1986) 1; Tilley et al., Nucl. Phys. A 708 (2002) 3 and A 745 (2004) 155.
_LEVELS: dict[Nuclide, tuple[tuple[float, int], ...]] = {
    (0, 1): ((0.0, 2),),
    (1, 1): ((0.0, 2),),
    (1, 2): ((0.0, 3),),
    (1, 3): ((0.0, 2),),
    (2, 3): ((0.0, 2),),
    (2, 4): ((0.0, 1),),
    (3, 6): ((0.0, 3), (3.563, 1)),
    (3, 7): ((0.0, 4), (0.478, 2)),
    (4, 7): ((0.0, 4), (0.429, 2)),
    (4, 9): ((0.0, 4),),
    (4, 10): ((0.0, 1), (3.368, 5), (6.0, 9), (6.26, 5)),
    (5, 10): ((0.0, 7), (0.718, 3), (1.740, 1), (2.154, 3), (3.587, 5)),
    (5, 11): ((0.0, 4), (2.125, 2), (4.445, 6), (5.020, 4), (6.76, 10), (7.286, 6), (7.978, 4), (8.560, 4)),
    (6, 10): ((0.0, 1), (3.354, 5)),
    (6, 11): ((0.0, 4), (2.000, 2), (4.319, 6), (4.804, 4), (6.40, 10), (6.905, 6), (7.500, 4)),
    (6, 12): ((0.0, 1), (4.440, 5)),
    (6, 13): ((0.0, 2), (3.089, 2), (3.77, 10)),
    (7, 13): ((0.0, 2),),
    (7, 14): ((0.0, 3), (2.313, 1), (3.948, 3), (5.0, 6), (5.76, 10), (6.30, 10), (7.029, 5)),
    (7, 15): ((0.0, 2), (5.28, 8), (6.324, 4), (7.23, 10), (7.567, 8), (8.40, 6), (9.1, 16), (9.9, 10)),
    (8, 15): ((0.0, 2), (5.21, 8), (6.176, 4), (6.83, 10), (7.276, 8)),
    (8, 16): ((0.0, 1), (6.10, 8), (7.0, 8)),
}

# Ground states and levels that fall apart at once: energy, 2 J + 1, products.
_UNBOUND: dict[Nuclide, tuple[tuple[float, int, tuple[Nuclide, ...]], ...]] = {
    (2, 5): ((0.0, 4, ((2, 4), (0, 1))),),
    (3, 5): ((0.0, 4, ((2, 4), (1, 1))),),
    (3, 6): ((2.186, 7, ((2, 4), (1, 2))), (4.312, 5, ((2, 4), (1, 2)))),
    (3, 7): ((4.652, 8, ((2, 4), (1, 3))), (6.604, 6, ((2, 4), (1, 3)))),
    (4, 7): ((4.570, 8, ((2, 4), (2, 3))), (6.73, 6, ((2, 4), (2, 3)))),
    (4, 8): ((0.0, 1, ((2, 4), (2, 4))), (3.03, 5, ((2, 4), (2, 4))), (11.35, 9, ((2, 4), (2, 4)))),
    (4, 9): ((2.429, 6, ((2, 4), (2, 4), (0, 1))), (3.0, 8, ((2, 4), (2, 4), (0, 1)))),
    (5, 9): ((0.0, 4, ((2, 4), (2, 4), (1, 1))), (2.36, 6, ((2, 4), (2, 4), (1, 1)))),
    (5, 10): ((4.774, 7, ((3, 6), (2, 4))), (5.110, 5, ((3, 6), (2, 4))), (6.0, 19, ((3, 6), (2, 4)))),
    (6, 12): ((7.654, 1, ((2, 4),) * 3), (9.641, 7, ((2, 4),) * 3), (10.84, 3, ((2, 4),) * 3)),
}

FINAL: tuple[Nuclide, ...] = ((0, 1), *((ion.charge_number, ion.mass_number) for ion in SPECIES))
"""What a break-up ends in: neutrons and the species."""
_FINAL_INDEX = {nuclide: index for index, nuclide in enumerate(FINAL)}


@dataclass(frozen=True, slots=True)
class Breakup:
    """What an excited nucleus goes into.

    Attributes
    ----------
    sets : tuple of Set
        All sets of final fragments.
    probability : ndarray, shape (n_energies, n_sets)
        At each excitation energy asked for.
    kinetic_MeV : ndarray, shape (n_energies, n_sets)
        Mean kinetic energy of all fragments together, in the frame of the nucleus.
    """

    sets: tuple[Set, ...]
    probability: Floats
    kinetic_MeV: Floats


def final_set(nuclides: tuple[Nuclide, ...]) -> Set:
    """Count nuclides."""
    count = [0] * len(FINAL)
    for nuclide in nuclides:
        count[_FINAL_INDEX[nuclide]] += 1
    return tuple(count)


def _states(nuclide: Nuclide) -> list[tuple[float, int, tuple[Nuclide, ...]]]:
    bound = [(energy, g, (nuclide,)) for energy, g in _LEVELS.get(nuclide, ())]
    return bound + list(_UNBOUND.get(nuclide, ()))


_FRAGMENTS: tuple[Nuclide, ...] = tuple(sorted({*_LEVELS, *_UNBOUND}, key=lambda n: (-n[1], n[0])))


def _partitions(z: int, a: int, first: int, left: int) -> list[tuple[Nuclide, ...]]:
    """All multisets of at most `left` fragments from number `first` on with this charge and mass."""
    if a == 0:
        return [()] if z == 0 else []
    found: list[tuple[Nuclide, ...]] = []
    if left == 0:
        return found
    for index in range(first, len(_FRAGMENTS)):
        fragment = _FRAGMENTS[index]
        rest_z, rest_a = z - fragment[0], a - fragment[1]
        if 0 <= rest_z <= rest_a and fragment[1] * left >= a:
            found += [(fragment, *tail) for tail in _partitions(rest_z, rest_a, index, left - 1)]
    return found


def mass_excess_MeV(nuclide: Nuclide) -> float:
    """Mass excess; for a nucleus so far from stability that it has none here, that of alphas and nucleons."""
    if nuclide in MASS_EXCESS_MeV:
        return MASS_EXCESS_MeV[nuclide]
    z, n = nuclide[0], nuclide[1] - nuclide[0]
    alphas = min(z // 2, n // 2)
    rest = (z - 2 * alphas) * MASS_EXCESS_MeV[1, 1] + (n - 2 * alphas) * MASS_EXCESS_MeV[0, 1]
    return alphas * MASS_EXCESS_MeV[2, 4] + rest


def _mass_MeV(nuclide: Nuclide) -> float:
    return nuclide[1] * ATOMIC_MASS_UNIT_MeV + mass_excess_MeV(nuclide)


def _barrier_MeV(z: int, a: int, fragments: tuple[Nuclide, ...]) -> float:
    """Coulomb energy that the fragments gain when they part (Botvina et al. 1987)."""
    own = sum(f[0] ** 2 / f[1] ** (1.0 / 3.0) for f in fragments)
    whole = 0.6 * 1.44 / RADIUS_FM * VOLUME_FACTOR ** (-1.0 / 3.0)
    return max(whole * (z**2 / a ** (1.0 / 3.0) - own), 0.0)


@dataclass(frozen=True, slots=True)
class _Ways:
    """All ways of a nucleus: threshold, barrier, power of the kinetic energy, logarithm of the prefactor."""

    threshold_MeV: Floats
    barrier_MeV: Floats
    power: Floats
    log_factor: Floats
    set_index: NDArray[np.int64]
    sets: tuple[Set, ...]


@functools.cache
def _ways(z: int, a: int) -> _Ways:
    ground = mass_excess_MeV((z, a))
    volume = VOLUME_FACTOR * 4.0 / 3.0 * math.pi * RADIUS_FM**3 * a
    log_volume = math.log(volume / (2.0 * math.pi * HBAR_C_MEV_FM) ** 3)
    rows: list[tuple[float, float, float, float, int]] = []
    sets: dict[Set, int] = {}
    for fragments in _partitions(z, a, 0, MOST_FRAGMENTS):
        n = len(fragments)
        if n < 2:
            continue
        masses = [_mass_MeV(f) for f in fragments]
        power = 1.5 * (n - 1) - 1.0
        common = (n - 1) * log_volume + 1.5 * (sum(map(math.log, masses)) - math.log(sum(masses)))
        common += 1.5 * (n - 1) * math.log(2.0 * math.pi) - math.lgamma(power + 1.0)
        common -= sum(math.lgamma(number + 1) for number in Counter(fragments).values())
        barrier = _barrier_MeV(z, a, fragments)
        excess = sum(mass_excess_MeV(f) for f in fragments) - ground
        for states in itertools.product(*map(_states, fragments)):
            final = final_set(tuple(itertools.chain.from_iterable(state[2] for state in states)))
            threshold = excess + sum(state[0] for state in states)
            factor = common + sum(math.log(state[1]) for state in states)
            rows.append((threshold, barrier, power, factor, sets.setdefault(final, len(sets))))
    columns = [np.array(column, dtype=float) for column in zip(*rows, strict=True)]
    return _Ways(columns[0], columns[1], columns[2], columns[3], columns[4].astype(np.int64), tuple(sets))


def breakup_threshold_MeV(z: int, a: int) -> float:
    """Excitation from which a nucleus of two nucleons or more comes apart, Coulomb barrier included."""
    ways = _ways(z, a)
    return float(np.min(ways.threshold_MeV + ways.barrier_MeV))


def break_up(z: int, a: int, excitation_MeV: Floats) -> Breakup:
    """Tell what a nucleus of some excitation goes into.

    Parameters
    ----------
    z, a : int
        Atomic number and mass number, 1 <= A <= 16.
    excitation_MeV : ndarray, shape (n_energies,)
        Energy above the ground state, >= 0.

    Returns
    -------
    Breakup
        Where no break-up is open, the nucleus itself (it loses its energy to gammas), or what it goes into
        with the least energy if it is none of the species.
    """
    nuclide = (z, a)
    whole = final_set((nuclide,)) if nuclide in _FINAL_INDEX else None
    n_energies = excitation_MeV.size
    if whole is not None and a == 1:
        return Breakup((whole,), np.ones((n_energies, 1)), np.zeros((n_energies, 1)))
    ways = _ways(z, a)
    available = excitation_MeV[:, None] - ways.threshold_MeV
    phase_space = np.maximum(available - ways.barrier_MeV, 1e-30)
    log_weight = np.where(
        available > ways.barrier_MeV, ways.log_factor + ways.power * np.log(phase_space), -np.inf
    )
    top = np.max(log_weight, axis=1, keepdims=True)
    is_open = np.isfinite(top[:, 0])
    weight = np.exp(log_weight - np.where(np.isfinite(top), top, 0.0))
    sets = ways.sets if whole is None or whole in ways.sets else (*ways.sets, whole)
    kinetic = np.zeros((n_energies, len(sets)))
    one_hot = ways.set_index[:, None] == np.arange(len(sets))
    probability = weight @ one_hot
    kinetic = np.divide((weight * available) @ one_hot, probability, where=probability > 0.0, out=kinetic)
    total = probability.sum(axis=1, keepdims=True)
    probability = np.divide(probability, total, where=total > 0.0, out=np.zeros_like(probability))
    if not np.all(is_open):
        cheapest = int(ways.set_index[np.argmin(ways.threshold_MeV)])
        probability[~is_open, sets.index(whole) if whole is not None else cheapest] = 1.0
    return Breakup(sets, probability, kinetic)
