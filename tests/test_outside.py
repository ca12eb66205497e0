"""What others rely on stays as it is: a change of it is a decision, not an accident."""

from __future__ import annotations

import difflib

import pytest

from tools import list_the_outside as outside


def held_against(listing: str) -> None:
    stored = (outside.FOLDER / listing).read_text(encoding="utf-8").splitlines()
    found = outside.LISTINGS[listing]().splitlines()
    changes = [
        line for line in difflib.unified_diff(stored, found, "stored", "found", lineterm="", n=1) if line
    ]
    assert not changes, (
        "what others rely on has changed.  If that is meant, say it in CHANGELOG.md, keep the old spelling "
        "as an alias where there is one, and run python -m tools.list_the_outside:\n" + "\n".join(changes)
    )


def test_python_names():
    held_against("python.txt")


def test_verbs():
    held_against("verbs.txt")


@pytest.mark.slow
def test_files_and_json():
    held_against("files.txt")


def test_keys_of_json():
    content = {"a": [{"b": 1, "int1.gain": []}, {"c": {}}], "d": [[1.0, 2.0]], "e": {"10 %": 0.1}}
    assert outside.keys_of(content) == ["a[].<key>", "a[].b", "a[].c", "d[][]", "e.<key>"]
