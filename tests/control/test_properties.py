"""What holds for any stream of counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core import config

from spotline.control.interlocks import CAUSES, PAUSE, STOP, TEMPERATURE_1
from spotline.control.memory import (
    ABORT,
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    COMMAND_SPOT_COMPLETE,
    DONE,
    END_SLICE_COMPLETE,
    END_STOP,
    INPUT_CONFIRMED,
    INPUT_COUCH,
    INPUT_END,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_OPERATOR,
    INPUT_SLOW,
    INPUT_START,
    INPUT_SUPERVISION,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.control.replay import Recording
from tests.control.bench import CODE, LATE_TICKS, N_PIXELS, N_STRIPS, SETTINGS, replay, spots

pytestmark = pytest.mark.kernel

LONGEST = 60 if config.DISABLE_JIT else 400
"""Scan periods of an example with beam."""

TOLERANT = SETTINGS._replace(
    integral=SETTINGS.integral._replace(difference=1e9, ratio=1e9),
    intensity_limit1=1 << 40,
    intensity_limit2=1 << 40,
    settled_A=1e9,
    position_limit_mm=1e9,
    pixel_position_limit_mm=1e9,
)
STRICT = SETTINGS._replace(
    integral=SETTINGS.integral._replace(difference=20.0, ratio=0.5, ratio_counts=15),
    intensity_limit1=60,
    intensity_limit2=60,
    settled_A=1.0,
)
GUARDED = STRICT._replace(
    strip_pixel_limit_mm=3.0,
    rate_counts=30,
    charge_counts=100,
    unsettled_spots=3,
    excess1=15,
    excess2=15,
    deviation_ticks=100,
    first_move_ticks=50,
    no_counts_ticks=500,
    off_counts=5,
    event_tolerance_ticks=100,
    unconfirmed_counts=200,
)
ANY_SETTINGS = st.sampled_from(
    [TOLERANT, STRICT, GUARDED, TOLERANT._replace(anticipate=1), GUARDED._replace(anticipate=1)]
)


class Spill:
    """A prescription, samples, the first one of the extraction, and the clock at the very first."""

    def __init__(
        self,
        memory: SliceMemory,
        recording: Recording,
        start: int,
        start_tick: int,
        announced: tuple[int, int],
    ) -> None:
        self.memory = memory
        self.recording = recording
        self.start = start
        self.start_tick = start_tick
        self.announced = announced

    def __repr__(self) -> str:
        counts, events = self.memory.int1_counts.tolist(), self.recording.inputs.tolist()
        return f"Spill({counts}, jumps {self.memory.beam_off.tolist()}, {events}, from {self.start_tick})"


@st.composite
def spills(draw: st.DrawFn) -> Spill:
    """A prescription and samples that have nothing to do with it."""
    counts = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    beam_off = draw(st.sets(st.integers(1, len(counts)), max_size=len(counts)))
    memory = spots(counts, margin2=draw(st.integers(0, 3)), beam_off=tuple(beam_off))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    before, with_beam = draw(st.integers(0, 5)), draw(st.integers(1, LONGEST))
    n = before + with_beam + LATE_TICKS // 25 + 2
    rate = draw(st.sampled_from([0.0, 0.01, 0.1, 1.0, 10.0]))
    integrals = random.poisson(rate, (25 * n, 2))
    if draw(st.booleans()):
        integrals[:, 1] = integrals[:, 0]
    for _ in range(draw(st.integers(0, 3))):  # a burst
        integrals[draw(st.integers(0, 25 * n - 1))] = draw(st.integers(0, 65_535)), draw(st.integers(0, 99))
    # The beam dies away, so that the collection of late counts comes to an end.
    integrals[25 * (before + with_beam) + SETTINGS.beam_off_ticks :] = 0
    events = np.zeros(n, np.uint16)
    events[before] = INPUT_START
    events[before + with_beam] = INPUT_END
    strips = random.poisson(draw(st.sampled_from([0.0, 0.02, 1.0])), (n, 2, N_STRIPS))
    pixels = random.poisson(draw(st.sampled_from([0.0, 0.002, 0.1])), (n, N_PIXELS, N_PIXELS))
    recording = Recording(
        integrals=integrals.astype(np.uint16),
        strips=strips.astype(np.uint16),
        pixels=pixels.astype(np.uint16),
        read_A=random.normal(0.0, 1.0, (n, 2)),
        inputs=events,
        broadcast_code=CODE,
        aborts=np.zeros(0, ABORT).view(np.recarray),
    )
    start_tick = draw(st.sampled_from([0, 4_480_000]))
    announced = start_tick + 25 * before, start_tick + 25 * (before + with_beam)
    return Spill(memory, recording, 25 * before, start_tick, announced)


BITS = (
    INPUT_START,
    INPUT_END,
    INPUT_NO_INTEGRAL,
    INPUT_NO_STRIP,
    INPUT_NO_PIXEL,
    INPUT_HANG,
    INPUT_CONFIRMED,
    INPUT_COUCH,
    INPUT_OPERATOR,
    INPUT_SUPERVISION,
    INPUT_SLOW,
)


@st.composite
def faulty_spills(draw: st.DrawFn) -> Spill:
    """The same with inputs that are not as they should be: events, missing data, lines, hangs, aborts."""
    spill = draw(spills())
    recording = spill.recording
    n = len(recording.inputs)
    for _ in range(draw(st.integers(1, 4))):
        first, length = draw(st.integers(0, n - 1)), draw(st.integers(1, 12))
        what = draw(st.sampled_from([*BITS, "read-back", "event"]))
        if what == "read-back":
            recording.read_A[first : first + length, draw(st.integers(0, 1))] = np.nan
        elif what == "event":
            recording.inputs[first : first + length] &= ~np.uint16(INPUT_START | INPUT_END)
        else:
            recording.inputs[first : first + length] |= np.uint16(what)
    ticks = sorted(draw(st.lists(st.integers(0, n - 1), max_size=2)))
    aborts = [
        (spill.start_tick + 25 * tick, TEMPERATURE_1 + k, 1.0, 0.0, draw(st.sampled_from([PAUSE, STOP])))
        for k, tick in enumerate(ticks)
    ]
    recording = recording._replace(aborts=np.array(aborts, ABORT).view(np.recarray))
    return Spill(spill.memory, recording, spill.start, spill.start_tick, spill.announced)


def run(spill: Spill, settings: LawSettings) -> LawState:
    law, _, _ = replay(spill.memory, settings, spill.recording, spill.start_tick, spill.announced)
    assert law.scalars[0].phase == DONE
    return law


def split(targets1: list[int], targets2: list[int], samples: np.ndarray) -> list[tuple[int, int]]:
    """Counts of each spot, as a paper and a pencil would share them out."""
    shares = [[0, 0]]
    for int1, int2 in samples.tolist():
        shares[-1][0] += int1
        shares[-1][1] += int2
        spot = len(shares) - 1
        is_complete = shares[spot][0] >= targets1[spot] or shares[spot][1] >= targets2[spot]
        if is_complete and len(shares) < len(targets1):
            shares.append([0, 0])
    return [(a, b) for a, b in shares]


def end_tick(law: LawState) -> int:
    """When the fast control was done; what is recorded later is the safety interlock system's."""
    s = law.scalars[0]
    return int(s.phase_tick if s.phase == DONE else s.tick)


