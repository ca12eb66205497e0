"""A record of a delivery that died says what it may have given beyond, and does not look normal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from spotline import FieldRecord, RecordError
from spotline.dicom.assumed import METERSETS, SPOTS
from spotline.dicom.treatment_record import read_treatment_record, write_treatment_record
from spotline.dicom.treatment_record_layers import PRIVATE_CREATOR, PRIVATE_GROUP
from spotline.plan import Plan
from spotline.record.model import ASSUMED
from tests.dicom.delivered import field_record
from tests.dicom.written import session_beam


def assuming(record: FieldRecord, *rows: tuple[int, int, float]) -> FieldRecord:
    """A record in which particles (slice, spot, how many) are assumed."""
    table = np.zeros(len(rows), ASSUMED)
    for row, (slice_, spot, particles) in zip(table, rows, strict=True):
        row["slice"], row["spot"], row["particles"], row["spill"] = slice_, spot, particles, 1
    return replace(record, assumed=table)


@pytest.fixture
def record(plan: Plan) -> FieldRecord:
    return field_record(plan)


def written(record: FieldRecord, plan: Plan, path: Path) -> Dataset:
    write_treatment_record(record, plan, path)
    return session_beam(dcmread(path))


def test_nothing_assumed(record: FieldRecord, plan: Plan, tmp_path: Path):
    beam = written(record, plan, tmp_path / "record.dcm")
    assert beam.TreatmentTerminationStatus == "NORMAL"
    assert "TreatmentTerminationDescription" not in beam
    (field,) = read_treatment_record(tmp_path / "record.dcm").fields
    assert len(field.assumed.meterset) == 0


def test_it_is_said(record: FieldRecord, plan: Plan, tmp_path: Path):
    """By spot of the plan; visits to one spot are added up."""
    per_particle = record.facts.meterset_per_particle
    visits = record.visits
    first, second = (
        {name: int(visits[row][name]) for name in ("slice", "spot", "planned_layer", "planned_spot")}
        for row in (0, len(visits) - 1)
    )
    rows = (
        (first["slice"], first["spot"], 2e5),
        (second["slice"], second["spot"], 3e5),
        (first["slice"], first["spot"], 1e5),
    )
    beam = written(assuming(record, *rows), plan, tmp_path / "record.dcm")
    total = 3e5 * per_particle[first["slice"]] + 3e5 * per_particle[second["slice"]]
    said = f"Up to {total:.6g} "
    assert beam.TreatmentTerminationStatus == "UNKNOWN"
    assert beam.TreatmentTerminationDescription.startswith(said)
    assert "more may have been delivered to 2 spots" in beam.BeamDescription
    (field,) = read_treatment_record(tmp_path / "record.dcm").fields
    assert field.termination == "UNKNOWN"
    layers = {layer.index: layer for layer in plan.field_by_number(record.number).layers}
    assert field.assumed.control_point.tolist() == [
        layers[one["planned_layer"]].control_point for one in (first, second)
    ]
    assert field.assumed.spot.tolist() == [first["planned_spot"], second["planned_spot"]]
    assert field.assumed.meterset.sum() == pytest.approx(total)
    # What was measured is as before: nothing of it is in the sums.
    plain = written(record, plan, tmp_path / "plain.dcm")
    assert beam.DeliveredPrimaryMeterset == plain.DeliveredPrimaryMeterset


def test_an_interlock_still_says_why_it_ended(plan: Plan, tmp_path: Path):
    stopped = field_record(plan, status="interlock", interlocks=[(51, 10, 1, 0, 0, 1.0, 1.0, 2)])
    beam = written(assuming(stopped, (0, 0, 1e5)), plan, tmp_path / "record.dcm")
    assert beam.TreatmentTerminationStatus == "OPERATOR"
    assert "operator" in beam.TreatmentTerminationDescription
    assert "may have been delivered to 1 spot before" in beam.BeamDescription


def test_other_transfer_syntax(record: FieldRecord, plan: Plan, tmp_path: Path):
    path = tmp_path / "record.dcm"
    written(assuming(record, (0, 0, 1e5)), plan, path)
    (before,) = read_treatment_record(path).fields
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    (after,) = read_treatment_record(path).fields
    for one, other in zip(before.assumed, after.assumed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("element", "value"), [(METERSETS, None), (METERSETS, [1.0, 2.0]), (SPOTS, [0]), (METERSETS, [-1.0])]
)
def test_damaged(record: FieldRecord, plan: Plan, tmp_path: Path, element: int, value: list | None):
    path = tmp_path / "record.dcm"
    written(assuming(record, (0, 0, 1e5)), plan, path)
    dataset = dcmread(path)
    block = session_beam(dataset).private_block(PRIVATE_GROUP, PRIVATE_CREATOR)
    del block[element]
    if value is not None:
        block.add_new(element, "FD" if element == METERSETS else "UL", value)
    dataset.save_as(path)
    with pytest.raises(RecordError, match="may have been delivered without being confirmed"):
        read_treatment_record(path)
