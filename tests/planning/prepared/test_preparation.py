"""A preparation on disk: all of it or nothing, and what is read back is what was prepared."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spotline
from spotline import Options, OutputError, Plan, PlanError, RecordError, Slice, Treatment, load_beamline
from spotline.dicom.write_plan import write_ion_plan
from spotline.planning.prepared import write as console_write
from spotline.planning.prepared.layout import sha256_of
from spotline.treatment.cycle_code import decode
from spotline.treatment.treatment_file import read_slice_file
from tests.lines.edit import copy_line, edit
from tests.lines.trip import write_trip_line
from tests.places import ROOT
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, square

LINE = load_beamline("cnao-h")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two fields; the first has three layers, and lonely spots far from the others."""
    layers = [square(6, 2.0, 1e5, index=i, energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u)]
    lonely = layer([-80.0, -78.0, 70.0], [0.0, 0.0, 0.0], 2e5, index=3, energy_MeV_u=CARBON_MeV_u[2])
    path = tmp_path_factory.mktemp("plan") / "two-fields.dcm"
    write_ion_plan(plan_of(field(*layers, lonely), field(number=4)), path)
    return spotline.read_plan(path)


def treatment_of(plan: Plan, **options: Any) -> Treatment:
    return spotline.prepare(plan, LINE, options=Options(**options))


def assert_same_treatment(one: Treatment, other: Treatment) -> None:
    assert [f.field.number for f in one.fields] == [f.field.number for f in other.fields]
    for mine, theirs in zip(one.fields, other.fields, strict=True):
        for a, b in zip(mine.slices, theirs.slices, strict=True):
            for attribute in fields(Slice):
                np.testing.assert_array_equal(getattr(a, attribute.name), getattr(b, attribute.name))


@pytest.fixture(scope="module")
def prepared(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preparation") / "out"
    spotline.write_preparation(treatment_of(plan), folder, options=Options())
    return folder


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "copy"))


def test_files(prepared: Path):
    names = sorted(p.relative_to(prepared).as_posix() for p in prepared.rglob("*") if p.is_file())
    assert names == [
        "field-01/DDS_treatment.h5",
        "field-01/cycle-codes.csv",
        "field-01/sld/sld-0000.h5",
        "field-01/sld/sld-0001.h5",
        "field-01/sld/sld-0002.h5",
        "field-04/DDS_treatment.h5",
        "field-04/cycle-codes.csv",
        "field-04/sld/sld-0000.h5",
        "plan.dcm",
        "preparation.json",
    ]
    assert [p.name for p in prepared.parent.iterdir()] == ["out"], "nothing else is left beside it"


@pytest.mark.parametrize(
    "options",
    [{}, {"paintings": 3, "repainting": "back_and_forth"}, {"order": "planned", "intensity": 0.1}],
    ids=["default", "repainted", "planned"],
)
def test_opened_again(plan: Plan, options: dict[str, Any], tmp_path: Path):
    treatment = treatment_of(plan, **options)
    spotline.write_preparation(treatment, tmp_path / "out", options=Options(**options))
    opened = spotline.open_preparation(tmp_path / "out", LINE)
    assert_same_treatment(opened, treatment)
    (only,) = spotline.open_preparation(tmp_path / "out", LINE, field=4).fields
    assert only.field.number == 4
    with pytest.raises(PlanError, match="no field with beam number 2 was prepared, but 1, 4"):
        spotline.open_preparation(tmp_path / "out", LINE, field=2)


def test_prepared_again_it_is_the_same_to_the_byte(prepared: Path, tmp_path: Path):
    """The plan of a preparation carries its instructions, so preparing it changes nothing."""
    again = spotline.prepare(spotline.read_plan(prepared / "plan.dcm"), LINE)
    spotline.write_preparation(again, tmp_path / "again")
    for name in (
        "plan.dcm",
        "field-01/DDS_treatment.h5",
        "field-01/sld/sld-0001.h5",
        "field-01/cycle-codes.csv",
    ):
        assert (tmp_path / "again" / name).read_bytes() == (prepared / name).read_bytes(), name


def test_slice_files_are_the_slices(plan: Plan, prepared: Path):
    treatment = treatment_of(plan)
    for slice_ in treatment.fields[0].slices:
        header, read = read_slice_file(prepared / "field-01" / "sld" / f"sld-{slice_.index:04d}.h5")
        assert (header.number, header.slices) == (1, 3)
        np.testing.assert_array_equal(read.int1_counts, slice_.int1_counts)
        np.testing.assert_array_equal(read.x_current_A, slice_.x_current_A)


def test_summary(plan: Plan, prepared: Path):
    said = json.loads((prepared / "preparation.json").read_text(encoding="utf-8"))
    treatment = treatment_of(plan)
    assert (said["beamline"], said["options"]["order"]) == ("cnao-h", "shortest")
    assert said["spots"] == said["visits"] == 112
    assert said["particles"] == pytest.approx(sum(f.particles for f in treatment.fields))
    first, second = said["fields"]
    assert (first["spots"], second["spots"]) == (111, 1)
    assert first["beam_off_jumps"] == sum(int(s.beam_off.sum()) for s in treatment.fields[0].slices) >= 2
    last = first["slices"][2]
    assert last["layers"] == [2, 3], "neighbouring layers of one energy are one slice"
    assert decode(int(last["cycle_code"], 16)).energy_MeV_u == CARBON_MeV_u[2]
    assert last["cycle_code_in_words"].startswith("carbon 216.37 MeV/u, focus small, intensity 100 %")
    for slice_ in first["slices"]:
        assert slice_["path"]["time_us"] <= slice_["planned_path"]["time_us"]
        assert slice_["path"]["travel_mm"] <= slice_["planned_path"]["travel_mm"]
    for key in ("beam_on_s", "treatment_s", "spills"):
        total = sum(f[f"predicted_{key}"] for f in said["fields"])
        assert said[f"predicted_{key}"] == pytest.approx(total)
        assert total > 0.0


