"""The verbs of ``spotline plan``: what they write and print, and what they refuse."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spotline
from spotline.dicom.write_plan import write_ion_plan
from spotline.faces import cli
from spotline.planning.read import read_plan
from tests.delivery.deliveries import CARBON, PROTON
from tests.faces.cli.test_cli import spotline_process, tree
from tests.treatment.plans import field, layer, plan_of

AXIS = CARBON.with_name("axis_proton.dcm")


def run(*arguments: str | Path) -> int:
    return cli.run(["plan", *map(str, arguments)])


# What is written


def test_example_can_be_written_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    """The published field, to the byte."""
    path = tmp_path / "uniform.dcm"
    arguments = "uniform --ion carbon --energy 221.45 --size 60 --spacing 2 --particles 5e4 --beamline cnao-h"
    assert run(*arguments.split(), "--out", path) == 0
    assert path.read_bytes() == CARBON.read_bytes()
    said = capsys.readouterr()
    assert said.out == f"{path}: 1 layer of 900 spots, 50000 particles (carbon) each\n"
    assert said.err == ""


def test_line_example(tmp_path: Path):
    path = tmp_path / "axis.dcm"
    assert run("line", "--ion", "proton", "--beamline", "cnao-h", "--every", "5", "--out", path) == 0
    assert path.read_bytes() == AXIS.read_bytes()


def test_options_reach_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "uniform.dcm"
    arguments = (
        "uniform --ion carbon --energy 150.71 221.45 --size 40x20 --spacing 4 --particles 7e4 --beamline "
        "cnao-v --range-modulators RIFI1 RIFI2 --focus small --gantry-angle 0 --label MINE"
    )
    assert run(*arguments.split(), "--out", path) == 0
    plan = read_plan(path)
    (written,) = plan.fields
    assert (plan.label, written.machine, written.gantry_angle_deg) == ("MINE", "cnao-v", 0.0)
    assert [element.id for element in written.passive] == ["RIFI1", "RIFI2"]
    assert [found.energy_MeV_u for found in written.layers] == [221.45, 150.71]
    assert {found.n_spots for found in written.layers} == {50}
    assert {found.tune_id for found in written.layers} == {"small"}
    assert written.layers[0].meterset.tolist() == [7e4] * 50
    assert "2 layers of 50 spots" in capsys.readouterr().out
    assert run("show", path, "--beamline", "cnao-v") == 0
    assert "Can be delivered on cnao-v" in capsys.readouterr().out


def test_without_a_beam_line(tmp_path: Path):
    path = tmp_path / "pattern.dcm"
    arguments = "pattern --ion helium --energy 120 90 --particles 2e7 --distance 90 --gantry-angle 270"
    assert run(*arguments.split(), "--out", path) == 0
    (written,) = read_plan(path).fields
    assert (written.ion.symbol, written.gantry_angle_deg, written.machine) == ("4He", 270.0, "")
    assert written.n_spots == 18
    assert abs(written.layers[0].x_iso_mm).max() == 90.0


def test_source_distances_are_those_of_the_beam_line(tmp_path: Path):
    from pydicom import dcmread

    line = spotline.load_beamline("cnao-v")
    for beamline in (["--beamline", "cnao-v"], []):
        path = tmp_path / f"{len(beamline)}.dcm"
        assert run("pattern", "--ion", "carbon", "--energy", "221.45", "--out", path, *beamline) == 0
    geometry = line.facts.geometry
    beam = dcmread(tmp_path / "2.dcm").IonBeamSequence[0]
    assert [float(mm) for mm in beam.VirtualSourceAxisDistances] == [
        geometry.x_source_to_isocentre_mm,
        geometry.y_source_to_isocentre_mm,
    ]


# What is shown


def test_show(capsys: pytest.CaptureFixture):
    assert run("show", CARBON) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "UNIFORM60"
    facts = dict(
        re.split(r"  +", line.strip(), maxsplit=1) for line in lines if re.match(r"  \w.*\S  +\S", line)
    )
    assert facts["patient"] == "WATER_PHANTOM, WATER^PHANTOM"
    assert facts["layers"] == "1, 221.45 MeV/u"
    assert facts["particles"] == "4.5e+07"
    assert "0  221.45    900    4.5e+07    5e+04      5e+04  -29..29  -29..29     2.00" in said.out
    assert "deliver" not in said.out, "nobody asked where"


def test_show_on_a_beam_line(capsys: pytest.CaptureFixture):
    assert run("show", PROTON, "--beamline", "cnao-h") == 0
    said = capsys.readouterr().out
    assert "Can be delivered on cnao-h" in said
    assert "expected treatment" in said
    assert len(re.findall(r"proton 1\d\d\.\d\d MeV/u, focus standard, intensity \d+ %, line 1", said)) == 3


def test_show_problems(capsys: pytest.CaptureFixture):
    """They are shown, so the status is that of success."""
    assert run("show", PROTON, "--beamline", "cnao-v") == 0
    said = capsys.readouterr()
    assert "Cannot be delivered on cnao-v: 1 reason" in said.out
    assert "problem: GantryAngle is 90 deg" in said.out
    assert said.err == ""


def test_show_one_field(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "two.dcm"
    write_ion_plan(plan_of(field(name="first"), field(number=3, name="third")), path)
    assert run("show", path) == 0
    said = capsys.readouterr().out
    assert "field 1: first" in said
    assert "field 3: third" in said
    assert re.search(r"^ All +2 +2 +1e\+05 *$", said, flags=re.MULTILINE)
    assert run("show", path, "--field", "3") == 0
    said = capsys.readouterr().out
    assert "field 1: first" not in said
    assert "field 3: third" in said


def test_show_prepared_plan(tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "prepared"
    assert (
        cli.run(["prepare", str(PROTON), "--beamline", "cnao-h", "--out", str(out), "--paintings", "2"]) == 0
    )
    capsys.readouterr()
    assert run("show", out / "plan.dcm") == 0
    alone = capsys.readouterr().out
    assert re.search(r"prepared for +cnao-h, version 1", alone)
    assert "by the instructions in the plan" in alone
    assert run("show", out / "plan.dcm", "--beamline", "cnao-h") == 0
    here = capsys.readouterr().out
    assert "by the instructions in the plan" in here
    assert re.search(r"slices, visits +3, 294$", here, flags=re.MULTILINE)


def test_show_in_a_pipe_is_whole_and_plain(tmp_path: Path):
    """A hundred layers with long numbers, into a file: no colours, nothing cut, one line a layer."""
    path = tmp_path / "long.dcm"
    layers = [
        layer(
            [-101.25, 98.125], [-12.5, 99.375], 123456.0 + i, index=i, energy_MeV_u=300.0 - i, paintings=i + 1
        )
        for i in range(100)
    ]
    write_ion_plan(plan_of(field(*layers)), path)
    result = spotline_process("plan", "show", path, "--beamline", "cnao-h")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert "…" not in result.stdout
    rows = re.findall(
        r"^ +(\d+)  (\d+\.\d\d) .*-101\.2\.\.98\.1  -12\.5\.\.99\.4", result.stdout, re.MULTILINE
    )
    assert [int(number) for number, _ in rows] == list(range(100))
    assert [float(energy) for _, energy in rows] == [300.0 - i for i in range(100)]


def test_show_where_there_are_few_letters(tmp_path: Path):
    path = tmp_path / "plan.dcm"
    write_ion_plan(plan_of(field(name="Feld für Öl")), path)
    program = "import sys; from spotline.faces.cli import run; sys.exit(run(sys.argv[1:]))"
    result = subprocess.run(
        [sys.executable, "-c", program, "plan", "show", str(path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "Feld f?r ?l" in result.stdout


def test_names_cannot_command_the_terminal(capsys: pytest.CaptureFixture):
    from spotline.faces.cli.plan_text import print_overview
    from spotline.planning.overview import plan_overview

    hostile = "\x1b[31mred\x07[bold]\nnext"
    plan = dataclasses.replace(
        plan_of(field(name=hostile, machine=hostile)), label=hostile, identity={"PatientName": hostile}
    )
    print_overview(plan_overview(plan))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert said.count(" [31mred [bold] next") == 4


def test_html(tmp_path: Path, capsys: pytest.CaptureFixture):
    page = tmp_path / "plan.html"
    assert run("show", PROTON, "--html", page, "--beamline", "cnao-h") == 0
    assert "Can be delivered on cnao-h" in page.read_text(encoding="utf-8")
    assert "THREELAYERS" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [page]


# What is refused


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a plan, one that is cut off, and a page."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PROTON, "plan.dcm")
    Path("broken.dcm").write_bytes(PROTON.read_bytes()[:900])
    Path("page.html").write_text("mine\n")
    return tmp_path


UNIFORM = "uniform --ion carbon --energy 221.45 --out new.dcm"
LINE = "line --ion carbon --out new.dcm"
BAD = [
    ("show absent.dcm", "absent.dcm: cannot be read"),
    ("show broken.dcm", "broken.dcm: "),
    ("show plan.dcm --beamline nowhere", "nowhere: is neither a shipped beam line"),
    ("show plan.dcm --field 7", "plan.dcm: no field has beam number 7; the plan has 1"),
    ("show plan.dcm --html page.html", "page.html: exists already; choose another name or remove it first"),
    ("show plan.dcm --html no/page.html", "no/page.html: cannot be written (no folder no)"),
    ("show absent.dcm --html new.html", "absent.dcm: cannot be read"),
    ("show", "--plan requires an argument"),
    (UNIFORM.replace("new.dcm", "plan.dcm"), "plan.dcm: exists already"),
    (UNIFORM.replace("new.dcm", "no/new.dcm"), "no/new.dcm: cannot be written"),
    (UNIFORM.replace("carbon", "neon"), '"neon"'),
    (UNIFORM.replace("221.45", "high"), '"high"'),
    (UNIFORM.replace("--energy 221.45", ""), "--energy requires an argument"),
    (UNIFORM + " --size 60 --spacing 70", "spacing 70 mm is more than the size, 60 mm"),
    (UNIFORM + " --size big", "--size: 'big' is no size: give a side in mm, or both as in 60x40"),
    (UNIFORM + " --size 60x40x20", "--size: '60x40x20' is no size"),
    (UNIFORM + " --size=-60", "size is -60 mm: give more than 0"),
    (UNIFORM + " --particles 0", "particles per spot is 0 ions"),
    (UNIFORM + " --beamline nowhere", "nowhere: is neither a shipped beam line"),
    (UNIFORM + " --beamline cnao-h --gantry-angle 0", "cannot be delivered on cnao-h: GantryAngle is 0 deg"),
    (
        UNIFORM + " --beamline cnao-h --range-modulators A B",
        "range modulator 'A', range modulator 'B' are not",
    ),
    (UNIFORM + " --beamline cnao-h --focus tiny", "focus 'tiny' is not known to cnao-h for carbon"),
    (UNIFORM + " --label " + 17 * "x", "RTPlanLabel"),
    ("pattern --ion carbon --energy 500 --out new.dcm --beamline cnao-h", "layer 0 (500 MeV/u)"),
    ("pattern --ion carbon --energy 200 --out new.dcm --distance 0", "distance is 0 mm"),
    (LINE, "neither energies nor a beam line to take them from"),
    (LINE + " --beamline cnao-h --every 0", "every is 0: choose 1 or more"),
    (LINE + " --beamline cnao-h --every 1.5", "'1.5' is not a whole number"),
    (LINE + " --energy 200 --every 2", "every and energies exclude each other"),
    ("sphere --out new.dcm", 'Unknown command "sphere"'),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[arguments for arguments, _ in BAD])
def test_bad_input(arguments: str, message: str, folder: Path, capfd: pytest.CaptureFixture):
    """Status 2, one line that says what is wrong, and nothing is written."""
    before = tree(folder)
    assert run(*arguments.split()) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("spotline: ")
    assert message in line.replace(os.sep, "/")
    assert tree(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        "cube --ion C --size-mm 60 --depth-mm 150 --dose-Gy 1 --out new.dcm",
        "cube --ion carbon --size 60 --depth 150 --dose 1 --out new.dcm",
    ],
)
def test_a_cube_by_symbol_and_with_units(arguments: str, folder: Path, capsys: pytest.CaptureFixture):
    """All of it is understood, so that only the beam line is missing."""
    assert run(*arguments.split()) == 2
    assert "give --beamline" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["", "show", "uniform", "pattern", "line", "cube"])
def test_help(verb: str, capsys: pytest.CaptureFixture):
    assert run(*filter(None, [verb]), "--help") == 0
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    if verb:
        assert "Exit status: 0" in said
    else:
        assert {"show", "uniform", "pattern", "line"} <= set(said.split())
