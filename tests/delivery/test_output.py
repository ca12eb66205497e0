"""The folder of a record: claimed only if it is free, and whole whatever interrupts the delivery."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from spotline import (
    BeamLine,
    Delivery,
    DeliveryOptions,
    OutputError,
    Record,
    RecordError,
    files,
    open_record,
    resume,
)
from spotline.delivery import opening
from spotline.delivery.progress import Progress
from spotline.record.spill_file import read_spill
from spotline.sim.disk import FaultyDisk
from spotline.sim.faults import Fault
from spotline.storage import Disk, only_one
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.deliveries import CARBON, PROTON, causes, deliver, hashes, treatment_of


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def assert_whole(out: Path, spills: list[str]) -> None:
    """Nothing but whole files: the treatment, the journal, the spills, and no sign of a finished record."""
    field = out / "field-01"
    # Who writes the status is killed with the process, perhaps in the middle of it.
    assert [name for name in files_in(out) if name != "status.json.part"] == [
        "delivery.json",
        "delivery.lock",
        "field-01/DDS_treatment.h5",
        "field-01/journal.bin",
        *(f"field-01/spills/{name}" for name in spills),
        "plan/three_layers_proton.dcm",
        "status.json",
    ]
    assert len(read_treatment_file(field).slices) == 3
    for name in spills:
        assert len(read_spill(field / "spills" / name).parts) == 49
    record = open_record(out)
    assert record.summary["status"] == "interrupted"
    assert record.fields[0].header["status"] == "interrupted"
    assert record.summary["spots_delivered"] >= 49 * len(spills)


def test_files_of_a_record(protons: Path):
    assert files_in(protons) == [
        "delivery.json",
        "delivery.lock",
        "field-01/DDS_treatment.h5",
        "field-01/field.json",
        "field-01/journal.bin",
        "field-01/log.json",
        "field-01/record.dcm",
        "field-01/spills/spill-0001.h5",
        "field-01/spills/spill-0002.h5",
        "field-01/spills/spill-0003.h5",
        "plan/three_layers_proton.dcm",
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
        with pytest.raises(OutputError, match=r"(is no folder|cannot be made \(.*\)); choose another"):
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


def test_disk_is_full_from_the_start(line: BeamLine, tmp_path: Path):
    disk = FaultyDisk()
    disk.fill()
    with pytest.raises(OutputError) as caught:
        deliver(PROTON, line, tmp_path / "out", disk=disk)
    text = str(caught.value)
    assert "DDS_treatment.h5" not in files_in(tmp_path / "out")
    assert "cannot be written (No space left on device); make room or choose another folder" in text
    assert "nothing was delivered" in text


class Filling(FaultyDisk):
    """A disk that has room for so many files, and for what was reserved in them."""

    def __init__(self, files: int) -> None:
        super().__init__()
        self._left = files

    def publish(self, content: bytes, path: Path, *, is_new: bool = False) -> None:
        self.is_full |= self._left == 0
        super().publish(content, path, is_new=is_new)
        self._left -= 1


@pytest.mark.parametrize("spills", [0, 1, 2])
def test_disk_fills_between_spills(spills: int, line: BeamLine, tmp_path: Path):
    """The spill that cannot be written is in the journal, whole; nothing is assumed, and nothing is lost."""
    out = tmp_path / "out"
    before = 4  # treatment twice, plan, delivery.json
    record = deliver(PROTON, line, out, disk=Filling(before + spills), seed=1)
    assert record.summary["status"] == "interlock"
    assert causes(record) == [("record", "stop")]
    assert record.summary["spots_delivered"] == 49 * (spills + 1)
    assert record.summary["assumed"]["int1_counts"] == 0
    assert [p.name for p in sorted(out.glob("*/spills/*.h5"))] == [
        f"spill-{number:04d}.h5" for number in range(1, spills + 1)
    ]
    assert not list(out.rglob("*.part"))
    after = resume(out, operator="a physicist", reason="made room", documents=False)
    assert after.summary["status"] == "complete"
    assert after.summary["assumed"]["int1_counts"] == 0
    assert after.summary["spills"] == 3
    assert after.summary["spots_delivered"] == 147


def test_disk_fills_when_everything_is_delivered(line: BeamLine, tmp_path: Path):
    """No interlock any more: the documents are missing, and can be written later."""
    out = tmp_path / "out"
    record = deliver(PROTON, line, out, disk=Filling(7))
    assert record.summary["status"] == "complete"
    (said,) = record.summary["unwritten"]
    assert re.search(r"field\.json: cannot be written .* everything was delivered; make room", said)
    assert open_record(out).summary["status"] == "complete"
    assert resume(out, operator="a physicist", reason="made room").summary["status"] == "complete"
    assert (out / "summary.json").exists()
    assert "unwritten" not in open_record(out).summary
    assert (out / "field-01" / "record.dcm").exists()


@pytest.mark.parametrize(
    "error", [OutputError("no room"), RecordError("odd"), OSError("gone"), ValueError("odd")]
)
def test_no_treatment_record(
    error: Exception, line: BeamLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every field is delivered all the same, and the record can be written later."""

    def fail(*_: object) -> None:
        raise error

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("spotline.dicom.treatment_record.write_treatment_record", fail)
        record = deliver(PROTON, line, out)
    (said,) = record.summary["unwritten"]
    assert str(error) in said
    assert said == open_record(out).summary["unwritten"][0]
    assert record.summary["status"] == "complete"
    assert not (out / "field-01" / "record.dcm").exists()
    resume(out, operator="a physicist", reason="made room")
    assert (out / "field-01" / "record.dcm").exists()
    assert "unwritten" not in open_record(out).summary


