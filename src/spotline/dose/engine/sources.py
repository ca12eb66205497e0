"""Where the beams of a dose come from: a treatment, or the records of one or several deliveries.

A dose needs to know where the isocentre lies in the patient and from which side the beam comes.  What a plan
or a record does not say is asked for, never guessed in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from spotline.dose.engine.beams import (
    FieldBeams,
    What,
    Widths,
    beams_of_record,
    beams_of_treatment,
    check_widths,
)
from spotline.dose.grid import Point
from spotline.errors import DoseError
from spotline.machine.load import BeamLine
from spotline.record.model import FieldRecord, Record
from spotline.treatment.treatment import Treatment

Source = Treatment | Record | Sequence[Record]

ALL: tuple[What, ...] = ("planned", "measured", "true")

PLACED_BY_OTHERS = 0.1
"""Share of the particles, in spots without a valid measured position, above which a dose says so."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceBeams:
    """Beams of a source, by what is asked of it.

    Attributes
    ----------
    beams : dict of What to tuple of FieldBeams
        Fields of all records one after the other.
    fractions : int
        Fractions that were delivered; 1 for a treatment.
    notes : tuple of str
        What the reader of a dose has to know of the source.
    """

    beams: dict[What, tuple[FieldBeams, ...]]
    fractions: int
    notes: tuple[str, ...]


def beams_of(
    source: Source,
    beamline: BeamLine,
    *,
    of: Sequence[What] | None = None,
    fields: Sequence[int] | None = None,
    isocentres_mm: Mapping[int, Point] | None = None,
    widths: Widths = "measured",
    fractions: int = 1,
) -> SourceBeams:
    """Collect the beams of a source.

    Several records are fractions, unless one goes on with another that was interrupted (a continuation): both
    then belong to the same fraction, and the plan of the continuation is part of that of the first.  A
    delivery is added once, whatever its folder is called.

    Parameters
    ----------
    source : Treatment, Record, or sequence of Record
    beamline : BeamLine
        Line that delivers.
    of : sequence of {"planned", "measured", "true"}, optional
        By default all that there is: of records the truth only if all have it.
    fields : sequence of int, optional
        Numbers of the only fields to take.
    isocentres_mm : mapping of int to point, optional
        In patient coordinates by number of the field; they outrank those of the source.
    widths : {"measured", "planned"}
        Of spots as they were measured, see `spotline.dose.engine.beams.beams_of_record`.
    fractions : int
        How often all of it is given.

    Raises
    ------
    DoseError
        If nothing is asked for or what is asked for is not there, a field is not there, it is not known
        where the isocentre lies or from where the beam comes, a delivery is there twice, or a remainder was
        delivered twice.
    """
    check_widths(widths)
    if fractions < 1:
        raise DoseError(f"fractions: {fractions} is none; give 1 or more")
    once = _once(source, beamline, of, fields, isocentres_mm, widths)
    if fractions == 1:
        return once
    beams = {what: tuple(_often(one, fractions) for one in group) for what, group in once.beams.items()}
    note = f"what is given is taken {fractions} times, as fractions that are all alike"
    return SourceBeams(beams, fractions * once.fractions, (*once.notes, note))


def _often(beams: FieldBeams, times: int) -> FieldBeams:
    layers = (
        replace(layer, spots=replace(layer.spots, particles=times * layer.spots.particles))
        for layer in beams.layers
    )
    return replace(beams, layers=tuple(layers))


def _once(
    source: Source,
    beamline: BeamLine,
    of: Sequence[What] | None,
    fields: Sequence[int] | None,
    isocentres_mm: Mapping[int, Point] | None,
    widths: Widths,
) -> SourceBeams:
    places = dict(isocentres_mm or {})
    if of is not None and (not of or not set(of) <= set(ALL)):
        raise DoseError(f"dose of {', '.join(of) or 'nothing'}: ask for some of {', '.join(ALL)}")
    if isinstance(source, Treatment):
        return _of_treatment(source, beamline, of, fields, places)
    records = [source] if isinstance(source, Record) else list(source)
    return _of_records(records, beamline, of, fields, places, widths)


