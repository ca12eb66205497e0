"""What happens in a delivery: one frozen type per kind of event, and a description of all their columns.

Events are numbered without a gap, over all fields.  Their time is the sample on the clock of the field, an
integer; no event has a time of day, which whoever writes one down may add.

The same beam line, treatment, seed and orders make the same events.  What depends on the size of the blocks
is how the samples are cut into `Samples`, and with it the numbers.  An interlock of the fast control is told
when its spill is over, with the sample in which it tripped; otherwise time never goes back within a field.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spotline.arrays import Integers
from spotline.control.interlocks import CAUSES
from spotline.control.memory import LawSettings, SliceMemory
from spotline.control.register import Latched, Reset
from spotline.control.slow import SlowReading
from spotline.machine import BeamLine
from spotline.room import RawSamples, SpillResult, Table


def read_only(value: Any) -> Any:
    """An array as those get it who only watch: the delivery goes on to use it.  Anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    view = value[:]
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeliveryEvent:
    """What all events have; `EVENTS` describes the columns of each kind.

    Attributes
    ----------
    sequence : int
        Number in the stream, from 1.  The stream gives it, and the field.
    field : int
        Number of the field; 0 before the first.
    time_us : int
        Sample on the clock of the field.
    """

    sequence: int = 0
    field: int = 0
    time_us: int

    def for_watchers(self) -> DeliveryEvent:
        """The event as those see it who only watch."""
        return self


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FieldBegun(DeliveryEvent):
    """A field is loaded, or goes on."""

    position: int
    n_fields: int
    n_slices: int
    n_spots: int
    spots_complete: int
    spills: int
    resets: tuple[Reset, ...]
    operator: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Converted(DeliveryEvent):
    """Particles were converted to counts with the gas as it is, or could not be."""

    is_converted: bool
    gas_factors: tuple[float, ...]
    treatment_sha256: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateChanged(DeliveryEvent):
    """Something happened to the supervision."""

    event: str
    state: str
    is_beam_permitted: bool
    latched: tuple[Latched, ...]
    reset: Reset | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadingTaken(DeliveryEvent):
    """The slow control was read."""

    spill: int
    reading: SlowReading
    flux_corrections: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class InterlockTripped(DeliveryEvent):
    """Something is out of its limits."""

    cause: int
    value: float
    limit: float
    action: int
    spill: int
    slice: int
    spot: int
    is_with_beam: bool
    detail: str = ""

    @property
    def name(self) -> str:
        """The cause in words."""
        return CAUSES[self.cause].name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpillBegun(DeliveryEvent):
    """A spill was announced and granted; the memory boards are about to be loaded."""

    spill: int
    slice: int
    energy_MeV_u: float
    cycle_code: int
    broadcast_code: int
    extraction_start_us: int
    extraction_end_us: int
    unconfirmed: int
    spots: Integers
    settings: LawSettings
    memory: SliceMemory

    def for_watchers(self) -> SpillBegun:
        """With memory boards that nobody can write to."""
        boards = self.memory._asdict()
        memory = SliceMemory(**{name: read_only(v) for name, v in boards.items()})
        return replace(self, spots=read_only(self.spots), memory=memory)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Samples(DeliveryEvent):
    """A block of samples; its time is that of the end."""

    spill: int
    n_samples: int
    spot: int
    spots_complete: int
    int1_counts: int
    int2_counts: int
    trend: Table
    parts: Table
    raw: RawSamples | None

    def for_watchers(self) -> Samples:
        """Without the frames of the chambers: they would fill the memory of who is slow."""
        return replace(self, trend=read_only(self.trend), parts=read_only(self.parts), raw=None)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpillEnded(DeliveryEvent):
    """A spill is over and the beam is off."""

    spill: int
    slice: int
    beam_on_us: int
    request: int
    spots_complete: int
    result: SpillResult
    boards_sha256: str = ""

    def for_watchers(self) -> SpillEnded:
        """Without what only a simulation knows."""
        tables = {name: read_only(getattr(self.result, name)) for name in ("parts", "commands", "interlocks")}
        return replace(self, result=replace(self.result, truth=None, last_ion_us=None, **tables))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpillStored(DeliveryEvent):
    """The file of a spill is published."""

    spill: int
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OrderTaken(DeliveryEvent):
    """An order was obeyed, or refused; its time is the sample from which on it acts."""

    command: str
    identity: str
    reason: str
    spill: int
    refusal: str | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FieldEnded(DeliveryEvent):
    """Nothing more is delivered of a field now."""

    status: str
    spills: int
    latched: tuple[Latched, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeliveryEnded(DeliveryEvent):
    """The last event: the record is written, or an error ended the delivery."""

    status: str
    error: str | None = None


Limits = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of an event is.

    Attributes
    ----------
    name : str
        Of the attribute; in a column of a table, of the field of its dtype.
    dtype : str
        ``int``, ``float``, ``bool``, ``str``, or ``table``, whose columns follow.
    unit : str
        Empty if it has none.
    meaning : str
    shape : tuple of str
        One name per axis; empty for a single value.
    limits : tuple of float or None, or str
        Lowest and highest value (None: without); or the key of the beam-line file that has them.
    source : str
        Who says it: the delivery, the supervision, slow or fast control, the accelerator, an operator.
    columns : tuple of Column
        Of a table.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    shape: tuple[str, ...] = ()
    limits: Limits | str = (None, None)
    source: str = "delivery"
    columns: tuple[Column, ...] = field(default=())


FAST, SLOW, SUPERVISION = "fast control", "slow control", "supervision"
ACCELERATOR, OPERATOR = "accelerator", "operator"
FROM_0: Limits = (0, None)
FROM_1: Limits = (1, None)


def _counts(chamber: int, meaning: str) -> Column:
    return Column(f"int{chamber}_counts", "int", "counts", f"{meaning} INT{chamber}", (), FROM_0, FAST)


def _fast(name: str, dtype: str, unit: str, meaning: str, limits: Limits = (None, None)) -> Column:
    return Column(name, dtype, unit, meaning, (), limits, FAST)


COMMON = (
    Column("sequence", "int", "", "number of the event in the delivery", limits=FROM_1),
    Column("field", "int", "", "number of the field; 0 before the first", limits=FROM_0),
    Column("time_us", "int", "us", "sample on the clock of the field", limits=FROM_0),
)

SPILL = Column("spill", "int", "", "number of the spill in the field, from 1", limits=FROM_1)
SPILL_OR_NONE = Column("spill", "int", "", "number of the spill under way; 0: without beam", limits=FROM_0)
SLICE = Column("slice", "int", "", "index of the slice in the field, from 0", limits=FROM_0)
SPOT = Column("spot", "int", "", "index of the spot in the slice, from 0", (), FROM_0, FAST)
SPOTS_COMPLETE = Column("spots_complete", "int", "", "complete spots of the field", limits=FROM_0)
ENERGY = Column("energy_MeV_u", "float", "MeV/u", "kinetic energy per nucleon", limits=FROM_0)
COUNTS_SO_FAR = (_counts(1, "of the spill so far, of"), _counts(2, "of the spill so far, of"))

LATCHED = Column(
    "latched",
    "table",
    "",
    "what is latched, in the order in which it came",
    ("causes",),
    source=SUPERVISION,
    columns=(
        Column("cause", "int", "", "code of the table of interlocks", source=SUPERVISION),
        Column("value", "float", "of the cause", "what was measured; None if not finite"),
        Column("limit", "float", "of the cause", "its limit; None if not finite"),
        Column("time_us", "int", "us", "sample in which it tripped", limits=FROM_0),
        Column("spill", "int", "", "number of the spill; 0 before the first", limits=FROM_0),
    ),
)

BOX = (
    Column("name", "str", "", "of the box", source=SLOW),
    *(
        Column(f"{name}_{unit}", "float", unit, what, (), f"slow_interlocks.{name}_{unit}", SLOW)
        for name, unit, what in (
            ("temperature", "C", "of the gas in the box"),
            ("pressure", "Pa", "of the gas in the box"),
            ("high_voltage", "V", "at the chambers of the box"),
        )
    ),
)
"""Columns of a reading of one box (`spotline.control.slow.BoxReading`)."""

READING = (
    Column("time_us", "int", "us", "when the sensors were read", (), FROM_0, SLOW),
    Column(
        "boxes",
        "table",
        "",
        "of each box, in the order of the beam-line file",
        ("boxes",),
        source=SLOW,
        columns=BOX,
    ),
    Column("mounted", "str", "", "names of the passive elements in the nozzle", ("elements",), source=SLOW),
)
"""Columns of a reading (`spotline.control.slow.SlowReading`)."""

FLUX_CORRECTIONS = Column(
    "flux_corrections",
    "float",
    "1",
    "what the gas of each box asks counts to be multiplied by; NaN if none can be told",
    ("boxes",),
    FROM_0,
    SLOW,
)

TREND = (
    _fast("tick", "int", "us", "end of the millisecond, on the clock of the field", FROM_0),
    _counts(1, "in the millisecond, of"),
    _counts(2, "in the millisecond, of"),
    *(
        _fast(f"{plane}_{which}_A", "float", "A", f"current of the {plane} magnet, {what}")
        for which, what in (("set", "as set"), ("read", "read back"))
        for plane in ("x", "y")
    ),
    *(
        _fast(f"{plane}_strip_mm", "float", "mm", f"last centre of gravity at Strip{plane.upper()}")
        for plane in ("x", "y")
    ),
    _fast("row", "int", "", "row of the parts of the spill that was current", FROM_0),
)
"""Columns of the trend (`spotline.control.memory.TREND`), one row per millisecond."""


def _widths(chamber: str, where: str, counts: tuple[str, ...]) -> tuple[Column, ...]:
    """Columns of the width of a spot at a chamber."""
    return (
        *(
            _fast(
                f"{plane}_{chamber}_sd{what}_mm", "float", "mm", f"{about} at {where.format(plane.upper())}"
            )
            for what, about in (("", "standard deviation of the beam"), ("_error", "its uncertainty"))
            for plane in ("x", "y")
        ),
        *(_fast(name, "int", "counts", "counts behind that width", FROM_0) for name in counts),
    )


PARTS = (
    _fast("spot", "int", "", "index in the memory boards, among the spots not yet complete", FROM_0),
    _fast("start_tick", "int", "us", "first sample", FROM_0),
    _fast("end_tick", "int", "us", "last sample so far", FROM_0),
    _fast("complete", "int", "", "1 if the prescribed counts are in", (0, 1)),
    _counts(1, "so far, of"),
    _counts(2, "so far, of"),
    *(_fast(f"{plane}_strip_mm", "float", "mm", f"position at Strip{plane.upper()}") for plane in ("x", "y")),
    *(
        _fast(f"strip_{plane}_counts", "int", "counts", "counts behind that position", FROM_0)
        for plane in ("x", "y")
    ),
    _fast("position_valid", "int", "", "1 centre of gravity, 0 strip with most counts", (0, 1)),
    *(_fast(f"{plane}_pixel_mm", "float", "mm", "position at the pixel chamber") for plane in ("x", "y")),
    _fast("pixel_counts", "int", "counts", "counts behind that position", FROM_0),
    *(_fast(f"{plane}_current_A", "float", "A", "current read back") for plane in ("x", "y")),
    _fast("settled_tick", "int", "us", "when the magnets had arrived; -1 never"),
    _fast("from_trigger", "int", "", "1 if the spot began with a move from the one before", (0, 1)),
    *_widths("strip", "Strip{}", ("strip_x_sd_counts", "strip_y_sd_counts")),
    _fast("width_valid", "int", "", "1 if both planes of the strips have a width", (0, 1)),
    *_widths("pixel", "the pixel chamber", ("pixel_sd_counts",)),
    _fast("pixel_width_valid", "int", "", "1 if the pixel chamber has a width", (0, 1)),
)
"""Columns of parts of spots (`spotline.control.memory.PART`)."""

OTHERS = (
    _fast("part", "int", "", "row of the parts", FROM_0),
    _fast("monitor", "int", "", "index among the monitors of the line", FROM_0),
    _fast("position_mm", "float", "mm", "position at the monitor"),
    _fast("counts", "int", "counts", "behind the position", FROM_0),
    _fast("valid", "int", "", "1 centre of gravity, 0 strip with most counts", (0, 1)),
)
"""Columns of what monitors without a role measured (`spotline.control.planes.READING`)."""

RESULT = (
    Column("parts", "table", "", "every part of a spot of the spill", ("parts",), source=FAST, columns=PARTS),
    Column(
        "commands",
        "table",
        "",
        "log of commands",
        ("commands",),
        source=FAST,
        columns=(
            _fast("tick", "int", "us", "sample", FROM_0),
            _fast("command", "int", "", "1 chopper open, 2 chopper closed, 3 spot complete", (1, 3)),
            _fast("spot", "int", "", "index in the memory boards", FROM_0),
        ),
    ),
    Column(
        "interlocks",
        "table",
        "",
        "what tripped in the spill; told one by one before",
        ("interlocks",),
        source=FAST,
        columns=(
            _fast("tick", "int", "us", "sample", FROM_0),
            _fast("cause", "int", "", "code of the table of interlocks"),
            _fast("spot", "int", "", "index in the memory boards", FROM_0),
            _fast("value", "float", "of the cause", "what was measured"),
            _fast("limit", "float", "of the cause", "its limit"),
            _fast("action", "int", "", "1 pause, 2 stop", (1, 3)),
        ),
    ),
    _fast("end_reason", "int", "", "1 slice complete, 2 extraction over, 3 paused, 4 stopped", (0, 4)),
    _fast("start_us", "int", "us", "first sample", FROM_0),
    _fast("end_us", "int", "us", "last sample", FROM_0),
    _counts(1, "of the whole spill, of"),
    _counts(2, "of the whole spill, of"),
    Column(
        "readings",
        "table",
        "",
        "what monitors without a role in the law measured; None if the line has none",
        ("readings",),
        source=FAST,
        columns=OTHERS,
    ),
    _fast("boards_sha256", "str", "", "hash of what the memory boards hold at the end; None if not read"),
)
"""Columns of the result of a spill (`spotline.room.SpillResult`), without what only a simulation knows."""

STATE = Column("state", "str", "", "state that follows", source=SUPERVISION)
PERMIT = Column("is_beam_permitted", "bool", "", "whether beam is permitted", source=SUPERVISION)

EVENTS: dict[type[DeliveryEvent], tuple[Column, ...]] = {
    FieldBegun: (
        Column("position", "int", "", "of the field in the treatment, from 1", limits=FROM_1),
        Column("n_fields", "int", "", "fields of the treatment", limits=FROM_1),
        Column("n_slices", "int", "", "slices of the field", limits=FROM_1),
        Column("n_spots", "int", "", "spots of the field", limits=FROM_1),
        SPOTS_COMPLETE,
        Column("spills", "int", "", "spills used before", limits=FROM_0),
        Column(
            "resets",
            "table",
            "",
            "resets by operators so far",
            ("resets",),
            source=OPERATOR,
            columns=(
                Column("identity", "str", "", "who", source=OPERATOR),
                Column("reason", "str", "", "why", source=OPERATOR),
                Column("time_us", "int", "us", "when, on the clock of the field", limits=FROM_0),
                replace(LATCHED, name="released", meaning="what had been latched"),
            ),
        ),
        Column("operator", "str", "", "who has an interrupted field go on; else None", source=OPERATOR),
        Column("reason", "str", "", "why", source=OPERATOR),
    ),
    Converted: (
        Column("is_converted", "bool", "", "whether there were readings to convert with"),
        Column("gas_factors", "float", "1", "density of the gas of each box", ("boxes",), FROM_0, SLOW),
        Column("treatment_sha256", "str", "", "hash of what is delivered"),
    ),
    StateChanged: (
        Column("event", "str", "", "what happened", source=SUPERVISION),
        STATE,
        PERMIT,
        LATCHED,
        Column("reset", "table", "", "who reset what; None unless that happened", source=OPERATOR),
    ),
    ReadingTaken: (
        SPILL_OR_NONE,
        Column("reading", "table", "", "what the sensors say", source=SLOW, columns=READING),
        FLUX_CORRECTIONS,
    ),
    InterlockTripped: (
        Column("cause", "int", "", "code of the table of interlocks"),
        Column("value", "float", "of the cause", "what was measured"),
        Column("limit", "float", "of the cause", "its limit"),
        Column("action", "int", "", "1 pause, 2 stop, 3 the treatment may not begin", limits=(1, 3)),
        Column("spill", "int", "", "number of the spill; 0 before the first", limits=FROM_0),
        SLICE,
        Column("spot", "int", "", "index of the spot in the slice, from 0", limits=FROM_0),
        Column("is_with_beam", "bool", "", "whether it came in a spill"),
        Column("detail", "str", "", "what was the matter, if a number cannot say it; else empty"),
    ),
    SpillBegun: (
        SPILL,
        SLICE,
        ENERGY,
        Column("cycle_code", "int", "", "what the accelerator was asked for"),
        Column("broadcast_code", "int", "", "what it announced", source=ACCELERATOR),
        Column("extraction_start_us", "int", "us", "announced start", (), FROM_0, ACCELERATOR),
        Column("extraction_end_us", "int", "us", "announced end", (), FROM_0, ACCELERATOR),
        Column("unconfirmed", "int", "counts", "of INT1 that may follow a confirmation", limits=FROM_0),
        Column("spots", "int", "", "indices in the slice of the spots that are loaded", ("spots",), FROM_0),
        Column("settings", "table", "", "settings of the fast control (`LawSettings`)"),
        Column("memory", "table", "", "the memory boards (`SliceMemory`)", ("spots",)),
    ),
    Samples: (
        SPILL,
        Column("n_samples", "int", "us", "length of the block", limits=FROM_0),
        SPOT,
        SPOTS_COMPLETE,
        *COUNTS_SO_FAR,
        Column(
            "trend", "table", "", "one row per millisecond", ("milliseconds",), source=FAST, columns=TREND
        ),
        Column(
            "parts",
            "table",
            "",
            "what was current in the block; the last row goes on",
            ("parts",),
            source=FAST,
            columns=PARTS,
        ),
        Column("raw", "table", "", "every frame (`RawSamples`); None but for spill files", source=FAST),
    ),
    SpillEnded: (
        SPILL,
        SLICE,
        Column("beam_on_us", "int", "us", "time with the chopper commanded open", (), FROM_0, FAST),
        Column("request", "int", "", "0 nothing, 1 Repeat_cycle, 2 Next_cycle", limits=(0, 2)),
        SPOTS_COMPLETE,
        Column("result", "table", "", "what the fast control has of it", source=FAST, columns=RESULT),
        Column("boards_sha256", "str", "", "hash of the memory boards, as acknowledged", source=FAST),
    ),
    SpillStored: (
        SPILL,
        Column("path", "str", "", "of the file, from the folder of the record"),
        Column("sha256", "str", "", "its hash"),
    ),
    OrderTaken: (
        Column("command", "str", "", "name of the command", source=OPERATOR),
        Column("identity", "str", "", "who", source=OPERATOR),
        Column("reason", "str", "", "why", source=OPERATOR),
        Column("spill", "int", "", "number of the spill; 0 before the first", limits=FROM_0),
        Column("refusal", "str", "", "why it was not obeyed; None if it was"),
    ),
    FieldEnded: (
        Column("status", "str", "", "`complete`, or `interlock` if anything is left"),
        Column("spills", "int", "", "spills used", limits=FROM_0),
        LATCHED,
    ),
    DeliveryEnded: (
        Column("status", "str", "", "of the record: `complete`, `interlock`, `interrupted`"),
        Column("error", "str", "", "what ended it, if it was an error; else None"),
    ),
}
"""Columns of every kind of event, after those that all have (`COMMON`)."""


def limits_of(column: Column, beamline: BeamLine) -> Limits:
    """Lowest and highest value of a column on a beam line; None where there is no limit."""
    if not isinstance(column.limits, str):
        return column.limits
    value: Any = beamline.facts
    for name in column.limits.split("."):
        value = getattr(value, name)
    low, high = value
    return float(low), float(high)
