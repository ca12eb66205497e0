"""From particles to counts, against calculations by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spotline import load_beamline, prepare
from spotline.beamline.load import SHIPPED, GainMap
from spotline.preparation.counts import convert_counts, gas_factor, round_running
from tests.lines.facts import with_facts
from tests.preparation.plans import field, layer, plan_of

LINE = load_beamline("cnao-h")
UNIFORM = replace(LINE, int1_gain_map=None, int2_gain_map=None)


def tabulated(ion: str, energy: str) -> float:
    """Particles per count as they stand in the file."""
    lines = (SHIPPED / "cnao-h" / f"{ion}_energies.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    (row,) = (row for row in rows if row["energy_MeV_u"] == energy)
    return float(row["particles_per_count"])


def converted(line, *layers, temperature_C=20.0, pressure_Pa=101325.0):
    treatment = prepare(plan_of(field(*layers)), line).fields[0]
    return convert_counts(treatment, temperature_C, pressure_Pa, line)


def test_gas_factor():
    """Warm air is thinner and low pressure makes it thinner still: 293.15 / 298.15 * 99 / 101.325."""
    assert gas_factor(25.0, 99_000.0, LINE) == pytest.approx(0.9606688, abs=1e-7)
    assert gas_factor(20.0, 101_325.0, LINE) == 1.0


def test_counts_at_reference_conditions():
    """5e4 ions of 221.45 MeV/u at 549.43 ions per count are 91.0 counts."""
    assert tabulated("carbon", "221.45") == 549.43
    (slice_,) = converted(UNIFORM, layer(meterset=5e4)).slices
    assert slice_.int1_counts.tolist() == [91]
    assert slice_.int2_counts.tolist() == [92]  # with the margin
    assert slice_.particles_per_count1 == pytest.approx([549.43])


def test_counts_with_every_factor():
    """Gas, daily factor and gain map multiply; the map is bilinear."""
    gain = GainMap(np.array([-100.0, 100.0]), np.array([-100.0, 100.0]), np.array([[1.0, 1.1], [1.2, 1.3]]))
    line = with_facts(
        replace(UNIFORM, int1_gain_map=gain),
        {"calibration.int1_daily_factor": 1.02, "calibration.int2_daily_factor": 0.97},
    )
    field_ = converted(line, layer(50.0, -50.0, 1e6), temperature_C=25.0, pressure_Pa=99_000.0)
    (slice_,) = field_.slices
    # A quarter of the way from y = -100 to 100 mm, three quarters of the way in x.
    gain1 = 0.75 * (0.25 * 1.0 + 0.75 * 1.1) + 0.25 * (0.25 * 1.2 + 0.75 * 1.3)
    assert gain1 == pytest.approx(1.125)
    assert slice_.int1_counts.tolist() == [round(1e6 / 549.43 * 1.125 * 1.02 * 0.9606688)]
    assert slice_.int2_counts.tolist() == [round(1e6 / 549.43 * 0.97 * 0.9606688) + 1]
    assert slice_.particles_per_count1 == pytest.approx([549.43 / (1.125 * 1.02 * 0.9606688)])
    assert slice_.particles_per_count2 == pytest.approx([549.43 / (0.97 * 0.9606688)])
    assert field_.gas_factor == pytest.approx(0.9606688)


def test_prepare_converts_at_reference_conditions():
    prepared = prepare(plan_of(field(layer([0.0, 60.0], 0.0, 3e5))), LINE).fields[0]
    again = convert_counts(prepared, 20.0, 101_325.0, LINE)
    assert prepared.gas_factor == 1.0
    assert prepared.slices[0].int1_counts.tolist() == again.slices[0].int1_counts.tolist()
    warm = convert_counts(prepared, 25.0, 99_000.0, LINE).slices[0]
    assert warm.particles.tolist() == [3e5, 3e5], "what is prescribed does not change with the weather"
    assert (warm.int1_counts < prepared.slices[0].int1_counts).all()


def test_conversion_starts_from_particles_every_time():
    """Converting twice is the same as converting once: nothing is scaled again."""
    once = converted(LINE, layer([0.0, 60.0], 0.0, 3e5), temperature_C=25.0)
    twice = convert_counts(once, 25.0, 101_325.0, LINE)
    assert twice.gas_factor == once.gas_factor
    assert twice.slices[0].int2_counts.tolist() == once.slices[0].int2_counts.tolist()


@pytest.mark.parametrize("margin", [0, 1, 7])
def test_margin_of_the_back_up_chamber(margin: int):
    line = with_facts(UNIFORM, {"control.int2_margin_counts": margin})
    (slice_,) = converted(line, layer([0.0, 2.0, 4.0], 0.0, [5e4, 7e4, 9e4])).slices
    assert (slice_.int2_counts - slice_.int1_counts == margin).all()


def test_rounding_does_not_add_up():
    """A thousand spots of 90.4 counts each: rounded one by one they would lack 400 counts."""
    n, counts = 1000, 90.4
    (slice_,) = converted(UNIFORM, layer(np.zeros(n), 0.0, counts * 549.43)).slices
    assert set(slice_.int1_counts.tolist()) == {90, 91}
    assert abs(slice_.int1_counts.sum() - n * counts) <= 0.5


@given(hnp.arrays(np.float64, st.integers(1, 200), elements=st.floats(1.0, 1e5)))
def test_running_sums_are_off_by_half_a_count_at_most(counts: np.ndarray):
    rounded = round_running(counts)
    exact, whole = Fraction(0), 0
    for wanted, given_ in zip(counts, rounded, strict=True):
        exact += Fraction(float(wanted))
        whole += int(given_)
        assert abs(whole - exact) <= Fraction(1, 2) + Fraction(1, 10**6)
        assert abs(int(given_) - wanted) < 1.0 + 1e-6
        assert given_ >= 1


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(0.0, 1.0)))
def test_no_spot_is_left_without_a_count(counts: np.ndarray):
    """A target of zero would be reached before the spot begins."""
    assert round_running(counts).min() >= 1
