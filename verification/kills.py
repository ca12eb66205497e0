"""Kill deliveries at random moments, resume them, and check that nothing is lost and nothing is given twice.

::

    python -m verification.kills --write docs/reference/verification-kills.md

Each run delivers the shipped proton plan in a process of its own, kills that at a random moment with SIGKILL
and resumes the delivery.  A pipe, which survives the process, has what was confirmed.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import spotline
from spotline.delivery.unconfirmed import largest_unconfirmed_counts
from spotline.measurement import Limits
from spotline.treatment.counts import convert_counts
from tests.delivery.killing import deliver_and_kill, stage_of, violations
from verification.figures import judge, noted, table
from verification.page import circumstances, fill, page_parser, put_page, say

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / "examples" / "three_layers_proton.dcm"
SEED = 4


@dataclass(slots=True)
class Tally:
    """What came of all runs."""

    stages: Counter[str] = field(default_factory=Counter)
    assumed: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    violations: list[str] = field(default_factory=list)
    confirmed: int = 0
    limit: int = 0
    wall_s: float = 0.0


def campaign(runs: int) -> Tally:
    """Kill and resume so many deliveries."""
    treatment = spotline.prepare(spotline.read_plan(PLAN), spotline.load_beamline("cnao-h"))
    chance, tally, began = np.random.default_rng(SEED), Tally(), time.perf_counter()
    prepared = convert_counts(treatment.fields[0], (1.0, 1.0), treatment.beamline)
    facts = treatment.beamline.facts
    tally.limit = max(largest_unconfirmed_counts(facts, prepared.beam, s) for s in prepared.slices)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spotline.deliver(treatment, folder / "compiled", documents=False)
        whole_s = 0.0
        for run in range(runs):
            if run % 50 == 0:
                say(f"{run} of {runs}")
                # Anew, since the machine may have become quieter, and all would be killed after their end.
                start = time.perf_counter()
                spotline.deliver(treatment, folder / f"timed-{run}", documents=False)
                whole_s = time.perf_counter() - start
            out = folder / str(run)
            # Longer than a delivery, so that its very end is hit too.
            witnessed = deliver_and_kill(treatment, out, run, chance.uniform(0.0, 1.2 * whole_s))
            stage = stage_of(out)
            tally.stages[stage] += 1
            tally.confirmed += witnessed is not None
            if stage == "before anything was begun":
                tally.violations += [f"run {run}: something was confirmed"] * (witnessed is not None)
            else:
                record = spotline.resume(out, operator="campaign", reason="killed", documents=False)
                tally.violations += [f"run {run}: {what}" for what in violations(record, witnessed)]
                tally.assumed[stage].append(record.summary["assumed"]["int1_counts"])
            shutil.rmtree(out, ignore_errors=True)
    tally.wall_s = time.perf_counter() - began
    return tally


def page(tally: Tally) -> list[str]:
    """The page of the results."""
    runs = tally.stages.total()
    rows = [
        (stage, count, max(tally.assumed[stage], default=0), sum(map(bool, tally.assumed[stage])))
        for stage, count in tally.stages.most_common()
    ]
    return [
        "# Verification: deliveries that were killed",
        fill(
            f"{runs} deliveries of `{PLAN.name}` on cnao-h were killed (SIGKILL) at random moments from the "
            "start to some time after the end, and resumed to the end. What was confirmed before the kill "
            "was told to another process as well."
        ),
        table(("killed", "deliveries", "most counts assumed", "deliveries with assumed counts"), rows),
        fill(
            f"Most counts that may be assumed in a slice of this plan (*U*): {tally.limit} of INT1. "
            f"Deliveries with something confirmed before they were killed: {tally.confirmed}."
        ),
        noted(
            fill(
                f"**Violations: {len(tally.violations)}.** Checked: every delivery is complete in the end; "
                "no confirmed count is missing; what was measured and what is assumed make up the "
                "prescription of every spot; no spot is assumed to have more than its prescription."
            ),
            violations=judge(len(tally.violations), Limits(high=0.0)),
        ),
        *([f"* {what}" for what in tally.violations[:20]]),
        f"<sub>`python -m verification.kills --runs {runs}`, {tally.wall_s:.0f} s; {circumstances()}</sub>",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, resume, and print or write the page."""
    parser = page_parser("python -m verification.kills", __doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="deliveries to kill (1000)")
    asked = parser.parse_args(arguments)
    tally = campaign(asked.runs)
    put_page(page(tally), asked.write)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
