"""When faults are there, on the clock of the field."""

from __future__ import annotations

from spotline.sim.faults import Fault
from spotline.sim.faults.timeline import FOREVER_us, Timeline

FAULTS = (
    Fault("int1", "dead", None, 2, 1_010, 2_000),
    Fault("couch", "unlocked", None, 1, -500, None),
    Fault("int1", "dead", None, 2, -70, 1),
)


def times(timeline: Timeline) -> list[tuple[int, int]]:
    return [(active.onset_us, active.end_us) for active in timeline.faults]


def test_spills_whose_start_is_known_beforehand():
    timeline = Timeline(FAULTS, lambda spill: 10_000 * spill, 25)
    assert times(timeline) == [(21_000, 23_025), (9_500, FOREVER_us), (19_925, 19_950)]


def test_faults_of_a_spill_that_comes_on_request_wait_for_it():
    timeline = Timeline(FAULTS, lambda _: None, 25)
    assert timeline
    assert times(timeline) == [(FOREVER_us, FOREVER_us)] * 3
    assert timeline.active(10**9) == ()
    assert timeline.next_change_us(0) == FOREVER_us
    timeline.spill_comes(1, 5_000)
    assert [active.fault for active in timeline.active(10**9)] == [FAULTS[1]]
    timeline.spill_comes(2, 20_000)
    assert times(timeline) == [(21_000, 23_025), (4_500, FOREVER_us), (19_925, 19_950)]
    timeline.spill_comes(2, 90_000)  # it comes once
    assert times(timeline)[0] == (21_000, 23_025)
