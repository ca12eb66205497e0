"""CT series: in order, complete, and refused where they are not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, RLELossless

from spotline.dicom.ct import read_ct
from spotline.dicom.encoding import file_bytes
from spotline.dose.grid import Grid
from spotline.errors import DoseError

GRID = Grid((-12.0, -30.5, 100.0), (1.5, 1.0, 2.5), (6, 5, 4))
HU = np.random.default_rng(3).integers(-1000, 1500, GRID.shape)


def slice_dataset(index: int, **more: object) -> Dataset:
    """Slice `index` of the series above, 12 bits of 16, intercept -1024."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.3.7.{index + 1}"
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesInstanceUID = "1.2.3.7"
    dataset.SeriesDescription = "head"
    dataset.FrameOfReferenceUID = "1.2.3.5"
    dataset.PatientPosition = "HFS"
    dataset.ImagePositionPatient = [*GRID.origin_mm[:2], GRID.z_mm[index]]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [GRID.spacing_mm[1], GRID.spacing_mm[0]]
    dataset.SliceThickness = 2.5
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = GRID.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = (HU[index] + 1024).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


# The names are in another order than the slices.
NAMES = ["c", "f", "a", "e", "b", "d"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ct"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        put(folder, slice_dataset(index), f"{name}.dcm")
    return folder


def put(folder: Path, dataset: Dataset, name: str) -> None:
    (folder / name).write_bytes(file_bytes(dataset))


def test_slices_are_sorted_by_where_they_lie(folder: Path):
    ct = read_ct(folder)
    assert ct.grid.same_as(GRID)
    np.testing.assert_array_equal(ct.hu, HU)
    assert (ct.frame_of_reference_uid, ct.patient_position, ct.series_uid) == ("1.2.3.5", "HFS", "1.2.3.7")
    assert (ct.description, ct.notes) == ("head", ())


TURNED = {
    "HFP": ([-1, 0, 0, 0, -1, 0], lambda plane: plane[::-1, ::-1]),
    "FFS": ([-1, 0, 0, 0, 1, 0], lambda plane: plane[:, ::-1]),
    "FFP": ([1, 0, 0, 0, -1, 0], lambda plane: plane[::-1]),
    "HFDL": ([0, -1, 0, 1, 0, 0], lambda plane: plane[::-1].T),
    "FFDR": ([0, 1, 0, 1, 0, 0], lambda plane: plane.T),
}
"""By position: directions of rows and columns, and the pixels of a plane along x and y as they are stored."""


@pytest.mark.parametrize("position", TURNED)
def test_rotated_patient(position: str, folder: Path):
    """Rows and columns run along other axes of the patient, in either sense."""
    cosines, turn = TURNED[position]
    for slice_index, name in enumerate(NAMES):
        pixels = turn(HU[slice_index] + 1024)
        x_mm = GRID.x_mm[-1 if -1 in (cosines[0], cosines[3]) else 0]
        y_mm = GRID.y_mm[-1 if -1 in (cosines[1], cosines[4]) else 0]
        dataset = slice_dataset(slice_index)
        dataset.ImageOrientationPatient = cosines
        dataset.ImagePositionPatient = [x_mm, y_mm, GRID.z_mm[slice_index]]
        dataset.Rows, dataset.Columns = pixels.shape
        if cosines[0] == 0:
            dataset.PixelSpacing = dataset.PixelSpacing[::-1]
        dataset.PixelData = pixels.astype("<u2").tobytes()
        dataset.PatientPosition = position
        put(folder, dataset, f"{name}.dcm")
    ct = read_ct(folder)
    assert ct.grid.same_as(GRID)
    assert ct.patient_position == position
    np.testing.assert_array_equal(ct.hu, HU)


def test_oblique_series(folder: Path):
    """All slices turned by 20 degrees: one line that says what and what to do."""
    for slice_index, name in enumerate(NAMES):
        oblique = [0.9397, 0.342, 0.0, -0.342, 0.9397, 0.0]
        put(folder, slice_dataset(slice_index, ImageOrientationPatient=oblique), f"{name}.dcm")
    with pytest.raises(DoseError, match="not along the axes of the patient; resample the image") as caught:
        read_ct(folder)
    assert "\n" not in str(caught.value)


def test_others_in_the_folder_are_left_alone(folder: Path):
    (folder / "README.txt").write_text("hello")
    plan = Dataset()
    plan.SOPClassUID, plan.SOPInstanceUID, plan.Modality = "1.2.840.10008.5.1.4.1.1.481.8", "1.2.3", "RTPLAN"
    put(folder, plan, "plan.dcm")
    ct = read_ct(folder)
    np.testing.assert_array_equal(ct.hu, HU)
    assert ct.notes == (f"2 files in {folder} are no slices of the series",)


def test_padding_is_air(folder: Path):
    pixels = HU[2] + 1024
    pixels[0, 0] = 2096
    put(folder, slice_dataset(2, PixelPaddingValue=2096, PixelData=pixels.astype("<u2").tobytes()), "a.dcm")
    ct = read_ct(folder)
    assert ct.hu[2, 0, 0] == -1000.0
    assert any("PixelPaddingValue" in note for note in ct.notes)


def test_signed_pixels_and_padding_with_the_other_sign(folder: Path):
    stored = HU[1].astype("<i2")
    stored[4, 3] = -2000
    dataset = slice_dataset(1, PixelRepresentation=1, BitsStored=16, HighBit=15, RescaleIntercept=0)
    dataset.PixelData = stored.tobytes()
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    (folder / "f.dcm").write_bytes(file_bytes(dataset, ExplicitVRLittleEndian))
    expected = HU[1].copy()
    expected[4, 3] = -1000
    np.testing.assert_array_equal(read_ct(folder).hu[1], expected)


def test_compressed_slices(folder: Path):
    """Run-length encoding is decoded; what would need another library is refused with advice."""
    dataset = dcmread(folder / "a.dcm")
    dataset.compress(RLELossless)
    dataset.save_as(folder / "a.dcm")
    np.testing.assert_array_equal(read_ct(folder).hu, HU)
    content = (folder / "a.dcm").read_bytes()
    (folder / "a.dcm").write_bytes(content.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0"))
    with pytest.raises(DoseError, match=r"a\.dcm: .*without compression"):
        read_ct(folder)


def test_several_series(folder: Path):
    for index in range(6):
        other = slice_dataset(index, SeriesInstanceUID="1.2.3.8", SeriesDescription="chest")
        put(folder, other, f"{index}.dcm")
    with pytest.raises(
        DoseError, match=r"mixes 2 CT series: 1\.2\.3\.8 \(chest, 6 slices, 0\.dcm\), 1\.2\.3\.7"
    ):
        read_ct(folder)
    assert read_ct(folder, series_uid="1.2.3.8").description == "chest"
    words = r"no series 1\.2\.3\.9; .* are: 1\.2\.3\.8 \(chest\), 1\.2\.3\.7 \(head\)"
    with pytest.raises(DoseError, match=words):
        read_ct(folder, series_uid="1.2.3.9")


def test_localizers_are_left_out(folder: Path):
    """Those of the series and of one of their own, which lie across the slices and are of another size."""
    across = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "Rows": 4, "Columns": 5}
    kind = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "PixelData": b"\0" * 40}
    put(folder, slice_dataset(2, **kind, **across), "scout.dcm")
    found = read_ct(folder)
    np.testing.assert_array_equal(found.hu, HU)
    assert found.notes == (f"1 localizer in {folder} (scout.dcm): left out",)
    put(folder, slice_dataset(2, **kind, **across, SeriesInstanceUID="1.2.3.9"), "scout2.dcm")
    for series in ("", "1.2.3.7"):
        found = read_ct(folder, series_uid=series)
        np.testing.assert_array_equal(found.hu, HU)
        assert found.notes == (f"2 localizers in {folder} (scout.dcm, scout2.dcm): left out",)


