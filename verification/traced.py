"""A plugin of pytest that notes which lines of some folders every test runs.

::

    SPOTLINE_TRACED=lines.jsonl python -m pytest -p verification.traced -n 0 tests/control

One line of JSON per test that passed: its name, how long it took, and the lines by file.  A line that runs
while a fixture of several tests is made is one of every test that uses the fixture.  Compiled kernels have no
lines: ``NUMBA_DISABLE_JIT=1`` shows them.  It needs Python 3.12, whose `sys.monitoring` costs little.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

PACKAGES = tuple(f"src/spotline/{name}/" for name in ("control", "delivery", "record"))
"""Whose lines are noted, relative to the folder in which pytest runs."""

Lines = set[tuple[str, int]]


class Tracer:
    """Notes lines, each once until `begin` is called again."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.now: Lines = set()
        self.shared: dict[str, Lines] = {}
        self.is_passed = True
        self.names: dict[str, str] = {}
        self.root = f"{Path.cwd()}/"
        self.monitoring: Any = getattr(sys, "monitoring", None)
        self.once: object = None

    def start(self) -> None:
        """Begin to listen to the interpreter."""
        monitoring = self.monitoring
        if monitoring is None:
            raise pytest.UsageError("lines are traced with sys.monitoring: use Python 3.12 or newer")
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "spotline")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, self._line)
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
        self.once = monitoring.DISABLE

    def pytest_unconfigure(self) -> None:
        """Listen no more: what the interpreter does at its end is nobody's."""
        self.monitoring.free_tool_id(self.monitoring.COVERAGE_ID)

    def begin(self) -> Lines:
        """Note lines anew; return those noted so far."""
        before, self.now = self.now, set()
        self.monitoring.restart_events()
        return before

    def _line(self, code: CodeType, line: int) -> Any:
        name = self.names.get(code.co_filename)
        if name is None:
            name = code.co_filename.removeprefix(self.root)
            name = self.names[code.co_filename] = name if name.startswith(PACKAGES) else ""
        if name:
            self.now.add((name, line))
        return self.once

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.begin()
        self.is_passed = True
        start = time.perf_counter()
        done = yield
        seconds = time.perf_counter() - start
        lines = self.begin()
        for name in getattr(item, "fixturenames", ()):
            lines |= self.shared.get(name, set())
        if self.is_passed:
            self._write(item.nodeid, seconds, lines)
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        before = self.begin()
        try:
            return (yield)
        finally:
            self.shared[fixturedef.argname] = self.now | self.shared.get(fixturedef.argname, set())
            self.now |= before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.is_passed = self.is_passed and report.outcome == "passed"

    def _write(self, test: str, seconds: float, lines: Lines) -> None:
        by_file: dict[str, list[int]] = {}
        for name, line in sorted(lines):
            by_file.setdefault(name, []).append(line)
        row = {"test": test, "seconds": round(seconds, 3), "lines": by_file}
        with self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    tracer = Tracer(Path(os.environ["SPOTLINE_TRACED"]))
    tracer.start()
    config.pluginmanager.register(tracer)
