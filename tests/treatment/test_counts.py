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
from spotline.machine.load import SHIPPED, GainMap
from spotline.treatment import FieldTreatment, Options, Slice
from spotline.treatment.counts import convert_counts, round_running
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of

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
    gas = line.gas_factor(temperature_C, pressure_Pa)
    return convert_counts(treatment, (gas, gas), line)


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
    assert field_.gas_factors == pytest.approx((0.9606688, 0.9606688))


def test_prepare_converts_at_reference_conditions():
    prepared = prepare(plan_of(field(layer([0.0, 60.0], 0.0, 3e5))), LINE).fields[0]
    again = convert_counts(prepared, (1.0, 1.0), LINE)
    assert prepared.gas_factors == (1.0, 1.0)
    assert prepared.slices[0].int1_counts.tolist() == again.slices[0].int1_counts.tolist()
    warm = convert_counts(prepared, (0.9606688, 0.9606688), LINE).slices[0]
    assert warm.particles.tolist() == [3e5, 3e5], "what is prescribed does not change with the weather"
    assert (warm.int1_counts < prepared.slices[0].int1_counts).all()


def test_conversion_starts_from_particles_every_time():
    """Converting twice is the same as converting once: nothing is scaled again."""
    once = converted(LINE, layer([0.0, 60.0], 0.0, 3e5), temperature_C=25.0)
    twice = convert_counts(once, once.gas_factors, LINE)
    assert twice.gas_factors == once.gas_factors
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


# Spots that are visited in any order, and more than once.

PLANNED = Options(order="planned", intensity=0.1)
weights = st.lists(st.floats(5e3, 3e5), min_size=1, max_size=25)


def layers_of(*metersets):
    """Layers of different energies, with their spots along a line, where the gain maps differ."""
    return [
        layer(np.linspace(-90.0, 90.0, len(m)), 10.0 * i, m, index=i, energy_MeV_u=CARBON_MeV_u[i])
        for i, m in enumerate(metersets)
    ]


def prepared(layers, **options) -> FieldTreatment:
    return prepare(plan_of(field(*layers)), LINE, options=replace(PLANNED, **options)).fields[0]


def visits_in(treatment: FieldTreatment) -> dict[str, np.ndarray]:
    """Columns of all visits, in delivery order."""
    names = ("planned_layer", "planned_spot", "particles", "int1_counts", "int2_counts")
    return {name: np.concatenate([getattr(s, name) for s in treatment.slices]) for name in names}


def totals(treatment: FieldTreatment, column: str, margin: int = 0) -> dict[tuple[int, int], float]:
    """Sum over the visits to each prescribed spot."""
    found: dict[tuple[int, int], float] = {}
    columns = visits_in(treatment)
    for *key, value in zip(columns["planned_layer"], columns["planned_spot"], columns[column], strict=True):
        found[int(key[0]), int(key[1])] = found.get((int(key[0]), int(key[1])), 0) + value - margin
    return found


def reordered(slice_: Slice, order: np.ndarray) -> Slice:
    changes = {name: getattr(slice_, name)[order] for name in Slice.__slots__
               if isinstance(getattr(slice_, name), np.ndarray)}  # fmt: skip
    return replace(slice_, **changes)


def part_of(slice_: Slice, kept: np.ndarray) -> Slice:
    return reordered(slice_, np.flatnonzero(kept))


@given(weights, weights, st.integers(1, 8), st.sampled_from(["layered", "volumetric", "back_and_forth"]))
def test_repainting_conserves_counts_and_particles(first, second, n: int, repainting):
    layers = layers_of(first, second)
    once, often = prepared(layers), prepared(layers, paintings=n, repainting=repainting)
    for column, margin in (("int1_counts", 0), ("int2_counts", 1)):
        assert totals(often, column, margin) == totals(once, column, margin)
    for key, particles in totals(often, "particles").items():
        assert particles == pytest.approx([first, second][key[0]][key[1]], rel=1e-14)


@given(weights, weights, st.floats(6e3, 1e5))
def test_iso_layered_repainting_conserves_counts(first, second, largest: float):
    layers = layers_of(first, second)
    once, often = prepared(layers), prepared(layers, largest_visit_particles=largest)
    assert totals(often, "int1_counts") == totals(once, "int1_counts")
    assert totals(often, "int2_counts", 1) == totals(once, "int2_counts", 1)
    assert visits_in(often)["particles"].max() <= max(largest, 12e3) * (1 + 1e-5), "twice the minimum at most"


