"""Make small mistakes in control, delivery and record, one at a time, and see whether a test notices.

::

    python -m verification.mutants --out rows.jsonl --write docs/reference/verification-mutants.md

A seeded sample of all mutants (`verification.mutators`), so many of each module as are its share.  First the
tests are run once to see which lines each of them runs; then every mutant is tried in a private copy of the
tree, on tests that come to its place, until one fails.  Tests that noticed something are run without a mutant
at the end.  Rows are kept as they come, and ``--resume`` goes on from them; ``--again`` asks anew about
survivors, after ``--trace`` has looked at tests that were added or changed.

mutmut and cosmic-ray do the same for any project.  They are heavier, and know nothing of our stages: kernels
have to run uncompiled, since compiled ones have no lines to choose tests by and each mutant would be compiled
anew, for minutes, while deliveries have to run compiled.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import queue
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from spotline.errors import RecordError, SpotlineError
from spotline.storage import only_one
from verification.mutant_page import page, read_reasons, reason_of
from verification.mutant_runs import (
    COMPILED,
    PLAIN,
    ROOT,
    STAGES,
    Copy,
    Limits,
    Stage,
    choose,
    read_traced,
    trace,
)
from verification.mutators import JOURNAL, Mutant, Sample, mutants_of
from verification.page import page_parser, put_page, say
from verification.traced import PACKAGES


def sources() -> dict[str, bytes]:
    """Files of the packages, by their names relative to the root."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def shares(places: dict[str, int], size: int) -> dict[str, int]:
    """So many of each, in proportion and `size` in all; what is left over goes to the largest remainders."""
    total = sum(places.values())
    exact = {name: min(size, total) * n / total for name, n in places.items()}
    whole = {name: int(share) for name, share in exact.items()}
    missing = min(size, total) - sum(whole.values())
    for name in sorted(exact, key=lambda name: (whole[name] - exact[name], name))[:missing]:
        whole[name] += 1
    return whole


def draw(files: dict[str, bytes], size: int, of_journal: int, seed: int) -> Sample:
    """Draw mutants: the same for the same files, sizes and seed."""
    generator = random.Random(seed)
    mutants = {name: mutants_of(name, source) for name, source in files.items()}
    places = {name: len(found) for name, found in mutants.items() if found}
    share = shares(places, size)
    drawn = [one for name in places for one in generator.sample(mutants[name], share[name])]
    # So that the first few are of all kinds.
    generator.shuffle(drawn)
    others = [one for one in mutants.get(JOURNAL, []) if one not in drawn]
    wanted = min(len(others), max(0, of_journal - share.get(JOURNAL, 0)))
    return Sample(places, tuple(drawn), tuple(generator.sample(others, wanted)))


def key(row: dict[str, Any] | Mutant) -> tuple[str, int, int, str]:
    """What tells a mutant from others."""
    if isinstance(row, Mutant):
        return row.file, row.start, row.end, row.text
    return row["file"], row["start"], row["end"], row["text"]