def test_no_patient_position(folder: Path):
    for index, name in enumerate(NAMES):
        put(folder, slice_dataset(index, PatientPosition=""), f"{name}.dcm")
    assert read_ct(folder).patient_position == ""


def rounded(folder: Path, step_mm: float, **more: float) -> np.ndarray:
    """Slices whose positions are rounded to 0.1 mm; `more` are added to those of slices, as in ``s3=0.1``."""
    z_mm = np.round(100.0 + step_mm * np.arange(6), 1)
    for index, name in enumerate(NAMES):
        z_mm[index] += more.get(f"s{index}", 0.0)
        put(
            folder,
            slice_dataset(index, ImagePositionPatient=[*GRID.origin_mm[:2], z_mm[index]]),
            f"{name}.dcm",
        )
    return z_mm


@pytest.mark.parametrize("step_mm", [1.25, 0.625, 2.34, 0.75])
def test_positions_rounded_to_a_tenth_lie_on_a_straight_line(step_mm: float, folder: Path):
    z_mm = rounded(folder, step_mm)
    assert np.ptp(np.diff(z_mm)) > 0.09, "distances of neighbours differ"
    found = read_ct(folder)
    np.testing.assert_array_equal(found.hu, HU)
    assert found.grid.spacing_mm[2] == pytest.approx(step_mm, abs=0.01)
    assert np.abs(found.grid.z_mm - z_mm).max() <= 0.06
    assert np.abs(found.grid.z_mm - (100.0 + step_mm * np.arange(6))).max() <= 0.06
    (note,) = found.notes
    assert "even steps are taken" in note


