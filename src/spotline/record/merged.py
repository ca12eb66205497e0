"""One account of a delivery and its continuations: what every spot of the plan received, and what is left.

The account is kept in counts of INT1, which the fast control counts down.  The counts of a spot are those of
the treatment file of the first delivery that gave the field anything, and stay that for good: the gas of a
later delivery makes other counts of the same particles, which are brought to those of the first.

A visit that is complete counts as delivered with its prescribed counts, neither more nor less.  What INT1
counted beyond, or did not because INT2 was first, is in ``int1_counts``; nobody delivers it or takes it back.
A visit that was stopped counts with what INT1 counted; if that is more than its prescription, the surplus is
taken off what other visits to the spot have left.  Counts that nobody confirmed when a delivery died count as
delivered, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.errors import RecordError
from spotline.hdf5 import as_written
from spotline.record.model import WIDTH_COLUMNS, Columns, FieldRecord, Record, Table, dtype_of
from spotline.record.prescribed import join_measured, prescribed_spots
from spotline.treatment.counts import HALF
from spotline.treatment.headers import DeliveryHeader
from spotline.treatment.treatment import Slice
from spotline.treatment.treatment_file import NAME, read_treatment_file

MERGED_COLUMNS: Columns = (
    ("planned_layer", "i4", "index of the layer in the field of the first plan, from 0"),
    ("planned_spot", "i4", "index of the spot in that layer, from 0"),
    ("energy_MeV_u", "f8", "as delivered, kinetic energy per nucleon"),
    ("deliveries", "i4", "how many of the deliveries gave it anything"),
    ("complete", "?", "whether nothing is left of it"),
    ("int1_prescribed", "i8", "prescribed counts of INT1, in the conversion of the first delivery"),
    ("int1_done", "i8", "what of these counts as delivered"),
    ("int1_left", "i8", "what is left of these"),
    ("int1_counts", "f8", "what INT1 measured in all deliveries, in counts of the same conversion"),
    ("int1_assumed", "f8", "what a delivery that died may have given beyond; it counts as delivered"),
    ("particles_planned", "f8", "prescribed particles"),
    ("particles", "f8", "particles measured with INT1, all deliveries together"),
    ("particles_int2", "f8", "particles measured with INT2, likewise"),
    ("position_valid", "?", "position is made of centres of gravity; else of strips with most counts"),
    ("x_planned_mm", "f8", "prescribed position at the isocentre"),
    ("y_planned_mm", "f8", "likewise"),
    ("x_mm", "f8", "mean of the positions measured with StripX, by particles; NaN if never measured"),
    ("y_mm", "f8", "the same with StripY"),
    *WIDTH_COLUMNS,
)
MERGED = dtype_of(MERGED_COLUMNS)
"""Columns of `MergedField.spots`."""

SAME_METERSET = 1e-6
"""Relative; a plan holds 32-bit numbers."""

SAME_POSITION_mm = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class MergedField:
    """A field in the account; arrays have shape (n_spots,).

    Attributes
    ----------
    number, name : int, str
        As in the plan.
    facts : DeliveryHeader
        Of the first delivery that gave the field anything.
    spots : Table
        Columns `MERGED`: every spot of the field, in the order of the plan.
    meterset_per_count : ndarray
        What a count of INT1 is in the unit of the field, at each spot and in that conversion.
    visits_left : ndarray of int
        How many visits to each spot are not complete.
    """

    number: int
    name: str
    facts: DeliveryHeader
    spots: Table
    meterset_per_count: Floats
    visits_left: Integers

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left of the field."""
        return bool(self.spots["complete"].all())


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """A delivery and its continuations in one account.

    Attributes
    ----------
    records : tuple of Record
        In the order of delivery.
    plan_sha256 : str
        Hash of the first plan.
    continuations : int
        Number of the last continuation; 0 if there is none.
    fields : tuple of MergedField
        In the order of delivery; fields of which nothing was delivered are not among them.
    """

    records: tuple[Record, ...]
    plan_sha256: str
    continuations: int
    fields: tuple[MergedField, ...]


def merge_records(records: Iterable[Record]) -> Merged:
    """Put a delivery and its continuations into one account.

    For every spot ``int1_done + int1_left == int1_prescribed``, and each delivery takes up exactly what those
    before it left.

    Parameters
    ----------
    records : iterable of Record
        The delivery of a plan, and of its continuation plans, in any order.

    Returns
    -------
    Merged

    Raises
    ------
    RecordError
        If there is none, if they are of different plans or beam lines, if one is missing in between, or if
        a field was delivered twice.
    """
    found = sorted(records, key=number_of)
    if not found:
        raise RecordError("no records to merge: give the record of a delivery")
    _check_together(found)
    accounts: dict[int, _Account] = {}
    for record in found:
        for field in record.fields:
            delivered = _delivered(field)
            if delivered is None or not _has_begun(delivered):
                continue
            if field.number not in accounts:
                accounts[field.number] = _Account(field, delivered)
            elif field.facts.continues is None:
                raise RecordError(
                    f"{field.path}: field {field.number} ({field.name}) of this plan was delivered in "
                    "another record too: give the records of one fraction only, each once"
                )
            else:
                accounts[field.number].go_on(field, delivered)
    return Merged(
        tuple(found), _plan_of(found[0]), number_of(found[-1]), tuple(a.merged() for a in accounts.values())
    )


