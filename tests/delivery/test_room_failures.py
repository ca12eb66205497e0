"""A room that raises whatever drivers raise: the beam is told off, and it is an interlock of the room."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spotline
from spotline import BeamLine
from spotline.control import interlocks
from spotline.machine.true_line import true_line_of
from spotline.record.recovered import read_state
from spotline.room import Room
from spotline.sim.room import SimulatedRoom
from tests.delivery.deliveries import PROTON, causes, treatment_of
from tests.delivery.overseen import events, latched, state
from tests.delivery.scripted_room import ScriptedRoom, delivered, delivery_of, field_of

FULL = OSError(errno.ENOSPC, "No space left on device")
ERRORS = (TimeoutError("no answer in 2 s"), ConnectionResetError(104, "reset by peer"), FULL, RuntimeError())
CALLS = (
    ("request_beam", 2),
    ("load", 1),
    ("run", 3),
    ("confirm", 1),
    ("result", 2),
    ("read", 2),
    ("measure_background", 1),
    ("beam_off", 1),
)
"""Calls, and which of them fails."""
LONG = field_of((30, 5))
"""The first spill is longer than the journal waits for an entry."""


class Failing:
    """All devices of a room, one of whose calls raises at its n-th time and from then on.

    Attributes
    ----------
    told : list of str
        What ends the beam, as it was called.
    """

    def __init__(self, behind: Any, call: str, error: BaseException, n: int = 1, also: str = "") -> None:
        self._behind, self._call, self._error, self._n, self._also = behind, call, error, n, also
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*args: Any) -> Any:
            if name in ("abort", "beam_off"):
                self.told.append(name)
            if name == self._also:
                raise self._error
            if name == self._call:
                self._n -= 1
                if self._n <= 0:
                    raise self._error
            return getattr(self._behind, name)(*args)

        return asked


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("call", "n"), CALLS)
def test_whatever_a_room_raises_is_an_interlock_of_it(call: str, n: int, error: Exception, tmp_path: Path):
    room = Failing(ScriptedRoom(spill_ms=60), call, error, n)
    outcome = delivered(room, tmp_path, block_us=1000, treatment=LONG)
    row = outcome.interlocks_without_beam[-1]
    assert (row["cause"], row["action"]) == (interlocks.ROOM_FAILURE, interlocks.STOP)
    assert row["detail"].startswith(f"{_device(call)}.{call}: {type(error).__name__}")
    assert " ".join(str(error).split()) in row["detail"]
    assert "test_room_failures.py:" in row["detail"], "where it was raised"
    assert latched(outcome) == [interlocks.ROOM_FAILURE]
    assert room.told[-1] == "beam_off"
    if call in ("load", "run", "confirm"):
        assert room.told == ["abort", "beam_off"]
    assert outcome.complete == (call == "beam_off")


def _device(call: str) -> str:
    if call in ("request_beam", "beam_off"):
        return "accelerator"
    return "sensors" if call in ("read", "measure_background") else "loop"


@pytest.mark.parametrize("also", ["abort", "beam_off"])
def test_the_beam_is_told_off_by_the_other_way_if_one_fails_too(also: str, tmp_path: Path):
    room = Failing(ScriptedRoom(), "run", TimeoutError(), 3, also)
    outcome = delivered(room, tmp_path, block_us=1000)
    assert room.told == ["abort", "beam_off"]
    assert latched(outcome) == [interlocks.ROOM_FAILURE]


@pytest.mark.parametrize("also", ["", "abort"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_tells_the_beam_off_and_goes_on(error: type[BaseException], also: str, tmp_path: Path):
    room = Failing(ScriptedRoom(), "run", error(), 3, also)
    with pytest.raises(error):
        delivery_of(room, tmp_path, block_us=1000).run()
    assert room.told[:2] == ["abort", "beam_off"]
    journal = read_state(tmp_path)
    assert (journal.status, journal.spills, journal.interlocks) == ("interrupted", 1, [])
    assert journal.open_spill, "its counts are assumed when the delivery is resumed"


def test_an_interrupt_between_two_calls_tells_the_beam_off(tmp_path: Path):
    def interrupted(_progress: object) -> None:
        raise KeyboardInterrupt

    room = Failing(ScriptedRoom(), "", RuntimeError())
    with pytest.raises(KeyboardInterrupt):
        delivery_of(room, tmp_path, orders=interrupted, block_us=1000).run()
    assert room.told == ["beam_off"]


def test_the_journal_keeps_what_was_known(tmp_path: Path):
    """Four milliseconds of beam, and no entry of progress was due."""
    outcome = delivered(Failing(ScriptedRoom(), "run", TimeoutError(), 6), tmp_path, block_us=1000)
    last = read_state(tmp_path).open_spill[-1]
    assert last.table is not None
    assert last.table["complete"].tolist() == [1, 1, 1, 1, 0]
    assert (state(outcome), events(outcome)[-1]) == ("interrupted", "interlock or operator stops")


# With the whole record


def broken_in(call: str, n: int, line: BeamLine, error: BaseException) -> Callable[[Any], Room]:
    def make(field: Any) -> Room:
        room = SimulatedRoom(true_line_of(line), field.field.number, 1)
        devices = {"accelerator": room.accelerator, "loop": room.loop, "sensors": room.sensors}
        devices[_device(call)] = Failing(devices[_device(call)], call, error, n)
        return Room(**devices)

    return make


def test_the_record_says_what_failed_and_the_delivery_can_be_resumed(line: BeamLine, tmp_path: Path):
    error = ConnectionResetError(104, "Connection reset by peer")
    record = spotline.deliver(
        treatment_of(PROTON, line), tmp_path, seed=1, make_room=broken_in("run", 60, line, error)
    )
    assert (record.summary["status"], causes(record)[-1]) == ("interlock", ("room", "stop"))
    said = record.summary["interlocks"][-1]["detail"]
    assert "loop.run: ConnectionResetError: [Errno 104] Connection reset by peer" in said
    assert "unwritten" not in record.summary
    (field,) = record.fields
    assert field.details == (*[""] * (len(field.details) - 1), said)
    assert record.summary["assumed"]["int1_counts"] > 0, "of the spill that was under way"
    written = _dicom(tmp_path)
    assert "ConnectionResetError" in written.TreatmentTerminationDescription
    assert written.TreatmentTerminationStatus == "MACHINE"

    again = spotline.resume(tmp_path, operator="a", reason="driver restarted")
    assert again.summary["status"] == "complete"
    assert again.summary["fields"][0]["sessions"][0]["reason"] == "driver restarted"


def _dicom(folder: Path) -> Any:
    import pydicom

    (beam,) = pydicom.dcmread(folder / "field-01" / "record.dcm").TreatmentSessionIonBeamSequence
    return beam


def test_a_room_that_cannot_be_reached(line: BeamLine, tmp_path: Path):
    def make(_field: object) -> Room:
        raise TimeoutError("no route to the accelerator")

    record = spotline.deliver(treatment_of(PROTON, line), tmp_path, make_room=make)
    assert (record.summary["status"], causes(record)) == ("interlock", [("room", "stop")])
    assert "no route to the accelerator" in record.summary["interlocks"][0]["detail"]
    again = spotline.resume(tmp_path, operator="a", reason="network mended")
    assert again.summary["status"] == "complete"


@pytest.mark.parametrize("argument", ["progress", "orders", "after_spill"])
def test_what_a_callable_raises_is_not_of_the_disk(argument: str, line: BeamLine, tmp_path: Path):
    error = OSError(errno.ENOSPC, "that of another disk")

    def fail(_: object) -> None:
        raise error

    with pytest.raises(OSError, match="that of another disk") as raised:
        spotline.deliver(treatment_of(PROTON, line), tmp_path, **{argument: fail})
    assert raised.value is error


def test_a_defect_of_the_delivery_is_not_hidden(
    line: BeamLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from spotline.delivery import spill

    monkeypatch.setattr(spill, "slice_memory", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        spotline.deliver(treatment_of(PROTON, line), tmp_path)
