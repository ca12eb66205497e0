"""One run of a campaign: deliver with faults, resume without them, judge with the truth."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spotline.campaign.bounds import Bound, bound_of
from spotline.campaign.counts import check_counts
from spotline.campaign.invariants import BEAM_OFF, COUNTS, EXCESS, FAILURE, FALSE_TRIP, LACK
from spotline.campaign.leash import folder_in_memory, prefix
from spotline.campaign.peak import known_peak_dose_Gy
from spotline.campaign.received import Received, received_of
from spotline.campaign.row import Row
from spotline.campaign.setting import Drawn, Setting, draw_run
from spotline.campaign.watch import Watch, Watched
from spotline.control.interlocks import CAUSES, ROOM_ANSWER, ROOM_FAILURE
from spotline.delivery.resume import resume
from spotline.delivery.run import deliver
from spotline.machine.true_line import true_line_of
from spotline.record.model import Record
from spotline.sim.disk import FaultyDisk, SimulatedDisk
from spotline.sim.faults import Fault, SimulatedCrash
from spotline.treatment.treatment import FieldTreatment

RESUMES = 3
"""A delivery that stops so often again although nothing fails any more is given up."""

COMPLETE, PAUSED, RESUMED, STOPPED, FAILED = "complete", "paused", "resumed", "stopped", "failed"


@dataclass(slots=True)
class _Story:
    """How a run went.

    Attributes
    ----------
    record : Record or None
        What stands in the folder at last; None if there is nothing whole.
    resumes : int
    failure : str
        The error of the program that ended it, if one did.
    """

    record: Record | None = None
    resumes: int = 0
    failure: str = ""


@dataclass(slots=True)
class _Verdict:
    """Invariants that did not hold, and what is to be said about them."""

    violations: int = 0
    remarks: list[str] = field(default_factory=list)

    def add(self, bit: int, remark: str) -> None:
        self.violations |= bit
        self.remarks.append(remark)


def run_one(setting: Setting, number: int, keep: Path | None = None) -> Row:
    """Make one run.

    Parameters
    ----------
    setting : Setting
    number : int
        Of the run, from 0.
    keep : Path, optional
        Where to put what was delivered, a new folder; by default it is thrown away.

    Returns
    -------
    Row
        Of the table: the same for the same setting and number, wherever it is made.
    """
    drawn = draw_run(setting, number)
    struck_field = setting.treatment.fields[drawn.field].field.number

    def faults_of(field_number: int) -> tuple[Fault, ...]:
        return drawn.faults if field_number == struck_field else ()

    # Remembering what is not confirmed takes time, so it is done only where the power fails.
    fails = any(fault.kind == "power.loss" for fault in drawn.faults)
    disk = SimulatedDisk(np.random.default_rng((setting.seed, number, 1))) if fails else FaultyDisk()
    watch = Watch(true_line_of(setting.treatment.beamline), drawn.delivery_seed, faults_of, disk)
    with tempfile.TemporaryDirectory(prefix=prefix(), dir=folder_in_memory()) as temporary:
        folder = Path(temporary) / "delivery"
        story = _play(setting, drawn, watch, folder, disk)
        row = _judge(setting, drawn, watch, story, folder)
        if keep is not None and folder.exists():
            shutil.copytree(folder, keep)
    return row


def _play(setting: Setting, drawn: Drawn, watch: Watch, folder: Path, disk: FaultyDisk) -> _Story:
    """Deliver, and resume with everything repaired until the treatment is complete."""
    story = _Story()
    try:
        with contextlib.suppress(SimulatedCrash):
            story.record = deliver(
                setting.treatment,
                folder,
                seed=drawn.delivery_seed,
                make_room=watch.room,
                documents=False,
                disk=disk,
            )
        watch.repair()
        while not _is_complete(story.record) and story.resumes < RESUMES:
            story.resumes += 1
            story.record = resume(
                folder,
                operator="campaign",
                reason="what had failed is repaired",
                plan=setting.treatment.plan,
                make_room=watch.room,
                documents=False,
            )
    except Exception as error:  # a defect: the campaign goes on and tells of it
        story.failure = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return story


def _is_complete(record: Record | None) -> bool:
    return record is not None and record.outcome.status == "complete"


def _judge(setting: Setting, drawn: Drawn, watch: Watch, story: _Story, folder: Path) -> Row:
    """Hold a run against the truth."""
    treatment = setting.treatment.fields[drawn.field]
    number = treatment.field.number
    spills = watch.spills_of(number)
    verdict = _Verdict()
    if story.failure:
        verdict.add(FAILURE, story.failure)
    onset_us = _onset_us(drawn, setting, spills)
    slow_us = round(setting.treatment.beamline.facts.slow_interlocks.period_s * 1e6)
    interlocks = _interlocks(story.record, spills, number, onset_us, slow_us)
    end_us = max((int(w.last_ion_us) for w in spills), default=0)
    struck = onset_us is not None and (onset_us < end_us or bool(interlocks))
    if interlocks and (onset_us is None or interlocks[0][0] < onset_us):
        cause = CAUSES[interlocks[0][1]].name
        verdict.add(FALSE_TRIP, f"{cause} at {interlocks[0][0]} us, before anything had failed")
    for defect in _defects(story.record):
        verdict.add(FAILURE, defect)
    received = received_of(treatment, spills)
    bound = _bound(treatment, watch, drawn.faults, received, len(spills))
    worst = _check_excess(received, bound, verdict)
    lack = lack_bound = None
    if not struck and not story.failure:
        lack, lack_bound = _check_lack(received, bound, verdict)
    opened_us = _onsets_us((f for f in drawn.faults if f.device == "chopper"), setting, spills)
    beam_off_us = _check_beam_off(spills, opened_us, bound, verdict)
    if not story.failure:
        _check_counts(folder, treatment, spills, story, verdict)
    for other in setting.treatment.fields:
        if other.field.number != number:
            _judge_faultless(setting, other, watch, story, folder, verdict)
    first = interlocks[0] if interlocks else None
    excess_Gy, excess_bound_Gy, prescribed_Gy = _as_dose(setting, treatment, received, bound, worst)
    drawn_faults: list[Fault | None] = [*drawn.faults, None, None]
    fault1, fault2 = drawn_faults[:2]
    return Row(
        run=drawn.run,
        seed=setting.seed,
        delivery_seed=drawn.delivery_seed,
        field=number,
        fault1=fault1.kind if fault1 else "",
        value1=fault1.value if fault1 else None,
        spill1=fault1.spill if fault1 else 0,
        at1_us=fault1.at_us if fault1 else None,
        duration1_us=fault1.duration_us if fault1 else None,
        fault2=fault2.kind if fault2 else "",
        value2=fault2.value if fault2 else None,
        spill2=fault2.spill if fault2 else 0,
        at2_us=fault2.at_us if fault2 else None,
        duration2_us=fault2.duration_us if fault2 else None,
        struck=struck,
        outcome=_outcome(story, interlocks),
        detected_by=CAUSES[first[1]].name if first else "",
        detection_us=first[0] - onset_us if first and onset_us is not None else None,
        beam_off_us=beam_off_us,
        beam_off_bound_us=bound.beam_off_us,
        excess=float(received.excess[worst]),
        excess_bound=float(bound.spots[worst]),
        prescribed=float(received.prescribed[worst]),
        excess_Gy=excess_Gy,
        excess_bound_Gy=excess_bound_Gy,
        prescribed_Gy=prescribed_Gy,
        excess_field=float(received.excess.sum()),
        excess_field_bound=bound.field,
        lack=lack,
        lack_bound=lack_bound,
        slice=int(received.slice[worst]),
        spot=int(received.spot[worst]),
        missing=float(np.maximum(0.0, -received.excess).sum()),
        misplaced=received.misplaced,
        displacement_mm=received.displacement_mm,
        spills=len(spills),
        interlocks=len(interlocks),
        resumes=story.resumes,
        violations=verdict.violations,
        remarks="; ".join(verdict.remarks),
    )


def _onset_us(drawn: Drawn, setting: Setting, spills: list[Watched]) -> int | None:
    """When the first fault begins, on the clock of its field; None if none does.

    That is with the scan period in which it comes: what happens within one is all the same to the room.
    An event that comes too early does so before the time for which it was announced.
    """
    return min(_onsets_us(drawn.faults, setting, spills), default=None)


def _onsets_us(faults: Iterable[Fault], setting: Setting, spills: list[Watched]) -> list[int]:
    """When faults begin; those of spills that never came do not."""
    facts = setting.treatment.beamline.facts
    period_us, started_us = facts.control.scan_period_us, {w.spill: w.start_us for w in spills}
    onsets_us = []
    for fault in faults:
        start_us = facts.accelerator.nominal_start_us(fault.spill)
        if start_us is None:
            start_us = started_us.get(fault.spill)
        if start_us is not None:
            onsets_us.append((start_us + fault.at_us - _early_us(fault)) // period_us * period_us)
    return onsets_us


def _early_us(fault: Fault) -> int:
    return math.ceil(max(0.0, -(fault.value or 0.0))) if fault.kind.startswith("timing.shift_") else 0


def _interlocks(
    record: Record | None, spills: list[Watched], number: int, onset_us: int | None = None, slow_us: int = 0
) -> list[tuple[int, int]]:
    """Time and cause of every interlock of a field, in time: those of the spills, and those between.

    One between spills has the time of the last reading of the slow control, up to `slow_us` before it: if
    a fault began meanwhile, it came with the fault at the earliest.
    """
    found = [interlock for watched in spills for interlock in watched.interlocks]
    for recorded in record.fields if record is not None else ():
        if recorded.number != number:
            continue
        for row in recorded.outcome.interlocks_without_beam:
            time_us = row.time_us
            if onset_us is not None and onset_us - slow_us <= time_us < onset_us:
                time_us = onset_us
            found.append((time_us, row.cause))
    return sorted(found)


def _defects(record: Record | None) -> list[str]:
    """What the simulated room has raised, or answered that cannot be: no fault makes it do so."""
    fields = record.fields if record is not None else ()
    rows = (row for field in fields for row in field.outcome.interlocks_without_beam)
    return [str(row.detail) for row in rows if row.cause in (ROOM_FAILURE, ROOM_ANSWER)]


def _check_excess(received: Received, bound: Bound, verdict: _Verdict) -> int:
    """Check invariant 1; return the index of the spot that is nearest to its bound, or furthest beyond."""
    worst = int(np.argmax(received.excess / bound.spots))
    excess = float(received.excess[worst])
    if excess > bound.spots[worst]:
        verdict.add(
            EXCESS,
            f"slice {received.slice[worst]}, spot {received.spot[worst]}: {excess:.4g} particles too many, "
            f"bound {bound.spots[worst]:.4g}",
        )
    total = float(received.excess.sum())
    if total > bound.field:
        verdict.add(EXCESS, f"field: {total:.4g} particles too many, bound {bound.field:.4g}")
    return worst


def _check_lack(received: Received, bound: Bound, verdict: _Verdict) -> tuple[float, float]:
    """Check invariant 32 of a field in which nothing fails; what the worst spot lacks, and its bound."""
    worst = int(np.argmin(received.excess / bound.lack_spots))
    lack = -float(received.excess[worst])
    if lack > bound.lack_spots[worst]:
        verdict.add(
            LACK,
            f"slice {received.slice[worst]}, spot {received.spot[worst]}: lacks {lack:.4g} particles, "
            f"bound {bound.lack_spots[worst]:.4g}",
        )
    total = -float(received.excess.sum())
    if total > bound.lack_field:
        verdict.add(LACK, f"field: lacks {total:.4g} particles, bound {bound.lack_field:.4g}")
    return lack, float(bound.lack_spots[worst])


def _is_whole(record: Record | None, number: int) -> bool:
    """Whether a field was delivered whole; one behind a field that was stopped was not begun."""
    recorded = record.fields if record is not None else ()
    return any(field.number == number and field.outcome.status == "complete" for field in recorded)


def _as_dose(
    setting: Setting, treatment: FieldTreatment, received: Received, bound: Bound, worst: int
) -> tuple[float | None, float | None, float | None]:
    """Excess, bound and prescription of a spot as dose at its Bragg peak; None if the line does not tell."""
    slice_ = treatment.slices[int(received.slice[worst])]
    of_one_Gy = known_peak_dose_Gy(
        setting.treatment.beamline,
        treatment.beam.name,
        slice_.energy_MeV_u,
        slice_.focus,
        treatment.passive_elements,
    )
    if of_one_Gy is None:
        return None, None, None
    excess, limit, prescribed = received.excess[worst], bound.spots[worst], received.prescribed[worst]
    return of_one_Gy * float(excess), of_one_Gy * float(limit), of_one_Gy * float(prescribed)


def _check_beam_off(
    spills: list[Watched], opened_us: list[int], bound: Bound, verdict: _Verdict
) -> int | None:
    """Check invariant 2; return the worst delay.

    If the chopper lets beam through only later, at `opened_us`, the time counts from then on.
    """
    delays = []
    for w in spills:
        if w.interlocks:
            first_us = min(time_us for time_us, _ in w.interlocks)
            later_us = [us for us in opened_us if first_us < us <= w.last_ion_us]
            delays.append(max(0, w.last_ion_us - max([first_us, *later_us])))
    worst = max(delays, default=None)
    if worst is not None and worst > bound.beam_off_us:
        verdict.add(BEAM_OFF, f"last ion {worst} us after the interlock, bound {bound.beam_off_us:.0f} us")
    return worst


def _check_counts(
    folder: Path, treatment: FieldTreatment, spills: list[Watched], story: _Story, verdict: _Verdict
) -> None:
    """Check invariant 3."""
    sub = folder / f"field-{treatment.field.number:02d}"
    if not spills:
        return
    recorded = story.record.fields if story.record is not None else ()
    status = [r.outcome.status for r in recorded if r.number == treatment.field.number]
    for remark in check_counts(sub, spills, status == ["complete"]):
        verdict.add(COUNTS, remark)


def _judge_faultless(
    setting: Setting, treatment: FieldTreatment, watch: Watch, story: _Story, folder: Path, verdict: _Verdict
) -> None:
    """Hold a field in which nothing fails against the truth."""
    number = treatment.field.number
    spills = watch.spills_of(number)
    tripped = _interlocks(story.record, spills, number)
    if tripped:
        verdict.add(FALSE_TRIP, f"field {number}: {CAUSES[tripped[0][1]].name}, and nothing had failed")
    if not spills:
        return
    received = received_of(treatment, spills)
    bound = _bound(treatment, watch, (), received, len(spills))
    _check_excess(received, bound, verdict)
    if not story.failure and _is_whole(story.record, number):
        _check_lack(received, bound, verdict)
    _check_beam_off(spills, [], bound, verdict)
    if not story.failure:
        _check_counts(folder, treatment, spills, story, verdict)


def _bound(
    treatment: FieldTreatment, watch: Watch, faults: tuple[Fault, ...], received: Received, n_spills: int
) -> Bound:
    return bound_of(treatment, watch.line, faults, received.spot_of_visit, received.spills, n_spills)


def _outcome(story: _Story, interlocks: list[tuple[int, int]]) -> str:
    if story.failure:
        return FAILED
    if not _is_complete(story.record):
        return STOPPED
    if story.resumes:
        return RESUMED
    return PAUSED if interlocks else COMPLETE
