"""Two versions timed in turns: who is slower, and by more than chance."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.against import Rounds, compare, export, page, worker
from benchmarks.cases import BEAMS
from tests.places import ROOT


def rounds(old: float, old_again: float, new: float) -> Rounds:
    """A case whose least times are these; a second round was slower for everybody."""
    return Rounds("loop", "a beam", [old, 9.0], [9.0, old_again], [9.0, new])


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (rounds(1.0, 1.0, 1.04), "met"),
        (rounds(1.0, 1.0, 1.06), "**missed**"),
        (rounds(1.0, 1.1, 1.14), "met"),  # the two of the older version differ by 10 %
        (rounds(1.1, 1.0, 1.16), "**missed**"),
        (rounds(1.0, 1.0, 0.5), "met"),
    ],
)
def test_slower_is_what_lies_beyond_chance(case: Rounds, word: str):
    assert page([case], "v0")[-1].splitlines()[-1].endswith(f"| {word} |")


def test_an_unknown_version_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    where = tmp_path / "page.md"
    assert compare("no-such-version", 1, where) == 2
    assert "no-such-version: git has no such version here" in capsys.readouterr().err
    assert not where.exists()


def has_git() -> bool:
    """Whether this is a clone, and not a folder of files."""
    try:
        return not subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False
        ).returncode
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not has_git(), reason="not a clone: no version to take")
def test_a_process_runs_the_version_that_it_was_given(tmp_path: Path):
    export("HEAD", tmp_path)
    # Another version: it lacks the first beam.
    cases = tmp_path / "benchmarks" / "cases.py"
    cases.write_text(cases.read_text(encoding="utf-8") + "\nBEAMS = BEAMS[1:]\n", encoding="utf-8")
    with worker(tmp_path) as old, worker(ROOT) as new:
        assert old.ask("loop", BEAMS[0].name) is None
        assert old.ask("delivery", "no such example") is None
        taken = new.ask("replay", BEAMS[0].name)
        assert taken is not None
        assert 0.0 < taken < 60.0
