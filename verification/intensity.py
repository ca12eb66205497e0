"""Measure what a lower intensity costs in time and gains in accuracy, and write it down.

    python -m verification.intensity                                   # print the page
    python -m verification.intensity --write docs/reference/verification-intensity.md

The second field is cut out of a plan that lies beside the repository (``../shared/plans``); without it
there is only the first.  Pictures go to ``docs/images``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Drawing

from spotline.arrays import Floats
from spotline.plan import Plan
from spotline.planning.read import read_plan
from spotline.record.statistics import field_statistics, prescribed_deviations
from spotline.treatment import Options
from spotline.treatment.duration import Duration, predict_duration
from verification import pictures
from verification.figures import figure, number, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.particles import within
from verification.runs import EXAMPLES, ROOT, SHARED, Delivered, Job, Mean, deliver, mean_of, treatment_of

IMAGES = ROOT / "docs" / "images"
PICTURE = "verification-intensity.svg"
CUBE = SHARED / "plans" / "cubes" / "carbon_cube_15cm_plan.dcm"
CUBE_LAYERS = (20, 22, 24)
"""Layers of the cube whose spots are the weakest."""
LEVELS = (1.0, 0.5, 0.2, 0.1)
PAINTINGS = (2, 4)


@dataclass(frozen=True, slots=True)
class Point:
    """One choice for a field: what was predicted, and what came over several seeds."""

    choice: str
    levels: tuple[float, ...]  # of the slices, without repetition
    shortest_us: float  # of the visits
    counts: float  # of INT1 per visit, mean
    predicted: Duration
    treatment_s: Mean
    measured_within: Mean
    true_within: Mean
    true_sd: Mean
    position_mm: Mean
    interlocks: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A field with all choices; the fixed levels come first."""

    title: str
    label: str
    points: tuple[Point, ...]


def choices() -> Iterable[tuple[str, Options]]:
    """What is tried."""
    for level in LEVELS:
        yield f"{100 * level:g} %", Options(intensity=level)
    yield "automatic", Options()
    for paintings in PAINTINGS:
        yield f"automatic, {paintings} paintings", Options(paintings=paintings)


def measure(choice: str, job: Job, seeds: int) -> Point:
    """Predict and deliver one choice."""
    treatment = treatment_of(job)
    (field,) = treatment.fields
    results = [deliver(replace(job, seed=seed)) for seed in range(seeds)]
    statistics = [field_statistics(r.record) for r in results]
    truths = [true_deviations(r) for r in results]
    return Point(
        choice=choice,
        levels=tuple(dict.fromkeys(s.intensity_level for s in field.slices)),
        shortest_us=min(float((s.particles / s.particles_per_s).min()) * 1e6 for s in field.slices),
        counts=float(np.concatenate([s.int1_counts for s in results[0].slices]).mean()),
        predicted=predict_duration(field, treatment.beamline).total,
        treatment_s=mean_of(s.treatment_s for s in statistics),
        measured_within=mean_of(within(prescribed_deviations(r.record)) for r in results),
        true_within=mean_of(within(true) for true in truths),
        true_sd=mean_of(float(np.std(true)) for true in truths),
        position_mm=mean_of(s.position_rms_mm for s in statistics if s.position_rms_mm is not None),
        interlocks=sum(len(s.interlocks) for s in statistics),
    )


def true_deviations(delivered: Delivered) -> Floats:
    """Relative deviation of the true particles of every spot of the plan, all its visits together."""
    spots, truth = delivered.record.spots, delivered.record.truth
    assert truth is not None
    _, which = np.unique(spots[["planned_layer", "planned_spot"]], return_inverse=True)
    came, planned = (
        np.bincount(which, weights) for weights in (truth["particles"], spots["particles_planned"])
    )
    return np.asarray(came / planned - 1.0)


def trade(title: str, label: str, plan: Plan | str, line: str, seeds: int) -> Trade:
    """Measure a field with all choices."""
    points = []
    for choice, options in choices():
        say(f"{label}, {choice}")
        points.append(measure(choice, Job(plan, line=line, options=options), seeds))
    return Trade(title, label, tuple(points))


def cut(plan: Plan, layers: Sequence[int]) -> Plan:
    """Some layers of the first field of a plan."""
    field = plan.fields[0]
    chosen = tuple(replace(field.layers[layer], index=index) for index, layer in enumerate(layers))
    return replace(plan, fields=(replace(field, layers=chosen),))