# Several that begin in one folder


@pytest.mark.parametrize("slow", ["before the lock", "before the first file"])
def test_one_of_many_wins(slow: str, line: BeamLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However slow the disk is between claim and first file; the others leave nothing."""
    treatment, out = treatment_of(PROTON, line), tmp_path / "out"
    place = (files, "claim_folder") if slow == "before the lock" else (opening, "_keep_what_it_takes")
    original = getattr(*place)

    def slowly(*arguments: Any) -> Any:
        if slow == "before the lock":
            original(*arguments)  # found free, by everybody
        time.sleep(0.2)
        return None if slow == "before the lock" else original(*arguments)

    monkeypatch.setattr(*place, slowly)
    together, said = threading.Barrier(6), []

    def begin(seed: int) -> Record | None:
        delivery = Delivery(treatment, out, seed=seed, options=DeliveryOptions(documents=False))
        together.wait()
        try:
            return delivery.run()
        except (OutputError, RecordError) as error:
            said.append(str(error))
            return None

    with ThreadPoolExecutor(6) as pool:
        records = [record for record in pool.map(begin, range(6)) if record is not None]
    (record,) = records
    assert len(said) == 5
    assert all("is not empty" in text for text in said)
    assert record.summary["status"] == "complete"
    assert open_record(out).summary["seed"] == record.summary["seed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert [path.name for path in out.rglob("*.lock")] == ["delivery.lock"]


def test_lock_is_on_a_file_that_stays(line: BeamLine, tmp_path: Path):
    """From the claim to the end, resumed or not, it is the same file."""
    out, found = tmp_path / "out", set()

    def look(_: Progress) -> None:
        found.add((out / "delivery.lock").stat().st_ino)

    disk = FaultyDisk()

    def fill(progress: Progress) -> None:
        look(progress)
        disk.is_full |= progress.spots > 60

    deliver(PROTON, line, out, disk=disk, progress=fill)
    resume(out, operator="a physicist", reason="made room", progress=look)
    assert found == {(out / "delivery.lock").stat().st_ino}


def test_resuming_what_has_no_lock_yet(line: BeamLine, tmp_path: Path):
    """As records that were made before there was one."""
    disk, out = FaultyDisk(), tmp_path / "out"

    def fill(progress: Progress) -> None:
        disk.is_full |= progress.spots > 60

    deliver(PROTON, line, out, disk=disk, progress=fill)
    (out / "delivery.lock").unlink()
    with only_one(out / "delivery.lock"), pytest.raises(RecordError, match="another process"):
        resume(out, operator="a physicist", reason="made room")
    assert resume(out, operator="a physicist", reason="made room").summary["status"] == "complete"


def test_disk_fills_during_a_spill(line: BeamLine, tmp_path: Path):
    """The beam is taken away at the next confirmation."""
    disk, out = FaultyDisk(), tmp_path / "out"

    def fill(progress: Progress) -> None:
        disk.is_full |= progress.spots > 60

    record = deliver(PROTON, line, out, disk=disk, progress=fill)
    assert ("record", "stop") in causes(record)
    assert 60 < record.summary["spots_delivered"] < 98
    assert record.summary["status"] == "interlock"
    after = resume(out, operator="a physicist", reason="made room", documents=False)
    assert (after.summary["status"], after.summary["spots_delivered"]) == ("complete", 147)


def test_a_fault_fills_the_disk(line: BeamLine, tmp_path: Path):
    """It stays full from the fault on; a disk that cannot fill is refused before anything begins."""
    disk, fault = FaultyDisk(), Fault("disk", "full", None, 2, 100_000, 1_000_000)
    record = deliver(PROTON, line, tmp_path / "out", disk=disk, faults=[fault])
    assert disk.is_full
    assert ("record", "stop") in causes(record)
    assert 49 < record.summary["spots_delivered"] < 98
    with pytest.raises(ValueError, match="give a FaultyDisk"):
        deliver(PROTON, line, tmp_path / "other", disk=Disk(), faults=[fault])
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")
def test_disk_is_really_full(tmp_path: Path):
    """No file may grow beyond a size: HDF5 would take the process down with it."""
    program = (
        "import resource, sys, spotline\n"
        "plan, out = sys.argv[1:]\n"
        "treatment = spotline.prepare(spotline.read_plan(plan), spotline.load_beamline('cnao-h'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))\n"
        "record = spotline.deliver(treatment, out, raw=True, documents=False)\n"
        "print(record.summary['status'], [i['cause'] for i in record.summary['interlocks']])\n"
    )
    out = tmp_path / "out"
    result = subprocess.run(
        [sys.executable, "-c", program, str(PROTON), str(out)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() == "interlock ['record']"
    assert open_record(out).summary["spots_delivered"] == 49


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
