"""The pictures of a report of how spots were delivered: one function per picture, from a field's record.

Figures are made without pyplot, so nothing global is left behind.  A picture for which nothing was
measured says so instead of failing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from spotline.faces.report import draw, words
from spotline.faces.report.quantities import (
    PARTICLE_TOLERANCE_percent,
    POSITION_TOLERANCE_mm,
    WINDOW_us,
    evenly_chosen,
    particle_deviation_percent,
    position_deviation_mm,
    quotient,
    spill_to_show,
    spread,
    trend_intensity_per_s,
    trend_of_spill,
    truth_of_spots,
    whole_in_one_spill,
    window_us,
)
from spotline.faces.report.style import BLUE, sheet, styled
from spotline.record.model import FieldRecord, Record

MAPS = 12  # spot maps in one picture


@styled
def figure_energy_layers(field: FieldRecord) -> Figure:
    """Energy of the layers and intensity of the beam over time: Fig. 2 of the dose delivery paper."""
    figure = sheet(4.6)
    above, below = figure.subplots(2, 1, sharex=True)
    _energy_and_intensity(above, below, field)
    return figure


def _energy_and_intensity(above: Axes, below: Axes, field: FieldRecord) -> None:
    draw.energy(above, field)
    draw.intensity(below, field)
    draw.interlocks(above, field, text=True)
    draw.interlocks(below, field, text=False)
    above.tick_params(labelbottom=False)
    below.set_xlabel("time (s)")


@styled
def figure_spill(field: FieldRecord) -> Figure:
    """One spill, millisecond by millisecond, and a stretch of 100 ms with its spots."""
    figure = sheet(4.6)
    above, below = figure.subplots(2, 1)
    _spill(above, below, field)
    return figure


def _spill(above: Axes, below: Axes, field: FieldRecord) -> None:
    shown = spill_to_show(field)
    if shown is None:
        for axes in (above, below):
            draw.milliseconds(axes, np.zeros(0), np.zeros(0), 0)
        return
    spill = field.spills[shown]
    mine = trend_of_spill(field, shown)
    rate, time_us = trend_intensity_per_s(field)[mine], field.trend["time_us"][mine]
    origin_us = int(spill["start_us"])
    draw.milliseconds(above, rate, time_us, origin_us)
    above.set_title(f"spill {spill['spill']}")
    begin_us, end_us = window_us(rate, time_us, WINDOW_us)
    close = (time_us > begin_us) & (time_us <= end_us)
    draw.milliseconds(below, rate[close], time_us[close], origin_us)
    n = draw.spot_times(
        below, field.spots[field.spots["spill"] == spill["spill"]], begin_us, end_us, origin_us
    )
    below.set_title(f"{(end_us - begin_us) / 1000:.0f} ms of it: {n} spots, every second shaded")


@styled
def figure_spot_maps(field: FieldRecord, slices: Sequence[int]) -> Figure:
    """Planned and measured spots of some slices (numbers of slices), one small map each."""
    columns = min(4, max(len(slices), 1))
    rows = -(-max(len(slices), 1) // columns)
    height_in = {1: 5.2, 2: 4.4, 3: 3.2}.get(columns, 2.45) * rows + 0.3
    figure = sheet(height_in, "compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel().tolist()
    scale = draw.deviation_scale(field.spots)
    for axes, number in zip(panels, slices, strict=False):
        draw.spot_map(axes, field.spots[field.spots["slice"] == number], scale)
        axes.set_title(_slice_title(field, number), fontsize=8)
        axes.label_outer()
    if len(field.spots):
        draw.extent(panels[0], field.spots)  # shared by all
    for axes in panels[len(slices) :]:
        axes.set_visible(False)
    draw.colour_bar(panels, scale)
    return figure


def _slice_title(field: FieldRecord, number: int) -> str:
    row = field.slices[field.slices["slice"] == number]
    if not len(row):
        return f"slice {number}"
    return (
        f"slice {number}: {row[0]['energy_MeV_u']:.2f} MeV/u, "
        f"{row[0]['spots_delivered']} of {row[0]['spots_planned']}"
    )


def slices_to_show(field: FieldRecord) -> list[int]:
    """Return the numbers of at most `MAPS` slices in which something was delivered, evenly chosen."""
    return [int(n) for n in evenly_chosen(np.unique(field.spots["slice"]), MAPS)]


@styled
def figure_particles(field: FieldRecord) -> Figure:
    """Particle deviation: how often, for which spots, and at which intensity."""
    figure = sheet(3.3)
    left, middle, right = figure.subplots(1, 3)
    spots = field.spots[field.spots["complete"]]
    spots = spots[np.argsort(spots["end_us"], kind="stable")]
    draw.particle_histogram(left, spots)
    deviation = particle_deviation_percent(spots)
    for axes in (middle, right):
        axes.set_ylabel("measured against planned (%)")
    planned = spots["particles_planned"]
    if len(spots) and planned.max() < 1.05 * planned.min():
        draw.cloud(middle, np.arange(1, len(spots) + 1), deviation, PARTICLE_TOLERANCE_percent)
        middle.set(xlabel="spot, in the order of delivery", title="in the order of delivery")
    else:
        draw.cloud(middle, planned, deviation, PARTICLE_TOLERANCE_percent)
        _large_numbers(middle, planned, "particles planned")
        middle.set_title("against the size of the spot")
    rate = quotient(spots["particles"], _duration_us(spots) / 1e6)
    draw.cloud(right, rate, deviation, PARTICLE_TOLERANCE_percent)
    _large_numbers(right, rate, "mean intensity during the spot", "/s")
    right.set_title("against the intensity")
    return figure


def _large_numbers(axes: Axes, x: Any, name: str, unit: str = "") -> None:
    """Scale and label the x axis; logarithmic if the values span more than a factor of 20."""
    good = x[np.isfinite(x) & (x > 0)]
    if len(good) and good.max() > 20 * good.min():
        axes.set_xscale("log")
        axes.set_xlabel(f"{name} (1{unit})" if unit else name)
        return
    draw.in_powers(axes.xaxis, float(good.max()) if len(good) else np.nan, name, unit)
    if len(good):
        centre, half = (good.max() + good.min()) / 2, (good.max() - good.min()) / 2
        half = max(1.1 * half, 0.05 * centre)
        axes.set_xlim(centre - half, centre + half)


@styled
def figure_positions(field: FieldRecord) -> Figure:
    """Deviation of the positions: how often, and in the plane."""
    figure = sheet(3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1.0])
    draw.position_histogram(left, field.spots)
    dx_mm, dy_mm = position_deviation_mm(field.spots)
    right.set(xlabel="dX (mm)", ylabel="dY (mm)", aspect="equal", title="in the plane of the isocentre")
    good = np.isfinite(dx_mm) & np.isfinite(dy_mm)
    if not good.any():
        draw.nothing(right)
        return figure
    draw.dots(right, dx_mm[good], dy_mm[good])
    reach = max(draw.half_width([dx_mm, dy_mm], 0.0, 0.998), 0.1)
    right.set(xlim=(-reach, reach), ylim=(-reach, reach))
    beyond = int((np.maximum(np.abs(dx_mm[good]), np.abs(dy_mm[good])) > reach).sum())
    if beyond:
        right.set_title(f"in the plane of the isocentre, {beyond} beyond")
    for locator in (right.xaxis, right.yaxis):
        locator.set_major_locator(MaxNLocator(5))
    return figure


@styled
def figure_times(field: FieldRecord) -> Figure:
    """Transit times between spots, and durations of the spots."""
    figure = sheet(2.9)
    left, right = figure.subplots(1, 2)
    spots = field.spots
    _times(left, spots["transit_us"], "transit time (µs)")
    _times(right, _duration_us(spots), "time from trigger to trigger (µs)")
    return figure


def _duration_us(spots: Any) -> Any:
    """Return how long each spot took; NaN where only its last part is known."""
    duration_us = spots["end_us"] - spots["start_us"] + 1.0
    return np.where(whole_in_one_spill(spots), duration_us, np.nan)


def _times(axes: Axes, values: Any, label: str) -> None:
    """Draw a histogram of times; logarithmic if a few are much longer than the others."""
    axes.set(xlabel=label, ylabel="spots")
    good = values[np.isfinite(values) & (values > 0)]
    if not len(good):
        return draw.nothing(axes)
    median, most = float(np.median(good)), float(np.quantile(good, 0.99))
    if most > 8.0 * median:
        edges = np.geomspace(good.min(), 1.001 * good.max(), 61)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(
            LogLocator(subs=(1.0,) if good.max() > 300 * good.min() else (1.0, 2.0, 5.0))
        )
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value, 0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        edges = np.linspace(0.0, 1.1 * most, 61)
    axes.stairs(np.histogram(good, edges)[0], edges, fill=True, color=BLUE, alpha=0.6)
    axes.set_xlim(edges[0], edges[-1])
    beyond = int((good > edges[-1]).sum())
    axes.set_title(
        f"median {words.number(median, 0)} µs, 99 % below {words.number(most, 0)} µs"
        + (f", {beyond} beyond the picture" if beyond else "")
    )
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return None


@styled
def figure_truth(field: FieldRecord) -> Figure:
    """True deviations of particles and positions beside the measured ones (simulation only)."""
    figure = sheet(5.6)
    panels = figure.subplots(2, 2)
    whole = field.spots["complete"]
    measured = particle_deviation_percent(field.spots)[whole]
    dx_mm, dy_mm = position_deviation_mm(field.spots)
    truth = truth_of_spots(field)
    if truth is None:
        for axes in panels.ravel():
            draw.nothing(axes, "no truth in this record")
        return figure
    true = 100.0 * (quotient(truth["particles"], field.spots["particles_planned"]) - 1.0)[whole]
    true_x_mm = truth["x_mm"] - field.spots["x_planned_mm"]
    true_y_mm = truth["y_mm"] - field.spots["y_planned_mm"]
    particles, position = PARTICLE_TOLERANCE_percent, POSITION_TOLERANCE_mm
    for axes, name, what, limit, unit in (
        (panels[0, 0], "particles, against planned (%)", (measured, true), particles, "%"),
        (panels[1, 0], "X, minus planned (mm)", (dx_mm, true_x_mm), position, "mm"),
        (panels[1, 1], "Y, minus planned (mm)", (dy_mm, true_y_mm), position, "mm"),
    ):
        beyond = draw.histogram(axes, [("measured", what[0]), ("true", what[1])], limit)
        axes.set_xlabel(name)
        axes.set_title(draw.in_words("true", spread(what[1], limit), unit, beyond))
    axes = panels[0, 1]
    axes.set(xlabel="measured against planned (%)", ylabel="true against planned (%)", title="spot by spot")
    draw.cloud(axes, measured, true, particles)
    reach = draw.half_width([measured], particles, 0.998)
    axes.set_xlim(-reach, reach)
    return figure


@styled
def figure_overview(record: Record) -> Figure:
    """One picture of a delivery (1200 x 700 at 100 dpi), of its first field in which spots were delivered."""
    figure = Figure(figsize=(12.0, 7.0), layout="constrained", facecolor="white")
    if not record.fields:
        draw.nothing(figure.subplots(), "no field was delivered")
        return figure
    field = next((f for f in record.fields if len(f.spots)), record.fields[0])
    panels = figure.subplot_mosaic(
        [["above", "map", "particles"], ["below", "map", "positions"]], width_ratios=[1.0, 1.5, 1.0]
    )
    if len(np.unique(field.spills["slice"])) > 1:
        _energy_and_intensity(panels["above"], panels["below"], field)
        panels["above"].set_title("energy layers and spills")
    else:
        _spill(panels["above"], panels["below"], field)
    scale = draw.deviation_scale(field.spots)
    numbers = slices_to_show(field)
    number = max(numbers, key=lambda n: int((field.spots["slice"] == n).sum())) if numbers else 0
    draw.spot_map(panels["map"], field.spots[field.spots["slice"] == number], scale, smooth=True)
    panels["map"].set_title(f"{_slice_title(field, number)} spots\nrings: planned, dots: measured")
    draw.colour_bar([panels["map"]], scale)
    draw.particle_histogram(panels["particles"], field.spots)
    draw.position_histogram(panels["positions"], field.spots)
    for name in ("above", "below", "particles", "positions"):
        panels[name].set_title(panels[name].get_title(loc="left"), fontsize=8)
    spots, spills = len(field.spots), len(field.spills)
    title = f"{field.facts.ion} at {field.facts.beamline}: "
    title += f"{spots} {'spot' if spots == 1 else 'spots'} in {spills} {'spill' if spills == 1 else 'spills'}"
    figure.suptitle(title, x=0.01, ha="left", parse_math=False)
    return figure
