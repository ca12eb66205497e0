"""All that is wrong with a beam line is found at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.errors import BeamLineError
from spotline.machine import load_beamline, shipped_beamlines
from spotline.machine.library import BeamLibrary, load_library
from spotline.machine.library.store import faults_of
from spotline.machine.problems import check_beamline, lacks_for_dose
from tests.lines.edit import copy_line, edit
from tests.machine.test_load_toml import TOML_FAULTS


@pytest.mark.parametrize("name", shipped_beamlines())
def test_shipped_lines_have_none(name: str):
    assert check_beamline(name) == []


@pytest.mark.parametrize(
    ("old", "new", "message"), TOML_FAULTS, ids=[new or old for old, new, _ in TOML_FAULTS]
)
def test_the_first_is_that_for_which_the_line_is_refused(tmp_path: Path, old: str, new: str, message: str):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, (old, new))
    with pytest.raises(BeamLineError) as caught:
        load_beamline(toml)
    assert check_beamline(toml)[0] == str(caught.value)


def test_values_of_the_toml_file(tmp_path: Path):
    """Missing, unknown and wrong keys, in tables and in rows of tables."""
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(
        toml,
        ("gap_mm = 5.53                           # [CALC] from", "gap_mn = 5.53  # [CALC] from"),
        ("channels = 32 ", "channels = 0 "),
        ("cycle_period_s = 4.5", 'cycle_period_s = "long"'),
        ('focus = "large"', "focus = 3"),
        ("RIFI2 = 1.0 ", "RIFI2 = nan "),
    )
    found = check_beamline(toml)
    assert all(problem.startswith(f"{toml}: ") for problem in found)
    assert [problem.removeprefix(f"{toml}: ").partition(":")[0] for problem in found] == [
        "monitors[0].gap_mn",
        "passive_elements.range_modulators.RIFI2",
        "monitors[0].gap_mm",
        "monitors[4].channels",
        "accelerator.cycle_period_s",
        "ions[1].optics[2].focus",
    ]


def test_facts_tables_library_and_nozzle(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(
        toml,
        ("spill_length_s = 1.5", "spill_length_s = 5.0"),
        ("silence_s = 3.0", "silence_s = 1.0"),
        ('library = "cnao-carbon"', 'library = "cnao-proton"'),
        ("proton = 0.52 ", "# proton = 0.52 "),
        ('"RW3-20mm" = 600.0', '# "RW3-20mm" = 600.0'),
    )
    folder = toml.parent
    (folder / "int2_gain.csv").unlink()
    edit(folder / "carbon_energies.csv", ("energy_MeV_u,range_mm,", "energy_MeV_u,range_cm,"))
    wide = (folder / "carbon_optics_large_0.csv").read_text().splitlines()
    (folder / "carbon_optics_large_0.csv").write_text("\n".join([*wide[:-1], "400,a,8,8,8"]) + "\n")
    found = check_beamline(toml)
    # The library of carbon cannot be compared with energies that cannot be read.
    starts = [
        f"{toml}: accelerator.spill_length_s: 5 s is longer than the cycle",
        f"{toml}: slow_interlocks.silence_s: 1 s is not longer",
        f"{folder / 'carbon_energies.csv'}: column 'range_cm' is not known",
        f"{folder / 'carbon_optics_large_0.csv'}, line ",
        f"{toml}: calibration.int2_gain_map: cannot read {folder / 'int2_gain.csv'}",
        f"{toml}: nozzle.passive_elements_mm: 'RW3-20mm' is missing",
        f"{toml}: nozzle.emittance_mm_mrad: 'proton' is missing",
    ]
    assert len(found) == len(starts), found
    for problem, start in zip(found, starts, strict=True):
        assert problem.startswith(start)
        assert "; " in problem, "says what to do"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('library = "cnao-carbon"', 'library = "cnao-proton"', "is a library of proton, not of carbon"),
        ('library = "cnao-carbon"', 'library = "own.h5"', "own.h5: no such beam library"),
        ("thickness_mm = 1.4 ", "thickness_mm = 5.0 ", "the nozzle scatters"),
        ("thickness_mm = 1.4 ", "thickness_mm = 40.0 ", "stops"),
        ("RIFI2 = 1.0 ", "# RIFI2 = 1.0 ", "2 are more than the 1 in passive_elements"),
    ],
)
def test_what_loading_does_not_see(tmp_path: Path, old: str, new: str, message: str):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, (old, new))
    if "RIFI2" in old:
        edit(toml, ("RIFI2 = 980.0 ", "# RIFI2 = 980.0 "))
    load_beamline(toml)
    assert any(message in problem for problem in check_beamline(toml))


def test_all_that_only_a_dose_would_find(tmp_path: Path):
    """Both planes of spot sizes that the nozzle makes impossible, an emittance, and all of a library."""
    toml = copy_line("cnao-h", tmp_path / "line")
    # Of the 10 mm in both planes at the lowest energy little is left.
    table = toml.parent / "carbon_optics_small_0.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("energy_MeV_u"))
    columns = lines[head].split(",")
    for name, at in (("fwhm_x_mm", head + 1), ("fwhm_y_mm", head + 2)):
        values = lines[at].split(",")
        values[columns.index(name)] = "0.5"
        lines[at] = ",".join(values)
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = toml.read_text(encoding="utf-8").replace("carbon = 0.75 ", "# carbon = 0.75 ")
    spread = next(line for line in text.splitlines() if line.startswith("momentum_spread_percent"))
    toml.write_text(text.replace(spread, "momentum_spread_percent = 0.9"), encoding="utf-8")
    load_beamline(toml)
    found = check_beamline(toml)
    for words, times in (
        ("the nozzle scatters carbon", 2),
        ("nozzle.emittance_mm_mrad: 'carbon' is missing", 1),
        ("was made for a momentum spread of", 1),
    ):
        assert sum(words in problem for problem in found) == times, words
    assert all("; " in problem for problem in found), "says what to do"


def test_all_faults_of_a_library_at_once():
    library, line = load_library(load_beamline("cnao-h"), "proton"), load_beamline("cnao-h")
    assert list(faults_of(library, line, "proton")) == []
    short = BeamLibrary({**library.header, "momentum_spread_percent": 7.0}, library.arrays, library.path)
    (spread,) = faults_of(short, line, "proton")
    assert "a momentum spread of 7 %" in spread


def test_a_byte_order_mark_is_no_fault(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    toml.write_bytes(b"\xef\xbb\xbf" + toml.read_bytes())
    assert check_beamline(toml) == []
    assert load_beamline(toml).facts == load_beamline("cnao-h").facts


def test_what_a_dose_lacks(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    assert lacks_for_dose(load_beamline(toml)) == []
    edit(toml, ('library = "cnao-proton"', '# library = "cnao-proton"'))
    assert check_beamline(toml) == []
    (lack,) = lacks_for_dose(load_beamline(toml))
    assert lack.startswith(f"{toml}: ions[0].library: is missing, so there is no dose of proton; build one")


def test_no_such_line(tmp_path: Path):
    with pytest.raises(BeamLineError, match="is neither a shipped beam line"):
        check_beamline(tmp_path / "absent")


@given(faults=st.lists(st.sampled_from(TOML_FAULTS), min_size=2, max_size=6, unique=True))
@settings(max_examples=50)
def test_any_number_of_faults(faults: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory):
    """No problem keeps the search for others from its end, whatever they are."""
    toml = copy_line("cnao-h", tmp_path_factory.mktemp("line"))
    text = toml.read_text(encoding="utf-8")
    for old, new, _ in faults:
        text = text.replace(old, new, 1)
    toml.write_text(text, encoding="utf-8")
    found = check_beamline(toml)
    assert found
    assert all("\n" not in problem for problem in found)
    shutil.rmtree(toml.parent)
