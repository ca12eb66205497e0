"""Deliver without any fault, a thousand times, and count the interlocks: every one is a false one.

::

    python -m verification.false_trips --write docs/reference/verification-false-trips.md

Fields are those of the shipped examples and of the plans of other planning systems, each on a line that
suits it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import spotline
from spotline.control.interlocks import CAUSES
from verification.durations import Case, Runner
from verification.figures import figure, held, noted, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.runs import EXAMPLES, Delivered, Job, Workers, deliver

LARGE_SHARE = 0.08
"""Part of the deliveries that goes to the plans of others: they take ten times as long."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a delivery without a fault came to."""

    spots: int
    beam_on_s: float
    interlocks: tuple[str, ...]
    whole: bool


def _outcome(job: Job) -> Outcome:
    found: Delivered = deliver(job)
    record = found.record
    return Outcome(
        spots=int(record.spots["complete"].sum()),
        beam_on_s=float(record.spills["beam_on_us"].sum()) * 1e-6,
        interlocks=tuple(CAUSES[int(cause)].name for cause in record.interlocks["cause"]),
        whole=record.header["status"] == "complete",
    )


def cases(folder: Path) -> tuple[list[Case], list[Case]]:
    """Fields of the shipped examples, and those of the plans of others."""
    shipped = []
    for path in sorted(EXAMPLES.glob("*.dcm")):
        machine = spotline.read_plan(path).fields[0].machine
        shipped.append(Case(f"`examples/{path.name}`", machine, Job(str(path), line=machine)))
    others = [case for case in Runner(0, folder).cases() if "examples/" not in case.name]
    return shipped, others


def check(runs: int, workers: Workers, folder: Path) -> tuple[list[tuple[object, ...]], bool, int]:
    """Deliver about `runs` times; rows of the table, whether no interlock came, and deliveries."""
    shipped, others = cases(folder)
    share = LARGE_SHARE if others else 0.0
    rows: list[tuple[object, ...]] = []
    total, clean = 0, True
    for group, wanted in ((shipped, runs * (1.0 - share)), (others, runs * share)):
        for case in group:
            each = -int(-wanted // len(group))
            say(f"{case.name} on {case.line}, {each} times")
            outcomes = list(workers.map(_outcome, [replace(case.job, seed=seed) for seed in range(each)]))
            rows.append(_row(case, outcomes))
            total += each
            clean &= all(not outcome.interlocks and outcome.whole for outcome in outcomes)
    return rows, clean, total


def _row(case: Case, outcomes: Sequence[Outcome]) -> tuple[object, ...]:
    causes = Counter(name for outcome in outcomes for name in outcome.interlocks)
    return (
        case.name,
        case.line,
        len(outcomes),
        sum(outcome.spots for outcome in outcomes),
        figure(sum(outcome.beam_on_s for outcome in outcomes), ".0f"),
        sum(causes.values()),
        ", ".join(f"{n} {name}" for name, n in causes.items()) or "none",
        sum(outcome.whole for outcome in outcomes),
    )


def main(arguments: list[str] | None = None) -> int:
    """Deliver, and print or write the page."""
    parser = page_parser("python -m verification.false_trips", __doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="deliveries in all, at least (1000)")
    parser.add_argument("--jobs", type=int, default=2, help="processes that work side by side (2)")
    asked = parser.parse_args(arguments)
    start = time.perf_counter()
    workers = Workers(asked.jobs)
    with tempfile.TemporaryDirectory() as folder:
        rows, clean, total = check(asked.runs, workers, Path(folder))
    workers.close()
    put_page(page(rows, clean, total, time.perf_counter() - start), asked.write)
    return 0 if clean else 1


def page(rows: Sequence[tuple[object, ...]], clean: bool, total: int, wall_s: float) -> list[str]:
    """Put the page together."""
    return [
        "# Verification that nothing trips without a reason",
        fill(
            f"""{total} deliveries without any fault, with the imperfections that the lines have. Every
            interlock is a false one. Plans of other planning systems are not part of the repository; their
            line `trip` is that of `tests/lines`. `python -m verification.false_trips --write
            docs/reference/verification-false-trips.md` makes this page in
            {max(1, round(wall_s / 60))} min. Made on {circumstances()}."""
        ),
        table(
            (
                "Field",
                "line",
                "deliveries",
                "spots",
                "beam on (s)",
                "interlocks",
                "which",
                "delivered whole",
            ),
            rows,
        ),
        fill(
            f"""No interlock in {total} deliveries means, with 95 % confidence, at most
            {300 / total:.1f} in a hundred of them."""
        )
        if clean
        else "",
        noted(f"Verdict: {held(clean)}.", verdict=held(clean)),
    ]


if __name__ == "__main__":
    sys.exit(main())
