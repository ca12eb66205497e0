"""The plan that records were delivered from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

import spotline
from spotline.errors import RecordError
from tests.delivery.deliveries import EXAMPLES, TWO_LAYERS


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> spotline.Record:
    treatment = spotline.prepare(spotline.read_plan(TWO_LAYERS), spotline.load_beamline("cnao-h"))
    return spotline.deliver(treatment, tmp_path_factory.mktemp("delivered") / "record", documents=False)


def altered(record: spotline.Record, folder: Path, **attributes: str) -> spotline.Record:
    """A copy whose plan says something else of the patient."""
    shutil.copytree(record.path, folder)
    (path,) = (folder / "plan").iterdir()
    plan = dcmread(path)
    for name, value in attributes.items():
        setattr(plan, name, value)
    plan.save_as(path)
    return spotline.open_record(folder)


def test_the_copy_that_a_delivery_keeps(record: spotline.Record, tmp_path: Path):
    found = spotline.plan_of_records(record)
    assert found is not None
    assert found.sha256 == spotline.read_plan(TWO_LAYERS).sha256
    other = altered(record, tmp_path / "other", PatientName="WRITTEN^OTHERWISE")
    again = spotline.plan_of_records([record, other])
    assert again is not None
    assert again.sha256 == found.sha256, "that of the first"
    shutil.rmtree(tmp_path / "other" / "plan")
    assert spotline.plan_of_records(other) is None


def test_records_of_two_patients_are_refused(record: spotline.Record, tmp_path: Path):
    other = altered(record, tmp_path / "other", PatientID="SOMEBODY_ELSE")
    with pytest.raises(RecordError, match="of patient SOMEBODY_ELSE"):
        spotline.plan_of_records([record, other])


def test_a_plan_that_is_given_must_be_theirs(record: spotline.Record, tmp_path: Path):
    own = spotline.read_plan(TWO_LAYERS)
    assert spotline.plan_of_records(record, own) is own
    # Written anew by another program, it has other bytes and the same SOP Instance UID.
    dataset = dcmread(TWO_LAYERS)
    dataset.RTPlanDescription = "exported again"
    dataset.save_as(tmp_path / "again.dcm")
    again = spotline.read_plan(tmp_path / "again.dcm")
    assert again.sha256 != own.sha256
    assert spotline.plan_of_records(record, again) is again
    with pytest.raises(RecordError, match="is not the plan that"):
        spotline.plan_of_records(record, spotline.read_plan(EXAMPLES / "three_layers_proton.dcm"))
