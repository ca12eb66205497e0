"""The pictures of a plan: how much goes to which energy, and the spots of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spotline.arrays import Floats
from spotline.faces.report import draw
from spotline.faces.report.figures import MAPS
from spotline.faces.report.style import BLUE, DOT, INK, MUTED, sheet, styled
from spotline.faces.report.words import power
from spotline.plan.model import Layer
from spotline.planning.overview import FieldOverview

LARGEST_SPOT = 0.95
"""Diameter of the strongest spot of a layer, in units of the spacing."""
SPACING_mm = (0.5, 10.0)
"""Bounds of that spacing: spots far apart are not drawn as large as their distance."""


@styled
def figure_energies(field: FieldOverview) -> Figure:
    """Meterset and number of spots against the energy; layers of one energy are added up."""
    figure = sheet(2.9)
    left, right = figure.subplots(1, 2, sharex=True)
    energies, of_energy = np.unique([layer.energy_MeV_u for layer in field.layers], return_inverse=True)
    meterset = np.bincount(of_energy, [layer.meterset for layer in field.layers])
    spots = np.bincount(of_energy, [layer.n_spots for layer in field.layers])
    span = float(energies[-1] - energies[0])
    step = float(np.diff(energies).min()) if len(energies) > 1 else 1.0
    # Bars that can be seen, of energies that can be told from blocks.
    width = float(np.clip(0.8 * step, 0.004 * span, 0.06 * span)) if span else 1.0
    for axes, values in ((left, meterset), (right, spots)):
        axes.bar(energies, values, width, color=BLUE, alpha=0.85, lw=0)
        axes.set_xlabel("energy (MeV/u)")
        margin = max(0.02 * span, 2.0 * width)
        axes.set_xlim(energies[0] - margin, energies[-1] + margin)
        axes.xaxis.set_major_locator(MaxNLocator(7))
        axes.set_ylim(0.0, 1.05 * float(values.max()))
    name = "particles" if field.field.unit == "NP" else "monitor units"
    draw.in_powers(left.yaxis, float(meterset.max()), name)
    right.set_ylabel("spots")
    right.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


@styled
def figure_maps(field: FieldOverview, indices: Sequence[int]) -> Figure:
    """Spots of some layers, one small map each, all to one scale; areas go with the weights."""
    columns = min(4, len(indices))
    rows = -(-len(indices) // columns)
    height_in = {1: 5.2, 2: 4.4, 3: 3.2}.get(columns, 2.45) * rows + 0.3
    figure = sheet(height_in, "compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel().tolist()
    for axes, index in zip(panels, indices, strict=False):
        layer = field.field.layers[index]
        _spots(axes, [layer], field)
        _path(axes, field, index)
        axes.set_title(
            f"layer {layer.index}: {layer.energy_MeV_u:.2f} MeV/u, {layer.n_spots}\n"
            f"strongest {power(float(layer.meterset.max()), 3)}",
            fontsize=8,
        )
        axes.label_outer()
    for axes in panels[len(indices) :]:
        axes.set_visible(False)
    return figure


@styled
def figure_one_map(field: FieldOverview) -> Figure:
    """Spots of all layers in one map."""
    figure = sheet(4.4, "compressed")
    _spots(figure.subplots(), field.field.layers, field)
    return figure


def map_groups(field: FieldOverview) -> list[list[int]]:
    """Return the layers picture by picture; one empty group if single spots fit into one map."""
    indices = list(range(len(field.layers)))
    if len(indices) > MAPS and all(layer.n_spots == 1 for layer in field.layers):
        return [[]]
    return [indices[i : i + MAPS] for i in range(0, len(indices), MAPS)]


def _spots(axes: Axes, layers: Sequence[Layer], field: FieldOverview) -> None:
    x_mm, y_mm = _joined([layer.x_iso_mm for layer in layers]), _joined([layer.y_iso_mm for layer in layers])
    weight = _joined([layer.meterset for layer in layers])
    spacing_mm = _spacing_mm(field)
    diameter_mm = LARGEST_SPOT * spacing_mm * np.sqrt(weight / weight.max())
    axes.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
    axes.axhline(0.0, color=MUTED, lw=0.6, zorder=0)
    axes.axvline(0.0, color=MUTED, lw=0.6, zorder=0)
    look = {"facecolor": DOT, "edgecolor": "none", "antialiased": True}
    draw.circles(axes, x_mm, y_mm, diameter_mm, look)
    for set_limits, reaches in (
        (axes.set_xlim, [layer.x_iso_mm for layer in field.layers]),
        (axes.set_ylim, [layer.y_iso_mm for layer in field.layers]),
    ):
        low, high = min(reach[0] for reach in reaches), max(reach[1] for reach in reaches)
        margin = 1.0 + spacing_mm + max(0.0, (10.0 - (high - low)) / 2)
        set_limits(low - margin, high + margin)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _path(axes: Axes, field: FieldOverview, index: int) -> None:
    """Draw the way through the first painting of a layer, from a dot on; dashed where the beam is off."""
    layer = field.field.layers[index]
    for instruction in field.instructions:
        here = (instruction.layer == index) & (instruction.painting == 0)
        if not here.any():
            continue
        spots, off = instruction.spot[here], instruction.beam_off[here]
        points_mm = np.column_stack([layer.x_iso_mm[spots], layer.y_iso_mm[spots]])
        moves_mm = np.stack([points_mm[:-1], points_mm[1:]], axis=1)
        for chosen, line in ((~off[1:], "-"), (off[1:], (0, (2, 2)))):
            axes.add_collection(LineCollection(moves_mm[chosen], colors=INK, linewidths=0.6, linestyles=line))
        axes.plot(*points_mm[0], "o", color=INK, ms=2.5)
        return


def _joined(columns: list[Floats]) -> Floats:
    return np.concatenate(columns)


def _spacing_mm(field: FieldOverview) -> float:
    known = [layer.spacing_mm for layer in field.layers if layer.spacing_mm is not None]
    return float(np.clip(np.median(known), *SPACING_mm)) if known else 3.0
