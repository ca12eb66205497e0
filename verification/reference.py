"""Published tables to compare with, which lie beside the repository and are no part of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "reference"


def read_reference(name: str) -> np.ndarray:
    """Read a table of `FOLDER` with its column names."""
    path = FOLDER / name
    if not path.is_file():
        raise SystemExit(f"{path}: there is no such table; put the reference tables beside the repository")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return np.genfromtxt(lines, delimiter=",", names=True)
