"""A cause of the interlock table that is driven to its limit on the bench, or just not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from spotline.control.memory import SliceMemory
from tests.control.bench import SETTINGS, Bench

Drive = Callable[[Bench, bool], None]
"""Brings a quantity to its limit, or just not."""


class Tripped(NamedTuple):
    """What is recorded of an interlock; `tick` only by the fast control."""

    cause: int
    value: float
    limit: float
    action: int
    tick: int | None = None


class Case(NamedTuple):
    """A cause driven to its limit, and as close to it as one can get without tripping it."""

    name: str
    drive: Callable[[bool], list[Tripped]]
    expected: Tripped


def of_bench(bench: Bench) -> list[Tripped]:
    return [
        Tripped(cause, value, limit, action, tick) for cause, tick, value, limit, action in bench.interlocks
    ]


def on_bench(name: str, expected: Tripped, drive: Drive, memory: SliceMemory, **settings: Any) -> Case:
    """A case that a function drives on a bench with some settings."""

    def run(reach: bool) -> list[Tripped]:
        bench = Bench(memory, SETTINGS._replace(**settings))
        drive(bench, reach)
        return of_bench(bench)

    return Case(name, run, expected)
