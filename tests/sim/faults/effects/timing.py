"""Faults of the timing system and of the chopper."""

from __future__ import annotations

import numpy as np

from spotline.control.interlocks import SYNCHRONIZATION
from spotline.control.memory import INPUT_END, INPUT_START
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.faults import Fault
from tests.sim.faults.effects.seen import ALWAYS_us, Case, Check, ONSET_us, Seen, SPILL_us


def events(**expected: list[int]) -> Check:
    """Times of the events, after their announced ones."""

    def check(_: Seen, hit: Seen) -> None:
        for name, bit, announced_us in (("start", INPUT_START, 0), ("end", INPUT_END, SPILL_us)):
            if name in expected:
                found = np.flatnonzero(hit.raw.inputs & bit) * 25 - PRE_ROLL_us - announced_us
                assert found.tolist() == expected[name]

    return check


def wrong_code(sound: Seen, hit: Seen) -> None:
    assert (sound.code, hit.code) == (0, 7)
    assert hit.result.interlocks["cause"][0] == SYNCHRONIZATION
    assert hit.result.interlocks["value"][0] - hit.result.interlocks["limit"][0] == 7
    assert hit.result.truth is not None
    assert hit.result.truth[:, 0].sum() == 0


TIMING_us = -500_000
TIMING = {
    "lost_start": Case(events(start=[]), at_us=TIMING_us),
    "lost_end": Case(events(start=[0], end=[]), at_us=TIMING_us, run_us=SPILL_us + 400),
    "shift_start": Case(events(start=[-2000]), -2000.0, at_us=TIMING_us),
    "shift_end": Case(events(start=[0], end=[-1000]), -1000.0, at_us=TIMING_us, run_us=SPILL_us + 400),
    "wrong_code": Case(wrong_code, 7.0, at_us=-2_000_000),
    "double": Case(events(start=[0, 100]), 100.0, at_us=TIMING_us),
    "clock_slip": Case(events(start=[5000]), 1e4, at_us=TIMING_us),
}


# The chopper


STOP = Fault("operator", "stop", at_us=ONSET_us, duration_us=1000)
"""Closes the chopper."""


def lasts(low_us: float, high_us: float) -> Check:
    """When the last ion comes, after the command to close that the operator makes."""

    def check(_: Seen, hit: Seen) -> None:
        (spill,) = hit.room.history
        assert low_us <= spill.last_ion_us - hit.result.start_us - PRE_ROLL_us - ONSET_us <= high_us

    return check


def no_beam(_: Seen, hit: Seen) -> None:
    assert hit.result.truth is not None
    assert hit.result.truth[:, 0].sum() == 0
    assert hit.result.last_ion_us == 0


TO_THE_END_us = SPILL_us - ONSET_us
CHOPPER = {
    # Delay and ramp are 50 and 200 us.
    "slow": Case(lasts(1000, 1275), 5.0, at_us=ALWAYS_us, others=(STOP,)),
    "stuck_open": Case(
        lasts(TO_THE_END_us - 500, TO_THE_END_us + 25), run_us=SPILL_us + 30_000, others=(STOP,)
    ),
    "stuck_closed": Case(no_beam, at_us=ALWAYS_us),
    "leak": Case(
        lasts(TO_THE_END_us - 500, TO_THE_END_us + 25), 0.5, run_us=SPILL_us + 30_000, others=(STOP,)
    ),
}

CASES = {
    **{f"timing.{mode}": case for mode, case in TIMING.items()},
    **{f"chopper.{mode}": case for mode, case in CHOPPER.items()},
}
