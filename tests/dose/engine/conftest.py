"""A small delivery that went as planned."""

from __future__ import annotations

import pytest

import spotline
from spotline.record.model import Record
from tests.delivery.deliveries import TWO_LAYERS


@pytest.fixture(scope="module")
def treatment() -> spotline.Treatment:
    """Two layers of 64 spots of carbon."""
    return spotline.prepare(spotline.read_plan(TWO_LAYERS), spotline.load_beamline("cnao-h"))


@pytest.fixture(scope="module")
def record(treatment: spotline.Treatment, tmp_path_factory: pytest.TempPathFactory) -> Record:
    return spotline.deliver(treatment, tmp_path_factory.mktemp("delivered") / "record", documents=False)
