"""What spots truly received, from the truth of the spills."""

from __future__ import annotations

import numpy as np
import pytest

from spotline import Options, Treatment, prepare
from spotline.campaign.received import received_of, spots_loaded
from tests.campaign.made_up import spill_of


def test_prescription_delivered_leaves_no_excess(treatment: Treatment):
    (field,) = treatment.fields
    received = received_of(field, [spill_of(field, 1, 0), spill_of(field, 2, 1)])
    assert received.excess == pytest.approx(np.zeros(128), abs=1e-6)
    assert received.prescribed.sum() == pytest.approx(field.particles)
    assert (received.spills == 1).all()
    assert received.misplaced == 0.0
    assert received.displacement_mm == pytest.approx(0.0, abs=0.1)


def test_a_spot_delivered_twice_has_it_all_too_many(treatment: Treatment):
    (field,) = treatment.fields
    again = spill_of(field, 2, 0, first=63)
    received = received_of(field, [spill_of(field, 1, 0), again, spill_of(field, 3, 1)])
    (worst,) = np.flatnonzero(received.excess > 1.0)
    assert (received.slice[worst], received.spot[worst]) == (0, 63)
    assert received.excess[worst] == pytest.approx(field.slices[0].particles[63])
    assert received.spills[worst] == 2


@pytest.mark.parametrize(("shift_mm", "is_misplaced"), [(1.9, False), (2.1, True)])
def test_ions_of_a_spot_off_its_place_are_misplaced(
    treatment: Treatment, shift_mm: float, is_misplaced: bool
):
    (field,) = treatment.fields
    spill = spill_of(field, 1, 1)
    n, x = spill.truth[:, 0].copy(), field.slices[1].x_iso_mm
    spill.truth[5, 1:3] = n[5] * (x[5] + shift_mm), n[5] * (x[5] + shift_mm) ** 2
    received = received_of(field, [spill])
    assert received.misplaced == pytest.approx(n[5] if is_misplaced else 0.0)
    assert received.displacement_mm == pytest.approx(shift_mm, rel=1e-3)


def test_visits_to_a_spot_add_up(treatment: Treatment):
    (field,) = prepare(treatment.plan, treatment.beamline, options=Options(paintings=2)).fields
    received = received_of(field, [spill_of(field, 1, s.index) for s in field.slices])
    assert len(received.prescribed) == 128
    assert received.excess == pytest.approx(np.zeros(128), abs=1e-6)


def test_loaded_spots_that_end_no_slice_are_refused(treatment: Treatment):
    (field,) = treatment.fields
    spill = spill_of(field, 7, 0)
    spill.x_current_A[0] += 1.0
    with pytest.raises(ValueError, match="spill 7: 64 spots were loaded that end no slice"):
        spots_loaded(spill, field.slices, 0)
