"""How long a slice takes, by what is known of an extraction: ramps, rings that differ, pauses.

The kinds of accelerators (`spotline.machine.accelerator`) put these together; the formulas are in
``docs/explanation/delivery-time.md``.  Beam is measured in seconds of the level of the slice.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats

BINS_PER_SPREAD = 16
SPREADS = 6.0
"""Charges of the ring further from the nominal one are left out."""
NEGLIGIBLE = 1e-9
"""A further spill that is less probable than this is left out."""


class Scan(NamedTuple):
    """What a slice asks of the beam.

    Attributes
    ----------
    beam_s : list of float
        Beam at full level, from pause to pause; at least one.
    pauses_s : list of float
        The pauses between them, one less.
    """

    beam_s: list[float]
    pauses_s: list[float]


class Place(NamedTuple):
    """Where a slice begins in a spill.

    Attributes
    ----------
    time_s : float
        Since the start of the extraction; 0: the spill is a fresh one.
    beam_s : float
        Beam that the spill has given by then.
    energies : int
        Energies of this cycle so far, with that of the slice.
    """

    time_s: float = 0.0
    beam_s: float = 0.0
    energies: int = 1


class SliceTime(NamedTuple):
    """What a slice takes; expected values.

    Attributes
    ----------
    spills : float
        Number of spills in which it gets beam.
    variance : float
        Of that number.
    extraction_s : float
        Time in its spills, up to its end in the last one.
    pause_s : float
        Part of it without beam, for jumps.
    wait_s : float
        Time between its spills.
    last : Place
        Where it ends.
    """

    spills: float
    variance: float
    extraction_s: float
    pause_s: float
    wait_s: float
    last: Place


class Extraction(NamedTuple):
    """A spill whose intensity rises and falls linearly, at a level of 1 in between.

    A spill of a full ring holds `capacity_s` of beam.
    """

    rise_s: float
    fall_s: float
    length_s: float
    spread: float  # of the charge of the ring, relative

    @property
    def capacity_s(self) -> float:
        """Beam of the whole extraction: each ramp costs half of its time."""
        return self.length_s - (self.rise_s + self.fall_s) / 2.0

    def beam_s(self, time_s: float) -> float:
        """Beam that has come by a time after the start of extraction."""
        if time_s < self.rise_s:
            return time_s**2 / (2.0 * self.rise_s)
        left_s = self.length_s - time_s
        if left_s <= 0.0:
            return self.capacity_s
        if left_s < self.fall_s:
            return self.capacity_s - left_s**2 / (2.0 * self.fall_s)
        return time_s - self.rise_s / 2.0

    def time_s(self, beam_s: float) -> float:
        """Time by which so much beam has come; the inverse of `beam_s`."""
        if beam_s < self.rise_s / 2.0:
            return math.sqrt(2.0 * self.rise_s * beam_s)
        left_s = max(self.capacity_s - beam_s, 0.0)
        if left_s < self.fall_s / 2.0:
            return self.length_s - math.sqrt(2.0 * self.fall_s * left_s)
        return beam_s + self.rise_s / 2.0


def fewest_spills(particles: float, particles_per_s: float, length_s: float, ramps_s: float) -> int:
    """Fewest spills that hold so many particles, at least one.

    The intensity of a spill rises and falls linearly, so that each ramp costs half of its time.
    """
    per_spill = particles_per_s * (length_s - ramps_s / 2)
    # The slack keeps exactly full spills from asking for one more in spite of rounding.
    return max(1, math.ceil(particles / per_spill - 1e-9))


def with_beam_going_on(scan: Scan, spill: Extraction, again_s: float, place: Place) -> SliceTime:
    """Time of a slice where the extraction goes on in the pauses, and no beam is kept for later.

    Parameters
    ----------
    scan : Scan
        What the slice asks for.
    spill : Extraction
        What a spill gives.
    again_s : float
        From the end of a whole spill to the next one.
    place : Place
        Where the slice begins.
    """
    lost_s, pause_s = _pauses(scan, spill, place.beam_s)
    found = _expected(place.beam_s + math.fsum(scan.beam_s) + lost_s, spill)
    return SliceTime(
        spills=found.number,
        variance=found.variance,
        extraction_s=(found.number - 1.0) * spill.length_s + found.last_s - place.time_s,
        pause_s=pause_s,
        wait_s=(found.number - 1.0) * again_s,
        last=Place(found.last_s, spill.beam_s(found.last_s), place.energies),
    )


def with_beam_held(
    scan: Scan, capacity_s: float, flat_top_s: float, cycle_s: float, place: Place
) -> SliceTime:
    """Time of a slice where pauses keep the beam in the ring: its charge and the flat top end a spill.

    Rings hold what they should, and there are no ramps: an extraction that starts and stops with each spot
    has none.

    Parameters
    ----------
    scan : Scan
        What the slice asks for.
    capacity_s : float
        Beam of a full ring.
    flat_top_s : float
        So long it can be extracted.
    cycle_s : float
        From the start of one extraction to the start of the next.
    place : Place
        Where the slice begins.
    """
    time_s, used_s, spills = place.time_s, place.beam_s, 1
    extraction_s, paused_s, wait_s = -time_s, 0.0, 0.0
    for pause_s, beam_s in zip([0.0, *scan.pauses_s], scan.beam_s, strict=True):
        paused_s += min(pause_s, flat_top_s - time_s)  # the magnets arrive between two spills if it ends
        time_s = min(time_s + pause_s, flat_top_s)
        left_s = beam_s
        while left_s > (possible_s := min(capacity_s - used_s, flat_top_s - time_s)) + 1e-12:
            left_s -= possible_s
            extraction_s += time_s + possible_s
            wait_s += cycle_s - (time_s + possible_s)
            time_s, used_s, spills = 0.0, 0.0, spills + 1
        time_s += left_s
        used_s += left_s
    last = Place(time_s, used_s, place.energies)
    return SliceTime(float(spills), 0.0, extraction_s + time_s, paused_s, wait_s, last)


def _pauses(scan: Scan, spill: Extraction, begin_s: float) -> tuple[float, float]:
    """Follow a slice through nominal spills; return the beam that its jumps waste, and their time."""
    wasted_s = paused_s = 0.0
    beam_s = begin_s + scan.beam_s[0]  # since the start of the spill
    for pause_s, next_s in zip(scan.pauses_s, scan.beam_s[1:], strict=True):
        if beam_s > spill.capacity_s:
            beam_s -= spill.capacity_s * (math.ceil(beam_s / spill.capacity_s) - 1)
        start_s = spill.time_s(beam_s)
        # The magnets arrive between two spills if this one ends meanwhile.
        end_s = min(start_s + pause_s, spill.length_s)
        wasted_s += spill.beam_s(end_s) - beam_s
        paused_s += end_s - start_s
        beam_s = spill.beam_s(end_s) + next_s
    return wasted_s, paused_s


class _Expected(NamedTuple):
    """How a slice is spread over spills; expected values."""

    number: float
    variance: float  # of the number
    last_s: float  # time in the last spill at which the slice is complete


def _expected(needed_s: float, spill: Extraction) -> _Expected:
    """Expected number of spills for so much beam, and expected time at which the last one is left.

    A spill holds what the ring holds, but no more than the length of the extraction lets out:
    ``capacity * min(1, 1 + spread * z)`` with z of the standard normal distribution.  N spills are not
    enough if together they lack more than ``n * capacity - needed``; the distribution of what they lack is
    that of one spill convolved with itself, on a grid that keeps its mean.
    """
    capacity_s = spill.capacity_s
    certain = max(math.ceil(needed_s / capacity_s) - 1, 0)  # so many full spills are not enough
    if spill.spread == 0.0 or needed_s < capacity_s * (1.0 - SPREADS * spill.spread):
        return _Expected(certain + 1.0, 0.0, spill.time_s(needed_s - certain * capacity_s))
    one = _lack_of_one_spill(spill.spread)
    step_s = spill.spread * capacity_s / BINS_PER_SPREAD
    most = np.cumsum(one)  # probability that one spill lacks at most so many steps
    lack = _convolved(one, certain)
    further, square, last_s, spills = 0.0, 0.0, 0.0, certain
    while (probability := float(lack.sum())) > NEGLIGIBLE:
        # `lack` holds what `spills` spills lack where they are not enough, and zero elsewhere.
        # A sum of P(N > n) is the mean of N, one of (2 n + 1) P(N > n) that of its square.
        further += probability
        square += (2 * (spills - certain) + 1) * probability
        lacking = np.flatnonzero(lack > NEGLIGIBLE * 1e-3)
        spills += 1
        enough = math.floor((spills * capacity_s - needed_s) / step_s)
        left_s = needed_s - (spills - 1) * capacity_s + lacking * step_s
        spare = np.minimum(enough - lacking, len(one) - 1)
        ends = np.where(spare >= 0, lack[lacking] * most[np.maximum(spare, 0)], 0.0)
        last_s += math.fsum(p * spill.time_s(left) for p, left in zip(ends, left_s, strict=True) if p > 0.0)
        lack = _convolve(lack, one)
        lack[: max(enough + 1, 0)] = 0.0
    return _Expected(certain + further, max(square - further**2, 0.0), last_s)


def _lack_of_one_spill(spread: float) -> Floats:
    """Probability that a spill lacks 0, 1, ... bins of its capacity; each bin is a part of the spread."""
    bins = math.ceil(BINS_PER_SPREAD * min(SPREADS, 1.0 / spread))
    normal = NormalDist()

    def integral(z: float) -> float:
        """Integral of the distribution function of max(0, -z) up to a border."""
        return z * normal.cdf(z) + normal.pdf(z) - normal.pdf(0.0) if z > 0.0 else 0.0

    # Each value is shared by the two nearest borders of bins in inverse proportion to its distance.
    integrals = np.array([integral(k / BINS_PER_SPREAD) for k in range(-1, bins + 2)])
    shares: Floats = np.diff(integrals, 2) * BINS_PER_SPREAD
    shares[-1] += 1.0 - shares.sum()
    return shares


def _convolve(long: Floats, short: Floats) -> Floats:
    """Distribution of the sum of two independent values.

    NumPy's own would leave it to BLAS, whose last digits are not those of every processor.
    """
    result = np.zeros(len(long) + len(short) - 1)
    for k, share in enumerate(short):
        result[k : k + len(long)] += share * long
    return result


def _convolved(shares: Floats, times: int) -> Floats:
    """Distribution of the sum of so many independent values."""
    size = times * (len(shares) - 1) + 1
    result: Floats = np.fft.irfft(np.fft.rfft(shares, size) ** times, size) if times > 1 else shares
    return np.maximum(result, 0.0) if times else np.ones(1)
