"""The small plan that campaigns of the tests deliver."""

from __future__ import annotations

import pytest

from spotline import BeamLine, Treatment, load_beamline, prepare, read_plan
from tests.delivery.deliveries import TWO_LAYERS


@pytest.fixture(scope="session")
def line() -> BeamLine:
    return load_beamline("cnao-h")


@pytest.fixture(scope="session")
def treatment(line: BeamLine) -> Treatment:
    """Two layers of 64 spots, which take three spills."""
    return prepare(read_plan(TWO_LAYERS), line)