def trades(seeds: int) -> Iterable[Trade]:
    """All fields."""
    yield trade(
        "Published uniform field",
        "uniform carbon, 5e4 per spot",
        str(EXAMPLES / "uniform_carbon_60mm.dcm"),
        "cnao-h",
        seeds,
    )
    if CUBE.is_file():
        plan = cut(read_plan(str(CUBE)), CUBE_LAYERS)
        yield trade("Weak spots", "carbon cube, 5e3 per spot and more", plan, "cnao-v", seeds)


HEADER = (
    "Intensity",
    "level",
    "shortest visit",
    "counts per visit",
    "spills predicted",
    "treatment predicted",
    "delivered",
    "measured within 1 %",
    "true within 1 %",
    "true scatter",
    "position rms",
    "interlocks",
)


def _row(point: Point) -> tuple[object, ...]:
    return (
        point.choice,
        ", ".join(f"{100 * level:g} %" for level in point.levels),
        figure(point.shortest_us, ".0f", "µs"),
        figure(point.counts, ".0f"),
        number(point.predicted.spills, 2),
        number(point.predicted.treatment_s, 2, "s"),
        number(point.treatment_s, 2, "s"),
        percent(point.measured_within),
        percent(point.true_within),
        percent(point.true_sd, 2),
        number(point.position_mm, 3, "mm") if np.isfinite(point.position_mm.value) else "-",
        point.interlocks,
    )


def draw(path: Path, found: Sequence[Trade]) -> None:
    """Draw scatter of the true particles and of the position against treatment time."""
    with mpl.rc_context(pictures.STYLE):
        drawing = Drawing(figsize=(7.2, 3.2), layout="constrained")
        left, right = drawing.subplots(1, 2)
        for colour, one in zip(pictures.COLOURS, found, strict=False):
            fixed = one.points[: len(LEVELS)]
            automatic = next(point for point in one.points if point.choice == "automatic")
            for axes, name, factor in ((left, "true_sd", 100.0), (right, "position_mm", 1.0)):
                times = [point.treatment_s.value for point in fixed]
                values = [factor * getattr(point, name).value for point in fixed]
                axes.plot(times, values, "o-", ms=4, lw=1.0, color=colour, label=one.label)
                for point, x, y in zip(fixed, times, values, strict=True):
                    axes.annotate(point.choice, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
                axes.plot(
                    automatic.treatment_s.value,
                    factor * getattr(automatic, name).value,
                    "s",
                    ms=9,
                    mfc="none",
                    color=colour,
                )
        left.set_ylabel("scatter of the true particles (%, sd)")
        right.set_ylabel("position, rms (mm)")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xlabel("treatment time (s)")
            axes.set_ylim(bottom=0.0)
            pictures.plain_ticks(axes.xaxis, (5, 10, 20, 50, 100, 200))
        right.legend(title="square: automatic level", fontsize=7, title_fontsize=7, loc="lower left")
        pictures.save(drawing, path)


def page(found: Sequence[Trade], seeds: int, wall_s: float) -> list[str]:
    """Put the page together."""
    parts = [
        "# Intensity: time against accuracy",
        fill(
            f"""What a lower intensity costs in time and gains in accuracy, with the simulated room in the
            loop. `python -m verification.intensity --write docs/reference/verification-intensity.md` makes
            this page and its picture in {max(1, round(wall_s / 60))} min. Made on {circumstances()}, with
            seeds 0 to {seeds - 1}; ± is the standard error of the mean."""
        ),
        f"![Scatter of particles and positions against treatment time](../images/{PICTURE})",
        fill(
            """*Within 1 %* is the fraction of spots of the plan whose particles, all visits together, are
            within 1 % of the prescription, as INT1 measured them, and as they truly were. *True scatter* is
            the standard deviation of the true particles relative to the prescription; it falls with the
            intensity because fewer particles are in flight while charge drifts in the chambers. *Position*
            is the root mean square distance of measured positions from the planned ones, over the visits
            for which the chambers had enough counts.
            *Automatic* is what `prepare` does unless it is told otherwise: for each slice the highest level
            at which its shortest visit lasts as long as `minimum_spot_time_us`. With several paintings each
            visit delivers less, so the same rule may choose a lower level."""
        ),
    ]
    for one in found:
        parts += [f"## {one.title}", table(HEADER, [_row(point) for point in one.points])]
    return parts


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print or write the page."""
    asked = _parser().parse_args(arguments)
    start = time.perf_counter()
    found = list(trades(asked.seeds))
    parts = page(found, asked.seeds, time.perf_counter() - start)
    if asked.write is not None:
        draw(IMAGES / PICTURE, found)
    put_page(parts, asked.write)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = page_parser("python -m verification.intensity", __doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="deliveries of each choice (4)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
