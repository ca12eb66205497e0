"""Records that contradict themselves, or their plan, are not written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spotline.dicom.treatment_record import treatment_record_bytes, write_treatment_record
from spotline.errors import OutputError, RecordError
from spotline.plan import Plan
from spotline.record.model import FieldRecord
from tests.dicom.delivered import field_record
from tests.dicom.plans import with_field


def altered(table: str = "spots", **changes: object) -> Callable[[FieldRecord], FieldRecord]:
    def alter(record: FieldRecord) -> FieldRecord:
        spots = getattr(record, table).copy()
        for column, value in changes.items():
            spots[column][2] = value
        return dataclasses.replace(record, **{table: spots})

    return alter


def headed(**changes: object) -> Callable[[FieldRecord], FieldRecord]:
    return lambda record: dataclasses.replace(record, header=record.header | changes)


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (headed(plan_sha256="beef"), r"was not made from small\.dcm"),
        (headed(started="tomorrow"), "started = 'tomorrow', which is no date"),
        (headed(meterset_per_particle=[1.0]), "meterset_per_particle has 1 values for 3 slices"),
        (
            lambda r: dataclasses.replace(r, header={k: v for k, v in r.header.items() if k != "seed"}),
            "no seed",
        ),
        (lambda r: dataclasses.replace(r, number=7), "no field has beam number 7"),
        (lambda r: dataclasses.replace(r, slices=r.slices[:0]), "meterset_per_particle has 3 values for 0"),
        (altered(planned_layer=3), r"slice 2: spot 0 \(layer 3, spot 0, .* is not in the plan"),
        (altered(planned_spot=-1), "is not in the plan"),
        (altered(planned_spot=3), "is not in the plan"),
        (altered(particles=np.nan), r"nan particles\) has a number of particles that cannot be"),
        (altered(particles=-1.0), "that cannot be"),
        (altered(slice=3), "has a slice that cannot be"),
        (altered("visits", slice=-1), "has a slice that cannot be"),
        (altered("visits", planned_spot=4), "is not in the plan"),
    ],
)
def test_records_that_contradict_themselves(
    alter: Callable[[FieldRecord], FieldRecord], message: str, plan: Plan
):
    with pytest.raises(RecordError, match=rf"^delivery\W+field-01: field \d \(AP\).*{message}"):
        treatment_record_bytes(alter(field_record(plan)), plan)


def test_record_of_another_plan(plan: Plan):
    record = field_record(plan)
    smaller = with_field(plan, layers=plan.fields[0].layers[:2])
    with pytest.raises(RecordError, match=r"spot .* is not in the plan; give the plan that was delivered"):
        treatment_record_bytes(record, smaller)
    with pytest.raises(RecordError, match=r"slice 2: spot 0 \(layer 2, spot 0\) is not in the plan"):
        treatment_record_bytes(dataclasses.replace(record, spots=record.spots[:0]), smaller)


def test_places_that_cannot_be_written(plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write_treatment_record(field_record(plan), plan, path)
    assert path.read_bytes() == b"precious"
