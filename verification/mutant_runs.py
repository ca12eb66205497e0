"""Whether a test notices a mutant: which tests to ask, and a private copy of the tree to ask them in.

Tests are chosen by the lines that they run (`verification.traced`), cheap ones first, until their time is up.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spotline.errors import SpotlineError
from verification.mutators import Mutant

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "examples", "tools", "faults", "docs", "verification")
SETTINGS = ("pyproject.toml", "README.md")
PYTEST = ("-q", "-n", "0", "-p", "no:cacheprovider", "--benchmark-disable")


@dataclass(frozen=True, slots=True)
class Stage:
    """Tests that run in one way.

    Attributes
    ----------
    name : str
        Of its file of lines.
    paths : tuple of str
        Of the tests.
    environment : dict
        What they need besides.
    first : tuple of str
        Tests that fill the cache of compiled kernels, which is of the folder of the copy, before limits hold.
    """

    name: str
    paths: tuple[str, ...]
    environment: dict[str, str]
    first: tuple[str, ...]


PLAIN = Stage("plain", ("tests/control",), {"NUMBA_DISABLE_JIT": "1"}, ("tests/control/test_codes.py",))
"""Kernels as the plain functions that they are written as."""
COMPILED = Stage(
    "compiled",
    ("tests/record", "tests/delivery", "tests/test_reference_pages.py"),
    {"NUMBA_DISABLE_JIT": "0"},
    ("tests/record/test_arriving.py",),
)
STAGES = (PLAIN, COMPILED)


@dataclass(frozen=True, slots=True)
class Traced:
    """A test: how long it takes, in s, and the lines that it runs, by file."""

    name: str
    seconds: float
    lines: dict[str, frozenset[int]]

    def comes_to(self, mutant: Mutant) -> bool:
        """Whether it runs the place; what runs when a module is imported may be used anywhere."""
        return not mutant.runs or not self.lines.get(mutant.file, frozenset()).isdisjoint(mutant.runs)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a mutant may take.

    Attributes
    ----------
    tests_s : float
        Tests are chosen until they take so long together when nothing is wrong.
    """

    tests_s: float = 45.0

    @property
    def processor_s(self) -> int:
        """What takes longer on a processor counts as noticed: a loop without end."""
        return 60 + math.ceil(2.0 * self.tests_s)

    @property
    def wall_s(self) -> int:
        """The same by the clock: processors may be shared."""
        return 10 * self.processor_s


