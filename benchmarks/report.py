"""Run all benchmarks, and print or write the page of figures.

scripts/benchmark                                        # print it
scripts/benchmark --write docs/reference/performance.md
scripts/benchmark --against v0.1.0                       # what became slower since
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.against import compare
from benchmarks.cases import ROOT, TIMED_us
from benchmarks.processes import Memory, Starts, measure_memory, measure_starts
from verification.figures import figure, table
from verification.page import circumstances, fill, page_parser, put_page, say

LEAST_FACTOR, AIMED_FACTOR = 40.0, 80.0
FIRST_s, START_s, HELP_s, MEMORY_MiB = 60.0, 2.0, 0.3, 1024.0
PATH_ms = {500: 50.0, 5000: 2000.0}
"""Of the search of a delivery path, by spots."""
PRIMARIES_per_s = {"proton 150 MeV/u": 50_000.0, "carbon 280 MeV/u": 15_000.0}
"""Of the Monte Carlo on one core."""
PLAN_s, SLICE_s = 2.0, 0.3
"""Dose of a plan of 17 600 spots on a grid of 2.5 mm, and of a slice of 484 on one of 2 mm, on two cores."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One benchmark: what it is, and the seconds of its rounds."""

    info: dict[str, Any]
    least_s: float
    median_s: float
    rounds: int


