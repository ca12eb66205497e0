"""The pictures of the page, as small SVG files that are the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from spotline.arrays import Floats

STYLE: Any = {
    "svg.hashsalt": "spotline",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "figure.facecolor": "white",
}
COLOURS = ("#1f5fa8", "#b3261e", "#2e7d32", "#8a5a00")


def draw_counts(
    path: Path, counts: Floats, measured: Floats, true: Floats, rounding: Callable[[float], float]
) -> None:
    """Draw the fraction of spots within 1 % against counts per spot."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.2), layout="constrained")
        axes = figure.subplots()
        line = np.geomspace(8.0, 1300.0, 200)
        axes.plot(
            line, [100.0 * rounding(n) for n in line], color="#777777", lw=1.0, label="whole counts alone"
        )
        axes.plot(counts, 100.0 * measured, "o", color=COLOURS[0], label="measured")
        axes.plot(counts, 100.0 * true, "s", mfc="white", color=COLOURS[1], label="true (ion drift 350 µs)")
        axes.axhline(95.0, color="#777777", lw=0.8, ls=":")
        axes.text(8.3, 96.0, "published: > 95 %", color="#555555", fontsize=8)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, (10, 20, 50, 100, 200, 500, 1000))
        axes.set_ylim(0.0, 104.0)
        axes.set_xlabel("counts per spot (200 fC each)")
        axes.set_ylabel("spots within 1 % (%)")
        axes.legend(loc="lower right")
        save(figure, path)


def draw_centroid(
    path: Path, counts: Floats, simulated: Mapping[float, Floats], computed: Mapping[float, Floats]
) -> None:
    """Draw the error of the centre of gravity against counts, one line per spot size."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for colour, (fwhm_mm, errors) in zip(COLOURS, simulated.items(), strict=True):
            axes.plot(counts, errors, "o-", ms=4, lw=1.0, color=colour, label=f"FWHM {fwhm_mm:g} mm")
            axes.plot(counts, computed[fwhm_mm], "x", ms=5, color=colour)
        axes.axhline(0.1, color="#777777", lw=0.8, ls=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        plain_ticks(axes.xaxis, counts)
        plain_ticks(axes.yaxis, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0))
        axes.set_xlabel("counts in the strip chamber")
        axes.set_ylabel("rms error of the centre (mm)")
        axes.legend(
            title="dots: simulated chambers\ncrosses: quantization only", fontsize=8, title_fontsize=8
        )
        save(figure, path)


def draw_depth_dose(path: Path, curves: Mapping[str, tuple[Floats, Floats, Floats]]) -> None:
    """Draw depth doses over their references and the deviation below; depth, dose, reference by title."""
    with mpl.rc_context({**STYLE, "path.simplify_threshold": 0.4}):
        figure = Figure(figsize=(6.6, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
        for colour, (title, (depth_mm, dose, reference)) in zip(COLOURS, curves.items(), strict=False):
            above.plot(depth_mm, reference, color="#777777", lw=2.2)
            above.plot(depth_mm, dose, color=colour, lw=0.9, label=title)
            shown = reference > 0.02 * reference.max()
            below.plot(depth_mm[shown], 100.0 * (dose / reference - 1.0)[shown], color=colour, lw=0.6)
        below.axhspan(-1.0, 1.0, color="#eeeeee", zorder=0)
        below.set_ylim(-8.0, 8.0)
        above.set_ylabel("MeV cm²/g per primary")
        below.set_ylabel("deviation (%)")
        below.set_xlabel("depth in water (mm)")
        above.legend(title="grey: reference", fontsize=8, title_fontsize=8)
        save(figure, path)


def plain_ticks(axis: Axis, values: Iterable[float]) -> None:
    """Label a logarithmic axis at some values, with plain numbers."""
    listed = list(values)
    axis.set_ticks(listed, [f"{value:g}" for value in listed])
    axis.set_minor_locator(NullLocator())


def save(figure: Figure, path: Path) -> None:
    """Write a figure without anything that changes from run to run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"), None))
    # Matplotlib leaves blanks at the ends of lines.
    text = "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    path.write_text(text + "\n", encoding="utf-8")


def draw_paths(path: Path, panels: Mapping[str, tuple[Floats, Floats]], jump_mm: float) -> None:
    """Draw the same spots in several orders; positions in delivery order by title."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 6.9), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True, sharey=True)
        for axes, (title, (x_mm, y_mm)) in zip(grid.flat, panels.items(), strict=True):
            points = np.column_stack([x_mm, y_mm])
            moves = np.full((len(points) - 1, 3, 2), np.nan)  # not a number: the pen is lifted
            moves[:, 0], moves[:, 1] = points[:-1], points[1:]
            far = np.hypot(*np.diff(points, axis=0).T) > jump_mm
            axes.plot(*moves[~far].reshape(-1, 2).T, color=COLOURS[0], lw=0.9)
            axes.plot(*moves[far].reshape(-1, 2).T, color=COLOURS[1], lw=0.6, ls="--")
            axes.plot(x_mm, y_mm, "o", ms=1.6, color="#333333")
            axes.plot(x_mm[:1], y_mm[:1], "o", ms=6, mfc="white", color=COLOURS[2])
            axes.plot(x_mm[-1:], y_mm[-1:], "s", ms=6, mfc="white", color=COLOURS[3])
            axes.set_title(title, fontsize=9)
            axes.set_aspect("equal")
            axes.grid(visible=False)
        for axes in grid[-1]:
            axes.set_xlabel("x at the isocentre (mm)")
        for axes in grid[:, 0]:
            axes.set_ylabel("y at the isocentre (mm)")
        save(figure, path)


def draw_spot_sizes(path: Path, to_isocentre_mm: Floats, panels: Mapping[str, Mapping[str, Floats]]) -> None:
    """Draw spot sizes over the distance from the isocentre: curves by label, in panels by title."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 3.2), layout="constrained")
        for axes, (title, curves) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            for colour, (label, sizes) in zip(COLOURS, curves.items(), strict=False):
                axes.plot(to_isocentre_mm, sizes, color=colour, lw=1.2, label=label)
            axes.axvline(0.0, color="#777777", lw=0.8, ls=":")
            axes.set_xlim(to_isocentre_mm[-1], to_isocentre_mm[0])  # as the beam goes
            axes.set_ylim(bottom=0.0)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("distance upstream of the isocentre (mm)")
            axes.set_ylabel("spot size, full width at half maximum (mm)")
            axes.legend(fontsize=8)
        save(figure, path)
