"""What a campaign found, in numbers: the content of ``campaign.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from spotline.campaign.headers import (
    CampaignFile,
    Delay,
    Failure,
    KindFigures,
    Provenance,
    ViolatingRun,
    Worst,
)
from spotline.campaign.invariants import FAILURE, INVARIANTS, names_of
from spotline.campaign.row import Row


def summary_of(rows: Sequence[Row], provenance: Provenance) -> CampaignFile:
    """Sum up the rows of a campaign, and say what the runs depend on."""
    struck = [row for row in rows if row.struck]
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        if row.fault1:
            kinds.setdefault(name_of(row), []).append(row)
    return CampaignFile(
        **msgspec.structs.asdict(provenance),
        runs=len(rows),
        faults=len(struck),
        detections=sum(bool(row.detected_by) for row in struck),
        outcomes=dict(sorted(Counter(row.outcome for row in rows).items())),
        violations=violations_of(rows),
        violating_runs=tuple(
            ViolatingRun(run=row.run, invariants=names_of(row.violations), remarks=row.remarks)
            for row in rows
            if row.violations
        ),
        failures=_failures(rows),
        worst_excess=_worst_excess(rows),
        worst_excess_field=_worst([(row.excess_field, row.excess_field_bound, row) for row in rows]),
        worst_beam_off=_worst_beam_off(rows),
        kinds={name: _kind(kinds[name]) for name in sorted(kinds)},
    )


def name_of(row: Row) -> str:
    """Name of what failed in a run: a kind, or two in the order of the alphabet."""
    return " + ".join(sorted(filter(None, (row.fault1, row.fault2))))


def violations_of(rows: Sequence[Row]) -> dict[str, int]:
    """Runs that violate each invariant."""
    return {i.name: sum(bool(row.violations & i.bit) for row in rows) for i in INVARIANTS}


def _failures(rows: Sequence[Row]) -> tuple[Failure, ...]:
    """The errors of the program that ended runs."""
    first: dict[str, int] = {}
    runs: Counter[str] = Counter()
    for row in rows:
        if row.violations & FAILURE:
            first.setdefault(row.remarks, row.run)
            runs[row.remarks] += 1
    return tuple(Failure(error=error, runs=n, first=first[error]) for error, n in runs.most_common())


def _kind(rows: Sequence[Row]) -> KindFigures:
    """What became of one kind of fault."""
    struck = [row for row in rows if row.struck]
    detected = [row for row in struck if row.detected_by]
    undetected = [row for row in struck if not row.detected_by]
    delays_us = [row.detection_us for row in detected if row.detection_us is not None]
    return KindFigures(
        runs=len(rows),
        struck=len(struck),
        detected=len(detected),
        by=dict(Counter(row.detected_by for row in detected).most_common()),
        detection_us=Delay(
            median=float(np.median(delays_us)) if delays_us else None, largest=max(delays_us, default=None)
        ),
        worst_excess=_worst_excess(struck),
        worst_excess_undetected=_worst_excess(undetected),
        worst_beam_off=_worst_beam_off(struck),
        worst_misplaced=max((row.misplaced for row in struck), default=None),
        worst_misplaced_undetected=max((row.misplaced for row in undetected), default=None),
        worst_displacement_mm=max((row.displacement_mm for row in struck), default=None),
        outcomes=dict(sorted(Counter(row.outcome for row in struck).items())),
        violations=violations_of(rows),
    )


def _worst_excess(rows: Sequence[Row]) -> Worst | None:
    """The spot that received most too much, measured by its bound."""
    worst = _worst([(row.excess, row.excess_bound, row) for row in rows])
    if worst is None:
        return None
    row = next(row for row in rows if row.run == worst.run)
    return msgspec.structs.replace(worst, slice=row.slice, spot=row.spot, prescribed=row.prescribed)


def _worst_beam_off(rows: Sequence[Row]) -> Worst | None:
    return _worst([(row.beam_off_us, row.beam_off_bound_us, row) for row in rows])


def _worst(measured: Sequence[tuple[float | None, float, Row]]) -> Worst | None:
    """The value that comes nearest to its bound, or lies furthest beyond."""
    found = [(value, bound, row.run) for value, bound, row in measured if value is not None]
    if not found:
        return None
    value, bound, run = max(found, key=lambda one: (one[0] / one[1], -one[2]))
    return Worst(value=value, bound=bound, run=run)