def samples_run(spill: Spill, law: LawState) -> int:
    return end_tick(law) - spill.start_tick


def began(spill: Spill, law: LawState) -> bool:
    """Whether the start of extraction found the law waiting, and not stopped by an interlock."""
    return bool(law.parts[0].start_tick == spill.start_tick + spill.start)


@given(spills())
def test_counts_are_shared_out_as_by_hand(spill: Spill):
    """Whatever the jumps: without interlocks it is only the counts that decide.

    After the end of extraction no spot takes over, and the last one gets what still comes.
    """
    law = run(spill, TOLERANT)
    integrals, ran = spill.recording.integrals.astype(int), samples_run(spill, law)
    end = min(ran, 25 * int(np.argmax(spill.recording.inputs == INPUT_END)))
    targets1, targets2 = spill.memory.int1_counts.tolist(), spill.memory.int2_counts.tolist()
    by_hand = split(targets1, targets2, integrals[spill.start : end])
    late1, late2 = integrals[end:ran].sum(axis=0).tolist()
    by_hand[-1] = (by_hand[-1][0] + late1, by_hand[-1][1] + late2)
    parts = law.parts[: law.scalars[0].row + 1]
    assert list(zip(parts["int1_counts"].tolist(), parts["int2_counts"].tolist(), strict=True)) == by_hand


