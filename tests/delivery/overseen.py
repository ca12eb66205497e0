"""Orders to give in a room without physics, and what came of a field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from spotline.control.slow import SlowReading
from spotline.delivery.progress import Command, Order, Orders, Progress
from spotline.record.spill_file import read_spill, spill_path
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.noted import Noted
from tests.readings import GOOD, good_but

SECOND_us = 1_000_000
SAID = ("M. Curie", "somebody has to")
"""Who orders something, and why, where a test does not care."""
RESET = Order(Command.RESET, "M. Curie", "repaired")


def events(outcome: Noted) -> list[str]:
    return [row["event"] for row in outcome.events]


def state(outcome: Noted) -> str:
    return outcome.events[-1]["state"]


def latched(outcome: Noted) -> list[int]:
    return [row.cause for row in outcome.register.latched]


def at(*orders: tuple[str, Order]) -> Orders:
    """Give each order the first time that the treatment is in a state, in this order."""
    waiting = list(orders)

    def give(progress: Progress) -> Order | None:
        if waiting and progress.state == waiting[0][0]:
            return waiting.pop(0)[1]
        return None

    return give


def in_spill(spill: int, spots: int, command: Command) -> Callable[[Progress], Order | None]:
    """Give an order when so many spots of the field are complete in a spill."""

    def give(progress: Progress) -> Order | None:
        is_there = (progress.spill, progress.spots) == (spill, spots)
        return Order(command, *SAID) if is_there and progress.state == "beam delivery" else None

    return give


def both(*orders: Orders) -> Orders:
    return lambda progress: next((o for give in orders if (o := give(progress)) is not None), None)


def changed(when_us: Callable[[int], bool], **changes: object) -> Callable[[int], SlowReading]:
    """A good reading, and at some times another."""
    return lambda time_us: good_but(**changes) if when_us(time_us) else GOOD  # type: ignore[arg-type]


def delivered_counts(folder: Path, spills: int) -> np.ndarray:
    """INT1 counts of every spot of both slices, over all spills."""
    total = np.zeros((2, 5), np.int64)
    for number in range(1, spills + 1):
        spill = read_spill(spill_path(folder, number))
        np.add.at(total[spill.header.slice], spill.spots[spill.parts["spot"]], spill.parts["int1_counts"])
    return total


def prescribed_counts(folder: Path) -> np.ndarray:
    return np.array([slice_.int1_counts for slice_ in read_treatment_file(folder).slices])
