"""Change the description of a beam line as the person who keeps it would: value, source, version."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from spotline.errors import OptionError
from spotline.machine import toml_text
from spotline.machine.table_text import Table, are_equal, table_text
from spotline.machine.toml_text import Path
from spotline.tables import (
    EnergyTable,
    GainMap,
    OpticsTable,
    read_energy_table,
    read_gain_map,
    read_optics_table,
)

_REMOVED: Any = object()
_PART = re.compile(r'\.?(?:([A-Za-z0-9_-]+)|"([^"]+)"|\[(\d+)\])')
_WITHOUT_SOURCE = ("schema", "name", "title", "version", "sources")
_READ: dict[type[Table], Callable[[str, bytes], Table]] = {
    EnergyTable: read_energy_table,
    OpticsTable: read_optics_table,
    GainMap: read_gain_map,
}


class Change(NamedTuple):
    """What was changed in a beam line.

    Attributes
    ----------
    key : str
        Of the TOML file, with places in arrays, as in ``ions[1].full_intensity_per_s``.
    before, after : object
        The values, or for a table the name of its file; None: there was or is none.
    source : str
        Where the new value comes from.
    """

    key: str
    before: Any
    after: Any
    source: str


class Changed(NamedTuple):
    """Files of a changed line, and what was changed in them."""

    files: dict[str, bytes]
    changes: tuple[Change, ...]


def with_changes(
    files: Mapping[str, bytes], name: str, wanted: Mapping[str, Any], source: str, order: Sequence[str]
) -> Changed:
    """Change files of a beam line.

    Parameters
    ----------
    files : dict of str to bytes
        All of them.
    name : str
        Of the TOML file.
    wanted : dict
        New values by key, as of `BeamLine.changed`.
    source : str
        Where they come from.
    order : sequence of str
        Tables of the TOML file as a person would have ordered them.

    Raises
    ------
    OptionError
        If a key cannot be found, or its value cannot be written where it stands.
    """
    edited, changes = dict(files), list[Change]()
    text = edited[name].decode("utf-8-sig")
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    raw: Any = tomllib.loads(text)
    for key, value in wanted.items():
        path = _path_of(raw, key)
        before = _get(raw, path)
        if isinstance(value, Table):
            file = _file_of(raw, path, before)
            content = edited.get(before, b"") if isinstance(before, str) else b""
            if content and are_equal(_READ[type(value)](str(before), content), value):
                continue
            edited[file] = table_text(value, content, _with_source(key, source))
            steps = [(path, file)]
        else:
            steps = list(_steps(before, _plain(value), path))
        for where, new in sorted(steps, key=lambda step: step[1] is _REMOVED):
            words = _with_source(key, source)
            note = "" if where[0] in _WITHOUT_SOURCE else words
            old = _get(raw, where)
            text = _edited(text, key, where, new, note, order)
            _put(raw, where, new)
            changes.append(Change(_name_of(where), old, None if new is _REMOVED else new, words))
        if _in_words(_parsed(text)) != _in_words(raw):
            raise _not_there(key)
    edited[name] = text.replace("\n", newline).encode()
    return Changed(edited, tuple(changes))


def next_version(version: str) -> str:
    """The version after one: its last number, one higher."""
    found = re.fullmatch(r"(.*?)(\d+)", version, re.DOTALL)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{version}.1"


def _with_source(key: str, source: str) -> str:
    words = " ".join(source.split())
    if not words:
        raise OptionError(f"{key}: has no source; say where the value comes from")
    return words


def _plain(value: Any) -> Any:
    """A value as TOML has it: no tables of this program, no numbers of NumPy, no keys that are None."""
    value = msgspec.to_builtins(value, enc_hook=lambda other: other.tolist())
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, float) else value


def _path_of(raw: Any, key: str) -> Path:
    """Take a key apart; an ion may be named."""
    path: Path = ()
    at, node = 0, raw
    while at < len(key):
        found = _PART.match(key, at)
        if found is None or (at == 0) == (key[at] in ".["):
            raise OptionError(f"{key!r}: is no key of a beam line; write it as geometry.field_x_mm")
        at = found.end()
        part: str | int = int(found[3]) if found[3] else found[1] or found[2]
        if isinstance(node, list) and isinstance(part, str):
            names = [str(entry.get("name", "")) for entry in node if isinstance(entry, dict)]
            if part not in names:
                there = ", ".join(name for name in names if name) or "[0] and so on"
                raise OptionError(f"{key!r}: there is no {part!r}; there are {there}")
            part = names.index(part)
        if isinstance(node, list) and isinstance(part, int) and part >= len(node):
            raise OptionError(f"{key!r}: there are only {len(node)}, counted from 0; give a lower number")
        path = (*path, part)
        node = _get(raw, path)
    if not path:
        raise OptionError("a key of a beam line is empty; write it as geometry.field_x_mm")
    return path


def _get(raw: Any, path: Path) -> Any:
    for part in path:
        if isinstance(raw, dict):
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            return None
    return raw


def _put(raw: Any, path: Path, value: Any) -> None:
    *parents, last = path
    for part in parents:
        if isinstance(raw, dict):
            raw = raw.setdefault(part, {})
        else:
            raw = raw[part]
    if value is _REMOVED:
        del raw[last]
    else:
        raw[last] = copy.deepcopy(value)


def _steps(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Which values differ, each where it stands: an unchanged one keeps its comment."""
    if new is None:
        if old is not None:
            yield path, _REMOVED
    elif isinstance(new, dict) and (isinstance(old, dict) or (old is None and new)):
        known = old or {}
        for key, value in new.items():
            yield from _steps(known.get(key), value, (*path, key))
        for key in known:
            if key not in new:
                yield (*path, key), _REMOVED
    elif _is_of_tables(new) and _is_of_tables(old) and len(new) == len(old):
        for index, (before, value) in enumerate(zip(old, new, strict=True)):
            yield from _steps(before, value, (*path, index))
    elif type(new) is int and type(old) is float:
        yield from _steps(old, float(new), path)
    elif type(old) is not type(new) or old != new:
        yield path, new


def _is_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)


def _edited(text: str, key: str, path: Path, new: Any, note: str, order: Sequence[str]) -> str:
    try:
        if new is _REMOVED:
            return toml_text.without(text, path)
        return toml_text.with_value(text, path, new, note, order)
    except ValueError:
        raise _not_there(key) from None


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _in_words(raw: Any) -> str:
    """Something to compare: an undefined number is the same as itself, and 1 is not 1.0."""
    return json.dumps(raw, sort_keys=True, default=str)


def _not_there(key: str) -> OptionError:
    return OptionError(f"{key}: cannot be changed where it stands in the file; change it there by hand")


def _name_of(path: Path) -> str:
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.removeprefix(".")


def _file_of(raw: Any, path: Path, before: Any) -> str:
    """Name of the file of a table: the old one, unless another key names it too."""
    if isinstance(before, str) and list(_strings(raw)).count(before) == 1:
        return before
    names = set(_strings(raw))
    stem = before.removesuffix(".csv") if isinstance(before, str) else str(path[-1])
    candidates = (f"{stem}.csv", *(f"{stem}-{n}.csv" for n in range(2, 1000)))
    return next(name for name in candidates if name not in names)


def _strings(raw: Any) -> Iterator[str]:
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, dict | list):
        for part in raw.values() if isinstance(raw, dict) else raw:
            yield from _strings(part)
