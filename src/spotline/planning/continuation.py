"""The continuation plan: what a delivery that was stopped for good left of its plan.

When a treatment cannot go on, the undelivered dose is found from the log and made into a recovery field (the
dose delivery paper, III.C.1).  Here that is a plan of its own with every spot of which something is left,
partly delivered ones included, in the order of the first plan.  Spots, layers and fields that are complete
are left out; fields of which nothing was delivered are as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spotline.errors import CourseError, RecordError
from spotline.plan.model import Continues, Field, Layer, Plan
from spotline.planning.read import read_kept_plan, read_plan
from spotline.record.course import Course
from spotline.record.course_folder import course_of
from spotline.record.delivery_file import PLANS, read_delivery
from spotline.record.giving_up import check_given_up, kept_from_others, rest_of
from spotline.record.headers import CourseReference
from spotline.record.merged import Merged, MergedField, SAME_POSITION_mm, merge_records, number_of
from spotline.record.model import Record
from spotline.record.read import open_record
from spotline.storage import Disk
from spotline.treatment.headers import LineGeometry
from spotline.treatment.options import LARGEST_PAINTINGS
from spotline.wording import several

SAME_ENERGY_MeV_u = 0.1
"""More than a beam line may differ from the plan without being asked, less than the step of its energies."""

LABEL_LENGTH = 16

# What speaks for the first plan only.
_OF_THE_INSTANCE = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "RTPlanDate",
    "RTPlanTime",
    "RTPlanGeometry",
    "ApprovalStatus",
)


def continuation_plan(records: Iterable[Record] | Record, plan: Plan | None = None) -> Plan:
    """Make the plan that delivers what is left.

    Nothing is given up: `spotline.resume` could deliver it too.  `write_continuation_plan` sees to that.

    The meterset of a spot is a whole number of counts of INT1 times what a count is there.  Prepared under
    the same gas it makes these counts again, exactly as long as they are fewer than 4 million (weights in
    DICOM are 32-bit floats); under another gas it makes the nearest whole number of counts, spot by spot.

    Parameters
    ----------
    records : Record or iterable of Record
        The delivery of a plan, and of all its continuations so far.
    plan : Plan, optional
        The plan that was delivered first; by default the copy that the delivery keeps in its folder.

    Returns
    -------
    Plan
        Fields of which something was delivered are of delivery type CONTINUATION.  It was not read from a
        file: write it with `write_continuation_plan`, or prepare it as it is.

    Raises
    ------
    RecordError
        If nothing is left, if the records do not belong together or to the plan, or if the plan is not found.
    """
    merged = merge_records([records] if isinstance(records, Record) else records)
    plan = delivered_plan(merged, plan)
    accounts = {account.number: account for account in merged.fields}
    fields = [_rest_of(field, accounts.get(field.number), merged) for field in plan.fields]
    left = tuple(field for field in fields if field is not None)
    if not left:
        spots = sum(len(account.spots) for account in merged.fields)
        raise RecordError(
            f"{merged.records[-1].path}: nothing is left to deliver: all {several(spots, 'spot')} of "
            f"{several(len(merged.fields), 'field')} are complete, so no continuation plan is made"
        )
    number = merged.continuations + 1
    label = f"{plan.label[: LABEL_LENGTH - len(f' C{number}')]} C{number}"
    identity = {key: text for key, text in plan.identity.items() if key not in _OF_THE_INSTANCE}
    return Plan(
        label=label,
        fields=left,
        path=Path(f"continuation-{number}.dcm"),
        sha256="",
        format="DICOM RT Ion Plan",
        fractions_planned=1,
        fraction_group=plan.fraction_group,
        identity=identity,
        continues=Continues(plan.identity.get("SOPInstanceUID", ""), plan.sha256, number),
    )


def write_continuation_plan(
    records: Iterable[Record] | Record,
    path: str | Path,
    plan: Plan | None = None,
    *,
    disk: Disk | None = None,
    course: Course | None = None,
) -> Plan:
    """Write the plan that delivers what is left as a DICOM RT Ion Plan, and give up what it delivers.

    From then on `spotline.resume` refuses the records.  That is in their journals before the plan appears.
    The plan is made of what the records say now, even if they were opened before.  Asked again, it is the
    same plan.

    Parameters
    ----------
    records, plan
        As of `continuation_plan`.
    path : str or Path
        New file; its folder must exist.
    disk : Disk, optional
        Where the records are; by default the disk that there is.
    course : Course, optional
        That the records belong to, if it is not where it was.

    Returns
    -------
    Plan
        As it is read from the file.

    Raises
    ------
    RecordError
        As of `continuation_plan`; or if a journal knows less than the other files of its record, another
        process is at a record, or its rest was given up for another plan.
    PlanError
        If DICOM cannot hold the plan (see `spotline.dicom.write_plan`).
    OutputError
        If the file exists already or cannot be written, or a record cannot: then nothing is given up.
    CourseError
        If the records belong to a course, and are not all of its fraction that is open: then likewise.
    """
    from spotline.dicom.encoding import ready_to_appear
    from spotline.dicom.ion_plan import read_ion_plan

    folders = [record.path for record in ([records] if isinstance(records, Record) else records)]
    path = Path(path)
    with kept_from_others(folders):
        rests = [rest_of(folder) for folder in folders]
        merged = merge_records([open_record(folder) for folder in folders])
        content = continuation_bytes(merged.records, path, plan)
        references = _references(merged)
        own = course_of(merged.records[0].path, course)
        if own is not None:
            own.check_remainder(references)
        with ready_to_appear(path, content) as part:
            uid = read_ion_plan(part).identity["SOPInstanceUID"]
            # What a delivery left whose own continuation is among the records was given up for that one.
            last = {record.path for record in merged.records if number_of(record) == merged.continuations}
            check_given_up([rest for rest in rests if rest.folder in last], uid)
            open_rests = [rest for rest in rests if rest.given_up in (None, uid) and not rest.is_complete]
            for rest in open_rests:
                rest.check_writable()
            for rest in open_rests:
                rest.give_up(uid, content, disk or Disk())
            if own is not None:
                own.leave(references, uid, hashlib.sha256(content).hexdigest())
    return read_plan(path)


def _references(merged: Merged) -> tuple[CourseReference, ...]:
    """Where the records stand in their course; none if they belong to none.

    Raises
    ------
    CourseError
        If some belong to one and some do not.
    """
    found = [read_delivery(record.path).course for record in merged.records]
    known = tuple(one for one in found if one is not None)
    if known and len(known) < len(found):
        stranger = merged.records[found.index(None)].path
        raise CourseError(f"{stranger}: belongs to no course, but other records do; leave it out")
    return known


def continuation_bytes(records: Iterable[Record] | Record, path: Path, plan: Plan | None = None) -> bytes:
    """Make the plan that delivers what is left, as the DICOM file that it is to be.

    Nothing is written and nothing is given up.  Parameters and errors are those of `write_continuation_plan`.
    """
    from spotline.dicom.write_plan import SOURCE_AXIS_DISTANCES_mm, ion_plan_bytes

    given = [records] if isinstance(records, Record) else list(records)
    made = continuation_plan(given, plan)
    distances_mm = _line_facts(given).source_to_isocentre_mm or SOURCE_AXIS_DISTANCES_mm
    x_mm, y_mm = (float(distance_mm) for distance_mm in distances_mm)
    return ion_plan_bytes(replace(made, path=path), source_axis_distances_mm=(x_mm, y_mm))


def delivered_plan(merged: Merged, plan: Plan | None = None) -> Plan:
    """The plan of the first delivery: the one given, or the copy in a folder of its records.

    Raises
    ------
    RecordError
        If it is not there, or not the plan that was delivered.
    """
    if plan is not None:
        if plan.sha256 != merged.plan_sha256:
            raise RecordError(
                f"{merged.records[0].path}: was not made from {plan.path} (its hash differs); give the plan "
                "delivered"
            )
        return plan
    folder = merged.records[0].path
    for path in sorted((folder / PLANS).glob("*")):
        # Known by its hash, whatever it is called.
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == merged.plan_sha256:
            return read_kept_plan(path)
    raise RecordError(
        f"{folder}: has no copy of the plan that was delivered (SHA-256 {merged.plan_sha256[:12]}): give the "
        "plan"
    )


def _line_facts(records: Sequence[Record]) -> LineGeometry:
    """What the header of a record tells of the geometry of its line."""
    known = [field.facts.line_geometry for record in records for field in record.fields]
    return (known[0] if known else None) or LineGeometry()


def _rest_of(field: Field, account: MergedField | None, merged: Merged) -> Field | None:
    """What is left of a field: all of it, some of it, or nothing."""
    angles = _line_facts(merged.records).gantry_angles_deg
    # TRiP98 has no angles, and DICOM demands them: the line had only this one.
    gantry = angles[0] if field.gantry_angle_deg is None and len(angles) == 1 else field.gantry_angle_deg
    field = replace(
        field,
        instructions=(),
        gantry_angle_deg=gantry,
        patient_support_angle_deg=field.patient_support_angle_deg or 0.0,
    )
    if account is None:
        return replace(field, layers=tuple(_renumbered(layer) for layer in field.layers))
    _check_same_field(field, account, merged)
    spots = account.spots
    layers: list[Layer] = []
    for layer in field.layers:
        rows = np.flatnonzero((spots["planned_layer"] == layer.index) & (spots["int1_left"] > 0))
        if not len(rows):
            continue
        kept = spots["planned_spot"][rows]
        layers.append(
            replace(
                layer,
                index=len(layers),
                control_point=2 * len(layers),
                spot_index=None,
                x_iso_mm=layer.x_iso_mm[kept],
                y_iso_mm=layer.y_iso_mm[kept],
                meterset=spots["int1_left"][rows] * account.meterset_per_count[rows],
                paintings=min(int(account.visits_left[rows].max()), LARGEST_PAINTINGS),
            )
        )
    if not layers:
        return None
    left = float(sum(layer.meterset.sum() for layer in layers))
    return replace(
        field,
        layers=tuple(layers),
        delivery_type="CONTINUATION",
        start_meterset=(field.start_meterset or 0.0) + max(0.0, field.meterset - left),
    )


def _renumbered(layer: Layer) -> Layer:
    """A layer as it is written: spots of weight zero are not."""
    return replace(layer, control_point=2 * layer.index, spot_index=None)


def _check_same_field(field: Field, account: MergedField, merged: Merged) -> None:
    """Refuse a record with other spots than its plan, or delivered with other energies."""
    where = f"{merged.records[0].path}: field {field.number} ({field.name})"
    spots = account.spots
    places = [(layer.index, spot) for layer in field.layers for spot in range(layer.n_spots)]
    found = list(zip(spots["planned_layer"].tolist(), spots["planned_spot"].tolist(), strict=True))
    if found != places:
        raise RecordError(
            f"{where}: its {several(len(found), 'spot')} are not the {len(places)} of the plan; give the "
            "plan delivered"
        )
    x_mm = np.concatenate([layer.x_iso_mm for layer in field.layers])
    y_mm = np.concatenate([layer.y_iso_mm for layer in field.layers])
    energy = np.concatenate([np.full(layer.n_spots, layer.energy_MeV_u) for layer in field.layers])
    off = np.maximum(np.abs(x_mm - spots["x_planned_mm"]), np.abs(y_mm - spots["y_planned_mm"]))
    if off.max() > SAME_POSITION_mm:
        row = int(np.argmax(off))
        raise RecordError(
            f"{where}: spot {places[row][1]} of layer {places[row][0]} is {off[row]:g} mm from where the "
            "plan has it; give the plan delivered"
        )
    off = np.abs(energy - spots["energy_MeV_u"])
    if off.max() > SAME_ENERGY_MeV_u:
        row = int(np.argmax(off))
        raise RecordError(
            f"{where}: layer {places[row][0]} was delivered with {spots['energy_MeV_u'][row]:g} MeV/u, but "
            f"has {energy[row]:g} in the plan: give the plan as it was moved to the energies of the line"
        )
