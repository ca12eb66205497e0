"""Causes in the strip and pixel chambers and in the magnets: where the beam is, and how much of it."""

from __future__ import annotations

import math

from spotline.control import interlocks
from spotline.control.interlocks import PAUSE, STOP
from spotline.control.width import strip_width
from tests.control.bench import SETTINGS, Bench, line_of, listed, spots
from tests.control.trips.case import Case, Tripped, on_bench

EXPECTED_mm = 2.0
"""Expected width of the beam where it is checked."""


def current(name: str, cause: int, plane: int, limit_A: float, *, short: bool = False) -> Case:
    """A read-back that is off by its limit for 300 us; or by less, or not for so long."""

    def drive(bench: Bench, reach: bool) -> None:
        off_A = limit_A if reach or short else math.nextafter(limit_A, 0.0)
        # The last good read-back is that of tick 1975.
        end = 2250 if short and not reach else 10_000

        def read_A(tick: int) -> tuple[float, float]:
            deviation_A = off_A if 2000 <= tick <= end else 0.0
            return (deviation_A, 0.0) if plane == 0 else (0.0, deviation_A)

        bench.read_A = read_A
        bench.begin().run_to(3000)

    return on_bench(
        name, Tripped(cause, limit_A, limit_A, STOP, 2275), drive, spots([9]), deviation_ticks=300
    )


def slow_magnet(bench: Bench, reach: bool) -> None:
    """A move of 31.25 A, which takes 992 us with the last 0.25 A for free, from tick 1100 on."""
    bench.counts = listed({1100: (5, 5)})
    bench.read_A = lambda tick: (31.25 if not reach and tick >= 2375 else 0.0, 0.0)
    bench.begin().run_to(3000)


def strip_against_pixel(name: str, cause: int, plane: str, pixel: tuple[int, int], value: float) -> Case:
    """The strips find the beam in the middle, the pixels 4.5 mm at the isocentre off it; or less."""

    def drive(bench: Bench, reach: bool) -> None:
        frame = {63: 32, 64: 32}
        nearer = {63: 31, 64: 33} if value > 0 else {63: 33, 64: 31}
        setattr(bench, f"strip_{plane}", lambda tick: (frame if reach else nearer) if tick == 200 else {})
        bench.pixels = lambda tick: {pixel: 64} if tick == 300 else {}
        bench.begin().run_to(400)

    memory = spots([1000], strip=64, row=64, pixel=pixel[1], pixel_row=pixel[0])
    expected = Tripped(cause, value, 4.5, STOP, 300)
    return on_bench(name, expected, drive, memory, strip_pixel_limit_mm=4.5, position_limit_mm=1e9)


def charge(name: str, cause: int, counts: int, within: int) -> Case:
    """A segmented chamber with a quarter less, or more, than the 100 counts of INT1; or all but."""

    def drive(bench: Bench, reach: bool) -> None:
        bench.counts = listed(dict.fromkeys(range(100, 200, 10), (10, 10)))
        collected = counts if reach else within
        x, y, pixel = (collected if cause == c else 100 for c in CHARGES)
        bench.strip_x = lambda tick: {64: x} if tick == 200 else {}
        bench.strip_y = lambda tick: {60: y} if tick == 200 else {}
        bench.pixels = lambda tick: {(15, 16): pixel} if tick == 200 else {}
        bench.begin().run_to(250)

    memory = spots([1000])
    return on_bench(name, Tripped(cause, 0.25, 0.25, STOP, 200), drive, memory, charge_counts=100)


CHARGES = (interlocks.STRIP_CHARGE_X, interlocks.STRIP_CHARGE_Y, interlocks.PIXEL_CHARGE)


def dead_integrals(bench: Bench, reach: bool) -> None:
    """100 counts of the strips and none of the integral chambers; or 99."""
    bench.strip_x = lambda tick: {64: 100 if reach else 99} if tick == 200 else {}
    bench.begin().run_to(250)


def unsettled(bench: Bench, reach: bool) -> None:
    """Three spots in a row that end on the way to them; or the third when the magnets have arrived."""
    bench.counts = listed(dict.fromkeys((30, 40, 50, 60) if reach else (30, 40, 50, 80, 90, 95), (5, 5)))
    bench.read_A = lambda tick: (0.0, 0.0) if tick <= 25 else bench.set_A if tick == 75 else (15.0, 0.0)
    bench.begin().run_to(200)


def strips(name: str, cause: int, plane: str, places: tuple[int, int], value: float) -> Case:
    """All 64 counts of a frame one strip (2 mm, 2.5 mm at the isocentre) off; or 63 of them."""
    beam, off = places

    def drive(bench: Bench, reach: bool) -> None:
        frames = {200: {off: 64} if reach else {off: 63, beam: 1}}
        setattr(bench, f"strip_{plane}", lambda tick: frames.get(tick, {}))
        bench.begin().run_to(300)

    return on_bench(name, Tripped(cause, value, 2.5, PAUSE, 200), drive, spots([1000], strip=64, row=60))


