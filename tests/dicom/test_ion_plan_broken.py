"""Each rule of an ion plan is broken once, and the message has to say where and what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydicom import Dataset

from spotline.dicom.ion_plan import read_ion_plan
from spotline.errors import PlanError
from tests.dicom.broken import Break, itself, put, raw, refusal, remove, save
from tests.dicom.items import beam, group, point, reference


def both(*breaks: Break) -> Break:
    return lambda dataset: [one(dataset) for one in breaks]


def cp(index: int) -> Callable[[Dataset], Dataset]:
    return lambda dataset: point(dataset, index)


def shifter_setting(dataset: Dataset) -> Dataset:
    return point(dataset, 0).RangeShifterSettingsSequence[0]


FIELD = "field 1 (AP)"
LAYER_0 = f"{FIELD}, layer 0 (control point 0)"
LAYER_1 = f"{FIELD}, layer 1 (control point 2)"

RULES: dict[str, tuple[Break, Iterable[str]]] = {
    # what the file is
    "treatment record": (
        put(itself, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.9"),
        ["RT Ion Beams Treatment Record", "not a plan"],
    ),
    "photon plan": (put(itself, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5"), ["RT Plan for photons"]),
    "other SOP class": (put(itself, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), ["SOPClassUID", "CT Image"]),
    "no SOP class": (remove(itself, "SOPClassUID"), ["SOPClassUID is missing"]),
    "no SOP instance": (remove(itself, "SOPInstanceUID"), ["SOPInstanceUID is missing"]),
    "other modality": (put(itself, Modality="CT"), ["Modality is CT"]),
    "no beams": (remove(itself, "IonBeamSequence"), ["IonBeamSequence is missing"]),
    "no fraction group": (remove(itself, "FractionGroupSequence"), ["FractionGroupSequence is missing"]),
    # the fraction group and the beams
    "two fraction groups": (
        lambda ds: ds.FractionGroupSequence.append(Dataset()),
        ["FractionGroupSequence has 2 items"],
    ),
    "no group number": (remove(group, "FractionGroupNumber"), ["FractionGroupNumber is missing"]),
    "no fractions": (
        put(group, NumberOfFractionsPlanned=0),
        ["fraction group 3", "NumberOfFractionsPlanned is 0"],
    ),
    "number of beams": (put(group, NumberOfBeams=3), ["NumberOfBeams is 3", "has 2 items"]),
    "no number of beams": (remove(group, "NumberOfBeams"), ["NumberOfBeams is missing"]),
    "no references": (remove(group, "ReferencedBeamSequence"), ["ReferencedBeamSequence is missing"]),
    "reference twice": (
        put(lambda ds: reference(ds, 2), ReferencedBeamNumber=1),
        ["ReferencedBeamNumber 1 is listed twice"],
    ),
    "reference to nothing": (
        put(lambda ds: reference(ds, 2), ReferencedBeamNumber=7),
        ["fraction group 3 refers to beam 7 (ReferencedBeamNumber)", "not in IonBeamSequence"],
    ),
    "beam without reference": (
        both(lambda ds: group(ds).ReferencedBeamSequence.pop(), put(group, NumberOfBeams=1)),
        ["field 2 (LAT)", "no ReferencedBeamNumber is 2"],
    ),
    "beam number twice": (put(lambda ds: beam(ds, 2), BeamNumber=1), ["BeamNumber 1 is used twice"]),
    "no beam number": (remove(beam, "BeamNumber"), ["IonBeamSequence item 0", "BeamNumber is missing"]),
    "no beam meterset": (remove(reference, "BeamMeterset"), [FIELD, "BeamMeterset is missing"]),
    "empty beam meterset": (put(reference, BeamMeterset=None), [FIELD, "BeamMeterset is missing"]),
    "zero beam meterset": (put(reference, BeamMeterset="0"), [FIELD, "BeamMeterset is 0"]),
    "negative beam meterset": (put(reference, BeamMeterset="-5"), [FIELD, "BeamMeterset is -5"]),
    "infinite beam meterset": (raw(reference, "BeamMeterset", "inf"), ["beam 1", "BeamMeterset", "inf"]),
    "text as beam meterset": (raw(reference, "BeamMeterset", "many"), ["beam 1", "BeamMeterset"]),
    "tiny final weight": (
        both(put(beam, FinalCumulativeMetersetWeight="1e-300"), put(reference, BeamMeterset="1e300")),
        [FIELD, "FinalCumulativeMetersetWeight is 1e-300"],
    ),
    # kind of delivery
    "only setup beams": (
        both(
            put(beam, TreatmentDeliveryType="SETUP"),
            put(lambda ds: beam(ds, 2), TreatmentDeliveryType="SETUP"),
        ),
        ["no treatment beam", "TreatmentDeliveryType"],
    ),
    "other delivery type": (
        put(beam, TreatmentDeliveryType="OPEN_PORTFILM"),
        [FIELD, "TreatmentDeliveryType is OPEN_PORTFILM"],
    ),
    "no delivery type": (remove(beam, "TreatmentDeliveryType"), [FIELD, "TreatmentDeliveryType is missing"]),
    "uniform scanning": (put(beam, ScanMode="UNIFORM"), [FIELD, "ScanMode is UNIFORM"]),
    "no scan mode": (remove(beam, "ScanMode"), [FIELD, "ScanMode is missing"]),
    "line scanning": (put(beam, ModulatedScanModeType="LINEAR"), [FIELD, "ModulatedScanModeType is LINEAR"]),
    "unit": (put(beam, PrimaryDosimeterUnit="MINUTE"), [FIELD, "PrimaryDosimeterUnit is MINUTE"]),
    "no unit": (remove(beam, "PrimaryDosimeterUnit"), [FIELD, "PrimaryDosimeterUnit is missing"]),
    # the ion
    "photons": (put(beam, RadiationType="PHOTON"), [FIELD, "RadiationType is PHOTON"]),
    "no radiation": (remove(beam, "RadiationType"), [FIELD, "RadiationType is missing"]),
    "no mass number": (remove(beam, "RadiationMassNumber"), [FIELD, "RadiationMassNumber is missing"]),
    "no atomic number": (remove(beam, "RadiationAtomicNumber"), [FIELD, "RadiationAtomicNumber is missing"]),
    "unknown ion": (
        put(beam, RadiationAtomicNumber=26, RadiationMassNumber=56),
        [FIELD, "RadiationAtomicNumber 26", "RadiationMassNumber 56", "12C"],
    ),
    "heavy proton": (
        put(beam, RadiationType="PROTON"),
        [FIELD, "RadiationType is PROTON", "RadiationMassNumber is 12"],
    ),
    "charge state": (put(beam, RadiationChargeState=4), [FIELD, "RadiationChargeState is 4"]),
    # control points and weights
    "no control points": (
        remove(beam, "IonControlPointSequence"),
        [FIELD, "IonControlPointSequence is missing"],
    ),
    "one control point": (
        lambda ds: put(
            beam, NumberOfControlPoints=1, IonControlPointSequence=beam(ds).IonControlPointSequence[:1]
        )(ds),
        [FIELD, "IonControlPointSequence has one item"],
    ),
    "number of control points": (
        put(beam, NumberOfControlPoints=8),
        [FIELD, "NumberOfControlPoints is 8", "has 6 items"],
    ),
    "no number of control points": (
        remove(beam, "NumberOfControlPoints"),
        [FIELD, "NumberOfControlPoints is missing"],
    ),
    "order of control points": (
        put(cp(2), ControlPointIndex=4),
        [f"{FIELD}, control point 2", "ControlPointIndex is 4"],
    ),
    "no cumulative weight": (
        remove(cp(3), "CumulativeMetersetWeight"),
        [f"{FIELD}, control point 3", "CumulativeMetersetWeight is missing"],
    ),
    "cumulative weight begins late": (
        put(cp(0), CumulativeMetersetWeight="1"),
        [f"{FIELD}, control point 0", "CumulativeMetersetWeight is 1"],
    ),
    "cumulative weight falls": (
        put(cp(2), CumulativeMetersetWeight="1000"),
        [f"{FIELD}, control point 2", "CumulativeMetersetWeight falls"],
    ),
    "final weight": (
        put(beam, FinalCumulativeMetersetWeight="409001"),
        [FIELD, "FinalCumulativeMetersetWeight is 409001", "ends at 409000"],
    ),
    "no final weight": (
        remove(beam, "FinalCumulativeMetersetWeight"),
        [FIELD, "FinalCumulativeMetersetWeight is missing"],
    ),
    "zero final weight": (
        put(beam, FinalCumulativeMetersetWeight="0"),
        [FIELD, "FinalCumulativeMetersetWeight is 0"],
    ),
    "sum of weights": (
        put(cp(2), ScanSpotMetersetWeights=[50100.0]),
        [LAYER_1, "ScanSpotMetersetWeights add up to 50100", "CumulativeMetersetWeight grows by 50000"],
    ),
    "weights on the last control point": (
        put(cp(5), ScanSpotMetersetWeights=[1.0, 0.0, 0.0]),
        [f"{FIELD}, layer 2 (control point 5)", "ScanSpotMetersetWeights add up to 1", "is the last"],
    ),
    "weights on an end control point": (
        put(cp(1), ScanSpotMetersetWeights=[1.0, 0.0, 0.0, 0.0]),
        [f"{FIELD}, layer 0 (control point 1)", "ScanSpotMetersetWeights", "ends its layer"],
    ),
    "weights all zero": (
        put(cp(2), ScanSpotMetersetWeights=[0.0]),
        [LAYER_1, "ScanSpotMetersetWeights are all zero", "grows by 50000"],
    ),
    "no weights": (
        remove(cp(2), "ScanSpotMetersetWeights"),
        [LAYER_1, "ScanSpotMetersetWeights are missing"],
    ),
    "negative weight": (
        put(cp(0), ScanSpotMetersetWeights=[5e4, 5.1e4, -5.2e4, 5.3e4]),
        [LAYER_0, "ScanSpotMetersetWeights", "-52000 at spot 2"],
    ),
    "weight that is no number": (
        put(cp(0), ScanSpotMetersetWeights=[5e4, float("nan"), 5.2e4, 5.3e4]),
        [LAYER_0, "ScanSpotMetersetWeights has the value nan at index 1"],
    ),
    "infinite weight": (
        put(cp(0), ScanSpotMetersetWeights=[5e4, 5.1e4, 5.2e4, float("inf")]),
        [LAYER_0, "ScanSpotMetersetWeights has the value inf at index 3"],
    ),
    "number of spots": (
        put(cp(0), NumberOfScanSpotPositions=5),
        [LAYER_0, "ScanSpotMetersetWeights has 4 values", "NumberOfScanSpotPositions is 5"],
    ),
    "no positions": (
        both(remove(cp(0), "ScanSpotPositionMap"), remove(cp(1), "ScanSpotPositionMap")),
        [LAYER_0, "ScanSpotPositionMap is missing"],
    ),
    "odd positions": (
        put(cp(0), ScanSpotPositionMap=[0.0] * 7),
        [LAYER_0, "ScanSpotPositionMap has 7 values", "8"],
    ),
    "position that is no number": (
        put(cp(2), ScanSpotPositionMap=[float("nan"), 0.0]),
        [LAYER_1, "ScanSpotPositionMap has the value nan at index 0"],
    ),
    "positions move": (
        put(cp(3), ScanSpotPositionMap=[9.0, 9.0]),
        [f"{FIELD}, layer 1 (control point 3)", "ScanSpotPositionMap differs"],
    ),
    "energy ramp": (
        put(cp(3), NominalBeamEnergy="200"),
        [f"{FIELD}, layer 1 (control point 3)", "NominalBeamEnergy is 200 but 219"],
    ),
    "tune changes": (
        put(cp(3), ScanSpotTuneID="large"),
        [f"{FIELD}, layer 1 (control point 3)", "ScanSpotTuneID is large but small"],
    ),
    "no energy": (remove(cp(0), "NominalBeamEnergy"), [LAYER_0, "NominalBeamEnergy is missing"]),
    "energy zero": (put(cp(2), NominalBeamEnergy="0"), [LAYER_1, "NominalBeamEnergy is 0"]),
    "energy negative": (put(cp(2), NominalBeamEnergy="-219"), [LAYER_1, "NominalBeamEnergy is -219"]),
    "energy that is no number": (
        raw(cp(2), "NominalBeamEnergy", "NaN"),
        [LAYER_1, "BeamEnergy", "nan"],
    ),
    "two energies": (put(cp(2), NominalBeamEnergy=["1", "2"]), [LAYER_1, "NominalBeamEnergy has 2 values"]),
    "energy in volts": (put(cp(0), NominalBeamEnergyUnit="MV"), [LAYER_0, "NominalBeamEnergyUnit is MV"]),
    "paintings": (put(cp(2), NumberOfPaintings=0), [LAYER_1, "NumberOfPaintings is 0"]),
    "half a painting": (raw(cp(2), "NumberOfPaintings", "1.5"), [LAYER_1, "NumberOfPaintings"]),
    "one spot size": (put(cp(0), ScanningSpotSize=6.0), [LAYER_0, "ScanningSpotSize is [6.0]"]),
    "negative spot size": (put(cp(0), ScanningSpotSize=[6.0, -6.0]), [LAYER_0, "ScanningSpotSize"]),
    "no spots": (
        lambda ds: [
            setattr(one, keyword, value)
            for one in beam(ds).IonControlPointSequence
            for keyword, value in (
                ("CumulativeMetersetWeight", "0"),
                ("ScanSpotMetersetWeights", [0.0] * one.NumberOfScanSpotPositions),
            )
        ],
        [FIELD, "FinalCumulativeMetersetWeight"],
    ),
    # what must not change during a field
    "no gantry angle": (
        remove(cp(0), "GantryAngle"),
        [f"{FIELD}, control point 0", "Angle is missing"],
    ),
    "gantry turns": (
        put(cp(2), GantryAngle="91"),
        [f"{FIELD}, control point 2", "Angle is [91.0] but [90.0] at"],
    ),
    "couch turns": (
        put(cp(2), PatientSupportAngle="16"),
        [f"{FIELD}, control point 2", "SupportAngle"],
    ),
    "table moves": (
        both(put(cp(0), TableTopVerticalPosition="0"), put(cp(4), TableTopVerticalPosition="1")),
        [f"{FIELD}, control point 4", "TableTopVerticalPosition is [1.0] but [0.0]"],
    ),
    "isocentre moves": (
        put(cp(2), IsocenterPosition=["1", "-2.5", "4"]),
        [f"{FIELD}, control point 2", "IsocenterPosition is [1.0, -2.5, 4.0] but"],
    ),
    "isocentre in a plane": (
        put(cp(0), IsocenterPosition=["1", "-2.5"]),
        [f"{FIELD}, control point 0", "IsocenterPosition has 2 values"],
    ),
    "snout moves": (
        put(cp(2), SnoutPosition=300.0),
        [f"{FIELD}, control point 2", "is [300.0] but [420.0]"],
    ),
    "range shifter comes later": (
        lambda ds: setattr(point(ds, 2), "RangeShifterSettingsSequence", [Dataset()]),
        [f"{FIELD}, control point 2", "RangeShifterSettingsSequence differs"],
    ),
    # devices
    "number of range shifters": (
        put(beam, NumberOfRangeShifters=2),
        [FIELD, "NumberOfRangeShifters is 2", "RangeShifterSequence has 1 items"],
    ),
    "number of blocks": (
        put(beam, NumberOfBlocks=1),
        [FIELD, "NumberOfBlocks is 1", "BlockSequence has 0"],
    ),
    "range shifter twice": (
        both(
            lambda ds: beam(ds).RangeShifterSequence.append(beam(ds).RangeShifterSequence[0]),
            put(beam, NumberOfRangeShifters=2),
        ),
        [FIELD, "RangeShifterNumber 1 is used twice"],
    ),
    "setting of nothing": (
        put(shifter_setting, ReferencedRangeShifterNumber=9),
        [f"{FIELD}, control point 0", "ReferencedRangeShifterNumber 9", "not in RangeShifterSequence"],
    ),
    "setting twice": (
        lambda ds: point(ds, 0).RangeShifterSettingsSequence.append(shifter_setting(ds)),
        [f"{FIELD}, control point 0", "ReferencedRangeShifterNumber 1 twice"],
    ),
    "negative beam number": (
        both(put(beam, BeamNumber=-5), put(reference, ReferencedBeamNumber=-5)),
        ["IonBeamSequence item 0", "BeamNumber is -5", "a whole number from 0"],
    ),
    "negative thickness": (
        put(shifter_setting, RangeShifterWaterEquivalentThickness=-1.0),
        [FIELD, "RangeShifterWaterEquivalentThickness is -1"],
    ),
    "sequence that is none": (
        raw(beam, "RangeShifterSequence", "nonsense"),
        [FIELD, "RangeShifterSequence"],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, dataset: Dataset, tmp_path: Path):
    breaks, fragments = RULES[rule]
    breaks(dataset)
    message = refusal(read_ion_plan, save(dataset, tmp_path), PlanError)
    for fragment in fragments:
        assert fragment in message
