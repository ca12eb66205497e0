"""The folder of a record: claimed only if it is free, and whole whatever interrupts the delivery."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spotline import BeamLine, OutputError, RecordError, open_record
from spotline.delivery.progress import Progress
from spotline.record.spill_file import read_spill
from spotline.record.treatment_file import read_treatment_file
from tests.delivery.deliveries import CARBON, PROTON, deliver, hashes


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def assert_whole(out: Path, spills: list[str]) -> None:
    """Nothing but whole files: the treatment, the spills, and no sign of a finished record."""
    (field,) = out.glob("field-*")
    assert files_in(field) == ["DDS_treatment.h5", *(f"spills/{name}" for name in spills)]
    assert len(read_treatment_file(field).slices) == 3
    for name in spills:
        assert len(read_spill(field / "spills" / name).parts) == 49
    with pytest.raises(RecordError, match=r"summary\.json: no such file"):
        open_record(out)


def test_files_of_a_record(protons: Path):
    assert files_in(protons) == [
        "field-01/DDS_treatment.h5",
        "field-01/field.json",
        "field-01/log.json",
        "field-01/record.dcm",
        "field-01/spills/spill-0001.h5",
        "field-01/spills/spill-0002.h5",
        "field-01/spills/spill-0003.h5",
        "status.json",
        "summary.json",
    ]


def test_folder_and_those_above_it_are_made(line: BeamLine, tmp_path: Path):
    assert deliver(CARBON, line, tmp_path / "a" / "b" / "c").path == tmp_path / "a" / "b" / "c"


def test_folder_is_not_empty(line: BeamLine, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty; choose another folder"):
        deliver(CARBON, line, tmp_path)
    assert files_in(tmp_path) == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_record_is_never_written_over(protons: Path, line: BeamLine):
    before = hashes(protons)
    with pytest.raises(OutputError, match="is not empty"):
        deliver(PROTON, line, protons, seed=5)
    assert hashes(protons) == before


def test_folder_is_a_file(line: BeamLine, tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("mine")
    for out in (path, path / "below"):
        with pytest.raises(OutputError, match=r"cannot be made \(.*\); choose another folder"):
            deliver(CARBON, line, out)
    assert path.read_text() == "mine"


@pytest.mark.skipif(
    os.name == "nt" or getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write anywhere"
)
def test_folder_cannot_be_written(line: BeamLine, tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be"):
        deliver(CARBON, line, tmp_path)
    with pytest.raises(OutputError, match="cannot be made"):
        deliver(CARBON, line, tmp_path / "out")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("calls", "spills"),
    [(0, None), (1, []), (2, ["spill-0001.h5"]), (3, ["spill-0001.h5", "spill-0002.h5"])],
)
def test_disk_is_full(
    calls: int, spills: list[str] | None, line: BeamLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The disk takes the first files, and no more."""
    left = [calls]
    real = os.fsync

    def fsync(fd: int) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    out = tmp_path / "out"
    with pytest.raises(OutputError) as caught:
        deliver(PROTON, line, out)
    text = str(caught.value)
    failed = "DDS_treatment.h5" if spills is None else f"spill-{len(spills) + 1:04d}.h5"
    assert (
        f"{failed}: cannot be written (No space left on device); make room or choose another folder" in text
    )
    assert "\n" not in text
    if spills is None:
        assert files_in(out) == ["status.json"]
    else:
        assert_whole(out, spills)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")
def test_disk_is_really_full(tmp_path: Path):
    """No file may grow beyond the size of a treatment file: HDF5 would take the process down with it."""
    program = (
        "import resource, sys, spotline\n"
        "plan, out = sys.argv[1:]\n"
        "treatment = spotline.prepare(spotline.read_plan(plan), spotline.load_beamline('cnao-h'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    spotline.deliver(treatment, out, raw=True)\n"
        "except spotline.OutputError as error:\n"
        "    sys.exit(str(error))\n"
    )
    out = tmp_path / "out"
    result = subprocess.run(
        [sys.executable, "-c", program, str(PROTON), str(out)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result
    assert "spill-0001.h5: cannot be written (" in result.stderr
    assert "Traceback" not in result.stderr
    assert_whole(out, [])


def at_spill(number: int, action: Callable[[], None]) -> Callable[[Progress], None]:
    def watch(progress: Progress) -> None:
        if progress.spill == number:
            action()

    return watch


def interrupt() -> None:
    raise KeyboardInterrupt


def test_interrupted(line: BeamLine, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        deliver(PROTON, line, out, progress=at_spill(3, interrupt))
    assert_whole(out, ["spill-0001.h5", "spill-0002.h5"])


def test_interrupted_with_raw_samples(line: BeamLine, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        deliver(PROTON, line, out, raw=True, progress=at_spill(2, interrupt))
    assert_whole(out, ["spill-0001.h5"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_killed(tmp_path: Path):
    """Even a process that is killed leaves whole spill files."""
    program = (
        "import os, signal, sys, spotline\n"
        "plan, out = sys.argv[1:]\n"
        "treatment = spotline.prepare(spotline.read_plan(plan), spotline.load_beamline('cnao-h'))\n"
        "def watch(progress):\n"
        "    if progress.spill == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "spotline.deliver(treatment, out, progress=watch)\n"
    )
    out = tmp_path / "out"
    result = subprocess.run([sys.executable, "-c", program, str(PROTON), str(out)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert_whole(out, ["spill-0001.h5", "spill-0002.h5"])


def test_defect_of_the_room_leaves_whole_spills(line: BeamLine, tmp_path: Path):
    def fail() -> None:
        raise ZeroDivisionError

    out = tmp_path / "out"
    with pytest.raises(ZeroDivisionError):
        deliver(PROTON, line, out, progress=at_spill(2, fail))
    assert_whole(out, ["spill-0001.h5"])
