"""Damaged doses, slices and structure sets: read, or refused with one clear error, never anything else."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, RTStructureSetStorage

from spotline.dicom.ct import read_ct
from spotline.dicom.dose import dose_bytes, read_dose
from spotline.dicom.encoding import file_bytes
from spotline.dicom.structures import read_structures
from spotline.dose.grid import DoseGrid, Grid
from spotline.errors import DoseError
from tests.dicom.items import item


def slice_bytes(z: float) -> bytes:
    return file_bytes(
        item(
            SOPClassUID=CTImageStorage,
            SOPInstanceUID="1.2.3.7.1",
            Modality="CT",
            SeriesInstanceUID="1.2.3.7",
            FrameOfReferenceUID="1.2.3.5",
            PatientPosition="HFS",
            ImagePositionPatient=[0, 0, z],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=3,
            Columns=4,
            BitsAllocated=16,
            BitsStored=16,
            HighBit=15,
            PixelRepresentation=0,
            PixelPaddingValue=63,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            PixelData=bytes(24),
        )
    )


def structure_bytes() -> bytes:
    contour = item(
        ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=3, ContourData=[0, 0, 1, 9, 0, 1, 9, 9, 1]
    )
    return file_bytes(
        item(
            SOPClassUID=RTStructureSetStorage,
            SOPInstanceUID="1.2.3.8",
            Modality="RTSTRUCT",
            StructureSetROISequence=[item(ROINumber=1, ROIName="PTV", ReferencedFrameOfReferenceUID="1.2")],
            ROIContourSequence=[item(ReferencedROINumber=1, ContourSequence=[contour])],
            RTROIObservationsSequence=[item(ReferencedROINumber=1, RTROIInterpretedType="PTV")],
        )
    )


DOSE = dose_bytes(DoseGrid(Grid((0, 0, 0), (1, 1, 1), (2, 3, 4)), np.arange(24).reshape(2, 3, 4)))
SLICES = [slice_bytes(0.0), slice_bytes(2.0)]
STRUCTURES = structure_bytes()


def dose_of(content: bytes, folder: Path) -> None:
    (folder / "d.dcm").write_bytes(content)
    read_dose(folder / "d.dcm")


def ct_of(content: bytes, folder: Path) -> None:
    (folder / "a.dcm").write_bytes(content)
    (folder / "b.dcm").write_bytes(SLICES[1])
    read_ct(folder)


def structures_of(content: bytes, folder: Path) -> None:
    (folder / "s.dcm").write_bytes(content)
    read_structures(folder / "s.dcm")


READERS = [(dose_of, DOSE), (ct_of, SLICES[0]), (structures_of, STRUCTURES)]


@pytest.mark.parametrize(("read", "content"), READERS, ids=["dose", "ct", "structures"])
def test_intact_files_are_read(read: Callable[[bytes, Path], None], content: bytes, tmp_path: Path):
    read(content, tmp_path)


@pytest.mark.parametrize(("read", "content"), READERS, ids=["dose", "ct", "structures"])
@settings(max_examples=150)
@given(st.data())
def test_any_damage(read: Callable[[bytes, Path], None], content: bytes, data: st.DataObject):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(128, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(DoseError):
        read(bytes(damaged[:end]), Path(folder))
