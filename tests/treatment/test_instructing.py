"""What is decided about a field: paintings, order, intensity, beam-off jumps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spotline import BeamLine, Options, load_beamline
from spotline.moves import move_times_us
from spotline.plan.instructions import Instruction
from spotline.plan.model import Field, Layer
from spotline.treatment.conversions import minimum_particles, particles_per_meterset
from spotline.treatment.demands import obstacles
from spotline.treatment.instructing import instruct, jumps_of
from spotline.treatment.path import measure_path
from spotline.treatment.slices import positions_mm
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, layer

LINE = load_beamline("cnao-h")
PLANNED = Options(order="planned")
_TABLE = LINE.energies["carbon"]
MU_LINE = replace(
    LINE,
    energies={**LINE.energies, "carbon": replace(_TABLE, particles_per_MU=_TABLE.energy_MeV_u * 1e4)},
)
"""The line with monitor units for carbon."""


def order_of(instruction: Instruction) -> list[tuple[int, int]]:
    """Layer and spot of each visit."""
    return list(zip(instruction.layer.tolist(), instruction.spot.tolist(), strict=True))


def received(planned: Field, instructions: tuple[Instruction, ...]) -> list[NDArray[np.float64]]:
    """Sum of the visits to each planned spot, layer by layer, without rounding on the way."""
    visits: dict[tuple[int, int], list[float]] = {}
    for instruction in instructions:
        for at, meterset in zip(order_of(instruction), instruction.meterset.tolist(), strict=True):
            visits.setdefault(at, []).append(meterset)
    return [
        np.array([math.fsum(visits.get((layer.index, spot), [])) for spot in range(layer.n_spots)])
        for layer in planned.layers
    ]


# --- what holds for all fields and options --------------------------------------------------------


@st.composite
def layers(draw: st.DrawFn, index: int, least: float) -> Layer:
    n = draw(st.integers(1, 12))
    coordinate = st.integers(-25, 25).map(lambda k: 4.0 * k)
    weights = st.floats(0.0, 2.0).map(lambda decades: least * 10**decades)
    return layer(
        draw(st.lists(coordinate, min_size=n, max_size=n)),
        draw(st.lists(coordinate, min_size=n, max_size=n)),
        draw(st.lists(weights, min_size=n, max_size=n)),
        index=index,
        energy_MeV_u=draw(st.sampled_from(CARBON_MeV_u)),
        tune_id=draw(st.sampled_from(["small", "large", "F1"])),
        paintings=draw(st.integers(1, 5)),
    )


@st.composite
def planned_fields(draw: st.DrawFn) -> Field:
    unit, least = draw(st.sampled_from([("NP", 5e3), ("MU", 5e3 / 2.1e6)]))
    return field(*(draw(layers(index, least)) for index in range(draw(st.integers(1, 4)))), unit=unit)


@st.composite
def all_options(draw: st.DrawFn) -> Options:
    sharing = draw(
        st.sampled_from(
            [{}, {"paintings": 1}, {"paintings": 4}]
            + [{"largest_visit_particles": n} for n in (1e4, 3e4, 1e9)]
        )
    )
    return Options(
        order=draw(st.sampled_from(["shortest", "planned"])),
        intensity=draw(st.sampled_from([None, 1.0, 0.1])),
        repainting=draw(st.sampled_from(["layered", "volumetric", "back_and_forth"])),
        beam_off_jump_mm=draw(st.sampled_from([None, 1.0, 50.0])),
        beam_off_transit_share=draw(st.sampled_from([None, 0.01, 10.0])),
        **sharing,
    )


@given(planned=planned_fields(), options=all_options())
@settings(max_examples=60)
def test_every_spot_receives_what_is_prescribed(planned: Field, options: Options):
    assert not list(obstacles(planned, MU_LINE, options))
    instructions = instruct(planned, MU_LINE, options)
    for layer_, sums in zip(planned.layers, received(planned, instructions), strict=True):
        np.testing.assert_array_equal(sums, layer_.meterset)


@given(planned=planned_fields(), options=all_options())
@settings(max_examples=60)
def test_no_visit_is_too_weak(planned: Field, options: Options):
    """None below the minimum, unless the spot itself is."""
    for instruction in instruct(planned, MU_LINE, options):
        assert instruction.n_visits > 0
        per_unit = particles_per_meterset(planned, MU_LINE, instruction.energy_MeV_u)
        for k, (at, spot) in enumerate(order_of(instruction)):
            layer_ = planned.layers[at]
            minimum = minimum_particles(layer_, planned, MU_LINE, instruction.energy_MeV_u)[spot]
            least = min(minimum, layer_.meterset[spot] * per_unit)
            assert instruction.meterset[k] * per_unit >= least * (1 - 2e-6)


@given(planned=planned_fields(), options=all_options())
@settings(max_examples=60)
def test_slices_are_of_one_kind(planned: Field, options: Options):
    for instruction in instruct(planned, MU_LINE, options):
        for at in np.unique(instruction.layer).tolist():
            layer_ = planned.layers[at]
            assert layer_.energy_MeV_u == instruction.energy_MeV_u
            assert instruction.focus == ("large" if layer_.tune_id == "large" else "small")
        visits = list(zip(order_of(instruction), instruction.painting.tolist(), strict=True))
        assert len(set(visits)) == len(visits), "a spot comes once in a painting"


@given(planned=planned_fields(), options=all_options())
@settings(max_examples=40)
def test_path_is_never_longer_than_that_of_the_plan(planned: Field, options: Options):
    """In time and in travel, slice by slice."""
    chosen = instruct(planned, MU_LINE, replace(options, order="shortest"))
    given_order = instruct(planned, MU_LINE, replace(options, order="planned"))
    for new, old in zip(chosen, given_order, strict=True):
        moves = MU_LINE.moves("carbon", new.energy_MeV_u)
        jumps = jumps_of(MU_LINE, options)
        shortest = measure_path(*positions_mm(new, planned), moves, jumps)
        before = measure_path(*positions_mm(old, planned), moves, jumps)
        assert shortest.time_us <= before.time_us
        assert shortest.travel_mm <= before.travel_mm
        assert sorted(order_of(new)) == sorted(order_of(old))


# --- order ----------------------------------------------------------------------------------------


def scattered(n: int, index: int = 0, **more: Any) -> Layer:
    x_mm, y_mm = np.random.default_rng(n).uniform(-50.0, 50.0, (2, n))
    return layer(x_mm, y_mm, index=index, **more)


def test_order_of_the_plan_is_kept_if_asked_for():
    (kept,) = instruct(field(scattered(30), scattered(20, 1)), LINE, PLANNED)
    assert order_of(kept) == [(0, spot) for spot in range(30)] + [(1, spot) for spot in range(20)]


def test_order_of_the_plan_is_kept_in_each_painting():
    (kept,) = instruct(field(scattered(10), scattered(5, 1)), LINE, replace(PLANNED, paintings=2))
    once = [(0, spot) for spot in range(10)], [(1, spot) for spot in range(5)]
    assert order_of(kept) == once[0] * 2 + once[1] * 2
    assert kept.painting.tolist() == [0] * 10 + [1] * 10 + [0] * 5 + [1] * 5


def test_scattered_spots_are_scanned_on_a_shorter_path():
    planned = field(scattered(60))
    (new,), (old,) = (instruct(planned, LINE, options) for options in (Options(), PLANNED))
    moves, jumps = LINE.moves("carbon", CARBON_MeV_u[0]), jumps_of(LINE, Options())
    found, given_order = (measure_path(*positions_mm(i, planned), moves, jumps) for i in (new, old))
    assert found.time_us < 0.5 * given_order.time_us
    assert found.jumps < given_order.jumps
    assert sorted(order_of(new)) == order_of(old)


def test_next_painting_begins_where_the_last_one_ended():
    """A row of spots: there and back, instead of there, a jump, and there again."""
    (painted,) = instruct(field(layer(np.arange(0.0, 40.0, 4.0), paintings=3)), LINE, Options())
    row = list(range(10))
    assert painted.spot.tolist() in ([*row, *row[::-1], *row], [*row[::-1], *row, *row[::-1]])
    assert not painted.beam_off.any()


def test_next_layer_of_a_slice_begins_at_its_nearer_end():
    row_mm = np.arange(0.0, 40.0, 4.0)
    (joined,) = instruct(field(layer(row_mm), layer(row_mm, 4.0, index=1)), LINE, Options())
    x_mm, y_mm = positions_mm(joined, field(layer(row_mm), layer(row_mm, 4.0, index=1)))
    assert np.hypot(np.diff(x_mm), np.diff(y_mm)).max() == 4.0


def test_places_that_come_twice_keep_the_order_of_the_plan():
    """The planner's own repainting: one after the other, not twice on the spot."""
    twice = layer([0.0, 30.0, -30.0, 0.0, 30.0, -30.0], 0.0, 5e4)
    (kept,) = instruct(field(twice), LINE, Options())
    assert kept.spot.tolist() == [0, 1, 2, 3, 4, 5]


