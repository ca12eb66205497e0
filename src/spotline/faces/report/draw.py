"""Single panels of the pictures: each function draws one thing into given axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spotline.control.interlocks import PAUSE
from spotline.faces.report import words
from spotline.faces.report.quantities import (
    PARTICLE_TOLERANCE_percent,
    POSITION_TOLERANCE_mm,
    Spread,
    cause_in_words,
    particle_deviation_percent,
    position_deviation_mm,
    spill_of_trend,
    spread,
    stop_of,
    trend_intensity_per_s,
)
from spotline.faces.report.style import BLUE, DEVIATION, DOT, GREEN, INK, MUTED, RED
from spotline.record.model import FieldRecord, Table


def nothing(axes: Axes, text: str = "nothing measured") -> None:
    """Say that there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])


def in_powers(axis: Axis, largest: float, name: str, unit: str = "") -> None:
    """Label an axis of large numbers with their power of ten, such as "particles (10⁷/s)"."""
    exponent = int(np.floor(np.log10(largest))) if np.isfinite(largest) and largest > 0 else 0
    if exponent < 3:
        exponent = 0
    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**exponent:g}"))
    parts = f"10{words.superscript(exponent)}" if exponent else "1" if unit else ""
    axis.set_label_text(f"{name} ({parts}{unit})" if parts else name)


def energy(axes: Axes, field: FieldRecord) -> None:
    """Draw the energy as steps over time; thick while the beam is extracted."""
    axes.set_ylabel("energy (MeV/u)")
    if not len(field.spills):
        return nothing(axes, "no spill")
    of_slice = dict(zip(field.slices["slice"].tolist(), field.slices["energy_MeV_u"].tolist(), strict=True))
    level = np.array([of_slice.get(n, np.nan) for n in field.spills["slice"].tolist()])
    start_s, end_s = field.spills["start_us"] / 1e6, field.spills["end_us"] / 1e6
    axes.step(np.append(start_s, end_s[-1]), np.append(level, level[-1]), where="post", color=MUTED, lw=0.8)
    axes.hlines(level, start_s, end_s, color=BLUE, lw=3.0, snap=False)
    if len(np.unique(level[np.isfinite(level)])) <= 1:
        axes.margins(y=0.5)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    return None


