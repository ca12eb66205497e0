"""Spoil every kind of file that Spotline reads, thousands of times, and see what it does with them.

::

    python -m verification.fuzz --write docs/reference/verification-fuzz.md

A file must be read, or refused with one line that names it.  Anything else is a violation: another
exception, a process that dies, a reader that takes longer than `LONGEST_s`, and output that stays behind.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import spotline
from spotline.errors import SpotlineError
from spotline.faces import cli
from spotline.machine.load import SHIPPED
from spotline.measurement import Limits
from spotline.record.journal import NAME as JOURNAL
from spotline.record.journal import read_journal
from spotline.sim.faults import read_faults
from verification.figures import judge, noted, table
from verification.page import circumstances, fill, page_parser, put_page, say

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
LINE = "cnao-h"
LONGEST_s = 10
BATCH = 1000
"""Files that one process spoils: it begins anew where a process died."""

TOKENS = [b"", b"nan", b"-1", b"0", b"1e400", b"true", b"''", b"[]", b"\x00", b'"', b"9" * 400, b"\xff\xfe"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    make : callable
        Puts good files into a folder; returns those that may be spoilt.
    read : callable
        Reads them, given the folder.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path], object]


def _copied(source: Path, name: str) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        return [Path(shutil.copy(source, folder / name))]

    return make


def _line(folder: Path) -> list[Path]:
    shutil.copytree(SHIPPED / LINE, folder / "line")
    return sorted((folder / "line").iterdir())


def _record(folder: Path) -> list[Path]:
    """A small delivery."""
    plan = spotline.read_plan(EXAMPLES / "nine_spots_carbon.dcm")
    out = folder / "record"
    spotline.deliver(spotline.prepare(plan, spotline.load_beamline(LINE)), out, documents=False)
    return sorted(path for path in out.rglob("*") if path.suffix in (".h5", ".json"))


def _journal(folder: Path) -> list[Path]:
    _record(folder)
    return sorted((folder / "record").rglob(JOURNAL))


def _read_journals(folder: Path) -> None:
    for path in (folder / "record").rglob(JOURNAL):
        read_journal(path)


def _preparation(folder: Path) -> list[Path]:
    treatment = spotline.prepare(
        spotline.read_plan(EXAMPLES / "nine_spots_carbon.dcm"), spotline.load_beamline(LINE)
    )
    spotline.write_preparation(treatment, folder / "prepared")
    return sorted(p for p in (folder / "prepared").rglob("*") if p.is_file())


def _prepare(folder: Path) -> None:
    """The command: what it refuses leaves nothing behind."""
    out = folder / "out"
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.run(
            ["prepare", str(folder / "plan.dcm"), "--beamline", LINE, "--out", str(out), "--quiet"]
        )
    if status == 0:
        assert (out / "preparation.json").exists(), "status 0 without result"
        shutil.rmtree(out)
        return
    assert status == 2, f"status {status}"
    assert not out.exists(), "refused, and output left behind"
    raise SpotlineError(said.getvalue().strip())


def _resume(folder: Path) -> None:
    """Going on from spoilt files never runs; at most it says that all is delivered."""
    spotline.resume(folder / "record", operator="fuzz", reason="spoilt files", documents=False)


KINDS: dict[str, Kind] = {
    "plan (DICOM)": Kind(
        _copied(EXAMPLES / "three_layers_proton.dcm", "plan.dcm"),
        lambda folder: spotline.read_plan(folder / "plan.dcm"),
    ),
    "plan, by `spotline prepare`": Kind(_copied(EXAMPLES / "nine_spots_carbon.dcm", "plan.dcm"), _prepare),
    "beam line": Kind(_line, lambda folder: spotline.load_beamline(folder / "line")),
    "faults": Kind(
        _copied(min((ROOT / "faults").glob("*.toml")), "faults.toml"),
        lambda folder: read_faults(folder / "faults.toml"),
    ),
    "record": Kind(_record, lambda folder: spotline.open_record(folder / "record")),
    "record, by `resume`": Kind(_record, _resume),
    "journal": Kind(_journal, _read_journals),
    "prepared treatment": Kind(
        _preparation,
        lambda folder: spotline.open_preparation(folder / "prepared", spotline.load_beamline(LINE)),
    ),
}


def damage(content: bytes, generator: np.random.Generator) -> bytes:
    """Change a file in one of the ways in which files break."""
    at, length = int(generator.integers(len(content) + 1)), int(generator.integers(1, 40))
    choice = generator.integers(6)
    if choice == 0:
        return content[:at]
    if choice == 1:
        altered = bytearray(content)
        for place in generator.integers(0, len(content), generator.integers(1, 6)):
            altered[place] = generator.integers(256)
        return bytes(altered)
    if choice == 2:
        return content[:at] + content[at + length :]
    if choice == 3:
        return content[:at] + generator.bytes(length) + content[at:]
    if choice == 4:
        return content[:at] + content[at : at + length] * 2 + content[at + length :]
    return content[:at] + TOKENS[generator.integers(len(TOKENS))] + content[at + length :]


class HangError(Exception):
    """A reader took too long."""


def _ring(signum: int, frame: object) -> None:
    raise HangError(f"more than {LONGEST_s} s")


def try_one(kind: Kind, seed: int, work: Path) -> tuple[str, str]:
    """Spoil one file; return ``"read"``, ``"refused"`` or ``"violation"``, and what was said."""
    generator = np.random.default_rng(seed)
    folder = work / "now"
    shutil.copytree(work / "good", folder)
    try:
        files = kind_files(work)
        path = folder / files[generator.integers(len(files))]
        path.write_bytes(damage(path.read_bytes(), generator))
        before = sorted(folder.rglob("*"))
        signal.setitimer(signal.ITIMER_REAL, LONGEST_s)
        try:
            kind.read(folder)
            verdict, said = "read", ""
        except SpotlineError as error:
            verdict, said = "refused", str(error)
            if "\n" in said or not said:
                verdict = "violation"
            elif sorted(folder.rglob("*")) != before:
                verdict, said = "violation", f"files changed, and refused: {said}"
        except BaseException as error:
            verdict, said = "violation", f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return verdict, said
    finally:
        shutil.rmtree(folder)


def kind_files(work: Path) -> list[Path]:
    """Files that may be spoilt, relative to their folder."""
    return [Path(name) for name in json.loads((work / "files.json").read_text(encoding="utf-8"))]


def try_batch(name: str, first: int, last: int) -> None:
    """Try seeds `first` to `last` - 1, and print a line of JSON after each."""
    signal.signal(signal.SIGALRM, _ring)
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "good").mkdir()
        files = [str(path.relative_to(work / "good")) for path in kind.make(work / "good")]
        (work / "files.json").write_text(json.dumps(files), encoding="utf-8")
        for seed in range(first, last):
            print(json.dumps([seed, *try_one(kind, seed, work)]), flush=True)


def run_kind(name: str, runs: int) -> tuple[Counter[str], list[str]]:
    """Try all seeds of a kind in processes of their own."""
    counts: Counter[str] = Counter()
    violations: list[str] = []
    seed = 0
    while seed < runs:
        say(f"{name}: {seed} of {runs}")
        last = min(runs, seed + BATCH)
        command = [sys.executable, "-m", "verification.fuzz", "--batch", name, str(seed), str(last)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        rows: list[list[Any]] = [json.loads(row) for row in done.stdout.splitlines() if row.startswith("[")]
        for tried, verdict, said in rows:
            counts[verdict] += 1
            if verdict == "violation":
                violations.append(f"{name}, seed {tried}: {said}")
        if not rows:
            raise SystemExit(f"{name}: {done.stderr.strip()[-500:]}")
        seed += len(rows)
        if seed < last:
            counts["violation"] += 1
            tail = done.stderr.strip().splitlines()[-1:] or ["no words"]
            violations.append(f"{name}, seed {seed}: the process died ({done.returncode}, {tail[0]})")
            seed += 1
    return counts, violations


def main(arguments: list[str] | None = None) -> int:
    """Spoil, and print or write the page."""
    parser = page_parser("python -m verification.fuzz", __doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5000, help="spoilt files of each kind (5000)")
    parser.add_argument("--only", action="append", choices=list(KINDS), help="a kind; may be repeated")
    parser.add_argument("--batch", nargs=3, metavar=("KIND", "FIRST", "LAST"), help="(for itself)")
    asked = parser.parse_args(arguments)
    if asked.batch:
        try_batch(asked.batch[0], int(asked.batch[1]), int(asked.batch[2]))
        return 0
    start = time.perf_counter()
    rows, violations = [], []
    for name in asked.only or KINDS:
        counts, found = run_kind(name, asked.runs)
        violations += found
        rows.append((name, asked.runs, counts["read"], counts["refused"], counts["violation"]))
    put_page(page(rows, violations, time.perf_counter() - start), asked.write)
    return 1 if violations else 0


def page(rows: list[tuple[str, int, int, int, int]], violations: list[str], wall_s: float) -> list[str]:
    """Put the page together."""
    judged = judge(len(violations), Limits(high=0.0))
    return [
        "# Verification of what is read",
        fill(
            f"""Good files of every kind that Spotline reads, each spoilt at random: cut off, bytes changed,
            left out, put in or doubled, and tokens that parsers fear. A file must be read or be refused
            with one line; another exception, a process that dies, more than {LONGEST_s} s, or files left
            behind are violations. `python -m verification.fuzz --write
            docs/reference/verification-fuzz.md` makes this page in {max(1, round(wall_s / 60))} min.
            Made on {circumstances()}."""
        ),
        table(("Kind of file", "spoilt", "read all the same", "refused", "violations"), rows),
        noted(f"Verdict: {judged}.", violations=judged),
        *[f"* {violation}" for violation in violations[:50]],
    ]


if __name__ == "__main__":
    sys.exit(main())
