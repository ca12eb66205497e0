"""Load the fast control: from a beam line and a prepared slice to its settings and memory boards."""

from __future__ import annotations

import math

import numpy as np

from spotline.arrays import Integers
from spotline.control.memory import AxisSettings, IntegralLimits, LawSettings, RingSettings, SliceMemory
from spotline.machine.geometry import current_A, isocentre_per_monitor
from spotline.machine.model import BeamLineFile, IonBeam, ScanningAxis
from spotline.machine.monitors import Plane
from spotline.moves import AxisMoves, transit_time_us
from spotline.physics.ions import Ion
from spotline.treatment.treatment import Slice
from spotline.units import FWHM_PER_SIGMA

IONIZATION_SPREAD_PROTON = 0.55
"""Relative spread of the charge that a proton sets free in a gap of 5.5 mm of nitrogen, by Bohr with delta
electrons to 19 keV: 0.46 at 62 MeV to 0.68 at 226 MeV."""


def _axis(
    facts: BeamLineFile, axis: ScanningAxis, plane: Plane, ion: Ion, energy_MeV_u: float
) -> AxisSettings:
    source_mm = facts.geometry.source_to_isocentre_mm(plane)
    strips, pixel = facts.monitor("strip_x" if plane == "x" else "strip_y"), facts.monitor("pixel")
    per_mm = float(current_A(1.0, source_mm, ion.rigidity_T_m(energy_MeV_u), axis.integral_field_mT_m_per_A))
    return AxisSettings(
        feedback_limit_A=facts.control.feedback_limit_mm * per_mm,
        step_A=axis.current_step_A,
        A_per_mm=per_mm,
        slew_A_per_us=axis.slew_A_per_s * 1e-6,
        settling_us=axis.settling_time_us,
        deviation_limit_A=facts.fast_interlocks.current_mm * per_mm,
        iso_per_strip=isocentre_per_monitor(facts, strips, plane) or 0.0,
        iso_per_pixel=isocentre_per_monitor(facts, pixel, plane) or 0.0,
    )


def _full_swing_ticks(axis: ScanningAxis) -> int:
    """Time of the longest move that a magnet can make; it has been anywhere before a spill."""
    moves = AxisMoves(1.0, axis.slew_A_per_s * 1e-6, axis.settling_time_us, axis.current_limit_A * 1e-3)
    return math.ceil(transit_time_us(2.0 * axis.current_limit_A, moves))


