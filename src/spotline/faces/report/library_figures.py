"""The pictures of a beam library: one energy in full, or all of them."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spotline.arrays import Floats
from spotline.faces.report.style import BLUE, GREEN, INK, MUTED, RED, sheet, styled
from spotline.machine.library.letd import IN_WORDS
from spotline.machine.library.overview import EnergyView, LibraryView

FAINTEST = 1e-5
"""Fluences below are not drawn."""
GROUPS = ("primaries", "H", "He", "Li", "Be", "B", "C", "N", "O")
LINES = ("-", "--", "-.", ":")


def _end_mm(view: EnergyView) -> float:
    """Depth up to which curves are drawn: somewhat behind the peak."""
    return float(min(1.3 * view.ranges.peak_mm + 10.0, view.entry.depth_mm[-1]))


@styled
def figure_depth_dose(view: EnergyView) -> Figure:
    """Depth dose in the wide field and in the chamber, whole and around the peak, and LETd."""
    figure = sheet(3.4)
    whole, close = figure.subplots(1, 2)
    entry, ranges = view.entry, view.ranges
    end_mm = _end_mm(view)
    half = max(1.5 * ranges.FWHM_mm, 2.0) if np.isfinite(ranges.FWHM_mm) else 10.0
    for axes, first, last in (
        (whole, 0.0, end_mm),
        (close, max(0.0, ranges.peak_mm - half), ranges.peak_mm + half),
    ):
        depth = np.linspace(first, last, 1500)
        axes.plot(depth, entry.dose_MeV_cm2_g(depth), color=BLUE, label="25 x 25 cm²")
        for area, style in zip(entry.areas, cycle(("--", ":", "-.")), strict=False):
            dose = entry.dose_MeV_cm2_g(depth, area.name)
            axes.plot(depth, dose, color=RED, ls=style, label=f"{area.name}, radius {area.radius_mm:g} mm")
        axes.set(xlabel="depth (mm)", xlim=(first, last))
        axes.set_ylim(bottom=0.0)
    whole.set_ylabel("dose (MeV cm²/g per particle)")
    let = whole.twinx()
    depth = np.linspace(0.0, end_mm, 1500)
    label = f"LETd of {IN_WORDS[entry.letd_group]} (right)"
    let.plot(depth, entry.letd(depth), color=GREEN, ls=":", label=label)
    let.set_ylabel("LETd (keV/µm)")
    let.set_ylim(bottom=0.0)
    let.spines.right.set_visible(True)
    let.grid(visible=False)
    handles = [*whole.get_lines(), *let.get_lines()]
    whole.legend(handles, [str(line.get_label()) for line in handles], loc="upper left")
    for name in ("R90_mm", "R80_mm", "R50_mm", "R10_mm"):
        place = getattr(ranges, name)
        if np.isfinite(place) and place < ranges.peak_mm + half:
            close.axvline(place, color=MUTED, lw=0.6)
    return figure


@styled
def figure_lateral(view: EnergyView) -> Figure:
    """Widths of core and halo over the depth, and the shares of the halo."""
    figure = sheet(3.2)
    widths, shares = figure.subplots(1, 2, sharex=True)
    depth = np.linspace(0.0, min(_end_mm(view), float(view.entry.lateral_depth_mm[-1])), 400)
    lateral = view.entry.lateral(depth)
    widths.plot(depth, lateral.core_mm, color=INK, label="core")
    for k, (colour, name) in enumerate(((BLUE, "halo"), (RED, "wide halo"))):
        widths.plot(depth, lateral.halo_mm[:, k], color=colour, ls=LINES[k + 1], label=name)
        shares.plot(depth, 100.0 * lateral.halo_share[:, k], color=colour, ls=LINES[k + 1], label=name)
    widths.set(xlabel="depth (mm)", ylabel="standard deviation (mm)", yscale="log")
    shares.set(xlabel="depth (mm)", ylabel="share of the dose (%)")
    shares.set_ylim(bottom=0.0)
    widths.legend()
    shares.legend()
    return figure


@styled
def figure_fluence(view: EnergyView) -> Figure:
    """Fluence per primary by charge over the depth, and spectra at the peak."""
    figure = sheet(3.4)
    left, right = figure.subplots(1, 2)
    fluence = view.entry.spectrum.sum(axis=2)
    edges = view.entry.spectrum_edges_MeV_u
    middle = np.sqrt(edges[1:] * edges[:-1])
    # Of the plane itself: between two planes there would be the peaks of both.
    plane = int(np.argmin(np.abs(view.entry.plane_mm - 0.9 * view.ranges.peak_mm)))
    spectra = view.entry.spectrum[plane] / np.diff(np.log(edges))
    colours = (INK, BLUE, RED, GREEN)
    for group, name in enumerate(GROUPS):
        if fluence[:, group].max() < FAINTEST:
            continue
        look = {"color": colours[group % 4], "ls": LINES[group // 4 % 4], "label": name}
        left.plot(view.entry.plane_mm, _seen(fluence[:, group]), **look)
        right.plot(middle, _seen(spectra[group]), **look)
    left.set(xlabel="depth (mm)", ylabel="fluence per primary", yscale="log", ylim=(FAINTEST, 2.0))
    right.set(xlabel="energy (MeV/u)", xscale="log", yscale="log")
    right.set_ylabel("per primary and unit of ln E")
    right.set_title(f"at {view.entry.plane_mm[plane]:.1f} mm")
    right.set_ylim(bottom=FAINTEST)
    left.legend(ncols=2)
    return figure


def _seen(values: Floats) -> Floats:
    """Leave out what is too faint to be drawn."""
    return np.where(values >= FAINTEST, values, np.nan)


@styled
def figure_all(view: LibraryView) -> Figure:
    """Curves of some energies, and the width of the peak over its depth for all."""
    figure = sheet(3.4)
    left, right = figure.subplots(1, 2)
    every = view.energies
    chosen = np.unique(np.linspace(0, len(every) - 1, 8).round().astype(int))
    for number, index in enumerate(chosen):
        depth = np.linspace(0.0, every[index].ranges.peak_mm * 1.1, 2000)
        left.plot(depth, every[index].entry.dose_MeV_cm2_g(depth), color=(BLUE, RED)[number % 2], lw=0.8)
    left.set(xlabel="depth (mm)", ylabel="dose (MeV cm²/g per particle)")
    left.set_ylim(bottom=0.0)
    peaks = [one.ranges.peak_mm for one in every]
    right.plot(peaks, [one.ranges.FWHM_mm for one in every], color=BLUE, label="width at 50 %")
    falls = [one.ranges.distal_80_20_mm for one in every]
    right.plot(peaks, falls, color=RED, ls="--", label="fall from 80 to 20 %")
    right.set(xlabel="depth of the peak (mm)", ylabel="mm")
    right.set_ylim(bottom=0.0)
    right.xaxis.set_major_locator(MaxNLocator(7))
    right.legend()
    return figure
