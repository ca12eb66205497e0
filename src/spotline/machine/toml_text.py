"""TOML as text that a person wrote: values and their comments are exchanged, and everything else stays.

Only what a description of a beam line needs is here.  Who edits parses the result and compares it with what
was wanted, so that a construction that this module does not see through ends with an error, not with another
line.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""Keys of tables, and places in arrays from 0."""

COMMENT_COLUMN = 40
"""Where comments stand if nothing else says so."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_BLANK = re.compile(r"[ \t\n]*")
_SPACE = re.compile(r"[ \t]*")
_WORD = re.compile(r"[^,\]}#\n]*")


class Value(NamedTuple):
    """Where a value stands, with the key before it; in an inline table or array it has no line of its own."""

    path: Path
    key: int
    start: int
    end: int
    is_inline: bool


class Statement(NamedTuple):
    """Lines of a header or of a key with its value."""

    path: Path
    is_header: bool
    start: int
    end: int


class Scan:
    """Where everything stands in a text.

    Raises
    ------
    ValueError
        If the text is no TOML that is known here.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.statements: list[Statement] = []
        self.values: dict[Path, Value] = {}
        self.comments: dict[int, int] = {}
        self._at = 0
        self._counts: dict[Path, int] = {}
        table: Path = ()
        while self._skip():
            start = text.rfind("\n", 0, self._at) + 1
            if text[self._at] == "[":
                table = self._header()
                path, is_header = table, True
            else:
                path, is_header = self._pair(table, is_inline=False), False
            self._match(_SPACE)
            self._comment()
            if text[self._at : self._at + 1] not in ("", "\n"):
                raise ValueError(f"character {self._at}")
            self._at = min(self._at + 1, len(text))
            self.statements.append(Statement(path, is_header, start, self._at))

    def comment_of(self, value: Value) -> tuple[int, int] | None:
        """Where the comment stands on the line on which a value ends; None if there is none."""
        end = self.text.find("\n", value.end)
        end = len(self.text) if end < 0 else end
        return next(((a, b) for a, b in self.comments.items() if value.end <= a < end), None)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self._at)
        if found is None:
            raise ValueError(f"character {self._at}")
        self._at = found.end()
        return found.group()

    def _comment(self) -> bool:
        if self.text[self._at : self._at + 1] != "#":
            return False
        end = self.text.find("\n", self._at)
        end = len(self.text) if end < 0 else end
        self.comments[self._at] = self._at = end
        return True

    def _skip(self) -> bool:
        """Go to the next that is neither blank nor comment; whether there is anything."""
        self._match(_BLANK)
        while self._comment():
            self._match(_BLANK)
        return self._at < len(self.text)

    def _expect(self, character: str) -> None:
        if self.text[self._at : self._at + 1] != character:
            raise ValueError(f"character {self._at}")
        self._at += 1

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._match(_SPACE)
            if self.text[self._at : self._at + 1] in ('"', "'"):
                word = self._match(_STRING)
                keys.append(tomllib.loads(f"key = {word}")["key"])
            else:
                keys.append(self._match(_BARE))
            self._match(_SPACE)
            if self.text[self._at : self._at + 1] != ".":
                return keys
            self._at += 1

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self._at)
        self._at += 1 + is_array
        path: Path = ()
        keys = self._keys()
        for index, key in enumerate(keys):
            path = (*path, key)
            if is_array and index == len(keys) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        for _ in range(1 + is_array):
            self._expect("]")
        return path

    def _pair(self, table: Path, is_inline: bool) -> Path:
        key = self._at
        path = (*table, *self._keys())
        self._expect("=")
        self._match(_SPACE)
        self._value(path, key, is_inline)
        return path

    def _value(self, path: Path, key: int, is_inline: bool) -> None:
        start, first = self._at, self.text[self._at : self._at + 1]
        if first in ('"', "'"):
            self._match(_STRING)
        elif first in ("[", "{"):
            self._at += 1
            end, index = "]" if first == "[" else "}", 0
            while self._skip() and self.text[self._at] != end:
                if first == "[":
                    self._value((*path, index), self._at, is_inline=True)
                else:
                    self._pair(path, is_inline=True)
                index += 1
                if self._skip() and self.text[self._at] != end:
                    self._expect(",")
            self._expect(end)
        else:
            self._at = start + len(self._match(_WORD).rstrip())
        self.values[path] = Value(path, key, start, self._at, is_inline)


def with_value(text: str, path: Path, value: Any, note: str, order: Sequence[str] = ()) -> str:
    """Give a key a value, and write beside it where the value comes from.

    Parameters
    ----------
    text : str
    path : tuple
        A new key goes to the end of its table, a new table behind the one before it in `order`.
    value : object
        What TOML can hold.
    note : str
        The comment; with an empty one the old comment stays.
    order : sequence of str
        Tables of the file as a person would have ordered them.

    Raises
    ------
    ValueError
        If the key cannot be put there.
    """
    scan = Scan(text)
    old = scan.values.get(path)
    if old is None:
        return _with_new(scan, path, value, note, order)
    return _exchanged(scan, old, formatted(value), note)