def law_settings(facts: BeamLineFile, beam: IonBeam, slice_: Slice) -> LawSettings:
    """Settings of the fast control for one slice.

    Parameters
    ----------
    facts : BeamLineFile
        The beam line; its ``simulation`` table is not looked at.
    beam : IonBeam
        The ion species.
    slice_ : Slice
        The prepared slice.
    """
    control, limits = facts.control, facts.fast_interlocks
    (_, strip_pitch_mm), (_, pixel_pitch_mm) = facts.strips, facts.pixels
    chopper = facts.chopper
    ion, energy = beam.ion, slice_.energy_MeV_u
    bins = max(1, round(limits.intensity_window_us / control.scan_period_us))
    window_s = bins * control.scan_period_us * 1e-6
    # Three standard deviations of the beam, and as far again as it may stray before it is paused.
    reach_mm = 1.3 * max(slice_.fwhm_x_mm, slice_.fwhm_y_mm) + 2.0 * limits.position_mm
    per_count1 = float(np.mean(slice_.particles_per_count1))
    per_count2 = float(np.mean(slice_.particles_per_count2))
    # Until the chopper acts, half of its ramp, and the charge that lags behind the beam: half of
    # it (the ions) by a third of the collection time (a linearly falling current) on average.
    late_ticks = chopper.off_delay_us + chopper.off_ramp_us / 2 + control.collection_time_us / 6
    excess_particles = limits.excess_intensity * slice_.particles_per_s * late_ticks * 1e-6
    confirmed_s = control.recovery_period_us * 1e-6
    # The fluctuation of the energy loss scales with the charge of the ion, its mean with the square.
    spread = IONIZATION_SPREAD_PROTON / ion.charge_number
    return LawSettings(
        integral=IntegralLimits(
            float(limits.int_difference_counts), limits.int_ratio, limits.int_ratio_minimum_counts
        ),
        x=_axis(facts, facts.scanning.x, "x", ion, energy),
        y=_axis(facts, facts.scanning.y, "y", ion, energy),
        scan_period=control.scan_period_us,
        strip_period=control.strip_period_us,
        pixel_period=control.pixel_period_us,
        beam_off_ticks=round(chopper.off_delay_us + chopper.off_ramp_us),
        collection_ticks=control.collection_time_us,
        blanking_ticks=control.strip_blanking_us,
        anticipate=int(control.anticipate_beam_off),
        late_counts_ticks=late_ticks,
        feedback_gain=control.feedback_gain,
        settled_A=control.settled_current_A,
        strip_pitch_mm=strip_pitch_mm,
        pixel_pitch_mm=pixel_pitch_mm,
        strip_reach=math.ceil(reach_mm / strip_pitch_mm),
        pixel_reach=math.ceil(reach_mm / pixel_pitch_mm),
        centroid_counts=beam.centroid_counts,
        pixel_centroid_counts=beam.pixel_centroid_counts,
        intensity_bins=bins,
        intensity_limit1=int(beam.largest_intensity_per_s * window_s / per_count1),
        intensity_limit2=int(beam.largest_intensity_per_s * window_s / per_count2),
        particles_per_s_per_count1=per_count1 / window_s,
        particles_per_s_per_count2=per_count2 / window_s,
        position_limit_mm=limits.position_mm,
        pixel_position_limit_mm=limits.pixel_position_mm,
        strip_pixel_limit_mm=limits.strip_pixel_mm,
        rate_ratio=limits.int_rate_ratio,
        rate_counts=limits.int_rate_counts,
        charge_ratio=limits.charge_ratio,
        charge_counts=limits.charge_counts,
        unsettled_spots=limits.unsettled_spots,
        excess1=math.ceil(excess_particles / per_count1),
        excess2=math.ceil(excess_particles / per_count2),
        first_move_ticks=max(_full_swing_ticks(facts.scanning.x), _full_swing_ticks(facts.scanning.y)),
        deviation_ticks=limits.current_us,
        rise_ticks=math.ceil(facts.accelerator.rise_s * 1e6),
        no_counts_ticks=limits.no_counts_us,
        off_counts=limits.beam_when_off_counts,
        data_periods=limits.data_periods,
        event_tolerance_ticks=facts.accelerator.event_tolerance_us,
        unconfirmed_counts=math.ceil(
            control.recovery_credit * slice_.particles_per_s * confirmed_s / per_count1
        ),
        watchdog_ticks=limits.watchdog_us,
        ion_noise1=(1.0 + spread**2) / per_count1,
        ion_noise2=(1.0 + spread**2) / per_count2,
        width_ratio=limits.width_ratio or 0.0,
        width_counts=limits.width_counts,
        ring=_ring(facts, slice_, per_count1),
    )


def _ring(facts: BeamLineFile, slice_: Slice, particles_per_count1: float) -> RingSettings:
    """What the charge of the ring is held against; of a ring that is not read only the first number tells."""
    accelerator, limits = facts.accelerator, facts.fast_interlocks
    counts_per_s = slice_.particles_per_s / particles_per_count1
    # Where the intensity should be above the floor by a factor of four still, and the time to see it.
    fall_s = 4.0 * limits.intensity_floor * accelerator.fall_s
    return RingSettings(
        counts_per_pulse=accelerator.pulse_particles(slice_.particles_per_s * 1e-6) / particles_per_count1,
        ratio=limits.ring_ratio,
        short_counts=float(limits.ring_counts),
        silence_ticks=limits.ring_silence_us,
        floor_counts=limits.intensity_floor * counts_per_s * limits.ring_silence_us * 1e-6,
        fall_ticks=math.ceil(fall_s * 1e6) + limits.ring_silence_us,
    )


def slice_memory(slice_: Slice, spots: Integers, int1_left: Integers, int2_left: Integers) -> SliceMemory:
    """Fill the memory boards with the spots of a slice that are not yet complete.

    Parameters
    ----------
    slice_ : Slice
        The prepared slice.
    spots : ndarray of int, shape (n,)
        Indices of the spots, in delivery order.
    int1_left, int2_left : ndarray of int, shape (n,)
        Counts that each still lacks, at least 1.
    """
    return SliceMemory(
        cycle_code=slice_.cycle_code,
        int1_counts=int1_left,
        int2_counts=int2_left,
        int1_per_int2=slice_.particles_per_count2[spots] / slice_.particles_per_count1[spots],
        x_strip_mm=slice_.x_strip_mm[spots],
        y_strip_mm=slice_.y_strip_mm[spots],
        x_pixel_mm=slice_.x_pixel_mm[spots],
        y_pixel_mm=slice_.y_pixel_mm[spots],
        x_current_A=slice_.x_current_A[spots],
        y_current_A=slice_.y_current_A[spots],
        beam_off=slice_.beam_off[spots].astype(np.uint8),
        x_sd_mm=slice_.fwhm_box_x_mm / FWHM_PER_SIGMA,
        y_sd_mm=slice_.fwhm_box_y_mm / FWHM_PER_SIGMA,
    )