def _of_treatment(
    treatment: Treatment,
    beamline: BeamLine,
    of: Sequence[What] | None,
    fields: Sequence[int] | None,
    places: dict[int, Point],
) -> SourceBeams:
    where = str(treatment.plan.path)
    if of is not None and set(of) != {"planned"}:
        raise DoseError(f"{where}: nothing was delivered yet, so there is a dose of what is planned only")
    notes: list[str] = []
    found = []
    for beams, prepared in zip(beams_of_treatment(treatment), treatment.fields, strict=True):
        if fields is None or beams.number in fields:
            field = prepared.field
            placed = _placed(
                beams, field.isocentre_mm, field.gantry_angle_deg, beamline, places, where, notes
            )
            found.append(placed)
    _check_fields(fields, [beams.number for beams in found], where)
    return SourceBeams({"planned": tuple(found)}, 1, tuple(notes))


def _of_records(
    records: list[Record],
    beamline: BeamLine,
    of: Sequence[What] | None,
    fields: Sequence[int] | None,
    places: dict[int, Point],
    widths: Widths,
) -> SourceBeams:
    if not records:
        raise DoseError("dose: there is no record to reconstruct; give at least one")
    where = ", ".join(str(record.path) for record in records)
    _check_each_once(records)
    _check_remainders(records)
    chosen = [(r, f) for r in records for f in r.fields if fields is None or f.number in fields]
    _check_fields(fields, [field.number for _, field in chosen], where)
    if not chosen:
        raise DoseError(f"{where}: no field was delivered, so there is no dose")
    notes = [note for _, field in chosen for note in _notes_of(field, beamline)]
    first = [field for _, field in chosen if not field.facts.continues]
    if first and len(first) < len(chosen):
        notes.append("continuations belong to the fraction before them; their plans are part of its plan")
    # Fields may have been delivered in records of their own, so it is a field that counts fractions.
    # A preparation is another file than its plan, and keeps the label.
    delivered = Counter((field.facts.plan_label, field.number) for field in first)
    fractions = max(delivered.values(), default=1)
    labels = list(dict.fromkeys(label for label, _ in delivered))
    if len(labels) > 1:
        notes.append(
            f"the records are of {len(labels)} plans ({', '.join(labels)}), whose doses are added; files "
            "refer to the first one"
        )
    if of is None:
        has_truth = all(field.truth is not None for _, field in chosen)
        of = ALL if has_truth else ALL[:2]
    beams: dict[What, tuple[FieldBeams, ...]] = {}
    for what in of:
        counted = first if what == "planned" and first else [field for _, field in chosen]
        beams[what] = tuple(_of_field(field, what, beamline, places, notes, widths) for field in counted)
    return SourceBeams(beams, fractions, tuple(dict.fromkeys(notes)))


def _check_each_once(records: Sequence[Record]) -> None:
    """Refuse a delivery that is there twice: its folder under another name, or a copy of it."""
    found: dict[tuple[object, ...], Record] = {}
    for record in records:
        own = {_identity(record, field) for field in record.fields}
        for known in own & found.keys():
            raise DoseError(
                f"{record.path}: is the same delivery as {found[known].path}; give each once (if several "
                "fractions were given like this one, say how many with --fractions)"
            )
        found |= dict.fromkeys(own, record)


def _identity(record: Record, field: FieldRecord) -> tuple[object, ...]:
    """What no other delivery of a field has: when it began; in records that do not say, the folder."""
    facts, began = field.facts, field.outcome.started
    number = 0 if facts.continues is None else facts.continues.number
    own = began or str(record.path.resolve())
    return facts.plan_sha256, facts.plan_label, number, facts.beamline_sha256, facts.seed, field.number, own


def _check_remainders(records: Sequence[Record]) -> None:
    """Refuse more deliveries of continuations than there are deliveries that left something."""
    given: Counter[tuple[str, int]] = Counter()
    left: Counter[tuple[str, int]] = Counter()
    for record in records:
        if not record.fields:
            continue
        facts = record.fields[0].facts
        root, number = facts.plan_sha256, 0
        if facts.continues is not None:
            root, number = facts.continues.plan_sha256, facts.continues.number
        given[root, number] += 1
        left[root, number] += record.summary.get("status") != "complete"
    for (root, number), times in given.items():
        if number > 0 and times > max(1, left[root, number - 1]):
            raise DoseError(
                f"dose: continuation {number} of the plan with SHA-256 {root[:12]} was delivered {times} "
                "times, more often than anything was left to it; leave out what was delivered again"
            )


