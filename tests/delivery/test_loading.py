"""Settings of the fast control of a slice, by hand."""

from __future__ import annotations

import pytest

from spotline import load_beamline, prepare
from spotline.delivery.loading import law_settings
from tests.lines.facts import with_facts
from tests.treatment.plans import field, plan_of, square


def test_the_end_of_an_extraction_is_not_held_against_the_floor():
    """With a floor of 5 %, less than a fifth of the intensity is not: the last fifth of the fall."""
    changes = {
        "accelerator.spill_fall_s": 0.01,
        "fast_interlocks.intensity_floor": 0.05,
        "fast_interlocks.ring_silence_us": 3000,
    }
    line = with_facts(load_beamline("cnao-h"), changes)
    treatment = prepare(plan_of(field(square(3, 4.0, 1e5))), line).fields[0]
    slice_ = treatment.slices[0]
    ring = law_settings(line.facts, treatment.beam, slice_).ring
    assert ring.fall_ticks == 2000 + 3000
    assert ring.silence_ticks == 3000
    per_us = slice_.particles_per_s * 1e-6 / slice_.particles_per_count1.mean()
    assert ring.floor_counts == pytest.approx(0.05 * 3000 * per_us)


def test_intensity_is_told_in_particles_per_second():
    """A limit in counts of a window stands for the largest intensity of the line."""
    line = with_facts(load_beamline("cnao-h"), {"fast_interlocks.intensity_window_us": 1000})
    treatment = prepare(plan_of(field(square(3, 4.0, 1e5))), line).fields[0]
    slice_ = treatment.slices[0]
    settings = law_settings(line.facts, treatment.beam, slice_)
    assert settings.intensity_bins * line.facts.control.scan_period_us == 1000
    for per_count, told in (
        (slice_.particles_per_count1, settings.particles_per_s_per_count1),
        (slice_.particles_per_count2, settings.particles_per_s_per_count2),
    ):
        assert told == pytest.approx(per_count.mean() / 1e-3)
