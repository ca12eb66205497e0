"""The Pixel FPGA: position in the back-up box."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.control.memory import WINDOW_TICKS, new_state
from spotline.control.pixel import add_pixels, has_pixels, position
from tests.control.bench import (
    N_PIXELS,
    N_STRIPS,
    SETTINGS,
    Bench,
    image_of,
    listed,
    lit,
    pixel_mm,
    spots,
)

pytestmark = pytest.mark.kernel

FIRST = 200
"""End of the first frame that was taken with the magnets long enough at rest."""

Image = Mapping[tuple[int, int], int]


def watch(frames: Mapping[int, Image], settled: int = 0) -> Bench:
    """A spot at column 16 and row 15 that never ends, and frames by their last tick."""
    bench = Bench(spots([200, 200], pixel=16, pixel_row=15))
    bench.pixels = lambda tick: frames.get(tick, {})
    bench.read_A = lambda tick: bench.set_A if tick >= settled else (9.0, 0.0)
    return bench.begin()


def finished(bench: Bench) -> np.record:
    return bench.finish_with(200).law.parts[0]


IMAGES = st.dictionaries(
    st.tuples(st.integers(0, N_PIXELS - 1), st.integers(0, N_PIXELS - 1)), st.integers(1, 9), max_size=12
)


@given(IMAGES, st.integers(-3, N_PIXELS + 2), st.integers(-3, N_PIXELS + 2), st.integers(0, 4))
def test_sums_and_position_agree_with_numpy(image: Image, column: int, row: int, reach: int):
    frame = image_of(image)
    region = np.concatenate([lit(frame.any(axis=1)), lit(frame.any(axis=0))])
    registers = new_state(spots([1]), SETTINGS, N_STRIPS, 0, (0, 0)).pixels
    add_pixels(registers, frame, region, column, row, reach)
    add_pixels(registers, frame, region, column, row, reach)
    of_spot, window = registers[0].copy(), registers[1].copy()
    y, x = np.mgrid[:N_PIXELS, :N_PIXELS]
    near = (np.abs(x - column) <= reach) & (np.abs(y - row) <= reach)
    assert of_spot["x_second"] == 2 * (frame * x**2)[near].sum()
    assert of_spot["y_second"] == 2 * (frame * y**2)[near].sum()
    of_spot["x_second"] = of_spot["y_second"] = 0
    assert of_spot == window

    y, x = np.mgrid[:N_PIXELS, :N_PIXELS]
    near = (np.abs(x - column) <= reach) & (np.abs(y - row) <= reach)
    assert registers[0]["inside"] == 2 * frame[near].sum()
    if 2 * frame[near].sum() < frame.sum():
        near[:] = True
    x_mm, y_mm, counts = position(registers[0], SETTINGS, N_PIXELS)
    assert counts == 2 * frame[near].sum()
    if counts:
        assert x_mm == pytest.approx(np.average(pixel_mm(x[near]), weights=frame[near]), abs=1e-9)
        assert y_mm == pytest.approx(np.average(pixel_mm(y[near]), weights=frame[near]), abs=1e-9)
    else:
        assert math.isnan(x_mm)
        assert math.isnan(y_mm)


def test_centre_of_gravity_of_a_spot():
    bench = watch({FIRST: {(15, 16): 48, (15, 17): 16}, FIRST + 100: {(14, 16): 24, (15, 16): 40}})
    bench.run_to(FIRST + 200)
    part = finished(bench)
    assert (part.x_pixel_mm, part.y_pixel_mm) == (pixel_mm(16.125), pixel_mm(15 - 24 / 128))
    assert part.pixel_counts == 128
    assert bench.interlocks == []


def test_rows_are_y_and_columns_are_x():
    bench = watch({FIRST: {(15, 18): 64}})
    bench.run_to(FIRST)
    assert [cause for cause, *_ in bench.interlocks] == [6]
    bench = watch({FIRST: {(17, 16): 64}})
    bench.run_to(FIRST)
    assert [cause for cause, *_ in bench.interlocks] == [7]


@pytest.mark.parametrize("counts", [63, 64])
def test_a_position_needs_enough_counts(counts: int):
    bench = watch({FIRST: {(15, 18): counts}})
    bench.run_to(FIRST + 100)
    assert len(bench.interlocks) == (counts == 64)
    part = finished(bench)
    assert part.pixel_counts == counts
    assert math.isnan(part.x_pixel_mm) == (counts < 64)


def test_background_far_away_is_ignored():
    bench = watch({FIRST: {(15, 16): 64, (0, 0): 60, (15, 19): 4}})
    bench.run_to(FIRST)
    assert bench.interlocks == []
    part = finished(bench)
    assert (part.x_pixel_mm, part.y_pixel_mm, part.pixel_counts) == (pixel_mm(16), pixel_mm(15), 64)


def test_beam_elsewhere_is_noticed_although_it_is_out_of_reach():
    bench = watch({FIRST: {(15, 16): 32, (3, 25): 33}})
    bench.run_to(FIRST)
    assert [cause for cause, *_ in bench.interlocks] == [6, 7]
    assert finished(bench).pixel_counts == 65


def test_pixels_behind_the_isocentre_are_pixels_too():
    """Where the beam has spread beyond its size at the isocentre, the scale to it is below 1."""
    settings = SETTINGS._replace(
        x=SETTINGS.x._replace(iso_per_pixel=0.75), y=SETTINGS.y._replace(iso_per_pixel=0.75)
    )
    assert has_pixels(settings)
    assert not has_pixels(settings._replace(x=settings.x._replace(iso_per_pixel=0.0)))


@pytest.mark.parametrize(("tick", "is_checked"), [(WINDOW_TICKS, True), (WINDOW_TICKS + 100, False)])
def test_counts_of_more_than_a_window_are_not_put_together(tick: int, is_checked: bool):
    bench = watch({FIRST: {(15, 18): 63}, tick: {(15, 18): 1}})
    bench.run_to(tick)
    assert len(bench.interlocks) == is_checked
    # The position of the spot is made of all its counts, however long it takes.
    assert finished(bench).pixel_counts == 64


@pytest.mark.parametrize("settled", [0, 25])
def test_frames_are_left_out_until_blanking_is_over(settled: int):
    bench = watch({FIRST: {(15, 18): 64}, FIRST - 100: {(2, 2): 900}}, settled)
    bench.run_to(FIRST)
    assert len(bench.interlocks) == (settled == 0)
    assert bench.law.pixels[0].everywhere_x_moment == (18 * 64 if settled == 0 else 0)


def test_frame_of_the_trigger_belongs_to_neither_spot():
    bench = watch({FIRST: {(15, 16): 70}, FIRST + 100: {(2, 2): 500}, FIRST + 300: {(15, 16): 65}})
    bench.counts = listed({FIRST + 20: (200, 200)})
    bench.run_to(FIRST + 300)
    bench.finish_with(200)
    assert bench.law.parts["pixel_counts"].tolist() == [70, 65]
    assert bench.law.parts["x_pixel_mm"].tolist() == [pixel_mm(16)] * 2
    assert bench.interlocks == []


def test_frames_after_the_end_of_the_beam_are_left_out():
    bench = watch({tick: {(2, 2): 100} for tick in range(300, 3000, 100)})
    bench.end_extraction_at(225)
    bench.finish()
    assert bench.interlocks == []
    assert bench.law.parts[0].pixel_counts == 0


def test_the_pixel_chamber_has_no_say_in_the_feedback():
    bench = watch({FIRST: {(15, 17): 64}})
    bench.run_to(FIRST + 100)
    assert bench.set_A == (0.0, 0.0)


@pytest.mark.parametrize(("column", "row"), [(0, 0), (31, 31), (-9, 15), (40, 15), (16, -9), (16, 40)])
def test_spot_at_or_beyond_the_edge_of_the_chamber(column: int, row: int):
    bench = Bench(spots([200], pixel=column, pixel_row=row))
    place = (min(max(row, 0), 31), min(max(column, 0), 31))
    bench.pixels = lambda tick: {place: 64}
    bench.begin().run_to(FIRST)
    is_there = place == (row, column)
    assert (bench.interlocks == []) == is_there
