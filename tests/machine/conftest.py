"""A beam line that a test may spoil."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lines.edit import copy_line


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """The TOML file of a copy of cnao-h."""
    return copy_line("cnao-h", tmp_path / "line")
