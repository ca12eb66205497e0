"""Files of faults: TOML with one table ``[[fault]]`` for each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from spotline.errors import FaultError, OutputError
from spotline.sim.faults.model import Fault, check_fault

MOST_FAULTS = 1000
LARGEST_FILE = 1_000_000


def read_faults(path: str | Path) -> tuple[Fault, ...]:
    """Read faults from a file.

    Parameters
    ----------
    path : str or Path
        TOML file; the keys of a table ``[[fault]]`` are the attributes of `Fault`.

    Raises
    ------
    FaultError
        If it cannot be read, is no TOML, or a fault in it cannot be.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FaultError(f"{path}: cannot be read ({reason}); name a file of faults") from None
    if len(content) > LARGEST_FILE:
        raise FaultError(f"{path}: is larger than {LARGEST_FILE} bytes; that is no file of faults")
    return parse_faults(content, str(path))


def parse_faults(content: bytes, where: str) -> tuple[Fault, ...]:
    """Read faults from the bytes of a file; `where` begins every message."""
    try:
        raw = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise FaultError(f"{where}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # A number of too many digits is a ValueError, tables within tables without end a RecursionError.
        reason = " ".join(str(error).split())
        raise FaultError(f"{where}: is not valid TOML: {reason}; correct that line") from None
    unknown = [key for key in raw if key != "fault"]
    if unknown:
        raise FaultError(f"{where}: {unknown[0]!r} is not a known key; faults are tables [[fault]]")
    tables = raw.get("fault")
    if not isinstance(tables, list) or not tables:
        raise FaultError(f"{where}: has no fault; add a table [[fault]] with device and mode")
    if len(tables) > MOST_FAULTS:
        raise FaultError(f"{where}: has {len(tables)} faults; {MOST_FAULTS} are the most")
    return tuple(_fault(table, f"{where}: fault[{index}]") for index, table in enumerate(tables))


def _fault(table: object, where: str) -> Fault:
    try:
        fault = msgspec.convert(table, Fault)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at ")
        missing = re.fullmatch(r"Object missing required field `(\w+)`", what)
        unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
        if missing:
            problem = f"{missing[1]} is missing; add the key"
        elif unknown:
            known = ", ".join(Fault.__struct_fields__)
            problem = f"{unknown[1]!r} is not a known key; the keys are {known}"
        else:
            problem = (
                f"{at.strip('`').removeprefix('$.')}: {what.replace('`', '').lower()}; correct the value"
            )
        raise FaultError(f"{where}: {problem}") from None
    check_fault(fault, where)
    return fault


def format_faults(faults: Iterable[Fault]) -> str:
    """Return the text of a file with these faults."""
    tables = []
    for fault in faults:
        lines = ["[[fault]]", f'device = "{fault.device}"', f'mode = "{fault.mode}"']
        if fault.value is not None:
            lines.append(f"value = {float(fault.value)!r}")
        lines += [f"spill = {fault.spill}", f"at_us = {fault.at_us}"]
        if fault.duration_us is not None:
            lines.append(f"duration_us = {fault.duration_us}")
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def write_faults(path: str | Path, faults: Iterable[Fault]) -> None:
    """Write faults to a file that `read_faults` reads back.

    Raises
    ------
    FaultError
        If one of them is not of the catalogue.
    OutputError
        If the file cannot be written.
    """
    faults = tuple(faults)
    for index, fault in enumerate(faults):
        check_fault(fault, f"fault[{index}]")
    try:
        Path(path).write_text(format_faults(faults), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
