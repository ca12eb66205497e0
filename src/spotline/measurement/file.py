"""The file of results: JSON with a header, a result on each line, the same text for the same results."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from spotline.errors import MeasurementError, OutputError
from spotline.measurement.checks import check_name, check_unique
from spotline.measurement.measurement import Provenance
from spotline.measurement.result import Result

FORMAT = "spotline results"
VERSION = 1


class ResultSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Results that were made together.

    Attributes
    ----------
    title : str
        What they are of.
    command : str
        What made them.
    program : str
        Name and version.
    date : str
        Day, in the form of ISO 8601.
    results : tuple of Result
        Each name once.
    warnings : tuple of str
        What a reader has to know.
    provenance : tuple of Provenance
        What they were made from.
    """

    title: str
    command: str
    program: str
    date: str
    results: tuple[Result, ...]
    warnings: tuple[str, ...] = ()
    provenance: tuple[Provenance, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.title, "results")
        check_unique((result.name for result in self.results), self.title)


def results_text(results: ResultSet) -> str:
    """Write results as JSON; equal results make equal text."""
    # A whole number that stands for a float would be written without its point.
    results = msgspec.convert(msgspec.to_builtins(results, enc_hook=_plain), ResultSet)
    head = {
        "format": FORMAT,
        "version": VERSION,
        **{name: getattr(results, name) for name in ("title", "command", "program", "date")},
        "provenance": results.provenance,
        "warnings": results.warnings,
    }
    lines = [f'"{name}": {_encoded(value)}' for name, value in head.items()]
    rows = [_encoded(msgspec.to_builtins(one) | {"verdict": one.verdict}) for one in results.results]
    listed = "[\n" + ",\n".join(f"  {row}" for row in rows) + "\n ]" if rows else "[]"
    return "{\n " + ",\n ".join([*lines, f'"results": {listed}']) + "\n}\n"


def write_results(results: ResultSet, path: Path) -> None:
    """Write a file of results, whole or not at all; one that is there is replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(results_text(results), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: results cannot be written here: {error.strerror}; choose another place"
        ) from error


def read_results(path: Path) -> ResultSet:
    """Read a file of results.

    Raises
    ------
    MeasurementError
        If it is none, of another version, or contradicts itself.
    """
    try:
        content = msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MeasurementError(f"{path}: is no JSON: {error}; make the results anew") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise MeasurementError(f"{path}: is no file of results; it must begin with the format {FORMAT!r}")
    version = content.pop("version", None)
    if version != VERSION:
        raise MeasurementError(f"{path}: results of version {version!r}; this program reads {VERSION}")
    rows = content.get("results")
    said = [_taken_verdict(row) for row in rows] if isinstance(rows, list) else []
    try:
        results = msgspec.convert(content, ResultSet)
    except (msgspec.ValidationError, MeasurementError) as error:
        raise MeasurementError(f"{path}: {error}") from error
    for result, verdict in zip(results.results, said, strict=True):
        if verdict != result.verdict:
            raise MeasurementError(
                f"{path}: {result.name}: the verdict is {verdict!r}, but its numbers say "
                f"{result.verdict.value!r}; the file was altered, make it anew"
            )
    return results


def _plain(number: Any) -> Any:
    """A number of NumPy as one of Python."""
    if isinstance(number, np.number):
        return number.item()
    raise NotImplementedError


def _taken_verdict(row: Any) -> Any:
    return row.pop("verdict", None) if isinstance(row, dict) else None


def _encoded(value: object) -> str:
    # In two steps, for a blank after each comma and colon.
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