def run_pytest() -> list[Timing]:
    """Run the benchmarks of this folder."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "benchmarks.json"
        # A benchmark that fails is missing on the page; the others are still worth having.
        command = [sys.executable, "-m", "pytest", "benchmarks", "-q", "-p", "no:randomly", "-p", "no:xdist"]
        options = ["--benchmark-enable", "--benchmark-columns=min", f"--benchmark-json={path}"]
        status = subprocess.run([*command, *options], cwd=ROOT, check=False, stdout=sys.stderr).returncode
        if status > 1 or not path.is_file():
            raise RuntimeError(f"pytest ended with status {status}")
        entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    return [
        Timing(e["extra_info"], e["stats"]["min"], e["stats"]["median"], e["stats"]["rounds"])
        for e in entries
    ]


def of_kind(timings: Sequence[Timing], kind: str) -> list[Timing]:
    """Benchmarks of a kind."""
    return [timing for timing in timings if timing.info["kind"] == kind]


def page(timings: Sequence[Timing], starts: Starts, memory: Memory) -> list[str]:
    """Put the page together, part by part."""
    return [
        "# Performance",
        fill(
            f"""`scripts/benchmark --write docs/reference/performance.md` measures these figures and
            writes this page. Made on {circumstances()}. The machine was shared: least values are what the
            code takes when nobody disturbs it, medians what one got. Compare figures of one run only."""
        ),
        "## Against the targets",
        table(("What", "target", "measured", "verdict"), _targets(timings, starts, memory)),
        *_loop_parts(of_kind(timings, "loop")),
        *_replay_parts(of_kind(timings, "replay")),
        *_field_parts(of_kind(timings, "field")),
        *_path_parts(of_kind(timings, "path")),
        *_transport_parts(of_kind(timings, "transport")),
        *_gamma_parts(of_kind(timings, "gamma")),
        *_dose_parts(of_kind(timings, "dose")),
        *_peer_parts(of_kind(timings, "peer")),
        *_start_parts(starts, memory),
    ]


def _verdict(value: float, limit: float) -> str:
    return "met" if value < limit else "**missed**"


def _targets(timings: Sequence[Timing], starts: Starts, memory: Memory) -> list[tuple[str, ...]]:
    factors = [1e-6 * t.info["ticks"] / t.least_s for t in of_kind(timings, "loop") if not t.info["raw"]]
    least, most = min(factors), max(factors)
    aim = "met" if least >= AIMED_FACTOR else ("for some beams" if most >= AIMED_FACTOR else "**missed**")
    return [
        (
            "seconds of beam per second of the loop, one core, least and largest of all beams",
            f">= {LEAST_FACTOR:g}",
            f"{least:.0f} to {most:.0f}",
            "met" if least >= LEAST_FACTOR else "**missed**",
        ),
        ("the same, aimed at", f">= {AIMED_FACTOR:g}", f"{least:.0f} to {most:.0f}", aim),
        (
            "first delivery after installation, compilation and report included",
            f"< {FIRST_s:g} s",
            f"{starts.first_s:.0f} s",
            _verdict(starts.first_s, FIRST_s),
        ),
        (
            "later ones, from the command to the first sample",
            f"< {START_s:g} s",
            _least_and_median(starts.start_s),
            _verdict(min(starts.start_s), START_s),
        ),
        (
            "`spotline --help`",
            f"< {HELP_s:g} s",
            _least_and_median(starts.help_s),
            _verdict(min(starts.help_s), HELP_s),
        ),
        (
            f"memory for a field of {memory.spots} spots in {memory.layers} layers",
            f"< {MEMORY_MiB / 1024:g} GiB",
            f"{memory.peak_MiB:.0f} MiB" if memory.peak_MiB is not None else "not known on this system",
            _verdict(memory.peak_MiB, MEMORY_MiB) if memory.peak_MiB is not None else "-",
        ),
        *(
            (
                f"delivery path of a layer of {t.info['spots']} spots",
                f"< {PATH_ms[t.info['spots']]:g} ms",
                f"{1e3 * t.least_s:.0f} ms (median {1e3 * t.median_s:.0f} ms)",
                _verdict(1e3 * t.least_s, PATH_ms[t.info["spots"]]),
            )
            for t in of_kind(timings, "path")
            if t.info["spots"] in PATH_ms
        ),
        *(
            (
                f"primaries of {t.info['name']} in water per second and core",
                f"> {PRIMARIES_per_s[t.info['name']]:g}",
                f"{_rate(t, t.least_s):.0f} (median {_rate(t, t.median_s):.0f})",
                "met" if _rate(t, t.least_s) > PRIMARIES_per_s[t.info["name"]] else "**missed**",
            )
            for t in of_kind(timings, "transport")
            if t.info["name"] in PRIMARIES_per_s and t.info["threads"] == 1
        ),
        *_dose_targets(of_kind(timings, "dose")),
    ]


def _dose_targets(timings: Sequence[Timing]) -> list[tuple[str, ...]]:
    wanted = {("plan", 17600, 2.5, 2): PLAN_s, ("slice", 484, 2.0, 2): SLICE_s}
    rows: list[tuple[str, ...]] = []
    for t in timings:
        name, spots, spacing, threads = (t.info[key] for key in ("name", "spots", "spacing_mm", "threads"))
        limit = wanted.get((name, spots, spacing, threads))
        if limit is not None:
            rows.append(
                (
                    f"dose of a {name} of {spots} spots on a grid of {spacing:g} mm, two threads",
                    f"< {limit:g} s",
                    f"{t.least_s:.2f} s (median {t.median_s:.2f} s)",
                    _verdict(t.least_s, limit),
                )
            )
    return rows


def _rate(timing: Timing, seconds: float) -> float:
    return float(timing.info["primaries"] / seconds)


def _least_and_median(values: Sequence[float]) -> str:
    return f"{min(values):.2f} s (median {statistics.median(values):.2f} s)"


def _command(what: str) -> str:
    return f"<sub>`scripts/benchmark`; {what}</sub>"


def _loop_parts(timings: Sequence[Timing]) -> list[str]:
    """The fast loop: with and without raw samples side by side."""
    rows = []
    for timing in (t for t in timings if not t.info["raw"]):
        raw = next(t for t in timings if t.info["raw"] and t.info["name"] == timing.info["name"])
        rows.append(
            (
                timing.info["name"],
                figure(_ns(timing.least_s, timing), ".1f"),
                figure(_ns(timing.median_s, timing), ".1f"),
                figure(1e-6 * timing.info["ticks"] / timing.least_s, ".0f"),
                figure(_ns(raw.least_s, raw), ".1f"),
                figure(_ns(raw.median_s, raw), ".1f"),
                figure(raw.least_s / timing.least_s, ".2f"),
            )
        )
    return [
        "## The fast loop",
        fill(
            f"""Plant and control law on one core, on the flat top of a spill, per sample of 1 µs;
            {TIMED_us // 1000} ms of beam at a time, as the delivery runs it. *Factor* is seconds of beam
            per second. With raw samples every frame of every chamber is kept in memory, not yet written."""
        ),
        table(
            (
                "Beam, intensity",
                "ns per sample",
                "median",
                "factor",
                "raw: ns per sample",
                "median",
                "raw / not",
            ),
            rows,
        ),
        _command(f"least and median of {timings[0].rounds} rounds"),
    ]


def _ns(seconds: float, timing: Timing) -> float:
    return float(seconds / timing.info["ticks"] * 1e9)


def _replay_parts(timings: Sequence[Timing]) -> list[str]:
    return [
        "## The control law alone",
        fill(
            """The law over recorded samples, without a plant. It costs more than its share of the loop,
            because a replay reads all strips and pixels of every frame, while the plant says where they
            may differ from zero."""
        ),
        table(
            ("Recording", "ns per sample", "median"),
            [
                (t.info["name"], figure(_ns(t.least_s, t), ".1f"), figure(_ns(t.median_s, t), ".1f"))
                for t in timings
            ],
        ),
        _command(f"least and median of {timings[0].rounds} rounds"),
    ]


def _field_parts(timings: Sequence[Timing]) -> list[str]:
    rows = [
        (
            f"`{t.info['name']}`" if "(" not in t.info["name"] else t.info["name"],
            "yes" if t.info["raw"] else "no",
            t.info["spots"],
            t.info["spills"],
            figure(t.info["beam_on_s"], ".2f", "s"),
            figure(t.info["beam_on_s"] / t.info["loop_wall_s"], ".0f"),
            figure(t.info["beam_on_s"] / t.info["wall_s"], ".1f"),
            figure(t.info["beam_on_s"] / t.least_s, ".1f"),
        )
        for t in timings
    ]
    return [
        "## Whole fields",
        fill(
            """Seconds of beam per second of computing: of the loop alone; of the delivery with its spill
            files, log and DICOM record; and of all of it with the report, most of which are pictures,
            some for every layer. The loop also runs 20 ms before each spill and half a millisecond after
            it, which are not counted as beam. With raw samples, the delivery is mostly the compression of
            the spill files."""
        ),
        table(
            ("Field", "raw", "spots", "spills", "beam on", "loop", "delivery", "with report"),
            rows,
        ),
        _command("best of 5 deliveries of the examples, of 1 or 2 of the others"),
    ]


def _path_parts(timings: Sequence[Timing]) -> list[str]:
    rows = [
        (
            t.info["spots"],
            figure(1e3 * t.least_s, ".1f", "ms"),
            figure(1e3 * t.median_s, ".1f", "ms"),
            figure(1e6 * t.least_s / t.info["spots"], ".0f", "µs"),
            *(figure(ms, ".1f", "ms") for ms in t.info["times_ms"].values()),
        )
        for t in timings
    ]
    return [
        "## The delivery path",
        fill(
            """What the search of the fastest order takes for a layer, a quarter of the points of a grid of
            2 mm at random; and how long the magnets then move, against other orders. How good the paths are
            is in [Verification of the delivery path](verification-paths.md)."""
        ),
        table(
            (
                "Spots",
                "search",
                "median",
                "per spot",
                "moves: rows, one way",
                "raster",
                "nearest neighbour",
                "ours",
            ),
            rows,
        ),
        _command(f"least and median of {timings[0].rounds if timings else 0} rounds"),
    ]


def _transport_parts(timings: Sequence[Timing]) -> list[str]:
    rows = []
    for timing in (t for t in timings if t.info["threads"] == 1):
        two = next(t for t in timings if t.info["threads"] == 2 and t.info["name"] == timing.info["name"])
        rows.append(
            (
                timing.info["name"],
                figure(1e6 * timing.least_s / timing.info["primaries"], ".1f"),
                figure(_rate(timing, timing.least_s), ".0f"),
                figure(_rate(timing, timing.median_s), ".0f"),
                figure(_rate(two, two.least_s), ".0f"),
                figure(timing.least_s / two.least_s, ".2f"),
            )
        )
    return [
        "## Monte Carlo transport",
        fill(
            """Primaries in water with all their charged secondaries, as for a beam library: 300 depth bins,
            rings and spectra are scored."""
        ),
        table(("Beam", "µs per primary", "per second, 1 core", "median", "2 threads", "1 / 2"), rows),
        _command(f"least and median of {timings[0].rounds if timings else 0} rounds"),
    ]


def _gamma_parts(timings: Sequence[Timing]) -> list[str]:
    rows = []
    for name in dict.fromkeys(t.info["name"] for t in timings):
        by = {(t.info["by"], t.info["threads"]): t for t in timings if t.info["name"] == name}
        one, two, other = (by.get(key) for key in (("Spotline", 1), ("Spotline", 2), ("pymedphys", 1)))
        if one is None or two is None:
            continue
        rows.append(
            (
                name,
                f"{one.info['points']}",
                f"{1e3 * one.least_s:.0f} ms",
                f"{1e3 * two.least_s:.0f} ms",
                f"{1e3 * two.median_s:.0f} ms",
                f"{1e6 * one.least_s / one.info['points']:.2f}",
                "not installed" if other is None else f"{other.least_s:.1f} s",
                "-" if other is None else f"{other.least_s / two.least_s:.0f}",
            )
        )
    return [
        "## Gamma",
        fill(
            """Two doses of 100 x 100 x 100 voxels of 2 mm, 3 %/2 mm, cut-off 10 %. pymedphys is timed if it
            is installed; *factor* is its time over ours with two threads. Whether the results agree is in
            [Verification: gamma](verification-gamma.md)."""
        ),
        table(
            (
                "Dose",
                "points",
                "1 thread",
                "2 threads",
                "median",
                "µs per point, 1 thread",
                "pymedphys",
                "factor",
            ),
            rows,
        ),
        _command("least and median of 5 rounds; pymedphys of one"),
    ]


def _dose_parts(timings: Sequence[Timing]) -> list[str]:
    rows = [
        (
            t.info["name"],
            f"{t.info['spots']}",
            f"{t.info['spacing_mm']:g}",
            f"{t.info['voxels']}",
            f"{t.info['threads']}",
            f"{1e3 * t.least_s:.0f}",
            f"{1e3 * t.median_s:.0f}",
        )
        for t in sorted(timings, key=lambda t: (t.info["name"], t.info["spots"], -t.info["spacing_mm"]))
    ]
    return [
        "## Dose",
        fill(
            """Protons of 44 energies in a cube of water of 22 cm, spots in squares of 10 cm: the size of the
            RayStation plan of the reference data. *plan* is everything from the spots to the dose: rays,
            tables, maps and voxels. *slice* is one more layer on a grid whose rays are known, as in the
            pause between two spills. Between rows with the same voxels, or the same spots, the time grows
            with what is added; tables and maps of a layer are the rest."""
        ),
        table(("What", "spots", "grid (mm)", "voxels", "threads", "ms", "median"), rows),
        *([_ratios(timings)] if timings else []),
        _command("least and median of 5 rounds, 20 for a slice"),
    ]


def _peer_parts(timings: Sequence[Timing]) -> list[str]:
    by = {(t.info["by"], t.info["threads"]): t for t in timings}
    one, two, other = (by.get(key) for key in (("Spotline", 1), ("Spotline", 2), ("pyRadPlan", 1)))
    if one is None or two is None:
        return []
    row = (
        f"{one.info['spots']}",
        f"{one.info['voxels']}",
        f"{1e3 * one.least_s:.0f} ms",
        f"{1e3 * two.least_s:.0f} ms",
        "not installed" if other is None else f"{other.least_s:.1f} s",
        "-" if other is None else f"{other.least_s / two.least_s:.0f}",
    )
    return [
        fill(
            """The same spots, voxels and base data by pyRadPlan, with its fastest lateral model, if it is
            installed; *factor* is its time over ours with two threads. More is in [Verification:
            pyRadPlan](verification-peers.md)."""
        ),
        table(("spots", "voxels", "1 thread", "2 threads", "pyRadPlan", "factor"), [row]),
        _command("least of 5 rounds; pyRadPlan of one"),
    ]


def _ratios(timings: Sequence[Timing]) -> str:
    """What twice as much costs: linear in spots and in voxels means constant increments."""
    of_plan = {
        (t.info["spots"], t.info["spacing_mm"]): t
        for t in timings
        if t.info["name"] == "plan" and t.info["threads"] == 2
    }
    said = []
    some, more = (of_plan.get((spots, 2.5)) for spots in (17600, 70400))
    if some is not None and more is not None:
        added = 1e6 * (more.least_s - some.least_s) / (more.info["spots"] - some.info["spots"])
        said.append(f"{added:.0f} µs for each spot more")
    ladder = [of_plan[key] for key in ((17600, 4.0), (17600, 2.5), (17600, 2.0)) if key in of_plan]
    for low, high in pairwise(ladder):
        voxels = high.info["voxels"] - low.info["voxels"]
        added = 1e9 * (high.least_s - low.least_s) / voxels / 44
        said.append(
            f"{added:.0f} ns for each voxel and layer more from {low.info['spacing_mm']:g} to "
            f"{high.info['spacing_mm']:g} mm"
        )
    return f"Increments: {'; '.join(said)}."


def _start_parts(starts: Starts, memory: Memory) -> list[str]:
    rows = [
        ("`spotline --help`", _least_and_median(starts.help_s)),
        ("compilation of the loop, empty cache", f"{starts.compile_s:.1f} s"),
        ("first delivery of `uniform_carbon_60mm` after installation", f"{starts.first_s:.1f} s"),
        ("later ones, report included", _least_and_median(starts.later_s)),
        ("start of a later one, to the first block of samples", _least_and_median(starts.start_s)),
        (
            f"delivery of {memory.spots} spots in {memory.layers} layers, report included",
            f"{memory.wall_s:.1f} s",
        ),
    ]
    return [
        "## Start, compilation, memory",
        "Each in a process of its own, from its start to its end.",
        table(("What", "time"), rows),
        _command(f"{len(starts.start_s)} runs, {len(starts.help_s)} of `--help`"),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, then print or write the page."""
    parser = page_parser("scripts/benchmark", __doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="how often processes are started (3)")
    parser.add_argument(
        "--against", metavar="REVISION", help="time this version against an older one instead, in turns"
    )
    parser.add_argument("--rounds", type=int, default=10, help="of each case, with --against (10)")
    asked = parser.parse_args(arguments)
    if asked.against is not None:
        return compare(asked.against, asked.rounds, asked.write)
    timings = run_pytest()
    say("starting processes ...")
    starts = measure_starts(asked.repeats)
    say("measuring memory ...")
    memory = measure_memory()
    put_page(page(timings, starts, memory), asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
