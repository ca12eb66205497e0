"""Int FPGA: counts particles at 1 MHz and leads the delivery (sections III.B.2.1 and III.C).

A spot is complete as soon as one of the two integral chambers has its prescribed counts.  What is
counted while the beam is on its way belongs to the spot it is going to.
"""

from __future__ import annotations

import math
from typing import Any

from spotline.control import interlocks
from spotline.control.memory import (
    COLLECTING,
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    COMMAND_SPOT_COMPLETE,
    DELIVERING,
    DONE,
    END_NONE,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    FINISHING,
    INTERLOCK_ROWS,
    LEAVING,
    MOVING,
    NEVER,
    OVERTIME_TICKS,
    WAITING,
    AxisSettings,
    IntegralLimits,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.jit import kernel
from spotline.moves import AxisMoves, transit_time_us


@kernel
def log_command(law: LawState, command: int) -> None:
    """Write a command to the log of the spill."""
    s = law.scalars[0]
    entry = law.commands[s.commands]
    entry.tick = s.tick
    entry.command = command
    entry.spot = s.spot
    s.commands += 1


@kernel
def set_chopper(law: LawState, is_open: int) -> None:
    """Command the chopper, if that is news to it."""
    s = law.scalars[0]
    if s.chopper_open != is_open:
        s.chopper_open = is_open
        log_command(law, COMMAND_CHOPPER_OPEN if is_open == 1 else COMMAND_CHOPPER_CLOSE)


@kernel
def enter(law: LawState, phase: int) -> None:
    """Begin a phase."""
    s = law.scalars[0]
    s.phase = phase
    s.phase_tick = s.tick


@kernel
def end_spill(law: LawState, reason: int) -> None:
    """Take the beam away for the rest of the spill; the first reason stays."""
    s = law.scalars[0]
    if s.end_reason == END_NONE:
        if s.phase == WAITING:
            s.int1 = 0  # background while waiting is nobody's, and completes nothing
            s.int2 = 0
            s.target1 = NEVER
            s.target2 = NEVER
        s.end_reason = reason
        set_chopper(law, 0)
        enter(law, COLLECTING)


@kernel
def trip(law: LawState, cause: int, action: int, value: float, limit: float) -> None:
    """Record an interlock and stop the beam; a cause is recorded once a spill."""
    s = law.scalars[0]
    for i in range(s.interlocks):
        if law.interlocks[i].cause == cause:
            return
    if s.interlocks < INTERLOCK_ROWS:
        row = law.interlocks[s.interlocks]
        row.tick = s.tick
        row.cause = cause
        row.spot = s.spot
        row.value = value
        row.limit = limit
        row.action = action
        s.interlocks += 1
    end_spill(law, END_STOP if action == interlocks.STOP else END_PAUSE)
    if action == interlocks.STOP:
        s.end_reason = END_STOP  # a stop outranks whatever else ended the spill


@kernel
def close_part(law: LawState) -> None:
    """Write the counts of the current spot to its row."""
    s = law.scalars[0]
    part = law.parts[s.row]
    part.spot = s.spot
    part.end_tick = s.tick
    part.int1_counts = s.int1
    part.int2_counts = s.int2
    part.x_current_A = law.axes[0].read_A
    part.y_current_A = law.axes[1].read_A
    part.settled_tick = s.settled_tick


@kernel
def move_ticks(step_A: float, axis: AxisSettings, settled_A: float) -> int:
    """Time that a magnet takes for a step of its set-point."""
    moves = AxisMoves(1.0, axis.slew_A_per_us, axis.settling_us, settled_A)
    return math.ceil(transit_time_us(step_A, moves))


@kernel
def next_spot(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """Trigger: the current spot is complete, go to the next one."""
    s = law.scalars[0]
    law.parts[s.row].complete = 1
    log_command(law, COMMAND_SPOT_COMPLETE)
    if s.spot + 1 == len(memory.int1_counts):
        end_spill(law, END_SLICE_COMPLETE)
        return
    s.unsettled = 0 if s.settled_tick >= 0 else s.unsettled + 1
    if s.unsettled >= settings.unsettled_spots:
        trip(law, interlocks.UNSETTLED, interlocks.PAUSE, s.unsettled, settings.unsettled_spots)
        return
    close_part(law)
    s.spot += 1
    s.row += 1
    s.int1 = 0
    s.int2 = 0
    s.target1 = memory.int1_counts[s.spot]
    s.target2 = memory.int2_counts[s.spot]
    s.int1_per_int2 = memory.int1_per_int2[s.spot]
    s.chopper_target1 = NEVER
    s.settled_tick = -1
    x_step_A = memory.x_current_A[s.spot] - memory.x_current_A[s.spot - 1]
    y_step_A = memory.y_current_A[s.spot] - memory.y_current_A[s.spot - 1]
    # A move that has not ended yet adds its rest, which is less than all of it.
    s.due_tick = max(s.due_tick, s.tick) + max(
        move_ticks(x_step_A, settings.x, settings.settled_A),
        move_ticks(y_step_A, settings.y, settings.settled_A),
    )
    part = law.parts[s.row]
    part.start_tick = s.tick
    part.from_trigger = 1
    if memory.beam_off[s.spot] == 1:
        set_chopper(law, 0)
        enter(law, MOVING if s.phase == FINISHING else LEAVING)


@kernel
def is_beam_off_next(law: LawState, memory: SliceMemory) -> bool:
    """Whether the beam is to be switched off after the current spot."""
    following = law.scalars[0].spot + 1
    return following == len(memory.int1_counts) or memory.beam_off[following] == 1


@kernel
def expected_late_counts(law: LawState, settings: LawSettings) -> float:
    """INT1 counts still to come if the chopper were commanded now, from the intensity of late."""
    window_ticks = len(law.bins1) * settings.scan_period
    return law.scalars[0].window1 / window_ticks * settings.late_counts_ticks


@kernel
def integral_sample(s: Any, limits: IntegralLimits, int1: int, int2: int) -> bool:
    """Handle one sample (1 microsecond) of the two integral chambers.

    This is the comparator of the FPGA: it only counts and compares, and says whether
    `integral_decision` has something to decide.

    Parameters
    ----------
    s : record
        ``LawState.scalars[0]``.
    limits : IntegralLimits
        Tolerances.
    int1, int2 : int
        Counts of INT1 and INT2 in this sample.
    """
    if int1 == 0 and int2 == 0:
        return False  # most samples: a count comes every few microseconds
    s.bin1 += int1
    s.bin2 += int2
    s.int1 += int1
    s.int2 += int2
    # The back-up chamber is brought to the scale of the first, so that only faults make a difference.
    difference = abs(s.int1 - s.int2 * s.int1_per_int2)
    return bool(
        s.int1 >= s.target1
        or s.int2 >= s.target2
        or s.int1 >= s.chopper_target1
        or difference >= limits.difference
        or (difference >= limits.ratio * s.int1 and max(s.int1, s.int2) >= limits.ratio_counts)
    )


@kernel
def check_spot_dose(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """Stop if a spot has more counts than can come while the beam is switched off.

    The prescription is taken from the memory boards, not from the targets that the comparator has.
    """
    s = law.scalars[0]
    excess1 = s.int1 - memory.int1_counts[s.spot]
    excess2 = s.int2 - memory.int2_counts[s.spot]
    if excess1 >= settings.excess1:
        trip(law, interlocks.SPOT_DOSE, interlocks.STOP, excess1, settings.excess1)
    if excess2 >= settings.excess2:
        trip(law, interlocks.SPOT_DOSE, interlocks.STOP, excess2, settings.excess2)


@kernel
def integral_decision(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """Decide after a sample that reached a target or left a tolerance."""
    s = law.scalars[0]
    limits = settings.integral
    difference = abs(s.int1 - s.int2 * s.int1_per_int2)
    if difference >= limits.difference:
        trip(law, interlocks.INT_DIFFERENCE, interlocks.STOP, difference, limits.difference)
    if difference >= limits.ratio * s.int1 and max(s.int1, s.int2) >= limits.ratio_counts:
        ratio = difference / s.int1 if s.int1 > 0 else math.inf
        trip(law, interlocks.INT_RATIO, interlocks.STOP, ratio, limits.ratio)
    check_spot_dose(law, settings, memory)

    is_complete = s.int1 >= s.target1 or s.int2 >= s.target2
    if s.phase == DELIVERING or s.phase == LEAVING or s.phase == MOVING:
        if is_complete:
            next_spot(law, settings, memory)
        elif s.phase == DELIVERING and s.int1 >= s.chopper_target1:
            set_chopper(law, 0)
            enter(law, FINISHING)
    elif s.phase == COLLECTING and is_complete:
        law.parts[s.row].complete = 1


@kernel
def check_rate(law: LawState, settings: LawSettings) -> None:
    """Compare the chambers across spots; a dead one shows in fields of weak spots too."""
    s = law.scalars[0]
    s.rate1 += s.bin1
    s.rate2 += s.bin2 * s.int1_per_int2
    if max(float(s.rate1), s.rate2) < settings.rate_counts:
        return
    difference = abs(s.rate1 - s.rate2)
    if difference >= settings.rate_ratio * s.rate1:
        ratio = difference / s.rate1 if s.rate1 > 0 else math.inf
        trip(law, interlocks.INT_RATE, interlocks.STOP, ratio, settings.rate_ratio)
    s.rate1 = 0
    s.rate2 = 0.0


@kernel
def check_counting(law: LawState, settings: LawSettings) -> None:
    """Pause if nothing is counted although the chopper is open and the intensity has risen."""
    s = law.scalars[0]
    risen = s.start_seen == 1 and s.tick - s.start_due >= settings.rise_ticks
    if s.bin1 > 0 or s.bin2 > 0 or s.chopper_open == 0 or not risen:
        s.counted_tick = s.tick
    silent = s.tick - s.counted_tick
    if silent >= settings.no_counts_ticks:
        trip(law, interlocks.NO_COUNTS, interlocks.PAUSE, silent, settings.no_counts_ticks)


@kernel
def check_totals(law: LawState, settings: LawSettings) -> None:
    """Stop if INT2 has more than all spots were to get; pause if too much is not in the recovery journal."""
    s = law.scalars[0]
    excess2 = s.total2 - s.prescribed2
    if excess2 >= settings.excess2:
        trip(law, interlocks.FIELD_DOSE, interlocks.STOP, excess2, settings.excess2)
    s.unconfirmed1 += s.bin1
    if s.unconfirmed1 >= settings.unconfirmed_counts and s.end_reason == END_NONE:
        trip(law, interlocks.RECOVERY, interlocks.PAUSE, s.unconfirmed1, settings.unconfirmed_counts)


@kernel
def check_intensity(law: LawState, settings: LawSettings) -> None:
    """Stop if the intensity over the sliding window is too high."""
    s = law.scalars[0]
    s.window1 += s.bin1 - law.bins1[s.bin_index]
    s.window2 += s.bin2 - law.bins2[s.bin_index]
    law.bins1[s.bin_index] = s.bin1
    law.bins2[s.bin_index] = s.bin2
    s.bin_index = (s.bin_index + 1) % len(law.bins1)
    if s.window1 >= settings.intensity_limit1:
        per_s, limit = settings.particles_per_s_per_count1, settings.intensity_limit1
        trip(law, interlocks.INTENSITY, interlocks.STOP, s.window1 * per_s, limit * per_s)
    if s.window2 >= settings.intensity_limit2:
        per_s, limit = settings.particles_per_s_per_count2, settings.intensity_limit2
        trip(law, interlocks.INTENSITY, interlocks.STOP, s.window2 * per_s, limit * per_s)


@kernel
def integral_period(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """Once per scan period: what is checked over many samples, and the anticipated end of a spot."""
    s = law.scalars[0]
    s.total1 += s.bin1
    s.total2 += s.bin2
    check_intensity(law, settings)
    check_rate(law, settings)
    check_counting(law, settings)
    check_totals(law, settings)
    check_spot_dose(law, settings, memory)
    s.bin1 = 0
    s.bin2 = 0

    s.chopper_target1 = NEVER
    if settings.anticipate == 1 and s.phase == DELIVERING and is_beam_off_next(law, memory):
        s.chopper_target1 = s.target1 - int(expected_late_counts(law, settings))
    if s.phase == FINISHING and s.tick - s.phase_tick >= late_ticks(settings):
        next_spot(law, settings, memory)


@kernel
def late_ticks(settings: LawSettings) -> int:
    """Time from a beam-off command until the last charge of the beam is in."""
    return settings.beam_off_ticks + settings.collection_ticks


@kernel
def close_spill(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """End the collection of late counts once they have had their time and none come any more.

    Counts that go on are beam that should not be there: the spill stays open, so that they are noticed and
    booked, but not much longer than the extraction.
    """
    s, safety = law.scalars[0], law.safety[0]
    if s.phase != COLLECTING or s.tick - s.phase_tick < late_ticks(settings):
        return
    quiet_ticks = s.tick - safety.seen_tick
    if quiet_ticks < settings.collection_ticks and s.tick < s.end_due + OVERTIME_TICKS:
        return
    # Counts that have not been read out by now are booked all the same: no spot may get them again.
    s.int1 += safety.missed1
    s.int2 += safety.missed2
    s.total1 += safety.missed1
    s.total2 += safety.missed2
    safety.missed1 = 0
    safety.missed2 = 0
    # Counts that came without the beam of a spill may be ions: a spot that has all it lacked gets no more.
    if s.int1 >= memory.int1_counts[s.spot] or s.int2 >= memory.int2_counts[s.spot]:
        law.parts[s.row].complete = 1
    close_part(law)
    enter(law, DONE)
