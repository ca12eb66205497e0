"""The verb ``campaign``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from spotline.faces.cli.bars import campaign_bar
from spotline.faces.cli.common import (
    STATUS_DIFFERENT,
    STATUS_DONE,
    Seed,
    Switch,
    Tolerant,
    WholeNumber,
    WithPage,
)
from spotline.faces.cli.treatment import treatment_to_deliver

if TYPE_CHECKING:
    from spotline.campaign import Campaign
    from spotline.campaign.headers import Worst

REPORT = "report.html"


def campaign(
    plan: Path,
    *,
    out: Path,
    beamline: str | None = None,
    runs: WholeNumber = 100,
    faults: str = "all",
    pairs: Switch = False,
    seed: Seed = 0,
    workers: WholeNumber = 1,
    scheduler: str | None = None,
    run: WholeNumber | None = None,
    field: WholeNumber | None = None,
    resume: Switch = False,
    report: WithPage = True,
    tolerant: Tolerant = False,
    quiet: Switch = False,
) -> int:
    """Deliver a plan many times while something fails, and hold every delivery against the truth.

    Writes a table of the runs (runs.parquet), what they show (campaign.json) and a report.  Runs that are
    done are kept if it is interrupted.

    Exit status: 0 all invariants held in every run, 1 some did not, 2 bad input.

    Parameters
    ----------
    plan
        DICOM RT Ion Plan, or TRiP98 raster-scan file (.rst); or a folder that `spotline prepare` wrote.
    out
        Folder for table and report; must not exist yet, or be empty.
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
        A prepared treatment knows the name of its own.
    runs
        How many deliveries.
    faults
        all: every kind of fault in turn; none; names of kinds with commas between them; or a TOML file with
        the faults of every run.
    pairs
        Let two faults strike in each run, with at most one detection channel dead.
    seed
        Run k depends on plan, beam line, faults, seed and k, and on nothing else.
    workers
        Processes on this machine.
    scheduler
        Address of a Dask scheduler, as in tcp://host:8786: its workers make the runs instead.
    run
        Make only this run of the campaign, from 0, and keep what it delivered.
    field
        Beam number of the only field to deliver.
    resume
        Go on with the campaign in the folder, if there is one, from the runs that it has.
    report
        Write report.html; without, one that is there is left as it is.
    quiet
        Say nothing but errors.
    """
    import spotline
    from spotline.campaign.kept import ROWS
    from spotline.campaign.row import rows_in
    from spotline.faces.report.campaign_page import write_campaign_page

    treatment = treatment_to_deliver(plan, beamline, field, quiet, tolerant=tolerant)
    began = time.perf_counter()
    try:
        with campaign_bar(quiet) as show:
            made = spotline.run_campaign(
                treatment,
                out,
                runs=runs,
                faults=faults,
                pairs=pairs,
                seed=seed,
                workers=workers,
                scheduler=scheduler,
                run=run,
                resume=resume,
                progress=show,
            )
    except KeyboardInterrupt:
        if (out / ROWS).exists():
            print(f"spotline: the runs that are done stay in {out}; go on with --resume", file=sys.stderr)
        raise
    try:
        if report:
            write_campaign_page(made.outcome, rows_in(made.runs), out / REPORT)
    except (spotline.OutputError, OSError) as error:  # the runs are made, and their results are written
        print(f"spotline: {error}; the results of the campaign are whole without it", file=sys.stderr)
    if not quiet:
        print(_in_words(made, out, time.perf_counter() - began))
    return STATUS_DIFFERENT if made.has_violations else STATUS_DONE


def _in_words(made: Campaign, out: Path, wall_s: float) -> str:
    """The summary in a few lines."""
    from spotline.wording import several

    found = made.outcome
    outcomes = ", ".join(f"{n} {name}" for name, n in found.outcomes.items())
    lines = [
        f"{several(found.runs, 'run')} in {wall_s:.0f} s: {outcomes}",
        f"  a fault struck in {found.faults}; an interlock came in {found.detections} of them",
    ]
    for key, text, unit in (
        ("worst_excess", "most particles too many in a spot", "particles"),
        ("worst_excess_field", "in a field", "particles"),
        ("worst_beam_off", "longest way to beam off", "us"),
    ):
        worst: Worst | None = getattr(found, key)
        if worst is not None:
            lines.append(f"  {text}: {worst.value:.6g} {unit}, bound {worst.bound:.6g} (run {worst.run})")
    for failure in found.failures[:5]:
        lines.append(
            f"  FAILED in {several(failure.runs, 'run')}: {failure.error} (again: --run {failure.first})"
        )
    bad = {name: n for name, n in found.violations.items() if n}
    if bad:
        lines.append("  VIOLATED: " + ", ".join(f"{name} in {several(n, 'run')}" for name, n in bad.items()))
        lines += [f"    run {row.run}: {row.remarks}" for row in found.violating_runs[:10]]
        if len(found.violating_runs) > 10:
            lines.append(f"    and {len(found.violating_runs) - 10} more in campaign.json")
    else:
        lines.append("  all invariants held")
    page = out / REPORT
    return "\n".join([*lines, f"  report: {page}"] if page.exists() else lines)
