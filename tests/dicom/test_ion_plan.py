"""A plan is read with all that it says, however it is put; what is no plan is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian

from spotline.dicom import ion_plan_devices, ion_plan_layers, plan_geometry
from spotline.dicom.ion_plan import read_ion_plan
from spotline.errors import PlanError
from spotline.plan import Plan
from tests.dicom.broken import save
from tests.dicom.items import beam, item, point, reference


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
    for sequence, what, device in (
        ("IonBlockSequence", "Blocks", item(BlockNumber=1, BlockName="apt", BlockType="APERTURE")),
        ("IonRangeCompensatorSequence", "Compensators", item(CompensatorNumber=1, CompensatorID="C1")),
        ("IonWedgeSequence", "Wedges", item(WedgeNumber=1, WedgeID="W1", WedgeType="STANDARD")),
        ("IonBeamLimitingDeviceSequence", "", item(RTBeamLimitingDeviceType="MLCX")),
    ):
        setattr(one, sequence, [device])
        if what:
            setattr(one, f"NumberOf{what}", 1)
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
    keywords += [*(row.keyword for row in plan_geometry.ROWS), *ion_plan_layers._STATIC_SEQUENCES]
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
