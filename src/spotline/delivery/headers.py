"""What the header of a spill file says, before and after the spill."""

from __future__ import annotations

from spotline.control.memory import COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN
from spotline.delivery.events import SpillBegun, SpillEnded
from spotline.hdf5 import keys_of
from spotline.record.headers import AnnouncedSpill, SpillHeader
from spotline.record.model import Table
from spotline.treatment.headers import DeliveryHeader


def announced(begun: SpillBegun, field: DeliveryHeader) -> AnnouncedSpill:
    """The header before the spill; `field` has what belongs to the whole field."""
    return AnnouncedSpill(
        field=begun.field,
        spill=begun.spill,
        slice=begun.slice,
        cycle_code=begun.cycle_code,
        extraction_start_us=begun.extraction_start_us,
        extraction_end_us=begun.extraction_end_us,
        broadcast_code=begun.broadcast_code,
        beamline_sha256=field.beamline_sha256,
        plan_sha256=field.plan_sha256,
        seed=field.seed,
    )


def header_of(before: AnnouncedSpill, ended: SpillEnded) -> SpillHeader:
    """The header once the spill is over."""
    result = ended.result
    return SpillHeader(
        **keys_of(before),
        start_us=result.start_us,
        end_us=result.end_us,
        beam_on_us=ended.beam_on_us,
        end_reason=result.end_reason,
        request=ended.request,
        int1_counts=result.int1_counts,
        int2_counts=result.int2_counts,
        boards_sha256=ended.boards_sha256,
    )


def beam_on_us(commands: Table) -> int:
    """Time for which the chopper was commanded open."""
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE]
    return int(closed.sum() - opened.sum())
