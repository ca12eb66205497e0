"""Deliveries with a cyclotron: its times, by hand and in closed loop, and interlocks without spills."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spotline import BeamLine, Record, load_beamline, prepare, read_plan, resume
from spotline.control import interlocks
from spotline.delivery.field import FRUITLESS_PAUSES
from spotline.machine.accelerator import Degrader
from spotline.machine.true_line import true_line_of
from spotline.plan import Plan
from spotline.room import Accelerator, Broadcast, Room
from spotline.sim.faults import Fault
from spotline.sim.room import SimulatedRoom
from spotline.treatment import FieldTreatment
from spotline.treatment.duration import predict_duration
from tests.delivery.deliveries import PROTON, causes, deliver
from tests.lines.cyclotron import cyclotron_line, write_cyclotron_line
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, square

LINE = cyclotron_line()
CLOSING_s = 650e-6  # chopper, then late charge
LAG_s = 400e-6 / 6  # counts behind the beam
PER_s = 6e7  # carbon, full intensity
FULL: dict[str, Any] = {"intensity": 1.0, "order": "planned"}
FIRST, SECOND = CARBON_MeV_u[0], CARBON_MeV_u[1]

DOWN_UP_SAME = plan_of(
    field(
        square(3, 4.0, 1e6, energy_MeV_u=FIRST),
        square(3, 4.0, 1e6, index=1, energy_MeV_u=SECOND),
        square(3, 4.0, 1e6, index=2, energy_MeV_u=FIRST),
    )
)


def starts_us(record: Record) -> list[int]:
    """Start of every beam, on the clock of its field."""
    return record.fields[0].spills["start_us"].tolist()


def ends_us(record: Record) -> list[int]:
    return record.fields[0].spills["end_us"].tolist()


def on_the_clock(time_us: float) -> int:
    return math.ceil(time_us / 1000) * 1000


@pytest.fixture(scope="module")
def down_and_up(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return deliver(DOWN_UP_SAME, LINE, tmp_path_factory.mktemp("up") / "out", seed=1)


# Times


def test_prediction_by_hand():
    """Switching times by direction and by size of step, and the beam of each slice in between."""
    (treatment,) = prepare(DOWN_UP_SAME, LINE).fields
    found = predict_duration(treatment, LINE)
    assert FIRST > SECOND
    down_s = 0.6 + 0.001 * (FIRST - SECOND)
    assert [s.gap_s for s in found.slices] == pytest.approx([3.0, CLOSING_s + down_s, 2 * CLOSING_s + 5.0])
    for slice_, prepared in zip(found.slices, treatment.slices, strict=True):
        beam_s = float(prepared.particles.sum()) / prepared.particles_per_s + LAG_s
        assert slice_.beam_on_s == pytest.approx(beam_s + 0.001 / 2)  # half of the rise
        assert (slice_.spills, slice_.spills_sd, slice_.pause_s) == (1.0, 0.0, 0.0)
    assert found.total.treatment_s == pytest.approx(
        3.0 + down_s + 5.0 + 3 * CLOSING_s + sum(s.beam_on_s for s in found.slices)
    )


def test_beam_comes_when_its_energy_is_set(down_and_up: Record):
    """To the microsecond: counted from the last sample of the beam before."""
    assert down_and_up.summary["status"] == "complete"
    starts, ends = starts_us(down_and_up), ends_us(down_and_up)
    down_us = round((0.6 + 0.001 * (FIRST - SECOND)) * 1e6)
    assert starts == [3_000_000, on_the_clock(ends[0] + down_us), on_the_clock(ends[1] + 5_000_000)]
    assert causes(down_and_up) == []


def test_prediction_against_the_closed_loop(down_and_up: Record):
    (treatment,) = prepare(DOWN_UP_SAME, LINE).fields
    total = predict_duration(treatment, LINE).total
    summary = down_and_up.summary
    assert summary["spills"] == total.spills == 3
    # Beam starts on a millisecond; ripple and gains take a few percent of a third of a second of beam.
    assert summary["treatment_s"] == pytest.approx(total.treatment_s, abs=0.02)
    assert summary["beam_on_s"] == pytest.approx(total.beam_on_s, rel=0.05)


def test_a_layer_longer_than_a_beam_is_granted(tmp_path: Path):
    """It asks again for the same energy, and the prediction knows."""
    line = cyclotron_line(longest_beam_s=0.5)
    plan = plan_of(field(square(3, 4.0, 1.2e6 * 5)))
    (treatment,) = prepare(plan, line).fields
    total = predict_duration(treatment, line).total
    record = deliver(plan, line, tmp_path, seed=2)
    spills = record.fields[0].spills
    assert record.summary["status"] == "complete"
    assert len(spills) == total.spills
    assert len(spills) > 1
    assert causes(record) == []
    np.testing.assert_allclose(spills["end_us"][:-1] - spills["start_us"][:-1], 500_000, atol=2_000)
    again_us = [on_the_clock(end + 100_000) for end in ends_us(record)[:-1]]
    assert starts_us(record)[1:] == again_us
    assert record.summary["treatment_s"] == pytest.approx(total.treatment_s, rel=0.02)


def test_the_degrader_takes_intensity(tmp_path: Path):
    """A third at the energy of the plan: the beam takes three times as long, predicted and delivered."""
    steady = {"simulation.spill.ripple_rms": 0.0, "simulation.spill.noise_rms": 0.0}
    third = cyclotron_line(
        degrader=Degrader(energy_MeV_u=400.0, transmission=((100.0, 1 / 3), (400.0, 1 / 3)))
    )
    plan = plan_of(field(square(3, 4.0, 2e6)))
    on_s = []
    for name, line in (("full", with_facts(LINE, steady)), ("third", with_facts(third, steady))):
        (treatment,) = prepare(plan, line).fields
        predicted = predict_duration(treatment, line).total.beam_on_s
        record = deliver(plan, line, tmp_path / name, seed=3)
        assert record.summary["status"] == "complete"
        assert record.summary["beam_on_s"] == pytest.approx(predicted, rel=0.02)
        on_s.append(predicted)
    assert on_s[1] == pytest.approx(3 * on_s[0], rel=0.01)


def test_published_switching_times(shared_plans: Path, tmp_path: Path):
    """The shipped line with a gantry: 0.6 s down, 6 s up, and not a cycle of anything."""
    line = load_beamline("dcpt-like")
    plan = read_plan(shared_plans / "dcpt" / "eclipse_sobp_plan.dcm")
    (treatment,) = prepare(plan, line).fields
    energies = [s.energy_MeV_u for s in treatment.slices]
    assert energies == sorted(energies, reverse=True)
    total = predict_duration(treatment, line).total
    beam_s = sum(float(s.particles.sum()) / s.particles_per_s for s in treatment.slices)
    by_hand_s = 6.0 + 20 * 0.6 + beam_s + 21 * (CLOSING_s + LAG_s + 0.0005 / 2)
    assert total.treatment_s == pytest.approx(by_hand_s + total.pause_s, rel=1e-3)
    record = deliver(plan, line, tmp_path / "out", seed=1)
    ends, starts = ends_us(record), starts_us(record)
    assert starts == [6_000_000, *(on_the_clock(end + 600_000) for end in ends[:-1])]
    assert record.summary["treatment_s"] == pytest.approx(total.treatment_s, rel=0.02)


# Interlocks


def test_beam_that_stops_is_a_pause_and_asked_for_again(tmp_path: Path):
    """No ring is empty here: without counts the beam is missing, and comes back with its own energy."""
    fault = Fault("beam", "stops", None, 1, 30_000, 100_000)
    record = deliver(plan_of(field(square(3, 4.0, 1e6))), LINE, tmp_path, seed=1, faults=[fault])
    assert record.summary["status"] == "complete"
    assert causes(record) == [("no counts", "pause")]
    starts, ends = starts_us(record), ends_us(record)
    assert starts == [3_000_000, on_the_clock(ends[0] + 100_000)]


def test_beam_that_does_not_come_stops_the_treatment(tmp_path: Path):
    fault = Fault("beam", "stops", None, 1, 0, None)
    record = deliver(plan_of(field(square(3, 4.0, 1e6))), LINE, tmp_path, seed=1, faults=[fault])
    assert record.summary["status"] == "interlock"
    assert {name for name, _ in causes(record)} == {"no counts"}
    assert record.summary["spills"] == FRUITLESS_PAUSES


def test_a_fault_of_a_later_beam_waits_for_it(tmp_path: Path):
    """When the second beam comes is known only when it is asked for."""
    fault = Fault("couch", "unlocked", None, 2, 5_000, 1_000)
    line = load_beamline(write_cyclotron_line(tmp_path / "line"))
    record = deliver(DOWN_UP_SAME, line, tmp_path / "out", seed=1, faults=[fault])
    assert record.summary["status"] == "interlock"
    (row,) = record.fields[0].interlocks
    assert (row["cause"], row["spill"]) == (interlocks.COUCH, 2)
    assert row["time_us"] == starts_us(record)[1] + 5_000
    after = resume(
        tmp_path / "out", operator="a physicist", reason="locked", plan=DOWN_UP_SAME, documents=False
    )
    assert after.summary["status"] == "complete"
    # The energy is set anew by whoever goes on.
    assert starts_us(after)[2] - ends_us(after)[1] >= 3_000_000


def test_a_chopper_that_sticks_is_no_matter_of_ten_seconds(tmp_path: Path):
    """The beam is there for ten seconds, but the second path ends it."""
    fault = Fault("chopper", "stuck_open", None, 1, 10_000, None)
    record = deliver(plan_of(field(square(3, 4.0, 1e6))), LINE, tmp_path, seed=1, faults=[fault])
    assert ("beam when off", "stop") in causes(record)
    assert ends_us(record)[0] - starts_us(record)[0] < 200_000


# The gantry


class Listening:
    """An accelerator that remembers the angles it was told."""

    def __init__(self, behind: Accelerator) -> None:
        self._behind = behind
        self.angles_deg: list[float | None] = []

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        self.angles_deg.append(gantry_angle_deg)
        return self._behind.request_beam(code, after_us, gantry_angle_deg)

    def beam_off(self) -> None:
        self._behind.beam_off()


def test_the_room_hears_the_gantry_angle(line: BeamLine, tmp_path: Path):
    heard: list[Listening] = []

    def make_room(treatment: FieldTreatment) -> Room:
        room = SimulatedRoom(true_line_of(line), treatment.field.number, 1)
        heard.append(Listening(room.accelerator))
        return Room(heard[-1], room.loop, room.sensors)

    plan: Plan = read_plan(PROTON)
    deliver(plan, line, tmp_path, make_room=make_room)
    (accelerator,) = heard
    assert plan.fields[0].gantry_angle_deg == 90.0
    assert accelerator.angles_deg == [90.0] * 3


def test_the_number_of_beams_is_not_limited():
    """What a synchrotron would refuse as too many spills is only long."""
    plan = plan_of(field(layer(meterset=np.array([1e12]))))
    (treatment,) = prepare(plan, LINE).fields
    assert predict_duration(treatment, LINE).total.spills > 1000
