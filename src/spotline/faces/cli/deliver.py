"""The verbs ``deliver`` and ``replay``."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from spotline.faces.cli.bars import delivery_bar
from spotline.faces.cli.common import (
    STATUS_DIFFERENT,
    STATUS_DONE,
    STATUS_INTERLOCK,
    Count,
    Seed,
    Switch,
    Tolerant,
    WholeNumber,
    WithPage,
)
from spotline.faces.cli.course import opened
from spotline.faces.cli.treatment import treatment_to_deliver

if TYPE_CHECKING:
    from spotline.delivery import Delivery, DeliveryOptions
    from spotline.record import Record
    from spotline.record.summary_file import InterlockFigures, SummaryFile

REPORT = "report.html"

VERDICTS = {
    "complete": "delivered whole",
    "interlock": "STOPPED BY AN INTERLOCK",
    "interrupted": "INTERRUPTED",
}


@Parameter(name="*")
@dataclass(frozen=True)
class Giving:
    """Who gives what of a course.

    Parameters
    ----------
    operator
        Who delivers; for the record.
    fraction
        Number of the fraction, for the record; in a course it must be the one that is due.
    course
        Folder of the course that this is a part of (spotline course): what was given is not given twice.
    again
        Why something is given in the course that was given already.
    """

    operator: str = ""
    fraction: Count | None = None
    course: Path | None = None
    again: str = ""

    def options(self) -> DeliveryOptions:
        """Open the course."""
        import spotline

        return spotline.DeliveryOptions(
            takes_orders=False,
            operator=self.operator,
            fraction=self.fraction,
            course=None if self.course is None else opened(self.course),
            again=self.again,
        )


GIVEN_BY_NOBODY = Giving()


@Parameter(name="*")
@dataclass(frozen=True)
class SimulatedIn:
    """The simulated room.

    Parameters
    ----------
    seed
        Seed of the simulated room.
    raw
        Keep every frame of every chamber.
    fault
        TOML file of what fails in the simulated room, and when.
    """

    seed: Seed = 0
    raw: Switch = False
    fault: Path | None = None


USUAL_ROOM = SimulatedIn()


def deliver(
    plan: Path,
    *,
    out: Path,
    beamline: str | None = None,
    field: WholeNumber | None = None,
    tolerant: Tolerant = False,
    quiet: Switch = False,
    report: WithPage = True,
    room: SimulatedIn = USUAL_ROOM,
    giving: Giving = GIVEN_BY_NOBODY,
) -> int:
    """Deliver a treatment plan in a simulated room.

    Writes spill files, log, DICOM treatment record, summary and report.

    Exit status: 0 delivered whole, 2 bad input (nothing delivered), 3 stopped by an interlock, or not known
    to be whole.  What cannot be written of a delivery is a warning and changes no status.

    Parameters
    ----------
    plan
        DICOM RT Ion Plan, or TRiP98 raster-scan file (.rst); or a folder that `spotline prepare` wrote.
    out
        Folder for the record; must not exist yet, or be empty.
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
        A prepared treatment knows the name of its own.
    field
        Beam number of the only field to deliver.
    quiet
        Say nothing but errors.
    report
        Write report.html, which takes a part of the time.
    """
    began = time.perf_counter()
    import spotline
    from spotline.sim.faults import SimulatedCrash

    faults = spotline.read_faults(room.fault) if room.fault is not None else ()
    treatment = treatment_to_deliver(plan, beamline, field, quiet, tolerant=tolerant)
    if not quiet:
        for prepared in treatment.fields:
            for warning in prepared.warnings:
                print(f"spotline: field {prepared.field.number}: {warning}", file=sys.stderr)
    try:
        delivery = spotline.Delivery(
            treatment, out, seed=room.seed, raw=room.raw, faults=faults, options=giving.options()
        )
        record = run_shown(delivery, quiet)
    except BeamGivenError as error:
        return failed_with_beam(error, out)
    except SimulatedCrash as crash:
        print(f"spotline: {crash.kind}: the delivery ends here; {out} is as it left it", file=sys.stderr)
        return STATUS_INTERLOCK
    tell_unwritten(record)
    has_page = report and write_page(record, out)
    if not quiet:
        print(in_words(record.outcome, out, time.perf_counter() - began, has_page=has_page))
    return STATUS_DONE if record.outcome.status == "complete" else STATUS_INTERLOCK


class BeamGivenError(Exception):
    """A delivery that was ended by an error when there may have been beam: no bad input any more."""


def run_shown(delivery: Delivery, quiet: bool) -> Record:
    """Run a delivery, and show on a terminal how far it is.

    Raises
    ------
    BeamGivenError
        If an error ends it that is no error of the input any more.
    """
    from spotline.errors import SpotlineError

    with delivery_bar(quiet) as show:
        if show is not None:
            delivery.watch(show, "progress bar")
        try:
            return delivery.run()
        except (SpotlineError, OSError) as error:
            if not delivery.may_have_given_beam:
                raise
            raise BeamGivenError(" ".join(str(error).split())) from error


def failed_with_beam(error: BeamGivenError, out: Path) -> int:
    """Say that an error ended a delivery; the status is never that of bad input, which may be tried again."""
    print(
        f"spotline: {error}; beam may have been given: look at {out} before anything is delivered again",
        file=sys.stderr,
    )
    return STATUS_INTERLOCK


def tell_unwritten(record: Record) -> None:
    """Say what could not be written."""
    for what in record.summary.get("unwritten", ()):
        print(f"spotline: {what}", file=sys.stderr)


def replay(record: Path, *, raw: Switch = False) -> int:
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
    return STATUS_DIFFERENT if any(result.differences for result in results) else STATUS_DONE


def in_words(summary: SummaryFile, out: Path, wall_s: float, *, has_page: bool) -> str:
    """The summary in a few lines; `wall_s` is the time that the whole command took.

    The page is named if there is one of this delivery.
    """
    lines = [
        f"{VERDICTS[summary.status]}: {_spots_in_words(summary)}",
        f"  {summary.particles_delivered:.6g} of {summary.particles_planned:.6g} particles",
        (
            f"  {summary.spills} spills, {summary.beam_on_s:.2f} s beam on, "
            f"{summary.treatment_s:.1f} s treatment; took "
            f"{wall_s:.1f} s, {summary.wall_s:.1f} s of it the delivery"
        ),
    ]
    if summary.fraction_spots_within_1_percent is not None:
        lines.append(f"  particles within 1 %: {summary.fraction_spots_within_1_percent:.1%} of the spots")
    if summary.position_rms_mm is not None:
        lines.append(f"  position: {summary.position_rms_mm:.2f} mm rms")
    if summary.assumed.int1_counts:
        lines.append(f"  assumed delivered, not confirmed: {summary.assumed.int1_counts} counts of INT1")
    lines += [f"  interlock: {_interlock_in_words(interlock)}" for interlock in summary.interlocks]
    if summary.status != "complete":
        lines.append(f"  to go on: spotline resume {out} --operator NAME --reason TEXT")
    return "\n".join([*lines, f"  report: {out / REPORT}"] if has_page else lines)


def _spots_in_words(summary: SummaryFile) -> str:
    """How many spots there were, and why a whole delivery may have fewer of them complete."""
    said = f"{summary.spots_delivered} of {summary.spots_planned} spots"
    lacking = summary.spots_planned - summary.spots_delivered
    if summary.status != "complete" or not lacking:
        return said
    if summary.assumed.int1_counts:
        return f"{said} by what was measured, the other {lacking} by what is assumed to have been delivered"
    return f"{said}; of the other {lacking} the record has no visit that completed them"


def write_page(record: Record, out: Path) -> bool:
    """Write the report of a record; one that cannot be written changes nothing of what was delivered.

    Returns
    -------
    bool
        Whether it is written.
    """
    import spotline

    try:
        spotline.write_report(record, out / REPORT)
    except Exception as error:  # whatever it is: the beam was given, and its status is what counts
        said = " ".join(str(error).split()) or type(error).__name__
        print(
            f"spotline: {out / REPORT}: no report ({said}); the record is whole without it", file=sys.stderr
        )
        return False
    return True


def _interlock_in_words(interlock: InterlockFigures) -> str:
    value = "not a number" if interlock.value is None else f"{interlock.value:.6g}"
    return (
        f"{interlock.cause} at {interlock.time_s:.6f} s: {value}, limit {interlock.limit:.6g} "
        f"{interlock.unit} ({interlock.action}){f'; {interlock.detail}' if interlock.detail else ''}"
    )