def without(text: str, path: Path) -> str:
    """Remove a key or a whole table, with its comments.

    Raises
    ------
    ValueError
        If it stands in no place of its own.
    """
    scan = Scan(text)
    value = scan.values.get(path)
    if value is not None and value.is_inline:
        before, after = text[: value.key].rstrip(), text[value.end :]
        comma = re.match(r"\s*,", after)
        if before.endswith(","):
            before = before[:-1]
        elif comma:
            after, before = after[comma.end() :].lstrip(" "), before + " "
        return before + after
    gone = [s for s in scan.statements if s.path[: len(path)] == path]
    if not gone:
        raise ValueError(".".join(map(str, path)))
    for statement in reversed(gone):
        start = statement.start
        if statement.is_header:
            start = _start_with_comments(text, start)
        text = text[:start] + text[statement.end :]
    return text


def formatted(value: Any) -> str:
    """Write a value as TOML, the way a person does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return (
            "{}"
            if not value
            else "{ " + ", ".join(f"{_key(k)} = {formatted(v)}" for k, v in value.items()) + " }"
        )
    if isinstance(value, Sequence):
        parts = [formatted(part) for part in value]
        if any(isinstance(part, Mapping) for part in value):
            return "[\n" + "".join(f"    {part},\n" for part in parts) + "]"
        return "[" + ", ".join(parts) + "]"
    return str(value)


def _number(value: float) -> str:
    """The shortest decimal that is the number, with an exponent where there would be many zeros."""
    plain = repr(value)
    if value == 0.0 or 1e-4 <= abs(value) < 1e6 or plain.lstrip("-") in ("inf", "nan"):
        return plain
    sign, digits, exponent = Decimal(plain).normalize().as_tuple()
    assert isinstance(exponent, int)
    head, rest = str(digits[0]), "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{head}.{rest}e{exponent + len(digits) - 1}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else formatted(key)


def _with_note(head: str, note: str, column: int = COMMENT_COLUMN) -> str:
    """The end of a text, and a comment in some column of its last line."""
    if not note:
        return head
    width = len(head) - (head.rfind("\n") + 1)
    return head + " " * max(1, column - width) + "# " + note


def _exchanged(scan: Scan, old: Value, new: str, note: str) -> str:
    text, comment = scan.text, scan.comment_of(old)
    if not note:
        return text[: old.start] + new + text[old.end :]
    if comment is None:
        end = text.find("\n", old.end)
        end = len(text) if end < 0 else end
        return _with_note(text[: old.start] + new + text[old.end : end].rstrip(), note) + text[end:]
    start, end = comment
    if old.is_inline:  # the comment is of its neighbours too
        note = f"{note}; {text[start + 1 : end].strip()}"
    column = start - (text.rfind("\n", 0, start) + 1)
    return _with_note(text[: old.start] + new + text[old.end : start].rstrip(), note, column) + text[end:]


def _with_new(scan: Scan, path: Path, value: Any, note: str, order: Sequence[str]) -> str:
    text, table, key = scan.text, path[:-1], path[-1]
    if not isinstance(key, str):
        raise ValueError(".".join(map(str, path)))
    pair = f"{_key(key)} = {formatted(value)}"
    inline = scan.values.get(table)
    if inline is not None:
        inside = text[inline.start + 1 : inline.end - 1].rstrip()
        if text[inline.start] != "{":
            raise ValueError(".".join(map(str, path)))
        new = "{" + (f"{inside}, {pair}" if inside.strip() else f" {pair}") + " }"
        return _exchanged(scan, inline, new, note)
    inside_table = [
        s
        for s in scan.statements
        if (s.path == table and s.is_header) or (s.path[:-1] == table and not s.is_header)
    ]
    lines = _with_note(pair, note) + "\n"
    if inside_table or not table:
        at = inside_table[-1].end if inside_table else 0
    else:
        at = _end_before(scan, table, order)
        header = ".".join(_key(part) for part in table if isinstance(part, str))
        lines = f"\n[{header}]\n{lines}"
    head = text[:at] if not text[:at] or text[:at].endswith("\n") else text[:at] + "\n"
    return head + lines + text[at:]


def _end_before(scan: Scan, table: Path, order: Sequence[str]) -> int:
    """Where a new table begins: behind its kin, or behind what comes before it in the order."""
    for length in range(len(table) - 1, 0, -1):
        kin = [s.end for s in scan.statements if s.path[:length] == table[:length]]
        if kin:
            return kin[-1]
    before = list(order[: order.index(str(table[0]))]) if table[0] in order else []
    for name in reversed(before):
        kin = [s.end for s in scan.statements if s.path[0] == name]
        if kin:
            return kin[-1]
    return len(scan.text)


def _start_with_comments(text: str, start: int) -> int:
    """Where the comment lines directly above a line begin, and the blank line above them."""
    lines = list(_lines_above(text, start))
    for line in lines:
        if line.startswith("#"):
            start -= len(line)
        else:
            return start - len(line) if not line.strip() else start
    return start


def _lines_above(text: str, start: int) -> Iterator[str]:
    return reversed(text[:start].splitlines(keepends=True))
