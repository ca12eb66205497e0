"""The verb ``continuation``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spotline.faces.cli.common import STATUS_DIFFERENT, STATUS_DONE, Switch, Tolerant
from spotline.faces.cli.course import opened

if TYPE_CHECKING:
    from spotline.plan import Field
    from spotline.record.merged import MergedField


def continuation(
    record: Path,
    *more: Path,
    out: Path | None = None,
    plan: Path | None = None,
    preview: Switch = False,
    course: Path | None = None,
    tolerant: Tolerant = False,
) -> int:
    """Say what a stopped delivery left of its plan, or write the plan that delivers it.

    With --out a DICOM RT Ion Plan with the undelivered particles of every spot is written.  That gives the
    rest of the records up, for good: spotline resume refuses them then; the same plan can be asked for again.

    Exit status: 0 written, or nothing is left; 1 something is left (without --out, or with --preview); 2 bad
    input (nothing written, nothing given up), or --out though nothing is left.

    Parameters
    ----------
    record
        Folder of the delivery that was stopped.
    more
        Folders of the deliveries of its continuation plans so far, in any order.
    out
        New DICOM file.
    plan
        The plan that was delivered first; by default the copy in the folder of its record.
    preview
        Only say what is left, and what --out would write: write nothing, and give nothing up.
    course
        Folder of the course that the records belong to, if it is not where it was.
    """
    import spotline
    from spotline.planning.continuation import delivered_plan
    from spotline.record.giving_up import rest_of

    folders = (record, *more)
    for folder in folders:
        rest_of(folder)  # before anything is believed
    records = [spotline.open_record(folder) for folder in folders]
    given = None if plan is None else spotline.read_plan(plan, tolerant=tolerant)
    merged = spotline.merge_records(records)
    first = delivered_plan(merged, given)
    accounts = {account.number: account for account in merged.fields}
    said = []
    if out is not None and not preview:
        kept = None if course is None else opened(course)
        made = spotline.write_continuation_plan(records, out, first, course=kept)
        said.append(f"{out}: {made.label}")
    elif out is not None:
        said.append(f"{out}: {spotline.continuation_plan(records, first).label}, not written")
    for field in first.fields:
        said.append(_in_words(field, accounts.get(field.number)))
    for folder in folders:
        uid = rest_of(folder).given_up
        if uid is not None:
            said.append(f"{folder}: given up for the plan with SOP Instance UID {uid}")
    print("\n".join(said))
    whole = all(f.number in accounts and accounts[f.number].is_complete for f in first.fields)
    return STATUS_DONE if whole or (out is not None and not preview) else STATUS_DIFFERENT


def _in_words(field: Field, account: MergedField | None) -> str:
    """What was delivered of a field, and what is left, in a line."""
    from spotline.wording import several

    where = f"field {field.number} ({field.name})"
    if account is None:
        return f"{where}: not begun, {several(field.n_spots, 'spot')} left"
    spots = account.spots
    total, done = int(spots["int1_prescribed"].sum()), int(spots["int1_done"].sum())
    said = f"{where}: {done} of {several(total, 'count')} delivered"
    if account.is_complete:
        return f"{said}, all {several(len(spots), 'spot')} complete"
    is_left = spots["int1_left"] > 0
    partly = int((is_left & (spots["int1_done"] > 0)).sum())
    layers = len(set(spots["planned_layer"][is_left].tolist()))
    left = f"{several(int(is_left.sum()), 'spot')} of {several(layers, 'layer')}"
    return f"{said}, {total - done} left in {left}, {partly} of them partly delivered"
