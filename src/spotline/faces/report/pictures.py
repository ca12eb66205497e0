"""The pictures of a report with their words: heading, caption, and a text in place of the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from spotline.faces.report import figures, machine_figures
from spotline.faces.report.quantities import (
    PARTICLE_TOLERANCE_percent,
    POSITION_TOLERANCE_mm,
    Spread,
    duty_factor,
    particle_deviation_percent,
    position_deviation_mm,
    quotient,
    spill_to_show,
    spread,
    trend_intensity_per_s,
    trend_of_spill,
    truth_of_spots,
)
from spotline.faces.report.svg import to_svg
from spotline.faces.report.words import number, power
from spotline.record.model import FieldRecord


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a report.

    Attributes
    ----------
    title, caption, alt : str
        Heading; what is drawn and how to read it; what someone who cannot see it should know.
    svg : Markup
        The picture; empty if nothing was measured.
    """

    title: str
    caption: str
    alt: str
    svg: Markup


def _picture(
    field: FieldRecord,
    name: str,
    draw: Callable[[FieldRecord], Figure],
    measured: bool,
    words: tuple[str, str, str],
) -> Picture:
    """Draw a picture, unless nothing was measured."""
    svg = Markup(to_svg(draw(field), f"f{field.number}-{name}") if measured else "")
    return Picture(*words, svg)


def of_time(field: FieldRecord) -> list[Picture]:
    """Return energy layers and spills over time, and one spill."""
    beam = _has_beam(field)
    return [
        _picture(field, "layers", figures.figure_energy_layers, len(field.spills) > 0, _layers(field)),
        _picture(field, "spill", figures.figure_spill, beam, _spill(field)),
    ]


def of_spots(field: FieldRecord) -> list[Picture]:
    """Return the deviations of particles and positions, and the times."""
    any_spot, any_whole = len(field.spots) > 0, bool(field.spots["complete"].any())
    return [
        _picture(field, "particles", figures.figure_particles, any_whole, _particles(field)),
        _picture(field, "positions", figures.figure_positions, any_spot, _positions(field)),
        _picture(field, "times", figures.figure_times, any_spot, _times(field)),
    ]


def of_slices(field: FieldRecord) -> list[Picture]:
    """Return the spot maps of all slices, or of a selection if there are many."""
    shown = figures.slices_to_show(field)
    return [_maps(field, "map", shown, _slices_with_spots(field))]


def of_other_slices(field: FieldRecord) -> list[Picture]:
    """Return the spot maps of the slices that the selection leaves out."""
    every = _slices_with_spots(field)
    shown = set(figures.slices_to_show(field))
    others = [n for n in every if n not in shown]
    groups = [others[i : i + figures.MAPS] for i in range(0, len(others), figures.MAPS)]
    return [_maps(field, f"map{i}", group, every) for i, group in enumerate(groups, start=1)]


def of_machine(field: FieldRecord) -> list[Picture]:
    """Return magnets, the ratio of the chambers, and the slow control."""
    beam = _has_beam(field)
    return [
        _picture(field, "magnets", machine_figures.figure_magnets, beam, _magnets(field)),
        _picture(field, "ratio", machine_figures.figure_ratio, beam or len(field.spots) > 0, _ratio(field)),
        _picture(
            field, "slow", machine_figures.figure_slow_control, len(field.slow_control) > 0, _slow(field)
        ),
    ]


def of_truth(field: FieldRecord) -> list[Picture]:
    """Return what only a simulation knows; nothing if the record has no truth."""
    if field.truth is None:
        return []
    return [_picture(field, "truth", figures.figure_truth, len(field.spots) > 0, _truth(field))]


def _has_beam(field: FieldRecord) -> bool:
    return len(field.trend) > 0 and len(field.spills) > 0


def _slices_with_spots(field: FieldRecord) -> list[int]:
    return [int(n) for n in np.unique(field.spots["slice"])]


