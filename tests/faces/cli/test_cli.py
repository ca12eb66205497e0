"""The command line: its statuses, what it says and where, and what it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import spotline
from spotline import open_record
from spotline.faces import cli
from tests.delivery.deliveries import CARBON, PROTON
from tests.lines.edit import copy_line, edit
from tests.places import ROOT

CALL = "import sys; from spotline.faces.cli import main; sys.argv[0] = 'spotline'; sys.exit(main())"


def spotline_process(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run the program as a user would."""
    return subprocess.run(
        [sys.executable, "-c", CALL, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        check=False,
        **options,
    )


def delivered(plan: Path, out: Path, *more: str, beamline: str = "cnao-h") -> int:
    return cli.run(["deliver", str(plan), "--beamline", beamline, "--out", str(out), *more])


# What is done


def test_whole_delivery(tmp_path: Path):
    """All of it, with the report, in a process of its own whose error stream is no terminal."""
    out = tmp_path / "out"
    result = spotline_process("deliver", CARBON, "--beamline", "cnao-h", "--out", out, "--seed", "3")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "delivered whole: 900 of 900 spots"
    assert lines[-1].strip() == f"report: {out / 'report.html'}"
    assert "\x1b" not in result.stdout, "no colours in a file"
    record = open_record(out)
    assert (record.summary["status"], record.summary["seed"]) == ("complete", 3)
    assert {path.name for path in out.iterdir()} == {
        "delivery.json",
        "delivery.lock",
        "field-01",
        "plan",
        "report.html",
        "status.json",
        "summary.json",
    }
    assert f"{record.summary['particles_delivered']:.6g}" in result.stdout
    assert (out / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("error", [OSError("no room"), spotline.OutputError("no room"), ValueError("odd")])
@pytest.mark.parametrize("fault", [None, "magnet-trip"])
def test_what_cannot_be_written_changes_no_status(
    error: Exception,
    fault: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    """Neither the report nor the treatment record: the status is that of the beam."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("spotline.write_report", fail)
    monkeypatch.setattr("spotline.dicom.treatment_record.write_treatment_record", fail)
    more = [] if fault is None else ["--fault", str(ROOT / "faults" / f"{fault}.toml")]
    out = tmp_path / "out"
    assert delivered(PROTON, out, *more) == (0 if fault is None else 3)
    printed = capsys.readouterr()
    said = printed.err.splitlines()
    assert len(said) == 2
    assert "report:" not in printed.out
    assert "record.dcm: the treatment record is not written" in said[0]
    assert "report.html: no report" in said[1]
    # The same of a session that goes on.
    assert cli.run(["resume", str(out), "--operator", "x", "--reason", "y"]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 2
    monkeypatch.undo()
    assert cli.run(["resume", str(out), "--operator", "x", "--reason", "y", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert (out / "field-01" / "record.dcm").exists()
    assert (out / "report.html").exists()


def test_error_with_beam_is_no_bad_input(
    tmp_path: Path, no_report: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """Whoever tries again on status 2 must not deliver again."""

    def fail(*_: object) -> None:
        raise spotline.RecordError("a spill file: cannot be read")

    monkeypatch.setattr("spotline.delivery.session.assemble", fail)
    assert delivered(PROTON, tmp_path / "out") == 3
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("spotline: a spill file: cannot be read; beam may have been given: look at ")


def test_quiet_says_nothing(tmp_path: Path, no_report: None, capfd: pytest.CaptureFixture):
    assert delivered(CARBON, tmp_path / "out", "--quiet") == 0
    assert capfd.readouterr() == ("", "")
    assert open_record(tmp_path / "out").summary["status"] == "complete"


def test_warnings_go_to_the_error_stream(tmp_path: Path, no_report: None, capfd: pytest.CaptureFixture):
    """The plan asks for a focus that this line calls by another name."""
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ('focus = "standard"', 'focus = "usual"'))
    assert delivered(PROTON, tmp_path / "out", beamline=str(toml)) == 0
    printed = capfd.readouterr()
    (line,) = printed.err.splitlines()
    assert (
        line == "spotline: field 1: ScanSpotTuneID 'standard' is not a focus of cnao-h (usual): using 'usual'"
    )
    assert printed.out.startswith("delivered whole")
    assert delivered(PROTON, tmp_path / "quiet", "--quiet", beamline=str(toml)) == 0
    assert capfd.readouterr() == ("", "")


def on_a_terminal(*arguments: str | Path) -> tuple[str, str]:
    """Run the program with a terminal for its error stream; return its output and what was shown."""
    import pty

    main_end, terminal = pty.openpty()
    program = f"import spotline; spotline.write_report = lambda record, path: None; {CALL}"
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # Linux reports the end as an error
            while some := os.read(main_end, 4096):
                shown += some
        os.close(main_end)
        assert process.stdout is not None
        output = process.stdout.read().decode()
    assert process.returncode == 0
    return output, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_progress_is_shown_on_a_terminal(tmp_path: Path):
    arguments = ["deliver", PROTON, "--beamline", "cnao-h", "--out"]
    output, shown = on_a_terminal(*arguments, tmp_path / "out")
    assert output.startswith("delivered whole")
    assert "preparing the fast loop" in shown
    assert "field 1/1, layer 3/3" in shown
    assert "spots, spill 3" in shown
    assert on_a_terminal(*arguments, tmp_path / "quiet", "--quiet") == ("", "")


def test_without_a_report_and_the_time_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture):
    began = time.perf_counter()
    assert delivered(PROTON, tmp_path / "out", "--no-report") == 0
    all_s = time.perf_counter() - began
    said = capsys.readouterr().out
    assert "report" not in said
    assert not (tmp_path / "out" / "report.html").exists()
    took = re.search(r"took ([\d.]+) s, ([\d.]+) s of it the delivery", said)
    assert took is not None
    whole_s, delivery_s = (float(number) for number in took.groups())
    assert delivery_s <= whole_s <= all_s + 0.1
    assert whole_s > 0.9 * all_s - 0.2, "loading and preparation are part of it"


def test_one_field_and_seed(tmp_path: Path, no_report: None, capsys: pytest.CaptureFixture):
    assert delivered(CARBON, tmp_path / "out", "--field", "1", "--seed", "12345") == 0
    assert open_record(tmp_path / "out").summary["seed"] == 12345


def test_interlock(tmp_path: Path, no_report: None, capsys: pytest.CaptureFixture):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("temperature_C = 22.0", "temperature_C = 28.0"))
    assert delivered(CARBON, tmp_path / "out", beamline=str(toml.parent)) == 3
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "STOPPED BY AN INTERLOCK: 0 of 900 spots"
    assert any(
        re.search(r"interlock: gas temperature BOX[12] at 0\.0+ s: 2[78]\.\d+, limit 26 C \(stop\)", s)
        for s in said
    )
    assert open_record(tmp_path / "out").summary["status"] == "interlock"


def test_interlock_with_quiet(tmp_path: Path, no_report: None, capfd: pytest.CaptureFixture):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, ("temperature_C = 22.0", "temperature_C = 28.0"))
    assert delivered(CARBON, tmp_path / "out", "--quiet", beamline=str(toml)) == 3
    assert capfd.readouterr() == ("", "")


def test_replay(tmp_path: Path, no_report: None, capsys: pytest.CaptureFixture):
    out = tmp_path / "out"
    assert delivered(PROTON, out, "--raw", "--quiet") == 0
    for arguments in ([str(out)], [str(out), "--raw"]):
        assert cli.run(["replay", *arguments]) == 0
        said = capsys.readouterr().out.replace("\\", "/").splitlines()
        assert len(said) == 3
        for number, line in enumerate(said, start=1):
            pattern = rf"field-01/spills/spill-000{number}\.h5: \d+ samples, same decisions"
            assert re.fullmatch(pattern, line)


def test_replay_that_differs(tmp_path: Path, no_report: None, capsys: pytest.CaptureFixture):
    import h5py

    out = tmp_path / "out"
    assert delivered(CARBON, out, "--raw", "--quiet") == 0
    with h5py.File(out / "field-01" / "spills" / "spill-0001.h5", "r+") as file:
        parts = file["measured/parts"][()]
        del file["measured/parts"]
        parts["int1_counts"][5] += 1
        file["measured/parts"] = parts
    assert cli.run(["replay", str(out)]) == 1
    assert "spot 5: int1_counts is" in capsys.readouterr().out


# What is said about itself


def test_version(capsys: pytest.CaptureFixture):
    from importlib.metadata import version

    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("spotline")


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture):
    assert cli.run(["--help"]) == 0
    first = capsys.readouterr().out
    headings = re.findall(r"─ (\w[\w ]*\w) ─", first)
    assert headings == ["Plan", "Deliver", "Dose", "Look up", "About"]
    under = dict(zip(headings, re.split(r"─ \w[\w ]*\w ─", first)[1:], strict=True))
    for heading, verbs in {
        "Plan": {"plan", "prepare", "continuation"},
        "Deliver": {"deliver", "resume", "replay", "campaign", "course"},
        "Dose": {"dose", "gamma"},
        "Look up": {"beamline", "library", "physics"},
    }.items():
        assert set(re.findall(r"^│ (\w+)", under[heading], flags=re.MULTILINE)) == verbs
    assert "not a medical device" in re.sub(r"\s+", " ", first)
    assert cli.run([]) == 0
    assert capsys.readouterr().out == first


def test_help_of_deliver(capsys: pytest.CaptureFixture):
    assert cli.run(["deliver", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--beamline", "--out", "--field", "--seed", "--raw", "--quiet"):
        assert option in text
    assert "Exit status: 0 delivered whole, 2 bad input" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["deliver", "--help"]], ids=" ".join)
def test_help_needs_nothing_heavy(arguments: list[str]):
    heavy = ("numpy", "numba", "pydicom", "h5py", "scipy", "matplotlib", "jinja2")
    program = (
        "import sys\n"
        "from spotline.faces.cli import run\n"
        f"status = run({arguments!r})\n"
        f"sys.exit(status or ' '.join(set({heavy!r}) & set(sys.modules)) or None)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert (result.returncode, result.stderr.strip()) == (0, "")


def test_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "spotline", "--version"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout.strip()) == (0, "0.1.0")


# What is refused


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a plan, some files that are none, and a folder that is not empty."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PROTON, "plan.dcm")
    Path("broken.dcm").write_bytes(PROTON.read_bytes()[:900])
    Path("noise.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)))
    Path("text.txt").write_text("no plan\n")
    Path("full").mkdir()
    Path("full", "notes.txt").write_text("mine\n")
    return tmp_path


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


ON_H = ["--beamline", "cnao-h", "--out", "out"]
TO_OUT = ["--out", "out", "--beamline"]
TO = ["--beamline", "cnao-h", "--out"]
BAD = [
    (["deliver", "absent.dcm", *ON_H], "absent.dcm: cannot be read (No such file or directory)"),
    (["deliver", "broken.dcm", *ON_H], "broken.dcm: "),
    (["deliver", "noise.dcm", *ON_H], "noise.dcm: "),
    (["deliver", "text.txt", *ON_H], "text.txt: is of an unknown format"),
    (
        ["deliver", "full", *ON_H],
        "full/preparation.json: no such file; give a folder that `spotline prepare`",
    ),
    (
        ["deliver", "plan.dcm", *TO_OUT, "cnao"],
        "cnao: is neither a shipped beam line (cnao-h, cnao-research, cnao-v, dcpt-like)",
    ),
    (["deliver", "plan.dcm", *TO_OUT, "full"], "full: has no beamline.toml"),
    (["deliver", "plan.dcm", *TO_OUT, "text.txt"], "text.txt: is not valid TOML"),
    (
        ["deliver", "plan.dcm", *TO_OUT, "cnao-v"],
        "plan.dcm: field 1 (Three layers) cannot be delivered on cnao-v: GantryAngle is 90 deg",
    ),
    (["deliver", "plan.dcm", *TO, "full"], "full: is not empty; choose another folder"),
    (["deliver", "plan.dcm", *TO, "text.txt"], "text.txt: is no folder; choose another"),
    (["deliver", "plan.dcm", *TO, "text.txt/out"], "text.txt/out: cannot be made (Not a directory)"),
    (["deliver", "plan.dcm", *ON_H, "--field", "4"], "plan.dcm: no field has beam number 4; the plan has 1"),
    (["deliver", "plan.dcm", *ON_H, "--field", "one"], "--field: 'one' is not a whole number"),
    (["deliver", "plan.dcm", *ON_H, "--field", "1.4"], "--field: '1.4' is not a whole number"),
    (["deliver", "plan.dcm", *ON_H, "--seed", "1.5"], "--seed: '1.5' is not a whole number"),
    (["deliver", "plan.dcm", *ON_H, "--seed", "-1"], 'Invalid value "-1" for --seed. Must be >= 0'),
    (["deliver", "plan.dcm", *ON_H, "--colour", "blue"], "Unknown option: --colour"),
    (["deliver", "plan.dcm", *ON_H, "--no-raw"], "Unknown option: --no-raw"),
    (["deliver", "plan.dcm", "plan.dcm", *ON_H], "Unused Tokens: ['plan.dcm']; see spotline --help"),
    (["deliver", "plan.dcm", "--beamline", "cnao-h"], "--out requires an argument; see spotline --help"),
    (["deliver", "plan.dcm", "--out", "out"], "--beamline is missing: name the beam line"),
    (["deliver"], "--plan requires an argument"),
    (["treat"], 'Unknown command "treat"'),
    (["replay", "absent"], "absent/summary.json: no such file"),
    (["replay", "full"], "full/summary.json: no such file"),
    (["replay", "plan.dcm"], "is a file and no record"),
    (["replay"], "--record requires an argument"),
    (["beamlines", "cnao-h"], "Unused Tokens: ['cnao-h']"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input(arguments: list[str], message: str, folder: Path, capfd: pytest.CaptureFixture):
    """Status 2, one line that says what is wrong, and nothing is written."""
    before = tree(folder)
    assert cli.run(arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("spotline: ")
    assert message in line.replace("\\", "/")
    assert "Traceback" not in line
    assert tree(folder) == before


def test_bad_input_in_a_process_of_its_own(folder: Path):
    result = spotline_process("deliver", "absent.dcm", *ON_H)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(r"spotline: absent\.dcm: cannot be read \(.*\); give a DICOM.*\n", result.stderr)


def test_replay_without_raw_samples(tmp_path: Path, no_report: None, capsys: pytest.CaptureFixture):
    assert delivered(CARBON, tmp_path / "out", "--quiet") == 0
    assert cli.run(["replay", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.strip().endswith("holds no raw samples; deliver with --raw to replay")
    assert len(printed.err.splitlines()) == 1


def test_message_is_one_line_whatever_is_in_it(capfd: pytest.CaptureFixture):
    assert cli.run(["deliver", "a\nb.dcm", *ON_H]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_interrupted_by_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spotline.Delivery, "run", interrupted)
    assert delivered(CARBON, tmp_path / "out") == 130
    assert capsys.readouterr().err == "spotline: interrupted\n"
