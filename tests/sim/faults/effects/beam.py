"""Faults of the scanning magnets, of their supplies, and of the beam itself."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.physics.ions import CARBON
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.faults import Fault
from tests.sim.faults.effects.seen import ENERGY, LATE, ALWAYS_us, Case, Check, ONSET_us, Seen, WINDOW_us

# Magnets


def decayed(plane: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        before_A = sound.window("currents_A", at_us=ONSET_us - 25, length_us=25)[0, plane]
        after_A = hit.window("currents_A", at_us=ONSET_us + 500, length_us=25)[0, plane]
        assert abs(before_A) > 5.0
        assert after_A == pytest.approx(before_A * np.exp(-0.5), abs=0.1)

    return check


def held(plane: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert np.abs(hit.raw.currents_A[:, plane]).max() < 0.1, "noise of the read-back"
        assert np.abs(sound.raw.currents_A[400:, plane]).min() > 1.0

    return check


def slowed(plane: int) -> Check:
    def check(_: Seen, hit: Seen) -> None:
        # 23 kA/s times the value, for 10 ms.
        assert abs(hit.raw.currents_A[400, plane]) == pytest.approx(23e3 * 0.005 * 0.010, abs=0.1)

    return check


def moved(plane: int, by_mm: float) -> Check:
    """The beam is elsewhere; the read-back does not show it."""

    def check(sound: Seen, hit: Seen) -> None:
        assert hit.true_mm(plane) - sound.true_mm(plane) == pytest.approx(by_mm, abs=0.3)
        assert hit.true_mm(1 - plane) == pytest.approx(sound.true_mm(1 - plane), abs=0.3)
        before, after = (seen.raw.currents_A[: PRE_ROLL_us // 25 + 8] for seen in (sound, hit))
        np.testing.assert_array_equal(after, before)

    return check


def read_off(plane: int, by_A: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        first = {"length_us": 25}
        before, after = (seen.window("currents_A", **first)[0] for seen in (sound, hit))
        assert after[plane] - before[plane] == pytest.approx(by_A)
        assert after[1 - plane] == before[1 - plane]

    return check


def read_stuck(plane: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        after = hit.window("currents_A", length_us=3000)[:, plane]
        assert (after == after[0]).all()
        # What the supply had, without the noise of the read-back.
        assert after[0] == pytest.approx(sound.window("currents_A", length_us=25)[0, plane], abs=0.06)

    return check


def read_nothing(plane: int) -> Check:
    def check(_: Seen, hit: Seen) -> None:
        assert np.isnan(hit.window("currents_A")[:, plane]).all()
        assert not np.isnan(hit.window("currents_A")[:, 1 - plane]).any()

    return check


def read_noise(plane: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        noise = hit.window("currents_A")[:, plane] - sound.window("currents_A")[:, plane]
        assert noise.std() == pytest.approx(5.0, rel=0.5)

    return check


def magnet_cases(plane: int) -> dict[str, Case]:
    return {
        "trip": Case(decayed(plane), 1000.0),
        "stuck": Case(held(plane), at_us=ALWAYS_us),
        "slow": Case(slowed(plane), 0.005, at_us=ALWAYS_us),
        "offset": Case(moved(plane, 10.0), 10.0, at_us=ALWAYS_us),
        "drift": Case(moved(plane, -10.0), -20.0, at_us=-500_000),
        "readback_offset": Case(read_off(plane, 5.0), 5.0),
        "readback_stuck": Case(read_stuck(plane), moving=True),
        "readback_lost": Case(read_nothing(plane)),
        "readback_noise": Case(read_noise(plane), 5.0),
    }


# The beam


def wider(sound: Seen, hit: Seen) -> None:
    def variance(seen: Seen) -> float:
        counts = seen.window("strips", **LATE)[:, 0].sum(axis=0)
        channel = np.arange(128)
        mean = counts @ channel / counts.sum()
        return float(counts @ (channel - mean) ** 2 / counts.sum())

    assert variance(hit) / variance(sound) == pytest.approx(9.0, rel=0.5)


def other_energy(line_energy: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        table = sound.room.loop._beamline
        per_count = table.particles_per_count("carbon", np.array([ENERGY, line_energy]))
        bend = CARBON.rigidity_T_m(ENERGY) / CARBON.rigidity_T_m(line_energy)
        assert hit.true_mm(0) / sound.true_mm(0) == pytest.approx(bend, abs=0.02)
        assert hit.true_mm(1) / sound.true_mm(1) == pytest.approx(bend, abs=0.02)
        early = {"at_us": 1000, "length_us": 300}
        ratio = hit.counts(1, **early) / sound.counts(1, **early)
        assert ratio == pytest.approx(per_count[0] / per_count[1], rel=0.1)

    return check


def intensity(factor: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        # Half of the charge comes at once, the rest within the 350 us of the drift.
        when = {"at_us": ONSET_us + 500, "length_us": 500} if factor > 1 else LATE
        ratio = hit.counts(1, **when) / sound.counts(1, **when)
        assert ratio == pytest.approx(factor, rel=0.1, abs=0.02)

    return check


def stray(sound: Seen, hit: Seen) -> None:
    before = {"at_us": -5_000, "length_us": 4_000}
    assert sound.counts(1, **before) <= 1.0
    nominal = 4000 * sound.counts(1) / WINDOW_us
    assert hit.counts(1, **before) == pytest.approx(0.5 * nominal, rel=0.4)


BEAM = {
    "shift_x": Case(moved(0, 10.0), 10.0, at_us=ALWAYS_us),
    "shift_y": Case(moved(1, 10.0), 10.0, at_us=ALWAYS_us),
    "drift_x": Case(moved(0, -10.0), -20.0, at_us=-500_000),
    "drift_y": Case(moved(1, -10.0), -20.0, at_us=-500_000),
    "wide": Case(wider, 3.0),
    "energy": Case(other_energy(0.9 * ENERGY), 0.9, at_us=ALWAYS_us),
    "spike": Case(intensity(5.0), 5.0, duration_us=1000),
    "low": Case(intensity(0.1), 0.1),
    "stops": Case(intensity(0.0)),
    "stray": Case(stray, 0.5, at_us=ALWAYS_us, others=(Fault("chopper", "leak", 1.0, at_us=ALWAYS_us),)),
}

CASES = {
    **{f"magnet_{'xy'[p]}.{mode}": case for p in (0, 1) for mode, case in magnet_cases(p).items()},
    **{f"beam.{mode}": case for mode, case in BEAM.items()},
}
