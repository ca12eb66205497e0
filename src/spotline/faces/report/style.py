"""The look of all pictures: colours, fonts and the size of a sheet.

Colours are those of Okabe and Ito, which remain distinct in the common forms of colour blindness, and
no two series differ by colour alone.  `INK`, `MUTED`, `GRID` and the colours of series are replaced by
variables of the style sheet when a picture goes into a page, so that it follows light and dark.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from spotline.faces.report.grid_layout import GridLayout

WIDTH_in = 10.5

INK = "#1f2328"
MUTED = "#8c959f"
GRID = "#d8dee4"
BLUE = "#0072b2"
RED = "#d55e00"
GREEN = "#009e73"
DOT = "#2f88c0"  # of clouds of points: images, so one colour that shows on white and on black

DEVIATION = LinearSegmentedColormap.from_list(
    "deviation", ["#0073b3", "#6f9cc0", "#9aa1a8", "#e0905a", "#d65f00"], N=15
)
"""Too few particles blue, right grey, too many red: grey can be seen on white and on black."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.usetex": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titley": 1.0,  # given, so that nothing is measured to find it
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "spotline",
}

P = ParamSpec("P")
T = TypeVar("T")


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in the style of the reports, whatever the user's own settings are."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return inside


def sheet(height_in: float, layout: Literal["grid", "constrained", "compressed"] = "grid") -> Figure:
    """Make an empty figure of the width of a page.

    ``grid`` is for panels in rows and columns, ``constrained`` for those with longer or slanted labels, and
    ``compressed`` keeps panels of equal aspect together.
    """
    return Figure(figsize=(WIDTH_in, height_in), layout=GridLayout() if layout == "grid" else layout)
