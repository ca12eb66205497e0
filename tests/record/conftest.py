"""A small record to read, and to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spotline import Record, load_beamline
from tests.delivery.deliveries import deliver
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Two slices of nine spots, one spill each."""
    second = square(3, 4.0, 2e5, index=1, energy_MeV_u=CARBON_MeV_u[1])
    plan = plan_of(field(square(3, 4.0, 1e5), second, number=3))
    return deliver(plan, load_beamline("cnao-h"), tmp_path_factory.mktemp("small") / "out", seed=12)


@pytest.fixture
def copy(small: Record, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(small.path, tmp_path / "copy"))
