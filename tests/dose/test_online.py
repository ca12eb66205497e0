"""The dose of a delivery while it runs, spill by spill."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import Reconstruction, reconstruct
from spotline.dose.online import Reconstructor
from spotline.errors import DoseError
from spotline.physics.ions import PROTON
from spotline.record.model import Record
from spotline.record.spill_file import read_spill
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.deliveries import EXAMPLES
from tests.dose.engine.entries import made_up_library

LINE = spotline.load_beamline("cnao-h")
LIBRARIES = {"proton": made_up_library(PROTON, [60.0, 100.0, 150.0, 230.0])}


@pytest.fixture(scope="module")
def treatment() -> spotline.Treatment:
    return spotline.prepare(spotline.read_plan(EXAMPLES / "three_layers_proton.dcm"), LINE)


@pytest.fixture(scope="module")
def record(treatment: spotline.Treatment, tmp_path_factory: pytest.TempPathFactory) -> Record:
    return spotline.deliver(treatment, tmp_path_factory.mktemp("delivered") / "record", documents=False)


@pytest.fixture(scope="module")
def water(treatment: spotline.Treatment) -> Patient:
    return spotline.water_phantom(treatment, 80.0, 4.0)


@pytest.fixture(scope="module")
def done(record: Record, water: Patient) -> Reconstruction:
    return reconstruct(record, LINE, water, water.grid, libraries=LIBRARIES)


@pytest.mark.parametrize("of", ["measured", "true"])
def test_spill_by_spill_is_the_whole_record(
    of: str, treatment: spotline.Treatment, record: Record, water: Patient, done: Reconstruction
):
    following = Reconstructor(treatment, water, water.grid, of=of, libraries=LIBRARIES)  # type: ignore[arg-type]
    whole = done.doses[of].physical.dose_Gy  # type: ignore[index]
    assert following.dose().physical.dose_Gy.max() == 0.0
    before = 0.0
    for path in sorted(record.fields[0].path.glob("spills/*.h5")):
        following.use_slices(1, read_treatment_file(record.fields[0].path).slices)
        following.add_spill(read_spill(path))
        now = float(following.dose().physical.dose_Gy.sum())
        assert now > before
        before = now
    assert following.spills == len(record.fields[0].spills)
    # Parts of a spot that two spills share stay where they were measured.
    np.testing.assert_allclose(following.dose().physical.dose_Gy, whole, atol=2e-3 * whole.max())
    assert following.particles == pytest.approx(done.doses[of].particles, rel=1e-4)  # type: ignore[index]


def test_following_a_folder_takes_each_spill_once(
    treatment: spotline.Treatment, record: Record, water: Patient, done: Reconstruction, tmp_path: Path
):
    following = Reconstructor(treatment, water, water.grid, libraries=LIBRARIES)
    assert following.follow(tmp_path) == 0
    assert following.follow(record.path) == len(record.fields[0].spills)
    assert following.follow(record.path) == 0
    whole = done.doses["measured"].physical.dose_Gy
    np.testing.assert_allclose(following.dose().physical.dose_Gy, whole, atol=2e-3 * whole.max())


def test_a_delivery_is_followed_while_it_runs(
    treatment: spotline.Treatment, record: Record, water: Patient, tmp_path: Path
):
    following = Reconstructor(treatment, water, water.grid, libraries=LIBRARIES)
    steps: list[tuple[int, float]] = []

    def after_spill(folder: Path) -> None:
        assert following.follow(folder) == 1
        steps.append((following.spills, following.particles))

    again = spotline.deliver(treatment, tmp_path / "record", documents=False, after_spill=after_spill)
    assert [spills for spills, _ in steps] == list(range(1, len(record.fields[0].spills) + 1))
    assert all(first[1] < second[1] for first, second in pairwise(steps))
    # Who looks on changes nothing.
    for path in sorted(again.fields[0].path.glob("spills/*.h5")):
        assert path.read_bytes() == (record.fields[0].path / "spills" / path.name).read_bytes()


def test_another_delivery_cannot_be_followed(record: Record, water: Patient):
    other = spotline.prepare(spotline.read_plan(EXAMPLES / "axis_proton.dcm"), LINE)
    following = Reconstructor(other, water, water.grid, libraries=LIBRARIES)
    with pytest.raises(DoseError, match="not those of the treatment"):
        following.follow(record.path)
    with pytest.raises(DoseError, match="no slice 99"):
        following.add_parts(1, 99, np.zeros(0, int), record.fields[0].spots)


def test_truth_that_is_not_there_cannot_be_followed(
    treatment: spotline.Treatment, record: Record, water: Patient
):
    following = Reconstructor(treatment, water, water.grid, of="true", libraries=LIBRARIES)
    spill = read_spill(min(record.fields[0].path.glob("spills/*.h5")))
    with pytest.raises(DoseError, match="no truth"):
        following.add_spill(replace(spill, truth=None))
