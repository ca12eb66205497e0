"""An independent validator of DICOM files, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_validator = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (package dicom3tools) is not installed"
)


def validator_says(path: Path) -> list[str]:
    """What it prints of a file, line by line; among others the name of the kind of file."""
    result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).splitlines()


def errors_in_plan(path: Path) -> list[str]:
    """Errors that it finds in an ion plan."""
    lines = validator_says(path)
    assert any("RTIonPlan" in line for line in lines)
    # The program asks for ModulatedScanModeType with MODULATED; the standard does with MODULATED_SPEC.
    return [line for line in lines if line.startswith("Error") and "<ModulatedScanModeType>" not in line]
