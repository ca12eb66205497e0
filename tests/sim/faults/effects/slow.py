"""Faults of what the slow control looks at: gas, voltage, passive elements, and its sensors."""

from __future__ import annotations

import pytest

from spotline.sim.faults import Fault
from tests.readings import value_of
from tests.sim.faults.effects.seen import ALWAYS_us, Case, Check, Seen

QUANTITIES = [
    f"{quantity}{number}_{unit}"
    for quantity, unit in (("temperature", "C"), ("pressure", "Pa"), ("high_voltage", "V"))
    for number in (1, 2)
]


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
        assert hit.reading.mounted == sound.reading.mounted
        for name in QUANTITIES:
            difference = value_of(hit.reading, name) - value_of(sound.reading, name)
            assert difference == pytest.approx(changes.get(name, 0.0), rel=1e-3), name

    return check


def sensor_stuck(name: str) -> Check:
    """While the true quantity runs away, the sensor stays."""

    def check(sound: Seen, hit: Seen) -> None:
        assert hit.reading is not None
        assert sound.reading is not None
        tolerance = {"temp": 0.2, "pres": 100.0, "high": 0.5}[name[:4]]
        assert value_of(hit.reading, name) == pytest.approx(value_of(sound.reading, name), abs=tolerance)

    return check


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
        cases[f"{device}.stuck"] = Case(sensor_stuck(name), at_us=-3_000_500, others=(away[quantity],))
        cases[f"{device}.offset"] = Case(shown(**{name: by}), by)
    return cases


def box_cases(number: int) -> dict[str, Case]:
    voltage = f"high_voltage{number}_V"
    leak, heating = f"pressure{number}_Pa", f"temperature{number}_C"
    # Pressure is 100.5 kPa, temperature 22 C; the reading is taken 10 ms after the start of extraction.
    return {
        f"box{number}.leak": Case(
            box(number, 0.7, 0.1, **{leak: -30_150 * 3.01 / 3.0}), 10_050.0, at_us=-3_000_000
        ),
        f"box{number}.heating": Case(
            box(number, 0.767, 0.1, **{heating: 90.0 * 3.01 / 3.0}), 30.0, at_us=-3_000_000
        ),
        f"high_voltage{number}.sag": Case(
            box(number, 0.94, 0.06, **{voltage: -390.0}), 390.0, at_us=ALWAYS_us
        ),
        f"high_voltage{number}.trip": Case(box(number, 0.0, 0.1, **{voltage: -400.0}), at_us=-200_000),
    }


def silent(sound: Seen, hit: Seen) -> None:
    assert sound.reading is not None
    assert hit.reading is None


def mounts(*names: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        assert sound.reading is not None
        assert hit.reading is not None
        assert (sound.reading.mounted, hit.reading.mounted) == (("RIFI1", "RIFI2"), names)

    return check


CASES = {
    **box_cases(1),
    **box_cases(2),
    **sensor_cases(1),
    **sensor_cases(2),
    "slow_control.silent": Case(silent),
    "passive_elements.removed": Case(mounts("RIFI2")),
    "passive_elements.wrong": Case(mounts("RIFI2", "RW3-10mm")),
}
