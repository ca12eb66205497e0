"""Hold the delivery path against other orders and against what no path can go below, and write it down.

    python -m verification.paths                                                  # print the page
    python -m verification.paths --write docs/reference/verification-paths.md

The picture goes to ``docs/images``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.machine import BeamLine, load_beamline
from spotline.measurement import Limits
from spotline.moves import Moves
from spotline.plan import Plan
from spotline.planning.read import read_plan
from spotline.treatment.instructing import jumps_of
from spotline.treatment.options import Options
from spotline.treatment.path import (
    GRID_mm,
    Jumps,
    PathLength,
    make_spots,
    measure_path,
    search_path,
    serpentine,
    shortest_path,
)
from verification.delivery import IMAGES
from verification.fields import PLANS
from verification.figures import MISSED, Figure, figure, held, judge, percent, table
from verification.page import Section, Verdict, circumstances, fill, page_parser, put_page, say
from verification.path_bound import edge_times_us, least_time_us
from verification.pictures import draw_paths
from verification.runs import SHARED

LINE = "cnao-h"
BEAM = ("carbon", 221.45)
KICKS_PER_SPOT, LONG_SEEDS = 30, (1, 2)
"""Of the long search, for each of its random numbers and starts; the usual one has 2 and one."""
LONG_GENTLENESS = 1e-3
"""The long search looks for time alone, but for ties."""
TARGET, LIMIT_500_ms, LIMIT_5000_ms = 0.05, 50.0, 2000.0

Positions = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class Compared:
    """One layer under several orders.

    Attributes
    ----------
    spots : int
    given, raster, nearest, ours : PathLength
        In the order of the plan, in rows there and back, from nearest neighbour to nearest neighbour, and
        in the order that `shortest_path` found.
    long : PathLength
        The fastest path known, of a long search.
    bound_us : float
        No path takes less.
    search_ms : float
        Processor time that `shortest_path` took.
    """

    spots: int
    given: PathLength
    raster: PathLength
    nearest: PathLength
    ours: PathLength
    long: PathLength
    bound_us: float
    search_ms: float

    @property
    def above_known(self) -> float:
        """By how much ours is slower than the fastest path known; 0 where nothing moves."""
        return self.ours.time_us / self.long.time_us - 1.0 if self.long.time_us else 0.0

    @property
    def is_held_back(self) -> bool:
        """Whether the fastest path known is a longer way than the given one, or has more jumps."""
        return self.long.travel_mm > self.given.travel_mm or self.long.jumps > self.given.jumps

    @property
    def above_bound(self) -> float:
        """By how much ours is slower than what no path goes below; 0 where nothing moves."""
        return self.ours.time_us / self.bound_us - 1.0 if self.bound_us else 0.0


def nearest_neighbour(x_mm: Floats, y_mm: Floats, times_us: Floats) -> Integers:
    """From the first spot always to the nearest one in time that is left, the nearer one of several."""
    order = [0]
    left = np.ones(len(x_mm), np.bool_)
    left[0] = False
    for _ in range(len(x_mm) - 1):
        i = order[-1]
        cost_us = times_us[i] + 1e-3 * np.hypot(x_mm - x_mm[i], y_mm - y_mm[i])
        order.append(int(np.where(left, cost_us, np.inf).argmin()))
        left[order[-1]] = False
    return np.array(order)


def orders_of(positions_mm: Positions, times_us: Floats, moves: Moves, jumps: Jumps) -> dict[str, Integers]:
    """The orders that are compared."""
    x_mm, y_mm = positions_mm
    return {
        "given": np.arange(len(x_mm)),
        "raster": serpentine(x_mm, y_mm, GRID_mm),
        "nearest neighbour": nearest_neighbour(x_mm, y_mm, times_us),
        "shortest": shortest_path(x_mm, y_mm, moves, jumps),
    }


def compare(positions_mm: Positions, moves: Moves, jumps: Jumps) -> Compared:
    """Measure a layer under all orders."""
    x_mm, y_mm = positions_mm

    def measured(order: Integers) -> PathLength:
        return measure_path(x_mm[order], y_mm[order], moves, jumps)

    times_us = edge_times_us(x_mm, y_mm, moves, jumps)
    orders = orders_of(positions_mm, times_us, moves, jumps)
    lengths = {name: measured(order) for name, order in orders.items()}
    start = time.process_time()  # which work of others does not prolong
    shortest_path(x_mm, y_mm, moves, jumps)
    search_ms = 1e3 * (time.process_time() - start)
    longs = [lengths["shortest"]]
    if len(x_mm) > 2:
        spots = make_spots(x_mm, y_mm, moves, jumps, LONG_GENTLENESS)
        longs += [
            measured(search_path(spots, [orders[name]], KICKS_PER_SPOT * len(x_mm), seed))
            for seed in LONG_SEEDS
            for name in ("shortest", "nearest neighbour")
        ]
    known = min(longs)
    bound_us = least_time_us(times_us, known.time_us)
    if bound_us > known.time_us * (1.0 + 1e-9):
        raise RuntimeError(f"the bound, {bound_us} us, is above a path of {known.time_us} us")
    return Compared(
        spots=len(x_mm),
        given=lengths["given"],
        raster=lengths["raster"],
        nearest=lengths["nearest neighbour"],
        ours=lengths["shortest"],
        long=known,
        bound_us=min(bound_us, known.time_us),
        search_ms=search_ms,
    )


def layouts() -> dict[str, Positions]:
    """Layers made up, in rows that all run one way, as planning systems often write them."""

    def square(side: int, spacing_mm: float = 2.0) -> Positions:
        axis_mm = (np.arange(side) - (side - 1) / 2) * spacing_mm
        x_mm, y_mm = np.meshgrid(axis_mm, axis_mm)
        return x_mm.ravel(), y_mm.ravel()

    def some(side: int, spots: int) -> Positions:
        chosen = np.random.Generator(np.random.PCG64(3)).choice(side**2, spots, replace=False)
        x_mm, y_mm = (axis_mm[np.sort(chosen)] for axis_mm in square(side))
        return x_mm, y_mm

    x_mm, y_mm = square(60)
    radius_mm = np.hypot(x_mm, y_mm)
    ring = (radius_mm > 20.0) & (radius_mm < 32.0)
    islands = (np.hypot(x_mm + 35.0, y_mm) < 15.0) | (np.hypot(x_mm - 30.0, y_mm - 10.0) < 20.0)
    return {
        "full grid": square(22),
        "ring": (x_mm[ring], y_mm[ring]),
        "two islands": (x_mm[islands], y_mm[islands]),
        "a fifth of a grid": some(50, 500),
        "half of a grid": some(100, 5000),
        "the layer of the picture": picture_layer(),
    }


def picture_layer() -> Positions:
    """A ring and an island, of both of which a third of the spots is missing."""
    axis_mm = np.arange(-50.0, 51.0, 4.0)
    x_mm, y_mm = (grid.ravel() for grid in np.meshgrid(axis_mm, axis_mm))
    ring = np.abs(np.hypot(x_mm + 14.0, y_mm + 8.0) - 26.0) < 7.0
    island = np.hypot(x_mm - 34.0, y_mm - 28.0) < 14.0
    kept = np.random.Generator(np.random.PCG64(5)).uniform(size=len(x_mm)) > 1.0 / 3.0
    chosen = (ring | island) & kept
    return x_mm[chosen], y_mm[chosen]


HEADER = (
    "spots",
    "given",
    "raster",
    "nearest neighbour",
    "ours",
    "best known",
    "bound",
    "above best known",
    "above the bound",
)


def _time_row(name: str, c: Compared) -> tuple[object, ...]:
    times_us = [c.given.time_us, c.raster.time_us, c.nearest.time_us, c.ours.time_us, c.long.time_us]
    return (
        name,
        c.spots,
        *(figure(1e-3 * t, ".1f") for t in [*times_us, c.bound_us]),
        percent(c.above_known, 2),
        percent(c.above_bound, 2),
    )


def check_layouts(moves: Moves, jumps: Jumps, images: Path | None) -> Section:
    """Compare layers that are made up."""
    section = Section("layouts", "Layers made up")
    compared = {}
    for name, positions_mm in layouts().items():
        say(name)
        compared[name] = compare(positions_mm, moves, jumps)
    ion, energy_MeV_u = BEAM
    section.text(
        f"""Points of grids of 2 mm (4 mm in the picture), given row by row, all rows in one direction;
        {ion} of {energy_MeV_u:g} MeV/u. Times in ms."""
    )
    section.table(("Layer", *HEADER), [_time_row(name, c) for name, c in compared.items()], keys=1)
    section.text("Way of the beam at the isocentre, and how often it is switched off on it:")
    section.table(
        (
            "Layer",
            "given",
            "raster",
            "nearest neighbour",
            "ours",
            "jumps: given",
            "raster",
            "nearest",
            "ours",
        ),
        [
            (
                name,
                *(figure(p.travel_mm, ".0f", "mm") for p in (c.given, c.raster, c.nearest, c.ours)),
                *(p.jumps for p in (c.given, c.raster, c.nearest, c.ours)),
            )
            for name, c in compared.items()
        ],
    )
    section.text("Processor time that the search takes, on a shared machine, once it is compiled:")
    section.table(
        ("Layer", "spots", "time", "per spot"),
        [
            (name, c.spots, f"{c.search_ms:.0f} ms", f"{1e3 * c.search_ms / c.spots:.0f} µs")
            for name, c in compared.items()
        ],
    )
    if images is not None:
        _draw(images / "delivery-path.svg", moves, jumps)
        section.parts.append("![The same spots in four orders](../images/delivery-path.svg)")
        section.text("*The same spots in four orders, from circle to square; dashed where the beam is off.*")
    few, many = compared["a fifth of a grid"], compared["half of a grid"]
    up_to_500 = [c for c in compared.values() if c.spots <= 500]
    worst = max(c.above_known for c in up_to_500)
    worst_bound = max(c.above_bound for c in compared.values())
    section.verdicts += [
        Verdict(
            "layers made up of at most 500 spots, above the best path known",
            f"< {percent(TARGET, 0)}",
            "-",
            percent(worst, 2),
            judge(worst, Limits(high=TARGET)),
        ),
        Verdict(
            "all layers made up, above what no path goes below",
            f"< {percent(TARGET, 0)}",
            "-",
            percent(worst_bound, 2),
            judge(worst_bound, Limits(high=TARGET)),
        ),
        Verdict(
            f"search for {few.spots} spots",
            f"< {LIMIT_500_ms:g} ms",
            "-",
            f"{few.search_ms:.0f} ms",
            held(few.search_ms < LIMIT_500_ms),
        ),
        Verdict(
            f"search for {many.spots} spots",
            f"< {LIMIT_5000_ms:g} ms",
            "-",
            f"{many.search_ms:.0f} ms",
            held(many.search_ms < LIMIT_5000_ms),
        ),
    ]
    return section


def _draw(path: Path, moves: Moves, jumps: Jumps) -> None:
    x_mm, y_mm = picture_layer()
    panels = {}
    orders = orders_of((x_mm, y_mm), edge_times_us(x_mm, y_mm, moves, jumps), moves, jumps)
    for name, order in orders.items():
        found = measure_path(x_mm[order], y_mm[order], moves, jumps)
        title = f"{name}: {1e-3 * found.time_us:.1f} ms, {found.travel_mm:.0f} mm, {found.jumps} jumps"
        panels[title] = (x_mm[order], y_mm[order])
    draw_paths(path, panels, jumps.threshold_mm)


def check_plans(line: BeamLine, jumps: Jumps) -> Section:
    """Compare the layers of plans of other planning systems."""
    section = Section("plans", "Plans of other planning systems")
    folder = SHARED / "plans"
    if not folder.is_dir():
        section.text(
            "Skipped: the plans are not part of the repository, and not beside it (`../shared/plans`)."
        )
        return section
    section.text(
        f"""Layer by layer in the order of the planning system, with the magnets of `{LINE}` and the ion and
        energy of the layer, whether the line has it or not. Times in ms, sums over the layers; *worst* is
        the layer that is furthest above its own bound. A path that is a longer way than the given one, or
        has more jumps, is not taken however fast it is, which costs some small layers a few percent."""
    )
    found: dict[str, list[Compared]] = {}
    for pattern, _ in PLANS:
        path = next(iter(sorted(folder.glob(pattern))), None)
        if path is None:
            section.text(f"`{pattern}` is not there.")
            continue
        # The names of some plans are made of identifiers.
        label = pattern.replace("RN.*.dcm", "RN plan")
        say(label)
        found[label] = [
            compare(positions_mm, moves, jumps) for positions_mm, moves in _layers(read_plan(path), line)
        ]
    section.table(
        ("Plan", "layers", *HEADER[:-1], "above the bound", "worst"),
        [_plan_row(label, layers) for label, layers in found.items()],
        keys=1,
    )
    section.text("Way of the beam at the isocentre, beam-off jumps, and layers whose order was left alone:")
    section.table(
        ("Plan", "way given", "ours", "ratio", "jumps given", "raster", "ours", "left alone", "search"),
        [_way_row(label, layers) for label, layers in found.items()],
    )
    section.text(
        """Where the bound is the time of the given order, as in the two plans of `dcpt` by Eclipse and
        those by TRiP98, there is nothing to gain, and the order is left alone."""
    )
    section.verdicts += _plan_verdicts([layer for layers in found.values() for layer in layers])
    return section


def _plan_verdicts(layers: Sequence[Compared]) -> Iterator[Verdict]:
    worse = sum(any(a > b for a, b in zip(c.ours, c.given, strict=True)) for c in layers)
    yield Verdict(
        "layers of real plans that became longer in time, way or jumps",
        "none",
        "-",
        f"{worse} of {len(layers)}",
        judge(worse, Limits(high=0.0)),
    )
    free = np.array([c.above_known for c in layers if not c.is_held_back])
    yield Verdict(
        "layers of real plans, above the best path known: worst",
        f"< {percent(TARGET, 0)}",
        "-",
        f"{percent(float(free.max()), 2)} of {len(free)}; on average {percent(float(free.mean()), 2)}",
        judge(float(free.max()), Limits(high=TARGET)),
    )
    held = [c.above_known for c in layers if c.is_held_back]
    yield Verdict(
        "the same, where the best path known is a longer way than the given one, and so is not allowed",
        "not set",
        "-",
        f"{percent(max(held, default=0.0), 2)} of {len(held)}",
        "of the design",
    )


def _layers(plan: Plan, line: BeamLine) -> Iterator[tuple[Positions, Moves]]:
    for field in plan.fields:
        for layer in field.layers:
            yield (layer.x_iso_mm, layer.y_iso_mm), line.moves(field.ion.name, layer.energy_MeV_u)


def _total_us(layers: Sequence[Compared], name: str) -> float:
    return float(sum(getattr(layer, name).time_us for layer in layers))


def _plan_row(label: str, layers: Sequence[Compared]) -> tuple[object, ...]:
    totals_us = {name: _total_us(layers, name) for name in ("given", "raster", "nearest", "ours", "long")}
    bound_us = sum(layer.bound_us for layer in layers)
    return (
        f"`{label}`",
        len(layers),
        sum(layer.spots for layer in layers),
        *(figure(1e-3 * total_us, ".1f") for total_us in totals_us.values()),
        figure(1e-3 * bound_us, ".1f"),
        percent(totals_us["ours"] / totals_us["long"] - 1.0, 2),
        percent(totals_us["ours"] / bound_us - 1.0, 2),
        percent(max(layer.above_bound for layer in layers), 2),
    )


def _way_row(label: str, layers: Sequence[Compared]) -> tuple[object, ...]:
    given_mm = sum(layer.given.travel_mm for layer in layers)
    ours_mm = sum(layer.ours.travel_mm for layer in layers)
    alone = sum(layer.ours == layer.given for layer in layers)
    return (
        f"`{label}`",
        figure(given_mm, ".0f", "mm"),
        figure(ours_mm, ".0f", "mm"),
        figure(ours_mm / given_mm, ".2f"),
        *(sum(p.jumps for p in paths) for paths in _paths(layers).values()),
        Figure(f"{alone} of {len(layers)}", alone),
        f"{sum(layer.search_ms for layer in layers):.0f} ms",
    )


def _paths(layers: Sequence[Compared]) -> Mapping[str, list[PathLength]]:
    return {name: [getattr(layer, name) for layer in layers] for name in ("given", "raster", "ours")}


def page(sections: Sequence[Section]) -> list[str]:
    """Put the page together."""
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    missed = sum(verdict.verdict == MISSED for verdict in verdicts)
    return [
        "# Verification of the delivery path",
        fill(
            f"""How fast a layer is scanned in the order that `spotline.treatment.path.shortest_path` finds,
            against other orders and against what no order can be faster than. Why it is done, and how, is in
            [the delivery path](../explanation/delivery-path.md). `python -m verification.paths --write
            docs/reference/verification-paths.md` makes this page and its picture. Made on
            {circumstances()}. Targets missed: {missed}."""
        ),
        fill(
            f"""* *given*: the order of the plan
            * *raster*: rows along x, there and back
            * *nearest neighbour*: from the first spot on, always to the one left that is reached first
            * *ours*: as prepared
            * *best known*: the fastest of ours and {2 * len(LONG_SEEDS)} searches of {KICKS_PER_SPOT} kicks a
            spot each, for time only. Nobody knows whether it is the fastest there is
            * *bound*: no path can be faster, which is proven (Held and Karp, Math. Program. 1 (1971) 6).
            Whether one is as fast, it does not say; usually the best path is a percent or so above it"""
        ),
        table(
            ("What", "target", "found", "verdict"),
            [(v.what, v.published, v.found, v.verdict) for v in verdicts],
            keys=1,
        ),
        *(part for section in sections for part in section.markdown()),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Compare, and print or write the page."""
    parser = page_parser("python -m verification.paths", __doc__.splitlines()[0])
    asked = parser.parse_args(arguments)
    line = load_beamline(LINE)
    jumps = jumps_of(line, Options())
    images = IMAGES if asked.write is not None else None
    parts = page([check_layouts(line.moves(*BEAM), jumps, images), check_plans(line, jumps)])
    put_page(parts, asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
