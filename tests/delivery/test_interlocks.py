"""Interlocks from end to end: a fault of the room, the command line, and what is in the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from spotline import BeamLine, FieldTreatment, Record, open_record
from spotline.control.interlocks import CAUSES
from spotline.control.memory import LawSettings, SliceMemory
from spotline.delivery.field import FRUITLESS_PAUSES
from spotline.dicom.write_plan import write_ion_plan
from spotline.faces import cli
from spotline.machine.true_line import true_line_of
from spotline.plan import Plan
from spotline.record.spill_file import spill_path
from spotline.room import Accelerator, Broadcast, Room
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.room import SimulatedRoom
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.deliveries import CARBON, PROTON, astray_in, causes, deliver
from tests.lines.edit import copy_line, edit
from tests.lines.facts import with_facts
from tests.rooms import LoopBehind
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, square

SEVERAL_SECONDS = plan_of(
    field(square(3, 4.0, 1.2e7), square(3, 4.0, 1.2e7, index=1, energy_MeV_u=CARBON_MeV_u[1]))
)
"""Two spills for each of two slices, and a second of beam in each."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the room, and what is to come of it.

    Attributes
    ----------
    plan : Path or Plan
    changes : tuple of (str, str)
        In the file of the beam line cnao-h.
    interlock : str
        Cause that stops the treatment.
    spills : int
        Spills that are used.
    spots : tuple of int
        Least and largest number of spots that are delivered whole.
    """

    plan: Path | Plan
    changes: tuple[tuple[str, str], ...]
    interlock: str
    spills: int
    spots: tuple[int, int]


WARM = (
    ("temperature_C = 22.0", "temperature_C = 25.9"),
    ("temperature_noise_C = 0.02", "temperature_noise_C = 0.0"),
)


FAULTS = {
    "chambers disagree": Fault(PROTON, (("int2_gain = 0.999", "int2_gain = 0.8"),), "int ratio", 1, (0, 0)),
    "chambers disagree a little": Fault(
        plan_of(field(layer([0.0, 3.0], 0.0, [1e6, 1.5e7]))),
        (("int2_gain = 0.999", "int2_gain = 0.99"),),
        "int difference",
        1,
        (1, 1),
    ),
    "first chamber is dead": Fault(
        PROTON, (("int1_gain = 1.002", "int1_gain = 1e-9"),), "int ratio", 1, (0, 0)
    ),
    "too many particles": Fault(
        CARBON,
        (("largest_intensity_per_s = 5.0e8", "largest_intensity_per_s = 7.0e7"),),
        "intensity",
        1,
        (0, 200),
    ),
    "high voltage": Fault(
        CARBON,
        (("high_voltage_V = 400.0                  # [DDS Table 5]", "high_voltage_V = 390.0 #"),),
        "high voltage BOX1",
        0,
        (0, 0),
    ),
    "background": Fault(
        CARBON, (("background_fA = 50.0", "background_fA = 3000.0"),), "background", 0, (0, 0)
    ),
    "warm gas": Fault(
        CARBON, (("temperature_C = 22.0", "temperature_C = 26.5"),), "gas temperature BOX1", 0, (0, 0)
    ),
    "gas warms up during a spill": Fault(
        SEVERAL_SECONDS,
        (*WARM, ("temperature_drift_C_per_h = 0.2", "temperature_drift_C_per_h = 72.0")),  # 26 C after 5 s
        "gas temperature BOX1",
        1,
        (1, 7),
    ),
    "gas is too warm when the first spill begins": Fault(
        SEVERAL_SECONDS,
        (*WARM, ("temperature_drift_C_per_h = 0.2", "temperature_drift_C_per_h = 100.0")),  # 26 C after 3.6 s
        "gas temperature BOX1",
        1,
        (0, 0),
    ),
    "gas warms up between spills": Fault(
        SEVERAL_SECONDS,
        (*WARM, ("temperature_drift_C_per_h = 0.2", "temperature_drift_C_per_h = 47.0")),  # 26 C after 7.7 s
        "gas temperature BOX1",
        1,
        (6, 8),
    ),
    "pressure falls during the second spill": Fault(
        SEVERAL_SECONDS,
        (
            ("pressure_Pa = 100500.0", "pressure_Pa = 90100.0"),
            ("pressure_drift_Pa_per_h = 50.0", "pressure_drift_Pa_per_h = -40000.0"),  # 90 kPa after 9 s
            ("pressure_noise_Pa = 10.0", "pressure_noise_Pa = 0.0"),
        ),
        "gas pressure BOX1",
        2,
        (6, 8),
    ),
}


def run_cli(fault: Fault, folder: Path) -> Record:
    """Deliver with the command line, on a beam line that has the fault; return the record."""
    toml = copy_line("cnao-h", folder / "line")
    edit(toml, *fault.changes)
    plan = fault.plan
    if isinstance(plan, Plan):
        plan = folder / "plan.dcm"
        write_ion_plan(replace(fault.plan, path=plan), plan)
    out = folder / "out"
    arguments = ["deliver", str(plan), "--beamline", str(toml), "--out", str(out), "--seed", "1"]
    assert cli.run(arguments) == 3
    return open_record(out)


def parts_by_hand(record: Record) -> dict[tuple[int, int], float]:
    """Particles of every spot, from the spill files without the reader of records."""
    (field_record,) = record.fields
    slices = read_treatment_file(field_record.path).slices
    found: dict[tuple[int, int], float] = {}
    for path in sorted(field_record.path.glob("spills/*.h5")):
        with h5py.File(path) as file:
            parts, spots = file["measured/parts"][()], file["control/spots"][()]
        (index,) = field_record.spills["slice"][field_record.spills["spill"] == int(path.stem[-4:])]
        for part in parts:
            spot = int(spots[part["spot"]])
            particles = part["int1_counts"] * slices[index].particles_per_count1[spot]
            found[index, spot] = found.get((index, spot), 0.0) + particles
    return {key: particles for key, particles in found.items() if particles > 0.0}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    fault = FAULTS[name]
    record = run_cli(fault, tmp_path)
    printed = capsys.readouterr()
    summary, (stopped,) = record.summary, record.fields
    assert summary["status"] == stopped.header["status"] == "interlock"
    cause, action = causes(record)[0]
    assert (cause, action) == (fault.interlock, "inhibit" if cause == "background" else "stop")
    assert fault.interlock in printed.out
    assert summary["spills"] == len(stopped.spills) == fault.spills
    low, high = fault.spots
    assert low <= summary["spots_delivered"] == np.count_nonzero(stopped.spots["complete"]) <= high
    if fault.spills:
        assert stopped.spills["request"][-1] in (0, 1), "no next slice is asked for"

    # Everything that was delivered is in the record, the spot that was interrupted with the rest.
    measured = parts_by_hand(record)
    of_spots = {
        (int(s["slice"]), int(s["spot"])): s["particles"] for s in stopped.spots if s["particles"] > 0
    }
    assert of_spots == pytest.approx(measured)
    assert summary["particles_delivered"] == pytest.approx(sum(measured.values()))
    assert {p.name for p in stopped.path.iterdir()} >= {
        "DDS_treatment.h5",
        "field.json",
        "log.json",
        "record.dcm",
    }


@pytest.mark.parametrize("name", FAULTS)
def test_interlock_is_described(name: str, tmp_path: Path):
    record = run_cli(FAULTS[name], tmp_path)
    (stopped,) = record.fields
    row, described = stopped.interlocks[0], record.summary["interlocks"][0]
    cause = CAUSES[int(row["cause"])]
    assert (described["cause"], described["unit"]) == (cause.name, cause.unit)
    assert described["time_s"] == pytest.approx(row["time_us"] * 1e-6)
    if described["value"] is not None:
        assert described["value"] == row["value"]
    assert described["limit"] == pytest.approx(row["limit"])
    if cause.source == "slow control":
        reading = stopped.slow_control[-1]
        assert row["value"] in reading.tolist()
        assert 0 <= row["time_us"] - reading["time_us"] < 500_000
    elif cause.name != "background":
        assert abs(row["value"]) >= row["limit"]


def test_ratio_to_a_dead_chamber(tmp_path: Path, capsys: pytest.CaptureFixture):
    """The ratio is infinite: JSON has no word for it."""
    record = run_cli(FAULTS["first chamber is dead"], tmp_path)
    assert record.fields[0].interlocks["value"][0] == np.inf
    assert record.summary["interlocks"][0]["value"] is None
    assert "int ratio at" in capsys.readouterr().out


def test_nothing_is_delivered_if_a_check_before_the_treatment_fails(tmp_path: Path):
    record = run_cli(FAULTS["high voltage"], tmp_path)
    assert causes(record) == [("high voltage BOX1", "stop"), ("high voltage BOX2", "stop")]
    (stopped,) = record.fields
    assert not (stopped.path / "spills").exists()
    assert len(stopped.spots) == len(stopped.spills) == len(stopped.trend) == 0
    assert stopped.slices["spots_delivered"].tolist() == [0]
    assert stopped.interlocks["time_us"].tolist() == stopped.interlocks["spill"].tolist() == [0, 0]
    assert len(stopped.slow_control) == 1
    assert record.summary["particles_delivered"] == record.summary["beam_on_s"] == 0.0


def test_stop_during_a_spill_and_between(tmp_path: Path):
    during = run_cli(FAULTS["gas warms up during a spill"], tmp_path / "during").fields[0]
    assert during.interlocks["time_us"].tolist() == [5_000_000] * 2, "in both boxes"
    assert during.spills["start_us"][-1] < 5_000_000 <= during.spills["end_us"][-1] < 5_001_000
    assert not during.spots["complete"][-1]
    between = run_cli(FAULTS["gas warms up between spills"], tmp_path / "between").fields[0]
    assert between.interlocks["time_us"].tolist() == [8_000_000] * 2
    assert between.interlocks["spill"].tolist() == [2, 2], "the one that was asked for and not taken"
    assert between.spills["end_us"][-1] < 8_000_000


def test_beam_that_goes_astray(line: BeamLine, tmp_path: Path):
    """Three spills in a row without a complete spot: it will not get better."""
    record = deliver(SEVERAL_SECONDS, line, tmp_path, make_room=astray_in(line, range(2, 100)))
    (stopped,) = record.fields
    assert record.summary["status"] == "interlock"
    assert {action for _, action in causes(record)} == {"pause"}
    assert stopped.spills["spots_completed"].tolist()[1:] == [0] * FRUITLESS_PAUSES
    assert stopped.spills["spots_completed"][0] > 0
    assert set(stopped.interlocks["spill"]) == {2, 3, 4}


def test_a_spot_in_between_starts_the_count_again(line: BeamLine, tmp_path: Path):
    record = deliver(SEVERAL_SECONDS, line, tmp_path, make_room=astray_in(line, {1, 2, 4, 5}))
    assert record.summary["status"] == "complete"
    completed = record.fields[0].spills["spots_completed"] > 0
    assert completed.tolist()[:6] == [False, False, True, False, False, True]


def test_no_beam_comes(line: BeamLine, tmp_path: Path):
    """The magnets never settle, so the beam is never switched on; background must not deliver the spots."""
    blind = with_facts(line, {"control.settled_current_A": 1e-9})
    record = deliver(SEVERAL_SECONDS, blind, tmp_path)
    assert record.summary["status"] == "interlock"
    assert record.summary["spills"] == FRUITLESS_PAUSES
    assert record.summary["beam_on_s"] == 0.0
    assert record.summary["spots_delivered"] == 0


def wrongly_mounted(*names: str) -> Callable[[BeamLine], Callable[[FieldTreatment], SimulatedRoom]]:
    return lambda line: lambda treatment: SimulatedRoom(true_line_of(line), treatment.field.number, 0, names)


class WrongCode:
    """The timing system broadcasts another cycle-code with the third spill."""

    def __init__(self, behind: Accelerator) -> None:
        self._behind = behind

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        broadcast = self._behind.request_beam(code, after_us)
        return replace(broadcast, code=code + (broadcast.extraction_start_us > 10_000_000))

    def beam_off(self) -> None:
        self._behind.beam_off()


class Forgetful(LoopBehind):
    """In the second spill one count of one spot does not reach the memory boards."""

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        if broadcast.extraction_start_us > 5_000_000:
            counts = memory.int1_counts.copy()
            counts[0] += 1
            memory = memory._replace(int1_counts=counts)
        return super().load(settings, memory, broadcast)


@pytest.mark.parametrize("names", [("RIFI1",), ("RIFI1", "RIFI2"), ("RW3-10mm",)])
def test_wrong_passive_elements(names: tuple[str, ...], line: BeamLine, tmp_path: Path):
    record = deliver(CARBON, line, tmp_path, make_room=wrongly_mounted(*names)(line))
    assert record.summary["status"] == "interlock"
    assert causes(record) == [("passive elements", "stop")]
    assert record.summary["interlocks"][0]["value"] == len(names)
    assert record.summary["spills"] == 0


def test_missing_passive_elements(line: BeamLine, tmp_path: Path):
    from spotline import PassiveElement

    plan = plan_of(field(passive=(PassiveElement("range_shifter", "RW3-10mm"),)))
    record = deliver(plan, line, tmp_path / "without", make_room=wrongly_mounted()(line))
    assert causes(record) == [("passive elements", "stop")]
    record = deliver(plan, line, tmp_path / "with", make_room=wrongly_mounted("RW3-10mm")(line))
    assert record.summary["status"] == "complete"
    assert record.fields[0].header["passive_elements"] == ["RW3-10mm"]


def test_wrong_cycle_code(line: BeamLine, tmp_path: Path):
    """The spill that is not the one asked for is not taken; what came before stays."""

    def make_room(treatment: FieldTreatment) -> Room:
        room = SimulatedRoom(true_line_of(line), treatment.field.number, 0)
        return Room(WrongCode(room.accelerator), room.loop, room.sensors)

    record = deliver(SEVERAL_SECONDS, line, tmp_path, make_room=make_room)
    (stopped,) = record.fields
    assert record.summary["status"] == "interlock"
    assert causes(record) == [("synchronization", "stop")]
    (row,) = stopped.interlocks
    assert (row["spill"], row["value"] - row["limit"]) == (3, 1.0)
    assert len(stopped.spills) == 2
    assert not spill_path(stopped.path, 3).exists()
    assert len(stopped.spots) >= 9


def test_memory_boards_that_hold_something_else(line: BeamLine, tmp_path: Path):
    """They acknowledge another hash: the spill ends before its beam, and nothing of it is delivered."""

    def make_room(treatment: FieldTreatment) -> Room:
        room = SimulatedRoom(true_line_of(line), treatment.field.number, 0, raw=True)
        return Room(room.accelerator, Forgetful(room.loop), room.sensors)

    record = deliver(SEVERAL_SECONDS, line, tmp_path, raw=True, make_room=make_room)
    (stopped,) = record.fields
    assert record.summary["status"] == "interlock"
    assert causes(record) == [("memory boards", "stop")]
    (row,) = stopped.interlocks
    first, second = stopped.spills
    assert (row["spill"], row["time_us"]) == (2, second["start_us"] - PRE_ROLL_us)
    assert second["end_us"] < 9_000_000, "the extraction would have begun"
    assert (second["beam_on_us"], second["int1_counts"]) == (0, 0)
    assert first["int1_counts"] > 0
