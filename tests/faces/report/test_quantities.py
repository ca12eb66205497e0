from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.faces.report import quantities, words
from tests.faces.report import records


def test_intensity_follows_from_counts_and_particles(tmp_path: Path):
    field = records.field(tmp_path)
    rate = quantities.trend_intensity_per_s(field)
    assert rate.sum() / 1000.0 == pytest.approx(field.spots["particles"].sum())
    known = records.with_changes(field, header={**field.header, "particles_per_count": [500.0, 600.0]})
    rate = quantities.trend_intensity_per_s(known)
    expected = np.where(field.trend["slice"] == 0, 500.0, 600.0) * field.trend["int1_counts"] * 1000.0
    np.testing.assert_allclose(rate, expected)


def test_rows_of_the_trend_belong_to_the_spill_they_lead_up_to(tmp_path: Path):
    field = records.field(tmp_path)
    spills = field.spills.copy()
    spills["start_us"] += 20_000  # the trend begins when the magnets move
    field = records.with_changes(field, spills=spills)
    first = field.trend["time_us"] <= field.spills["end_us"][0]
    np.testing.assert_array_equal(quantities.spill_of_trend(field), np.where(first, 0, 1))
    shown = quantities.trend_of_spill(field, 1)
    assert field.trend["time_us"][shown].min() == spills["start_us"][1] + 1000


def test_spill_to_show_is_the_one_with_the_interlock(tmp_path: Path):
    whole = records.field(tmp_path)
    most = int(np.argmax(whole.spills["int1_counts"]))
    assert quantities.spill_to_show(whole) == most
    assert quantities.spill_to_show(records.interrupted(tmp_path)) == 1
    assert quantities.spill_to_show(records.empty(tmp_path)) is None


def test_truth_is_joined_by_slice_and_spot(tmp_path: Path):
    field = records.field(tmp_path)
    assert field.truth is not None
    shuffled = field.truth[::-1][:-1]  # without the first spot
    truth = quantities.truth_of_spots(records.with_changes(field, truth=shuffled))
    assert truth is not None
    assert np.isnan(truth["particles"][0])
    np.testing.assert_array_equal(truth["particles"][1:], field.truth["particles"][1:])
    assert quantities.truth_of_spots(records.with_changes(field, truth=None)) is None


def test_positions_count_only_with_a_centre_of_gravity(tmp_path: Path):
    spots = records.field(tmp_path).spots.copy()
    spots["position_valid"][:10] = False
    dx_mm, dy_mm = quantities.position_deviation_mm(spots)
    assert np.isnan(dx_mm[:10]).all()
    assert np.isnan(dy_mm[:10]).all()
    assert np.isfinite(dx_mm[10:]).all()


def test_times_are_known_only_within_one_spill(tmp_path: Path):
    spots = records.field(tmp_path).spots
    known = quantities.whole_in_one_spill(spots)
    assert set(np.flatnonzero(~known)) == {0, len(spots) // 2}


def test_spread():
    found = quantities.spread([-1.0, 0.5, 2.0, np.nan], 1.0)
    assert (found.n, found.mean, found.within) == (3, 0.5, pytest.approx(2 / 3))
    assert found.rms == pytest.approx(np.sqrt(5.25 / 3))
    assert quantities.spread([], 1.0).n == 0


def test_duty_factor():
    assert quantities.duty_factor(np.full(5, 3.0)) == pytest.approx(1.0)
    assert quantities.duty_factor(np.array([0.0, 2.0])) == pytest.approx(0.5)
    assert np.isnan(quantities.duty_factor(np.zeros(0)))


def test_evenly_chosen():
    chosen = quantities.evenly_chosen(np.arange(30), 12)
    assert len(chosen) == 12
    assert (chosen[0], chosen[-1]) == (0, 29)
    assert len(quantities.evenly_chosen(np.arange(5), 12)) == 5


@pytest.mark.parametrize(
    "text, expected",
    [
        (words.power(4.5e7), "4.500 × 10⁷"),
        (words.power(-2.34e-5, 3), "−2.34 × 10⁻⁵"),
        (words.power(0.1234), "0.1234"),
        (words.power(np.nan), "–"),
        (words.number(-0.0004, 3, sign=True), "0.000"),
        (words.number(19173, 0), "19\u202f173"),
        (words.number(-1.5, 1), "−1.5"),
        (words.seconds(131.132), "131.132 s (2 min 11 s)"),
        (words.seconds(119.9999), "120.000 s (2 min 0 s)"),
        (words.percent(0.975), "97.5 %"),
        (words.moment("2026-11-21T10:10:17.530104+00:00"), "2026-11-21 10:10:17 UTC"),
        (words.moment(None), "–"),
        (words.plain({"numpy": "2.4", "seed": 1.5}), "numpy 2.4, seed 1.5"),
        (words.short_hash("0123456789abcdef"), "0123456789ab…"),
    ],
)
def test_words(text: str, expected: str):
    assert text == expected
