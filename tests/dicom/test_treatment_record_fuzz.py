"""Damaged bytes: a record is refused or read, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline.dicom.treatment_record import read_treatment_record
from spotline.errors import RecordError
from tests.dicom.broken import altered, read_or_refused, refusal

fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(data=st.data())
def test_truncated_files_are_refused(data: st.DataObject, record_bytes: bytes, tmp_path: Path):
    # Without what follows the record would be complete.
    end_of_beams = record_bytes.index(b"\x08\x30\x50\x02")
    path = tmp_path / "cut.dcm"
    path.write_bytes(record_bytes[: data.draw(st.integers(0, end_of_beams - 1))])
    refusal(read_treatment_record, path, RecordError)


@fuzz
@given(data=st.data())
def test_altered_bytes_never_crash(data: st.DataObject, record_bytes: bytes, tmp_path: Path):
    path = tmp_path / "altered.dcm"
    path.write_bytes(altered(data, record_bytes))
    record = read_or_refused(read_treatment_record, path, RecordError)
    for field in record.fields if record else ():
        for point in field.control_points:
            assert len(point.x_iso_mm) == len(point.y_iso_mm) == len(point.measured) == point.n_spots
            assert (point.meterset >= 0.0).all()
