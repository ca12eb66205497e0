"""The verb ``spotline dose``: what it computes and writes, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, RTStructureSetStorage

import spotline
from spotline.dicom.dose import read_dose, write_dose
from spotline.dicom.encoding import file_bytes
from spotline.dose.grid import DoseGrid
from spotline.faces import cli
from spotline.machine.library import write_library
from spotline.physics.ions import PROTON
from tests.delivery.deliveries import EXAMPLES
from tests.dicom.items import item
from tests.dose.engine.entries import made_up_library

PLAN = EXAMPLES / "three_layers_proton.dcm"
ANYWHERE = "--water 80 --grid 4 --quiet"


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libraries")
    write_library(made_up_library(PROTON, [60.0, 100.0, 150.0, 230.0]), folder / "made-up-proton.h5")
    return folder


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("delivered") / "record"
    treatment = spotline.prepare(spotline.read_plan(PLAN), spotline.load_beamline("cnao-h"))
    spotline.deliver(treatment, path)
    return path


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """Water (0 HU) of 100 x 100 x 60 mm in air; the isocentre is 50 mm behind its left side."""
    folder = tmp_path / "ct"
    folder.mkdir()
    hu = np.full((16, 30, 30), -1000)
    hu[:, 2:27, 2:27] = 0
    for index in range(len(hu)):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, f"1.2.3.7.{index + 1}", "CT"
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.SeriesInstanceUID, one.FrameOfReferenceUID, one.PatientPosition = "1.2.3.7", "1.2.3.5", "HFS"
        one.ImagePositionPatient = [-56.0, -56.0, -30.0 + 4.0 * index]
        one.ImageOrientationPatient, one.PixelSpacing, one.SliceThickness = (
            [1, 0, 0, 0, 1, 0],
            [4.0, 4.0],
            4.0,
        )
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.Rows, one.Columns = hu.shape[1:]
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.PixelData = (hu[index] + 1024).astype("<u2").tobytes()
        one["PixelData"].VR = "OW"
        (folder / f"{index}.dcm").write_bytes(file_bytes(one))
    return folder


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    """A target around the isocentre, and an organ far away."""

    def box(x: float, half: float) -> list[Dataset]:
        corners = [(x - half, -half), (x + half, -half), (x + half, half), (x - half, half)]
        return [
            item(
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=4,
                ContourData=[value for a, b in corners for value in (a, b, z)],
            )
            for z in (-4.0, 0.0, 4.0)
        ]

    found = {1: ("Target", box(0.0, 10.0)), 2: ("Far", box(500.0, 5.0))}
    path = tmp_path / "structures.dcm"
    path.write_bytes(
        file_bytes(
            item(
                SOPClassUID=RTStructureSetStorage,
                SOPInstanceUID="1.2.3.20",
                Modality="RTSTRUCT",
                StructureSetROISequence=[
                    item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID="1.2.3.5")
                    for n, (name, _) in found.items()
                ],
                ROIContourSequence=[
                    item(ReferencedROINumber=n, ContourSequence=drawn) for n, (_, drawn) in found.items()
                ],
                RTROIObservationsSequence=[
                    item(ObservationNumber=n, ReferencedROINumber=n, RTROIInterpretedType="PTV")
                    for n in found
                ],
            )
        )
    )
    return path


def run(*arguments: str | Path) -> int:
    return cli.run(["dose", *map(str, arguments)])


def test_a_record_in_water(record: Path, libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "new" / "dose"
    assert run(record, "--out", out, "--library", libraries, "--water", "80", "--grid", "4") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert re.search(
        r"measured against planned: 100\.00 % pass 3 %/3 mm global, 100\.00 % compared; difference", said.out
    )
    names = ["dose.json", "measured.dcm", "planned.dcm", "report.html", "true.dcm"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert [path.name for path in out.parent.iterdir()] == ["dose"], "nothing half-written is left"
    planned, measured = read_dose(out / "planned.dcm"), read_dose(out / "measured.dcm")
    assert (planned.kind, planned.summation, measured.summation) == ("physical", "FRACTION_SESSION", "RECORD")
    own = dcmread(next(record.glob("*/record.dcm")))
    assert measured.record_uids == (own.SOPInstanceUID,)
    assert planned.plan_uid == dcmread(PLAN).SOPInstanceUID
    # Gantry 90: the beam comes from +x, and the surface lies 80 mm before the isocentre.
    assert planned.grid.upper_mm[0] == pytest.approx(80.0)
    written = json.loads((out / "dose.json").read_text(encoding="utf-8"))
    assert written["fractions"] == 1
    assert written["doses"]["planned"]["maximum_Gy"] == pytest.approx(planned.dose_Gy.max(), rel=1e-6)
    assert [(c["reference"], c["evaluated"]) for c in written["comparisons"]] == [
        ("planned", "measured"),
        ("planned", "true"),
    ]
    criteria = {(g["dose_percent"], g["distance_mm"]) for g in written["comparisons"][0]["gamma"]}
    assert {(3.0, 3.0), (3.0, 2.0), (2.0, 2.0), (1.0, 1.0)} <= criteria
    assert all(len(one["sha256"]) == 64 for one in written["inputs"])
    html = (out / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 6
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html), "needs nothing else"


def test_the_same_again_gives_the_same_bytes(record: Path, libraries: Path, tmp_path: Path):
    for name in ("one", "two"):
        out = tmp_path / name / "dose"
        assert run(record, "--out", out, "--library", libraries, *ANYWHERE.split()) == 0
    for name in ("planned.dcm", "true.dcm", "dose.json"):
        first, second = ((tmp_path / which / "dose" / name).read_bytes() for which in ("one", "two"))
        assert first == second, name


def test_a_record_is_added_once(record: Path, libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Also if it is a copy, or a link."""
    copy, link = tmp_path / "copy", tmp_path / "link"
    shutil.copytree(record, copy)
    link.symlink_to(record, target_is_directory=True)
    for other in (record, copy, link):
        options = ["--out", tmp_path / "out", "--library", libraries, *ANYWHERE.split()]
        assert run(record, other, *options) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert "is the same delivery as" in said
        assert not (tmp_path / "out").exists()


