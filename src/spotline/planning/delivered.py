"""The plan that records were delivered from."""

from __future__ import annotations

from collections.abc import Sequence

from spotline.errors import RecordError
from spotline.plan.model import Plan
from spotline.planning.read import read_kept_plan
from spotline.record.kept import plan_file
from spotline.record.model import Record


def plan_of_records(records: Record | Sequence[Record], given: Plan | None = None) -> Plan | None:
    """Find the plan that records were delivered from: the copy that the first of them keeps, or a given one.

    Parameters
    ----------
    records : Record or sequence of Record
    given : Plan, optional
        To take instead, if it is that of the records: of their bytes, or of their SOP Instance UID.

    Returns
    -------
    Plan or None
        None if the first record keeps no copy.

    Raises
    ------
    RecordError
        If the records are of several patients, or not delivered from the plan that is given.
    PlanError
        If a copy cannot be read.
    """
    found = [records] if isinstance(records, Record) else list(records)
    kept = [None if path is None else read_kept_plan(path) for path in map(plan_file, found)]
    _check_one_patient(found, kept)
    if given is not None:
        _check_is_theirs(given, found, kept)
        return given
    return kept[0] if kept else None


def _check_one_patient(records: Sequence[Record], plans: Sequence[Plan | None]) -> None:
    """Doses of several patients are not to be added."""
    found = {
        plan.identity["PatientID"]: record.path
        for record, plan in zip(records, plans, strict=True)
        if plan is not None and plan.identity.get("PatientID")
    }
    if len(found) > 1:
        (first, path), (second, other) = list(found.items())[:2]
        raise RecordError(
            f"{other}: is a record of patient {second}, and {path} of patient {first}; give records of one "
            "patient"
        )


def _check_is_theirs(plan: Plan, records: Sequence[Record], kept: Sequence[Plan | None]) -> None:
    delivered = [field.facts for record in records for field in record.fields]
    hashes = {facts.plan_sha256 for facts in delivered}
    hashes |= {facts.continues.plan_sha256 for facts in delivered if facts.continues is not None}
    uids = {one.identity.get("SOPInstanceUID") for one in kept if one is not None}
    for one in kept:
        if one is not None and one.prepared_for is not None:
            hashes.add(one.prepared_for.plan_sha256)
            uids.add(one.prepared_for.plan_uid)
    if plan.sha256 in hashes or plan.identity.get("SOPInstanceUID") in uids - {None, ""}:
        return
    labels = ", ".join(sorted({facts.plan_label for facts in delivered}))
    raise RecordError(
        f"{plan.path}: is not the plan that {records[0].path} was delivered from ({labels}); give that one"
    )
