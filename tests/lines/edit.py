"""Copies of shipped beam lines with something changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from spotline.machine.load import SHIPPED, TOML_NAME


def replace_once(text: str, old: str, new: str) -> str:
    """Replace what must stand in a text exactly once."""
    assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
    return text.replace(old, new)


def copy_line(name: str, folder: Path) -> Path:
    """Copy a shipped beam line into a folder that may exist; return its TOML file."""
    shutil.copytree(SHIPPED / name, folder, dirs_exist_ok=True)
    return folder / TOML_NAME


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Change a file, each old text standing in it exactly once."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        text = replace_once(text, old, new)
    path.write_text(text, encoding="utf-8")
