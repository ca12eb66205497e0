"""Each rule of a treatment record is broken once, and the message has to say where and what."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from spotline.dicom.treatment_record import read_treatment_record
from spotline.errors import RecordError
from tests.dicom.broken import Break, itself, put, raw, refusal, remove, save
from tests.dicom.written import cp, session_beam


def private(value: list[int]) -> Break:
    def breaks(dataset: Dataset) -> None:
        cp(0)(dataset).private_block(0x3009, "SPOTLINE")[0x01].value = np.array(value, "<u4").tobytes()

    return breaks


def interlock(dataset: Dataset) -> Dataset:
    return session_beam(dataset).InterlockSequence[0]


FIELD = "field 1 (AP)"
POINT_0 = f"{FIELD}, control point 0"
POINT_2 = f"{FIELD}, control point 2"

RULES: dict[str, tuple[Break, Iterable[str]]] = {
    # what the file is
    "plan": (
        put(itself, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.8"),
        ["RT Ion Plan Storage, not RT Ion Beams"],
    ),
    "no SOP class": (remove(itself, "SOPClassUID"), ["SOPClassUID is missing"]),
    "no beams": (
        remove(itself, "TreatmentSessionIonBeamSequence"),
        ["TreatmentSessionIonBeamSequence is missing"],
    ),
    "only setup": (put(session_beam, TreatmentDeliveryType="SETUP"), ["has no treatment beam"]),
    "unit": (put(itself, PrimaryDosimeterUnit="MINUTE"), ["PrimaryDosimeterUnit is MINUTE"]),
    # the beam
    "no number": (
        remove(session_beam, "ReferencedBeamNumber"),
        ["item 0", "ReferencedBeamNumber is missing"],
    ),
    "no scan mode": (remove(session_beam, "ScanMode"), [FIELD, "ScanMode is missing"]),
    "scattered": (put(session_beam, ScanMode="NONE"), [FIELD, "ScanMode is NONE"]),
    "moving": (put(session_beam, ModulatedScanModeType="LINEAR"), [FIELD, "ModulatedScanModeType is LINEAR"]),
    "no points": (
        remove(session_beam, "IonControlPointDeliverySequence"),
        [FIELD, "IonControlPointDeliverySequence is missing"],
    ),
    "number of points": (
        put(session_beam, NumberOfControlPoints=7),
        [FIELD, "NumberOfControlPoints is 7", "has 6 items"],
    ),
    "delivered meterset of the beam": (
        put(session_beam, DeliveredPrimaryMeterset="300000"),
        [FIELD, "DeliveredPrimaryMeterset is 300000 but ScanSpotMetersetsDelivered add up to 3061"],
    ),
    # the control points
    "no index": (remove(cp(1), "ReferencedControlPointIndex"), ["control point item 1", "is missing"]),
    "index twice": (
        put(cp(1), ReferencedControlPointIndex=0),
        ["control point item 1", "ReferencedControlPointIndex is 0 after 0"],
    ),
    "no delivered meterset": (remove(cp(2), "DeliveredMeterset"), [POINT_2, "DeliveredMeterset is missing"]),
    "falling delivered meterset": (
        put(cp(2), DeliveredMeterset="206000"),
        [POINT_2, "DeliveredMeterset is 206000 but 206101.5977 before", "may only grow"],
    ),
    "falling specified meterset": (
        put(cp(2), SpecifiedMeterset="205000"),
        [POINT_2, "SpecifiedMeterset is 205000 but 206000 before"],
    ),
    "sum of the spots": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, 52000.0, 53000.0, 50050.0]),
        [POINT_0, "ScanSpotMetersetsDelivered add up to 207050 but DeliveredMeterset grows by 206101.5977"],
    ),
    "spots at the end of a layer": (
        put(cp(1), ScanSpotMetersetsDelivered=[1.0, 0.0, 0.0, 0.0]),
        [f"{FIELD}, control point 1", "add up to 1 but DeliveredMeterset grows by 0"],
    ),
    "no number of spots": (
        remove(cp(0), "NumberOfScanSpotPositions"),
        [POINT_0, "NumberOfScanSpotPositions is missing"],
    ),
    "negative number of spots": (
        put(cp(0), NumberOfScanSpotPositions=-1),
        [POINT_0, "is -1, less than zero"],
    ),
    "number of metersets": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, 51000.0, 53000.0]),
        [POINT_0, "ScanSpotMetersetsDelivered has 3 values but NumberOfScanSpotPositions 4 needs 4"],
    ),
    "no metersets": (
        remove(cp(0), "ScanSpotMetersetsDelivered"),
        [POINT_0, "ScanSpotMetersetsDelivered is missing"],
    ),
    "negative meterset": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, -51000.0, 53000.0, 0.0]),
        [POINT_0, "ScanSpotMetersetsDelivered is -51000 at spot 1"],
    ),
    "meterset that is no number": (
        put(cp(0), ScanSpotMetersetsDelivered=[52000.0, float("nan"), 53000.0, 0.0]),
        [POINT_0, "ScanSpotMetersetsDelivered has the value nan at index 1"],
    ),
    "number of positions": (
        put(cp(0), ScanSpotPositionMap=[1.0] * 7),
        [POINT_0, "ScanSpotPositionMap has 7 values but NumberOfScanSpotPositions 4 needs 8"],
    ),
    "number of time offsets": (
        put(cp(0), ScanSpotTimeOffset=[0.0, 1.0]),
        [POINT_0, "ScanSpotTimeOffset has 2 values"],
    ),
    "number of sizes": (
        put(cp(0), ScanSpotSizesDelivered=[6.0] * 4),
        [POINT_0, "ScanSpotSizesDelivered has 4 values", "needs 8"],
    ),
    "spot size": (
        put(cp(0), ScanningSpotSize=6.0),
        [POINT_0, "ScanningSpotSize has 1 values instead of two"],
    ),
    "number of indices": (
        put(cp(0), ScanSpotPrescribedIndices=[1, 2]),
        [POINT_0, "ScanSpotPrescribedIndices has 2 values"],
    ),
    "no indices": (
        remove(cp(0), "ScanSpotPrescribedIndices"),
        [POINT_0, "ScanSpotPrescribedIndices is missing or empty, but ScanSpotReordered is YES"],
    ),
    "negative index": (
        put(cp(0), ScanSpotPrescribedIndices=[3, -2, 4, 1]),
        [POINT_0, "ScanSpotPrescribedIndices is -2 at spot 1"],
    ),
    "reordered": (put(cp(0), ScanSpotReordered="MAYBE"), [POINT_0, "ScanSpotReordered is MAYBE"]),
    "time": (
        raw(cp(0), "TreatmentControlPointTime", "25:00"),
        [POINT_0, "TreatmentControlPointTime is 20270305"],
    ),
    "hour": (
        raw(cp(0), "TreatmentControlPointTime", "250000"),
        [POINT_0, "TreatmentControlPointTime is 20270305250000, which is no date and time"],
    ),
    "energy": (raw(cp(2), "NominalBeamEnergy", "high"), [POINT_2, "NominalBeamEnergy cannot be decoded"]),
    "unmeasured spot 0": (private([0]), [POINT_0, "the list of unmeasured positions", "is damaged"]),
    "unmeasured spot 5": (private([5]), [POINT_0, "the list of unmeasured positions"]),
    # interlocks
    "time of an interlock": (
        raw(interlock, "InterlockDateTime", "noon"),
        [FIELD, "InterlockSequence item 0", "InterlockDateTime is noon"],
    ),
    "code of an interlock": (
        lambda ds: setattr(
            interlock(ds).InterlockCodeSequence[0].EquivalentCodeSequence[0], "CodeValue", "x"
        ),
        [FIELD, "InterlockSequence item 0", "CodeValue cannot be decoded"],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, record: Dataset, tmp_path: Path):
    breaks, expected = RULES[rule]
    breaks(record)
    message = refusal(read_treatment_record, save(record, tmp_path), RecordError)
    for text in expected:
        assert text in message
    what, _, advice = message.rpartition("; ")
    assert what
    assert "record" in advice or "give" in advice
    assert "plan" not in advice