def intensity(axes: Axes, field: FieldRecord, points: int = 2000) -> None:
    """Draw the intensity over the whole delivery, averaged over the width of a dot of the picture."""
    rate = trend_intensity_per_s(field)
    in_powers(axes.yaxis, np.nan, "intensity", "/s")
    if not len(rate) or not np.isfinite(rate).any():
        return nothing(axes)
    of_spill, time_us = spill_of_trend(field), field.trend["time_us"]
    rows = max(int(time_us[-1] - time_us[0]) // 1000 // points, 1)
    outlines = [_outline(rate[of_spill == n], time_us[of_spill == n], rows) for n in np.unique(of_spill)]
    axes.add_collection(PolyCollection(outlines, facecolor=BLUE, edgecolor="none", alpha=0.85, snap=False))
    axes.autoscale_view()
    axes.set_ylim(bottom=0)
    in_powers(axes.yaxis, axes.get_ylim()[1], "intensity", "/s")
    return None


def _outline(rate_per_s: Any, time_us: Any, rows: int) -> Any:
    """Return the corners of the area under the means of so many rows of the trend each, shape (n, 2)."""
    first = np.arange(0, len(rate_per_s), rows)
    width = np.diff(np.append(first, len(rate_per_s)))
    mean = np.add.reduceat(np.nan_to_num(rate_per_s), first) / width
    edges_s = np.append(time_us[first] - 1000, time_us[-1]) / 1e6
    return np.column_stack([np.repeat(edges_s, 2), np.concatenate([[0.0], np.repeat(mean, 2), [0.0]])])


def interlocks(axes: Axes, field: FieldRecord, text: bool) -> None:
    """Mark when interlocks tripped, and say what stopped the treatment."""
    for row in field.interlocks:
        stop = row["action"] != PAUSE
        axes.axvline(row["time_us"] / 1e6, color=RED, lw=1.2 if stop else 0.8, ls="-" if stop else ":")
    stop_row = stop_of(field)
    if stop_row is not None and text:
        axes.set_title(f"stop: {cause_in_words(int(stop_row['cause']))}", loc="right", color=RED)


def milliseconds(axes: Axes, rate_per_s: Any, time_us: Any, origin_us: int) -> None:
    """Draw the intensity of each millisecond; time counts from an origin."""
    axes.set_xlabel("time since the start of the spill (ms)")
    in_powers(axes.yaxis, np.nan, "intensity", "/s")
    if not len(rate_per_s) or not np.isfinite(rate_per_s).any():
        return nothing(axes)
    edges_ms = (np.append(time_us - 1000, time_us[-1]) - origin_us) / 1e3
    axes.stairs(np.nan_to_num(rate_per_s), edges_ms, fill=True, color=BLUE, alpha=0.8)
    axes.set_ylim(bottom=0)
    axes.set_xlim(edges_ms[0], edges_ms[-1])
    in_powers(axes.yaxis, axes.get_ylim()[1], "intensity", "/s")
    return None


def spot_times(axes: Axes, spots: Table, begin_us: int, end_us: int, origin_us: int) -> int:
    """Shade every second spot of a stretch of time; return how many spots it touches."""
    inside = spots[(spots["end_us"] >= begin_us) & (spots["start_us"] <= end_us)]
    inside = inside[np.argsort(inside["start_us"], kind="stable")]
    for row in inside[::2]:
        left, right = max(int(row["start_us"]), begin_us), min(int(row["end_us"]), end_us)
        axes.axvspan(
            (left - origin_us) / 1e3, (right - origin_us) / 1e3, color=MUTED, alpha=0.35, lw=0, zorder=0
        )
    return len(inside)


def deviation_scale(spots: Table) -> Normalize:
    """Return the colour scale of particle deviations in percent, the same for all slices of a field.

    One spot in ten may be off the scale, so that the others can be told apart.
    """
    finite = particle_deviation_percent(spots[spots["complete"]])
    finite = np.abs(finite[np.isfinite(finite)])
    most = float(np.quantile(finite, 0.9)) if len(finite) else 0.0
    most = max(most, PARTICLE_TOLERANCE_percent)
    return Normalize(-most, most)


def colour_bar(axes: list[Axes], scale: Normalize) -> None:
    """Add the scale of the particle deviation beside some axes."""
    figure = axes[0].figure
    bar = figure.colorbar(
        ScalarMappable(scale, DEVIATION),
        ax=axes,
        extend="both",
        fraction=0.03,
        pad=0.01,
        shrink=0.9,
        aspect=30,
    )
    bar.set_label("particles, measured against planned (%)")
    bar.outline.set_visible(False)


def spot_map(axes: Axes, spots: Table, scale: Normalize, smooth: bool = False) -> None:
    """Draw planned positions as rings, measured ones as dots in the colour of the particle deviation.

    A spot without a measured position has a ring in that colour; one that is not complete has a cross.
    Unless the edges are to be smooth, no colours are mixed along them: the images of a report are then
    several times smaller.
    """
    axes.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
    spots = spots[np.isfinite(spots["x_planned_mm"]) & np.isfinite(spots["y_planned_mm"])]
    if not len(spots):
        return nothing(axes)
    pitch_mm = pitch_of(spots["x_planned_mm"], spots["y_planned_mm"])
    measured = spots["position_valid"] & np.isfinite(spots["x_mm"]) & np.isfinite(spots["y_mm"])
    colours = DEVIATION(scale(particle_deviation_percent(spots)))
    look = {"antialiased": smooth}
    for some, edge, width in ((measured, MUTED, 0.6), (spots["complete"] & ~measured, colours, 1.2)):
        edges = edge if isinstance(edge, str) else edge[some]
        ring = {"facecolor": "none", "edgecolor": edges, "lw": width, **look}
        circles(axes, spots["x_planned_mm"][some], spots["y_planned_mm"][some], 0.84 * pitch_mm, ring)
    dotted = measured & spots["complete"]
    dot = {"facecolor": colours[dotted], "edgecolor": "none", **look}
    circles(axes, spots["x_mm"][dotted], spots["y_mm"][dotted], 0.52 * pitch_mm, dot)
    cut = spots[~spots["complete"]]
    axes.plot(cut["x_planned_mm"], cut["y_planned_mm"], "x", color=INK, ms=5, mew=1.2)
    extent(axes, spots)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return None


def extent(axes: Axes, spots: Table) -> None:
    """Let the axes hold all planned positions, with a margin."""
    x_mm, y_mm = spots["x_planned_mm"], spots["y_planned_mm"]
    margin_mm = 1.0 + pitch_of(x_mm, y_mm)
    for set_limits, at_mm in ((axes.set_xlim, x_mm), (axes.set_ylim, y_mm)):
        at_mm = at_mm[np.isfinite(at_mm)]
        if len(at_mm):
            set_limits(at_mm.min() - margin_mm, at_mm.max() + margin_mm)


def circles(axes: Axes, x_mm: Any, y_mm: Any, diameter_mm: Any, look: dict[str, Any]) -> None:
    """Draw circles, of one size in mm or of one each, as one image."""
    size = np.broadcast_to(diameter_mm, len(x_mm))
    collection = EllipseCollection(
        size,
        size,
        np.zeros(len(x_mm)),
        units="xy",
        offsets=np.column_stack([x_mm, y_mm]),
        offset_transform=axes.transData,
        rasterized=True,
        **look,
    )
    axes.add_collection(collection)


def pitch_of(x_mm: Any, y_mm: Any) -> float:
    """Return the usual distance between neighbours; 3 mm if there is only one spot."""
    if len(x_mm) < 2:
        return 3.0
    step_mm = np.hypot(np.diff(x_mm), np.diff(y_mm))
    step_mm = step_mm[step_mm > 0]
    return float(np.clip(np.median(step_mm), 0.5, 10.0)) if len(step_mm) else 3.0


def half_width(values: list[Any], tolerance: float, fraction: float = 0.99) -> float:
    """Return how far a picture of deviations should reach to either side of zero.

    It holds this fraction of the values, and the tolerance too unless that is far away.
    """
    finite = np.abs(np.concatenate(values))
    finite = finite[np.isfinite(finite)]
    reach = 1.25 * float(np.quantile(finite, fraction)) if len(finite) else 0.0
    near = reach == 0.0 or 1.1 * tolerance < 3.0 * reach
    return max(reach, 1.1 * tolerance) if near else reach


def histogram(axes: Axes, series: list[tuple[str, Any]], tolerance: float) -> int:
    """Draw histograms around zero, with the tolerance if it is near; return how many values are beyond."""
    axes.set_ylabel("spots")
    if not any(np.isfinite(values).any() for _, values in series):
        nothing(axes)
        return 0
    reach = half_width([values for _, values in series], tolerance)
    most = max(int(np.isfinite(values).sum()) for _, values in series)
    bins = int(np.clip(2.0 * np.sqrt(most), 20, 80)) // 2 * 2 + 1  # odd, so that one is centred at zero
    edges = np.linspace(-reach, reach, bins + 1)
    looks: list[dict[str, Any]] = [
        {"color": BLUE, "fill": True, "alpha": 0.45, "lw": 0},
        {"color": RED, "lw": 1.4},
        {"color": GREEN, "lw": 1.4, "ls": "--"},
    ]
    beyond = 0
    for (label, values), look in zip(series, looks, strict=False):
        finite = values[np.isfinite(values)]
        counts, _ = np.histogram(finite, edges)
        beyond += len(finite) - int(counts.sum())
        axes.stairs(counts, edges, label=label or None, **look)
    if tolerance <= reach:
        axes.axvline(-tolerance, color=INK, lw=0.8, ls="--")
        axes.axvline(tolerance, color=INK, lw=0.8, ls="--")
    axes.set_xlim(-reach, reach)
    axes.margins(y=0.05)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right", bbox_to_anchor=(0.92, 1.0), handlelength=1.4)
    return beyond


def in_words(name: str, found: Spread, unit: str, beyond: int = 0) -> str:
    """Return mean, standard deviation and fraction within tolerance, for the title of a panel."""
    if not found.n:
        return f"{name}: nothing measured"
    within = f"{100 * found.within:.1f} % of {found.n} within ±{found.tolerance:g} {unit}"
    return _mean_and_sd(name, found, unit) + "\n" + _and_beyond(within, beyond)


def _mean_and_sd(name: str, found: Spread, unit: str) -> str:
    if not found.n:
        return f"{name}: nothing measured"
    return (
        f"{name}: mean {words.number(found.mean, 3, sign=True)} {unit}, sd {words.number(found.sd, 3)} {unit}"
    )


def _and_beyond(text: str, beyond: int) -> str:
    """Add how many values are not in the picture."""
    return f"{text}, {beyond} beyond" if beyond else text


def particle_histogram(axes: Axes, spots: Table) -> None:
    """Draw the particle deviation of the complete spots."""
    values = particle_deviation_percent(spots[spots["complete"]])
    beyond = histogram(axes, [("", values)], PARTICLE_TOLERANCE_percent)
    axes.set_xlabel("particles, measured against planned (%)")
    axes.set_title(in_words("particles", spread(values, PARTICLE_TOLERANCE_percent), "%", beyond))


def position_histogram(axes: Axes, spots: Table) -> None:
    """Draw the deviations of the position in x and y."""
    dx_mm, dy_mm = position_deviation_mm(spots)
    beyond = histogram(axes, [("dX", dx_mm), ("dY", dy_mm)], POSITION_TOLERANCE_mm)
    axes.set_xlabel("position, measured minus planned (mm)")
    x, y = (spread(d, POSITION_TOLERANCE_mm) for d in (dx_mm, dy_mm))
    axes.set_title(_mean_and_sd("dX", x, "mm") + "\n" + _and_beyond(_mean_and_sd("dY", y, "mm"), beyond))


def cloud(axes: Axes, x: Any, y: Any, tolerance: float) -> None:
    """Draw deviations as dots, with the tolerance; the few that are far out as triangles at the edge."""
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        return nothing(axes)
    x, y = x[good], y[good]
    reach = half_width([y], tolerance, 0.998)
    inside = np.abs(y) <= reach
    dots(axes, x[inside], y[inside])
    for sign, mark in ((1.0, "^"), (-1.0, "v")):
        out = ~inside & (np.sign(y) == sign)
        edge = np.full(out.sum(), 0.97 * sign * reach)
        axes.plot(x[out], edge, mark, color=RED, ms=4, mew=0, rasterized=True)
    if tolerance <= reach:
        axes.axhline(-tolerance, color=INK, lw=0.8, ls="--")
        axes.axhline(tolerance, color=INK, lw=0.8, ls="--")
    axes.set_ylim(-reach, reach)
    return None


def dots(axes: Axes, x: Any, y: Any) -> None:
    """Draw a cloud of points, as one image so that thousands of them stay small."""
    axes.plot(x, y, "o", ms=2.4, mew=0, color=DOT, alpha=0.7 if len(x) < 5000 else 0.3, rasterized=True)
