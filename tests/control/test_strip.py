"""The Strip FPGA: centre of gravity, feedback, and what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spotline.control.memory import WINDOW_TICKS
from spotline.control.strip import (
    centre_of_gravity,
    has_strips,
    is_elsewhere,
    nearest_channel,
    position_of,
    strongest,
    total_and_moment,
)
from tests.control.bench import N_STRIPS, SETTINGS, Bench, listed, spots, strip_mm

pytestmark = pytest.mark.kernel

FIRST = 150
"""End of the first frame that was taken with the magnets long enough at rest: settled at 0, blanking 100."""


def watch(
    x: Mapping[int, Mapping[int, int]], y: Mapping[int, Mapping[int, int]] | None = None, settled: int = 0
) -> Bench:
    """A spot at strip 64 of StripX and 60 of StripY that never ends, and frames by their last tick."""
    bench = Bench(spots([200, 200], strip=64, row=60))
    bench.strip_x = lambda tick: x.get(tick, {})
    bench.strip_y = lambda tick: (y or {}).get(tick, {})
    bench.read_A = lambda tick: bench.set_A if tick >= settled else (9.0, 0.0)
    return bench.begin()


def corrections(bench: Bench) -> tuple[float, float]:
    return float(bench.law.axes[0].correction_A), float(bench.law.axes[1].correction_A)


# Kernels and their oracles


COUNTS = arrays(np.int64, N_STRIPS, elements=st.integers(0, 3), fill=st.just(0))


@given(COUNTS, st.integers(-20, 150), st.integers(-20, 150))
def test_total_and_moment(counts: np.ndarray, first: int, past: int):
    wanted = [i for i in range(first, past) if 0 <= i < N_STRIPS]
    assert total_and_moment(counts, first, past) == (
        sum(int(counts[i]) for i in wanted),
        sum(int(counts[i]) * i for i in wanted),
    )


@given(COUNTS)
@example(np.array([1, 0, 1, 0, 0, 1]))  # three equals
@example(np.array([0, 2, 1, 2, 0]))  # two
def test_strongest_is_the_middle_of_equals(counts: np.ndarray):
    assert strongest(counts) == np.median(np.flatnonzero(counts == counts.max()))


@given(st.floats(-300.0, 300.0), st.sampled_from([(128, 1.65), (32, 6.6), (5, 1.0)]))
def test_nearest_channel(position_mm: float, chamber: tuple[int, float]):
    n, pitch_mm = chamber
    channel = nearest_channel(position_mm, n, pitch_mm)
    middle_mm = (channel - (n - 1) / 2) * pitch_mm
    assert abs(position_mm - middle_mm) <= pitch_mm / 2 * (1 + 1e-9)


def test_nearest_channel_of_a_border_is_the_upper_one():
    assert [nearest_channel(x, 4, 2.0) for x in (-4.0, -2.0, 0.0, 3.999)] == [0, 1, 2, 3]


def test_middle_of_the_chamber_is_zero():
    assert centre_of_gravity(3.0, 2.0, 4, 1.65) == 0.0
    assert centre_of_gravity(10 * (N_STRIPS - 1), 10.0, N_STRIPS, 2.0) == strip_mm(N_STRIPS - 1)


def reference_position(
    counts: np.ndarray, middle: int, reach: int, minimum: int, pitch_mm: float
) -> tuple[float, int, int]:
    """What `position_of` says, with NumPy."""
    where = (np.arange(N_STRIPS) - (N_STRIPS - 1) / 2) * pitch_mm
    near = np.abs(np.arange(N_STRIPS) - middle) <= reach
    if 2 * counts[near].sum() < counts.sum():
        near[:] = True
    total = int(counts[near].sum())
    if total >= minimum:
        return float(np.average(where[near], weights=counts[near])), total, 1
    if counts.sum() > 0:
        return float(np.median(where[counts == counts.max()])), total, 0
    return math.nan, 0, 0


@given(COUNTS, st.integers(-5, N_STRIPS + 5), st.integers(0, 8), st.integers(1, 30))
def test_position_of(counts: np.ndarray, middle: int, reach: int, minimum: int):
    result = position_of(counts, middle, reach, minimum, 1.65)
    expected = reference_position(counts, middle, reach, minimum, 1.65)
    assert result[1:] == expected[1:]
    assert result[0] == pytest.approx(expected[0], abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("inside", "everywhere", "elsewhere"), [(0, 0, False), (5, 10, False), (5, 11, True), (0, 1, True)]
)
def test_beam_is_elsewhere_if_most_counts_are(inside: int, everywhere: int, elsewhere: bool):
    assert is_elsewhere(inside, everywhere) == elsewhere


# On the bench


def test_centre_of_gravity_is_exact_and_drives_the_feedback_against_the_deviation():
    bench = watch({FIRST: {64: 32, 65: 32}}, {FIRST: {58: 16, 60: 48}})
    bench.run_to(FIRST)
    assert bench.law.axes[0].last_mm == strip_mm(64.5)
    assert bench.law.axes[1].last_mm == strip_mm(59.5)
    # 1 mm at the strips are 1.25 mm at the isocentre; half of it is taken back.
    assert corrections(bench) == (-0.5 * 1.25 * 0.5, 0.5 * 1.25 * 0.25)
    assert bench.set_A == (0.0, 0.0)
    bench.period()
    assert bench.set_A == corrections(bench), "from the next scan period on"
    assert bench.interlocks == []


def test_corrections_add_up_and_stay_for_the_next_spot():
    bench = watch({FIRST: {64: 32, 65: 32}, FIRST + 50: {64: 48, 65: 16}})
    bench.run_to(FIRST)
    first = corrections(bench)[0]
    bench.run_to(FIRST + 50)
    second = first - 0.5 * (0.5 * 1.25) * 0.5
    assert first == -0.5 * (1.0 * 1.25) * 0.5
    assert corrections(bench) == (second, 0.0)
    bench.counts = listed({210: (200, 200)})
    bench.run_to(250)
    assert bench.s.spot == 1
    assert bench.set_A == (second, 0.0)


@pytest.mark.parametrize("side", [1, -1])
def test_correction_is_limited(side: int):
    # 0.78125 A a frame, in a direction that the beam does not care about
    bench = watch({tick: {64 + side: 60, 64: 4} for tick in range(FIRST, 1000, 50)})
    bench.run_to(FIRST + 100)
    assert 0.0 < -side * corrections(bench)[0] < 2.0
    bench.run_to(FIRST + 400)
    assert corrections(bench)[0] == -side * 2.0, "feedback_limit_A of x"


def test_below_the_minimum_there_is_no_feedback_and_the_strongest_strip_is_returned():
    bench = watch({FIRST: {64: 20, 66: 43}}, {FIRST: {60: 64}})
    bench.run_to(FIRST + 500)
    assert corrections(bench) == (0.0, 0.0)
    assert math.isnan(bench.law.axes[0].last_mm)
    assert bench.law.axes[1].last_mm == strip_mm(60)
    bench.counts = listed({660: (200, 200)})
    bench.run_to(750)
    part = bench.law.parts[0]
    assert (part.x_strip_mm, part.strip_x_counts) == (strip_mm(66), 63)
    assert (part.y_strip_mm, part.strip_y_counts) == (strip_mm(60), 64)
    assert part.position_valid == 0, "both planes must have a centre of gravity"


@pytest.mark.parametrize(("x", "y", "valid"), [(64, 64, 1), (63, 64, 0), (64, 63, 0), (63, 63, 0)])
def test_a_position_is_valid_if_it_is_in_both_planes(x: int, y: int, valid: int):
    bench = watch({FIRST: {64: x}}, {FIRST: {60: y}})
    bench.run_to(FIRST + 50)
    assert bench.finish_with(200).law.parts[0].position_valid == valid


def test_one_more_count_makes_it_valid():
    bench = watch({FIRST: {64: 20, 65: 43}, FIRST + 50: {64: 1}}, {FIRST: {60: 64}})
    bench.run_to(FIRST + 50)
    assert bench.law.axes[0].last_mm == strip_mm((64 * 21 + 65 * 43) / 64)
    bench.counts = listed({260: (200, 200)})
    bench.run_to(350)
    part = bench.law.parts[0]
    assert part.x_strip_mm == strip_mm((64 * 21 + 65 * 43) / 64)
    assert (part.strip_x_counts, part.position_valid) == (64, 1)


def test_background_far_away_is_ignored():
    bench = watch({FIRST: {0: 3, 64: 64, 127: 60}}, {FIRST: {60: 64}})
    bench.run_to(FIRST)
    assert bench.law.axes[0].last_mm == strip_mm(64)
    assert corrections(bench) == (0.0, 0.0)
    bench.counts = listed({160: (200, 200)})
    bench.run_to(250)
    assert bench.law.parts[0].x_strip_mm == strip_mm(64)
    assert bench.law.parts[0].strip_x_counts == 64


def test_strips_within_reach_count_and_the_next_ones_do_not():
    bench = watch({FIRST: {59: 1, 64: 62, 69: 1}}, {FIRST: {54: 50, 60: 63}})
    bench.run_to(FIRST)
    assert bench.law.axes[0].last_mm == strip_mm(64)
    assert math.isnan(bench.law.axes[1].last_mm), "strip 54 is six strips away: only 63 counts are near"


def test_beam_elsewhere_is_noticed_although_it_is_out_of_reach():
    bench = watch({FIRST: {20: 64, 64: 60}}, {FIRST: {60: 64}})
    bench.run_to(FIRST)
    elsewhere_mm = strip_mm((20 * 64 + 64 * 60) / 124)
    assert bench.law.axes[0].last_mm == elsewhere_mm
    assert [cause for cause, *_ in bench.interlocks] == [4]
    bench.finish()
    assert bench.law.parts[0].x_strip_mm == elsewhere_mm


@pytest.mark.parametrize(("far", "elsewhere"), [(64, False), (65, True)])
def test_half_of_the_counts_near_is_enough_in_every_window(far: int, elsewhere: bool):
    bench = watch({FIRST: {64: 64}, FIRST + 50: {20: far, 64: 64}})
    bench.run_to(FIRST + 50)
    assert bench.law.axes[0].last_mm == (
        strip_mm((20 * far + 64 * 64) / (far + 64)) if elsewhere else strip_mm(64)
    )


def test_strips_behind_the_isocentre_are_strips_too():
    """Where the beam has spread beyond its size at the isocentre, the scale to it is below 1."""
    settings = SETTINGS._replace(
        x=SETTINGS.x._replace(iso_per_strip=0.75), y=SETTINGS.y._replace(iso_per_strip=0.75)
    )
    bench = Bench(spots([200], strip=64, row=60), settings)
    bench.strip_x = lambda tick: {66: 64} if tick == FIRST else {}
    bench.strip_y = lambda tick: {61: 64} if tick == FIRST else {}
    bench.begin().run_to(FIRST)
    assert has_strips(settings)
    assert (bench.law.axes[0].last_mm, bench.law.axes[1].last_mm) == (strip_mm(66), strip_mm(61))
    assert [(cause, value) for cause, _, value, *_ in bench.interlocks] == [(4, 4.0 * 0.75)]


@pytest.mark.parametrize(("x", "y", "causes"), [(75, 100, [14]), (100, 75, [15]), (100, 100, [])])
def test_charge_of_strips_behind_the_isocentre_is_compared_too(x: int, y: int, causes: list[int]):
    settings = SETTINGS._replace(
        x=SETTINGS.x._replace(iso_per_strip=0.75),
        y=SETTINGS.y._replace(iso_per_strip=0.75),
        charge_counts=100,
    )
    bench = Bench(spots([1000], strip=64, row=60), settings)
    bench.counts = listed(dict.fromkeys(range(100, 200, 10), (10, 10)))
    bench.strip_x = lambda tick: {64: x} if tick == 200 else {}
    bench.strip_y = lambda tick: {60: y} if tick == 200 else {}
    bench.begin().run_to(250)
    assert [cause for cause, *_ in bench.interlocks if cause in (14, 15)] == causes


@pytest.mark.parametrize(("tick", "is_checked"), [(WINDOW_TICKS, True), (WINDOW_TICKS + 50, False)])
def test_counts_of_more_than_a_window_are_not_put_together(tick: int, is_checked: bool):
    bench = watch({FIRST: {65: 63}, tick: {65: 1}})
    bench.run_to(tick)
    assert bench.law.axes[0].since_tick == (tick if tick > WINDOW_TICKS or is_checked else 0)
    assert math.isnan(bench.law.axes[0].last_mm) != is_checked
    assert (corrections(bench)[0] != 0.0) == is_checked


def test_a_new_window_begins_after_the_old_one():
    bench = watch({FIRST: {65: 63}, WINDOW_TICKS + 50: {64: 40}, WINDOW_TICKS + 100: {64: 24}})
    bench.run_to(WINDOW_TICKS + 100)
    assert bench.law.axes[0].last_mm == strip_mm(64)


@pytest.mark.parametrize(
    ("settled", "tick", "counts"),
    [(0, FIRST, True), (0, FIRST - 50, False), (25, FIRST, False), (25, 200, True)],
)
def test_frames_are_left_out_until_blanking_is_over(settled: int, tick: int, counts: bool):
    """All of a frame must have been taken later than the blanking after the magnets had settled."""
    bench = watch({tick: {64: 32, 65: 32}}, settled=settled)
    bench.run_to(tick)
    assert bench.s.settled_tick == settled
    assert (corrections(bench)[0] != 0.0) == counts


def test_frames_are_left_out_while_the_magnets_move_and_when_the_beam_is_off():
    frames = {tick: {66: 64} for tick in range(50, 2000, 50)}
    moving = watch(frames, settled=9999)
    moving.run_to(1000)
    assert corrections(moving) == (0.0, 0.0)
    off = watch(frames)
    off.end_extraction_at(100)
    off.finish()
    assert corrections(off) == (0.0, 0.0)
    assert off.interlocks == moving.interlocks == []


def test_frame_of_the_trigger_belongs_to_neither_spot():
    bench = watch({FIRST: {64: 70}, FIRST + 50: {50: 500}, FIRST + 100: {64: 30}})
    bench.counts = listed({FIRST + 20: (200, 200)})
    bench.run_to(FIRST + 100)
    assert bench.s.spot == 1
    assert (bench.law.parts[0].x_strip_mm, bench.law.parts[0].strip_x_counts) == (strip_mm(64), 70)
    sums = bench.law.strips[0] + bench.law.settled_strips[0]
    assert (sums.sum(), sums[64]) == (30, 30)
    bench.finish_with(200)
    assert bench.law.parts[1].strip_x_counts == 30


def test_a_window_does_not_reach_into_the_next_spot():
    bench = watch({FIRST: {66: 63}, FIRST + 200: {66: 1}})
    bench.counts = listed({FIRST + 20: (200, 200)})
    bench.run_to(FIRST + 200)
    assert bench.s.spot == 1
    assert math.isnan(bench.law.axes[0].last_mm)


def test_counts_with_the_magnets_settled_come_first():
    """Late charge of the spot before lies in the frames before."""
    bench = watch({50: {61: 30}, 100: {61: 30}, FIRST: {64: 64}}, {FIRST: {60: 64}})
    bench.run_to(FIRST + 50)
    bench.finish_with(200)
    part = bench.law.parts[0]
    assert (part.x_strip_mm, part.strip_x_counts, part.position_valid) == (strip_mm(64), 64, 1)


def test_a_short_spot_falls_back_on_all_its_counts():
    bench = watch({50: {63: 30}, 100: {63: 2}, FIRST: {64: 32}}, {50: {60: 64}})
    bench.run_to(FIRST + 50)
    bench.finish_with(200)
    part = bench.law.parts[0]
    assert (part.x_strip_mm, part.strip_x_counts) == (strip_mm(63.5), 64)
    assert (part.y_strip_mm, part.strip_y_counts, part.position_valid) == (strip_mm(60), 64, 1)


def test_no_counts_no_position():
    bench = watch({})
    bench.finish_with(200)
    part = bench.law.parts[0]
    assert math.isnan(part.x_strip_mm)
    assert math.isnan(part.y_strip_mm)
    assert (part.strip_x_counts, part.position_valid) == (0, 0)


def test_spots_within_one_frame_have_no_position():
    bench = Bench(spots([5, 5, 5, 5]))
    bench.strip_x = lambda tick: {64: 100}
    bench.counts = listed({160: (5, 5), 165: (5, 5), 170: (5, 5)})
    bench.begin().run_to(1000)
    bench.finish_with(5)
    assert [math.isnan(x) for x in bench.law.parts["x_strip_mm"]] == [False, True, True, False]
    assert bench.law.parts["complete"].tolist() == [1, 1, 1, 1]


def test_each_spot_is_compared_with_its_own_place():
    memory = spots([200, 200])
    memory.x_strip_mm[1] = strip_mm(80)
    bench = Bench(memory)
    bench.strip_x = lambda tick: {64 if tick < 400 else 80: 64}
    bench.strip_y = lambda tick: {60: 64}
    bench.counts = listed({375: (200, 200)})
    bench.begin().run_to(1000)
    assert bench.interlocks == []
    assert corrections(bench) == (0.0, 0.0)


@pytest.mark.parametrize("strip", [0, 2, 125, 127])
def test_spot_at_the_edge_of_the_chamber(strip: int):
    bench = Bench(spots([200], strip=strip))
    bench.strip_x = lambda tick: {strip: 64}
    bench.begin().run_to(FIRST)
    assert bench.law.axes[0].last_mm == strip_mm(strip)
    assert corrections(bench) == (0.0, 0.0)


@pytest.mark.parametrize("beyond", [-30, -6, N_STRIPS + 5, N_STRIPS + 30])
def test_spot_beyond_the_chamber_is_never_met(beyond: int):
    bench = Bench(spots([200], strip=beyond))
    bench.strip_x = lambda tick: {0: 32, N_STRIPS - 1: 32}
    bench.begin().run_to(FIRST)
    assert bench.law.axes[0].last_mm == 0.0
    assert [cause for cause, *_ in bench.interlocks] == [4]


def test_no_feedback_without_gain():
    bench = Bench(spots([200]), SETTINGS._replace(feedback_gain=0.0))
    bench.strip_x = lambda tick: {65: 64}
    bench.begin().run_to(FIRST)
    assert bench.law.axes[0].last_mm == strip_mm(65)
    assert corrections(bench) == (0.0, 0.0)
