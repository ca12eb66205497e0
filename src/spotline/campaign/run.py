"""Run a campaign, and write what it found."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from spotline.campaign.headers import CampaignFile, FixedFault, Provenance
from spotline.campaign.kept import SUMMARY, TABLE, KeptRows
from spotline.campaign.one import run_one
from spotline.campaign.row import Row, table_of
from spotline.campaign.setting import ALL, LARGEST_SEED, Setting, choose
from spotline.campaign.summary import summary_of
from spotline.campaign.workers import rows_of
from spotline.delivery.session import versions
from spotline.errors import OptionError, OutputError
from spotline.files import write_json
from spotline.hdf5 import keys_of, typed
from spotline.machine.true_line import true_line_of
from spotline.treatment.treatment import Treatment

if TYPE_CHECKING:
    from spotline.sim.faults import Fault

DELIVERY = "delivery"

Progress = Callable[[int, int, int], None]
"""Told how many runs are made, of how many, and how many violate an invariant."""


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """A campaign that was run.

    Attributes
    ----------
    runs : pyarrow.Table
        One row per run, columns `spotline.campaign.row.COLUMNS`, sorted by run.
    summary : dict
        Content of ``campaign.json``.
    path : Path or None
        Folder that it was written to.
    """

    runs: pa.Table
    summary: dict[str, Any]
    path: Path | None

    @property
    def has_violations(self) -> bool:
        """Whether any invariant was violated in any run."""
        return any(self.outcome.violations.values())

    @property
    def outcome(self) -> CampaignFile:
        """What came out: `summary` with types."""
        return typed(CampaignFile, self.summary)


def run_campaign(
    treatment: Treatment,
    out: str | Path | None = None,
    *,
    runs: int = 100,
    faults: str | Path | Sequence[Fault] = ALL,
    pairs: bool = False,
    seed: int = 0,
    workers: int = 1,
    scheduler: str | None = None,
    run: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Campaign:
    """Deliver a treatment many times while something fails, and judge every delivery with the truth.

    Parameters
    ----------
    treatment : Treatment
        From `spotline.prepare`, for a beam line with a ``simulation`` table.
    out : str or Path, optional
        Folder for table and summary; it must not exist yet, or be empty.  By default nothing is
        written.
    runs : int
        How many deliveries.
    faults : str, Path or sequence of Fault
        ``"all"``: every kind of fault that the line can have in turn; ``"none"``; names of kinds with commas
        between them; or the same faults in every run, as a TOML file or as objects.
    pairs : bool
        Let two faults strike in each run, with at most one detection channel dead.
    seed : int
        Run k depends on treatment, faults, seed and k, and on nothing else.
    workers : int
        Processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler: its workers make the runs instead.
    run : int, optional
        Make this run only, and keep what it delivered in the folder ``delivery``.
    resume : bool
        Go on with the campaign in `out`, if there is one: its rows are kept, and the runs that it lacks made.
        What comes out is that of a campaign that was not interrupted, to the byte.
    progress : callable, optional
        Told how far the campaign is.

    Returns
    -------
    Campaign

    Raises
    ------
    BeamLineError
        If the line has no ``simulation`` table.
    OptionError
        If a choice cannot be had.
    OutputError
        If `out` is not free, holds another campaign than that which should go on, or cannot be written.
    """
    _check(runs, seed, workers, run)
    if resume and (out is None or run is not None):
        raise OptionError("resume: goes on with a campaign in a folder; name one, and no single run")
    kinds, fixed = choose(faults, treatment.beamline)
    if pairs and not kinds:
        raise OptionError("pairs: faults are drawn in pairs, so name kinds of faults, or all")
    true_line_of(treatment.beamline)  # without truth there is nothing to judge with
    setting = Setting(treatment, seed, kinds, fixed, pairs)
    folder = None if out is None else Path(out)
    kept = None if folder is None else KeptRows(folder, _provenance(setting), resume=resume)
    numbers = range(runs) if run is None else range(run, run + 1)
    rows: list[Row] = []
    if run is not None:
        rows.append(run_one(setting, run, keep=folder / DELIVERY if folder is not None else None))
    else:
        bad = 0
        with kept or nullcontext(), closing(_rows(setting, numbers, kept, workers, scheduler)) as coming:
            for row in coming:
                rows.append(row)
                bad += bool(row.violations)
                if progress is not None:
                    progress(len(rows), len(numbers), bad)
    rows.sort(key=lambda row: row.run)
    campaign = Campaign(table_of(rows), keys_of(summary_of(rows, _provenance(setting))), folder)
    if folder is not None and kept is not None:
        _write(campaign, folder)
        kept.done()
    return campaign


def _rows(
    setting: Setting, numbers: range, kept: KeptRows | None, workers: int, scheduler: str | None
) -> Generator[Row, None, None]:
    """Yield the rows that are there already, then those of the runs that are missing, as they come."""
    there = [row for row in kept.rows if row.run in numbers] if kept is not None else []
    yield from there
    made = {row.run for row in there}
    left = [number for number in numbers if number not in made]
    with closing(rows_of(setting, left, workers, scheduler)) as coming:
        for row in coming:
            if kept is not None:
                kept.add(row)
            yield row


def _check(runs: int, seed: int, workers: int, run: int | None) -> None:
    for name, value, least in (("runs", runs, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise OptionError(f"{name}: {value} is too few; give {least} or more")
    if seed > LARGEST_SEED:
        raise OptionError(f"seed: {seed} is too large; the largest is {LARGEST_SEED}")
    if run is not None and not 0 <= run < runs:
        raise OptionError(f"run: {run} is none of the runs 0 to {runs - 1}; name one of them")


def _provenance(setting: Setting) -> Provenance:
    """Everything that the runs depend on."""
    treatment = setting.treatment
    return Provenance(
        seed=setting.seed,
        plan=treatment.plan.path.name,
        plan_label=treatment.plan.label,
        plan_sha256=treatment.plan.sha256,
        beamline=treatment.beamline.name,
        beamline_version=treatment.beamline.facts.version,
        beamline_sha256=treatment.beamline.sha256,
        drawn_from=tuple(setting.kinds),
        fixed=tuple(
            FixedFault(
                kind=fault.kind,
                value=fault.value,
                spill=fault.spill,
                at_us=fault.at_us,
                duration_us=fault.duration_us,
            )
            for fault in setting.fixed
        ),
        pairs=setting.pairs,
        versions=versions(),
    )


def _write(campaign: Campaign, folder: Path) -> None:
    try:
        # Neither dates nor names of machines go into any of the files: the same campaign, the same bytes.
        pq.write_table(campaign.runs, folder / TABLE, compression="zstd")
        write_json(folder / SUMMARY, campaign.summary)
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise OutputError(
            f"{folder}: the campaign cannot be written ({reason}); make room or choose another folder"
        ) from error
