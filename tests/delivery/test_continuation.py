"""A delivery that is stopped, its continuation, and both in one account: the prescription, spot by spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline import BeamLine, FieldTreatment, Options, Plan, Record, merge_records
from spotline.dicom.treatment_record import read_treatment_record
from spotline.dicom.write_plan import write_ion_plan
from spotline.faces import cli
from spotline.record.merged import MergedField
from spotline.room import Room
from tests.delivery.deliveries import astray_in
from tests.lines.edit import copy_line, edit
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

LAYERS = (
    square(3, 4.0, 1.2e7),
    square(3, 4.0, 1.2e7, index=1, energy_MeV_u=CARBON_MeV_u[1]),
)
"""Two spills for each of two slices."""
LATE_counts = 6e7 * 217e-6 / 549.43
"""At full intensity: 50 us until the chopper acts, half of its ramp, and a sixth of the collection time."""
WARMING = (
    ("temperature_C = 22.0", "temperature_C = 25.9"),
    ("temperature_noise_C = 0.02", "temperature_noise_C = 0.0"),
    ("temperature_drift_C_per_h = 0.2", "temperature_drift_C_per_h = 40.0"),  # 26 C after 9 s
)


def file_of(plan: Plan, folder: Path) -> Path:
    path = folder / "plan.dcm"
    write_ion_plan(replace(plan, path=path), path)
    return path


def delivered(plan: Path, line: BeamLine, out: Path, options: Options | None = None, **more) -> Record:
    return spotline.deliver(spotline.prepare(spotline.read_plan(plan), line, options=options), out, **more)


def stopping_after(spill: int, line: BeamLine) -> Callable[[FieldTreatment], Room]:
    """The beam goes astray in all later spills."""
    return astray_in(line, range(spill + 1, 100))


def assert_adds_up(*records: Record) -> tuple[MergedField, ...]:
    """Nothing is left, counts are those of the prescription, and the true particles are there."""
    merged = merge_records(records)
    for account in merged.fields:
        spots = account.spots
        assert account.is_complete
        assert spots["int1_left"].tolist() == [0] * len(spots)
        assert (spots["int1_done"] == spots["int1_prescribed"]).all()
        # What was measured is that too, but for what came in with the last count, and after the chopper was
        # told to close behind a visit: that is not the continuation's, and no more than twice the mean.
        excess = spots["int1_counts"] - spots["int1_prescribed"]
        assert excess.min() > -2.0
        visits = sum(f.visits["painting"].max(initial=0) + 1 for record in records for f in record.fields)
        assert excess.max() < 2.0 * LATE_counts * visits
        fields = [f for record in records for f in record.fields if f.number == account.number]
        true = sum(f.truth["particles"].sum() for f in fields if f.truth is not None)
        assert true == pytest.approx(spots["particles_planned"].sum(), rel=0.01)
    return merged.fields


def test_stop_by_an_interlock_with_the_command_line(
    line: BeamLine, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """The gas warms up in the second spill; what is left is delivered the next day."""
    plan = file_of(plan_of(field(*LAYERS)), tmp_path)
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, *WARMING)
    folders = [tmp_path / "first", tmp_path / "second"]
    rest = tmp_path / "rest.dcm"
    command = ["deliver", str(plan), "--beamline", str(toml), "--out", str(folders[0]), "--quiet"]
    assert cli.run(command) == 3
    record = spotline.open_record(folders[0])
    spots = merge_records([record]).fields[0].spots
    partly = (spots["int1_left"] > 0) & (spots["int1_done"] > 0)
    assert partly.sum() == 1, "one spot was interrupted"
    assert (spots["int1_counts"] + spots["int1_left"] == spots["int1_prescribed"])[partly].all()

    capsys.readouterr()
    assert cli.run(["continuation", str(folders[0])]) == 1
    said = capsys.readouterr().out
    left, n = int(spots["int1_left"].sum()), int((spots["int1_left"] > 0).sum())
    assert said == (
        f"field 1 (Field 1): {spots['int1_done'].sum()} of {spots['int1_prescribed'].sum()} counts "
        f"delivered, {left} left in {n} spots of 2 layers, 1 of them partly delivered\n"
    )
    assert cli.run(["continuation", str(folders[0]), "--out", str(rest)]) == 0
    uid = spotline.read_plan(rest).identity["SOPInstanceUID"]
    given_up = f"{folders[0]}: given up for the plan with SOP Instance UID {uid}\n"
    assert capsys.readouterr().out == f"{rest}: SMALL C1\n{said}{given_up}"
    command = ["deliver", str(rest), "--beamline", "cnao-h", "--out", str(folders[1]), "--quiet"]
    assert cli.run(command) == 0
    assert cli.run(["continuation", str(folders[0]), str(folders[1])]) == 0
    assert "all 18 spots complete" in capsys.readouterr().out
    assert_adds_up(record, spotline.open_record(folders[1]))
    (found,) = read_treatment_record(folders[1] / "field-01" / "record.dcm").fields
    assert (found.delivery_type, found.termination) == ("CONTINUATION", "NORMAL")
    assert found.continuation_end == pytest.approx(2.16e8, rel=1e-3)

    # Nothing is left to write, and a file is never written over.
    for records, match in ((folders, "nothing is left to deliver"), (folders[:1], "exists already")):
        out = tmp_path / "none.dcm" if match.startswith("nothing") else rest
        before = rest.read_bytes()
        assert cli.run(["continuation", *map(str, records), "--out", str(out)]) == 2
        said = capsys.readouterr()
        assert match in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""
        assert rest.read_bytes() == before
        assert not (tmp_path / "none.dcm").exists()


@pytest.mark.parametrize(
    "options",
    [
        Options(paintings=2),
        Options(paintings=2, repainting="volumetric"),
        Options(largest_visit_particles=7e6),
    ],
    ids=["layered", "volumetric", "iso-layered"],
)
def test_repainted(options: Options, line: BeamLine, tmp_path: Path):
    plan = file_of(plan_of(field(*LAYERS)), tmp_path)
    first = delivered(plan, line, tmp_path / "0", options, make_room=stopping_after(2, line))
    assert first.summary["status"] == "interlock"
    rest = spotline.write_continuation_plan(first, tmp_path / "rest.dcm")
    assert {layer.paintings for layer in rest.fields[0].layers} <= {1, 2}
    second = delivered(tmp_path / "rest.dcm", line, tmp_path / "1", seed=5)
    assert second.summary["status"] == "complete"
    (account,) = assert_adds_up(first, second)
    assert (account.spots["deliveries"] == 2).any()


def test_continuation_of_a_continuation(line: BeamLine, tmp_path: Path):
    """Stopped, and stopped again; plans stay in Python, and the first is prepared from the extended plan."""
    treatment = spotline.prepare(spotline.read_plan(file_of(plan_of(field(*LAYERS)), tmp_path)), line)
    spotline.write_preparation(treatment, tmp_path / "prepared")
    prepared = spotline.open_preparation(tmp_path / "prepared", line)
    records = [spotline.deliver(prepared, tmp_path / "0", make_room=stopping_after(1, line))]
    for number in (1, 2):
        rest = spotline.prepare(spotline.continuation_plan(records), line)
        room = stopping_after(1, line) if number == 1 else None
        records.append(spotline.deliver(rest, tmp_path / str(number), seed=number, make_room=room))
        left = merge_records(records).fields[0].spots["int1_left"]
    assert [record.summary["status"] for record in records] == ["interlock", "interlock", "complete"]
    assert left.sum() == 0
    (account,) = assert_adds_up(*records)
    assert account.spots["deliveries"].max() > 1


def test_two_fields(line: BeamLine, tmp_path: Path):
    """Stopped in the second field: the first is whole and left out; stopped in the first: both are in."""
    plan = file_of(plan_of(field(LAYERS[0]), field(LAYERS[1], number=2)), tmp_path)

    def make(stopped: int) -> Callable[[FieldTreatment], Room]:
        return lambda f: (stopping_after(1, line) if f.field.number == stopped else astray_in(line, ()))(f)

    for stopped, types in ((1, ["CONTINUATION", "TREATMENT"]), (2, ["CONTINUATION"])):
        first = delivered(plan, line, tmp_path / f"{stopped}-0", make_room=make(stopped))
        rest = spotline.write_continuation_plan(first, tmp_path / f"{stopped}.dcm")
        assert [f.delivery_type for f in rest.fields] == types
        second = delivered(tmp_path / f"{stopped}.dcm", line, tmp_path / f"{stopped}-1", seed=9)
        assert len(assert_adds_up(first, second)) == 2


def test_stopped_before_any_beam(line: BeamLine, tmp_path: Path):
    """Nothing was delivered, so what is left is the plan."""
    plan = file_of(plan_of(field(LAYERS[0])), tmp_path)
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("temperature_C = 22.0", "temperature_C = 26.5"))
    record = delivered(plan, spotline.load_beamline(toml), tmp_path / "0")
    assert record.summary["spills"] == 0
    rest = spotline.continuation_plan(record)
    (planned,) = spotline.read_plan(plan).fields
    assert rest.fields[0].delivery_type == "TREATMENT"
    assert np.array_equal(rest.fields[0].layers[0].meterset, planned.layers[0].meterset)
    second = spotline.deliver(spotline.prepare(rest, line), tmp_path / "1")
    assert_adds_up(record, second)


RST = """\
rstfile 1
patient_id tst003
projectile 12C
charge 6
mass 12
#submachines 1
#particles 1.2e7 1.2e7 1.08e8
submachine# 91 221.45 2 6.0
#particles 1.2e7 1.2e7 1.08e8
stepsize 4 4
#points 9
""" + "".join(f"{4 * i - 16} 0 1.2e7\n" for i in range(9))


def test_raster_scan_file(line: BeamLine, tmp_path: Path):
    """What is left of a TRiP98 plan is a DICOM plan, with the angle of the line."""
    path = tmp_path / "plan.rst"
    path.write_text(RST, encoding="utf-8")
    first = delivered(path, line, tmp_path / "0", make_room=stopping_after(1, line))
    rest = spotline.write_continuation_plan(first, tmp_path / "rest.dcm")
    assert (rest.format, rest.fields[0].gantry_angle_deg) == ("DICOM RT Ion Plan", 90.0)
    assert rest.continues.plan_sha256 == spotline.read_plan(path).sha256
    second = delivered(tmp_path / "rest.dcm", line, tmp_path / "1", seed=2)
    assert_adds_up(first, second)


def test_broken_and_foreign_records(
    line: BeamLine, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """One line that says what is wrong, status 2, and nothing written."""
    plan = file_of(plan_of(field(LAYERS[0])), tmp_path)
    delivered(plan, line, tmp_path / "0", make_room=stopping_after(1, line))
    other = tmp_path / "other"
    other.mkdir()
    delivered(file_of(plan_of(field(LAYERS[1])), other), line, other / "0", make_room=stopping_after(1, line))
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "0" / "plan" / "plan.dcm").rename(tmp_path / "moved.dcm")
    out = tmp_path / "out.dcm"
    for arguments, match in (
        ([empty], "no such file"),
        ([tmp_path / "0", other / "0"], "is of another plan"),
        ([tmp_path / "0", tmp_path / "0"], "was delivered in another record too"),
        ([tmp_path / "0"], "has no copy of the plan that was delivered"),
        ([tmp_path / "0", "--plan", other / "plan.dcm"], "its hash differs"),
    ):
        assert cli.run(["continuation", *map(str, arguments), "--out", str(out)]) == 2
        said = capsys.readouterr()
        assert match in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""
        assert not out.exists()
    arguments = [str(tmp_path / "0"), "--plan", str(tmp_path / "moved.dcm"), "--out", str(out)]
    assert cli.run(["continuation", *arguments]) == 0
    assert out.exists()
