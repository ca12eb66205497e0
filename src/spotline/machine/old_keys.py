"""Keys of beam-line files from before monitors were rows, and the rows that they mean.

Such a file describes five chambers in two boxes, and loads as ever.  Nothing else knows its keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

BOXES = ("BOX1", "BOX2")
_VOLTAGE = "chambers.high_voltage_V"


class _Chamber(NamedTuple):
    """One of the five chambers: what is fixed of its row, and the old keys of the rest."""

    fixed: dict[str, str]
    old: dict[str, str]


def _chamber(name: str, role: str, box: str, kind: str, **channels: str) -> _Chamber:
    fixed = {"name": name, "kind": kind, "role": role, "box": box}
    if kind == "strip":
        fixed["plane"] = role[-1]
    old = {"distance_mm": f"geometry.{role}_to_isocentre_mm", "gap_mm": "chambers.gap_mm", **channels}
    return _Chamber(fixed, old)


_STRIPS = {"channels": "chambers.strips", "pitch_mm": "chambers.strip_pitch_mm"}
_PIXELS = {"channels": "chambers.pixels", "pitch_mm": "chambers.pixel_pitch_mm"}
_CHAMBERS = (
    _chamber("INT1", "int1", "BOX1", "integral"),
    _chamber("StripX", "strip_x", "BOX1", "strip", **_STRIPS),
    _chamber("StripY", "strip_y", "BOX1", "strip", **_STRIPS),
    _chamber("INT2", "int2", "BOX2", "integral"),
    _chamber("PIX", "pixel", "BOX2", "pixel", **_PIXELS),
)

OLD_KEYS = tuple(dict.fromkeys([*(key for c in _CHAMBERS for key in c.old.values()), _VOLTAGE]))
"""All of them."""


class Rows(NamedTuple):
    """A file with rows.

    Attributes
    ----------
    raw : dict
        The parsed file.
    old_names : dict of str to str
        What its keys are called in the file, where that is another name.
    problems : tuple of str
        What is wrong with a file that has both.
    """

    raw: dict[str, Any]
    old_names: dict[str, str]
    problems: tuple[str, ...] = ()


def with_rows(raw: dict[str, Any]) -> Rows:
    """Return a parsed file with rows in place of the old keys, if it has any of these."""
    found = [key for key in OLD_KEYS if _has(raw, key)]
    if not found:
        return Rows(raw, {})
    if "monitors" in raw or "boxes" in raw:
        problem = (
            f"{found[0]}: is a key of files from before there were [[monitors]], which this file has too; "
            "remove one of them"
        )
        return Rows(_without(raw, found), {}, (problem,))
    names: dict[str, str] = {}
    monitors = []
    for index, chamber in enumerate(_CHAMBERS):
        values = {key: raw[old.partition(".")[0]][old.partition(".")[2]]
                  for key, old in chamber.old.items() if _has(raw, old)}  # fmt: skip
        monitors.append({**chamber.fixed, **values})
        names |= {f"monitors[{index}].{key}": old for key, old in chamber.old.items()}
    voltage = {"high_voltage_V": raw["chambers"]["high_voltage_V"]} if _has(raw, _VOLTAGE) else {}
    names |= {f"boxes[{index}].high_voltage_V": _VOLTAGE for index in range(len(BOXES))}
    boxes = [{"name": name, **voltage} for name in BOXES]
    return Rows({**_without(raw, found), "boxes": boxes, "monitors": monitors}, names)


def new_keys(key: str) -> Iterator[str]:
    """Yield the keys of the rows that an old key means; none if it is no old key."""
    if key == _VOLTAGE:
        yield from (f"boxes.{name}.high_voltage_V" for name in BOXES)
    for chamber in _CHAMBERS:
        for new, old in chamber.old.items():
            if old == key:
                yield f"monitors.{chamber.fixed['name']}.{new}"


def _has(raw: Mapping[str, Any], key: str) -> bool:
    table, _, name = key.partition(".")
    return isinstance(raw.get(table), dict) and name in raw[table]


def _without(raw: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    rest = dict(raw)
    for key in keys:
        table, _, name = key.partition(".")
        rest[table] = {k: value for k, value in rest[table].items() if k != name}
    return rest
