"""Width of a spot from its second moment, when the spot is closed.

Only channels near the prescribed position count, as for the centre of gravity: a background count at the
edge of the chamber would weigh more than the whole tail of the beam.  What the window cuts off a Gaussian
beam is put back (`untruncated`), so that a beam twice as wide as expected is still measured without bias.

What the width of a channel adds is taken off (``pitch^2 / 12``; W. F. Sheppard, Proc. London Math. Soc. 29
(1898) 353).  For a beam narrower than half a channel that depends on where in the channel it lies; how much
so is part of the uncertainty.
"""

from __future__ import annotations

import math

from spotline.arrays import Integers
from spotline.jit import kernel

SHEPPARD = 1.0 / 12.0
"""Variance of an even distribution over a channel, in pitch^2."""

LEAST_REACH = 1.5
"""A beam of which the window holds less than so many standard deviations to each side has no width."""

ENOUGH_REACH = 4.5
"""What a window of so many standard deviations to each side cuts off is 0.007 % of the width."""

FEW = 0.2113
"""Expected counts below which a channel mostly has none: there Q (1 - Q) is as large as the 1/6 beyond."""

TAIL = 3.5
"""Standard deviations up to which channels are thought to count."""


@kernel
def untruncated(variance: float, half_width: float) -> tuple[float, float]:
    """Variance of a Gaussian of which a window, symmetric about its mean, holds a given one.

    Parameters
    ----------
    variance : float
        Within the window.
    half_width : float
        Of the window, in the unit whose square the variance has.

    Returns
    -------
    variance : float
        Of the whole; NaN if the window is narrower than `LEAST_REACH` standard deviations.
    slope : float
        Its derivative by that within the window.
    """
    if not variance > 0.0 or variance * LEAST_REACH * LEAST_REACH > half_width * half_width:
        return math.nan, math.nan
    if variance * ENOUGH_REACH * ENOUGH_REACH < half_width * half_width:
        return variance, 1.0
    whole = variance
    lost = 0.0
    for _ in range(60):
        a = half_width / math.sqrt(whole)
        if a < LEAST_REACH:
            return math.nan, math.nan
        inside = math.erf(a / math.sqrt(2.0))
        lost = 2.0 * a * math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi) / inside
        better = variance / (1.0 - lost)
        is_close = abs(better - whole) < 1e-5 * whole
        whole = better
        if is_close:
            break
    a2 = half_width * half_width / whole
    return whole, 1.0 / (1.0 - lost - 0.5 * lost * (a2 - 1.0 + lost))


@kernel
def rounding(expected: float) -> float:
    """Variance of the whole counts that a channel makes of some expected charge.

    A channel keeps what is below a count for the next frame, so that its counts of a spot are the charge,
    rounded up or down: with a fraction f of a count, f (1 - f), which is 1/6 in the mean.
    """
    return expected * (1.0 - expected) if expected < FEW else 1.0 / 6.0


@kernel
def gaussian_steps(distance: float, variance: float) -> tuple[float, float, float]:
    """A Gaussian at a distance from its mean, and what takes it a channel on: ratio, and ratio of ratios."""
    density = math.exp(-0.5 * distance * distance / variance)
    return density, math.exp(-(distance + 0.5) / variance), math.exp(-1.0 / variance)


@kernel
def error_of(variance: float, spread: float, slope: float, pitch_mm: float) -> tuple[float, float]:
    """Standard deviation of a beam in mm, and its uncertainty.

    Parameters
    ----------
    variance : float
        Of the beam, in pitch^2.
    spread : float
        Variance of the second moment within the window, in pitch^4.
    slope : float
        Of `untruncated`.
    pitch_mm : float
    """
    sd = math.sqrt(variance)
    # What is left of the lattice of channels: its first harmonic, whose phase nobody knows.
    harmonic = 0.0
    if variance < 1.0:  # beyond it is below 1e-8
        harmonic = (1.0 / math.pi**2 + 4.0 * variance) * math.exp(-2.0 * math.pi**2 * variance)
    error = math.sqrt(spread * slope * slope + 0.5 * harmonic * harmonic) / (2.0 * sd)
    return sd * pitch_mm, error * pitch_mm