@given(spills(), ANY_SETTINGS)
def test_no_count_is_lost_and_none_is_made(spill: Spill, settings: LawSettings):
    law = run(spill, settings)
    s, integrals = law.scalars[0], spill.recording.integrals[: samples_run(spill, law)].astype(int)
    assert [s.total1, s.total2] == integrals.sum(axis=0).tolist()
    if began(spill, law):
        in_parts = [law.parts["int1_counts"].sum(), law.parts["int2_counts"].sum()]
        assert in_parts == integrals[spill.start :].sum(axis=0).tolist()


@given(spills(), st.sampled_from([TOLERANT, STRICT]))
def test_a_spot_is_complete_if_and_only_if_a_chamber_has_its_counts(spill: Spill, settings: LawSettings):
    law = run(spill, settings)
    parts = law.parts[: law.scalars[0].row + 1]
    spot = parts["spot"]
    enough = (parts["int1_counts"] >= spill.memory.int1_counts[spot]) | (
        parts["int2_counts"] >= spill.memory.int2_counts[spot]
    )
    if began(spill, law):
        assert ((parts["complete"] == 1) == enough).all()
    assert (law.parts["complete"][len(parts) :] == 0).all()


@given(spills(), ANY_SETTINGS)
def test_parts_follow_each_other(spill: Spill, settings: LawSettings):
    law = run(spill, settings)
    s = law.scalars[0]
    parts = law.parts[: s.row + 1]
    assert parts["spot"].tolist() == list(range(len(parts)))
    assert parts["from_trigger"].tolist() == [0] + [1] * (len(parts) - 1)
    assert (parts["start_tick"][1:] == parts["end_tick"][:-1]).all()
    assert (np.diff(parts["end_tick"]) >= 0).all()
    assert parts[-1].end_tick == end_tick(law)
    assert (parts["complete"][:-1] == 1).all()
    settled = parts["settled_tick"]
    has_settled = (settled >= 0) & (parts["from_trigger"] == 1)
    assert (settled[has_settled] >= parts["start_tick"][has_settled]).all()


@given(spills(), ANY_SETTINGS)
def test_commands_make_sense(spill: Spill, settings: LawSettings):
    law = run(spill, settings)
    s = law.scalars[0]
    commands = law.commands[: s.commands]
    assert s.commands <= len(law.commands)
    assert (np.diff(commands["tick"]) >= 0).all()
    chopper = commands["command"][commands["command"] != COMMAND_SPOT_COMPLETE]
    alternating = [COMMAND_CHOPPER_OPEN, COMMAND_CHOPPER_CLOSE] * len(chopper)
    assert chopper.tolist() == alternating[: len(chopper)]
    assert len(chopper) % 2 == 0, "the beam is off at the end"
    assert s.chopper_open == 0
    completed = commands["spot"][commands["command"] == COMMAND_SPOT_COMPLETE]
    assert completed.tolist() == list(range(len(completed)))
    assert (law.parts["complete"][: len(completed)] == 1).all()
    if s.end_reason == END_SLICE_COMPLETE:
        assert (law.parts["complete"] == 1).all()


