"""How many particles too many a delivery may give, and for how long: stated before it is made.

A bound follows from the beam line, the prescription and what is going to fail.  It does not look at what
came out, but for the number of spills: each of them ends once.  With P the prescribed particles of a spot,
k the particles of a count, I the largest intensity:

====================  ==========================================================================
term                  particles beyond the prescription
====================  ==========================================================================
calibration           P x the relative error of the worse integral chamber: gain, residual of the gain
                      map, recombination, and noise and drift of the gas sensors; five standard deviations
                      of what is noise.  Either chamber ends a spot, so one that has failed adds nothing.
wrong energy          P x (k of the true energy / k - 1): all chambers read the same too little, and
                      nothing in the nozzle can tell
gas of both           if both integral chambers stand in one box and its gas, voltage or sensors fail:
                      P x the largest relative error that the tolerances of the slow control allow
resolution            k for the rounding of the prescription of each visit and k for each count of the
                      margin of INT2, and k for each spill that took part: charge below a count is lost
ionization            5 s sqrt(P), s the relative spread of the charge of an ion
late charge           I x a sixth of the drift time of the ions: half of the charge comes late, by a third
                      of that time on average
beam off              I x 500 us (invariant 2) if something fails, else I x the time of the chopper
detection             I x the time that the fault may go unnoticed, and k x the counts that it takes to be
                      noticed (`detection`); of a leak, the part of I that leaks
falling gain          P x (1 / the smallest gain of all chambers that the charge of the ring lets pass - 1)
====================  ==========================================================================

The bound of a field sums the first four, and the last, over the spots, takes the fifth of all its particles
together, and the others once per spill.

A field in which nothing fails has a bound to the other side, too.  The chamber that counts most ends a spot:
if it counts too much, spots get too little, in the simulated room of the shipped lines 0.2 % (the true gain
of INT1 is 1.002).  So the middle of what is delivered is not the prescription, and either side has its own
calibration:

====================  ==========================================================================
term                  particles that are missing
====================  ==========================================================================
calibration           P x the relative error of the chamber that counts most: gain, residual of the gain map,
                      noise and drift of the gas sensors; without recombination, which only loses counts
resolution            k for the rounding of each visit, and for a spot k for what is left of the spot before
ionization            as above; and s sqrt(P) of every spot, because the first of two chambers ends it
late charge           for a spot, as above: that of the spot before counts as its own.  A field loses none
====================  ==========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.control.memory import LEAK_TICKS
from spotline.delivery.field import FRUITLESS_PAUSES
from spotline.machine import BeamLine
from spotline.machine.monitors import INTEGRALS
from spotline.machine.true_line import TrueLine
from spotline.sim.faults import KINDS, Fault
from spotline.treatment.treatment import FieldTreatment, Slice
from spotline.units import ABSOLUTE_ZERO_C

BEAM_OFF_us = 500.0
"""From the first sample out of tolerance to the last ion: invariant 2."""

DEVIATIONS = 5.0
"""Standard deviations that noise may take."""

DIP = 0.1
"""Part of the nominal intensity below which a rippled spill does not stay: counts take no longer to come."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How long a fault may give particles that nobody asked for before anything can notice it.

    Attributes
    ----------
    time_us : float
    counts : float
        Counts of an integral chamber that must come first.
    """

    time_us: float = 0.0
    counts: float = 0.0


BLINDING = ("gas.contaminated", "high_voltage.trip", "front_ends.dead")
"""Kinds that make all chambers count too little."""

NOTHING = Detection()
"""A fault that gives no particles unseen: another chamber ends the spot, or the beam is only missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Bounds of one field in one run.

    Attributes
    ----------
    spots : ndarray of float, shape (n_prescribed,)
        Particles that a prescribed spot may receive too many.
    field : float
        The same of the whole field.
    beam_off_us : float
        From the first sample out of tolerance to the last ion.
    lack_spots : ndarray of float, shape (n_prescribed,)
        Particles that a prescribed spot may lack if nothing fails.
    lack_field : float
        The same of the whole field.
    """

    spots: Floats
    field: float
    beam_off_us: float
    lack_spots: Floats
    lack_field: float


def detection(fault: Fault, beamline: BeamLine) -> Detection:
    """What a fault may cost until it is noticed, by its kind.

    Times are those of the checks that find it; each stands in the beam-line file.  The scan period is added
    where a check is made once per period.
    """
    facts = beamline.facts
    limits, period_us = facts.fast_interlocks, float(facts.control.scan_period_us)
    kind = fault.kind
    if fault.kind == "chopper.stuck_closed":
        return NOTHING
    if fault.device == "chopper":
        # What the safety interlock system lets pass for ever may come until the extraction is over.
        passes = facts.accelerator.length_us() / LEAK_TICKS
        counts = limits.beam_when_off_counts + 1.0 + passes
        return Detection((second_path_us(beamline) - BEAM_OFF_us) * _share(fault), counts)
    if kind == "beam.spike":
        return Detection(limits.intensity_window_us + period_us)
    if kind in ("fast_control.hang", "process.kill", "power.loss"):
        return Detection(limits.watchdog_us + 2.0 * period_us)
    if hits_both_counts(fault, beamline):
        return Detection(facts.slow_interlocks.period_s * 1e6)  # until the slow control reads it
    if kind in BLINDING:
        return _unseen_by_all(beamline)
    if kind == "clock.stop":
        return Detection(limits.watchdog_us + 2.0 * period_us)
    if kind in ("integrals.lost", "readout_link.lost"):
        return Detection((limits.data_periods + 1.0) * period_us)
    return NOTHING


def hits_both_counts(fault: Fault, beamline: BeamLine) -> bool:
    """Whether a fault strikes the box of both integral chambers, which then agree on what is wrong."""
    boxes = {beamline.facts.box_number(role) for role in INTEGRALS}
    return boxes == {KINDS[fault.kind].box}


def shared_gas_error(fault: Fault, line: TrueLine) -> float:
    """Relative excess that a fault of the box of both integral chambers may cause within the tolerances."""
    if not hits_both_counts(fault, line.believed):
        return 0.0
    limits, gas = line.believed.facts.slow_interlocks, line.simulation.gas
    if fault.device.startswith("sensor_temperature"):
        low, high = (limit - ABSOLUTE_ZERO_C for limit in limits.temperature_C)
        return high / low - 1.0
    if fault.device.startswith("sensor_pressure"):
        low, high = limits.pressure_Pa
        return high / low - 1.0
    recombination = line.simulation.chambers.recombination_V / limits.high_voltage_V[0]
    if fault.device.startswith("high_voltage"):
        return recombination * max(0.0, gas.high_voltage_V / limits.high_voltage_V[0] - 1.0)
    change = limits.gas_density_change if fault.device.startswith("box") else 0.0
    return change / (1.0 - change)


def _unseen_by_all(beamline: BeamLine) -> Detection:
    """What passes before the charge of the ring tells that all chambers count too little.

    It is looked at once the chopper had its time, from one pulse to the next; three times the counts that may
    be short, because some of what passes is still counted.  If the ring is not read, only the wait for counts
    is left, in as many spills as are paused in vain.
    """
    facts = beamline.facts
    limits, chopper = facts.fast_interlocks, facts.chopper
    pulse_us = facts.accelerator.pulse_particles(1.0)  # as time of a beam of any intensity
    if pulse_us == 0.0:
        return Detection(FRUITLESS_PAUSES * float(limits.no_counts_us))
    blind_us = chopper.off_delay_us + chopper.off_ramp_us + facts.control.collection_time_us
    return Detection(blind_us + 2.0 * facts.control.scan_period_us + 2.0 * pulse_us, 3.0 * limits.ring_counts)


def second_path_us(beamline: BeamLine) -> float:
    """From the first sample out of tolerance to the last ion if the chopper itself fails.

    The safety interlock system waits until the chopper had its time and late charge is in, counts what comes
    all the same, and has the accelerator end the extraction.  The time for the counts is in `beam_off_us`.
    """
    facts = beamline.facts
    chopper = facts.chopper.off_delay_us + facts.chopper.off_ramp_us
    periods_us = 2.0 * facts.control.scan_period_us
    wait_us = chopper + facts.control.collection_time_us + periods_us
    return max(BEAM_OFF_us, wait_us + facts.accelerator.extraction_stop_us)


def beam_off_us(faults: Iterable[Fault], treatment: FieldTreatment, beamline: BeamLine) -> float:
    """Bound of invariant 2: 500 us, or that of the second path if the chopper fails.

    The counts that the second path needs come at no less than a tenth of the nominal intensity of the slice,
    times the part of the beam that the chopper lets through; one of them in `LEAK_TICKS` is let pass as
    background.  If they may all be, the beam stays until the extraction is over.
    """
    bound_us = BEAM_OFF_us
    for fault in faults:
        if fault.device != "chopper":
            continue
        counts = beamline.facts.fast_interlocks.beam_when_off_counts + 1.0
        longest_us = beamline.facts.accelerator.length_us()
        slowest_per_us = min(
            DIP * _share(fault) * slice_.particles_per_s * 1e-6 / _particles_per_count(slice_)
            for slice_ in treatment.slices
        )
        level_per_us = slowest_per_us - 1.0 / LEAK_TICKS
        wait_us = min(longest_us, counts / level_per_us) if level_per_us > 0.0 else longest_us
        bound_us = max(bound_us, second_path_us(beamline) + wait_us)
    return bound_us


def _share(fault: Fault) -> float:
    """Part of the beam that comes through a chopper that fails."""
    return fault.value if fault.mode == "leak" and fault.value else 1.0


def overcounting_error(line: TrueLine, hours: float) -> float:
    """Part of its prescription that a spot lacks because the chamber that counts most ends it.

    Parameters
    ----------
    line : TrueLine
    hours : float
        As of `calibration_error`.
    """
    chambers = line.simulation.chambers
    gain = max(chambers.int1_gain, chambers.int2_gain)
    seen = gain * (1.0 + chambers.gain_map_residual) * (1.0 + _gas_error(line, hours))
    return max(0.0, 1.0 - 1.0 / seen)


def _gas_error(line: TrueLine, hours: float) -> float:
    """Relative error of the density of the gas: noise of the sensors, and drift since the conversion."""
    gas = line.simulation.gas
    kelvin, pascal = gas.temperature_C + 273.15, gas.pressure_Pa
    sensors = DEVIATIONS * (gas.temperature_noise_C / kelvin + gas.pressure_noise_Pa / pascal)
    drift = hours * (abs(gas.temperature_drift_C_per_h) / kelvin + abs(gas.pressure_drift_Pa_per_h) / pascal)
    return sensors + drift


def calibration_error(line: TrueLine, hours: float) -> float:
    """Relative error of the worse integral chamber that nothing corrects for.

    Parameters
    ----------
    line : TrueLine
    hours : float
        For which gas drifts after the counts were converted.
    """
    simulated = line.simulation
    chambers, gas = simulated.chambers, simulated.gas
    recombination = chambers.recombination_V / gas.high_voltage_V
    gain = min(chambers.int1_gain, chambers.int2_gain)
    seen = gain * (1.0 - chambers.gain_map_residual) * (1.0 - recombination) * (1.0 - _gas_error(line, hours))
    return max(0.0, 1.0 / seen - 1.0)


def largest_intensity_per_us(slice_: Slice, faults: Iterable[Fault], line: TrueLine) -> float:
    """Ions per microsecond at the top of ripple and noise, and of every fault that raises the intensity."""
    spill = line.simulation.spill
    n_lines = len(spill.ripple_frequencies_Hz)
    ripple = spill.ripple_rms * math.sqrt(2.0 * n_lines)  # all lines at their crest
    factor = math.prod(KINDS[fault.kind].peak_factor(fault.value) for fault in faults)
    return slice_.particles_per_s * 1e-6 * (1.0 + ripple + DEVIATIONS * spill.noise_rms) * factor


def bound_of(
    treatment: FieldTreatment,
    line: TrueLine,
    faults: tuple[Fault, ...],
    spot_of_visit: np.ndarray,
    spills_of_spot: np.ndarray,
    n_spills: int,
) -> Bound:
    """Bounds of one field.

    Parameters
    ----------
    treatment : FieldTreatment
        The prepared field.
    line : TrueLine
    faults : tuple of Fault
        What fails in it.
    spot_of_visit : ndarray of int, shape (n_visits,)
        Prescribed spot of every visit, in delivery order.
    spills_of_spot : ndarray of int, shape (n_prescribed,)
        Spills in which particles were booked to the spot.
    n_spills : int
        Spills of the field.
    """
    beamline, n = line.believed, len(spills_of_spot)
    facts, truth = beamline.facts, line.simulation.chambers
    prescribed = np.zeros(n)
    fixed = np.zeros(n)  # all but what goes with the intensity
    flight = np.zeros(n)
    counted = np.zeros(n)
    lacking, late = np.zeros(n), np.zeros(n)
    spread = truth.ionization_spread_proton / treatment.beam.ion.charge_number
    late_us = truth.ion_drift_time_us / 6.0
    noticed = [detection(fault, beamline) for fault in faults]
    off_us = BEAM_OFF_us if faults else facts.chopper.off_delay_us + facts.chopper.off_ramp_us
    time_us = late_us + off_us + sum(found.time_us for found in noticed)
    counts = sum(found.counts for found in noticed)
    margin = facts.control.int2_margin_counts
    energies_MeV_u = [slice_.energy_MeV_u for slice_ in treatment.slices]
    span_MeV_u = max(energies_MeV_u) - min(energies_MeV_u)
    hours = facts.accelerator.longest_field_s(n_spills, span_MeV_u) / 3600.0
    first = 0
    for slice_ in treatment.slices:
        here = spot_of_visit[first : first + slice_.n_spots]
        first += slice_.n_spots
        k = _particles_per_count(slice_)
        error = calibration_error(line, hours) + _wrong_energy(slice_, treatment, faults, beamline)
        error += sum(shared_gas_error(fault, line) for fault in faults)
        error += _falling_gain(slice_, faults, beamline)
        np.add.at(prescribed, here, slice_.particles)
        np.add.at(fixed, here, error * slice_.particles + (1.0 + margin) * k)
        intensity = largest_intensity_per_us(slice_, faults, line)
        true_k = k * (1.0 + _wrong_energy(slice_, treatment, faults, beamline))
        flight[here] = np.maximum(flight[here], intensity * time_us + counts * true_k)
        counted[here] = np.maximum(counted[here], k)
        np.add.at(lacking, here, overcounting_error(line, hours) * slice_.particles + k)
        np.add.at(late, here, k + largest_intensity_per_us(slice_, (), line) * late_us)
    fixed += counted * spills_of_spot
    noise = spread * np.sqrt(prescribed)
    in_flight = float(flight.max(initial=0.0)) * max(1, n_spills)
    return Bound(
        spots=fixed + DEVIATIONS * noise + flight,
        field=float(fixed.sum()) + DEVIATIONS * spread * math.sqrt(prescribed.sum()) + in_flight,
        beam_off_us=beam_off_us(faults, treatment, beamline),
        lack_spots=lacking + late + (DEVIATIONS + 1.0) * noise,
        lack_field=float(lacking.sum() + noise.sum()) + DEVIATIONS * spread * math.sqrt(prescribed.sum()),
    )


def _particles_per_count(slice_: Slice) -> float:
    """Most particles of a count of either chamber."""
    return float(max(slice_.particles_per_count1.max(), slice_.particles_per_count2.max()))


def _falling_gain(slice_: Slice, faults: Iterable[Fault], beamline: BeamLine) -> float:
    """Relative excess because the gain of all chambers falls so slowly that the ring tells it late.

    With the gain down by the ratio, counts go short by the square of the time.
    """
    error, limits = 0.0, beamline.facts.fast_interlocks
    for fault in faults:
        if fault.kind == "gas.contaminated" and fault.value:
            counts_per_s = DIP * slice_.particles_per_s / _particles_per_count(slice_)
            unseen = limits.ring_ratio + math.sqrt(2.0 * fault.value * limits.ring_counts / counts_per_s)
            error += 1.0 / (1.0 - min(unseen, 0.9)) - 1.0
    return error


def _wrong_energy(
    slice_: Slice, treatment: FieldTreatment, faults: Iterable[Fault], beamline: BeamLine
) -> float:
    """Relative excess because the true energy makes fewer counts per particle than the announced one."""
    error, ion = 0.0, treatment.beam.name
    table_MeV_u = beamline.energies[ion].energy_MeV_u
    for fault in faults:
        if fault.kind == "beam.energy" and fault.value is not None:
            announced = float(beamline.particles_per_count(ion, slice_.energy_MeV_u))
            energy_MeV_u = float(
                np.clip(slice_.energy_MeV_u * fault.value, table_MeV_u.min(), table_MeV_u.max())
            )
            true = float(beamline.particles_per_count(ion, energy_MeV_u))
            error += max(0.0, true / announced - 1.0)
    return error
