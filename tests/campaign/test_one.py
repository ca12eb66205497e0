"""One run: what it is judged by, and that each invariant can be violated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spotline import Treatment, open_record, prepare
from spotline.campaign import one
from spotline.campaign.bounds import Bound
from spotline.campaign.counts import check_counts
from spotline.campaign.invariants import (
    BEAM_OFF,
    COUNTS,
    EXCESS,
    FAILURE,
    FALSE_TRIP,
    INVARIANTS,
    LACK,
    names_of,
)
from spotline.campaign.row import SCHEMA, Row, rows_in, table_of
from spotline.campaign.setting import Setting
from spotline.campaign.watch import Watch
from spotline.delivery.run import deliver
from spotline.machine.true_line import true_line_of
from spotline.sim import settings as truths
from spotline.sim.disk import FaultyDisk
from spotline.sim.faults import Fault
from tests.lines.facts import with_facts

DEAD = Fault("int2", "dead", spill=1, at_us=300_000)


@pytest.fixture(scope="module")
def faultless(treatment: Treatment) -> Row:
    return one.run_one(Setting(treatment, 1), 0)


def test_nothing_fails(faultless: Row):
    assert faultless.violations == 0, faultless.remarks
    assert (faultless.outcome, faultless.detected_by, faultless.resumes) == ("complete", "", 0)
    assert not faultless.struck
    assert 0.0 < faultless.excess < faultless.excess_bound
    assert faultless.misplaced == 0.0
    assert faultless.spills == 3


def test_a_row_is_what_the_schema_says(faultless: Row):
    assert list(Row.__struct_fields__) == SCHEMA.names
    assert rows_in(table_of([faultless])) == [faultless]


def test_a_dead_chamber_is_found_and_the_treatment_resumed(treatment: Treatment, tmp_path: Path):
    row = one.run_one(Setting(treatment, 1, fixed=(DEAD,)), 0, keep=tmp_path / "kept")
    assert row.violations == 0, row.remarks
    assert (row.fault1, row.struck, row.outcome) == ("int2.dead", True, "resumed")
    assert row.detected_by.startswith("int ")
    assert 0 < row.detection_us < 100_000
    assert 0 < row.beam_off_us <= 500
    assert row.resumes == 1
    record = open_record(tmp_path / "kept")
    assert record.summary["status"] == "complete"
    assert len(record.fields[0].spills) == row.spills


def test_a_fault_that_begins_too_late_does_not_strike(treatment: Treatment):
    row = one.run_one(Setting(treatment, 1, fixed=(replace_at(DEAD, spill=9),)), 0)
    assert (row.struck, row.outcome, row.violations) == (False, "complete", 0)


def replace_at(fault: Fault, **changes: Any) -> Fault:
    return Fault(**{name: changes.get(name, getattr(fault, name)) for name in fault.__struct_fields__})


def test_an_event_that_comes_too_early_is_no_false_trip(treatment: Treatment):
    early = Fault("timing", "shift_start", value=-16_319.0, spill=2, at_us=-2_770)
    row = one.run_one(Setting(treatment, 1, fixed=(early,)), 0)
    assert row.violations == 0, row.remarks
    assert (row.struck, row.detected_by) == (True, "unexpected event")
    assert row.detection_us >= 0


def test_too_many_particles_are_a_violation(treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        one, "bound_of", lambda *_: Bound(np.full(128, 10.0), -1e9, 500.0, np.full(128, 1e9), 1e9)
    )
    row = one.run_one(Setting(treatment, 1), 0)
    assert row.violations == EXCESS
    assert "particles too many, bound 10" in row.remarks
    assert "field: " in row.remarks


def test_too_few_particles_are_a_violation_unless_something_failed(
    treatment: Treatment, monkeypatch: pytest.MonkeyPatch
):
    bound = Bound(np.full(128, 1e9), 1e9, 1e9, np.full(128, 10.0), 20.0)
    monkeypatch.setattr(one, "bound_of", lambda *_: bound)
    row = one.run_one(Setting(treatment, 1), 0)
    assert row.violations == LACK
    assert "particles, bound 10" in row.remarks
    assert "field: lacks" in row.remarks
    assert one.run_one(Setting(treatment, 1, fixed=(DEAD,)), 0).violations == 0


@pytest.mark.parametrize(
    ("factor", "violated"),
    [(1.03, LACK), (1.005, LACK), (1.0, 0), (0.97, EXCESS)],
)
def test_chambers_that_count_what_nobody_knows_of(
    factor: float, violated: int, treatment: Treatment, monkeypatch: pytest.MonkeyPatch
):
    """Both chambers: they agree, and the true line, from which the bounds are, has it not."""
    real = truths.plant_settings

    def other(*given: Any) -> Any:
        plant, *others = real(*given)
        gains = {
            name: getattr(plant.integrals, name) * factor
            for name in ("int1_counts_per_particle", "int2_counts_per_particle")
        }
        return plant._replace(integrals=plant.integrals._replace(**gains)), *others

    monkeypatch.setattr(truths, "plant_settings", other)
    row = one.run_one(Setting(treatment, 1), 0)
    assert row.violations & (EXCESS | LACK) == violated, row.remarks
    assert not violated or "field: " in row.remarks


def test_a_late_last_ion_is_a_violation(treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    real = one.bound_of
    monkeypatch.setattr(one, "bound_of", lambda *facts: replace(real(*facts), beam_off_us=100.0))
    row = one.run_one(Setting(treatment, 1, fixed=(DEAD,)), 0)
    assert row.violations == BEAM_OFF
    assert "us after the interlock, bound 100 us" in row.remarks


def test_an_interlock_without_a_fault_is_a_violation(treatment: Treatment):
    narrow = with_facts(treatment.beamline, {"fast_interlocks.position_mm": 0.1})
    row = one.run_one(Setting(prepare(treatment.plan, narrow), 1), 0)
    assert row.violations & FALSE_TRIP
    assert "position" in row.remarks
    assert "before anything had failed" in row.remarks


def test_an_error_of_the_program_is_a_violation(treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such\nthing")

    monkeypatch.setattr(one, "deliver", broken)
    row = one.run_one(Setting(treatment, 1), 0)
    assert (row.violations, row.outcome) == (FAILURE, "failed")
    assert row.remarks == "RuntimeError: no such thing"


def test_counts_that_do_not_add_up_are_found(treatment: Treatment, tmp_path: Path):
    watch = Watch(true_line_of(treatment.beamline), 3, lambda _: (), FaultyDisk())
    deliver(treatment, tmp_path / "out", seed=3, make_room=watch.room, documents=False)
    folder, spills = tmp_path / "out" / "field-01", watch.spills_of(1)
    assert check_counts(folder, spills, True) == []
    assert check_counts(folder, spills, False) == [
        "the field is said to be interrupted, and 0 counts are left"
    ]
    (folder / "spills" / "spill-0002.h5").rename(tmp_path / "taken away")
    lost = check_counts(folder, spills, True)
    assert any(remark.endswith("us: was delivered, but is not in the record") for remark in lost)
    assert any(remark.endswith("counts are left") for remark in lost)
    (tmp_path / "taken away").rename(folder / "spills" / "spill-0002.h5")
    spills[1].int1_left[0] += 1
    (wrong,) = check_counts(folder, spills, True)
    assert wrong.startswith("spill 2, slice 0, spot ")
    assert "counts were loaded" in wrong


def test_counts_are_judged(treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(one, "check_counts", lambda *_: ["a count is missing"])
    row = one.run_one(Setting(treatment, 1), 0)
    assert (row.violations, row.remarks) == (COUNTS, "a count is missing")


def test_names_of_bits():
    assert names_of(0) == ()
    assert names_of(EXCESS | COUNTS) == ("excess", "counts")
    assert len({i.bit for i in INVARIANTS}) == len({i.name for i in INVARIANTS}) == 6


def test_a_simulated_room_that_fails_by_itself_is_a_defect(
    treatment: Treatment, monkeypatch: pytest.MonkeyPatch
):
    """It would else pass for a room that is simulated to fail."""
    from spotline.sim.fast_loop import SimulatedLoop

    run, calls = SimulatedLoop.run, []

    def broken(self: SimulatedLoop, max_samples: int):
        calls.append(max_samples)
        if len(calls) == 30:
            raise IndexError("index 128 is out of bounds")
        return run(self, max_samples)

    monkeypatch.setattr(SimulatedLoop, "run", broken)
    row = one.run_one(Setting(treatment, 7, ()), 0)
    assert "failure" in names_of(row.violations)
    assert "index 128 is out of bounds" in row.remarks
