"""The loop over a recording, against the bench that made it."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.control.interlocks import BEAM_WHEN_OFF
from spotline.control.memory import (
    COLLECTING,
    DONE,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    LawSettings,
    LawState,
)
from tests.control.bench import LATE_TICKS, N_PIXELS, N_STRIPS, SETTINGS, Bench, replay, spots, strip_mm

pytestmark = pytest.mark.kernel


def same(one: LawState, other: LawState) -> None:
    """All registers and tables agree, to the last bit."""
    for name in LawState._fields:
        a, b = getattr(one, name), getattr(other, name)
        for column in a.dtype.names or (...,):
            np.testing.assert_array_equal(a[column], b[column], err_msg=f"{name} {column}")


def eventful(settings: LawSettings, seed: int, start_tick: int = 0) -> Bench:
    """A spill with some of everything, all of it random but the prescription."""
    random = np.random.default_rng(seed)
    n = 30
    memory = spots([25] * n, beam_off=(5, 6, 17), x_A=list(np.linspace(-3.0, 3.0, n)))
    memory.x_strip_mm[:] = np.linspace(strip_mm(55), strip_mm(75), n)
    bench = Bench(memory, settings, start_tick)
    integrals = random.poisson(0.05, (60_000, 2))
    read_noise = random.normal(0.0, 0.05, (3000, 2))
    bench.counts = lambda tick: (
        (int(integrals[tick - start_tick, 0]), int(integrals[tick - start_tick, 1]))
        if bench.s.phase != COLLECTING or bench.s.tick - bench.s.phase_tick < LATE_TICKS
        else (0, 0)
    )

    def read(tick: int) -> tuple[float, float]:
        x, y = bench.set_A
        dx, dy = read_noise[(tick - start_tick) // 25]
        return x + dx, y + dy

    def strips(tick: int, middle: float) -> dict[int, int]:
        if bench.s.chopper_open == 0:
            return {}
        places = np.clip(np.rint(random.normal(middle, 2.0, 20)), 0, N_STRIPS - 1).astype(int)
        return {int(p): int(c) for p, c in zip(*np.unique(places, return_counts=True), strict=True)}

    def pixels(tick: int) -> dict[tuple[int, int], int]:
        if bench.s.chopper_open == 0:
            return {}
        places = np.clip(np.rint(random.normal((15.0, 16.0), 0.7, (30, 2))), 0, N_PIXELS - 1).astype(int)
        return {(int(j), int(i)): 1 + int(i) % 2 for j, i in places}

    bench.read_A = read
    bench.strip_x = lambda tick: strips(tick, bench.memory.x_strip_mm[bench.s.spot] / 2.0 + 63.5)
    bench.strip_y = lambda tick: strips(tick, 60.0)
    bench.pixels = pixels
    return bench.begin()


@pytest.mark.parametrize(
    ("settings", "end_tick", "reason"),
    [
        (SETTINGS._replace(position_limit_mm=50.0, pixel_position_limit_mm=50.0), 50_000, END_SLICE_COMPLETE),
        (SETTINGS._replace(position_limit_mm=50.0, pixel_position_limit_mm=50.0), 7000, END_OF_EXTRACTION),
        (SETTINGS._replace(position_limit_mm=0.5, feedback_gain=0.0), 50_000, END_PAUSE),
        (
            SETTINGS._replace(anticipate=1, position_limit_mm=50.0, pixel_position_limit_mm=50.0),
            50_000,
            END_SLICE_COMPLETE,
        ),
    ],
    ids=["complete", "cut short", "paused", "anticipated"],
)
def test_replay_comes_to_the_same_decisions(settings: LawSettings, end_tick: int, reason: int):
    bench = eventful(settings, seed=5).end_extraction_at(end_tick)
    bench.finish()
    assert bench.s.end_reason == reason
    law, set_A, periods = replay(bench.memory, settings, bench.recording(), announced=bench.announced)
    assert periods == len(bench.fed["inputs"])
    assert law.scalars[0].phase == DONE
    same(law, bench.law)
    np.testing.assert_array_equal(set_A, np.array(bench.fed["set_A"]))
    # The bench hands over the part of a frame that is not empty, the replay the whole frame.


def test_replay_does_not_depend_on_where_the_clock_stands():
    settings = SETTINGS._replace(position_limit_mm=50.0, pixel_position_limit_mm=50.0)
    late = 3_600_000_000
    one, other = eventful(settings, 9).finish(), eventful(settings, 9, late).finish()
    for column in ("int1_counts", "x_strip_mm", "strip_x_counts", "pixel_counts", "complete"):
        np.testing.assert_array_equal(one.law.parts[column], other.law.parts[column])
    np.testing.assert_array_equal(one.law.commands["tick"][:3] + late, other.law.commands["tick"][:3])


def test_a_recording_that_breaks_off_leaves_the_spill_undone():
    bench = eventful(SETTINGS, seed=5).run_to(5000)
    law, set_A, periods = replay(bench.memory, SETTINGS, bench.recording(), announced=bench.announced)
    assert periods == 200
    assert law.scalars[0].phase != DONE
    same(law, bench.law)
    assert np.isfinite(set_A).all()


def test_counts_after_the_end_of_a_spill_are_nobodys():
    bench = eventful(SETTINGS, seed=5).end_extraction_at(500).finish()
    recording = bench.recording()
    longer = recording._replace(
        inputs=np.concatenate([recording.inputs, np.ones(40, np.uint16)]),
        integrals=np.concatenate([recording.integrals, np.full((1000, 2), 60_000, np.uint16)]),
        read_A=np.concatenate([recording.read_A, np.zeros((40, 2))]),
        strips=np.concatenate([recording.strips, np.ones((20, 2, N_STRIPS), np.uint16)]),
        pixels=np.concatenate([recording.pixels, np.ones((10, N_PIXELS, N_PIXELS), np.uint16)]),
    )
    law, set_A, periods = replay(bench.memory, SETTINGS, longer, announced=bench.announced)
    assert periods == len(recording.inputs)
    for name in ("axes", "pixels", "strips", "settled_strips", "bins1", "bins2", "parts", "commands"):
        assert getattr(law, name).tobytes() == getattr(bench.law, name).tobytes(), name
    for name in ("phase", "int1", "int2", "total1", "total2", "row", "spot"):
        assert law.scalars[0][name] == bench.s[name], name
    assert (set_A[periods:] == set_A[periods - 1]).all()


def test_replay_finds_what_the_safety_interlock_system_found_after_a_spill():
    watchful = SETTINGS._replace(off_counts=5)
    bench = Bench(spots([5]), watchful)
    bench.counts = lambda tick: (1, 1) if tick % 20 == 10 and (tick < 130 or tick > 3000) else (0, 0)
    bench.begin().finish()
    assert bench.interlocks == []
    bench.rest_to(4000)
    assert [cause for cause, *_ in bench.interlocks] == [BEAM_WHEN_OFF]
    law, _, periods = replay(bench.memory, watchful, bench.recording(), announced=bench.announced)
    assert periods < len(bench.fed["inputs"])
    same(law, bench.law)
