"""Deliveries that several tests look at; none of them may change the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline import BeamLine, load_beamline
from tests.delivery.deliveries import PROTON, deliver


@pytest.fixture(scope="session")
def line() -> BeamLine:
    return load_beamline("cnao-h")


@pytest.fixture(scope="session")
def protons(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped proton plan, delivered with seed 1."""
    out = tmp_path_factory.mktemp("protons") / "out"
    deliver(PROTON, line, out, seed=1)
    return out


@pytest.fixture(scope="session")
def protons_raw(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with raw samples."""
    out = tmp_path_factory.mktemp("protons_raw") / "out"
    deliver(PROTON, line, out, seed=1, raw=True)
    return out
