"""The verbs of ``spotline course``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from spotline.faces.cli.common import DELIVER, STATUS_DIFFERENT, STATUS_DONE, Count, Tolerant

if TYPE_CHECKING:
    from spotline.record.course_folder import CourseFolder
    from spotline.record.course_state import CourseState, Fraction

course = App(name="course", group=DELIVER, help="Keep the ledger of a course: what was prescribed and given.")


@course.command
def new(
    folder: Path, *plan: Path, fractions: Count | None = None, label: str = "", tolerant: Tolerant = False
) -> int:
    """Make a course of a plan, or of several of one patient.

    Exit status: 0 made, 2 bad input (nothing written).

    Parameters
    ----------
    folder
        Folder for the ledger; it must have none yet.
    plan
        DICOM RT Ion Plan, or TRiP98 raster-scan file (.rst).
    fractions
        How often each is to be given; by default as the plan says.
    label
        What the course is called; by default as the first plan.
    """
    import spotline
    from spotline.record.course_folder import make_course

    made = make_course(folder, [spotline.read_plan(one, tolerant=tolerant) for one in plan], fractions, label)
    print(_in_words(made, made.state()))
    return STATUS_DONE


@course.command
def show(folder: Path) -> int:
    """Say which fractions were given, and what is due.

    Exit status: 0 shown, 2 bad input, or the ledger is altered or an older copy.

    Parameters
    ----------
    folder
        Of the course.
    """
    kept = opened(folder)
    print(_in_words(kept, kept.state()))
    return STATUS_DONE


@course.command
def check(folder: Path) -> int:
    """Check the chain of the ledger, and hold it against the records.

    Exit status: 0 all is as it was written, 1 a record is missing or is not what it was, 2 bad input, or the
    ledger is altered or an older copy.

    Parameters
    ----------
    folder
        Of the course.
    """
    kept = opened(folder)
    found = kept.check()
    number = len(kept.state().deliveries)
    print("\n".join(found) or f"{folder}: the ledger is whole, and {number} records are as it says")
    return STATUS_DIFFERENT if found else STATUS_DONE


@course.command(name="give-up")
def give_up(folder: Path, *, operator: str, reason: str) -> int:
    """Take the fraction that is open for over although something is lacking, so that the next one is due.

    Exit status: 0 noted, 2 bad input, or no fraction is open (nothing noted).

    Parameters
    ----------
    folder
        Of the course.
    operator
        Who decides it.
    reason
        Why.
    """
    kept = opened(folder)
    fraction = kept.give_up(operator, reason)
    print(f"fraction {fraction.number} is given up; it has what was delivered of it, and the next one is due")
    return STATUS_DONE


def opened(folder: Path) -> CourseFolder:
    """Open a course, and say what a crash has left in its ledger."""
    from spotline.record.course_folder import CourseFolder

    kept = CourseFolder(folder)
    torn = kept.torn()
    if torn:
        print(f"spotline: {torn}", file=sys.stderr)
    return kept


def _in_words(kept: CourseFolder, state: CourseState) -> str:
    """The course in a few lines."""
    from spotline.wording import several

    said = [f"course {state.made.label} ({kept.folder})"]
    for plan in state.plans.values():
        given, due = state.of(plan.plan_sha256), state.due(plan.plan_sha256)
        numbers = {one.number for one in given if not one.is_open}
        prescribed = several(plan.fractions, "fraction")
        said.append(f"plan {plan.plan_label} ({plan.plan_name}): {len(numbers)} of {prescribed} given")
        said += [f"  {_fraction_in_words(one)}" for one in given]
        if state.open is None:
            said.append(f"  due: fraction {due}" if due <= plan.fractions else "  nothing is due")
    if state.open is not None:
        said.append(f"first: {state.open.what_to_do}")
    if state.torn:
        said.append(f"{several(state.torn, 'line')} of the ledger, torn by a crash, cut off")
    return "\n".join(said)


def _fraction_in_words(fraction: Fraction) -> str:
    records = ", ".join(one.begun.record for one in fraction.deliveries)
    again = f" (again: {fraction.again})" if fraction.again else ""
    return f"fraction {fraction.number}{again}: {fraction.in_words}; {records}"
