"""A core and a halo fitted to rings of dose around a pencil beam.

The dose in a plane is taken as the sum of three centred Gaussians with the standard deviations
``s_0 < s_1 < s_2`` and shares that add up to 1 (Pedroni et al., Phys. Med. Biol. 50 (2005) 541, for two;
Parodi et al., Phys. Med. Biol. 58 (2013) 3755, on the third that fragments of ions need).  A ring from a to
b has the share ``sum_k w_k [exp(-a^2 / 2 s_k^2) - exp(-b^2 / 2 s_k^2)]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix

from spotline.arrays import Floats

SMOOTHNESS = 0.03
"""Weight of the second differences in depth of all parameters against the square roots of the shares."""
ACROSS = 0.05
"""... and what is left of that weight where primaries end, behind which there are other particles."""
FAINTEST = 1e-3
"""Depths with less than this part of the largest dose are not fitted: they follow from their neighbours."""

WIDEST_mm = 400.0
"""No width is larger: far outside of the rings, more makes no difference."""

# Parameters at one depth: ln s_0, ln s_1/s_0, ln s_2/s_1, share of the halo, share of it in the third.
_LOWEST = np.array([np.log(1e-3), np.log(1.6), np.log(1.5), 0.0, 0.0])
_HIGHEST = np.array([np.log(40.0), np.log(60.0), np.log(30.0), 0.9, 1.0])
_N = len(_LOWEST)


class LateralFit(NamedTuple):
    """Result of `fit_lateral`; the first axis is the depth.

    Attributes
    ----------
    core_mm : ndarray, shape (n,)
    halo_mm, halo_share : ndarray, shape (n, 2)
        Standard deviations and shares of dose of the wider two.
    residual : ndarray, shape (n,)
        Half of the sum over rings of the absolute differences: the part of the dose in a wrong ring.
        NaN where there was nothing to fit.
    """

    core_mm: Floats
    halo_mm: Floats
    halo_share: Floats
    residual: Floats


def fit_lateral(ring_edges_mm: Floats, ring: Floats, before: int, behind: int) -> LateralFit:
    """Fit core and halo at all depths at once.

    Square roots of shares are compared, which have the same noise in all rings; the parameters of
    neighbouring depths are tied to each other by their second differences.

    Parameters
    ----------
    ring_edges_mm : ndarray, shape (n_rings + 1,)
        Ascending from 0.
    ring : ndarray, shape (n, n_rings)
        Energy in each ring, at depths in ascending order.
    before : int
        Number of depths before primaries end.
    behind : int
        Index of the first depth that none of them reaches; between the two they become fewer.
    """
    total = ring.sum(axis=1)
    used = total > FAINTEST * total.max()
    shares = np.where(used[:, None], ring / np.where(used, total, 1.0)[:, None], 0.0)
    roots = np.sqrt(np.maximum(shares, 0.0))
    n = len(total)
    start = _start(ring_edges_mm, shares, used)
    first = np.arange(n - 2)
    ties = SMOOTHNESS * np.where((first < behind) & (first + 2 >= before), ACROSS, 1.0)

    def residuals(flat: Floats) -> Floats:
        parameters = flat.reshape(n, _N)
        model = np.sqrt(_shares(ring_edges_mm, *_unpack(parameters)) + 1e-12)
        misfit = np.where(used[:, None], model - roots, 0.0)
        bends = ties[:, None] * np.diff(parameters, 2, axis=0)
        return np.concatenate([misfit.ravel(), bends.ravel()])

    low, high = np.tile(_LOWEST, n), np.tile(_HIGHEST, n)
    found = least_squares(
        residuals,
        np.clip(start.ravel(), low + 1e-6, high - 1e-6),
        bounds=(low, high),
        jac_sparsity=_sparsity(n, ring.shape[1]),
        loss="soft_l1",
        f_scale=0.05,
        max_nfev=200,
        xtol=1e-6,
        ftol=1e-7,
        gtol=1e-8,
    )
    core, halo, share = _unpack(found.x.reshape(n, _N))
    wrong = 0.5 * np.abs(_shares(ring_edges_mm, core, halo, share) - shares).sum(axis=1)
    return LateralFit(core, halo, share, np.where(used, wrong, np.nan))


def _unpack(parameters: Floats) -> tuple[Floats, Floats, Floats]:
    widths = np.minimum(np.exp(np.cumsum(parameters[:, :3], axis=1)), WIDEST_mm)
    halo, third = parameters[:, 3], parameters[:, 4]
    return widths[:, 0], widths[:, 1:], np.stack([halo * (1.0 - third), halo * third], axis=1)


def _shares(edges_mm: Floats, core_mm: Floats, halo_mm: Floats, halo_share: Floats) -> Floats:
    """Shares of the rings, shape (n, n_rings); what lies outside the last one is left out."""
    widths = np.concatenate([core_mm[:, None], halo_mm], axis=1)[:, :, None]
    weights = np.concatenate([1.0 - halo_share.sum(axis=1, keepdims=True), halo_share], axis=1)[:, :, None]
    outside = np.exp(-0.5 * np.minimum((edges_mm / widths) ** 2, 1400.0))
    shares: Floats = (weights * (outside[:, :, :-1] - outside[:, :, 1:])).sum(axis=1)
    return shares


def _start(edges_mm: Floats, shares: Floats, used: NDArray[np.bool_]) -> Floats:
    """Begin with the core from the radius that holds 40 %, and a halo of a tenth around it."""
    inside = np.cumsum(shares, axis=1)
    start = np.empty((len(shares), _N))
    core = np.full(len(shares), np.nan)
    for k in np.flatnonzero(used):
        radius = np.interp(0.4, inside[k], edges_mm[1:])
        core[k] = radius / np.sqrt(-2.0 * np.log(1.0 - 0.4))
    known = np.flatnonzero(used)
    core = np.interp(np.arange(len(core)), known, core[known])
    start[:, 0] = np.log(np.maximum(core, 2e-3))
    start[:, 1] = np.log(np.maximum(8.0 / np.maximum(core, 2e-3), 4.0)).clip(
        _LOWEST[1] + 0.1, _HIGHEST[1] - 0.1
    )
    start[:, 2] = np.log(3.0)
    start[:, 3] = 0.1
    start[:, 4] = 0.5
    return start


def _sparsity(n: int, n_rings: int) -> lil_matrix:
    """Which residual depends on which parameter."""
    pattern = lil_matrix((n * n_rings + (n - 2) * _N, n * _N), dtype=np.int8)
    for k in range(n):
        pattern[k * n_rings : (k + 1) * n_rings, k * _N : (k + 1) * _N] = 1
    for k in range(n - 2):
        for i in range(_N):
            for step in range(3):
                pattern[n * n_rings + k * _N + i, (k + step) * _N + i] = 1
    return pattern