@given(spills(), st.sampled_from([TOLERANT, STRICT]))
def test_with_the_chopper_closed_and_the_magnets_moving_the_beam_is_never_let_through(
    spill: Spill, settings: LawSettings
):
    """Every opening after the first is preceded by a hold of the magnets for as long as the beam goes off."""
    law = run(spill, settings)
    commands = law.commands[: law.scalars[0].commands]
    closed_at = None
    for command in commands:
        if command["command"] == COMMAND_CHOPPER_CLOSE:
            closed_at = int(command["tick"])
        elif command["command"] == COMMAND_CHOPPER_OPEN and closed_at is not None:
            assert command["tick"] - closed_at >= settings.beam_off_ticks


@given(spills())
def test_each_cause_is_recorded_once_and_the_corrections_stay_in_their_limits(spill: Spill):
    law = run(spill, STRICT)
    s = law.scalars[0]
    causes = law.interlocks["cause"][: s.interlocks].tolist()
    assert len(set(causes)) == len(causes)
    assert abs(law.axes[0].correction_A) <= STRICT.x.feedback_limit_A
    assert abs(law.axes[1].correction_A) <= STRICT.y.feedback_limit_A


# Whatever comes in


def run_whole(spill: Spill, settings: LawSettings) -> LawState:
    """Run all of a recording; with the law hanging, or an event lost, the spill may not be done then."""
    law, _, _ = replay(spill.memory, settings, spill.recording, spill.start_tick, spill.announced)
    return law


FAULTY_SETTINGS = st.sampled_from([TOLERANT, GUARDED, GUARDED._replace(anticipate=1)])


@given(faulty_spills(), FAULTY_SETTINGS)
def test_the_chopper_is_never_commanded_open_after_an_interlock_or_without_permit(
    spill: Spill, settings: LawSettings
):
    law = run_whole(spill, settings)
    s, safety = law.scalars[0], law.safety[0]
    commands = law.commands[: s.commands]
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    if s.interlocks:
        assert (opened <= law.interlocks["tick"][0]).all()
        assert s.chopper_open == 0
        assert commands["command"][-1:].tolist() != [COMMAND_CHOPPER_OPEN]
    if safety.permit == 0:
        assert (opened < safety.first_tick).all()
        assert s.chopper_open == 0


@given(faulty_spills(), FAULTY_SETTINGS)
def test_a_stop_is_the_reason_of_the_end(spill: Spill, settings: LawSettings):
    law = run_whole(spill, settings)
    s = law.scalars[0]
    rows = law.interlocks[: s.interlocks]
    assert set(rows["cause"].tolist()) <= set(CAUSES)
    if STOP in rows["action"]:
        assert s.end_reason == END_STOP
    if law.safety[0].permit == 0:
        assert s.end_reason != 0
    assert law.safety[0].end_extraction == 0 or law.safety[0].permit == 0 or STOP in rows["action"]


@given(faulty_spills(), FAULTY_SETTINGS)
def test_no_count_is_lost_whatever_does_not_arrive(spill: Spill, settings: LawSettings):
    """What the fast control could not read out comes with the next sample, or at the end of the spill."""
    law = run_whole(spill, settings)
    s, safety = law.scalars[0], law.safety[0]
    integrals = spill.recording.integrals[: samples_run(spill, law)].astype(int)
    waiting = [safety.missed1, safety.missed2]
    assert [s.total1 + waiting[0], s.total2 + waiting[1]] == integrals.sum(axis=0).tolist()
    if s.phase != DONE:
        return
    assert waiting == [0, 0]
    # A law that hangs when the extraction begins takes what came meanwhile for background before it.
    hangs = spill.recording.inputs[spill.start // settings.scan_period] & INPUT_HANG
    if began(spill, law) and not hangs:
        in_parts = [law.parts["int1_counts"].sum(), law.parts["int2_counts"].sum()]
        assert in_parts == integrals[spill.start :].sum(axis=0).tolist()
