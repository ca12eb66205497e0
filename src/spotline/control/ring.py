"""The charge of the ring against what is counted: a witness outside of the nozzle.

All chambers may count too little for one cause: their gas, their high voltage, the supply or the link of
their front-ends.  An accelerator with a current transformer in its ring tells with every scan period whether
the ring still holds charge, and whether another pulse's worth of particles has left it.  While the chopper is
open all of them pass the chambers.
"""

from __future__ import annotations

from spotline.control import interlocks
from spotline.control.integral import late_ticks, trip
from spotline.control.memory import (
    INPUT_RING_CHARGED,
    INPUT_RING_SPENT,
    LawSettings,
    LawState,
    RingSettings,
)
from spotline.control.safety import is_beam_wanted
from spotline.jit import kernel


@kernel
def check_ring_charge(law: LawState, ring: RingSettings) -> None:
    """With a pulse of the ring: stop if both chambers count less than what left it, beyond a ratio.

    What is short adds up from pulse to pulse and is never less than nothing: chambers that counted right for
    long are no credit.  Counts before the first pulse of an opening, and after its last, are left out.
    """
    s = law.scalars[0]
    if s.ring_pulses > 0:
        expected = (1.0 - ring.ratio) * ring.counts_per_pulse
        s.ring_short1 = max(0.0, s.ring_short1 + expected - s.ring_counted1)
        s.ring_short2 = max(0.0, s.ring_short2 + expected - s.ring_counted2)
    s.ring_pulses += 1
    s.ring_counted1 = 0.0
    s.ring_counted2 = 0.0
    short = min(s.ring_short1, s.ring_short2)
    if short >= ring.short_counts:
        trip(law, interlocks.RING_CHARGE, interlocks.STOP, short, ring.short_counts)


@kernel
def check_floor(law: LawState, ring: RingSettings) -> None:
    """Stop if nothing, or next to nothing, was counted for a while although the ring is being emptied."""
    s = law.scalars[0]
    silent_ticks = s.tick - s.floor_tick
    if silent_ticks < ring.silence_ticks:
        return
    if s.floor_counts == 0.0:
        trip(law, interlocks.BEAM_UNSEEN, interlocks.STOP, silent_ticks, ring.silence_ticks)
    elif s.floor_counts <= ring.floor_counts:
        trip(law, interlocks.INTENSITY_FLOOR, interlocks.STOP, s.floor_counts, ring.floor_counts)
    watch_floor_anew(law)


@kernel
def watch_floor_anew(law: LawState) -> None:
    """Count from now on what must not be next to nothing."""
    s = law.scalars[0]
    s.floor_tick = s.tick
    s.floor_counts = 0.0


@kernel
def ring_period(law: LawState, settings: LawSettings, inputs: int) -> None:
    """Once per scan period, before its counts are taken: compare them with the ring.

    Nothing is done for an accelerator whose ring is not read, or that has none.  This runs with every period
    of the beam: what does not matter while the beam is off is not looked at.
    """
    s, ring = law.scalars[0], settings.ring
    if ring.counts_per_pulse <= 0.0:
        return
    if not is_beam_wanted(law):
        s.unwatched_tick = s.tick
        s.ring_pulses = 0
    if s.tick - s.unwatched_tick <= late_ticks(settings):  # the chopper has not had its time
        watch_floor_anew(law)
        return
    counted1, counted2 = float(s.bin1), s.bin2 * s.int1_per_int2
    s.ring_counted1 += counted1
    s.ring_counted2 += counted2
    if inputs & INPUT_RING_SPENT:
        check_ring_charge(law, ring)
    is_risen = s.start_seen == 1 and s.tick - s.start_due >= settings.rise_ticks
    if is_risen and inputs & INPUT_RING_CHARGED and s.tick < s.end_due - ring.fall_ticks:
        s.floor_counts += max(counted1, counted2)
        check_floor(law, ring)
    else:
        watch_floor_anew(law)