def read_rows(path: Path, head: dict[str, Any]) -> dict[tuple[str, int, int, str], dict[str, Any]]:
    """Rows that an earlier run kept; a last line that was cut off is taken away.

    Raises
    ------
    SpotlineError
        If they are of another sample or of other sources.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    rows = [json.loads(line) for line in whole]
    if not rows or rows[0] != head:
        raise SpotlineError(f"{path} is of another sample or of other sources; give --out a new file")
    if whole != lines:
        path.write_text("".join(whole), encoding="utf-8")
    return {key(row): row for row in rows[1:]}


def stage_of(mutant: Mutant) -> Stage:
    """The way in which tests run that can notice a mutant."""
    return PLAIN if mutant.file.startswith("src/spotline/control/") else COMPILED


class Run:
    """Tries mutants in copies of the tree side by side, and keeps a row of each."""

    def __init__(self, work: Path, limits: Limits, out: Path, first: Sequence[str] = ()) -> None:
        self.first = tuple(first)
        self.work, self.limits, self.out = work, limits, out
        self.traced = {stage.name: read_traced(stage, work) for stage in STAGES}
        self.copies: queue.Queue[Copy] = queue.Queue()
        self.writing = threading.Lock()

    def one(self, mutant: Mutant) -> dict[str, Any]:
        """Try a mutant and keep what came of it."""
        copy = self.copies.get()
        start = time.perf_counter()
        try:
            stage = stage_of(mutant)
            choice = choose(mutant, self.traced[stage.name], self.limits.tests_s, self.first)
            by = copy.first_to_notice(mutant, stage, choice.tests) if choice.tests else ""
        finally:
            self.copies.put(copy)
        row = asdict(mutant) | {
            "noticed": by,
            "tests": len(choice.tests),
            "left_out": choice.left_out,
            "seconds": round(time.perf_counter() - start, 1),
        }
        with self.writing, self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return row

    def check(self, rows: Iterable[dict[str, Any]]) -> None:
        """Run the tests that noticed something without a mutant, in a copy of the tree."""
        noticed = {row["noticed"] for row in rows}
        copy = Copy(self.work / "copy-0", self.limits)
        try:
            for stage in STAGES:
                tests = [one.name for one in self.traced[stage.name] if one.name in noticed]
                if tests:
                    say(f"{len(tests)} tests of {stage.name} code, without a mutant")
                    copy.check(stage, tests)
        finally:
            copy.stop()
            shutil.rmtree(copy.tree)

    def all(self, mutants: Sequence[Mutant], workers: int) -> Iterable[dict[str, Any]]:
        """Try mutants; their rows as they come."""
        # Compiled kernels are kept by the folder of their sources, which is therefore the same every time.
        copies = [Copy(self.work / f"copy-{number}", self.limits) for number in range(workers)]
        pool = ThreadPoolExecutor(workers)
        try:
            for stage in STAGES:
                if any(stage_of(mutant) is stage for mutant in mutants):
                    say(f"copies are made ready for {stage.name} code")
                    for ready in [pool.submit(copy.check, stage, stage.first) for copy in copies]:
                        ready.result()
            for copy in copies:
                self.copies.put(copy)
            for done in as_completed([pool.submit(self.one, mutant) for mutant in mutants]):
                yield done.result()
        finally:
            for copy in copies:
                copy.stop()
            pool.shutdown(cancel_futures=True)
            for copy in copies:
                shutil.rmtree(copy.tree)


def stop(signum: int, frame: FrameType | None) -> None:
    """End in good order: what runs is killed, copies are removed, and rows are kept."""
    raise SystemExit(128 + signum)


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    made = page_parser("python -m verification.mutants", (__doc__ or "").splitlines()[0])
    made.add_argument("--sample", type=int, default=150, help="mutants of all modules (150)")
    made.add_argument("--journal", type=int, default=30, help="of the journal, so many at least (30)")
    made.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    made.add_argument("--first", type=int, metavar="N", help="try so many of them and stop")
    made.add_argument("--workers", type=int, default=1, help="copies that are tried side by side (1)")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="rows, as JSON lines")
    made.add_argument("--resume", action="store_true", help="go on from the rows in FILE")
    made.add_argument(
        "--again", action="store_true", help="with --resume: try survivors again that are not equivalent"
    )
    made.add_argument("--kept", action="store_true", help="with --resume: try no more, show what FILE has")
    made.add_argument("--tests-s", type=float, default=45.0, help="of tests for a mutant, in s (45)")
    made.add_argument("--ask", action="append", default=[], metavar="TEST", help="ask these tests first")
    made.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "spotline-mutants",
        help="folder of the lines that tests run",
    )
    made.add_argument(
        "--trace", action="append", default=[], metavar="PATH", help="look again at these tests first"
    )
    return made


def look(work: Path, again: Sequence[str]) -> None:
    """See which lines the tests run, unless that is known."""
    for stage in STAGES:
        paths = [path for path in again if path.startswith(stage.paths)]
        if not (work / f"{stage.name}.jsonl").exists():
            paths = list(stage.paths)
        if paths:
            say(f"lines of {' '.join(paths)}")
            trace(stage, work, paths)


def main(arguments: list[str] | None = None) -> int:
    """Draw, try, and print or write the page."""
    asked = parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        return run(asked)
    except SpotlineError as error:
        say("")
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(asked: argparse.Namespace) -> int:
    """As `main`, of options."""
    files = sources()
    sample = draw(files, asked.sample, asked.journal, asked.seed)
    digest = hashlib.sha256(b"".join(name.encode() + source for name, source in files.items())).hexdigest()
    head = {"seed": asked.seed, "sample": asked.sample, "journal": asked.journal, "sources": digest}
    if asked.out.exists() and not asked.resume:
        raise SpotlineError(f"{asked.out} exists; --resume goes on from it")
    if asked.resume:
        kept = read_rows(asked.out, head)
    else:
        kept = {}
        asked.out.write_text(json.dumps(head) + "\n", encoding="utf-8")
    asked.work.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(only_one(asked.work / "lock"))
        except RecordError:
            raise SpotlineError(
                f"{asked.work}: another run is at work there; give --work a new folder"
            ) from None
        return try_all(asked, sample, kept)


def try_all(
    asked: argparse.Namespace, sample: Sample, kept: dict[tuple[str, int, int, str], dict[str, Any]]
) -> int:
    """Try what is not kept, and print or write the page of all."""
    look(asked.work, asked.trace)
    mutants = (*sample.drawn, *sample.of_journal)[: asked.first]
    if asked.kept:
        mutants = tuple(one for one in mutants if key(one) in kept)
    # A row keeps what became of a mutant; where that stands in the file is told by the sources.
    kept |= {key(one): kept[key(one)] | asdict(one) for one in mutants if key(one) in kept}
    reasons = read_reasons()

    def is_open(row: dict[str, Any]) -> bool:
        return not row["noticed"] and not reason_of(row, reasons).is_equivalent

    missing = [one for one in mutants if key(one) not in kept or (asked.again and is_open(kept[key(one)]))]
    # Survivors come first, and then what may not be lost.
    missing.sort(key=lambda one: (key(one) not in kept, one.file != JOURNAL))
    tried = Run(asked.work, Limits(tests_s=asked.tests_s), asked.out, asked.ask)
    start = time.perf_counter()
    for number, row in enumerate(tried.all(missing, asked.workers) if missing else (), 1):
        kept[key(row)] = row
        told = "killed" if row["noticed"] else f"survived: {row['mutant']}"
        minutes = (time.perf_counter() - start) / 60
        say(f"{number} of {len(missing)}, {minutes:.1f} min: {row['file']}:{row['line']} {told}")
    rows = [kept[key(one)] for one in mutants]
    tried.check(rows)
    of_sample = set(map(key, sample.drawn))
    parts, is_met = page(sample, [row for row in rows if key(row) in of_sample], rows)
    put_page(parts, asked.write)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
