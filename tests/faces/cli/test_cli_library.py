"""The verbs of ``spotline library``: what they write and print, and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spotline.faces import cli
from spotline.machine.library import read_library, write_library
from tests.faces.cli.test_cli import spotline_process
from tests.machine.library.fakes import fake_library

FEW = "build --beamline cnao-h --ions p --energies 62.73,64.8 --primaries 64 --threads 1"


def run(*arguments: str | Path) -> int:
    return cli.run(["library", *map(str, arguments)])


@pytest.fixture(scope="module")
def carbon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "carbon.h5"
    write_library(fake_library("carbon", 115.23, 119.09, 279.97), path)
    return path


# What is built


def test_build(tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "new" / "folder"
    assert run(*FEW.split(), "--seed", "5", "--out", out) == 0
    said = capsys.readouterr()
    assert [path.name for path in out.iterdir()] == ["cnao-proton.h5"], "the name that the line looks for"
    library = read_library(out / "cnao-proton.h5")
    assert library.energy_MeV_u.tolist() == [62.73, 64.8]
    assert (library.header["primaries"], library.header["seed"]) == (64, 5)
    assert "cnao-proton.h5: 2 energies of proton, 64 primaries each, 0.0" in said.out
    assert re.search(r"with nozzle_mm = \d\.\d{3}, within \d\.\d{3} mm", said.out)
    assert said.err == ""


def test_the_command_in_the_header_makes_the_same_library(tmp_path: Path):
    assert run(*FEW.split(), "--seed", "5", "--quiet", "--out", tmp_path / "one") == 0
    one = read_library(tmp_path / "one" / "cnao-proton.h5")
    command = one.header["command"].removeprefix("spotline library ").split()
    assert run(*command, "--quiet", "--out", tmp_path / "two") == 0
    two = read_library(tmp_path / "two" / "cnao-proton.h5")
    for first, second in zip(one.arrays, two.arrays, strict=True):
        assert (first == second).all()


def test_quiet(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert run(*FEW.split(), "--quiet", "--out", tmp_path) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ions", "He"], "ion 'He': cnao-h has no such; known are carbon, proton"),
        (["--energies", "100;120"], "--energies: '100;120' are no numbers; write them as 115.23,221.45"),
        (["--energies", "nan,100"], "energies of proton: 100 to nan MeV/u; use 20 to 500 MeV/u"),
        (["--threads", "0"], "threads: 0 do no work; give at least 1"),
        (["--primaries", "5"], "primaries: 5 are too few; give at least 32"),
        (["--ions", "p", "--energies", "100"], "energies of proton: 1 make no library"),
        (["--beamline", "nowhere"], "nowhere: is neither a shipped beam line"),
    ],
)
def test_build_refuses(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    given = arguments if "--beamline" in arguments else ["--beamline", "cnao-h", *arguments]
    assert run("build", *given, "--out", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.h5*"))


def test_nothing_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Not even the first of two ions is built if the second is there."""
    (tmp_path / "cnao-carbon.h5").write_text("mine")
    assert run("build", "--beamline", "cnao-h", "--ions", "p,C", "--out", tmp_path) == 2
    assert "cnao-carbon.h5: exists already; choose another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["cnao-carbon.h5"]
    assert (tmp_path / "cnao-carbon.h5").read_text() == "mine"


def test_no_folder_can_be_made(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "file").touch()
    assert run(*FEW.split(), "--out", tmp_path / "file" / "folder") == 2
    assert "cannot be made" in capsys.readouterr().err


# What is shown


def test_show_all(carbon: Path, capsys: pytest.CaptureFixture):
    assert run("show", "--ion", "C", "--file", carbon) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"carbon on cnao-h, behind \d\.\d\d mm of water \(nozzle\)", lines[0])
    rows = [line.split() for line in lines[-3:]]
    assert [row[0] for row in rows] == ["115.23", "119.09", "279.97"]
    assert [float(row[1]) for row in rows] == pytest.approx([30.0, 32.0, 150.0], abs=0.02)
    assert all(abs(float(row[2]) - float(row[1])) < 0.3 for row in rows), "peaks at nominal depths"


