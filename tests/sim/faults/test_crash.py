"""Faults in the room as a whole: the end of the process, spills that follow, and blocks of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.control.interlocks import COUCH
from spotline.control.memory import NEVER, LawSettings, SliceMemory
from spotline.errors import FaultError
from spotline.machine import BeamLine
from spotline.machine.true_line import true_line_of
from spotline.sim.faults import KINDS, Fault, SimulatedCrash, draw
from spotline.sim.room import SimulatedRoom
from tests.sim.small import control_of, everything, run_spill, short_line, small_field

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> BeamLine:
    return short_line(tmp_path_factory.mktemp("line") / "line")


@pytest.fixture(scope="module")
def control(line: BeamLine) -> tuple[LawSettings, SliceMemory]:
    return control_of(line, small_field(line, 1e6))


def everything_of(
    line: BeamLine, faults: tuple[Fault, ...], block_us: int, spills: int = 2
) -> dict[str, np.ndarray]:
    settings, memory = control_of(line, small_field(line))
    settings = settings._replace(event_tolerance_ticks=1000, unconfirmed_counts=NEVER)
    room = SimulatedRoom(true_line_of(line), 1, 42, raw=True, faults=faults)
    found = {}
    for spill in range(spills):
        blocks, result = run_spill(room, settings, memory, block_us)
        found |= {f"{spill} {name}": value for name, value in everything(blocks, result).items()}
    found["history"] = np.concatenate([entry.truth.ravel() for entry in room.history])
    return found


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_faults_that_never_come_change_no_byte(line: BeamLine):
    generator = np.random.default_rng(1)
    drawn = [draw(name, generator, 1) for name in KINDS]
    later = tuple(Fault(f.device, f.mode, f.value, 50, 0, 1000) for f in drawn)
    same(everything_of(line, (), 7000), everything_of(line, later, 7000))


ENDLESS = {"timing.lost_end", "timing.shift_end", "timing.clock_slip", "integrals.lost"}
"""Without the event of the end the spill may last as long as somebody watches it."""


@pytest.mark.parametrize("seed", range(6))
def test_blocks_of_any_size_give_the_same(line: BeamLine, seed: int):
    generator = np.random.default_rng(seed)
    names = [name for name in KINDS if name not in ENDLESS and KINDS[name].lasts_us is not None]
    faults = []
    for name in generator.choice(names, 25, replace=False):
        fault = draw(str(name), generator, 2)
        times = {
            "at_us": int(generator.integers(-10_000, 8_000)),
            "duration_us": int(generator.integers(1, 9_000)),
        }
        faults.append(Fault(fault.device, fault.mode, fault.value, fault.spill, **times))
    whole = everything_of(line, tuple(faults), 1_000_000)
    same(whole, everything_of(line, tuple(faults), 1000))
    same(whole, everything_of(line, tuple(faults), 13_000))


@pytest.mark.parametrize("kind", ["process.kill", "power.loss"])
def test_a_crash_ends_the_process_and_the_beam(
    line: BeamLine, control: tuple[LawSettings, SliceMemory], kind: str
):
    settings, memory = control
    room = SimulatedRoom(true_line_of(line), 1, 42, faults=(Fault(*kind.split("."), spill=2, at_us=4013),))
    run_spill(room, settings, memory)
    broadcast = room.accelerator.request_beam(memory.cycle_code)
    room.loop.load(settings, memory, broadcast)
    room.loop.run(22_000)
    with pytest.raises(SimulatedCrash) as caught:
        room.loop.run(100_000)
    assert caught.value.kind == kind
    assert not isinstance(caught.value, Exception)
    first, second = room.history
    assert (first.spill, second.spill) == (1, 2)
    watchdog_us = broadcast.extraction_start_us + 4013 + 200
    assert abs(second.first_interlock_us - watchdog_us) <= 50, "the patient interlock system noticed"
    # The watchdog waits 200 us, then come delay and ramp of the chopper.
    late_us = second.last_ion_us - broadcast.extraction_start_us - 4000
    assert 400 <= late_us <= 600
    truth = room.loop.result().truth
    assert truth is not None
    np.testing.assert_array_equal(truth, second.truth[: len(truth)])
    assert 0 < second.truth[:, 0].sum() < first.truth[:, 0].sum()
    for call in (
        lambda: room.loop.run(1000),
        lambda: room.sensors.read(0),
        lambda: room.accelerator.request_beam(memory.cycle_code),
        lambda: room.sensors.measure_background(1.0),
    ):
        with pytest.raises(SimulatedCrash):
            call()


def test_a_crash_between_two_spills_comes_with_the_next_call(
    line: BeamLine, control: tuple[LawSettings, SliceMemory]
):
    room = SimulatedRoom(
        true_line_of(line), 1, 42, faults=(Fault("process", "kill", spill=1, at_us=2_000_000),)
    )
    run_spill(room, *control)
    room.sensors.read(6_000_000)
    with pytest.raises(SimulatedCrash):
        room.sensors.read(7_000_000)
    assert len(room.history) == 1


def test_spills_go_on_where_others_ended(line: BeamLine):
    """A room that begins with spill 2 has the random numbers of spill 2, and its faults."""
    settings, memory = control_of(line, small_field(line))
    fault = Fault("int1", "dead", spill=2, at_us=1000)
    one = SimulatedRoom(true_line_of(line), 1, 42, faults=(fault,))
    # A beam that is asked for and not used does not count.
    one.loop.load(settings, memory, one.accelerator.request_beam(memory.cycle_code))
    other = SimulatedRoom(true_line_of(line), 1, 42, faults=(fault,), spills_before=1)
    results = [run_spill(room, settings, memory)[1] for room in (one, other)]
    assert results[0].start_us == results[1].start_us
    assert results[0].truth is not None
    assert results[0].truth[0, 0] == results[1].truth[0, 0]
    assert other.history[0].spill == 2
    assert results[1].int2_counts > 2 * results[1].int1_counts > 0


def test_the_patient_interlock_system_keeps_what_it_was_told_between_spills(
    line: BeamLine, control: tuple[LawSettings, SliceMemory]
):
    fault = Fault("couch", "unlocked", spill=1, at_us=2_000_000, duration_us=1000)
    room = SimulatedRoom(true_line_of(line), 1, 42, faults=(fault,))
    _, first = run_spill(room, *control)
    _, second = run_spill(room, *control)
    assert COUCH not in first.interlocks["cause"]
    assert second.interlocks["cause"].tolist() == [COUCH]
    assert second.truth is not None
    assert second.truth[:, 0].sum() == 0


def test_a_chopper_that_stuck_open_is_open_when_the_next_spill_begins(
    line: BeamLine, control: tuple[LawSettings, SliceMemory]
):
    fault = Fault("chopper", "stuck_open", spill=1, at_us=5000)
    room = SimulatedRoom(true_line_of(line), 1, 42, faults=(fault,))
    room.loop.load(*control, room.accelerator.request_beam(control[1].cycle_code))
    while not room.loop.run(1000).finished:
        pass
    room.loop.result()
    room.loop.load(*control, room.accelerator.request_beam(control[1].cycle_code))
    assert room.loop._plant.beam[0].transmission == 1.0


def test_noise_is_seen_in_the_background(line: BeamLine):
    fault = Fault("int2", "noise", 5000.0, spill=1, at_us=-4_500_000)
    int1, int2 = SimulatedRoom(true_line_of(line), 1, 42, faults=(fault,)).sensors.measure_background(1.0)
    assert int1 <= 1.0
    assert int2 == pytest.approx(5000.0, abs=1.0)


def test_faults_that_the_line_cannot_have(line: BeamLine):
    with pytest.raises(
        FaultError, match=r"fault\[0\]: value is 128, but channels of strip_x go from 0 to 127"
    ):
        SimulatedRoom(true_line_of(line), 1, 42, faults=(Fault("strip_x", "dead_channel", 128.0),))
    with pytest.raises(FaultError, match=r"fault\[1\]: 'a.b' is not a kind of fault"):
        SimulatedRoom(true_line_of(line), 1, 42, faults=(Fault("int1", "dead"), Fault("a", "b")))


def test_the_line_of_a_wrong_element_has_optics(tmp_path: Path):
    """With one ripple filter of two the line knows no size: the beam stays as it was."""
    line = short_line(tmp_path / "line")
    room = SimulatedRoom(
        true_line_of(line), 1, 42, ("RIFI1", "RIFI2"), faults=(Fault("passive_elements", "removed"),)
    )
    settings, memory = control_of(line, small_field(line))
    room.loop.load(settings, memory, room.accelerator.request_beam(memory.cycle_code))
    shares = SimulatedRoom(true_line_of(line), 1, 42, ("RIFI1", "RIFI2"))
    shares.loop.load(settings, memory, shares.accelerator.request_beam(memory.cycle_code))
    np.testing.assert_array_equal(room.loop._truth.strip_x.shares, shares.loop._truth.strip_x.shares)
