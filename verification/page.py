"""Markdown for pages of figures: tables, verdicts, and what a figure was measured with."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from verification.runs import Mean

PACKAGES = ("spotline", "numpy", "numba", "scipy", "h5py")

NUMERIC = re.compile(r"[-+]?\d|-$")
"""What a cell with a number begins with."""

MET = "met"
MISSED = "**missed**"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A published figure, and what the simulation makes of it.

    Attributes
    ----------
    what : str
        The quantity.
    published : str
        The figure.
    source : str
        Where it stands.
    found : str
        What came out.
    verdict : str
        `MET`, `MISSED`, or a word on why they cannot be held against each other.
    """

    what: str
    published: str
    source: str
    found: str
    verdict: str


@dataclass(slots=True)
class Section:
    """One part of a page.

    Attributes
    ----------
    name : str
        For the option ``--only``.
    title : str
        Heading.
    parts : list of str
        Paragraphs and tables.
    verdicts : list of Verdict
        For the table at the top of the page.
    """

    name: str
    title: str
    parts: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def text(self, paragraph: str) -> None:
        """Add a paragraph; its lines are filled anew."""
        self.parts.append(fill(paragraph))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], made_with: str = "") -> None:
        """Add a table, and below it the command and the seeds that make it."""
        self.parts.append(table(header, rows))
        if made_with:
            self.parts.append(f"<sub>`python -m verification.delivery --only {self.name}`; {made_with}</sub>")

    def markdown(self) -> str:
        """The section as it stands on the page."""
        return "\n\n".join([f"## {self.title}", *self.parts])


def verdict_of(is_met: bool) -> str:
    """Word for the table of verdicts."""
    return MET if is_met else MISSED


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Make a Markdown table; columns of numbers are aligned to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    columns = list(zip(*cells, strict=True)) or [()] * len(header)
    rules = ["---:" if column and all(map(NUMERIC.match, column)) else "---" for column in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(header), rules, *cells])


def cell(value: object) -> str:
    """A value in a table."""
    return str(value).replace("|", "\\|")


def percent(value: float | Mean, digits: int = 1, *, sign: bool = False) -> str:
    """A fraction in percent, with its error if it has one."""
    plus = "+" if sign else ""
    if isinstance(value, Mean):
        return f"{100 * value.value:{plus}.{digits}f} ± {100 * value.error:.{digits}f} %"
    return f"{100 * value:{plus}.{digits}f} %"


def number(value: float | Mean, digits: int, unit: str = "") -> str:
    """A number with a fixed number of digits behind the point, its error, and its unit."""
    text = (
        f"{value.value:.{digits}f} ± {value.error:.{digits}f}"
        if isinstance(value, Mean)
        else f"{value:.{digits}f}"
    )
    return f"{text} {unit}".rstrip()


def power(value: float) -> str:
    """A number of particles: 5e4."""
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def fill(paragraph: str, width: int = 110) -> str:
    """Put the words of a paragraph into lines; a list item per line that begins with a bullet."""
    items = (
        re.split(r"\n\s*\* ", "\n" + paragraph.strip()) if paragraph.strip().startswith("* ") else [paragraph]
    )
    filled = []
    for item in items:
        words = item.split()
        if not words:
            continue
        lines = ["* " + words[0] if len(items) > 1 else words[0]]
        for word in words[1:]:
            if len(lines[-1]) + 1 + len(word) > width:
                lines.append(("  " if len(items) > 1 else "") + word)
            else:
                lines[-1] += " " + word
        filled.append("\n".join(lines))
    return "\n".join(filled)


def machine_class() -> str:
    """Kind of processor and number of cores, without names of hosts."""
    model = platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if found := re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE):
            model = found[1].strip()
    except OSError:
        pass
    return f"{os.cpu_count()}-core {model}, {platform.system()}"


def circumstances() -> str:
    """When, with which versions and on what kind of machine figures were made."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, Python {platform.python_version()}, {versions}, on a {machine_class()}"


def page_parser(prog: str, what: str) -> argparse.ArgumentParser:
    """Begin the options of a command that makes a page: where to write it."""
    parser = argparse.ArgumentParser(prog=prog, description=what)
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="Markdown file to write; by default print it"
    )
    return parser


def put_page(text: str, path: Path | None) -> None:
    """Write a page, or print it."""
    say("")
    if path is None:
        print(text, end="")
    else:
        path.write_text(text, encoding="utf-8")


def say(what: str) -> None:
    """Show what is being done: on a terminal in one line that an empty text clears."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
    elif what:
        print(what, file=sys.stderr, flush=True)
