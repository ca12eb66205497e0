"""Each rule of an ion plan is broken once, and the message has to say where and what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian

from spotline.dicom import ion_plan_devices, ion_plan_layers
from spotline.dicom.ion_plan import read_ion_plan
from spotline.errors import PlanError
from spotline.plan import Plan

Break = Callable[[Dataset], object]


def beam(dataset: Dataset, number: int = 1) -> Dataset:
    return dataset.IonBeamSequence[number - 1]


def point(dataset: Dataset, index: int) -> Dataset:
    return beam(dataset).IonControlPointSequence[index]


def group(dataset: Dataset) -> Dataset:
    return dataset.FractionGroupSequence[0]


def reference(dataset: Dataset, number: int = 1) -> Dataset:
    return group(dataset).ReferencedBeamSequence[number - 1]


def put(find: Callable[[Dataset], Dataset], **values: object) -> Break:
    def breaks(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(find(dataset), keyword, value)

    return breaks


def remove(find: Callable[[Dataset], Dataset], keyword: str) -> Break:
    return lambda dataset: delattr(find(dataset), keyword)


def raw(find: Callable[[Dataset], Dataset], keyword: str, text: str) -> Break:
    """Write a text where DICOM wants a number, past the checks of pydicom."""

    def breaks(dataset: Dataset) -> None:
        tag = tag_for_keyword(keyword)
        assert tag is not None
        find(dataset)[tag] = DataElement(tag, "LO", text)

    return breaks


def both(*breaks: Break) -> Break:
    return lambda dataset: [one(dataset) for one in breaks]


def itself(dataset: Dataset) -> Dataset:
    return dataset


def cp(index: int) -> Callable[[Dataset], Dataset]:
    return lambda dataset: point(dataset, index)


def shifter_setting(dataset: Dataset) -> Dataset:
    return point(dataset, 0).RangeShifterSettingsSequence[0]


def save(dataset: Dataset, folder: Path) -> Path:
    path = folder / "broken.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


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
    path = save(dataset, tmp_path)
    with pytest.raises(PlanError) as caught:
        read_ion_plan(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message


def test_good_plan_has_everything(good_bytes: bytes, tmp_path: Path):
    path = tmp_path / "plan.dcm"
    path.write_bytes(good_bytes)
    plan = read_ion_plan(path)
    assert (plan.label, plan.fractions_planned, plan.fraction_group) == ("SMALL", 12, 3)
    assert plan.identity["PatientID"] == "P  01"
    assert plan.identity["PatientPosition"] == "HFP"
    assert plan.format == "DICOM RT Ion Plan"
    assert len(plan.sha256) == 64
    field = plan.field_by_number(1)
    assert (field.gantry_angle_deg, field.patient_support_angle_deg) == (90.0, 15.0)
    assert (field.isocentre_mm, field.snout_position_mm) == ((1.0, -2.5, 3.0), 420.0)
    assert [element.kind for element in field.passive] == [
        "range_shifter",
        "range_modulator",
        "lateral_spreading_device",
        "bolus",
    ]
    assert [layer.control_point for layer in field.layers] == [0, 2, 4]
    assert [layer.n_spots for layer in field.layers] == [4, 1, 3]
    assert [layer.paintings for layer in field.layers] == [2, 1, 1]
    assert plan.field_by_number(2).delivery_type == "CONTINUATION"


def read(dataset: Dataset, folder: Path) -> Plan:
    return read_ion_plan(save(dataset, folder))


def test_weights_are_scaled_to_the_beam_meterset(dataset: Dataset, tmp_path: Path):
    reference(dataset).BeamMeterset = str(2 * 409000)
    layers = read(dataset, tmp_path).fields[0].layers
    np.testing.assert_allclose(layers[0].meterset, [1e5, 1.02e5, 1.04e5, 1.06e5], rtol=1e-12)


def test_spots_of_weight_zero_are_left_out_and_counted(dataset: Dataset, tmp_path: Path):
    first = point(dataset, 0)
    weights = [0.0, 101000.0, 0.0, 105000.0]
    first.ScanSpotMetersetWeights = weights
    layers = read(dataset, tmp_path).fields[0].layers
    assert layers[0].spot_index is not None
    assert layers[0].spot_index.tolist() == [1, 3]
    assert layers[0].file_index.tolist() == [1, 3]
    assert layers[0].x_iso_mm.tolist() == [-1.0, 3.0]
    assert layers[1].spot_index is None
    assert layers[1].file_index.tolist() == [0]


def test_absent_values_are_those_of_the_control_point_before(dataset: Dataset, tmp_path: Path):
    for index in (1, 2, 3):
        for keyword in ("NominalBeamEnergy", "ScanSpotTuneID", "ScanningSpotSize", "NumberOfPaintings"):
            delattr(point(dataset, index), keyword)
    for keyword in ("ScanSpotPositionMap", "ScanSpotMetersetWeights"):
        delattr(point(dataset, 1), keyword)
    first, second, _ = read(dataset, tmp_path).fields[0].layers
    assert second.energy_MeV_u == first.energy_MeV_u == 221.45
    assert (second.tune_id, second.paintings, second.fwhm_x_mm) == ("small", 2, first.fwhm_x_mm)


def test_one_control_point_a_layer(dataset: Dataset, tmp_path: Path):
    """Some exporters leave the ends out: the next layer begins where the last one ends."""
    points = beam(dataset).IonControlPointSequence
    kept = [points[0], points[2], points[4], points[5]]
    for index, one in enumerate(kept):
        one.ControlPointIndex = index
    beam(dataset).IonControlPointSequence = kept
    beam(dataset).NumberOfControlPoints = 4
    layers = read(dataset, tmp_path).fields[0].layers
    assert [layer.control_point for layer in layers] == [0, 1, 2]
    assert [layer.energy_MeV_u for layer in layers] == [221.45, 219.0, 216.5]
    assert [layer.n_spots for layer in layers] == [4, 1, 3]


def test_setup_beams_are_left_out(dataset: Dataset, tmp_path: Path):
    beam(dataset, 2).TreatmentDeliveryType = "SETUP"
    del reference(dataset, 2).BeamMeterset
    assert [field.number for field in read(dataset, tmp_path).fields] == [1]


def test_scanning_magnets_and_what_is_out_are_no_devices(dataset: Dataset, tmp_path: Path):
    beam(dataset).LateralSpreadingDeviceSequence[0].LateralSpreadingDeviceType = "MAGNET"
    point(dataset, 0).RangeShifterSettingsSequence[0].RangeShifterSetting = "OUT"
    assert [e.kind for e in read(dataset, tmp_path).fields[0].passive] == ["range_modulator", "bolus"]


def test_blocks_compensators_wedges_and_jaws(dataset: Dataset, tmp_path: Path):
    one = beam(dataset)
    for sequence, count, values in (
        (
            "IonBlockSequence",
            "NumberOfBlocks",
            {"BlockNumber": 1, "BlockName": "apt", "BlockType": "APERTURE"},
        ),
        (
            "IonRangeCompensatorSequence",
            "NumberOfCompensators",
            {"CompensatorNumber": 1, "CompensatorID": "C1"},
        ),
        ("IonWedgeSequence", "NumberOfWedges", {"WedgeNumber": 1, "WedgeID": "W1", "WedgeType": "STANDARD"}),
        ("IonBeamLimitingDeviceSequence", "", {"RTBeamLimitingDeviceType": "MLCX"}),
    ):
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(one, sequence, [item])
        if count:
            setattr(one, count, 1)
    one.IonBlockSequence[0].IsocenterToBlockTrayDistance = 192.5
    found = {e.kind: e for e in read(dataset, tmp_path).fields[0].passive}
    assert (found["block"].id, found["block"].type) == ("apt", "APERTURE")
    assert found["block"].isocentre_distance_mm == 192.5
    assert found["compensator"].id == "C1"
    assert found["wedge"].type == "STANDARD"
    assert found["beam_limiting_device"].id == "MLCX"


@pytest.mark.parametrize(("weight", "accepted"), [(50004.9, True), (50005.5, False), (49995.1, True)])
def test_tolerance_of_the_sum_is_1e_4_of_the_layer(
    weight: float, accepted: bool, dataset: Dataset, tmp_path: Path
):
    point(dataset, 2).ScanSpotMetersetWeights = [weight]
    if accepted:
        assert read(dataset, tmp_path).fields[0].layers[1].meterset[0] == pytest.approx(weight)
    else:
        with pytest.raises(PlanError, match="tolerance"):
            read(dataset, tmp_path)


def test_cumulative_weights_of_six_digits_are_accepted(dataset: Dataset, tmp_path: Path):
    """A small layer at the end of a large field: the rounding of the sum exceeds 1e-4 of the layer."""
    weights = [[2.0e10] * 4, [50000.0], [5e4] * 3]
    sums = ["0", "8E+10", "8E+10", "8.00001E+10", "8.00001E+10", "8.00003E+10"]
    for index, one in enumerate(beam(dataset).IonControlPointSequence):
        one.CumulativeMetersetWeight = sums[index]
        if index % 2 == 0:
            one.ScanSpotMetersetWeights = weights[index // 2]
    beam(dataset).FinalCumulativeMetersetWeight = sums[-1]
    reference(dataset).BeamMeterset = sums[-1]
    assert read(dataset, tmp_path).fields[0].meterset == pytest.approx(8.00002e10)


def test_more_spots_than_explicit_vr_can_hold(dataset: Dataset, tmp_path: Path):
    n_spots = 20000
    for index in (2, 3):
        one = point(dataset, index)
        one.NumberOfScanSpotPositions = n_spots
        one.ScanSpotPositionMap = np.linspace(-50.0, 50.0, 2 * n_spots).tolist()
        one.ScanSpotMetersetWeights = [2.5 if index == 2 else 0.0] * n_spots
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with pytest.warns(UserWarning, match="64 kByte"):
        dataset.save_as(tmp_path / "explicit.dcm", implicit_vr=False, little_endian=True)
    layer = read_ion_plan(tmp_path / "explicit.dcm").fields[0].layers[1]
    assert layer.n_spots == n_spots
    assert layer.y_iso_mm[-1] == 50.0


def test_every_keyword_is_one_of_dicom():
    devices = [dataclasses.asdict(device) for device in ion_plan_devices.DEVICES]
    keywords = [word for device in devices for key, word in device.items() if key != "kind" and word]
    keywords += [*ion_plan_layers._STATIC_NUMBERS, *ion_plan_layers._STATIC_SEQUENCES]
    assert [keyword for keyword in keywords if tag_for_keyword(keyword) is None] == []


def test_missing_file_and_folder(tmp_path: Path):
    with pytest.raises(PlanError, match=r"absent\.dcm: cannot be read"):
        read_ion_plan(tmp_path / "absent.dcm")
    with pytest.raises(PlanError, match="cannot be read"):
        read_ion_plan(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"x" * 4000, b"\0" * 128 + b"DICM", bytes(range(256)) * 8]
)
def test_what_is_no_dicom(content: bytes, tmp_path: Path):
    path = tmp_path / "no.dcm"
    path.write_bytes(content)
    with pytest.raises(PlanError, match="is not a DICOM file"):
        read_ion_plan(path)
