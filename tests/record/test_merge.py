"""Parts of spots from several spills, against a slow and plain merge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline import Slice
from spotline.control.memory import COMMAND, PART, TREND
from spotline.control.memory import INTERLOCK as LAW_INTERLOCK
from spotline.record.assembly import merge_parts
from spotline.record.headers import SpillHeader
from spotline.record.model import SLOW_CONTROL, SPOT, TRUTH
from spotline.record.spill_file import Spill
from spotline.treatment.headers import IsocentrePerChamber

SCALE = IsocentrePerChamber(strip_x=1.15, strip_y=1.17, pixel_x=1.13, pixel_y=1.14)
N_SPOTS = (4, 3)
"""Spots of the two slices."""


def slice_of(index: int, n: int) -> Slice:
    """A slice in which every figure is another one."""
    base = np.arange(n) + 10.0 * index
    columns = {
        name: base + 0.1 * k
        for k, name in enumerate(
            ("x_strip_mm", "y_strip_mm", "x_pixel_mm", "y_pixel_mm", "x_current_A", "y_current_A"), start=1
        )
    }
    return Slice(
        index=index,
        energy_MeV_u=200.0,
        cycle_code=1,
        focus="small",
        intensity_level=1.0,
        particles_per_s=1e8,
        particles=1e4 * (1 + base),
        planned_layer=np.full(n, 5 + index),
        planned_spot=np.arange(n)[::-1].copy(),
        painting=np.zeros(n, np.int64),
        x_iso_mm=base - 3.0,
        y_iso_mm=-base,
        int1_counts=np.full(n, 50),
        int2_counts=np.full(n, 51),
        beam_off=np.zeros(n, bool),
        particles_per_count1=500.0 + base,
        particles_per_count2=510.0 + base,
        fwhm_x_mm=5.0,
        fwhm_y_mm=5.0,
        **columns,
    )


def header_of(index: int, number: int) -> SpillHeader:
    """Of the spill of that number, for the slice of that index."""
    return SpillHeader(
        field=1,
        spill=number,
        slice=index,
        cycle_code=0,
        extraction_start_us=0,
        extraction_end_us=0,
        broadcast_code=0,
        beamline_sha256="",
        plan_sha256="",
        seed=0,
        start_us=0,
        end_us=0,
        beam_on_us=0,
        end_reason=0,
        request=0,
        int1_counts=0,
        int2_counts=0,
    )


SLICES = tuple(slice_of(i, n) for i, n in enumerate(N_SPOTS))

position = st.one_of(st.just(math.nan), st.floats(-100.0, 100.0))
few = st.integers(0, 3)  # often none, and often as many as in another part
part = st.fixed_dictionaries(
    {
        "complete": st.integers(0, 1),
        "int1_counts": few,
        "int2_counts": few,
        "x_strip_mm": position,
        "y_strip_mm": position,
        "x_pixel_mm": position,
        "y_pixel_mm": position,
        "strip_x_counts": few,
        "strip_y_counts": few,
        "pixel_counts": few,
        "position_valid": st.integers(0, 1),
        "x_current_A": st.floats(-200.0, 200.0),
        "y_current_A": st.floats(-200.0, 200.0),
        "settled_tick": st.one_of(st.just(-1), st.integers(0, 10**6)),
        "from_trigger": st.integers(0, 1),
        "start_tick": st.integers(0, 10**6),
        "end_tick": st.integers(0, 10**6),
        "truth": st.tuples(st.integers(0, 3), *[st.floats(-10.0, 10.0)] * 2).map(
            # Ions; sums of x, x^2, y, y^2 of ions that are all at one place; of the variance of their beam.
            lambda t: (t[0], *(t[0] * k for k in (t[1], t[1] ** 2, t[2], t[2] ** 2, 4.0, 9.0)))
        ),
    }
)


@st.composite
def spills(draw: st.DrawFn) -> list[tuple[int, list[int], list[dict[str, Any]]]]:
    """Slice, loaded spots, and parts of the first of them, for each spill."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        index = draw(st.integers(0, 1))
        loaded = sorted(draw(st.sets(st.integers(0, N_SPOTS[index] - 1), min_size=1)))
        found.append((index, loaded, draw(st.lists(part, min_size=1, max_size=len(loaded)))))
    return found


def as_read(drawn: list[tuple[int, list[int], list[dict[str, Any]]]], with_truth: bool) -> list[Spill]:
    result = []
    for number, (index, loaded, rows) in enumerate(drawn, start=1):
        parts = np.zeros(len(rows), PART)
        parts["spot"] = np.arange(len(rows))
        for name in rows[0]:
            if name != "truth":
                parts[name] = [row[name] for row in rows]
        truth = np.array([row["truth"] for row in rows], float) if with_truth else None
        empty = (np.zeros(0, kind) for kind in (TREND, COMMAND, LAW_INTERLOCK, SLOW_CONTROL))
        result.append(Spill(header_of(index, number), np.array(loaded), parts, *empty, truth))
    return result


def weighted(rows: list[dict[str, Any]], value: str, weight: str, factor: float) -> float:
    """Mean position of the parts that have one, weighted with their counts."""
    known = [(row[value], row[weight]) for row in rows if not math.isnan(row[value])]
    total = sum(w for _, w in known)
    return sum(v * w for v, w in known) / total * factor if total else math.nan


