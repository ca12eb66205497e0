"""The summary of a delivery, from the records of its fields: whole, stopped, or interrupted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from spotline.record.headers import DeliveryFile
from spotline.record.model import FieldRecord
from spotline.record.statistics import field_statistics, total_statistics
from spotline.record.summary_file import FieldSummary, SummaryFile


def field_summary(record: FieldRecord) -> FieldSummary:
    """Entry of a field in ``summary.json``."""
    statistics, outcome = field_statistics(record), record.outcome
    loop_wall_s = 0.0 if outcome.loop_wall_s is UNSET else outcome.loop_wall_s
    return FieldSummary(
        **msgspec.structs.asdict(statistics),
        folder=record.path.name,
        field=record.number,
        name=record.name,
        loop_wall_s=loop_wall_s,
        realtime_factor=_ratio(statistics.beam_on_s, loop_wall_s),
        sessions=outcome.sessions,
        warnings=record.facts.warnings,
    )


def summarize(delivery: DeliveryFile, records: Sequence[FieldRecord], wall_s: float) -> SummaryFile:
    """Content of ``summary.json``.

    Parameters
    ----------
    delivery : DeliveryFile
    records : sequence of FieldRecord
        Fields that were begun.
    wall_s : float
        Time that it took.
    """
    fields = tuple(field_summary(record) for record in records)
    totals = total_statistics(fields)
    totals = msgspec.structs.replace(
        totals,
        status=totals.status if len(fields) == len(delivery.fields) else _unfinished(totals.status),
        # Fields that were never begun still count as planned.
        spots_planned=sum(f.spots_planned for f in delivery.fields),
        particles_planned=sum(f.particles_planned for f in delivery.fields),
    )
    loop_wall_s = sum(field.loop_wall_s for field in fields)
    return SummaryFile(
        **msgspec.structs.asdict(totals),
        wall_s=wall_s,
        loop_wall_s=loop_wall_s,
        realtime_factor=_ratio(totals.beam_on_s, loop_wall_s),
        seed=delivery.seed,
        raw=delivery.raw,
        plan=delivery.plan_name,
        plan_label=delivery.plan_label,
        plan_sha256=delivery.plan_sha256,
        beamline=delivery.beamline,
        beamline_version=delivery.beamline_version,
        beamline_sha256=delivery.beamline_sha256,
        versions=delivery.versions,
        fields=fields,
    )


def _unfinished(status: str) -> str:
    """Status of a delivery of which a field was never begun."""
    return "interrupted" if status == "complete" else status


def _ratio(beam_on_s: float, wall_s: float) -> float | None:
    return beam_on_s / wall_s if wall_s > 0.0 else None
