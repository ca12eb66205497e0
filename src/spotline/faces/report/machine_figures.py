"""What the machine did during a field: magnets, ratio of the integral chambers, gas and high voltage."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spotline.faces.report import draw
from spotline.faces.report.quantities import (
    RATIO_TOLERANCE_percent,
    WINDOW_us,
    quotient,
    spill_to_show,
    trend_intensity_per_s,
    trend_of_spill,
    window_us,
)
from spotline.faces.report.style import BLUE, INK, RED, sheet, styled
from spotline.record.model import FieldRecord


@styled
def figure_magnets(field: FieldRecord) -> Figure:
    """Currents of the scanning magnets over one spill: set, read back, and the difference."""
    figure = sheet(5.6)
    panels = figure.subplots(3, 2, sharex="col", width_ratios=[1.5, 1.0])
    for axes, label in zip(panels[:, 0], ("X (A)", "Y (A)", "read − set (A)"), strict=True):
        axes.set_ylabel(label)
    for axes in panels[2]:
        axes.set_xlabel("time since the start of the spill (ms)")
    shown = spill_to_show(field)
    if shown is None:
        for axes in panels.ravel():
            draw.nothing(axes)
        return figure
    mine = trend_of_spill(field, shown)
    trend, rate = field.trend[mine], trend_intensity_per_s(field)[mine]
    begin_us, end_us = window_us(rate, trend["time_us"], WINDOW_us)
    close = trend[(trend["time_us"] > begin_us) & (trend["time_us"] <= end_us)]
    origin_us = int(field.spills["start_us"][shown])
    _currents(panels[:, 0], trend, origin_us)
    _currents(panels[:, 1], close, origin_us)
    panels[0, 0].set_title(f"spill {field.spills['spill'][shown]}")
    panels[0, 1].set_title(f"{(end_us - begin_us) / 1000:.0f} ms of it")
    for axes in (panels[0, 0], panels[2, 0]):
        _legend_above(axes)
    return figure


def _currents(column: Any, trend: Any, origin_us: int) -> None:
    time_ms = (trend["time_us"] - origin_us) / 1e3
    for axes, plane in zip(column, ("x", "y"), strict=False):
        axes.plot(time_ms, trend[f"{plane}_set_A"], color=INK, lw=0.8, label="set", drawstyle="steps-pre")
        axes.plot(
            time_ms, trend[f"{plane}_read_A"], "o", color=RED, ms=1.8, mew=0, label="read", rasterized=True
        )
    for plane, colour, mark in (("x", BLUE, "o"), ("y", RED, "s")):
        difference_A = trend[f"{plane}_read_A"] - trend[f"{plane}_set_A"]
        column[2].plot(
            time_ms, difference_A, mark, color=colour, ms=1.8, mew=0, label=plane.upper(), rasterized=True
        )
    column[2].set_yscale("symlog", linthresh=0.1, linscale=0.7)
    column[2].yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    )


def _legend_above(axes: Axes) -> None:
    """Put a legend where it hides nothing."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, borderaxespad=0.0, markerscale=2.0)


@styled
def figure_ratio(field: FieldRecord) -> Figure:
    """Ratio of the two integral chambers, spill by spill (counts) and spot by spot (particles)."""
    figure = sheet(2.9)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.6])
    left.set(xlabel="spill", ylabel="INT1 / INT2, counts (1)", title="counts of a spill")
    right.set(xlabel="spot, in the order of delivery", ylabel="INT1 against INT2, particles (%)")
    right.set_title("particles of a spot")
    ratio = quotient(field.spills["int1_counts"], field.spills["int2_counts"])
    if np.isfinite(ratio).any():
        left.plot(field.spills["spill"], ratio, "o-", color=BLUE, ms=3, lw=0.6)
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        left.set_xlim(0.5, len(ratio) + 0.5)
        centre = float(np.nanmean(ratio))
        # A chamber that is dead all the time makes them all the same, and that is zero.
        half = max(1.2 * float(np.nanmax(np.abs(ratio - centre))), 0.002 * centre) or 1.0
        left.set_ylim(centre - half, centre + half)
    else:
        draw.nothing(left)
    spots = field.spots[np.argsort(field.spots["end_us"], kind="stable")]
    percent = 100.0 * (quotient(spots["particles"], spots["particles_int2"]) - 1.0)
    draw.cloud(right, np.arange(1, len(percent) + 1), percent, RATIO_TOLERANCE_percent)
    if np.isfinite(percent).any():
        centre, edges = _means(percent)
        right.stairs(centre, edges, color=RED, lw=1.4, baseline=None, zorder=3)
    return figure


def _means(values: Any) -> tuple[Any, Any]:
    """Return the means of at most about 60 groups of consecutive values, and the edges of the groups."""
    groups = np.array_split(values, min(60, len(values)))
    centre = [np.mean(g[np.isfinite(g)]) if np.isfinite(g).any() else np.nan for g in groups]
    return np.array(centre), np.cumsum([0, *(len(g) for g in groups)]) + 0.5


@styled
def figure_slow_control(field: FieldRecord) -> Figure:
    """Gas temperature, pressure and high voltage of both boxes, as the slow control read them."""
    figure = sheet(2.7)
    panels = figure.subplots(1, 3)
    readings = field.slow_control[np.argsort(field.slow_control["time_us"], kind="stable")]
    time_s = readings["time_us"] / 1e6
    for axes, label, column, unit in (
        (panels[0], "gas temperature (°C)", "temperature{}_C", 1.0),
        (panels[1], "gas pressure (hPa)", "pressure{}_Pa", 0.01),
        (panels[2], "high voltage (V)", "high_voltage{}_V", 1.0),
    ):
        axes.set(xlabel="time (s)", ylabel=label)
        _readings(axes, time_s, {f"BOX{box}": readings[column.format(box)] * unit for box in (1, 2)})
    return figure


def _readings(axes: Axes, time_s: Any, series: dict[str, Any]) -> None:
    if not any(np.isfinite(values).any() for values in series.values()):
        return draw.nothing(axes, "no reading")
    few = len(time_s) <= 100
    for (label, values), (colour, mark) in zip(series.items(), ((BLUE, "o"), (RED, "s")), strict=False):
        look: dict[str, Any] = {"ms": 3, "lw": 0.8}
        if not few:
            look = {"ms": 1.6, "lw": 0, "mew": 0, "rasterized": True}
        axes.plot(time_s, values, mark + "-", color=colour, label=label, **look)
    _legend_above(axes)
    n = int(np.isfinite(next(iter(series.values()))).sum())
    axes.set_title(f"{n} {'reading' if n == 1 else 'readings'}")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return None
