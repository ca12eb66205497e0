"""How long a field will take, before it is delivered.

Counted as the record counts it: beam-on time is what the chopper is commanded open for, treatment time
runs from the start of the field to the end of its last spill.  Only what the control system knows of
the beam line is used, nothing of its ``simulation`` table.

The delivery is counted, not timed, so a spot takes as long as the accelerator needs for its particles,
and the magnets move while the beam goes on.  Time is lost at the edges of the spills, in the jumps that
are made without beam (the synchrotron goes on extracting), and in waiting for the next spill.  The
formulas are in ``docs/explanation/delivery-time.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from spotline.machine import BeamLine
from spotline.moves import move_times_us
from spotline.treatment.treatment import FieldTreatment, Floats, Slice

BINS_PER_SPREAD = 16
SPREADS = 6.0
"""Charges of the ring further from the nominal one are left out."""
NEGLIGIBLE = 1e-9
"""A further spill that is less probable than this is left out."""


@dataclass(frozen=True, slots=True)
class Duration:
    """What a slice, or a whole field, will take.

    Expected values: where the number of spills is open, a fraction.  Beam-on time, pauses and gaps make
    up the treatment time.

    Attributes
    ----------
    particles : float
        Prescribed particles.
    visits : int
        Visits to spots.
    spills : float
        Expected number of spills.
    spills_sd : float
        Standard deviation of that number: a treatment time scatters by so many cycles.
    beam_on_s : float
        Time for which the chopper is open.
    transit_s : float
        Part of `beam_on_s` in which the magnets are moving.
    ramp_s : float
        Part of `beam_on_s` that full intensity would not need: rise and fall of the spills, and what is
        left of a spill when the ring has run empty.
    pause_s : float
        Beam off within spills, for jumps.
    gap_s : float
        Waiting for spills: for the first one of a field as long as for any other; with the last slice,
        what it takes to switch the beam off and to collect the last charge.
    """

    particles: float
    visits: int
    spills: float
    spills_sd: float
    beam_on_s: float
    transit_s: float
    ramp_s: float
    pause_s: float
    gap_s: float

    @property
    def treatment_s(self) -> float:
        """Time from the end of the slice before (the start of the field) to the end of the last spill."""
        return self.beam_on_s + self.pause_s + self.gap_s


@dataclass(frozen=True, slots=True)
class FieldDuration:
    """What a field will take.

    Attributes
    ----------
    slices : tuple of Duration
        Of each slice, in delivery order.
    total : Duration
        Their sums.
    """

    slices: tuple[Duration, ...]
    total: Duration


class _Spill(NamedTuple):
    """A spill whose intensity rises and falls linearly, at a level of 1 in between.

    Beam is measured in seconds of this level: a spill of a full ring holds `capacity_s` of it.
    """

    rise_s: float
    fall_s: float
    length_s: float
    spread: float  # of the charge of the ring, relative

    @property
    def capacity_s(self) -> float:
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


class _Scan(NamedTuple):
    """What a slice asks of the beam."""

    beam_s: list[float]  # beam at full level, from jump to jump
    pauses_s: list[float]  # the jumps between them
    transit_s: float


class _Spills(NamedTuple):
    """How a slice is spread over spills; expected values."""

    number: float
    variance: float  # of the number
    last_s: float  # time in the last spill at which the slice is complete


def predict_duration(treatment: FieldTreatment, beamline: BeamLine) -> FieldDuration:
    """Predict how long a field takes to deliver, if no interlock pauses or stops it.

    Parameters
    ----------
    treatment : FieldTreatment
        The prepared field.
    beamline : BeamLine
        The line it was prepared for; its ``simulation`` table is not looked at.

    Returns
    -------
    FieldDuration
    """
    accelerator, chopper, control = beamline.facts.accelerator, beamline.facts.chopper, beamline.facts.control
    spill = _Spill(
        accelerator.spill_rise_s,
        accelerator.spill_fall_s,
        accelerator.spill_length_s,
        accelerator.spill_charge_spread,
    )
    slices: list[Duration] = []
    wait_s = accelerator.cycle_period_s
    for slice_ in treatment.slices:
        scan = _scan(slice_, treatment.beam.name, beamline)
        lost_s, pause_s = _pauses(scan, spill)
        used_s = math.fsum(scan.beam_s)
        spills = _spills(used_s + lost_s, spill)
        beam_on_s = (spills.number - 1.0) * spill.length_s + spills.last_s - pause_s
        gap_s = wait_s + (spills.number - 1.0) * (accelerator.cycle_period_s - spill.length_s)
        slices.append(
            Duration(
                particles=float(slice_.particles.sum()),
                visits=slice_.n_spots,
                spills=spills.number,
                spills_sd=math.sqrt(spills.variance),
                beam_on_s=beam_on_s,
                transit_s=scan.transit_s,
                ramp_s=beam_on_s - used_s,
                pause_s=pause_s,
                gap_s=gap_s,
            )
        )
        wait_s = accelerator.cycle_period_s - spills.last_s
    end_us = chopper.off_delay_us + chopper.off_ramp_us + control.collection_time_us
    slices[-1] = replace(slices[-1], gap_s=slices[-1].gap_s + end_us * 1e-6)
    return FieldDuration(tuple(slices), _sum(slices))


def _scan(slice_: Slice, ion_name: str, beamline: BeamLine) -> _Scan:
    """Work out the beam that a slice takes, its jumps, and its moves with the beam on."""
    chopper, control = beamline.facts.chopper, beamline.facts.control
    period_us = control.scan_period_us
    moves = beamline.moves(ion_name, slice_.energy_MeV_u)
    # A set-point waits for the next scan period, half of one on average; then read-backs come once a period.
    move_us = np.ceil(move_times_us(slice_.x_iso_mm, slice_.y_iso_mm, moves) / period_us) * period_us
    move_us += period_us / 2.0
    beam_us = slice_.particles / slice_.particles_per_s * 1e6
    is_jump = slice_.beam_off.copy()
    is_jump[0] = False  # the magnets go to the first spot before the spill
    is_move = ~is_jump
    is_move[0] = False
    transit_us = np.minimum(move_us, beam_us)[is_move]
    # What passes while the chopper closes counts for the arriving spot; what it holds back while it opens
    # must be made up.
    passed_us = chopper.off_delay_us + chopper.off_ramp_us / 2.0
    held_us = chopper.on_delay_us + chopper.on_ramp_us / 2.0
    beam_us[is_jump] = np.maximum(beam_us[is_jump] - passed_us, 0.0) + held_us
    # Counts lag behind the beam: half of the charge comes with ions, a third of their drift time late
    # (as in `spotline.delivery.loading`).  The slice waits for it once.
    beam_us[0] += control.collection_time_us / 6.0
    jumps = np.flatnonzero(is_jump)
    pauses_us = chopper.off_delay_us + chopper.off_ramp_us + move_us[jumps]
    return _Scan(
        beam_s=(np.add.reduceat(beam_us, [0, *jumps]) * 1e-6).tolist(),
        pauses_s=(pauses_us * 1e-6).tolist(),
        transit_s=float(transit_us.sum()) * 1e-6,
    )


def _pauses(scan: _Scan, spill: _Spill) -> tuple[float, float]:
    """Follow a slice through nominal spills; return the beam that its jumps waste, and their time."""
    wasted_s = paused_s = 0.0
    beam_s = scan.beam_s[0]  # since the start of the spill
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


def _spills(needed_s: float, spill: _Spill) -> _Spills:
    """Expected number of spills for so much beam, and expected time at which the last one is left.

    A spill holds what the ring holds, but no more than the length of the extraction lets out:
    ``capacity * min(1, 1 + spread * z)`` with z of the standard normal distribution.  N spills are not
    enough if together they lack more than ``n * capacity - needed``; the distribution of what they lack is
    that of one spill convolved with itself, on a grid that keeps its mean.
    """
    capacity_s = spill.capacity_s
    certain = max(math.ceil(needed_s / capacity_s) - 1, 0)  # so many full spills are not enough
    if spill.spread == 0.0 or needed_s < capacity_s * (1.0 - SPREADS * spill.spread):
        return _Spills(certain + 1.0, 0.0, spill.time_s(needed_s - certain * capacity_s))
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
    return _Spills(certain + further, max(square - further**2, 0.0), last_s)


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


def _sum(slices: list[Duration]) -> Duration:
    """Add up durations; numbers of spills scatter independently."""
    total = Duration(**{f.name: sum(getattr(s, f.name) for s in slices) for f in fields(Duration)})
    return replace(total, spills_sd=math.hypot(*(s.spills_sd for s in slices)))
