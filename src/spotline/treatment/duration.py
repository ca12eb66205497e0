"""How long a field will take, before it is delivered.

Counted as the record counts it: beam-on time is what the chopper is commanded open for, treatment time
runs from the start of the field to the end of its last spill.  Only what the control system knows of
the beam line is used, nothing of its ``simulation`` table.

The delivery is counted, not timed, so a spot takes as long as the accelerator needs for its particles,
and the magnets move while the beam goes on.  Time is lost at the edges of the spills, in the jumps that
are made without beam, and in waiting for the next spill: how much, the kind of the accelerator knows
(`spotline.machine.accelerator`).  The formulas are in ``docs/explanation/delivery-time.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from spotline.machine import BeamLine
from spotline.machine.beam_time import Place, Scan
from spotline.moves import move_times_us
from spotline.treatment.treatment import FieldTreatment, Slice


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
        Standard deviation of that number: a treatment time scatters by the wait for so many.
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
        Waiting for spills; with the last slice, what it takes to switch the beam off and to collect the
        last charge.
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
    closing_s = (chopper.off_delay_us + chopper.off_ramp_us + control.collection_time_us) * 1e-6
    slices: list[Duration] = []
    wait_s, place = accelerator.first_wait_s, Place()
    for slice_, following in zip(treatment.slices, [*treatment.slices[1:], None], strict=True):
        scan, transit_s = _scan(slice_, treatment.beam.name, beamline)
        time = accelerator.time_of(scan, closing_s, place)
        beam_on_s = time.extraction_s - time.pause_s
        slices.append(
            Duration(
                particles=float(slice_.particles.sum()),
                visits=slice_.n_spots,
                spills=time.spills,
                spills_sd=math.sqrt(time.variance),
                beam_on_s=beam_on_s,
                transit_s=transit_s,
                ramp_s=beam_on_s - math.fsum(scan.beam_s),
                pause_s=time.pause_s,
                gap_s=wait_s + time.wait_s,
            )
        )
        if following is not None:
            wait_s, place = accelerator.after(
                time.last, closing_s, slice_.energy_MeV_u, following.energy_MeV_u
            )
    slices[-1] = replace(slices[-1], gap_s=slices[-1].gap_s + closing_s)
    return FieldDuration(tuple(slices), _sum(slices))


def _scan(slice_: Slice, ion_name: str, beamline: BeamLine) -> tuple[Scan, float]:
    """Work out the beam that a slice takes with its jumps, and the time of its moves with the beam on."""
    chopper, control = beamline.facts.chopper, beamline.facts.control
    accelerator = beamline.facts.accelerator
    period_us = control.scan_period_us
    moves = beamline.moves(ion_name, slice_.energy_MeV_u)
    # A set-point waits for the next scan period, half of one on average; then read-backs come once a period.
    move_us = np.ceil(move_times_us(slice_.x_iso_mm, slice_.y_iso_mm, moves) / period_us) * period_us
    move_us += period_us / 2.0
    beam_us = slice_.particles / slice_.particles_per_s * 1e6
    is_jump = slice_.beam_off | (not accelerator.is_on_between_spots)
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
    scan = Scan(
        beam_s=(np.add.reduceat(beam_us, [0, *jumps]) * 1e-6).tolist(),
        pauses_s=(pauses_us * 1e-6 + accelerator.spot_pause_s).tolist(),
    )
    return scan, float(transit_us.sum()) * 1e-6


def _sum(slices: list[Duration]) -> Duration:
    """Add up durations; numbers of spills scatter independently."""
    total = Duration(**{f.name: sum(getattr(s, f.name) for s in slices) for f in fields(Duration)})
    return replace(total, spills_sd=math.hypot(*(s.spills_sd for s in slices)))
