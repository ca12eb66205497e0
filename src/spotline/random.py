"""Counter-based random numbers for compiled code.

The value of a stream at a counter (a sample number) is a hash of both, so that a run has the same
randomness whatever the size of its blocks, and any sample can be drawn alone.  The hash is the
output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, section 5.3).

Where the number of draws is not known beforehand, as along the track of a particle, a sequence takes the
place of the counter: an array of one number that every draw moves on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from spotline.jit import kernel

Sequence = NDArray[np.uint64]
"""State of a sequence, shape (1,)."""

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FACTOR1 = np.uint64(0xBF58476D1CE4E5B9)
_FACTOR2 = np.uint64(0x94D049BB133111EB)
_1, _11, _27, _30, _31 = (np.uint64(shift) for shift in (1, 11, 27, 30, 31))

NORMAL_BITS = 12
_MASK = np.uint64((1 << NORMAL_BITS) - 1)
NORMALS_PER_HASH = 5

MANY = 8.0
"""Poisson numbers of a larger mean come from a normal deviate; none can be negative from here on."""


def _normal_table() -> np.ndarray:
    """Midpoint quantiles of the normal distribution, scaled to unit variance."""
    n = 1 << NORMAL_BITS
    quantiles = ndtri((np.arange(n) + 0.5) / n)
    return np.asarray(quantiles / math.sqrt(np.mean(quantiles**2)))


NORMAL = _normal_table()


@kernel
def hash64(key: int, counter: int) -> np.uint64:
    """64 random bits of the stream `key` at `counter`."""
    z = np.uint64(key) + np.uint64(counter) * _INCREMENT
    z = (z ^ (z >> _30)) * _FACTOR1
    z = (z ^ (z >> _27)) * _FACTOR2
    return z ^ (z >> _31)


@kernel
def begin_sequence(sequence: Sequence, key: int, counter: int) -> None:
    """Set a sequence to its start, which depends on the key and the counter alone."""
    sequence[0] = hash64(key, counter)


@kernel
def draw(sequence: Sequence) -> np.uint64:
    """The next 64 random bits of a sequence."""
    sequence[0] += _INCREMENT
    z = sequence[0]
    z = (z ^ (z >> _30)) * _FACTOR1
    z = (z ^ (z >> _27)) * _FACTOR2
    return np.uint64(z ^ (z >> _31))


@kernel
def draw_uniform(sequence: Sequence) -> float:
    """The next uniform deviate of a sequence, in [0, 1)."""
    return uniform(draw(sequence))


@kernel
def draw_exponential(sequence: Sequence) -> float:
    """The next exponential deviate of mean 1 of a sequence."""
    deviate: float = -math.log(1.0 - draw_uniform(sequence))
    return deviate


@kernel
def normal(bits: np.uint64, which: int) -> float:
    """One of the five normal deviates in 64 random bits (`which` from 0 to 4)."""
    return NORMAL[(bits >> np.uint64(NORMAL_BITS * which)) & _MASK]


@kernel
def uniform(bits: np.uint64) -> float:
    """A uniform deviate in [0, 1) from 64 random bits."""
    return float(bits >> _11) * (1.0 / 9007199254740992.0)


@kernel
def poisson_of_many(mean: float, root: float, deviate: float) -> int:
    """A Poisson number of mean above `MANY`.

    The normal approximation with the second term of Cornish and Fisher keeps mean, variance and skewness.

    Parameters
    ----------
    mean, root : float
        Expected number, and its square root.
    deviate : float
        A normal deviate.
    """
    return int(mean + root * deviate + (deviate * deviate - 1.0) * (1.0 / 6.0) + 0.5)


@kernel
def poisson_of_few(mean: float, bits: np.uint64) -> int:
    """A Poisson number of mean up to `MANY`, by inversion.

    Parameters
    ----------
    mean : float
        Expected number, > 0.
    bits : int
        64 random bits.
    """
    rest = uniform(bits)
    probability = math.exp(-mean)
    number = 0
    while rest >= probability and number < 200:
        rest -= probability
        number += 1
        probability *= mean / number
    return number


def stream_key(seed: int, *path: int) -> int:
    """Derive the key of a stream from the seed and what the stream is for.

    Parameters
    ----------
    seed : int
        Seed of the delivery.
    *path : int
        Any integers that tell the stream apart (field, spill, cause).
    """
    # As spawn key, unlike as entropy, a path and the same path with a zero at its end are two things.
    state = np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)
    return int(state[0] >> _1)  # compiled code takes keys as signed integers