def test_cycle_codes_are_one_row_per_expected_spill(prepared: Path):
    said = json.loads((prepared / "preparation.json").read_text(encoding="utf-8"))["fields"][0]
    with (prepared / "field-01" / "cycle-codes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["spill"]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == pytest.approx(said["predicted_spills"], abs=1.5)
    for row in rows:
        assert row["cycle_code"] == said["slices"][int(row["slice"])]["cycle_code"]
        assert row["in_words"] == said["slices"][int(row["slice"])]["cycle_code_in_words"]


def test_every_key_of_the_summary_is_explained(prepared: Path):
    page = (ROOT / "docs" / "reference" / "preparation-files.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)`", page, flags=re.MULTILINE))
    said = json.loads((prepared / "preparation.json").read_text(encoding="utf-8"))
    keys = {*said, *said["fields"][0], *said["fields"][0]["slices"][0], *said["options"]}
    keys |= set(said["fields"][0]["slices"][0]["path"])
    assert keys - explained == set()


# What is refused


def test_folder_is_not_empty(plan: Plan, tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match="is not an empty folder"):
        spotline.write_preparation(treatment_of(plan), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_empty_folder_will_do(plan: Plan, tmp_path: Path):
    (tmp_path / "out").mkdir()
    spotline.write_preparation(treatment_of(plan), tmp_path / "out")
    assert (tmp_path / "out" / "preparation.json").is_file()


@pytest.mark.parametrize(
    "call", ["write_extended_plan", "write_treatment_file", "write_slice_file", "write_json"]
)
def test_nothing_is_left_when_writing_fails(
    plan: Plan, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(console_write, call, fail)
    with pytest.raises(OutputError, match="No space left on device"):
        spotline.write_preparation(treatment_of(plan), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_no_preparation(tmp_path: Path):
    with pytest.raises(RecordError, match="give a folder that `spotline prepare` wrote"):
        spotline.open_preparation(tmp_path, LINE)


@pytest.mark.parametrize(
    "name", ["plan.dcm", "field-01/DDS_treatment.h5", "field-01/sld/sld-0002.h5", "field-04/cycle-codes.csv"]
)
def test_altered_or_missing(name: str, copy: Path):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RecordError, match=re.escape(f"{name}: was altered after the preparation")):
        spotline.open_preparation(copy, LINE)
    (copy / name).unlink()
    with pytest.raises(RecordError, match=re.escape(f"{name}: no such file")):
        spotline.open_preparation(copy, LINE)


def test_treatment_file_of_another_preparation(plan: Plan, copy: Path, tmp_path: Path):
    """Hashes that were made right again do not help: the plan must make the treatment."""
    spotline.write_preparation(treatment_of(plan, order="planned", intensity=0.5), tmp_path / "other")
    name = "field-01/DDS_treatment.h5"
    shutil.copy(tmp_path / "other" / name, copy / name)
    said = json.loads((copy / "preparation.json").read_text(encoding="utf-8"))
    said["files"][name] = sha256_of(copy / name)
    (copy / "preparation.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(RecordError, match=r"is not the treatment that plan\.dcm beside it makes"):
        spotline.open_preparation(copy, LINE)


def test_other_beam_line(copy: Path, tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ('version = "1"', 'version = "2"'))
    with pytest.raises(
        RecordError, match=r"was prepared for cnao-h version 1 .* not for this cnao-h version 2"
    ):
        spotline.open_preparation(copy, load_beamline(toml))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "is 'other' version 1"),
        ({"version": 2}, "version 2, not 'spotline-preparation' version 1"),
        ({"files": 3}, "truncated or altered"),
        ({"fields": [{"name": "no number"}]}, "truncated or altered"),
        ({"beamline_sha256": None}, "truncated or altered"),
        ({"beamline_sha256": "0" * 64}, "was prepared for cnao-h version 1"),
    ],
)
def test_broken_summary(change: dict[str, Any], words: str, copy: Path):
    path = copy / "preparation.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        spotline.open_preparation(copy, LINE)
    assert words in str(caught.value)


def test_plan_of_trip98(shared_plans: Path, tmp_path: Path):
    """Its angles come from the line, and its positions are those that DICOM can store."""
    line = load_beamline(write_trip_line(tmp_path / "line"))
    plan = spotline.read_plan(shared_plans / "trip98" / "tst003001.rst")
    treatment = spotline.prepare(plan, line)
    spotline.write_preparation(treatment, tmp_path / "out")
    opened = spotline.open_preparation(tmp_path / "out", line)
    (field,) = opened.plan.fields
    assert (field.gantry_angle_deg, field.patient_support_angle_deg) == (0.0, 0.0)
    for mine, theirs in zip(opened.fields[0].slices, treatment.fields[0].slices, strict=True):
        np.testing.assert_array_equal(mine.int1_counts, theirs.int1_counts)
        np.testing.assert_allclose(mine.x_iso_mm, theirs.x_iso_mm, rtol=2**-24)
