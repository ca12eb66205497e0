"""From particles to counts of the integral chambers: the pre-treatment conversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.machine import BeamLine
from spotline.machine.monitors import INTEGRALS
from spotline.treatment.treatment import FieldTreatment

HALF = 0.5 + 1e-7
"""What is added before the decimals are cut off: sums of different order must round alike at one half."""


def convert_counts(
    treatment: FieldTreatment, gas_factors: tuple[float, ...], beamline: BeamLine
) -> FieldTreatment:
    """Convert particles to counts of both integral chambers (the pre-treatment conversion, III.C).

    A spot makes ``particles / particles_per_count`` counts, with the table of the ion, the gas density
    of the box, the daily factor and the gain map at the spot.  Counts are whole numbers.  What is rounded
    is the running sum over the prescribed spots of a planned layer, in the order of the plan: rounding
    never adds up, and the counts of a spot depend neither on the delivery path nor on repainting.  They
    are then divided among its visits, none of which is left without a count.

    In the rest of a field (`Field.is_continuation`) every spot is rounded for itself instead.  Its particles
    were whole counts when they were left over, and are so again under the same gas; a running sum would
    shift counts from spot to spot as soon as the gas is another.

    INT2, the back-up, gets ``int2_margin_counts`` more at every visit: otherwise the first of two equally
    good but differently rounded chambers would always win, and a visit of 100 counts would fall short by
    half a count on average.

    Parameters
    ----------
    treatment : FieldTreatment
        A prepared field; it need not have all spots of the plan.
    gas_factors : tuple of float
        Gas density of each box of the line, relative to the reference (`spotline.physics.gas.gas_factor`).
    beamline : BeamLine
        The line it was prepared for.
    """
    if not treatment.slices:
        return treatment
    gas1, gas2 = (gas_factors[beamline.facts.box_number(role) - 1] for role in INTEGRALS)
    calibration = beamline.facts.calibration
    margin = beamline.facts.control.int2_margin_counts
    per_count1, per_count2 = [], []
    for s in treatment.slices:
        reference = float(beamline.particles_per_count(treatment.beam.name, s.energy_MeV_u))
        gain1 = beamline.int1_gain(s.x_iso_mm, s.y_iso_mm) * calibration.int1_daily_factor * gas1
        gain2 = beamline.int2_gain(s.x_iso_mm, s.y_iso_mm) * calibration.int2_daily_factor * gas2
        per_count1.append(reference / gain1)
        per_count2.append(reference / gain2)
    visits = _visits(treatment)
    rounded = _round_each if treatment.field.is_continuation else round_running
    ends = np.cumsum([s.n_spots for s in treatment.slices])[:-1]
    counts1 = np.split(_visit_counts(visits, np.concatenate(per_count1), rounded), ends)
    counts2 = np.split(_visit_counts(visits, np.concatenate(per_count2), rounded) + margin, ends)
    slices = tuple(
        replace(
            s,
            particles_per_count1=per_count1[i],
            particles_per_count2=per_count2[i],
            int1_counts=counts1[i],
            int2_counts=counts2[i],
        )
        for i, s in enumerate(treatment.slices)
    )
    return replace(treatment, slices=slices, gas_factors=gas_factors)


class _Visits(NamedTuple):
    """All visits of a field, in delivery order, and the prescribed spots that they belong to.

    Prescribed spots are those that are visited, in the order of the plan.
    """

    spot: Integers  # prescribed spot of each visit, shape (n_visits,)
    particles: Floats  # of each visit
    layer: Integers  # planned layer of each prescribed spot, shape (n_spots,)


def _visits(treatment: FieldTreatment) -> _Visits:
    layer = np.concatenate([s.planned_layer for s in treatment.slices])
    planned = np.concatenate([s.planned_spot for s in treatment.slices])
    stride = int(planned.max()) + 1
    prescribed, spot = np.unique(layer * stride + planned, return_inverse=True)
    return _Visits(spot, np.concatenate([s.particles for s in treatment.slices]), prescribed // stride)


def _visit_counts(
    visits: _Visits, particles_per_count: Floats, rounded: Callable[[Floats], Integers]
) -> Integers:
    """Whole counts of every visit, at least 1 each; arrays of shape (n_visits,).

    What is rounded are the counts of the spots of a layer, by `rounded`.

    All visits to a spot have the same particles per count: they are at one place.
    """
    spot, particles, layer = visits
    n_visits = np.bincount(spot)
    total = np.bincount(spot, particles)
    per_count = np.empty(len(layer))
    per_count[spot] = particles_per_count
    layers = np.split(total / per_count, np.flatnonzero(np.diff(layer)) + 1)
    counts = np.maximum(np.concatenate([rounded(counts) for counts in layers]), n_visits)
    # Spot by spot, the visits of each in delivery order: the part that is done after each visit, rounded.
    order = np.argsort(spot, kind="stable")
    mine = spot[order]
    visit = np.arange(len(mine)) - (np.cumsum(n_visits) - n_visits)[mine]
    follow = n_visits[mine] - 1 - visit
    part = np.cumsum((particles / total[spot])[order]) - mine
    done = np.floor(counts[mine] * part + HALF).astype(np.int64)
    done[follow == 0] = counts
    # At least one more than after the visit before, and one left for each visit that follows.
    spots_apart = mine * (int(counts.max()) + 1)
    done = np.maximum.accumulate(np.maximum(done - visit, 1) + spots_apart) - spots_apart + visit
    done = np.minimum(done, counts[mine] - follow)
    shares = np.empty(len(mine), np.int64)
    shares[order] = done - np.where(visit == 0, 0, np.roll(done, 1))
    return shares


def round_running(counts: Floats) -> Integers:
    """Round counts to whole numbers of at least 1, so that every running sum is off by half a count at most.

    (By more only where spots below one count are raised to one.)
    """
    rounded = np.diff(np.floor(np.cumsum(counts) + HALF), prepend=0.0).astype(np.int64)
    return np.maximum(rounded, 1)


def _round_each(counts: Floats) -> Integers:
    """Round counts to whole numbers of at least 1, each for itself."""
    return np.maximum(np.floor(counts + HALF).astype(np.int64), 1)