def _layers(field: FieldRecord) -> tuple[str, str, str]:
    energies = np.unique(field.slices["energy_MeV_u"])
    alt = f"{len(field.spills)} spills over time"
    if len(energies):
        alt += f", energies from {number(energies[0])} to {number(energies[-1])} MeV/u"
    caption = (
        "Above: energy that the accelerator was asked for, thick while the beam is extracted. Below: "
        "intensity from INT1, averaged over short stretches; the gaps are the accelerator's cycle. A "
        "layer that needs several spills shows as several thick lines at one height. Red lines: "
        "interlocks (solid: stop, dotted: pause of the spill)."
    )
    return "Energy layers over time", caption, alt


def _spill(field: FieldRecord) -> tuple[str, str, str]:
    shown = spill_to_show(field)
    caption = (
        "Intensity from INT1 for each millisecond of one spill (the one with most counts, or the last "
        "one with an interlock), and 100 ms from its middle with the spots that were delivered in them. "
        "Deep gaps and tall peaks are what makes single spots too short or too long."
    )
    if shown is None:
        return "Structure of a spill", caption, "no spill"
    rate = trend_intensity_per_s(field)[trend_of_spill(field, shown)]
    beam = rate[rate > 0]
    alt = f"intensity over spill {field.spills['spill'][shown]}"
    if len(beam):
        facts = (
            f"mean {power(float(beam.mean()), 3)}/s, largest {power(float(beam.max()), 3)}/s, "
            f"duty factor {duty_factor(beam):.2f} over the milliseconds with beam"
        )
        caption, alt = f"{caption} Here: {facts}.", f"{alt}: {facts}"
    return "Structure of a spill", caption, alt


def _maps(field: FieldRecord, name: str, shown: list[int], every: list[int]) -> Picture:
    title = "Spot maps" if name == "map" else f"Slices {_ranges(shown)}"
    caption = (
        "Rings: planned positions. Dots: measured positions, blue where too few particles were measured, red "
        "where too many; grey is right. A coloured ring without a dot: too few counts for a position. "
        "Crosses: delivered in part. Above each map: energy, and how many of its spots are complete. Spots of"
        " which nothing was delivered are not drawn."
    )
    if len(shown) < len(every) and name == "map":
        caption += f" {len(shown)} of {len(every)} slices, evenly chosen; the others are below."
    worst = particle_deviation_percent(field.spots[field.spots["complete"]])
    worst = worst[np.isfinite(worst)]
    alt = f"maps of planned and measured spots in {len(shown)} slices"
    if len(worst):
        alt += f"; particle deviations from {worst.min():+.1f} to {worst.max():+.1f} %"
    draw = partial(figures.figure_spot_maps, slices=shown)
    return _picture(field, name, draw, bool(shown), (title, caption, alt))


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def _spread_in_words(name: str, found: Spread, unit: str) -> str:
    if not found.n:
        return f"{name}: nothing measured"
    return (
        f"{name}: {found.n} spots, mean {found.mean:+.3g} {unit}, standard deviation {found.sd:.3g} "
        f"{unit}, {100 * found.within:.1f} % within ±{found.tolerance:g} {unit}"
    )


def _particles(field: FieldRecord) -> tuple[str, str, str]:
    values = particle_deviation_percent(field.spots[field.spots["complete"]])
    caption = (
        "Complete spots only. Left: how often each deviation occurs; combs come from whole counts. Middle: "
        "small spots deviate more, since one count of a chamber, and what arrives before the beam is off, "
        "weigh more in them (in the order of delivery if all spots are alike). Right: a rise with intensity "
        "means that the beam runs on while the trigger acts. Dashed: ±1 %; triangles: beyond the picture."
    )
    return (
        "Particles",
        caption,
        _spread_in_words("particle deviation", spread(values, PARTICLE_TOLERANCE_percent), "%"),
    )


