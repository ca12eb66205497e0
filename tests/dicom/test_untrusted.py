"""A DICOM file from elsewhere takes no more memory than any plan or record needs."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from spotline.dicom import attributes, raw_values
from spotline.dicom.attributes import check_inflated, read_dataset, value
from spotline.dicom.encoding import file_bytes
from spotline.dicom.ion_plan import read_ion_plan
from spotline.dicom.raw_values import as_numbers, check_number_of_values
from spotline.errors import PlanError
from tests.dicom.broken import refusal, save


def deflated(dataset: Dataset, more: bytes = b"") -> bytes:
    """The file of a data set that is deflated, with something more in the same stream."""
    whole = file_bytes(dataset, DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + int.from_bytes(whole[140:144], "little")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    content = zlib.decompress(whole[start:], -zlib.MAX_WBITS) + more
    return whole[:start] + deflate.compress(content) + deflate.flush()


def test_a_deflated_plan_is_read(dataset: Dataset, tmp_path: Path):
    (tmp_path / "plan.dcm").write_bytes(deflated(dataset))
    plain = read_ion_plan(save(dataset, tmp_path))
    assert read_ion_plan(tmp_path / "plan.dcm").fields[0].layers[0] is not plain.fields[0].layers[0]
    assert read_ion_plan(tmp_path / "plan.dcm").label == plain.label


def test_a_deflated_data_set_is_inflated_in_pieces(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Some hundred kilobytes stand for half a gigabyte and more; not a tenth of that is ever in memory."""
    padding = b"\x0b\x30\xfe\xffOB\0\0" + (attributes.LARGEST_bytes).to_bytes(4, "little")
    content = deflated(dataset, padding + bytes(attributes.LARGEST_bytes))
    assert len(content) < 1 << 20
    (tmp_path / "plan.dcm").write_bytes(content)
    pieces: list[int] = []
    real = zlib.decompressobj

    class Inflate:
        def __init__(self, *given: int) -> None:
            self._real = real(*given)

        eof = False

        def decompress(self, piece: bytes) -> bytes:
            found = self._real.decompress(piece)
            pieces.append(len(found))
            return found

    def never(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(attributes.zlib, "decompressobj", Inflate)
    monkeypatch.setattr(attributes, "dcmread", never)
    message = refusal(read_ion_plan, tmp_path / "plan.dcm", PlanError)
    assert "its deflated data set has more than 512 MiB" in message
    assert max(pieces) < attributes.LARGEST_bytes // 7


def test_the_bound_is_that_of_the_data_set(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    content = deflated(dataset)
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    size = len(zlib.decompress(content[start:], -zlib.MAX_WBITS))
    monkeypatch.setattr(attributes, "LARGEST_bytes", size)
    check_inflated(content)
    monkeypatch.setattr(attributes, "LARGEST_bytes", size - 1)
    with pytest.raises(ValueError, match="deflated data set"):
        check_inflated(content)


def test_a_file_has_a_size(dataset: Dataset, tmp_path: Path):
    path = save(dataset, tmp_path)
    with path.open("ab") as file:
        file.truncate(attributes.LARGEST_bytes + 1)
    with pytest.raises(PlanError, match="has more than 512 MiB"):
        read_dataset(path)


@pytest.mark.parametrize(
    ("keyword", "vr", "content", "n"),
    [
        ("ReferencedBeamNumber", "IS", b"1\\2\\3\\4", 4),
        ("ReferencedBeamNumber", None, b"1\\2\\3\\4", 4),
        ("BeamMeterset", "DS", b"\\" * 9, 10),
        ("ScanSpotPositionMap", "FL", b"\\" * 40, 10),
        ("ScanSpotPositionMap", None, b"\\" * 40, 10),
        ("ScanSpotPrescribedIndices", "UL", bytes(12), 3),
    ],
)
def test_values_are_counted_before_they_are_decoded(
    keyword: str, vr: str | None, content: bytes, n: int, monkeypatch: pytest.MonkeyPatch
):
    dataset = Dataset()
    tag = Tag(keyword)
    dataset._dict[tag] = RawDataElement(tag, vr, len(content), content, 0, vr is None, True)
    most = "MOST_TEXTS" if keyword in ("ReferencedBeamNumber", "BeamMeterset") else "MOST_NUMBERS"
    monkeypatch.setattr(raw_values, most, n)
    check_number_of_values(dataset, keyword)
    monkeypatch.setattr(raw_values, most, n - 1)
    with pytest.raises(PlanError, match=rf"{keyword} cannot be decoded \({n} values\)"):
        value(dataset, keyword, "here")
    assert isinstance(dataset.get_item(tag), RawDataElement), "it was not decoded"


@pytest.mark.parametrize(
    ("keyword", "vr"), [("FluenceMapSequence", "SQ"), ("PixelData", "OW"), ("ReferencedBeamNumber", "UN")]
)
def test_what_is_one_value_has_no_number_of_them(keyword: str, vr: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(raw_values, "MOST_TEXTS", 1)
    dataset = Dataset()
    tag = Tag(keyword)
    dataset._dict[tag] = RawDataElement(tag, vr, 4, b"\\\\\\\\", 0, False, True)
    check_number_of_values(dataset, keyword)
    check_number_of_values(dataset, "PatientName")


@pytest.mark.parametrize(
    ("vr", "numbers"),
    [("FL", [1.5, -2.0]), ("FD", [1e300, 0.1]), ("UL", [1, 2**32 - 1]), ("OB", [1, 255]), ("SL", [-1, 7])],
)
@pytest.mark.parametrize("little", [True, False])
def test_numbers_are_the_same_decoded_or_not(vr: str, numbers: list[float], little: bool):
    dtype = np.dtype(("<" if little else ">") + raw_values.DTYPES[vr])
    stored = np.array(numbers, dtype).tobytes()
    np.testing.assert_array_equal(as_numbers(stored, vr, little_endian=little), np.array(numbers, dtype))
    np.testing.assert_array_equal(as_numbers(numbers, vr), numbers)
    np.testing.assert_array_equal(as_numbers(numbers[0], vr), numbers[:1])
    if dtype.itemsize > 1:
        with pytest.raises(ValueError, match="multiple"):
            as_numbers(stored[:-1], vr)
