"""Damaged bytes: a plan is refused or read, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline.dicom.ion_plan import read_ion_plan
from spotline.errors import PlanError

fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused_or_read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        plan = read_ion_plan(path)
    except PlanError as error:
        message = str(error)
    else:
        message = f"{path}: "
        for field in plan.fields:
            for layer in field.layers:
                assert len(layer.x_iso_mm) == len(layer.y_iso_mm) == layer.n_spots > 0
                assert np.isfinite(layer.meterset).all()
                assert (layer.meterset > 0.0).all()
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@fuzz
@given(data=st.data())
def test_truncated_files_are_refused(data: st.DataObject, good_bytes: bytes, tmp_path: Path):
    last_element = good_bytes.rindex(b"\x0e\x30\x02\x00")  # without it the plan would be complete
    content = good_bytes[: data.draw(st.integers(0, last_element - 1))]
    path = tmp_path / "cut.dcm"
    path.write_bytes(content)
    with pytest.raises(PlanError):
        read_ion_plan(path)


@fuzz
@given(data=st.data())
def test_altered_bytes_never_crash(data: st.DataObject, good_bytes: bytes, tmp_path: Path):
    content = bytearray(good_bytes)
    places = st.lists(
        st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=5
    )
    for position, byte in data.draw(places):
        content[position] = byte
    refused_or_read(tmp_path / "altered.dcm", bytes(content))
