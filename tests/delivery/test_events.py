"""What happens in a delivery is told: all of it, once, in order, and described."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spotline import BeamLine
from spotline.control import interlocks, memory
from spotline.control.interlocks import STOP
from spotline.control.planes import READING as READING_OF_PLANES
from spotline.control.slow import BoxReading, SlowReading
from spotline.delivery import events as module
from spotline.delivery.command import Command, Order
from spotline.delivery.delivery import Delivery
from spotline.delivery.events import (
    BOX,
    COMMON,
    EVENTS,
    OTHERS,
    PARTS,
    READING,
    RESULT,
    TREND,
    Column,
    DeliveryEvent,
    FieldBegun,
    InterlockTripped,
    Samples,
    SpillBegun,
    SpillEnded,
    SpillStored,
    StateChanged,
    limits_of,
)
from spotline.delivery.progress import Progress, Standing
from spotline.delivery.session import DeliveryOptions
from spotline.machine import load_beamline
from spotline.record import open_record
from spotline.record.recovered import read_state
from spotline.record.spill_file import read_spill
from spotline.room import SpillResult
from tests.delivery.deliveries import PROTON, treatment_of
from tests.delivery.listening import heard, plain, rows_of_trend, without_samples
from tests.delivery.overseen import SAID, both, in_spill
from tests.delivery.scripted_room import ScriptedRoom

KINDS = [kind.__name__ for kind in EVENTS]


def names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


@pytest.mark.parametrize("kind", EVENTS, ids=KINDS)
def test_every_column_of_an_event_is_described(kind: type[DeliveryEvent]):
    assert names(COMMON + EVENTS[kind]) == [f.name for f in fields(kind)]


def test_every_kind_of_event_is_described():
    kinds = {
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, DeliveryEvent) and value is not DeliveryEvent
    }
    assert set(EVENTS) == kinds


def test_tables_within_events_are_described_as_they_are():
    assert names(TREND) == list(memory.TREND.names)
    assert names(PARTS) == list(memory.PART.names)
    assert names(READING) == [f.name for f in fields(SlowReading)]
    assert names(BOX) == [f.name for f in fields(BoxReading)]
    truth = {"truth", "last_ion_us"}
    assert names(RESULT) == [f.name for f in fields(SpillResult) if f.name not in truth]
    commands, trips = (
        next(c for c in RESULT if c.name == name).columns for name in ("commands", "interlocks")
    )
    assert names(commands) == list(memory.COMMAND.names)
    assert names(trips) == list(memory.INTERLOCK.names)
    codes = {"int": "i", "float": "f"}
    for columns, dtype in (
        (TREND, memory.TREND),
        (PARTS, memory.PART),
        (trips, memory.INTERLOCK),
        (OTHERS, READING_OF_PLANES),
    ):
        assert [codes[c.dtype] for c in columns] == [dtype[c.name].kind for c in columns]


def test_limits_are_those_of_the_beam_line():
    line = load_beamline("cnao-h")
    found = {column.name: limits_of(column, line) for column in (*READING, *BOX)}
    assert found["temperature_C"] == tuple(line.facts.slow_interlocks.temperature_C)
    assert found["high_voltage_V"] == tuple(line.facts.slow_interlocks.high_voltage_V)
    assert found["time_us"] == (0, None)


def is_of_kind(value: Any, column: Column) -> bool:
    kinds = {"int": int, "float": float, "bool": bool, "str": str}
    if column.dtype == "table" or value is None:
        return True
    if column.shape:
        return all(is_of_kind(v, Column("", column.dtype, "", "")) for v in np.asarray(value).tolist())
    return isinstance(value, kinds[column.dtype]) or (column.dtype == "float" and isinstance(value, int))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[DeliveryEvent]:
    """Everything that happens in a field with a pause and an interlock, and one reading out of its limits."""
    room = ScriptedRoom(trips={3: (3, interlocks.INT_RATIO, STOP)})
    orders = both(in_spill(1, 3, Command.PAUSE), paused_then_go_on)
    _, events = heard(room, tmp_path_factory.mktemp("told"), orders=orders, block_us=1000)
    return events


def paused_then_go_on(progress: Progress) -> Order | None:
    return Order(Command.RESUME, *SAID) if progress.state == "paused" else None


def test_values_are_what_their_columns_say(told: list[DeliveryEvent]):
    line = load_beamline("cnao-h")
    for event in told:
        for column in COMMON + EVENTS[type(event)]:
            value = getattr(event, column.name)
            assert is_of_kind(value, column), (event, column)
            low, high = limits_of(column, line)
            if isinstance(value, int | float):
                assert low is None or value >= low, (event, column)
                assert high is None or value <= high, (event, column)


def test_events_are_numbered_without_a_gap_and_in_time(told: list[DeliveryEvent]):
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    assert {event.field for event in told} == {1}
    times = [e.time_us for e in told if not (isinstance(e, InterlockTripped) and e.is_with_beam)]
    assert times == sorted(times)


def test_events_say_what_the_journal_says(tmp_path: Path):
    room = ScriptedRoom(trips={2: (3, interlocks.INT_RATIO, STOP)})
    outcome, events = heard(room, tmp_path)
    state = read_state(tmp_path)
    happened = [(e.time_us, e.event, e.state) for e in events if isinstance(e, StateChanged)]
    assert happened == [(row.time_us, row.event, row.state) for row in state.events]
    stored = {e.spill: e for e in events if isinstance(e, SpillStored)}
    assert {n: e.sha256 for n, e in stored.items()} == {n: s.sha256 for n, s in state.stored.items()}
    assert all((tmp_path.parent / e.path).is_file() for e in stored.values())
    (trip,) = [e for e in events if isinstance(e, InterlockTripped)]
    spill = read_spill(tmp_path / "spills" / "spill-0002.h5")
    assert (trip.time_us, trip.cause) == (spill.interlocks["tick"][0], spill.interlocks["cause"][0])
    assert events[0].__class__ is FieldBegun
    assert outcome.spills == len([e for e in events if isinstance(e, SpillBegun)]) == 2


@pytest.mark.parametrize("block_us", [1000, 3000, 7000, 1_000_000])
def test_events_are_the_same_for_any_size_of_the_blocks(block_us: int, tmp_path: Path):
    """All but how the samples are cut, and the numbers with it."""
    trips = {2: (3, interlocks.INT_RATIO, STOP)}
    _, usual = heard(ScriptedRoom(trips=trips, spill_ms=1500), tmp_path / "a" / "field")
    _, other = heard(ScriptedRoom(trips=trips, spill_ms=1500), tmp_path / "b" / "field", block_us=block_us)
    assert without_samples(usual) == without_samples(other)
    assert (rows_of_trend(usual) == rows_of_trend(other)).all()


def test_standing_follows_from_events_alone(told: list[DeliveryEvent]):
    """Who hears all events knows what those know who are told how far the delivery is."""
    standing = Standing()
    for event in told:
        progress = standing.take(event)
        if isinstance(event, Samples):
            assert (progress.spill, progress.int1_counts) == (event.spill, event.int1_counts)
    assert progress.state == told[-2].state == "interrupted"
    assert [row.cause for row in progress.register.latched] == [interlocks.INT_RATIO]
    assert (progress.spots, progress.n_spots, progress.slice) == (8, 10, 2)


def test_a_simulated_delivery_tells_the_same_as_its_record(line: BeamLine, tmp_path: Path):
    """To watchers no truth is told, and no frame of the chambers."""
    out = tmp_path / "out"
    options = DeliveryOptions(documents=False, takes_orders=False)
    delivery = Delivery(treatment_of(PROTON, line), out, seed=1, raw=True, options=options)
    with delivery.events() as subscription:
        delivery.run()
        events = list(subscription)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert subscription.missed == 0
    record = open_record(out)
    (field,) = record.fields
    ended = [event for event in events if isinstance(event, SpillEnded)]
    assert [e.result.int1_counts for e in ended] == field.spills["int1_counts"].tolist()
    assert all(e.result.truth is None and e.result.last_ion_us is None for e in ended)
    samples = [event for event in events if isinstance(event, Samples)]
    assert all(event.raw is None for event in samples)
    assert rows_of_trend(events)["int1_counts"].tolist() == field.trend["int1_counts"].tolist()
    assert (events[-1].status, events[-1].error) == ("complete", None)
    assert events[-1].time_us == field.spills["end_us"].max() > 10**6, "when the beam was last needed"
    spill = read_spill(out / "field-01" / "spills" / "spill-0001.h5")
    assert spill.truth is not None


def test_no_event_has_a_time_of_day(told: list[DeliveryEvent]):
    for kind in EVENTS:
        assert "datetime" not in str(typing.get_type_hints(kind))
    text = str([plain(event) for event in told if not isinstance(event, Samples | SpillBegun | SpillEnded)])
    assert "T00:" not in text
    assert "+00:00" not in text
