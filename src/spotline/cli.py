"""The command ``spotline``: thin verbs over the Python interface.

Heavy imports stay inside the verbs, so that ``spotline --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.validators import Number

if TYPE_CHECKING:
    from spotline.delivery.progress import Report

STATUS_DELIVERED = 0
STATUS_BAD_INPUT = 2
STATUS_INTERLOCK = 3

app = App(
    name="spotline",
    help="An open dose delivery system for scanned ion beams. Research software, not a medical device.",
    help_format="plaintext",  # Markdown would take longer to import than everything else
    version_flags=["--version"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


def main() -> None:
    """Run the command line and leave with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str
        Without the name of the program.

    Returns
    -------
    int
        Exit status: 0 done, 2 bad input, 3 stopped by an interlock.
    """
    from spotline.errors import SpotlineError

    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _fail(str(error).splitlines()[0].rstrip(".") + "; see spotline --help")
    except SpotlineError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("spotline: interrupted", file=sys.stderr)
        return 130
    return status if isinstance(status, int) else 0


def _fail(message: str) -> int:
    print(f"spotline: {' '.join(message.split())}", file=sys.stderr)
    return STATUS_BAD_INPUT


def _whole_number(_: object, tokens: Sequence[Token]) -> int:
    """Take whole numbers only: cyclopts would round 1.5 without a word."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


@app.command
def deliver(
    plan: Path,
    *,
    beamline: str,
    out: Path,
    field: Annotated[int | None, Parameter(converter=_whole_number)] = None,
    seed: Annotated[int, Parameter(converter=_whole_number, validator=Number(gte=0))] = 0,
    raw: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Deliver a treatment plan in a simulated room.

    Writes spill files, log, DICOM treatment record, summary and report.

    Exit status: 0 delivered whole, 2 bad input (nothing written), 3 stopped by an interlock.

    Parameters
    ----------
    plan
        DICOM RT Ion Plan, or TRiP98 raster-scan file (.rst).
    beamline
        Name of a shipped beam line (cnao-h, cnao-v), or path of the folder or TOML file of another.
    out
        Folder for the record; must not exist yet, or be empty.
    field
        Beam number of the only field to deliver.
    seed
        Seed of the simulated room.
    raw
        Keep every frame of every chamber.
    quiet
        Say nothing but errors.
    """
    import spotline

    treatment = spotline.prepare(spotline.read_plan(plan), spotline.load_beamline(beamline), field=field)
    if not quiet:
        for prepared in treatment.fields:
            for warning in prepared.warnings:
                print(f"spotline: field {prepared.field.number}: {warning}", file=sys.stderr)
    with _Bar(quiet) as show:
        record = spotline.deliver(treatment, out, seed=seed, raw=raw, progress=show)
    if not quiet:
        print(_in_words(record.summary, out))
    return STATUS_DELIVERED if record.summary["status"] == "complete" else STATUS_INTERLOCK


@app.command
def replay(record: Path, *, raw: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Run the control law again over the raw samples of a record, and compare every decision.

    Exit status: 0 all decisions are the same, 1 some are not, 2 bad input.

    Parameters
    ----------
    record
        Folder that was delivered to with --raw.
    raw
        Replay from the raw samples (which is the only way there is).
    """
    import spotline

    results = spotline.replay(record)
    for result in results:
        verdict = "; ".join(result.differences) or "same decisions"
        print(f"{result.path.relative_to(record)}: {result.samples} samples, {verdict}")
    return 1 if any(result.differences for result in results) else 0


@app.command
def beamlines() -> None:
    """List the shipped beam lines."""
    import spotline

    for name in spotline.shipped_beamlines():
        line = spotline.load_beamline(name)
        print(f"{name}: {line.facts.title} ({', '.join(line.ion_names)})")


class _Bar:
    """A progress bar on a terminal; nothing when quiet, or when the output goes elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Report | None:
        if not self._shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBar

        self._bar = RichBar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("spots, spill {task.fields[spill]}, left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bar.start()
        task = self._bar.add_task("preparing the fast loop (compiled on first use)", total=None, spill=0)

        def show(progress: object) -> None:
            from spotline.delivery.progress import Progress

            assert isinstance(progress, Progress)
            self._bar.update(
                task,
                description=(
                    f"field {progress.field}/{progress.n_fields}, layer {progress.slice}/{progress.n_slices} "
                    f"({progress.energy_MeV_u:g} MeV/u)"
                ),
                total=progress.n_spots,
                completed=progress.spots,
                spill=progress.spill,
            )

        return show

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._bar.stop()


def _in_words(summary: dict[str, Any], out: Path) -> str:
    """The summary in a few lines."""
    verdict = "delivered whole" if summary["status"] == "complete" else "STOPPED BY AN INTERLOCK"
    lines = [
        "{}: {spots_delivered} of {spots_planned} spots",
        "  {particles_delivered:.6g} of {particles_planned:.6g} particles",
        "  {spills} spills, {beam_on_s:.2f} s beam on, {treatment_s:.1f} s treatment; took {wall_s:.1f} s",
    ]
    if summary["fraction_spots_within_1_percent"] is not None:
        lines.append("  particles within 1 %: {fraction_spots_within_1_percent:.1%} of the spots")
    if summary["position_rms_mm"] is not None:
        lines.append("  position: {position_rms_mm:.2f} mm rms")
    said = [line.format(verdict, **summary) for line in lines]
    said += [f"  interlock: {_interlock_in_words(interlock)}" for interlock in summary["interlocks"]]
    return "\n".join([*said, f"  report: {out / 'report.html'}"])


def _interlock_in_words(interlock: dict[str, Any]) -> str:
    value = "not a number" if interlock["value"] is None else f"{interlock['value']:.6g}"
    return (
        f"{interlock['cause']} at {interlock['time_s']:.6f} s: {value}, limit {interlock['limit']:.6g} "
        f"{interlock['unit']} ({interlock['action']})"
    )
