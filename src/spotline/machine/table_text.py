"""The CSV tables of a beam line as text that a person wrote.

What is unchanged stays as it was: cells, and the comments on columns of which no number is another one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import numpy as np

from spotline.arrays import Floats
from spotline.tables import EnergyTable, GainMap, OpticsTable

Table = EnergyTable | OpticsTable | GainMap

AXES = frozenset({"energy_MeV_u", "x_iso_mm", "y_iso_mm"})
"""Columns that say where, and not how much."""


def columns_of(table: Table) -> dict[str, Floats]:
    """Columns of a table by name, each of shape (n_rows,); those that it does not have are left out."""
    if isinstance(table, GainMap):
        x, y = np.meshgrid(table.x_iso_mm, table.y_iso_mm)
        return {"x_iso_mm": x.ravel(), "y_iso_mm": y.ravel(), "gain": np.asarray(table.gain).ravel()}
    columns = {one.name: getattr(table, one.name) for one in dataclasses.fields(table)}
    return {name: np.asarray(column) for name, column in columns.items() if column is not None}


def are_equal(one: Table, other: Table) -> bool:
    """Whether two tables hold the same numbers."""
    a, b = columns_of(one), columns_of(other)
    return type(one) is type(other) and a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def table_text(table: Table, before: bytes, source: str) -> bytes:
    """Write a table.

    Parameters
    ----------
    table : EnergyTable, OpticsTable or GainMap
    before : bytes
        The file that it replaces; empty if there is none.
    source : str
        Where the numbers come from that are not in that file.
    """
    new = columns_of(table)
    comments, cells = _read(before)
    old = {name: [row[k] for row in cells[1:]] for k, name in enumerate(cells[0])} if cells else {}
    names = [name for name in old if name in new] + [name for name in new if name not in old]
    written = {name: _cells(new[name], old.get(name, [])) for name in names}
    same = {name for name in names if written[name] == old.get(name)}
    lines = [f"# {', '.join(name for name in names if name not in same) or 'all'}: {source}"]
    lines += _comments_on(comments, same, frozenset(old))
    lines.append(",".join(names))
    lines += [",".join(row) for row in zip(*(written[name] for name in names), strict=True)]
    return ("\n".join(lines) + "\n").encode()


def _read(content: bytes) -> tuple[list[str], list[list[str]]]:
    """Comments and cells of a file that has been read before."""
    lines = [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    comments = [line for line in lines if line.lstrip().startswith("#")]
    cells = [[cell.strip() for cell in line.split(",")] for line in lines if line not in comments]
    return comments, cells


def _cells(column: Floats, old: list[str]) -> list[str]:
    """Numbers as text, in the words of the file where they are the same."""
    is_kept = len(old) == len(column)
    return [
        old[k] if is_kept and float(old[k]) == value else repr(value).removesuffix(".0")
        for k, value in enumerate(column.tolist())
    ]


def _comments_on(comments: list[str], same: set[str], known: frozenset[str]) -> Iterator[str]:
    """What the comments say of columns that are unchanged: ``# name, name: words``, and lines that go on.

    Lines before the first such one are of all columns.  They stay as long as there is a quantity of which
    they hold.
    """
    is_kept, is_general = bool(same - AXES), True
    for line in comments:
        named = re.match(r"#\s*([\w, ]+?):(.*)", line)
        names = [name.strip() for name in named.group(1).split(",")] if named else []
        if named and known.issuperset(names):
            kept = [name for name in names if name in same]
            is_kept, is_general = bool(kept), False
            line = f"# {', '.join(kept)}:{named.group(2)}"
        elif is_general:
            line = re.sub(r"^\s*#\s*", "# the rest: ", line)
            is_general = False
        if is_kept:
            yield line
