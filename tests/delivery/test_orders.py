"""Orders of operator and supervision during a delivery in the simulated room."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spotline.control import interlocks
from spotline.delivery.progress import Command, Order, Progress
from spotline.machine import BeamLine
from spotline.machine.true_line import true_line_of
from spotline.record.read import open_record
from spotline.record.spill_file import read_spill, spill_path
from spotline.room import FastLoop, Room, SpillResult
from spotline.sim.room import SimulatedRoom
from spotline.treatment import FieldTreatment
from tests.delivery.deliveries import PROTON, causes, deliver, hashes
from tests.delivery.overseen import SAID
from tests.rooms import LoopBehind

SPOTS_BEFORE = 20
BLOCK_us = 1000
BEAM_OFF_LIMIT_us = 500


def open_spills(folder: Path, spot: int) -> list[int]:
    """Spills in which a spot of the second slice got counts."""
    spills = [read_spill(spill_path(folder, number)) for number in (2, 3)]
    return [
        spill.header.spill
        for spill in spills
        if spill.parts["int1_counts"][spill.spots[spill.parts["spot"]] == spot].sum() > 0
    ]


class Watched(LoopBehind):
    """Keeps the result of every spill, with the time of the last ion."""

    def __init__(self, behind: FastLoop) -> None:
        super().__init__(behind)
        self.results: list[SpillResult] = []

    def result(self) -> SpillResult:
        self.results.append(super().result())
        return self.results[-1]


def order_in_spill(command: Command, then: dict[str, Order] | None = None, spill: int = 2):
    """Give an order in a spill, once; and others in the states that follow."""
    given: list[Command] = []

    def orders(progress: Progress) -> Order | None:
        if progress.state == "beam delivery" and progress.spill == spill and not given:
            if progress.spots < 49 * (spill - 1) + SPOTS_BEFORE:
                return None
            given.append(command)
            return Order(command, *SAID)
        return (then or {}).get(progress.state)

    return orders


def test_a_pause_and_going_on_loses_nothing(line: BeamLine, tmp_path: Path, protons: Path):
    orders = order_in_spill(Command.PAUSE, {"paused": Order(Command.RESUME, *SAID)})
    record = deliver(PROTON, line, tmp_path, seed=1, orders=orders, block_us=BLOCK_us)
    (field,) = record.fields
    assert (record.summary["status"], record.summary["spots_delivered"]) == ("complete", 147)
    assert causes(record) == [("operator", "pause")]
    assert len(field.spills) == 4
    assert (field.spills["slice"] == [0, 1, 1, 2]).all()
    assert (np.diff(field.spills["start_us"]) >= 4_000_000).all(), "the cycles go on as before"
    undisturbed = open_record(protons)
    assert record.summary["particles_delivered"] == pytest.approx(
        undisturbed.summary["particles_delivered"], rel=2e-4
    )
    assert hashes(tmp_path)["field-01/DDS_treatment.h5"] == hashes(protons)["field-01/DDS_treatment.h5"]
    done = [event["event"] for event in field.header["events"]]
    assert done[3:] == [
        "supervision acknowledges",
        "spill over, spots left",
        "pause",
        "resume",
        "spill over, spots left",
        "last spot of the last slice delivered",
        "record written",
    ]
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["permit"], status["spots_complete"]) == ("off treatment", False, 147)


@pytest.mark.parametrize(
    ("command", "cause", "name"),
    [
        (Command.STOP, interlocks.OPERATOR, "operator"),
        (Command.ABORT, interlocks.SUPERVISION, "supervision"),
    ],
)
def test_a_stop_by_line_takes_the_beam_away(
    command: Command, cause: int, name: str, line: BeamLine, tmp_path: Path
):
    loops: list[Watched] = []

    def make(field: FieldTreatment) -> Room:
        room = SimulatedRoom(true_line_of(line), field.field.number, 1)
        loops.append(Watched(room.loop))
        return Room(room.accelerator, loops[-1], room.sensors)

    record = deliver(
        PROTON, line, tmp_path, orders=order_in_spill(command), make_room=make, block_us=BLOCK_us
    )
    (field,) = record.fields
    assert record.summary["status"] == "interlock"
    assert causes(record) == [(name, "stop")]
    (row,) = field.interlocks
    last = loops[0].results[-1]
    assert last.last_ion_us is not None
    assert 0 <= last.last_ion_us - row["time_us"] < BEAM_OFF_LIMIT_us
    (latched,) = field.header["register"]["latched"]
    assert (latched["cause"], latched["time_us"], latched["spill"]) == (cause, row["time_us"], 2)
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "interrupted"


def test_a_reset_goes_on_with_what_is_left(line: BeamLine, tmp_path: Path):
    reset = Order(Command.RESET, "L. Meitner", "door closed")
    record = deliver(
        PROTON, line, tmp_path, orders=order_in_spill(Command.STOP, {"interrupted": reset}), block_us=BLOCK_us
    )
    (field,) = record.fields
    assert record.summary["status"] == "complete"
    assert causes(record) == [("operator", "stop")]
    assert field.header["register"]["resets"][0]["identity"] == "L. Meitner"
    # What was prescribed was delivered: a spot in two parts as near as any other but the last of a slice,
    # which takes what is still in flight when the chopper closes.
    assert field.spots["complete"].all()
    deviation = np.abs(field.spots["particles"] / field.spots["particles_planned"] - 1.0)
    assert deviation[field.spots["spot"] < 48].max() < 0.005
    assert open_spills(field.path, int(field.interlocks["spot"][0])) == [2, 3]


def test_an_abort_before_the_beam_delivers_nothing(line: BeamLine, tmp_path: Path):
    record = deliver(
        PROTON,
        line,
        tmp_path,
        orders=lambda progress: Order(Command.ABORT, *SAID) if progress.state == "ready" else None,
    )
    (field,) = record.fields
    assert causes(record) == [("supervision", "stop")]
    assert (len(field.spills), record.summary["particles_delivered"]) == (0, 0.0)
    assert (field.path / "record.dcm").is_file()
