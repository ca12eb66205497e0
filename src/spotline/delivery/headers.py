"""What the header of a spill file says, before and after the spill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotline.control.memory import COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN
from spotline.delivery.events import SpillBegun, SpillEnded
from spotline.record.model import Table

IDENTITY = ("beamline_sha256", "plan_sha256", "seed")
"""Keys of the header of a field that say what belongs together."""


def announced(begun: SpillBegun, field: Mapping[str, Any]) -> dict[str, Any]:
    """The header before the spill; `field` has what belongs to the whole field."""
    return {
        "field": begun.field,
        "spill": begun.spill,
        "slice": begun.slice,
        "cycle_code": begun.cycle_code,
        "extraction_start_us": begun.extraction_start_us,
        "extraction_end_us": begun.extraction_end_us,
        "broadcast_code": begun.broadcast_code,
        "recovered": False,
        **{name: field[name] for name in IDENTITY},
    }


def came_of(ended: SpillEnded) -> dict[str, Any]:
    """What comes to the header with the end of the spill."""
    result = ended.result
    return {
        "start_us": result.start_us,
        "end_us": result.end_us,
        "beam_on_us": ended.beam_on_us,
        "end_reason": result.end_reason,
        "request": ended.request,
        "int1_counts": result.int1_counts,
        "int2_counts": result.int2_counts,
    }


def beam_on_us(commands: Table) -> int:
    """Time for which the chopper was commanded open."""
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE]
    return int(closed.sum() - opened.sum())
