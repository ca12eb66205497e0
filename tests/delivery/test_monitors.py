"""Lines with other monitors deliver: one plane more, no pixels, one box, no strips in x."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import spotline
from spotline.control import interlocks
from spotline.delivery.replay import replay
from spotline.dose.engine.sources import beams_of
from spotline.errors import FaultError
from spotline.machine import BeamLine, load_beamline
from spotline.record.assembly import merge_parts
from spotline.record.model import FieldRecord
from spotline.record.read import read_content, read_spills
from spotline.sim.faults import Fault
from spotline.treatment import Treatment, prepare
from tests.lines.monitors import more_strips, one_box, without_pixels, without_strips, without_strips_in_x
from tests.treatment.plans import field, layer, plan_of, proton_field

ORIGIN = {1: (0.0, 0.0, 0.0)}
ALWAYS_us = -1_500_000
X_mm, Y_mm = [-30.0, -10.0, 10.0, 30.0], [20.0, 5.0, -5.0, -20.0]


def treatment_on(line: BeamLine) -> Treatment:
    return prepare(plan_of(field(layer(X_mm, Y_mm, [4e5] * 4, energy_MeV_u=221.45))), line)


def delivered(line: BeamLine, folder: Path, *faults: Fault, raw: bool = False) -> FieldRecord:
    record = spotline.deliver(treatment_on(line), folder, seed=11, faults=faults, raw=raw, documents=False)
    return record.fields[0]


def causes(record: FieldRecord) -> set[int]:
    return {int(cause) for cause in record.interlocks["cause"]}


def test_a_plane_more_is_recorded_and_changes_nothing(tmp_path: Path):
    shipped = delivered(load_beamline("cnao-h"), tmp_path / "shipped")
    line = load_beamline(more_strips(tmp_path / "line"))
    more = delivered(line, tmp_path / "more")
    assert more.header["status"] == "complete"
    for table in ("spots", "trend", "slow_control", "truth"):
        assert getattr(more, table).tobytes() == getattr(shipped, table).tobytes(), table
    assert len(shipped.readings) == 0
    assert more.header["monitors"][5] | {"iso_per_mm": None} == {
        "name": "Strip2X",
        "kind": "strip",
        "plane": "x",
        "box": "BOX2",
        "distance_mm": 700.0,
        "role": None,
        "iso_per_mm": None,
    }
    readings = more.readings
    assert readings["monitor"].tolist() == [5] * 4
    np.testing.assert_array_equal(readings["spot"], more.spots["spot"])
    assert readings["valid"].all()
    # Both planes see the same beam: they differ by the noise of their centres of gravity.
    np.testing.assert_allclose(readings["position_mm"], more.spots["x_mm"], atol=0.6)
    assert np.abs(readings["position_mm"] - more.spots["x_mm"]).max() > 0.0
    # The gain of the plane is 0.9 in truth; late charge of a spot is counted for its neighbours.
    assert readings["counts"].sum() == pytest.approx(0.9 * _counts(more), rel=0.15)
    with h5py.File(next((tmp_path / "more").glob("field-01/spills/*.h5"))) as file:
        assert file["readings/parts"].shape == (4,)
    with h5py.File(next((tmp_path / "shipped").glob("field-01/spills/*.h5"))) as file:
        assert "readings" not in file


def _counts(record: FieldRecord) -> float:
    return float(record.spills["int1_counts"].sum())


def test_no_interlock_hangs_on_a_plane_without_a_role(tmp_path: Path):
    """It collects a tenth of the charge, for which a plane with a role would stop the beam."""
    line = load_beamline(more_strips(tmp_path / "line"))
    weak = line.changed({"simulation.chambers.gains.Strip2X": 0.1}, source="for a test")
    record, sound = delivered(weak, tmp_path / "weak"), delivered(line, tmp_path / "sound")
    assert (record.header["status"], causes(record)) == ("complete", set())
    assert record.spots.tobytes() == sound.spots.tobytes()
    assert record.readings["counts"].sum() < 0.2 * sound.readings["counts"].sum()


def test_without_pixels(tmp_path: Path):
    line = load_beamline(without_pixels(tmp_path / "line"))
    record = delivered(line, tmp_path / "out", raw=True)
    assert (record.header["status"], causes(record)) == ("complete", set())
    assert np.isnan(record.spots["x_pixel_mm"]).all()
    assert np.isnan(record.spots["y_pixel_mm"]).all()
    np.testing.assert_allclose(record.spots["x_mm"], record.spots["x_planned_mm"], atol=1.0)
    header = json.loads(_treatment_header(tmp_path / "out"))
    assert header["iso_per_chamber"]["pixel_x"] is None
    assert [row["name"] for row in header["monitors"]] == ["INT1", "StripX", "StripY", "INT2"]
    # The law comes to the same decisions over the recording.
    assert all(not spill.differences for spill in replay(tmp_path / "out"))


def _treatment_header(folder: Path) -> str:
    with h5py.File(folder / "field-01" / "DDS_treatment.h5") as file:
        header: str | bytes = file.attrs["header"]
        return header if isinstance(header, str) else header.decode()


def test_without_pixels_the_strips_watch_the_position(tmp_path: Path):
    line = load_beamline(without_pixels(tmp_path / "line"))
    astray = delivered(line, tmp_path / "out", Fault("beam", "shift_x", 8.0, at_us=ALWAYS_us))
    assert causes(astray) == {interlocks.POSITION_X}


def test_one_box(tmp_path: Path):
    line = load_beamline(one_box(tmp_path / "line"))
    record = delivered(line, tmp_path / "out")
    assert (record.header["status"], causes(record)) == ("complete", set())
    assert len(record.header["gas_factors"]) == 1
    slow = record.slow_control
    assert np.isfinite(slow["temperature1_C"]).all()
    for column in ("temperature2_C", "pressure2_Pa", "high_voltage2_V", "flux_correction2"):
        assert np.isnan(slow[column]).all()


def test_one_box_that_fails_is_found_by_the_slow_control_alone(tmp_path: Path):
    """Both counts are wrong together, so no comparison of the two can tell."""
    line = load_beamline(one_box(tmp_path / "line"))
    record = delivered(line, tmp_path / "out", Fault("box1", "leak", 5e3, at_us=ALWAYS_us))
    assert causes(record) <= {interlocks.PRESSURE_1, interlocks.GAS_DENSITY}
    assert causes(record)


def test_without_strips_in_x(tmp_path: Path):
    line = load_beamline(without_strips_in_x(tmp_path / "line"))
    record = delivered(line, tmp_path / "out", raw=True)
    assert (record.header["status"], causes(record)) == ("complete", set())
    np.testing.assert_array_equal(record.spots["x_mm"], record.spots["x_pixel_mm"])
    assert record.spots["position_valid"].all()
    np.testing.assert_allclose(record.spots["x_mm"], record.spots["x_planned_mm"], atol=1.5)
    np.testing.assert_allclose(record.spots["y_mm"], record.spots["y_planned_mm"], atol=1.0)
    assert np.isnan(record.trend["x_mm"]).all()
    assert all(not spill.differences for spill in replay(tmp_path / "out"))


def test_without_strips_every_position_of_the_pixels_is_valid(tmp_path: Path):
    line = load_beamline(without_strips(tmp_path / "line"))
    record = delivered(line, tmp_path / "out", Fault("beam", "shift_x", 1.5, at_us=ALWAYS_us), raw=True)
    assert (record.header["status"], causes(record)) == ("complete", set())
    assert record.spots["position_valid"].all()
    np.testing.assert_array_equal(record.spots["x_mm"], record.spots["x_pixel_mm"])
    with h5py.File(next((tmp_path / "out").glob("field-01/spills/*.h5"))) as file:
        assert file["measured/parts"]["position_valid"].all()
    assert all(not spill.differences for spill in replay(tmp_path / "out"))
    # So the measured dose lies where the beam was.
    (beams,) = beams_of(spotline.open_record(tmp_path / "out"), line, isocentres_mm=ORIGIN).beams["measured"]
    np.testing.assert_array_equal(beams.layers[0].spots.x_mm, record.spots["x_mm"])
    assert np.mean(record.spots["x_mm"] - record.spots["x_planned_mm"]) == pytest.approx(1.5, abs=0.5)


def test_records_from_before_pixels_made_positions_valid(tmp_path: Path):
    """The fast control flagged the first spot of a spill only, on a line without strips."""
    line = load_beamline(without_strips(tmp_path / "line"))
    delivered(line, tmp_path / "out")
    content = read_content(tmp_path / "out" / "field-01")
    content.spills = read_spills(content)
    for spill in content.spills:
        spill.parts["position_valid"][1:] = 0
    scale = content.header.iso_per_chamber
    assert scale is not None
    spots, _ = merge_parts(content.slices, scale, content.spills)
    assert spots["position_valid"].all()


@pytest.mark.parametrize("write", [without_strips, without_strips_in_x])
def test_widths_in_a_plane_without_strips_are_those_of_the_pixels(tmp_path: Path, write):
    line = load_beamline(write(tmp_path / "line"))
    # Spots of carbon are narrower than a pixel, which tells no width then.
    plan = plan_of(proton_field(layer(X_mm, Y_mm, [1e7] * 4, energy_MeV_u=81.56)))
    treatment = prepare(plan, line)
    record = spotline.deliver(treatment, tmp_path / "out", seed=11, documents=False).fields[0]
    spots, truth = record.spots, record.truth
    assert truth is not None
    assert spots["width_valid"].all()
    assert np.isfinite(record.slices["sigma_x_mm"]).all()
    np.testing.assert_array_equal(spots["sigma_x_mm"], spots["sigma_x_pixel_mm"])
    np.testing.assert_array_equal(spots["sigma_error_x_mm"], spots["sigma_error_x_pixel_mm"])
    for plane in "xy":
        assert np.isfinite(spots[f"sigma_error_{plane}_mm"]).all()
        error = (spots[f"sigma_{plane}_mm"] - truth[f"sigma_{plane}_mm"]) / spots[f"sigma_error_{plane}_mm"]
        assert np.abs(error).max() < 5.0
    if write is without_strips_in_x:
        assert (spots["sigma_y_mm"] != spots["sigma_y_pixel_mm"]).all()


def test_a_dose_says_that_many_spots_have_no_valid_position(tmp_path: Path):
    line = load_beamline("cnao-h")
    delivered(line, tmp_path / "out")
    record = spotline.open_record(tmp_path / "out")
    words = "have no valid measured position"
    assert not [note for note in beams_of(record, line, isocentres_mm=ORIGIN).notes if words in note]
    record.fields[0].spots["position_valid"][:2] = False
    (note,) = [note for note in beams_of(record, line, isocentres_mm=ORIGIN).notes if words in note]
    assert "field 1: 2 of 4 spots, with 50% of the particles" in note


def test_without_strips_in_x_the_pixels_watch_the_position(tmp_path: Path):
    line = load_beamline(without_strips_in_x(tmp_path / "line"))
    astray = delivered(line, tmp_path / "out", Fault("beam", "shift_x", 8.0, at_us=ALWAYS_us))
    assert causes(astray) == {interlocks.PIXEL_POSITION_X}
    # Nothing corrects: what is below the limit of the pixels stays.
    near = delivered(line, tmp_path / "near", Fault("beam", "shift_x", 3.0, at_us=ALWAYS_us))
    assert near.truth is not None
    np.testing.assert_allclose(near.truth["x_mm"] - near.spots["x_planned_mm"], 3.0, atol=1.0)


@pytest.mark.parametrize(
    ("write", "fault", "words"),
    [
        (without_pixels, Fault("pixel", "lost", duration_us=1000), "a monitor with the role pixel"),
        (without_strips_in_x, Fault("strip_x", "dead"), "a monitor with the role strip_x"),
        (one_box, Fault("sensor_pressure2", "stuck"), "box 2"),
    ],
)
def test_faults_of_what_is_not_there_are_refused(tmp_path: Path, write, fault: Fault, words: str):
    line = load_beamline(write(tmp_path / "line"))
    with pytest.raises(
        FaultError, match=f"fault.0.: {fault.kind} strikes {words}, which {line.name} does not"
    ):
        delivered(line, tmp_path / "out", fault)


def test_a_fault_of_both_strips_needs_one_of_them(tmp_path: Path):
    line = load_beamline(without_strips_in_x(tmp_path / "line"))
    lost = Fault("strips", "lost", at_us=1000, duration_us=500_000)
    record = delivered(line, tmp_path / "out", lost)
    assert interlocks.DATA_STRIP in causes(record)
