"""A line is changed and written back as the person who keeps it would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spotline
from spotline.errors import BeamLineError, OptionError, OutputError
from spotline.machine import load_beamline, shipped_beamlines
from spotline.machine.changes import next_version
from spotline.machine.true_line import true_line_of
from spotline.tables import GainMap
from tests.lines.cyclotron import CYCLOTRON
from tests.lines.edit import copy_line, edit, replace_once

LINE = load_beamline("cnao-h")
TEXT = LINE.files["beamline.toml"].decode()


def test_a_value_comes_with_its_source_and_everything_else_stays():
    line = LINE.changed(
        {"sources.DAILY": "Check of 2 March", "calibration.int1_daily_factor": 1.004},
        source="[DAILY] mean of 3",
    )
    was = f"int1_daily_factor = 1.0{' ' * 17}# [ASSUMED] always within 2 % of it [DDS V]"
    text = replace_once(TEXT, was, f"int1_daily_factor = 1.004{' ' * 15}# [DAILY] mean of 3")
    assumed = 'ASSUMED = "in no source; the comment says why this figure"\n'
    text = replace_once(text, assumed, assumed + 'DAILY = "Check of 2 March"\n')
    assert line.files["beamline.toml"].decode() == replace_once(text, '\nversion = "1"', '\nversion = "2"')
    assert line.facts.calibration.int1_daily_factor == 1.004
    assert (LINE.facts.calibration.int1_daily_factor, LINE.facts.version) == (1.0, "1")
    assert line.sha256 != LINE.sha256


def test_a_line_knows_what_was_changed_and_why():
    line = LINE.changed({"geometry.field_x_mm": 190}, source="[A]").changed(
        {"ions.carbon.energies": doubled("carbon"), "chopper.off_delay_us": 60.0}, source="[B]"
    )
    assert [tuple(change) for change in line.changes] == [
        ("geometry.field_x_mm", 200.0, 190.0, "[A]"),
        ("ions[1].energies", "carbon_energies.csv", "carbon_energies.csv", "[B]"),
        ("chopper.off_delay_us", 50.0, 60.0, "[B]"),
    ]
    assert line.facts.version == "2", "one step from what was read, however many changes"
    assert LINE.changed({"geometry.field_x_mm": 190.0}, source="[A]", version="7b").facts.version == "7b"
    assert LINE.changed({"geometry.field_x_mm": 200.0}, source="[A]").files == LINE.files, (
        "it was that before"
    )


def doubled(ion: str) -> Any:
    """The energy table of an ion with twice the particles per count."""
    table = LINE.energies[ion]
    return replace(table, particles_per_count=2.0 * table.particles_per_count)


def test_a_table_keeps_cells_and_comments_of_columns_that_are_the_same():
    line = LINE.changed({"ions.carbon.energies": doubled("carbon")}, source="[A] twice")
    text, before = (each.files["carbon_energies.csv"].decode().splitlines() for each in (line, LINE))
    assert text[:2] == ["# particles_per_count: [A] twice", f"# the rest: {before[0].removeprefix('# ')}"]
    assert text[2:5] == before[1:4]
    assert text[5:7] == ["energy_MeV_u,range_mm,particles_per_count", "115.23,30,683.12"]
    assert [row.split(",")[:2] for row in text[5:]] == [row.split(",")[:2] for row in before[7:]]
    assert np.array_equal(line.energies["carbon"].particles_per_count, doubled("carbon").particles_per_count)
    same = LINE.changed({"ions.carbon.energies": LINE.energies["carbon"]}, source="[A]")
    assert same.sha256 == LINE.sha256


def test_spot_sizes_and_gain_maps():
    optics = LINE.optics["carbon", "small", 2]
    wider = replace(optics, fwhm_x_mm=optics.fwhm_x_mm + 0.5)
    flat = GainMap(
        np.array([-100.0, 100.0]), np.array([-100.0, 100.0]), np.array([[1.0, 1.01], [1.02, 1.03]])
    )
    line = LINE.changed(
        {"ions.carbon.optics[1].table": wider, "calibration.int1_gain_map": flat}, source="[A]"
    )
    assert np.array_equal(line.optics["carbon", "small", 2].fwhm_x_mm, optics.fwhm_x_mm + 0.5)
    assert line.int1_gain_map is not None
    assert np.array_equal(line.int1_gain_map.gain, flat.gain)
    assert line.files["int1_gain.csv"].decode().splitlines()[:3] == ["# x_iso_mm, y_iso_mm, gain: [A]",
        "x_iso_mm,y_iso_mm,gain", "-100,-100,1"]  # fmt: skip
    uniform = line.changed({"calibration.int1_gain_map": None}, source="[A]")
    assert uniform.int1_gain_map is None
    assert uniform.changed({"calibration.int1_gain_map": flat}, source="[A]").int1_gain_map is not None


def test_a_table_of_two_is_not_changed_for_both(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("carbon_optics_large_0.csv", "carbon_optics_small_0.csv"))
    line = load_beamline(toml)
    optics = line.optics["carbon", "large", 0]
    wider = replace(optics, fwhm_x_mm=optics.fwhm_x_mm + 0.5)
    changed = line.changed({"ions.carbon.optics[2].table": wider}, source="[A]")
    assert changed.facts.ions[1].optics[2].table == "carbon_optics_small_0-2.csv"
    assert np.array_equal(changed.optics["carbon", "small", 0].fwhm_x_mm, optics.fwhm_x_mm)
    assert np.array_equal(changed.optics["carbon", "large", 0].fwhm_x_mm, wider.fwhm_x_mm)


def test_whole_tables_and_what_is_no_longer_there():
    line = LINE.changed({"accelerator": CYCLOTRON, "fast_interlocks.no_counts_us": 10_000}, source="[A]")
    assert line.facts.accelerator == CYCLOTRON
    assert "cycle_period_s" not in line.files["beamline.toml"].decode()
    bare = line.changed({"nozzle": None}, source="[A]")
    assert bare.facts.nozzle is None
    assert "[nozzle" not in bare.files["beamline.toml"].decode()
    assert bare.changed({"nozzle": LINE.facts.nozzle}, source="[A]").facts.nozzle == LINE.facts.nozzle


def test_the_truth_is_changed_like_the_rest():
    line = LINE.changed({"simulation.chambers.int2_gain": 0.97}, source="[A]")
    assert true_line_of(line).simulation.chambers.int2_gain == 0.97
    assert line.facts.chambers == LINE.facts.chambers


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"geometry.fild_x_mm": 1.0}, BeamLineError, "geometry.fild_x_mm: is not a known key; did you mean"),
        ({"geometry.field_x_mm": -1.0}, BeamLineError, "geometry.field_x_mm: expected float > 0.0"),
        ({"geometry.field_x_mm": float("nan")}, BeamLineError, "geometry.field_x_mm: nan is not a finite"),
        ({"geometry.field_x_mm": 500.0}, BeamLineError, "StripX is 211.2 mm wide"),
        ({"geometry.field_x_mm": None}, BeamLineError, "geometry.field_x_mm: is missing"),
        ({"ions.neon.library": "x"}, OptionError, "there is no 'neon'; there are proton, carbon"),
        ({"ions[2].library": "x"}, OptionError, "there are only 2, counted from 0"),
        ({"ions.carbon.optics.small.table": "x"}, OptionError, r"there is no 'small'; there are \[0\]"),
        ({".geometry": 1}, OptionError, "is no key of a beam line"),
        ({"geometry..x": 1}, OptionError, "is no key of a beam line"),
        ({"": 1}, OptionError, "is empty"),
        ({"ions": []}, OptionError, "ions: cannot be changed where it stands"),
        ({"ions.carbon.energies": "none.csv"}, BeamLineError, "none.csv"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        LINE.changed(values, source="[A]")


def test_a_change_without_a_source_is_refused():
    with pytest.raises(OptionError, match=r"^geometry.field_x_mm: has no source; say where"):
        LINE.changed({"geometry.field_x_mm": 190.0}, source=" ")


@pytest.mark.parametrize(("old", "new"), [("1", "2"), ("2014.9", "2014.10"), ("v0.1a", "v0.1a.1")])
def test_the_next_version(old: str, new: str):
    assert next_version(old) == new


@pytest.mark.parametrize("name", shipped_beamlines())
def test_a_shipped_line_is_written_as_it_was(name: str, tmp_path: Path):
    line = load_beamline(name)
    written = spotline.write_beamline(line, tmp_path / "new" / name)
    assert written.sha256 == line.sha256
    folder = tmp_path / "new" / name
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in line.path.parent.iterdir()
    }


def test_a_changed_line_is_written_and_loads_as_it_was_in_memory(tmp_path: Path):
    line = LINE.changed(
        {"ions.carbon.energies": doubled("carbon"), "geometry.field_x_mm": 190.0}, source="[A]"
    )
    written = spotline.write_beamline(line, tmp_path / "line")
    assert (written.facts, written.sha256) == (line.facts, line.sha256)
    assert written.path == tmp_path / "line" / "beamline.toml"
    assert [p.name for p in tmp_path.iterdir()] == ["line"], "nothing else is left there"


def test_line_ends_of_the_file_stay(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    toml.write_bytes(toml.read_bytes().replace(b"\n", b"\r\n"))
    changed = load_beamline(toml).changed({"geometry.field_x_mm": 190.0}, source="[A]")
    assert changed.sha256 == LINE.changed({"geometry.field_x_mm": 190.0}, source="[A]").sha256
    content = changed.files["beamline.toml"]
    assert content.count(b"\r\n") == content.count(b"\n") == TEXT.count("\n")


def test_a_library_beside_the_line_goes_along(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ('library = "cnao-carbon"', 'library = "own.beams"'))
    (toml.parent / "own.beams").write_bytes(b"not looked at")
    spotline.write_beamline(load_beamline(toml), tmp_path / "new")
    assert (tmp_path / "new" / "own.beams").read_bytes() == b"not looked at"


def test_what_exists_is_not_replaced(tmp_path: Path):
    (tmp_path / "line").mkdir()
    with pytest.raises(OutputError, match="line: exists; choose another folder"):
        spotline.write_beamline(LINE, tmp_path / "line")
    assert list((tmp_path / "line").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        spotline.write_beamline(LINE, tmp_path / "file" / "line")


def test_facts_that_are_in_no_file_are_not_written(tmp_path: Path):
    other = replace(LINE, facts=LINE.changed({"geometry.field_x_mm": 190.0}, source="[A]").facts)
    with pytest.raises(OutputError, match="facts are not those of its files"):
        spotline.write_beamline(other, tmp_path / "line")
    assert list(tmp_path.iterdir()) == []
