"""The pictures of a campaign: how soon faults were found and by what, and how near the bounds came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spotline.campaign.row import Row
from spotline.faces.report.draw import nothing
from spotline.faces.report.style import BLUE, INK, MUTED, RED, sheet, styled

Rows = Sequence[Row]

UNDETECTED = "no interlock"
ROW_in = 0.19  # height of a kind of fault in a picture
BEAM_OFF_us = 500


def kinds_of(rows: Rows) -> list[str]:
    """Kinds of faults that struck, in the order of the alphabet."""
    return sorted({kind for row in rows if row.struck for kind in _kinds(row)})


def _kinds(row: Row) -> list[str]:
    return [fault for fault in (row.fault1, row.fault2) if fault]


def _by_kind(rows: Rows, kind: str) -> list[Row]:
    return [row for row in rows if row.struck and kind in _kinds(row)]


def _kind_axis(axes: Axes, kinds: list[str]) -> None:
    axes.set_yticks(range(len(kinds)), kinds, fontsize=7.5)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.grid(visible=False, axis="x")


@styled
def figure_delays(rows: Rows) -> Figure:
    """Time from the begin of a fault to the first interlock, by kind; at the right, those without one."""
    kinds = kinds_of(rows)
    figure = sheet(1.0 + ROW_in * max(4, len(kinds)), "constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
    if not kinds:
        nothing(left, "no fault struck")
        right.set_visible(False)
        return figure
    _kind_axis(left, kinds)
    for place, kind in enumerate(kinds):
        some = _by_kind(rows, kind)
        delays_us = np.array([row.detection_us for row in some if row.detected_by], float)
        left.plot(
            np.maximum(1.0, delays_us),
            np.full(len(delays_us), place),
            "|",
            color=BLUE,
            ms=7,
            mew=0.9,
            alpha=0.7,
            rasterized=True,
        )
        missed = sum(not row.detected_by for row in some)
        right.barh(place, 100.0 * missed / len(some), 0.7, color=MUTED, lw=0)
    left.set(xscale="log", xlabel="from the begin of the fault to the first interlock (us)")
    right.set_xlabel(f"{UNDETECTED} (%)")
    right.set_xlim(0.0, 100.0)
    return figure


@styled
def figure_matrix(rows: Rows) -> Figure:
    """Part of the runs with each kind of fault in which each interlock came first."""
    kinds = kinds_of(rows)
    found = sorted({row.detected_by for row in rows if row.struck and row.detected_by})
    columns = [*found, UNDETECTED]
    figure = sheet(1.9 + ROW_in * max(4, len(kinds)), "constrained")
    axes = figure.subplots()
    if not kinds:
        nothing(axes, "no fault struck")
        return figure
    _kind_axis(axes, kinds)
    for place, kind in enumerate(kinds):
        some = _by_kind(rows, kind)
        for column, name in enumerate(columns):
            part = sum((row.detected_by or UNDETECTED) == name for row in some) / len(some)
            if part > 0:
                colour = MUTED if name == UNDETECTED else BLUE
                # The area goes with the part: few of many can still be seen.
                axes.plot(column, place, "s", color=colour, ms=max(1.5, 11.0 * np.sqrt(part)), mew=0)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.grid(visible=True, axis="both")
    return figure


@styled
def figure_excess(rows: Rows) -> Figure:
    """Particles too many in the worst spot and in the field, against their bounds."""
    figure = sheet(3.6)
    for axes, value, title in zip(
        figure.subplots(1, 2), ("excess", "excess_field"), ("worst spot of each run", "field"), strict=True
    ):
        bound = np.array([getattr(row, f"{value}_bound") for row in rows], float)
        excess = np.array([getattr(row, value) for row in rows], float)
        found = np.array([bool(row.detected_by) for row in rows])
        axes.set_title(title)
        for some, colour, mark, label in (
            (found, BLUE, "o", "found by an interlock"),
            (~found, RED, "x", UNDETECTED),
        ):
            if some.any():
                look = {"ms": 3.5, "mew": 0.8, "alpha": 0.6, "rasterized": True}
                axes.plot(bound[some], excess[some], mark, color=colour, label=label, **look)
        edges = np.array([bound.min() / 1.3, bound.max() * 1.3])
        axes.plot(edges, edges, color=INK, lw=0.8, ls="--", label="bound")
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=1e4)
        axes.axhline(0.0, color=MUTED, lw=0.6)
        axes.set(xlabel="bound (particles)", ylabel="received too many (particles)", xlim=edges)
        axes.legend(loc="lower right")
    return figure


@styled
def figure_beam_off(rows: Rows) -> Figure:
    """Time from the first interlock of a spill to its last ion: worst spill of each run."""
    figure = sheet(3.0)
    axes = figure.subplots()
    delays_us = np.array([row.beam_off_us for row in rows if row.beam_off_us is not None], float)
    axes.set(xlabel="from the first sample out of tolerance to the last ion (us)", ylabel="runs")
    if not len(delays_us):
        nothing(axes, "no interlock with beam")
        return figure
    reach = max(1.1 * BEAM_OFF_us, float(delays_us.max()) * 1.02)
    counts, edges = np.histogram(delays_us, np.arange(0.0, reach + 25.0, 25.0))
    axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.85)
    axes.axvline(BEAM_OFF_us, color=INK, lw=0.8, ls="--")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure
