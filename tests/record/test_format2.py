"""A record of format 2 opens, and its raw samples replay through the law of today to the same decisions.

The record in ``format2`` was written by the last version that wrote this format, with `recipe`: six spots of
carbon, the first spill paused because the beam was 6 mm off for 20 ms, the second stopped because INT2 was
dead.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import spotline
from spotline import RecordError, open_record, replay
from spotline.control.memory import PART
from spotline.dicom.treatment_record import treatment_record_bytes
from spotline.dose.engine.beams import beams_of_record
from spotline.record.delivery_file import read_delivery
from spotline.record.journal import PROGRESS, read_journal
from spotline.record.spill_file import read_control, read_spill
from spotline.units import FWHM_PER_SIGMA

OLD = Path(__file__).parent / "format2"
SPILL = Path("field-01", "spills", "spill-0001.h5")
FIELD = Path("field-01")


def recipe(folder: Path) -> spotline.Record:
    """How the record was made; today it makes one of the present format."""
    from spotline.dicom.write_plan import write_ion_plan
    from tests.treatment.plans import field, layer, plan_of

    x_mm, y_mm = [-4.0, 0.0, 4.0, 4.0, 0.0, -4.0], [-3.0] * 3 + [3.0] * 3
    write_ion_plan(plan_of(field(layer(x_mm, y_mm, 2e5))), folder / "six-spots.dcm")
    plan = spotline.read_plan(folder / "six-spots.dcm")
    faults = (
        spotline.Fault(device="beam", mode="shift_x", value=6.0, spill=1, at_us=32_000, duration_us=20_000),
        spotline.Fault(device="int2", mode="dead", spill=2, at_us=22_000),
    )
    treatment = spotline.prepare(plan, spotline.load_beamline("cnao-h"))
    return spotline.deliver(treatment, folder / "record", raw=True, seed=3, faults=faults)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The record, to be changed."""
    return Path(shutil.copytree(OLD, tmp_path / "copy"))


def test_it_is_of_the_old_format():
    with h5py.File(OLD / SPILL) as file:
        assert file.attrs["version"] == 2
        assert set(file["measured/parts"].dtype.names) < set(PART.names or ())
    assert sum(path.stat().st_size for path in OLD.rglob("*") if path.is_file()) <= 200_000


def test_what_it_was_asked_to_do_is_read_and_another_version_is_not(copy: Path):
    assert read_delivery(OLD).fields[0].folder == FIELD.name
    path = copy / "delivery.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(
        RecordError,
        match=r"delivery.json: has version 2, but this Spotline reads version 1; use the",
    ):
        read_delivery(copy)


def test_same_decisions_by_the_law_of_today():
    results = replay(OLD)
    assert [result.path.name for result in results] == ["spill-0001.h5", "spill-0002.h5"]
    assert [result.differences for result in results] == [(), ()]
    assert results[0].samples == 53_325


def test_another_decision_is_still_noticed(copy: Path):
    with h5py.File(copy / SPILL, "r+") as file:
        strips = file["raw/strips"][()]
        row = int(np.flatnonzero(strips.reshape(len(strips), -1).any(axis=1))[-20])
        strips[row, 0, 60] += 1
        del file["raw/strips"]
        file["raw/strips"] = strips
    assert any("x_strip_mm is" in difference for difference in replay(copy)[0].differences)


def test_the_same_delivery_today_is_the_same_but_for_widths(tmp_path: Path):
    old, new = open_record(OLD).fields[0], recipe(tmp_path).fields[0]
    for name in old.spots.dtype.names:
        if "sigma" not in name and "width" not in name:
            np.testing.assert_array_equal(old.spots[name], new.spots[name])
    assert np.isnan(old.spots["sigma_x_mm"]).all()
    assert new.spots["width_valid"].all()
    assert old.interlocks.tolist() == new.interlocks.tolist()
    assert new.facts.mounted_elements == ()
    assert read_spill(tmp_path / "record" / SPILL).header.boards_sha256


def test_it_opens_without_widths():
    (field,) = open_record(OLD).fields
    assert field.outcome.status == "interlock"
    assert field.spots["complete"].tolist() == [True, True, True, True, False]
    assert not field.spots["width_valid"].any()
    assert not field.spots["pixel_width_valid"].any()
    for table in (field.spots, field.slices, field.truth):
        assert table is not None
        assert np.isnan(table["sigma_x_mm"]).all()
    assert np.isfinite(field.spots["x_mm"]).all()


def test_what_the_boards_did_not_have():
    settings, memory = read_control(OLD / SPILL)
    assert settings.width_ratio == 0.0
    assert np.isnan([memory.x_sd_mm, memory.y_sd_mm, settings.ion_noise1]).all()
    assert read_spill(OLD / SPILL).header.boards_sha256 == ""


def test_its_journal():
    entries = read_journal(OLD / FIELD / "journal.bin").entries
    tables = [entry.table for entry in entries if entry.kind == PROGRESS]
    assert tables
    assert all(table is not None and table.dtype == PART for table in tables)


def test_its_dose_has_planned_widths():
    (field,) = open_record(OLD).fields
    for what in ("measured", "true"):
        (layer,) = beams_of_record(field, what).layers
        sigma_mm = layer.spots.sigma_x_mm
        planned_mm = float(field.slices["fwhm_x_mm"][0]) / FWHM_PER_SIGMA
        assert np.all(sigma_mm >= planned_mm - 1e-12)
        if what == "measured":
            np.testing.assert_allclose(sigma_mm, planned_mm, rtol=1e-12)


def test_report_treatment_record_and_continuation(copy: Path, tmp_path: Path):
    record = open_record(copy)
    spotline.write_report(record, tmp_path / "report.html")
    assert "interlock" in (tmp_path / "report.html").read_text(encoding="utf-8")
    plan = spotline.read_plan(copy / "plan" / "six-spots.dcm")
    assert len(treatment_record_bytes(record.fields[0], plan)) > 1000
    rest = spotline.continuation_plan([record], plan)
    assert sum(layer.n_spots for layer in rest.fields[0].layers) == 2


def test_unknown_format_is_refused(copy: Path):
    with h5py.File(copy / SPILL, "r+") as file:
        file.attrs["version"] = 1
    with pytest.raises(RecordError, match=r"has version 1 of the format, but .* reads version 2 and 3; use"):
        open_record(copy)