def _first(record: Record) -> FieldRecord:
    if not record.fields:
        raise RecordError(f"{record.path}: no field was begun; leave this record out")
    return record.fields[0]


def number_of(record: Record) -> int:
    """Number of the continuation that a record is the delivery of; 0 if it is of the first plan."""
    field = _first(record)
    with as_written(field.path / NAME):
        continues = field.facts.continues
        return continues.number if continues is not None else 0


def _plan_of(record: Record) -> str:
    """Hash of the plan that was delivered first."""
    field = _first(record)
    with as_written(field.path / NAME):
        facts = field.facts
        return facts.plan_sha256 if facts.continues is None else facts.continues.plan_sha256


def _check_together(records: Sequence[Record]) -> None:
    """Refuse records of different plans or lines, and continuations of a delivery that is not there."""
    first = records[0]
    if number_of(first) > 0:
        raise RecordError(
            f"{first.path}: is the delivery of a continuation plan: give the record of the delivery that it "
            f"continues, too (plan SHA-256 {_plan_of(first)[:12]})"
        )
    for record in records[1:]:
        if _plan_of(record) != _plan_of(first):
            raise RecordError(
                f"{record.path}: is of another plan (SHA-256 {_plan_of(record)[:12]}) than {first.path} "
                f"({_plan_of(first)[:12]}): give records of one plan and its continuations"
            )
        lines = [_first(r).facts.beamline for r in (record, first)]
        if lines[0] != lines[1]:
            raise RecordError(
                f"{record.path}: was delivered on {lines[0]}, but {first.path} on {lines[1]}: give records "
                "of one beam line"
            )


class _Delivered(NamedTuple):
    """All visits of a field in one delivery, in the order of delivery, shape (n_visits,)."""

    layer: Integers
    spot: Integers
    x_mm: Floats
    y_mm: Floats
    energy_MeV_u: Floats
    prescribed: Integers
    per_count: Floats  # particles
    meterset: Floats
    meterset_per_count: Floats
    counts: Integers
    assumed: Integers  # counts that nobody confirmed
    complete: np.ndarray


def _delivered(field: FieldRecord) -> _Delivered | None:
    """Read what the visits of a field were to have and had, in counts; None if it has no slices."""
    slices = read_treatment_file(field.path).slices
    with as_written(field.path / NAME):
        if not slices:
            return None
        per_particle = field.facts.meterset_per_particle
        starts = np.cumsum([0, *(s.n_spots for s in slices)])
        row = starts[field.spots["slice"]] + field.spots["spot"]

        def column(name: str) -> np.ndarray:
            return np.concatenate([np.broadcast_to(getattr(s, name), s.n_spots) for s in slices])

        def scaled(slice_: Slice) -> Floats:
            return np.full(slice_.n_spots, float(per_particle[slice_.index]))

        per_count = column("particles_per_count1")
        scale = np.concatenate([scaled(s) for s in slices])
        counts, complete = np.zeros(len(per_count), np.int64), np.zeros(len(per_count), np.bool_)
        # Particles of a spot are a whole number of counts times this, so nothing is rounded here.
        counts[row] = np.rint(field.spots["particles"] / per_count[row]).astype(np.int64)
        complete[row] = field.spots["complete"]
        assumed = np.zeros(len(per_count), np.int64)
        unconfirmed = starts[field.assumed["slice"]] + field.assumed["spot"]
        np.add.at(assumed, unconfirmed, field.assumed["int1_counts"])
        complete[unconfirmed[field.assumed["complete"]]] = True
        return _Delivered(
            layer=column("planned_layer"),
            spot=column("planned_spot"),
            x_mm=column("x_iso_mm"),
            y_mm=column("y_iso_mm"),
            energy_MeV_u=column("energy_MeV_u"),
            prescribed=column("int1_counts"),
            per_count=per_count,
            meterset=column("particles") * scale,
            meterset_per_count=per_count * scale,
            counts=counts,
            assumed=assumed,
            complete=complete,
        )


def _has_begun(visits: _Delivered) -> bool:
    return bool(visits.counts.any() or visits.assumed.any() or visits.complete.any())


class _Spots(NamedTuple):
    """The visits of a delivery joined by spot of its plan, shape (n_spots,)."""

    layer: Integers
    spot: Integers
    first: Integers  # a visit to each
    prescribed: Integers
    meterset: Floats
    counts: Integers
    assumed: Integers
    left: Integers
    visits_left: Integers


