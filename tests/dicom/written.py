"""Treatment records as they are written, and where to look in them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmread

from spotline.dicom.treatment_record import treatment_record_bytes
from spotline.plan import Plan
from spotline.record.model import FieldRecord


def written(record: FieldRecord, plan: Plan) -> Dataset:
    return dcmread(BytesIO(treatment_record_bytes(record, plan)))


def session_beam(dataset: Dataset) -> Dataset:
    (beam,) = dataset.TreatmentSessionIonBeamSequence
    return beam


def points_of(dataset: Dataset) -> list[Dataset]:
    return list(session_beam(dataset).IonControlPointDeliverySequence)


def cp(index: int) -> Callable[[Dataset], Dataset]:
    return lambda dataset: points_of(dataset)[index]


def values(point: Dataset, keyword: str) -> list[float]:
    return [float(found) for found in np.atleast_1d(point[keyword].value)]
