"""Remove every interlock, one at a time, and see whether a test notices.

::

    python -m verification.mutations --write docs/reference/verification-mutations.md

Each cause is made deaf in a copy of the sources: its check is still made, and nothing comes of it.  The tests
of the control law run on the copy, uncompiled; if they notice nothing, those of the delivery run too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from spotline.control.interlocks import BACKGROUND, CAUSES, RECORD, SLOW, Cause
from verification.figures import held, noted, table
from verification.page import circumstances, fill, page_parser, put_page, say

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "examples", "tools", "faults", "docs")
STAGES: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (
        (
            "tests/control/test_slow.py",
            "tests/control/test_interlocks.py",
            "tests/control/test_interlock_effects.py",
            "tests/control/test_safety.py",
        ),
        {"NUMBA_DISABLE_JIT": "1"},
    ),
    (
        (
            "tests/delivery/test_oversight.py",
            "tests/delivery/test_pauses.py",
            "tests/delivery/test_resets.py",
            "tests/delivery/test_any_orders.py",
            "tests/delivery/test_output.py",
            "tests/delivery/test_interlocks.py",
        ),
        {},
    ),
)
"""Tests that are run one after the other, until one fails, and what they need in the environment."""

COMPILED = (
    (
        "src/spotline/control/integral.py",
        r"(def trip\(.*?\"\"\".*?\"\"\"\n)",
        "    if cause == {code}:\n        return\n",
    ),
)
"""File, place, and what is put there: where an interlock of the compiled law comes into being."""

BETWEEN_SPILLS = (
    (
        "src/spotline/control/slow.py",
        r"(        self\._looked_us = now_us\n)",
        "        trips = [trip for trip in trips if trip.cause != {code}]\n",
    ),
    (
        "src/spotline/delivery/oversight.py",
        r"(    def interlock\(.*?\"\"\".*?\"\"\"\n)",
        "        if trip.cause == {code}:\n            return\n",
    ),
)
"""The same where one comes into being without the law; nothing need be compiled anew for these."""


def make_deaf(tree: Path, cause: Cause) -> None:
    """Take a cause out of a copy of the sources."""
    is_slow = cause.source == SLOW or cause.code in (BACKGROUND, RECORD)
    for name, place, inserted in BETWEEN_SPILLS + (() if is_slow else COMPILED):
        path = tree / name
        text = path.read_text(encoding="utf-8")
        found = re.search(place, text, flags=re.DOTALL)
        assert found, f"{name} has changed; say anew where interlocks come into being"
        text = text[: found.end()] + inserted.format(code=cause.code) + text[found.end() :]
        path.write_text(text, encoding="utf-8")


def run_tests(tree: Path, paths: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """Run tests on a copy until one fails; return the name of that test."""
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*pytest, "--benchmark-disable", *paths],
        cwd=tree,
        env=os.environ
        | {
            "PYTHONPATH": str(tree / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, flags=re.MULTILINE)
    if done.returncode not in (0, 1) or bool(found) != bool(done.returncode):
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return found


def first_to_notice(cause: Cause | None) -> str:
    """Name of a test that fails without a cause; empty if none does."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, tree)
        if cause is not None:
            make_deaf(tree, cause)
        for paths, environment in STAGES:
            found = run_tests(tree, paths, environment)
            if found:
                return found[0]
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Remove, test, and print or write the page."""
    parser = page_parser("python -m verification.mutations", __doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested side by side (2)")
    parser.add_argument("--only", type=int, action="append", help="code of a cause; may be repeated")
    asked = parser.parse_args(arguments)
    start = time.perf_counter()
    say("with all interlocks")
    failing = first_to_notice(None)
    if failing:
        raise SystemExit(f"{failing} fails although no interlock is removed")
    causes = [cause for cause in CAUSES.values() if not asked.only or cause.code in asked.only]

    def notice(cause: Cause) -> str:
        say(f"without {cause.name}")
        return first_to_notice(cause)

    with ThreadPoolExecutor(asked.jobs) as pool:
        noticed = list(pool.map(notice, causes))
    rows = [
        (cause.code, cause.name, cause.source, f"`{test}`" if test else "**nothing**")
        for cause, test in zip(causes, noticed, strict=True)
    ]
    put_page(page(rows, all(noticed), time.perf_counter() - start), asked.write)
    return 0 if all(noticed) else 1


def page(rows: list[tuple[int, str, str, str]], is_met: bool, wall_s: float) -> list[str]:
    """Put the page together."""
    return [
        "# Verification of the interlocks",
        fill(
            f"""Every cause of the [interlock table](interlocks.md) was removed from a copy of the sources,
            one at a time: its check is made, and nothing comes of it. The tests must notice; the first that
            did is named. `python -m verification.mutations --write
            docs/reference/verification-mutations.md` makes this page in {max(1, round(wall_s / 60))} min.
            Made on {circumstances()}."""
        ),
        table(("Code", "removed", "source", "noticed by"), rows, keys=4),
        noted(f"Verdict: {held(is_met)}.", verdict=held(is_met)),
    ]


if __name__ == "__main__":
    sys.exit(main())