@given(weights, weights, st.integers(1, 5), st.randoms(use_true_random=False))
def test_order_of_the_visits_does_not_matter(first, second, n: int, random):
    """Any permutation of the slices, and of the visits of each, has the same counts for every spot."""
    treatment = prepared(layers_of(first, second), paintings=n, repainting="volumetric")
    slices = list(treatment.slices)
    random.shuffle(slices)
    slices = [reordered(s, np.array(random.sample(range(s.n_spots), s.n_spots))) for s in slices]
    other = convert_counts(replace(treatment, slices=tuple(slices)), (1.0, 1.0), LINE)
    for column in ("int1_counts", "int2_counts"):
        assert totals(other, column) == totals(treatment, column)


@given(weights, weights, st.integers(1, 6))
def test_visits_have_their_share(first, second, n: int):
    """To a count, and never without one; running sums over the spots of a layer are off by half a count."""
    treatment = prepared(layers_of(first, second), paintings=n)
    exact: dict[tuple[int, int], float] = {}
    for s in treatment.slices:
        wanted = s.particles / s.particles_per_count1
        assert (np.abs(s.int1_counts - wanted) <= 1.5).all()
        assert (s.int1_counts >= 1).all()
        for *key, value in zip(s.planned_layer.tolist(), s.planned_spot.tolist(), wanted, strict=True):
            exact[key[0], key[1]] = exact.get((key[0], key[1]), 0.0) + value
    counts = totals(treatment, "int1_counts")
    for of_layer in (0, 1):
        keys = sorted(key for key in exact if key[0] == of_layer)
        off = np.cumsum([counts[key] - exact[key] for key in keys])
        assert np.abs(off).max() <= 0.5 + 1e-6


def test_minimum_of_a_visit():
    """No visit has fewer particles than the line allows, unless the spot has."""
    weights = np.array([5e3, 9.9e3, 1.2e4, 3e4, 3e5])
    treatment = prepared(layers_of(weights), paintings=9)
    visits = visits_in(treatment)
    minimum = LINE.beam("carbon").minimum_particles_per_spot
    whole = weights[visits["planned_spot"]]
    assert (visits["particles"] >= np.minimum(minimum, whole) * (1 - 1e-5)).all()
    assert np.bincount(visits["planned_spot"])[[0, 4]].tolist() == [1, 9]


def test_counts_of_visits_by_hand():
    """91 counts in three visits of 30.3, of which each running sum is rounded."""
    treatment = prepare(
        plan_of(field(layer(meterset=91 * 549.43))), UNIFORM, options=replace(PLANNED, paintings=3)
    ).fields[0]
    (slice_,) = treatment.slices
    assert slice_.int1_counts.tolist() == [30, 31, 30]
    assert slice_.int2_counts.tolist() == [31, 32, 31], "with the margin at every visit"


@pytest.mark.parametrize(
    ("shares", "counts"),
    [
        ([1e3, 1.0, 1.0, 2e3], [2, 1, 1, 1]),  # 5 counts, of which the share of two would be none
        ([1.0, 1.0, 1e5], [1, 1, 180]),
        ([1e5, 1.0, 1.0], [180, 1, 1]),
        ([1.0, 1.0, 1.0], [1, 1, 1]),  # not even a count, but three visits
    ],
)
def test_no_visit_is_left_without_a_count(shares, counts):
    prototype = converted(UNIFORM, layer(np.zeros(len(shares))))
    slice_ = replace(
        prototype.slices[0], particles=np.array(shares), planned_spot=np.zeros(len(shares), np.int64)
    )
    treatment = convert_counts(replace(prototype, slices=(slice_,)), (1.0, 1.0), UNIFORM)
    assert treatment.slices[0].int1_counts.tolist() == counts


def test_spots_that_are_absent_are_absent():
    """A treatment of some visits only: what is there is rounded as if there were nothing else."""
    whole = prepared(layers_of([5e4, 6e4, 7e4], [8e4, 9e4]), paintings=2, repainting="volumetric")
    slices = tuple(part_of(s, s.planned_spot != 1) for s in whole.slices[1:])
    rest = convert_counts(replace(whole, slices=slices), (1.0, 1.0), LINE)
    assert totals(rest, "int1_counts").keys() == {(0, 0), (0, 2), (1, 0)}
    expected = sum(float((s.particles / s.particles_per_count1)[s.planned_layer == 0].sum()) for s in slices)
    found = sum(n for key, n in totals(rest, "int1_counts").items() if key[0] == 0)
    assert abs(found - expected) <= 0.5
    nothing = replace(whole, slices=())
    assert convert_counts(nothing, (1.0, 1.0), LINE).slices == ()
