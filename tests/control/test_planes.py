"""Strip chambers without a role, and the law without monitors that it can do without."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spotline.arrays import Frame
from spotline.control import interlocks
from spotline.control.memory import INPUT_NO_PIXEL, INPUT_NO_STRIP, LawSettings
from spotline.control.planes import (
    Planes,
    close_planes,
    is_of_next_spot,
    new_planes,
    plane_frame,
    readings_of,
)
from tests.control.bench import SETTINGS, Bench, every, spots

pytestmark = pytest.mark.kernel

CHANNELS, PITCH_mm, REACH = (16, 10), (2.0, 3.0), (3, 2)
MINIMUM = SETTINGS.centroid_counts


def planes_of(n_spots: int) -> Planes:
    """A plane that measures x with its spots in the middle, and one that measures y with them at 6 mm."""
    return new_planes(
        monitor=np.array([5, 7]),
        across_y=np.array([0, 1]),
        channels=np.array(CHANNELS),
        pitch_mm=np.array(PITCH_mm),
        reach=np.array(REACH),
        prescribed_mm=np.array([[0.0] * n_spots, [6.0] * n_spots]),
    )


def frame_of(k: int, counts: dict[int, int]) -> Frame:
    frame = np.zeros(CHANNELS[k], np.int32)
    for channel, number in counts.items():
        frame[channel] = number
    return frame


def feed(planes: Planes, bench: Bench, k: int, counts: dict[int, int], tick: int) -> None:
    bench.s.tick = tick
    frame = frame_of(k, counts)
    plane_frame(planes, bench.law, bench.settings, k, frame, np.array([0, CHANNELS[k]]))


def centre_mm(counts: dict[int, int], k: int) -> float:
    """The oracle: centre of gravity of all counts."""
    total = sum(counts.values())
    middle = sum(number * channel for channel, number in counts.items()) / total
    return (middle - (CHANNELS[k] - 1) / 2) * PITCH_mm[k]


def placed(n_spots: int = 2) -> tuple[Planes, Bench]:
    """Magnets at the first spot since tick 0, with the blanking of 100 ticks."""
    bench = Bench(spots([10_000] * n_spots)).deliver()
    bench.s.settled_tick = 0
    return planes_of(n_spots), bench


def test_counts_with_the_magnets_settled_come_first():
    planes, bench = placed()
    early, late = {3: MINIMUM}, {8: MINIMUM, 9: MINIMUM // 2}
    feed(planes, bench, 0, early, 100)
    feed(planes, bench, 0, late, 200)
    feed(planes, bench, 1, {6: MINIMUM}, 200)
    close_planes(planes, bench.law, bench.settings)
    x, y = readings_of(planes, 1)
    assert (x["part"], x["monitor"], x["counts"], x["valid"]) == (0, 5, MINIMUM + MINIMUM // 2, 1)
    assert x["position_mm"] == pytest.approx(centre_mm(late, 0))
    assert (y["monitor"], y["counts"]) == (7, MINIMUM)
    assert y["position_mm"] == pytest.approx(centre_mm({6: MINIMUM}, 1))


def test_too_few_counts_are_joined_and_then_the_strongest_channel_stands_for_them():
    planes, bench = placed()
    feed(planes, bench, 0, {7: MINIMUM - 1}, 100)
    feed(planes, bench, 0, {8: 1}, 200)
    feed(planes, bench, 1, {2: 3, 4: 1}, 200)
    close_planes(planes, bench.law, bench.settings)
    x, y = readings_of(planes, 1)
    assert (x["counts"], x["valid"]) == (MINIMUM, 1)
    assert x["position_mm"] == pytest.approx(centre_mm({7: MINIMUM - 1, 8: 1}, 0))
    assert (y["counts"], y["valid"], y["position_mm"]) == (4, 0, centre_mm({2: 1}, 1))


def test_nothing_counted_is_no_reading():
    planes, bench = placed()
    feed(planes, bench, 0, {8: MINIMUM}, 200)
    close_planes(planes, bench.law, bench.settings)
    assert readings_of(planes, 1)["monitor"].tolist() == [5]
    assert math.isnan(planes.position_mm[1, 0])


def test_the_frame_of_a_trigger_belongs_to_neither_spot():
    planes, bench = placed()
    assert not is_of_next_spot(planes, bench.law, bench.settings)
    feed(planes, bench, 0, {8: MINIMUM}, 200)
    bench.s.row = 1
    assert is_of_next_spot(planes, bench.law, bench.settings)
    assert not is_of_next_spot(planes, bench.law, bench.settings)
    assert not planes.settled.any()
    assert not planes.counts.any()
    feed(planes, bench, 0, {6: MINIMUM}, 400)
    close_planes(planes, bench.law, bench.settings)
    readings = readings_of(planes, 2)
    assert readings["part"].tolist() == [0, 1]
    np.testing.assert_allclose(readings["position_mm"], [centre_mm({8: 1}, 0), centre_mm({6: 1}, 0)])


# The law without monitors


def without(
    settings: LawSettings, *, strip_x: bool = True, strip_y: bool = True, pixel: bool = True
) -> LawSettings:
    """Settings of a line that lacks monitors."""

    def axis(plane: str, has_strips: bool):
        old = getattr(settings, plane)
        return old._replace(
            iso_per_strip=old.iso_per_strip if has_strips else 0.0,
            iso_per_pixel=old.iso_per_pixel if pixel else 0.0,
        )

    return settings._replace(x=axis("x", strip_x), y=axis("y", strip_y))


@pytest.mark.parametrize(
    ("lacks", "bit", "cause"),
    [
        ({"pixel": False}, INPUT_NO_PIXEL, interlocks.DATA_PIXEL),
        ({"strip_x": False, "strip_y": False}, INPUT_NO_STRIP, interlocks.DATA_STRIP),
    ],
)
def test_frames_of_what_is_not_there_are_not_missed(lacks: dict[str, bool], bit: int, cause: int):
    for settings, tripped in ((SETTINGS, [cause]), (without(SETTINGS, **lacks), [])):
        bench = Bench(spots([10_000]), settings).begin()
        bench.inputs = lambda tick: bit
        bench.run_to(5000)
        assert [row.cause for row in bench.law.interlocks[: bench.s.interlocks]] == tripped


def test_the_other_plane_of_strips_is_missed_all_the_same():
    bench = Bench(spots([10_000]), without(SETTINGS, strip_x=False)).begin()
    bench.inputs = lambda tick: INPUT_NO_STRIP
    bench.run_to(5000)
    assert bench.law.interlocks[0].cause == interlocks.DATA_STRIP


def test_no_charge_is_expected_of_strips_that_are_not_there():
    """StripY counts as much as INT1; StripX nothing, which is an interlock where there is one."""
    for settings, causes in (
        (SETTINGS, {interlocks.STRIP_CHARGE_X}),
        (without(SETTINGS, strip_x=False), set()),
    ):
        settings = settings._replace(charge_counts=100, rate_counts=1 << 40)
        bench = Bench(spots([100_000]), settings).begin()
        start = int(bench.s.tick)
        bench.counts = every(5, since=start)
        bench.strip_y = lambda tick: {60: 10}
        bench.pixels = lambda tick: {(15, 16): 20}
        bench.run_to(start + 3000)
        found = {int(row.cause) for row in bench.law.interlocks[: bench.s.interlocks]}
        assert found & {interlocks.STRIP_CHARGE_X, interlocks.STRIP_CHARGE_Y} == causes


def test_a_plane_without_strips_has_no_position_of_them():
    bench = Bench(spots([30]), without(SETTINGS, strip_x=False)).begin()
    bench.strip_y = lambda tick: {60: 10}
    bench.finish_with(31)
    part = bench.law.parts[0]
    assert math.isnan(part.x_strip_mm)
    assert part.strip_x_counts == 0
    assert part.strip_y_counts > 0
