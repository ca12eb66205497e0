"""State and settings of the simulated plant for one spill.

The plant keeps the truth; what the control law may know leaves it only as counts, read-backs and
events.  Everything here lives for one spill, except the remainders of charge in the front-end, which
`spotline.sim.room` hands on from spill to spill.

Settings come in groups, so that each step function is handed what it needs and no more: a compiled
function takes a tuple apart into its numbers at every call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spotline.arrays import Floats, Frame, Integers

BEAM = np.dtype(
    [
        ("spill_noise", "f8"),  # random modulation of the intensity, relative
        ("ring_particles", "f8"),  # left for the spill
        ("ring_lost", "f8"),  # that left since the last pulse of the reading of the ring
        ("chopper_command", "i8"),
        ("chopper_tick", "i8"),  # when the last command takes effect
        ("chopper_moving", "i8"),
        ("transmission", "f8"),  # fraction of the beam that passes the chopper
        ("x_current_A", "f8"),
        ("y_current_A", "f8"),
        ("x_jitter_mm", "f8"),
        ("y_jitter_mm", "f8"),
        ("x_iso_mm", "f8"),  # true position at the isocentre, mean of the scan period under way
        ("y_iso_mm", "f8"),
        ("last_ion_tick", "i8"),  # end of the last scan period in which an ion passed the chopper; 0 none
    ]
)
"""The beam, up to the chambers."""

CHARGE = np.dtype(
    [
        ("arrivals_index", "i8"),  # next place in the ring of arrivals
        ("arrivals_sum", "i8"),  # ions that arrived within the drift time
        ("ion_current", "i8"),  # current of the drifting positive ions, in units of 1 / drift time^2
        ("int1_charge", "f8"),  # collected since the start of the spill, in counts
        ("int2_charge", "f8"),
        ("int1_counted", "i8"),  # whole counts of it that were read out
        ("int2_counted", "i8"),
    ]
)
"""The integral chambers."""

ARRIVED = np.dtype([("particles", "i8"), ("x_moment_mm", "f8"), ("y_moment_mm", "f8")])
"""Ions of a frame under way and their sums of position; one row for the strips, one for the pixels."""


class FrameState(NamedTuple):
    """Charge on its way to the channels of a segmented anode.

    ``deposits`` holds the charge that was set free in the last frames, the newest at ``slot``;
    ``regions`` are the channels that each of them reaches, ``region`` is where the frame that was read
    out may differ from zero.  Regions are first, one past the last (for pixels: rows, then columns).
    """

    deposits: Floats  # (n_frames, n) for strips, (n_frames, n, n) for pixels, in counts
    regions: Integers  # (n_frames, 2) for strips, (n_frames, 4) for pixels
    slot: Integers  # (1,)
    remainder: Floats  # (n,) or (n, n): charge below one count, in counts
    counts: Frame  # the frame as it is read out
    region: Integers  # (2,) or (4,)


class PlantState(NamedTuple):
    """What changes from sample to sample."""

    beam: Any  # record array of shape (1,), dtype BEAM
    charge: Any  # record array of shape (1,), dtype CHARGE
    arrived: Any  # record array of shape (2,), dtype ARRIVED
    ripple: Floats  # (2, n_lines): cosine lines of the intensity, as rotating phasors
    arrivals: Integers  # ring: ions per tick over the drift time
    strip_x: FrameState
    strip_y: FrameState
    pixel: FrameState
    lines: Integers  # (2,): inputs of the law that stay until they are cleared, and those for one period


class SpillTruth(NamedTuple):
    """Extraction from the accelerator."""

    start: int  # ticks on the clock of the field
    end: int
    period: int  # ticks of a step
    particles_per_us: float
    rise_us: float
    fall_us: float
    noise_decay: float  # of one step
    noise_kick: float
    ripple_turn: Floats  # (2, n_lines): cosine and sine of the phase of one step
    stop_ticks: int  # from the request of the safety interlock system until the extraction has ended
    start_event: int  # tick at which the timing system announces the start; -1: it does not
    end_event: int
    repeat_ticks: int  # events come again after so long; 0: they do not
    stray_per_us: float  # ions that come out whether there is an extraction or not
    ring_pulse: float  # particles that leave the ring between two pulses of its reading; 0: it is not read
    key: int


class ChopperTruth(NamedTuple):
    """The chopper; steps are fractions of the beam per tick."""

    off_delay: int
    off_step: float
    on_delay: int
    on_step: float
    closes: int  # 0: it stays where it is when it is told to close
    opens: int
    leak: float  # fraction of the beam that passes when it is closed


class AxisTruth(NamedTuple):
    """A scanning magnet and its supply, and where the beam really is."""

    slew_A_per_us: float
    settling_us: float
    mm_per_A: float
    offset_mm: float
    drift_mm_per_us: float
    follows: float  # 1: the supply goes to its set-point, 0: to no current
    read_gain: float  # of the read-back
    read_offset_A: float  # NaN: it does not arrive
    read_noise_A: float


class BeamTruth(NamedTuple):
    """Position of the beam."""

    start: int  # of extraction
    period: int
    x: AxisTruth
    y: AxisTruth
    jitter_decay: float  # of one step
    jitter_kick_mm: float
    jitter_key: int
    readback_key: int


class ChamberMap(NamedTuple):
    """True relative gain of an integral chamber on a regular grid at the isocentre."""

    first_mm: float
    step_mm: float
    gain: Floats  # (n, n), rows along y


class IntegralTruth(NamedTuple):
    """The integral chambers."""

    int1_counts_per_particle: float  # at gain map 1 and full collection
    int2_counts_per_particle: float
    int1_map: ChamberMap
    int2_map: ChamberMap
    ionization_spread: float  # relative, of one ion in one gap
    drift_ticks: int  # at least 1
    int1_background_per_tick: float  # counts
    int2_background_per_tick: float
    int1_noise_per_tick: float  # counts that come at random, mean
    int2_noise_per_tick: float
    int1_ceiling_per_tick: float  # counts that a channel can take
    int2_ceiling_per_tick: float
    int1_box: int  # 1 or 2: where it stands
    int2_box: int
    box1_recombination_a: float  # a / V
    box2_recombination_a: float
    box1_recombination_b_per_rate: float  # b i / V^2 per ion per tick
    box2_recombination_b_per_rate: float
    arrival_key: int
    ionization_key: int
    noise_key: int


class SegmentedTruth(NamedTuple):
    """One segmented anode, or one plane of the pixel chamber."""

    period: int  # ticks of a frame
    pitch_mm: float
    sigma_mm: float  # of the beam at the chamber; `shares` are made of it
    per_iso: float  # position at the chamber per position at the isocentre; 0: there is no such chamber
    offset_mm: float  # of the chamber
    counts_per_particle: float
    spread: float  # relative, of one ion in one gap
    background: float  # counts of a channel in a frame
    box: int  # 1 or 2: where it stands
    weights: Floats  # fraction of a frame's charge that each frame from then on collects
    shares: Floats  # (2, n_offsets, 2 k + 1): share of each channel around the beam, and its root
    key: int


class ReadoutFault(NamedTuple):
    """What a broken read-out makes of the counts of a strip chamber."""

    active: int  # 0: nothing, and nothing below is looked at
    gain: Floats  # (n_strips,): factor for the counts of each channel
    added: Floats  # (n_strips,): counts of each channel in a frame that no charge has made
    noise: float  # counts of every channel in a frame that come at random, mean
    key: int


class PixelReadoutFault(NamedTuple):
    """The same for the pixel chamber."""

    active: int
    gain: Floats  # (n_pixels, n_pixels)
    added: Floats  # (n_pixels, n_pixels)
    noise: float
    key: int


class PlantSettings(NamedTuple):
    """What holds during one spill, the truth included; faults change it while the spill goes on."""

    period: int  # ticks of the scan period, in which magnets and intensity advance
    broadcast_code: int
    inputs: int  # bits ``INPUT_...`` that come in with every scan period
    spill: SpillTruth
    chopper: ChopperTruth
    beam: BeamTruth
    integrals: IntegralTruth
    strip_x: SegmentedTruth
    strip_y: SegmentedTruth
    pixel_x: SegmentedTruth
    pixel_y: SegmentedTruth
    strip_x_fault: ReadoutFault
    strip_y_fault: ReadoutFault
    pixel_fault: PixelReadoutFault
