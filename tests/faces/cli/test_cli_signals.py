"""Long runs that are told to end: no process, no memory, no half folder stays, and what is done is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spotline import Treatment
from spotline.campaign import run_campaign
from spotline.campaign.kept import ROWS
from tests.campaign.conftest import line, treatment  # noqa: F401  (fixtures)
from tests.delivery.deliveries import TWO_LAYERS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

WITHIN_s = 30.0
"""They are gone within 2 s on a machine that has nothing else to do; how fast is no matter of a test."""
RUNS, SEED = 6, 4
CAMPAIGN = ["campaign", str(TWO_LAYERS), "--beamline", "cnao-h", "--quiet"]
CAMPAIGN += ["--runs", str(RUNS), "--seed", str(SEED), "--faults", "none"]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the command, with its own processes in a group of their own."""
    return subprocess.Popen(
        [sys.executable, "-m", "spotline", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hears_ctrl_c,
    )


def hears_ctrl_c() -> None:
    """What a shell runs in the background ignores it, and so do its children: tests may be run like that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(name="started")
def _started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        processes.append(start(*arguments))
        return processes[-1]

    yield begin
    for process in processes:  # only what a failed test has left
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(holds: Callable[[], bool], within_s: float) -> bool:
    """Wait until something holds."""
    end_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def members(group: int) -> set[int]:
    """Processes of a group, but for those that have ended and that nobody has asked for yet."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [row.split() for row in listed.stdout.splitlines()]
    return {int(pid) for pid, of, state in rows if int(of) == group and not state.startswith("Z")}


def in_memory(pids: set[int]) -> list[Path]:
    """What processes have in main memory."""
    return [path for pid in pids for path in Path("/dev/shm").glob(f"spotline-{pid}-*")]


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module", name="undisturbed")
def _undisturbed(treatment: Treatment, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run_campaign(treatment, out, runs=RUNS, seed=SEED, faults="none")
    return out


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True), (signal.SIGKILL, False)],
)
def test_a_campaign(
    number: signal.Signals,
    whole_group: bool,
    undisturbed: Path,
    started: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
):
    out = tmp_path / "out"
    process = started(*CAMPAIGN, "--workers", "2", "--out", str(out))
    assert until(lambda: lines_of(out / ROWS) >= 3, 120.0)  # the head and two rows
    everybody = members(process.pid)
    assert len(everybody) >= 3
    (os.killpg if whole_group else os.kill)(process.pid, number)
    assert until(lambda: not members(process.pid), WITHIN_s)
    assert process.wait() == (-number if number == signal.SIGKILL else 128 + number)
    assert not in_memory(everybody)
    assert [path.name for path in out.iterdir()] == [ROWS]
    kept = lines_of(out / ROWS) - 1
    assert 2 <= kept < RUNS

    assert started(*CAMPAIGN, "--out", str(out)).wait() == 2  # not by mistake
    assert started(*CAMPAIGN, "--workers", "2", "--resume", "--out", str(out)).wait() == 0
    for name in ("runs.parquet", "campaign.json", "report.html"):
        if (undisturbed / name).exists():
            assert (out / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not (out / ROWS).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_campaign_before_its_first_run(
    number: signal.Signals, started: Callable[..., subprocess.Popen[str]], tmp_path: Path
):
    out = tmp_path / "out"
    process = started(*CAMPAIGN, "--workers", "2", "--out", str(out))
    assert until(out.exists, 60.0)
    process.send_signal(number)
    assert until(lambda: not members(process.pid), WITHIN_s)
    assert process.wait() == 128 + number
    assert list(out.iterdir()) == []  # does not block the next start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_library(number: signal.Signals, started: Callable[..., subprocess.Popen[str]], tmp_path: Path):
    out = tmp_path / "out"
    process = started("library", "build", "--beamline", "cnao-h", "--out", str(out), "--ions", "C")
    assert until(out.exists, 60.0)
    time.sleep(2.0)  # in the middle of a batch
    assert process.poll() is None
    process.send_signal(number)
    assert until(lambda: not members(process.pid), WITHIN_s)
    assert process.wait() == 128 + number
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(("number", "after_s"), [(signal.SIGTERM, 1.5), (signal.SIGINT, 2.5)])
def test_a_dose(
    number: signal.Signals,
    after_s: float,
    started: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
):
    # When it is told so early, Python may still be about to import what it needs.
    arguments = ["dose", str(TWO_LAYERS), "--beamline", "cnao-h", "--water", "150", "--grid", "0.5"]
    process = started(*arguments, "--out", str(tmp_path / "out"))
    time.sleep(after_s)
    assert process.poll() is None
    process.send_signal(number)
    assert until(lambda: not members(process.pid), WITHIN_s)
    assert process.wait() == 128 + number
    assert list(tmp_path.iterdir()) == []
