"""The whole loop: plant and law together, compiled and not, in blocks of any size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core import config

from spotline.control.interlocks import INT_RATIO, POSITION_Y
from spotline.control.memory import (
    COMMAND_CHOPPER_CLOSE,
    COMMAND_CHOPPER_OPEN,
    DONE,
    END_OF_EXTRACTION,
    END_PAUSE,
    END_SLICE_COMPLETE,
    END_STOP,
    LawSettings,
    LawState,
    SliceMemory,
    new_state,
)
from spotline.control.replay import Recording, new_scratch, replay_spill
from spotline.machine import BeamLine
from spotline.machine.true_line import true_line_of
from spotline.room import TRUTH_COLUMNS, Block, RawSamples, SpillResult
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.loop import (
    TRUTH_PARTICLES,
    TRUTH_WIDE_X,
    TRUTH_WIDE_Y,
    TRUTH_X,
    TRUTH_XX,
    TRUTH_Y,
    event_at,
    take_arrived,
)
from spotline.sim.plant import ARRIVED, ChamberMap
from spotline.sim.room import SimulatedRoom
from tests.places import ROOT
from tests.sim.plants import spill_truth
from tests.sim.small import control_of, raw_of, run_spill, short_line, small_field, two_spills

pytestmark = pytest.mark.kernel


class Run(NamedTuple):
    """A spill of the small field and all that came of it."""

    line: BeamLine
    settings: LawSettings
    memory: SliceMemory
    room: SimulatedRoom
    blocks: list[Block]
    result: SpillResult

    @property
    def raw(self) -> RawSamples:
        return raw_of(self.blocks)


LONG_ENOUGH = ("spill_length_s = 0.008", "spill_length_s = 0.016")
"""For all spots of the small field, even with a low intensity."""


def run(folder: Path, *changes: tuple[str, str], particles: float = 3e4, seed: int = 42) -> Run:
    line = short_line(folder, *changes)
    settings, memory = control_of(line, small_field(line, particles))
    room = SimulatedRoom(true_line_of(line), field_number=1, seed=seed, raw=True)
    return Run(line, settings, memory, room, *run_spill(room, settings, memory))


@pytest.fixture(scope="module")
def spill(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("line") / "line", LONG_ENOUGH)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return two_spills(tmp_path_factory.mktemp("line") / "line")


def same_bytes(one: Any, other: Any) -> None:
    assert set(one) == set(other)
    for name in sorted(one):
        assert np.array_equal(one[name], other[name]), f"{name} differs"


@pytest.mark.skipif(config.DISABLE_JIT, reason="would compare plain Python with itself")
def test_compiled_and_plain_python_agree_to_the_bit(two: dict[str, np.ndarray], tmp_path: Path):
    """Both the decisions of the law and everything that the plant makes."""
    file = tmp_path / "plain.npz"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run(
        [sys.executable, "-m", "tests.sim.small", str(tmp_path / "line"), str(file)],
        env=environment,
        cwd=ROOT,
        check=True,
    )
    with np.load(file) as plain:
        same_bytes(two, plain)


@pytest.mark.parametrize("block_us", [1000, 7000])
def test_blocks_of_any_size_give_the_same(two: dict[str, np.ndarray], tmp_path: Path, block_us: int):
    same_bytes(two, two_spills(tmp_path / "line", block_us))


def test_another_seed_gives_another_spill(spill: Run, tmp_path: Path):
    other = run(tmp_path / "line", seed=43)
    assert other.result.int1_counts != spill.result.int1_counts


# What the law decides follows from the samples alone


def replay(spill: Run) -> LawState:
    raw = spill.raw
    start_us = spill.result.start_us + PRE_ROLL_us
    announced = start_us, start_us + round(spill.line.facts.accelerator.spill_length_s * 1e6)
    law = new_state(spill.memory, spill.settings, raw.strips.shape[2], spill.result.start_us, announced)
    recording = Recording(
        integrals=raw.integrals,
        strips=raw.strips,
        pixels=raw.pixels,
        read_A=np.ascontiguousarray(raw.currents_A[:, :2]),
        inputs=raw.inputs,
        broadcast_code=spill.memory.cycle_code,
        aborts=raw.aborts.view(np.recarray),
    )
    scratch = new_scratch(recording)
    replay_spill(law, spill.settings, spill.memory, recording, scratch)
    np.testing.assert_array_equal(scratch.set_A, raw.currents_A[:, 2:])
    return law


def check_replay(spill: Run) -> None:
    law = replay(spill)
    s = law.scalars[0]
    assert (s.phase, s.end_reason, s.tick) == (DONE, spill.result.end_reason, spill.result.end_us)
    tables = (
        (law.parts[: s.row + 1], spill.result.parts),
        (law.commands[: s.commands], spill.result.commands),
        (law.interlocks[: s.interlocks], spill.result.interlocks),
    )
    for replayed, then in tables:
        assert replayed.tobytes() == then.tobytes()


def test_from_the_samples_alone_the_law_comes_to_the_same_decisions(spill: Run):
    check_replay(spill)


def test_law_and_plant_share_no_memory(spill: Run):
    """Nothing that the plant keeps for itself lies where the law could read it."""

    def arrays(value: Any) -> list[np.ndarray]:
        if isinstance(value, np.ndarray):
            return [value]
        return [a for item in value for a in arrays(item)] if isinstance(value, tuple) else []

    room = spill.room
    for_law = arrays((room.loop._law, room.loop._settings, room.loop._memory))
    for_plant = arrays((room.loop._plant, room.loop._truth, room.loop._samples))
    assert len(for_law) > 15
    assert len(for_plant) > 15
    assert not [1 for a in for_law for b in for_plant if np.shares_memory(a, b)]


# What the plant did


def test_the_small_field_is_delivered_in_a_spill(spill: Run):
    assert spill.result.end_reason == END_SLICE_COMPLETE
    assert (spill.result.parts["complete"] == 1).all()
    assert len(spill.result.interlocks) == 0
    opened = spill.result.commands["command"] == COMMAND_CHOPPER_OPEN
    assert opened.sum() == 2, "at the start and after the jump"


def test_counts_are_those_of_the_raw_samples(spill: Run):
    raw, result = spill.raw, spill.result
    assert raw.integrals.astype(int).sum(axis=0).tolist() == [result.int1_counts, result.int2_counts]
    n = result.end_us - result.start_us
    assert raw.integrals.shape == (n, 2)
    assert len(raw.inputs) == n // spill.settings.scan_period
    assert len(raw.strips) == n // spill.settings.strip_period
    assert len(raw.pixels) == n // spill.settings.pixel_period
    begins = PRE_ROLL_us
    assert raw.integrals[begins:].astype(int).sum(axis=0).tolist() == [
        result.parts["int1_counts"].sum(),
        result.parts["int2_counts"].sum(),
    ]
    trend = np.concatenate([block.trend for block in spill.blocks])
    whole = len(trend) * 1000
    assert trend["int1_counts"].sum() == raw.integrals[:whole, 0].astype(int).sum()
    assert trend["int2_counts"].sum() == raw.integrals[:whole, 1].astype(int).sum()
    assert trend["tick"].tolist() == [result.start_us + 1000 * (k + 1) for k in range(len(trend))]


def test_every_ion_is_booked_to_a_spot_and_makes_its_counts(spill: Run):
    truth = spill.result.truth
    assert truth is not None
    assert truth.shape == (len(spill.result.parts), TRUTH_COLUMNS)
    ions = truth[:, TRUTH_PARTICLES].sum()
    simulated = true_line_of(spill.line).simulation.chambers
    per_count = float(spill.line.particles_per_count("carbon", 221.45))
    gas = (293.15 / 295.15) * (100_500 / 101_325)
    expected = ions / per_count * gas * simulated.int1_gain
    # Gain maps are off by 1.5 % at most, counts by one, and fluctuations of 3e5 ions are small.
    assert spill.result.int1_counts == pytest.approx(expected, rel=0.02)
    strips = spill.raw.strips.astype(int).sum(axis=(0, 2))
    np.testing.assert_allclose(strips, ions / per_count * gas, rtol=0.05)
    pixels = spill.raw.pixels.astype(int).sum()
    assert pixels == pytest.approx(ions / per_count * gas, rel=0.05)


def test_true_widths_are_those_of_the_beam_at_the_strips(spill: Run):
    """Those that the line expects, off by a few percent that are drawn for the spill."""
    truth, memory = spill.result.truth, spill.memory
    assert truth is not None
    for column, expected_mm in ((TRUTH_WIDE_X, memory.x_sd_mm), (TRUTH_WIDE_Y, memory.y_sd_mm)):
        sd_mm = np.sqrt(truth[:, column] / truth[:, TRUTH_PARTICLES])
        assert sd_mm == pytest.approx(np.full(len(truth), expected_mm), rel=0.1)
        assert np.ptp(sd_mm) < 1e-9


def test_true_positions_are_near_those_prescribed(spill: Run):
    truth, memory, settings = spill.result.truth, spill.memory, spill.settings
    assert truth is not None
    particles = truth[:, TRUTH_PARTICLES]
    x_mm, y_mm = truth[:, TRUTH_X] / particles, truth[:, TRUTH_Y] / particles
    # What still comes before a jump is delivered at the old place, and booked to the new one.
    direct = memory.beam_off == 0
    np.testing.assert_allclose(x_mm[direct], (memory.x_strip_mm * settings.x.iso_per_strip)[direct], atol=1.0)
    np.testing.assert_allclose(y_mm[direct], (memory.y_strip_mm * settings.y.iso_per_strip)[direct], atol=1.0)
    assert -15.0 < y_mm[~direct] < 14.0
    variance = truth[:, TRUTH_XX] / particles - x_mm**2
    assert (variance >= -1e-9).all()
    assert variance[direct].max() < 1.5, "the way from spot to spot is 2 mm"
    measured = spill.result.parts["x_strip_mm"] * settings.x.iso_per_strip
    valid = spill.result.parts["position_valid"] == 1
    assert valid.sum() >= 2
    np.testing.assert_allclose(measured[valid], x_mm[valid], atol=0.5)


def test_no_beam_but_between_the_commands_and_as_long_as_it_takes_to_go(spill: Run):
    """Counts come from the first opening until the chopper is closed and all charge has arrived."""
    raw, result = spill.raw, spill.result
    commands = result.commands
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN] - result.start_us
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE] - result.start_us
    counts = raw.integrals.astype(int).sum(axis=1)
    chopper, drift_us = (
        spill.line.facts.chopper,
        true_line_of(spill.line).simulation.chambers.ion_drift_time_us,
    )
    on_us = round(chopper.on_delay_us)
    off_us = round(chopper.off_delay_us + chopper.off_ramp_us + drift_us)
    allowed = np.zeros(len(counts), bool)
    for start, end in zip(opened, closed, strict=True):
        allowed[start + on_us : end + off_us + 2] = True
    # Background is a quarter of a count per second.
    assert counts[~allowed].sum() <= 1
    assert counts[allowed].sum() > 500


def test_magnets_hold_until_the_beam_is_off_before_a_jump(spill: Run):
    commands, currents = spill.result.commands, spill.raw.currents_A
    closing = commands[commands["command"] == COMMAND_CHOPPER_CLOSE][0]
    first = (int(closing["tick"]) - spill.result.start_us) // spill.settings.scan_period + 1
    hold = spill.settings.beam_off_ticks // spill.settings.scan_period
    set_y = currents[first - 1 : first + hold - 1, 3]
    assert (set_y == set_y[0]).all()
    assert currents[first + hold + 1, 3] != set_y[0]


def test_end_of_extraction_is_the_end(tmp_path: Path):
    """A field that is too much for one spill."""
    spill = run(tmp_path / "line", particles=1e5)
    assert spill.result.end_reason == END_OF_EXTRACTION
    assert len(spill.result.parts) < 10
    assert spill.result.parts["complete"].tolist() == [1] * (len(spill.result.parts) - 1) + [0]
    late = spill.settings.beam_off_ticks + spill.settings.collection_ticks
    assert spill.result.end_us == spill.result.start_us + PRE_ROLL_us + 8000 + late
    check_replay(spill)


def test_anticipated_ends_of_spots(tmp_path: Path):
    early = ("anticipate_beam_off = false", "anticipate_beam_off = true")
    spill = run(tmp_path / "line", LONG_ENOUGH, early)
    assert spill.settings.anticipate == 1
    assert spill.result.end_reason == END_SLICE_COMPLETE
    parts, prescribed = spill.result.parts, spill.memory.int1_counts
    # The last spots of both rows would otherwise be too large, or the one after, by some 40 counts.
    assert abs(parts["int1_counts"][4] - prescribed[4]) < 20
    assert abs(parts["int1_counts"][9] - prescribed[9]) < 20
    check_replay(spill)


def test_chambers_have_their_gain_where_the_beam_is(tmp_path: Path):
    """Four times as many counts per ion at y = 15 mm as at y = -15 mm, and the same at all x."""
    line = short_line(tmp_path / "line", LONG_ENOUGH)
    settings, memory = control_of(line, small_field(line))
    room = SimulatedRoom(true_line_of(line), field_number=1, seed=42)
    room.loop.load(settings, memory, room.accelerator.request_beam(memory.cycle_code))
    gain = np.ones((41, 41)) * np.linspace(-3.0, 5.0, 41)[:, None]
    steep = ChamberMap(-100.0, 5.0, gain)
    integrals = room.loop._truth.integrals._replace(int1_map=steep, int2_map=steep)
    room.loop._truth = room.loop._truth._replace(integrals=integrals)
    while not room.loop.run(1000).finished:
        pass
    result = room.loop.result()
    assert result.truth is not None
    per_ion = []
    for row in (slice(0, 5), slice(5, 10)):
        ions = result.truth[row, TRUTH_PARTICLES].sum()
        y_mm = result.truth[row, TRUTH_Y].sum() / ions
        per_ion.append(result.parts["int1_counts"][row].sum() / ions / (1.0 + 0.04 * y_mm))
    assert per_ion[1] / per_ion[0] == pytest.approx(1.0, abs=0.15)


# Faults of the plant reach the law through the samples only, and stop the beam


def test_a_beam_that_is_not_where_it_should_be_is_paused(tmp_path: Path):
    spill = run(tmp_path / "line", ("field_error = 0.0005", "field_error = 0.25"), particles=2e5)
    assert spill.result.end_reason == END_PAUSE
    first = spill.result.interlocks[0]
    assert first["cause"] == POSITION_Y
    assert first["value"] == pytest.approx(-15.0 * 0.25, abs=1.0)
    assert spill.result.commands[-1]["tick"] == first["tick"]
    check_replay(spill)


def test_chambers_that_disagree_stop_the_treatment(tmp_path: Path):
    spill = run(tmp_path / "line", ("int2_gain = 0.999", "int2_gain = 0.80"), particles=1e5)
    assert spill.result.end_reason == END_STOP
    first = spill.result.interlocks[0]
    assert first["cause"] == INT_RATIO
    assert 0.1 <= first["value"] < 0.35
    check_replay(spill)


# Small parts


def test_events_come_at_their_ticks():
    truth = spill_truth(start_event=1000, end_event=3000)
    assert [event_at(truth, tick) for tick in (975, 1000, 1025, 3000, 3025)] == [0, 1, 0, 2, 0]


def test_arrived_ions_are_taken_once():
    arrived = np.zeros(1, ARRIVED).view(np.recarray)
    assert take_arrived(arrived[0]) == (0, 0.0, 0.0)
    arrived.particles, arrived.x_moment_mm, arrived.y_moment_mm = 4, 10.0, -2.0
    assert take_arrived(arrived[0]) == (4, 2.5, -0.5)
    assert take_arrived(arrived[0]) == (0, 0.0, 0.0)