def test_two_fractions_with_rbe(record: Path, libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    options = ["--library", libraries, *ANYWHERE.split(), "--rbe", "constant"]
    for more, name in (([], "one"), (["--fractions", "2"], "two")):
        assert run(record, "--out", tmp_path / name, *options, *more) == 0
    assert capsys.readouterr() == ("", "")
    one, two = (read_dose(tmp_path / name / "measured-effective.dcm") for name in ("one", "two"))
    assert (one.kind, two.summation) == ("effective", "RECORD")
    np.testing.assert_allclose(two.dose_Gy, 2.0 * one.dose_Gy, rtol=1e-4, atol=1e-6)
    physical = read_dose(tmp_path / "one" / "measured.dcm")
    np.testing.assert_allclose(one.dose_Gy, 1.1 * physical.dose_Gy, rtol=1e-4, atol=1e-6)
    assert json.loads((tmp_path / "two" / "dose.json").read_text(encoding="utf-8"))["fractions"] == 2


def test_a_plan_against_a_dose(libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    given = [PLAN, "--beamline", "cnao-h", "--library", libraries]
    assert run(*given, "--out", tmp_path / "one", *ANYWHERE.split()) == 0
    dose = read_dose(tmp_path / "one" / "planned.dcm")
    write_dose(replace(dose, dose_Gy=1.02 * dose.dose_Gy), tmp_path / "other.dcm")
    options = ["--water", "80", "--grid", "4", "--compare", tmp_path / "other.dcm"]
    assert run(*given, "--out", tmp_path / "two", *options) == 0
    (one,) = json.loads((tmp_path / "two" / "dose.json").read_text(encoding="utf-8"))["comparisons"]
    assert (one["reference"], one["evaluated"]) == ("other.dcm", "planned")
    assert one["difference"]["largest_percent"] == pytest.approx(100.0 * (1.0 - 1.0 / 1.02), abs=0.05)
    assert "planned against other.dcm" in capsys.readouterr().out
    write_dose(replace(dose, kind="effective"), tmp_path / "effective.dcm")
    options[-1] = tmp_path / "effective.dcm"
    assert run(*given, "--out", tmp_path / "three", *options) == 2
    assert "give --rbe" in capsys.readouterr().err
    assert not (tmp_path / "three").exists()


def test_a_ct_with_structures(
    record: Path, libraries: Path, ct: Path, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    out = tmp_path / "dose"
    options = ["--ct", ct, "--structures", structures, "--grid", "4", "--library", libraries]
    assert run(record, "--out", out, *options) == 0
    said = capsys.readouterr().out
    for words in ("a nominal one", "structure Far: no part of it is within the grid", "no patient"):
        assert words in said, words
    written = json.loads((out / "dose.json").read_text(encoding="utf-8"))
    assert list(written["structures"]) == ["Target"]
    target = written["structures"]["Target"]
    assert set(target) == {"planned", "measured", "true"}
    assert target["planned"]["volume_cm3"] == pytest.approx(20.0 * 20.0 * 12.0 * 1e-3, rel=0.01)
    assert target["measured"]["mean_Gy"] == pytest.approx(target["planned"]["mean_Gy"], rel=0.01)
    planned = read_dose(out / "planned.dcm")
    assert planned.frame_of_reference_uid == "1.2.3.5"
    assert "Dose-volume histogram" in (out / "report.html").read_text(encoding="utf-8")
    # 20 mm that stop as 100 mm of water: the beam, which else reaches 150 mm, ends before the far side, and
    # only what is scattered in from beside the target, which is 12 mm wide, gets there.
    assert run(record, "--out", tmp_path / "dense", *options, "--override", "Target=5") == 0
    dense = read_dose(tmp_path / "dense" / "planned.dcm")
    end = [int(np.abs(axis - at).argmin()) for axis, at in zip(
        (planned.grid.z_mm, planned.grid.y_mm, planned.grid.x_mm), (0.0, 0.0, -42.0), strict=True
    )]  # fmt: skip
    assert dense.dose_Gy[*end] < 0.25 * planned.dose_Gy[*end]


def test_coverage_of_a_target(record: Path, libraries: Path, ct: Path, structures: Path, tmp_path: Path):
    """Against the dose file and the box itself, which is 20 x 20 x 12 mm about the isocentre."""
    out = tmp_path / "dose"
    options = ["--ct", ct, "--structures", structures, "--grid", "2", "--library", libraries, "--quiet"]
    assert run(record, "--out", out, *options, "--prescription", "target=0.3", "--letd") == 0
    written = json.loads((out / "dose.json").read_text(encoding="utf-8"))
    target = written["structures"]["Target"]["planned"]
    dose = read_dose(out / "planned.dcm")
    z, y, x = dose.grid.z_mm[:, None, None], dose.grid.y_mm[:, None], dose.grid.x_mm
    share = np.ones(dose.grid.shape)
    for axis, half, size in ((z, 6.0, 2.0), (y, 10.0, 2.0), (x, 10.0, 2.0)):
        share = share * np.clip((half + size / 2 - np.abs(axis)) / size, 0.0, 1.0)
    values, weights = dose.dose_Gy.ravel(), share.ravel()
    assert target["volume_cm3"] == pytest.approx(weights.sum() * 8e-3, rel=1e-3)
    assert target["mean_Gy"] == pytest.approx(np.average(values, weights=weights), rel=1e-4)
    # The histogram is straight between doses, of which many voxels of this box have the same.
    alike = np.bincount(np.unique(values, return_inverse=True)[1], weights)
    step_percent = 100.0 * float(alike.max() / weights.sum())
    assert step_percent < 10.0
    for percent in (2, 50, 95):
        above = weights[values >= target[f"D{percent}_Gy"]].sum() / weights.sum()
        assert 100.0 * above == pytest.approx(percent, abs=step_percent)
    hot = values >= 0.95 * 0.3
    assert target["prescription_Gy"] == 0.3
    assert target["V95_percent"] == pytest.approx(
        100.0 * weights[hot].sum() / weights.sum(), abs=step_percent
    )
    assert target["conformity_rtog"] == pytest.approx(hot.sum() / weights.sum(), rel=2e-3)
    paddick = weights[hot].sum() ** 2 / (weights.sum() * hot.sum())
    assert target["conformity_paddick"] == pytest.approx(paddick, rel=2e-3)
    assert "conformity, Paddick" in (out / "report.html").read_text(encoding="utf-8")
    header, _, content = (out / "planned-letd.mha").read_bytes().partition(b"ElementDataFile = LOCAL\n")
    letd = np.frombuffer(content, "<f4").reshape(dose.grid.shape)
    assert f"DimSize = {dose.grid.counts[0]} {dose.grid.counts[1]} {dose.grid.counts[2]}\n" in header.decode()
    assert float(letd.max()) == pytest.approx(written["doses"]["planned"]["maximum_letd_keV_um"], rel=1e-6)
    inside = weights * values * (letd.ravel() > 0.0)
    mean = float((inside * letd.ravel()).sum() / inside.sum())
    assert written["letd_keV_um"]["Target"]["planned"] == pytest.approx(mean, rel=1e-3)
    assert written["letd_of"] == {"proton": "hydrogen"}
    assert "Comment = LETd in keV/um of hydrogen nuclei\n" in header.decode()
    assert "Dose-averaged LET of hydrogen nuclei" in (out / "report.html").read_text(encoding="utf-8")


def test_a_prescription_is_of_weighted_dose_where_there_is_one(
    record: Path, libraries: Path, ct: Path, structures: Path, tmp_path: Path
):
    options = ["--ct", ct, "--structures", structures, "--grid", "4", "--library", libraries, "--quiet"]
    options += ["--rbe", "constant", "--prescription", "Target=1"]
    assert run(record, "--out", tmp_path / "dose", *options) == 0
    target = json.loads((tmp_path / "dose" / "dose.json").read_text(encoding="utf-8"))["structures"]["Target"]
    assert target["planned-effective"]["prescription_Gy"] == 1.0
    assert target["planned"]["prescription_Gy"] is None


def test_a_dose_beyond_the_box(libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """A box of a quarter of the beam: what is not compared is told first, and is the exit status."""
    given = [PLAN, "--beamline", "cnao-h", "--library", libraries, "--water", "80", "--grid", "4"]
    assert run(*given, "--out", tmp_path / "one", "--quiet") == 0
    box = ["--box", "-100", "0", "-20", "20", "-20", "20"]
    options = [*given, *box, "--compare", tmp_path / "one" / "planned.dcm", "--no-report"]
    assert run(*options, "--out", tmp_path / "two") == 1
    said = capsys.readouterr().out
    whole, part = (read_dose(tmp_path / name / "planned.dcm") for name in ("one", "two"))
    assert (part.grid.lower_mm, part.grid.upper_mm) == ((-100.0, -20.0, -20.0), (0.0, 20.0, 20.0))
    high = whole.dose_Gy >= 0.1 * whole.dose_Gy.max()
    near = np.ix_(
        *(
            (np.asarray(axis) >= other[0]) & (np.asarray(axis) <= other[-1])
            for axis, other in (
                (whole.grid.z_mm, part.grid.z_mm),
                (whole.grid.y_mm, part.grid.y_mm),
                (whole.grid.x_mm, part.grid.x_mm),
            )
        )
    )
    share = 100.0 * high[near].sum() / high.sum()
    assert share < 90.0
    words = (
        f"only {share:.2f} % of the {high.sum()} points of planned.dcm with enough dose lie within the grid"
    )
    assert said.index(words) < said.index("% pass 3 %/3 mm")
    (written,) = json.loads((tmp_path / "two" / "dose.json").read_text(encoding="utf-8"))["comparisons"]
    assert written["gamma"][0]["compared_percent"] == pytest.approx(share)
    assert "report" not in said
    assert not (tmp_path / "two" / "report.html").exists()
    assert run(*options, "--out", tmp_path / "three", "--compared-percent", f"{share - 1.0:g}") == 0


def test_the_box_of_an_image_or_of_a_structure(libraries: Path, ct: Path, structures: Path, tmp_path: Path):
    given = [PLAN, "--beamline", "cnao-h", "--library", libraries, "--ct", ct, "--structures", structures]
    given += ["--grid", "4", "--quiet", "--no-report"]
    for name, box, lower, upper in (
        # Planes every 4 mm from -4 to 4 mm: half a slice more at both ends.
        ("target", "target", (-10.0, -10.0, -6.0), (10.0, 10.0, 6.0)),
        ("image", "image", (-58.0, -58.0, -32.0), (62.0, 62.0, 32.0)),
    ):
        assert run(*given, "--box", box, "--out", tmp_path / name) == 0
        grid = read_dose(tmp_path / name / "planned.dcm").grid
        assert grid.lower_mm == pytest.approx(lower)
        assert np.all(np.subtract(grid.upper_mm, upper) >= -1e-6)
        assert np.all(np.subtract(grid.upper_mm, upper) < 4.0)


def test_the_series_of_a_ct(libraries: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    for path in sorted(ct.iterdir())[:3]:
        other = dcmread(path)
        other.SeriesInstanceUID = "1.2.3.8"
        other.save_as(ct / f"other-{path.name}")
    given = [PLAN, "--beamline", "cnao-h", "--library", libraries, "--ct", ct, "--grid", "5", "--quiet"]
    assert run(*given, "--out", tmp_path / "one") == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "mixes 2 CT series: 1.2.3.7 (no description, 16 slices" in said
    assert "--ct-series" in said
    assert run(*given, "--out", tmp_path / "two", "--ct-series", "1.2.3.7", "--no-report") == 0


def test_what_a_comparison_does_not_share_is_told(
    record: Path, libraries: Path, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    given = [record, "--library", libraries, "--water", "80", "--grid", "4"]
    assert run(*given, "--out", tmp_path / "one", "--quiet") == 0
    dose = read_dose(tmp_path / "one" / "planned.dcm")
    changed = replace(dose, frame_of_reference_uid="1.2.9", summation="BEAM", beam_number=2, plan_uid="1.2.8")
    write_dose(changed, tmp_path / "other.dcm")
    options = ["--out", tmp_path / "two", "--compare", tmp_path / "other.dcm", "--structures", structures]
    assert run(*given, *options) == 0
    said = capsys.readouterr().out
    for words in (
        "names another frame",
        "refers to another plan (1.2.8",
        "field 2 alone",
        "structure set, in",
    ):
        assert words in said, words


def test_a_plan_that_the_record_is_not_of(
    record: Path, libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    options = ["--out", tmp_path / "dose", "--library", libraries, *ANYWHERE.split()]
    assert run(record, *options, "--plan", EXAMPLES / "two_layers_carbon.dcm") == 2
    assert "is not the plan that" in capsys.readouterr().err
    assert run(record, *options, "--plan", PLAN) == 0


def test_records_of_two_patients(
    record: Path, libraries: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    other = tmp_path / "other"
    shutil.copytree(record, other)
    (path,) = (other / "plan").iterdir()
    plan = dcmread(path)
    plan.PatientID = "SOMEBODY_ELSE"
    plan.save_as(path)
    options = ["--out", tmp_path / "dose", "--library", libraries, *ANYWHERE.split()]
    assert run(record, other, *options) == 2
    assert "of patient SOMEBODY_ELSE" in capsys.readouterr().err


def centre_on_the_axis_mm(dose: DoseGrid) -> float:
    """Centre of gravity in x of what the axis of the beam receives."""
    k, j = (int(np.abs(axis).argmin()) for axis in (dose.grid.z_mm, dose.grid.y_mm))
    return float(np.average(dose.grid.x_mm, weights=dose.dose_Gy[k, j]))


def test_the_patient_lies_as_the_plan_says(
    libraries: Path, ct: Path, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """Scanned head first and treated feet first: what comes from the left is on the right."""
    plan = dcmread(PLAN)
    plan.PatientSetupSequence[0].PatientPosition = "FFS"
    plan.save_as(tmp_path / "feet.dcm")
    given = ["--beamline", "cnao-h", "--library", libraries, "--grid", "4"]
    # On its axis little of the beam goes on behind the target.
    patient = ["--ct", ct, "--structures", structures, "--override", "Target=5"]
    assert run(PLAN, *given, "--out", tmp_path / "head", *patient, "--quiet") == 0
    assert run(tmp_path / "feet.dcm", *given, "--out", tmp_path / "feet", *patient) == 0
    assert "was scanned HFS and is treated FFS" in capsys.readouterr().out
    assert run(tmp_path / "feet.dcm", *given, "--out", tmp_path / "water", "--water", "80", "--quiet") == 0
    head, feet = (
        centre_on_the_axis_mm(read_dose(tmp_path / name / "planned.dcm")) for name in ("head", "feet")
    )
    assert head > 2.0, "it comes from the left, which is +x"
    assert feet < -2.0
    assert read_dose(tmp_path / "water" / "planned.dcm").grid.lower_mm[0] == pytest.approx(-80.0)


def test_each_beam_meets_the_patient_as_he_lies_for_it(
    libraries: Path, ct: Path, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """Supine, a beam at 90 degrees comes from the left; prone, the same beam comes from the right."""
    plan = dcmread(PLAN)
    plan.PatientSetupSequence.append(item(PatientSetupNumber=2, PatientPosition="HFP"))
    second = deepcopy(plan.IonBeamSequence[0])
    second.BeamNumber, second.ReferencedPatientSetupNumber = 2, 2
    plan.IonBeamSequence.append(second)
    group = plan.FractionGroupSequence[0]
    reference = deepcopy(group.ReferencedBeamSequence[0])
    reference.ReferencedBeamNumber, group.NumberOfBeams = 2, 2
    group.ReferencedBeamSequence.append(reference)
    plan.save_as(tmp_path / "both.dcm")
    given = ["--beamline", "cnao-h", "--library", libraries, "--grid", "4", "--ct", ct]
    given += ["--structures", structures, "--override", "Target=5"]
    assert run(tmp_path / "both.dcm", *given, "--out", tmp_path / "both") == 0
    said = "the patient is treated in several positions, as the plan says: HFS (field 1), HFP (field 2)"
    assert said in capsys.readouterr().out
    whole = read_dose(tmp_path / "both" / "planned.dcm")
    places = []
    for number in ("1", "2"):
        out = tmp_path / number
        assert run(tmp_path / "both.dcm", *given, "--out", out, "--field", number, "--quiet") == 0
        places.append(centre_on_the_axis_mm(read_dose(out / "planned.dcm")))
    left, right = places
    assert left > 2.0
    assert right < -2.0
    assert right + 1.0 < centre_on_the_axis_mm(whole) < left - 1.0


def test_each_field(record: Path, libraries: Path, tmp_path: Path):
    out = tmp_path / "dose"
    options = ["--library", libraries, *ANYWHERE.split(), "--per-field", "--field", "1"]
    assert run(record, "--out", out, *options) == 0
    field = read_dose(out / "measured-field-01.dcm")
    assert (field.summation, field.beam_number) == ("BEAM_SESSION", 1)
    np.testing.assert_allclose(field.dose_Gy, read_dose(out / "measured.dcm").dose_Gy, rtol=1e-5, atol=1e-7)


def test_bad_input(
    record: Path, libraries: Path, ct: Path, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    out, full = tmp_path / "dose", tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x", encoding="utf-8")
    water = ["--water", "80", "--grid", "4"]
    lib = ["--library", libraries]
    for arguments, message in (
        (["--out", out, *water], "there is no source"),
        ([record, "--out", out, *lib], "either --ct"),
        ([record, "--out", out, *lib, *water, "--ct", ct], "either --ct"),
        ([record, "--out", full, *lib, *water], "is not empty"),
        ([record, "--out", out, *lib, "--water", "80", "--grid", "0"], "--grid: 0 mm"),
        ([record, "--out", out, *lib, "--water", "nan"], "water: a surface nan"),
        ([record, "--out", out, *lib, "--water", "80", "--grid", "0.1"], "take larger ones"),
        ([record, "--out", out, *lib, *water, "--box", "1", "2"], "--box: 2 words are no box"),
        ([record, "--out", out, *lib, *water, "--box", *"aaaaaa"], "are not six numbers"),
        ([record, "--out", out, *lib, *water, "--box", *"213456"], "from 2 to 1 mm in x is no box"),
        ([record, "--out", out, *lib, *water, "--box", "image"], "there is no image in water"),
        ([record, "--out", out, *lib, *water, "--box", "Target"], "give --structures"),
        ([record, "--out", out, *lib, *water, "--ct-series", "1.2"], "give --ct"),
        ([record, "--out", out, *lib, *water, "--compared-percent", "101"], "--compared-percent: 101"),
        ([record, "--out", out, *lib, *water, "--field", "7"], "no field 7"),
        ([record, "--out", out, *lib, *water, "--rbe", "bio"], "no RBE model 'bio'"),
        ([record, "--out", out, *lib, *water, "--alpha-beta-Gy", "2"], "give --rbe"),
        ([record, "--out", out, *lib, *water, "--override", "Target=1"], "give --ct"),
        (
            [record, "--out", out, *water, "--structures", structures, "--prescription", "a=1", "a=2"],
            "--prescription: a is given 1 and 2; give one",
        ),
        ([record, "--out", out, *lib, "--ct", ct, "--override", "Target=1"], "give --structures"),
        (
            [record, "--out", out, *lib, "--ct", ct, "--structures", structures, "--override", "Target"],
            "write NAME=RSP",
        ),
        (
            [record, "--out", out, *lib, "--ct", ct, "--structures", structures, "--override", "Liver=1"],
            "no structure is named 'Liver'",
        ),
        ([record, "--out", out, *lib, *water, "--prescription", "Target=1"], "give --structures"),
        (
            [record, "--out", out, *lib, *water, "--structures", structures, "--prescription", "Target=0"],
            "0 Gy for Target",
        ),
        (
            [record, "--out", out, *lib, *water, "--structures", structures, "--prescription", "Liver=1"],
            "no structure is named 'Liver'",
        ),
        ([record, "--out", out, *lib, "--ct", tmp_path / "nothing"], "nothing"),
        ([record, "--out", out, *water, "--library", tmp_path / "none"], "is no folder"),
        ([record, "--out", out, *water, "--library", full], "has no library of proton"),
        ([PLAN, "--out", out, *lib, *water], "--beamline"),
        ([PLAN, record, "--out", out, *lib, *water, "--beamline", "cnao-h"], "several sources"),
        ([tmp_path / "missing", "--out", out, *lib, *water, "--beamline", "cnao-h"], "missing"),
        ([record, "--out", out, *lib, *water, "--compare", PLAN], "not RT Dose"),
    ):
        assert run(*arguments) == 2, message
        said = capsys.readouterr()
        assert message in said.err, said.err
        assert len(said.err.splitlines()) == 1
        assert said.out == ""
        assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "full", "structures.dcm"]
