"""Where the beam library keeps numbers: depths, rings, planes and energy bins of one entry.

All entries have the same number of each, placed by the same rule from range and width of the peak.  So the
arrays of a library are rectangular, and what has the same index in two neighbouring entries lies at the
same place of their Bragg curves: an entry between two energies is the mean of both, index by index.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from spotline.arrays import Floats
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import LOWEST_ENERGY_MeV_u, RangeEnergy

N_PLATEAU, N_PEAK, N_TAIL = 80, 160, 50
N_DEPTHS = N_PLATEAU + N_PEAK + N_TAIL
"""Depth bins of an entry."""
PEAK_SIGMAS = (16.0, 8.0)
"""The fine bins reach so many standard deviations of the range before and behind the mean range."""
GROWTHS = (1e-3, 5.0)
"""Between these lies the relative growth of the bins away from the fine ones."""
ENTRANCE_mm = 1.0
"""Width of the first bins, which see secondaries build up."""
TAIL = (1.6, 60.0)
"""Depths end at so many times the range plus so many mm: behind an ion's peak, fragments go on."""

N_RINGS = 48
RING_EDGES_mm: Floats = np.concatenate([[0.0], np.geomspace(0.02, 200.0, N_RINGS)])
"""Rings of the lateral distribution, from the spread of a carbon ion near the surface to all of the field."""
RING_SIGMAS = (-3.0, -1.0, 0.0, 1.0, 2.0, 3.0, 6.0)
"""Edges of the depth bins of the rings where primaries end, in standard deviations of the range around it:
there the lateral shape turns from that of primaries into that of what they left."""
RING_FAR = 1.4
"""The rings reach to so many times the range."""
WIDEST_END = 0.125
"""For these edges the standard deviation is no more than this part of the range."""

PLANES = np.concatenate([np.linspace(0.0, 0.9, 10), np.array([0.95, 0.98, 1.0]), np.linspace(1.05, 1.6, 7)])
"""Depths of the spectra as fractions of the range; the first one is just below the surface."""
N_SLOW, N_FAST = 8, 56
N_SPECTRUM = N_SLOW + N_FAST
SPECTRUM_ENDS = (0.01, 2.2)
"""Ends of the fast energy bins as fractions of the beam's energy: protons may be faster than the ion they
left.  Below, down to the lowest energy of the stopping power, a few wide bins do: there particles slow down
at the same rate as others come after, so that all residual ranges are equally frequent."""

_ENDS = np.geomspace(1e-6, 0.5, 1500)
_PLACES = np.unique(np.concatenate([[0.0], _ENDS, 1.0 - _ENDS, [1.0]]))
"""From 0 to 1, close together at both ends, where bins may be narrow."""


def range_sigma_mm(ion: Ion, energy_MeV_u: float, sigma_relative: float) -> float:
    """Standard deviation of the range in water of a beam, to lay out the bins.

    Straggling of protons by Bortfeld, Med. Phys. 24 (1997) 2024, eq. 18, less for heavier ions by the root
    of the mass number; and in quadrature the spread of the energy.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    sigma_relative : float
        Relative standard deviation of the energy.
    """
    table = RangeEnergy(ion, WATER)
    range_mm = float(table.range_mm(energy_MeV_u))
    straggling_mm = 0.12 * (range_mm / 10.0) ** 0.935 / math.sqrt(ion.mass_number)
    step = 1e-3 * energy_MeV_u
    slope = float(table.range_mm(energy_MeV_u + step) - table.range_mm(energy_MeV_u - step)) / (2.0 * step)
    return math.hypot(straggling_mm, slope * sigma_relative * energy_MeV_u)


def depth_edges_mm(range_mm: float, sigma_mm: float) -> Floats:
    """Edges of the depth bins, shape (N_DEPTHS + 1,), from 0 on.

    Parameters
    ----------
    range_mm : float
        Mean range of the primaries.
    sigma_mm : float
        Its standard deviation, all causes together.
    """
    before, behind = PEAK_SIGMAS
    first = max(range_mm - before * sigma_mm, 0.2 * range_mm)
    last = range_mm + behind * sigma_mm
    fine = (last - first) / N_PEAK
    far = TAIL[0] * last + TAIL[1]
    plateau = _spread(
        0.0,
        first,
        N_PLATEAU,
        lambda z, growth: 1.0 / (fine + growth * (first - z)) + 1.0 / (ENTRANCE_mm + 2.0 * growth * z),
    )
    tail = _spread(last, far, N_TAIL, lambda z, growth: 1.0 / (fine + growth * (z - last)))
    return np.concatenate([plateau[:-1], np.linspace(first, last, N_PEAK + 1), tail[1:]])


