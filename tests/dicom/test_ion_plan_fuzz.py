"""Damaged bytes: a plan is refused or read, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline.dicom.ion_plan import read_ion_plan
from spotline.errors import PlanError
from tests.dicom.broken import altered, read_or_refused, refusal

fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(data=st.data())
def test_truncated_files_are_refused(data: st.DataObject, good_bytes: bytes, tmp_path: Path):
    last_element = good_bytes.rindex(b"\x0e\x30\x02\x00")  # without it the plan would be complete
    content = good_bytes[: data.draw(st.integers(0, last_element - 1))]
    path = tmp_path / "cut.dcm"
    path.write_bytes(content)
    refusal(read_ion_plan, path, PlanError)


@fuzz
@given(data=st.data())
def test_altered_bytes_never_crash(data: st.DataObject, good_bytes: bytes, tmp_path: Path):
    path = tmp_path / "altered.dcm"
    path.write_bytes(altered(data, good_bytes))
    plan = read_or_refused(read_ion_plan, path, PlanError)
    for field in plan.fields if plan else ():
        for layer in field.layers:
            assert len(layer.x_iso_mm) == len(layer.y_iso_mm) == layer.n_spots > 0
            assert np.isfinite(layer.meterset).all()
            assert (layer.meterset > 0.0).all()
