"""What only the simulation knows is read by nobody but who asks for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from spotline import BeamLine, FieldRecord, Record, open_record, replay
from spotline.record.log import log_of
from spotline.record.statistics import field_statistics
from tests.delivery.deliveries import deliver
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

MEASURED = ("spots", "slices", "spills", "trend", "interlocks", "slow_control")


@pytest.fixture(scope="module")
def record(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Spills that break off in the middle of spots, and weak spots."""
    short = with_facts(
        line,
        {
            "accelerator.spill_length_s": 0.1,
            "accelerator.cycle_period_s": 0.3,
            "control.minimum_spot_counts": 1,
            "ions.carbon.minimum_particles_per_spot": 100.0,
        },
    )
    weak = square(4, 3.0, 1000.0, index=1, energy_MeV_u=CARBON_MeV_u[1])
    plan = plan_of(field(square(4, 3.0, 9e5), weak))
    return deliver(plan, short, tmp_path_factory.mktemp("truth"), raw=True, seed=6)


def copied(record: Record, folder: Path) -> list[Path]:
    shutil.copytree(record.path, folder)
    spills = sorted(folder.rglob("spill-*.h5"))
    assert len(spills) > 4
    return spills


def assert_same_measurement(one: FieldRecord, other: FieldRecord) -> None:
    for name in MEASURED:
        assert getattr(one, name).dtype == getattr(other, name).dtype
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert one.header == other.header
    assert field_statistics(one) == field_statistics(other)
    assert log_of(one) == log_of(other)


def test_truth_is_taken_away(record: Record, tmp_path: Path):
    for path in copied(record, tmp_path / "copy"):
        with h5py.File(path, "r+") as file:
            del file["truth"]
    without = open_record(tmp_path / "copy").fields[0]
    assert without.truth is None
    assert_same_measurement(record.fields[0], without)
    assert not [r for r in replay(tmp_path / "copy") if r.differences]


def test_truth_is_another(record: Record, tmp_path: Path):
    for path in copied(record, tmp_path / "copy"):
        with h5py.File(path, "r+") as file:
            values = file["truth/parts"][()]
            del file["truth/parts"]
            file["truth/parts"] = values * 3.0
    other = open_record(tmp_path / "copy").fields[0]
    assert_same_measurement(record.fields[0], other)
    before = record.fields[0].truth
    assert before is not None
    assert other.truth is not None
    np.testing.assert_allclose(other.truth["particles"], 3.0 * before["particles"])


def test_truth_is_missing_in_one_spill(record: Record, tmp_path: Path):
    path = copied(record, tmp_path / "copy")[2]
    with h5py.File(path, "r+") as file:
        del file["truth"]
    half = open_record(tmp_path / "copy").fields[0]
    assert half.truth is None
    assert_same_measurement(record.fields[0], half)


def test_truth_belongs_to_the_spots(record: Record):
    (whole,) = record.fields
    assert whole.truth is not None
    assert whole.truth[["slice", "spot"]].tolist() == whole.spots[["slice", "spot"]].tolist()
    sums: dict[tuple[int, int], float] = {}
    for path in sorted(whole.path.glob("spills/*.h5")):
        with h5py.File(path) as file:
            parts, spots = file["measured/parts"][()], file["control/spots"][()]
            index = json.loads(file.attrs["header"])["slice"]
            for part, ions in zip(parts, file["truth/parts"][:, 0], strict=True):
                key = index, int(spots[part["spot"]])
                sums[key] = sums.get(key, 0.0) + ions
    for row in whole.truth:
        assert row["particles"] == sums[int(row["slice"]), int(row["spot"])]
    strong = whole.spots["slice"] == 0
    np.testing.assert_allclose(whole.truth["particles"][strong], 9e5, rtol=0.05)
