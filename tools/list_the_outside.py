"""List what others can rely on: Python names, verbs and options, output files and keys of JSON.

Writes ``tests/outside/*.txt``, which ``tests/test_outside.py`` holds against the program.  When a change is
meant, say it in CHANGELOG.md and run ``python -m tools.list_the_outside``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import spotline
from spotline.faces import cli

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "outside"

PLAIN = (bool, int, float, str, type(None))


# Python names


def python_names() -> str:
    """Every public name with its arguments and defaults; of a class what is public in it."""
    lines: list[str] = []
    for name in sorted(spotline.__all__):
        thing = getattr(spotline, name)
        if not isinstance(thing, type):
            lines.append(f"{name}{_signature(thing)}")
        elif issubclass(thing, Exception):
            lines.append(f"class {name}({', '.join(base.__name__ for base in thing.__bases__)})")
        else:
            lines.append(f"class {name}{_signature(thing)}")
            lines += [f"    {line}" for line in _members(thing)]
    return "\n".join(lines) + "\n"


def _signature(thing: Callable[..., Any]) -> str:
    """Arguments and defaults.  No annotations: they name types of the inside, and differ between Pythons."""
    parameters = []
    for one in inspect.signature(thing).parameters.values():
        if one.name == "self":
            continue
        default = one.default if one.default is inspect.Parameter.empty else _Written(one.default)
        parameters.append(one.replace(annotation=inspect.Parameter.empty, default=default))
    return str(inspect.Signature(parameters))


class _Written:
    """A default as it is written in the listing."""

    def __init__(self, value: object) -> None:
        plain = isinstance(value, PLAIN) or (
            isinstance(value, tuple) and all(isinstance(item, PLAIN) for item in value)
        )
        self.text = repr(value) if plain else "..."

    def __repr__(self) -> str:
        return self.text


def _members(kind: type) -> Iterator[str]:
    fields = {one.name for one in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    for name in sorted(set(dir(kind)) | fields):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(kind, name, None)
        if isinstance(member, classmethod | staticmethod):
            yield f"{name}{_signature(getattr(kind, name))}  # {type(member).__name__}"
        elif inspect.isfunction(member):
            yield f"{name}{_signature(member)}"
        else:
            yield name


# Verbs


def verbs() -> str:
    """Every verb with its arguments, options, defaults and exit statuses."""
    return "\n".join(_verbs(cli.app, "spotline"))


def _verbs(app: Any, called: str) -> Iterator[str]:
    if app.default_command is not None and called != "spotline":
        yield called
        for one in app.assemble_argument_collection():
            if one.names == ("*",):  # several options that are one object inside
                continue
            required = one.field_info.default is inspect.Parameter.empty
            default = "required" if required else f"default {one.field_info.default!r}"
            first = " (or in this place)" if "POSITIONAL" in one.field_info.kind.name else ""
            yield f"    {' '.join(one.names)}{first}: {default}"
        yield f"    {_statuses(app.default_command)}"
        yield ""
    for name in app:
        if not name.startswith("-"):
            yield from _verbs(app[name], f"{called} {name}")


def _statuses(verb: Callable[..., Any]) -> str:
    found = re.search(r"Exit status: .*?\.(?:\n\n|\Z)", inspect.getdoc(verb) or "", flags=re.DOTALL)
    return "exit status: not said" if found is None else " ".join(found[0].split())


# Files and JSON


def files() -> str:
    """What small runs of the verbs leave, with the keys of all JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for here in ("examples", "faults"):
            shutil.copytree(ROOT / here, folder / here)
        with contextlib.chdir(folder):
            return "\n".join(_runs(folder))


LINE = ["--beamline", "cnao-h"]
FAULT = "faults/magnet-trip.toml"
DOSES = ["--reference", "dose/planned.dcm", "--evaluated", "dose/measured.dcm"]
RUNS: list[tuple[list[str], int, str | None]] = [
    (["prepare", "examples/nine_spots_carbon.dcm", *LINE, "--out", "prepared"], 0, "prepared"),
    (["deliver", "prepared", "--raw", "--out", "delivered"], 0, "delivered"),
    (
        ["deliver", "examples/two_layers_carbon.dcm", *LINE, "--fault", FAULT, "--out", "failed"],
        3,
        "failed",
    ),
    (["continuation", "failed", "--preview"], 1, None),
    (["resume", "failed", "--operator", "somebody", "--reason", "repaired"], 0, "failed"),
    (["course", "new", "course", "examples/axis_proton.dcm", "--fractions", "2"], 0, "course"),
    (["deliver", "examples/axis_proton.dcm", *LINE, "--course", "course", "--out", "day"], 0, "day"),
    (["course", "check", "course"], 0, "course"),
    (["replay", "delivered"], 0, None),
    (["campaign", "examples/axis_proton.dcm", *LINE, "--runs", "2", "--out", "campaign"], 0, "campaign"),
    (["dose", "delivered", "--water", "100", "--grid", "5", "--letd", "--out", "dose"], 0, "dose"),
    (["gamma", *DOSES, "--json"], 0, None),
    (["library", "show", "--ion", "carbon", "--energy", "280", "--json"], 0, None),
    (["physics", "stopping", "--ion", "proton", "--energy", "100", "--json"], 0, None),
    (["physics", "range", "--ion", "proton", "--energy", "100", "--json"], 0, None),
    (["beamline", "show", "cnao-h", "--json"], 0, None),
]  # fmt: skip
"""What is run, its exit status, and the folder that it leaves."""


def _runs(folder: Path) -> Iterator[str]:
    for arguments, expected, left in RUNS:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()) as wrong:
            status = cli.run(arguments)
        if status != expected:
            raise RuntimeError(
                f"spotline {' '.join(arguments)}: status {status}, not {expected}: {wrong.getvalue()}"
            )
        yield f"spotline {' '.join(arguments)}"
        yield f"    exit status {status}"
        if "--json" in arguments:
            yield from (f"    prints {key}" for key in keys_of(json.loads(said.getvalue())))
        elif left is not None:
            yield from _left_in(folder / left)
        yield ""


def _left_in(folder: Path) -> Iterator[str]:
    seen: set[str] = set()
    for path in sorted(folder.rglob("*")):
        name = re.sub(
            r"\d+(?=\.\w+$|/)", lambda found: "N" * len(found[0]), path.relative_to(folder).as_posix()
        )
        if not path.is_file() or name in seen:
            continue
        seen.add(name)
        yield f"    {name}"
        if path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            yield from (f"        {key}" for key in keys_of(lines))
        if path.suffix == ".json":
            yield from (f"        {key}" for key in keys_of(json.loads(path.read_text(encoding="utf-8"))))


BY_DATA = ("by", "outcomes")
"""Tables whose keys are data although they look like names."""


def keys_of(content: object) -> list[str]:
    """Ways to all values: ``a.b`` in tables, ``a[]`` in lists, ``a.<key>`` where keys are data."""
    return sorted(set(_ways(content, "")))


def _ways(content: object, way: str) -> Iterator[str]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            is_name = re.fullmatch(r"[a-z]\w*", key, flags=re.ASCII) and not way.endswith(BY_DATA)
            name = key if is_name else "<key>"
            yield from _ways(value, f"{way}.{name}" if way else name)
    elif isinstance(content, list) and content:
        for item in content:
            yield from _ways(item, f"{way}[]")
    else:
        yield way


LISTINGS: dict[str, Callable[[], str]] = {"python.txt": python_names, "verbs.txt": verbs, "files.txt": files}


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "Agg"
    for listing, made in LISTINGS.items():
        (FOLDER / listing).write_text(made(), encoding="utf-8")
