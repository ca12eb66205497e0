"""What a broken front-end makes of counts: noise, dead channels and channels that count by themselves.

Only a faulty chamber comes here; a sound one costs the loop one comparison a frame.
"""

from __future__ import annotations

import math

from spotline.arrays import Floats, Frame
from spotline.jit import kernel
from spotline.random import MANY, hash64, normal, poisson_of_few, poisson_of_many, uniform
from spotline.sim.plant import FrameState, PixelReadoutFault, ReadoutFault

FULL_counts = 65_535
"""What a channel can hold of a frame."""


@kernel
def noise_counts(mean: float, key: int, counter: int) -> int:
    """Draw a Poisson number of counts."""
    bits = hash64(key, counter)
    if mean > MANY:
        return poisson_of_many(mean, math.sqrt(mean), normal(bits, 0))
    return poisson_of_few(mean, bits)


@kernel
def disturb_row(
    counts: Frame, gain: Floats, added: Floats, noise: float, rounding_key: int, noise_key: int, counter: int
) -> None:
    """Replace the counts of a row of channels by what the broken front-end reads out.

    Parameters
    ----------
    counts : ndarray of int32, shape (n,)
        Of a frame; changed in place.
    gain, added : ndarray, shape (n,)
        Factor, and counts added, of each channel; fractions are rounded at random, so that the mean is right.
    noise : float
        Mean number of further counts of each channel.
    rounding_key, noise_key, counter : int
        Where to take random numbers from.
    """
    for i in range(len(counts)):
        read = int(counts[i] * gain[i] + added[i] + uniform(hash64(rounding_key, counter + i)))
        if noise > 0.0:
            read += noise_counts(noise, noise_key, counter + i)
        counts[i] = min(read, FULL_counts)


@kernel
def disturb_strips(frame: FrameState, fault: ReadoutFault, tick: int) -> None:
    """Disturb a frame of a strip chamber; any of its channels may then differ from zero."""
    n = len(frame.counts)
    disturb_row(frame.counts, fault.gain, fault.added, fault.noise, fault.key, fault.key + 1, tick * n)
    frame.region[0] = 0
    frame.region[1] = n


@kernel
def disturb_pixels(frame: FrameState, fault: PixelReadoutFault, tick: int) -> None:
    """Disturb a frame of the pixel chamber."""
    n = frame.counts.shape[0]
    for j in range(n):
        counter = (tick * n + j) * n
        disturb_row(
            frame.counts[j], fault.gain[j], fault.added[j], fault.noise, fault.key, fault.key + 1, counter
        )
    frame.region[0] = 0
    frame.region[1] = n
    frame.region[2] = 0
    frame.region[3] = n
