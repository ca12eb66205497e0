"""Faults of what several devices share."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.control.interlocks import DATA_CURRENT, WATCHDOG
from spotline.control.memory import INPUT_HANG, INPUT_NO_INTEGRAL, INPUT_NO_PIXEL, INPUT_NO_STRIP
from spotline.sim.fast_loop import PRE_ROLL_us
from tests.sim.faults.effects.inputs import told
from tests.sim.faults.effects.seen import LATE, Case, ONSET_us, Seen
from tests.sim.faults.effects.timing import TIMING_us, events


def ratios(sound: Seen, hit: Seen, **when: int) -> list[float]:
    """Counts of all chambers, relative to those without the fault."""
    found = [hit.counts(number, **when) / sound.counts(number, **when) for number in (1, 2)]
    for name in ("strips", "pixels"):
        found.append(hit.window(name, **when).sum() / sound.window(name, **when).sum())
    return found


def less(sound: Seen, hit: Seen) -> None:
    """At 10 a second, 41 ms and 48.5 ms after the onset; the slow control sees nothing."""
    assert ratios(sound, hit, at_us=500, length_us=1000) == pytest.approx([0.59] * 4, abs=0.05)
    assert ratios(sound, hit, at_us=8000, length_us=1000) == pytest.approx([0.515] * 4, abs=0.04)
    assert hit.reading == sound.reading


def dark(sound: Seen, hit: Seen) -> None:
    assert ratios(sound, hit, **LATE) == [0.0] * 4


def voltageless(sound: Seen, hit: Seen) -> None:
    """Both boxes lose their charge together; the slow control would see it with its next reading."""
    early, late = ({"at_us": at_us, "length_us": 1000} for at_us in (500, 8000))
    ratio = ratios(sound, hit, **late)
    assert max(ratio) < 0.9
    assert max(ratio) - min(ratio) < 0.05
    assert min(ratios(sound, hit, **early)) > max(ratio)
    assert hit.reading is not None
    assert max(box.high_voltage_V for box in hit.reading.boxes) < 5.0


def still(sound: Seen, hit: Seen) -> None:
    told(INPUT_HANG)(sound, hit)
    assert WATCHDOG in hit.result.interlocks["cause"]


def unread(sound: Seen, hit: Seen) -> None:
    for bit in (INPUT_NO_INTEGRAL, INPUT_NO_STRIP, INPUT_NO_PIXEL):
        told(bit)(sound, hit)
    onset = (PRE_ROLL_us + ONSET_us) // 25
    assert np.isnan(hit.raw.currents_A[onset : onset + 4, :2]).all()
    assert DATA_CURRENT not in sound.result.interlocks["cause"]


CASES = {
    "gas.contaminated": Case(less, 10.0, at_us=-40_000),
    "high_voltage.trip": Case(voltageless, at_us=-40_000),
    "front_ends.dead": Case(dark),
    "clock.stop": Case(still, run_us=200_000),
    "timing_network.lost": Case(events(start=[], end=[]), at_us=TIMING_us),
    "readout_link.lost": Case(unread),
}
