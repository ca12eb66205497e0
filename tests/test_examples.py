"""The scripts in examples/ do what they say, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.places import EXAMPLES


def said_by(script: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / script), str(folder)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_scripts(tmp_path: Path):
    folder = tmp_path / "delivered"
    said = said_by("deliver_a_plan.py", folder)
    assert f"complete: {folder}" in said
    assert re.search(r"^field 1: \d+ spots, \d+\.\d% within 1 %$", said, flags=re.MULTILINE)
    said = said_by("read_a_record.py", folder)
    assert re.search(r"^field 1: \d+ spots in 3 spills\n  x: [+-]0\.\d\d mm, .*\n  y: ", said)
    assert "interlock" not in said
    said = said_by("dose_of_a_record.py", folder)
    assert re.search(r"^planned: up to \d\.\d{3} Gy\nmeasured: .* 100\.0%, .*\ntrue: .*%, ", said)
