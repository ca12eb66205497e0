"""The catalogue of faults, and faults drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.control.interlocks import CAUSES
from spotline.sim.faults import KINDS, check_fault, draw


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_is_found_or_says_why_not(name: str):
    kind = KINDS[name]
    assert kind.name == name
    assert kind.detected_by or kind.unseen
    assert set(kind.detected_by) <= set(CAUSES)
    assert (kind.legal is None) == (kind.draws is None)
    assert bool(kind.unit) == (kind.legal is not None)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_drawn_faults_are_legal_and_cover_the_ranges(name: str):
    kind, generator = KINDS[name], np.random.default_rng(5)
    faults = [draw(name, generator, 4) for _ in range(400)]
    for fault in faults:
        check_fault(fault)
    assert {fault.spill for fault in faults} == {1, 2, 3, 4}
    times = np.array([fault.at_us for fault in faults])
    assert times.min() < -1_000_000
    assert times.max() > (1_600_000 if kind.at_us[1] > 0 else -100_000)
    if kind.draws is not None:
        values = np.array([fault.value for fault in faults], float)
        low, high = kind.draws
        assert np.abs(values).max() > low + 0.9 * (high - low)
        assert np.abs(values).min() < low + 0.1 * (high - low)
        assert (values < 0).any() == kind.either_sign
    lasting = sum(fault.duration_us is None for fault in faults)
    assert lasting == 400 if kind.lasts_us is None else 100 < lasting < 300


def test_a_draw_takes_the_same_numbers_whatever_the_kind():
    after = set()
    for name in KINDS:
        generator = np.random.default_rng(1)
        draw(name, generator, 3)
        after.add(generator.random())
    assert len(after) == 1


def test_only_the_intensity_has_a_peak():
    assert {name for name, kind in KINDS.items() if kind.peak != 1.0} == {"beam.spike", "beam.stray"}
    assert KINDS["beam.spike"].peak_factor(20.0) == 20.0
    assert KINDS["beam.stray"].peak_factor(0.5) == 1.5
    assert KINDS["int1.gain"].peak_factor(20.0) == 1.0
