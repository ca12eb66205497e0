"""Time this version against an older one, in one run, and say what became slower.

::

    scripts/benchmark --against v0.1.0
    scripts/benchmark --against HEAD~5 --rounds 20 --write docs/reference/performance-change.md

Times of two days, or of two machines, cannot be compared: here three processes stand ready, two of the older
version and one of this, and take turns.  What the two of the older version differ by is chance, and what this
one differs by beyond that is the change.  Exit status: 0 if nothing became slower, 1 if something did, 2 if
there is no such version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from benchmarks.cases import BEAMS, ROOT
from spotline.measurement import Limits
from verification.figures import figure, judge, table
from verification.page import circumstances, fill, put_page, say

SLOWER = 1.05
"""A ratio beyond this, and beyond what two processes of the older version differ by, is a loss."""
EXAMPLES = ("uniform_carbon_60mm", "three_layers_proton")
CASES: tuple[tuple[str, str], ...] = (
    *(("loop", beam.name) for beam in BEAMS),
    *(("loop, raw samples", beam.name) for beam in BEAMS),
    *(("replay", beam.name) for beam in BEAMS[:4:2]),
    *(("delivery", name) for name in EXAMPLES),
    *(("delivery with report", name) for name in EXAMPLES),
)
"""What is timed: kind and name, as `benchmarks.worker` takes them."""


@dataclass(slots=True)
class Rounds:
    """Seconds of all rounds of a case.

    Attributes
    ----------
    kind, name : str
    old, old_again, new : list of float
        By the three processes.
    """

    kind: str
    name: str
    old: list[float] = field(default_factory=list)
    old_again: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Least time of this version over that of the older one."""
        return min(self.new) / min(*self.old, *self.old_again)

    @property
    def chance(self) -> float:
        """Least times of the two processes of the older version, the larger over the smaller."""
        least = min(self.old), min(self.old_again)
        return max(least) / min(least)

    @property
    def limit(self) -> float:
        """Largest ratio that is no loss."""
        return SLOWER * self.chance


class UnknownVersionError(Exception):
    """There is no such version."""


def export(revision: str, folder: Path) -> None:
    """Put the files of a version into a folder.

    Raises
    ------
    UnknownVersionError
        If git knows none.
    """
    archive = folder / "tree.tar"
    made = subprocess.run(
        ["git", "archive", "--output", archive, revision],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise UnknownVersionError(f"{revision}: git has no such version here ({made.stderr.strip()})")
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", folder], check=True)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that waits to be asked."""

    to: IO[str]
    answers: IO[str]

    def ask(self, kind: str, name: str) -> float | None:
        """Let it run a round; None if its version has no such case."""
        self.to.write(json.dumps({"kind": kind, "name": name}) + "\n")
        self.to.flush()
        said = self.answers.readline()
        if not said:
            raise RuntimeError(f"a process ended in the round {kind} of {name}; it says why above")
        found: float | None = json.loads(said)
        return found


@contextmanager
def worker(tree: Path) -> Iterator[Worker]:
    """Start a process with a version."""
    path = os.pathsep.join(map(str, (tree / "src", tree)))
    # The process is this version's, so that both are asked in the same way; what it imports is the tree's.
    command = [sys.executable, "-P", str(ROOT / "benchmarks" / "worker.py")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Worker(process.stdin, process.stdout)
        finally:
            process.kill()


def measure(revision: str, rounds: int, cases: Sequence[tuple[str, str]] = CASES) -> list[Rounds]:
    """Time this version and an older one in turns.

    Parameters
    ----------
    revision : str
        As git knows it.
    rounds : int
        Of each case and process, and one before that is not counted: it compiles.
    cases : sequence of (str, str)
        Kind and name.

    Raises
    ------
    UnknownVersionError
        If there is no such version.
    """
    found = []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        export(revision, Path(temporary))
        trees = Path(temporary), Path(temporary), ROOT
        workers = [stack.enter_context(worker(tree)) for tree in trees]
        for kind, name in cases:
            if None in [each.ask(kind, name) for each in workers]:
                say(f"{kind}, {name}: only one of the versions has it")
                continue
            case = Rounds(kind, name)
            for turn in range(rounds):
                by = list(zip(workers, (case.old, case.old_again, case.new), strict=True))
                for each, times in by[turn % 3 :] + by[: turn % 3]:
                    taken = each.ask(kind, name)
                    assert taken is not None
                    times.append(taken)
            say(f"{kind}, {name}: {case.ratio:.3f}")
            found.append(case)
    return found


def page(found: Sequence[Rounds], revision: str) -> list[str]:
    """Write what became slower and faster as a page."""
    rows = [
        (
            case.kind,
            case.name,
            figure(1e3 * min(*case.old, *case.old_again), ".2f", "ms"),
            figure(1e3 * min(case.new), ".2f", "ms"),
            figure(case.ratio, ".3f"),
            figure(case.chance, ".3f"),
            judge(case.ratio, Limits(high=case.limit)),
        )
        for case in found
    ]
    return [
        "# Performance against an older version",
        fill(
            f"""`scripts/benchmark --against {revision}`: the older version twice and this one in turns, least
            of {len(found[0].new) if found else 0} rounds each. *Ratio* is this version over the older one,
            *chance* what its two processes differ by; a ratio above {SLOWER:g} times that is missed. Made on
            {circumstances()}."""
        ),
        table(("What", "of", "older", "this", "ratio", "chance", "verdict"), rows, keys=2),
    ]


def compare(revision: str, rounds: int, where: Path | None) -> int:
    """Measure, print or write, and tell by the exit status whether something became slower."""
    try:
        found = measure(revision, rounds)
    except UnknownVersionError as error:
        print(f"error: {error}; give a commit, branch or tag", file=sys.stderr)
        return 2
    put_page(page(found, revision), where)
    return 1 if any(case.ratio > case.limit for case in found) else 0
