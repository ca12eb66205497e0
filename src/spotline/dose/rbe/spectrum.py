"""Means of a quantity over the particles at each depth, weighted with the dose that they leave.

The weight of a particle is its LET: of fluence F and quantity q it is ``sum(F LET q) / sum(F LET)``, as the
coefficients of the linear-quadratic model are averaged in a mixed field (Zaider and Rossi, Radiat. Res. 83
(1980) 732).

The spectra of the library lie some mm apart where LET grows tenfold within one, so what ends in the peak is
followed along its range instead of being interpolated:

* Primaries that have not reacted have a normal distribution of residual range, of the mean and standard
  deviation of the entry, and the fluence that the spectra say.
* So do secondaries that fly along with them (scattered, or with a neutron less): those of the spectrum before
  go on along their ranges, and those of the one behind come back; the nearer one counts more.
* All other secondaries change slowly with depth and are interpolated.  Each charge number stands for one
  nuclide: at the same energy per nucleon LET and radial dose depend on the charge.
* What reactions leave on the spot (slow recoils of the target) is not in the spectra and has the mean of the
  rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from spotline.arrays import Floats
from spotline.errors import DoseError
from spotline.machine.library import Entry
from spotline.physics.ions import Ion
from spotline.physics.let import let_keV_um
from spotline.physics.materials import WATER
from spotline.physics.nuclei import INDEX, SPECIES
from spotline.physics.stopping import HIGHEST_ENERGY_MeV_u, LOWEST_ENERGY_MeV_u, RangeEnergy

OfDepth = Callable[[Floats], Floats]
"""Quantities at depths of shape (m,) in mm: shape (m, q)."""
OfParticle = Callable[[int, Floats], Floats]
"""Quantities of a charge number at energies of shape (n,) in MeV/u: shape (n, q)."""

NUCLIDES: tuple[Ion, ...] = tuple(
    SPECIES[INDEX[symbol]] for symbol in ("1H", "4He", "7Li", "9Be", "11B", "12C", "14N", "16O")
)
"""What stands for the secondaries of each charge number from 1 on."""

ENERGIES_MeV_u: Floats = np.geomspace(LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u, 2000)
BEYOND_MeV_u = 1000.0
"""From the highest energy of the stopping power to here LET counts as constant; the spectra of a beam of
400 MeV/u, with a proton here and there, end at 880 MeV/u."""
SIGMAS = 5.0
CELLS = 60
"""The distribution of residual range is cut into so many cells over so many standard deviations each side."""
COMPANION = 0.5
"""A secondary of the beam's charge flies along if it has more than this part of the primaries' way left."""
FAINTEST = 1e-7
"""Where less than this part of the largest dose is, the means are those of the depth before."""
REACHING = 0.9
"""Planes that less than this part of the primaries reaches say nothing of how many have reacted."""


class Track(NamedTuple):
    """Sums along the way that an ion has left, from 0 on.

    Attributes
    ----------
    energy_MeV_u, range_mm : ndarray, shape (n,)
        Ascending from 0.
    left : ndarray, shape (n, 1 + q)
        Integral of LET, and of LET times each quantity, in MeV times the quantity.
    """

    energy_MeV_u: Floats
    range_mm: Floats
    left: Floats

    def mean(self, edges_mm: Floats) -> Floats:
        """LET, and LET times each quantity, as means over pieces of residual range.

        Parameters
        ----------
        edges_mm : ndarray, shape (m, k + 1)
            Ascending along the last axis; what is negative has stopped.

        Returns
        -------
        ndarray, shape (1 + q, m, k)
            In keV/um (which is MeV/mm) times the quantity.
        """
        width = np.diff(edges_mm, axis=1)
        rest = np.maximum(edges_mm, 0.0)
        return np.stack(
            [np.diff(np.interp(rest, self.range_mm, column), axis=1) / width for column in self.left.T]
        )


def dose_weighted(entry: Entry, of_particle: OfParticle) -> OfDepth:
    """Average quantities of particles over an entry of the library.

    Parameters
    ----------
    entry : Entry
        What the beam does in water.
    of_particle : callable
        Gives the quantities of a charge number (1 to 8) at some energies.

    Returns
    -------
    callable
        Gives the means at any depths, straight between the depths of the entry.

    Raises
    ------
    DoseError
        If the entry has no spectra.
    """
    if not np.any(entry.spectrum):
        raise DoseError(
            f"{entry.ion.name} of {entry.energy_MeV_u:g} MeV/u: the beam library has no spectra, which a "
            "model of RBE needs; make the library anew"
        )
    depth = np.concatenate([[0.0], entry.depth_mm])
    sums = of_primaries(entry, depth, of_particle) + of_secondaries(entry, depth, of_particle)
    # Where nothing comes any more, the means of the last particles go on.
    known = sums[:, 0] > FAINTEST * sums[:, 0].max()
    last = np.maximum.accumulate(np.where(known, np.arange(len(depth)), 0))
    mean = (sums[:, 1:] / np.maximum(sums[:, :1], np.finfo(float).tiny))[last]

    def at(depth_mm: Floats) -> Floats:
        return np.column_stack([np.interp(depth_mm, depth, column) for column in mean.T])

    return at


def of_primaries(entry: Entry, depth_mm: Floats, of_particle: OfParticle) -> Floats:
    """Dose of primaries that have not reacted, and dose times each quantity.

    Returns
    -------
    ndarray, shape (n, 1 + q)
        Per primary, in MeV/mm.
    """
    track = _track(entry.ion, of_particle)
    edges = np.linspace(-SIGMAS, SIGMAS, CELLS + 1)
    rest_mm = entry.range_mm - depth_mm[:, None] + entry.sigma_mm * edges
    sums = (track.mean(rest_mm) @ np.diff(ndtr(edges))).T
    dose: Floats = sums * _unreacted(entry, depth_mm)[:, None]
    return dose


def of_secondaries(entry: Entry, depth_mm: Floats, of_particle: OfParticle) -> Floats:
    """Dose of what primaries set free, and dose times each quantity; returns as `of_primaries`."""
    planes = entry.plane_mm
    behind = np.clip(np.searchsorted(planes, depth_mm), 1, len(planes) - 1)
    share = np.clip((depth_mm - planes[behind - 1]) / (planes[behind] - planes[behind - 1]), 0.0, 1.0)
    quantities = of_particle(entry.ion.charge_number, ENERGIES_MeV_u[:1]).shape[1]
    sums: Floats = np.zeros((len(depth_mm), 1 + quantities))
    for charge_number, nuclide in enumerate(NUCLIDES, start=1):
        spectrum = entry.spectrum[:, charge_number, :]
        if not np.any(spectrum):
            continue
        track = _track(nuclide, of_particle)
        edges_mm = np.interp(entry.spectrum_edges_MeV_u, track.energy_MeV_u, track.range_mm)
        edges_mm[0] = 0.0  # the first bin holds all that are slower too
        companions = np.zeros_like(spectrum)
        if charge_number == entry.ion.charge_number:
            rest_mm = np.maximum(entry.range_mm - planes, 0.0)[:, None]
            companions = np.where(edges_mm[1:] > COMPANION * rest_mm, spectrum, 0.0)
        others = (spectrum - companions) @ track.mean(edges_mm[None, :])[:, 0].T
        sums = sums + (1.0 - share)[:, None] * others[behind - 1] + share[:, None] * others[behind]
        if np.any(companions):
            for plane, weight in ((behind - 1, 1.0 - share), (behind, share)):
                mean = track.mean(edges_mm - (depth_mm - planes[plane])[:, None])
                sums = sums + np.einsum("qnk,nk->nq", mean, weight[:, None] * companions[plane])
    return sums


def _unreacted(entry: Entry, depth_mm: Floats) -> Floats:
    """Fluence of primaries that have not reacted, until they stop or reach a depth."""
    reach = ndtr((entry.range_mm - entry.plane_mm) / entry.sigma_mm)
    crossing = entry.spectrum[:, 0, :].sum(axis=1)
    usable = (reach > REACHING) & (crossing > 0.0)
    if not usable.any():
        return np.zeros_like(depth_mm)
    numbers = np.log(crossing[usable] / reach[usable])
    number: Floats = np.exp(np.interp(depth_mm, entry.plane_mm[usable], numbers))
    return number


def _track(ion: Ion, of_particle: OfParticle) -> Track:
    range_mm, let = _range_and_let(ion)
    quantities = np.column_stack([np.ones_like(let), of_particle(ion.charge_number, ENERGIES_MeV_u)])
    rates = let[:, None] * quantities
    steps = 0.5 * np.diff(range_mm)[:, None] * (rates[1:] + rates[:-1])
    # Below the lowest energy LET falls: of the range there, the energy is what counts.
    first = ENERGIES_MeV_u[0] * ion.mass_number * quantities[:1]
    beyond_mm = (BEYOND_MeV_u - HIGHEST_ENERGY_MeV_u) * ion.mass_number / let[-1]
    left = np.cumsum(np.vstack([0.0 * first, first, steps, beyond_mm * rates[-1:]]), axis=0)
    return Track(
        np.concatenate([[0.0], ENERGIES_MeV_u, [BEYOND_MeV_u]]),
        np.concatenate([[0.0], range_mm, range_mm[-1:] + beyond_mm]),
        left,
    )


@functools.cache
def _range_and_let(ion: Ion) -> tuple[Floats, Floats]:
    """Range in mm of water, and LET in keV/um, at `ENERGIES_MeV_u`."""
    energies = np.clip(ENERGIES_MeV_u, LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u)
    return RangeEnergy(ion, WATER).range_mm(energies), let_keV_um(ion, energies)
