"""The delivery time before delivery: by hand, by stepping through time, by chance, and in closed loop."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spotline import load_beamline, prepare, read_plan
from spotline.delivery import deliver
from spotline.machine import BeamLine
from spotline.treatment import FieldTreatment, Options
from spotline.treatment.duration import FieldDuration, predict_duration
from tests.lines.facts import with_facts
from tests.places import EXAMPLES
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, square

SHIPPED = load_beamline("cnao-h")
LINE = with_facts(SHIPPED, {"accelerator.spill_charge_spread": 0.0})

PER_s = 6e7  # carbon, full intensity
CYCLE_s, SPILL_s, RISE_s, FALL_s = 4.5, 1.5, 0.05, 0.02
CAPACITY_s = SPILL_s - (RISE_s + FALL_s) / 2
LAG_s = 400e-6 / 6  # counts behind the beam
END_s = 650e-6  # chopper, then late charge


def prepared(*layers: Any, line: BeamLine = LINE, **options: Any) -> FieldTreatment:
    asked = Options(**{"intensity": 1.0, "order": "planned", **options})
    (treatment,) = prepare(plan_of(field(*layers)), line, options=asked).fields
    return treatment


def predicted(*layers: Any, line: BeamLine = LINE, **options: Any) -> FieldDuration:
    return predict_duration(prepared(*layers, line=line, **options), line)


def far_apart(*beam_s: float) -> Any:
    """Spots 30 mm from each other, for each so much beam at full intensity."""
    x_mm = np.tile([-15.0, 15.0], len(beam_s))[: len(beam_s)]
    return layer(x_mm, 0.0, np.array(beam_s) * PER_s)


def pause_of_30_mm_s() -> float:
    """Chopper, half a period until the magnets are set, slewing and settling in whole periods."""
    nucleon_MeV = 931.49410 - 6 * 0.51099895 / 12
    energy = CARBON_MeV_u[0]
    rigidity_T_m = 2.0 * math.sqrt(energy * (energy + 2.0 * nucleon_MeV)) / 299.792458
    step_A = 30.0 / 6200.0 * rigidity_T_m / 0.67e-3
    slewed_us = (step_A - 0.46) / 0.023  # the last 23 kA/s x 20 us are an exponential
    move_us = slewed_us + 20.0 * math.log(0.46 / 0.2)
    return (250.0 + 12.5 + 25.0 * math.ceil(move_us / 25.0)) * 1e-6


def test_one_spot():
    """A millisecond of beam comes in the rise, where the beam that has come grows with the square of time."""
    total = predicted(layer(meterset=5e4)).total
    needed_s = 5e4 / PER_s + LAG_s
    time_s = math.sqrt(2.0 * RISE_s * needed_s)
    assert (total.particles, total.visits, total.spills) == (5e4, 1, 1.0)
    assert total.beam_on_s == pytest.approx(time_s)
    assert total.ramp_s == pytest.approx(time_s - needed_s)
    assert total.gap_s == pytest.approx(CYCLE_s + END_s)
    assert total.treatment_s == pytest.approx(CYCLE_s + time_s + END_s)
    assert (total.transit_s, total.pause_s, total.spills_sd) == (0.0, 0.0, 0.0)


def test_many_spots_in_one_spill():
    """Behind the rise, beam comes with full intensity; moves with the beam on cost nothing."""
    total = predicted(square(30, 2.0, 5e4)).total
    assert total.visits == 900
    assert total.spills == 1.0
    assert total.beam_on_s == pytest.approx(900 * 5e4 / PER_s + LAG_s + RISE_s / 2)
    assert total.ramp_s == pytest.approx(RISE_s / 2)
    # 2 mm are 2.2 A in both planes: 76 us of slewing, 17 us of settling; so four periods, and half a one.
    assert total.transit_s == pytest.approx(899 * 112.5e-6)
    assert total.pause_s == 0.0


def test_half_the_intensity():
    total = predicted(square(20, 2.0, 5e4), intensity=0.5).total
    assert total.beam_on_s == pytest.approx(2 * 400 * 5e4 / PER_s + LAG_s + RISE_s / 2)


def test_two_and_a_half_spills():
    total = predicted(layer(meterset=(2.5 * CAPACITY_s - LAG_s) * PER_s)).total
    last_s = 0.5 * CAPACITY_s + RISE_s / 2
    assert total.spills == 3.0
    assert total.beam_on_s == pytest.approx(2 * SPILL_s + last_s)
    assert total.gap_s == pytest.approx(CYCLE_s + 2 * (CYCLE_s - SPILL_s) + END_s)
    assert total.treatment_s == pytest.approx(3 * CYCLE_s + last_s + END_s)


def test_last_particles_come_in_the_fall_of_a_spill():
    """A quarter of what the fall holds is left when half of its time is."""
    total = predicted(layer(meterset=(CAPACITY_s - FALL_s / 8 - LAG_s) * PER_s)).total
    assert total.spills == 1.0
    assert total.beam_on_s == pytest.approx(SPILL_s - FALL_s / 2)


def test_slices_follow_each_other_cycle_by_cycle():
    """The second slice waits for the rest of the cycle; only after the last one the charge is waited for."""
    result = predicted(
        layer(meterset=0.5 * PER_s), layer(meterset=1.7 * PER_s, index=1, energy_MeV_u=CARBON_MeV_u[1])
    )
    first, second = result.slices
    assert first.gap_s == pytest.approx(CYCLE_s)
    assert first.beam_on_s == pytest.approx(0.5 + LAG_s + RISE_s / 2)
    assert second.spills == 2.0
    wait_s = CYCLE_s - first.beam_on_s
    assert second.gap_s == pytest.approx(wait_s + CYCLE_s - SPILL_s + END_s)
    last_s = 1.7 + LAG_s - CAPACITY_s + RISE_s / 2
    assert result.total.treatment_s == pytest.approx(3 * CYCLE_s + last_s + END_s)


def test_jump():
    """The synchrotron goes on: a pause takes its time, and no beam is kept for later."""
    total = predicted(far_apart(0.5, 0.3)).total
    assert total.pause_s == pytest.approx(pause_of_30_mm_s())
    # Closing lets pass what opening holds back.
    assert total.beam_on_s == pytest.approx(0.8 + LAG_s + RISE_s / 2)
    assert total.transit_s == 0.0


def test_jump_with_a_chopper_that_opens_slowly():
    line = with_facts(LINE, {"chopper.on_delay_us": 100.0, "chopper.on_ramp_us": 500.0})
    total = predicted(far_apart(0.5, 0.3), line=line).total
    assert total.beam_on_s == pytest.approx(0.8 + LAG_s + RISE_s / 2 + 350e-6 - 150e-6)


def test_weak_spot_that_is_complete_when_the_chopper_has_closed():
    line = with_facts(LINE, {"chopper.off_delay_us": 1000.0})
    total = predicted(far_apart(0.5, 0.0005), line=line).total
    assert total.beam_on_s == pytest.approx(0.5 + LAG_s + RISE_s / 2 + 150e-6)


def test_jump_wastes_what_the_spill_could_have_given():
    """Two spots that just fit into a spill do not, with a jump between them."""
    beam_s = (CAPACITY_s - LAG_s) / 2
    together = predicted(layer([0.0, 1.0], 0.0, beam_s * PER_s)).total
    apart = predicted(far_apart(beam_s, beam_s)).total
    assert together.spills == 1.0
    assert apart.spills == 2.0
    last_s = math.sqrt(2.0 * RISE_s * pause_of_30_mm_s())
    assert apart.treatment_s == pytest.approx(2 * CYCLE_s + last_s + END_s, abs=1e-6)


def test_jump_at_the_end_of_a_spill_costs_only_what_is_left_of_it():
    left_s = 0.5 * pause_of_30_mm_s()
    total = predicted(far_apart(CAPACITY_s - LAG_s - left_s**2 / (2 * FALL_s), 0.3)).total
    assert total.spills == 2.0
    assert total.pause_s == pytest.approx(left_s, rel=1e-4)
    assert total.beam_on_s == pytest.approx(SPILL_s - left_s + 0.3 + RISE_s / 2)


def test_spill_without_ramps():
    line = with_facts(LINE, {"accelerator.spill_rise_s": 0.0, "accelerator.spill_fall_s": 0.0})
    total = predicted(layer(meterset=2.0 * PER_s), line=line).total
    assert total.ramp_s == pytest.approx(0.0, abs=1e-9)
    assert total.beam_on_s == pytest.approx(2.0 + LAG_s)


DISCRETE = with_facts(
    LINE,
    {
        "accelerator.extraction": "discrete",
        "accelerator.spill_rise_s": 0.0,
        "accelerator.spill_fall_s": 0.0,
        "accelerator.flat_top_s": 4.0,
        "accelerator.spot_preparation_s": 0.00193,
    },
)


def test_discrete_extraction_pauses_at_every_move():
    """Chopper, move and preparation of a spot: 1.93 ms as published for one such machine (Shen 2017)."""
    total = predict_duration(prepared(square(3, 2.0, 5e4)), DISCRETE).total
    pauses_s = 8 * (250e-6 + 112.5e-6 + 0.00193)
    assert (total.spills, total.transit_s) == (1.0, 0.0)
    assert total.pause_s == pytest.approx(pauses_s)
    assert total.beam_on_s == pytest.approx(9 * 5e4 / PER_s + LAG_s)
    assert total.treatment_s == pytest.approx(CYCLE_s + 9 * 5e4 / PER_s + LAG_s + pauses_s + END_s)


def test_several_energies_in_a_cycle_wait_for_none():
    several = with_facts(LINE, {"accelerator.energies_per_cycle": 2, "accelerator.energy_step_s": 0.2})
    layers = [
        layer(meterset=0.3 * PER_s, index=index, energy_MeV_u=energy)
        for index, energy in enumerate(CARBON_MeV_u)
    ]
    first, second, third = predict_duration(prepared(*layers), several).slices
    assert (first.gap_s, second.gap_s) == pytest.approx((CYCLE_s, 0.2))
    assert (first.ramp_s, second.ramp_s) == pytest.approx((RISE_s / 2, 0.0), abs=1e-9)
    in_spill_s = 0.6 + 2 * LAG_s + RISE_s / 2
    assert third.gap_s == pytest.approx(CYCLE_s - in_spill_s + END_s)


def test_nothing_of_the_simulation_is_known():
    layers = (square(20, 3.0, 4e5), layer(meterset=3.1 * PER_s, index=1, energy_MeV_u=CARBON_MeV_u[1]))
    other = with_facts(
        SHIPPED,
        {
            "simulation.spill.charge_spread": 0.5,
            "simulation.chambers.int1_gain": 1.2,
            "simulation.chambers.ion_drift_time_us": 0.0,
        },
    )
    treatment = prepared(*layers, line=SHIPPED)
    assert predict_duration(treatment, SHIPPED) == predict_duration(treatment, other)


@pytest.mark.parametrize("needed", [0.8, 0.95, 1.0, 1.3, 1.97, 2.9, 7.8, 40.0])
@pytest.mark.parametrize("spread", [0.01, 0.05, 0.3])
def test_rings_that_differ(needed: float, spread: float):
    """Against deliveries drawn by chance: rings of random charge, one after the other."""
    line = with_facts(LINE, {"accelerator.spill_charge_spread": spread})
    total = predicted(layer(meterset=(needed * CAPACITY_s - LAG_s) * PER_s), line=line).total
    draws = 20_000
    normal = np.random.Generator(np.random.PCG64(7)).standard_normal((draws, 4 + math.ceil(1.5 * needed)))
    came = np.cumsum(np.clip(1.0 + spread * normal, 0.0, 1.0), axis=1)
    before = np.hstack([np.zeros((draws, 1)), came])
    spills = 1 + (came < needed).sum(axis=1)
    last = (needed - before[np.arange(draws), spills - 1]) * CAPACITY_s
    falling = np.maximum(CAPACITY_s - last, 0.0)
    last_s = np.select(
        [last < RISE_s / 2, falling < FALL_s / 2],
        [np.sqrt(2 * RISE_s * last), SPILL_s - np.sqrt(2 * FALL_s * falling)],
        last + RISE_s / 2,
    )
    treatment_s = spills * CYCLE_s + last_s + END_s
    error = 5.0 / math.sqrt(draws)
    # The grid adds a hundredth of the spread to itself.
    assert total.spills == pytest.approx(spills.mean(), abs=error * spills.std() + 0.005)
    assert total.spills_sd == pytest.approx(spills.std(), abs=0.03)
    assert total.treatment_s == pytest.approx(treatment_s.mean(), abs=error * treatment_s.std() + 0.02)
    beam_on_s = (spills - 1) * SPILL_s + last_s
    assert total.beam_on_s == pytest.approx(beam_on_s.mean(), abs=error * beam_on_s.std() + 0.005)


def stepped(treatment: FieldTreatment, step_s: float) -> tuple[float, float, int]:
    """Go through the spills of one slice in small steps; return the end of it, beam-on time, spills."""
    accelerator = LINE_OF_SHORT_SPILLS.facts.accelerator
    length_s, rise_s, fall_s = 0.1, 0.02, 0.01
    (slice_,) = treatment.slices
    need_s = (slice_.particles / slice_.particles_per_s).tolist()
    need_s[0] += LAG_s
    pause_s = np.where(slice_.beam_off, pause_of_30_mm_s(), 0.0).tolist()
    spot, spills, beam_on_s = 0, 0, 0.0
    while True:
        spills += 1
        pause_s[spot] = 0.0  # the magnets go there between spills
        for step in range(round(length_s / step_s)):
            middle_s, left_s = (step + 0.5) * step_s, step_s
            height = min(1.0, middle_s / rise_s, (length_s - middle_s) / fall_s)
            while left_s > 0.0:
                passed_s = min(left_s, pause_s[spot] if pause_s[spot] > 0.0 else need_s[spot] / height)
                left_s -= passed_s
                if pause_s[spot] > 0.0:
                    pause_s[spot] -= passed_s
                    continue
                beam_on_s += passed_s
                need_s[spot] -= passed_s * height
                if left_s > 0.0:
                    spot += 1
                if spot == len(need_s):
                    end_s = (step + 1) * step_s - left_s
                    return spills * accelerator.cycle_period_s + end_s + END_s, beam_on_s, spills


LINE_OF_SHORT_SPILLS = with_facts(
    LINE,
    {
        "accelerator.cycle_period_s": 0.2,
        "accelerator.spill_length_s": 0.1,
        "accelerator.spill_rise_s": 0.02,
        "accelerator.spill_fall_s": 0.01,
    },
)


@given(
    st.lists(st.floats(0.5e-3, 30e-3), min_size=1, max_size=30).map(lambda beam_s: far_apart(*beam_s)),
)
def test_against_steps_through_time(spots: Any):
    treatment = prepared(spots, line=LINE_OF_SHORT_SPILLS)
    total = predict_duration(treatment, LINE_OF_SHORT_SPILLS).total
    treatment_s, beam_on_s, spills = stepped(treatment, 1e-5)
    # A spill that is just enough, or just not, may go either way in steps.
    if total.spills == spills:
        assert total.treatment_s == pytest.approx(treatment_s, abs=2e-5)
        assert total.beam_on_s == pytest.approx(beam_on_s, abs=2e-5)
    else:
        assert abs(total.spills - spills) == 1
        assert abs(total.treatment_s - treatment_s) < 0.11


BASE = prepared(
    square(3, 4.0, 5e4), square(3, 30.0, 5e4, index=1, energy_MeV_u=CARBON_MeV_u[1]), line=SHIPPED
)
PARTICLES = st.lists(st.floats(5e3, 5e7), min_size=18, max_size=18).map(np.array)


def with_particles(particles: np.ndarray, beam_off: list[bool], level: float = 1.0) -> FieldTreatment:
    slices = tuple(
        replace(
            slice_,
            particles=part,
            beam_off=slice_.beam_off | np.array(off),
            particles_per_s=PER_s * level,
        )
        for slice_, part, off in zip(
            BASE.slices, np.split(particles, 2), np.split(np.array(beam_off), 2), strict=True
        )
    )
    return replace(BASE, slices=slices)


BEAM_OFF = st.lists(st.booleans(), min_size=18, max_size=18)
LINES = st.sampled_from([SHIPPED, LINE])
ROUNDING_s = 1e-6


@given(PARTICLES, BEAM_OFF, st.integers(0, 17), st.floats(0.0, 1e8), LINES)
@example(np.full(18, 4.884e6), [False] * 18, 0, 1.0, LINE)
def test_more_particles_never_take_less(
    particles: np.ndarray, beam_off: list[bool], spot: int, more: float, line: BeamLine
):
    before = predict_duration(with_particles(particles, beam_off), line).total
    particles = particles.copy()
    particles[spot] += more
    after = predict_duration(with_particles(particles, beam_off), line).total
    assert after.treatment_s >= before.treatment_s - ROUNDING_s
    assert after.spills >= before.spills - ROUNDING_s


@given(PARTICLES, BEAM_OFF, st.sampled_from([(1.0, 0.5), (0.5, 0.2), (0.2, 0.1)]), LINES)
def test_lower_intensity_never_takes_less(
    particles: np.ndarray, beam_off: list[bool], levels: tuple[float, float], line: BeamLine
):
    high, low = (predict_duration(with_particles(particles, beam_off, level), line).total for level in levels)
    assert low.treatment_s >= high.treatment_s - ROUNDING_s
    assert low.spills >= high.spills - ROUNDING_s


@given(PARTICLES, BEAM_OFF, LINES)
def test_parts_make_the_whole(particles: np.ndarray, beam_off: list[bool], line: BeamLine):
    result = predict_duration(with_particles(particles, beam_off), line)
    for name in ("particles", "visits", "spills", "beam_on_s", "transit_s", "ramp_s", "pause_s", "gap_s"):
        parts = [getattr(slice_, name) for slice_ in result.slices]
        assert min(parts) >= 0.0, name
        assert getattr(result.total, name) == pytest.approx(sum(parts)), name
    assert result.total.treatment_s == pytest.approx(sum(s.treatment_s for s in result.slices))
    assert result.total.spills_sd == pytest.approx(math.hypot(*(s.spills_sd for s in result.slices)))
    for slice_ in result.slices:
        assert slice_.spills >= 1.0
        assert slice_.ramp_s <= slice_.beam_on_s
        assert slice_.transit_s <= slice_.beam_on_s + slice_.visits * 150e-6  # parts of spots before a jump


STEADY = with_facts(SHIPPED, {"simulation.spill.ripple_rms": 0.0, "simulation.spill.noise_rms": 0.0})


@pytest.mark.stored
@pytest.mark.parametrize(
    ("example", "options", "line"),
    [
        ("three_layers_proton.dcm", Options(), SHIPPED),
        ("uniform_carbon_60mm.dcm", Options(), SHIPPED),
        ("uniform_carbon_60mm.dcm", Options(intensity=0.1), SHIPPED),
        # With the ripple, which no control system knows, such a field would take 5 % more.
        ("uniform_carbon_60mm.dcm", Options(beam_off_jump_mm=1.0), STEADY),
    ],
    ids=["three slices", "one spill", "several spills", "every move a jump"],
)
def test_against_the_closed_loop(example: str, options: Options, line: BeamLine, tmp_path: Path):
    treatment = prepare(read_plan(EXAMPLES / example), line, options=options)
    total = predict_duration(treatment.fields[0], line).total
    summary = deliver(treatment, tmp_path / "out", seed=1).summary
    assert summary["status"] == "complete"
    assert summary["spills"] == pytest.approx(total.spills, abs=0.5)
    assert summary["treatment_s"] == pytest.approx(total.treatment_s, rel=0.03)
    assert summary["beam_on_s"] == pytest.approx(total.beam_on_s, rel=0.03)