def pixels(name: str, cause: int, off: tuple[int, int], value: float) -> Case:
    """Half of the counts one pixel (8 mm) off is 4 mm, 4.5 mm at the isocentre; or one count less."""

    def drive(bench: Bench, reach: bool) -> None:
        counts = {off: 32, (15, 16): 32} if reach else {off: 31, (15, 16): 33}
        bench.pixels = lambda tick: counts if tick == 200 else {}
        bench.begin().run_to(300)

    memory = spots([1000], pixel=16, pixel_row=15)
    return on_bench(name, Tripped(cause, value, 4.5, PAUSE, 200), drive, memory)


WIDE = {60: 4, 62: 8, 63: 16, 64: 16, 65: 8, 67: 4}
NARROWER = {60: 4, 62: 8, 63: 16, 64: 17, 65: 8, 67: 3}
"""One count of 56 nearer to the middle."""


def width(name: str, cause: int, plane: str, middle: int) -> Case:
    """A spot of 56 counts whose width is off by the limit; or one count of it lies nearer to its middle."""

    def line(counts: dict[int, int]) -> dict[int, int]:
        return {strip + middle - 64: number for strip, number in counts.items()}

    found_mm, _, _ = strip_width(
        line_of(line(WIDE)), middle, SETTINGS.strip_reach, 56, SETTINGS.strip_pitch_mm, 0.0
    )
    limit = math.sqrt((found_mm / EXPECTED_mm) ** 2 * 56 / 56) - 1.0

    def drive(bench: Bench, reach: bool) -> None:
        bench.counts = listed({400: (10, 11)})
        frame = line(WIDE if reach else NARROWER)
        setattr(bench, f"strip_{plane}", lambda tick: frame if tick == 200 else {})
        bench.begin().run_to(600)

    memory = spots([10, 1000], strip=64, row=60)._replace(x_sd_mm=EXPECTED_mm, y_sd_mm=EXPECTED_mm)
    expected = Tripped(cause, limit, limit, STOP, 450)
    return on_bench(
        name, expected, drive, memory, centroid_counts=56, width_ratio=limit, width_counts=56, ion_noise1=0.0
    )


CASES = [
    width("wide in x", interlocks.WIDTH_X, "x", 64),
    width("wide in y", interlocks.WIDTH_Y, "y", 60),
    current("read-back of x", interlocks.CURRENT_X, 0, 1.0),
    current("read-back of x for a time", interlocks.CURRENT_X, 0, 1.0, short=True),
    current("read-back of y", interlocks.CURRENT_Y, 1, 0.5),
    current("read-back of y for a time", interlocks.CURRENT_Y, 1, 0.5, short=True),
    on_bench(
        "magnet does not move", Tripped(interlocks.CURRENT_X, -31.25, 1.0, STOP, 2375),
        slow_magnet, spots([5, 100], x_A=[0.0, 31.25]), deviation_ticks=300,
    ),
    strip_against_pixel("pixels right of strips", interlocks.STRIP_PIXEL_X, "x", (15, 16), 4.5),
    strip_against_pixel("pixels left of strips", interlocks.STRIP_PIXEL_X, "x", (15, 15), -4.5),
    strip_against_pixel("pixels above strips", interlocks.STRIP_PIXEL_Y, "y", (16, 16), 4.5),
    strip_against_pixel("pixels below strips", interlocks.STRIP_PIXEL_Y, "y", (15, 16), -4.5),
    charge("StripX collects too little", interlocks.STRIP_CHARGE_X, 75, 76),
    charge("StripX collects too much", interlocks.STRIP_CHARGE_X, 125, 124),
    charge("StripY collects too little", interlocks.STRIP_CHARGE_Y, 75, 76),
    charge("StripY collects too much", interlocks.STRIP_CHARGE_Y, 125, 124),
    charge("PIX collects too little", interlocks.PIXEL_CHARGE, 75, 76),
    charge("PIX collects too much", interlocks.PIXEL_CHARGE, 125, 124),
    on_bench(
        "both integral chambers are dead", Tripped(interlocks.STRIP_CHARGE_X, math.inf, 0.25, STOP, 200),
        dead_integrals, spots([1000]), charge_counts=100,
    ),
    on_bench(
        "unsettled spots", Tripped(interlocks.UNSETTLED, 3.0, 3.0, PAUSE, 60),
        unsettled, spots([5] * 9, x_A=[0.0, *[30.0] * 8]), unsettled_spots=3,
    ),
    strips("right", interlocks.POSITION_X, "x", (64, 65), 2.5),
    strips("left", interlocks.POSITION_X, "x", (64, 63), -2.5),
    strips("up", interlocks.POSITION_Y, "y", (60, 61), 2.5),
    strips("down", interlocks.POSITION_Y, "y", (60, 59), -2.5),
    pixels("pixel right", interlocks.PIXEL_POSITION_X, (15, 17), 4.5),
    pixels("pixel left", interlocks.PIXEL_POSITION_X, (15, 15), -4.5),
    pixels("pixel up", interlocks.PIXEL_POSITION_Y, (16, 16), 4.5),
    pixels("pixel down", interlocks.PIXEL_POSITION_Y, (14, 16), -4.5),
]  # fmt: skip
