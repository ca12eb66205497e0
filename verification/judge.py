"""Judge deliveries in which something fails, independently of the campaign that made them.

::

    python -m verification.judge --runs 300 --write docs/reference/verification-judge.md

What a campaign says of a run is said here again, from the sources: particles from the plan, counts from the
HDF5 files of the record, ions and times from the truth of the room, millisecond by millisecond, and bounds as
docs/reference/campaign.md writes them down.  Nothing of `spotline.campaign` or `spotline.control` is
imported; both sides are brought together in `verification.judge_runs`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spotline.arrays import Floats, Integers
from spotline.machine.true_line import TrueLine
from spotline.room import Block, Broadcast, Room, SpillResult
from spotline.sim.faults import Fault
from spotline.sim.room import SimulatedRoom
from spotline.treatment.treatment import FieldTreatment, Slice

STEP_us = 1000
"""Deliveries are made in blocks of this length, so that it is known to a millisecond when ions came."""
BEAM_OFF_us = 500.0
EXCESS, BEAM_OFF, COUNTS, FALSE_TRIP = "excess", "beam_off", "counts", "false_trip"


@dataclass(slots=True)
class Seen:
    """One spill, as the witness saw it.

    Attributes
    ----------
    spill : int
        Its number, as the room counts.
    start_us : int
        Announced start of the extraction.
    code : int
        Cycle-code in the memory boards.
    left : ndarray of int
        Counts of INT1 that the memory boards were loaded with.
    x_strip_mm, y_strip_mm : ndarray
        Where their spots are, to know them again.
    ions : ndarray
        True ions of each of them.
    trips_us : list of int
        Samples of the interlocks.
    last_us : tuple of int
        Between these two the last ion came; both 0 if none did.
    told_last_us : int
        The same to a scan period, as the room tells it.
    """

    spill: int
    start_us: int
    code: int
    left: Integers
    x_strip_mm: Floats
    y_strip_mm: Floats
    ions: Floats
    trips_us: list[int] = field(default_factory=list)
    last_us: tuple[int, int] = (0, 0)
    told_last_us: int = 0


class Witness:
    """Stands before the fast loop of a simulated room and looks at the truth after every block."""

    def __init__(self, room: SimulatedRoom) -> None:
        self._room = room
        self.seen: list[Seen] = []

    def load(self, settings: Any, memory: Any, broadcast: Broadcast) -> str:
        """Load the memory boards."""
        held = self._room.loop.load(settings, memory, broadcast)
        self.seen.append(
            Seen(
                spill=self._room.accelerator.asked.spill,
                start_us=broadcast.extraction_start_us,
                code=memory.cycle_code,
                left=memory.int1_counts.copy(),
                x_strip_mm=memory.x_strip_mm.copy(),
                y_strip_mm=memory.y_strip_mm.copy(),
                ions=np.zeros(len(memory.int1_counts)),
            )
        )
        return held

    def run(self, max_samples: int) -> Block:
        """Run a block, and look; after a crash too."""
        before_us = self._room.loop.result().end_us
        try:
            return self._room.loop.run(max_samples)
        finally:
            self._look(before_us)

    def _look(self, before_us: int) -> None:
        seen, result = self.seen[-1], self._room.loop.result()
        truth = result.truth
        assert truth is not None
        if truth[:, 0].sum() > seen.ions.sum():
            seen.last_us = before_us, result.end_us
        seen.ions[: len(truth)] = truth[:, 0]
        seen.trips_us = [int(row["tick"]) for row in result.interlocks]
        seen.told_last_us = int(result.last_ion_us or 0)

    def abort(self, *given: Any) -> None:
        """Hand on."""
        self._room.loop.abort(*given)

    def confirm(self) -> None:
        """Hand on."""
        self._room.loop.confirm()

    def raise_line(self, line: int) -> None:
        """Hand on."""
        self._room.loop.raise_line(line)

    def result(self) -> SpillResult:
        """Hand on."""
        return self._room.loop.result()


@dataclass(slots=True)
class Witnesses:
    """Makes rooms with a witness in each.

    Attributes
    ----------
    line : TrueLine
    seed : int
    faults_of : callable
        Faults of a field, by its number.
    disk : Any
        What is written to.
    """

    line: TrueLine
    seed: int
    faults_of: Callable[[int], tuple[Fault, ...]]
    disk: Any
    repaired: bool = False
    of_field: dict[int, list[Witness]] = field(default_factory=dict)

    def room(self, treatment: FieldTreatment, spills_before: int = 0) -> Room:
        """Make a room, as `spotline.delivery.run.deliver` wants it."""
        number = treatment.field.number
        room = SimulatedRoom(
            self.line,
            number,
            self.seed,
            treatment.passive_elements,
            faults=() if self.repaired else self.faults_of(number),
            spills_before=spills_before,
            disk=self.disk,
        )
        witness = Witness(room)
        self.of_field.setdefault(number, []).append(witness)
        return Room(room.accelerator, witness, room.sensors)

    def seen(self, number: int) -> list[Seen]:
        """All spills of a field."""
        return [seen for witness in self.of_field.get(number, []) for seen in witness.seen]


@dataclass(slots=True)
class Sums:
    """What came of a field: arrays over the prescribed spots, by layer and spot of the plan."""

    prescribed: Floats
    ions: Floats
    spills: Integers
    spot_of_visit: list[Integers]


def slice_of(seen: Seen, slices: Sequence[Slice], begin: int) -> int:
    """Index of the slice whose last spots were loaded."""
    n = len(seen.left)
    for index in range(begin, len(slices)):
        x, y = slices[index].x_strip_mm, slices[index].y_strip_mm
        if slices[index].cycle_code != seen.code or len(x) < n:
            continue
        if (x[-n:] == seen.x_strip_mm).all() and (y[-n:] == seen.y_strip_mm).all():
            return index
    raise ValueError(f"spill {seen.spill}: loaded with spots of no slice")


def sums_of(treatment: FieldTreatment, spills: Sequence[Seen]) -> Sums:
    """Add up plan and truth."""
    layers = treatment.field.layers
    first = np.cumsum([0, *(len(layer.meterset) for layer in layers)])
    visits = [first[s.planned_layer] + s.planned_spot for s in treatment.slices]
    assert treatment.field.unit == "NP", "the plan is in particles"
    prescribed = np.concatenate([layer.meterset for layer in layers])
    ions = np.zeros(first[-1])
    n_spills = np.zeros(first[-1], np.int64)
    now = 0
    for seen in spills:
        now = slice_of(seen, treatment.slices, now)
        here = visits[now][len(visits[now]) - len(seen.left) :]
        for spot, n in zip(here, seen.ions, strict=True):
            ions[spot] += n
        n_spills[np.unique(here[seen.ions > 0])] += 1
    return Sums(prescribed, ions, n_spills, visits)


def bounds_of(
    treatment: FieldTreatment, line: TrueLine, faults: Sequence[Fault], sums: Sums, n_spills: int
) -> tuple[Floats, float, float]:
    """Bounds of the spots, of the field and of the time to beam off, as the page of campaigns has them."""
    facts, truth = line.believed.facts, line.simulation
    fast, control = facts.fast_interlocks, facts.control
    period_us = control.scan_period_us
    chopper_us = facts.chopper.off_delay_us + facts.chopper.off_ramp_us
    second_us = max(
        BEAM_OFF_us,
        chopper_us + control.collection_time_us + 2 * period_us + facts.accelerator.extraction_stop_us,
    )
    length_us = facts.accelerator.length_us()
    energies = [s.energy_MeV_u for s in treatment.slices]
    hours = facts.accelerator.longest_field_s(n_spills, max(energies) - min(energies)) / 3600.0
    gas = truth.gas
    off_by = (5.0 * gas.temperature_noise_C + hours * abs(gas.temperature_drift_C_per_h)) / (
        gas.temperature_C + 273.15
    ) + (5.0 * gas.pressure_noise_Pa + hours * abs(gas.pressure_drift_Pa_per_h)) / gas.pressure_Pa
    chambers = truth.chambers
    gain = min(chambers.int1_gain, chambers.int2_gain) * (1.0 - chambers.gain_map_residual)
    gain *= (1.0 - chambers.recombination_V / gas.high_voltage_V) * (1.0 - off_by)
    calibration = max(0.0, 1.0 / gain - 1.0)
    crest = 1.0 + 5.0 * truth.spill.noise_rms
    n_lines = len(truth.spill.ripple_frequencies_Hz)
    crest += truth.spill.ripple_rms * math.sqrt(2.0 / n_lines) * n_lines
    unseen_us, unseen_counts = chambers.ion_drift_time_us / 6.0, 0.0
    unseen_us += BEAM_OFF_us if faults else chopper_us
    off_us = BEAM_OFF_us
    for fault in faults:
        value = fault.value or 0.0
        crest *= {"beam.spike": max(1.0, value), "beam.stray": 1.0 + value}.get(fault.kind, 1.0)
        if fault.kind == "beam.spike":
            unseen_us += fast.intensity_window_us + period_us
        elif fault.kind in ("fast_control.hang", "process.kill", "power.loss", "clock.stop"):
            unseen_us += fast.watchdog_us + 2 * period_us
        elif fault.kind in ("gas.contaminated", "high_voltage.trip", "front_ends.dead"):
            # Nothing counts what comes: the charge of the ring has to tell.
            pulse_us = facts.accelerator.pulse_particles(1.0)
            unseen_us += chopper_us + control.collection_time_us + 2 * period_us + 2.0 * pulse_us
            unseen_counts += 3.0 * fast.ring_counts
        elif fault.kind in ("integrals.lost", "readout_link.lost"):
            unseen_us += (fast.data_periods + 1) * period_us
        if not fault.kind.startswith("chopper."):
            continue
        share = value if fault.kind == "chopper.leak" else 1.0
        off_counts = fast.beam_when_off_counts + 1.0
        if fault.kind != "chopper.stuck_closed":
            unseen_us += share * (second_us - BEAM_OFF_us)
            unseen_counts += off_counts + 0.0005 * length_us
        for s in treatment.slices:
            above_per_us = 0.1 * share * s.particles_per_s * 1e-6 / largest_k(s) - 0.0005
            wait_us = off_counts / above_per_us if above_per_us > 0.0 else math.inf
            off_us = max(off_us, second_us + min(length_us, wait_us))
    n = len(sums.prescribed)
    fixed, flight, resolution = np.zeros(n), np.zeros(n), np.zeros(n)
    for s, here in zip(treatment.slices, sums.spot_of_visit, strict=True):
        k, wrong = largest_k(s), wrong_energy(s, treatment, line, faults)
        falling = falling_gain(s, line, faults)
        in_flight = crest * s.particles_per_s * 1e-6 * unseen_us + unseen_counts * k * (1.0 + wrong)
        for spot, particles in zip(here, s.particles, strict=True):
            fixed[spot] += (
                particles * (calibration + wrong + falling) + (1.0 + control.int2_margin_counts) * k
            )
            flight[spot] = max(flight[spot], in_flight)
            resolution[spot] = max(resolution[spot], k)
    fixed += resolution * sums.spills
    spread = 5.0 * chambers.ionization_spread_proton / treatment.beam.ion.charge_number
    spots = fixed + spread * np.sqrt(sums.prescribed) + flight
    whole = fixed.sum() + spread * math.sqrt(sums.prescribed.sum()) + max(1, n_spills) * flight.max()
    return spots, float(whole), off_us


def largest_k(slice_: Slice) -> float:
    """Most particles of a count."""
    return float(max(slice_.particles_per_count1.max(), slice_.particles_per_count2.max()))


def falling_gain(slice_: Slice, line: TrueLine, faults: Sequence[Fault]) -> float:
    """How much too little a gain that falls slowly may count of a slice before the ring tells it."""
    fast, total = line.believed.facts.fast_interlocks, 0.0
    for fault in faults:
        if fault.kind == "gas.contaminated" and fault.value:
            counts_per_s = 0.1 * slice_.particles_per_s / largest_k(slice_)
            down = fast.ring_ratio + math.sqrt(2.0 * fault.value * fast.ring_counts / counts_per_s)
            total += 1.0 / max(0.1, 1.0 - down) - 1.0
    return total


def wrong_energy(slice_: Slice, treatment: FieldTreatment, line: TrueLine, faults: Sequence[Fault]) -> float:
    """Particles of a count of the true energy over those of the announced one, beyond 1, of all faults."""
    ion, total = treatment.beam.name, 0.0
    known = line.believed.energies[ion].energy_MeV_u
    for fault in faults:
        if fault.kind == "beam.energy" and fault.value is not None:
            true = min(max(slice_.energy_MeV_u * fault.value, known.min()), known.max())
            k_true, k = (
                float(line.believed.particles_per_count(ion, one)) for one in (true, slice_.energy_MeV_u)
            )
            total += max(0.0, k_true / k - 1.0)
    return total


@dataclass(slots=True)
class Judgement:
    """What became of a field: the invariants that did not hold, and the figures."""

    broken: set[str]
    excess: float
    bound: float
    excess_field: float
    bound_field: float
    beam_off_us: int | None
    beam_off_bound_us: float
    figures_differ: str = ""


def judge(
    treatment: FieldTreatment,
    line: TrueLine,
    faults: Sequence[Fault],
    spills: Sequence[Seen],
    folder: Path,
    complete: bool,
    without_beam_us: Sequence[int] = (),
) -> Judgement:
    """Judge one field.

    Parameters
    ----------
    treatment : FieldTreatment
    line : TrueLine
    faults : sequence of Fault
        What fails in it.
    spills : sequence of Seen
    folder : Path
        Of the field, in the record.
    complete : bool
        Whether it is said to be delivered whole.
    without_beam_us : sequence of int
        Interlocks between spills.
    """
    sums = sums_of(treatment, spills)
    spots, whole, off_us = bounds_of(treatment, line, faults, sums, len(spills))
    excess = sums.ions - sums.prescribed
    worst = int(np.argmax(excess / spots))
    broken = set()
    if (excess > spots).any() or excess.sum() > whole:
        broken.add(EXCESS)
    delays, odd = [], ""
    for seen in spills:
        after, until = seen.last_us
        if not after <= seen.told_last_us <= until:
            odd = (
                f"spill {seen.spill}: the room says that its last ion came at {seen.told_last_us} us, and "
                f"ions came last between {after} and {until} us"
            )
        if seen.trips_us:
            since_us = min(seen.trips_us)
            for one in faults:  # a chopper that fails only after the interlock
                opens_us = onset_us([one], line, {s.spill: s.start_us for s in spills})
                if one.device == "chopper" and opens_us is not None and opens_us <= seen.told_last_us:
                    since_us = max(since_us, opens_us)
            delays.append(max(0, seen.told_last_us - since_us))
    if delays and max(delays) > off_us:
        broken.add(BEAM_OFF)
    if spills and counts_are_wrong(folder, spills, complete):
        broken.add(COUNTS)
    trips_us = sorted([us for seen in spills for us in seen.trips_us] + list(without_beam_us))
    begins_us = onset_us(faults, line, {seen.spill: seen.start_us for seen in spills})
    if trips_us and (
        begins_us is None or trips_us[0] < begins_us - slack_us(line, trips_us[0], without_beam_us)
    ):
        broken.add(FALSE_TRIP)
    return Judgement(
        broken,
        float(excess[worst]),
        float(spots[worst]),
        float(excess.sum()),
        whole,
        max(delays, default=None),
        off_us,
        odd,
    )


def slack_us(line: TrueLine, trip_us: int, without_beam_us: Sequence[int]) -> int:
    """An interlock between spills has the time of the last reading of the slow control."""
    return round(line.believed.facts.slow_interlocks.period_s * 1e6) if trip_us in without_beam_us else 0


def onset_us(faults: Sequence[Fault], line: TrueLine, starts_us: dict[int, int]) -> int | None:
    """When the first fault begins, to its scan period; events that come too early do so before."""
    facts, begins = line.believed.facts, []
    period_us = facts.control.scan_period_us
    for fault in faults:
        nominal_us = facts.accelerator.nominal_start_us(fault.spill)
        start_us = starts_us.get(fault.spill) if nominal_us is None else nominal_us
        if start_us is None:
            continue
        early = fault.kind.startswith("timing.shift_") and (fault.value or 0.0) < 0.0
        at_us = start_us + fault.at_us - (math.ceil(-fault.value) if early and fault.value else 0)
        begins.append(at_us - at_us % period_us)
    return min(begins) if begins else None


def counts_are_wrong(folder: Path, spills: Sequence[Seen], complete: bool) -> bool:
    """Follow the counts of INT1 through the files of the record, and compare with what was loaded."""
    (treatment_file,) = folder.glob("*_treatment.h5")
    with h5py.File(treatment_file) as file:
        slices = file["slices"]
        left = [slices[name]["int1_counts"][()].astype(np.int64) for name in sorted(slices)]
    loaded = {seen.start_us: seen for seen in spills}
    for path in sorted((folder / "spills").glob("spill-*.h5")):
        with h5py.File(path) as file:
            header = json.loads(file.attrs["header"])
            of_boards = file["control/spots"][()]
            groups = [file["measured/parts"][()]]
            groups += [file["assumed/parts"][()]] if "assumed/parts" in file else []
        counts = left[header["slice"]]
        seen = loaded.pop(header["extraction_start_us"], None)
        if seen is not None:
            expected = counts[len(counts) - len(seen.left) :]
            if (expected != seen.left).any() or counts[: len(counts) - len(seen.left)].any():
                return True
        for parts in groups:
            for row in parts:
                spot = of_boards[row["spot"]]
                if row["complete"]:
                    counts[spot] = 0
                elif row["int1_counts"] >= counts[spot]:
                    return True
                else:
                    counts[spot] -= row["int1_counts"]
    return bool(loaded) or complete == any(counts.any() for counts in left)


def main(arguments: list[str]) -> int:
    """Judge runs of a campaign again, and write the page."""
    from verification.judge_runs import main as compare

    return compare(arguments, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