def _positions(field: FieldRecord) -> tuple[str, str, str]:
    found = [spread(d, POSITION_TOLERANCE_mm) for d in position_deviation_mm(field.spots)]
    caption = (
        "Measured with the strip chambers and projected to the isocentre; only spots with a valid "
        "centre of gravity. A mean away from zero is an offset of the beam; islands in the plane are "
        "spills that landed apart. Dashed, if in the picture: ±2 mm, where the delivery pauses."
    )
    alt = "; ".join(_spread_in_words(n, s, "mm") for n, s in zip(("dX", "dY"), found, strict=True))
    return "Positions", caption, alt


def _times(field: FieldRecord) -> tuple[str, str, str]:
    transit_us = field.spots["transit_us"]
    transit_us = transit_us[np.isfinite(transit_us)]
    caption = (
        "Left: from the trigger until the read-back of the magnets has settled (not for the first spot of a "
        "spill); moves with the beam off take longer. Right: how long each complete spot took, transit "
        "included; the first spot of each spill is left out."
    )
    alt = (
        f"transit times: median {np.median(transit_us):.0f} µs" if len(transit_us) else "no transit measured"
    )
    return "Transit times", caption, alt


def _magnets(field: FieldRecord) -> tuple[str, str, str]:
    caption = (
        "Currents of the scanning magnets at the end of each millisecond of one spill (left) and of 100 ms of"
        " it (right): set (line) and read back (dots). Below: the difference (logarithmic beyond ±0.1 A); it "
        "is large where the sample falls into a move, and small otherwise."
    )
    largest = 0.0
    for plane in "xy":
        difference = np.abs(field.trend[f"{plane}_read_A"] - field.trend[f"{plane}_set_A"])
        difference = difference[np.isfinite(difference)]
        largest = max(largest, float(np.median(difference)) if len(difference) else 0.0)
    return (
        "Scanning magnets",
        caption,
        f"set and read currents of one spill; median difference {largest:.3g} A",
    )


def _ratio(field: FieldRecord) -> tuple[str, str, str]:
    caption = (
        "Left: counts of INT1 over counts of INT2 for each spill; the level depends on the gains of the "
        "chambers, a step means that one of them changed. Right: the same for each spot after conversion to "
        "particles, which should lie around zero; red line: means of groups of spots; triangles: beyond the "
        "picture. Dashed, if near: ±10 %, where the treatment stops "
        "(for spots of enough counts)."
    )
    ratio = quotient(field.spots["particles"], field.spots["particles_int2"])
    ratio = ratio[np.isfinite(ratio)]
    alt = f"median ratio of particles {np.median(ratio):.4f}" if len(ratio) else "no ratio measured"
    return "Integral chambers", caption, alt


def _slow(field: FieldRecord) -> tuple[str, str, str]:
    n = len(field.slow_control)
    caption = (
        f"{n} {'reading' if n == 1 else 'readings'} of the slow control in both boxes. Temperature and "
        "pressure set the gas density of a box, and with it its counts per particle."
    )
    return "Gas and high voltage", caption, f"{n} readings of temperature, pressure and high voltage"


def _truth(field: FieldRecord) -> tuple[str, str, str]:
    caption = (
        "Filled: as measured. Line: what really arrived at the isocentre. The difference is the error of the "
        "measurement (calibration, drift of the ions, statistics), which no real machine can show. "
        "Particles only of complete spots. What arrives on the way to a spot counts for it, so true mean "
        "positions lag behind the scan."
    )
    truth = truth_of_spots(field)
    if truth is None:
        return "Measured and true", caption, "no truth"
    values = 100.0 * (quotient(truth["particles"], field.spots["particles_planned"]) - 1.0)
    found = spread(values[field.spots["complete"]], PARTICLE_TOLERANCE_percent)
    return "Measured and true", caption, _spread_in_words("true particle deviation", found, "%")