def test_a_slice_beside_the_straight_line_is_refused(folder: Path):
    rounded(folder, 1.25, s3=0.2)
    with pytest.raises(DoseError, match="the spacing is uneven: from "):
        read_ct(folder)


def test_missing_slices(folder: Path):
    (folder / "e.dcm").unlink()  # slice 3
    with pytest.raises(DoseError, match=r"1 slice missing: from a.dcm to b.dcm .* 5 mm instead of 2.5 mm"):
        read_ct(folder)


def test_no_series(folder: Path, tmp_path: Path):
    with pytest.raises(DoseError, match="is not a folder"):
        read_ct(tmp_path / "none")
    for name in NAMES[1:]:
        (folder / f"{name}.dcm").unlink()
    with pytest.raises(DoseError, match="1 slice of a CT series"):
        read_ct(folder)


SLICES: list[tuple[dict, str]] = [
    ({"ImagePositionPatient": [-12, -30.5, 105.4]}, r"spacing is uneven: from f.dcm to a.dcm"),
    ({"ImagePositionPatient": [-12, -30.5, 102.5]}, r"f.dcm and a.dcm lie at the same place|a.dcm and f.dcm"),
    ({"ImagePositionPatient": [-12, -30, 105]}, "shifted sideways, as with a tilted gantry"),
    ({"ImageOrientationPatient": [1, 0, 0, 0, 0.94, 0.34]}, "ImageOrientationPatient"),
    ({"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]}, "ImageOrientationPatient of"),
    ({"GantryDetectorTilt": 12}, "GantryDetectorTilt is 12"),
    ({"FrameOfReferenceUID": "1.2.3.6"}, "FrameOfReferenceUID of"),
    ({"FrameOfReferenceUID": ""}, "FrameOfReferenceUID is missing"),
    ({"PatientPosition": "FFS"}, "PatientPosition of"),
    ({"Rows": 4, "Columns": 5}, "Rows or Columns"),
    ({"PixelSpacing": [1.0, 1.501]}, "PixelSpacing of"),
    ({"SOPClassUID": MRImageStorage, "Modality": "MR"}, "Modality MR"),
    ({"RescaleType": "US"}, "RescaleType is US"),
    ({"RescaleSlope": 0}, "RescaleSlope"),
    ({"RescaleIntercept": None}, "RescaleIntercept"),
    ({"NumberOfFrames": 2}, "NumberOfFrames"),
    ({"PixelData": b"\0" * 30}, "PixelData has 30 bytes"),
]


@pytest.mark.parametrize(("change", "words"), SLICES)
def test_broken_slice(change: dict, words: str, folder: Path):
    """Slice 2, in a.dcm, is harmed."""
    put(folder, slice_dataset(2, **change), "a.dcm")
    with pytest.raises(DoseError, match=words) as caught:
        read_ct(folder)
    assert "a.dcm" in str(caught.value)


@pytest.mark.parametrize("harm", [lambda content: content[:-20], lambda content: content[:200] + b"\0" * 40])
def test_truncated_slice(harm: Callable[[bytes], bytes], folder: Path):
    (folder / "a.dcm").write_bytes(harm((folder / "a.dcm").read_bytes()))
    with pytest.raises(DoseError, match=r"a\.dcm: .*(truncated|missing|damaged)"):
        read_ct(folder)


def test_head_phantom(shared_plans: Path, tmp_path: Path):
    ct = read_ct(shared_plans / "headphantom")
    assert ct.grid.shape == (177, 512, 512)
    assert ct.grid.origin_mm == pytest.approx((-149.70703125, -316.20703125, -139.0))
    assert ct.grid.spacing_mm == pytest.approx((0.5859375, 0.5859375, 1.5))
    assert ct.patient_position == "HFS"
    assert ct.hu.min() == -1000.0
    # One slice less.
    for index in range(1, 12):
        name = f"CT.HeadPhantom.{index}.dcm"
        shutil.copy(shared_plans / "headphantom" / name, tmp_path / name)
    order = sorted(tmp_path.iterdir(), key=lambda path: float(dcmread(path).ImagePositionPatient[2]))
    order[4].unlink()
    with pytest.raises(DoseError, match="1 slice missing"):
        read_ct(tmp_path)