def test_only_the_layer_with_places_that_come_twice_is_kept():
    mixed = field(layer([0.0, 30.0, -30.0, 0.0], 0.0), scattered(40, 1))
    (found,) = instruct(mixed, LINE, Options())
    assert order_of(found)[:4] == [(0, spot) for spot in range(4)]
    assert order_of(found)[4:] != [(1, spot) for spot in range(40)]


# --- slices and paintings -------------------------------------------------------------------------


def test_neighbouring_layers_of_one_energy_and_focus_are_one_slice():
    first, second, _ = CARBON_MeV_u
    planned = field(
        layer(index=0),
        layer(2.0, index=1, energy_MeV_u=first + 0.1),
        layer(index=2, energy_MeV_u=second),
        layer(index=3),
        layer(index=4, tune_id="large"),
    )
    found = instruct(planned, LINE, Options())
    assert [i.layer.tolist() for i in found] == [[0, 1], [2], [3], [4]]
    assert [(i.energy_MeV_u, i.focus) for i in found] == [
        (first, "small"),
        (second, "small"),
        (first, "small"),
        (first, "large"),
    ]


def test_number_of_paintings_of_the_plan_divides_the_weights():
    """As DICOM has it, (300A,039A): so many scans, each of an equal part."""
    planned = field(layer([0.0, 2.0], 0.0, [6e4, 3e4], paintings=3), layer(4.0, index=1))
    (found,) = instruct(planned, LINE, PLANNED)
    assert order_of(found) == [(0, 0), (0, 1)] * 3 + [(1, 0)]
    assert found.painting.tolist() == [0, 0, 1, 1, 2, 2, 0]
    np.testing.assert_allclose(found.meterset, [2e4, 1e4] * 3 + [5e4])


