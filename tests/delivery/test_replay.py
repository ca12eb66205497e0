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
from spotline.control import interlocks
from spotline.control.memory import (
    INPUT_COUCH,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_OPERATOR,
    INPUT_SLOW,
    INPUT_START,
    INPUT_SUPERVISION,
)
from spotline.delivery.spill import _raw_bytes_per_us
from spotline.machine.true_line import true_line_of
from spotline.room import Block, FastLoop, Room
from spotline.sim.room import SimulatedRoom
from tests.delivery.deliveries import PROTON, deliver
from tests.lines.facts import with_facts
from tests.rooms import LoopBehind
from tests.treatment.plans import field, layer, plan_of, square

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


def test_room_for_raw_samples_is_room_for_all_of_them(protons_raw: Path, line: BeamLine):
    """Set aside before a spill for its whole length, as if nothing could be compressed."""
    with h5py.File(protons_raw / "field-01" / "spills" / "spill-0001.h5") as file:
        samples = {
            name: file["raw"][name] for name in ("integrals", "strips", "pixels", "currents_A", "inputs")
        }
        us = len(samples["integrals"])
        taken = sum(one.size * one.dtype.itemsize for one in samples.values())
    assert us > 10**5
    assert taken / us == pytest.approx(_raw_bytes_per_us(line), rel=1e-3)


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
        edited(lambda v: v.__setitem__((slice(len(v) // 3, None), 0), v[len(v) // 3 :, 0] + 0.01)),
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


# Whatever came in, the law decides the same again


class Troubled(LoopBehind):
    """A fast loop to which something comes in after some milliseconds of the first spill.

    Parameters
    ----------
    behind : FastLoop
    trouble : callable
        Done to the loop once, between two blocks.
    """

    def __init__(self, behind: FastLoop, trouble: Callable[[FastLoop], None]) -> None:
        super().__init__(behind)
        self._trouble, self._blocks = trouble, 0

    def run(self, max_samples: int) -> Block:
        self._blocks += 1
        if self._blocks == 10:
            self._trouble(self)
        return super().run(max_samples)


def troubled(line: BeamLine, trouble: Callable[[FastLoop], None]) -> Room:
    room = SimulatedRoom(true_line_of(line), 1, 1, raw=True)
    return Room(room.accelerator, Troubled(room.loop, trouble), room.sensors)


def line_of(bit: int) -> Callable[[FastLoop], None]:
    return lambda loop: loop.raise_line(bit)


def abort(loop: FastLoop) -> None:
    """Two causes at once, and one of them a second time."""
    for cause in (interlocks.PRESSURE_1, interlocks.HIGH_VOLTAGE_2, interlocks.PRESSURE_1):
        loop.abort(cause, 1.5, 2.5)


TROUBLES = {
    "abort": (abort, {interlocks.PRESSURE_1, interlocks.HIGH_VOLTAGE_2}),
    "couch": (line_of(INPUT_COUCH), {interlocks.COUCH}),
    "two lines at once": (
        line_of(INPUT_OPERATOR | INPUT_SUPERVISION),
        {interlocks.OPERATOR, interlocks.SUPERVISION},
    ),
    "slow line": (line_of(INPUT_SLOW), set()),
    "hang": (line_of(INPUT_HANG), {interlocks.WATCHDOG}),
    "no integral data": (line_of(INPUT_NO_INTEGRAL), {interlocks.DATA_INTEGRAL}),
    "no strip data": (line_of(INPUT_NO_STRIP), {interlocks.DATA_STRIP}),
    "no pixel data": (line_of(INPUT_NO_PIXEL), {interlocks.DATA_PIXEL}),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble(name: str, line: BeamLine, tmp_path: Path):
    trouble, causes = TROUBLES[name]
    record = deliver(PROTON, line, tmp_path / "out", raw=True, make_room=lambda _: troubled(line, trouble))
    (stopped,) = record.fields
    assert set(stopped.interlocks["cause"].tolist()) == causes
    assert len(stopped.spills) == 1
    (result,) = replay(tmp_path / "out")
    assert result.differences == ()
    # Nothing that was counted is missing from the record, not even what the fast control did not read out.
    with h5py.File(result.path) as file:
        parts, integrals = file["measured/parts"][()], file["raw/integrals"][()].astype(int)
        started = int(np.flatnonzero(file["raw/inputs"][()] & INPUT_START)[0]) * 25
    assert [parts["int1_counts"].sum(), parts["int2_counts"].sum()] == integrals[started:].sum(
        axis=0
    ).tolist()
    off_us = 25 * int(np.flatnonzero(integrals.any(axis=1))[-1] // 25 + 1)
    assert off_us - started < 300_000, "the beam went off"


def test_an_abort_that_is_forgotten_is_a_difference(line: BeamLine, tmp_path: Path):
    deliver(PROTON, line, tmp_path / "out", raw=True, make_room=lambda _: troubled(line, abort))
    spill = tmp_path / "out" / "field-01" / "spills" / "spill-0001.h5"
    replace(spill, "raw/aborts", lambda rows: rows[:0])
    (result,) = replay(tmp_path / "out")
    assert any("interlocks, recorded 2" in text for text in result.differences)


def test_aborts_of_another_kind_are_refused(line: BeamLine, tmp_path: Path):
    deliver(PROTON, line, tmp_path / "out", raw=True, make_room=lambda _: troubled(line, abort))
    spill = tmp_path / "out" / "field-01" / "spills" / "spill-0001.h5"
    replace(spill, "raw/aborts", lambda rows: np.array(["now"], "S3"))
    with pytest.raises(RecordError, match=r"spill-0001\.h5: truncated or altered"):
        replay(tmp_path / "out")
