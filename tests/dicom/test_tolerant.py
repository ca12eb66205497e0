"""Plans that break the standard as OpenTPS writes them: refused with a hint, repaired if it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

import spotline
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.write_plan import ion_plan_bytes
from spotline.errors import PlanError
from spotline.faces import cli
from spotline.planning.read import read_kept_plan
from tests.dicom.broken import itself, raw
from tests.treatment.plans import PROTON_MeV, layer, plan_of, proton_field

SUMMED = "summed from the weights of the spots"
HINT = "; or have it repaired on reading: --tolerant (tolerant=True)"


def good(folder: Path) -> Path:
    """Two layers of protons, two control points each, in particles."""
    layers = [
        layer([-3.0, 0.0, 3.0], 0.0, [2e7, 3e7, 4e7], index=index, energy_MeV_u=PROTON_MeV[index])
        for index in range(2)
    ]
    path = folder / "good.dcm"
    path.write_bytes(ion_plan_bytes(plan_of(proton_field(*layers))))
    return path


def as_opentps(dataset: Dataset) -> None:
    """What such a file lacks; the unit stays, so that any line can deliver it."""
    raw(itself, "Modality", "RT Ion Plan IOD")(dataset)
    group, beam = dataset.FractionGroupSequence[0], dataset.IonBeamSequence[0]
    del group.FractionGroupNumber, group.NumberOfBeams, beam.NumberOfControlPoints
    beam.IonControlPointSequence = beam.IonControlPointSequence[0::2]
    beam.RangeShifterSequence = [Dataset()]
    for index, point in enumerate(beam.IonControlPointSequence):
        del point.CumulativeMetersetWeight
        point.ControlPointIndex = index
        settings = Dataset()
        settings.ReferencedRangeShifterNumber, settings.RangeShifterSetting = 0, "OUT"
        point.RangeShifterSettingsSequence = [settings]


def written(folder: Path, change: Callable[[Dataset], object], name: str = "broken.dcm") -> Path:
    dataset = dcmread(good(folder))
    change(dataset)
    dataset.save_as(folder / name)
    return folder / name


def spots(plan: spotline.Plan) -> list[object]:
    return [
        (one.energy_MeV_u, one.x_iso_mm.tolist(), one.y_iso_mm.tolist(), one.meterset.tolist())
        for one in plan.fields[0].layers
    ]


def test_as_opentps_writes_plans(tmp_path: Path):
    path = written(tmp_path, as_opentps)
    with pytest.raises(PlanError) as refused:
        read_ion_plan(path)
    assert str(refused.value) == (
        f"{path}: Modality is RT ION PLAN IOD, not RTPLAN; give an RT Ion Plan{HINT}"
    )
    plan = read_ion_plan(path, tolerant=True)
    assert spots(plan) == spots(read_ion_plan(tmp_path / "good.dcm"))
    assert plan.repairs == (
        "Modality is RT Ion Plan IOD, taken as RTPLAN because the SOP class is RT Ion Plan",
        "FractionGroupNumber is missing, taken as 1",
        "NumberOfBeams is missing, taken as the 1 beams that are listed",
        "Field 1: RangeShifterSequence has an empty item but NumberOfRangeShifters is 0, taken as no device",
        "Field 1: NumberOfControlPoints is missing, taken as the 2 that are listed",
        f"Field 1: CumulativeMetersetWeight is missing at control point 0 and 1 more: {SUMMED}",
        "Field 1: the last control point (1) has spots and none ends it: one is added",
    )


def test_a_good_plan_is_read_the_same(tmp_path: Path):
    path = good(tmp_path)
    assert read_ion_plan(path, tolerant=True).repairs == ()
    assert spots(read_ion_plan(path, tolerant=True)) == spots(read_ion_plan(path))


def first(dataset: Dataset) -> Dataset:
    return dataset.IonBeamSequence[0]


def weights_behind(dataset: Dataset) -> None:
    """Cumulative weights that count the layer of their own control point."""
    sums = np.cumsum([sum(point.ScanSpotMetersetWeights) for point in first(dataset).IonControlPointSequence])
    for point, total in zip(first(dataset).IonControlPointSequence, sums, strict=True):
        point.CumulativeMetersetWeight = f"{total:.8g}"


REPAIRED = {
    "Modality is missing": lambda ds: ds.pop("Modality"),
    "not the sum of the weights before at control point 0 and 1 more": weights_behind,
    "PrimaryDosimeterUnit is missing, taken as MU": lambda ds: first(ds).pop("PrimaryDosimeterUnit"),
    "FinalCumulativeMetersetWeight is missing": lambda ds: first(ds).pop("FinalCumulativeMetersetWeight"),
}


@pytest.mark.parametrize("said", REPAIRED)
def test_each_repair_is_told_and_leaves_the_spots(said: str, tmp_path: Path):
    path = written(tmp_path, REPAIRED[said])
    with pytest.raises(PlanError) as refused:
        read_ion_plan(path)
    assert str(refused.value).endswith(HINT)
    plan = read_ion_plan(path, tolerant=True)
    (told,) = plan.repairs
    assert said in told
    assert spots(plan) == spots(read_ion_plan(tmp_path / "good.dcm"))


def the_only_shifter(dataset: Dataset) -> None:
    beam = first(dataset)
    device = Dataset()
    device.RangeShifterID, device.RangeShifterType = "RW3-10mm", "BINARY"
    beam.NumberOfRangeShifters, beam.RangeShifterSequence = 1, [device]
    settings = Dataset()
    settings.ReferencedRangeShifterNumber, settings.RangeShifterSetting = 0, "IN"
    beam.IonControlPointSequence[0].RangeShifterSettingsSequence = [settings]


def test_the_only_range_shifter_needs_no_number(tmp_path: Path):
    plan = read_ion_plan(written(tmp_path, the_only_shifter), tolerant=True)
    assert plan.repairs == ("Field 1: RangeShifterNumber of the only item is missing, taken as 0",)
    assert [element.id for element in plan.fields[0].passive] == ["RW3-10mm"]


def less(dataset: Dataset) -> None:
    """Weights that do not add up: what one of them is worth is not known."""
    as_opentps(dataset)
    weights = first(dataset).IonControlPointSequence[0].ScanSpotMetersetWeights
    first(dataset).IonControlPointSequence[0].ScanSpotMetersetWeights = [*weights[:-1], weights[-1] * 1.01]


def lost(dataset: Dataset) -> None:
    first(dataset).IonControlPointSequence.pop()


def other_class(dataset: Dataset) -> None:
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.481.5", "OTHER"


DOUBTFUL = {
    "weights that do not add up": less,
    "lost control points": lost,
    "no ion plan": other_class,
    "no energy": lambda ds: first(ds).IonControlPointSequence[0].pop("NominalBeamEnergy"),
    "two beams of one number": lambda ds: ds.IonBeamSequence.append(first(ds)),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_is_in_doubt_is_refused_in_any_case_and_without_a_hint(name: str, tmp_path: Path):
    path = written(tmp_path, DOUBTFUL[name])
    with pytest.raises(PlanError) as strict:
        read_ion_plan(path)
    assert HINT not in str(strict.value)
    with pytest.raises(PlanError):
        read_ion_plan(path, tolerant=True)


def test_repairs_go_with_the_preparation_and_the_delivery(
    tmp_path: Path, no_report: None, capfd: pytest.CaptureFixture
):
    path = written(tmp_path, as_opentps)
    given = [path, "--beamline", "cnao-h"]
    assert run("deliver", *given, "--out", tmp_path / "none") == 2
    assert HINT in capfd.readouterr().err
    assert not (tmp_path / "none").exists()
    assert run("plan", "show", path, "--tolerant") == 0
    assert "warning: repaired in the plan: Modality is RT Ion Plan IOD" in capfd.readouterr().out

    assert run("deliver", *given, "--tolerant", "--out", tmp_path / "record") == 0
    assert "field 1: repaired in the plan: Modality is RT Ion Plan IOD" in capfd.readouterr().err
    repairs = read_kept_plan(path).repairs
    told = {f"repaired in the plan: {repair}" for repair in repairs}
    summary = json.loads((tmp_path / "record" / "summary.json").read_text())
    assert told <= {text for one in summary["fields"] for text in one["warnings"]}
    # What the record keeps is read as it was delivered.
    record = spotline.open_record(tmp_path / "record")
    kept = spotline.plan_of_records(record)
    assert kept is not None
    assert kept.repairs == repairs

    assert run("prepare", *given, "--tolerant", "--out", tmp_path / "prepared", "--quiet") == 0
    extended = read_ion_plan(tmp_path / "prepared" / "plan.dcm")
    assert spots(extended) == spots(kept)
    assert run("deliver", tmp_path / "prepared", "--out", tmp_path / "second", "--quiet") == 0
    summary = json.loads((tmp_path / "second" / "summary.json").read_text())
    assert told <= {text for one in summary["fields"] for text in one["warnings"]}


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


def test_a_rounded_final_weight_is_kept_and_the_last_control_point_ends_at_it(tmp_path: Path):
    def rounded(dataset: Dataset) -> None:
        first(dataset).FinalCumulativeMetersetWeight = "180001000"
        for point in first(dataset).IonControlPointSequence:
            del point.CumulativeMetersetWeight

    plan = read_ion_plan(written(tmp_path, rounded), tolerant=True)
    (told,) = plan.repairs
    assert "CumulativeMetersetWeight is missing at control point 0 and 3 more" in told
    assert plan.fields[0].meterset == pytest.approx(1.8e8 * 1.8e8 / 180001000, rel=1e-9)