def _join(visits: _Delivered) -> _Spots:
    stride = int(visits.spot.max()) + 1
    keys, first, spot = np.unique(visits.layer * stride + visits.spot, return_index=True, return_inverse=True)
    n = len(keys)

    def total(values: np.ndarray) -> Integers:
        sums = np.zeros(n, np.int64)
        np.add.at(sums, spot, values)
        return sums

    is_open = ~visits.complete
    # What a stopped visit got too much is taken off the others: nothing is given to a spot that has all.
    left = np.maximum(0, total(np.where(is_open, visits.prescribed - visits.counts - visits.assumed, 0)))
    return _Spots(
        layer=keys // stride,
        spot=keys % stride,
        first=first,
        prescribed=total(visits.prescribed),
        meterset=np.bincount(spot, visits.meterset, n).astype(np.float64),
        counts=total(visits.counts),
        assumed=total(visits.assumed),
        left=left,
        visits_left=np.where(left > 0, total(is_open), 0),
    )


class _Account:
    """The account of one field, from its first delivery on."""

    def __init__(self, field: FieldRecord, visits: _Delivered) -> None:
        joined = _join(visits)
        self._field = field
        self._per_count = visits.per_count[joined.first]
        self._meterset_per_count = visits.meterset_per_count[joined.first]
        self._visits_left = joined.visits_left
        table = np.zeros(len(joined.spot), MERGED)
        table["planned_layer"], table["planned_spot"] = joined.layer, joined.spot
        table["energy_MeV_u"] = visits.energy_MeV_u[joined.first]
        table["int1_prescribed"], table["int1_left"] = joined.prescribed, joined.left
        table["int1_counts"], table["int1_assumed"] = joined.counts, joined.assumed
        table["deliveries"] = joined.counts + joined.assumed > 0
        measured = prescribed_spots(field)
        for name in ("particles_planned", "x_planned_mm", "y_planned_mm"):
            table[name] = measured[name]
        self._table = table
        self._measured = [(np.arange(len(table)), measured)]

    def go_on(self, field: FieldRecord, visits: _Delivered) -> None:
        """Take in the delivery of a continuation plan, which has all spots of which something is left."""
        joined = _join(visits)
        rows = np.flatnonzero(self._table["int1_left"])
        self._check_same_spots(field, rows, joined, visits)
        # Whole counts of this delivery, in those of the first: the same number under the same gas.
        before = self._table["int1_left"][rows]
        ratio = visits.per_count[joined.first] / self._per_count[rows]
        left = np.floor(joined.left * ratio + HALF).astype(np.int64)
        self._table["int1_left"][rows] = np.where(joined.left == 0, 0, np.clip(left, 1, before))
        self._visits_left[rows] = joined.visits_left
        self._table["int1_counts"][rows] += joined.counts * ratio
        self._table["int1_assumed"][rows] += joined.assumed * ratio
        self._table["deliveries"][rows] += joined.counts + joined.assumed > 0
        self._measured.append((rows, prescribed_spots(field)))

    def _check_same_spots(
        self, field: FieldRecord, rows: Integers, joined: _Spots, visits: _Delivered
    ) -> None:
        where = f"{field.path}: field {field.number} ({field.name})"
        remedy = "a record in between is missing, or this one continues another delivery"
        if len(joined.spot) != len(rows):
            raise RecordError(
                f"{where}: was to deliver {len(joined.spot)} spots, but the deliveries before it left "
                f"{len(rows)}: {remedy}"
            )
        table = self._table[rows]
        wanted = table["int1_left"] * self._meterset_per_count[rows]
        same = np.abs(joined.meterset - wanted) <= SAME_METERSET * wanted
        for name, position_mm in (("x_planned_mm", visits.x_mm), ("y_planned_mm", visits.y_mm)):
            same &= np.abs(position_mm[joined.first] - table[name]) <= SAME_POSITION_mm
        same &= np.diff(joined.layer, prepend=-1).astype(np.bool_) == np.diff(
            table["planned_layer"], prepend=-1
        ).astype(np.bool_)
        if not same.all():
            row = int(np.argmin(same))
            raise RecordError(
                f"{where}: spot {joined.spot[row]} of layer {joined.layer[row]} was to receive "
                f"{joined.meterset[row]:.10g} {field.facts.unit}, but the deliveries before it left "
                f"{wanted[row]:.10g} of spot {table['planned_spot'][row]} of layer "
                f"{table['planned_layer'][row]}: {remedy}"
            )

    def merged(self) -> MergedField:
        """Close the account."""
        table = self._table
        table["int1_done"] = table["int1_prescribed"] - table["int1_left"]
        table["complete"] = table["int1_left"] == 0
        rows, measured = zip(*self._measured, strict=True)
        join_measured(table, np.concatenate(rows), np.concatenate(measured))
        return MergedField(
            self._field.number,
            self._field.name,
            self._field.facts,
            table,
            self._meterset_per_count,
            self._visits_left,
        )
