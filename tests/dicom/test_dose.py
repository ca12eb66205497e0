"""RT Dose: there and back, turned every way, and broken."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from spotline.dicom.dose import dose_bytes, read_dose, write_dose
from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError, OutputError
from tests.dicom.validator import needs_validator, validator_says

GRID = Grid((-10.5, 20.25, -33.0), (2.0, 2.5, 3.0), (4, 3, 5))


def made_up_dose(**more: object) -> DoseGrid:
    values = np.random.default_rng(1).random(GRID.shape) * 2.0
    return DoseGrid(GRID, values, frame_of_reference_uid="1.2.3.5", plan_uid="1.2.3.9", **more)  # type: ignore[arg-type]


@pytest.fixture
def good() -> Dataset:
    """A dose as a dataset, to be broken."""
    return dcmread(BytesIO(dose_bytes(made_up_dose())))


def saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / "dose.dcm"
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"kind": "effective", "comment": "of a test"},
        {"summation": "BEAM", "beam_number": 3, "fraction_group": 2},
        {"summation": "RECORD", "record_uids": ("1.2.3.10", "1.2.3.11")},
        {"summation": "FRACTION"},
    ],
)
def test_there_and_back(more: dict, tmp_path: Path):
    dose = made_up_dose(**more)
    write_dose(dose, tmp_path / "dose.dcm", identity={"PatientID": "P1", "StudyInstanceUID": "1.2.3.4"})
    again = read_dose(tmp_path / "dose.dcm")
    np.testing.assert_allclose(again.dose_Gy, dose.dose_Gy, rtol=1.2e-7, atol=1e-9)
    for name in DoseGrid.__slots__:
        if name == "plan_uid" and dose.summation == "RECORD":
            assert again.plan_uid == ""  # the records refer to the plan, and a dose of records does not
        elif name != "dose_Gy":
            assert getattr(again, name) == getattr(dose, name), name
    dataset = dcmread(tmp_path / "dose.dcm")
    assert (dataset.PatientID, dataset.StudyInstanceUID) == ("P1", "1.2.3.4")
    assert dataset.FrameIncrementPointer == 0x3004000C


@given(st.integers(-40, 12), st.integers(0, 2**32 - 1))
def test_any_scale_is_kept(exponent: int, seed: int):
    """Rounding to 32 bits of the maximum, and of the scaling to a decimal string, stays below 2e-9 of it."""
    values = np.random.default_rng(seed).random(GRID.shape) * 10.0**exponent
    dataset = dcmread(BytesIO(dose_bytes(DoseGrid(GRID, values))))
    stored = np.frombuffer(dataset.PixelData, "<u4").reshape(GRID.shape)
    assert stored.max() > 2**31
    error = np.abs(stored * float(dataset.DoseGridScaling) - np.float32(values)).max()
    assert error < 2e-9 * values.max()


def test_no_dose_at_all_is_a_dose(tmp_path: Path):
    write_dose(DoseGrid(GRID, np.zeros(GRID.shape)), tmp_path / "dose.dcm")
    again = read_dose(tmp_path / "dose.dcm")
    assert not again.dose_Gy.any()


def test_same_dose_same_bytes():
    assert dose_bytes(made_up_dose()) == dose_bytes(made_up_dose())
    assert dose_bytes(made_up_dose()) != dose_bytes(made_up_dose(comment="another"))


def test_no_file_is_overwritten(tmp_path: Path):
    write_dose(made_up_dose(), tmp_path / "dose.dcm")
    with pytest.raises(OutputError, match="exists already"):
        write_dose(made_up_dose(), tmp_path / "dose.dcm")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"summation": "BEAM"}, "beam_number"),
        ({"summation": "RECORD"}, "record_uids"),
    ],
)
def test_dose_of_what_it_does_not_name(more: dict, words: str):
    with pytest.raises(DoseError, match=words):
        dose_bytes(made_up_dose(**more))


def test_negative_dose_is_no_rt_dose():
    with pytest.raises(DoseError, match="-1 Gy"):
        dose_bytes(DoseGrid(GRID, np.full(GRID.shape, -1.0)))


def turned(dataset: Dataset, row: tuple, column: tuple, relative: bool) -> None:
    """Store the same dose with other axes: rows and columns along any axes of the patient."""
    values = np.frombuffer(dataset.PixelData, "<u4").reshape(GRID.shape)  # z, y, x
    normal = np.cross(row, column)
    first = list(GRID.origin_mm)
    order, steps = [], []
    for direction in (normal, column, row):
        axis = int(np.argmax(np.abs(direction)))
        order.append(2 - axis)
        steps.append(GRID.spacing_mm[axis])
        if direction[axis] < 0:
            values = np.flip(values, 2 - axis)
            first[axis] += GRID.spacing_mm[axis] * (GRID.counts[axis] - 1)
    stored = np.ascontiguousarray(np.transpose(values, order))
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = (int(n) for n in stored.shape)
    dataset.PixelSpacing = [steps[1], steps[2]]
    dataset.ImagePositionPatient = first
    dataset.ImageOrientationPatient = [*row, *column]
    start = 0.0 if relative else first[2]
    dataset.GridFrameOffsetVector = [start + steps[0] * index for index in range(len(stored))]
    dataset.PixelData = stored.tobytes()


X, Y, Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
MINUS = {X: (-1, 0, 0), Y: (0, -1, 0), Z: (0, 0, -1)}


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (X, Y),
        (MINUS[X], MINUS[Y]),  # as a prone patient on the couch
        (MINUS[X], Y),  # feet first: the planes follow each other to the feet
        (X, MINUS[Y]),
        (Y, X),
        (X, MINUS[Z]),  # coronal
        (Y, MINUS[Z]),  # sagittal
        (MINUS[Z], Y),
    ],
)
def test_planes_of_any_orientation(row: tuple, column: tuple, good: Dataset, tmp_path: Path):
    turned(good, row, column, relative=True)
    again = read_dose(saved(good, tmp_path))
    assert again.grid.same_as(GRID)
    np.testing.assert_allclose(again.dose_Gy, made_up_dose().dose_Gy, rtol=1.2e-7)


@pytest.mark.parametrize(("row", "column"), [(X, Y), (MINUS[X], MINUS[Y])])
def test_absolute_offsets(row: tuple, column: tuple, good: Dataset, tmp_path: Path):
    turned(good, row, column, relative=False)
    assert read_dose(saved(good, tmp_path)).grid.same_as(GRID)


def test_descending_offsets(good: Dataset, tmp_path: Path):
    values = np.frombuffer(good.PixelData, "<u4").reshape(GRID.shape)
    good.PixelData = values[::-1].tobytes()
    good.ImagePositionPatient = [*GRID.origin_mm[:2], GRID.z_mm[-1]]
    good.GridFrameOffsetVector = [0.0, -3.0, -6.0, -9.0]
    again = read_dose(saved(good, tmp_path))
    assert again.grid.same_as(GRID)
    np.testing.assert_allclose(again.dose_Gy, made_up_dose().dose_Gy, rtol=1.2e-7)


def test_absolute_offsets_of_a_feet_first_dose(good: Dataset, tmp_path: Path):
    """They begin as they should, so it is not that which is wrong."""
    good.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
    first = float(good.ImagePositionPatient[2])
    good.GridFrameOffsetVector = [first - 3.0 * index for index in range(4)]
    with pytest.raises(DoseError, match=r"is absolute .* towards the feet .* that begin with 0") as caught:
        read_dose(saved(good, tmp_path))
    assert "either is relative" not in str(caught.value)


def test_a_single_plane_is_as_thick_as_it_says(good: Dataset, tmp_path: Path):
    good.PixelData = good.PixelData[: 3 * 5 * 4]
    good.NumberOfFrames = 1
    del good.GridFrameOffsetVector
    assert read_dose(saved(good, tmp_path)).grid == Grid(GRID.origin_mm, GRID.spacing_mm, (1, 3, 5))
    del good.SliceThickness
    with pytest.raises(DoseError, match="SliceThickness"):
        read_dose(saved(good, tmp_path))


def put(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def drop(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


def shorten(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-8]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (put("DoseUnits", "RELATIVE"), "DoseUnits is RELATIVE"),
        (put("DoseType", "ERROR"), "DoseType is ERROR"),
        (put("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "CT Image Storage"),
        (put("DoseGridScaling", "0"), "DoseGridScaling is 0"),
        (drop("DoseGridScaling"), "DoseGridScaling is missing"),
        (put("GridFrameOffsetVector", [0, 3, 6]), "GridFrameOffsetVector has 3 values"),
        (put("GridFrameOffsetVector", [0, 3, 6, 10]), "from 6 to 10 mm at index 2"),
        (put("GridFrameOffsetVector", [0, 3, 3, 6]), "from 3 to 3 mm at index 1"),
        (put("GridFrameOffsetVector", [5, 8, 11, 14]), "begins with 5"),
        (drop("GridFrameOffsetVector"), "GridFrameOffsetVector is missing"),
        (put("ImageOrientationPatient", [0.8, 0.6, 0, -0.6, 0.8, 0]), "ImageOrientationPatient"),
        (put("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), "ImageOrientationPatient"),
        (put("ImageOrientationPatient", [1, 0, 0]), "ImageOrientationPatient has 3"),
        (put("PixelSpacing", [0, 2]), "PixelSpacing"),
        (drop("FrameOfReferenceUID"), "FrameOfReferenceUID is missing"),
        (drop("DoseSummationType"), "DoseSummationType is missing"),
        (drop("PixelData"), "PixelData is missing"),
        (shorten, "PixelData has 232 bytes"),
        (put("Rows", 4), "PixelData has 240 bytes"),
        (put("PixelRepresentation", 1), "PixelData has negative values"),
    ],
)
def test_broken_dose(harm: Callable[[Dataset], None], words: str, good: Dataset, tmp_path: Path):
    harm(good)
    with pytest.raises(DoseError, match=words) as caught:
        read_dose(saved(good, tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert "the plan" not in str(caught.value).split("dose.dcm", 1)[1]


def test_truncated_file(tmp_path: Path):
    content = dose_bytes(made_up_dose())
    (tmp_path / "dose.dcm").write_bytes(content[:-50])
    with pytest.raises(DoseError, match="truncated in the element PixelData"):
        read_dose(tmp_path / "dose.dcm")
    with pytest.raises(DoseError, match="cannot be read"):
        read_dose(tmp_path / "none.dcm")
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    with pytest.raises(DoseError, match=r"text\.dcm: is not a DICOM file"):
        read_dose(tmp_path / "text.dcm")


@pytest.mark.parametrize("other", [b"1.2.840.10008.1.9\0", b"1.3.6.1.4.1.9.1.9\0"])
def test_unknown_transfer_syntax(other: bytes, tmp_path: Path):
    """As from a program that says what it made up; the elements themselves can be read."""
    content = dose_bytes(made_up_dose())
    assert content.count(b"1.2.840.10008.1.2\0") == 1
    (tmp_path / "dose.dcm").write_bytes(content.replace(b"1.2.840.10008.1.2\0", other))
    with pytest.raises(DoseError, match="TransferSyntaxUID is 1"):
        read_dose(tmp_path / "dose.dcm")


@needs_validator
@pytest.mark.parametrize(
    "more",
    [{}, {"summation": "BEAM", "beam_number": 3}, {"summation": "RECORD", "record_uids": ("1.2.3.10",)}],
)
def test_independent_validator_finds_no_error(more: dict, tmp_path: Path):
    """With the pixels cut to 16 bits: the validator itself breaks down at 32, which the standard allows."""
    dataset = dcmread(BytesIO(dose_bytes(made_up_dose(**more))))
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelData = dataset.PixelData[::2]
    path = saved(dataset, tmp_path)
    said = validator_says(path)
    assert "RTDose" in said
    assert not [line for line in said if line.startswith("Error")]


def test_dose_of_two_fields_is_their_sum(shared_plans: Path):
    """RayStation, 16 bits, effective dose: total and both fields, with their references."""
    folder = shared_plans / "dcpt"
    total = read_dose(folder / "raystation_ramp_full_dose_total.dcm")
    fields = [read_dose(folder / f"raystation_ramp_full_dose_field{number}.dcm") for number in (1, 2)]
    assert total.grid == Grid((-104.5, -105.5, -108.5), (2.0, 2.0, 2.0), (110, 107, 107))
    assert (total.kind, total.summation, total.beam_number) == ("effective", "PLAN", None)
    assert [(dose.summation, dose.beam_number) for dose in fields] == [("BEAM", 1), ("BEAM", 2)]
    assert {dose.plan_uid for dose in fields} == {total.plan_uid}
    highest = float(total.dose_Gy.max())
    np.testing.assert_allclose(sum(dose.dose_Gy for dose in fields), total.dose_Gy, atol=5e-5 * highest)


@pytest.mark.parametrize("ion", ["carbon", "proton"])
def test_dose_of_a_cube(ion: str, shared_plans: Path):
    dose = read_dose(shared_plans / "cubes" / f"{ion}_cube_15cm_dose.dcm")
    assert dose.grid == Grid((-69.5, 1.0, -69.5), (3.0, 3.0, 3.0), (47, 110, 47))
    # The cube of 2 Gy: 6 cm wide about x = z = 0, and about 15 cm deep.
    inside = dose.dose_Gy[18:29, 43:56, 18:29]
    assert inside.mean() == pytest.approx(2.0, rel=0.02)
