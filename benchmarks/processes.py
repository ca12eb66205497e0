"""What only a process of its own can tell: start, compilation, first delivery, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import EXAMPLES, large_plan
from spotline.dicom.write_plan import write_ion_plan

EXAMPLE = EXAMPLES / "uniform_carbon_60mm.dcm"

COMPILE = """\
import sys, time
from benchmarks.cases import BEAMS, loaded
room, _ = loaded(BEAMS[0]).room(raw=False)
start = time.perf_counter()
room.loop.run(0)
print(time.perf_counter() - start)
"""
START = """\
import os, sys
import spotline
treatment = spotline.prepare(spotline.read_plan(sys.argv[1]), spotline.load_beamline("cnao-h"))
spotline.deliver(treatment, sys.argv[2], progress=lambda _: os._exit(0))
"""
"""Ends with the first block of samples."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that has ended.

    Attributes
    ----------
    wall_s : float
        From start to end.
    peak_MiB : float or None
        Largest resident memory; None where the system does not tell.  On Linux not less than what the process
        that started it held then: measure from a small one.
    output : str
        Standard output.
    """

    wall_s: float
    peak_MiB: float | None
    output: str


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Process:
    """Run a command and wait for its end.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)), stdout=output, env={**os.environ, **(environment or {})}
        )
        peak_MiB = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            # Linux counts KiB, macOS bytes.
            peak_MiB = usage.ru_maxrss / (1024.0**2 if sys.platform == "darwin" else 1024.0)
        else:  # pragma: no cover
            process.wait()
        wall_s = time.perf_counter() - start
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
    return Process(wall_s, peak_MiB, text)


def spotline_command(*arguments: str | Path) -> list[str | Path]:
    """The program, by the interpreter that runs this."""
    return [Path(sys.executable).parent / "spotline", *arguments]


def empty_caches(folder: Path) -> dict[str, str]:
    """Environment as after a fresh installation: no kernels, no fonts."""
    return {"SPOTLINE_CACHE_DIR": str(folder / "kernels"), "MPLCONFIGDIR": str(folder / "matplotlib")}


def deliver_command(plan: Path, out: Path) -> list[str | Path]:
    """Deliver a plan without a word."""
    return spotline_command("deliver", plan, "--beamline", "cnao-h", "--out", out, "--quiet")


@dataclass(frozen=True, slots=True)
class Starts:
    """What starting costs, in seconds; lists hold all runs.

    Attributes
    ----------
    help_s : list of float
        ``spotline --help``.
    compile_s : float
        Compilation of the loop into an empty cache.
    first_s : float
        First delivery of an example after installation, report included.
    later_s : list of float
        Later ones.
    start_s : list of float
        From the start of the process to the first block of samples, with a warm cache.
    """

    help_s: list[float]
    compile_s: float
    first_s: float
    later_s: list[float]
    start_s: list[float]


def measure_starts(repeats: int) -> Starts:
    """Measure what starting costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compiled = run([sys.executable, "-c", COMPILE], empty_caches(folder / "compile"))
        fresh = empty_caches(folder / "fresh")
        first = run(deliver_command(EXAMPLE, folder / "first"), fresh)
        later = [run(deliver_command(EXAMPLE, folder / f"later-{i}"), fresh).wall_s for i in range(repeats)]
        start = [
            run([sys.executable, "-c", START, EXAMPLE, folder / f"start-{i}"], fresh).wall_s
            for i in range(repeats)
        ]
        help_s = [run(spotline_command("--help")).wall_s for _ in range(3 * repeats)]
    return Starts(help_s, float(compiled.output), first.wall_s, later, start)


@dataclass(frozen=True, slots=True)
class Memory:
    """A large field, delivered in a process of its own."""

    spots: int
    layers: int
    peak_MiB: float | None
    wall_s: float


def measure_memory() -> Memory:
    """Deliver a field of 52 900 spots in 100 layers by the command line."""
    plan = large_plan()
    field = plan.fields[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_ion_plan(plan, folder / "large.dcm")
        process = run(deliver_command(folder / "large.dcm", folder / "out"))
    return Memory(field.n_spots, len(field.layers), process.peak_MiB, process.wall_s)