def test_option_goes_before_the_number_of_the_plan():
    planned = field(layer([0.0, 2.0], 0.0, 6e4, paintings=3))
    (once,) = instruct(planned, LINE, replace(PLANNED, paintings=1))
    assert once.meterset.tolist() == [6e4, 6e4]
    (twice,) = instruct(planned, LINE, replace(PLANNED, paintings=2))
    assert twice.meterset.tolist() == [3e4] * 4
    (iso,) = instruct(planned, LINE, replace(PLANNED, largest_visit_particles=4e4))
    assert sorted(iso.meterset.tolist()) == [2e4, 2e4, 4e4, 4e4]


def test_largest_visit_is_in_particles_for_monitor_units_too():
    """Energy of 221.45 MeV/u: 2.2145e6 particles per MU."""
    planned = field(layer(meterset=1.0), unit="MU")
    (found,) = instruct(planned, MU_LINE, Options(largest_visit_particles=2.2145e6 / 4))
    np.testing.assert_allclose(found.meterset, [0.25] * 4)


def sequence_of(repainting: Any) -> list[tuple[int, list[int]]]:
    """First layer and paintings of each slice, for layers with 1, 3, 2 paintings."""
    first, second, third = CARBON_MeV_u
    planned = field(
        layer(energy_MeV_u=first),
        layer(index=1, energy_MeV_u=second, paintings=3),
        layer(index=2, energy_MeV_u=third, paintings=2),
    )
    found = instruct(planned, LINE, Options(repainting=repainting))
    return [(int(i.layer[0]), np.unique(i.painting).tolist()) for i in found]


def test_layered_repainting():
    assert sequence_of("layered") == [(0, [0]), (1, [0, 1, 2]), (2, [0, 1])]


def test_volumetric_repainting():
    assert sequence_of("volumetric") == [(0, [0]), (1, [0]), (2, [0]), (1, [1]), (2, [1]), (1, [2])]


def test_back_and_forth_repainting():
    assert sequence_of("back_and_forth") == [(0, [0]), (1, [0]), (2, [0]), (2, [1]), (1, [1]), (1, [2])]


