"""The beam line that plans are looked at with."""

from __future__ import annotations

import pytest

import spotline


@pytest.fixture(scope="session")
def cnao_h() -> spotline.BeamLine:
    return spotline.load_beamline("cnao-h")
