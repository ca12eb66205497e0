"""The notebooks run from the first cell to the last, and are stored without what they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_some():
    assert {path.stem for path in NOTEBOOKS} >= {"first-delivery", "reading-a-record", "dose"}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_without_outputs(notebook: Path):
    """They are those of the machine and the day; the site of the documentation makes them anew."""
    for cell in cells_of(notebook):
        assert (cell["outputs"], cell["execution_count"]) == ([], None), "clear all outputs, and save again"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(notebook: Path, monkeypatch: pytest.MonkeyPatch):
    import matplotlib.pyplot as plt

    before = set(notebook.parent.iterdir())
    monkeypatch.chdir(notebook.parent)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(cells_of(notebook), start=1):
            code = compile("".join(cell["source"]), f"{notebook.name}, code cell {number}", "exec")
            exec(code, namespace)
    finally:
        plt.close("all")
    assert set(notebook.parent.iterdir()) == before, "leaves nothing behind"
