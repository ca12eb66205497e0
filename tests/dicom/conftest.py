"""A small valid plan, and a record of it, which the tests of DICOM write, break and read."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.treatment_record import treatment_record_bytes
from spotline.dicom.write_plan import ion_plan_bytes
from spotline.physics.ions import CARBON, PROTON
from spotline.plan import Field, PassiveElement, Plan
from tests.dicom.delivered import STOP, TRIP, field_record
from tests.dicom.plans import layer


@pytest.fixture(scope="session")
def good_plan() -> Plan:
    """Two fields: carbon with three layers (the second has one spot) and devices; protons with one layer."""
    first = Field(
        number=1,
        name="AP",
        ion=CARBON,
        unit="NP",
        layers=(
            layer(0, 221.45, 4, fwhm_x_mm=6.0, fwhm_y_mm=6.5, tune_id="small", paintings=2),
            layer(1, 219.0, 1, fwhm_x_mm=6.1, fwhm_y_mm=6.6, tune_id="small"),
            layer(2, 216.5, 3, tune_id="large"),
        ),
        passive=(
            PassiveElement("range_shifter", "RS30", "BINARY", 31.44, 400.0),
            PassiveElement("range_modulator", "RIFI1", "FIXED", None, 680.0),
            PassiveElement("lateral_spreading_device", "FOIL", "SCATTERER", 0.5, 900.0),
            PassiveElement("bolus", "B1"),
        ),
        gantry_angle_deg=90.0,
        patient_support_angle_deg=15.0,
        isocentre_mm=(1.0, -2.5, 3.0),
        snout_position_mm=420.0,
        machine="cnao-h",
    )
    second = Field(
        number=2,
        name="LAT",
        ion=PROTON,
        unit="MU",
        layers=(layer(0, 150.0, 3),),
        gantry_angle_deg=0.0,
        patient_support_angle_deg=0.0,
        delivery_type="CONTINUATION",
    )
    return Plan(
        label="SMALL",
        fields=(first, second),
        path=Path("small.dcm"),
        sha256="",
        format="DICOM RT Ion Plan",
        fractions_planned=12,
        fraction_group=3,
        identity={
            "PatientID": "P  01",
            "PatientName": "Doe^Jane",
            "StudyInstanceUID": "1.2.3.4",
            "FrameOfReferenceUID": "1.2.3.5",
            "PatientPosition": "HFP",
        },
    )


@pytest.fixture(scope="session")
def plan(good_plan: Plan) -> Plan:
    """The same as it was read from a file, with all that a treatment record takes over."""
    identity = good_plan.identity | {
        "SOPInstanceUID": "1.2.3.9",
        "StudyID": "S1",
        "StudyDate": "20270101",
        "StudyTime": "121314",
        "PatientBirthDate": "19700203",
        "PatientSex": "F",
    }
    return dataclasses.replace(good_plan, identity=identity, sha256="f00d")


@pytest.fixture(scope="session")
def good_bytes(good_plan: Plan) -> bytes:
    """The small plan as a DICOM file."""
    return ion_plan_bytes(good_plan)


@pytest.fixture
def dataset(good_bytes: bytes) -> Dataset:
    """The small plan as a dataset of its own, to be broken."""
    return dcmread(BytesIO(good_bytes))


@pytest.fixture
def source(dataset: Dataset, tmp_path: Path) -> Plan:
    """The small plan as a planning system might have written it: approved, with tags of its own."""
    dataset.ApprovalStatus = "APPROVED"
    dataset.ReviewDate, dataset.ReviewTime, dataset.ReviewerName = "20270102", "0304", "Roe^Jo"
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = "20270102", "0304"
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    reference.ReferencedSOPInstanceUID = "1.2.3.4.5"
    dataset.ReferencedStructureSetSequence = [reference]
    dataset.ReferencedDoseSequence = [reference]
    for beam in dataset.IonBeamSequence:
        beam.private_block(0x300B, "VENDOR", create=True).add_new(0x02, "OB", b"\1\2\3\4")
        beam.private_block(0x300B, "OTHER 7", create=True).add_new(0x10, "LO", "ours was 10")
        point = beam.IonControlPointSequence[-1]
        point.ReferencedDoseReferenceSequence = [Dataset()]
        point.ReferencedDoseReferenceSequence[0].CumulativeDoseReferenceCoefficient = "1.0"
    for item in dataset.FractionGroupSequence[0].ReferencedBeamSequence:
        item.BeamDose = "2.0"
    path = tmp_path / "source.dcm"
    dataset.save_as(path)
    return read_ion_plan(path)


@pytest.fixture(scope="session")
def record_bytes(good_plan: Plan) -> bytes:
    """An interrupted field: reordered spots, a partial layer, an interlock, an unmeasured position."""
    spots = [(0, 2), (0, 1), (0, 3), (0, 0), (1, 0), (2, 0)]
    record = field_record(good_plan, spots=spots, interlocks=[TRIP, STOP], unmeasured=[(0, 3)])
    return treatment_record_bytes(record, good_plan)


@pytest.fixture
def record(record_bytes: bytes) -> Dataset:
    """Its dataset, to be broken."""
    return dcmread(BytesIO(record_bytes))
