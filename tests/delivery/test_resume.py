"""Deliveries that were killed, lost power, or were stopped, and go on."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline import BeamLine, OptionError, OutputError, RecordError, open_record, resume
from spotline.control import interlocks
from spotline.delivery.progress import Progress
from spotline.delivery.unconfirmed import allowed_unconfirmed_counts, largest_unconfirmed_counts
from spotline.machine.true_line import true_line_of
from spotline.record.journal import SPILL, STORED, Journal, read_journal
from spotline.record.model import Record
from spotline.record.read import read_account
from spotline.record.recovered import read_state
from spotline.record.spill_file import read_spill, spill_path
from spotline.room import Room
from spotline.sim.disk import PowerLoss, SimulatedDisk
from spotline.sim.room import SimulatedRoom
from spotline.storage import Disk, only_one
from spotline.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.deliveries import PROTON, astray_in, deliver, hashes
from tests.delivery.killing import deliver_and_kill, stage_of, violations
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

WHO = {"operator": "a physicist", "reason": "the cause is gone"}


@pytest.fixture(scope="module")
def treatment(line: BeamLine) -> Treatment:
    return spotline.prepare(spotline.read_plan(PROTON), line)


def go_on(out: Path, **options) -> Record:
    return resume(out, **{**WHO, "documents": False, **options})


class Stop(BaseException):
    """The process ends here."""


def at(spots: int, spill: int = 0):
    def watch(progress: Progress) -> None:
        if progress.spots >= spots and progress.spill >= spill:
            raise Stop

    return watch


def killed(treatment: Treatment, out: Path, spots: int, **options) -> Path:
    with pytest.raises(Stop):
        spotline.deliver(treatment, out, seed=1, documents=False, progress=at(spots), **options)
    return out


def assert_exact(record: Record) -> None:
    """For every open spot the counts add up; in a whole field none is open."""
    for field_record in record.fields:
        account = read_account(field_record.path)
        for slice_, left, delivered, assumed in zip(
            read_treatment_file(field_record.path).slices,
            account.left1,
            account.delivered1,
            account.assumed1,
            strict=True,
        ):
            is_open = left > 0
            np.testing.assert_array_equal((delivered + assumed + left)[is_open], slice_.int1_counts[is_open])
        if field_record.header["status"] == "complete":
            assert account.is_complete


# Killed.


@pytest.mark.parametrize("number", range(20))
def test_killed_at_a_random_moment(number: int, treatment: Treatment, tmp_path: Path):
    """Everything that was confirmed is there, and the rest is delivered."""
    spotline.deliver(treatment, tmp_path / "warm", documents=False)  # the child need not compile
    out = tmp_path / "out"
    after_s = np.random.default_rng(number).uniform(0.0, 0.3)
    witnessed = deliver_and_kill(treatment, out, number, after_s)
    if stage_of(out) == "before anything was begun":
        with pytest.raises(RecordError, match="no delivery was begun there, deliver the plan into another"):
            go_on(out)
        assert witnessed is None
        return
    partial = open_record(out)
    assert partial.summary["status"] in ("interrupted", "complete")
    assert_exact(partial)
    record = go_on(out)
    assert violations(record, witnessed) == []
    assert_exact(record)


def test_killed_during_a_spill(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    partial = open_record(out)
    (part,) = partial.fields
    assert (partial.summary["status"], len(part.spills)) == ("interrupted", 2)
    assert 60 <= np.count_nonzero(part.spots["complete"]) < 98, "what was current when it was told, or more"
    begin = [e for e in read_journal(part.path / "journal.bin").entries if e.kind == SPILL][-1]
    slice_ = read_treatment_file(part.path).slices[1]
    facts, beam = treatment.beamline.facts, treatment.fields[0].beam
    assert begin.values["unconfirmed"] == largest_unconfirmed_counts(facts, beam, slice_)
    assert part.assumed["int1_counts"].sum() == largest_unconfirmed_counts(facts, beam, slice_)
    assert_exact(partial)
    before = hashes(out)

    record = go_on(out)
    (whole,) = record.fields
    assert (record.summary["status"], len(whole.spills)) == ("complete", 4)
    assert whole.assumed.tobytes() == part.assumed.tobytes()
    assert record.summary["assumed"]["int1_counts"] == part.assumed["int1_counts"].sum()
    (entry,) = record.summary["fields"]
    assert entry["assumed"]["spots"][0]["spot"] == part.assumed["spot"][0]
    (session,) = entry["sessions"]
    assert (session["operator"], session["reason"], session["spill"]) == (*WHO.values(), 3)
    recovered = read_spill(whole.path / "spills" / "spill-0002.h5")
    assert recovered.header.recovered
    assert recovered.parts["int1_counts"].sum() == partial.fields[0].spills["int1_counts"][1]
    assert {name: digest for name, digest in hashes(out).items() if name in before} == before
    assert_exact(record)


@pytest.mark.parametrize("is_published", [True, False], ids=["file published", "no file"])
def test_a_spill_file_that_was_not_noted_is_noted_by_its_hash(
    is_published: bool, treatment: Treatment, tmp_path: Path
):
    out = killed(treatment, tmp_path / "out", 60)
    path = out / "field-01" / "journal.bin"
    entries = read_journal(path).entries
    (stored,) = [number for number, entry in enumerate(entries) if entry.kind == STORED]
    path.unlink()
    with Journal(Disk(), path) as book:
        for entry in entries[:stored]:
            book.append(entry.kind, entry.values, entry.table)
    first = spill_path(out / "field-01", 1)
    if not is_published:
        first.unlink()
    record = go_on(out)
    assert record.summary["status"] == "complete"
    noted = read_state(out / "field-01").stored
    assert noted[1].recovered != is_published
    for number, entry in noted.items():
        content = spill_path(out / "field-01", number).read_bytes()
        assert entry.sha256 == hashlib.sha256(content).hexdigest()


def test_what_is_assumed_is_not_delivered_again(treatment: Treatment, tmp_path: Path):
    """The spill after the crash has only what is neither confirmed nor assumed."""
    out = killed(treatment, tmp_path / "out", 60)
    left = [left.copy() for left in read_account(out / "field-01").left1]
    go_on(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        spill = read_spill(out / "field-01" / "spills" / "spill-0003.h5")
    np.testing.assert_array_equal(spill.spots, np.flatnonzero(left[1]))


def test_again_and_again(treatment: Treatment, tmp_path: Path):
    """Killed in every session."""
    out = killed(treatment, tmp_path / "out", 10)
    for spots in (40, 70, 100, 130):
        with pytest.raises(Stop):
            go_on(out, progress=at(spots))
        partial = open_record(out)
        assert partial.summary["status"] == "interrupted"
        assert_exact(partial)
    record = go_on(out)
    assert violations(record, None) == []
    assert len(record.summary["fields"][0]["sessions"]) == 5
    assert len({row["spill"] for row in record.fields[0].assumed}) == 5


def test_with_raw_samples(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60, raw=True)
    assert go_on(out).summary["status"] == "complete"
    replayed = spotline.replay(out)
    assert [result.path.name for result in replayed] == ["spill-0001.h5", "spill-0003.h5", "spill-0004.h5"]
    assert not any(result.differences for result in replayed)


# Power.


def test_power_lost_at_any_step(treatment: Treatment, tmp_path: Path):
    """A step is a write, a confirmation, a reservation or a renaming."""
    disk = SimulatedDisk(np.random.default_rng(0))
    spotline.deliver(treatment, tmp_path / "whole", seed=1, documents=False, disk=disk)
    steps = sorted({*range(7, 16), *range(15, disk.steps, disk.steps // 16), disk.steps})
    begun = 0
    for step in steps:
        out = tmp_path / str(step)
        with pytest.raises(PowerLoss):
            spotline.deliver(
                treatment, out, seed=1, documents=False, disk=SimulatedDisk(np.random.default_rng(step), step)
            )
        if not (out / "delivery.json").exists():
            continue
        begun += 1
        assert_exact(open_record(out))
        record = go_on(out)
        assert violations(record, None) == []
        shutil.rmtree(out)
    assert begun > len(steps) // 2


def test_power_lost_while_it_is_resumed(treatment: Treatment, tmp_path: Path):
    """Recovering is itself recovered from."""
    killed(treatment, tmp_path / "killed", 60)
    for step in range(2, 24, 3):
        out = tmp_path / str(step)
        shutil.copytree(tmp_path / "killed", out)
        with pytest.raises(PowerLoss):
            go_on(out, disk=SimulatedDisk(np.random.default_rng(step), step))
        record = go_on(out)
        assert violations(record, None) == []
        assert len({row["spill"] for row in record.fields[0].assumed}) <= 2


# Stopped.


def test_stopped_by_interlocks(treatment: Treatment, line: BeamLine, tmp_path: Path):
    """Nothing is assumed: the spills were over."""
    out = tmp_path / "out"
    room = astray_in(line, range(2, 100), spill_offset_mm=60.0)
    stopped = spotline.deliver(treatment, out, seed=1, documents=False, make_room=room)
    assert stopped.summary["status"] == "interlock"
    assert_exact(stopped)
    record = go_on(out)
    assert record.summary["status"] == "complete"
    assert record.summary["assumed"]["int1_counts"] == 0
    assert record.summary["interlocks"] == stopped.summary["interlocks"]
    assert (record.fields[0].slow_control["time_us"][1:] >= 0).all()
    assert (np.diff(record.fields[0].spills["start_us"]) > 0).all()
    assert_exact(record)


@pytest.mark.parametrize(("temperature_C", "goes_on"), [(24.0, True), (25.5, False)])
def test_gas_must_be_what_counts_were_made_with(
    temperature_C: float, goes_on: bool, treatment: Treatment, line: BeamLine, tmp_path: Path
):
    """Within its interval in both cases; 25.5 degrees make it thinner by 1.2 % than at 22."""
    out = killed(treatment, tmp_path / "out", 60)
    warm = with_facts(line, {"simulation.gas.temperature_C": temperature_C})

    def make_room(field: FieldTreatment, *_: object) -> Room:
        return SimulatedRoom(true_line_of(warm), field.field.number, 1)

    record = go_on(out, make_room=make_room)
    latched = [row.cause for row in read_state(record.fields[0].path).latched]
    if goes_on:
        assert (record.summary["status"], latched) == ("complete", [])
    else:
        assert (record.summary["status"], latched) == ("interlock", [interlocks.GAS_DENSITY])
        assert len(record.fields[0].spills) == 2, "none after those of before"


def test_later_fields(line: BeamLine, tmp_path: Path):
    """The field that was under way, then those that never began."""
    plan = plan_of(
        field(square(5, 4.0, 1e5), number=2), field(square(3, 4.0, 1e5), number=4),
        field(square(3, 4.0, 1e5, energy_MeV_u=CARBON_MeV_u[1]), number=1),
    )  # fmt: skip
    out = tmp_path / "out"

    def watch(progress: Progress) -> None:
        if progress.field == 2 and progress.spots > 3:
            raise Stop

    with pytest.raises(Stop):
        deliver(plan, line, out, progress=watch)
    assert [f.number for f in open_record(out).fields] == [2, 4]
    with pytest.raises(RecordError, match=r"the plan was not read from a file"):
        go_on(out)
    record = go_on(out, plan=plan)
    assert [f.number for f in record.fields] == [2, 4, 1]
    assert record.summary["status"] == "complete"
    assert [len(f["sessions"]) for f in record.summary["fields"]] == [0, 1, 0]


def test_documents(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    resume(out, **WHO)
    assert spotline.open_record(out).summary["status"] == "complete"
    assert (out / "field-01" / "record.dcm").exists()


# Refused.


def test_complete(protons: Path):
    """Nothing is left to do, and nobody need say why."""
    before = {p: p.stat().st_mtime_ns for p in protons.rglob("*")}
    assert resume(protons, operator="", reason="").summary["status"] == "complete"
    assert {p: p.stat().st_mtime_ns for p in protons.rglob("*")} == before


@pytest.mark.parametrize("missing", ["operator", "reason"])
def test_nobody_says_why(missing: str, treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    with pytest.raises(OptionError, match=f"{missing} is missing"):
        resume(out, **{**WHO, missing: " "})


def test_other_line(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    with pytest.raises(RecordError, match=r"is not the beam line of this record .* --beamline"):
        go_on(out, beamline="cnao-v")
    assert go_on(out, beamline="cnao-h").summary["status"] == "complete"


def test_other_plan(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    copy = out / "plan" / PROTON.name
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(RecordError, match="is not the plan of this record"):
        go_on(out)
    copy.unlink()
    with pytest.raises(RecordError, match="no such file; restore the plan"):
        go_on(out)


def test_other_treatment(treatment: Treatment, tmp_path: Path):
    out, other = killed(treatment, tmp_path / "out", 60), tmp_path / "other"
    spotline.deliver(treatment, other, seed=2, documents=False)
    shutil.copy(other / "field-01" / "DDS_treatment.h5", out / "field-01")
    with pytest.raises(RecordError, match="seed is not that of the delivery"):
        go_on(out)


def test_other_spill_file(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    spill = out / "field-01" / "spills" / "spill-0001.h5"
    spill.write_bytes(spill.read_bytes() + b"\0")
    with pytest.raises(RecordError, match=r"is not the file that journal\.bin tells of"):
        go_on(out)


def test_altered_journal(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    path = out / "field-01" / "journal.bin"
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    for action in (open_record, go_on):
        with pytest.raises(RecordError, match="is altered, but there are entries behind it"):
            action(out)


def test_two_at_a_time(treatment: Treatment, tmp_path: Path):
    out = killed(treatment, tmp_path / "out", 60)
    with only_one(out / "delivery.lock"), pytest.raises(RecordError, match="another process is delivering"):
        go_on(out)


@pytest.mark.parametrize("key", ["plan", "plan_sha256", "beamline", "seed", "raw", "started", "fields"])
@pytest.mark.parametrize("value", [7.5, [], "", {"a": 1}, "missing"])
def test_other_delivery_json(key: str, value: object, treatment: Treatment, tmp_path: Path):
    """One clear error, and nothing is delivered."""
    out = tmp_path / "out"
    source = tmp_path.parent / "killed-for-json"
    if not source.exists():
        killed(treatment, source, 60)
    shutil.copytree(source, out)
    path = out / "delivery.json"
    content = json.loads(path.read_text())
    content[key] = value
    if value == "missing":
        del content[key]
    path.write_text(json.dumps(content))
    before = hashes(out)
    with pytest.raises((RecordError, OutputError)) as caught:
        go_on(out)
    assert "\n" not in str(caught.value)
    assert hashes(out) == before


# How far behind.


def test_journal_does_not_depend_on_the_blocks(treatment: Treatment, tmp_path: Path):
    journals = set()
    for block_us in (1000, 7000, 100_000):
        out = tmp_path / str(block_us)
        spotline.deliver(treatment, out, seed=1, documents=False, block_us=block_us)
        journals.add((out / "field-01" / "journal.bin").read_bytes())
    assert len(journals) == 1


def test_how_far_behind(treatment: Treatment):
    """By hand, from the beam line: three times 20 ms at the nominal intensity, and what is in flight."""
    facts, field_ = treatment.beamline.facts, treatment.fields[0]
    prepared = spotline.treatment.counts.convert_counts(field_, (1.0, 1.0), treatment.beamline)
    slice_ = prepared.slices[0]
    per_count = slice_.particles_per_count1
    credit = 3.0 * 0.02 * slice_.particles_per_s / np.mean(per_count)
    assert allowed_unconfirmed_counts(facts, slice_) == np.ceil(credit)
    in_flight_us = (
        25 + facts.chopper.off_delay_us + facts.chopper.off_ramp_us + facts.control.collection_time_us
    )
    more = largest_unconfirmed_counts(facts, field_.beam, slice_) - allowed_unconfirmed_counts(facts, slice_)
    assert more == pytest.approx(
        field_.beam.largest_intensity_per_s * in_flight_us * 1e-6 / per_count.min(), abs=1
    )
    assert (facts.control.recovery_credit, facts.control.recovery_period_us) == (3.0, 20_000)
