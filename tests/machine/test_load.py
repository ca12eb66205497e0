"""Which beam lines can be read, by which names, and what their hash sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.errors import BeamLineError
from spotline.machine import load_beamline, shipped_beamlines


def test_shipped_lines_load():
    assert shipped_beamlines() == ("cnao-h", "cnao-research", "cnao-v", "dcpt-like")
    for name in shipped_beamlines():
        assert load_beamline(name).name == name


def test_by_name_folder_and_file(toml: Path):
    by_name, by_folder, by_file = (
        load_beamline("cnao-h"),
        load_beamline(toml.parent),
        load_beamline(str(toml)),
    )
    assert by_name.sha256 == by_folder.sha256 == by_file.sha256
    assert by_folder.path == toml


def test_name_as_path_object():
    assert load_beamline(Path("cnao-h")).name == "cnao-h"


def test_unknown_name():
    with pytest.raises(
        BeamLineError,
        match=r"^cnao-x: is neither a shipped beam line \(cnao-h, cnao-research, cnao-v, dcpt-like\) nor",
    ):
        load_beamline("cnao-x")


def test_folder_without_toml(tmp_path: Path):
    with pytest.raises(BeamLineError, match=r"has no beamline\.toml"):
        load_beamline(tmp_path)


def test_hash_sees_every_file(toml: Path):
    before = load_beamline(toml).sha256
    seen = {before}
    for path in sorted(toml.parent.iterdir()):
        with path.open("a", encoding="utf-8") as stream:
            stream.write("# another comment\n")
        seen.add(load_beamline(toml).sha256)
    assert len(seen) == 1 + len(list(toml.parent.iterdir()))


def test_hash_does_not_see_line_ends(toml: Path):
    before = load_beamline(toml).sha256
    for path in toml.parent.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_beamline(toml).sha256 == before


def test_hash_does_not_see_other_files(toml: Path):
    before = load_beamline(toml).sha256
    (toml.parent / "notes.txt").write_text("not part of the line", encoding="utf-8")
    assert load_beamline(toml).sha256 == before


def test_facts_and_tables_cannot_change():
    line = load_beamline("cnao-h")
    with pytest.raises(AttributeError):
        line.facts.geometry.field_x_mm = 1.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        line.energies["carbon"].energy_MeV_u[0] = 1.0
