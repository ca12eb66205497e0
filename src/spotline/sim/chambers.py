"""The five ionization chambers and their front-end.

Ions free charge in the gas; half of it is induced at once by the electrons, the other half by the
positive ions as they drift, with a current that falls linearly over their drift time (uniform
ionization of a parallel-plate chamber).  Every channel converts charge to counts without dead time
and keeps the remainder.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers
from spotline.jit import kernel
from spotline.random import NORMALS_PER_HASH, hash64, normal
from spotline.sim.plant import ChamberMap, FrameState, SegmentedTruth

NEGLIGIBLE_SHARE = 1e-5
"""A pixel that gets less of the beam gets nothing: below one count in a spill."""


@kernel
def map_gain(chamber: ChamberMap, x_mm: float, y_mm: float) -> float:
    """Relative gain at a position, bilinear, constant beyond the edge."""
    last = chamber.gain.shape[0] - 1.0
    u = min(max((x_mm - chamber.first_mm) / chamber.step_mm, 0.0), last)
    v = min(max((y_mm - chamber.first_mm) / chamber.step_mm, 0.0), last)
    i, j = min(int(u), int(last) - 1), min(int(v), int(last) - 1)
    u -= i
    v -= j
    gain = chamber.gain
    low = gain[j, i] * (1.0 - u) + gain[j, i + 1] * u
    high = gain[j + 1, i] * (1.0 - u) + gain[j + 1, i + 1] * u
    return low * (1.0 - v) + high * v


@kernel
def next_ion_current(current: int, duration: int, arrived: int, drifting: int, oldest: int) -> int:
    """Advance the current of the drifting positive ions by one tick.

    The current of ions freed at one time falls linearly: freed k ticks ago, each induces
    (2 T - 2 k - 1) / T^2 of its charge in this tick, until k = T.  Their sum is advanced in whole
    numbers, in units of 1 / T^2, so that no rounding accumulates.

    Parameters
    ----------
    current : int
        Of the tick before.
    duration : int
        Drift time T in ticks.
    arrived, oldest : int
        Ions of this tick, and of the tick T ago.
    drifting : int
        Ions of the T ticks before this one.
    """
    return current + (2 * duration - 1) * arrived - 2 * drifting + oldest


@kernel
def offset_of(position: float, n_offsets: int) -> tuple[int, int]:
    """Nearest channel to a position (in channels), and the row of the table of shares for it."""
    nearest = math.floor(position + 0.5)
    row = int((position - nearest + 0.5) * n_offsets)
    return int(nearest), min(max(row, 0), n_offsets - 1)


@kernel
def channel_range(nearest: int, shares: Floats, n_channels: int) -> tuple[int, int]:
    """First channel that the beam reaches, and one past the last; an empty range off the chamber."""
    half = shares.shape[2] // 2
    first = min(max(0, nearest - half), n_channels)
    return first, max(first, min(n_channels, nearest + half + 1))


@kernel
def free_charge(
    deposit: Floats, shares: Floats, roots: Floats, mean: float, spread: float, key: int, counter: int
) -> None:
    """Draw the charge that a frame sets free in each of a row of channels.

    Where few ions go, the normal fluctuation can make it negative; left as it is, the mean is right.

    Parameters
    ----------
    deposit : ndarray, shape (n,)
        Result, in counts.
    shares, roots : ndarray, shape (n,)
        Share of each channel, and its square root.
    mean, spread : float
        Expected charge of the whole beam, and its standard deviation, in counts.
    key, counter : int
        Where to take random numbers from.
    """
    n = len(deposit)
    whole = n - n % NORMALS_PER_HASH
    for group in range(0, whole, NORMALS_PER_HASH):
        bits = hash64(key, counter)
        counter += 1
        for k in range(NORMALS_PER_HASH):
            i = group + k
            deposit[i] = mean * shares[i] + spread * roots[i] * normal(bits, k)
    bits = hash64(key, counter)
    for i in range(whole, n):
        deposit[i] = mean * shares[i] + spread * roots[i] * normal(bits, i - whole)


@kernel
def add_scaled(sums: Floats, values: Floats, factor: float) -> None:
    """Add a multiple of a row of numbers to another."""
    for i in range(len(sums)):
        sums[i] += factor * values[i]


@kernel
def take_counts(remainder: Floats, counts: NDArray[np.int32]) -> None:
    """Convert charge to whole counts and keep the rest."""
    for i in range(len(counts)):
        whole = np.int32(max(0.0, remainder[i]))
        counts[i] = whole
        remainder[i] -= whole


@kernel
def strip_readout(
    frame: FrameState, truth: SegmentedTruth, particles: int, position_mm: float, efficiency: float, tick: int
) -> None:
    """Free the charge of one strip frame, collect what arrives, and convert it to counts.

    Parameters
    ----------
    frame : FrameState
        Of StripX or StripY; its ``counts`` and ``region`` are the result.
    truth : SegmentedTruth
        Of the same chamber.
    particles, position_mm : int, float
        Ions of the frame and their mean position at the chamber.
    efficiency : float
        Collection efficiency.
    tick : int
        End of the frame.
    """
    n_strips = len(frame.counts)
    counts, remainder, region = frame.counts, frame.remainder, frame.region
    for i in range(region[0], region[1]):
        counts[i] = 0
    slot = frame.slot[0] + 1 if frame.slot[0] + 1 < len(frame.deposits) else 0
    frame.slot[0] = slot
    deposit = frame.deposits[slot]
    frame.regions[slot, 0] = 0
    frame.regions[slot, 1] = 0
    if particles > 0:
        shares = truth.shares
        nearest, row = offset_of(position_mm / truth.pitch_mm + 0.5 * (n_strips - 1), shares.shape[1])
        first, past = channel_range(nearest, shares, n_strips)
        frame.regions[slot, 0] = first
        frame.regions[slot, 1] = past
        low = first - nearest + shares.shape[2] // 2
        high = low + past - first
        gain = truth.counts_per_particle * efficiency
        spread = math.sqrt(particles * (1.0 + truth.spread**2)) * gain
        counter = (tick // truth.period) * 64
        free_charge(
            deposit[first:past],
            shares[0, row, low:high],
            shares[1, row, low:high],
            particles * gain,
            spread,
            truth.key,
            counter,
        )

    first = n_strips
    past = 0
    for age in range(len(truth.weights)):
        source = slot - age if slot >= age else slot - age + len(frame.deposits)
        low, high = frame.regions[source, 0], frame.regions[source, 1]
        if high > low:
            add_scaled(remainder[low:high], frame.deposits[source, low:high], truth.weights[age])
            first = min(first, low)
            past = max(past, high)
    # Far below one count a frame, the background of a strip is added once in as many frames as there
    # are strips.
    turn = (tick // truth.period) % n_strips
    remainder[turn] += truth.background * n_strips
    if remainder[turn] >= 1.0:
        first = min(first, turn)
        past = max(past, turn + 1)
    region[0] = min(first, past)
    region[1] = past
    take_counts(remainder[region[0] : past], counts[region[0] : past])


@kernel
def free_pixel_charge(
    frame: FrameState,
    x: SegmentedTruth,
    y: SegmentedTruth,
    particles: int,
    x_mm: float,
    y_mm: float,
    efficiency: float,
    tick: int,
) -> None:
    """Free the charge of one frame of the pixel chamber into the newest deposit."""
    n = frame.counts.shape[0]
    middle = 0.5 * (n - 1)
    slot = frame.slot[0]
    deposit = frame.deposits[slot]
    i0, x_row = offset_of(x_mm / x.pitch_mm + middle, x.shares.shape[1])
    j0, y_row = offset_of(y_mm / y.pitch_mm + middle, y.shares.shape[1])
    first_i, past_i = channel_range(i0, x.shares, n)
    first_j, past_j = channel_range(j0, y.shares, n)
    extent = frame.regions[slot]
    extent[0] = first_j
    extent[1] = past_j
    extent[2] = first_i
    extent[3] = past_i
    x_low = first_i - i0 + x.shares.shape[2] // 2
    x_high = x_low + past_i - first_i
    x_shares = x.shares[0, x_row]
    gain = x.counts_per_particle * efficiency
    spread = math.sqrt(particles * (1.0 + x.spread**2)) * gain
    counter = (tick // x.period) * n * n
    for j in range(first_j, past_j):
        y_index = j - j0 + y.shares.shape[2] // 2
        y_share = y.shares[0, y_row, y_index]
        low, high = x_low, x_high
        while low < high and x_shares[low] * y_share < NEGLIGIBLE_SHARE:
            deposit[j, first_i + low - x_low] = 0.0
            low += 1
        while high > low and x_shares[high - 1] * y_share < NEGLIGIBLE_SHARE:
            high -= 1
            deposit[j, first_i + high - x_low] = 0.0
        free_charge(
            deposit[j, first_i + low - x_low : first_i + high - x_low],
            x_shares[low:high],
            x.shares[1, x_row, low:high],
            particles * gain * y_share,
            spread * y.shares[1, y_row, y_index],
            x.key,
            counter,
        )
        counter += n


@kernel
def widen(region: Integers, first_j: int, past_j: int, first_i: int, past_i: int) -> None:
    """Make a region large enough for another one."""
    region[0] = min(region[0], first_j)
    region[1] = max(region[1], past_j)
    region[2] = min(region[2], first_i)
    region[3] = max(region[3], past_i)


@kernel
def pixel_readout(
    frame: FrameState,
    x: SegmentedTruth,
    y: SegmentedTruth,
    particles: int,
    x_mm: float,
    y_mm: float,
    efficiency: float,
    tick: int,
) -> None:
    """The same as `strip_readout` for one frame of the pixel chamber.

    The background of a row is added once in as many frames as there are rows.
    """
    n = frame.counts.shape[0]
    counts, remainder, region = frame.counts, frame.remainder, frame.region
    for j in range(region[0], region[1]):
        for i in range(region[2], region[3]):
            counts[j, i] = 0
    slot = frame.slot[0] + 1 if frame.slot[0] + 1 < len(frame.deposits) else 0
    frame.slot[0] = slot
    for side in range(4):
        frame.regions[slot, side] = 0
    if particles > 0:
        free_pixel_charge(frame, x, y, particles, x_mm, y_mm, efficiency, tick)

    region[0] = n
    region[1] = 0
    region[2] = n
    region[3] = 0
    for age in range(len(x.weights)):
        source = slot - age if slot >= age else slot - age + len(frame.deposits)
        first_j, past_j = frame.regions[source, 0], frame.regions[source, 1]
        first_i, past_i = frame.regions[source, 2], frame.regions[source, 3]
        for j in range(first_j, past_j):
            freed = frame.deposits[source, j, first_i:past_i]
            add_scaled(remainder[j, first_i:past_i], freed, x.weights[age])
        if past_j > first_j and past_i > first_i:
            widen(region, first_j, past_j, first_i, past_i)
    turn = (tick // x.period) % n
    for i in range(n):
        remainder[turn, i] += x.background * n
        if remainder[turn, i] >= 1.0:
            widen(region, turn, turn + 1, i, i + 1)
    for j in range(region[0], region[1]):
        take_counts(remainder[j, region[2] : region[3]], counts[j, region[2] : region[3]])


def frame_weights(drift_us: float, period_us: float) -> np.ndarray:
    """Fraction of a frame's freed charge that each frame from then on collects.

    Parameters
    ----------
    drift_us : float
        Drift time of the positive ions; 0 collects everything at once.
    period_us : float
        Length of a frame, in which the charge is freed evenly.

    Returns
    -------
    ndarray
        From the frame itself onwards; the sum is 1.
    """
    if drift_us <= 0.0:
        return np.ones(1)
    n_frames = math.ceil(drift_us / period_us) + 1
    freed_us = (np.arange(200) + 0.5) / 200 * period_us
    edges_us = np.arange(n_frames + 1) * period_us
    elapsed = np.clip((edges_us[:, None] - freed_us[None, :]) / drift_us, 0.0, 1.0)
    induced = np.mean(2.0 * elapsed - elapsed**2, axis=1)  # integral of 2 (1 - t) to t
    weights = 0.5 * np.diff(induced)
    weights[0] += 0.5
    return np.asarray(weights / weights.sum())


def channel_shares(sigma_mm: float, pitch_mm: float, n_offsets: int = 128) -> np.ndarray:
    """Share of a Gaussian beam on each channel around its centre.

    Parameters
    ----------
    sigma_mm, pitch_mm : float
        Standard deviation of the beam and pitch of the channels.
    n_offsets : int
        Rows: the beam centre from half a channel below to half a channel above a channel's middle.

    Returns
    -------
    ndarray of shape (2, n_offsets, 2 k + 1)
        Shares, each row adding up to 1, and their square roots; k channels to each side, at least 3.5 sigma.
    """
    from scipy.special import ndtr

    half = max(1, math.ceil(3.5 * sigma_mm / pitch_mm))
    centre = ((np.arange(n_offsets) + 0.5) / n_offsets - 0.5)[:, None]
    edges = np.arange(-half, half + 2)[None, :] - 0.5
    shares = np.diff(ndtr((edges - centre) * pitch_mm / sigma_mm), axis=1)
    shares /= shares.sum(axis=1, keepdims=True)
    return np.stack([shares, np.sqrt(shares)])
