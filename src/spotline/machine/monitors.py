"""The monitors of a beam line: rows of the file, the boxes that they stand in, and their use in the law.

The control law is written for five roles, and every role may be given to one row.  What a row without a role
measures stands in the record, and no interlock hangs on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

from spotline.machine.schema import Facts, Positive, Several, Word

Plane = Literal["x", "y"]
MonitorKind = Literal["integral", "strip", "pixel"]
Role = Literal["int1", "int2", "strip_x", "strip_y", "pixel"]

ROLES: dict[Role, tuple[MonitorKind, Plane | None]] = {
    "int1": ("integral", None),
    "strip_x": ("strip", "x"),
    "strip_y": ("strip", "y"),
    "int2": ("integral", None),
    "pixel": ("pixel", None),
}
"""Kind of the monitor that can have each role, and the plane that it must measure."""

INTEGRALS: tuple[Role, Role] = ("int1", "int2")
"""The two counts of dose that a line must have."""

MOST_BOXES = 2
"""Causes of interlocks, faults and columns of records know so many boxes."""


class Box(Facts, frozen=True, kw_only=True):
    """A box: monitors in one gas, at one high voltage, with one board of slow sensors.

    Records and interlocks number the boxes from 1, in the order of the file.
    """

    name: Word
    """Name, as monitors give it."""
    high_voltage_V: Positive
    """Nominal high voltage."""


class Monitor(Facts, frozen=True, kw_only=True):
    """An ionization chamber that the beam crosses.

    A beam deflected at the virtual source of a plane crosses it at ``x_iso * (source - distance) / source``.
    """

    name: Word
    """Name, as in records: unique."""
    kind: MonitorKind
    """One channel (integral), strips across one plane, or a square of pixels."""
    plane: Plane | None = None
    """What the strips of a strip chamber measure; those that measure x run along y."""
    box: Word
    """Name of the box in which it stands."""
    distance_mm: float
    """From the middle of its gap to the isocentre, upstream positive."""
    gap_mm: Positive
    """Gas gap."""
    channels: Several | None = None
    """Strips, or pixels per side; not for an integral chamber."""
    pitch_mm: Positive | None = None
    """Distance from channel to channel; likewise."""
    role: Role | None = None
    """What the control law uses it for; without one it is recorded, and no interlock hangs on it."""

    @property
    def width_mm(self) -> float:
        """Width of all channels; 0 for an integral chamber."""
        return (self.channels or 0) * (self.pitch_mm or 0.0)


def box_numbers(boxes: Sequence[Box]) -> dict[str, int]:
    """Number of each box, from 1, by its name."""
    return {box.name: number for number, box in enumerate(boxes, start=1)}


def check_monitors(boxes: Sequence[Box], monitors: Sequence[Monitor]) -> Iterator[str]:
    """Yield what is wrong with the rows: sentences ``key: what is wrong; what to do``."""
    if len(boxes) > MOST_BOXES:
        yield (
            f"boxes: there are {len(boxes)}, but interlocks and records know {MOST_BOXES}; put monitors "
            "of one gas into one box"
        )
    yield from _named_twice("boxes", [box.name for box in boxes])
    yield from _named_twice("monitors", [monitor.name for monitor in monitors])
    known = box_numbers(boxes)
    for index, monitor in enumerate(monitors):
        where = f"monitors[{index}]"
        if monitor.box not in known:
            yield f"{where}.box: {monitor.box!r} is no box of the line; name one of [[boxes]]"
        yield from _check_kind(where, monitor)
        yield from _check_role(where, monitor)
    for index, box in enumerate(boxes):
        if all(monitor.box != box.name for monitor in monitors):
            yield f"boxes[{index}]: no monitor stands in {box.name}; remove the box"
    yield from _check_what_is_measured([monitor for monitor in monitors if monitor.role is not None])


def _named_twice(where: str, names: Sequence[str]) -> Iterator[str]:
    for index, name in enumerate(names):
        if names.index(name) != index:
            yield f"{where}[{index}].name: {name!r} stands there twice; rename one"


def _check_kind(where: str, monitor: Monitor) -> Iterator[str]:
    is_segmented = monitor.kind != "integral"
    for key in ("channels", "pitch_mm"):
        if (getattr(monitor, key) is not None) != is_segmented:
            yield f"{where}.{key}: " + (
                "is missing; add the key"
                if is_segmented
                else f"{monitor.name} is an integral chamber, which has one channel; remove the key"
            )
    if (monitor.plane is not None) != (monitor.kind == "strip"):
        yield (
            f"{where}.plane: is missing; say whether the strips measure x or y"
            if monitor.kind == "strip"
            else f"{where}.plane: only a strip chamber measures one plane; remove the key"
        )


def _check_role(where: str, monitor: Monitor) -> Iterator[str]:
    if monitor.role is None:
        if monitor.kind != "strip":
            yield (
                f"{where}.role: is missing; give {monitor.name} a role of the control law: only "
                "strip chambers can be without one"
            )
        return
    kind, plane = ROLES[monitor.role]
    if monitor.kind != kind or (plane is not None and monitor.plane not in (None, plane)):
        wanted = f"{kind} chamber" + (f" that measures {plane}" if plane is not None else "")
        yield f"{where}.role: {monitor.role} is for a {wanted}; give {monitor.name} another role, or none"


def _check_what_is_measured(monitors: Sequence[Monitor]) -> Iterator[str]:
    roles = [str(monitor.role) for monitor in monitors]
    for role in ROLES:
        if roles.count(role) > 1:
            yield f"monitors: {roles.count(role)} have the role {role}; leave it to one of them"
    for role in INTEGRALS:
        if role not in roles:
            yield (
                f"monitors: none has the role {role}, but a dose needs two independent counts; give it to an "
                "integral chamber"
            )
    for plane in ("x", "y"):
        if f"strip_{plane}" not in roles and "pixel" not in roles:
            yield (
                f"monitors: none measures the position in {plane}; give the role strip_{plane} to a strip "
                "chamber, or pixel to a pixel chamber"
            )
    strips = [monitor for monitor in monitors if monitor.role in ("strip_x", "strip_y")]
    for first, second in itertools.pairwise(strips):
        if (first.channels, first.pitch_mm) != (second.channels, second.pitch_mm):
            yield (
                f"monitors: {first.name} and {second.name} differ in channels or pitch_mm, but the strip "
                "control reads both alike; give one of them no role, or correct them"
            )