@kernel
def strip_width(
    counts: Integers, middle: int, reach: int, minimum: int, pitch_mm: float, ion_noise: float
) -> tuple[float, float, int]:
    """Standard deviation of a spot in one plane.

    Parameters
    ----------
    counts : ndarray of int, shape (n_strips,)
        Taken with the magnets settled.
    middle, reach : int
        Strip of the prescribed position, and how many to each side of it count.
    minimum : int
        Counts that a width needs.
    pitch_mm : float
    ion_noise : float
        Variance of a count that comes of the number of ions and of what each of them sets free.

    Returns
    -------
    sd_mm, error_mm : float
        Standard deviation and its uncertainty; NaN with too few counts, or if most lie elsewhere.
    counts : int
        Behind it.
    """
    n_strips = len(counts)
    # At the edge of the chamber the window is as narrow to the other side.
    reach = min(reach, middle, n_strips - 1 - middle)
    everywhere = 0
    for i in range(n_strips):
        everywhere += counts[i]
    total = 0
    moment = 0
    second = 0
    for k in range(-reach, reach + 1):
        count = counts[middle + k]
        total += count
        moment += count * k
        second += count * k * k
    if total < minimum or total == 0 or 2 * total < everywhere:
        return math.nan, math.nan, total
    mean = moment / total
    measured = second / total - mean * mean
    variance, slope = untruncated(measured - SHEPPARD, reach + 0.5 - abs(mean))
    if not variance > 0.0:
        return math.nan, math.nan, total
    seen = variance + SHEPPARD
    tail = TAIL * math.sqrt(seen)
    first, last = max(-reach, math.floor(mean - tail)), min(reach, math.ceil(mean + tail))
    density, ratio, ratios = gaussian_steps(first - mean, seen)
    per_channel = total / math.sqrt(2.0 * math.pi * seen)
    spread = 0.0
    for k in range(first, last + 1):
        expected = per_channel * density
        off = (k - mean) * (k - mean) - measured
        spread += (rounding(expected) + expected * ion_noise) * off * off
        density *= ratio
        ratio *= ratios
    sd_mm, error_mm = error_of(variance, spread / (float(total) * total), slope, pitch_mm)
    return sd_mm, error_mm, total


@kernel
def pixel_spread(
    total: int, mean_x: float, mean_y: float, variance_x: float, variance_y: float, ion_noise: float
) -> tuple[float, float]:
    """Variances of the second moments in x and y of a spot on a lattice of pixels, in pitch^4.

    Parameters
    ----------
    total : int
        Counts.
    mean_x, mean_y : float
        Of the spot, in pixels; only where they lie within a pixel matters.
    variance_x, variance_y : float
        Of the beam, in pitch^2.
    ion_noise : float
        As of `strip_width`.
    """
    mean_x -= math.floor(mean_x)
    mean_y -= math.floor(mean_y)
    # What pixels see: the beam, spread over the pixel that it falls into.
    seen_x, seen_y = variance_x + SHEPPARD, variance_y + SHEPPARD
    tail_x, tail_y = TAIL * math.sqrt(seen_x), TAIL * math.sqrt(seen_y)
    first_x, last_x = math.floor(mean_x - tail_x), math.ceil(mean_x + tail_x)
    first_y, last_y = math.floor(mean_y - tail_y), math.ceil(mean_y + tail_y)
    density_y, ratio_y, ratios_y = gaussian_steps(first_y - mean_y, seen_y)
    begin_x, begin_ratio_x, ratios_x = gaussian_steps(first_x - mean_x, seen_x)
    per_pixel = total / (2.0 * math.pi * math.sqrt(seen_x * seen_y))
    spread_x = 0.0
    spread_y = 0.0
    for j in range(first_y, last_y + 1):
        off_y = (j - mean_y) * (j - mean_y) - seen_y
        density_x, ratio_x = begin_x, begin_ratio_x
        for i in range(first_x, last_x + 1):
            expected = per_pixel * density_x * density_y
            off_x = (i - mean_x) * (i - mean_x) - seen_x
            noise = rounding(expected) + expected * ion_noise
            spread_x += noise * off_x * off_x
            spread_y += noise * off_y * off_y
            density_x *= ratio_x
            ratio_x *= ratios_x
        density_y *= ratio_y
        ratio_y *= ratios_y
    squared = float(total) * total
    return spread_x / squared, spread_y / squared


@kernel
def within(moment: float, second: float, total: int, middle: int, reach: int) -> tuple[float, float, float]:
    """Mean of a plane in pixels, and variance and slope of `untruncated`.

    Parameters
    ----------
    moment, second : float
        Sums of count times index of the pixel, and its square.
    total : int
        Counts, at least 1.
    middle, reach : int
        Pixel of the prescribed position, and how many to each side of it count.
    """
    mean = moment / total
    variance, slope = untruncated(second / total - mean * mean - SHEPPARD, reach + 0.5 - abs(mean - middle))
    return mean, variance, slope
