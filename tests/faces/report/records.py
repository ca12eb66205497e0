"""Records made of random numbers: enough structure for a report, without a delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spotline.control.interlocks import INT_RATIO, POSITION_X, STOP
from spotline.record.model import (
    INTERLOCK,
    SLICE,
    SLOW_CONTROL,
    SPILL,
    SPOT,
    TREND,
    TRUTH,
    VISIT,
    FieldRecord,
    Record,
    Table,
)
from spotline.units import FWHM_PER_SIGMA

SPOT_us = 900
CYCLE_us = 4_500_000


def header(**changes: Any) -> dict[str, Any]:
    return {
        "ion": "carbon",
        "charge_number": 6,
        "mass_number": 12,
        "beamline": "test-line",
        "beamline_sha256": "b" * 64,
        "plan_sha256": "a1b2c3" + "d" * 58,
        "plan_label": "Two slices",
        "seed": 17,
        "versions": {"spotline": "0.1.0", "numpy": "2.4.6"},
        "status": "complete",
        "started": "2026-02-27T09:30:00+00:00",
        "focus": ["small"],
        "passive_elements": ["RIFI1", "RIFI2"],
        "gas_factors": [0.9871, 0.9868],
        "gantry_angle_deg": 90.0,
        "patient_support_angle_deg": 0.0,
        "unit": "NP",
        **changes,
    }


def spots_of(number: int, side: int, rng: np.random.Generator, spill: int, start_us: int) -> Table:
    """Spots of one slice on a square grid, delivered row by row."""
    table = np.zeros(side * side, dtype=SPOT)
    n = len(table)
    index = np.arange(n)
    table["slice"], table["spot"], table["planned_layer"], table["planned_spot"] = (
        number,
        index,
        number,
        index,
    )
    table["spill"] = spill
    table["start_us"] = start_us + 50_000 + index * SPOT_us
    table["end_us"] = table["start_us"] + SPOT_us - 1
    table["complete"] = table["position_valid"] = True
    row, column = np.divmod(index, side)
    column = np.where(row % 2, side - 1 - column, column)
    table["x_planned_mm"], table["y_planned_mm"] = 3.0 * (column - side / 2), 3.0 * (row - side / 2)
    table["particles_planned"] = rng.uniform(2e4, 9e4, n).round()
    table["particles"] = table["particles_planned"] * rng.normal(1.003, 0.004, n)
    table["particles_int2"] = table["particles"] * rng.normal(0.997, 0.006, n)
    for plane in "xy":
        table[f"{plane}_mm"] = table[f"{plane}_planned_mm"] + rng.normal(0.1, 0.15, n)
        table[f"{plane}_pixel_mm"] = table[f"{plane}_planned_mm"] + rng.normal(0.0, 0.4, n)
        table[f"{plane}_current_A"] = 0.8 * table[f"{plane}_planned_mm"]
    table["transit_us"] = rng.gamma(9.0, 15.0, n)
    table["transit_us"][0] = np.nan
    return table


def visits_of(spots: Table) -> Table:
    """The same spots as they were prescribed."""
    table = np.zeros(len(spots), dtype=VISIT)
    for name in VISIT.names or ():
        table[name] = spots[name]
    return table


def trend_of(spots: Table, start_us: int, end_us: int, rng: np.random.Generator) -> Table:
    """Milliseconds of one spill."""
    time_us = np.arange(start_us + 1000, end_us + 1, 1000)
    table = np.zeros(len(time_us), dtype=TREND)
    table["time_us"] = time_us
    table["slice"] = spots["slice"][0]
    now = np.clip(np.searchsorted(spots["start_us"], time_us) - 1, 0, len(spots) - 1)
    table["spot"] = spots["spot"][now]
    beam = (time_us > spots["start_us"][0]) & (time_us <= spots["end_us"][-1])
    table["int1_counts"] = np.where(beam, rng.poisson(120.0 * (1 + 0.3 * np.sin(time_us / 1600.0))), 0)
    table["int2_counts"] = np.where(beam, table["int1_counts"] * 1.02, 0)
    for plane in "xy":
        table[f"{plane}_set_A"] = spots[f"{plane}_current_A"][now]
        table[f"{plane}_read_A"] = table[f"{plane}_set_A"] + rng.normal(0.0, 0.02, len(now))
        table[f"{plane}_mm"] = np.where(beam, spots[f"{plane}_mm"][now], np.nan)
    return table


def truth_of(spots: Table, rng: np.random.Generator) -> Table:
    table = np.zeros(len(spots), dtype=TRUTH)
    table["slice"], table["spot"] = spots["slice"], spots["spot"]
    table["particles"] = spots["particles"] * rng.normal(0.996, 0.002, len(spots))
    table["x_mm"], table["y_mm"] = spots["x_mm"] + 0.03, spots["y_mm"] - 0.02
    return table


def field(
    path: Path, slices: int = 2, side: int = 12, seed: int = 1, number: int = 1, **changes: Any
) -> FieldRecord:
    """A field that was delivered whole: a square of spots per slice, one spill each."""
    rng = np.random.default_rng(seed)
    spots, trends = [], []
    layers, spills = np.zeros(slices, dtype=SLICE), np.zeros(slices, dtype=SPILL)
    for i in range(slices):
        start_us = i * CYCLE_us
        mine = spots_of(i, side, rng, i + 1, start_us)
        end_us = start_us + 70_000 + len(mine) * SPOT_us
        trend = trend_of(mine, start_us, end_us, rng)
        spots.append(mine)
        trends.append(trend)
        energy = 180.0 + 4.5 * i
        counts = int(trend["int1_counts"].sum()), int(trend["int2_counts"].sum())
        particles = mine["particles_planned"].sum(), mine["particles"].sum()
        # 10 % wider in x than expected, and as wide as expected in y.
        widths = 5.5, 5.25, 1.1 * 6.5 / FWHM_PER_SIGMA, 6.25 / FWHM_PER_SIGMA, 0.01, 0.01
        layers[i] = (i, 0x6200_4650 + i, energy, 0.5, len(mine), len(mine), *particles, 6.5, 6.25, 1, *widths)
        spills[i] = (
            i + 1,
            i,
            layers[i]["cycle_code"],
            start_us,
            len(mine) * SPOT_us,
            end_us,
            *counts,
            len(mine),
            2,
        )
    all_spots = np.concatenate(spots)
    slow = np.zeros(int(slices * CYCLE_us / 1e6) + 1, dtype=SLOW_CONTROL)
    slow["time_us"] = np.arange(len(slow)) * 1_000_000
    for box in (1, 2):
        slow[f"temperature{box}_C"] = rng.normal(22.0, 0.02, len(slow))
        slow[f"pressure{box}_Pa"] = rng.normal(100_500.0, 10.0, len(slow))
        slow[f"high_voltage{box}_V"] = rng.normal(400.0, 0.05, len(slow))
        slow[f"flux_correction{box}"] = 1.0 / 0.987
    planned = float(all_spots["particles_planned"].sum())
    return FieldRecord(
        path=path,
        number=number,
        name=f"Field {number}",
        header=header(spots_planned=len(all_spots), particles_planned=planned, **changes),
        spots=all_spots,
        visits=visits_of(all_spots),
        slices=layers,
        spills=spills,
        trend=np.concatenate(trends),
        interlocks=np.zeros(0, dtype=INTERLOCK),
        slow_control=slow,
        truth=truth_of(all_spots, rng),
    )


def with_changes(original: FieldRecord, **changes: Any) -> FieldRecord:
    names = (
        "path",
        "number",
        "name",
        "header",
        "spots",
        "visits",
        "slices",
        "spills",
        "trend",
        "interlocks",
        "slow_control",
        "truth",
    )
    return FieldRecord(**{**{name: getattr(original, name) for name in names}, **changes})


def interrupted(path: Path) -> FieldRecord:
    """The second slice was stopped in the middle of a spot, after a pause in the first."""
    whole = field(path)
    kept = whole.spots[: len(whole.spots) * 3 // 4].copy()
    kept["complete"][-1] = False
    kept["particles"][-1] *= 0.37
    stop_us = int(kept["end_us"][-1])
    slices = whole.slices.copy()
    mine = kept["slice"] == 1
    slices["spots_delivered"][1], slices["particles"][1] = mine.sum() - 1, kept["particles"][mine].sum()
    interlocks = np.zeros(2, dtype=INTERLOCK)
    interlocks[0] = (POSITION_X, 120_000, 1, 0, 70, 2.345, 2.0, 1)
    interlocks[1] = (INT_RATIO, stop_us, 2, 1, int(kept["spot"][-1]), 0.1234, 0.1, STOP)
    return with_changes(
        whole,
        header={**whole.header, "status": "interlock"},
        spots=kept,
        slices=slices,
        trend=whole.trend[whole.trend["time_us"] <= stop_us + 1000],
        interlocks=interlocks,
    )


def empty(path: Path) -> FieldRecord:
    """A field of which nothing was delivered: the treatment stopped before the first spill."""
    whole = field(path)
    slices = whole.slices.copy()
    slices["spots_delivered"] = slices["spills"] = 0
    slices["particles"] = 0.0
    interlocks = np.zeros(1, dtype=INTERLOCK)
    interlocks[0] = (25, 0, 0, -1, -1, 12.0, 10.0, STOP)
    return with_changes(
        whole,
        header={**whole.header, "status": "interlock"},
        spots=whole.spots[:0],
        slices=slices,
        spills=whole.spills[:0],
        trend=whole.trend[:0],
        interlocks=interlocks,
        slow_control=whole.slow_control[:0],
        truth=whole.truth[:0] if whole.truth is not None else None,
    )


def record(*fields: FieldRecord, **summary: Any) -> Record:
    path = fields[0].path if fields else Path()
    return Record(path=path, summary={"wall_s": 12.5, "realtime_factor": 33.0, **summary}, fields=fields)