UNLIMITED = Limits(tests_s=3600.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """Tests for a mutant, and how many that come to its place were left out."""

    tests: tuple[str, ...]
    left_out: int


def environment(stage: Stage, tree: Path) -> dict[str, str]:
    """What tests of a stage get: the same examples always, and no compiled Python that could be stale."""
    own = {"PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}", "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    return os.environ | own | stage.environment


def trace(stage: Stage, work: Path, paths: Sequence[str]) -> None:
    """Run tests of a stage and note their lines; those of its other tests are kept.

    Raises
    ------
    SpotlineError
        If tests fail although nothing is wrong, or the interpreter is too old.
    """
    new = work / f"{stage.name}.new.jsonl"
    new.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PYTEST, "-p", "verification.traced", *paths],
        cwd=ROOT,
        env=environment(stage, ROOT) | {"SPOTLINE_TRACED": str(new)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SpotlineError(
            f"the tests of {' '.join(paths)} fail unchanged: {done.stdout[-800:]}{done.stderr[-400:]}"
        )
    rows = new.read_text(encoding="utf-8").splitlines(keepends=True)
    path = work / f"{stage.name}.jsonl"
    if path.exists():
        old = path.read_text(encoding="utf-8").splitlines(keepends=True)
        rows += [row for row in old if not str(json.loads(row)["test"]).startswith(tuple(paths))]
    new.write_text("".join(rows), encoding="utf-8")
    new.replace(path)


def read_traced(stage: Stage, work: Path) -> list[Traced]:
    """What `trace` noted."""
    found = []
    with (work / f"{stage.name}.jsonl").open(encoding="utf-8") as file:
        for text in file:
            row = json.loads(text)
            lines = {name: frozenset(numbers) for name, numbers in row["lines"].items()}
            found.append(Traced(row["test"], row["seconds"], lines))
    return found


def choose(mutant: Mutant, traced: Iterable[Traced], longest_s: float, first: tuple[str, ...] = ()) -> Choice:
    """Choose tests that come to the place: of the module's own file, of its package, and the quick ones.

    Before all of these come tests whose names begin as one of `first` does.
    """
    module = Path(mutant.file)
    own = f"tests/{module.parent.name}/test_{module.stem}.py"
    coming = [one for one in traced if one.comes_to(mutant)]
    package = f"{Path(own).parent.as_posix()}/"
    coming.sort(
        key=lambda one: (
            not one.name.startswith(first),
            not one.name.startswith(f"{own}::"),
            not one.name.startswith(package),
            one.seconds,
        )
    )
    chosen: dict[str, list[Traced]] = {}
    used_s, left_out = 0.0, 0
    for one in coming:
        # One at least, however long it takes.
        if used_s and used_s + one.seconds > longest_s:
            left_out += 1
            continue
        used_s += one.seconds
        chosen.setdefault(one.name.partition("::")[0], []).append(one)
    asked = {one.partition("::")[0] for one in first}
    files = sorted(
        chosen, key=lambda file: (file not in asked, file != own, sum(one.seconds for one in chosen[file]))
    )
    return Choice(tuple(one.name for file in files for one in chosen[file]), left_out)


UNCOLLECTED = "tests that cannot be collected"


class StoppedError(Exception):
    """Somebody asked for the end."""


class Copy:
    """A private copy of the tree, in which one mutant after the other is tried.

    Parameters
    ----------
    folder : Path
        For the copy; what is there is removed.
    limits : Limits
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.tree, self.limits = folder, limits
        self.is_stopped = False
        self._running: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        shutil.rmtree(folder, ignore_errors=True)
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in SETTINGS:
            shutil.copy(ROOT / name, folder)

    def first_to_notice(self, mutant: Mutant, stage: Stage, tests: Sequence[str]) -> str:
        """Name of a test that fails with the mutant, or what else tells of it; empty if nothing does."""
        path = self.tree / mutant.file
        source = path.read_bytes()
        path.write_bytes(mutant.applied(source))
        try:
            noticed = self._run(stage, tests, self.limits)
            if noticed is None:
                # Names of tests may depend on the place: ask their files.
                files = sorted({test.partition("::")[0] for test in tests})
                noticed = self._run(stage, files, self.limits)
            return UNCOLLECTED if noticed is None else noticed
        finally:
            path.write_bytes(source)

    def check(self, stage: Stage, tests: Sequence[str]) -> None:
        """Run tests without a mutant.

        Raises
        ------
        SpotlineError
            If one fails: it would have noticed anything.
        """
        failing = self._run(stage, tests, UNLIMITED)
        if failing != "":
            raise SpotlineError(f"{failing or UNCOLLECTED}: fails in a copy that is unchanged")

    def stop(self) -> None:
        """End what runs; nothing more begins."""
        with self._lock:
            self.is_stopped = True
            if self._running is not None:
                _kill(self._running)

    def _run(self, stage: Stage, tests: Sequence[str], limits: Limits) -> str | None:
        """As `first_to_notice`; None if pytest does not find the tests."""
        most_s = limits.processor_s
        limit = (
            "import resource, sys, pytest;"
            f"resource.setrlimit(resource.RLIMIT_CPU, ({most_s}, {most_s + 5}));"
            "sys.exit(pytest.main(sys.argv[1:]))"
        )
        with self._lock:
            if self.is_stopped:
                raise StoppedError
            process = self._running = subprocess.Popen(
                [sys.executable, "-c", limit, "-x", *PYTEST, *tests],
                cwd=self.tree,
                env=environment(stage, self.tree),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            said, _ = process.communicate(timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            return f"no end within {limits.wall_s} s"
        finally:
            with self._lock:
                self._running = None
        if self.is_stopped:
            raise StoppedError
        return outcome(process.returncode, said, limits.processor_s)


def outcome(status: int, said: str, processor_s: int) -> str | None:
    """What became of a run of pytest: as `Copy.first_to_notice`; None if it does not find the tests."""
    if status == 0:
        return ""
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"no end within {processor_s} s of a processor"
    if status < 0:
        return f"the interpreter died of signal {-status}"
    found = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", said, flags=re.MULTILINE)
    if status in (1, 2) and found:
        return str(found[0])
    if status in (1, 2, 4):
        return None
    raise RuntimeError(f"pytest ended with {status}: {said[-800:]}")


def _kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        time.sleep(0)
