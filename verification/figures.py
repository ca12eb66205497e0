"""Figures of a page: what a table shows, with the number behind it, so that page and results say the same.

A `Figure` is the text of a cell and the value, unit and statistical error that it was made from; a `Table` is
the Markdown of a table and its figures by name.  `verification.page.put_page` writes the one and the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np

from spotline.measurement import Limits, Result, Verdict, finite_or_none
from spotline.units import is_unit
from verification.runs import Mean

MET = "met"
MISSED = "**missed**"
MISSING = "-"
"""A cell for which there is no number."""

NUMERIC = re.compile(r"[-+]?\d|-$")
"""What a cell with a number begins with."""

UNITS = {
    "%": "percent",
    "µs": "us",
    "µm": "um",
    "m/s": "m_per_s",
    "g/cm²": "g_cm2",
    "MeV/u": "MeV_u",
    "keV/um": "keV_per_um",
    "in eV": "eV",
    "in g/cm²": "g_cm2",
    "Gy": "Gy",
    "/Gy": "per_Gy",
}
"""Units as pages write them, and as names end; the others are the same in both."""


class Figure(str):
    """The text of a cell, and what it says.

    Attributes
    ----------
    value : float or None
        In the unit of the text; None if it could not be had.
    unit : str
        As names end; empty if the head of its column says it.
    error : float or None
        Statistical error (one standard deviation).
    reference : float or None
    tolerance : Limits or None
        If it is judged.
    """

    value: float | None
    unit: str
    error: float | None
    reference: float | None
    tolerance: Limits | None

    def __new__(
        cls,
        text: str,
        value: SupportsFloat | Mean | None,
        unit: str = "",
        *,
        error: float | None = None,
        reference: float | None = None,
        tolerance: Limits | None = None,
    ) -> Figure:
        """Make a figure; the error of a mean is its own."""
        self = super().__new__(cls, text)
        if isinstance(value, Mean):
            error = value.error
            value = value.value
        self.value = None if value is None else finite_or_none(float(value))
        self.error = finite_or_none(error)
        self.unit = UNITS.get(unit, unit)
        self.reference, self.tolerance = reference, tolerance
        return self

    def result(self, name: str, source: str = "") -> Result:
        """The figure under a name."""
        return Result(
            name=name,
            value=self.value,
            unit=self.unit,
            uncertainty=None if self.value is None else self.error,
            reference=self.reference,
            tolerance=self.tolerance,
            source=source,
        )


class Table(str):
    """Markdown, and the figures in it by names that are unique within it."""

    figures: tuple[Named, ...]

    def __new__(cls, text: str, figures: Iterable[Named] = ()) -> Table:
        """Make it of both."""
        self = super().__new__(cls, text)
        self.figures = tuple(figures)
        return self


@dataclass(frozen=True, slots=True)
class Named:
    """A figure of a table: its row and column, and the source that its row names."""

    name: str
    figure: Figure
    source: str = ""


def figure(
    value: SupportsFloat, spec: str, unit: str = "", *, error: float | None = None, more: str = ""
) -> Figure:
    """Make a figure by a format specification; `more` is put behind it and is no part of the result."""
    return Figure(f"{value:{spec}} {unit}".rstrip() + more, value, unit, error=error)


def percent(value: float | Mean, digits: int = 1, *, sign: bool = False) -> Figure:
    """A fraction in percent, with its error if it has one."""
    plus = "+" if sign else ""
    if isinstance(value, Mean):
        text = f"{100 * value.value:{plus}.{digits}f} ± {100 * value.error:.{digits}f} %"
        return Figure(text, Mean(100 * value.value, 100 * value.error), "%")
    return Figure(f"{100 * value:{plus}.{digits}f} %", 100 * value, "%")


def number(value: float | Mean, digits: int, unit: str = "") -> Figure:
    """A number with a fixed number of digits behind the point, its error, and its unit."""
    text = (
        f"{value.value:.{digits}f} ± {value.error:.{digits}f}"
        if isinstance(value, Mean)
        else f"{value:.{digits}f}"
    )
    return Figure(f"{text} {unit}".rstrip(), value, unit if is_unit(UNITS.get(unit, unit)) else "")


def power(value: float) -> Figure:
    """A number of particles: 5e4."""
    mantissa, exponent = f"{value:.3e}".split("e")
    return Figure(f"{float(mantissa):g}e{int(exponent)}", value)


def judge(
    value: SupportsFloat | Mean, tolerance: Limits, unit: str = "", *, reference: float | None = None
) -> Figure:
    """Judge a value: `MET` if it is within the tolerance, else `MISSED`."""
    judged = Figure("", value, unit, reference=reference, tolerance=tolerance)
    is_met = judged.result("judged").verdict is Verdict.PASS
    return Figure(
        MET if is_met else MISSED, value, unit, error=judged.error, reference=reference, tolerance=tolerance
    )


def held(is_met: bool) -> Figure:
    """Judge what has no number, or none that is the same on another machine: 1 if it holds, 0 if not."""
    return judge(float(is_met), Limits(low=1.0))


def noted(text: str, **figures: Figure) -> Table:
    """A paragraph with figures in it, by name."""
    return Table(text, (Named(name.replace("_", " "), one) for name, one in figures.items()))


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, keys: int | None = None) -> Table:
    """Make a Markdown table and its figures; columns of numbers are aligned to the right.

    Parameters
    ----------
    header : sequence of str
        A unit in round brackets at the end is that of the figures that name none.
    rows : iterable of sequences
        Figures, numbers, and texts, which are no results.
    keys : int, optional
        So many cells at the beginning of each row name it. By default those that are text in all rows.
    """
    listed = [list(row) for row in rows]
    cells = [[cell(value) for value in row] for row in listed]
    columns = list(zip(*cells, strict=True)) or [()] * len(header)
    rules = ["---:" if column and all(map(NUMERIC.match, column)) else "---" for column in columns]
    text = "\n".join(f"| {' | '.join(row)} |" for row in [list(header), rules, *cells])
    return Table(text, _named(header, listed, keys))


def cell(value: object) -> str:
    """A value in a table."""
    return str(value).replace("|", "\\|")


def results_of(parts: Iterable[str]) -> list[Result]:
    """Results of all parts of a page; each name begins with the heading that its table stands under.

    A name that would stand twice gets a number.
    """
    heading, results, times = "", [], dict[str, int]()
    for part in parts:
        for line in part.splitlines():
            heading = line.lstrip("#").strip() if line.startswith("#") else heading
        for named in part.figures if isinstance(part, Table) else ():
            name = plain(f"{heading}: {named.name}")
            times[name] = times.get(name, 0) + 1
            again = f" ({times[name]})" if times[name] > 1 else ""
            results.append(named.figure.result(name + again, named.source))
    return results


def plain(text: str) -> str:
    """A name without marks of Markdown."""
    return " ".join(re.sub(r"[`*|\\]", "", text).split())


def _named(header: Sequence[str], rows: list[list[object]], keys: int | None) -> Iterable[Named]:
    if keys is None:
        keys = min((_leading(row) for row in rows), default=1)
    is_figure = [any(_figure(row[c]) is not None for row in rows) for c in range(len(header))]
    source = header.index("source") if "source" in header else None
    for row in rows:
        label = ", ".join(text for value in row[:keys] if (text := str(value).strip()))
        for column in range(keys, len(header)):
            title, unit = _head(header[column])
            found = _figure(row[column])
            if found is None and is_figure[column] and str(row[column]) == MISSING:
                found = Figure(MISSING, None)
            if found is None:
                continue
            if not found.unit and found.tolerance is None:
                found = _with_unit(found, unit)
            yield Named(f"{label}: {title}", found, "" if source is None else str(row[source]))


def _leading(row: Sequence[object]) -> int:
    """Cells of text that a row begins with, the first whatever it is."""
    is_text = [isinstance(value, str) and not isinstance(value, Figure) for value in row[1:]]
    return 1 + (is_text.index(False) if False in is_text else len(is_text))


def _figure(value: object) -> Figure | None:
    """A cell as a figure: one, or a number."""
    if isinstance(value, Figure):
        return value
    if isinstance(value, int | float | np.number):
        return Figure(str(value), float(value))
    return None


def _head(head: str) -> tuple[str, str]:
    """Title and unit of a column."""
    # Behind a number it is the unit of that number: "speed over 18 mm".
    is_of_number = re.search(r"(?<!\w)[\d.]+ \w+$", head)
    unit = (
        re.search(r"(?: \(([^()]*)\)|,? (mm|in eV|in g/cm²)|(/?\bGy))$", head) if not is_of_number else None
    )
    found = next(filter(None, unit.groups()), "") if unit else ""
    return head or "verdict", found if is_unit(UNITS.get(found, found)) else ""


def _with_unit(one: Figure, unit: str) -> Figure:
    return Figure(str(one), one.value, unit, error=one.error, reference=one.reference)