def test_show_one(carbon: Path, capsys: pytest.CaptureFixture):
    assert (
        run("show", "--ion", "carbon", "--energy", "279.97", "--ripple", "RIFI1,RIFI2", "--file", carbon) == 0
    )
    text = capsys.readouterr().out
    assert "(nozzle, RIFI1, RIFI2)" in text
    assert re.search(r"peak +147\.\d\d mm", text)
    assert "LETd of all charged particles; the library has primaries, hydrogen, charged\n" in text
    picture = [line for line in text.splitlines() if line.startswith("  |")]
    assert len(picture) == 12
    assert max(range(len(picture[0])), key=lambda k: sum(line[k : k + 1] == "█" for line in picture)) > 60
    assert len(text.splitlines()[-1].split()) == 8


def test_show_between_energies_in_a_pipe_of_ascii(carbon: Path):
    """Where there are no blocks there are question marks, and no failure."""
    arguments = ("library", "show", "--ion", "C", "--energy", "117", "--file", carbon)
    done = spotline_process(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "117 MeV/u" in done.stdout


def test_json(carbon: Path, capsys: pytest.CaptureFixture):
    assert run("show", "--ion", "C", "--energy", "279.97", "--file", carbon, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    (row,) = shown["energies"]
    assert row["nominal_depth_mm"] == 150.0
    assert row["R90_mm"] < row["R80_mm"] < row["R50_mm"] < row["R10_mm"]
    assert len(shown["depths"]) == 6
    assert {len(column) for column in shown["curve"].values()} == {290}
    assert shown["letd_of"] == "charged"
    assert shown["curve"]["letd_keV_um"] == shown["curve"]["letd_charged_keV_um"]
    assert max(shown["curve"]["letd_hydrogen_keV_um"]) < max(shown["curve"]["letd_primaries_keV_um"])
    assert shown["made_with"]["primaries"] == 1000
    assert run("show", "--ion", "C", "--file", carbon, "--json") == 0
    every = json.loads(capsys.readouterr().out)
    assert len(every["energies"]) == 3
    assert "curve" not in every


@pytest.mark.parametrize("energy", [(), ("--energy", "279.97")])
def test_page(carbon: Path, tmp_path: Path, energy: tuple[str, ...], capsys: pytest.CaptureFixture):
    page = tmp_path / "page.html"
    assert run("show", "--ion", "C", *energy, "--file", carbon, "--html", page) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == (3 if energy else 1)
    assert "http" not in text.replace("http-equiv", ""), "needs nothing else"
    assert "Research software" in text
    assert run("show", "--ion", "C", *energy, "--file", carbon, "--html", page) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ion", "p"], "is a library of carbon, not of proton; say --ion carbon"),
        (["--ion", "C", "--energy", "400"], "has no carbon of 400 MeV/u"),
        (["--ion", "C", "--ripple", "RIFI7"], "ripple filter 'RIFI7': cnao-h has no such"),
        (
            ["--ion", "C", "--energy", "115.23", "--range-shifter", "RW3-30mm"],
            "lie before it; take a higher energy",
        ),
        (["--ion", "Xe"], "ion 'Xe': cnao-h has no such"),
    ],
)
def test_show_refuses(arguments: list[str], message: str, carbon: Path, capsys: pytest.CaptureFixture):
    assert run("show", *arguments, "--file", carbon) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_energies_that_are_stopped_are_left_out(carbon: Path, capsys: pytest.CaptureFixture):
    assert run("show", "--ion", "C", "--range-shifter", "RW3-30mm", "--file", carbon, "--json") == 0
    assert [row["energy_MeV_u"] for row in json.loads(capsys.readouterr().out)["energies"]] == [279.97]
