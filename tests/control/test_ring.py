"""The charge of the ring against what is counted: one chamber that counts right is enough."""

from __future__ import annotations

import pytest

from spotline.control import interlocks
from tests.control.bench import SETTINGS, Bench, every, spots
from tests.control.trips.ring import READ, pulses

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("counts", "trips"),
    [((1, 0), False), ((0, 1), False), ((0, 0), True)],
    ids=["INT2 is dead", "INT1 is dead", "both are"],
)
def test_what_left_the_ring_is_missed_by_both_chambers_or_it_is_not_missed(
    counts: tuple[int, int], trips: bool
):
    """Eight counts come with every pulse, in one chamber; chambers are held against each other elsewhere."""
    settings = SETTINGS._replace(
        ring=READ, integral=SETTINGS.integral._replace(difference=1e9, ratio_counts=1 << 40)
    )
    bench = Bench(spots([10_000]), settings)
    bench.inputs = pulses
    paced = every(25)
    bench.counts = lambda tick: counts if paced(tick) == (1, 1) else (0, 0)
    bench.begin().run_to(4000)
    assert bench.law.scalars[0].ring_pulses > 10 or trips
    assert (interlocks.RING_CHARGE in [cause for cause, *_ in bench.interlocks]) == trips