def _of_field(
    field: FieldRecord,
    what: What,
    beamline: BeamLine,
    places: dict[int, Point],
    notes: list[str],
    widths: Widths,
) -> FieldBeams:
    beams, facts = beams_of_record(field, what, widths=widths), field.facts
    if (
        what == "measured"
        and widths == "measured"
        and len(field.spots)
        and not field.spots["width_valid"].any()
    ):
        notes.append(f"{field.path.parent.name}: field {field.number}: no measured widths; taken as planned")
    at, gantry = facts.isocentre_mm, facts.gantry_angle_deg
    return _placed(beams, at, gantry, beamline, places, str(field.path), notes)


def _notes_of(field: FieldRecord, beamline: BeamLine) -> list[str]:
    """What speaks against taking the dose of a record for that of the plan."""
    facts, outcome, notes = field.facts, field.outcome, []
    name = f"{field.path.parent.name}: field {field.number}"
    if outcome.status != "complete":
        done, all_ = int(field.spots["complete"].sum()), len(field.visits)
        notes.append(f"{name}: not delivered whole ({outcome.status}; {done} of {all_} spots)")
    if len(field.assumed):
        assumed = float(field.assumed["particles"].sum())
        notes.append(
            f"{name}: {assumed:.4g} particles may have been delivered and were not confirmed; their dose "
            "is left out"
        )
    missing = int((~(abs(field.spots["x_mm"]) + abs(field.spots["y_mm"]) < float("inf"))).sum())
    if missing:
        notes.append(f"{name}: {missing} spots have no measured position; taken where they were prescribed")
    unplaced, particles = ~field.spots["position_valid"], field.spots["particles"]
    share = float(particles[unplaced].sum()) / max(float(particles.sum()), 1.0)
    if share > PLACED_BY_OTHERS:
        notes.append(
            f"{name}: {int(unplaced.sum())} of {len(field.spots)} spots, with {share:.0%} of the particles, "
            "have no valid measured position; they are taken where they were prescribed, "
            "displaced as the others of their slice are in the mean"
        )
    if facts.beamline_sha256 not in ("", beamline.sha256):
        notes.append(
            f"{name}: was delivered on another version of the beam line ({facts.beamline}, version "
            f"{facts.beamline_version or 'unknown'}, SHA-256 {facts.beamline_sha256[:12]}) than the dose is "
            f"computed with ({beamline.name}, version {beamline.facts.version}, {beamline.sha256[:12]})"
        )
    return notes


def _placed(
    beams: FieldBeams,
    isocentre_mm: Point | None,
    gantry_deg: float | None,
    beamline: BeamLine,
    places: dict[int, Point],
    where: str,
    notes: list[str],
) -> FieldBeams:
    """Put a field where it belongs, or say what is missing."""
    at = places.get(beams.number, isocentre_mm)
    if at is None:
        raise DoseError(
            f"{where}: field {beams.number} ({beams.name}) does not say where its isocentre lies; give the "
            "plan it was made from (--plan)"
        )
    if gantry_deg is None:
        fixed = beamline.facts.geometry.gantry_angles_deg
        if len(fixed) != 1:
            raise DoseError(
                f"{where}: field {beams.number} ({beams.name}) has no gantry angle, and {beamline.name} has "
                "more than one; give a plan that says it"
            )
        gantry_deg = float(fixed[0])
        notes.append(
            f"field {beams.number}: no gantry angle; that of {beamline.name} is taken, {gantry_deg:g}"
        )
    return replace(beams, isocentre_mm=at, gantry_deg=float(gantry_deg))


def _check_fields(wanted: Sequence[int] | None, found: list[int], where: str) -> None:
    missing = sorted(set(wanted or ()) - set(found))
    if missing:
        raise DoseError(f"{where}: there is no field {missing[0]}; leave it away, or give one that is there")
