"""Figures that sum up a Bragg curve: where its peak is, how wide, and how deep it reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from scipy.interpolate import PchipInterpolator

from spotline.arrays import Floats

TOP = 0.85
"""The peak is the maximum of a quartic through what lies above this part of the highest value, which alone
would follow the noise of the simulation.  For a Bragg curve that moves it by 0.4 % of the width of the
range, and noise of half a percent by 2 %."""
AROUND = 0.12
"""Points so close to a level before the peak, relative to it, take part in placing its crossing."""
STEPS = 40_000
"""Points on which levels are looked for: 0.01 mm and less, the step of the instrument at CNAO."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Figures of one depth dose; depths in mm of water, NaN where the curve does not reach a level.

    Attributes
    ----------
    peak_mm : float
        Depth of the maximum.
    peak_MeV_cm2_g : float
        Dose there.
    R90_mm, R80_mm, R50_mm, R20_mm, R10_mm : float
        Depth behind the peak where the dose has fallen to so many percent.
    FWHM_mm : float
        Width at half of the maximum.
    W80_mm : float
        Width at 80 %.
    distal_80_20_mm : float
        From 80 to 20 % behind the peak.
    entrance_MeV_cm2_g : float
        Dose at the surface.
    """

    peak_mm: float
    peak_MeV_cm2_g: float
    R90_mm: float
    R80_mm: float
    R50_mm: float
    R20_mm: float
    R10_mm: float
    FWHM_mm: float
    W80_mm: float
    distal_80_20_mm: float
    entrance_MeV_cm2_g: float


def ranges_of(depth_mm: Floats, dose: Floats) -> Ranges:
    """Find the figures of a curve.

    Parameters
    ----------
    depth_mm : ndarray, shape (n,)
        Ascending depths.
    dose : ndarray, shape (n,)
        Dose there, in MeV cm2/g.
    """
    peak_mm, peak = _peak(depth_mm, dose)
    curve = PchipInterpolator(depth_mm, dose)
    # Most points go where the slopes are, up to some bins behind the last level.
    end = min(int(np.flatnonzero(dose > 0.08 * peak)[-1]) + 3, len(dose) - 1)
    near = int(np.flatnonzero(dose > 0.6 * peak)[0])
    coarse, close = (
        np.linspace(depth_mm[0], depth_mm[end], STEPS // 4),
        np.linspace(depth_mm[near], depth_mm[end], STEPS),
    )
    fine = np.unique(np.concatenate([coarse, close, [peak_mm]]))
    values = curve(fine)
    before, behind = fine <= peak_mm, fine >= peak_mm
    falls = {
        percent: _crossing(fine[behind], values[behind], peak * percent / 100.0)
        for percent in (90, 80, 50, 20, 10)
    }
    rises = {}
    for percent in (80, 50):
        rises[percent] = _crossing(fine[before][::-1], values[before][::-1], peak * percent / 100.0)
        rises[percent] = _smoothed(depth_mm, dose, peak_mm, rises[percent], peak * percent / 100.0)
    return Ranges(
        peak_mm=peak_mm,
        peak_MeV_cm2_g=peak,
        R90_mm=falls[90],
        R80_mm=falls[80],
        R50_mm=falls[50],
        R20_mm=falls[20],
        R10_mm=falls[10],
        FWHM_mm=falls[50] - rises[50],
        W80_mm=falls[80] - rises[80],
        distal_80_20_mm=falls[20] - falls[80],
        entrance_MeV_cm2_g=float(dose[0]),
    )


def _peak(depth_mm: Floats, dose: Floats) -> tuple[float, float]:
    """Place and height of the maximum."""
    highest = int(np.argmax(dose))
    first = last = highest
    while first > 0 and dose[first - 1] >= TOP * dose[highest]:
        first -= 1
    while last < len(dose) - 1 and dose[last + 1] >= TOP * dose[highest]:
        last += 1
    n = last - first + 1
    if n < 4:
        return float(depth_mm[highest]), float(dose[highest])
    z, d = depth_mm[first : last + 1], dose[first : last + 1]
    # Every bin counts with its width, so that the polynomial does not depend on how bins are laid out.
    fitted = Polynomial.fit(z, d, min(4, n - 2), w=np.sqrt(np.gradient(z)))
    fine = np.linspace(z[0], z[-1], 4001)
    values = fitted(fine)
    at = int(np.argmax(values))
    return float(fine[at]), float(values[at])


def _smoothed(depth_mm: Floats, dose: Floats, peak_mm: float, crossing_mm: float, level: float) -> float:
    """Place a crossing before the peak on a parabola through the points around it.

    There the curve is flat, and the first of its points that noise takes below the level says little.
    """
    if not np.isfinite(crossing_mm):
        return crossing_mm
    before = depth_mm < peak_mm
    high = np.flatnonzero(before & (dose > (1.0 + AROUND) * level))
    low = np.flatnonzero(before & (dose < (1.0 - AROUND) * level))
    first = low[-1] + 1 if len(low) else 0
    last = high[high > first][0] if len(high) and high[-1] > first else len(depth_mm) - 1
    if last - first < 5:
        return crossing_mm
    z, d = depth_mm[first:last], dose[first:last]
    fitted = Polynomial.fit(z, d, 2, w=np.sqrt(np.gradient(z)))
    roots = (fitted - level).roots()
    real = roots[np.isreal(roots)].real
    inside = real[(real >= z[0]) & (real <= z[-1])]
    return float(inside[np.argmin(np.abs(inside - crossing_mm))]) if len(inside) else crossing_mm


def _crossing(depth_mm: Floats, values: Floats, level: float) -> float:
    """First depth from the start of a curve where it is below a level; NaN if it never is."""
    below = np.flatnonzero(values < level)
    if len(below) == 0 or below[0] == 0:
        return float("nan")
    k = below[0]
    share = (values[k - 1] - level) / (values[k - 1] - values[k])
    return float(depth_mm[k - 1] + share * (depth_mm[k] - depth_mm[k - 1]))
