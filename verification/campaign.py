"""Run the documented campaign: thousands of deliveries with faults, and the page that tells of them.

    python -m verification.campaign --singles 7000 --pairs 3000 --workers 2 --out campaign
    python -m verification.campaign --out campaign --write docs/reference/verification-campaign.md

The first makes the runs, the second a page of them (both can be asked for at once).  Runs that are made
already in the folder are not made again.  ``--other-seeds 2 3 --each 2000`` adds so many runs of each of
these seeds, a quarter of them pairs, to the tables of all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

import spotline
from spotline.campaign.headers import CampaignFile
from spotline.campaign.invariants import INVARIANTS
from spotline.campaign.kept import SUMMARY, TABLE
from spotline.campaign.row import Row, rows_in
from spotline.campaign.summary import name_of
from spotline.files import read_json
from spotline.hdf5 import typed
from spotline.measurement import Limits
from verification.figures import Figure, figure, percent, power, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.runs import EXAMPLES

PLAN = "two_layers_carbon.dcm"
SEED = 1


def main(arguments: list[str]) -> int:
    """Make the runs that are missing, and write the page."""
    parser = page_parser("python -m verification.campaign", (__doc__ or "").splitlines()[0])
    parser.add_argument("--singles", type=int, default=7000, help="runs with one fault")
    parser.add_argument("--pairs", type=int, default=3000, help="runs with two")
    parser.add_argument("--faultless", type=int, default=1000, help="runs without")
    parser.add_argument("--other-seeds", type=int, nargs="+", default=[], help="more runs, with these seeds")
    parser.add_argument("--each", type=int, default=2000, help="so many of each of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and reports")
    options = parser.parse_args(arguments)
    treatment = spotline.prepare(spotline.read_plan(EXAMPLES / PLAN), spotline.load_beamline("cnao-h"))
    found = {}
    wanted = [("faultless", options.faultless, SEED), ("singles", options.singles, SEED)]
    wanted += [("pairs", options.pairs, SEED)]
    for seed in options.other_seeds:
        pairs = options.each // 4
        wanted += [
            (f"singles, seed {seed}", options.each - pairs, seed),
            (f"pairs, seed {seed}", pairs, seed),
        ]
    for name, runs, seed in wanted:
        folder = options.out / name.replace(", seed ", "-")
        if not (folder / SUMMARY).exists():
            began, again = time.perf_counter(), folder.exists()
            spotline.run_campaign(
                treatment,
                folder,
                runs=runs,
                faults="none" if name == "faultless" else "all",
                pairs=name.startswith("pairs"),
                seed=seed,
                workers=options.workers,
                scheduler=options.scheduler,
                resume=again,
                progress=_tell,
            )
            # What an interrupted campaign took before is not known.
            wall_s = None if again else time.perf_counter() - began
            (folder / "took.json").write_text(json.dumps({"wall_s": wall_s, "workers": options.workers}))
        found[name] = typed(CampaignFile, read_json(folder / SUMMARY))
    put_page(page_of(found, options.out), options.write)
    return 1 if any(any(one.violations.values()) for one in found.values()) else 0


def _tell(done: int, total: int, bad: int) -> None:
    if done % 100 == 0 or done == total:
        say(f"{done} of {total} runs, {bad} with violations")


def page_of(found: dict[str, CampaignFile], out: Path) -> list[str]:
    """The page: totals, invariants, and what found each kind of fault."""
    singles = found["singles"]
    return [
        "# Verification of the safety: a campaign of faults",
        fill(
            f"""{sum(one.runs for one in found.values())} deliveries of `examples/{PLAN}` on
            `cnao-h`, seed {SEED} where none is named: without faults, with one, and with two at a time. What
            is judged, with which bounds, is in [the reference](campaign.md). {circumstances()}."""
        ),
        _totals(found, out),
        "## Invariants",
        _violations(found),
        *_violating(found),
        "## Single faults",
        fill(
            """What found each kind of fault first, after how long, and how many particles the spot nearest
            to its bound got too many. *Unseen* are runs in which the fault struck and no interlock came; the
            most particles too many in any of them stand beside. Times in us, from the begin of the fault:
            many kinds show only with the next spill, or with the next reading of the slow control."""
        ),
        _kinds(singles),
        "## What goes unseen",
        fill(
            """Runs in which a fault struck and no interlock came. Unless an invariant is violated above, none
            of them gave too many particles; what they did all the same is in this table: particles of spots
            that were more than 2 mm off, and how far off. A wrong energy on the axis changes the depth, which
            nothing in the nozzle sees, and the particles by the ratio of the stopping powers, which is part
            of its bound."""
        ),
        _unseen(rows_in(pq.read_table(out / "singles" / TABLE))),
    ]


def _totals(found: dict[str, CampaignFile], out: Path) -> str:
    rows = []
    for name, one in found.items():
        took = json.loads((out / name.replace(", seed ", "-") / "took.json").read_text(encoding="utf-8"))
        excess, off = one.worst_excess, one.worst_beam_off
        rows.append(
            (
                name,
                one.runs,
                one.faults,
                one.detections,
                "-" if excess is None else _of_bound(excess.value, excess.bound, power),
                "-" if off is None else _of_bound(off.value, off.bound, "{:.0f}".format, "us"),
                "-" if took["wall_s"] is None else f"{took['wall_s'] * took['workers'] / one.runs:.2f}",
            )
        )
    heads = ("Campaign", "runs", "fault struck", "interlock", "most particles too many, of bound",
             "longest beam-off delay, of bound (us)", "core-seconds per run")  # fmt: skip
    return table(heads, rows)


def _violations(found: dict[str, CampaignFile]) -> str:
    rows = [
        (
            i.name.replace("_", " "),
            i.condition,
            *(_violated(one.violations[i.name]) for one in found.values()),
        )
        for i in INVARIANTS
    ]
    return table(("Invariant", "what must hold", *(f"violated, {name}" for name in found)), rows, keys=1)


def _violating(found: dict[str, CampaignFile]) -> list[str]:
    rows = [
        (name, row.run, ", ".join(row.invariants), row.remarks)
        for name, one in found.items()
        for row in one.violating_runs[:50]
    ]
    return [table(("Campaign", "run", "invariant", "what did not hold"), rows, keys=4)] if rows else []


def _violated(times: int) -> Figure:
    return Figure(str(times), times, tolerance=Limits(high=0.0))


def _of_bound(value: float, bound: float, write: Callable[[float], str], unit: str = "") -> Figure:
    return Figure(f"{write(value)} of {write(bound)}", value, unit, tolerance=Limits(high=bound))


def _kinds(found: CampaignFile) -> str:
    rows = []
    for name, kind in found.kinds.items():
        by = ", ".join(f"{cause} {n}" for cause, n in kind.by.items()) or "-"
        delay, excess, unseen = kind.detection_us, kind.worst_excess, kind.worst_excess_undetected
        rows.append(
            (
                f"`{name}`",
                kind.struck,
                by,
                "-" if delay.median is None else figure(delay.median, ".0f"),
                "-" if delay.largest is None else delay.largest,
                "-" if kind.worst_beam_off is None else kind.worst_beam_off.value,
                "-" if excess is None else _of_bound(excess.value, excess.bound, power),
                kind.struck - kind.detected,
                "-" if unseen is None else power(unseen.value),
            )
        )
    heads = ("Fault", "struck", "first interlock", "median after (us)", "longest (us)",
             "beam off at most (us)", "too many, of bound", "unseen", "too many then")  # fmt: skip
    return table(heads, rows)


def _unseen(runs: list[Row]) -> str:
    kinds: dict[str, list[Row]] = {}
    for row in runs:
        if row.struck and not row.detected_by:
            kinds.setdefault(name_of(row), []).append(row)
    rows = [
        (
            f"`{name}`",
            len(some),
            percent(max(row.excess / row.prescribed for row in some)),
            percent(sum(row.misplaced > 0 for row in some) / len(some)),
            power(max(row.misplaced for row in some)),
            figure(max(row.displacement_mm for row in some), ".1f"),
        )
        for name, some in sorted(kinds.items())
    ]
    heads = ("Fault", "unseen", "most too many, of the spot", "runs with misplaced particles",
             "most misplaced", "furthest (mm)")  # fmt: skip
    return table(heads, rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
