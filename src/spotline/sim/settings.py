"""From a beam line to the truth of one simulated spill."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats
from spotline.control.memory import LawSettings
from spotline.machine import BeamLine, SpotSize
from spotline.machine.geometry import current_A, per_isocentre
from spotline.machine.model import Scanning, ScanningAxis
from spotline.machine.monitors import Monitor, Plane, box_numbers
from spotline.machine.simulation import SimulatedGas
from spotline.machine.true_line import TrueLine
from spotline.physics.ions import IONS, Ion
from spotline.random import stream_key
from spotline.room import Broadcast
from spotline.sim.chambers import channel_shares, frame_weights
from spotline.sim.planes import PlaneTruth
from spotline.sim.plant import (
    AxisTruth,
    BeamTruth,
    ChamberMap,
    ChopperTruth,
    IntegralTruth,
    PixelReadoutFault,
    PlantSettings,
    ReadoutFault,
    SegmentedTruth,
    SpillTruth,
)
from spotline.sim.spill import ripple_amplitudes
from spotline.treatment.conversions import particles_per_s
from spotline.treatment.cycle_code import Cycle, decode
from spotline.units import FWHM_PER_SIGMA

# What a random stream is for; part of its key.
(
    CAUSE_ONCE_A_SPILL,
    CAUSE_SPILL,
    CAUSE_ARRIVAL,
    CAUSE_IONIZATION,
    CAUSE_JITTER,
    CAUSE_READBACK,
    CAUSE_STRIP_X,
    CAUSE_STRIP_Y,
    CAUSE_PIXEL,
    CAUSE_REMAINDER,
    CAUSE_SLOW_CONTROL,
    CAUSE_NOISE,
    CAUSE_STRIP_X_FAULT,
    CAUSE_STRIP_Y_FAULT,
    CAUSE_PIXEL_FAULT,
    CAUSE_PLANES,
) = range(16)


@dataclass(frozen=True, slots=True)
class BoxState:
    """True gas and high voltage of a box at some time."""

    temperature_C: float
    pressure_Pa: float
    high_voltage_V: float


def gas_state(gas: SimulatedGas, time_us: int) -> BoxState:
    """True gas and high voltage: linear drifts from the start of the field, the same in all boxes."""
    hours = time_us / 3.6e9
    return BoxState(
        gas.temperature_C + gas.temperature_drift_C_per_h * hours,
        gas.pressure_Pa + gas.pressure_drift_Pa_per_h * hours,
        gas.high_voltage_V,
    )


def ion_of(cycle: Cycle) -> Ion:
    """The ion that a cycle-code names by its atomic number."""
    return next(ion for ion in IONS.values() if ion.charge_number == cycle.charge_number)


class Truths(NamedTuple):
    """What holds during one spill.

    Attributes
    ----------
    plant : PlantSettings
    planes : PlaneTruth
        Strip chambers that the law does not use.
    ring_particles : float
        Ions that there are for the spill.
    ripple_phases : ndarray
        Phases of the lines of the intensity.
    """

    plant: PlantSettings
    planes: PlaneTruth
    ring_particles: float
    ripple_phases: Floats


def plant_settings(
    line: TrueLine,
    law: LawSettings,
    broadcast: Broadcast,
    range_modulators: int,
    seed: int,
    field_number: int,
    spill: int,
    gantry_angle_deg: float | None = None,
) -> Truths:
    """Settings of the plant for one spill.

    Parameters
    ----------
    line : TrueLine
    law : LawSettings
        Only the periods of the readouts are taken from it: the front-end runs at the rates of the law.
    broadcast : Broadcast
        The spill.
    range_modulators : int
        Ripple filters in the beam.
    seed, field_number, spill : int
        Which random numbers to take.
    gantry_angle_deg : float, optional
        Of the field: optics and alignment are those of this angle.

    Returns
    -------
    Truths
    """
    beamline, truth = line.believed, line.simulation
    facts = beamline.facts
    geometry, accelerator, chopper = facts.geometry, facts.accelerator, facts.chopper
    cycle = decode(broadcast.code)
    ion = ion_of(cycle)
    beam = beamline.beam(ion.name)
    assert beam is not None, "the cycle-code was made for this line"
    focus = beamline.foci(ion.name)[cycle.focus]
    size = spot_size_at(beamline, ion.name, cycle.energy_MeV_u, focus, range_modulators, gantry_angle_deg)
    generator = np.random.Generator(
        np.random.PCG64(stream_key(seed, field_number, spill, CAUSE_ONCE_A_SPILL))
    )
    once = generator.standard_normal(7)
    ripple_phases = generator.uniform(0.0, 2.0 * math.pi, len(truth.spill.ripple_frequencies_Hz))

    def key(cause: int) -> int:
        return stream_key(seed, field_number, spill, cause)

    period = facts.control.scan_period_us
    level = accelerator.intensity_levels[cycle.intensity]
    per_us = particles_per_s(beam, level, cycle.energy_MeV_u, beamline) * 1e-6
    length_us = broadcast.extraction_end_us - broadcast.extraction_start_us
    rise_us, fall_us = accelerator.rise_s * 1e6, accelerator.fall_s * 1e6
    ring = accelerator.charge(per_us, length_us, truth.spill.charge_spread * once[0])
    turn = 2.0 * math.pi * np.array(truth.spill.ripple_frequencies_Hz) * period * 1e-6
    noise_decay = math.exp(-period / truth.spill.noise_time_us)
    jitter_decay = math.exp(-period / truth.beam.jitter_time_us)

    gas = gas_state(truth.gas, broadcast.extraction_start_us)
    reference = float(beamline.particles_per_count(ion.name, cycle.energy_MeV_u))
    counts_per_particle = beamline.gas_factor(gas.temperature_C, gas.pressure_Pa) / reference
    calibration = facts.calibration
    ionization_A_per_us = counts_per_particle * facts.chambers.charge_quantum_fC * 1e-15 * 1e6
    voltage = gas.high_voltage_V
    x_source, y_source = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
    x_mm_per_A, y_mm_per_A = _mm_per_A(facts.scanning, x_source, y_source, ion, cycle.energy_MeV_u)
    sigma_x_mm = size.fwhm_box_x_mm / FWHM_PER_SIGMA * (1.0 + truth.beam.size_error * once[5])
    sigma_y_mm = size.fwhm_box_y_mm / FWHM_PER_SIGMA * (1.0 + truth.beam.size_error * once[6])

    # The fluctuation of the energy loss scales with the charge of the ion, its mean with the square.
    ionization_spread = truth.chambers.ionization_spread_proton / ion.charge_number
    background_per_us = background_counts_per_s(line) * 1e-6

    def axis(scanning: ScanningAxis, mm_per_A: float, offset: float, drift: float) -> AxisTruth:
        return AxisTruth(
            slew_A_per_us=scanning.slew_A_per_s * 1e-6,
            settling_us=scanning.settling_time_us,
            mm_per_A=mm_per_A * (1.0 + truth.magnets.field_error),
            offset_mm=truth.beam.spill_offset_mm * offset,
            drift_mm_per_us=truth.beam.drift_mm_per_s * 1e-6 * drift,
            follows=1.0,
            read_gain=1.0,
            read_offset_A=0.0,
            read_noise_A=truth.magnets.readback_noise_A,
        )

    gains, numbers = truth.chambers, box_numbers(facts.boxes)
    recombination_a = gains.recombination_V / voltage
    recombination_b = gains.recombination_V2_per_A * ionization_A_per_us / voltage**2

    def segmented(
        monitor: Monitor | None, plane: Plane, period_us: int, gain: float, key: int
    ) -> SegmentedTruth:
        source_mm = geometry.source_to_isocentre_mm(plane)
        pitch_mm = (monitor.pitch_mm if monitor is not None else None) or 1.0
        sigma_mm = sigma_x_mm if plane == "x" else sigma_y_mm
        return SegmentedTruth(
            period=period_us,
            pitch_mm=pitch_mm,
            sigma_mm=sigma_mm,
            per_iso=per_isocentre(source_mm, monitor.distance_mm) if monitor is not None else 0.0,
            offset_mm=0.0,
            counts_per_particle=counts_per_particle * gain,
            spread=ionization_spread,
            background=background_per_us * period_us,
            box=numbers[monitor.box] if monitor is not None else 1,
            weights=frame_weights(truth.chambers.ion_drift_time_us, period_us),
            shares=channel_shares(sigma_mm, pitch_mm),
            key=key,
        )

    pixel = facts.monitor("pixel")
    settings = PlantSettings(
        period=period,
        broadcast_code=broadcast.code,
        inputs=0,
        spill=SpillTruth(
            start=broadcast.extraction_start_us,
            end=broadcast.extraction_end_us,
            period=period,
            particles_per_us=per_us,
            rise_us=rise_us,
            fall_us=fall_us,
            noise_decay=noise_decay,
            noise_kick=truth.spill.noise_rms * math.sqrt(1.0 - noise_decay**2),
            ripple_turn=np.stack([np.cos(turn), np.sin(turn)]),
            stop_ticks=round(accelerator.extraction_stop_us),
            start_event=broadcast.extraction_start_us,
            end_event=broadcast.extraction_end_us,
            repeat_ticks=0,
            stray_per_us=0.0,
            ring_pulse=accelerator.pulse_particles(per_us),
            key=key(CAUSE_SPILL),
        ),
        chopper=ChopperTruth(
            off_delay=round(chopper.off_delay_us),
            off_step=1.0 / max(1.0, chopper.off_ramp_us),
            on_delay=round(chopper.on_delay_us),
            on_step=1.0 / max(1.0, chopper.on_ramp_us),
            closes=1,
            opens=1,
            leak=0.0,
        ),
        beam=BeamTruth(
            start=broadcast.extraction_start_us,
            period=period,
            x=axis(facts.scanning.x, x_mm_per_A, once[1], once[3]),
            y=axis(facts.scanning.y, y_mm_per_A, once[2], once[4]),
            jitter_decay=jitter_decay,
            jitter_kick_mm=truth.beam.jitter_mm * math.sqrt(1.0 - jitter_decay**2),
            jitter_key=key(CAUSE_JITTER),
            readback_key=key(CAUSE_READBACK),
        ),
        integrals=IntegralTruth(
            int1_counts_per_particle=counts_per_particle * calibration.int1_daily_factor * gains.int1_gain,
            int2_counts_per_particle=counts_per_particle * calibration.int2_daily_factor * gains.int2_gain,
            int1_map=_true_map(line, 1),
            int2_map=_true_map(line, 2),
            ionization_spread=ionization_spread,
            drift_ticks=max(1, round(gains.ion_drift_time_us)),
            int1_background_per_tick=background_per_us,
            int2_background_per_tick=background_per_us,
            int1_noise_per_tick=0.0,
            int2_noise_per_tick=0.0,
            int1_ceiling_per_tick=math.inf,
            int2_ceiling_per_tick=math.inf,
            int1_box=facts.box_number("int1"),
            int2_box=facts.box_number("int2"),
            box1_recombination_a=recombination_a,
            box2_recombination_a=recombination_a,
            box1_recombination_b_per_rate=recombination_b,
            box2_recombination_b_per_rate=recombination_b,
            arrival_key=key(CAUSE_ARRIVAL),
            ionization_key=key(CAUSE_IONIZATION),
            noise_key=key(CAUSE_NOISE),
        ),
        strip_x=segmented(
            facts.monitor("strip_x"), "x", law.strip_period, gains.strip_x_gain, key(CAUSE_STRIP_X)
        ),
        strip_y=segmented(
            facts.monitor("strip_y"), "y", law.strip_period, gains.strip_y_gain, key(CAUSE_STRIP_Y)
        ),
        pixel_x=segmented(pixel, "x", law.pixel_period, gains.pixel_gain, key(CAUSE_PIXEL)),
        pixel_y=segmented(pixel, "y", law.pixel_period, gains.pixel_gain, key(CAUSE_PIXEL)),
        strip_x_fault=ReadoutFault(0, np.zeros(0), np.zeros(0), 0.0, key(CAUSE_STRIP_X_FAULT)),
        strip_y_fault=ReadoutFault(0, np.zeros(0), np.zeros(0), 0.0, key(CAUSE_STRIP_Y_FAULT)),
        pixel_fault=PixelReadoutFault(0, np.zeros((0, 0)), np.zeros((0, 0)), 0.0, key(CAUSE_PIXEL_FAULT)),
    )
    planes = PlaneTruth.of([
        segmented(monitor, monitor.plane, law.strip_period, gains.gains.get(monitor.name, 1.0),
                  stream_key(key(CAUSE_PLANES), number))
        for number, monitor in enumerate(facts.monitors_without_role) if monitor.plane is not None
    ])  # fmt: skip
    return Truths(settings, planes, ring, ripple_phases)


def spot_size_at(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: float,
    focus: str,
    range_modulators: int,
    gantry_angle_deg: float | None,
) -> SpotSize:
    """True spot size at a gantry angle, before it varies from spill to spill.

    The tables of a line hold for all its angles, so that this one does not matter yet; everything that makes
    the beam of a spill another one by the angle begins here.
    """
    size = beamline.spot_size(ion_name, energy_MeV_u, focus, range_modulators)
    assert size is not None, "the plan was prepared for optics of this line"
    return size


def ripple_amplitude(line: TrueLine) -> float:
    """Amplitude of each line of the intensity."""
    spill = line.simulation.spill
    return ripple_amplitudes(len(spill.ripple_frequencies_Hz), spill.ripple_rms)


def _mm_per_A(
    scanning: Scanning, x_source: float, y_source: float, ion: Ion, energy_MeV_u: float
) -> tuple[float, float]:
    rigidity = ion.rigidity_T_m(energy_MeV_u)
    x = float(current_A(1.0, x_source, rigidity, scanning.x.integral_field_mT_m_per_A))
    y = float(current_A(1.0, y_source, rigidity, scanning.y.integral_field_mT_m_per_A))
    return 1.0 / x, 1.0 / y


def _true_map(line: TrueLine, which: int, n: int = 41) -> ChamberMap:
    """The gain map of the calibration, and a gentle residual that the calibration does not know."""
    beamline = line.believed
    geometry = beamline.facts.geometry
    half_mm = max(geometry.field_x_mm, geometry.field_y_mm) / 2
    grid = np.linspace(-half_mm, half_mm, n)
    x, y = np.meshgrid(grid, grid)
    known = beamline.int1_gain(x, y) if which == 1 else beamline.int2_gain(x, y)
    waves = np.cos(math.pi * x / half_mm + which) * np.cos(math.pi * y / half_mm - which)
    residual = line.simulation.chambers.gain_map_residual
    return ChamberMap(-half_mm, grid[1] - grid[0], np.ascontiguousarray(known * (1.0 + residual * waves)))


def background_counts_per_s(line: TrueLine) -> float:
    """True background of an integral chamber."""
    chambers = line.believed.facts.chambers
    return line.simulation.chambers.background_fA / chambers.charge_quantum_fC


def quiet_integrals(line: TrueLine) -> IntegralTruth:
    """The integral chambers without beam: only what they count by themselves is right."""
    background_per_us = background_counts_per_s(line) * 1e-6
    flat = ChamberMap(0.0, 1.0, np.ones((2, 2)))
    return IntegralTruth(
        int1_counts_per_particle=0.0,
        int2_counts_per_particle=0.0,
        int1_map=flat,
        int2_map=flat,
        ionization_spread=0.0,
        drift_ticks=1,
        int1_background_per_tick=background_per_us,
        int2_background_per_tick=background_per_us,
        int1_noise_per_tick=0.0,
        int2_noise_per_tick=0.0,
        int1_ceiling_per_tick=math.inf,
        int2_ceiling_per_tick=math.inf,
        int1_box=1,
        int2_box=1,
        box1_recombination_a=0.0,
        box2_recombination_a=0.0,
        box1_recombination_b_per_rate=0.0,
        box2_recombination_b_per_rate=0.0,
        arrival_key=0,
        ionization_key=0,
        noise_key=0,
    )
