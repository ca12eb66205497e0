"""Faults of the integral, strip and pixel chambers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.sim.faults.effects.seen import LATE, Case, Check, ONSET_us, Seen, WINDOW_us

# Integral chambers


def int_scaled(number: int, factor: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert hit.counts(number) == pytest.approx(factor * sound.counts(number), abs=2.0)
        assert hit.counts(3 - number) == sound.counts(3 - number) > 50

    return check


def int_counts(number: int, low: float, high: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert low <= hit.counts(number) <= high
        assert hit.counts(3 - number) == sound.counts(3 - number)

    return check


def int_more(number: int, more: float, spread: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert hit.counts(number) - sound.counts(number) == pytest.approx(more, abs=spread)
        assert hit.counts(3 - number) == sound.counts(3 - number)

    return check


def integral_cases(number: int) -> dict[str, Case]:
    return {
        "gain": Case(int_scaled(number, 0.5), 0.5),
        "dead": Case(int_counts(number, 0, 0)),
        "stuck": Case(int_counts(number, 99, 101), 1e5),
        "drift": Case(int_scaled(number, 1.5), 0.5, at_us=ONSET_us - 1_000_000),
        "noise": Case(int_more(number, 1000.0, 150.0), 1e6),
        "offset": Case(int_more(number, 100.0, 2.0), 1e5),
        "saturated": Case(int_counts(number, 35, 41), 0.04),
    }


# Segmented chambers


def frames(seen: Seen, device: str) -> np.ndarray:
    """Counts of a chamber after the onset, with one channel number."""
    if device == "pixel":
        return seen.window("pixels").reshape(WINDOW_us // 100, -1)
    return seen.window("strips")[:, 0 if device == "strip_x" else 1]


BEAM_CHANNEL = {"strip_x": 79, "strip_y": 53, "pixel": 12 * 32 + 19}
"""Under the spot: 30 mm and -20 mm at the isocentre are closer to the axis at the chambers."""


def all_silent(device: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert frames(sound, device).sum() > 50
        assert frames(hit, device).sum() == 0

    return check


def silent_channels(device: str, first: int, n: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        before, after = frames(sound, device), frames(hit, device)
        assert before[:, first : first + n].sum() > 5
        assert after[:, first : first + n].sum() == 0
        others = np.ones(before.shape[1], bool)
        others[first : first + n] = False
        np.testing.assert_array_equal(after[:, others], before[:, others])

    return check


def stuck_channel(device: str, channel: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        before, after = frames(sound, device), frames(hit, device)
        assert (after[:, channel] == 10).all()
        np.testing.assert_array_equal(np.delete(after, channel, 1), np.delete(before, channel, 1))

    return check


def noisy_channels(device: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        more = frames(hit, device) - frames(sound, device)
        mean = 1e5 * 1e-6 * (100 if device == "pixel" else 50)
        assert more.mean() == pytest.approx(mean, rel=0.05)
        assert more.var() == pytest.approx(mean, rel=0.2), "as Poisson numbers"
        assert more.min() >= 0

    return check


def amplified(device: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        # Charge that was freed before the onset is still on its way with the gain of then.
        ratio = frames(hit, device)[-5:].sum() / frames(sound, device)[-5:].sum()
        assert ratio == pytest.approx(3.0, rel=0.2)

    return check


def displaced(position: Callable[[Seen], float], by_mm: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert position(hit) - position(sound) == pytest.approx(by_mm, abs=0.5)

    return check


def segmented_cases(device: str) -> dict[str, Case]:
    channel = BEAM_CHANNEL[device]
    row = (channel // 32 * 32, 32) if device == "pixel" else (channel, 16)
    return {
        "dead": Case(all_silent(device)),
        "dead_channel": Case(silent_channels(device, channel, 1), channel),
        "dead_stretch": Case(silent_channels(device, *row), channel),
        "stuck_channel": Case(stuck_channel(device, 3), 3.0),
        "noisy": Case(noisy_channels(device), 1e5),
        "gain": Case(amplified(device), 3.0),
    }


CASES = {
    **{f"int{n}.{mode}": case for n in (1, 2) for mode, case in integral_cases(n).items()},
    **{f"{device}.{mode}": case for device in BEAM_CHANNEL for mode, case in segmented_cases(device).items()},
    "strip_x.offset": Case(displaced(lambda seen: seen.strip_mm(0, **LATE), 10.0), 10.0),
    "strip_y.offset": Case(displaced(lambda seen: seen.strip_mm(1, **LATE), 10.0), 10.0),
    "pixel.offset_x": Case(displaced(lambda seen: seen.pixel_mm(0, **LATE), 10.0), 10.0),
    "pixel.offset_y": Case(displaced(lambda seen: seen.pixel_mm(1, **LATE), 10.0), 10.0),
}
