"""Tables of all keys of what files say, from the types that write and read them and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Collection, Iterator

import msgspec

NOT_ALWAYS = "UnsetType"


def tables_of(root: type, leave_out: Collection[type] = ()) -> str:
    """One table for a type, and one for each type within it, in the order in which they are met."""
    return "\n\n".join(
        _table(kind, is_root=kind is root) for kind in types_within(root) if kind not in leave_out
    )


def types_within(root: type) -> list[type]:
    """A type with keys and all such types that it is made of, each once."""
    found = [root]
    for kind in found:  # grows on the way
        hints = typing.get_type_hints(kind)
        found += [one for name in keys_of_type(kind) for one in _made_of(hints[name]) if one not in found]
    return list(dict.fromkeys(found))


def keys_of_type(kind: type) -> tuple[str, ...]:
    """Keys that are written of a type."""
    if dataclasses.is_dataclass(kind):
        return tuple(one.name for one in dataclasses.fields(kind))
    return tuple(one.encode_name for one in msgspec.structs.fields(kind))


def meanings_of(kind: type) -> dict[str, str]:
    """What each key means, from the docstrings of a type and of those that it extends; empty if none says."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        for names, text in _entries(base.__dict__.get("__doc__") or ""):
            found |= dict.fromkeys(names, text)
    return found


def _made_of(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or dataclasses.is_dataclass(hint)):
        yield hint
    for inner in typing.get_args(hint):
        yield from _made_of(inner)


def _entries(doc: str) -> Iterator[tuple[list[str], str]]:
    """Names and meaning of each entry of the section of attributes."""
    names: list[str] = []
    words: list[str] = []
    for line in inspect.cleandoc(doc).partition("Attributes\n----------\n")[2].splitlines():
        if line.startswith("    "):
            words.append(line.strip())
        elif line.strip():
            yield names, " ".join(words)
            names, words = [name.strip() for name in line.partition(" : ")[0].split(",")], []
    yield names, " ".join(words)


def _table(kind: type, *, is_root: bool) -> str:
    meanings, hints = meanings_of(kind), typing.get_type_hints(kind)
    about = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes\n")[0]
    about = " ".join(about.replace("``", "`").split())
    rows = [
        f"| `{key}` | {_words(hints[key])} | {meanings.get(key, '').replace('``', '`').replace('|', '/')} |"
        for key in keys_of_type(kind)
    ]
    title = "" if is_root else f"#### {kind.__name__}\n\n"
    return f"{title}{about}\n\n" + "\n".join(["| key | type | meaning |", "| --- | --- | --- |", *rows])


def _words(hint: object) -> str:
    """A type in words."""
    inner = typing.get_args(hint)
    if hint is type(None):
        return "`null`"
    if isinstance(hint, type) and not inner:
        if hint.__name__ == NOT_ALWAYS:
            return "not always there"
        return f"[{hint.__name__}](#{hint.__name__.lower()})" if next(_made_of(hint), None) else hint.__name__
    if typing.get_origin(hint) is tuple:
        if inner[-1] is Ellipsis:
            return f"list of {_words(inner[0])}"
        return f"list of {len(inner)} {_words(inner[0])}"
    if typing.get_origin(hint) is dict:
        return f"{_words(inner[1])} by name"
    return " or ".join(_words(one) for one in inner)
