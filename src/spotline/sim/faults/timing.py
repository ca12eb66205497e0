"""What faults change in the events and announcements of the timing system."""

from __future__ import annotations

from spotline.sim.faults.timeline import Timeline
from spotline.sim.plant import SpillTruth

ANNOUNCED_us = 1_000_000
"""A spill is announced so long before its extraction."""
LOST = -1


def with_events(spill: SpillTruth, faults: Timeline) -> SpillTruth:
    """Return the spill with the events that its faults leave.

    A fault concerns an event if it is there at the time that was announced for it; so it is known when the
    spill is loaded, also for an event that comes too early.
    """
    return spill._replace(
        start_event=_event(spill.start, "start", spill.period, faults),
        end_event=_event(spill.end, "end", spill.period, faults),
        repeat_ticks=_repeat(spill, faults),
    )


def _event(announced: int, name: str, period: int, faults: Timeline) -> int:
    shift_us = 0.0
    for active in faults.active(announced):
        kind, value = active.fault.kind, active.fault.value or 0.0
        if kind in (f"timing.lost_{name}", "timing_network.lost"):
            return LOST
        if kind == f"timing.shift_{name}":
            shift_us += value
        elif kind == "timing.clock_slip":
            shift_us += 1e-6 * value * (announced - active.onset_us)
    return announced + round(shift_us / period) * period


def _repeat(spill: SpillTruth, faults: Timeline) -> int:
    for active in faults.of_kind("timing.double"):
        if active.is_active(spill.start) or active.is_active(spill.end):
            return max(spill.period, round((active.fault.value or 0.0) / spill.period) * spill.period)
    return 0


def code_error(announced_us: int, faults: Timeline) -> int:
    """By how much the code of an announcement at a time is wrong."""
    return sum(
        int(active.fault.value or 0.0)
        for active in faults.of_kind("timing.wrong_code")
        if active.is_active(announced_us)
    )
