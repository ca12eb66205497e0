"""Where the panels of a picture stand, from the texts around them and without drawing them first.

Matplotlib's own layouts draw every text several times to measure it, which took most of the time of a report.
For panels in rows and columns with labels at the left and below it is enough to know how many lines and
letters there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import LayoutEngine

from spotline.arrays import Floats

LETTER = 0.65
"""Width of a letter in units of its size: digits of DejaVu Sans have 0.636, most other letters less."""
LINE = 1.25
"""Height of a line in units of the size of its letters."""
TICK_in = 0.12
"""From the frame to the labels of ticks, and from these to the label of the axis."""
GAP_in = 0.06
"""Around all, and beside a panel."""
POINTS_per_in = 72.0


@dataclass(slots=True)
class Room:
    """What a panel needs around it, in inches."""

    left: float = GAP_in
    right: float = GAP_in
    bottom: float = GAP_in
    top: float = GAP_in


class GridLayout(LayoutEngine):
    """Places panels that were made by `Figure.subplots`, each in one cell."""

    _adjust_compatible = True
    _colorbar_gridspec = True

    def execute(self, fig: Figure) -> None:
        """Place the panels of a figure."""
        panels = [axes for axes in fig.axes if axes.get_subplotspec() is not None and axes.get_visible()]
        if not panels:
            return
        width_in, height_in = fig.get_size_inches()
        first = panels[0].get_subplotspec()
        assert first is not None
        grid = first.get_gridspec()
        columns = [Room() for _ in range(grid.ncols)]
        rows = [Room() for _ in range(grid.nrows)]
        cells = []
        for axes in panels:
            spec = axes.get_subplotspec()
            assert spec is not None
            row, column = spec.rowspan.start, spec.colspan.start
            cells.append((axes, row, column))
            needed = room_around(axes)
            columns[column].left = max(columns[column].left, needed.left)
            columns[column].right = max(columns[column].right, needed.right)
            rows[row].bottom = max(rows[row].bottom, needed.bottom)
            rows[row].top = max(rows[row].top, needed.top)
        x = _spans(
            [(room.left, room.right) for room in columns],
            np.asarray(grid.get_width_ratios(), float),
            width_in,
        )
        y = _spans(
            [(room.top, room.bottom) for room in rows], np.asarray(grid.get_height_ratios(), float), height_in
        )
        for axes, row, column in cells:
            (left, right), (top, bottom) = x[column], y[row]
            axes.set_position(
                (
                    left / width_in,
                    1.0 - bottom / height_in,
                    (right - left) / width_in,
                    (bottom - top) / height_in,
                )
            )


def _spans(margins: Sequence[tuple[float, float]], ratios: Floats, size: float) -> list[tuple[float, float]]:
    """Begin and end of each cell along one direction, between margins of its own."""
    free = max(size - sum(before + after for before, after in margins), 0.2 * size)
    spans, at = [], 0.0
    for (before, after), ratio in zip(margins, (ratios / ratios.sum()).tolist(), strict=True):
        begin = at + before
        end = begin + free * ratio
        spans.append((begin, end))
        at = end + after
    return spans


def room_around(axes: Axes) -> Room:
    """Say what ticks, labels and title of a panel need."""
    room = Room()
    for side in ("left", "right"):
        needed = _across_in(axes.yaxis, side)
        if side == "left":
            room.left += needed
        else:
            room.right += needed
    labels = tick_labels(axes.xaxis, "bottom")
    if labels:
        size = _letters_pt(axes.xaxis)
        room.bottom += TICK_in + LINE * size / POINTS_per_in
        # The first and the last label stand out by half their width.
        out_in = [
            GAP_in + 0.5 * len(label) * LETTER * size / POINTS_per_in for label in (labels[0], labels[-1])
        ]
        room.left, room.right = max(room.left, out_in[0]), max(room.right, out_in[1])
    room.bottom += _label_in(axes.xaxis, "bottom")
    titles = [axes.get_title(loc=where) for where in ("left", "center", "right")]
    lines = max((title.count("\n") + 1 for title in titles if title), default=0)
    legend = axes.get_legend()
    if legend is not None and legend.get_bbox_to_anchor().y0 >= axes.bbox.y0 + 0.97 * axes.bbox.height:
        lines = max(lines, 1)
    if lines:
        room.top += TICK_in + lines * LINE * float(axes.title.get_fontsize()) / POINTS_per_in
    return room


def _across_in(axis: Axis, side: str) -> float:
    """What an axis from below to above needs at one side."""
    labels = tick_labels(axis, side)
    width_in = TICK_in + max(map(len, labels)) * LETTER * _letters_pt(axis) / POINTS_per_in if labels else 0.0
    return width_in + _label_in(axis, side)


def _label_in(axis: Axis, side: str) -> float:
    text = axis.get_label().get_text()
    if not text or axis.get_label_position() != side or not axis.get_label().get_visible():
        return 0.0
    return (text.count("\n") + 1) * LINE * float(axis.get_label().get_fontsize()) / POINTS_per_in


def _letters_pt(axis: Axis) -> float:
    """Size of the labels of ticks."""
    usual = mpl.rcParams["xtick.labelsize" if isinstance(axis, XAxis) else "ytick.labelsize"]
    size = axis.get_tick_params("major").get("labelsize", usual)
    return FontProperties(size=size).get_size_in_points()


def tick_labels(axis: Axis, side: str) -> list[str]:
    """Labels of the ticks of an axis that can be seen at a side; empty if they are turned off."""
    default = side in ("left", "bottom")
    if not axis.get_visible() or not axis.get_tick_params("major").get(f"label{side}", default):
        return []
    low, high = sorted(axis.get_view_interval())
    at = [place for place in axis.get_majorticklocs() if low <= place <= high]
    return [label for label in axis.get_major_formatter().format_ticks(at) if label]
