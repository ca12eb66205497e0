"""The control law comes to the same decisions over a recording, and notices any that is not its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from spotline import BeamLine, RecordError, load_beamline, replay
from tests.delivery.deliveries import deliver
from tests.lines.facts import with_facts
from tests.preparation.plans import field, layer, plan_of, square

SPILL_2 = Path("field-01", "spills", "spill-0002.h5")


@pytest.fixture
def copy(protons_raw: Path, tmp_path: Path) -> Path:
    """A record with raw samples that may be changed."""
    return Path(shutil.copytree(protons_raw, tmp_path / "copy"))


def replace(path: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace a dataset of an HDF5 file by a changed one."""
    with h5py.File(path, "r+") as file:
        values = change(file[name][()])
        del file[name]
        file[name] = values


def edited(change: Callable[[np.ndarray], None]) -> Callable[[np.ndarray], np.ndarray]:
    def changed(values: np.ndarray) -> np.ndarray:
        change(values)
        return values

    return changed


def in_beam(values: np.ndarray) -> int:
    """Index of a row in the middle of the counts."""
    rows = np.flatnonzero(values.reshape(len(values), -1).any(axis=1))
    return int(rows[len(rows) // 2])


def test_same_decisions(protons_raw: Path):
    results = replay(protons_raw)
    assert [r.path.name for r in results] == ["spill-0001.h5", "spill-0002.h5", "spill-0003.h5"]
    assert [r.differences for r in results] == [()] * 3
    with h5py.File(protons_raw / SPILL_2) as file:
        assert results[1].samples == len(file["raw/integrals"]) > 100_000


def test_same_decisions_with_raw_by_name(protons_raw: Path):
    assert replay(str(protons_raw)) == replay(protons_raw)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"simulation.beam.spill_offset_mm": 6.0}, "interlock"),
        ({"simulation.chambers.int2_gain": 0.8}, "interlock"),
        ({"control.anticipate_beam_off": True}, "complete"),
        ({"control.feedback_gain": 0.0, "simulation.beam.jitter_mm": 0.4}, "complete"),
    ],
    ids=["pauses", "stop", "anticipated", "without feedback"],
)
def test_same_decisions_when_things_go_wrong(changes: dict, status: str, tmp_path: Path):
    line = with_facts(load_beamline("cnao-h"), changes)
    layers = square(3, 4.0, 3e5), layer([0.0, 40.0], 0.0, 2e6, index=1, energy_MeV_u=218.92)
    record = deliver(plan_of(field(*layers)), line, tmp_path / "out", raw=True, seed=3)
    assert record.summary["status"] == status
    results = replay(record.path)
    assert len(results) == record.summary["spills"]
    assert not [r.differences for r in results if r.differences]


def one_count_more(*channel: int) -> Callable[[np.ndarray], np.ndarray]:
    return edited(
        lambda frames: frames[in_beam(frames)].__setitem__(channel, frames[in_beam(frames)][channel] + 1)
    )


RAW = [
    ("raw/integrals", one_count_more(0), "recorded"),
    ("raw/integrals", one_count_more(1), "int2_counts is"),
    ("raw/strips", one_count_more(0, 60), "x_strip_mm is"),
    ("raw/strips", one_count_more(1, 70), "y_strip_mm is"),
    ("raw/pixels", one_count_more(16, 16), "x_pixel_mm is"),
    (
        "raw/currents_A",
        edited(lambda v: v.__setitem__((slice(len(v) // 3, None), 0), 150.0)),
        "x_current_A is",
    ),
    ("raw/currents_A", edited(lambda v: v.__setitem__((1000, 2), 0.01)), "differ from scan period 1000 on"),
    ("raw/inputs", edited(lambda v: v.__setitem__(len(v) // 2, 2)), "recorded"),
]


@pytest.mark.parametrize(("name", "change", "difference"), RAW, ids=[f"{r[0]}: {r[2]}" for r in RAW])
def test_one_sample_is_changed(name: str, change: Callable, difference: str, copy: Path):
    replace(copy / SPILL_2, name, change)
    first, second, third = replay(copy)
    assert any(difference in text for text in second.differences), second.differences
    assert first.differences == third.differences == ()


def one_more(column: str, row: int) -> Callable[[np.ndarray], np.ndarray]:
    return edited(lambda table: table[column].__setitem__(row, table[column][row] + 1))


DECISIONS = [
    ("measured/parts", one_more("int2_counts", 7), "spot 7: int2_counts is"),
    ("measured/parts", one_more("end_tick", 0), "spot 0: end_tick is"),
    ("measured/parts", one_more("x_strip_mm", 5), "spot 5: x_strip_mm is"),
    ("measured/parts", lambda table: table[:-1], "49 spots, recorded 48"),
    ("measured/commands", one_more("tick", 3), "command 3: tick is"),
    ("measured/commands", lambda table: table[1:], "commands, recorded"),
    ("measured/interlocks", lambda table: np.ones(1, table.dtype), "0 interlocks, recorded 1"),
    ("control/int1_counts", lambda counts: counts + 1, "recorded"),
]


@pytest.mark.parametrize(("name", "change", "difference"), DECISIONS, ids=[d[2] for d in DECISIONS])
def test_one_decision_is_changed(name: str, change: Callable, difference: str, copy: Path):
    replace(copy / SPILL_2, name, change)
    _, second, _ = replay(copy)
    assert any(difference in text for text in second.differences), second.differences


def test_end_of_the_spill_is_changed(copy: Path):
    with h5py.File(copy / SPILL_2, "r+") as file:
        header = json.loads(file.attrs["header"])
        file.attrs["header"] = json.dumps({**header, "end_reason": 4})
    assert "spill ended for reason 1, recorded 4" in replay(copy)[1].differences


@pytest.mark.parametrize("name", ["integrals", "strips", "pixels", "currents_A", "inputs"])
def test_samples_are_missing(name: str, copy: Path):
    """Compiled code would read beyond the end."""
    replace(copy / SPILL_2, f"raw/{name}", lambda values: values[:-3])
    with pytest.raises(RecordError, match=r"spill-0002\.h5: truncated or altered .*raw .*restore it"):
        replay(copy)
    with h5py.File(copy / SPILL_2, "r+") as file:
        del file["raw"][name]
    with pytest.raises(RecordError, match=rf"spill-0002\.h5: truncated or altered .*{name}.*restore it"):
        replay(copy)


def test_without_raw_samples(protons: Path):
    with pytest.raises(RecordError, match=r"spill-0001\.h5: holds no raw samples; deliver with --raw"):
        replay(protons)


def test_nothing_was_delivered(line: BeamLine, tmp_path: Path):
    cold = with_facts(line, {"simulation.gas.temperature_C": 10.0})
    deliver(plan_of(field()), cold, tmp_path / "out", raw=True)
    with pytest.raises(RecordError, match="no spill files; nothing was delivered"):
        replay(tmp_path / "out")


def test_no_record(tmp_path: Path):
    with pytest.raises(RecordError, match=r"summary\.json: no such file"):
        replay(tmp_path)
