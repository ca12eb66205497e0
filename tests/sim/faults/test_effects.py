"""Each kind of fault does to the plant what it should: seen in what the plant hands out, or in its truth.

A spill with the fault is compared with the same spill without it, under a fast control that does nothing
about either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from spotline.beamline import BeamLine
from spotline.control.interlocks import CAUSES, SYNCHRONIZATION, WATCHDOG
from spotline.control.memory import (
    INPUT_COUCH,
    INPUT_END,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_OPERATOR,
    INPUT_START,
    INPUT_SUPERVISION,
    NEVER,
    LawSettings,
)
from spotline.control.slow import SlowReading
from spotline.physics.ions import CARBON
from spotline.plan.model import Field, Layer, Plan
from spotline.preparation import prepare
from spotline.room import RawSamples, SpillResult
from spotline.sim.faults import KINDS, Fault
from spotline.sim.room import PRE_ROLL_US, SimulatedRoom
from tests.sim.small import control_of, raw_of, short_line, small_field

pytestmark = pytest.mark.kernel

ENERGY = 221.45
SPILL_US = 16_000
ONSET_US = 5_000
"""Of most faults: the intensity is on its flat top."""
WINDOW_US = 1_000
SPOT_X_MM, SPOT_Y_MM = 30.0, -20.0


class Seen(NamedTuple):
    """A spill, as far as it was run."""

    room: SimulatedRoom
    raw: RawSamples
    result: SpillResult
    code: int
    reading: SlowReading | None

    def window(self, name: str, at_us: int = ONSET_US, length_us: int = WINDOW_US) -> np.ndarray:
        """Samples of a chamber, or others, from some time after the start of extraction."""
        period = {"integrals": 1, "strips": 50, "pixels": 100, "currents_A": 25, "inputs": 25}[name]
        first = (PRE_ROLL_US + at_us) // period
        samples: np.ndarray = getattr(self.raw, name)[first : first + length_us // period]
        assert len(samples) == length_us // period
        return samples.astype(float) if name != "inputs" else samples

    def counts(self, number: int, **when: int) -> float:
        """Counts of an integral chamber."""
        return float(self.window("integrals", **when)[:, number - 1].sum())

    def strip_mm(self, plane: int, **when: int) -> float:
        """Centre of gravity at a strip chamber."""
        counts = self.window("strips", **when)[:, plane].sum(axis=0)
        return float(counts @ (np.arange(128) - 63.5) * 1.65 / counts.sum())

    def pixel_mm(self, plane: int, **when: int) -> float:
        """The same at the pixel chamber, whose rows are along y."""
        counts = self.window("pixels", **when).sum(axis=0).sum(axis=0 if plane == 0 else 1)
        return float(counts @ (np.arange(32) - 15.5) * 6.6 / counts.sum())

    def true_mm(self, plane: int) -> float:
        """Mean true position at the isocentre."""
        truth = self.room.history[-1].truth if self.room.history else self.result.truth
        assert truth is not None
        return float(truth[:, 1 + 2 * plane].sum() / truth[:, 0].sum())


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> BeamLine:
    changes = ("spill_length_s = 0.008", f"spill_length_s = {SPILL_US * 1e-6}")
    return short_line(tmp_path_factory.mktemp("line") / "line", changes)


def controls(line: BeamLine, moving: bool) -> tuple[Any, Any]:
    """The small field, or one spot off the axis that takes the whole spill."""
    if moving:
        return control_of(line, small_field(line))
    layer = Layer(0, ENERGY, np.array([SPOT_X_MM]), np.array([SPOT_Y_MM]), np.array([1e8]))
    field = Field(1, "one spot", CARBON, "NP", (layer,), gantry_angle_deg=90.0)
    plan = Plan("ONE", (field,), Path("one.dcm"), "0" * 64, "made up")
    return control_of(line, prepare(plan, line).fields[0])


def tolerant(settings: LawSettings) -> LawSettings:
    """A fast control that only leads the delivery: it measures and corrects nothing."""
    wide = dict.fromkeys(
        (
            "intensity_limit1",
            "intensity_limit2",
            "position_limit_mm",
            "pixel_position_limit_mm",
            "strip_pixel_limit_mm",
            "rate_counts",
            "charge_counts",
            "unsettled_spots",
            "excess1",
            "excess2",
            "deviation_ticks",
            "no_counts_ticks",
            "off_counts",
            "data_periods",
            "event_tolerance_ticks",
            "unconfirmed_counts",
        ),
        NEVER,
    )
    known = {name: value for name, value in wide.items() if name in LawSettings._fields}
    never = settings.integral._replace(difference=np.inf, ratio_counts=NEVER)
    return settings._replace(integral=never, feedback_gain=0.0, **known)


def see(line: BeamLine, faults: tuple[Fault, ...], moving: bool = False, run_us: int = 10_000) -> Seen:
    """Run so much of the extraction of a spill, or to its end if that comes before."""
    settings, memory = controls(line, moving)
    settings = tolerant(settings)
    room = SimulatedRoom(line, 1, 42, ("RIFI1", "RIFI2"), raw=True, faults=faults)
    broadcast = room.request_cycle(memory.cycle_code)
    room.load(settings, memory, broadcast)
    blocks = [room.run(1000)]
    while not blocks[-1].finished and len(blocks) * 1000 < PRE_ROLL_US + run_us:
        blocks.append(room.run(1000))
    reading = room.read_slow_control(broadcast.extraction_start_us + run_us)
    return Seen(room, raw_of(blocks), room.result(), broadcast.code - memory.cycle_code, reading)


@pytest.fixture(scope="module")
def sound(line: BeamLine) -> Callable[[bool, int], Seen]:
    """Spills without faults, each made once."""
    made: dict[tuple[bool, int], Seen] = {}

    def get(moving: bool, run_us: int) -> Seen:
        if (moving, run_us) not in made:
            made[moving, run_us] = see(line, (), moving, run_us)
        return made[moving, run_us]

    return get


Check = Callable[[Seen, Seen], None]


@dataclass(frozen=True)
class Case:
    """A fault and what must come of it, given the spill without and the spill with it."""

    check: Check
    value: float | None = None
    at_us: int = ONSET_US
    duration_us: int | None = None
    others: tuple[Fault, ...] = ()
    moving: bool = False
    run_us: int = 10_000


STOP = Fault("operator", "stop", at_us=ONSET_US, duration_us=1000)
"""Closes the chopper."""
ALWAYS_US = -PRE_ROLL_US


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
        "drift": Case(int_scaled(number, 1.5), 0.5, at_us=ONSET_US - 1_000_000),
        "noise": Case(int_more(number, 1000.0, 150.0), 1e6),
        "offset": Case(int_more(number, 100.0, 2.0), 1e5),
        "saturated": Case(int_counts(number, 35, 41), 0.04),
    }


# Segmented chambers


def frames(seen: Seen, device: str) -> np.ndarray:
    """Counts of a chamber after the onset, with one channel number."""
    if device == "pixel":
        return seen.window("pixels").reshape(WINDOW_US // 100, -1)
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


LATE = {"at_us": ONSET_US + 600, "length_us": 4000}
"""Charge from before the onset has arrived."""


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


# Magnets and beam


def decayed(plane: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        before_A = sound.window("currents_A", at_us=ONSET_US - 25, length_us=25)[0, plane]
        after_A = hit.window("currents_A", at_us=ONSET_US + 500, length_us=25)[0, plane]
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
        before, after = (seen.raw.currents_A[: PRE_ROLL_US // 25 + 8] for seen in (sound, hit))
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
        "stuck": Case(held(plane), at_us=ALWAYS_US),
        "slow": Case(slowed(plane), 0.005, at_us=ALWAYS_US),
        "offset": Case(moved(plane, 10.0), 10.0, at_us=ALWAYS_US),
        "drift": Case(moved(plane, -10.0), -20.0, at_us=-500_000),
        "readback_offset": Case(read_off(plane, 5.0), 5.0),
        "readback_stuck": Case(read_stuck(plane), moving=True),
        "readback_lost": Case(read_nothing(plane)),
        "readback_noise": Case(read_noise(plane), 5.0),
    }


def wider(sound: Seen, hit: Seen) -> None:
    def variance(seen: Seen) -> float:
        counts = seen.window("strips", **LATE)[:, 0].sum(axis=0)
        channel = np.arange(128)
        mean = counts @ channel / counts.sum()
        return float(counts @ (channel - mean) ** 2 / counts.sum())

    assert variance(hit) / variance(sound) == pytest.approx(9.0, rel=0.5)


def other_energy(line_energy: float) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        table = sound.room._beamline
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
        when = {"at_us": ONSET_US + 500, "length_us": 500} if factor > 1 else LATE
        ratio = hit.counts(1, **when) / sound.counts(1, **when)
        assert ratio == pytest.approx(factor, rel=0.1, abs=0.02)

    return check


def stray(sound: Seen, hit: Seen) -> None:
    before = {"at_us": -5_000, "length_us": 4_000}
    assert sound.counts(1, **before) <= 1.0
    nominal = 4000 * sound.counts(1) / WINDOW_US
    assert hit.counts(1, **before) == pytest.approx(0.5 * nominal, rel=0.4)


BEAM = {
    "shift_x": Case(moved(0, 10.0), 10.0, at_us=ALWAYS_US),
    "shift_y": Case(moved(1, 10.0), 10.0, at_us=ALWAYS_US),
    "drift_x": Case(moved(0, -10.0), -20.0, at_us=-500_000),
    "drift_y": Case(moved(1, -10.0), -20.0, at_us=-500_000),
    "wide": Case(wider, 3.0),
    "energy": Case(other_energy(0.9 * ENERGY), 0.9, at_us=ALWAYS_US),
    "spike": Case(intensity(5.0), 5.0, duration_us=1000),
    "low": Case(intensity(0.1), 0.1),
    "stops": Case(intensity(0.0)),
    "stray": Case(stray, 0.5, at_us=ALWAYS_US, others=(Fault("chopper", "leak", 1.0, at_us=ALWAYS_US),)),
}


# Timing and chopper


def events(**expected: list[int]) -> Check:
    """Times of the events, after their announced ones."""

    def check(_: Seen, hit: Seen) -> None:
        for name, bit, announced_us in (("start", INPUT_START, 0), ("end", INPUT_END, SPILL_US)):
            if name in expected:
                found = np.flatnonzero(hit.raw.inputs & bit) * 25 - PRE_ROLL_US - announced_us
                assert found.tolist() == expected[name]

    return check


def wrong_code(sound: Seen, hit: Seen) -> None:
    assert (sound.code, hit.code) == (0, 7)
    assert hit.result.interlocks["cause"][0] == SYNCHRONIZATION
    assert hit.result.interlocks["value"][0] - hit.result.interlocks["limit"][0] == 7
    assert hit.result.truth is not None
    assert hit.result.truth[:, 0].sum() == 0


TIMING_US = -500_000
TIMING = {
    "lost_start": Case(events(start=[]), at_us=TIMING_US),
    "lost_end": Case(events(start=[0], end=[]), at_us=TIMING_US, run_us=SPILL_US + 400),
    "shift_start": Case(events(start=[-2000]), -2000.0, at_us=TIMING_US),
    "shift_end": Case(events(start=[0], end=[-1000]), -1000.0, at_us=TIMING_US, run_us=SPILL_US + 400),
    "wrong_code": Case(wrong_code, 7.0, at_us=-2_000_000),
    "double": Case(events(start=[0, 100]), 100.0, at_us=TIMING_US),
    "clock_slip": Case(events(start=[5000]), 1e4, at_us=TIMING_US),
}


def lasts(low_us: float, high_us: float) -> Check:
    """When the last ion comes, after the command to close that the operator makes."""

    def check(_: Seen, hit: Seen) -> None:
        (spill,) = hit.room.history
        assert low_us <= spill.last_ion_us - hit.result.start_us - PRE_ROLL_US - ONSET_US <= high_us

    return check


def no_beam(_: Seen, hit: Seen) -> None:
    assert hit.result.truth is not None
    assert hit.result.truth[:, 0].sum() == 0
    assert hit.result.last_ion_us == 0


TO_THE_END_US = SPILL_US - ONSET_US
CHOPPER = {
    # Delay and ramp are 50 and 200 us.
    "slow": Case(lasts(1000, 1275), 5.0, at_us=ALWAYS_US, others=(STOP,)),
    "stuck_open": Case(
        lasts(TO_THE_END_US - 500, TO_THE_END_US + 25), run_us=SPILL_US + 30_000, others=(STOP,)
    ),
    "stuck_closed": Case(no_beam, at_us=ALWAYS_US),
    "leak": Case(
        lasts(TO_THE_END_US - 500, TO_THE_END_US + 25), 0.5, run_us=SPILL_US + 30_000, others=(STOP,)
    ),
}


# Gas, voltage and slow sensors


def box(number: int, factor: float, rel: float, **reading: float) -> Check:
    """Counts of the chambers of a box, against those of the other one, and what the sensors show."""

    def check(sound: Seen, hit: Seen) -> None:
        early = {"at_us": 1500, "length_us": 8000}
        chambers = {
            1: (1, lambda seen: seen.window("strips", **early).sum()),
            2: (2, lambda seen: seen.window("pixels", **early).sum()),
        }
        for which, expected in ((number, factor), (3 - number, 1.0)):
            integral, segmented = chambers[which]
            ratio = hit.counts(integral, **early) / sound.counts(integral, **early)
            assert ratio == pytest.approx(expected, rel=rel, abs=0.02)
            assert segmented(hit) / segmented(sound) == pytest.approx(expected, rel=rel, abs=0.02)
        shown(**reading)(sound, hit)

    return check


def shown(**changes: float) -> Check:
    """By how much a reading differs; all others are the same."""

    def check(sound: Seen, hit: Seen) -> None:
        assert sound.reading is not None
        assert hit.reading is not None
        for name in SlowReading.__dataclass_fields__:
            if name in changes:
                difference = getattr(hit.reading, name) - getattr(sound.reading, name)
                assert difference == pytest.approx(changes[name], rel=1e-3), name
            else:
                assert getattr(hit.reading, name) == getattr(sound.reading, name), name

    return check


def sensor_stuck(name: str | None) -> Check:
    """While the true quantity runs away, the sensor stays."""

    def check(sound: Seen, hit: Seen) -> None:
        assert hit.reading is not None
        if name is not None:
            tolerance = {"temp": 0.2, "pres": 100.0, "high": 0.5}[name[:4]]
            assert getattr(hit.reading, name) == pytest.approx(getattr(sound.reading, name), abs=tolerance)

    return check


def of(name: str) -> str | None:
    """The number of a reading, if readings have it."""
    found = [name, name.replace("1_", "_")]
    return next((field for field in found if field in SlowReading.__dataclass_fields__), None)


def change(name: str, by: float) -> dict[str, float]:
    field = of(name)
    return {field: by} if field is not None else {}


def sensor_cases(number: int) -> dict[str, Case]:
    cases = {}
    away = {
        "temperature": Fault(f"box{number}", "heating", 3.0, at_us=-3_000_000),
        "pressure": Fault(f"box{number}", "leak", 3000.0, at_us=-3_000_000),
        "high_voltage": Fault(f"high_voltage{number}", "sag", 5.0, at_us=-3_000_000),
    }
    for quantity, unit, by in (
        ("temperature", "C", 5.0),
        ("pressure", "Pa", -500.0),
        ("high_voltage", "V", 3.0),
    ):
        device, name = f"sensor_{quantity}{number}", f"{quantity}{number}_{unit}"
        cases[f"{device}.stuck"] = Case(sensor_stuck(of(name)), at_us=-3_000_500, others=(away[quantity],))
        cases[f"{device}.offset"] = Case(shown(**change(name, by)), by)
    return cases


def box_cases(number: int) -> dict[str, Case]:
    voltage = f"high_voltage{number}_V"
    leak, heating = f"pressure{number}_Pa", f"temperature{number}_C"
    # Pressure is 100.5 kPa, temperature 22 C; the reading is taken 10 ms after the start of extraction.
    return {
        f"box{number}.leak": Case(
            box(number, 0.7, 0.1, **change(leak, -30_150 * 3.01 / 3.0)), 10_050.0, at_us=-3_000_000
        ),
        f"box{number}.heating": Case(
            box(number, 0.767, 0.1, **change(heating, 90.0 * 3.01 / 3.0)), 30.0, at_us=-3_000_000
        ),
        f"high_voltage{number}.sag": Case(
            box(number, 0.94, 0.06, **{voltage: -390.0}), 390.0, at_us=ALWAYS_US
        ),
        f"high_voltage{number}.trip": Case(box(number, 0.0, 0.1, **{voltage: -400.0}), at_us=-200_000),
    }


# The rest


def told(bit: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        onset = (PRE_ROLL_US + ONSET_US) // 25
        assert not (sound.raw.inputs & bit).any()
        assert not (hit.raw.inputs[:onset] & bit).any()
        assert (hit.raw.inputs[onset : onset + 10] & bit).all()

    return check


def stops(bit: int, cause: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        told(bit)(sound, hit)
        first = hit.result.interlocks[0]
        assert CAUSES[first["cause"]].name == cause
        assert first["tick"] == hit.result.start_us + PRE_ROLL_US + ONSET_US

    return check


def hangs(sound: Seen, hit: Seen) -> None:
    told(INPUT_HANG)(sound, hit)
    assert WATCHDOG in hit.result.interlocks["cause"], "when it runs again"
    assert len(hit.room.history) == 1


def silent(sound: Seen, hit: Seen) -> None:
    assert sound.reading is not None
    assert hit.reading is None


def mounts(*names: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert sound.reading is not None
        assert hit.reading is not None
        assert (sound.reading.mounted, hit.reading.mounted) == (("RIFI1", "RIFI2"), names)

    return check


def disk_full(sound: Seen, hit: Seen) -> None:
    assert not sound.room.disk_is_full
    assert hit.room.disk_is_full


CASES: dict[str, Case] = {
    **{f"int{n}.{mode}": case for n in (1, 2) for mode, case in integral_cases(n).items()},
    **{f"{device}.{mode}": case for device in BEAM_CHANNEL for mode, case in segmented_cases(device).items()},
    "strip_x.offset": Case(displaced(lambda seen: seen.strip_mm(0, **LATE), 10.0), 10.0),
    "strip_y.offset": Case(displaced(lambda seen: seen.strip_mm(1, **LATE), 10.0), 10.0),
    "pixel.offset_x": Case(displaced(lambda seen: seen.pixel_mm(0, **LATE), 10.0), 10.0),
    "pixel.offset_y": Case(displaced(lambda seen: seen.pixel_mm(1, **LATE), 10.0), 10.0),
    **{f"magnet_{'xy'[p]}.{mode}": case for p in (0, 1) for mode, case in magnet_cases(p).items()},
    **{f"beam.{mode}": case for mode, case in BEAM.items()},
    **{f"timing.{mode}": case for mode, case in TIMING.items()},
    **{f"chopper.{mode}": case for mode, case in CHOPPER.items()},
    **box_cases(1),
    **box_cases(2),
    **sensor_cases(1),
    **sensor_cases(2),
    "integrals.lost": Case(told(INPUT_NO_INTEGRAL)),
    "strips.lost": Case(told(INPUT_NO_STRIP)),
    "pixel.lost": Case(told(INPUT_NO_PIXEL)),
    "slow_control.silent": Case(silent),
    "passive_elements.removed": Case(mounts("RIFI2")),
    "passive_elements.wrong": Case(mounts("RIFI2", "RW3-10mm")),
    "couch.unlocked": Case(stops(INPUT_COUCH, "couch")),
    "operator.stop": Case(stops(INPUT_OPERATOR, "operator")),
    "supervision.abort": Case(stops(INPUT_SUPERVISION, "supervision")),
    "fast_control.hang": Case(hangs, run_us=200_000),
    "disk.full": Case(disk_full),
}
CRASHES = {"process.kill", "power.loss"}
"""`test_crash` has them."""


def test_every_kind_has_a_test():
    assert set(CASES) | CRASHES == set(KINDS)


@pytest.mark.parametrize("name", sorted(CASES))
def test_effect(name: str, line: BeamLine, sound: Callable[[bool, int], Seen]):
    case = CASES[name]
    kind = KINDS[name]
    fault = Fault(kind.device, kind.mode, case.value, 1, case.at_us, case.duration_us)
    without = sound(case.moving, case.run_us)
    if case.others and not name.startswith("sensor"):
        without = see(line, case.others, case.moving, case.run_us)
    hit = see(line, (fault, *case.others), case.moving, case.run_us)
    case.check(without, hit)


@pytest.mark.parametrize(
    "name", ["int1.dead", "strip_x.noisy", "beam.spike", "magnet_x.trip", "couch.unlocked"]
)
def test_before_its_onset_a_fault_changes_nothing(
    name: str, line: BeamLine, sound: Callable[[bool, int], Seen]
):
    case, kind = CASES[name], KINDS[name]
    fault = Fault(kind.device, kind.mode, case.value, 1, ONSET_US, case.duration_us)
    before, after = sound(False, 10_000).raw, see(line, (fault,)).raw
    n = PRE_ROLL_US + ONSET_US
    for samples, period in (
        ("integrals", 1),
        ("strips", 50),
        ("pixels", 100),
        ("currents_A", 25),
        ("inputs", 25),
    ):
        np.testing.assert_array_equal(
            getattr(after, samples)[: n // period], getattr(before, samples)[: n // period]
        )
