"""Made-up spills and rows, to judge without a delivery."""

from __future__ import annotations

from typing import Any

import numpy as np

from spotline.campaign.headers import Provenance
from spotline.campaign.row import SCHEMA, Row
from spotline.campaign.watch import Watched
from spotline.treatment.treatment import FieldTreatment


def spill_of(field: FieldTreatment, spill: int, index: int, first: int = 0, **facts: Any) -> Watched:
    """A spill for the spots of a slice from `first` on, which all get what is prescribed at their place."""
    slice_ = field.slices[index]
    n, x, y = slice_.particles[first:], slice_.x_iso_mm[first:], slice_.y_iso_mm[first:]
    watched = Watched(
        field=field.field.number,
        spill=spill,
        start_us=spill * 4_500_000,
        cycle_code=slice_.cycle_code,
        int1_left=slice_.int1_counts[first:].copy(),
        x_current_A=slice_.x_current_A[first:].copy(),
        y_current_A=slice_.y_current_A[first:].copy(),
        interlocks=[],
        truth=np.column_stack([n, n * x, n * x**2, n * y, n * y**2]),
    )
    for name, value in facts.items():
        setattr(watched, name, value)
    return watched


PROVENANCE = Provenance(
    seed=7,
    plan="two.dcm",
    plan_label="TWO <LAYERS>",
    plan_sha256="a" * 64,
    beamline="cnao-h",
    beamline_version="1",
    beamline_sha256="b" * 64,
    drawn_from=("int2.dead",),
    fixed=(),
    pairs=False,
    versions={"spotline": "0.1"},
)


def row_of(run: int, **facts: Any) -> Row:
    """A row of the table of runs in which nothing happened, but for some facts."""
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names, 0)
    row |= dict.fromkeys(("fault1", "fault2", "detected_by", "remarks"), "")
    row |= dict.fromkeys(("value1", "value2", "duration1_us", "duration2_us", "at2_us"))
    row |= {"run": run, "outcome": "complete", "struck": False, "detection_us": None, "beam_off_us": None}
    row |= {"excess_bound": 1e5, "excess_field_bound": 1e6, "beam_off_bound_us": 500.0}
    return Row(**row | facts)
