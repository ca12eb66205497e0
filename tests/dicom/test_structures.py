"""RT Structure Sets: what is used, what is left out and said to be, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from spotline.dicom.encoding import file_bytes
from spotline.dicom.structures import read_structures
from spotline.dose.grid import Grid
from spotline.dose.masks import mask_of
from spotline.errors import DoseError
from tests.dicom.items import item


def square(z: float, half: float = 10.0, kind: str = "CLOSED_PLANAR") -> Dataset:
    corners = [[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]]
    return item(
        ContourGeometricType=kind,
        NumberOfContourPoints=4,
        ContourData=[x for corner in corners for x in corner],
    )


def point(x: float, y: float, z: float) -> Dataset:
    return item(ContourGeometricType="POINT", NumberOfContourPoints=1, ContourData=[x, y, z])


@pytest.fixture
def good() -> Dataset:
    """A target with a hole, a body with a stopping power, an isocentre, an open line, and an empty one."""
    contours = {
        1: [square(z, half) for z in (0.0, 2.0, 4.0) for half in (10.0, 4.0)],
        2: [square(z, 30.0) for z in (-10.0, 0.0, 10.0)],
        3: [point(1.0, 2.0, 3.0)],
        4: [square(0.0), square(2.0, kind="OPEN_PLANAR")],
        5: [],
        6: [point(1.0, 2.0, 3.0), point(4.0, 5.0, 6.0)],
    }
    names = ["PTV", "Body", "Iso", "Wire", "Empty", "Markers"]
    return item(
        SOPClassUID=RTStructureSetStorage,
        SOPInstanceUID="1.2.3.20",
        Modality="RTSTRUCT",
        StructureSetLabel="head",
        StructureSetROISequence=[
            item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID="1.2.3.5")
            for number, name in enumerate(names, start=1)
        ],
        ROIContourSequence=[
            item(ReferencedROINumber=number, ContourSequence=found) for number, found in contours.items()
        ],
        RTROIObservationsSequence=[
            item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="PTV"),
            item(
                ObservationNumber=2,
                ReferencedROINumber=2,
                RTROIInterpretedType="EXTERNAL",
                ROIPhysicalPropertiesSequence=[
                    item(ROIPhysicalProperty="REL_MASS_DENSITY", ROIPhysicalPropertyValue="1.1"),
                    item(ROIPhysicalProperty="REL_STOP_RATIO", ROIPhysicalPropertyValue="1.05"),
                ],
            ),
        ],
    )


def saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / "rs.dcm"
    path.write_bytes(file_bytes(dataset))
    return path


def test_what_is_used_and_what_is_not(good: Dataset, tmp_path: Path):
    found = read_structures(saved(good, tmp_path))
    assert [(one.number, one.name, one.kind, one.rsp) for one in found.structures] == [
        (1, "PTV", "PTV", None),
        (2, "Body", "EXTERNAL", 1.05),
    ]
    assert found.points_mm == {"Iso": (1.0, 2.0, 3.0)}
    assert (found.label, found.frame_of_reference_uid) == ("head", "1.2.3.5")
    assert found.notes == (
        "structure 4 (Wire) is left out: contour 1 is OPEN_PLANAR, not CLOSED_PLANAR",
        "structure 5 (Empty) is left out: it has no contours",
        "structure 6 (Markers) is left out: it is made of several points",
    )
    grid = Grid.covering((-20.0, -20.0, -5.0), (20.0, 20.0, 10.0), 1.0)
    mask = mask_of(found.named("ptv"), grid)
    assert mask.volume_cm3 == pytest.approx((400.0 - 64.0) * 6e-3, rel=1e-5)


def contour(dataset: Dataset, roi: int = 0) -> Dataset:
    return dataset.ROIContourSequence[roi].ContourSequence[0]


def tilt(dataset: Dataset) -> None:
    data = list(contour(dataset).ContourData)
    contour(dataset).ContourData = [*data[:-1], 5.0]


def flatten(dataset: Dataset) -> None:
    contour(dataset).ContourData = list(contour(dataset).ContourData)[:6]
    contour(dataset).NumberOfContourPoints = 2


def open_all(dataset: Dataset) -> None:
    for one in dataset.ROIContourSequence[0].ContourSequence:
        one.ContourGeometricType = "OPEN_PLANAR"


@pytest.mark.parametrize(
    ("harm", "words"), [(tilt, "not in a transverse plane"), (open_all, "OPEN_PLANAR, not CLOSED_PLANAR")]
)
def test_left_out_as_a_whole(harm: Callable[[Dataset], None], words: str, good: Dataset, tmp_path: Path):
    harm(good)
    found = read_structures(saved(good, tmp_path))
    assert [one.name for one in found.structures] == ["Body"]
    assert "structure 1 (PTV) is left out: contour 0" in found.notes[0]
    assert words in found.notes[0]


def line_up(dataset: Dataset) -> None:
    contour(dataset).ContourData = [0.0, 0.0, 0.0, 5.0, 5.0, 0.0, 1.0, 1.0, 0.0, 3.0, 3.0, 0.0]


def shrink(dataset: Dataset) -> None:
    contour(dataset).ContourGeometricType = "POINT"
    contour(dataset).ContourData = [1.0, 2.0, 0.0]
    contour(dataset).NumberOfContourPoints = 1


@pytest.mark.parametrize("harm", [flatten, line_up, shrink])
def test_a_contour_that_encloses_nothing_is_left_out_alone(
    harm: Callable[[Dataset], None], good: Dataset, tmp_path: Path
):
    """The outer square of the lowest plane: its hole is what remains there."""
    harm(good)
    found = read_structures(saved(good, tmp_path))
    assert [one.name for one in found.structures] == ["PTV", "Body"]
    assert found.notes[0].startswith("structure 1 (PTV): contour 0 encloses nothing")
    assert len(found.named("PTV").contours) == 5
    for one in good.ROIContourSequence[0].ContourSequence[1:]:
        one.ContourData, one.NumberOfContourPoints = [1.0, 1.0, one.ContourData[2]] * 3, 3
    found = read_structures(saved(good, tmp_path))
    assert [one.name for one in found.structures] == ["Body"]
    assert found.notes[0] == "structure 1 (PTV) is left out: none of its 6 contours encloses anything"


@pytest.mark.parametrize("corners", [4000, 4001])
def test_contours_too_long_for_their_kind(corners: int, good: Dataset, tmp_path: Path):
    """In explicit encoding 64 kB are the most that a decimal string can have; more is written as UN."""
    phi = np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    xyz = np.stack([20.0 * np.cos(phi), 20.0 * np.sin(phi), np.full(corners, 4.0)], axis=1)
    text = "\\".join(f"{value:.4f}" for value in xyz.ravel())
    text += " " * (len(text) % 2)
    assert len(text) > 65535
    one = good.ROIContourSequence[0].ContourSequence[4]
    del one.ContourData
    one.add_new(0x30060050, "UN", text.encode("ascii"))
    one.NumberOfContourPoints = corners
    good.file_meta = FileMetaDataset()
    good.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "long.dcm"
    good.save_as(path, enforce_file_format=True)
    raw = dcmread(path).ROIContourSequence[0].ContourSequence[4]
    assert raw["ContourData"].VR == "UN"
    found = read_structures(path).named("PTV").contours[4]
    np.testing.assert_allclose(found.xy_mm, xyz[:, :2], atol=5e-5)
    assert found.z_mm == 4.0


def cut(dataset: Dataset) -> None:
    contour(dataset).ContourData = list(contour(dataset).ContourData)[:-1]


def miscount(dataset: Dataset) -> None:
    contour(dataset).NumberOfContourPoints = 5


def dangle(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ReferencedROINumber = 9


def repeat(dataset: Dataset) -> None:
    dataset.ROIContourSequence[1].ReferencedROINumber = 1


def rename_twice(dataset: Dataset) -> None:
    dataset.StructureSetROISequence[1].ROINumber = 1


def shift(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ContourSequence[0].ContourOffsetVector = [0, 0, 5]


def move(dataset: Dataset) -> None:
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3.6"


def lighten(dataset: Dataset) -> None:
    dataset.RTROIObservationsSequence[1].ROIPhysicalPropertiesSequence[1].ROIPhysicalPropertyValue = "-1"


def rename(dataset: Dataset) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


def empty(dataset: Dataset) -> None:
    del dataset.StructureSetROISequence


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut, r"structure 1 \(PTV\), contour 0: ContourData has 11 values"),
        (miscount, "NumberOfContourPoints is 5, but ContourData has 4 points"),
        (dangle, "refers to ROI 9"),
        (repeat, "ROI 1 has contours twice"),
        (rename_twice, "ROINumber 1 is twice in StructureSetROISequence"),
        (shift, r"contour 0: ContourOffsetVector is 0, 0, 5 mm, .* export the contours where they are"),
        (move, "2 frames of reference"),
        (lighten, r"ROI 2 \(REL_STOP_RATIO\) is -1"),
        (rename, "CT Image Storage, not RT Structure Set Storage"),
        (empty, "StructureSetROISequence is missing"),
    ],
)
def test_broken(harm: Callable[[Dataset], None], words: str, good: Dataset, tmp_path: Path):
    harm(good)
    with pytest.raises(DoseError, match=words):
        read_structures(saved(good, tmp_path))


def test_truncated(good: Dataset, tmp_path: Path):
    path = saved(good, tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DoseError, match=r"rs\.dcm: .*; export the structure set again"):
        read_structures(path)


def test_structures_of_real_plans(shared_plans: Path):
    """RayStation: a cube and a body of 41 planes every 5 mm, whose end planes count half a slice more."""
    found = read_structures(shared_plans / "dcpt" / "raystation_ramp_full_structures.dcm")
    assert found.points_mm == {"LoPo": (0.0, 4.5, 0.0)}
    grid = Grid.covering((-105.0, -105.0, -105.0), (105.0, 105.0, 105.0), 2.5)
    volumes = {"Cube101010": 100.0 * 100.0 * 105.0, "PMMA": 200.0 * 5.0 * 205.0, "External": 205.0**3}
    for name, volume in volumes.items():
        assert mask_of(found.named(name), grid).volume_cm3 == pytest.approx(volume * 1e-3, rel=1e-4)
    # The isocentre of the plan, (0, 0, 0), lies within the cube.
    inside = mask_of(found.named("Cube101010"), grid).share[42 - 1 : 42 + 1, 42 - 1 : 42 + 1, 42 - 1 : 42 + 1]
    np.testing.assert_array_equal(inside, 1.0)


def test_contours_and_masks_of_a_head_phantom_agree_in_volume(shared_plans: Path):
    (path,) = (shared_plans / "headphantom").glob("RS.*.dcm")
    found = read_structures(path)
    assert len(found.structures) == 11
    assert found.notes == ()
    body = found.named("BODY").contours
    corners = np.concatenate([one.xy_mm for one in body])
    lower = np.array([*corners.min(axis=0), body[0].z_mm]) - 5.0
    upper = np.array([*corners.max(axis=0), body[-1].z_mm]) + 5.0
    grid = Grid.covering(np.minimum(lower, upper).tolist(), np.maximum(lower, upper).tolist(), 2.5)
    for name in ("BODY", "BrainStem", "CTV"):
        mask = mask_of(found.named(name), grid)
        assert mask.volume_cm3 == pytest.approx(mask.contour_cm3, rel=2e-4)
        assert mask.notes == ()
