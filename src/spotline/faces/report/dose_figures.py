"""The pictures of two doses: slices of both, of their difference and of gamma, and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spotline.dose.evaluation.compare import Profile
from spotline.dose.grid import Grid, Point
from spotline.faces.report.style import BLUE, DEVIATION, MUTED, RED, sheet, styled

DOSE = LinearSegmentedColormap.from_list("dose", ["#1b2a49", "#0072b2", "#009e73", "#f0e442", "#d55e00"])
GAMMA = LinearSegmentedColormap.from_list(
    "gamma", [(0.0, "#0072b3"), (0.499, "#c9d3da"), (0.5, "#f0a05a"), (1.0, "#a83200")]
)
"""Up to 1, in the middle of the scale, blue; above it red."""
GREY = LinearSegmentedColormap.from_list("grey", ["#000000", "#ffffff"])
VISIBLE = 0.02
"""Part of the scale from which on a dose is drawn over an image."""
SCALE_HEIGHT = 0.05
"""Of a scale of colours below the maps, in units of the height of a map."""
DASHES: dict[str, Any] = {"planned": "-", "measured": (0, (4, 2)), "true": (0, (1, 1.5))}

PLANES = (("transverse", 2, 0, 1), ("coronal", 1, 0, 2), ("sagittal", 0, 1, 2))
"""Name, axis across the plane, and axes to the right and upwards (0 is x)."""
AXES = "xyz"


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """One quantity on a grid, and how it is coloured.

    Attributes
    ----------
    title, label : str
        Above the maps, and beside the scale.
    values : ndarray, shape (nz, ny, nx)
    low, high : float
        Ends of the scale.
    colours : Colormap
    """

    title: str
    label: str
    values: NDArray[Any]
    low: float
    high: float
    colours: Colormap


def dose_map(title: str, values: NDArray[Any], highest: float, label: str = "dose (Gy)") -> Map:
    """Dose, or another quantity that has no negative values, from 0 to a highest one."""
    return Map(title, label, values, 0.0, highest, DOSE)


def difference_map(values: NDArray[Any], most_percent: float) -> Map:
    """Difference in percent, both ways alike."""
    return Map("difference", "difference (%)", values, -most_percent, most_percent, DEVIATION)


def gamma_map(title: str, values: NDArray[Any]) -> Map:
    """Gamma from 0 to 2, whatever was searched, so that 1 is always the middle."""
    return Map(title, "gamma", values, 0.0, 2.0, GAMMA)


def planes_to_show(grid: Grid) -> list[tuple[str, int, int, int]]:
    """Those of the three planes that have more than a line of voxels."""
    return [p for p in PLANES if grid.counts[p[2]] > 1 and grid.counts[p[3]] > 1]


@styled
def figure_planes(
    grid: Grid, maps: Sequence[Map], through_mm: Point, under: NDArray[Any] | None = None
) -> Figure:
    """Draw planes through a point: a row for each plane, a column for each map.

    Over an image (`under`, shape (nz, ny, nx)) the maps are transparent, and not drawn at all where they have
    next to nothing.
    """
    planes = planes_to_show(grid)
    figure = sheet(0.6 + 2.4 * len(planes))
    *panels, scales = figure.subplots(
        len(planes) + 1, len(maps), squeeze=False, height_ratios=(*[1.0] * len(planes), SCALE_HEIGHT)
    )
    index = tuple(
        int(np.abs(centres - place).argmin())
        for centres, place in zip((grid.x_mm, grid.y_mm, grid.z_mm), through_mm, strict=True)
    )
    for row, plane in zip(panels, planes, strict=True):
        for axes, shown in zip(row, maps, strict=True):
            if under is not None:
                _plane(axes, grid, _image(under), plane, index)
                values = np.where(shown.values > VISIBLE * shown.high, shown.values, np.nan)
                _plane(axes, grid, replace(shown, values=values), plane, index, opacity=0.6)
            else:
                _plane(axes, grid, shown, plane, index)
    for axes, shown in zip(panels[0], maps, strict=True):
        axes.set_title(shown.title)
    for scale, shown in zip(scales, maps, strict=True):
        colours = ScalarMappable(Normalize(shown.low, shown.high), shown.colours)
        bar = figure.colorbar(colours, cax=scale, orientation="horizontal")
        bar.set_label(shown.label)
        bar.outline.set_visible(False)
        bar.locator = MaxNLocator(5)
        bar.update_ticks()
    return figure


def _image(values: NDArray[Any]) -> Map:
    """What a dose is drawn over, in shades of grey."""
    low, high = (float(np.quantile(values, share)) for share in (0.001, 0.999))
    # Water is drawn light as a whole: there is nothing to see in it.
    return Map("", "", values, min(low, high - 1.0), high, GREY)


def _plane(
    axes: Axes,
    grid: Grid,
    shown: Map,
    plane: tuple[str, int, int, int],
    index: Any,
    opacity: float = 1.0,
) -> None:
    name, across, right, up = plane
    values = np.take(shown.values, index[across], 2 - across)  # what is left is in the order z, y, x
    edges_right, edges_up = grid.edges_mm(right), grid.edges_mm(up)
    axes.imshow(
        np.ma.masked_invalid(values),
        extent=(edges_right[0], edges_right[-1], edges_up[0], edges_up[-1]),
        origin="lower",
        cmap=shown.colours,
        vmin=shown.low,
        vmax=shown.high,
        interpolation="nearest",
        aspect="equal",
        alpha=opacity,
    )
    if name == "transverse":
        axes.set_ylim(edges_up[-1], edges_up[0])  # seen from the feet, the front of the patient above
    axes.grid(visible=False)
    axes.set(xlabel=f"{AXES[right]} (mm)", ylabel=f"{AXES[up]} (mm)")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


@styled
def figure_profiles(profiles: Sequence[Profile]) -> Figure:
    """Draw both doses along lines, and their difference below."""
    shown = [profile for profile in profiles if len(profile.place_mm) > 1]
    figure = sheet(3.6)
    panels = figure.subplots(
        2, max(1, len(shown)), squeeze=False, sharex="col", sharey="row", height_ratios=(3, 1)
    )
    for (above, below), profile in zip(panels.T, shown, strict=False):
        above.plot(profile.place_mm, profile.reference_Gy, color=BLUE, lw=1.4, label="reference")
        above.plot(profile.place_mm, profile.evaluated_Gy, color=RED, ls=(0, (4, 2)), label="evaluated")
        above.set_title(f"along {profile.axis}")
        below.axhline(0.0, color=MUTED, lw=0.8)
        below.plot(profile.place_mm, profile.evaluated_Gy - profile.reference_Gy, color=RED)
        below.set_xlabel(f"{profile.axis} (mm)")
    panels[0][0].set_ylabel("dose (Gy)")
    panels[1][0].set_ylabel("difference (Gy)")
    if shown:
        panels[0][0].legend()
    return figure


@styled
def figure_volumes(at_Gy: NDArray[Any], curves: Mapping[str, Mapping[str, NDArray[Any]]]) -> Figure:
    """Draw dose-volume histograms: a colour for each structure, a dash for each dose."""
    figure = sheet(4.2)
    axes = figure.subplots()
    for number, (structure, by_dose) in enumerate(curves.items()):
        for what, percent in by_dose.items():
            axes.plot(
                at_Gy,
                percent,
                color=f"C{number % 10}",
                ls=DASHES.get(what, "-"),
                lw=1.4,
                label=structure if what == next(iter(by_dose)) else None,
            )
    axes.set(xlabel="dose (Gy)", ylabel="volume (%)", xlim=(0.0, at_Gy[-1]), ylim=(0.0, 102.0))
    axes.legend(loc="upper right")
    return figure