def ring_depth_edges_mm(range_mm: float, sigma_mm: float) -> Floats:
    """Edges of the depth bins of the rings, ascending from 0.

    Parameters
    ----------
    range_mm : float
        Mean range of the primaries.
    sigma_mm : float
        Its standard deviation.
    """
    sigma_mm = min(sigma_mm, WIDEST_END * range_mm)
    end = range_mm + sigma_mm * np.array(RING_SIGMAS)
    plateau = min(0.9 * range_mm, range_mm - 6.0 * sigma_mm)
    far = max(RING_FAR * range_mm, range_mm + 12.0 * sigma_mm)
    return np.concatenate(
        [
            np.linspace(0.0, plateau, 19),
            np.linspace(plateau, end[0], 4)[1:-1],
            end,
            np.linspace(end[-1], far, 5)[1:],
        ]
    )


def end_of_primaries(ring_depth_mm: Floats, range_mm: float, sigma_mm: float) -> tuple[int, int]:
    """Return the first depth bin of the rings in which primaries end, and the first that none reaches.

    Parameters
    ----------
    ring_depth_mm : ndarray, shape (n + 1,)
        Edges of the depth bins.
    range_mm, sigma_mm : float
        As of `ring_depth_edges_mm`.
    """
    # Half a standard deviation aside: the edges are those of depth bins nearby.
    first = np.searchsorted(ring_depth_mm[1:], range_mm - 0.5 * sigma_mm)
    return int(first), int(np.searchsorted(ring_depth_mm, range_mm + 2.5 * sigma_mm))


def planes_mm(range_mm: float) -> Floats:
    """Depths of the spectra; the first one lies at the surface."""
    planes: Floats = PLANES * range_mm
    return planes


def layers_mm(edges_mm: Floats, range_mm: float, sigma_mm: float) -> Floats:
    """First and last depths of the layers in which spectra are scored, shape (n_planes, 2).

    Of one standard deviation of the range around the depths that are wanted, or at least a depth bin: thick
    enough for slow particles to be seen, and thin against what changes in the peak.

    Parameters
    ----------
    edges_mm : ndarray, shape (n + 1,)
        Edges of the depth bins.
    range_mm : float
        Mean range of the primaries.
    sigma_mm : float
        Its standard deviation.
    """
    depth = planes_mm(range_mm)
    first = np.abs(edges_mm[:, None] - (depth - 0.5 * sigma_mm)).argmin(axis=0)
    last = np.abs(edges_mm[:, None] - (depth + 0.5 * sigma_mm)).argmin(axis=0)
    last[0] = 1
    for k in range(1, len(first)):
        first[k] = max(first[k], last[k - 1])
        last[k] = max(last[k], first[k] + 1)
    return np.column_stack([edges_mm[first], edges_mm[last]])


def spectrum_edges_MeV_u(energy_MeV_u: float) -> Floats:
    """Edges of the energy bins of the spectra."""
    first, last = SPECTRUM_ENDS[0] * energy_MeV_u, SPECTRUM_ENDS[1] * energy_MeV_u
    slow, fast = np.geomspace(LOWEST_ENERGY_MeV_u, first, N_SLOW + 1), np.geomspace(first, last, N_FAST + 1)
    return np.concatenate([slow[:-1], fast])


def middles(edges: Floats) -> Floats:
    """Middles of bins, along the last axis."""
    return 0.5 * (edges[..., 1:] + edges[..., :-1])


def _spread(start: float, end: float, bins: int, density: Callable[[Floats, float], Floats]) -> Floats:
    """Edges as dense as a function of place and growth says, with the growth that makes so many bins."""
    places = start + (end - start) * _PLACES

    steps = np.diff(places)
    lengths = 0.5 * (np.append(steps, 0.0) + np.append(0.0, steps))

    def too_many(growth: float) -> float:
        return float(density(places, growth) @ lengths) - bins

    low, high = GROWTHS
    growth = low if too_many(low) < 0.0 else brentq(too_many, low, high)
    rate = density(places, growth)
    counted = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * steps)])
    edges = np.interp(np.linspace(0.0, counted[-1], bins + 1), counted, places)
    edges[0], edges[-1] = start, end
    return edges