def merged(drawn: list[tuple[int, list[int], list[dict[str, Any]]]]) -> list[tuple[dict, dict]]:
    """Expected rows of spots and truth: what `merge_parts` says it does, spelled out."""
    by_spot: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for number, (index, loaded, rows) in enumerate(drawn, start=1):
        for spot, row in zip(loaded, rows, strict=False):
            by_spot.setdefault((index, spot), []).append({**row, "spill": number})
    result = []
    for (index, spot), rows in sorted(by_spot.items()):
        used = [row for row in rows if row["int1_counts"] or row["int2_counts"] or row["complete"]]
        if not used:
            continue
        slice_, last = SLICES[index], used[-1]
        strips = [row for row in used if row["position_valid"]] or used
        x_mm = weighted(strips, "x_strip_mm", "strip_x_counts", SCALE.strip_x)
        y_mm = weighted(strips, "y_strip_mm", "strip_y_counts", SCALE.strip_y)
        is_there = math.isfinite(x_mm) and math.isfinite(y_mm)
        moved = last["settled_tick"] >= 0 and last["from_trigger"]
        ions, x, _, y, _ = (sum(row["truth"][k] for row in rows) for k in range(5))
        result.append(
            (
                {
                    "slice": index,
                    "spot": spot,
                    "planned_layer": 5 + index,
                    "planned_spot": N_SPOTS[index] - 1 - spot,
                    "spill": last["spill"],
                    "start_us": last["start_tick"],
                    "end_us": last["end_tick"],
                    "complete": any(row["complete"] for row in used),
                    "position_valid": any(row["position_valid"] for row in used) and is_there,
                    "particles_planned": slice_.particles[spot],
                    "particles": sum(row["int1_counts"] for row in used) * slice_.particles_per_count1[spot],
                    "particles_int2": sum(row["int2_counts"] for row in used)
                    * slice_.particles_per_count2[spot],
                    "x_planned_mm": slice_.x_iso_mm[spot],
                    "y_planned_mm": slice_.y_iso_mm[spot],
                    "x_mm": x_mm,
                    "y_mm": y_mm,
                    "x_pixel_mm": weighted(used, "x_pixel_mm", "pixel_counts", SCALE.pixel_x),
                    "y_pixel_mm": weighted(used, "y_pixel_mm", "pixel_counts", SCALE.pixel_y),
                    "x_current_A": last["x_current_A"],
                    "y_current_A": last["y_current_A"],
                    "transit_us": last["settled_tick"] - last["start_tick"] if moved else math.nan,
                },
                {
                    "slice": index,
                    "spot": spot,
                    "particles": ions,
                    "x_mm": x / ions if ions else math.nan,
                    "y_mm": y / ions if ions else math.nan,
                },
            )
        )
    return result


def assert_rows(table: np.ndarray, expected: list[dict[str, Any]]) -> None:
    assert len(table) == len(expected)
    for row, wanted in zip(table, expected, strict=True):
        for name, value in wanted.items():
            assert row[name] == pytest.approx(value, nan_ok=True, abs=1e-9), name


@given(spills())
def test_merge(drawn: list):
    expected = merged(drawn)
    spots, truth = merge_parts(SLICES, SCALE, as_read(drawn, with_truth=True))
    assert spots.dtype == SPOT
    assert_rows(spots, [row for row, _ in expected])
    if drawn:
        assert truth is not None
        assert truth.dtype == TRUTH
        assert_rows(truth, [row for _, row in expected])


@given(spills())
def test_truth_changes_nothing(drawn: list):
    with_truth, _ = merge_parts(SLICES, SCALE, as_read(drawn, with_truth=True))
    without, truth = merge_parts(SLICES, SCALE, as_read(drawn, with_truth=False))
    assert truth is None
    assert with_truth.tobytes() == without.tobytes()


def test_spread_of_the_beam_centre():
    """Two ions at 1 mm and two at 3 mm, in different spills: mean 2 mm, standard deviation 1 mm."""

    def row(ions: int, x_mm: float) -> dict[str, Any]:
        blank = dict.fromkeys([n for n in PART.names or () if n != "spot"], 0)
        return {**blank, "int1_counts": 1, "truth": (ions, ions * x_mm, ions * x_mm**2, 0.0, 0.0, 0.0, 0.0)}

    _, truth = merge_parts(SLICES, SCALE, as_read([(0, [2], [row(2, 1.0)]), (0, [2], [row(2, 3.0)])], True))
    assert truth is not None
    assert truth[["particles", "x_mm", "x_sd_mm", "y_sd_mm"]].tolist() == [(4.0, 2.0, 1.0, 0.0)]


def test_nothing_was_counted():
    """The spill was stopped before the first particle: there is a part, and nothing in it."""
    blank = {**dict.fromkeys([n for n in PART.names or () if n != "spot"], 0), "truth": (0.0,) * 7}
    spots, truth = merge_parts(SLICES, SCALE, as_read([(0, [0, 1], [blank])], with_truth=True))
    assert len(spots) == 0
    assert truth is not None
    assert len(truth) == 0


def test_no_spills():
    spots, truth = merge_parts(SLICES, SCALE, [])
    assert (len(spots), truth) == (0, None)
