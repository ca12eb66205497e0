"""The kinds of accelerators: what a file may say of them, and the time that each of them owns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from spotline.machine import load_beamline
from spotline.machine.accelerator import Before, Cyclotron, Degrader, Synchrotron
from spotline.machine.beam_time import Extraction, Place, Scan
from tests.lines.cyclotron import CYCLOTRON, TABLE, cyclotron_line, with_accelerator
from tests.lines.edit import edit
from tests.lines.facts import with_facts
from tests.machine.refused import refusal_of

SYNCHROTRON = load_beamline("cnao-h").facts.accelerator

# What a file may say


def test_a_file_without_a_kind_is_of_a_synchrotron(toml: Path):
    before = load_beamline(toml).facts
    lines = toml.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith('kind = "synchrotron"')]
    assert len(kept) == len(lines) - 1
    toml.write_text("".join(kept), encoding="utf-8")
    assert isinstance(before.accelerator, Synchrotron)
    assert load_beamline(toml).facts == before


def test_a_cyclotron_is_read(toml: Path):
    accelerator = load_beamline(with_accelerator(toml, TABLE)).facts.accelerator
    assert isinstance(accelerator, Cyclotron)
    assert accelerator == CYCLOTRON


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"cyclotron"',
            '"cyclotrom"',
            "accelerator.kind: 'cyclotrom' is not known; did you mean 'cyclotron'?",
        ),
        ('"cyclotron"', "1", "accelerator.kind: expected str, got int; correct the value"),
        ("repeat_s = 0.1", "cycle_period_s = 4.5", "accelerator.cycle_period_s: is not a known key; known"),
        ("repeat_s = 0.1\n", "", "accelerator.repeat_s: is missing; add the key"),
        ("repeat_s = 0.1", "repeat_s = 0.02", "accelerator.repeat_s: 0.02 s is not longer than 0.02 s"),
        ("switch_up_s = 5.0", "switch_up_s = 0.0", "accelerator.switch_up_s: expected float > 0.0"),
        ("beam_rise_s = 0.001", "beam_rise_s = 10.0", "accelerator.beam_rise_s: rise and fall together"),
        ("[1.0, 0.5,", "[0.5, 1.0,", "accelerator.intensity_levels: [0.5, 1.0, 0.2, 0.1] are no fractions"),
        (
            "= []",
            "= [[500.0, 0.1], [400.0, 1.0]]",
            "accelerator.degrader.transmission: are no energies in asc",
        ),
        (
            "= []",
            "= [[100.0, 0.1], [400.0, 1.1]]",
            "accelerator.degrader.transmission: are no energies in asc",
        ),
        (
            "energy_MeV_u = 400.0",
            "energy_MeV_u = 230.0",
            "accelerator.degrader.energy_MeV_u: 230 is below the 398.84 MeV/u of carbon",
        ),
        ("degrader = {", "degrader = { energy = 3,", "accelerator.degrader.energy: is not a known key"),
    ],
)
def test_broken_cyclotron(old: str, new: str, message: str, toml: Path):
    edit(with_accelerator(toml, TABLE), (old, new))
    assert message in refusal_of(toml)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("flat_top_s = 5.0", "accelerator.flat_top_s: 5 s is longer than the cycle of 4.5 s; shorten it"),
        ("flat_top_s = 1.0", "accelerator.flat_top_s: 1 s is shorter than spill_length_s 1.5 s"),
        ("flat_top_s = 2.0", 'accelerator.flat_top_s: is for extraction = "discrete"; leave it out'),
        ("spot_preparation_s = 0.002", "accelerator.spot_preparation_s: is for extraction"),
        ('extraction = "slow"', "accelerator.extraction: invalid enum value 'slow'; correct the value"),
        ("energies_per_cycle = 0", "accelerator.energies_per_cycle: expected int >= 1"),
    ],
)
def test_broken_synchrotron(more: str, message: str, toml: Path):
    edit(toml, ("cycle_period_s = 4.5 ", f"{more}\ncycle_period_s = 4.5 "))
    assert message in refusal_of(toml)


# When beam comes


def test_a_synchrotron_gives_a_spill_a_cycle():
    before, starts = None, []
    for asked_us in (0, 4_600_000, 20_000_000, 20_000_000):
        before = Before(SYNCHROTRON.next_start_us(asked_us, before, 200.0), 200.0)
        starts.append(before.start_us)
    assert starts == [4_500_000, 9_000_000, 22_500_000, 27_000_000]
    assert [SYNCHROTRON.nominal_start_us(n) for n in (1, 2)] == [4_500_000, 9_000_000]
    assert SYNCHROTRON.length_us() == 1_500_000


@pytest.mark.parametrize(
    ("before_MeV_u", "next_MeV_u", "wait_us"),
    [
        (None, 200.0, 3_000_000),
        (200.0, 200.0, 100_000),
        (200.0, 150.0, 650_000),
        (200.0, 201.0, 5_000_000),
    ],
)
def test_a_cyclotron_gives_beam_when_its_energy_is_set(
    before_MeV_u: float | None, next_MeV_u: float, wait_us: int
):
    before = None if before_MeV_u is None else Before(7_000_000, before_MeV_u)
    assert CYCLOTRON.next_start_us(8_000_000, before, next_MeV_u) == 8_000_000 + wait_us
    assert CYCLOTRON.next_start_us(8_000_025, before, next_MeV_u) == 8_001_000 + wait_us
    assert CYCLOTRON.nominal_start_us(1) is None
    assert CYCLOTRON.length_us() == 10_000_000


def test_charge():
    trapezoid = 60.0 * (1_500_000 - 35_000)
    assert SYNCHROTRON.charge(60.0, 1_500_000, 0.1) == pytest.approx(1.1 * trapezoid)
    assert CYCLOTRON.charge(60.0, 1_500_000, 0.1) == math.inf
    assert SYNCHROTRON.fewest_spills(trapezoid, 60e6) == 1
    assert SYNCHROTRON.fewest_spills(2.5 * trapezoid, 60e6) == 3
    assert CYCLOTRON.fewest_spills(2.5 * 60e6 * 9.999, 60e6) == 3


def test_number_of_spills():
    assert SYNCHROTRON.spill_limit == 1000
    assert CYCLOTRON.spill_limit is None


def test_transmission_of_the_degrader():
    """Logarithms lie on a line between the points; beyond them the last one stays."""
    degraded = with_facts(
        cyclotron_line(),
        {"accelerator.degrader": Degrader(energy_MeV_u=400.0, transmission=((100.0, 0.01), (200.0, 1.0)))},
    ).facts.accelerator
    assert [degraded.intensity_share(e) for e in (50.0, 100.0, 150.0, 200.0, 300.0)] == pytest.approx(
        [0.01, 0.01, 0.1, 1.0, 1.0]
    )
    assert CYCLOTRON.intensity_share(70.0) == SYNCHROTRON.intensity_share(70.0) == 1.0


def test_longest_field():
    assert SYNCHROTRON.longest_field_s(3, 100.0) == 13.5
    assert CYCLOTRON.longest_field_s(3, 100.0) == 3.0 + 3 * (5.0 + 10.0)


# Prediction of one slice


def test_extraction_and_its_inverse():
    spill = Extraction(0.05, 0.02, 1.5, 0.0)
    assert spill.capacity_s == pytest.approx(1.465)
    for time_s in (0.0, 0.01, 0.05, 0.7, 1.48, 1.49, 1.5):
        assert spill.time_s(spill.beam_s(time_s)) == pytest.approx(time_s)


def test_a_layer_that_takes_longer_than_a_beam_is_granted():
    accelerator = cyclotron_line(longest_beam_s=2.0, beam_rise_s=0.0, beam_fall_s=0.0).facts.accelerator
    time = accelerator.time_of(Scan([5.0], []), 0.001, Place())
    assert (time.spills, time.variance, time.pause_s) == (3.0, 0.0, 0.0)
    assert time.extraction_s == pytest.approx(5.0)
    assert time.wait_s == pytest.approx(2 * 0.101)
    assert accelerator.after(time.last, 0.001, 200.0, 190.0)[0] == pytest.approx(0.001 + 0.61)


DISCRETE = with_facts(
    load_beamline("cnao-h"),
    {
        "accelerator.extraction": "discrete",
        "accelerator.spill_rise_s": 0.0,
        "accelerator.spill_fall_s": 0.0,
        "accelerator.spill_length_s": 1.0,
        "accelerator.flat_top_s": 3.0,
    },
).facts.accelerator


def test_discrete_extraction_keeps_the_beam_in_pauses():
    """0.9 s of beam with 1.6 s of pauses fit into one ring and one flat top."""
    time = DISCRETE.time_of(Scan([0.3] * 3, [0.8] * 2), 0.001, Place())
    assert time.spills == 1.0
    assert time.extraction_s == pytest.approx(2.5)
    assert time.pause_s == pytest.approx(1.6)
    assert (time.last.time_s, time.last.beam_s) == pytest.approx((2.5, 0.9))


def test_a_discrete_spill_ends_with_its_charge_or_with_the_flat_top():
    charge = DISCRETE.time_of(Scan([0.6, 0.6], [0.1]), 0.001, Place())
    assert charge.spills == 2.0
    assert charge.extraction_s == pytest.approx(1.1 + 0.2)  # the ring is empty in the second spot
    assert charge.wait_s == pytest.approx(4.5 - 1.1)
    flat_top = DISCRETE.time_of(Scan([0.2, 0.2], [2.9]), 0.001, Place())
    assert flat_top.spills == 2.0
    assert flat_top.extraction_s == pytest.approx(3.0 + 0.2)  # the magnets move on between the spills
    assert flat_top.pause_s == pytest.approx(2.8)
    assert flat_top.wait_s == pytest.approx(1.5)


def test_several_energies_in_a_cycle():
    """Down within the cycle while it has energies left; up, or beyond them, with the next one."""
    several = with_facts(
        load_beamline("cnao-h"), {"accelerator.energies_per_cycle": 2, "accelerator.energy_step_s": 0.2}
    ).facts.accelerator
    first = several.time_of(Scan([0.5], []), 0.001, Place()).last
    wait_s, place = several.after(first, 0.001, 200.0, 190.0)
    assert (wait_s, place.energies) == (0.2, 2)
    assert place.beam_s == pytest.approx(0.5)
    assert several.after(first, 0.001, 200.0, 210.0) == (pytest.approx(4.5 - first.time_s), Place())
    second = several.time_of(Scan([0.25], []), 0.001, place)
    assert second.extraction_s == pytest.approx(0.25)
    assert second.last.beam_s == pytest.approx(0.75)
    assert several.after(second.last, 0.001, 190.0, 180.0)[1] == Place()


def test_what_cannot_be_delivered_yet():
    assert list(SYNCHROTRON.undeliverable()) == list(CYCLOTRON.undeliverable()) == []
    assert list(DISCRETE.undeliverable()) == ["extraction: discrete extraction cannot be delivered yet"]
