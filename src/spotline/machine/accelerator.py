"""What delivers the beam: each kind of accelerator owns its own time.

The ``[accelerator]`` table of a beam line names its ``kind``.  Everybody who asks about time, charge or
spills asks the kind; nobody asks which one it is.  A *spill* is the beam that comes of one request: what a
synchrotron extracts in a cycle, or what a cyclotron gives until the beam is taken away.

Every kind has the same properties and methods:

==========================  ==================================================================
`rise_s`, `fall_s`          ramps of the intensity at the ends of a spill
`longest_s`                 how long a spill may last, ramps included
`spill_limit`               most spills of a field; None: their number means nothing
`is_on_between_spots`       whether the beam comes on moves that need no pause
`spot_pause_s`              what every pause takes beside chopper and magnets
`first_wait_s`              from the start of a field to its first spill
`largest_energy_MeV_u`      that it can give
`intensity_share`           part of the full intensity that there is at an energy
`fewest_spills`             that hold so many particles
`time_of`, `after`          prediction: time of a slice, and the wait for the next one
`next_start_us`             when the beam comes that is asked for now
`nominal_start_us`          the same before anything is asked for, where that can be told
`length_us`                 how long it is announced for
`charge`                    particles that there are for it
`pulse_particles`           that leave the ring between two pulses of its reading; 0: it is not read
`longest_field_s`           bound on the time of a field
`undeliverable`             what the line has and a delivery does not know yet
==========================  ==================================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from spotline.machine import beam_time
from spotline.machine.beam_time import Extraction, Place, Scan, SliceTime
from spotline.machine.schema import Facts, Fraction, NotNegative, Positive, Several

CLOCK_us = 1000
"""Spills begin and end with a millisecond of the clock."""
SHORTEST_WAIT_s = 0.02
"""Between two spills the magnets need so long to be at the first spot: no beam comes sooner."""


class Before(NamedTuple):
    """The spill before one that is asked for.

    Attributes
    ----------
    start_us : int
        Start of its extraction.
    energy_MeV_u : float or None
        Its energy; None: nobody knows.
    """

    start_us: int
    energy_MeV_u: float | None


class _Common(Facts, frozen=True, kw_only=True, tag_field="kind"):
    """What every kind has."""

    intensity_levels: tuple[Positive, ...]
    """Selectable intensities, relative to the full one of the ion."""
    line: Annotated[int, Meta(ge=0, le=15)]
    """Number of this beam line in the cycle-codes."""
    event_tolerance_us: Several
    """Events of the timing system may come so much before or after their announced time."""
    extraction_stop_us: Several
    """Second way to take the beam away: from the request of the safety interlock system until the
    extraction has ended."""

    def problems(self) -> Iterator[str]:
        """Yield sentences ``key: what is wrong; what to do`` about figures that do not go together."""
        levels = self.intensity_levels
        if not levels or levels[0] > 1.0 or any(b >= a for a, b in itertools.pairwise(levels)):
            yield (
                f"intensity_levels: {list(levels)} are no fractions up to 1 in descending order; "
                "correct and sort them"
            )


class Synchrotron(_Common, frozen=True, kw_only=True, tag="synchrotron"):
    """A synchrotron: the ring is filled and emptied in cycles, and what it holds is a spill."""

    cycle_period_s: Positive
    """From one extraction to the next."""
    spill_length_s: Positive
    """Duration of the extraction, rise and fall included, that empties a ring."""
    spill_rise_s: NotNegative
    """Rise of the extracted intensity at the start of a spill."""
    spill_fall_s: NotNegative
    """Fall of the extracted intensity at the end of a spill."""
    spill_charge_spread: Fraction
    """Relative standard deviation of the particles in the ring from spill to spill.  The delivery time is
    predicted with it: a ring with more than usual is not emptied, one with less is empty early."""
    largest_spills_per_field: Several
    """Fields that would need more spills are refused."""
    extraction: Literal["continuous", "discrete"] = "continuous"
    """Whether the extraction goes on from the start to the end of a spill, or stops between spots and keeps
    the beam in the ring.  Lines with discrete extraction can be described and their times predicted;
    plans for them are refused so far."""
    flat_top_s: Positive | None = None
    """Time in which the beam can be extracted; none: `spill_length_s`.  Longer than that it is of use for
    a discrete extraction only."""
    spot_preparation_s: NotNegative = 0.0
    """What a discrete extraction takes to prepare and verify a spot, beside the move of the magnets."""
    energies_per_cycle: Several = 1
    """Energies that one ring can be extracted with, in descending order.  More than one is for predictions
    only, as discrete extraction is."""
    energy_step_s: NotNegative = 0.0
    """From one energy to the next of the same cycle."""
    ring_pulse_share: Fraction = 0.0
    """A current transformer in the ring gives a pulse for each such part of a full ring that leaves it, as
    far as it comes into the line; 0: the ring is not read."""

    @property
    def rise_s(self) -> float:
        """Rise of the intensity."""
        return self.spill_rise_s

    @property
    def fall_s(self) -> float:
        """Fall of the intensity."""
        return self.spill_fall_s

    @property
    def longest_s(self) -> float:
        """How long a spill may last."""
        return self.flat_top_s or self.spill_length_s

    @property
    def spill_limit(self) -> int | None:
        """Most spills of a field."""
        return self.largest_spills_per_field

    @property
    def is_on_between_spots(self) -> bool:
        """Whether the beam comes on moves that need no pause."""
        return self.extraction == "continuous"

    @property
    def spot_pause_s(self) -> float:
        """What every pause takes beside chopper and magnets."""
        return self.spot_preparation_s

    @property
    def first_wait_s(self) -> float:
        """From the start of a field to its first spill: one cycle."""
        return self.cycle_period_s

    @property
    def largest_energy_MeV_u(self) -> float:
        """Largest energy; the tables of the line say it."""
        return math.inf

    @property
    def _cycle_us(self) -> int:
        return round(self.cycle_period_s * 1e6 / CLOCK_us) * CLOCK_us

    def intensity_share(self, energy_MeV_u: float) -> float:
        """Part of the full intensity that there is at an energy: all of it."""
        return 1.0

    def fewest_spills(self, particles: float, particles_per_s: float) -> int:
        """Fewest spills that hold so many particles at some intensity."""
        ramps_s = self.spill_rise_s + self.spill_fall_s
        return beam_time.fewest_spills(particles, particles_per_s, self.spill_length_s, ramps_s)

    def time_of(self, scan: Scan, closing_s: float, place: Place) -> SliceTime:
        """Predict the time of a slice.

        Parameters
        ----------
        scan : Scan
            Beam and pauses of the slice.
        closing_s : float
            From the last beam of a spill until it is done with; hidden in a cycle.
        place : Place
            Where it begins.
        """
        spill = Extraction(
            self.spill_rise_s, self.spill_fall_s, self.spill_length_s, self.spill_charge_spread
        )
        if not self.is_on_between_spots:
            return beam_time.with_beam_held(
                scan, spill.capacity_s, self.longest_s, self.cycle_period_s, place
            )
        again_s = self.cycle_period_s - self.spill_length_s
        return beam_time.with_beam_going_on(scan, spill, again_s, place)

    def after(
        self, last: Place, closing_s: float, energy_MeV_u: float, next_MeV_u: float
    ) -> tuple[float, Place]:
        """How long the next slice waits for its beam, and where in a spill it then begins.

        It comes with the next cycle; or in the same one, if that has another energy below this one.
        """
        step_s = self.energy_step_s
        if (
            last.energies < self.energies_per_cycle
            and next_MeV_u < energy_MeV_u
            and last.time_s + step_s < self.longest_s
        ):
            # The extraction is held meanwhile, so nothing of the charge is lost.
            return step_s, Place(last.time_s, last.beam_s, last.energies + 1)
        return self.cycle_period_s - last.time_s, Place()

    def next_start_us(self, asked_us: int, before: Before | None, energy_MeV_u: float) -> int:
        """When the beam comes that is asked for at a time: with the next cycle, whatever its energy.

        Parameters
        ----------
        asked_us : int
            On the clock of the field, whose cycles begin at its multiples.
        before : Before or None
            The spill before; each has a cycle of its own.
        energy_MeV_u : float
            Of the spill that is asked for.
        """
        cycles = before.start_us // self._cycle_us if before is not None else 0
        return (max(cycles, asked_us // self._cycle_us) + 1) * self._cycle_us

    def nominal_start_us(self, spill: int) -> int | None:
        """Start of spill `spill` of a field, from 1, if no cycle is missed."""
        return spill * self._cycle_us

    def length_us(self) -> int:
        """How long a spill is announced for."""
        return round(self.longest_s * 1e6 / CLOCK_us) * CLOCK_us

    def charge(self, particles_per_us: float, length_us: int, deviation: float) -> float:
        """Particles in the ring.

        Parameters
        ----------
        particles_per_us : float
            Intensity.
        length_us : int
            Of the extraction that empties a ring as it should be.
        deviation : float
            Of this ring from it, relative.
        """
        ramps_us = self.spill_rise_s * 1e6 + self.spill_fall_s * 1e6
        return particles_per_us * (length_us - ramps_us / 2) * (1.0 + deviation)

    def pulse_particles(self, particles_per_us: float) -> float:
        """Particles that leave the ring between two pulses of its reading, at some intensity; 0: not read."""
        return self.ring_pulse_share * self.charge(particles_per_us, round(self.spill_length_s * 1e6), 0.0)

    def longest_field_s(self, n_spills: int, span_MeV_u: float) -> float:
        """Time of a field of so many spills, whose energies lie so far apart."""
        return n_spills * self.cycle_period_s

    def undeliverable(self) -> Iterator[str]:
        """Yield sentences ``key: what a delivery does not know yet``."""
        if self.extraction != "continuous":
            yield f"extraction: {self.extraction} extraction cannot be delivered yet"
        if self.energies_per_cycle > 1:
            yield f"energies_per_cycle: {self.energies_per_cycle} energies a cycle cannot be delivered yet"

    def problems(self) -> Iterator[str]:
        """Yield sentences about figures that do not go together."""
        if self.longest_s > self.cycle_period_s:
            yield (
                f"{'flat_top_s' if self.flat_top_s else 'spill_length_s'}: {self.longest_s:g} s is longer "
                f"than the cycle of {self.cycle_period_s:g} s; shorten it"
            )
        if self.spill_rise_s + self.spill_fall_s > self.spill_length_s:
            yield "spill_rise_s: rise and fall together are longer than spill_length_s; shorten them"
        if self.flat_top_s is not None and self.flat_top_s < self.spill_length_s:
            yield (
                f"flat_top_s: {self.flat_top_s:g} s is shorter than spill_length_s "
                f"{self.spill_length_s:g} s, that a ring takes to be emptied; lengthen it"
            )
        if self.is_on_between_spots:
            for key, value in (
                ("flat_top_s", self.flat_top_s),
                ("spot_preparation_s", self.spot_preparation_s),
            ):
                if value:
                    yield f'{key}: is for extraction = "discrete"; leave it out'
        yield from super().problems()


class Degrader(Facts, frozen=True, kw_only=True):
    """What brings the beam of a cyclotron down to the energies of the plan."""

    energy_MeV_u: Positive
    """Energy that the cyclotron extracts: none of the line is above it."""
    transmission: tuple[tuple[Positive, Positive], ...] = ()
    """Pairs of an energy in MeV/u and the part of the full intensity that there is at it, ascending in
    energy; between them the logarithm is interpolated linearly.  Empty: the cyclotron makes up for what the
    degrader takes, and there is full intensity at all energies."""


class Cyclotron(_Common, frozen=True, kw_only=True, tag="cyclotron"):
    """A cyclotron: the beam is there whenever it is wanted, once degrader and beam line are set."""

    first_beam_s: Positive
    """From the start of a field to its first beam: degrader and magnets are set from anywhere."""
    switch_down_s: Positive
    """From the request of a lower energy until its beam is there ..."""
    switch_down_s_per_MeV_u: NotNegative = 0.0
    """... and what a large step takes beyond that."""
    switch_up_s: Positive
    """The same for a higher energy, to which the magnets come without hysteresis by a loop."""
    switch_up_s_per_MeV_u: NotNegative = 0.0
    """What a large step up takes beyond that."""
    repeat_s: Positive
    """From the request of the energy that the beam has until it is there again."""
    longest_beam_s: Positive
    """A beam is granted for so long; what takes longer asks again."""
    beam_rise_s: NotNegative
    """Rise of the intensity at the start of a beam."""
    beam_fall_s: NotNegative
    """Fall of the intensity at the end of one."""
    degrader: Degrader

    @property
    def rise_s(self) -> float:
        """Rise of the intensity."""
        return self.beam_rise_s

    @property
    def fall_s(self) -> float:
        """Fall of the intensity."""
        return self.beam_fall_s

    @property
    def longest_s(self) -> float:
        """How long a beam may last."""
        return self.longest_beam_s

    @property
    def spill_limit(self) -> int | None:
        """None: the number of requests means nothing."""
        return None

    @property
    def is_on_between_spots(self) -> bool:
        """Whether the beam comes on moves that need no pause."""
        return True

    @property
    def spot_pause_s(self) -> float:
        """What every pause takes beside chopper and magnets: nothing."""
        return 0.0

    @property
    def first_wait_s(self) -> float:
        """From the start of a field to its first beam."""
        return self.first_beam_s

    @property
    def largest_energy_MeV_u(self) -> float:
        """Largest energy: that before the degrader."""
        return self.degrader.energy_MeV_u

    def switch_s(self, energy_MeV_u: float | None, next_MeV_u: float) -> float:
        """From the request of an energy until its beam is there; None: from an energy that nobody knows."""
        if energy_MeV_u is None:
            return self.first_beam_s
        step_MeV_u = next_MeV_u - energy_MeV_u
        if step_MeV_u > 0.0:
            return self.switch_up_s + self.switch_up_s_per_MeV_u * step_MeV_u
        if step_MeV_u < 0.0:
            return self.switch_down_s - self.switch_down_s_per_MeV_u * step_MeV_u
        return self.repeat_s

    def intensity_share(self, energy_MeV_u: float) -> float:
        """Part of the full intensity that there is at an energy, by the transmission of the degrader."""
        points = self.degrader.transmission
        if not points:
            return 1.0
        if energy_MeV_u <= points[0][0]:
            return points[0][1]
        for (low, below), (high, above) in itertools.pairwise(points):
            if energy_MeV_u < high:
                share = (energy_MeV_u - low) / (high - low)
                return math.exp((1.0 - share) * math.log(below) + share * math.log(above))
        return points[-1][1]

    def fewest_spills(self, particles: float, particles_per_s: float) -> int:
        """Fewest beams that hold so many particles at some intensity."""
        ramps_s = self.beam_rise_s + self.beam_fall_s
        return beam_time.fewest_spills(particles, particles_per_s, self.longest_beam_s, ramps_s)

    def time_of(self, scan: Scan, closing_s: float, place: Place) -> SliceTime:
        """Predict the time of a slice; see `Synchrotron.time_of`.

        A beam that is not granted any longer is asked for again when the one before is done with.
        """
        beam = Extraction(self.beam_rise_s, self.beam_fall_s, self.longest_beam_s, 0.0)
        return beam_time.with_beam_going_on(scan, beam, closing_s + self.repeat_s, place)

    def after(
        self, last: Place, closing_s: float, energy_MeV_u: float, next_MeV_u: float
    ) -> tuple[float, Place]:
        """How long the next slice waits for its beam: from when the one before is done with."""
        return closing_s + self.switch_s(energy_MeV_u, next_MeV_u), Place()

    def next_start_us(self, asked_us: int, before: Before | None, energy_MeV_u: float) -> int:
        """When the beam comes that is asked for at a time: when its energy is set, at the next millisecond.

        Parameters
        ----------
        asked_us : int
            On the clock of the field.
        before : Before or None
            The beam before; None: this is the first one.
        energy_MeV_u : float
            Of the beam that is asked for.
        """
        switch_s = self.switch_s(before.energy_MeV_u if before is not None else None, energy_MeV_u)
        return math.ceil((asked_us + round(switch_s * 1e6)) / CLOCK_us) * CLOCK_us

    def nominal_start_us(self, spill: int) -> int | None:
        """None: a beam comes when it is asked for."""
        return None

    def length_us(self) -> int:
        """How long a beam is announced for."""
        return round(self.longest_beam_s * 1e6 / CLOCK_us) * CLOCK_us

    def charge(self, particles_per_us: float, length_us: int, deviation: float) -> float:
        """Particles that there are for a beam: no end of them."""
        return math.inf

    def pulse_particles(self, particles_per_us: float) -> float:
        """There is no ring to be read: 0."""
        return 0.0

    def longest_field_s(self, n_spills: int, span_MeV_u: float) -> float:
        """Time of a field of so many beams, whose energies lie so far apart."""
        longest_s = max(self.switch_s(0.0, span_MeV_u), self.switch_s(span_MeV_u, 0.0), self.repeat_s)
        return self.first_beam_s + n_spills * (longest_s + self.longest_beam_s)

    def undeliverable(self) -> Iterator[str]:
        """Yield nothing: all of it can be delivered."""
        yield from ()

    def problems(self) -> Iterator[str]:
        """Yield sentences about figures that do not go together."""
        for key in ("first_beam_s", "switch_down_s", "switch_up_s", "repeat_s"):
            if getattr(self, key) <= SHORTEST_WAIT_s:
                yield (
                    f"{key}: {getattr(self, key):g} s is not longer than {SHORTEST_WAIT_s:g} s, in which the "
                    "magnets go to the first spot; lengthen it"
                )
        if self.beam_rise_s + self.beam_fall_s > self.longest_beam_s:
            yield "beam_rise_s: rise and fall together are longer than longest_beam_s; shorten them"
        points = self.degrader.transmission
        if any(b[0] <= a[0] for a, b in itertools.pairwise(points)) or any(
            share > 1.0 for _, share in points
        ):
            yield (
                "degrader.transmission: are no energies in ascending order with fractions up to 1; "
                "correct and sort them"
            )
        yield from super().problems()


Accelerator = Synchrotron | Cyclotron
"""A kind of accelerator."""