# --- intensity ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smallest", "level"),
    [
        (5e4, 1.0),  # 833 us at 6e7 particles per second
        (1.5e4, 1.0),  # 250 us, the minimum itself
        (1.49e4, 0.5),
        (7.5e3, 0.5),
        (7.4e3, 0.2),
        (5e3, 0.2),  # 417 us at a fifth
    ],
)
def test_highest_intensity_for_the_smallest_spot(smallest: float, level: float):
    (found,) = instruct(field(layer([0.0, 2.0, 4.0], 0.0, [9e5, smallest, 5e5])), LINE, Options())
    assert found.intensity_level == level


def test_each_slice_has_its_own_intensity():
    planned = field(layer(meterset=5e3), layer(meterset=5e5, index=1, energy_MeV_u=CARBON_MeV_u[1]))
    assert [i.intensity_level for i in instruct(planned, LINE, Options())] == [0.2, 1.0]
    assert [i.intensity_level for i in instruct(planned, LINE, Options(intensity=0.5))] == [0.5, 0.5]


def test_intensity_is_for_visits_not_for_spots():
    """Spots of 2e4 at full intensity; painted twice, visits of 1e4 at half."""
    planned = field(layer(meterset=2e4))
    levels = [instruct(planned, LINE, Options(paintings=n))[0].intensity_level for n in (1, 2)]
    assert levels == [1.0, 0.5]


# --- beam-off jumps -------------------------------------------------------------------------------


def test_beam_is_off_for_long_jumps_only():
    x_mm = [0.0, 20.0, 40.1, 40.1, 52.0]
    y_mm = [0.0, 0.0, 0.0, 20.1, 4.0]
    (found,) = instruct(field(layer(x_mm, y_mm, 1e6)), LINE, PLANNED)
    # 20 mm is not beyond 20 mm; the last jump is 20.04 mm along the diagonal.
    assert found.beam_off.tolist() == [False, False, True, True, True]
    (wider,) = instruct(field(layer(x_mm, y_mm, 1e6)), LINE, replace(PLANNED, beam_off_jump_mm=20.08))
    assert wider.beam_off.tolist() == [False, False, True, True, False]


def test_long_jump_from_layer_to_layer_of_one_slice():
    (found,) = instruct(field(layer([0.0, 1.0]), layer([30.0, 31.0], index=1)), LINE, PLANNED)
    assert found.beam_off.tolist() == [False, False, True, False]


def transit_line(off_us: float) -> BeamLine:
    """A line whose chopper closes in so many microseconds."""
    return with_facts(LINE, {"chopper.off_delay_us": off_us / 2, "chopper.off_ramp_us": off_us / 2})


def transit_us_of_18_mm() -> float:
    moves = LINE.moves("carbon", CARBON_MeV_u[0])
    return float(move_times_us(np.array([0.0, 18.0]), np.zeros(2), moves)[1])


@pytest.mark.parametrize(
    ("share", "limit", "off"), [(0.6, None, True), (0.4, None, False), (0.6, 0.7, False), (0.4, 0.3, True)]
)
def test_beam_is_off_where_too_much_would_be_delivered_on_the_way(
    share: float, limit: float | None, off: bool
):
    """Half of the arriving spot on this line; of the spots before, 17 ms long, it is little."""
    transit_us = transit_us_of_18_mm()
    last = transit_us * 1e-6 * 6e7 / share
    planned = field(layer([0.0, 18.0, 0.0, 18.0], [0.0, 0.0, 1.0, 1.0], [1e6, 1e6, 1e6, last]))
    options = replace(PLANNED, beam_off_transit_share=limit)
    (found,) = instruct(planned, transit_line(0.99 * transit_us), options)
    assert found.intensity_level == 1.0
    assert found.beam_off.tolist() == [False, False, False, off]


def test_spot_lasts_longer_at_a_lower_intensity():
    """What is more than half of the spot at full intensity is little at a tenth."""
    transit_us = transit_us_of_18_mm()
    planned = field(layer([0.0, 18.0], 0.0, transit_us * 1e-6 * 6e7 / 0.6))
    line = transit_line(0.99 * transit_us)
    for level, off in ((1.0, True), (0.1, False)):
        (found,) = instruct(planned, line, replace(PLANNED, intensity=level))
        assert found.beam_off.tolist() == [False, off]


def test_beam_stays_on_where_the_chopper_is_slower_than_the_magnets():
    planned, transit_us = field(layer([0.0, 18.0], 0.0, 1.5e4)), transit_us_of_18_mm()
    for off_us, off in ((0.99 * transit_us, True), (1.01 * transit_us, False)):
        (found,) = instruct(planned, transit_line(off_us), PLANNED)
        assert found.beam_off.tolist() == [False, off]
