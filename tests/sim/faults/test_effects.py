"""Each kind of fault does to the plant what it should: seen in what the plant hands out, or in its truth.

A spill with the fault is compared with the same spill without it, under a fast control that does nothing
about either.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spotline.machine import BeamLine
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.faults import KINDS, Fault
from tests.sim.faults.effects import beam, chambers, inputs, shared, slow, timing
from tests.sim.faults.effects.seen import ONSET_us, Seen, SPILL_us, see
from tests.sim.small import short_line

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> BeamLine:
    longer = ("spill_length_s = 0.008", f"spill_length_s = {SPILL_us * 1e-6}")
    # So that the lines of high voltage and gas do not end the spill before anything is seen.
    voltage = ("high_voltage_V = [395.0, 405.0]", "high_voltage_V = [0.0001, 1000.0]")
    temperature = ("temperature_C = [16.0, 26.0]", "temperature_C = [-250.0, 1000.0]")
    pressure = ("pressure_Pa = [9.0e4, 11.0e4]", "pressure_Pa = [1.0, 1.0e6]")
    return short_line(tmp_path_factory.mktemp("line") / "line", longer, voltage, temperature, pressure)


@pytest.fixture(scope="module")
def sound(line: BeamLine) -> Callable[[bool, int], Seen]:
    """Spills without faults, each made once."""
    made: dict[tuple[bool, int], Seen] = {}

    def get(moving: bool, run_us: int) -> Seen:
        if (moving, run_us) not in made:
            made[moving, run_us] = see(line, (), moving, run_us)
        return made[moving, run_us]

    return get


CASES = chambers.CASES | beam.CASES | timing.CASES | slow.CASES | inputs.CASES | shared.CASES
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
    fault = Fault(kind.device, kind.mode, case.value, 1, ONSET_us, case.duration_us)
    before, after = sound(False, 10_000).raw, see(line, (fault,)).raw
    n = PRE_ROLL_us + ONSET_us
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
